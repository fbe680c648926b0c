/*
 * Answers to probes: the first byte chooses how the rest is cut. However it is cut, the same comes
 * out of it; what is kept stays within its bounds, and a Location leads somewhere or is refused.
 */
#include "probe/http_reply.h"
#include "probe/http_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct http_reply *reply, struct str all, size_t piece)
{
    http_reply_init(reply);
    for (size_t at = 0; at < all.len; at += piece)
        (void)http_reply_take(
            reply, (struct str){.ptr = all.ptr + at, .len = min_size(piece, all.len - at)});
    (void)http_reply_take_end(reply);
}

static void check(const struct http_reply *reply)
{
    ASSERT(reply->state == HTTP_REPLY_DONE || reply->state == HTTP_REPLY_BAD);
    ASSERT((reply->state == HTTP_REPLY_BAD) == (reply->problem != NULL));
    ASSERT(reply->state == HTTP_REPLY_BAD || reply->status > 0 || reply->body.len == 0);
    ASSERT(reply->body.len <= HTTP_REPLY_BODY_MAX_BYTES);
    ASSERT(reply->head_bytes <= 2 * HTTP_REPLY_HEAD_MAX_BYTES);
}

/* What is resolved is a URL: what it says of itself, resolved again, is itself. */
static void check_location(const char *location)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_url base = http_url_of("http", "10.0.0.5", 8080, location, arena), url, again;
    ASSERT(strpbrk(http_url_target(&base, arena), "\r\n") == NULL);
    AUTO(error) struct error *err = http_url_resolve(&base, location, arena, &url);
    if (err)
        return;
    ASSERT(strpbrk(http_url_target(&url, arena), "\r\n") == NULL);
    if (url.host[0] == '\0')
        return;
    const char *text = http_url_text(&url, arena);
    struct error *refusal = http_url_resolve(&base, text, arena, &again);
    ASSERT(!refusal);
    ASSERT(text_eq(url.hostname, again.hostname) && text_eq(url.port, again.port));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str all = {.ptr = (const char *)data + 1, .len = size - 1};
    struct http_reply whole, cut;
    read_all(&whole, all, SIZE_MAX / 2);
    read_all(&cut, all, (size_t)(data[0] % 16) + 1);
    check(&whole);
    check(&cut);
    ASSERT(whole.state == cut.state && whole.status == cut.status);
    ASSERT(text_eq(whole.location, cut.location) && text_eq(whole.problem, cut.problem));
    ASSERT(str_eq(buf_str(&whole.body), buf_str(&cut.body)));
    if (whole.location)
        check_location(whole.location);
    http_reply_done(&whole);
    http_reply_done(&cut);
    return 0;
}
