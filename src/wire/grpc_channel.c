/*
 * A channel and its connection:
 *
 *     IDLE ──call──► CONNECTING ──SETTINGS──► READY ──lost, GOAWAY──► IDLE
 *                     ▲      │
 *          call later │      │ refused, broken, nothing said in time
 *                     │      ▼
 *                     └── BACKOFF   calls fail at once, until the wait is over
 *
 * A channel that is kept connected makes the "call" itself when a timer says so; otherwise no timer
 * runs in IDLE, READY and BACKOFF. A connection that said GOAWAY is not the channel's current one
 * any more, but stays linked until its last stream has ended.
 */
#include "wire/grpc_internal.h"

#include "base/hash.h"
#include "wire/grpc_status.h"

#include <sys/random.h>

#define USER_AGENT "grpc-c-cubelet/" CUBELET_VERSION
#define PATH_AUTHORITY "localhost" /* a path is no host name */

/* A connection that lived this long was a good one: the next failure is a first one again. */
#define GOOD_LIFE_NS GRPC_BACKOFF_MAX_NS

enum channel_state { CHANNEL_IDLE, CHANNEL_CONNECTING, CHANNEL_READY, CHANNEL_BACKOFF };

/* One connection of the channel: the current one, or one that drains. */
struct link {
    struct grpc_channel *channel;
    struct http2_conn *conn;
    struct link *prev, *next;
};

struct grpc_channel {
    struct loop *loop;
    char *path;                /* NULL: over a given stream */
    struct byte_stream *given; /* until it is spoken over */
    char *authority, *user_agent;
    size_t receive_max;
    enum channel_state state;
    struct link *links;   /* list head; the channel owns every link */
    struct link *current; /* NULL in IDLE and BACKOFF */
    struct grpc_call *calls;
    struct grpc_channel_listener listener;

    struct loop_timer
        *timer; /* CONNECTING: limit. IDLE, BACKOFF: the next attempt of a kept channel */
    struct error *dial_failure; /* CONNECTING: could not even dial; told when the timer is due */
    struct error *last_failure; /* BACKOFF: what calls are told */
    unsigned failures;          /* attempts in a row that failed */
    int64_t retry_mono_ns;      /* BACKOFF: a call may connect from then on */
    int64_t ready_mono_ns;      /* READY: since when */
    bool is_kept, is_closed;
};

struct loop *grpc_channel_loop(const struct grpc_channel *channel)
{
    return channel->loop;
}

bool grpc_channel_is_connected(const struct grpc_channel *channel)
{
    return channel->state == CHANNEL_READY;
}

void grpc_channel_add(struct grpc_channel *channel, struct grpc_call *call)
{
    DL_APPEND(channel->calls, call);
}

void grpc_channel_remove(struct grpc_channel *channel, struct grpc_call *call)
{
    DL_DELETE(channel->calls, call);
}

static struct grpc_call *first_waiting(const struct grpc_channel *channel)
{
    struct grpc_call *call;
    DL_FOREACH(channel->calls, call) {
        if (call->state == GRPC_CALL_WAITING)
            return call;
    }
    return NULL;
}

static int64_t next_delay_ns(const struct grpc_channel *channel)
{
    uint32_t random = 200; /* the middle of the jitter, should the kernel have nothing better */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = 200;
    return grpc_backoff_delay(channel->failures, random);
}

static void link_forget(struct link *link)
{
    struct grpc_channel *channel = link->channel;
    if (channel->current == link)
        channel->current = NULL;
    DL_DELETE(channel->links, link);
    free(link);
}

/* --- failing --- */

/* The attempt under way has failed: from now on calls fail, and those that waited for it do so
 * here. */
static void connect_failed(struct grpc_channel *channel, struct error *err_owned)
{
    if (channel->current) {
        http2_conn_free(channel->current->conn);
        link_forget(channel->current);
    }
    int64_t delay_ns = next_delay_ns(channel);
    channel->failures++;
    channel->state = CHANNEL_BACKOFF;
    channel->retry_mono_ns = sat_add_i64(loop_now_mono_ns(channel->loop), delay_ns);
    error_free(channel->last_failure);
    channel->last_failure = err_owned;
    loop_timer_cancel(channel->timer);
    if (channel->is_kept)
        loop_timer_start(channel->timer, delay_ns);

    AUTO(error) struct error *err = error_dup(err_owned);
    struct grpc_call *call;
    while (!channel->is_closed && (call = first_waiting(channel)))
        grpc_call_fail(call, error_dup(err));
}

static struct error *preface_error(const char *cause)
{
    return error_new(ERROR_UNAVAILABLE,
                     "connection error: desc = \"error reading server preface: %s\"", cause);
}

/* The current connection takes no more calls. */
static void disconnected(struct grpc_channel *channel, const struct error *cause)
{
    channel->current = NULL;
    if (channel->state != CHANNEL_READY) {
        connect_failed(channel, preface_error(cause->message));
        return;
    }
    channel->state = CHANNEL_IDLE;
    int64_t lived_ns = sat_sub_i64(loop_now_mono_ns(channel->loop), channel->ready_mono_ns);
    channel->failures = lived_ns >= GOOD_LIFE_NS ? 0 : channel->failures + 1;
    if (channel->is_kept)
        loop_timer_start(channel->timer, next_delay_ns(channel));
    if (channel->listener.on_disconnected)
        channel->listener.on_disconnected(channel->listener.ctx, cause);
}

/* --- connections --- */

static void on_settings(void *ctx)
{
    struct link *link = ctx;
    struct grpc_channel *channel = link->channel;
    if (channel->current != link)
        return;
    loop_timer_cancel(channel->timer);
    channel->state = CHANNEL_READY;
    channel->ready_mono_ns = loop_now_mono_ns(channel->loop);
    struct grpc_call *call;
    while ((call = first_waiting(channel)))
        grpc_call_send(call, link->conn);
    if (channel->listener.on_connected)
        channel->listener.on_connected(channel->listener.ctx);
}

static void on_draining(void *ctx)
{
    struct link *link = ctx;
    if (link->channel->current != link)
        return;
    AUTO(error)
    struct error *cause =
        error_new(ERROR_UNAVAILABLE, "the connection is draining: the server sent GOAWAY");
    disconnected(link->channel, cause);
}

static void on_lost(void *ctx, const struct error *cause)
{
    struct link *link = ctx;
    struct grpc_channel *channel = link->channel;
    bool is_current = channel->current == link;
    link_forget(link);
    if (is_current)
        disconnected(channel, cause);
}

static const struct http2_conn_events conn_events = {
    .on_settings = on_settings, .on_draining = on_draining, .on_lost = on_lost};

static struct error *connect_stream(struct grpc_channel *channel, struct byte_stream **ret)
{
    if (channel->path)
        return byte_stream_connect_unix(channel->loop, channel->path, ret);
    *ret = TAKE(channel->given);
    return *ret ? NULL : error_new(ERROR_UNAVAILABLE, "the connection is gone");
}

static void connect_now(struct grpc_channel *channel)
{
    channel->state = CHANNEL_CONNECTING;
    loop_timer_start(channel->timer, GRPC_CONNECT_TIMEOUT_NS);
    struct byte_stream *stream = NULL;
    channel->dial_failure = connect_stream(channel, &stream);
    if (channel->dial_failure) {
        loop_timer_start(channel->timer, -1); /* told in the next turn, not from inside a start */
        return;
    }
    struct link *link = xcalloc(1, sizeof(*link));
    link->channel = channel;
    link->conn = http2_conn_new(channel->loop, stream, &conn_events, link);
    DL_APPEND(channel->links, link);
    channel->current = link;
}

static void on_timer(void *ctx)
{
    struct grpc_channel *channel = ctx;
    AUTO(error) struct error *dial_failure = TAKE(channel->dial_failure);
    switch (channel->state) {
    case CHANNEL_CONNECTING:
        connect_failed(channel, dial_failure
                                    ? error_new(ERROR_UNAVAILABLE,
                                                "connection error: desc = \"transport: Error while "
                                                "dialing: %s\"",
                                                dial_failure->message)
                                    : preface_error("context deadline exceeded"));
        break;
    case CHANNEL_IDLE:
    case CHANNEL_BACKOFF:
        connect_now(channel);
        break;
    case CHANNEL_READY:
        break;
    }
}

void grpc_channel_route(struct grpc_channel *channel, struct grpc_call *call)
{
    switch (channel->state) {
    case CHANNEL_READY:
        if (http2_conn_can_start(channel->current->conn)) {
            grpc_call_send(call, channel->current->conn);
            break;
        }
        /* Stream numbers ran out, or it broke in this turn: what is under way goes on, we begin
         * anew. */
        http2_conn_drain(channel->current->conn);
        channel->current = NULL;
        connect_now(channel);
        break;
    case CHANNEL_IDLE:
        connect_now(channel);
        break;
    case CHANNEL_CONNECTING:
        break; /* waits for the attempt */
    case CHANNEL_BACKOFF:
        if (loop_now_mono_ns(channel->loop) >= channel->retry_mono_ns)
            connect_now(channel);
        else
            grpc_call_fail_soon(call, error_dup(channel->last_failure));
        break;
    }
}

/* --- life --- */

static struct grpc_channel *channel_new(struct loop *loop, const char *authority)
{
    struct grpc_channel *channel = xcalloc(1, sizeof(*channel));
    channel->loop = loop;
    channel->authority = xstrdup(authority);
    channel->timer = loop_timer_new(loop, "grpc connection", on_timer, channel);
    return channel;
}

struct grpc_channel *grpc_channel_new(struct loop *loop, const char *path)
{
    struct grpc_channel *channel = channel_new(loop, PATH_AUTHORITY);
    channel->path = xstrdup(path);
    channel->receive_max = GRPC_RECEIVE_MAX_BYTES;
    channel->user_agent = xstrdup(USER_AGENT);
    return channel;
}

struct grpc_channel *grpc_channel_new_over(struct loop *loop, struct byte_stream *stream_owned,
                                           const char *authority, const char *user_agent,
                                           size_t receive_max)
{
    struct grpc_channel *channel = channel_new(loop, authority);
    channel->receive_max = receive_max;
    channel->given = stream_owned;
    channel->user_agent = xasprintf("%s %s", user_agent, USER_AGENT);
    return channel;
}

size_t grpc_channel_receive_max(const struct grpc_channel *channel)
{
    return channel->receive_max;
}

const char *grpc_channel_authority(const struct grpc_channel *channel)
{
    return channel->authority;
}

const char *grpc_channel_user_agent(const struct grpc_channel *channel)
{
    return channel->user_agent;
}

static void release(void *object)
{
    struct grpc_channel *channel = object;
    error_free(channel->dial_failure);
    error_free(channel->last_failure);
    free(channel->path);
    free(channel->authority);
    free(channel->user_agent);
    free(channel);
}

void grpc_channel_free(struct grpc_channel *channel)
{
    if (!channel)
        return;
    ASSERT(!channel->is_closed);
    channel->is_closed = true;
    channel->listener = (struct grpc_channel_listener){0};
    while (channel->calls)
        grpc_call_cancel(channel->calls);
    struct link *link, *next;
    DL_FOREACH_SAFE(channel->links, link, next) {
        http2_conn_free(link->conn);
        link_forget(link);
    }
    byte_stream_free(TAKE(channel->given));
    loop_timer_free(channel->timer);
    channel->timer = NULL;
    loop_defer_free(channel->loop, release, channel);
}

void grpc_channel_listen(struct grpc_channel *channel, const struct grpc_channel_listener *listener)
{
    channel->listener = *listener;
}

void grpc_channel_keep_connected(struct grpc_channel *channel)
{
    channel->is_kept = true;
    int64_t now_ns = loop_now_mono_ns(channel->loop);
    if (channel->state == CHANNEL_IDLE)
        loop_timer_start(channel->timer, -1);
    else if (channel->state == CHANNEL_BACKOFF)
        loop_timer_start(channel->timer, sat_sub_i64(channel->retry_mono_ns, now_ns));
}
