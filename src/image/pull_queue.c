#include "image/pull_queue.h"

#include "base/hash.h"

struct pull_ticket {
    struct pull_queue *queue;
    void (*on_turn)(void *ctx);
    void *ctx;
    bool running;
    struct pull_ticket *prev, *next;
};

struct pull_queue {
    struct pull_queue_options options;
    struct pull_ticket *tickets; /* running ones and, behind them, waiting ones in order */
    size_t running, waiting;
    double tokens;
    int64_t filled_ns;
    bool filled;
};

struct pull_queue *pull_queue_new(const struct pull_queue_options *options)
{
    struct pull_queue *queue = xcalloc(1, sizeof(*queue));
    queue->options = *options;
    return queue;
}

void pull_queue_free(struct pull_queue *queue)
{
    ASSERT(!queue || !queue->tickets);
    free(queue);
}

/* A token bucket: @qps tokens a second, at most @burst. */
static bool take_token(struct pull_queue *queue, int64_t now_mono_ns)
{
    if (queue->options.qps <= 0)
        return true;
    double burst = queue->options.burst > 0 ? queue->options.burst : 1;
    if (!queue->filled) {
        queue->filled = true;
        queue->tokens = burst;
    } else {
        int64_t passed_ns = max_i64(sat_sub_i64(now_mono_ns, queue->filled_ns), 0);
        queue->tokens += (double)passed_ns * queue->options.qps / (double)NS_PER_SEC;
        if (queue->tokens > burst)
            queue->tokens = burst;
    }
    queue->filled_ns = now_mono_ns;
    if (queue->tokens < 1)
        return false;
    queue->tokens -= 1;
    return true;
}

static bool has_room(const struct pull_queue *queue)
{
    return queue->options.max_parallel == 0 || queue->running < queue->options.max_parallel;
}

struct error *pull_queue_enter(struct pull_queue *queue, int64_t now_mono_ns,
                               void (*on_turn)(void *ctx), void *ctx,
                               struct pull_ticket **ret_ticket, bool *ret_may_begin)
{
    if (!take_token(queue, now_mono_ns))
        return error_new(ERROR_RESOURCE_EXHAUSTED, "pull QPS exceeded");
    struct pull_ticket *ticket = xcalloc(1, sizeof(*ticket));
    *ticket = (struct pull_ticket){.queue = queue, .on_turn = on_turn, .ctx = ctx};
    DL_APPEND(queue->tickets, ticket);
    ticket->running = has_room(queue);
    if (ticket->running)
        queue->running++;
    else
        queue->waiting++;
    *ret_ticket = ticket;
    *ret_may_begin = ticket->running;
    return NULL;
}

static struct pull_ticket *first_waiting(struct pull_queue *queue)
{
    struct pull_ticket *ticket;
    DL_FOREACH(queue->tickets, ticket) {
        if (!ticket->running)
            return ticket;
    }
    return NULL;
}

void pull_queue_leave(struct pull_ticket *ticket)
{
    if (!ticket)
        return;
    struct pull_queue *queue = ticket->queue;
    if (ticket->running)
        queue->running--;
    else
        queue->waiting--;
    DL_DELETE(queue->tickets, ticket);
    free(ticket);

    struct pull_ticket *next = has_room(queue) ? first_waiting(queue) : NULL;
    if (!next)
        return;
    next->running = true;
    queue->waiting--;
    queue->running++;
    next->on_turn(next->ctx);
}

size_t pull_queue_running(const struct pull_queue *queue)
{
    return queue->running;
}

size_t pull_queue_waiting(const struct pull_queue *queue)
{
    return queue->waiting;
}

size_t pull_ticket_ahead(const struct pull_ticket *ticket)
{
    size_t ahead = 0;
    for (const struct pull_ticket *other = ticket->queue->tickets; other != ticket;
         other = other->next)
        ahead++;
    return ahead;
}
