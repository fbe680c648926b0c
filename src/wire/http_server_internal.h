/*
 * What the parts of the HTTP server share: the server (http_server.c), its connections
 * (http_server_conn.c), the two protocols a connection may speak (http_server_http1.c,
 * http_server_http2.c) and exchanges (http_server_exchange.c). Loop thread.
 *
 * Any callback of the owner may end exchanges, close connections and free the server. So nothing is
 * freed below a frame that uses it: a closed connection has no stream, an ended exchange no
 * connection, and both go by loop_defer_free(). After a callback, look at conn->stream before
 * anything else of the connection.
 */
#pragma once

#include "wire/byte_queue.h"
#include "wire/byte_stream.h"
#include "wire/http1.h"
#include "wire/http2_server.h"
#include "wire/http_server.h"

struct http_listener;
struct http_conn;

struct http_server {
    struct loop *loop;
    struct http_server_options options; /* no zeroes */
    http_server_on_request *on_request;
    void *ctx;
    struct tls_context *tls; /* a reference; what http_server_set_tls() was given, or NULL */
    struct http_listener *listeners;
    struct http_conn *conns;
    size_t conn_count;
    size_t greeting_count;   /* of them whose TLS handshake is under way */
    size_t peak_count;       /* since the heap was trimmed last */
    struct loop_timer *calm; /* then the heap is trimmed */
    size_t request_bytes;    /* of bodies and large heads held now, over all connections */
    bool is_draining;
};

/** What a connection speaks. */
struct http_protocol {
    void (*start)(struct http_conn *conn);
    /** Takes bytes from the peer. */
    void (*receive)(struct http_conn *conn, struct str bytes);
    /** The peer sends no more. */
    void (*on_end)(struct http_conn *conn);
    /** Appends to conn->out what waits elsewhere; NULL: nothing does. */
    struct error *(*gather)(struct http_conn *conn);
    /** After writing: tells those who wait for it, goes on with what waited. True: there is more to
     * write now. May close the connection. */
    bool (*after_write)(struct http_conn *conn);
    /** When on_due must run; INT64_MAX: never. */
    int64_t (*due_ns)(const struct http_conn *conn);
    void (*on_due)(struct http_conn *conn, int64_t now_ns);
    void (*drain)(struct http_conn *conn);
    /** Releases what the protocol holds of @conn. */
    void (*release)(struct http_conn *conn);

    /* Exchanges. */
    /** @body_length -1: unknown. */
    void (*begin)(struct http_exchange *exchange, unsigned status, const struct http_fields *fields,
                  int64_t body_length);
    void (*write)(struct http_exchange *exchange, struct str bytes);
    size_t (*backlog)(const struct http_exchange *exchange);
    /** The exchange ends right after. */
    void (*finish)(struct http_exchange *exchange);
    void (*abort)(struct http_exchange *exchange);
};

extern const struct http_protocol http_protocol_1, http_protocol_2;

/** HTTP/1.1's part of a connection. */
struct http1_link {
    struct http1_parser *parser;
    struct http_exchange *arriving;  /* its body is */
    struct http_exchange *answering; /* in the owner's hands */
    struct buf early;                /* what came but is not parsed yet */
    struct str input;                /* what is being parsed: in early, or just read */
    int64_t due_ns;
    bool is_last;     /* nothing follows the answer under way */
    bool is_answered; /* it has ended and is on its way out */
    bool is_refused;  /* an answer of ours is, and the rest of the input is not worth reading */
    bool is_ended;    /* the peer sends no more */
};

/** HTTP/2's part. */
struct http2_link {
    struct http2_server *session;
    int64_t idle_since_ns; /* INT64_MAX: there are streams */
    size_t charged_bytes;  /* of server->request_bytes, for what arrives */
    bool had_request, is_closing;
};

struct http_conn {
    struct http_server *server; /* NULL: closed and told of */
    struct loop *loop;
    struct byte_stream *stream;           /* NULL: closed */
    struct byte_stream *closed_stream;    /* goes with the connection, for what is borrowed of it */
    const struct http_protocol *protocol; /* NULL: not known yet */
    char *remote_address;
    const struct tls_peer *peer; /* NULL without TLS */
    bool has_peer_uid;
    uint32_t peer_uid;
    struct loop_timer *flush_soon;
    struct loop_timer *due;
    int64_t timer_due_ns;     /* what `due` is armed for */
    int64_t start_due_ns;     /* handshake and first bytes */
    int64_t progress_ns;      /* when the stream last took bytes */
    int64_t write_timeout_ns; /* the server's, but for an exchange with more patience */
    struct byte_queue out;
    struct buf first; /* the first bytes, until they tell the protocol */
    bool is_blocked;  /* the stream took less than all of `out` */
    bool is_reading;
    bool is_open;     /* after the handshake */
    bool is_greeting; /* counted as such */
    struct http1_link h1;
    struct http2_link h2;
    struct http_exchange *exchanges; /* handed out and not ended */
    struct http_conn *prev, *next;
};

/**
 * Serves @fd_owned, a connected, non-blocking stream socket, as if a listener with @tls had
 * accepted it; closes it when there is no room. For tests, and for who accepts by other means.
 */
void http_server_serve_fd(struct http_server *server, int fd_owned, struct tls_context *tls);

/** A connection has ended, and is not counted any more. */
void http_server_note_end(struct http_server *server);

/* --- connections --- */

/** Serves the connected, non-blocking socket @fd_owned, which counts as one connection. */
void http_conn_new(struct http_server *server, int fd_owned, struct tls_context *tls);
/** Closes in silence; exchanges are gone unheard. May be called again. */
void http_conn_close(struct http_conn *conn);
/** Closes; exchanges end with on_gone. */
void http_conn_lose(struct http_conn *conn);
/** True when nobody waits for anything of @conn: it makes room for others. What has not arrived
 * whole does not count, so that slow clients cannot keep all places. */
bool http_conn_is_dispensable(const struct http_conn *conn);
/** Leaves the stream to the caller and forgets about the rest. */
struct byte_stream *http_conn_detach(struct http_conn *conn);
/** @inner_owned, which tells @on_end of status 101 when it is freed. */
struct byte_stream *http_taken_stream(struct byte_stream *inner_owned,
                                      void (*on_end)(void *ctx, unsigned status), void *ctx);
void http_conn_flush_soon(struct http_conn *conn);
/** No new requests; closes when idle. */
void http_conn_drain(struct http_conn *conn);
/** "10.0.0.1:4711", "[::1]:80", "@". Owned. */
char *http_conn_address_text(int fd, bool is_peer);

/* --- exchanges --- */

struct http_exchange {
    struct http_conn *conn; /* NULL: ended */
    struct loop *loop;
    struct arena *arena; /* NULL: taken */
    struct http_request request;
    struct buf body;
    size_t charged_bytes; /* of server->request_bytes */
    bool is_begun;
    bool is_handed;
    bool is_bodiless; /* the answer */
    bool is_chunked;  /* the answer, HTTP/1.1 */
    bool is_http10;
    struct http2_server_stream *stream; /* HTTP/2 */
    unsigned status;                    /* of the answer; 0: none yet */
    void (*on_gone)(void *ctx);
    void *gone_ctx;
    void (*on_end)(void *ctx, unsigned status);
    void *end_ctx;
    void (*on_drain)(void *ctx);
    void *drain_ctx;
    size_t drain_below; /* half of the owner's limit */
    bool was_above;
    struct http_exchange *prev, *next; /* in conn->exchanges, once handed out */
};

/* Why a request is answered with 503. */
#define HTTP_NO_ROOM "too many large requests at once"

struct http_exchange *http_exchange_new(struct http_conn *conn);
/**
 * Fills in the request (everything copied); @method and @target may be NULL. Returns 0, or the
 * status to refuse with and a static text in *ret_problem.
 */
unsigned http_exchange_set_request(struct http_exchange *exchange, const char *method,
                                   const char *target, const struct http_fields *fields,
                                   const char **ret_problem);
/** Counts @len bytes of it against the server's budget; false: there is no room. */
bool http_exchange_charge(struct http_exchange *exchange, size_t len);
/** Gives it to the owner. */
void http_exchange_hand_over(struct http_exchange *exchange);
/** Ends it in silence. */
void http_exchange_end(struct http_exchange *exchange);
/** Ends it and says so. */
void http_exchange_end_gone(struct http_exchange *exchange);
/** Runs on_drain when the backlog has fallen far enough. */
void http_exchange_check_drain(struct http_exchange *exchange);

/** Bytes of request bodies and of large heads that all connections together may hold. */
size_t http_server_request_budget(const struct http_server *server);

/* --- responses --- */

/** True for fields that the server itself decides about. */
bool http_is_own_field(const char *name);
/** True for what must not stand in a field's value: it might end the field. */
static inline bool http_is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}
/** True when a response with @status has no body. */
bool http_is_bodiless_status(unsigned status);
