/*
 * The aggregation of upstream's component-helpers/resource/helpers.go, one resource at a time
 * instead of over maps. A plain init container runs alone with the sidecars started before it, so a
 * pod needs the larger of its steady state (regular containers and all sidecars) and its worst init
 * step:
 *
 *     steady = Σ regular + Σ sidecars
 *     init   = max over init containers of (sidecars so far, plus itself when it is a plain one)
 */
#include "kube/resources.h"

#include "kube/codec.h"
#include "kube/quantity.h"
#include "kube/validate.h"

/* scheduling.SystemCriticalPriority: 2 * HighestUserDefinablePriority
 * (pkg/apis/scheduling/types.go). */
#define SYSTEM_CRITICAL_PRIORITY INT32_C(2000000000)

#define ANNOTATION_CONFIG_SOURCE "kubernetes.io/config.source"
#define ANNOTATION_CONFIG_MIRROR "kubernetes.io/config.mirror"

static const char *const qos_names[] = {
    [POD_QOS_GUARANTEED] = "Guaranteed",
    [POD_QOS_BURSTABLE] = "Burstable",
    [POD_QOS_BESTEFFORT] = "BestEffort",
};
_Static_assert(ARRAY_SIZE(qos_names) == POD_QOS_BESTEFFORT + 1, "name every QoS class");

/* Which number of which map is asked for. */
struct query {
    const char *resource;
    bool limits; /* else requests */
    bool milli;  /* thousandths, else whole units */
};

const char *pod_qos_name(enum pod_qos qos)
{
    return qos_names[qos];
}

bool container_is_sidecar(const Core__Container *container)
{
    return text_eq(container->restart_policy, "Always");
}

/* --- containers and conditions --- */

Core__Container *pod_container_at(const Core__PodSpec *spec, size_t index)
{
    if (index < spec->n_init_containers)
        return spec->init_containers[index];
    index -= spec->n_init_containers;
    return index < spec->n_containers ? spec->containers[index] : NULL;
}

Core__Container *pod_container_find(const Core__PodSpec *spec, const char *name)
{
    Core__Container *container;
    for (size_t i = 0; (container = pod_container_at(spec, i)); i++) {
        if (text_eq(container->name, name))
            return container;
    }
    return NULL;
}

const char *pod_list_of_container(const Core__PodSpec *spec, const char *name)
{
    const Core__Container *container;
    for (size_t i = 0; (container = pod_container_at(spec, i)); i++) {
        if (text_eq(container->name, name))
            return i < spec->n_init_containers ? "initContainers" : "containers";
    }
    return ephemeral_container_find(spec, name) ? "ephemeralContainers" : NULL;
}

Core__PodCondition *pod_condition_find(const Core__PodStatus *status, const char *type)
{
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return status->conditions[i];
    }
    return NULL;
}

bool pod_condition_is_true(const Core__PodStatus *status, const char *type)
{
    const Core__PodCondition *condition = pod_condition_find(status, type);
    return condition && text_eq(condition->status, "True");
}

/* --- ephemeral containers --- */

_Static_assert(sizeof(Core__Container) == sizeof(Core__EphemeralContainerCommon),
               "an ephemeral container has the fields of a container, in the same order");

const char *ephemeral_container_name(const Core__EphemeralContainer *ephemeral)
{
    const Core__EphemeralContainerCommon *common = ephemeral->ephemeral_container_common;
    return common && common->name ? common->name : "";
}

Core__Container *ephemeral_as_container(const Core__EphemeralContainer *ephemeral,
                                        struct arena *arena)
{
    Core__Container *container =
        (Core__Container *)kube_message_new(&core__container__descriptor, arena);
    if (ephemeral->ephemeral_container_common) {
        const ProtobufCMessage base = container->base;
        memcpy(container, ephemeral->ephemeral_container_common, sizeof(*container));
        container->base = base;
    }
    return container;
}

const Core__EphemeralContainer *ephemeral_container_find(const Core__PodSpec *spec,
                                                         const char *name)
{
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        if (text_eq(ephemeral_container_name(spec->ephemeral_containers[i]), name))
            return spec->ephemeral_containers[i];
    }
    return NULL;
}

const Meta__Quantity *resource_get_request(const Core__ResourceRequirements *resources,
                                           const char *name)
{
    for (size_t i = 0; resources && i < resources->n_requests; i++) {
        if (text_eq(resources->requests[i]->key, name))
            return resources->requests[i]->value;
    }
    return NULL;
}

const Meta__Quantity *resource_get_limit(const Core__ResourceRequirements *resources,
                                         const char *name)
{
    for (size_t i = 0; resources && i < resources->n_limits; i++) {
        if (text_eq(resources->limits[i]->key, name))
            return resources->limits[i]->value;
    }
    return NULL;
}

bool resource_is_native(const char *name)
{
    return !strchr(name, '/') || strstr(name, "kubernetes.io/");
}

bool resource_is_extended(const char *name)
{
    if (resource_is_native(name) || text_has_prefix(name, "requests."))
        return false;
    AUTO(free) char *quota = xasprintf("requests.%s", name);
    return name_check_qualified(str_from(quota)) == NULL;
}

bool resource_is_hugepages(const char *name)
{
    return name && text_has_prefix(name, RESOURCE_HUGEPAGES_PREFIX);
}

bool resource_is_pod_level(const char *name)
{
    return text_eq(name, RESOURCE_CPU) || text_eq(name, RESOURCE_MEMORY) ||
           resource_is_hugepages(name);
}

bool pod_has_pod_level_resources(const Core__Pod *pod)
{
    const Core__ResourceRequirements *resources = pod->spec ? pod->spec->resources : NULL;
    for (size_t i = 0; resources && i < resources->n_requests; i++) {
        if (resource_is_pod_level(resources->requests[i]->key))
            return true;
    }
    for (size_t i = 0; resources && i < resources->n_limits; i++) {
        if (resource_is_pod_level(resources->limits[i]->key))
            return true;
    }
    return false;
}

static const Meta__Quantity *get_quantity(const Core__ResourceRequirements *resources,
                                          const struct query *query)
{
    return query->limits ? resource_get_limit(resources, query->resource)
                         : resource_get_request(resources, query->resource);
}

static int64_t number_of(const Meta__Quantity *quantity, const struct query *query)
{
    return query->milli ? quantity_milli_value(quantity) : quantity_value(quantity);
}

/* What a container names, 0 when it does not; sets @present, never clears it. */
static int64_t container_amount(const Core__Container *container, const struct query *query,
                                bool *present)
{
    const Meta__Quantity *quantity = get_quantity(container->resources, query);
    if (quantity)
        *present = true;
    return number_of(quantity, query);
}

static int64_t aggregate_containers(const Core__PodSpec *spec, const struct query *query,
                                    bool *present)
{
    int64_t steady = 0, sidecars = 0, init = 0;
    for (size_t i = 0; i < spec->n_containers; i++)
        steady = sat_add_i64(steady, container_amount(spec->containers[i], query, present));
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        int64_t step = container_amount(spec->init_containers[i], query, present);
        if (container_is_sidecar(spec->init_containers[i])) {
            steady = sat_add_i64(steady, step);
            sidecars = sat_add_i64(sidecars, step);
            step = 0;
        }
        init = max_i64(init, sat_add_i64(sidecars, step));
    }
    return max_i64(steady, init);
}

static const Meta__Quantity *get_overhead(const Core__PodSpec *spec, const char *resource)
{
    for (size_t i = 0; i < spec->n_overhead; i++) {
        if (text_eq(spec->overhead[i]->key, resource))
            return spec->overhead[i]->value;
    }
    return NULL;
}

static int64_t aggregate(const Core__Pod *pod, const struct pod_resource_options *options,
                         const struct query *query, bool *ret_present)
{
    static const struct pod_resource_options no_options = {.exclude_overhead = false};
    if (!options)
        options = &no_options;
    bool present = false;
    int64_t amount = 0;
    const Core__PodSpec *spec = pod->spec;

    if (spec && !options->skip_container_level)
        amount = aggregate_containers(spec, query, &present);
    if (spec && !options->skip_pod_level && resource_is_pod_level(query->resource)) {
        const Meta__Quantity *pod_level = get_quantity(spec->resources, query);
        if (pod_level) {
            amount = number_of(pod_level, query);
            present = true;
        }
    }
    if (spec && !options->exclude_overhead) {
        const Meta__Quantity *overhead = get_overhead(spec, query->resource);
        /* An unlimited pod does not become limited by its overhead. */
        if (overhead && (!query->limits || amount != 0)) {
            amount = sat_add_i64(amount, number_of(overhead, query));
            present = true;
        }
    }
    if (ret_present)
        *ret_present = present;
    return amount;
}

int64_t pod_request_milli_cpu(const Core__Pod *pod, const struct pod_resource_options *options,
                              bool *ret_present)
{
    const struct query query = {.resource = RESOURCE_CPU, .limits = false, .milli = true};
    return aggregate(pod, options, &query, ret_present);
}

int64_t pod_request_bytes(const Core__Pod *pod, const struct pod_resource_options *options,
                          const char *resource, bool *ret_present)
{
    const struct query query = {.resource = resource, .limits = false, .milli = false};
    return aggregate(pod, options, &query, ret_present);
}

int64_t pod_limit_milli_cpu(const Core__Pod *pod, const struct pod_resource_options *options,
                            bool *ret_present)
{
    const struct query query = {.resource = RESOURCE_CPU, .limits = true, .milli = true};
    return aggregate(pod, options, &query, ret_present);
}

int64_t pod_limit_bytes(const Core__Pod *pod, const struct pod_resource_options *options,
                        const char *resource, bool *ret_present)
{
    const struct query query = {.resource = resource, .limits = true, .milli = false};
    return aggregate(pod, options, &query, ret_present);
}

bool pod_limits_cover_all(const Core__Pod *pod, const char *resource)
{
    const Core__PodSpec *spec = pod->spec;
    if (!spec)
        return false;
    const Meta__Quantity *pod_level = resource_get_limit(spec->resources, resource);
    if (pod_level && resource_is_pod_level(resource) && !quantity_is_zero(pod_level))
        return true;

    for (size_t i = 0; i < spec->n_containers; i++) {
        const Meta__Quantity *limit = resource_get_limit(spec->containers[i]->resources, resource);
        if (quantity_is_zero(limit))
            return false;
    }
    bool sidecar_limited = false;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *container = spec->init_containers[i];
        bool limited = !quantity_is_zero(resource_get_limit(container->resources, resource));
        if (container_is_sidecar(container))
            sidecar_limited = sidecar_limited || limited;
        if (!limited && !sidecar_limited)
            return false;
    }
    return true;
}

/* --- QoS --- */

/* The two resources that make a QoS class. */
enum { QOS_CPU, QOS_MEMORY, QOS_RESOURCES };

struct qos_sums {
    int64_t requests[QOS_RESOURCES]; /* 0: nobody asked; only what is above zero counts */
    int64_t limits[QOS_RESOURCES];
    bool limits_missing; /* some container lacks a limit for one of the two */
};

static const struct query qos_queries[QOS_RESOURCES] = {
    [QOS_CPU] = {.resource = RESOURCE_CPU, .limits = false, .milli = true},
    [QOS_MEMORY] = {.resource = RESOURCE_MEMORY, .limits = false, .milli = false},
};

static void qos_add(struct qos_sums *sums, const Core__ResourceRequirements *resources)
{
    for (size_t i = 0; i < QOS_RESOURCES; i++) {
        struct query query = qos_queries[i];
        int64_t request = number_of(get_quantity(resources, &query), &query);
        query.limits = true;
        int64_t limit = number_of(get_quantity(resources, &query), &query);
        if (request > 0)
            sums->requests[i] = sat_add_i64(sums->requests[i], request);
        if (limit > 0)
            sums->limits[i] = sat_add_i64(sums->limits[i], limit);
        else
            sums->limits_missing = true;
    }
}

static enum pod_qos qos_compute(const Core__PodSpec *spec)
{
    struct qos_sums sums = {.limits_missing = false};
    if (spec->resources) {
        qos_add(&sums, spec->resources);
    } else {
        for (size_t i = 0; i < spec->n_containers; i++)
            qos_add(&sums, spec->containers[i]->resources);
        for (size_t i = 0; i < spec->n_init_containers; i++)
            qos_add(&sums, spec->init_containers[i]->resources);
    }

    bool nothing = true, equal = true;
    for (size_t i = 0; i < QOS_RESOURCES; i++) {
        nothing = nothing && sums.requests[i] == 0 && sums.limits[i] == 0;
        equal = equal && sums.requests[i] == sums.limits[i];
    }
    if (nothing)
        return POD_QOS_BESTEFFORT;
    return equal && !sums.limits_missing ? POD_QOS_GUARANTEED : POD_QOS_BURSTABLE;
}

enum pod_qos pod_qos_of(const Core__Pod *pod)
{
    const char *given = pod->status ? pod->status->qos_class : NULL;
    for (size_t i = 0; given && i < ARRAY_SIZE(qos_names); i++) {
        if (text_eq(given, qos_names[i]))
            return (enum pod_qos)i;
    }
    return pod->spec ? qos_compute(pod->spec) : POD_QOS_BESTEFFORT;
}

/* --- metadata --- */

const char *pod_label(const Core__Pod *pod, const char *key)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    for (size_t i = 0; meta && i < meta->n_labels; i++) {
        if (text_eq(meta->labels[i]->key, key))
            return meta->labels[i]->value;
    }
    return NULL;
}

const char *pod_annotation(const Core__Pod *pod, const char *key)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    for (size_t i = 0; meta && i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, key))
            return meta->annotations[i]->value;
    }
    return NULL;
}

static bool has_annotation(const Core__Pod *pod, const char *key)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    for (size_t i = 0; meta && i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, key))
            return true;
    }
    return false;
}

bool pod_is_static(const Core__Pod *pod)
{
    return has_annotation(pod, ANNOTATION_CONFIG_SOURCE) &&
           !text_eq(pod_annotation(pod, ANNOTATION_CONFIG_SOURCE), "api");
}

bool pod_is_mirror(const Core__Pod *pod)
{
    return has_annotation(pod, ANNOTATION_CONFIG_MIRROR);
}

bool pod_is_critical(const Core__Pod *pod)
{
    if (pod_is_static(pod) || pod_is_mirror(pod))
        return true;
    return pod->spec && pod->spec->has_priority && pod->spec->priority >= SYSTEM_CRITICAL_PRIORITY;
}
