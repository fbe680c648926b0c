#include "cli/pod_target.h"

#include "base/buf.h"

#define DEFAULT_CONTAINER "kubectl.kubernetes.io/default-container"
#define NAMES_MAX_BYTES (64 * KiB)

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* --- pods --- */

static bool is_called(const Core__Pod *pod, const char *name, bool with_node)
{
    const char *have = or_empty(pod->metadata->name);
    if (!with_node)
        return strcmp(have, name) == 0;
    AUTO(free)
    char *full = xasprintf("%s-%s", name, pod->spec ? or_empty(pod->spec->node_name) : "");
    return strcmp(have, full) == 0;
}

static const Core__Pod *find(const Core__PodList *list, const char *namespace, const char *name)
{
    for (int with_node = 0; with_node < 2; with_node++) {
        for (size_t i = 0; i < list->n_items; i++) {
            const Core__Pod *pod = list->items[i];
            if (pod->metadata && (!namespace || text_eq(pod->metadata->namespace_, namespace)) &&
                is_called(pod, name, with_node == 1))
                return pod;
        }
    }
    return NULL;
}

struct error *pod_target_find(const Core__PodList *list, const char *namespace, const char *name,
                              struct pod_target *ret)
{
    static const char kind[] = "pod/";
    if (text_has_prefix(name, kind))
        name += sizeof(kind) - 1;
    const Core__Pod *pod = find(list, namespace, name);
    if (pod) {
        *ret = (struct pod_target){.pod = pod,
                                   .namespace = or_empty(pod->metadata->namespace_),
                                   .name = pod->metadata->name};
        return NULL;
    }
    const Core__Pod *other = find(list, NULL, name);
    if (other)
        return error_new(ERROR_NOT_FOUND,
                         "there is no pod \"%s\" in namespace \"%s\" on this node, but one in "
                         "namespace \"%s\": use --namespace",
                         name, or_empty(namespace), or_empty(other->metadata->namespace_));
    return error_new(ERROR_NOT_FOUND, "there is no pod \"%s\"%s%s%s on this node", name,
                     namespace ? " in namespace \"" : "", or_empty(namespace),
                     namespace ? "\"" : "");
}

/* --- containers --- */

/* The kinds of containers as one row, in the order in which they are told. */
struct container {
    const char *name, *suffix;
    bool has_input, has_tty;
};

static struct container regular(const Core__Container *from, const char *suffix)
{
    return (struct container){.name = or_empty(from->name),
                              .suffix = suffix,
                              .has_input = from->has_stdin && from->stdin,
                              .has_tty = from->has_tty && from->tty};
}

static struct container ephemeral(const Core__EphemeralContainer *from)
{
    const Core__EphemeralContainerCommon *common = from->ephemeral_container_common;
    if (!common)
        return (struct container){.name = "", .suffix = ""};
    return (struct container){.name = or_empty(common->name),
                              .suffix = " (ephem)",
                              .has_input = common->has_stdin && common->stdin,
                              .has_tty = common->has_tty && common->tty};
}

static bool container_at(const Core__PodSpec *spec, size_t index, struct container *ret)
{
    if (!spec)
        return false;
    size_t after_regular = spec->n_containers,
           after_ephemeral = after_regular + spec->n_ephemeral_containers;
    if (index < after_regular)
        *ret = regular(spec->containers[index], "");
    else if (index < after_ephemeral)
        *ret = ephemeral(spec->ephemeral_containers[index - after_regular]);
    else if (index < after_ephemeral + spec->n_init_containers)
        *ret = regular(spec->init_containers[index - after_ephemeral], " (init)");
    else
        return false;
    return true;
}

static bool find_container(const struct pod_target *target, const char *name, struct container *ret)
{
    for (size_t i = 0; container_at(target->pod->spec, i, ret); i++) {
        if (strcmp(ret->name, name) == 0)
            return true;
    }
    return false;
}

const char *pod_target_containers(const struct pod_target *target, struct arena *arena)
{
    AUTO(buf) struct buf names;
    buf_init(&names, NAMES_MAX_BYTES);
    struct container container;
    for (size_t i = 0; container_at(target->pod->spec, i, &container); i++)
        buf_printf(&names, "%s%s%s", i == 0 ? "" : ", ", container.name, container.suffix);
    return arena_strdup(arena, buf_text(&names));
}

/* What the pod itself says is meant; NULL: nothing. */
static const char *annotated(const Core__Pod *pod)
{
    for (size_t i = 0; i < pod->metadata->n_annotations; i++) {
        if (text_eq(pod->metadata->annotations[i]->key, DEFAULT_CONTAINER))
            return pod->metadata->annotations[i]->value;
    }
    return NULL;
}

struct error *pod_target_choose(struct pod_target *target, const char *name)
{
    struct container container, second;
    const char *meant = name ? name : annotated(target->pod);
    if (meant && find_container(target, meant, &container)) {
        target->is_default = false;
    } else if (name) {
        AUTO(arena) struct arena *arena = arena_new(0);
        return error_new(ERROR_NOT_FOUND, "pod \"%s\" has no container \"%s\" but: %s",
                         target->name, name, pod_target_containers(target, arena));
    } else if (container_at(target->pod->spec, 0, &container)) {
        target->is_default = container_at(target->pod->spec, 1, &second);
    } else {
        return error_new(ERROR_NOT_FOUND, "pod \"%s\" has no containers", target->name);
    }
    target->container = container.name;
    target->has_input = container.has_input;
    target->has_tty = container.has_tty;
    return NULL;
}

static const Core__ContainerState *state_in(Core__ContainerStatus *const *statuses, size_t count,
                                            const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(statuses[i]->name, name))
            return statuses[i]->state;
    }
    return NULL;
}

static const Core__ContainerState *state_of(const Core__PodStatus *status, const char *name)
{
    if (!status)
        return NULL;
    const Core__ContainerState *state =
        state_in(status->container_statuses, status->n_container_statuses, name);
    if (!state)
        state = state_in(status->init_container_statuses, status->n_init_container_statuses, name);
    if (!state)
        state = state_in(status->ephemeral_container_statuses,
                         status->n_ephemeral_container_statuses, name);
    return state;
}

struct error *pod_target_check_running(const struct pod_target *target)
{
    const Core__ContainerState *state = state_of(target->pod->status, target->container);
    if (state && state->running)
        return NULL;
    const char *why = "it has not been started";
    if (state && state->waiting)
        why = or_empty(state->waiting->reason);
    else if (state && state->terminated)
        why = or_empty(state->terminated->reason);
    return error_new(ERROR_FAILED_PRECONDITION, "container \"%s\" of pod \"%s\" is not running%s%s",
                     target->container, target->name, why[0] != '\0' ? ": " : "", why);
}
