/*
 * Paths and queries of the local API as plain texts: percent-decoding, matching a path with a
 * pattern, query values. Knows no server. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#define ROUTE_MAX_PARAMS 3
#define ROUTE_MAX_QUERY_BYTES (4 * KiB)

/**
 * Decodes %XX (and '+' as a blank when @is_query). NULL for a broken escape or an encoded NUL.
 * Lives in @arena.
 */
const char *route_decode(struct str text, bool is_query, struct arena *arena);

/**
 * Matches a request's raw @path with @pattern, such as "/logs/:namespace/:pod": a segment that
 * begins with a colon takes any one segment, which is decoded into the next of @ret_params (lives
 * in @arena). A segment may be empty; a trailing slash ends in an empty one, but is ignored for a
 * pattern without parameters. False when the path does not match or does not decode.
 */
bool route_match(const char *pattern, struct str path, struct arena *arena,
                 const char *ret_params[static ROUTE_MAX_PARAMS]);

/**
 * The decoded value of the first @key in the raw @query (NULL is fine) into @ret, which is NULL
 * when the key is absent and "" when it has no value. False when the value does not decode.
 */
MUST_CHECK bool route_query_get(const char *query, const char *key, struct arena *arena,
                                const char **ret);

/** A boolean as Kubernetes reads it from a query: absent (NULL), "false" and "0" are false,
 * anything else is true. */
bool route_query_bool(const char *value);
