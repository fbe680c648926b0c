/*
 * One pass over one pod.
 *
 * SYNC: kill what must not run, then, once that is gone: cgroup, volumes, sandbox, init containers
 * in order, regular containers in order. Only the steps that can be taken now are in the plan; each
 * completed step wakes the pod and it is planned anew, so the plan never has to foresee what a step
 * will find.
 *
 * TERMINATING: regular containers first, sidecars after them in reverse order within what is left
 * of the grace period, though their hooks run at once, then the sandboxes. TERMINATED: disk and
 * cgroup; for a removed pod also everything the runtime remembers of it.
 */
#include "pod/plan_internal.h"

#include "kube/resources.h"
#include "pod/cri_config.h"

/* kuberuntime_manager.go minimumGracePeriodInSeconds: StopContainer is never sent less. */
#define GRACE_FLOOR_S 2

static const char *const action_names[] = {
    [POD_ACTION_ENSURE_CGROUP] = "EnsureCgroup",
    [POD_ACTION_ENSURE_VOLUMES] = "EnsureVolumes",
    [POD_ACTION_CREATE_SANDBOX] = "CreateSandbox",
    [POD_ACTION_START_CONTAINER] = "StartContainer",
    [POD_ACTION_CLEAN_DISK] = "CleanDisk",
    [POD_ACTION_FINISH] = "Finish",
    [POD_ACTION_BEGIN_STOP] = "BeginStop",
    [POD_ACTION_KILL_CONTAINER] = "KillContainer",
    [POD_ACTION_STOP_SANDBOX] = "StopSandbox",
    [POD_ACTION_REMOVE_CONTAINER] = "RemoveContainer",
    [POD_ACTION_REMOVE_SANDBOX] = "RemoveSandbox",
};
_Static_assert(ARRAY_SIZE(action_names) == POD_ACTION_KIND_COUNT, "name every action");

const char *pod_action_name(enum pod_action_kind kind)
{
    return action_names[kind];
}

const struct container_note *pod_plan_note(const struct pod_plan_env *env, const char *name)
{
    static const struct container_note none = {.name = ""};
    for (size_t i = 0; i < env->n_notes; i++) {
        if (text_eq(env->notes[i].name, name))
            return &env->notes[i];
    }
    return &none;
}

/* --- building the plan --- */

static void act(struct plan_pass *pass, struct pod_action action)
{
    struct pod_plan *out = pass->out;
    if ((out->n_actions & (out->n_actions - 1)) == 0) { /* full at 0, 1, 2, 4, 8, … */
        size_t room = out->n_actions ? out->n_actions * 2 : 1;
        struct pod_action *grown = arena_calloc(out->arena, room, sizeof(*grown));
        if (out->n_actions > 0)
            memcpy(grown, out->actions, out->n_actions * sizeof(*grown));
        out->actions = grown;
    }
    out->actions[out->n_actions++] = action;
}

static void look_again(struct plan_pass *pass, int64_t at_ns)
{
    struct pod_plan *out = pass->out;
    if (!out->has_next_look || at_ns < out->next_look_ns) {
        out->has_next_look = true;
        out->next_look_ns = at_ns;
    }
}

/* True when @at_ns (0: never set) has come; else the pod looks again then. */
static bool is_due(struct plan_pass *pass, int64_t at_ns)
{
    if (at_ns <= pass->env->now_ns)
        return true;
    look_again(pass, at_ns);
    return false;
}

static void add_waiting(struct plan_pass *pass, const Core__Container *container, int64_t wait_ns,
                        int64_t until_ns)
{
    struct pod_plan *out = pass->out;
    const Core__PodSpec *spec = pass->want->pod->spec;
    if (!out->waiting)
        out->waiting = arena_calloc(out->arena, spec->n_containers + spec->n_init_containers,
                                    sizeof(*out->waiting));
    out->waiting[out->n_waiting++] =
        (struct pod_waiting){.container = container, .backoff_ns = wait_ns, .until_ns = until_ns};
    look_again(pass, until_ns);
}

/* --- killing --- */

int64_t plan_grace(const struct plan_pass *pass, const struct container_observed *instance,
                   const Core__Probe *probe)
{
    const struct pod_desired *want = pass->want;
    if (want->has_grace)
        return want->grace_s;
    if (!want->pod)
        return instance->has_grace ? instance->grace_s : GRACE_FLOOR_S;
    if (probe && probe->has_termination_grace_period_seconds &&
        !want->pod->metadata->has_deletion_grace_period_seconds)
        return probe->termination_grace_period_seconds;
    int64_t own_s = pod_effective_grace(want->pod);
    /* Nobody has asked for an end: the floor of one second is for those who do (§3.3). */
    bool is_none = want->pod->spec->has_termination_grace_period_seconds &&
                   want->pod->spec->termination_grace_period_seconds == 0;
    return want->life == POD_LIFE_SYNC && is_none ? 0 : own_s;
}

void plan_kill(struct plan_pass *pass, const struct container_observed *instance, int64_t grace_s,
               const char *message, bool restart)
{
    act(pass, (struct pod_action){.kind = POD_ACTION_KILL_CONTAINER,
                                  .id = instance->id,
                                  .grace_s = max_i64(grace_s, GRACE_FLOOR_S),
                                  .hook_grace_s = instance->stop_begun ? 0 : grace_s,
                                  .message = message,
                                  .restart = restart});
}

static const Core__Container *find_init(const Core__Pod *pod, const char *name, size_t *ret_index)
{
    for (size_t i = 0; pod && i < pod->spec->n_init_containers; i++) {
        if (text_eq(pod->spec->init_containers[i]->name, name)) {
            *ret_index = i;
            return pod->spec->init_containers[i];
        }
    }
    return NULL;
}

static bool is_running(const struct plan_pass *pass, const char *name)
{
    for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
        if (c->state == CONTAINER_RUNNING && strcmp(c->name, name) == 0)
            return true;
    }
    return false;
}

/* A sidecar outlives all regular containers and every later sidecar (spec runtime.md §3.19 step 3).
 */
static bool sidecar_may_stop(const struct plan_pass *pass, size_t index)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    for (size_t i = 0; i < spec->n_containers; i++) {
        if (is_running(pass, spec->containers[i]->name))
            return false;
    }
    for (size_t i = index + 1; i < spec->n_init_containers; i++) {
        if (container_is_sidecar(spec->init_containers[i]) &&
            is_running(pass, spec->init_containers[i]->name))
            return false;
    }
    return true;
}

/* Its hook runs while the others stop; only its own stop has to wait (spec pods.md §5.9 step 5). */
static void begin_stop(struct plan_pass *pass, const struct container_observed *instance,
                       int64_t grace_s)
{
    if (!instance->stop_begun)
        act(pass, (struct pod_action){
                      .kind = POD_ACTION_BEGIN_STOP, .id = instance->id, .hook_grace_s = grace_s});
}

/* Kills everything that runs; true when nothing does. */
static bool kill_containers(struct plan_pass *pass)
{
    const struct pod_desired *want = pass->want;
    bool quiet = true;
    for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
        if (c->state != CONTAINER_RUNNING)
            continue;
        quiet = false;
        int64_t grace_s = plan_grace(pass, c, NULL);
        size_t index;
        const Core__Container *init = find_init(want->pod, c->name, &index);
        if (init && container_is_sidecar(init)) {
            bool may_stop = sidecar_may_stop(pass, index);
            if (want->life != POD_LIFE_SYNC) {
                int64_t over_ns =
                    sat_add_i64(want->terminating_since_ns, sat_mul_i64(grace_s, NS_PER_SEC));
                int64_t left_ns = sat_sub_i64(over_ns, pass->env->now_ns);
                /* Waiting is counted in: what the others took is no longer the sidecar's. */
                grace_s = clamp_i64((left_ns + NS_PER_SEC - 1) / NS_PER_SEC, 0, grace_s);
                may_stop = may_stop || is_due(pass, over_ns);
            }
            if (!may_stop) {
                begin_stop(pass, c, grace_s);
                continue;
            }
        }
        plan_kill(pass, c, grace_s, NULL, false);
    }
    return quiet;
}

/* Stops the sandboxes that are ready; true when none is. */
static bool stop_sandboxes(struct plan_pass *pass)
{
    bool quiet = true;
    for (const struct sandbox_observed *s = pass->have->sandboxes; s; s = s->next) {
        if (!s->ready)
            continue;
        quiet = false;
        act(pass, (struct pod_action){.kind = POD_ACTION_STOP_SANDBOX, .id = s->id});
    }
    return quiet;
}

/* Kills the pod: containers, then sandboxes. True when both are quiet. */
static bool kill_pod(struct plan_pass *pass)
{
    bool quiet = kill_containers(pass);
    if (!quiet && !pass->env->kill_failed)
        return false;
    return stop_sandboxes(pass) && quiet;
}

/* --- clean-up of what is dead --- */

static void remove_instance(struct plan_pass *pass, const struct container_observed *instance)
{
    act(pass, (struct pod_action){.kind = POD_ACTION_REMOVE_CONTAINER, .id = instance->id});
}

void plan_take_away(struct plan_pass *pass, const struct container_observed *instance)
{
    if (instance->state == CONTAINER_RUNNING)
        act(pass, (struct pod_action){.kind = POD_ACTION_KILL_CONTAINER,
                                      .id = instance->id,
                                      .grace_s = GRACE_FLOOR_S,
                                      .message = "killing"});
    else
        act(pass, (struct pod_action){
                      .kind = POD_ACTION_REMOVE_CONTAINER, .id = instance->id, .keeps_logs = true});
}

/* Spec pods.md §3.14: of each name the newest dead instances are kept, at least one; of a plain
 * init container no more than that (spec runtime.md §7.5). */
static int32_t dead_kept(const struct plan_pass *pass, const char *name)
{
    size_t index;
    const Core__Container *init = find_init(pass->want->pod, name, &index);
    int32_t most = pass->env->max_dead_per_container;
    return most < 1 || (init && !container_is_sidecar(init)) ? 1 : most;
}

static void prune_instances(struct plan_pass *pass)
{
    for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
        if (c->state == CONTAINER_RUNNING)
            continue;
        int32_t newer = 0;
        bool is_newest = true;
        for (const struct container_observed *n = pass->have->containers; n != c; n = n->next) {
            if (strcmp(n->name, c->name) != 0)
                continue;
            is_newest = false;
            newer += n->state == CONTAINER_EXITED || n->state == CONTAINER_UNKNOWN ? 1 : 0;
        }
        if (is_newest)
            continue;
        if (c->state == CONTAINER_CREATED || newer >= dead_kept(pass, c->name))
            remove_instance(pass, c);
    }
}

/* A sandbox that is not ready, not the newest and holds no container any more. */
static void prune_sandboxes(struct plan_pass *pass)
{
    for (const struct sandbox_observed *s = pass->have->sandboxes; s; s = s->next) {
        if (s->ready || s == pass->have->sandboxes)
            continue;
        bool used = false;
        for (const struct container_observed *c = pass->have->containers; c && !used; c = c->next)
            used = strcmp(c->sandbox_id, s->id) == 0;
        if (!used)
            act(pass, (struct pod_action){.kind = POD_ACTION_REMOVE_SANDBOX, .id = s->id});
    }
}

/* --- starting --- */

/* cgroup and volumes come before anything starts; true when both are there. */
static bool ensure_ground(struct plan_pass *pass)
{
    const struct pod_plan_env *env = pass->env;
    if (env->cgroup_ready && env->volumes_ready)
        return true;
    if (is_due(pass, env->setup_retry_at_ns))
        act(pass, (struct pod_action){.kind = env->cgroup_ready ? POD_ACTION_ENSURE_VOLUMES
                                                                : POD_ACTION_ENSURE_CGROUP});
    return false;
}

/* Puts @container into the plan unless it has to wait; true when it was put there. */
static bool start_container(struct plan_pass *pass, const Core__Container *container)
{
    const struct pod_plan_env *env = pass->env;
    if (!is_due(pass, pod_plan_note(env, container->name)->retry_at_ns))
        return false;
    const struct container_observed *newest = pod_observed_newest(pass->have, container->name);
    if (newest && newest->state == CONTAINER_EXITED) {
        const char *key = container_backoff_key(pass->want->pod, container, pass->out->arena);
        int64_t wait_ns = backoff_remaining(env->backoff, key, newest->finished_ns, env->now_ns);
        if (wait_ns > 0) {
            add_waiting(pass, container, backoff_wait(env->backoff, key),
                        sat_add_i64(env->now_ns, wait_ns));
            return false;
        }
    }
    if (ensure_ground(pass))
        act(pass, (struct pod_action){
                      .kind = POD_ACTION_START_CONTAINER,
                      .container = container,
                  });
    return true;
}

/* Each starts once, whatever became of it; none of them holds anything else back. */
static void start_ephemeral_containers(struct plan_pass *pass)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainer *ephemeral = spec->ephemeral_containers[i];
        const char *name = ephemeral_container_name(ephemeral);
        if (name[0] == '\0' || pod_observed_newest(pass->have, name) ||
            !is_due(pass, pod_plan_note(pass->env, name)->retry_at_ns) || !ensure_ground(pass))
            continue;
        act(pass, (struct pod_action){
                      .kind = POD_ACTION_START_CONTAINER,
                      .container = ephemeral_as_container(ephemeral, pass->out->arena),
                      .ephemeral = ephemeral,
                  });
    }
}

/* --- regular containers --- */

const char *plan_text(struct plan_pass *pass, const char *format, const char *name)
{
    struct arena *arena = pass->out->arena;
    const char *at = strstr(format, "%s");
    return arena_printf(arena, "%.*s%s%s", (int)(at - format), format, name, at + 2);
}

bool plan_has_changed(const Core__Container *container, const struct container_observed *instance)
{
    return instance->hash != 0 && container->image &&
           instance->hash != container_hash(container->image, container->name);
}

struct regular_walk {
    bool *starts;
    size_t n_kept;     /* running and to be kept, or being restarted */
    size_t n_starting; /* to be started, now or after a wait */
};

static void walk_running(struct plan_pass *pass, struct regular_walk *walk,
                         const Core__Container *container,
                         const struct container_observed *instance)
{
    const struct container_note *note = pod_plan_note(pass->env, container->name);
    if (plan_has_changed(container, instance)) {
        walk->n_kept++;
        plan_kill(
            pass, instance, plan_grace(pass, instance, NULL),
            plan_text(pass, "Container %s definition changed, will be restarted", container->name),
            true);
        return;
    }
    bool unhealthy = note->has_liveness && note->liveness == PROBE_FAILURE;
    bool not_started = note->has_startup && note->startup == PROBE_FAILURE;
    if (!unhealthy && !not_started) {
        walk->n_kept++;
        return;
    }
    bool restart = !container_policy_is(pass->want->pod, container, "Never");
    const char *format =
        unhealthy ? "Container %s failed liveness probe" : "Container %s failed startup probe";
    const char *text = plan_text(pass, format, container->name);
    if (restart)
        text = arena_printf(pass->out->arena, "%s, will be restarted", text);
    walk->n_kept += restart ? 1 : 0;
    const Core__Probe *probe = unhealthy ? container->liveness_probe : container->startup_probe;
    plan_kill(pass, instance, plan_grace(pass, instance, probe), text, restart);
}

static struct regular_walk walk_regular_containers(struct plan_pass *pass)
{
    const Core__Pod *pod = pass->want->pod;
    struct regular_walk walk = {
        .starts = arena_calloc(pass->out->arena, pod->spec->n_containers + 1, sizeof(bool))};
    for (size_t i = 0; i < pod->spec->n_containers; i++) {
        const Core__Container *container = pod->spec->containers[i];
        const struct container_observed *instance =
            pod_observed_newest(pass->have, container->name);
        if (instance && instance->state == CONTAINER_RUNNING) {
            walk_running(pass, &walk, container, instance);
            continue;
        }
        bool wanted = pod_plan_note(pass->env, container->name)->restart_wanted ||
                      container_should_start(pod, container, instance);
        if (!wanted)
            continue;
        walk.n_starting++;
        if (instance && instance->state == CONTAINER_UNKNOWN)
            plan_kill(pass, instance, plan_grace(pass, instance, NULL),
                      "Container is in \"unknown\" state, try killing it before restart", true);
        else
            walk.starts[i] = true;
    }
    return walk;
}

/* --- the three lives --- */

/* Whether anything would start in a new sandbox (spec pods.md §5.1 steps 1-3). */
static bool sandbox_is_worth_it(const struct plan_pass *pass,
                                const struct sandbox_decision *decision)
{
    const Core__Pod *pod = pass->want->pod;
    if (text_eq(pod->spec->restart_policy, "Never") && decision->attempt != 0 &&
        pass->have->containers)
        return false;
    bool any_start = false, any_instance = false;
    for (size_t i = 0; i < pod->spec->n_containers; i++) {
        const Core__Container *container = pod->spec->containers[i];
        const struct container_observed *newest = pod_observed_newest(pass->have, container->name);
        any_instance = any_instance || newest;
        bool succeeded = newest && newest->state == CONTAINER_EXITED && newest->exit_code == 0 &&
                         container_policy_is(pod, container, "OnFailure");
        any_start = any_start || !succeeded;
    }
    return any_start || !any_instance;
}

/* All instances of init containers go before a sandbox is made anew; true when none is left. */
static bool purge_init_instances(struct plan_pass *pass)
{
    bool clean = true;
    size_t index;
    for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
        if (!find_init(pass->want->pod, c->name, &index))
            continue;
        clean = false;
        remove_instance(pass, c);
    }
    return clean;
}

static void plan_new_sandbox(struct plan_pass *pass, const struct sandbox_decision *decision)
{
    const struct pod_plan_env *env = pass->env;
    bool is_wanted = sandbox_is_worth_it(pass, decision);
    pass->out->sandbox_changed = is_wanted && decision->old_id;
    if (!kill_pod(pass))
        return;
    if (!is_wanted) {
        prune_instances(pass); /* it rests as it is, perhaps for ever */
        return;
    }
    if (pass->have->sandboxes && !purge_init_instances(pass))
        return;
    const Core__PodSpec *spec = pass->want->pod->spec;
    bool host_network = spec->has_host_network && spec->host_network;
    if (!env->network_ready && !host_network) {
        pass->out->waits_for_network = true;
        return;
    }
    if (!ensure_ground(pass) || !is_due(pass, env->setup_retry_at_ns))
        return;
    act(pass, (struct pod_action){.kind = POD_ACTION_CREATE_SANDBOX, .attempt = decision->attempt});
}

static void plan_sync(struct plan_pass *pass)
{
    const Core__PodSpec *spec = pass->want->pod->spec;
    if (pod_restarts_all(pass->want->pod, pass->have, pass->env->status)) {
        if (!pass->env->is_starting)
            plan_restart_all(pass);
        return;
    }
    struct sandbox_decision decision = pod_sandbox_decide(pass->want->pod, pass->have);
    if (decision.create) {
        plan_new_sandbox(pass, &decision);
        return;
    }
    prune_instances(pass);
    prune_sandboxes(pass);

    struct plan_init init = plan_walk_init(pass);
    if (init.kill_pod) {
        kill_pod(pass);
        return;
    }
    struct regular_walk regular = {0};
    if (init.initialised) {
        regular = walk_regular_containers(pass);
        if (regular.n_kept == 0 && regular.n_starting == 0) {
            kill_pod(pass); /* nothing will ever run again: sidecars end, too */
            return;
        }
    }
    start_ephemeral_containers(pass);
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *container = spec->init_containers[i];
        if (!init.starts[i])
            continue;
        bool started = start_container(pass, container);
        /* What cannot start holds back what comes after it, unless it is a sidecar (spec §5.3). */
        if (!started && !container_is_sidecar(container))
            return;
    }
    for (size_t i = 0; regular.starts && i < spec->n_containers; i++) {
        if (regular.starts[i])
            start_container(pass, spec->containers[i]);
    }
}

static void plan_terminating(struct plan_pass *pass)
{
    pass->out->stopped = kill_pod(pass);
}

static void plan_terminated(struct plan_pass *pass)
{
    const struct pod_desired *want = pass->want;
    bool empty = true;
    if (want->removed || want->evicted) {
        for (const struct container_observed *c = pass->have->containers; c; c = c->next) {
            remove_instance(pass, c);
            empty = false;
        }
        for (const struct sandbox_observed *s = pass->have->sandboxes; empty && s; s = s->next)
            act(pass, (struct pod_action){.kind = POD_ACTION_REMOVE_SANDBOX, .id = s->id});
        empty = empty && !pass->have->sandboxes;
    } else {
        prune_instances(pass);
        prune_sandboxes(pass);
    }
    if (!empty)
        return;
    if (!pass->env->disk_clean) {
        if (is_due(pass, pass->env->cleanup_retry_at_ns))
            act(pass, (struct pod_action){.kind = POD_ACTION_CLEAN_DISK});
    } else if (want->removed) {
        act(pass, (struct pod_action){.kind = POD_ACTION_FINISH});
    }
}

void pod_plan(const struct pod_desired *want, const struct pod_observed *have,
              const struct pod_plan_env *env, struct arena *arena, struct pod_plan *out)
{
    *out = (struct pod_plan){.arena = arena};
    struct plan_pass pass = {.want = want, .have = have, .env = env, .out = out};
    switch (want->life) {
    case POD_LIFE_SYNC:
        plan_sync(&pass);
        break;
    case POD_LIFE_TERMINATING:
        plan_terminating(&pass);
        break;
    case POD_LIFE_TERMINATED:
        plan_terminated(&pass);
        break;
    }
    out->done = out->n_actions == 0 && !out->has_next_look && !out->waits_for_network;
}
