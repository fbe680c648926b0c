/*
 * Container logs over HTTP: finds the log that a request means and streams it, once or as it grows,
 * at the client's pace. Who may ask is the caller's affair. Loop thread; files are read on the
 * worker pool. Nothing runs for a follower while its log does not grow, but for a look each half
 * minute.
 */
#pragma once

#include "loop/work.h"
#include "pod/pods.h"
#include "wire/http_server.h"

struct log_server; /* opaque */

struct log_server_options {
    const char *pod_logs_dir; /* logs are served from below it only; copied */
    bool has_split_streams;   /* feature gate PodLogsQuerySplitStreams: stream=Stdout is allowed */
    size_t max_streams; /* logs under way at once; each holds a descriptor, and up to 64 KiB of
                           its file while it is read */
};

/** @loop, @pool and @pods are borrowed and must outlive the server, which listens to the pods: so
 * it hears of a container's end. Never fails. */
struct log_server *log_server_new(struct loop *loop, struct work_pool *pool, struct pods *pods,
                                  const struct log_server_options *options);
/** What is being served breaks off. NULL is fine; not from inside a request or a pods' listener.
 * Comes before, or in the same turn as, the end of the HTTP servers whose exchanges it serves. */
void log_server_free(struct log_server *server);
DEFINE_AUTO(log_server, struct log_server *, log_server_free)

/** How a request is answered. */
enum log_form {
    /** As a kubelet does, byte for byte (spec server.md §2.9): short texts for what is wrong with
     * the request; then a chunked 200 without a type, which is committed before the log is opened,
     * so that what goes wrong from there on is text in its body. */
    LOG_FORM_KUBELET,
    /** As the local API does: a v1 Status for whatever goes wrong before the first byte; "" and "-"
     * mean a pod's first container. */
    LOG_FORM_LOCAL,
};

/** Which log; borrowed during the call. */
struct log_name {
    const char *namespace, *pod, *container;
};

/**
 * Answers @exchange, now or in the course of time, and ends it. The query is that of its request
 * (log_query.h).
 */
void log_server_serve(struct log_server *server, struct http_exchange *exchange,
                      const struct log_name *name, enum log_form form);

/** Logs under way. */
size_t log_server_stream_count(const struct log_server *server);
