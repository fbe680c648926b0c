/*
 * Pods: what a client may say at which of their paths. The spec is the client's at creation, nearly
 * fixed afterwards; the status belongs to the node (pods/status); binding, ephemeral containers and
 * resources have paths of their own. A pod on a node goes gracefully: the node deletes it for good.
 */
#include "plane/strategy_pod.h"

#include "kube/defaults.h"
#include "kube/resources.h"

/* --- defaults --- */

static Core__ResourceRequirements *no_resources(struct arena *arena)
{
    return NEW_MESSAGE(arena, Core__ResourceRequirements, core__resource_requirements);
}

/* In Go `resources` is no pointer: it is always there. */
static void show_resources(Core__PodSpec *spec, struct arena *arena)
{
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (!spec->init_containers[i]->resources)
            spec->init_containers[i]->resources = no_resources(arena);
    }
    for (size_t i = 0; i < spec->n_containers; i++) {
        if (!spec->containers[i]->resources)
            spec->containers[i]->resources = no_resources(arena);
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && !common->resources)
            common->resources = no_resources(arena);
    }
}

/* Nor is a divisor a pointer: none is zero, and shown. */
static void show_divisor(Core__ResourceFieldSelector *selector, struct arena *arena)
{
    if (!selector || selector->divisor)
        return;
    selector->divisor = NEW_MESSAGE(arena, Meta__Quantity, meta__quantity);
    selector->divisor->string = arena_strdup(arena, "0");
}

static void show_env_divisors(Core__EnvVar *const *env, size_t count, struct arena *arena)
{
    for (size_t i = 0; i < count; i++) {
        if (env[i]->value_from)
            show_divisor(env[i]->value_from->resource_field_ref, arena);
    }
}

static void show_file_divisors(Core__DownwardAPIVolumeFile *const *files, size_t count,
                               struct arena *arena)
{
    for (size_t i = 0; i < count; i++)
        show_divisor(files[i]->resource_field_ref, arena);
}

static void show_volume_divisors(const Core__VolumeSource *source, struct arena *arena)
{
    if (source->downward_api)
        show_file_divisors(source->downward_api->items, source->downward_api->n_items, arena);
    for (size_t i = 0; source->projected && i < source->projected->n_sources; i++) {
        const Core__DownwardAPIProjection *part = source->projected->sources[i]->downward_api;
        if (part)
            show_file_divisors(part->items, part->n_items, arena);
    }
}

static void show_divisors(Core__PodSpec *spec, struct arena *arena)
{
    for (size_t i = 0; i < spec->n_init_containers; i++)
        show_env_divisors(spec->init_containers[i]->env, spec->init_containers[i]->n_env, arena);
    for (size_t i = 0; i < spec->n_containers; i++)
        show_env_divisors(spec->containers[i]->env, spec->containers[i]->n_env, arena);
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common)
            show_env_divisors(common->env, common->n_env, arena);
    }
    for (size_t i = 0; i < spec->n_volumes; i++) {
        if (spec->volumes[i]->volume_source)
            show_volume_divisors(spec->volumes[i]->volume_source, arena);
    }
}

/* podIP is podIPs[0]; where they differ podIP is right. */
static void sync_pod_ips(Core__PodStatus *status, struct arena *arena)
{
    const char *first = status->n_pod_ips > 0 ? status->pod_ips[0]->ip : NULL;
    if (is_empty(status->pod_ip)) {
        if (!is_empty(first))
            status->pod_ip = arena_strdup(arena, first);
    } else if (!text_eq(status->pod_ip, first)) {
        Core__PodIP *ip = NEW_MESSAGE(arena, Core__PodIP, core__pod_ip);
        ip->ip = status->pod_ip;
        status->pod_ips = arena_calloc(arena, 1, sizeof(void *));
        status->pod_ips[0] = ip;
        status->n_pod_ips = 1;
    }
}

static void set_defaults(ProtobufCMessage *object, struct arena *arena)
{
    Core__Pod *pod = (Core__Pod *)object;
    pod_set_defaults(pod, arena);
    show_resources(pod->spec, arena);
    show_divisors(pod->spec, arena);
    if (pod->status)
        sync_pod_ips(pod->status, arena);
}

/* serviceAccount is another word for serviceAccountName, which admission may have filled in. */
static void name_account_twice(Core__PodSpec *spec)
{
    if (!is_empty(spec->service_account_name))
        spec->service_account = spec->service_account_name;
}

/* --- creation --- */

static void add_gated_condition(Core__Pod *pod, struct arena *arena)
{
    Core__PodCondition *condition = NEW_MESSAGE(arena, Core__PodCondition, core__pod_condition);
    condition->type = arena_strdup(arena, "PodScheduled");
    condition->status = arena_strdup(arena, "False");
    condition->reason = arena_strdup(arena, "SchedulingGated");
    condition->message = arena_strdup(arena, "Scheduling is blocked due to non-empty scheduling "
                                             "gates");
    pod->status->conditions = arena_calloc(arena, 1, sizeof(void *));
    pod->status->conditions[pod->status->n_conditions++] = condition;
}

static Meta__Status *prepare_create(const struct strategy_context *context,
                                    ProtobufCMessage *object)
{
    Core__Pod *pod = (Core__Pod *)object;
    pod->status = NULL; /* so that the class is computed */
    const char *qos_class = pod_qos_name(pod_qos_of(pod));
    pod->status = NEW_MESSAGE(context->arena, Core__PodStatus, core__pod_status);
    pod->status->phase = arena_strdup(context->arena, "Pending");
    pod->status->qos_class = arena_strdup(context->arena, qos_class);
    if (pod->spec->n_scheduling_gates > 0)
        add_gated_condition(pod, context->arena);
    name_account_twice(pod->spec);
    return NULL;
}

/* --- updates --- */

static void keep_observed_generation(Core__PodStatus *status, const Core__PodStatus *old)
{
    if (status->observed_generation == 0) {
        status->has_observed_generation = old->has_observed_generation;
        status->observed_generation = old->observed_generation;
    }
    for (size_t i = 0; i < status->n_conditions; i++) {
        Core__PodCondition *condition = status->conditions[i];
        for (size_t k = 0; condition->observed_generation == 0 && k < old->n_conditions; k++) {
            if (!text_eq(old->conditions[k]->type, condition->type))
                continue;
            condition->has_observed_generation = old->conditions[k]->has_observed_generation;
            condition->observed_generation = old->conditions[k]->observed_generation;
            break;
        }
    }
}

static void prepare_status(Core__Pod *pod, const Core__Pod *old, struct arena *arena)
{
    pod->spec = old->spec;
    pod->metadata->n_owner_references = old->metadata->n_owner_references;
    pod->metadata->owner_references = old->metadata->owner_references;
    if (!pod->status)
        pod->status = NEW_MESSAGE(arena, Core__PodStatus, core__pod_status);
    if (!old->status)
        return;
    if (is_empty(pod->status->qos_class))
        pod->status->qos_class = old->status->qos_class;
    keep_observed_generation(pod->status, old->status);
}

static void prepare_ephemeral(Core__Pod *pod, const Core__Pod *old, struct arena *arena)
{
    Core__PodSpec *spec = arena_memdup(arena, old->spec, sizeof(*spec));
    spec->n_ephemeral_containers = pod->spec->n_ephemeral_containers;
    spec->ephemeral_containers = pod->spec->ephemeral_containers;
    pod->spec = spec;
}

static Meta__Status *prepare_update(const struct strategy_context *context,
                                    ProtobufCMessage *object, const ProtobufCMessage *old_object)
{
    Core__Pod *pod = (Core__Pod *)object;
    const Core__Pod *old = (const Core__Pod *)old_object;
    bool is_ephemeral = strategy_is_through(context, "ephemeralcontainers");
    bool is_resize = strategy_is_through(context, "resize");
    if (strategy_is_through(context, "binding"))
        return NULL; /* pod_binding_create() changed nothing else */
    if (strategy_is_through(context, "status")) {
        prepare_status(pod, old, context->arena);
        return NULL;
    }
    pod->status = old->status;
    if (is_ephemeral)
        prepare_ephemeral(pod, old, context->arena);
    else if (is_resize)
        pod->spec = pod_resized_spec(pod->spec, old->spec, context->arena);
    else
        name_account_twice(pod->spec);
    if (is_ephemeral || is_resize)
        strategy_keep_meta(pod->metadata, old->metadata);
    return NULL;
}

/* --- validation --- */

void pod_validate_whole(struct validation *v, const Core__Pod *pod)
{
    Core__PodSpec spec = *pod->spec;
    Core__Pod copy = *pod;
    spec.n_ephemeral_containers = 0;
    spec.ephemeral_containers = NULL;
    copy.spec = &spec;
    pod_validate_create(&copy, v->errors);
}

static void validate(const struct strategy_context *context, const ProtobufCMessage *object,
                     const ProtobufCMessage *old, struct field_errors *errors)
{
    static const struct {
        const char *subresource;
        void (*validate)(struct validation *v, const struct pod_change *change);
    } rows[] = {
        {NULL, pod_validate_update},
        {"status", pod_validate_status},
        {"ephemeralcontainers", pod_validate_ephemeral},
        {"resize", pod_validate_resize},
    };
    struct validation v = strategy_validation(context, errors);
    const struct pod_change change = {.pod = (const Core__Pod *)object,
                                      .old = (const Core__Pod *)old};
    if (!old) {
        pod_validate_create(change.pod, errors);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (text_eq(rows[i].subresource, context->subresource))
            rows[i].validate(&v, &change);
    }
}

/* That a pod was given to a node is no new generation of it. */
static bool has_new_generation(const ProtobufCMessage *object, const ProtobufCMessage *old)
{
    const Core__PodSpec *spec = ((const Core__Pod *)object)->spec;
    const Core__PodSpec *before = ((const Core__Pod *)old)->spec;
    if (!spec || !before)
        return spec != before;
    Core__PodSpec copy = *spec;
    copy.node_name = before->node_name;
    return !kube_message_eq(&copy.base, &before->base);
}

/* --- deletion --- */

static bool is_finished(const Core__Pod *pod)
{
    return pod->status &&
           (text_eq(pod->status->phase, "Succeeded") || text_eq(pod->status->phase, "Failed"));
}

static Meta__Status *check_delete(const struct strategy_context *context,
                                  const ProtobufCMessage *object, int64_t *grace_s)
{
    (void)context;
    const Core__Pod *pod = (const Core__Pod *)object;
    if (*grace_s == -1 && pod->spec)
        *grace_s = pod->spec->has_termination_grace_period_seconds
                       ? pod->spec->termination_grace_period_seconds
                       : 0;
    /* Nobody would finish what no node has, or what has ended. */
    bool has_node = pod->spec && !is_empty(pod->spec->node_name);
    if (!has_node || is_finished(pod))
        *grace_s = 0;
    else if (*grace_s < 0)
        *grace_s = 1;
    return NULL;
}

const struct strategy strategy_pod = {
    .set_defaults = set_defaults,
    .prepare_create = prepare_create,
    .prepare_update = prepare_update,
    .validate = validate,
    .has_new_generation = has_new_generation,
    .check_delete = check_delete,
    .returns_deleted = true,
};
