/*
 * A client's side of an HTTP/2 connection: the first byte chooses how the rest is cut and how
 * little patience and room there is, and what the owner of the requests does is chosen by them.
 * Whatever comes, streams and bodies stay within their bounds, every stream that has an owner ends
 * in one way, and a session that is freed leaves nothing behind. The preface and the first SETTINGS
 * need not be guessed: they are put in front.
 */
#include "wire/http2_server.h"

#define MAX_BODY_BYTES 1000
#define MAX_HEADER_BYTES 1000
#define MAX_OWNED 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
    struct http2_server *session;
    struct slot {
        struct owner *owner;
        struct http2_server_stream *stream; /* NULL: ended */
    } slots[MAX_OWNED];
    size_t count, live;
    int64_t now_ns;
};

static void end(struct slot *slot)
{
    ASSERT(slot->stream);
    slot->stream = NULL;
    slot->owner->live--;
}

static void answer(struct slot *slot, bool is_whole)
{
    static const struct http2_field fields[] = {{":status", "200"}, {"content-type", "text/plain"}};
    http2_server_stream_begin(slot->stream, fields, ARRAY_SIZE(fields), true);
    http2_server_stream_write(slot->stream, slot->owner->now_ns, STR_LITERAL("some answer"));
    if (!is_whole)
        return;
    http2_server_stream_finish(slot->stream);
    end(slot);
}

static void on_request(void *ctx, struct http2_server_stream *stream)
{
    struct owner *owner = ctx;
    ASSERT(owner->count < MAX_OWNED);
    struct slot *slot = &owner->slots[owner->count++];
    *slot = (struct slot){.owner = owner, .stream = stream};
    owner->live++;
    http2_server_stream_set_ctx(stream, slot);
    struct http2_fields fields = http2_server_stream_fields(stream);
    struct buf body;
    http2_server_stream_take_body(stream, &body);
    unsigned refusal = http2_server_stream_refusal(stream);
    ASSERT(body.len <= MAX_BODY_BYTES && (refusal == 0 || body.len == 0));
    const char *path = http2_fields_get(&fields, ":path");
    size_t choice = path ? strlen(path) + body.len : body.len;
    buf_done(&body);
    if (choice % 4 == 0)
        answer(slot, true);
    else if (choice % 4 == 1)
        answer(slot, false);
    else if (choice % 4 == 2) {
        http2_server_stream_reset(stream, HTTP2_CANCEL);
        end(slot);
    }
}

static void on_sent(void *stream_ctx)
{
    struct slot *slot = stream_ctx;
    ASSERT(slot->stream);
    if (slot->owner->count % 2 == 0) {
        http2_server_stream_write(slot->stream, slot->owner->now_ns, STR_LITERAL("the rest"));
        http2_server_stream_finish(slot->stream);
        end(slot);
    }
}

static void on_gone(void *stream_ctx)
{
    end(stream_ctx);
}

static const struct http2_server_events events = {
    .on_request = on_request, .on_sent = on_sent, .on_gone = on_gone};

static bool take(struct owner *owner, struct str bytes)
{
    AUTO(error)
    struct error *err = http2_server_receive(owner->session, owner->now_ns, bytes);
    (void)http2_server_dispatch(owner->session);
    struct str out = {.len = 1};
    while (!err && out.len > 0) {
        err = http2_server_send(owner->session, owner->now_ns, &out);
        (void)http2_server_dispatch(owner->session);
    }
    return !err && http2_server_is_alive(owner->session);
}

/* What a server does while bytes arrive; each bit of @choice is one thing. */
static void interfere(const struct owner *owner, uint8_t choice, size_t step)
{
    if ((choice & 1) && step % 4 == 3)
        http2_server_refuse_requests(owner->session, INT64_MAX, 503);
    if ((choice & 2) && step % 4 == 2)
        http2_server_refuse_requests(owner->session, owner->now_ns - 5 * NS_PER_MS, 408);
    if ((choice & 4) && step % 4 == 1)
        http2_server_reset_stalled(owner->session, owner->now_ns - 3 * NS_PER_MS);
    if ((choice & 8) && step == 10)
        http2_server_drain(owner->session);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    static const struct http2_server_limits limits = {.max_header_bytes = MAX_HEADER_BYTES,
                                                      .max_body_bytes = MAX_BODY_BYTES};
    if (size == 0)
        return 0;
    struct owner owner = {.now_ns = NS_PER_SEC};
    owner.session = http2_server_new(&limits, &events, &owner);
    size_t piece = (size_t)data[0] * 4 + 1;
    bool is_alive = take(&owner, STR_LITERAL(start));
    size_t step = 0;
    for (size_t at = 1; is_alive && at < size && owner.count + 60 < MAX_OWNED; at += piece) {
        size_t len = min_size(piece, size - at);
        interfere(&owner, data[0], step++);
        is_alive = take(&owner, (struct str){.ptr = (const char *)data + at, .len = len});
        ASSERT(http2_server_stream_count(owner.session) <= 2 * HTTP2_SERVER_MAX_STREAMS);
        ASSERT(http2_server_held_bytes(owner.session) <=
               http2_server_stream_count(owner.session) * (MAX_BODY_BYTES + MAX_HEADER_BYTES));
        ASSERT(owner.live <= http2_server_stream_count(owner.session));
        owner.now_ns += NS_PER_MS;
    }
    if (is_alive) {
        http2_server_refuse_requests(owner.session, owner.now_ns, 408);
        http2_server_reset_stalled(owner.session, owner.now_ns);
        http2_server_drain(owner.session);
        (void)take(&owner, (struct str){0});
    }
    http2_server_free(owner.session);
    return 0;
}
