/* The phase: counters over the spec's containers, then the first rule that matches (spec pods.md
 * §8.2). */
#include "pod/status_internal.h"

#include "kube/resources.h"

struct counts {
    size_t pending_init, failed_init_for_good, pending_sidecar;
    size_t unknown, running, waiting, stopped, stopped_for_good, succeeded;
};

static const Core__ContainerStateTerminated *end_of(const Core__ContainerStatus *entry)
{
    if (entry->state->terminated)
        return entry->state->terminated;
    if (entry->state->waiting && entry->last_state)
        return entry->last_state->terminated;
    return NULL;
}

/* Whether the plan would start the container again, judged by how it ended. */
static bool may_restart(const struct status_input *input, const Core__Container *container,
                        const Core__ContainerStateTerminated *end)
{
    if (text_eq(end->reason, REASON_RESTARTING_ALL))
        return true;
    struct container_observed like = {.state = CONTAINER_EXITED, .exit_code = end->exit_code};
    return container_should_start(input->pod, container, &like);
}

static void count_init(const struct status_input *input, const Core__Container *container,
                       const Core__ContainerStatus *entry, struct counts *counts)
{
    const Core__ContainerStateTerminated *end = entry ? end_of(entry) : NULL;
    if (!end) {
        counts->pending_init++;
        return;
    }
    if (end->exit_code != 0 && !may_restart(input, container, end))
        counts->failed_init_for_good++;
}

static void count_sidecar(const Core__ContainerStatus *entry, struct counts *counts)
{
    if (!entry) {
        counts->unknown++;
    } else if (entry->state->running) {
        counts->running++;
        counts->pending_sidecar += entry->started ? 0 : 1;
    } else if (entry->state->waiting && !entry->last_state->terminated) {
        counts->waiting++;
        counts->pending_sidecar++;
    }
}

static void count_regular(const struct status_input *input, const Core__Container *container,
                          const Core__ContainerStatus *entry, struct counts *counts)
{
    const Core__ContainerStateTerminated *end = entry ? end_of(entry) : NULL;
    if (!entry) {
        counts->unknown++;
    } else if (entry->state->running) {
        counts->running++;
    } else if (end) {
        counts->stopped++;
        counts->stopped_for_good += may_restart(input, container, end) ? 0 : 1;
        counts->succeeded += entry->state->terminated && end->exit_code == 0 ? 1 : 0;
    } else {
        counts->waiting++;
    }
}

/* A regular container in the current sandbox proves that initialisation was over (spec runtime.md
 * §4.2). */
static bool was_initialised(const struct status_input *input)
{
    const struct sandbox_observed *active = pod_observed_active_sandbox(input->have);
    const Core__PodSpec *spec = input->pod->spec;
    for (const struct container_observed *c = input->have->containers; active && c; c = c->next) {
        if (strcmp(c->sandbox_id, active->id) != 0)
            continue;
        for (size_t i = 0; i < spec->n_containers; i++) {
            if (text_eq(spec->containers[i]->name, c->name))
                return true;
        }
    }
    return false;
}

static struct counts count_containers(const struct status_input *input,
                                      const Core__PodStatus *status)
{
    const Core__PodSpec *spec = input->pod->spec;
    struct counts n = {0};
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *container = spec->init_containers[i];
        const Core__ContainerStatus *entry = status_find(
            status->init_container_statuses, status->n_init_container_statuses, container->name);
        if (container_is_sidecar(container))
            count_sidecar(entry, &n);
        else
            count_init(input, container, entry, &n);
    }
    for (size_t i = 0; i < spec->n_containers; i++) {
        const Core__Container *container = spec->containers[i];
        count_regular(
            input, container,
            status_find(status->container_statuses, status->n_container_statuses, container->name),
            &n);
    }
    return n;
}

/* All have stopped: for good, or only until the next restart. */
static const char *stopped_phase(const struct status_input *input, const struct counts *n)
{
    const char *end = n->stopped == n->succeeded ? "Succeeded" : "Failed";
    if (input->final && !input->is_static)
        return end;
    return n->stopped != n->stopped_for_good ? "Running" : end;
}

const char *status_phase(const struct status_input *input, const Core__PodStatus *status)
{
    struct counts n = count_containers(input, status);
    if (n.failed_init_for_good > 0)
        return "Failed";
    bool initialising = n.pending_init > 0 || n.pending_sidecar > 0;
    if ((initialising && !was_initialised(input)) || n.waiting > 0)
        return "Pending";
    if (n.running > 0 && n.unknown == 0)
        return "Running";
    if (n.running == 0 && n.stopped > 0 && n.unknown == 0)
        return stopped_phase(input, &n);
    return "Pending";
}
