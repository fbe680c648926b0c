/*
 * The conditions of a node agent (spec node.md §5.5), and what a change of them is called in events
 * (§8). Every computation moves the heartbeats; a transition time moves with the status alone. The
 * conditions of others stay as they are, where they are.
 */
#include "node/node_status_internal.h"

#include "kube/resources.h"

#define STATUS_TRUE "True"
#define STATUS_FALSE "False"
#define PRESSURES 3
#define OWN_CONDITIONS (PRESSURES + 1)

/* What a condition says while it holds, and while it does not. */
struct pressure_words {
    const char *status;
    const char *reason;
    const char *message;
    const char *event;
};

static const struct pressure {
    const char *type;
    struct pressure_words words[2]; /* [is there pressure] */
} pressures[PRESSURES] = {
    {"MemoryPressure",
     {{STATUS_FALSE, "KubeletHasSufficientMemory", "kubelet has sufficient memory available",
       "NodeHasSufficientMemory"},
      {STATUS_TRUE, "KubeletHasInsufficientMemory", "kubelet has insufficient memory available",
       "NodeHasInsufficientMemory"}}},
    {"DiskPressure",
     {{STATUS_FALSE, "KubeletHasNoDiskPressure", "kubelet has no disk pressure",
       "NodeHasNoDiskPressure"},
      {STATUS_TRUE, "KubeletHasDiskPressure", "kubelet has disk pressure", "NodeHasDiskPressure"}}},
    {"PIDPressure",
     {{STATUS_FALSE, "KubeletHasSufficientPID", "kubelet has sufficient PID available",
       "NodeHasSufficientPID"},
      {STATUS_TRUE, "KubeletHasInsufficientPID", "kubelet has insufficient PID available",
       "NodeHasInsufficientPID"}}},
};

static size_t index_of(const Core__NodeStatus *status, const char *type)
{
    size_t i = 0;
    while (i < status->n_conditions && !text_eq(status->conditions[i]->type, type))
        i++;
    return i;
}

static const Core__NodeCondition *find(const Core__Node *node, const char *type)
{
    const Core__NodeStatus *status = node ? node->status : NULL;
    size_t i = status ? index_of(status, type) : 0;
    return status && i < status->n_conditions ? status->conditions[i] : NULL;
}

/* --- the conditions as of now --- */

static Meta__Time *whole_seconds(int64_t now_ns, struct arena *arena)
{
    Meta__Time *time = arena_alloc(arena, sizeof(*time));
    meta__time__init(time);
    time->has_seconds = time->has_nanos = true;
    time->seconds = now_ns / NS_PER_SEC;
    return time;
}

/* The condition of @type to be altered: a copy in its old place, or a new one at the end. The list
 * has room. */
static Core__NodeCondition *own(Core__NodeStatus *status, const char *type, struct arena *arena)
{
    size_t at = index_of(status, type);
    Core__NodeCondition *condition = arena_alloc(arena, sizeof(*condition));
    if (at < status->n_conditions) {
        *condition = *status->conditions[at];
    } else {
        core__node_condition__init(condition);
        condition->type = node_text(type);
        status->n_conditions++;
    }
    status->conditions[at] = condition;
    return condition;
}

/* Reason and message stay what they were while the status does. */
static void set_pressure(const struct pressure *pressure, bool is_under, Meta__Time *now,
                         Core__NodeStatus *status, struct arena *arena)
{
    const struct pressure_words *words = &pressure->words[is_under ? 1 : 0];
    Core__NodeCondition *condition = own(status, pressure->type, arena);
    condition->last_heartbeat_time = now;
    if (text_eq(condition->status, words->status))
        return;
    condition->status = node_text(words->status);
    condition->reason = node_text(words->reason);
    condition->message = node_text(words->message);
    condition->last_transition_time = now;
}

static bool has_capacity(const Core__NodeStatus *status, const char *name)
{
    for (size_t i = 0; i < status->n_capacity; i++) {
        if (strcmp(status->capacity[i]->key, name) == 0)
            return true;
    }
    return false;
}

/* NULL when nothing is missing. */
static const char *missing_capacity(const struct config *config, const Core__NodeStatus *status,
                                    struct arena *arena)
{
    static const char *const required[] = {RESOURCE_CPU, RESOURCE_MEMORY, "pods",
                                           RESOURCE_EPHEMERAL_STORAGE};
    size_t count = ARRAY_SIZE(required) - (config->local_storage_capacity_isolation ? 0 : 1);
    const char *names = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!has_capacity(status, required[i]))
            names = names ? arena_printf(arena, "%s, %s", names, required[i]) : required[i];
    }
    return names ? arena_printf(arena, "missing node capacity for resources: %s", names) : NULL;
}

/* NULL: the node is ready. */
static const char *why_not_ready(const struct node_status_input *input,
                                 const Core__NodeStatus *status, struct arena *arena)
{
    const char **texts = arena_calloc(arena, input->n_not_ready + 2, sizeof(*texts));
    size_t count = 0;
    for (; count < input->n_not_ready; count++)
        texts[count] = input->not_ready[count];
    if (input->is_shutting_down)
        texts[count++] = "node is shutting down";
    const char *missing = missing_capacity(input->config, status, arena);
    if (missing)
        texts[count++] = missing;
    return count > 0 ? node_not_ready_text(texts, count, arena) : NULL;
}

static void set_ready(const struct node_status_input *input, Meta__Time *now,
                      Core__NodeStatus *status, struct arena *arena)
{
    const char *problem = why_not_ready(input, status, arena);
    const char *now_status = problem ? STATUS_FALSE : STATUS_TRUE;
    const char *message = problem ? problem : "kubelet is posting ready status";
    if (!input->machine->has_cpu_quota)
        message = arena_printf(arena, "%s. WARNING: CPU hardcapping unsupported", message);
    Core__NodeCondition *condition = own(status, NODE_CONDITION_READY, arena);
    if (!text_eq(condition->status, now_status))
        condition->last_transition_time = now;
    condition->last_heartbeat_time = now;
    condition->status = node_text(now_status);
    condition->reason = node_text(problem ? "KubeletNotReady" : "KubeletReady");
    condition->message = node_text(message);
}

void node_conditions_update(const struct node_status_input *input, Core__NodeStatus *status,
                            struct arena *arena)
{
    const bool is_under[PRESSURES] = {input->memory_pressure, input->disk_pressure,
                                      input->pid_pressure};
    Meta__Time *now = whole_seconds(input->now_ns, arena);
    Core__NodeCondition **conditions =
        arena_calloc(arena, status->n_conditions + OWN_CONDITIONS, sizeof(Core__NodeCondition *));
    for (size_t i = 0; i < status->n_conditions; i++)
        conditions[i] = status->conditions[i];
    status->conditions = conditions;
    for (size_t i = 0; i < PRESSURES; i++)
        set_pressure(&pressures[i], is_under[i], now, status, arena);
    set_ready(input, now, status, arena);
}

static bool occurs_before(const char *const *texts, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(texts[i], texts[at]) == 0)
            return true;
    }
    return false;
}

const char *node_not_ready_text(const char *const *texts, size_t count, struct arena *arena)
{
    const char *joined = "";
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        if (occurs_before(texts, i))
            continue;
        joined = distinct++ > 0 ? arena_printf(arena, "%s, %s", joined, texts[i]) : texts[i];
    }
    return distinct > 1 ? arena_printf(arena, "[%s]", joined) : arena_strdup(arena, joined);
}

/* --- events --- */

static const char *status_of(const Core__Node *node, const char *type)
{
    const Core__NodeCondition *condition = find(node, type);
    return condition ? condition->status : NULL;
}

/* A condition that was not there was unknown: its first status is a change of it. */
static const char *pressure_event(const struct pressure *pressure, const Core__Node *before,
                                  const Core__Node *after)
{
    const char *now = status_of(after, pressure->type);
    if (!now || text_eq(status_of(before, pressure->type), now))
        return NULL;
    return pressure->words[strcmp(now, STATUS_TRUE) == 0 ? 1 : 0].event;
}

/* Unlike those, Ready is no news when it is first told. */
static const char *ready_event(const Core__Node *before, const Core__Node *after)
{
    const char *was = status_of(before, NODE_CONDITION_READY);
    const char *now = status_of(after, NODE_CONDITION_READY);
    if (!was || !now || strcmp(was, now) == 0)
        return NULL;
    return strcmp(now, STATUS_TRUE) == 0 ? "NodeReady" : "NodeNotReady";
}

static bool is_unschedulable(const Core__Node *node)
{
    return node && node->spec && node->spec->has_unschedulable && node->spec->unschedulable;
}

static const char *schedulable_event(const Core__Node *before, const Core__Node *after)
{
    if (is_unschedulable(before) == is_unschedulable(after))
        return NULL;
    return is_unschedulable(after) ? "NodeNotSchedulable" : "NodeSchedulable";
}

_Static_assert(PRESSURES + 2 <= NODE_MAX_EVENTS, "each of them may have an event");

size_t node_status_events(const Core__Node *before, const Core__Node *after,
                          struct node_event ret[static NODE_MAX_EVENTS])
{
    const char *reasons[PRESSURES + 2];
    for (size_t i = 0; i < PRESSURES; i++)
        reasons[i] = pressure_event(&pressures[i], before, after);
    reasons[PRESSURES] = ready_event(before, after);
    reasons[PRESSURES + 1] = schedulable_event(before, after);
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i])
            ret[count++].reason = reasons[i];
    }
    return count;
}
