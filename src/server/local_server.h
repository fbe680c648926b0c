/*
 * The local API: HTTP/1.1 on a unix socket that only root may use. It shows what the pod room
 * knows, streams container logs, and joins with commands in containers; it computes nothing of its
 * own. Whoever may use it is root on this machine, so it is not under the settings of the node's
 * own API (enableServer, enableDebuggingHandlers, authorization). Loop thread; log files are read
 * on the worker pool.
 *
 *   /pods[?all=1]  /status  /events[?namespace=&pod=]      what is known, as JSON
 *   /why[?namespace=&pod=]                                 what pods wait for
 *   /logs/NAMESPACE/POD[/CONTAINER]                        log_query.h
 *   /exec/NAMESPACE/POD/CONTAINER, /attach/…               streaming.h: as the node's own API
 *   /stats/summary[?only_cpu_and_memory=true]              the Summary API's answer
 */
#pragma once

#include "loop/work.h"
#include "pod/file_source.h"
#include "pod/pods.h"

struct local_server; /* opaque */

/** All texts are copied. */
struct local_server_options {
    const char *socket_path; /* absolute */
    const char *node_name;
    const char *version;
    const char *runtime_name, *runtime_version;
    int64_t started_wall_ns;
    const char *pod_logs_dir; /* logs are served from below it only */
};

/**
 * Listens on the socket; its directory is made with mode 0700 if missing, and a socket file nobody
 * listens on is replaced. @loop, @pool, @pods and @source (may be NULL) are borrowed and must
 * outlive the server. ALREADY_EXISTS when another process answers on the socket, otherwise the code
 * of the errno.
 */
MUST_CHECK struct error *local_server_new(struct loop *loop, struct work_pool *pool,
                                          struct pods *pods, const struct file_source *source,
                                          const struct local_server_options *options,
                                          struct local_server **ret);
/** Ends every connection and removes the socket file. NULL is fine; not from inside a request. */
void local_server_free(struct local_server *server);
DEFINE_AUTO(local_server, struct local_server *, local_server_free)

struct streaming;         /* server/streaming.h */
struct summary_collector; /* stats/summary_collector.h */

/** What answers exec, attach and statistics; borrowed, and outliving the server. */
struct local_server_engines {
    struct streaming *streaming;
    struct summary_collector *summaries;
};

/** Gives the server its engines (copied), which are made later than it. Until then what needs them
 * is answered with 503. */
void local_server_set_engines(struct local_server *server,
                              const struct local_server_engines *engines);

/** The runtime's name and version as last reported (copied). */
void local_server_set_runtime(struct local_server *server, const char *name, const char *version);
