#include "wire/http2_conn.h"

#include "base/buf.h"

#define READ_BYTES (16 * KiB)
/* A big reply must not keep the other work of a turn waiting: the rest is read in the next. */
#define READS_PER_TURN 16
/* Frames are gathered up to this before a write, so that a turn's small requests leave together. */
#define WRITE_GATHER_BYTES (64 * KiB)
#define WRITE_MAX_BYTES                                                                            \
    (2 * WRITE_GATHER_BYTES) /* plus one frame, which is smaller than the difference */

struct http2_conn {
    struct loop *loop;
    struct byte_stream *stream; /* NULL: closed */
    struct http2_session *session;
    struct loop_timer *flush_soon;
    struct buf out; /* gathered but not yet written */
    const struct http2_conn_events *events;
    void *ctx;
    bool is_draining;

    /* Keeping alive; NULL: it is not wanted. */
    struct loop_timer *silence;
    int64_t after_ns, timeout_ns;
    int64_t heard_mono_ns;  /* when the last byte came */
    int64_t pinged_mono_ns; /* when the last ping was sent */
    bool is_pinged;         /* and no answer has been looked for yet */
};

static void release(void *object)
{
    struct http2_conn *conn = object;
    http2_session_free(conn->session);
    buf_done(&conn->out);
    free(conn);
}

static void close_now(struct http2_conn *conn)
{
    byte_stream_free(conn->stream);
    conn->stream = NULL;
    loop_timer_free(conn->flush_soon);
    conn->flush_soon = NULL;
    loop_timer_free(conn->silence);
    conn->silence = NULL;
    loop_defer_free(conn->loop, release, conn);
}

void http2_conn_free(struct http2_conn *conn)
{
    if (!conn)
        return;
    http2_session_silence(conn->session);
    if (conn->stream)
        close_now(conn);
}

static void lose(struct http2_conn *conn, struct error *cause_owned)
{
    AUTO(error) struct error *cause = cause_owned;
    if (!conn->stream)
        return;
    close_now(conn);
    conn->events->on_lost(conn->ctx, cause);
    http2_session_fail(conn->session, cause);
}

/* --- writing --- */

static struct error *gather(struct http2_conn *conn)
{
    while (conn->out.len < WRITE_GATHER_BYTES) {
        struct str bytes = {0};
        struct error *err = http2_session_send(conn->session, &bytes);
        if (err || bytes.len == 0)
            return err;
        buf_add_str(&conn->out, bytes);
    }
    return NULL;
}

/* Writes until there is nothing left or the stream takes no more, then waits for what it needs. */
static struct error *write_out(struct http2_conn *conn)
{
    struct error *err = NULL;
    while (!(err = gather(conn)) && conn->out.len > 0) {
        size_t written = 0;
        err = conn->stream->vtable->write(conn->stream, conn->out.data, conn->out.len, &written);
        if (err)
            break;
        buf_consume(&conn->out, written);
        if (conn->out.len > 0) {
            conn->stream->vtable->want(conn->stream, LOOP_IO_READ | LOOP_IO_WRITE);
            return NULL;
        }
    }
    if (err)
        return error_wrap(err, "error writing to server");
    buf_done(&conn->out); /* an idle connection keeps no buffer */
    buf_init(&conn->out, WRITE_MAX_BYTES);
    conn->stream->vtable->want(conn->stream, LOOP_IO_READ);
    return NULL;
}

/* The one flush of a turn. Callbacks it causes may have more to send, hence the loop. */
static void flush(struct http2_conn *conn)
{
    do {
        struct error *err = write_out(conn);
        if (err) {
            byte_stream_classify(err);
            lose(conn, err);
        }
    } while (conn->stream && http2_session_dispatch(conn->session) && conn->stream);
    if (!conn->stream)
        return;

    bool is_drained = conn->is_draining && http2_session_stream_count(conn->session) == 0;
    if (is_drained || !http2_session_is_alive(conn->session))
        lose(conn, error_new(ERROR_UNAVAILABLE, "closing transport due to: connection error: the "
                                                "server sent GOAWAY or broke the protocol"));
}

static void on_flush_due(void *ctx)
{
    flush(ctx);
}

static void flush_soon(struct http2_conn *conn)
{
    if (conn->flush_soon && !loop_timer_is_armed(conn->flush_soon))
        loop_timer_start(conn->flush_soon, -1);
}

/* --- reading --- */

static struct error *read_once(struct http2_conn *conn, bool *ret_is_more)
{
    uint8_t bytes[READ_BYTES];
    size_t len = 0;
    bool is_end = false;
    struct error *err =
        conn->stream->vtable->read(conn->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err)
        return error_wrap(err, "error reading from server");
    if (is_end)
        return error_with_reason(error_new(ERROR_UNAVAILABLE, "error reading from server: EOF"),
                                 HTTP2_CONN_EOF);
    if (len > 0)
        conn->heard_mono_ns = loop_now_mono_ns(conn->loop);
    *ret_is_more = len == sizeof(bytes);
    return len > 0 ? http2_session_receive(conn->session, bytes, len) : NULL;
}

static void on_ready(void *ctx, unsigned events)
{
    struct http2_conn *conn = ctx;
    bool is_more = (events & LOOP_IO_READ) != 0;
    for (size_t i = 0; conn->stream && is_more && i < READS_PER_TURN; i++) {
        is_more = false;
        struct error *err = read_once(conn, &is_more);
        if (err) {
            byte_stream_classify(err);
            lose(conn, err);
        }
    }
    if (conn->stream)
        flush(conn);
}

/* --- keeping alive --- */

static void watch_silence(struct http2_conn *conn)
{
    int64_t due_ns = sat_add_i64(conn->heard_mono_ns, conn->after_ns);
    if (conn->silence && !loop_timer_is_armed(conn->silence))
        loop_timer_start(conn->silence, sat_sub_i64(due_ns, loop_now_mono_ns(conn->loop)));
}

static void on_silence(void *ctx)
{
    struct http2_conn *conn = ctx;
    int64_t now_ns = loop_now_mono_ns(conn->loop);
    bool was_pinged = conn->is_pinged;
    conn->is_pinged = false;
    if (http2_session_stream_count(conn->session) == 0)
        return; /* the next stream starts it again */
    if (was_pinged && conn->heard_mono_ns < conn->pinged_mono_ns) {
        lose(conn, error_new(ERROR_UNAVAILABLE, "http2: client connection lost"));
        return;
    }
    if (sat_sub_i64(now_ns, conn->heard_mono_ns) < conn->after_ns) {
        watch_silence(conn);
        return;
    }
    http2_session_ping(conn->session);
    conn->is_pinged = true;
    conn->pinged_mono_ns = now_ns;
    loop_timer_start(conn->silence, conn->timeout_ns);
    flush_soon(conn);
}

void http2_conn_keep_alive(struct http2_conn *conn, int64_t after_ns, int64_t timeout_ns)
{
    ASSERT(!conn->silence && conn->stream);
    conn->after_ns = after_ns;
    conn->timeout_ns = timeout_ns;
    conn->heard_mono_ns = loop_now_mono_ns(conn->loop);
    conn->silence = loop_timer_new(conn->loop, "http2 silence", on_silence, conn);
    if (http2_session_stream_count(conn->session) > 0)
        watch_silence(conn);
}

/* --- session --- */

static void on_settings(void *ctx)
{
    struct http2_conn *conn = ctx;
    conn->events->on_settings(conn->ctx);
}

static void on_new_limit(void *ctx)
{
    struct http2_conn *conn = ctx;
    if (conn->events->on_new_limit)
        conn->events->on_new_limit(conn->ctx);
}

static void on_goaway(void *ctx)
{
    struct http2_conn *conn = ctx;
    conn->is_draining = true;
    conn->events->on_draining(conn->ctx);
}

static const struct http2_session_events session_events = {
    .on_settings = on_settings, .on_new_limit = on_new_limit, .on_goaway = on_goaway};

struct http2_conn *http2_conn_new(struct loop *loop, struct byte_stream *stream_owned,
                                  const struct http2_conn_events *events, void *ctx)
{
    struct http2_conn *conn = xcalloc(1, sizeof(*conn));
    conn->loop = loop;
    conn->stream = stream_owned;
    conn->session = http2_session_new(&session_events, conn);
    conn->flush_soon = loop_timer_new(loop, "http2 flush", on_flush_due, conn);
    conn->events = events;
    conn->ctx = ctx;
    buf_init(&conn->out, WRITE_MAX_BYTES);
    stream_owned->vtable->listen(stream_owned, on_ready, conn);
    stream_owned->vtable->want(stream_owned, LOOP_IO_READ);
    flush_soon(conn);
    return conn;
}

void http2_conn_drain(struct http2_conn *conn)
{
    conn->is_draining = true;
    flush_soon(conn);
}

bool http2_conn_can_start(const struct http2_conn *conn)
{
    return conn->stream && http2_session_can_start(conn->session);
}

struct error *http2_conn_start_stream(struct http2_conn *conn, const struct http2_request *request,
                                      const struct http2_stream_events *events, void *ctx,
                                      struct http2_stream **ret)
{
    if (!http2_conn_can_start(conn))
        return error_new(ERROR_UNAVAILABLE, "http2: the connection takes no new requests");
    struct error *err = http2_stream_start(conn->session, request, events, ctx, ret);
    if (err)
        return err;
    watch_silence(conn);
    flush_soon(conn);
    return NULL;
}

void http2_conn_reset_stream(struct http2_conn *conn, struct http2_stream *stream,
                             uint32_t error_code)
{
    http2_stream_reset(stream, error_code);
    flush_soon(conn);
}

size_t http2_conn_stream_count(const struct http2_conn *conn)
{
    return http2_session_stream_count(conn->session);
}

size_t http2_conn_stream_limit(const struct http2_conn *conn)
{
    return http2_session_stream_limit(conn->session);
}

void http2_conn_pause_stream(struct http2_conn *conn, struct http2_stream *stream, bool is_paused)
{
    http2_stream_pause(stream, is_paused);
    flush_soon(conn);
}
