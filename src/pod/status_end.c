/* How containers end in the status: all of them with their pod, and none of them twice (spec
 * pods.md §8.7, §8.8). */
#include "pod/status_internal.h"

#include "kube/resources.h"

/* --- the pod was terminated --- */

static void end_entry(Core__ContainerStatus *entry, struct arena *arena)
{
    if (status_is_terminated(entry))
        return;
    entry->state =
        status_lost_state(arena, "The container could not be located when the pod was terminated");
    entry->ready = entry->started = false;
}

static bool was_started(const Core__ContainerStatus *entry)
{
    return entry->state->running || entry->state->terminated || entry->last_state->terminated;
}

void status_end_containers(const struct status_input *input, Core__PodStatus *status,
                           struct arena *arena)
{
    if (!input->terminated)
        return;
    size_t last_started = 0; /* at least the first init container counts as tried */
    bool initialised = true;
    for (size_t i = 0; i < status->n_init_container_statuses; i++) {
        if (was_started(status->init_container_statuses[i]))
            last_started = i;
        if (!status->init_container_statuses[i]->ready &&
            !container_is_sidecar(input->pod->spec->init_containers[i]))
            initialised = false;
    }
    for (size_t i = 0; i < status->n_init_container_statuses && i <= last_started; i++)
        end_entry(status->init_container_statuses[i], arena);
    for (size_t i = 0; initialised && i < status->n_container_statuses; i++)
        end_entry(status->container_statuses[i], arena);
}

/* --- what has ended stays ended (spec pods.md §8.7) --- */

/* Judged by its end alone: that the pod is being deleted now makes no earlier restart wrong. */
static bool may_come_back(const Core__Pod *pod, const Core__Container *container,
                          const Core__ContainerStateTerminated *end)
{
    struct container_observed like = {.state = CONTAINER_EXITED, .exit_code = end->exit_code};
    Core__Pod kept = *pod; /* shallow */
    kept.metadata = NULL;
    return container_should_start(&kept, container, &like);
}

struct entries {
    Core__ContainerStatus **list;
    size_t count;
};

static void keep_ended(const struct status_input *input, const Core__Container *container,
                       struct entries old, struct entries now, struct arena *arena)
{
    const Core__ContainerStatus *before = status_find(old.list, old.count, container->name);
    if (!status_is_terminated(before) ||
        may_come_back(input->pod, container, before->state->terminated))
        return;
    for (size_t i = 0; i < now.count; i++) {
        if (text_eq(now.list[i]->name, container->name) && !status_is_terminated(now.list[i]))
            now.list[i] = (Core__ContainerStatus *)(void *)kube_message_dup(&before->base, arena);
    }
}

/*
 * Upstream drops the update of the whole pod. Here the others are still told: only the container
 * that cannot be what it seems keeps its end until it has another one.
 */
void status_keep_ended(const struct status_input *input, Core__PodStatus *status,
                       struct arena *arena)
{
    const Core__PodSpec *spec = input->pod->spec;
    const Core__PodStatus *old = input->old;
    if (!old || text_eq(spec->restart_policy, "Always") || pod_has_restart_all_rule(input->pod))
        return;
    for (size_t i = 0; i < spec->n_init_containers; i++)
        keep_ended(
            input, spec->init_containers[i],
            (struct entries){old->init_container_statuses, old->n_init_container_statuses},
            (struct entries){status->init_container_statuses, status->n_init_container_statuses},
            arena);
    for (size_t i = 0; i < spec->n_containers; i++)
        keep_ended(input, spec->containers[i],
                   (struct entries){old->container_statuses, old->n_container_statuses},
                   (struct entries){status->container_statuses, status->n_container_statuses},
                   arena);
}
