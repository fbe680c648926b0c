/* Shared inside the server room: the server itself and what one file of it calls in another. Loop
 * thread. */
#pragma once

#include "base/buf.h"
#include "server/local_server.h"
#include "server/log_server.h"
#include "wire/http_server.h"

#define LOCAL_REPLY_MAX_BYTES (64 * MiB)
#define LOCAL_MAX_LOG_STREAMS 32

struct local_server {
    struct loop *loop; /* these three borrowed */
    struct pods *pods;
    const struct file_source *source; /* NULL: there is none */
    char *socket_path;                /* from here on owned */
    char *node_name, *version;
    char *runtime_name, *runtime_version;
    int64_t started_wall_ns;
    uint64_t socket_inode;
    struct http_server *http; /* NULL: not listening */
    struct log_server *logs;
    struct local_server_engines engines; /* NULL inside: not yet */
};

/* --- local_socket.c --- */

/** Makes the listening socket at @path, mode 0600. Errors as local_server_new(). The caller owns
 * *ret_fd. */
MUST_CHECK struct error *local_socket_listen(const char *path, int *ret_fd, uint64_t *ret_inode);
/** Removes @path if it is still the socket of @inode. */
void local_socket_remove(const char *path, uint64_t inode);

/* --- local_render.c: what is served, as text. Overflow is seen through buf_error(). --- */

/** Tells of the pods that @namespace and @pod (NULL: all) choose. */
typedef void local_render(const struct local_server *server, const char *namespace, const char *pod,
                          struct buf *out);
/** The v1 EventList of their timelines. */
local_render local_render_events;
/** {"pods": [{"namespace", "name", "uid", "phase", "ready", "waits": [{"container", "reason",
 * "message", "since", "until"}]}]}: what each of them waits for (pod/why.h). */
local_render local_render_why;
/** The node as seen from inside. */
void local_render_status(const struct local_server *server, struct buf *out);
/** A v1 Status that tells of @err; returns the HTTP code for it. */
int local_render_error(const struct error *err, struct buf *out);

/* --- local_server.c --- */

/** Answers with @err_owned as a v1 Status. */
void local_reply_error(struct http_exchange *exchange, struct error *err_owned);
