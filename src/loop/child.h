/*
 * A child process whose output is read as it comes. Loop thread; a child that nobody hears any more
 * is reaped on the worker pool.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "loop/work.h"

struct child; /* opaque */

/** What it writes to its standard error. */
enum child_errors {
    CHILD_ERRORS_DROPPED,
    CHILD_ERRORS_JOINED, /* is output, too */
    CHILD_ERRORS_KEPT,   /* goes where ours goes */
    CHILD_ERRORS_APART,  /* goes to a descriptor of its own, which somebody else reads */
};

struct child_options {
    const char *const
        *argv;              /* the first is looked for in PATH unless it holds a slash; NULL ends */
    const char *const *env; /* NULL ends */
    enum child_errors errors;
    int in_fd;  /* its input; 0: /dev/null */
    int err_fd; /* for CHILD_ERRORS_APART */
};

struct child_variable {
    const char *name, *value;
};
/** For struct child_options: the environment of this process with @own in it, in place of what is
 * there under the same name. Of a name that is in @own twice the last counts. Lives in @arena, and
 * borrows from the environment. */
const char *const *child_environment(const struct child_variable *own, size_t count,
                                     struct arena *arena);

/**
 * Starts a process in a group of its own, with @out_fd as its output and signals as a new process
 * has them. For who reads and reaps by himself. Returns an errno value.
 */
MUST_CHECK int child_spawn(const struct child_options *options, int out_fd, pid_t *ret_pid);

struct child_events {
    /** Some output, borrowed during the call. */
    void (*on_output)(void *ctx, struct str bytes);
    /** It has ended with @status, as waitpid(2) gives it, and its output has been told. To be freed
     * in or after this. A grandchild that holds the output open is not waited for. */
    void (*on_exit)(void *ctx, int status);
};

/**
 * Starts a child in the same way. The errno's code when it cannot be started; then nothing is
 * called. Everything is copied but @events (static).
 */
MUST_CHECK struct error *child_start(struct loop *loop, struct work_pool *pool,
                                     const struct child_options *options,
                                     const struct child_events *events, void *ctx,
                                     struct child **ret);
/** While paused no output is read, and so on_exit does not run either. */
void child_pause(struct child *child, bool is_paused);
/** Kills its group; on_exit follows. */
void child_kill(struct child *child);
/** Kills its group if it runs, in silence. NULL is fine; may be called from its callbacks. */
void child_free(struct child *child);
DEFINE_AUTO(child, struct child *, child_free)
