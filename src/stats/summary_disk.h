/*
 * What a summary needs from the disk and the kernel beside the cgroups: totals of file systems,
 * what logs take, the machine's start and its processes. Asked as a list of questions, answered by
 * one job on the worker pool. Loop thread.
 */
#pragma once

#include "base/arena.h"
#include "loop/work.h"
#include "stats/dir_usage.h"
#include "stats/fs_totals.h"

struct summary_disk; /* opaque: questions, then answers */

enum disk_question {
    DISK_TOTALS, /* of the file system that the path lies on */
    DISK_FILES,  /* the files that lie directly in the directory */
    DISK_FILE    /* one file */
};

struct disk_answer {
    bool known;
    union {
        struct fs_totals totals; /* DISK_TOTALS */
        struct dir_usage usage;  /* the others */
    };
};

/** Of the kernel; below @proc_root. */
struct disk_kernel {
    int64_t boot_ns;           /* wall: when the machine was started */
    int64_t max_pid;           /* min(kernel.pid_max, kernel.threads-max) */
    int64_t current_processes; /* and threads */
};

struct summary_disk *summary_disk_new(const char *proc_root); /* copied; "/proc" */
void summary_disk_free(struct summary_disk *disk);            /* NULL is fine */
DEFINE_AUTO(summary_disk, struct summary_disk *, summary_disk_free)

/** Adds a question about @path (copied); returns where its answer will be. */
size_t summary_disk_ask(struct summary_disk *disk, enum disk_question kind, const char *path);

/**
 * Answers the questions on @pool. @on_done runs once, later, with the answers; the caller frees
 * them. The handle is valid until then; cancel it with work_cancel(), which frees the questions.
 */
struct work *summary_disk_start(struct summary_disk *disk_owned, struct work_pool *pool,
                                void (*on_done)(void *ctx, struct summary_disk *disk_owned),
                                void *ctx);
/** The same at once, for a caller that may wait: on a worker. */
void summary_disk_run_blocking(struct summary_disk *disk);

/** The answer to the question of that index. One without an answer is not known. */
const struct disk_answer *summary_disk_answer(const struct summary_disk *disk, size_t index);
/** The error of that question, in the answers' memory; NULL: it was answered. */
const char *summary_disk_failure(const struct summary_disk *disk, size_t index);
/** The kernel's figures, or why they could not be read (the caller's). */
MUST_CHECK struct error *summary_disk_kernel(const struct summary_disk *disk,
                                             struct disk_kernel *ret);
