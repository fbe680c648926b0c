/*
 * URLs as Go's net/url reads and writes them, as far as a GET needs it: what a probe asks, where a
 * redirect leads, and what error texts show. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

/** An absolute URL. All texts live in the arena it was made in. */
struct http_url {
    const char *scheme;   /* lower case */
    const char *host;     /* as the authority has it: "10.0.0.5:80", "[::1]"; without a user */
    const char *hostname; /* without brackets and port */
    const char *port;     /* "" when none is named */
    const char *path;     /* escaped; may be "" */
    const char *query;    /* as it was written, without '?'; NULL: none */
    const char *fragment; /* without '#'; NULL: none */
};

/**
 * The URL of an httpGet action: @path may bring a query along; what is no URL path is used as it
 * is, escaped. @host is a name or an address without brackets.
 */
struct http_url http_url_of(const char *scheme, const char *host, int32_t port, const char *path,
                            struct arena *arena);

/** Where @reference (of a Location field) leads from @base. INVALID_ARGUMENT in Go's words for
 * what is no URL; the host may be empty. */
MUST_CHECK struct error *http_url_resolve(const struct http_url *base, const char *reference,
                                          struct arena *arena, struct http_url *ret);

/** "http://10.0.0.5:80/a?b". */
const char *http_url_text(const struct http_url *url, struct arena *arena);
/** What a request line asks for: "/a?b". */
const char *http_url_target(const struct http_url *url, struct arena *arena);
/** True when @reference names a scheme itself. */
bool http_url_is_absolute(const char *reference);
