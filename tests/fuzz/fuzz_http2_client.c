/*
 * A client session with requests under way reads what a server says. The first byte chooses how
 * many requests there are and how the rest is cut; the second what is done to them meanwhile.
 * Whatever comes: each stream that was not reset ends exactly once, nothing is told of it
 * afterwards, a paused one hears nothing, and data comes after fields.
 */
#include "wire/http2.h"

#include "base/buf.h"

#define MAX_STREAMS 5
#define MAX_SENT_BYTES (4 * MiB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct call {
    struct http2_stream *stream; /* NULL: over */
    bool has_fields, is_paused;
    bool pauses_on_fields, resets_on_data;
    bool is_over; /* the session: then a pause is, too */
    size_t ends;
};

static void on_fields(void *ctx, const struct http2_fields *fields, bool is_trailer)
{
    struct call *call = ctx;
    ASSERT(call->stream && (!call->is_paused || call->is_over));
    ASSERT(is_trailer == call->has_fields);
    ASSERT(is_trailer || http2_fields_get(fields, ":status"));
    call->has_fields = true;
    if (call->pauses_on_fields) {
        call->pauses_on_fields = false;
        call->is_paused = true;
        http2_stream_pause(call->stream, true);
    }
}

static void on_data(void *ctx, UNUSED struct str bytes)
{
    struct call *call = ctx;
    ASSERT(call->stream && (!call->is_paused || call->is_over) && call->has_fields);
    if (call->resets_on_data)
        http2_stream_reset(TAKE(call->stream), HTTP2_CANCEL);
}

static void on_end(void *ctx, const struct http2_end *end)
{
    struct call *call = ctx;
    ASSERT(call->stream);
    ASSERT(!call->is_paused || call->is_over || end->kind == HTTP2_END_REFUSED);
    ASSERT((end->kind == HTTP2_END_LOST) == (end->cause != NULL));
    call->stream = NULL;
    call->ends++;
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

static void on_nothing(UNUSED void *ctx)
{
    /* The session's own events are of no interest here. */
}

static const struct http2_session_events session_events = {.on_settings = on_nothing,
                                                           .on_goaway = on_nothing};

static void start_call(struct http2_session *session, struct call *call, unsigned actions)
{
    static const struct http2_field fields[] = {
        {":method", "POST"}, {":scheme", "https"}, {":path", "/x"}, {":authority", "a"}};
    static const char body[70000];
    const struct http2_request request = {
        .fields = fields,
        .field_count = ARRAY_SIZE(fields),
        .body = {.ptr = body, .len = actions & 4 ? sizeof(body) : 0}};
    call->pauses_on_fields = (actions & 1) != 0;
    call->resets_on_data = (actions & 2) != 0;
    AUTO(error)
    struct error *err = http2_stream_start(session, &request, &stream_events, call, &call->stream);
    ASSERT(!err);
}

/* All that the session wants to say now. A peer must not make it talk without end. */
static void drain(struct http2_session *session, size_t *sent)
{
    struct str bytes = {.len = 1};
    while (bytes.len > 0) {
        AUTO(error) struct error *err = http2_session_send(session, &bytes);
        if (err)
            return;
        *sent += bytes.len;
        ASSERT(*sent < MAX_SENT_BYTES);
        (void)http2_session_dispatch(session);
    }
}

static void run(struct str input, size_t piece, struct http2_session *session, struct call *calls,
                size_t count)
{
    size_t sent = 0, at = 0;
    AUTO(error) struct error *err = NULL;
    for (size_t turn = 0; !err && at < input.len; turn++) {
        size_t len = min_size(piece, input.len - at);
        drain(session, &sent);
        err = http2_session_receive(session, input.ptr + at, len);
        at += len;
        struct call *call = &calls[turn % count];
        if (!err && call->stream && call->is_paused && turn % 3 == 2) {
            call->is_paused = false;
            http2_stream_pause(call->stream, false);
            (void)http2_session_dispatch(session);
        }
    }
    drain(session, &sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct str input = {.ptr = (const char *)data + 2, .len = size - 2};
    size_t count = (size_t)data[0] % MAX_STREAMS + 1;
    size_t piece = data[0] < 128 ? input.len + 1 : (size_t)data[0] % 61 + 1;
    struct call calls[MAX_STREAMS] = {0};
    AUTO(http2_session)
    struct http2_session *session = http2_session_new(&session_events, NULL);
    for (size_t i = 0; i < count; i++)
        start_call(session, &calls[i], (unsigned)data[1] >> (i % 6));

    run(input, piece, session, calls, count);
    for (size_t i = 0; i < count; i++)
        calls[i].is_over = true;
    AUTO(error) struct error *cause = error_new(ERROR_UNAVAILABLE, "over");
    http2_session_fail(session, cause);
    for (size_t i = 0; i < count; i++) {
        ASSERT(!calls[i].stream);
        ASSERT(calls[i].ends == 1 || (calls[i].ends == 0 && calls[i].resets_on_data));
    }
    ASSERT(http2_session_stream_count(session) == 0);
    return 0;
}
