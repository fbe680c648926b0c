/*
 * An HTTP server: HTTP/1.1 and HTTP/2 (by ALPN over TLS, by prior knowledge without) on listening
 * sockets. It hands out exchanges, a request each with the right to answer it, and knows nothing
 * of routes. Slow, oversized and malformed clients are its affair: they are answered (400, 408,
 * 413, 414, 431, 503) or cut off without the owner's knowing. Loop thread.
 *
 * An exchange is valid from on_request until it ends: by http_exchange_finish(), _abort(), _take()
 * or by the client's going away, of which on_gone tells.
 */
#pragma once

#include "base/buf.h"
#include "wire/http.h"
#include "wire/tls.h"

struct http_server;   /* opaque */
struct http_exchange; /* opaque */

struct http_server_options {
    /* At once. A further one takes the place of the oldest that has no request under way, or is
     * closed when there is none. 0: 1024 */
    size_t max_connections;
    size_t max_header_bytes;   /* request line and fields together, at most 80 KiB. 0: 64 KiB */
    size_t max_body_bytes;     /* a longer body is answered with 413. 0: 3 MiB, as kube-apiserver */
    int64_t header_timeout_ns; /* from the first byte, or accept, to the last header. 0: 32 s */
    int64_t body_timeout_ns;   /* for the rest of the request. 0: 60 s */
    int64_t idle_timeout_ns;   /* between requests of a connection. 0: 90 s */
    int64_t write_timeout_ns;  /* without progress while there is something to send. 0: 60 s */
    bool waits_for_tls;        /* until http_server_set_tls() clients wait to be accepted */
};

/** A request, whole: its body has arrived when on_request runs, except for one that asks for an
 * upgrade, which has none. Borrowed from the exchange. */
struct http_request {
    const char *method; /* upper case as sent */
    struct http_target target;
    struct http_fields fields; /* without pseudo-header fields; `host` is there for HTTP/2 too */
    struct str body;
    const struct tls_peer *peer; /* NULL without TLS */
    const char *remote_address;  /* "10.0.0.1:4711"; "@" for a unix socket */
    bool has_peer_uid;           /* of a unix socket */
    uint32_t peer_uid;           /* who connected, by the kernel */
    bool is_upgrade;             /* HTTP/1.1 with `connection: upgrade` */
    bool is_http2;
};

/** A request has come. The receiver must end it sooner or later. */
typedef void http_server_on_request(void *ctx, struct http_exchange *exchange);

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options,
                                    http_server_on_request *on_request, void *ctx);
/** Closes everything at once, in silence. NULL is fine; not from on_request. */
void http_server_free(struct http_server *server);
DEFINE_AUTO(http_server, struct http_server *, http_server_free)

/**
 * Listens at @address ("127.0.0.1:10250", "[::1]:0", ":443" for every address of both families),
 * with TLS when
 * @tls is not NULL (borrowed; a reference is taken). *ret_address, in @arena, is what was bound,
 * with the port the kernel chose. Errors: `listen tcp 127.0.0.1:10250: bind: address already in
 * use`. May be called several times.
 */
MUST_CHECK struct error *http_server_listen(struct http_server *server, const char *address,
                                            struct tls_context *tls, struct arena *arena,
                                            const char **ret_address);
/** Serves the listening stream socket @fd_owned. */
void http_server_listen_fd(struct http_server *server, int fd_owned, struct tls_context *tls);
/** Connections from now on use @tls instead of what their listener had. */
void http_server_set_tls(struct http_server *server, struct tls_context *tls);

/** No new connections or requests; those under way go on. HTTP/2 peers are told (GOAWAY). */
void http_server_drain(struct http_server *server);
size_t http_server_connection_count(const struct http_server *server);

const struct http_request *http_exchange_request(const struct http_exchange *exchange);
/** Memory that lives as long as the exchange. */
struct arena *http_exchange_arena(struct http_exchange *exchange);

/** Told when the client goes away before the exchange has ended: the exchange is gone when
 * @on_gone returns. NULL: nobody. */
void http_exchange_on_gone(struct http_exchange *exchange, void (*on_gone)(void *ctx), void *ctx);

/** Told once when the exchange ends in whatever way, before on_gone: @status is what was answered,
 * 0 when the client went away unanswered; or 101 when the stream of a connection that was taken
 * over is freed. For figures and the log; the exchange's arena still lives, so who takes a
 * connection over frees its stream before its arena. */
void http_exchange_on_end(struct http_exchange *exchange,
                          void (*on_end)(void *ctx, unsigned status), void *ctx);

/** Answers in one go and ends the exchange. Everything is copied; content-length and date are
 * added.
 */
void http_exchange_reply(struct http_exchange *exchange, unsigned status,
                         const struct http_fields *fields, struct str body);

/** Begins an answer in parts (chunked in HTTP/1.1), whose end is http_exchange_finish(). */
void http_exchange_begin(struct http_exchange *exchange, unsigned status,
                         const struct http_fields *fields);
/** The same with a content-length: exactly @length bytes must be written before the finish, or the
 * exchange be aborted. */
void http_exchange_begin_sized(struct http_exchange *exchange, unsigned status,
                               const struct http_fields *fields, uint64_t length);
/** Sends @bytes (copied); leaves at the end of this turn. */
void http_exchange_write(struct http_exchange *exchange, struct str bytes);
/** Bytes written but not yet taken by the kernel or the peer's flow-control window: a producer
 * stops at a limit of its own, and goes on when @on_drain runs because less than half of
 * @limit_bytes is left. */
size_t http_exchange_backlog(const struct http_exchange *exchange);
void http_exchange_on_drain(struct http_exchange *exchange, size_t limit_bytes,
                            void (*on_drain)(void *ctx), void *ctx);
/** Until the exchange's answer has left, replaces the server's write_timeout_ns (INT64_MAX: none):
 * for a client behind which somebody may sit and read. With HTTP/2 it is the whole connection's,
 * and stays. */
void http_exchange_set_patience(struct http_exchange *exchange, int64_t write_timeout_ns);
/** Ends the answer well; the exchange is gone. */
void http_exchange_finish(struct http_exchange *exchange);
/** Ends the answer so that the client sees it broken off (RST_STREAM, or the connection closed). */
void http_exchange_abort(struct http_exchange *exchange);

/**
 * Takes the connection of an HTTP/1.1 exchange over, for a protocol of the caller's own: nothing
 * has been answered, the caller owns *ret_stream, and *ret_early (in *ret_arena_owned's memory) is
 * what the client already sent behind its request. The exchange is gone, its arena is the caller's.
 * INVALID_ARGUMENT for HTTP/2: nothing changed.
 */
MUST_CHECK struct error *http_exchange_take(struct http_exchange *exchange,
                                            struct byte_stream **ret_stream, struct str *ret_early,
                                            struct arena **ret_arena_owned);
