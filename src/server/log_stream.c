/*
 * One log on its way to one client.
 *
 *     READING --- bytes ---> SENDING --- the client took them ---> READING
 *     READING --- end of file: not following, or a limit was reached ---> the request ends, the
 * stream is gone READING --- end of file, following ---> WAITING --- the file changed, or a second
 * passed ---> READING
 *
 * Only one piece is under way at a time, so a slow client costs one piece. A follower asks at each
 * end of file whether its container still runs by the pod's status; when not, one more end of file
 * ends it, because what the container wrote last may have come in between. The timer bounds how
 * late an exit is seen: the log does not change then.
 *
 * What fails before the first byte is an HTTP error; later it is a line of text in the body, as
 * with upstream. A client that goes away ends the stream: libevent then either still owns the
 * request or has left it to us.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "base/hash.h"
#include "base/path.h"
#include "loop/inotify.h"
#include "server/local_internal.h"
#include "server/log_decode.h"
#include "server/log_file.h"

#define RECHECK_NS                                                                                 \
    NS_PER_SEC /* staging/src/k8s.io/cri-client/pkg/logs: logs are checked each second */

enum stream_state { STREAM_READING, STREAM_SENDING, STREAM_WAITING };

struct log_stream {
    struct local_server *server;    /* parent */
    struct log_stream *prev, *next; /* in the server's list */
    struct evhttp_request *request; /* libevent's; ended by finish() */
    enum stream_state state;
    bool started; /* the HTTP header is sent */
    bool follow;
    bool last_round; /* the container has ended: stop at the next end of file */
    bool changed;    /* the file changed while it was read: no waiting */
    char *uid, *container, *container_id;
    struct log_piece *piece; /* NULL while a job has it */
    struct work *work;
    struct log_decoder decoder;
    struct inotify_watch *watch; /* NULL: the timer alone */
    struct loop_timer *timer;    /* follower only */
};

static void read_on(struct log_stream *stream);

static void stream_free(struct log_stream *stream)
{
    DL_DELETE(stream->server->streams, stream);
    stream->server->n_streams--;
    work_cancel(TAKE(stream->work));
    inotify_watch_free(TAKE(stream->watch));
    loop_timer_free(TAKE(stream->timer));
    log_piece_free(TAKE(stream->piece));
    free(stream->uid);
    free(stream->container);
    free(stream->container_id);
    free(stream);
}

void log_stream_free_all(struct local_server *server)
{
    struct log_stream *stream, *next;
    DL_FOREACH_SAFE(server->streams, stream, next) {
        evhttp_connection_set_closecb(evhttp_request_get_connection(stream->request), NULL, NULL);
        stream_free(stream);
    }
}

/* --- towards the client --- */

static void on_closed(UNUSED struct evhttp_connection *connection, void *ctx)
{
    struct log_stream *stream = ctx;
    struct evhttp_request *request = stream->request;
    stream_free(stream);
    if (!evhttp_request_get_connection(request))
        evhttp_request_free(request);
}

static void start_reply(struct log_stream *stream)
{
    if (stream->started)
        return;
    stream->started = true;
    struct evkeyvalq *headers = evhttp_request_get_output_headers(stream->request);
    evhttp_add_header(headers, "Content-Type", "text/plain; charset=utf-8");
    evhttp_add_header(headers, "Connection", "close");
    /* A log may be silent for ever, and its reader may think for as long. */
    bufferevent_set_timeouts(
        evhttp_connection_get_bufferevent(evhttp_request_get_connection(stream->request)), NULL,
        NULL);
    evhttp_send_reply_start(stream->request, HTTP_OK, "OK");
}

static void on_sent(UNUSED struct evhttp_connection *connection, void *ctx)
{
    struct log_stream *stream = ctx;
    if (stream->state == STREAM_SENDING)
        read_on(stream);
}

static void send_text(struct log_stream *stream, struct str text)
{
    struct evbuffer *body = evbuffer_new();
    if (!body || evbuffer_add(body, text.ptr, text.len) < 0)
        base_die("out of memory");
    evhttp_send_reply_chunk_with_cb(stream->request, body, on_sent, stream);
    evbuffer_free(body);
}

/* Ends the request and the stream. @err_owned may be NULL. */
static void finish(struct log_stream *stream, struct error *err_owned)
{
    struct evhttp_request *request = stream->request;
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
    if (err_owned && !stream->started) {
        stream_free(stream);
        local_reply_error(request, err_owned);
        return;
    }
    start_reply(stream);
    if (err_owned) {
        send_text(stream, str_from(err_owned->message));
        error_free(err_owned);
    }
    stream_free(stream);
    evhttp_send_reply_end(request);
}

/* --- following --- */

static bool is_running(const struct log_stream *stream)
{
    struct pod_view view;
    if (!local_find_pod_uid(stream->server->pods, stream->uid, &view))
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

static void on_due(void *ctx)
{
    struct log_stream *stream = ctx;
    if (!is_running(stream))
        stream->last_round = true;
    wake(stream);
}

static void on_change(void *ctx, enum inotify_change change, UNUSED const char *name)
{
    struct log_stream *stream = ctx;
    if (change == INOTIFY_GONE)
        inotify_watch_free(TAKE(stream->watch));
    wake(stream);
}

static void wait_for_more(struct log_stream *stream)
{
    stream->state = STREAM_WAITING;
    log_piece_drop_data(stream->piece);
    loop_timer_start(stream->timer, RECHECK_NS);
    if (stream->changed)
        read_on(stream);
}

static void at_end_of_file(struct log_stream *stream)
{
    if (!stream->follow || stream->last_round) {
        struct error *err = NULL;
        if (log_decoder_is_unsupported(&stream->decoder))
            err = error_new(ERROR_INTERNAL, "failed to get parse function: unsupported log format");
        finish(stream, err);
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
        stream->state = STREAM_SENDING;
        send_text(stream, buf_str(&out));
    }
    if (stream->decoder.done)
        finish(stream, NULL);
    else if (out.len == 0)
        read_on(stream);
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

/* Without a watch the timer alone says when to look, which is late, not wrong. */
static void watch_directory(struct log_stream *stream)
{
    AUTO(free) char *path = path_join(stream->server->pod_logs_dir, stream->piece->path);
    AUTO(free) char *dir = path_dir(path);
    struct error *err =
        inotify_watch_new(stream->server->loop, dir, on_change, stream, &stream->watch);
    if (!err)
        err = inotify_watch_writes(stream->watch, dir);
    error_ignore(err, "the timer looks each second");
}

struct error *log_stream_start(struct local_server *server, struct evhttp_request *request,
                               const struct log_stream_target *target)
{
    if (server->n_streams >= LOCAL_MAX_LOG_STREAMS)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%d logs are being read already",
                         LOCAL_MAX_LOG_STREAMS);
    const struct log_query *query = &target->query;
    struct log_stream *stream = xcalloc(1, sizeof(*stream));
    *stream = (struct log_stream){.server = server,
                                  .request = request,
                                  .follow = query->follow,
                                  .uid = xstrdup(target->uid),
                                  .container = xstrdup(target->container),
                                  .container_id = xstrdup(target->container_id)};
    const struct log_decoder_options options = {.since_wall_ns = query->since_wall_ns,
                                                .max_lines = query->follow ? -1 : query->tail_lines,
                                                .limit_bytes = query->limit_bytes,
                                                .timestamps = query->timestamps};
    log_decoder_init(&stream->decoder, &options);
    stream->piece = log_piece_new(server->pod_logs_dir, target->path, query->tail_lines);
    stream->piece->reopens = query->follow;
    DL_APPEND(server->streams, stream);
    server->n_streams++;
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_closed, stream);
    if (query->follow) {
        stream->timer = loop_timer_new(server->loop, "log-follow", on_due, stream);
        watch_directory(stream);
    }
    read_on(stream);
    return NULL;
}
