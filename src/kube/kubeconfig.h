/*
 * A kubeconfig file: which API server to talk to, and as whom. Reading is pure apart from the one
 * file; what it points to (certificates, tokens) is read by the transport. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

#define KUBECONFIG_MAX_BYTES (1 * MiB)

struct kubeconfig_env {
    const char *name;
    const char *value;
};

/** A credential plugin (client.authentication.k8s.io). */
struct kubeconfig_exec {
    const char *api_version; /* v1 or v1beta1 */
    const char *command;     /* resolved against the file's folder when it holds a '/' */
    const char *const *args;
    size_t arg_count;
    const struct kubeconfig_env *env;
    size_t env_count;
    const char *install_hint; /* NULL: none */
    bool provide_cluster_info;
};

/** `as-user-extra`: one key with its values. */
struct kubeconfig_extra {
    const char *key;
    const char *const *values;
    size_t value_count;
};

/** The cluster and user of one context. Texts are NULL when absent; paths are absolute; `*_data`
 * has been decoded and won over the file form. Lives in the arena it was read into. */
struct kubeconfig {
    const char *path; /* of the file itself */
    const char *context;

    const char *server; /* "https://10.0.0.1:6443", with a path prefix if there is one */
    const char *ca_file;
    const char *ca_data;
    const char *tls_server_name;
    const char *proxy_url;
    bool insecure_skip_tls_verify;

    const char *cert_file;
    const char *cert_data;
    const char *key_file;
    const char *key_data;
    const char *token;
    const char *token_file; /* wins over token, as upstream */
    const char *username;
    const char *password;
    const char *impersonate_user;
    const char *impersonate_uid;
    const char *const *impersonate_groups;
    size_t impersonate_group_count;
    const struct kubeconfig_extra *impersonate_extra;
    size_t impersonate_extra_count;
    const struct kubeconfig_exec *exec;
};

/**
 * Takes the current context (or @context when not NULL) of @text apart; relative files are resolved
 * against the folder of @path. INVALID_ARGUMENT naming file, line and field:
 *
 *     /etc/kubernetes/kubelet.conf: users[0].user.client-key-data: illegal base64 data
 *     /etc/kubernetes/kubelet.conf: context "a" was not found
 */
MUST_CHECK struct error *kubeconfig_parse(struct str text, const char *path, const char *context,
                                          struct arena *arena, struct kubeconfig *ret);
/** Reads the file, then as above; NOT_FOUND and the like with "open <path>: …". Blocks shortly. */
MUST_CHECK struct error *kubeconfig_load(const char *path, const char *context, struct arena *arena,
                                         struct kubeconfig *ret);
/** A deep copy in @arena. */
struct kubeconfig *kubeconfig_copy(const struct kubeconfig *config, struct arena *arena);
