/*
 * Credential plugins (client.authentication.k8s.io v1 and v1beta1): a command is run, without a
 * shell, and prints an ExecCredential. Starts a process and reads its output; no disk. Loop thread;
 * parsing is pure.
 */
#pragma once

#include "kube/kubeconfig.h"
#include "loop/work.h"

#define EXEC_OUTPUT_MAX_BYTES (1 * MiB)

/** What a plugin gave. Texts are owned, NULL when absent. */
struct exec_credential {
    char *token;
    char *cert_pem;
    char *key_pem;
    bool has_expiry;
    int64_t expires_wall_ns;
};

/** Wipes and releases the texts. A zeroed struct is fine. */
void exec_credential_done(struct exec_credential *credential);
static inline UNUSED void auto_release_exec_credential(struct exec_credential *credential)
{
    exec_credential_done(credential);
}

/**
 * Reads an ExecCredential of @api_version out of @text. INVALID_ARGUMENT: no JSON, another kind or
 * version, neither token nor certificate, a certificate without its key. Owned through @ret.
 */
MUST_CHECK struct error *exec_credential_parse(struct str text, const char *api_version,
                                               struct exec_credential *ret);

/** The value of KUBERNETES_EXEC_INFO, with the cluster (and @ca_pem, may be NULL) where the config
 * asks for it; free() it. */
char *exec_credential_info(const struct kubeconfig *config, const char *ca_pem);

struct exec_run; /* opaque: a plugin that runs */

struct exec_options {
    struct loop *loop;
    struct work_pool *pool;          /* reaps what had to be killed */
    const struct kubeconfig *config; /* with `exec`; borrowed until the end */
    const char *ca_pem;              /* for the plugin to know; NULL: none */
    int64_t timeout_ns;              /* for the whole run */
};

/** Over: one of the two is there; both borrowed. The run is gone when this returns. */
typedef void exec_on_done(void *ctx, struct exec_credential *credential, const struct error *err);

/**
 * Runs the plugin. Its standard input is empty, its standard error ours. @on_done runs exactly
 * once, never from inside this call, not after exec_run_cancel(). Errors are UNAUTHENTICATED:
 * `getting credentials: exec: executable aws not found: <install hint>`, `… failed with exit code
 * 1`, `… did not end within 1m0s`.
 */
struct exec_run *exec_run_start(const struct exec_options *options, exec_on_done *on_done,
                                void *ctx);
/** Kills the plugin; @pool reaps it. NULL is fine. */
void exec_run_cancel(struct exec_run *run);
