/*
 * A node that exists only as data: it carries out what pod_plan() says, on virtual time, with
 * containers that end as they were told to and steps that fail when they are told to. Header-only,
 * for the tests of the plan.
 */
#pragma once

#include "base/buf.h"
#include "kube/codec.h"
#include "kube/defaults.h"
#include "kube/resources.h"
#include "pod/cri_config.h"
#include "pod/cri_request.h"
#include "pod/plan.h"
#include "tests/lib/test.h"

#define SIM_MAX_CONTAINERS 16
#define SIM_FOREVER INT64_MAX

/* What a container does each time it is started. */
struct sim_script {
    const char *name;
    int64_t runs_ns; /* SIM_FOREVER, or how long until it exits */
    int32_t exit_code;
    /* what happened to it */
    size_t starts;
    int64_t started_ns, ended_ns; /* of the newest instance */
    bool running;
};

struct sim {
    struct arena *arena;
    const Core__Pod *pod;
    struct pod_desired want;
    struct pod_observed have;
    struct pod_plan_env env;
    struct container_note notes[SIM_MAX_CONTAINERS];
    struct sim_script scripts[SIM_MAX_CONTAINERS];
    size_t n_scripts;
    struct backoff *backoff;
    size_t ids;      /* for instance and sandbox names */
    size_t steps;    /* actions carried out, failed ones included */
    size_t fault_at; /* this step fails; 0: none */
    bool finished;
    struct buf transcript; /* one line an action: "@12 StartContainer web" */
    const char *broken;    /* the first invariant that did not hold */
};

static inline Core__Pod *sim_pod(const char *yaml, struct arena *arena)
{
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = "test"};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_yaml(str_from(yaml), &core__pod__descriptor, &options, arena, &message));
    Core__Pod *pod = (Core__Pod *)message;
    pod_set_defaults(pod, arena);
    pod->metadata->uid = arena_strdup(arena, "uid-1");
    return pod;
}

static inline void sim_init(struct sim *sim, const char *yaml)
{
    static const struct backoff_policy policy = {.initial_ns = BACKOFF_INITIAL_NS,
                                                 .max_ns = BACKOFF_MAX_NS,
                                                 .reset_ns = BACKOFF_RESET_NS,
                                                 .max_entries = 64};
    *sim = (struct sim){.arena = arena_new(0)};
    sim->pod = sim_pod(yaml, sim->arena);
    sim->want = (struct pod_desired){.pod = sim->pod, .uid = "uid-1"};
    sim->backoff = backoff_new(&policy);
    sim->env = (struct pod_plan_env){.now_ns = 1000 * NS_PER_SEC,
                                     .backoff = sim->backoff,
                                     .notes = sim->notes,
                                     .network_ready = true,
                                     .max_dead_per_container = 1};
    buf_init(&sim->transcript, 4 * MiB);
    const Core__PodSpec *spec = sim->pod->spec;
    for (size_t i = 0; i < spec->n_init_containers + spec->n_containers; i++) {
        const Core__Container *c = i < spec->n_init_containers
                                       ? spec->init_containers[i]
                                       : spec->containers[i - spec->n_init_containers];
        sim->notes[i].name = c->name;
        sim->scripts[i] = (struct sim_script){.name = c->name, .runs_ns = SIM_FOREVER};
        sim->n_scripts = sim->env.n_notes = i + 1;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const char *name = ephemeral_container_name(spec->ephemeral_containers[i]);
        sim->notes[sim->n_scripts].name = name;
        sim->scripts[sim->n_scripts++] = (struct sim_script){.name = name, .runs_ns = SIM_FOREVER};
        sim->env.n_notes = sim->n_scripts;
    }
}

static inline void sim_done(struct sim *sim)
{
    pod_observed_clear(&sim->have);
    backoff_free(sim->backoff);
    buf_done(&sim->transcript);
    arena_free(sim->arena);
}

static inline struct sim_script *sim_script(struct sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->n_scripts; i++) {
        if (strcmp(sim->scripts[i].name, name) == 0)
            return &sim->scripts[i];
    }
    return NULL;
}

/** Tells what container @name does when started. */
static inline void sim_exits(struct sim *sim, const char *name, int64_t after_s, int32_t exit_code)
{
    struct sim_script *script = sim_script(sim, name);
    script->runs_ns = after_s * NS_PER_SEC;
    script->exit_code = exit_code;
}

static inline void sim_check(struct sim *sim, bool holds, const char *invariant)
{
    if (!holds && !sim->broken)
        sim->broken = invariant;
}

/* Puts an instance with the given state into the observation. */
static inline void sim_put(struct sim *sim, const char *id, const char *sandbox, const char *name,
                           Cri__ContainerState state, struct sim_script *script, int64_t created_ns)
{
    Cri__ContainerStatus status = CRI__CONTAINER_STATUS__INIT;
    Cri__ContainerMetadata meta = CRI__CONTAINER_METADATA__INIT;
    meta.name = cri_borrow(name);
    status.id = cri_borrow(id);
    status.metadata = &meta;
    status.state = state;
    status.created_at = created_ns;
    status.started_at = script->started_ns;
    status.finished_at = script->ended_ns;
    status.exit_code = script->exit_code;
    pod_observed_put_container(&sim->have, sandbox, &status);
}

static inline void sim_end_container(struct sim *sim, const struct container_observed *c,
                                     int32_t code)
{
    struct sim_script *script = sim_script(sim, c->name);
    struct sim_script ended = *script;
    ended.ended_ns = sim->env.now_ns;
    ended.exit_code = code;
    script->running = false;
    script->ended_ns = sim->env.now_ns;
    const char *id = arena_strdup(sim->arena, c->id);
    const char *sandbox = arena_strdup(sim->arena, c->sandbox_id);
    sim_put(sim, id, sandbox, script->name, CRI__CONTAINER_STATE__CONTAINER_EXITED, &ended,
            c->created_ns);
}

/* Ends every container whose time has come; returns when the next one ends (SIM_FOREVER: none). */
static inline int64_t sim_expire(struct sim *sim)
{
    for (bool again = true; again;) {
        again = false;
        for (const struct container_observed *c = sim->have.containers; c; c = c->next) {
            const struct sim_script *script = sim_script(sim, c->name);
            if (c->state == CONTAINER_RUNNING && script->runs_ns != SIM_FOREVER &&
                c->started_ns + script->runs_ns <= sim->env.now_ns) {
                sim_end_container(sim, c, script->exit_code);
                again = true;
                break;
            }
        }
    }
    int64_t next_ns = SIM_FOREVER;
    for (const struct container_observed *c = sim->have.containers; c; c = c->next) {
        const struct sim_script *script = sim_script(sim, c->name);
        if (c->state == CONTAINER_RUNNING && script->runs_ns != SIM_FOREVER)
            next_ns = min_i64(next_ns, c->started_ns + script->runs_ns);
    }
    return next_ns;
}

/* --- invariants of a start --- */

static inline void sim_check_start(struct sim *sim, const struct pod_action *action)
{
    const Core__PodSpec *spec = sim->pod->spec;
    const char *name = action->container->name;
    const struct container_observed *newest = pod_observed_newest(&sim->have, name);
    const struct sim_script *script = sim_script(sim, name);
    sim_check(sim, !script->running, "a container is never started while it runs");
    sim_check(sim, pod_observed_active_sandbox(&sim->have), "containers start in a ready sandbox");
    if (action->ephemeral) {
        sim_check(sim, !newest, "an ephemeral container starts once");
        return;
    }
    if (newest && newest->state == CONTAINER_EXITED) {
        bool sidecar = container_is_sidecar(action->container);
        bool new_sandbox = pod_observed_active_sandbox(&sim->have) &&
                           strcmp(newest->sandbox_id, sim->have.sandboxes->id) != 0;
        sim_check(sim,
                  sidecar || new_sandbox || newest->exit_code != 0 ||
                      text_eq(spec->restart_policy, "Always"),
                  "only Always restarts what has succeeded");
        sim_check(sim, sidecar || !text_eq(spec->restart_policy, "Never"),
                  "nothing restarts under Never");
        const char *key = container_backoff_key(sim->pod, action->container, sim->arena);
        sim_check(sim,
                  backoff_remaining(sim->backoff, key, newest->finished_ns, sim->env.now_ns) == 0,
                  "back-off is honoured");
    }
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *init = spec->init_containers[i];
        if (text_eq(init->name, name))
            break; /* only earlier ones must be done */
        const struct container_observed *c = pod_observed_newest(&sim->have, init->name);
        if (!container_is_sidecar(init))
            sim_check(sim, c && c->state == CONTAINER_EXITED && c->exit_code == 0,
                      "earlier init containers have succeeded before a later container starts");
    }
}

static inline void sim_check_kill(struct sim *sim, const struct pod_action *action)
{
    const struct container_observed *c = pod_observed_container(&sim->have, action->id);
    const Core__PodSpec *spec = sim->pod->spec;
    sim_check(sim, action->grace_s >= 2, "no kill has less than two seconds");
    bool over = sim->env.now_ns >=
                sim->want.terminating_since_ns + pod_effective_grace(sim->pod) * NS_PER_SEC;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        const Core__Container *init = spec->init_containers[i];
        if (!text_eq(init->name, c->name) || !container_is_sidecar(init) || over)
            continue;
        for (size_t r = 0; r < spec->n_containers; r++)
            sim_check(sim, !sim_script(sim, spec->containers[r]->name)->running,
                      "a sidecar outlives the regular containers");
        for (size_t later = i + 1; later < spec->n_init_containers; later++)
            sim_check(sim,
                      !container_is_sidecar(spec->init_containers[later]) ||
                          !sim_script(sim, spec->init_containers[later]->name)->running,
                      "sidecars end in reverse order");
    }
}

/* --- carrying out --- */

static inline void sim_put_sandbox(struct sim *sim, const char *id, bool ready, uint32_t attempt)
{
    Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
    Cri__PodSandboxMetadata meta = CRI__POD_SANDBOX_METADATA__INIT;
    meta.attempt = attempt;
    status.id = cri_borrow(id);
    status.metadata = &meta;
    status.state =
        ready ? CRI__POD_SANDBOX_STATE__SANDBOX_READY : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
    status.created_at = sim->env.now_ns;
    pod_observed_put_sandbox(&sim->have, &status);
}

static inline void sim_start(struct sim *sim, const struct pod_action *action)
{
    struct sim_script *script = sim_script(sim, action->container->name);
    const struct container_observed *newest =
        pod_observed_newest(&sim->have, action->container->name);
    if (newest && newest->state == CONTAINER_EXITED)
        assert_no_error(backoff_note_restart(
            sim->backoff, container_backoff_key(sim->pod, action->container, sim->arena),
            newest->finished_ns, sim->env.now_ns));
    script->starts++;
    script->running = true;
    script->started_ns = sim->env.now_ns;
    const char *id = arena_printf(sim->arena, "c%zu", ++sim->ids);
    sim_put(sim, id, sim->have.sandboxes->id, script->name, CRI__CONTAINER_STATE__CONTAINER_RUNNING,
            script, sim->env.now_ns + (int64_t)sim->ids);
}

static inline void sim_fail(struct sim *sim, const struct pod_action *action)
{
    int64_t later_ns = sim->env.now_ns + 10 * NS_PER_SEC;
    if (action->kind == POD_ACTION_START_CONTAINER) {
        for (size_t i = 0; i < sim->n_scripts; i++) {
            if (text_eq(sim->notes[i].name, action->container->name))
                sim->notes[i].retry_at_ns = later_ns;
        }
    } else if (action->kind == POD_ACTION_CLEAN_DISK) {
        sim->env.cleanup_retry_at_ns = later_ns;
    } else if (action->kind == POD_ACTION_KILL_CONTAINER) {
        sim->env.kill_failed = true;
    } else {
        sim->env.setup_retry_at_ns = later_ns;
    }
}

static inline void sim_stop_sandbox(struct sim *sim, const char *id)
{
    for (bool again = true; again;) {
        again = false;
        for (const struct container_observed *c = sim->have.containers; c; c = c->next) {
            if (c->state == CONTAINER_RUNNING && strcmp(c->sandbox_id, id) == 0) {
                sim_end_container(sim, c, 137);
                again = true;
                break;
            }
        }
    }
    uint32_t attempt = pod_observed_sandbox(&sim->have, id)->attempt;
    sim_put_sandbox(sim, arena_strdup(sim->arena, id), false, attempt);
}

static inline void sim_carry_out(struct sim *sim, const struct pod_action *action)
{
    const char *target = action->container ? action->container->name : "";
    if (action->kind == POD_ACTION_BEGIN_STOP) { /* no step: it cannot fail, and shows nowhere */
        pod_observed_container(&sim->have, action->id)->stop_begun = true;
        return;
    }
    if (action->kind == POD_ACTION_KILL_CONTAINER || action->kind == POD_ACTION_REMOVE_CONTAINER)
        target = pod_observed_container(&sim->have, action->id)->name;
    buf_printf(&sim->transcript, "@%lld %s%s%s\n",
               (long long)((sim->env.now_ns - 1000 * NS_PER_SEC) / NS_PER_SEC),
               pod_action_name(action->kind), target[0] ? " " : "", target);
    if (action->kind == POD_ACTION_START_CONTAINER)
        sim_check_start(sim, action);
    if (action->kind == POD_ACTION_KILL_CONTAINER && sim->want.life == POD_LIFE_TERMINATING)
        sim_check_kill(sim, action);
    if (++sim->steps == sim->fault_at) {
        sim_fail(sim, action);
        return;
    }
    switch (action->kind) {
    case POD_ACTION_ENSURE_CGROUP:
        sim->env.cgroup_ready = true;
        break;
    case POD_ACTION_ENSURE_VOLUMES:
        sim->env.volumes_ready = true;
        sim->env.disk_clean = false;
        break;
    case POD_ACTION_CREATE_SANDBOX:
        sim_put_sandbox(sim, arena_printf(sim->arena, "s%zu", ++sim->ids), true, action->attempt);
        break;
    case POD_ACTION_START_CONTAINER:
        sim_start(sim, action);
        break;
    case POD_ACTION_CLEAN_DISK:
        sim->env.disk_clean = true;
        break;
    case POD_ACTION_FINISH:
        sim->finished = true;
        break;
    case POD_ACTION_KILL_CONTAINER: {
        const struct container_observed *c = pod_observed_container(&sim->have, action->id);
        if (c->state == CONTAINER_RUNNING)
            sim_end_container(sim, c, 143);
        break;
    }
    case POD_ACTION_STOP_SANDBOX:
        sim_stop_sandbox(sim, action->id);
        break;
    case POD_ACTION_REMOVE_CONTAINER:
        pod_observed_drop_container(&sim->have, action->id);
        break;
    case POD_ACTION_REMOVE_SANDBOX:
        pod_observed_drop_sandbox(&sim->have, action->id);
        break;
    case POD_ACTION_BEGIN_STOP:
    case POD_ACTION_KIND_COUNT:
        break;
    }
}

static inline bool sim_same_plan(const struct pod_plan *a, const struct pod_plan *b)
{
    if (a->n_actions != b->n_actions || a->has_next_look != b->has_next_look ||
        a->next_look_ns != b->next_look_ns || a->n_waiting != b->n_waiting || a->done != b->done)
        return false;
    for (size_t i = 0; i < a->n_actions; i++) {
        if (a->actions[i].kind != b->actions[i].kind ||
            !text_eq(a->actions[i].id, b->actions[i].id) ||
            a->actions[i].ephemeral != b->actions[i].ephemeral ||
            (!a->actions[i].ephemeral && a->actions[i].container != b->actions[i].container) ||
            a->actions[i].grace_s != b->actions[i].grace_s)
            return false;
    }
    return true;
}

/* One chained action and every parallel one, as the executor does. */
static inline void sim_apply(struct sim *sim, const struct pod_plan *plan)
{
    bool chained = false;
    for (size_t i = 0; i < plan->n_actions; i++) {
        const struct pod_action *action = &plan->actions[i];
        bool is_chained = pod_action_is_chained(action->kind);
        if (is_chained && chained)
            continue;
        chained = chained || is_chained;
        if (action->id && !pod_observed_container(&sim->have, action->id) &&
            !pod_observed_sandbox(&sim->have, action->id))
            continue; /* an earlier action of this plan took it along */
        struct pod_action copy = *action;
        copy.id = arena_strdup(sim->arena, action->id);
        sim_carry_out(sim, &copy);
    }
}

/** Runs until nothing is left to do or the virtual clock passes @until_s after the start. */
static inline void sim_run(struct sim *sim, int64_t until_s)
{
    int64_t until_ns = (1000 + until_s) * NS_PER_SEC;
    for (size_t turns = 0; turns < 20000 && !sim->finished; turns++) {
        int64_t next_end_ns = sim_expire(sim);
        AUTO(arena) struct arena *arena = arena_new(0);
        struct pod_plan plan, again;
        pod_plan(&sim->want, &sim->have, &sim->env, arena, &plan);
        pod_plan(&sim->want, &sim->have, &sim->env, arena, &again);
        sim_check(sim, sim_same_plan(&plan, &again), "the same input gives the same plan");
        if (plan.n_actions > 0) {
            sim_apply(sim, &plan);
            continue;
        }
        if (sim->want.life == POD_LIFE_TERMINATING && plan.stopped)
            return;
        int64_t next_ns =
            plan.has_next_look ? min_i64(plan.next_look_ns, next_end_ns) : next_end_ns;
        if (next_ns == SIM_FOREVER || next_ns > until_ns)
            return;
        sim_check(sim, next_ns > sim->env.now_ns || next_end_ns <= sim->env.now_ns,
                  "an empty plan does not ask to be looked at now");
        sim->env.now_ns = max_i64(next_ns, sim->env.now_ns + 1);
    }
}

/** Ends the pod: stops it, cleans up, forgets it. */
static inline void sim_terminate(struct sim *sim)
{
    sim->want.life = POD_LIFE_TERMINATING;
    sim->want.terminating_since_ns = sim->env.now_ns;
    sim_run(sim, 100000);
    sim_check(sim, !pod_observed_is_running(&sim->have), "a terminated pod does not run");
    sim->want.life = POD_LIFE_TERMINATED;
    sim->want.removed = true;
    sim_run(sim, 200000);
    sim_check(sim, sim->finished, "a removed pod is finished");
    sim_check(sim, !sim->have.containers && !sim->have.sandboxes,
              "nothing of a removed pod is left in the runtime");
}
