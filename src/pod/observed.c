#include "pod/observed.h"

#include "base/arena.h"
#include "base/time.h"
#include "pod/labels.h"

#include <arpa/inet.h>

/* An instance and its texts are one allocation unit: the struct sits in its own arena. */
struct container_cell {
    struct container_observed instance;
    struct arena *arena;
};

struct sandbox_cell {
    struct sandbox_observed sandbox;
    struct arena *arena;
};

#define CELL_ARENA_BYTES 512

static const char *const state_names[] = {
    [CONTAINER_CREATED] = "created",
    [CONTAINER_RUNNING] = "running",
    [CONTAINER_EXITED] = "exited",
    [CONTAINER_UNKNOWN] = "unknown",
};
_Static_assert(ARRAY_SIZE(state_names) == CONTAINER_UNKNOWN + 1, "name every state");

const char *container_state_name(enum container_state state)
{
    return state_names[state];
}

static void container_cell_free(struct container_observed *instance)
{
    arena_free(CONTAINER_OF(instance, struct container_cell, instance)->arena);
}

static void sandbox_cell_free(struct sandbox_observed *sandbox)
{
    arena_free(CONTAINER_OF(sandbox, struct sandbox_cell, sandbox)->arena);
}

void pod_observed_clear(struct pod_observed *have)
{
    while (have->containers)
        pod_observed_drop_container(have, have->containers->id);
    while (have->sandboxes)
        pod_observed_drop_sandbox(have, have->sandboxes->id);
}

/* --- sandboxes --- */

static bool ip_is_valid(const char *text)
{
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* One address that does not parse spoils the list: no IPs at all (spec runtime.md §2.8). */
static void read_ips(struct sandbox_observed *sandbox, const Cri__PodSandboxNetworkStatus *network,
                     struct arena *arena)
{
    if (!network)
        return;
    sandbox->has_network = true;
    size_t count = 0;
    const char **ips = arena_calloc(arena, network->n_additional_ips + 1, sizeof(*ips));
    if (network->ip && network->ip[0] != '\0')
        ips[count++] = arena_strdup(arena, network->ip);
    for (size_t i = 0; i < network->n_additional_ips; i++) {
        if (network->additional_ips[i] && network->additional_ips[i]->ip)
            ips[count++] = arena_strdup(arena, network->additional_ips[i]->ip);
    }
    for (size_t i = 0; i < count; i++) {
        if (!ip_is_valid(ips[i]))
            return;
    }
    sandbox->ips = ips;
    sandbox->n_ips = count;
}

static bool sandbox_is_newer(const struct sandbox_observed *a, const struct sandbox_observed *b)
{
    if (a->attempt != b->attempt)
        return a->attempt > b->attempt;
    if (a->created_ns != b->created_ns)
        return a->created_ns > b->created_ns;
    return strcmp(a->id, b->id) < 0;
}

static void read_seen(struct sandbox_observed *sandbox, const Cri__PodSandboxStatus *status)
{
    for (size_t i = 0; i < status->n_annotations; i++) {
        if (!text_eq(status->annotations[i]->key, ANNOTATION_CONFIG_SEEN))
            continue;
        struct error *err =
            time_parse_rfc3339(str_from(status->annotations[i]->value), &sandbox->seen_ns);
        error_ignore(err, "what cannot be read counts as absent, like every annotation here");
    }
}

struct sandbox_observed *pod_observed_put_sandbox(struct pod_observed *have,
                                                  const Cri__PodSandboxStatus *status)
{
    struct arena *arena = arena_new(CELL_ARENA_BYTES);
    struct sandbox_cell *cell = arena_alloc(arena, sizeof(*cell));
    cell->arena = arena;
    struct sandbox_observed *sandbox = &cell->sandbox;
    sandbox->id = arena_strdup(arena, status->id);
    sandbox->ready = status->state == CRI__POD_SANDBOX_STATE__SANDBOX_READY;
    sandbox->attempt = status->metadata ? status->metadata->attempt : 0;
    sandbox->created_ns = status->created_at;
    const Cri__LinuxPodSandboxStatus *os = status->linux;
    if (os && os->namespaces && os->namespaces->options)
        sandbox->host_network = os->namespaces->options->network == CRI__NAMESPACE_MODE__NODE;
    read_ips(sandbox, status->network, arena);
    read_seen(sandbox, status);

    pod_observed_drop_sandbox(have, sandbox->id);
    struct sandbox_observed **place = &have->sandboxes;
    while (*place && sandbox_is_newer(*place, sandbox))
        place = &(*place)->next;
    sandbox->next = *place;
    *place = sandbox;
    return sandbox;
}

void pod_observed_drop_sandbox(struct pod_observed *have, const char *id)
{
    for (struct sandbox_observed **place = &have->sandboxes; *place; place = &(*place)->next) {
        if (strcmp((*place)->id, id) != 0)
            continue;
        struct sandbox_observed *gone = *place;
        *place = gone->next;
        sandbox_cell_free(gone);
        return;
    }
}

struct sandbox_observed *pod_observed_sandbox(const struct pod_observed *have, const char *id)
{
    struct sandbox_observed *sandbox = have->sandboxes;
    while (sandbox && strcmp(sandbox->id, id) != 0)
        sandbox = sandbox->next;
    return sandbox;
}

const struct sandbox_observed *pod_observed_active_sandbox(const struct pod_observed *have)
{
    return have->sandboxes && have->sandboxes->ready ? have->sandboxes : NULL;
}

/* --- containers --- */

static const char *text_of(struct arena *arena, const char *text)
{
    return text && text[0] != '\0' ? arena_strdup(arena, text) : "";
}

static const char *label_of(const Cri__ContainerStatus *status, const char *key)
{
    for (size_t i = 0; i < status->n_labels; i++) {
        if (text_eq(status->labels[i]->key, key))
            return status->labels[i]->value;
    }
    return NULL;
}

static const char *annotation_of(const Cri__ContainerStatus *status, const char *key)
{
    for (size_t i = 0; i < status->n_annotations; i++) {
        if (text_eq(status->annotations[i]->key, key))
            return status->annotations[i]->value;
    }
    return NULL;
}

static enum container_state state_from_cri(Cri__ContainerState state)
{
    if (state == CRI__CONTAINER_STATE__CONTAINER_CREATED)
        return CONTAINER_CREATED;
    if (state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
        return CONTAINER_RUNNING;
    if (state == CRI__CONTAINER_STATE__CONTAINER_EXITED)
        return CONTAINER_EXITED;
    return CONTAINER_UNKNOWN; /* also any value a newer runtime may invent */
}

/* One to eight hexadecimal digits and nothing else; 0 for any other text. */
static uint32_t parse_hash(const char *text)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    if (digits == 0 || digits > 8 || text[digits] != '\0')
        return 0;
    return (uint32_t)strtoul(text, NULL, 16);
}

/* Annotations that cannot be read count as absent: they are the runtime's copy of what a kubelet
 * wrote. */
static void read_annotations(struct container_observed *instance,
                             const Cri__ContainerStatus *status)
{
    int64_t number;
    const char *count = annotation_of(status, ANNOTATION_RESTART_COUNT);
    if (count && parse_i64(count, 0, INT32_MAX, &number))
        instance->restart_count = (int32_t)number;

    const char *hash = annotation_of(status, ANNOTATION_HASH);
    if (hash)
        instance->hash = parse_hash(hash);

    const char *grace = annotation_of(status, ANNOTATION_DELETION_GRACE);
    if (!grace)
        grace = annotation_of(status, ANNOTATION_TERMINATION_GRACE);
    if (grace && parse_i64(grace, 0, INT64_MAX, &number)) {
        instance->has_grace = true;
        instance->grace_s = number;
    }
}

/* The host file is found through the mounts, so also for a container that another kubelet started.
 */
static void read_termination(struct container_observed *instance,
                             const Cri__ContainerStatus *status, struct arena *arena)
{
    instance->termination_from_logs =
        text_eq(annotation_of(status, ANNOTATION_MESSAGE_POLICY), "FallbackToLogsOnError");
    const char *path = annotation_of(status, ANNOTATION_MESSAGE_PATH);
    for (size_t i = 0; path && path[0] != '\0' && i < status->n_mounts; i++) {
        if (text_eq(status->mounts[i]->container_path, path))
            instance->termination_path = arena_strdup(arena, status->mounts[i]->host_path);
    }
}

static void read_user(struct container_observed *instance, const Cri__ContainerStatus *status,
                      struct arena *arena)
{
    const Cri__LinuxContainerUser *user = status->user ? status->user->linux : NULL;
    if (!user)
        return;
    instance->has_user = true;
    instance->uid = user->uid;
    instance->gid = user->gid;
    instance->n_groups = user->n_supplemental_groups;
    if (user->n_supplemental_groups > 0)
        instance->groups = arena_memdup(arena, user->supplemental_groups,
                                        user->n_supplemental_groups * sizeof(int64_t));
}

static void read_resources(struct container_observed *instance, const Cri__ContainerStatus *status)
{
    const Cri__LinuxContainerResources *resources =
        status->resources ? status->resources->linux : NULL;
    if (!resources)
        return;
    instance->has_resources = true;
    instance->cpu_shares = resources->cpu_shares;
    instance->cpu_quota = resources->cpu_quota;
    instance->cpu_period = resources->cpu_period;
    instance->memory_limit_bytes = resources->memory_limit_in_bytes;
}

static void read_images(struct container_observed *instance, const Cri__ContainerStatus *status,
                        struct arena *arena)
{
    instance->image = text_of(arena, status->image ? status->image->image : NULL);
    instance->image_ref = text_of(arena, status->image_ref);
    bool has_id = status->image_id && status->image_id[0] != '\0';
    instance->image_id = has_id ? text_of(arena, status->image_id) : instance->image_ref;
}

static struct container_observed *instance_from_cri(const char *sandbox_id,
                                                    const Cri__ContainerStatus *status)
{
    struct arena *arena = arena_new(CELL_ARENA_BYTES);
    struct container_cell *cell = arena_alloc(arena, sizeof(*cell));
    cell->arena = arena;
    struct container_observed *instance = &cell->instance;
    const char *name = label_of(status, LABEL_CONTAINER_NAME);
    if (!name && status->metadata)
        name = status->metadata->name;
    instance->id = arena_strdup(arena, status->id);
    instance->name = text_of(arena, name);
    instance->sandbox_id = text_of(arena, sandbox_id);
    instance->log_path = text_of(arena, status->log_path);
    instance->reason = instance->message = "";
    instance->state = state_from_cri(status->state);
    instance->created_ns = status->created_at;
    if (instance->state != CONTAINER_CREATED)
        instance->started_ns = status->started_at;
    if (instance->state == CONTAINER_EXITED) {
        instance->finished_ns = status->finished_at;
        instance->exit_code = status->exit_code;
        instance->reason = text_of(arena, status->reason);
        instance->message = text_of(arena, status->message);
    }
    read_images(instance, status, arena);
    read_annotations(instance, status);
    read_termination(instance, status, arena);
    instance->stop_signal = status->stop_signal;
    read_user(instance, status, arena);
    read_resources(instance, status);
    return instance;
}

static bool container_is_newer(const struct container_observed *a,
                               const struct container_observed *b)
{
    if (a->created_ns != b->created_ns)
        return a->created_ns > b->created_ns;
    return strcmp(a->id, b->id) < 0;
}

/* An instance is created, runs and exits, once each: a status that says less than an earlier one
 * was overtaken. */
static bool is_overtaken(const struct container_observed *old,
                         const struct container_observed *instance)
{
    return old->state != CONTAINER_UNKNOWN && instance->state != CONTAINER_UNKNOWN &&
           instance->state < old->state;
}

struct container_observed *pod_observed_put_container(struct pod_observed *have,
                                                      const char *sandbox_id,
                                                      const Cri__ContainerStatus *status)
{
    struct container_observed *instance = instance_from_cri(sandbox_id, status);
    struct container_observed *old = pod_observed_container(have, instance->id);
    if (old && is_overtaken(old, instance)) {
        container_cell_free(instance);
        return old;
    }
    if (old) {
        struct arena *arena = CONTAINER_OF(instance, struct container_cell, instance)->arena;
        if (instance->sandbox_id[0] == '\0')
            instance->sandbox_id = text_of(arena, old->sandbox_id);
        if (old->state == CONTAINER_EXITED && instance->state == CONTAINER_EXITED &&
            old->message_is_final) {
            instance->message = text_of(arena, old->message);
            instance->message_is_final = true;
        }
        instance->stop_begun = old->stop_begun;
        pod_observed_drop_container(have, instance->id);
    }
    struct container_observed **place = &have->containers;
    while (*place && container_is_newer(*place, instance))
        place = &(*place)->next;
    instance->next = *place;
    *place = instance;
    return instance;
}

void pod_observed_drop_container(struct pod_observed *have, const char *id)
{
    for (struct container_observed **place = &have->containers; *place; place = &(*place)->next) {
        if (strcmp((*place)->id, id) != 0)
            continue;
        struct container_observed *gone = *place;
        *place = gone->next;
        container_cell_free(gone);
        return;
    }
}

void container_observed_set_termination(struct container_observed *instance, const char *text)
{
    struct arena *arena = CONTAINER_OF(instance, struct container_cell, instance)->arena;
    instance->message_is_final = true;
    if (text[0] == '\0')
        return;
    instance->message = instance->message[0] != '\0'
                            ? arena_printf(arena, "%s: %s", instance->message, text)
                            : arena_strdup(arena, text);
}

struct container_observed *pod_observed_container(const struct pod_observed *have, const char *id)
{
    struct container_observed *instance = have->containers;
    while (instance && strcmp(instance->id, id) != 0)
        instance = instance->next;
    return instance;
}

static const struct container_observed *next_named(const struct container_observed *from,
                                                   const char *name)
{
    while (from && strcmp(from->name, name) != 0)
        from = from->next;
    return from;
}

const struct container_observed *pod_observed_newest(const struct pod_observed *have,
                                                     const char *name)
{
    return next_named(have->containers, name);
}

const struct container_observed *pod_observed_previous(const struct pod_observed *have,
                                                       const char *name)
{
    const struct container_observed *newest = pod_observed_newest(have, name);
    return newest ? next_named(newest->next, name) : NULL;
}

bool pod_observed_is_running(const struct pod_observed *have)
{
    for (const struct sandbox_observed *sandbox = have->sandboxes; sandbox;
         sandbox = sandbox->next) {
        if (sandbox->ready)
            return true;
    }
    for (const struct container_observed *c = have->containers; c; c = c->next) {
        if (c->state == CONTAINER_RUNNING)
            return true;
    }
    return false;
}
