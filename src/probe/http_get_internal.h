/*
 * What http_get.c (the way of a request) and http_get_h2.c (HTTP/2) know of each other. Loop
 * thread.
 */
#pragma once

#include "probe/http_get.h"
#include "probe/http_reply.h"
#include "probe/http_request.h"
#include "wire/http2_conn.h"

struct http_get {
    struct probe_net *net;
    http_get_on_done *on_done;
    void *ctx;
    struct arena *arena; /* all texts, which are few: there are ten requests at most */
    struct http_request request;
    struct error *refusal; /* why the request cannot be made; told in the next turn */
    struct http_url url;   /* of the present request */
    const char *hostname;  /* of the first: who redirects elsewhere is not followed */
    const char *referer;
    unsigned requests;
    bool stays; /* this answer is the last, wherever it points */
    bool is_over;

    struct loop_timer *limit; /* of everything */
    struct loop_timer *step;  /* begins a request; ends a handshake that takes too long */
    struct dial *dial;
    struct byte_stream *stream;
    char *own_address; /* of this connection, for error texts; owned */
    bool is_shaking;
    struct buf out; /* of the request, what is still to be sent */
    struct http_reply reply;

    struct http2_conn *h2; /* instead of `stream`, once it speaks HTTP/2 */
    struct http2_stream *h2_stream;
};

/** The reply has become more: looks whether that is all. */
void http_get_look(struct http_get *get);
/** Ends with what broke the connection (borrowed). */
void http_get_broken(struct http_get *get, const char *why);

/** Speaks HTTP/2 over @stream_owned from now on. */
void http_get_h2_begin(struct http_get *get, struct byte_stream *stream_owned);
/** Closes such a connection, if there is one. */
void http_get_h2_drop(struct http_get *get);
