/*
 * The bearer tokens of a request: in `Authorization`, and hidden among the subprotocols of a
 * WebSocket, where browsers can put one. And the request without them, to be passed on. Pure. Any
 * thread.
 */
#pragma once

#include "wire/http.h"

#define BEARER_MAX_TOKENS 2

struct bearer_tokens {
    const char *texts[BEARER_MAX_TOKENS]; /* in the order in which they are to be tried */
    size_t count;
    const char *refusal; /* NULL; or why what looks like a token is none: static */
};

/**
 * Reads the tokens of a request with @fields into *ret; texts live in @arena or are borrowed from
 * @fields. A subprotocol counts when the request asks for a WebSocket; the refusals are upstream's:
 * `multiple base64.bearer.authorization tokens specified`, `invalid base64.bearer.authorization
 * token encoding`, `invalid base64.bearer.authorization token`, `missing additional subprotocol`.
 */
void bearer_read(const struct http_fields *fields, struct arena *arena, struct bearer_tokens *ret);

/** @fields without `authorization` (of whatever scheme) and without tokens among the subprotocols;
 * the list is in @arena, its texts are borrowed where they stay as they are. */
struct http_fields bearer_strip(const struct http_fields *fields, struct arena *arena);
