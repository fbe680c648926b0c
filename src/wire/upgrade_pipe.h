/*
 * An upgrade that is passed on: a client has asked our server for another protocol, a backend is
 * asked for it in turn, and once it agrees the two connections are bytes to each other, with
 * back-pressure both ways. Until then nothing the client says is passed on, and after a refusal
 * never: on a connection that still speaks HTTP a client could ask the backend for anything, in our
 * name. Loop thread.
 */
#pragma once

#include "wire/http_server.h"
#include "wire/upgrade_ask.h"

struct upgrade_pipe; /* opaque: one of them */

/** All pipes of one owner, in its struct: zeroed but for the first two. */
struct upgrade_house {
    struct loop *loop;
    struct work_pool *pool;
    struct upgrade_pipe *pipes;
    size_t count;
};

/**
 * What the client's connection becomes when the backend agrees; the context lives in the exchange's
 * arena. Without it the client gets the backend's answer and then its bytes.
 */
struct upgrade_change {
    /** Appends the head that the client gets in the place of the backend's @head. */
    void (*write_head)(void *ctx, const struct http1_head *head, struct buf *out);
    /** Wraps @client_owned: @first (that head) goes out before all else, @early is what the client
     * has said already. Both are borrowed. */
    struct byte_stream *(*wrap)(void *ctx, struct loop *loop, struct byte_stream *client_owned,
                                struct str first, struct str early);
    void *ctx;
};

struct upgrade_pipe_options {
    struct upgrade_request request;
    /** Appends the body of an answer 500 that says why there is no agreement. */
    void (*write_failure)(const char *message, struct buf *body);
    const struct http_fields *failure_fields; /* of that answer, without its length; borrowed */
    /* Only refusals (>= 400) are passed on; other answers are a failure of their own, `invalid
     * upgrade response: status code 200`. */
    bool refuses_success;
    const struct upgrade_change *change; /* NULL: none. Copied */
};

/**
 * Takes @exchange, an upgrade, over and asks. INVALID_ARGUMENT for HTTP/2, which has no upgrades:
 * @exchange is still the caller's then.
 */
MUST_CHECK struct error *upgrade_pipe_begin(struct upgrade_house *house,
                                            const struct upgrade_pipe_options *options,
                                            struct http_exchange *exchange);
/** Cuts all of them off. */
void upgrade_pipe_free_all(struct upgrade_house *house);
