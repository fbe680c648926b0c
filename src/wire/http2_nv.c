#include "wire/http2_internal.h"

#include <nghttp2/nghttp2.h>

void http2_die_on(int code, const char *what)
{
    if (code != 0)
        base_die("nghttp2: %s: %s", what, nghttp2_strerror(code));
}

void *http2_make_nvs(const struct http2_field *fields, size_t count)
{
    nghttp2_nv *nvs = xcalloc(count, sizeof(*nvs));
    for (size_t i = 0; i < count; i++) {
        nvs[i].namelen = strlen(fields[i].name);
        nvs[i].valuelen = strlen(fields[i].value);
        /* nghttp2's interface is not const-correct; without NO_COPY flags it copies both. */
        memcpy(&nvs[i].name, &fields[i].name, sizeof(nvs[i].name));
        memcpy(&nvs[i].value, &fields[i].value, sizeof(nvs[i].value));
    }
    return nvs;
}
