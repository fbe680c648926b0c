/*
 * kubectl get pods. One word stands for a whole pod: its own phase or reason gives way to what its
 * containers say. An init container that has not made it decides alone; otherwise it is the first
 * container, in order, that waits or has ended. Restarts are counted on the way: those of the init
 * containers while they are at it, afterwards those of sidecars and containers.
 */
#include "kube/resources.h"
#include "plane/table_cells.h"

static const struct table_column pod_columns[] = {
    COLUMN_NAME,
    COLUMN("Ready", "string", "How many of the pod's containers are ready, and how many it has."),
    COLUMN("Status", "string", "The state of the pod in one word, from those of its containers."),
    COLUMN("Restarts", "string", "How often containers were started again, and when last."),
    COLUMN_AGE,
    COLUMN_WIDE("IP", "string", "The pod's first address."),
    COLUMN_WIDE("Node", "string", "The node the pod is bound to."),
    COLUMN_WIDE("Nominated Node", "string", "The node that is being cleared for the pod."),
    COLUMN_WIDE("Readiness Gates", "string", "How many further conditions hold, of those asked."),
};

struct count {
    const Core__Pod *pod;
    const Core__PodSpec *spec;     /* never NULL */
    const Core__PodStatus *status; /* never NULL */
    struct arena *arena;
    const char *reason;
    int64_t restarts;
    const Meta__Time *last_restart; /* NULL when none is known */
    size_t ready, running;
};

static bool is_sidecar(const Core__PodSpec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (text_eq(spec->init_containers[i]->name, name))
            return text_eq(spec->init_containers[i]->restart_policy, "Always");
    }
    return false;
}

static void count_restarts(struct count *count, const Core__ContainerStatus *status)
{
    count->restarts += status->restart_count;
    const Core__ContainerStateTerminated *last =
        status->last_state ? status->last_state->terminated : NULL;
    const Meta__Time *ended = last ? last->finished_at : NULL;
    if (ended && (!count->last_restart || count->last_restart->seconds < ended->seconds))
        count->last_restart = ended;
}

/* The reason of an exit, or what it tells: "Signal:9", "ExitCode:3". */
static const char *exit_text(const Core__ContainerStateTerminated *exit, const char *prefix,
                             struct arena *arena)
{
    if (cell_is_set(exit->reason))
        return arena_printf(arena, "%s%s", prefix, exit->reason);
    if (exit->signal != 0)
        return arena_printf(arena, "%sSignal:%d", prefix, exit->signal);
    return arena_printf(arena, "%sExitCode:%d", prefix, exit->exit_code);
}

/* True when this init container is what the pod waits for. */
static bool take_init(struct count *count, size_t index)
{
    const Core__ContainerStatus *status = count->status->init_container_statuses[index];
    const Core__ContainerStateTerminated *exit = status->state ? status->state->terminated : NULL;
    const Core__ContainerStateWaiting *waiting = status->state ? status->state->waiting : NULL;
    count_restarts(count, status);
    if (exit && exit->exit_code == 0)
        return false;
    if (status->started && is_sidecar(count->spec, status->name)) {
        count->ready += status->ready ? 1 : 0;
        return false;
    }
    if (exit)
        count->reason = exit_text(exit, "Init:", count->arena);
    else if (waiting && cell_is_set(waiting->reason) &&
             strcmp(waiting->reason, "PodInitializing") != 0)
        count->reason = arena_printf(count->arena, "Init:%s", waiting->reason);
    else
        count->reason =
            arena_printf(count->arena, "Init:%zu/%zu", index, count->spec->n_init_containers);
    return true;
}

static void take_container(struct count *count, const Core__ContainerStatus *status)
{
    const Core__ContainerState *state = status->state;
    count_restarts(count, status);
    if (state && state->waiting && cell_is_set(state->waiting->reason)) {
        count->reason = state->waiting->reason;
    } else if (state && state->terminated) {
        count->reason = exit_text(state->terminated, "", count->arena);
    } else if (status->ready && state && state->running) {
        count->running++;
        count->ready++;
    }
}

/* Goes through the init containers up to the first that is not done; true when there is one. The
 * rest has not begun, so upstream does not count it, not even the restarts of sidecars. */
static bool take_inits(struct count *count, size_t *ret_taken)
{
    size_t i = 0;
    bool is_initializing = false;
    for (; i < count->status->n_init_container_statuses && !is_initializing; i++)
        is_initializing = take_init(count, i);
    *ret_taken = i;
    return is_initializing;
}

static void take_all(struct count *count)
{
    const Core__PodStatus *status = count->status;
    size_t inits;
    if (take_inits(count, &inits) && !pod_condition_is_true(status, "Initialized"))
        return;
    count->restarts = 0;
    count->last_restart = NULL;
    for (size_t i = 0; i < inits; i++) {
        if (is_sidecar(count->spec, status->init_container_statuses[i]->name))
            count_restarts(count, status->init_container_statuses[i]);
    }
    for (size_t i = status->n_container_statuses; i-- > 0;)
        take_container(count, status->container_statuses[i]);
    /* One that ended well says nothing of the pod while others run. */
    if (text_eq(count->reason, "Completed") && count->running > 0)
        count->reason = pod_condition_is_true(status, "Ready") ? "Running" : "NotReady";
}

static const char *first_reason(const Core__PodStatus *status)
{
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "PodScheduled") &&
            text_eq(status->conditions[i]->reason, "SchedulingGated"))
            return "SchedulingGated";
    }
    return cell_or(status->reason, cell_or(status->phase, ""));
}

static const char *last_reason(const struct count *count)
{
    const Core__PodStatus *status = count->status;
    if (!count->pod->metadata || !count->pod->metadata->deletion_timestamp)
        return count->reason;
    if (text_eq(status->reason, "NodeLost"))
        return "Unknown";
    bool is_terminal = text_eq(status->phase, "Succeeded") || text_eq(status->phase, "Failed");
    return is_terminal ? count->reason : "Terminating";
}

static size_t count_containers(const Core__PodSpec *spec)
{
    size_t total = spec->n_containers;
    for (size_t i = 0; i < spec->n_init_containers; i++)
        total += text_eq(spec->init_containers[i]->restart_policy, "Always") ? 1 : 0;
    return total;
}

static const char *restarts_text(const struct count *count, const struct cell_row *row)
{
    long long restarts = count->restarts;
    if (restarts == 0 || !count->last_restart)
        return arena_printf(row->arena, "%lld", restarts);
    return arena_printf(row->arena, "%lld (%s ago)", restarts, cell_age(row, count->last_restart));
}

static const char *gates_text(const struct count *count)
{
    const Core__PodSpec *spec = count->spec;
    size_t held = 0;
    for (size_t i = 0; i < spec->n_readiness_gates; i++)
        held +=
            pod_condition_is_true(count->status, spec->readiness_gates[i]->condition_type) ? 1 : 0;
    if (spec->n_readiness_gates == 0)
        return "<none>";
    return arena_printf(count->arena, "%zu/%zu", held, spec->n_readiness_gates);
}

static void write_pod(const struct cell_row *row)
{
    static const Core__PodSpec no_spec = CORE__POD_SPEC__INIT;
    static const Core__PodStatus no_status = CORE__POD_STATUS__INIT;
    const Core__Pod *pod = (const Core__Pod *)row->object;
    const Core__PodStatus *status = pod->status ? pod->status : &no_status;
    struct count count = {.pod = pod,
                          .spec = pod->spec ? pod->spec : &no_spec,
                          .status = status,
                          .arena = row->arena,
                          .reason = first_reason(status)};
    take_all(&count);

    cell_write_name(row);
    cell_write(row, arena_printf(row->arena, "%zu/%zu", count.ready, count_containers(count.spec)));
    cell_write(row, last_reason(&count));
    cell_write(row, restarts_text(&count, row));
    cell_write_age(row);
    cell_write(row, cell_or(status->n_pod_ips > 0 ? status->pod_ips[0]->ip : NULL, "<none>"));
    cell_write(row, cell_or(count.spec->node_name, "<none>"));
    cell_write(row, cell_or(status->nominated_node_name, "<none>"));
    cell_write(row, gates_text(&count));
}

const struct table_cells table_pods = TABLE_CELLS(pod_columns, write_pod);
