/* Conditions from phase and container entries (spec pods.md §8.4), after those that others have set
 * on the API's object. A transition time moves only with the status. */
#include "pod/status_internal.h"

#include "base/buf.h"
#include "kube/codec.h"
#include "kube/resources.h"

#define CONDITION_TEXT_MAX_BYTES (16 * KiB)
#define MAX_OWN_CONDITIONS 8
#define NOT_READY "ContainersNotReady"

/* Those a node sets, whatever the API server may still have of them. */
static const char *const owned[] = {
    "PodScheduled",   "PodReadyToStartContainers", "Initialized",         "ContainersReady",
    "Ready",          "PodResizePending",          "PodResizeInProgress", CONDITION_ALL_RESTARTING,
    DISRUPTION_TARGET};

bool status_owns_condition(const char *type)
{
    for (size_t i = 0; i < ARRAY_SIZE(owned); i++) {
        if (text_eq(owned[i], type))
            return true;
    }
    return false;
}

struct verdict {
    bool is_true;
    const char *reason;  /* NULL: none */
    const char *message; /* NULL: none */
};

static const Core__PodCondition *old_condition(const struct status_input *input, const char *type)
{
    for (size_t i = 0; input->old && i < input->old->n_conditions; i++) {
        if (text_eq(input->old->conditions[i]->type, type))
            return input->old->conditions[i];
    }
    return NULL;
}

static void add(const struct status_input *input, Core__PodStatus *status, const char *type,
                struct verdict verdict, struct arena *arena)
{
    Core__PodCondition *condition =
        STATUS_NEW(arena, Core__PodCondition, core__pod_condition__descriptor);
    const Core__PodCondition *old = old_condition(input, type);
    condition->type = arena_strdup(arena, type);
    condition->status = arena_strdup(arena, verdict.is_true ? "True" : "False");
    condition->reason = arena_strdup(arena, verdict.reason);
    condition->message = arena_strdup(arena, verdict.message);
    if (old && text_eq(old->status, condition->status) && old->last_transition_time)
        condition->last_transition_time =
            status_time(sat_mul_i64(old->last_transition_time->seconds, NS_PER_SEC), arena);
    else
        condition->last_transition_time = status_time(input->now_ns, arena);
    if (input->pod->metadata->has_generation) {
        condition->has_observed_generation = true;
        condition->observed_generation = input->pod->metadata->generation;
    }
    status->conditions[status->n_conditions++] = condition;
}

/* --- lists of names in messages --- */

struct names {
    struct buf text;
    size_t count;
};

static void name_add(struct names *names, const char *name)
{
    if (names->count++ > 0)
        buf_add_char(&names->text, ' ');
    buf_add_text(&names->text, name);
}

/* "containers with unknown status: [a b], containers with unready status: [c]"; NULL when both are
 * empty. */
static const char *names_message(const struct names *unknown, const struct names *other,
                                 const char *what, struct arena *arena)
{
    const char *first =
        unknown->count > 0
            ? arena_printf(arena, "containers with unknown status: [%s]", buf_text(&unknown->text))
            : NULL;
    const char *second = other->count > 0 ? arena_printf(arena, "containers with %s status: [%s]",
                                                         what, buf_text(&other->text))
                                          : NULL;
    if (first && second)
        return arena_printf(arena, "%s, %s", first, second);
    return first ? first : second;
}

/* --- the verdicts --- */

static bool any_regular_ran(const Core__PodStatus *status)
{
    for (size_t i = 0; i < status->n_container_statuses; i++) {
        if (status_is_running(status->container_statuses[i]) ||
            status_is_terminated(status->container_statuses[i]))
            return true;
    }
    return false;
}

static struct verdict initialised(const struct status_input *input, const Core__PodStatus *status,
                                  struct arena *arena)
{
    const Core__PodSpec *spec = input->pod->spec;
    struct names unknown = {0}, incomplete = {0};
    buf_init(&unknown.text, CONDITION_TEXT_MAX_BYTES);
    buf_init(&incomplete.text, CONDITION_TEXT_MAX_BYTES);
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *container = spec->init_containers[i];
        const Core__ContainerStatus *entry = status_find(
            status->init_container_statuses, status->n_init_container_statuses, container->name);
        if (!entry)
            name_add(&unknown, container->name);
        else if (container_is_sidecar(container) ? !entry->started : !entry->ready)
            name_add(&incomplete, container->name);
    }
    struct verdict verdict = {.is_true = true};
    const Core__PodCondition *old = old_condition(input, "Initialized");
    if (text_eq(status->phase, "Succeeded") && unknown.count == 0)
        verdict.reason = "PodCompleted";
    else if (!any_regular_ran(status) && (unknown.count > 0 || incomplete.count > 0) &&
             !(old && text_eq(old->status, "True")))
        verdict =
            (struct verdict){.reason = "ContainersNotInitialized",
                             .message = names_message(&unknown, &incomplete, "incomplete", arena)};
    buf_done(&unknown.text);
    buf_done(&incomplete.text);
    return verdict;
}

/* Sorts container @name into @unknown or @unready unless its entry is ready. */
static void sort_unready(Core__ContainerStatus *const *list, size_t count, const char *name,
                         struct names *unknown, struct names *unready)
{
    const Core__ContainerStatus *entry = status_find(list, count, name);
    if (!entry)
        name_add(unknown, name);
    else if (!entry->ready)
        name_add(unready, name);
}

/* The pod was over before its containers had come that far: that stays to be read. */
static bool was_ended_unready(const struct status_input *input, const Core__PodCondition *old)
{
    return input->terminated && old && status_is_terminal(input->old) &&
           text_eq(old->reason, NOT_READY);
}

static struct verdict containers_ready(const struct status_input *input,
                                       const Core__PodStatus *status, struct arena *arena)
{
    const Core__PodSpec *spec = input->pod->spec;
    struct names unknown = {0}, unready = {0};
    buf_init(&unknown.text, CONDITION_TEXT_MAX_BYTES);
    buf_init(&unready.text, CONDITION_TEXT_MAX_BYTES);
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (container_is_sidecar(spec->init_containers[i]))
            sort_unready(status->init_container_statuses, status->n_init_container_statuses,
                         spec->init_containers[i]->name, &unknown, &unready);
    }
    for (size_t i = 0; i < spec->n_containers; i++)
        sort_unready(status->container_statuses, status->n_container_statuses,
                     spec->containers[i]->name, &unknown, &unready);
    struct verdict verdict = {.is_true = true};
    const Core__PodCondition *old = old_condition(input, "ContainersReady");
    if (text_eq(status->phase, "Succeeded") && unknown.count == 0)
        verdict = (struct verdict){.reason = "PodCompleted"};
    else if (was_ended_unready(input, old))
        verdict = (struct verdict){.reason = old->reason, .message = old->message};
    else if (text_eq(status->phase, "Failed"))
        verdict = (struct verdict){.reason = "PodFailed"};
    else if (unknown.count > 0 || unready.count > 0)
        verdict = (struct verdict){.reason = NOT_READY,
                                   .message = names_message(&unknown, &unready, "unready", arena)};
    buf_done(&unknown.text);
    buf_done(&unready.text);
    return verdict;
}

static const Core__PodCondition *api_condition(const struct status_input *input, const char *type)
{
    const Core__PodStatus *api = input->pod->status;
    for (size_t i = 0; api && i < api->n_conditions; i++) {
        if (text_eq(api->conditions[i]->type, type))
            return api->conditions[i];
    }
    return NULL;
}

/* Readiness gates name conditions that others set; a static pod has nobody who could. */
static struct verdict ready(const struct status_input *input, struct verdict containers,
                            struct arena *arena)
{
    if (!containers.is_true)
        return containers;
    const Core__PodSpec *spec = input->pod->spec;
    struct buf text;
    buf_init(&text, CONDITION_TEXT_MAX_BYTES);
    for (size_t i = 0; i < spec->n_readiness_gates; i++) {
        const char *type = spec->readiness_gates[i]->condition_type;
        const Core__PodCondition *gate = api_condition(input, type);
        if (gate && text_eq(gate->status, "True"))
            continue;
        if (text.len > 0)
            buf_add_text(&text, ", ");
        if (gate)
            buf_printf(&text, "the status of pod readiness gate \"%s\" is not \"True\", but %s",
                       type, gate->status);
        else
            buf_printf(&text,
                       "corresponding condition of pod readiness gate \"%s\" does not exist.",
                       type);
    }
    struct verdict verdict = {.is_true = true};
    if (text.len > 0)
        verdict = (struct verdict){.reason = "ReadinessGatesNotReady",
                                   .message = arena_strdup(arena, buf_text(&text))};
    buf_done(&text);
    return verdict;
}

static void keep(Core__PodStatus *status, const Core__PodCondition *condition, struct arena *arena)
{
    status->conditions[status->n_conditions++] =
        (Core__PodCondition *)kube_message_dup(&condition->base, arena);
}

/* Set by whoever ends the pod before its time; what is there already stays. */
static void add_disruption(const struct status_input *input, Core__PodStatus *status,
                           struct arena *arena)
{
    const Core__PodCondition *old = old_condition(input, DISRUPTION_TARGET);
    if (input->disruption)
        add(input, status, DISRUPTION_TARGET,
            (struct verdict){
                .is_true = true, .reason = "TerminationByKubelet", .message = input->disruption},
            arena);
    else if (old)
        keep(status, old, arena);
}

/* Alone among the node's own conditions it names no generation. */
static void add_all_restarting(const struct status_input *input, Core__PodStatus *status,
                               struct arena *arena)
{
    struct verdict verdict = {0};
    if (text_eq(status->phase, "Succeeded"))
        verdict.reason = "PodCompleted";
    else if (text_eq(status->phase, "Failed"))
        verdict.reason = "PodFailed";
    else if (pod_restarts_all(input->pod, input->have, input->old))
        verdict = (struct verdict){.is_true = true,
                                   .reason = "RestartAllContainersStarted",
                                   .message = "container exited with restart policy rule"};
    add(input, status, CONDITION_ALL_RESTARTING, verdict, arena);
    status->conditions[status->n_conditions - 1]->has_observed_generation = false;
}

void status_fill_conditions(const struct status_input *input, Core__PodStatus *status,
                            struct arena *arena)
{
    const Core__PodStatus *api = input->pod->status;
    size_t n_api = api ? api->n_conditions : 0;
    status->conditions = arena_calloc(arena, MAX_OWN_CONDITIONS + n_api, sizeof(void *));
    for (size_t i = 0; i < n_api; i++) {
        if (!status_owns_condition(api->conditions[i]->type))
            keep(status, api->conditions[i], arena);
    }
    add_disruption(input, status, arena);
    struct verdict sandbox = {.is_true = !pod_sandbox_decide(input->pod, input->have).create};
    struct verdict containers = containers_ready(input, status, arena);
    add(input, status, "PodReadyToStartContainers", sandbox, arena);
    add(input, status, "Initialized", initialised(input, status, arena), arena);
    add(input, status, "Ready", ready(input, containers, arena), arena);
    add(input, status, "ContainersReady", containers, arena);
    add(input, status, "PodScheduled", (struct verdict){.is_true = true}, arena);
    if (pod_has_restart_all_rule(input->pod))
        add_all_restarting(input, status, arena);
}
