/*
 * One log on its way to one client.
 *
 *     READING ── bytes ──► SENDING ── the client took most of them ──► READING
 *        │                                                               ▲
 *        ├── end of file, following ──► WAITING ── something changed ────┘
 *        └── end of file, not following, or a limit was reached ──► the answer ends
 *
 * Only one piece is under way at a time and what the client has not taken is bounded, so a slow
 * client costs little. A follower sleeps until its directory or its pod changes. At each end of
 * file it asks by the pod's status whether its container still runs; when not, one more end of file
 * ends it, because what the container wrote last may have come in between.
 *
 * What fails before the answer has begun is an HTTP error; later it is a line of text in the body,
 * as with upstream. A client that goes away ends the stream.
 */
#include "base/hash.h"
#include "base/path.h"
#include "server/log_decode.h"
#include "server/log_file.h"
#include "server/log_internal.h"

/* A look for what the wakes may have missed. */
#define AUDIT_NS (30 * NS_PER_SEC)
/* staging/src/k8s.io/cri-client/pkg/logs: logs are checked each second. Ours are when the kernel
 * gives no watch. */
#define UNWATCHED_NS NS_PER_SEC
/* Not taken by the client yet; reading goes on below half of it. */
#define BACKLOG_BYTES (128 * KiB)

enum stream_state { STREAM_READING, STREAM_SENDING, STREAM_WAITING };

struct log_stream {
    struct log_server *server;      /* parent */
    struct log_stream *prev, *next; /* in the server's list */
    struct http_exchange *exchange;
    const struct log_form_rules *form;
    enum stream_state state;
    bool started; /* the answer has begun */
    bool follow;
    bool last_round; /* the container has ended: stop at the next end of file */
    bool changed;    /* something changed while the file was read: no waiting */
    char *uid, *container, *container_id;
    struct log_piece *piece; /* NULL while a job has it */
    struct work *work;
    struct log_decoder decoder;
    struct inotify_wake *wake; /* NULL: the timer alone */
    struct loop_timer *timer;  /* follower only */
};

static void read_on(struct log_stream *stream);

static void stream_free(struct log_stream *stream)
{
    DL_DELETE(stream->server->streams, stream);
    stream->server->n_streams--;
    work_cancel(TAKE(stream->work));
    inotify_wake_free(TAKE(stream->wake));
    loop_timer_free(TAKE(stream->timer));
    log_piece_free(TAKE(stream->piece));
    log_decoder_done(&stream->decoder);
    free(stream->uid);
    free(stream->container);
    free(stream->container_id);
    free(stream);
}

void log_stream_abort_all(struct log_server *server)
{
    struct log_stream *stream, *next;
    DL_FOREACH_SAFE(server->streams, stream, next) {
        http_exchange_abort(stream->exchange);
        stream_free(stream);
    }
}

/* --- towards the client --- */

static void on_gone(void *ctx)
{
    stream_free(ctx);
}

static void start_reply(struct log_stream *stream)
{
    if (stream->started)
        return;
    stream->started = true;
    http_exchange_set_patience(stream->exchange, stream->form->patience_ns);
    http_exchange_begin(stream->exchange, 200, &stream->form->fields);
}

static void on_drain(void *ctx)
{
    struct log_stream *stream = ctx;
    if (stream->state == STREAM_SENDING)
        read_on(stream);
}

/* Ends the answer and the stream. @err_owned may be NULL. */
static void finish(struct log_stream *stream, struct error *err_owned)
{
    struct http_exchange *exchange = stream->exchange;
    if (err_owned && !stream->started) {
        stream->form->refuse(exchange, err_owned);
        stream_free(stream);
        return;
    }
    AUTO(error) struct error *err = err_owned;
    start_reply(stream);
    if (err)
        http_exchange_write(exchange, str_from(err->message));
    stream_free(stream);
    http_exchange_finish(exchange);
}

/* --- following --- */

static bool is_running(const struct log_stream *stream)
{
    struct pod_view view;
    if (!pods_view(stream->server->pods, stream->uid, &view))
        return false;
    const Core__ContainerStatus *status = log_container_status(view.status, stream->container);
    return status && status->state && status->state->running &&
           text_eq(status->container_id, stream->container_id);
}

static void wake(struct log_stream *stream)
{
    stream->changed = true;
    if (stream->state == STREAM_WAITING)
        read_on(stream);
}

void log_stream_wake_pod(struct log_server *server, const char *uid)
{
    struct log_stream *stream;
    DL_FOREACH(server->streams, stream) {
        if (stream->follow && strcmp(stream->uid, uid) == 0)
            wake(stream);
    }
}

static void on_due(void *ctx)
{
    wake(ctx);
}

static void on_wake(void *ctx, bool is_gone)
{
    struct log_stream *stream = ctx;
    if (is_gone)
        inotify_wake_free(TAKE(stream->wake));
    wake(stream);
}

/* What has changed before the watch is there is not told. */
static void watch_directory(struct log_stream *stream)
{
    struct log_server *server = stream->server;
    AUTO(free) char *path = path_join(server->pod_logs_dir, stream->piece->path);
    AUTO(free) char *dir = path_dir(path);
    struct error *err = inotify_wake_new(server->hub, dir, on_wake, stream, &stream->wake);
    stream->changed = stream->changed || !err;
    error_ignore(err, "the timer looks each second");
}

static void wait_for_more(struct log_stream *stream)
{
    stream->state = STREAM_WAITING;
    log_piece_drop_data(stream->piece);
    if (!stream->wake)
        watch_directory(stream);
    loop_timer_start(stream->timer, stream->wake ? AUDIT_NS : UNWATCHED_NS);
    if (stream->changed)
        read_on(stream);
}

static void end_at_last(struct log_stream *stream)
{
    AUTO(buf) struct buf out;
    buf_init(&out, log_decoder_max_output(0));
    log_decoder_end(&stream->decoder, &out);
    if (out.len > 0) {
        start_reply(stream);
        http_exchange_write(stream->exchange, buf_str(&out));
    }
    finish(stream, log_decoder_check_format(&stream->decoder));
}

static void at_end_of_file(struct log_stream *stream)
{
    struct error *err = log_decoder_check_format(&stream->decoder);
    if (!stream->follow || stream->last_round || err) {
        error_ignore(err, "asked for again");
        end_at_last(stream);
        return;
    }
    start_reply(stream); /* a follower of an empty log sees that it is connected */
    if (!is_running(stream)) {
        stream->last_round = true;
        read_on(stream);
        return;
    }
    wait_for_more(stream);
}

/* --- reading --- */

/* The piece travels in a box, because the pool releases a job after its on_done. */
struct read_job {
    struct log_piece *piece; /* owned */
};

static void run_read(void *job)
{
    log_piece_read_blocking(((struct read_job *)job)->piece);
}

static void release_read(void *job)
{
    log_piece_free(((struct read_job *)job)->piece);
    free(job);
}

static void use_piece(struct log_stream *stream)
{
    struct log_piece *piece = stream->piece;
    if (piece->reopened)
        log_decoder_reopen(&stream->decoder);
    if (piece->len == 0) {
        at_end_of_file(stream);
        return;
    }
    AUTO(buf) struct buf out;
    buf_init(&out, log_decoder_max_output(piece->len));
    log_decoder_feed(&stream->decoder, (struct str){.ptr = piece->data, .len = piece->len}, &out);
    if (out.len > 0) {
        start_reply(stream);
        http_exchange_write(stream->exchange, buf_str(&out));
    }
    if (stream->decoder.done) {
        finish(stream, NULL);
    } else if (http_exchange_backlog(stream->exchange) >= BACKLOG_BYTES / 2) {
        stream->state = STREAM_SENDING;
        log_piece_drop_data(piece);
    } else {
        read_on(stream);
    }
}

static void on_read(void *ctx, void *job)
{
    struct log_stream *stream = ctx;
    stream->work = NULL;
    stream->piece = TAKE(((struct read_job *)job)->piece);
    if (stream->piece->err)
        finish(stream, TAKE(stream->piece->err));
    else
        use_piece(stream);
}

static const struct work_vtable read_work = {.name = "log-read",
                                             .class = WORK_SLOW,
                                             .run_blocking = run_read,
                                             .on_done = on_read,
                                             .release = release_read};

static void read_on(struct log_stream *stream)
{
    struct read_job *job = xcalloc(1, sizeof(*job));
    job->piece = TAKE(stream->piece);
    stream->state = STREAM_READING;
    stream->changed = false;
    stream->work = work_start(stream->server->pool, &read_work, job, stream);
}

/* --- life --- */

static unsigned streams_of(const struct log_query *query)
{
    if (strcmp(query->stream, "Stdout") == 0)
        return LOG_STDOUT;
    return strcmp(query->stream, "Stderr") == 0 ? LOG_STDERR : LOG_ALL_STREAMS;
}

void log_stream_start(struct log_server *server, struct http_exchange *exchange,
                      const struct log_stream_target *target, const struct log_form_rules *form)
{
    const struct log_query *query = &target->query;
    struct log_stream *stream = xcalloc(1, sizeof(*stream));
    *stream = (struct log_stream){.server = server,
                                  .exchange = exchange,
                                  .form = form,
                                  .follow = query->follow,
                                  .uid = xstrdup(target->uid),
                                  .container = xstrdup(target->container),
                                  .container_id = xstrdup(target->container_id)};
    const struct log_decoder_options options = {.streams = streams_of(query),
                                                .since_wall_ns = query->since_wall_ns,
                                                .max_lines = query->follow ? -1 : query->tail_lines,
                                                .limit_bytes = query->limit_bytes,
                                                .timestamps = query->timestamps};
    log_decoder_init(&stream->decoder, &options);
    stream->piece = log_piece_new(server->pod_logs_dir, target->path, query->tail_lines);
    stream->piece->reopens = query->follow;
    DL_APPEND(server->streams, stream);
    server->n_streams++;
    http_exchange_on_gone(exchange, on_gone, stream);
    http_exchange_on_drain(exchange, BACKLOG_BYTES, on_drain, stream);
    if (form->commits_first)
        start_reply(stream);
    if (query->follow) {
        stream->timer = loop_timer_new(server->loop, "log-follow", on_due, stream);
        watch_directory(stream);
    }
    read_on(stream);
}
