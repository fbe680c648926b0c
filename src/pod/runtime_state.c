/*
 * Is the runtime ready, and its network? Its status is read at start, with each audit, when the
 * connection was lost, and every few seconds only while it is not ready. Texts: spec runtime.md
 * §1.8, node.md §7.
 */
#include "pod/pods_internal.h"

#include "kube/codec.h"

/* pkg/kubelet/kubelet.go: the status is read every 5 s, and a runtime is down when it has not
 * answered for 30 s. */
#define STATUS_POLL_NS (5 * NS_PER_SEC)
#define RUNTIME_DOWN_NS (30 * NS_PER_SEC)
#define RUNTIME_DOWN "container runtime is down"
#define RUNTIME_UNCHECKED "container runtime status check may not have completed yet"

struct verdict {
    bool runtime_ready, network_ready;
    const char *runtime_text, *network_text; /* why not, as the node's condition says it; NULL */
    const char *message;                     /* the more important of the two, or "" */
};

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = value ? xstrdup(value) : NULL;
}

static void set_state(struct pods *pods, const struct verdict *verdict)
{
    bool changed = verdict->runtime_ready != pods->runtime_ready ||
                   verdict->network_ready != pods->network_ready ||
                   !text_eq(verdict->message, pods->runtime_message) ||
                   !text_eq(verdict->network_text, pods->network_text);
    pods->runtime_ready = verdict->runtime_ready;
    pods->network_ready = verdict->network_ready;
    if (!changed)
        return;
    bool is_news = !text_eq(verdict->message, pods->runtime_message);
    set_text(&pods->runtime_text, verdict->runtime_text);
    set_text(&pods->network_text, verdict->network_text);
    set_text(&pods->runtime_message, verdict->message);
    if (is_news && verdict->message[0] != '\0')
        log_warning("Container runtime is not ready", LOG_STR("reason", verdict->message));
    else if (is_news)
        log_info("Container runtime is ready");
    pods_wake_all(pods);
    pods_tell_runtime(pods);
}

static const Cri__RuntimeCondition *condition_of(const Cri__RuntimeStatus *status, const char *type)
{
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return status->conditions[i];
    }
    return NULL;
}

/* Owned; NULL when the condition holds. */
static char *not_ready_text(const Cri__RuntimeCondition *condition, const char *what)
{
    if (condition && condition->status)
        return NULL;
    if (!condition)
        return xasprintf("container runtime %snot ready: <nil>", what);
    return xasprintf("container runtime %snot ready: %s=false reason:%s message:%s", what,
                     condition->type, condition->reason, condition->message);
}

static void take_status(struct pods *pods, const Cri__StatusResponse *reply)
{
    arena_free(pods->runtime_arena);
    pods->runtime_arena = arena_new(0);
    pods->runtime_status =
        (const Cri__StatusResponse *)kube_message_dup(&reply->base, pods->runtime_arena);
    AUTO(free)
    char *runtime = not_ready_text(condition_of(reply->status, "RuntimeReady"), "");
    AUTO(free)
    char *network = not_ready_text(condition_of(reply->status, "NetworkReady"), "network ");
    const char *message = runtime ? runtime : network;
    pods->was_runtime_ready = pods->was_runtime_ready || !runtime;
    set_state(pods, &(struct verdict){.runtime_ready = !runtime,
                                      .network_ready = !network,
                                      .runtime_text = runtime,
                                      .network_text = network,
                                      .message = message ? message : ""});
}

void pods_runtime_failing(struct pods *pods)
{
    if (pods->failing_since_ns == 0)
        pods->failing_since_ns = loop_now_mono_ns(pods->env.loop);
    if (!loop_timer_is_armed(pods->status_poll))
        loop_timer_start(pods->status_poll, STATUS_POLL_NS);
}

/* One that was never ready has not been down: it may yet have to come. */
static bool is_down(const struct pods *pods)
{
    int64_t failing_ns = loop_now_mono_ns(pods->env.loop) - pods->failing_since_ns;
    return !pods->was_runtime_ready || failing_ns >= RUNTIME_DOWN_NS;
}

static void note_failure(struct pods *pods, const struct error *err)
{
    pods_runtime_failing(pods);
    if (!is_down(pods))
        return;
    AUTO(free) char *message = xasprintf("container runtime is down: %s", err->message);
    AUTO(free) char *network = pods->network_text ? xstrdup(pods->network_text) : NULL;
    set_state(pods, &(struct verdict){.network_ready = pods->network_ready,
                                      .runtime_text = pods->was_runtime_ready ? RUNTIME_DOWN
                                                                              : RUNTIME_UNCHECKED,
                                      .network_text = network,
                                      .message = message});
}

static void on_status(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct pods *pods = ctx;
    AUTO(error) struct error *err = err_owned;
    pods->status_call = NULL;
    if (err) {
        note_failure(pods, err);
    } else {
        pods->failing_since_ns = 0;
        take_status(pods, (const Cri__StatusResponse *)reply);
    }
    if (!pods->runtime_ready || !pods->network_ready)
        loop_timer_start(pods->status_poll, STATUS_POLL_NS);
}

void pods_read_status(struct pods *pods)
{
    if (pods->status_call)
        return;
    Cri__StatusRequest request = CRI__STATUS_REQUEST__INIT;
    pods->status_call =
        runtime_call_start(pods->env.runtime, RUNTIME_STATUS, &request.base, 0, on_status, pods);
}

static void on_status_poll(void *ctx)
{
    pods_read_status(ctx);
}

void pods_runtime_init(struct pods *pods)
{
    pods->status_poll = loop_timer_new(pods->env.loop, "runtime status", on_status_poll, pods);
    pods->runtime_message = xstrdup("network state unknown");
    pods->runtime_text = xstrdup(RUNTIME_UNCHECKED);
    pods->network_text = xstrdup("network state unknown");
}

void pods_runtime_done(struct pods *pods)
{
    runtime_call_cancel(pods->env.runtime, pods->status_call);
    loop_timer_free(pods->status_poll);
    free(pods->runtime_message);
    free(pods->runtime_text);
    free(pods->network_text);
    arena_free(pods->runtime_arena);
}

const Cri__StatusResponse *pods_runtime_status(const struct pods *pods)
{
    return pods->runtime_status;
}

size_t pods_not_ready(const struct pods *pods, const char *ret[static PODS_MAX_NOT_READY])
{
    size_t count = 0;
    if (pods->runtime_text)
        ret[count++] = pods->runtime_text;
    if (!pods->listed)
        ret[count++] = "PLEG is not healthy: pleg has yet to be successful";
    if (pods->network_text)
        ret[count++] = pods->network_text;
    return count;
}
