/*
 * One run of a credential provider plugin: its request goes to its standard input, its answer comes
 * from its standard output, what it complains of is added to the error (spec pods.md §6.5). Starts
 * a process and reads what it prints; no disk. Loop thread.
 */
#pragma once

#include "base/str.h"
#include "loop/work.h"

#include "credentialprovider.pb-c.h"

#define CREDENTIAL_EXEC_TIMEOUT_NS (60 * NS_PER_SEC)
#define CREDENTIAL_EXEC_ERRORS_MAX_BYTES                                                           \
    (4 * KiB) /* of its complaints, the first that are kept                                        \
               */

struct credential_exec; /* opaque: a plugin that runs */

struct credential_exec_options {
    struct loop *loop;
    struct work_pool *pool; /* reaps what had to be killed */
    const Credentialprovider__CredentialProvider
        *provider;      /* args and env; borrowed until the end */
    const char *path;   /* of the program, with a slash in it; borrowed until the end */
    const char *image;  /* for errors */
    const char *secret; /* shown in no error, even if the plugin complains of it; NULL: none */
    struct str request;
    int64_t timeout_ns; /* of the whole run */
};

/** Over: @output (borrowed) is there unless @err_owned is. The run is gone when this returns. */
typedef void credential_exec_on_done(void *ctx, struct str output, struct error *err_owned);

/**
 * Runs the plugin, in a process group of its own, with our environment and over it the one of its
 * configuration. @on_done runs exactly once, never from inside this call, not after
 * credential_exec_cancel(). Errors:
 *
 *     error execing credential provider plugin ecr for image r.example/app: exit status 1: no key
 *     … : context deadline exceeded: <what it wrote to its standard error>
 */
struct credential_exec *credential_exec_start(const struct credential_exec_options *options,
                                              credential_exec_on_done *on_done, void *ctx);
/** Kills the plugin. NULL is fine. */
void credential_exec_cancel(struct credential_exec *run);
