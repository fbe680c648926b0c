/*
 * Time as int64_t nanoseconds: wall = since 1970 UTC, mono = CLOCK_BOOTTIME. Only the loop and the
 * executor read clocks; decisions take `now` as an argument. Texts are Kubernetes' and Go's. Any
 * thread.
 */
#pragma once

#include "base/base.h"

int64_t time_wall_ns(void);
int64_t time_mono_ns(void);

/** Seconds, as figures for people and scrapers have them. */
static inline double time_seconds(int64_t duration_ns)
{
    return (double)duration_ns / (double)NS_PER_SEC;
}

#define TIME_TEXT_SIZE 40 /* enough for every format below, with the NUL */

/** "2026-11-21T03:24:00Z": metav1.Time, whole seconds, UTC. Returns @text. */
char *time_format_rfc3339(int64_t wall_ns, char text[static TIME_TEXT_SIZE]);
/** "…:00.000123Z": metav1.MicroTime, six digits. */
char *time_format_rfc3339_micro(int64_t wall_ns, char text[static TIME_TEXT_SIZE]);
/** "…:00.000000123Z": nine digits always, as kubernetes.io/config.seen is written. */
char *time_format_rfc3339_nano(int64_t wall_ns, char text[static TIME_TEXT_SIZE]);

/** Any RFC 3339 time with offset and 0..9 fraction digits. INVALID_ARGUMENT names the text. */
MUST_CHECK struct error *time_parse_rfc3339(struct str text, int64_t *ret_wall_ns);

/*
 * The same with seconds and nanoseconds apart, as the API's protobuf has them: the years 0000 to
 * 9999 fit, Go's zero time 0001-01-01T00:00:00Z among them, which int64_t nanoseconds cannot hold.
 */
#define TIME_MIN_SEC INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define TIME_MAX_SEC INT64_C(253402300799) /* 9999-12-31T23:59:59Z */
#define TIME_GO_ZERO_SEC INT64_C(-62135596800)

MUST_CHECK struct error *time_parse_parts(struct str text, int64_t *ret_wall_sec,
                                          int32_t *ret_nanos);
/** @digits 0..9 of the fraction are written; @wall_sec is clamped to the range above. Returns
 * @text. */
char *time_format_parts(int64_t wall_sec, int32_t nanos, int digits,
                        char text[static TIME_TEXT_SIZE]);

/** Go's Duration.String(): "1m20s", "5m0s", "1.5s", "100ms", "0s". */
char *time_format_duration(int64_t duration_ns, char text[static TIME_TEXT_SIZE]);
/** Go's ParseDuration: "1h15m30.918s", "-1.5h", "0". INVALID_ARGUMENT names the text. */
MUST_CHECK struct error *time_parse_duration(struct str text, int64_t *ret_ns);
