/*
 * The forms in which the node's own API answers, byte for byte a kubelet's (spec server.md §1.4),
 * for a request's handler. Each ends the exchange. Loop thread.
 */
#pragma once

#include "wire/http_server.h"

/** What a handler of the routed kind says, also when it refuses: @text as it is, text/plain. */
void reply_text(struct http_exchange *exchange, unsigned status, const char *text);

/** What a plain handler says: @content as it is, text/plain, nosniff. */
void reply_plain(struct http_exchange *exchange, unsigned status, struct str content);
/** What it says when it refuses: @text and a newline, the same fields. */
void reply_plain_error(struct http_exchange *exchange, unsigned status, const char *text);

/** @content as application/json. */
void reply_json(struct http_exchange *exchange, unsigned status, struct str content);

/** The HTTP status for the code of @err, when a call of the runtime failed: 404 for NOT_FOUND, 429
 * for RESOURCE_EXHAUSTED, else 500 (spec server.md §2.5). */
unsigned reply_status_of(const struct error *err);
/** @err_owned as reply_text() with that status; 429 with Retry-After: 60. */
void reply_error(struct http_exchange *exchange, struct error *err_owned);
