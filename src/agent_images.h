/*
 * The image room as the configuration wants it: whose turn it is to pull, and who may use what was
 * pulled. Belongs to agent.c. Loop thread.
 */
#pragma once

#include "image/pull_queue.h"
#include "image/pull_records.h"

struct agent_images {
    struct pull_queue *pulls;
    struct pull_records *records; /* NULL: gate KubeletEnsureSecretPulledImages is off */
};

/** Makes both; everything is borrowed. The records' folders are there. */
void agent_images_open(const struct config *config, struct work_pool *pool, struct metrics *metrics,
                       struct agent_images *ret);
void agent_images_close(struct agent_images *images);
