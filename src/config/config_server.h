/*
 * The part of the configuration that says how the node's own API is served: where, with which
 * certificates, to whom. A part of struct config; the rules are those of config/config.h.
 */
#pragma once

#include "config/config_values.h"

enum config_tls_version {
    CONFIG_TLS_DEFAULT, /* TLS 1.2 */
    CONFIG_TLS_1_0,
    CONFIG_TLS_1_1,
    CONFIG_TLS_1_2,
    CONFIG_TLS_1_3,
};

struct config_curves {
    size_t count;
    const int32_t *ids; /* IANA numbers, checked */
};

/** Names are those of the file. */
struct config_server {
    bool enable_server;
    const char *address;
    int32_t port;           /* > 0 */
    int32_t read_only_port; /* 0: off */
    const char *healthz_bind_address;
    int32_t healthz_port; /* 0: off */

    bool enable_debugging_handlers;
    bool enable_system_log_handler, enable_system_log_query;
    bool enable_profiling_handler, enable_debug_flags_handler;

    const char *tls_cert_file, *tls_private_key_file; /* "": none */
    struct config_list tls_cipher_suites;             /* IANA names; none: Go's defaults */
    struct config_curves tls_curve_preferences;
    enum config_tls_version tls_min_version;
    bool server_tls_bootstrap;

    const char *client_ca_file; /* "": none */
    bool is_anonymous_allowed;
    bool is_token_webhook;
    int64_t token_cache_ttl_ns;
    bool is_authorization_webhook; /* else AlwaysAllow */
    int64_t authorized_cache_ttl_ns, unauthorized_cache_ttl_ns;

    const char *kubelet_cgroups, *system_cgroups, *runtime_cgroups; /* "": none */
};
