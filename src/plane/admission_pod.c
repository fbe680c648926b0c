/*
 * What a new pod is given: its service account with the projected volume that holds the token, its
 * priority, and how long it outlives its node.
 */
#include "plane/admission_internal.h"

#define DEFAULT_ACCOUNT "default"
#define TOKEN_VOLUME_PREFIX "kube-api-access-"
#define TOKEN_MOUNT_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
/* An hour, and 7 s that mark it as injected (pkg/serviceaccount/claims.go). */
#define TOKEN_EXPIRATION_S 3607
#define PROJECTED_MODE 0644
#define ROOT_CA_CONFIG_MAP "kube-root-ca.crt"
/* apimachinery's random names: no vowels and nothing that looks like another. */
#define SUFFIX_ALPHABET "bcdfghjklmnpqrstvwxz2456789"
#define SUFFIX_LENGTH 5
#define TOLERATION_S 300

/* One more item at the end of a list of pointers; the list moves into @arena. */
static void append(void *list_of_pointers, size_t *count, void *item, struct arena *arena)
{
    void **old;
    memcpy(&old, list_of_pointers, sizeof(old));
    void **grown = arena_calloc(arena, *count + 1, sizeof(*grown));
    if (*count > 0)
        memcpy(grown, old, *count * sizeof(*grown));
    grown[(*count)++] = item;
    memcpy(list_of_pointers, &grown, sizeof(grown));
}

bool admission_is_mirror(const Core__Pod *pod)
{
    for (size_t i = 0; pod->metadata && i < pod->metadata->n_annotations; i++) {
        if (text_eq(pod->metadata->annotations[i]->key, ADMISSION_MIRROR_ANNOTATION))
            return true;
    }
    return false;
}

/* --- mirror pods --- */

static bool has_token_projection(const Core__PodSpec *spec)
{
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        const Core__ProjectedVolumeSource *projected = source ? source->projected : NULL;
        for (size_t k = 0; projected && k < projected->n_sources; k++) {
            if (projected->sources[k]->service_account_token)
                return true;
        }
    }
    return false;
}

static Meta__Status *check_mirror(const struct admission_request *request, const Core__Pod *pod)
{
    if (admission_text(pod->spec->service_account_name)[0])
        return admission_forbidden(request, "a mirror pod may not reference service accounts");
    const char *reference = pod_static_reference_error(pod);
    if (reference && strstr(reference, "reference secrets"))
        return admission_forbidden(request, "a mirror pod may not reference secrets");
    return has_token_projection(pod->spec)
               ? admission_forbidden(
                     request, "a mirror pod may not use ServiceAccountToken volume projections")
               : NULL;
}

/* --- the token volume --- */

#define NEW(arena, type, lower) ((type *)kube_message_new(&lower##__descriptor, (arena)))

static Core__VolumeProjection *token_source(struct arena *arena)
{
    Core__VolumeProjection *source = NEW(arena, Core__VolumeProjection, core__volume_projection);
    source->service_account_token =
        NEW(arena, Core__ServiceAccountTokenProjection, core__service_account_token_projection);
    source->service_account_token->path = arena_strdup(arena, "token");
    source->service_account_token->has_expiration_seconds = true;
    source->service_account_token->expiration_seconds = TOKEN_EXPIRATION_S;
    return source;
}

static Core__VolumeProjection *root_ca_source(struct arena *arena)
{
    Core__VolumeProjection *source = NEW(arena, Core__VolumeProjection, core__volume_projection);
    Core__ConfigMapProjection *config_map =
        NEW(arena, Core__ConfigMapProjection, core__config_map_projection);
    config_map->local_object_reference =
        NEW(arena, Core__LocalObjectReference, core__local_object_reference);
    config_map->local_object_reference->name = arena_strdup(arena, ROOT_CA_CONFIG_MAP);
    Core__KeyToPath *item = NEW(arena, Core__KeyToPath, core__key_to_path);
    item->key = arena_strdup(arena, "ca.crt");
    item->path = arena_strdup(arena, "ca.crt");
    append(&config_map->items, &config_map->n_items, item, arena);
    source->config_map = config_map;
    return source;
}

static Core__VolumeProjection *namespace_source(struct arena *arena)
{
    Core__VolumeProjection *source = NEW(arena, Core__VolumeProjection, core__volume_projection);
    source->downward_api = NEW(arena, Core__DownwardAPIProjection, core__downward_apiprojection);
    Core__DownwardAPIVolumeFile *file =
        NEW(arena, Core__DownwardAPIVolumeFile, core__downward_apivolume_file);
    file->path = arena_strdup(arena, "namespace");
    file->field_ref = NEW(arena, Core__ObjectFieldSelector, core__object_field_selector);
    file->field_ref->api_version = arena_strdup(arena, "v1");
    file->field_ref->field_path = arena_strdup(arena, "metadata.namespace");
    append(&source->downward_api->items, &source->downward_api->n_items, file, arena);
    return source;
}

static void add_token_volume(Core__PodSpec *spec, const char *name, struct arena *arena)
{
    Core__ProjectedVolumeSource *projected =
        NEW(arena, Core__ProjectedVolumeSource, core__projected_volume_source);
    projected->has_default_mode = true;
    projected->default_mode = PROJECTED_MODE;
    append(&projected->sources, &projected->n_sources, token_source(arena), arena);
    append(&projected->sources, &projected->n_sources, root_ca_source(arena), arena);
    append(&projected->sources, &projected->n_sources, namespace_source(arena), arena);
    Core__Volume *volume = NEW(arena, Core__Volume, core__volume);
    volume->name = arena_strdup(arena, name);
    volume->volume_source = NEW(arena, Core__VolumeSource, core__volume_source);
    volume->volume_source->projected = projected;
    append(&spec->volumes, &spec->n_volumes, volume, arena);
}

/* True when a mount was added somewhere. A container's own mount at the path wins. */
static bool mount_token(Core__Container **containers, size_t count, const char *volume,
                        struct arena *arena)
{
    bool was_added = false;
    for (size_t i = 0; i < count; i++) {
        Core__Container *container = containers[i];
        bool has_own = false;
        for (size_t k = 0; k < container->n_volume_mounts; k++)
            has_own = has_own || text_eq(container->volume_mounts[k]->mount_path, TOKEN_MOUNT_PATH);
        if (has_own)
            continue;
        Core__VolumeMount *mount = NEW(arena, Core__VolumeMount, core__volume_mount);
        mount->name = arena_strdup(arena, volume);
        mount->has_read_only = true;
        mount->read_only = true;
        mount->mount_path = arena_strdup(arena, TOKEN_MOUNT_PATH);
        append(&container->volume_mounts, &container->n_volume_mounts, mount, arena);
        was_added = true;
    }
    return was_added;
}

static const char *random_volume_name(uint64_t random, struct arena *arena)
{
    char suffix[SUFFIX_LENGTH + 1] = "";
    for (size_t i = 0; i < SUFFIX_LENGTH; i++) {
        suffix[i] = SUFFIX_ALPHABET[random % strlen(SUFFIX_ALPHABET)];
        random /= strlen(SUFFIX_ALPHABET);
    }
    return arena_printf(arena, TOKEN_VOLUME_PREFIX "%s", suffix);
}

static void give_token(Core__PodSpec *spec, uint64_t random, struct arena *arena)
{
    const char *volume = NULL;
    for (size_t i = 0; !volume && i < spec->n_volumes; i++) {
        if (text_has_prefix(admission_text(spec->volumes[i]->name), TOKEN_VOLUME_PREFIX))
            volume = spec->volumes[i]->name;
    }
    bool has_volume = volume != NULL;
    if (!has_volume)
        volume = random_volume_name(random, arena);
    bool is_needed = mount_token(spec->init_containers, spec->n_init_containers, volume, arena);
    is_needed = mount_token(spec->containers, spec->n_containers, volume, arena) || is_needed;
    if (is_needed && !has_volume)
        add_token_volume(spec, volume, arena);
}

/* The pod's wish wins over the account's; without either it is yes. */
static bool wants_token(const Core__PodSpec *spec, const Core__ServiceAccount *account)
{
    if (spec->has_automount_service_account_token)
        return spec->automount_service_account_token;
    return !account->has_automount_service_account_token ||
           account->automount_service_account_token;
}

/* --- ServiceAccount --- */

static void give_pull_secrets(Core__PodSpec *spec, const Core__ServiceAccount *account,
                              struct arena *arena)
{
    for (size_t i = 0; i < account->n_image_pull_secrets; i++) {
        Core__LocalObjectReference *secret =
            NEW(arena, Core__LocalObjectReference, core__local_object_reference);
        secret->name = arena_strdup(arena, account->image_pull_secrets[i]->name);
        append(&spec->image_pull_secrets, &spec->n_image_pull_secrets, secret, arena);
    }
}

/* The old field's name still works; both say the same afterwards. */
static void name_account(Core__PodSpec *spec, struct arena *arena)
{
    const char *name = admission_text(spec->service_account_name);
    if (!name[0])
        name = admission_text(spec->service_account);
    if (!name[0])
        name = DEFAULT_ACCOUNT;
    spec->service_account_name = arena_strdup(arena, name);
    spec->service_account = arena_strdup(arena, name);
}

Meta__Status *admission_service_account(const struct admission_request *request, Core__Pod *pod)
{
    if (!admission_is_for(request, "", "pods") || admission_text(request->subresource)[0] ||
        request->operation != ADMISSION_CREATE || !pod->spec)
        return NULL;
    if (admission_is_mirror(pod))
        return check_mirror(request, pod);
    Core__PodSpec *spec = pod->spec;
    name_account(spec, request->arena);
    const Core__ServiceAccount *account = (const Core__ServiceAccount *)admission_get(
        request, ADMISSION_SERVICE_ACCOUNT, request->namespace_, spec->service_account_name);
    if (!account)
        return admission_forbidden(request,
                                   "error looking up service account %s/%s: serviceaccount \"%s\" "
                                   "not found",
                                   request->namespace_, spec->service_account_name,
                                   spec->service_account_name);
    if (wants_token(spec, account))
        give_token(spec, request->random, request->arena);
    if (spec->n_image_pull_secrets == 0)
        give_pull_secrets(spec, account, request->arena);
    return NULL;
}

/* --- Priority --- */

static const struct {
    const char *name;
    int32_t value;
} classes[] = {
    {"system-node-critical", 2000001000},
    {"system-cluster-critical", 2000000000},
};

static bool class_value(const char *name, int32_t *ret)
{
    if (!name[0]) {
        *ret = 0; /* DefaultPriorityWhenNoDefaultClassExists */
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (text_eq(name, classes[i].name)) {
            *ret = classes[i].value;
            return true;
        }
    }
    return false;
}

Meta__Status *admission_priority(const struct admission_request *request, Core__Pod *pod)
{
    static const char policy[] = "PreemptLowerPriority"; /* of both classes, and of none */
    if (!admission_is_for(request, "", "pods") || admission_text(request->subresource)[0] ||
        request->operation != ADMISSION_CREATE || !pod->spec)
        return NULL;
    Core__PodSpec *spec = pod->spec;
    const char *name = admission_text(spec->priority_class_name);
    int32_t value = 0;
    if (!class_value(name, &value))
        return admission_forbidden(request, "no PriorityClass with name %s was found", name);
    if (spec->has_priority && spec->priority != value)
        return admission_forbidden(
            request,
            "the integer value of priority (%d) must not be provided in pod spec; priority "
            "admission controller computed %d from the given PriorityClass name",
            (int)spec->priority, (int)value);
    if (spec->preemption_policy && !text_eq(spec->preemption_policy, policy))
        return admission_forbidden(
            request,
            "the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority "
            "admission controller computed %s from the given PriorityClass name",
            spec->preemption_policy, policy);
    spec->has_priority = true;
    spec->priority = value;
    spec->preemption_policy = arena_strdup(request->arena, policy);
    return NULL;
}

/* --- DefaultTolerationSeconds --- */

static bool tolerates(const Core__PodSpec *spec, const char *taint)
{
    for (size_t i = 0; i < spec->n_tolerations; i++) {
        const char *key = admission_text(spec->tolerations[i]->key);
        const char *effect = admission_text(spec->tolerations[i]->effect);
        if ((!key[0] || text_eq(key, taint)) && (!effect[0] || text_eq(effect, "NoExecute")))
            return true;
    }
    return false;
}

void admission_default_tolerations(Core__Pod *pod, struct arena *arena)
{
    static const char *const taints[] = {"node.kubernetes.io/not-ready",
                                         "node.kubernetes.io/unreachable"};
    for (size_t i = 0; pod->spec && i < ARRAY_SIZE(taints); i++) {
        if (tolerates(pod->spec, taints[i]))
            continue;
        Core__Toleration *toleration = NEW(arena, Core__Toleration, core__toleration);
        toleration->key = arena_strdup(arena, taints[i]);
        toleration->operator_ = arena_strdup(arena, "Exists");
        toleration->effect = arena_strdup(arena, "NoExecute");
        toleration->has_toleration_seconds = true;
        toleration->toleration_seconds = TOLERATION_S;
        append(&pod->spec->tolerations, &pod->spec->n_tolerations, toleration, arena);
    }
}
