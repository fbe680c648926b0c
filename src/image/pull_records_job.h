/*
 * What one request of the store of pull records has to do on disk. For pull_records.c only.
 */
#pragma once

#include "image/pull_records_disk.h"

enum pull_request_kind {
    PULL_REQUEST_READ,
    PULL_REQUEST_READ_DONE, /* nothing, in its turn */
    PULL_REQUEST_KNOWN,
    PULL_REQUEST_INTEND,
    PULL_REQUEST_LEAVE,
    PULL_REQUEST_PULLED,
    PULL_REQUEST_PRUNE,
};

/** Self-contained; arrays by enum pull_folder. */
struct pull_job {
    enum pull_request_kind kind;
    struct arena *arena;
    const char *dirs[2];
    const char *image;
    struct pull_proof proof;
    struct pull_prune prune;
    size_t max_files[2];
    bool takes_intent; /* the record is written for the last pull of the image */

    struct pull_file files[2];
    bool has_file[2]; /* it is what is there now */
    struct pull_listing listings[2];
    struct error *err;
};

/** For struct work_vtable: @memory is a struct pull_job. */
void pull_job_run_blocking(void *memory);
void pull_job_release(void *memory);

/** A copy that lives in @arena. */
struct pull_proof pull_proof_dup(const struct pull_proof *proof, struct arena *arena);
