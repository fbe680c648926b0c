/*
 * What HTTP/1.1 and HTTP/2 have in common: header fields, request targets, status lines. Pure. Any
 * thread.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

/* A longer request target is refused with 414. All of a command to be executed is in it, escaped:
 * scripts of many lines are sent this way. */
#define HTTP_TARGET_MAX_BYTES (48 * KiB)
#define HTTP_TARGET_MAX_PARAMS 8192

/** One header field. Names are lower case; both borrowed. */
struct http_field {
    const char *name;
    const char *value;
};

struct http_fields {
    const struct http_field *items;
    size_t count;
};

/** The value of the first field called @name (lower case), or NULL. */
const char *http_fields_get(const struct http_fields *fields, const char *name);

/**
 * True when @name occurs with @token among its comma-separated values, in any case: as
 * `connection: keep-alive, Upgrade` has "upgrade".
 */
bool http_fields_has_token(const struct http_fields *fields, const char *name, const char *token);

/** A character that names of fields and methods are made of (RFC 9110 §5.6.2). */
bool http_is_token_char(char c);

/** "OK" for 200, "Not Found" for 404; "Unknown" for a number outside the registry. Static. */
const char *http_status_text(unsigned status);

struct http_query_param {
    const char *name;  /* decoded */
    const char *value; /* decoded; "" when there is no '=' */
};

/** A request target taken apart. Lives in the arena it was parsed into. */
struct http_target {
    const char *raw_path;        /* as sent, without the query */
    const char *path;            /* decoded */
    const char *const *segments; /* of the path, each decoded on its own; empty ones dropped */
    size_t segment_count;
    const char *raw_query;                 /* as sent, without '?'; "" when there is none */
    const struct http_query_param *params; /* in the order sent */
    size_t param_count;
};

/**
 * Takes the origin-form target @raw apart. INVALID_ARGUMENT for what does not begin with '/', holds
 * a broken percent escape or an encoded NUL, is longer than HTTP_TARGET_MAX_BYTES or has more than
 * HTTP_TARGET_MAX_PARAMS parameters.
 */
MUST_CHECK struct error *http_target_parse(struct str raw, struct arena *arena,
                                           struct http_target *ret);

/** The value of the first parameter called @name, or NULL. */
const char *http_target_param(const struct http_target *target, const char *name);

struct buf;
/** Appends @text with everything escaped that may not stand in a path segment or query value. */
void http_escape(struct buf *out, struct str text);
/** Appends @text as it may stand in an HTML text or quoted attribute; escapes as Go's are. */
void http_escape_html(struct buf *out, struct str text);

#define HTTP_DATE_SIZE 80 /* with room for what the compiler believes to be possible */
/** "Sun, 06 Nov 1994 08:49:37 GMT". Returns @text. */
char *http_date(int64_t wall_ns, char text[static HTTP_DATE_SIZE]);
/** Reads a date in any of the three forms of RFC 9110 §5.6.7. False: it is none. */
MUST_CHECK bool http_date_parse(const char *text, int64_t *ret_wall_sec);
