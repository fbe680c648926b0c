/*
 * The image room as the configuration wants it: whose turn it is to pull, who may use what was
 * pulled, and the plugins that give credentials. Belongs to agent.c. Loop thread.
 */
#pragma once

#include "agent_cluster.h"
#include "image/credential_provider.h"
#include "image/pull_queue.h"
#include "image/pull_records.h"

struct agent_images {
    struct pull_queue *pulls;
    struct pull_records *records; /* NULL: gate KubeletEnsureSecretPulledImages is off */
    struct credential_providers *credentials; /* NULL: none */
};

/** All borrowed, and outliving the images. */
struct agent_images_options {
    const struct config *config;
    struct loop *loop;
    struct work_pool *pool;
    struct metrics *metrics;
    const struct agent_cluster *cluster; /* NULL: standalone */
    struct arena *arena;
};

/**
 * Makes all three; the records' folders are there. Reads the configuration of plugins and looks for
 * their programs, as the flags --image-credential-provider-* say: errors name the flag, file, field
 * or program and are fatal. *ret is to be closed after an error, too.
 */
MUST_CHECK struct error *agent_images_open_blocking(const struct agent_images_options *options,
                                                    struct agent_images *ret);
void agent_images_close(struct agent_images *images);
