/*
 * Where a pod stands among its init containers (spec pods.md §5.3): read from the last to the
 * first, the last one that has an instance tells. Plain ones run one after the other to success;
 * sidecars start in the same order, count as done once they have started and go on beside the rest.
 */
#include "pod/plan_internal.h"

#include "kube/resources.h"

static void walk_running_sidecar(struct plan_pass *pass, struct plan_init *walk, size_t index,
                                 bool seen, const struct container_observed *instance)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    const Core__Container *container = spec->init_containers[index];
    const struct container_note *note = pod_plan_note(pass->env, container->name);
    if (note->has_startup && note->startup != PROBE_SUCCESS) {
        if (note->startup == PROBE_FAILURE)
            plan_kill(pass, instance, plan_grace(pass, instance, container->startup_probe),
                      plan_text(pass, "Init container %s failed startup probe", container->name),
                      true);
        return;
    }
    if (index + 1 == spec->n_init_containers)
        walk->initialised = true;
    else if (!seen)
        walk->starts[index + 1] = true;
    if (plan_has_changed(container, instance))
        plan_kill(pass, instance, plan_grace(pass, instance, NULL),
                  plan_text(pass, "Init container %s definition changed", container->name), true);
    else if (note->has_liveness && note->liveness == PROBE_FAILURE)
        plan_kill(pass, instance, plan_grace(pass, instance, container->liveness_probe),
                  plan_text(pass, "Init container %s failed liveness probe", container->name),
                  true);
}

static void walk_exited(struct plan_pass *pass, struct plan_init *walk, size_t index,
                        const struct container_observed *instance)
{
    const Core__Pod *pod = pass->want->pod;
    const Core__Container *container = pod->spec->init_containers[index];
    if (container_is_sidecar(container)) {
        walk->starts[index] = true;
        return;
    }
    bool failed = instance->exit_code != 0 || strcmp(instance->reason, "OOMKilled") == 0;
    if (failed && container_should_start(pod, container, instance))
        walk->starts[index] = true;
    else if (failed)
        walk->kill_pod = true;
    else if (index + 1 == pod->spec->n_init_containers)
        walk->initialised = true;
    else
        walk->starts[index + 1] = true;
}

static void walk_unknown(struct plan_pass *pass, struct plan_init *walk, size_t index,
                         const struct container_observed *instance)
{
    const Core__Pod *pod = pass->want->pod;
    const Core__Container *container = pod->spec->init_containers[index];
    if (!container_is_sidecar(container) && container_policy_is(pod, container, "Never"))
        walk->kill_pod = true;
    else
        plan_kill(pass, instance, plan_grace(pass, instance, NULL),
                  "Init container is in \"unknown\" state, try killing it before restart", true);
}

/* One that is created or running proves that initialisation was over; one that has exited does not,
 * nor does one that was created in a sandbox before this one and never ran. */
static bool some_regular_was_started(const struct plan_pass *pass)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    const struct sandbox_observed *sandbox = pod_observed_active_sandbox(pass->have);
    for (size_t i = 0; i < spec->n_containers; i++) {
        const struct container_observed *c =
            pod_observed_newest(pass->have, spec->containers[i]->name);
        bool is_created = c && c->state == CONTAINER_CREATED && sandbox &&
                          strcmp(c->sandbox_id, sandbox->id) == 0;
        if (is_created || (c && c->state == CONTAINER_RUNNING))
            return true;
    }
    return false;
}

struct plan_init plan_walk_init(struct plan_pass *pass)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    struct plan_init walk = {
        .starts = arena_calloc(pass->out->arena, spec->n_init_containers + 1, sizeof(bool)),
        .initialised = spec->n_init_containers == 0};
    walk.initialised = walk.initialised || some_regular_was_started(pass);
    bool seen = walk.initialised;
    for (size_t i = spec->n_init_containers; i-- > 0 && !walk.kill_pod;) {
        const Core__Container *container = spec->init_containers[i];
        bool sidecar = container_is_sidecar(container);
        const struct container_observed *instance =
            pod_observed_newest(pass->have, container->name);
        if (!instance) {
            walk.starts[i] = walk.starts[i] || (seen && sidecar);
            continue;
        }
        if (seen && !sidecar)
            continue;
        switch (instance->state) {
        case CONTAINER_CREATED:
            walk.starts[i] = true;
            break;
        case CONTAINER_RUNNING:
            if (sidecar)
                walk_running_sidecar(pass, &walk, i, seen, instance);
            break;
        case CONTAINER_EXITED:
            walk_exited(pass, &walk, i, instance);
            break;
        case CONTAINER_UNKNOWN:
            walk_unknown(pass, &walk, i, instance);
            break;
        }
        seen = true;
    }
    if (!seen && spec->n_init_containers > 0)
        walk.starts[0] = true;
    return walk;
}
