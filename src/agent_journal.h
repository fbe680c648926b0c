/*
 * How the pods and the file source reach the journal. Belongs to agent.c. Loop thread.
 */
#pragma once

#include "journal/journal.h"
#include "pod/file_source.h"
#include "pod/pods.h"

/** Starts zeroed. */
struct agent_journal {
    struct pods_journal pods;
    struct manifest_store manifests;
    struct journal *backoffs;
    struct journal *manifests_file;
};

/** Opens the files below @root_dir. Blocking: at start-up only. */
MUST_CHECK struct error *agent_journal_open_blocking(struct work_pool *pool, const char *root_dir,
                                                     struct agent_journal *ret);
/** Writes what is unwritten. */
void agent_journal_close(struct agent_journal *journal);
