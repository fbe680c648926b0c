/*
 * What one GET of a probe or a hook says, as Go's net/http client sends it. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "probe/http_url.h"

#include "core.pb-c.h"

struct http_request_field {
    const char *name; /* in Go's canonical form: "X-Own" */
    const char *value;
};

/** Sorted by name; repeats stay in their order. In the arena they were made in. */
struct http_request {
    struct http_request_field *fields; /* without the two below */
    size_t count;
    const char *host;       /* NULL: that of the URL */
    const char *user_agent; /* NULL: none is sent */
};

/**
 * The fields of @headers, with @user_agent and an Accept for everything unless they are among them.
 * An empty Accept is not sent. INVALID_ARGUMENT in Go's words for what may not stand in a request.
 */
MUST_CHECK struct error *http_request_of(Core__HTTPHeader *const *headers, size_t n_headers,
                                         const char *user_agent, struct arena *arena,
                                         struct http_request *ret);
/** Forgets the field called @name (canonical). */
void http_request_drop(struct http_request *request, const char *name);
bool http_request_has(const struct http_request *request, const char *name);

/** Appends the request's text for HTTP/1.1. @referer: NULL for none. */
void http_request_format(const struct http_request *request, const struct http_url *url,
                         const char *referer, struct arena *arena, struct buf *out);
