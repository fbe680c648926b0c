/*
 * The node's own API: HTTPS on 10250, the read-only port, and health on 10248, with a kubelet's
 * endpoints (server/endpoint.h), words and codes. It listens, lets the guard judge who asks, and
 * hands the request to the room that knows the answer; it computes nothing of its own. Loop
 * thread.
 */
#pragma once

#include "base/metrics.h"
#include "config/config_server.h"
#include "loop/work.h"
#include "pod/pods.h"
#include "wire/tls.h"

struct node_server; /* opaque */

struct guard;             /* server/guard.h */
struct log_server;        /* server/log_server.h */
struct node_logs;         /* server/node_logs.h */
struct oom_log;           /* stats/oom_log.h */
struct stats_collector;   /* stats/collector.h */
struct streaming;         /* server/streaming.h */
struct summary_collector; /* stats/summary_collector.h */

/** What answers; all borrowed and outliving the server. */
struct node_server_parts {
    struct loop *loop;
    struct work_pool *pool;
    struct pods *pods;
    struct pod_runtime *runtime;
    struct guard *guard; /* may be NULL when 10250 is not served */
    struct streaming *streaming;
    struct log_server *logs;
    struct node_logs *node_logs;
    struct stats_collector *records;
    struct summary_collector *summaries;
    struct metrics *metrics;       /* /metrics */
    struct metrics *probe_metrics; /* /metrics/probes */
};

struct node_server_options {
    const struct config_server *config; /* borrowed like all below, outliving the server */
    const struct config_list *flag_values;
    const struct ProtobufCMessage *kubelet_configuration;
    const char *root_dir;
    int64_t sync_frequency_ns;
    const char *version, *kubernetes_version; /* "v1.36.2+cubelet.0.1.0", "v1.36.2" */
    int64_t started_wall_ns;
    bool is_main_served; /* 10250 */
    /** A request that may have been work has ended; none of health. May be NULL. */
    void (*on_work)(void *ctx);
    void *ctx;
};

/**
 * Listens on the ports that the configuration names; clients of 10250 are accepted from the first
 * node_server_set_tls() on. Errors, naming the port: what keeps 10250 or the read-only port from
 * being bound; for health it is tried again every 5 s.
 */
MUST_CHECK struct error *node_server_new(const struct node_server_parts *parts,
                                         const struct node_server_options *options,
                                         struct node_server **ret);
/** Cuts every connection; nothing that was asked of its parts comes back to it. NULL is fine; after
 * the streams, whose connections it counts, and before all other parts. */
void node_server_free(struct node_server *server);
DEFINE_AUTO(node_server, struct node_server *, node_server_free)

/** Connections from now on use @tls, of which a reference is taken. */
void node_server_set_tls(struct node_server *server, struct tls_context *tls);
