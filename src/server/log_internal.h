/* Shared by the files of the log server. Loop thread. */
#pragma once

#include "loop/inotify_hub.h"
#include "server/log_query.h"
#include "server/log_server.h"

struct log_server {
    struct loop *loop; /* these three borrowed */
    struct work_pool *pool;
    struct pods *pods;
    char *pod_logs_dir;
    bool has_split_streams;
    size_t max_streams;
    struct inotify_hub *hub;    /* wakes followers */
    struct log_stream *streams; /* list */
    size_t n_streams;
};

/* --- log_server.c --- */

/** What the forms differ in. */
struct log_form_rules {
    struct http_fields fields; /* of a 200 */
    bool commits_first;        /* the 200 leaves before the log is opened */
    int64_t patience_ns;       /* with a client that takes nothing */
    /** Answers a request that is wrong or cannot be served. */
    void (*refuse)(struct http_exchange *exchange, struct error *err_owned);
    /** Answers one for a container that has no log to show. */
    void (*refuse_state)(struct http_exchange *exchange, struct error *err_owned);
};

/* --- log_stream.c --- */

/** Which log a stream shows; everything is copied. */
struct log_stream_target {
    const char *path; /* relative to the directory of pod logs */
    const char *uid, *container;
    const char *container_id; /* followed while the status says that it runs */
    struct log_query query;
};

/** Answers @exchange with the log, piece by piece; the stream ends by itself. */
void log_stream_start(struct log_server *server, struct http_exchange *exchange,
                      const struct log_stream_target *target, const struct log_form_rules *form);
/** Breaks every stream off. */
void log_stream_abort_all(struct log_server *server);
/** Those of pod @uid look whether their container still runs. */
void log_stream_wake_pod(struct log_server *server, const char *uid);
