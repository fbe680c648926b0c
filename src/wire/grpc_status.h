/*
 * The texts and tables of gRPC over HTTP/2: status, status message, timeout, and which code an HTTP
 * status or an HTTP/2 error stands for. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

/** Decodes a grpc-message. What is no valid %XX stays as it is, and so does %00. The result is
 * owned. */
char *grpc_message_decode(const char *text);

/**
 * The outcome told by a grpc-status (and grpc-message, may be NULL): NULL for OK, else an error
 * with the code and the decoded message. A number that gRPC does not know is UNKNOWN, what is no
 * number is INTERNAL.
 */
MUST_CHECK struct error *grpc_status_to_error(const char *status, const char *message);

/** The error of a response without grpc-status, from its HTTP status; gRPC's
 * http-grpc-status-mapping. Never NULL. */
struct error *grpc_error_from_http_status(const char *http_status);

/** The error of a stream that was reset with HTTP/2's @error_code. Never NULL. */
struct error *grpc_error_from_reset(uint32_t error_code);

#define GRPC_TIMEOUT_SIZE 16 /* eight digits, a unit and the NUL, generously */

/** The value of grpc-timeout: at most eight digits and the finest unit that fits, rounded up.
 * Returns @text. */
char *grpc_timeout_format(int64_t timeout_ns, char text[static GRPC_TIMEOUT_SIZE]);

#define GRPC_BACKOFF_BASE_NS (100 * NS_PER_MS)
#define GRPC_BACKOFF_MAX_NS (3 * NS_PER_SEC)

/**
 * How long to wait before connecting again, after @failures (0: the first) attempts that failed:
 * 100 ms × 1.6 each, at most 3 s, then ± 20 %. @random chooses within the jitter.
 */
int64_t grpc_backoff_delay(unsigned failures, uint32_t random);
