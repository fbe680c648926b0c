/*
 * Time as int64_t nanoseconds: wall = since 1970 UTC, mono = CLOCK_BOOTTIME. Only the loop and the executor
 * read clocks; decisions take `now` as an argument. Texts are Kubernetes' and Go's. Any thread.
 */
#pragma once

#include "base/base.h"

int64_t time_wall_ns(void);
int64_t time_mono_ns(void);

#define TIME_TEXT_SIZE 40 /* enough for every format below, with the NUL */

/** "2026-11-21T03:24:00Z": metav1.Time, whole seconds, UTC. Returns @text. */
char *time_format_rfc3339(int64_t wall_ns, char text[static TIME_TEXT_SIZE]);
/** "…:00.000123Z": metav1.MicroTime, six digits. */
char *time_format_rfc3339_micro(int64_t wall_ns, char text[static TIME_TEXT_SIZE]);
/** "…:00.000000123Z": nine digits always, as kubernetes.io/config.seen is written. */
char *time_format_rfc3339_nano(int64_t wall_ns, char text[static TIME_TEXT_SIZE]);

/** Any RFC 3339 time with offset and 0..9 fraction digits. INVALID_ARGUMENT names the text. */
MUST_CHECK struct error *time_parse_rfc3339(struct str text, int64_t *ret_wall_ns);

/** Go's Duration.String(): "1m20s", "5m0s", "1.5s", "100ms", "0s". */
char *time_format_duration(int64_t duration_ns, char text[static TIME_TEXT_SIZE]);
/** Go's ParseDuration: "1h15m30.918s", "-1.5h", "0". INVALID_ARGUMENT names the text. */
MUST_CHECK struct error *time_parse_duration(struct str text, int64_t *ret_ns);
