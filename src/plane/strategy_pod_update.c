/*
 * Changes of a pod itself and of its status, with the words of ValidatePodUpdate and
 * ValidatePodStatusUpdate. The difference that upstream appends to its refusal, as Go prints
 * structs, is left out.
 */
#include "plane/strategy_pod.h"

#include "kube/resources.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

#define UPDATABLE                                                                                  \
    "pod updates may not change fields other than `spec.containers[*].image`,"                     \
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "        \
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set " \
    "to 1 if it was previously negative)"

void pod_validate_annotation_change(struct validation *v, const struct pod_change *change)
{
    const char *value = pod_annotation(change->pod, MIRROR_ANNOTATION);
    const char *old = pod_annotation(change->old, MIRROR_ANNOTATION);
    const struct field_path *path =
        FIELD_KEY(FIELD(FIELD(NULL, "metadata"), "annotations"), MIRROR_ANNOTATION);
    if (old && !text_eq(value, old))
        field_forbidden(v, path, "may not remove or update mirror pod annotation");
    else if (value && !old)
        field_forbidden(v, path, "may not add mirror pod annotation");
}

/* --- what may change --- */

struct container_list {
    const char *name;
    Core__Container *const *items;
    size_t count;
};

/* False when nothing more can be said about the containers. */
static bool check_container_list(struct validation *v, const struct container_list *list,
                                 const struct container_list *old)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), list->name);
    if (list->count != old->count) {
        field_forbidden(v, path, "pod updates may not add or remove containers");
        return false;
    }
    for (size_t i = 0; i < list->count; i++)
        field_check_present(v, FIELD(FIELD_AT(path, i), "image"), list->items[i]->image);
    return true;
}

static bool check_containers(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec, *old = change->old->spec;
    const struct container_list lists[] = {
        {"containers", spec->containers, spec->n_containers},
        {"initContainers", spec->init_containers, spec->n_init_containers},
    };
    const struct container_list olds[] = {
        {"containers", old->containers, old->n_containers},
        {"initContainers", old->init_containers, old->n_init_containers},
    };
    return check_container_list(v, &lists[0], &olds[0]) &&
           check_container_list(v, &lists[1], &olds[1]);
}

/* From nothing to a deadline, or to an earlier one. */
static bool check_deadline(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec, *old = change->old->spec;
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "activeDeadlineSeconds");
    if (!spec->has_active_deadline_seconds) {
        if (old->has_active_deadline_seconds)
            field_invalid_raw(v, path, "null",
                              "must not update from a positive integer to nil value");
        return true;
    }
    if (spec->active_deadline_seconds < 0 || spec->active_deadline_seconds > INT32_MAX) {
        field_check_range(v, path, spec->active_deadline_seconds, 0, INT32_MAX);
        return false;
    }
    if (old->has_active_deadline_seconds &&
        old->active_deadline_seconds < spec->active_deadline_seconds) {
        field_invalid_number(v, path, spec->active_deadline_seconds,
                             "must be less than or equal to previous value");
        return false;
    }
    return true;
}

/* The same but for the time it lasts. */
static bool is_same_toleration(const Core__Toleration *a, const Core__Toleration *b)
{
    Core__Toleration left = *a, right = *b;
    left.has_toleration_seconds = right.has_toleration_seconds = false;
    return kube_message_eq(&left.base, &right.base);
}

static void check_tolerations(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec, *old = change->old->spec;
    for (size_t i = 0; i < old->n_tolerations; i++) {
        bool is_kept = false;
        for (size_t k = 0; k < spec->n_tolerations && !is_kept; k++)
            is_kept = is_same_toleration(old->tolerations[i], spec->tolerations[k]);
        if (is_kept)
            continue;
        field_forbidden(v, FIELD(FIELD(NULL, "spec"), "tolerations"),
                        "existing toleration can not be modified except its tolerationSeconds");
        return;
    }
}

static void check_gates(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec, *old = change->old->spec;
    struct text_map known = {.arena = v->scratch};
    for (size_t i = 0; i < old->n_scheduling_gates; i++)
        text_map_add(&known, or_empty(old->scheduling_gates[i]->name), i);
    for (size_t i = 0; i < spec->n_scheduling_gates; i++) {
        const char *name = or_empty(spec->scheduling_gates[i]->name);
        if (!text_map_find(&known, name, NULL))
            field_forbidden(
                v, FIELD(FIELD(NULL, "spec"), "schedulingGates"),
                arena_printf(v->scratch,
                             "only deletion is allowed, but found new scheduling gate '%s'", name));
    }
}

/* --- what may not --- */

static Core__Container **with_images(Core__Container *const *containers, size_t count,
                                     Core__Container *const *old, struct arena *arena)
{
    Core__Container **copies = arena_calloc(arena, count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        copies[i] = arena_memdup(arena, containers[i], sizeof(**copies));
        copies[i]->image = old[i]->image;
    }
    return copies;
}

/* The new spec with everything that may change taken from the old one. */
static const Core__PodSpec *masked_spec(const struct pod_change *change, struct arena *arena)
{
    const Core__PodSpec *old = change->old->spec;
    Core__PodSpec *spec = arena_memdup(arena, change->pod->spec, sizeof(*spec));
    spec->containers = with_images(spec->containers, spec->n_containers, old->containers, arena);
    spec->init_containers =
        with_images(spec->init_containers, spec->n_init_containers, old->init_containers, arena);
    spec->has_active_deadline_seconds = old->has_active_deadline_seconds;
    spec->active_deadline_seconds = old->active_deadline_seconds;
    spec->n_scheduling_gates = old->n_scheduling_gates;
    spec->scheduling_gates = old->scheduling_gates;
    spec->n_tolerations = old->n_tolerations;
    spec->tolerations = old->tolerations;
    if (old->termination_grace_period_seconds < 0 && spec->termination_grace_period_seconds == 1)
        spec->termination_grace_period_seconds = old->termination_grace_period_seconds;
    return spec;
}

void pod_validate_update(struct validation *v, const struct pod_change *change)
{
    meta_validate_new_finalizers(v, change->pod->metadata, change->old->metadata);
    pod_validate_whole(v, change->pod);
    pod_validate_annotation_change(v, change);
    if (!check_containers(v, change) || !check_deadline(v, change))
        return;
    check_tolerations(v, change);
    check_gates(v, change);
    if (!kube_message_eq(&masked_spec(change, v->scratch)->base, &change->old->spec->base))
        field_forbidden(v, FIELD(NULL, "spec"), UPDATABLE);
}

/* --- the status --- */

struct status_list {
    const char *name;
    Core__ContainerStatus *const *items;
    size_t count;
};

static bool rule_matches(const Core__ContainerRestartRule *rule, int32_t exit_code)
{
    const Core__ContainerRestartRuleOnExitCodes *codes = rule->exit_codes;
    bool is_listed = false;
    for (size_t i = 0; codes && i < codes->n_values; i++)
        is_listed = is_listed || codes->values[i] == exit_code;
    return codes &&
           (text_eq(codes->operator_, "In") ? is_listed
                                            : text_eq(codes->operator_, "NotIn") && !is_listed);
}

/* A container's own policy and rules come before the pod's policy. */
static bool may_restart(const Core__PodSpec *spec, const char *name, int32_t exit_code)
{
    const Core__Container *container = pod_container_find(spec, name);
    for (size_t i = 0; container && i < container->n_restart_policy_rules; i++) {
        if (rule_matches(container->restart_policy_rules[i], exit_code))
            return true; /* whichever way: both of its actions restart it */
    }
    const char *policy = container && !is_empty(container->restart_policy)
                             ? container->restart_policy
                             : spec->restart_policy;
    return text_eq(policy, "Always") || (text_eq(policy, "OnFailure") && exit_code != 0);
}

/* One container's exit may restart all of them, also those that have completed. */
static bool may_restart_all(const Core__PodSpec *spec)
{
    const struct container_list lists[] = {
        {"initContainers", spec->init_containers, spec->n_init_containers},
        {"containers", spec->containers, spec->n_containers},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (size_t k = 0; k < lists[i].count; k++) {
            const Core__Container *container = lists[i].items[k];
            for (size_t r = 0; r < container->n_restart_policy_rules; r++) {
                if (text_eq(container->restart_policy_rules[r]->action, "RestartAllContainers"))
                    return true;
            }
        }
    }
    return false;
}

static const Core__ContainerStateTerminated *terminated(const Core__ContainerStatus *status)
{
    return status->state ? status->state->terminated : NULL;
}

static bool has_come_back(const struct status_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_eq(list->items[i]->name, name) && !terminated(list->items[i]))
            return true;
    }
    return false;
}

/* What has ended and is not restarted stays ended. */
static void check_transitions(struct validation *v, const struct status_list *list,
                              const struct status_list *old, const Core__PodSpec *spec)
{
    bool is_ephemeral = strcmp(list->name, "ephemeralContainerStatuses") == 0;
    if (!is_ephemeral && (text_eq(spec->restart_policy, "Always") || may_restart_all(spec)))
        return;
    for (size_t i = 0; i < old->count; i++) {
        const Core__ContainerStateTerminated *end = terminated(old->items[i]);
        if (!end || (!is_ephemeral && may_restart(spec, old->items[i]->name, end->exit_code)))
            continue;
        if (has_come_back(list, old->items[i]->name))
            field_forbidden(v,
                            FIELD(FIELD_AT(FIELD(FIELD(NULL, "status"), list->name), i), "state"),
                            "may not be transitioned to non-terminated state");
    }
}

static void check_all_transitions(struct validation *v, const struct pod_change *change)
{
    const Core__PodStatus *status = change->pod->status, *old = change->old->status;
    const struct status_list lists[] = {
        {"containerStatuses", status->container_statuses, status->n_container_statuses},
        {"initContainerStatuses", status->init_container_statuses,
         status->n_init_container_statuses},
        {"ephemeralContainerStatuses", status->ephemeral_container_statuses,
         status->n_ephemeral_container_statuses},
    };
    const struct status_list olds[] = {
        {"", old->container_statuses, old->n_container_statuses},
        {"", old->init_container_statuses, old->n_init_container_statuses},
        {"", old->ephemeral_container_statuses, old->n_ephemeral_container_statuses},
    };
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
        check_transitions(v, &lists[i], &olds[i], change->old->spec);
}

static void check_conditions(struct validation *v, const Core__PodStatus *status)
{
    static const char *const own[] = {"PodScheduled", "Ready", "Initialized", NULL};
    const struct field_path *path = FIELD(FIELD(NULL, "metadata"), "conditions");
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (!is_one_of(status->conditions[i]->type, own))
            field_check_name(v, FIELD(FIELD_AT(path, i), "Type"), status->conditions[i]->type,
                             name_rule_qualified);
    }
}

static void check_ips(struct validation *v, const Core__PodStatus *status)
{
    const struct field_path *pod_ips = FIELD(FIELD(NULL, "status"), "podIPs");
    const struct field_path *host_ips = FIELD(FIELD(NULL, "status"), "hostIPs");
    for (size_t i = 0; i < status->n_pod_ips; i++)
        field_check_name(v, FIELD_AT(pod_ips, i), status->pod_ips[i]->ip, name_rule_ip);
    for (size_t i = 0; i < status->n_host_ips; i++)
        field_check_name(v, FIELD_AT(host_ips, i), status->host_ips[i]->ip, name_rule_ip);
}

void pod_validate_status(struct validation *v, const struct pod_change *change)
{
    static const Core__PodStatus none = CORE__POD_STATUS__INIT;
    meta_validate_update(v, change->pod->metadata, change->old->metadata);
    pod_validate_annotation_change(v, change);
    check_conditions(v, change->pod->status);
    const Core__PodStatus *old = change->old->status ? change->old->status : &none;
    strategy_check_immutable_text(v, FIELD(FIELD(NULL, "status"), "qosClass"),
                                  change->pod->status->qos_class, old->qos_class);
    if (change->old->status)
        check_all_transitions(v, change);
    check_ips(v, change->pod->status);
}
