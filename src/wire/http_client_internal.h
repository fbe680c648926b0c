/*
 * What the files of wire/http_client.h share. A call waits at the client until the client hands it
 * to a connection, which reports to the call (http_call_…) and to the client (http_client_…). Loop
 * thread.
 *
 *     http_client.c       queue, connecting, who gets which connection
 *     http_call.c         one call: copies, timers, its end
 *     http_client_h1.c    HTTP/1.1 connections
 *     http_client_h2.c    HTTP/2 connections
 */
#pragma once

#include "base/arena.h"
#include "wire/dial.h"
#include "wire/http2_conn.h"
#include "wire/http_client.h"

/* An idle connection is closed after this; Go's transport has the same limit. */
#define HTTP_CLIENT_IDLE_NS (90 * NS_PER_SEC)
/* A response's start line and fields. */
#define HTTP_CLIENT_MAX_HEAD_BYTES (64 * KiB)
/* Fields of a request beside those that the client adds. */
#define HTTP_CLIENT_MAX_FIELDS (HTTP2_REQUEST_MAX_FIELDS - 8)
/* A node watches each Secret and ConfigMap of its pods, and kube-apiserver takes 100 streams a
 * connection: room for 1,600. */
#define HTTP_CLIENT_MAX_HTTP2_CONNECTIONS 16

struct http_attempt; /* a connection being made */
struct http_h1;      /* an HTTP/1.1 connection */
struct http_h2;      /* an HTTP/2 connection */

enum http_protocol { HTTP_PROTOCOL_UNKNOWN, HTTP_PROTOCOL_1, HTTP_PROTOCOL_2 };

struct http_client {
    struct loop *loop;
    struct work_pool *pool;
    char *host;
    uint16_t port;
    char *server_name;
    char *authority; /* "host:port", without the port when it is the scheme's */
    char *origin;    /* "https://host:port", always with it */
    struct tls_context *tls;
    struct dial_proxy *proxy;
    int64_t connect_timeout_ns, ping_after_ns, ping_timeout_ns;
    size_t max_http1_connections;

    enum http_protocol protocol; /* what the origin spoke last */
    struct http_call *waiting;   /* list heads; the client owns every call */
    struct http_call *active;
    size_t waiting_count;
    uint64_t round; /* counts failed attempts: who called before one fails by it */
    struct http_attempt *attempts;
    size_t attempt_count;
    struct http_h1 *h1s; /* list head, the one used last first */
    size_t h1_count, h1_retired_count;
    struct http_h2 *h2s; /* list head, the oldest first */
    size_t h2_count;
    struct loop_timer *pump; /* waiting calls are looked at in the next turn */
    uint64_t connects;
    bool is_closed;
};

/** Something has changed for waiting calls: look at them in the next turn. */
void http_client_wake(struct http_client *client);
/** Fails the calls that wait for a connection which could not be made; with HTTP/1.1, where each
 * has one of its own, one of them. */
void http_client_fail_waiting(struct http_client *client, const struct error *cause);

/* --- calls --- */

enum http_call_state {
    HTTP_CALL_WAITING, /* at the client */
    HTTP_CALL_ON_H1,
    HTTP_CALL_ON_H2,
    HTTP_CALL_FAILING, /* went wrong inside of a function that must not call back */
    HTTP_CALL_OVER,
};

struct http_call {
    struct http_client *client;
    enum http_call_state state;
    struct arena *arena; /* holds the texts */
    const char *method;
    const char *target;
    struct http_fields fields;
    struct str body;
    const struct http_call_events *events;
    void *ctx;
    uint64_t round;
    struct loop_timer *timer; /* NULL: not needed yet */
    int64_t deadline_mono_ns; /* INT64_MAX: none */
    int64_t idle_timeout_ns;  /* 0: none */
    int64_t heard_mono_ns;    /* when the server last said something, or we did not listen */
    struct error *failure;    /* HTTP_CALL_FAILING */
    bool has_response, is_paused;
    struct http_h1 *h1;          /* HTTP_CALL_ON_H1 */
    struct http_h2 *h2;          /* HTTP_CALL_ON_H2 */
    struct http2_stream *stream; /* HTTP_CALL_ON_H2 */
    struct http_call *prev, *next;
};

/** From the connection that has it: the final response's head, a piece of its body. The call may
 * be over on return. */
void http_call_take_response(struct http_call *call, unsigned status,
                             const struct http_fields *fields);
void http_call_take_data(struct http_call *call, struct str bytes);
/** The response is complete; the connection has let go of the call already. The call is over. */
void http_call_complete(struct http_call *call);
/** Ends the call with @err_owned, whose message gets the request before it. A connection that
 * reports this has let go of the call already. */
void http_call_fail(struct http_call *call, struct error *err_owned, bool is_unsent);
/** As http_call_fail() for a request that the server may have looked at, and whose stream was reset
 * on a connection that goes on. */
void http_call_fail_reset(struct http_call *call, struct error *err_owned);
/** True when the request says that it has a body, be it an empty one. */
bool http_call_tells_length(const struct http_call *call);

/* --- HTTP/1.1 connections --- */

/** Takes over a connected stream; the client lists it. */
struct http_h1 *http_h1_open(struct http_client *client, struct byte_stream *stream_owned);
/** An idle connection that the server has not closed, as far as can be seen; NULL: there is none.
 * Closes those found dead. */
struct http_h1 *http_h1_find_idle(struct http_client *client);
/** Sends @call on idle @conn. */
void http_h1_send(struct http_h1 *conn, struct http_call *call);
/** Lets go of the call it has, closing the connection. */
void http_h1_abandon(struct http_h1 *conn);
void http_h1_update_pause(struct http_h1 *conn);
/** Closes all that are idle, and the others when their calls are over. */
void http_h1_retire_all(struct http_client *client);
/** Closes all at once. Their calls are gone already. */
void http_h1_close_all(struct http_client *client);

/* --- HTTP/2 connections --- */

/** Takes over a connected stream; the client lists it. */
struct http_h2 *http_h2_open(struct http_client *client, struct byte_stream *stream_owned);
/** The oldest connection that takes a further call at once; NULL: there is none. Retires those
 * found dead. */
struct http_h2 *http_h2_find(struct http_client *client);
/** Whether a further connection would be of use: all there are have said that they are full, and
 * they are not too many. */
bool http_h2_may_add(const struct http_client *client);
void http_h2_send(struct http_h2 *link, struct http_call *call);
/** Lets go of @call. */
void http_h2_abandon(struct http_call *call);
void http_h2_update_pause(struct http_call *call);
/** None takes calls any more; each closes after its last one. */
void http_h2_retire_all(struct http_client *client);
void http_h2_close_all(struct http_client *client);
