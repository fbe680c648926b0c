/* Asks a running agent over its unix socket: one request a connection. Blocking; for the client
 * process only. */
#pragma once

#include "base/buf.h"

#define CLIENT_REPLY_MAX_BYTES (64 * MiB)

/**
 * GETs @target (path and query, encoded). NOT_FOUND, INVALID_ARGUMENT, … with the agent's own
 * message when it refuses; UNAVAILABLE `cannot reach the node agent at …`; DEADLINE_EXCEEDED when
 * it does not answer. The body is appended to @out.
 */
MUST_CHECK struct error *local_client_get(const char *socket_path, const char *target,
                                          struct buf *out);

/** The same for a body without end: @on_body gets the pieces as they come and returns false to
 * stop. */
MUST_CHECK struct error *local_client_stream(const char *socket_path, const char *target,
                                             bool (*on_body)(void *ctx, struct str piece),
                                             void *ctx);

/**
 * Asks for a WebSocket in which @protocol is spoken. The caller owns *ret_fd; what the agent has
 * said behind its agreement is appended to @early. Errors as local_client_get().
 */
MUST_CHECK struct error *local_client_upgrade(const char *socket_path, const char *target,
                                              const char *protocol, int *ret_fd, struct buf *early);

/** Appends @text with everything but unreserved characters as %XX. */
void local_client_add_encoded(struct buf *out, const char *text);

/** The head of an HTTP reply. */
struct reply_head {
    int64_t code;
    size_t len; /* of the head with its blank line */
};
/** Reads the head at the front of @bytes. False while it is not complete; INVALID_ARGUMENT through
 * @ret_err. */
bool local_client_parse_head(struct str bytes, struct reply_head *ret, struct error **ret_err);
