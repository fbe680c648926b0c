/*
 * The two parts of a pod's spec with paths of their own: ephemeral containers, which are only ever
 * added, and the containers' resources.
 */
#include "plane/strategy_pod.h"

#include "kube/quantity.h"
#include "kube/resources.h"

#define MIRROR_ANNOTATION "kubernetes.io/config.mirror"

/* --- ephemeral containers --- */

/* Upstream names these by their Go fields. */
static void check_forbidden_parts(struct validation *v, const struct field_path *path,
                                  const Core__EphemeralContainerCommon *common)
{
    const struct {
        const char *field;
        bool is_set;
    } rows[] = {
        {"Ports", common->n_ports > 0},
        {"Resources", common->resources &&
                          (common->resources->n_limits > 0 || common->resources->n_requests > 0 ||
                           common->resources->n_claims > 0)},
        {"ResizePolicy", common->n_resize_policy > 0},
        {"RestartPolicy", common->restart_policy != NULL},
        {"LivenessProbe", common->liveness_probe != NULL},
        {"ReadinessProbe", common->readiness_probe != NULL},
        {"StartupProbe", common->startup_probe != NULL},
        {"Lifecycle", common->lifecycle != NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].is_set)
            field_forbidden(v, FIELD(path, rows[i].field),
                            "cannot be set for an Ephemeral Container");
    }
    for (size_t i = 0; i < common->n_volume_mounts; i++) {
        const struct field_path *mount = FIELD_AT(FIELD(path, "volumeMounts"), i);
        if (!is_empty(common->volume_mounts[i]->sub_path))
            field_forbidden(v, FIELD(mount, "subPath"), "cannot be set for an Ephemeral Container");
        if (!is_empty(common->volume_mounts[i]->sub_path_expr))
            field_forbidden(v, FIELD(mount, "subPathExpr"),
                            "cannot be set for an Ephemeral Container");
    }
}

static bool has_container(const Core__PodSpec *spec, const char *name)
{
    struct container_place place;
    for (size_t i = 0; container_at(spec, i, &place); i++) {
        if (text_eq(place.container->name, name))
            return true;
    }
    return false;
}

/* Takes over what is wrong with containers[first…], as ephemeralContainers[0…]. */
static void take_errors(struct validation *v, const struct field_errors *found, size_t first)
{
    static const char prefix[] = "spec.containers[";
    for (size_t i = 0; i < found->count; i++) {
        const char *path = found->errors[i].path;
        if (!text_has_prefix(path, prefix))
            continue;
        const char *digits = path + sizeof(prefix) - 1;
        size_t len = strcspn(digits, "]");
        int64_t index = 0;
        const char *number = arena_strndup(v->scratch, digits, len);
        if (!parse_i64(number, (int64_t)first, INT32_MAX, &index))
            continue;
        if (v->errors->count == FIELD_ERRORS_MAX) {
            v->errors->omitted++;
            continue;
        }
        v->errors->errors[v->errors->count++] = (struct field_error){
            .path = arena_printf(v->errors->arena, "spec.ephemeralContainers[%lld%s",
                                 (long long)index - (long long)first, digits + len),
            .message = found->errors[i].message,
        };
    }
}

/* The rules of containers hold for these too: they are asked as if the pod had them as such. */
static void check_as_containers(struct validation *v, const Core__Pod *pod)
{
    Core__PodSpec spec = *pod->spec;
    Core__Pod copy = *pod;
    size_t first = spec.n_containers;
    spec.containers = arena_calloc(v->scratch, first + spec.n_ephemeral_containers, sizeof(void *));
    for (size_t i = 0; i < first; i++)
        spec.containers[i] = pod->spec->containers[i];
    for (size_t i = 0; i < spec.n_ephemeral_containers; i++)
        spec.containers[spec.n_containers++] =
            ephemeral_as_container(spec.ephemeral_containers[i], v->scratch);
    spec.n_ephemeral_containers = 0;
    spec.ephemeral_containers = NULL;
    copy.spec = &spec;
    struct field_errors *found = arena_calloc(v->scratch, 1, sizeof(*found));
    found->arena = v->errors->arena;
    pod_validate_create(&copy, found);
    take_errors(v, found, first);
}

static void check_existing(struct validation *v, const struct pod_change *change)
{
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "ephemeralContainers");
    const Core__PodSpec *old = change->old->spec;
    for (size_t i = 0; i < old->n_ephemeral_containers; i++) {
        const Core__EphemeralContainer *before = old->ephemeral_containers[i];
        const char *name = ephemeral_container_name(before);
        const Core__EphemeralContainer *now = ephemeral_container_find(change->pod->spec, name);
        const char *what = !now                                         ? "removed\n"
                           : kube_message_eq(&now->base, &before->base) ? NULL
                                                                        : "changed";
        if (what)
            field_forbidden(v, path,
                            arena_printf(v->scratch,
                                         "existing ephemeral containers \"%s\" may not be %s", name,
                                         what));
    }
}

void pod_validate_ephemeral(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec;
    const struct field_path *path = FIELD(FIELD(NULL, "spec"), "ephemeralContainers");
    meta_validate_new_finalizers(v, change->pod->metadata, change->old->metadata);
    if (pod_annotation(change->old, MIRROR_ANNOTATION)) {
        field_forbidden(v, FIELD(NULL, ""), "static pods do not support ephemeral containers");
        return;
    }
    pod_validate_whole(v, change->pod);
    check_as_containers(v, change->pod);
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainer *container = spec->ephemeral_containers[i];
        const struct field_path *at = FIELD_AT(path, i);
        if (container->ephemeral_container_common)
            check_forbidden_parts(v, at, container->ephemeral_container_common);
        if (!is_empty(container->target_container_name) &&
            !has_container(spec, container->target_container_name))
            field_not_found(v, FIELD(at, "targetContainerName"), container->target_container_name,
                            NULL);
    }
    check_existing(v, change);
}

/* --- resources --- */

static bool are_same_containers(Core__Container *const *a, size_t a_count,
                                Core__Container *const *b, size_t b_count)
{
    bool is_same = a_count == b_count;
    for (size_t i = 0; is_same && i < a_count; i++)
        is_same = text_eq(a[i]->name, b[i]->name);
    return is_same;
}

static Core__Container **with_resources(Core__Container *const *containers,
                                        Core__Container *const *old, size_t count,
                                        struct arena *arena)
{
    Core__Container **merged = arena_calloc(arena, count, sizeof(void *));
    for (size_t i = 0; i < count; i++) {
        merged[i] = arena_memdup(arena, old[i], sizeof(**merged));
        merged[i]->resources = containers[i]->resources;
        merged[i]->n_resize_policy = containers[i]->n_resize_policy;
        merged[i]->resize_policy = containers[i]->resize_policy;
    }
    return merged;
}

Core__PodSpec *pod_resized_spec(const Core__PodSpec *spec, const Core__PodSpec *old,
                                struct arena *arena)
{
    if (!are_same_containers(spec->containers, spec->n_containers, old->containers,
                             old->n_containers) ||
        !are_same_containers(spec->init_containers, spec->n_init_containers, old->init_containers,
                             old->n_init_containers))
        return arena_memdup(arena, spec, sizeof(*spec));
    Core__PodSpec *merged = arena_memdup(arena, old, sizeof(*merged));
    merged->containers =
        with_resources(spec->containers, old->containers, old->n_containers, arena);
    merged->init_containers =
        with_resources(spec->init_containers, old->init_containers, old->n_init_containers, arena);
    merged->resources = spec->resources;
    return merged;
}

static bool is_resizable(const char *name)
{
    return text_eq(name, RESOURCE_CPU) || text_eq(name, RESOURCE_MEMORY);
}

static bool are_equal(const Meta__Quantity *a, const Meta__Quantity *b)
{
    return a && b && quantity_compare(a, b) == 0;
}

/* Whether all that is not cpu or memory is the same. */
static bool others_are_same(const Core__ResourceRequirements *a,
                            const Core__ResourceRequirements *b)
{
    for (size_t i = 0; a && i < a->n_limits; i++) {
        if (!is_resizable(a->limits[i]->key) &&
            !are_equal(a->limits[i]->value, resource_get_limit(b, a->limits[i]->key)))
            return false;
    }
    for (size_t i = 0; a && i < a->n_requests; i++) {
        if (!is_resizable(a->requests[i]->key) &&
            !are_equal(a->requests[i]->value, resource_get_request(b, a->requests[i]->key)))
            return false;
    }
    return true;
}

static void check_removals(struct validation *v, const struct field_path *path,
                           const Core__ResourceRequirements *now,
                           const Core__ResourceRequirements *old)
{
    bool lost_request = false, lost_limit = false;
    for (size_t i = 0; old && i < old->n_requests; i++)
        lost_request = lost_request || !resource_get_request(now, old->requests[i]->key);
    for (size_t i = 0; old && i < old->n_limits; i++)
        lost_limit = lost_limit || !resource_get_limit(now, old->limits[i]->key);
    if (lost_request)
        field_forbidden(v, FIELD(path, "requests"), "resource requests cannot be removed");
    if (lost_limit)
        field_forbidden(v, FIELD(path, "limits"), "resource limits cannot be removed");
}

/* Everything but the resources. */
static bool is_same_otherwise(const Core__Container *a, const Core__Container *b)
{
    Core__Container left = *a, right = *b;
    left.resources = right.resources = NULL;
    return kube_message_eq(&left.base, &right.base) &&
           others_are_same(a->resources, b->resources) &&
           others_are_same(b->resources, a->resources);
}

static void check_resized_containers(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec, *old = change->old->spec;
    const struct field_path *path = FIELD(NULL, "spec");
    for (size_t i = 0; i < old->n_init_containers; i++) {
        const Core__Container *now = spec->init_containers[i], *before = old->init_containers[i];
        const struct field_path *at =
            FIELD(FIELD_AT(FIELD(path, "initContainers"), i), "resources");
        if (!container_is_sidecar(before)) {
            if (!kube_message_eq(&now->base, &before->base))
                field_forbidden(v, path, "resources for non-sidecar init containers are immutable");
            continue;
        }
        check_removals(v, at, now->resources, before->resources);
        if (!is_same_otherwise(now, before))
            field_forbidden(v, path,
                            "only cpu and memory resources for sidecar containers are mutable");
    }
    for (size_t i = 0; i < old->n_containers; i++) {
        const struct field_path *at = FIELD(FIELD_AT(FIELD(path, "containers"), i), "resources");
        check_removals(v, at, spec->containers[i]->resources, old->containers[i]->resources);
        if (!is_same_otherwise(spec->containers[i], old->containers[i]))
            field_forbidden(v, path, "only cpu and memory resources are mutable");
    }
}

static const char *refusal(const struct pod_change *change)
{
    if (pod_has_pod_level_resources(change->old) || pod_has_pod_level_resources(change->pod))
        return "pods with pod-level resources cannot be resized";
    if (pod_annotation(change->old, MIRROR_ANNOTATION))
        return "static pods cannot be resized";
    if (change->old->spec->os && text_eq(change->old->spec->os->name, "windows"))
        return "windows pods cannot be resized";
    return NULL;
}

void pod_validate_resize(struct validation *v, const struct pod_change *change)
{
    const Core__PodSpec *spec = change->pod->spec, *old = change->old->spec;
    const char *refused = refusal(change);
    if (refused) {
        field_forbidden(v, FIELD(NULL, ""), refused);
        return;
    }
    meta_validate_new_finalizers(v, change->pod->metadata, change->old->metadata);
    pod_validate_whole(v, change->pod);
    bool is_same_count = spec->n_containers == old->n_containers &&
                         spec->n_init_containers == old->n_init_containers;
    if (!are_same_containers(spec->containers, spec->n_containers, old->containers,
                             old->n_containers) ||
        !are_same_containers(spec->init_containers, spec->n_init_containers, old->init_containers,
                             old->n_init_containers)) {
        field_forbidden(v, FIELD(NULL, "spec"),
                        is_same_count ? "containers may not be renamed or reordered on resize"
                                      : "containers may not be added or removed on resize");
        return;
    }
    Core__Pod resized = *change->pod;
    resized.status = NULL;
    if (pod_qos_of(&resized) != pod_qos_of(change->old))
        field_invalid(v, FIELD(NULL, "spec"),
                      change->old->status ? change->old->status->qos_class : "",
                      "Pod QOS Class may not change as a result of resizing");
    check_resized_containers(v, change);
}
