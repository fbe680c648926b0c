/*
 * RestartAllContainers (spec pods.md §5.8): the exit of one container takes all init and regular
 * containers away, with the sandbox, the volumes and the ephemeral containers staying; then the pod
 * begins anew at its first init container. Who asked for it goes last, so that an agent that was
 * restarted in between still sees what was asked for.
 */
#include "pod/plan_internal.h"

#include "kube/resources.h"

static bool restarts_all(const Core__Container *container, int32_t exit_code)
{
    const Core__ContainerRestartRule *rule = container_deciding_rule(container, exit_code);
    return rule && text_eq(rule->action, ACTION_RESTART_ALL_CONTAINERS);
}

bool pod_has_restart_all_rule(const Core__Pod *pod)
{
    const Core__Container *container;
    for (size_t i = 0; (container = pod_container_at(pod->spec, i)); i++) {
        for (size_t r = 0; r < container->n_restart_policy_rules; r++) {
            if (text_eq(container->restart_policy_rules[r]->action, ACTION_RESTART_ALL_CONTAINERS))
                return true;
        }
    }
    return false;
}

/* --- is it asked for? --- */

static const Core__ContainerStateTerminated *told_end(const Core__PodStatus *status,
                                                      const char *name)
{
    const struct {
        Core__ContainerStatus *const *entries;
        size_t count;
    } lists[] = {{status->init_container_statuses, status->n_init_container_statuses},
                 {status->container_statuses, status->n_container_statuses}};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (size_t k = 0; k < lists[i].count; k++) {
            const Core__ContainerStatus *entry = lists[i].entries[k];
            if (text_eq(entry->name, name))
                return entry->state ? entry->state->terminated : NULL;
        }
    }
    return NULL;
}

/* By how its newest instance ended; of one that is gone, by what was told of it. */
static bool asks(const Core__Container *container, const struct pod_observed *have,
                 const Core__PodStatus *status)
{
    const struct container_observed *newest = pod_observed_newest(have, container->name);
    if (newest)
        return newest->state == CONTAINER_EXITED && restarts_all(container, newest->exit_code);
    const Core__ContainerStateTerminated *end = status ? told_end(status, container->name) : NULL;
    return end && restarts_all(container, end->exit_code);
}

bool pod_told_restarting_all(const Core__PodStatus *status)
{
    return pod_condition_is_true(status, CONDITION_ALL_RESTARTING);
}

bool pod_restarts_all(const Core__Pod *pod, const struct pod_observed *have,
                      const Core__PodStatus *status)
{
    if (!pod_has_restart_all_rule(pod))
        return false;
    bool is_asked = pod_told_restarting_all(status), is_left = false;
    const Core__Container *container;
    for (size_t i = 0; (container = pod_container_at(pod->spec, i)); i++) {
        is_asked = is_asked || asks(container, have, status);
        is_left = is_left || pod_observed_newest(have, container->name);
    }
    return is_asked && is_left;
}

/* --- the order in which instances go --- */

enum group { OTHER_REGULAR, OTHER_INIT, ASKING_REGULAR, ASKING_INIT, STAYS };

static enum group group_of(const struct plan_pass *pass, const struct container_observed *instance)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    const Core__Container *container;
    for (size_t i = 0; (container = pod_container_at(spec, i)); i++) {
        if (!text_eq(container->name, instance->name))
            continue;
        bool is_asking = instance == pod_observed_newest(pass->have, instance->name) &&
                         asks(container, pass->have, NULL);
        if (i < spec->n_init_containers)
            return is_asking ? ASKING_INIT : OTHER_INIT;
        return is_asking ? ASKING_REGULAR : OTHER_REGULAR;
    }
    return STAYS;
}

void plan_restart_all(struct plan_pass *pass)
{
    enum group first = STAYS;
    for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
        if (group_of(pass, c) < first)
            first = group_of(pass, c);
    }
    for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
        if (first != STAYS && group_of(pass, c) == first)
            plan_take_away(pass, c);
    }
}
