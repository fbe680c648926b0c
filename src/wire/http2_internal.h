/* What the two HTTP/2 sessions, client and server, share: words for nghttp2. Pure. Any thread. */
#pragma once

#include "wire/http2.h"

/** Ends the process unless @code is 0: nghttp2's for @what, which can only fail when memory is out
 * or it is called wrongly. */
void http2_die_on(int code, const char *what);

/** @fields as an array of nghttp2_nv, which borrows their texts. The caller frees it. */
void *http2_make_nvs(const struct http2_field *fields, size_t count);
