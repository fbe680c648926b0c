/* Shared inside the server room: the server itself and what one file of it calls in another. Loop
 * thread. */
#pragma once

#include "base/buf.h"
#include "server/local_server.h"
#include "server/log_query.h"

struct evhttp;
struct evhttp_request;

#define LOCAL_REPLY_MAX_BYTES (64 * MiB)
#define LOCAL_MAX_LOG_STREAMS                                                                      \
    32 /* each holds a descriptor, two watches and up to one piece of its file */

struct local_server {
    struct loop *loop; /* these four borrowed */
    struct work_pool *pool;
    struct pods *pods;
    const struct file_source *source; /* NULL: there is none */
    char *socket_path;                /* from here on owned */
    char *node_name, *version;
    char *runtime_name, *runtime_version;
    char *pod_logs_dir;
    int64_t started_wall_ns;
    uint64_t socket_inode;
    struct evhttp *http;
    struct log_stream *streams; /* list */
    size_t n_streams;
};

/* --- local_socket.c --- */

/** Makes the listening socket at @path, mode 0600. Errors as local_server_new(). The caller owns
 * *ret_fd. */
MUST_CHECK struct error *local_socket_listen(const char *path, int *ret_fd, uint64_t *ret_inode);
/** True when the process at the other end of @fd runs as root or as this process's user. */
bool local_socket_is_trusted(int fd);
/** Removes @path if it is still the socket of @inode. */
void local_socket_remove(const char *path, uint64_t inode);

/* --- local_render.c: what is served, as text. Overflow is seen through buf_error(). --- */

/** The v1 EventList of the pods' timelines; @namespace and @pod (NULL: all) choose. */
void local_render_events(const struct local_server *server, const char *namespace, const char *pod,
                         struct buf *out);
/** The node as seen from inside. */
void local_render_status(const struct local_server *server, struct buf *out);
/** A v1 Status that tells of @err; returns the HTTP code for it. */
int local_render_error(const struct error *err, struct buf *out);

/* --- local_server.c --- */

/** Sends @content (emptied) as JSON with HTTP @code and ends the request. */
void local_reply_json(struct evhttp_request *request, int code, struct buf *content);
/** Sends @err_owned as a v1 Status and ends the request. */
void local_reply_error(struct evhttp_request *request, struct error *err_owned);

/** Finds a pod that is wanted by name. False when there is none. */
bool local_find_pod(const struct pods *pods, const char *namespace, const char *name,
                    struct pod_view *ret);
/** Finds it by UID. */
bool local_find_pod_uid(const struct pods *pods, const char *uid, struct pod_view *ret);

/* --- log_stream.c --- */

/** Which log a stream shows; everything is copied. */
struct log_stream_target {
    const char *path; /* relative to the directory of pod logs */
    const char *uid, *container;
    const char *container_id; /* followed while the status says that it runs */
    struct log_query query;
};

/** Answers @request with the log, piece by piece; the stream ends by itself. RESOURCE_EXHAUSTED:
 * too many streams. */
MUST_CHECK struct error *log_stream_start(struct local_server *server,
                                          struct evhttp_request *request,
                                          const struct log_stream_target *target);
/** Silently ends every stream; their requests end with the connections. */
void log_stream_free_all(struct local_server *server);

/* --- log_route.c --- */

/** GET /logs/…: finds the log and starts the stream, or says why not. Ends the request either way
 * unless it errs. */
MUST_CHECK struct error *log_route_start(struct local_server *server,
                                         struct evhttp_request *request,
                                         const char *const params[3], const char *query);
