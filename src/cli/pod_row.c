/*
 * One word for a whole pod. The pod's own reason gives way to what its containers say: an init
 * container that has not made it decides alone; otherwise the first container (in order) that waits
 * or has ended. Counting goes on the way.
 */
#include "cli/pod_row.h"

#include "base/time.h"
#include "cli/text_table.h"

struct count {
    const Core__Pod *pod;
    struct arena *arena;
    const char *reason;
    int64_t restarts, last_restart_s; /* last_restart_s: INT64_MIN when none is known */
    size_t ready, total, running;
};

static bool is_set(const char *text)
{
    return text && text[0] != '\0';
}

static const Core__Container *init_container(const Core__Pod *pod, const char *name)
{
    for (size_t i = 0; pod->spec && i < pod->spec->n_init_containers; i++) {
        if (text_eq(pod->spec->init_containers[i]->name, name))
            return pod->spec->init_containers[i];
    }
    return NULL;
}

static bool is_sidecar(const Core__Container *container)
{
    return container && text_eq(container->restart_policy, "Always");
}

static bool has_condition(const Core__PodStatus *status, const char *type)
{
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type) &&
            text_eq(status->conditions[i]->status, "True"))
            return true;
    }
    return false;
}

static void count_restarts(struct count *count, const Core__ContainerStatus *status)
{
    count->restarts += status->restart_count;
    const Core__ContainerStateTerminated *last =
        status->last_state ? status->last_state->terminated : NULL;
    if (last && last->finished_at)
        count->last_restart_s = max_i64(count->last_restart_s, last->finished_at->seconds);
}

/* @reason, or what the exit tells: "Signal:9", "ExitCode:3". */
static const char *exit_text(const Core__ContainerStateTerminated *exit, const char *prefix,
                             struct arena *arena)
{
    if (is_set(exit->reason))
        return arena_printf(arena, "%s%s", prefix, exit->reason);
    if (exit->signal != 0)
        return arena_printf(arena, "%sSignal:%d", prefix, exit->signal);
    return arena_printf(arena, "%sExitCode:%d", prefix, exit->exit_code);
}

/* True when this init container is what the pod waits for. @sidecars counts those of its kind
 * alone. */
static bool take_init(struct count *count, struct count *sidecars, size_t index)
{
    const Core__ContainerStatus *status = count->pod->status->init_container_statuses[index];
    const Core__ContainerStateTerminated *exit = status->state ? status->state->terminated : NULL;
    const Core__ContainerStateWaiting *waiting = status->state ? status->state->waiting : NULL;
    bool sidecar = is_sidecar(init_container(count->pod, status->name));
    count_restarts(count, status);
    if (sidecar)
        count_restarts(sidecars, status);
    if (exit && exit->exit_code == 0)
        return false;
    if (sidecar && status->has_started && status->started) {
        count->ready += status->ready ? 1 : 0;
        return false;
    }
    if (exit)
        count->reason = exit_text(exit, "Init:", count->arena);
    else if (waiting && is_set(waiting->reason) && strcmp(waiting->reason, "PodInitializing") != 0)
        count->reason = arena_printf(count->arena, "Init:%s", waiting->reason);
    else
        count->reason = arena_printf(count->arena, "Init:%zu/%zu", index,
                                     count->pod->spec ? count->pod->spec->n_init_containers : 0);
    return true;
}

static void take_container(struct count *count, const Core__ContainerStatus *status)
{
    count_restarts(count, status);
    const Core__ContainerState *state = status->state;
    if (state && state->waiting && is_set(state->waiting->reason)) {
        count->reason = state->waiting->reason;
    } else if (state && state->terminated) {
        count->reason = exit_text(state->terminated, "", count->arena);
    } else if (status->ready && state && state->running) {
        count->running++;
        count->ready++;
    }
}

static const char *begin_reason(const Core__PodStatus *status)
{
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "PodScheduled") &&
            text_eq(status->conditions[i]->reason, "SchedulingGated"))
            return "SchedulingGated";
    }
    if (is_set(status->reason))
        return status->reason;
    return is_set(status->phase) ? status->phase : "Unknown";
}

static void count_containers(struct count *count, const Core__PodStatus *status)
{
    struct count sidecars = {.last_restart_s = INT64_MIN};
    bool initializing = false;
    for (size_t i = 0; i < status->n_init_container_statuses && !initializing; i++)
        initializing = take_init(count, &sidecars, i);
    if (initializing && !has_condition(status, "Initialized"))
        return;
    count->restarts = sidecars.restarts;
    count->last_restart_s = sidecars.last_restart_s;
    for (size_t i = status->n_container_statuses; i-- > 0;)
        take_container(count, status->container_statuses[i]);
    if (text_eq(count->reason, "Completed") && count->running > 0)
        count->reason = has_condition(status, "Ready") ? "Running" : "NotReady";
}

static size_t count_total(const Core__PodSpec *spec)
{
    size_t total = spec ? spec->n_containers : 0;
    for (size_t i = 0; spec && i < spec->n_init_containers; i++)
        total += is_sidecar(spec->init_containers[i]) ? 1 : 0;
    return total;
}

static const char *since(int64_t from_s, int64_t now_ns, struct arena *arena)
{
    return text_age(sat_sub_i64(now_ns, sat_mul_i64(from_s, NS_PER_SEC)), arena);
}

/* Static pods have no creation time of their own: they are as old as their start. */
static const char *age_of(const Core__Pod *pod, int64_t now_ns, struct arena *arena)
{
    const Meta__Time *from = pod->metadata ? pod->metadata->creation_timestamp : NULL;
    if (!from && pod->status)
        from = pod->status->start_time;
    return from ? since(from->seconds, now_ns, arena) : "<unknown>";
}

static const char *final_reason(const struct count *count, const Core__PodStatus *status)
{
    if (!count->pod->metadata || !count->pod->metadata->deletion_timestamp)
        return count->reason;
    if (text_eq(status->reason, "NodeLost"))
        return "Unknown";
    bool is_terminal = text_eq(status->phase, "Succeeded") || text_eq(status->phase, "Failed");
    return is_terminal ? count->reason : "Terminating";
}

static const char *or_none(const char *text)
{
    return is_set(text) ? text : "<none>";
}

struct pod_row pod_row_make(const Core__Pod *pod, int64_t now_wall_ns, struct arena *arena)
{
    static const Core__PodStatus no_status = CORE__POD_STATUS__INIT;
    const Core__PodStatus *status = pod->status ? pod->status : &no_status;
    struct count count = {.pod = pod,
                          .arena = arena,
                          .reason = begin_reason(status),
                          .last_restart_s = INT64_MIN,
                          .total = count_total(pod->spec)};
    count_containers(&count, status);

    const char *restarts = arena_printf(arena, "%lld", (long long)count.restarts);
    if (count.restarts != 0 && count.last_restart_s != INT64_MIN)
        restarts = arena_printf(arena, "%s (%s ago)", restarts,
                                since(count.last_restart_s, now_wall_ns, arena));
    return (struct pod_row){
        .namespace = pod->metadata ? or_none(pod->metadata->namespace_) : "<none>",
        .name = pod->metadata ? or_none(pod->metadata->name) : "<none>",
        .ready = arena_printf(arena, "%zu/%zu", count.ready, count.total),
        .status = final_reason(&count, status),
        .restarts = restarts,
        .age = age_of(pod, now_wall_ns, arena),
        .ip = or_none(status->pod_ip),
        .node = pod->spec ? or_none(pod->spec->node_name) : "<none>",
        .restart_count = count.restarts,
    };
}
