/*
 * Asking an HTTP/1.1 server for another protocol, on a connection of its own: name look-up, TCP,
 * TLS if wanted, the request, its answer. When the server agrees the connection is the asker's;
 * when it answers anything else the answer is handed out as it comes. Loop thread.
 */
#pragma once

#include "loop/work.h"
#include "wire/http1.h"
#include "wire/tls.h"

struct upgrade_ask; /* opaque: one request under way */

struct upgrade_request {
    const char *host; /* name or address; copied */
    uint16_t port;
    struct tls_context *tls; /* NULL: without. A reference is taken */
    struct str head;         /* request line, fields and the empty line; copied */
};

/** Nothing runs from inside upgrade_ask_start(), nor after the end or upgrade_ask_cancel(), which
 * may be called from any of them. Heads are valid until the callback returns. */
struct upgrade_events {
    /** The answer's head, not an informational one: head->is_upgrade tells whether the server
     * agrees. */
    void (*on_head)(void *ctx, const struct http1_head *head);
    /** A piece of the body of an answer that is no agreement. */
    void (*on_body)(void *ctx, struct str bytes);
    /** The end: the server has agreed, @early is what it has said behind its answer. */
    void (*on_agreed)(void *ctx, struct byte_stream *stream_owned, struct str early);
    /**
     * The end without an agreement. NULL: another answer was handed out, whole. Else UNAVAILABLE
     * in dial's and tls's words, "EOF" when the server closed before it answered, "unexpected EOF"
     * in the middle, INVALID_ARGUMENT for what is no HTTP, or DEADLINE_EXCEEDED.
     */
    void (*on_end)(void *ctx, struct error *err_owned);
};

/** Begins; @events are borrowed for ever. It ends by itself, after three minutes at the latest. */
struct upgrade_ask *upgrade_ask_start(struct loop *loop, struct work_pool *pool,
                                      const struct upgrade_request *request,
                                      const struct upgrade_events *events, void *ctx);
/** While paused on_body does not run: whoever passes the body on cannot take more. */
void upgrade_ask_pause(struct upgrade_ask *ask, bool is_paused);
void upgrade_ask_cancel(struct upgrade_ask *ask); /* NULL is fine */
