#include "kube/pod_references.h"

typedef bool visit_name(void *ctx, bool is_secret, const char *name);

struct visitor {
    visit_name *visit;
    void *ctx;
};

static bool tell(const struct visitor *visitor, bool is_secret, const char *name)
{
    return !name || name[0] == '\0' || visitor->visit(visitor->ctx, is_secret, name);
}

static bool tell_object(const struct visitor *visitor, bool is_secret,
                        const Core__LocalObjectReference *reference)
{
    return !reference || tell(visitor, is_secret, reference->name);
}

/* --- containers --- */

static bool visit_env(const struct visitor *visitor, Core__EnvVar *const *env, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Core__EnvVarSource *from = env[i]->value_from;
        if (!from)
            continue;
        const Core__SecretKeySelector *secret = from->secret_key_ref;
        const Core__ConfigMapKeySelector *config_map = from->config_map_key_ref;
        if ((secret && !tell_object(visitor, true, secret->local_object_reference)) ||
            (config_map && !tell_object(visitor, false, config_map->local_object_reference)))
            return false;
    }
    return true;
}

static bool visit_env_from(const struct visitor *visitor, Core__EnvFromSource *const *sources,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const Core__SecretEnvSource *secret = sources[i]->secret_ref;
        const Core__ConfigMapEnvSource *config_map = sources[i]->config_map_ref;
        if ((secret && !tell_object(visitor, true, secret->local_object_reference)) ||
            (config_map && !tell_object(visitor, false, config_map->local_object_reference)))
            return false;
    }
    return true;
}

static bool visit_container(const struct visitor *visitor, const Core__Container *container)
{
    return visit_env(visitor, container->env, container->n_env) &&
           visit_env_from(visitor, container->env_from, container->n_env_from);
}

static bool visit_containers(const struct visitor *visitor, const Core__PodSpec *spec)
{
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (!visit_container(visitor, spec->init_containers[i]))
            return false;
    }
    for (size_t i = 0; i < spec->n_containers; i++) {
        if (!visit_container(visitor, spec->containers[i]))
            return false;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common && (!visit_env(visitor, common->env, common->n_env) ||
                       !visit_env_from(visitor, common->env_from, common->n_env_from)))
            return false;
    }
    return true;
}

/* --- volumes --- */

static bool visit_projected(const struct visitor *visitor,
                            const Core__ProjectedVolumeSource *projected)
{
    for (size_t i = 0; projected && i < projected->n_sources; i++) {
        const Core__SecretProjection *secret = projected->sources[i]->secret;
        const Core__ConfigMapProjection *config_map = projected->sources[i]->config_map;
        if ((secret && !tell_object(visitor, true, secret->local_object_reference)) ||
            (config_map && !tell_object(visitor, false, config_map->local_object_reference)))
            return false;
    }
    return true;
}

static bool visit_source(const struct visitor *visitor, const Core__VolumeSource *source)
{
    const Core__LocalObjectReference *const secrets[] = {
        source->cephfs ? source->cephfs->secret_ref : NULL,
        source->cinder ? source->cinder->secret_ref : NULL,
        source->flex_volume ? source->flex_volume->secret_ref : NULL,
        source->rbd ? source->rbd->secret_ref : NULL,
        source->scale_io ? source->scale_io->secret_ref : NULL,
        source->iscsi ? source->iscsi->secret_ref : NULL,
        source->storageos ? source->storageos->secret_ref : NULL,
        source->csi ? source->csi->node_publish_secret_ref : NULL,
    };
    for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
        if (!tell_object(visitor, true, secrets[i]))
            return false;
    }
    const Core__ConfigMapVolumeSource *config_map = source->config_map;
    return tell(visitor, true, source->azure_file ? source->azure_file->secret_name : NULL) &&
           tell(visitor, true, source->secret ? source->secret->secret_name : NULL) &&
           (!config_map || tell_object(visitor, false, config_map->local_object_reference)) &&
           visit_projected(visitor, source->projected);
}

/* --- the whole --- */

bool pod_references_visit(const Core__PodSpec *spec, visit_name *visit, void *ctx)
{
    const struct visitor visitor = {.visit = visit, .ctx = ctx};
    for (size_t i = 0; i < spec->n_image_pull_secrets; i++) {
        if (!tell_object(&visitor, true, spec->image_pull_secrets[i]))
            return false;
    }
    if (!visit_containers(&visitor, spec))
        return false;
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        if (source && !visit_source(&visitor, source))
            return false;
    }
    return true;
}

/* --- lists --- */

struct names {
    struct arena *arena;
    const char **items;
    size_t count, capacity;
};

static void add_name(struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) == 0)
            return;
    }
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 8;
        const char **items = arena_calloc(names->arena, capacity, sizeof(*items));
        if (names->count > 0)
            memcpy(items, names->items, names->count * sizeof(*items));
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count++] = name;
}

struct lists {
    struct names secrets, config_maps;
};

static bool collect(void *ctx, bool is_secret, const char *name)
{
    struct lists *lists = ctx;
    add_name(is_secret ? &lists->secrets : &lists->config_maps, name);
    return true;
}

static struct pod_references result_of(const struct lists *lists)
{
    return (struct pod_references){.config_maps = lists->config_maps.items,
                                   .config_map_count = lists->config_maps.count,
                                   .secrets = lists->secrets.items,
                                   .secret_count = lists->secrets.count};
}

void pod_references_of(const Core__Pod *pod, struct arena *arena, struct pod_references *ret)
{
    struct lists lists = {.secrets = {.arena = arena}, .config_maps = {.arena = arena}};
    pod_references_visit(pod->spec, collect, &lists);
    *ret = result_of(&lists);
}

void container_references_of(const Core__Container *container, struct arena *arena,
                             struct pod_references *ret)
{
    struct lists lists = {.secrets = {.arena = arena}, .config_maps = {.arena = arena}};
    const struct visitor visitor = {.visit = collect, .ctx = &lists};
    visit_container(&visitor, container);
    *ret = result_of(&lists);
}
