#include "sim.h"

#define ONE(policy)                                                                                \
    "metadata: {name: p, namespace: default}\n"                                                    \
    "spec: {restartPolicy: " policy ", containers: [{name: web, image: i}]}\n"

#define WITH_INIT                                                                                  \
    "metadata: {name: p, namespace: default}\n"                                                    \
    "spec:\n"                                                                                      \
    "  initContainers:\n"                                                                          \
    "  - {name: first, image: i}\n"                                                                \
    "  - {name: proxy, image: i, restartPolicy: Always}\n"                                         \
    "  - {name: second, image: i}\n"                                                               \
    "  containers: [{name: web, image: i}, {name: log, image: i}]\n"

static void expect(struct sim *sim, const char *want)
{
    if (sim->broken)
        fail_msg("%s\n%s", sim->broken, buf_text(&sim->transcript));
    assert_string_equal(buf_text(&sim->transcript), want);
    buf_clear(&sim->transcript);
}

TEST_CASE(a_plain_pod_gets_its_ground_then_its_sandbox_then_its_container)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim_run(&sim, 3600);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer web\n");
    sim_terminate(&sim);
    expect(&sim, "@0 KillContainer web\n@0 StopSandbox\n@0 RemoveContainer web\n"
                 "@0 RemoveSandbox\n@0 CleanDisk\n@0 Finish\n");
    sim_done(&sim);
}

TEST_CASE(init_containers_run_one_after_another_and_a_sidecar_stays)
{
    struct sim sim;
    sim_init(&sim, WITH_INIT);
    sim_exits(&sim, "first", 5, 0);
    sim_exits(&sim, "second", 5, 0);
    sim_run(&sim, 3600);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer first\n"
                 "@5 StartContainer proxy\n@5 StartContainer second\n@10 StartContainer web\n"
                 "@10 StartContainer log\n");
    sim_terminate(&sim);
    expect(&sim,
           "@10 KillContainer log\n@10 KillContainer web\n@10 KillContainer proxy\n"
           "@10 StopSandbox\n@10 RemoveContainer log\n@10 RemoveContainer web\n"
           "@10 RemoveContainer second\n@10 RemoveContainer proxy\n@10 RemoveContainer first\n"
           "@10 RemoveSandbox\n@10 CleanDisk\n@10 Finish\n");
    sim_done(&sim);
}

TEST_CASE(of_an_evicted_pod_nothing_stays_in_the_runtime)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim_run(&sim, 60);
    buf_clear(&sim.transcript);
    sim.want.life = POD_LIFE_TERMINATING;
    sim.want.evicted = true;
    sim.want.terminating_since_ns = sim.env.now_ns;
    sim_run(&sim, 60);
    sim.want.life = POD_LIFE_TERMINATED;
    sim_run(&sim, 60);
    expect(&sim, "@0 KillContainer web\n@0 StopSandbox\n@0 RemoveContainer web\n@0 RemoveSandbox\n"
                 "@0 CleanDisk\n");
    sim_terminate(&sim);
    sim_done(&sim);
}

TEST_CASE(a_crashing_container_restarts_at_once_then_waits_ever_longer)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim_exits(&sim, "web", 1, 7);
    sim_run(&sim, 90);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer web\n"
                 "@1 StartContainer web\n@2 RemoveContainer web\n@12 StartContainer web\n"
                 "@13 RemoveContainer web\n@33 StartContainer web\n@34 RemoveContainer web\n"
                 "@74 StartContainer web\n@75 RemoveContainer web\n");
    sim_done(&sim);
}

TEST_CASE(never_runs_once_and_then_the_pod_is_stopped)
{
    struct sim sim;
    sim_init(&sim, ONE("Never"));
    sim_exits(&sim, "web", 3, 1);
    sim_run(&sim, 3600);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer web\n"
                 "@3 StopSandbox\n");
    assert_int_equal(sim_script(&sim, "web")->starts, 1);
    sim_done(&sim);
}

TEST_CASE(on_failure_restarts_failures_only)
{
    struct sim sim;
    sim_init(&sim, ONE("OnFailure"));
    sim_exits(&sim, "web", 3, 0);
    sim_run(&sim, 3600);
    assert_int_equal(sim_script(&sim, "web")->starts, 1);
    sim_done(&sim);
    sim_init(&sim, ONE("OnFailure"));
    sim_exits(&sim, "web", 3, 2);
    sim_run(&sim, 10);
    assert_int_equal(sim_script(&sim, "web")->starts, 2);
    sim_done(&sim);
}

TEST_CASE(a_failed_init_container_under_never_ends_the_pod)
{
    struct sim sim;
    sim_init(&sim, "metadata: {name: p, namespace: default}\n"
                   "spec: {restartPolicy: Never, initContainers: [{name: init, image: i}],\n"
                   "  containers: [{name: web, image: i}]}\n");
    sim_exits(&sim, "init", 1, 9);
    sim_run(&sim, 3600);
    assert_int_equal(sim_script(&sim, "web")->starts, 0);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer init\n"
                 "@1 StopSandbox\n");
    sim_done(&sim);
}

TEST_CASE(a_dead_sandbox_is_replaced_and_initialisation_runs_again)
{
    struct sim sim;
    sim_init(&sim, WITH_INIT);
    sim_exits(&sim, "first", 1, 0);
    sim_exits(&sim, "second", 1, 0);
    sim_run(&sim, 100);
    buf_clear(&sim.transcript);
    sim_stop_sandbox(&sim, sim.have.sandboxes->id);
    sim_run(&sim, 3600);
    assert_int_equal(sim_script(&sim, "first")->starts, 2);
    assert_int_equal(sim_script(&sim, "web")->starts, 2);
    if (sim.broken)
        fail_msg("%s\n%s", sim.broken, buf_text(&sim.transcript));
    sim_done(&sim);
}

TEST_CASE(that_a_sandbox_is_replaced_is_told_before_what_is_in_it_is_killed)
{
    struct sim sim;
    struct pod_plan plan;
    sim_init(&sim, ONE("Always"));
    sim_run(&sim, 10);
    sim_put_sandbox(&sim, "second", true, 1); /* nobody knows which of them is the pod's */
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_true(plan.sandbox_changed);
    assert_int_equal(plan.n_actions, 1);
    assert_int_equal(plan.actions[0].kind, POD_ACTION_KILL_CONTAINER);
    sim_done(&sim);
    sim_init(&sim, ONE("Never"));
    sim_run(&sim, 10);
    sim_put_sandbox(&sim, "second", true, 1);
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_false(plan.sandbox_changed); /* it ends, and gets no other */
    sim_done(&sim);
}

TEST_CASE(an_unready_network_holds_back_the_sandbox_unless_the_pod_uses_the_hosts)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim.env.network_ready = false;
    sim_run(&sim, 3600);
    expect(&sim, "");
    sim_done(&sim);
    sim_init(&sim, "metadata: {name: p, namespace: default}\n"
                   "spec: {hostNetwork: true, containers: [{name: web, image: i}]}\n");
    sim.env.network_ready = false;
    sim_run(&sim, 1); /* the simulated sandbox has a pod network, so this pod wants another one */
    assert_int_equal(sim_script(&sim, "web")->starts, 0);
    assert_non_null(strstr(buf_text(&sim.transcript), "CreateSandbox"));
    sim_done(&sim);
}

TEST_CASE(a_kill_that_fails_does_not_keep_the_sandbox_alive)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim_run(&sim, 10);
    sim.fault_at = sim.steps + 1;
    sim_terminate(&sim);
    if (sim.broken)
        fail_msg("%s\n%s", sim.broken, buf_text(&sim.transcript));
    sim_done(&sim);
}

TEST_CASE(an_orphan_is_killed_with_the_grace_period_its_containers_remember)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim_run(&sim, 10);
    sim.have.containers->has_grace = true;
    sim.have.containers->grace_s = 44;
    struct pod_desired orphan = {.uid = "uid-1", .life = POD_LIFE_TERMINATING};
    struct pod_plan plan;
    pod_plan(&orphan, &sim.have, &sim.env, sim.arena, &plan);
    assert_int_equal(plan.n_actions, 1);
    assert_int_equal(plan.actions[0].kind, POD_ACTION_KILL_CONTAINER);
    assert_int_equal(plan.actions[0].grace_s, 44);
    sim_done(&sim);
}

TEST_CASE(a_changed_image_restarts_the_container_even_under_never)
{
    struct sim sim;
    sim_init(&sim, ONE("Never"));
    sim_run(&sim, 10);
    sim.have.containers->hash = 1;
    struct pod_plan plan;
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_int_equal(plan.n_actions, 1);
    assert_string_equal(plan.actions[0].message,
                        "Container web definition changed, will be restarted");
    assert_true(plan.actions[0].restart);
    sim_done(&sim);
}

TEST_CASE(a_failed_liveness_probe_kills_and_restarts_by_policy)
{
    struct sim sim;
    sim_init(&sim, ONE("Always"));
    sim_run(&sim, 10);
    sim.notes[0].has_liveness = true;
    sim.notes[0].liveness = PROBE_FAILURE;
    struct pod_plan plan;
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_int_equal(plan.n_actions, 1);
    assert_string_equal(plan.actions[0].message,
                        "Container web failed liveness probe, will be restarted");
    sim_done(&sim);
}

TEST_CASE(a_kill_has_the_grace_of_its_pod_or_of_the_probe_that_failed)
{
    enum why { LIVENESS, STARTUP, DEFINITION };
    static const struct {
        const char *name;
        int64_t pod_s, probe_s; /* probe_s -1: none of its own */
        enum why why;
        int64_t want_s, want_hook_s;
    } rows[] = {
        {"the pod's", 30, -1, LIVENESS, 30, 30},
        {"the liveness probe's", 30, 5, LIVENESS, 5, 5},
        {"the startup probe's", 30, 7, STARTUP, 7, 7},
        {"a probe's counts for its failure alone", 30, 5, DEFINITION, 30, 30},
        {"a probe's below the floor", 30, 1, LIVENESS, 2, 1},
        {"none at all", 0, -1, DEFINITION, 2, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *own = rows[i].probe_s < 0
                              ? ""
                              : arena_printf(arena, ", terminationGracePeriodSeconds: %lld",
                                             (long long)rows[i].probe_s);
        struct sim sim;
        sim_init(&sim,
                 arena_printf(arena,
                              "metadata: {name: p, namespace: default}\n"
                              "spec: {terminationGracePeriodSeconds: %lld, containers: "
                              "[{name: web, image: i, %s: {exec: {command: [x]}%s}}]}\n",
                              (long long)rows[i].pod_s,
                              rows[i].why == STARTUP ? "startupProbe" : "livenessProbe", own));
        sim_run(&sim, 10);
        struct container_note *note = &sim.notes[0];
        note->has_liveness = rows[i].why == LIVENESS;
        note->has_startup = rows[i].why == STARTUP;
        note->liveness = note->startup = PROBE_FAILURE;
        sim.have.containers->hash = rows[i].why == DEFINITION;
        struct pod_plan plan;
        pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
        assert_int_equal(plan.n_actions, 1);
        if (plan.actions[0].grace_s != rows[i].want_s ||
            plan.actions[0].hook_grace_s != rows[i].want_hook_s)
            fail_msg("%s: %lld and %lld", rows[i].name, (long long)plan.actions[0].grace_s,
                     (long long)plan.actions[0].hook_grace_s);
        sim_done(&sim);
    }
}

/* The action of @kind for the newest instance of container @name, or NULL. */
static const struct pod_action *action_for(const struct sim *sim, const struct pod_plan *plan,
                                           enum pod_action_kind kind, const char *name)
{
    for (size_t i = 0; i < plan->n_actions; i++) {
        if (plan->actions[i].kind == kind &&
            text_eq(plan->actions[i].id, pod_observed_newest(&sim->have, name)->id))
            return &plan->actions[i];
    }
    return NULL;
}

TEST_CASE(a_sidecar_begins_to_stop_with_the_others_and_stops_after_them)
{
    struct sim sim;
    struct pod_plan plan;
    sim_init(&sim, WITH_INIT);
    sim_exits(&sim, "first", 5, 0);
    sim_exits(&sim, "second", 5, 0);
    sim_run(&sim, 100);
    sim.want.life = POD_LIFE_TERMINATING;
    sim.want.terminating_since_ns = sim.env.now_ns;
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_non_null(action_for(&sim, &plan, POD_ACTION_KILL_CONTAINER, "web"));
    assert_null(action_for(&sim, &plan, POD_ACTION_KILL_CONTAINER, "proxy"));
    const struct pod_action *begins = action_for(&sim, &plan, POD_ACTION_BEGIN_STOP, "proxy");
    assert_int_equal(begins->hook_grace_s, 30);
    sim_carry_out(&sim, begins);
    sim.env.now_ns += 7 * NS_PER_SEC;
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_null(action_for(&sim, &plan, POD_ACTION_BEGIN_STOP, "proxy")); /* once */
    sim_end_container(&sim, pod_observed_newest(&sim.have, "web"), 0);
    sim_end_container(&sim, pod_observed_newest(&sim.have, "log"), 0);
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    const struct pod_action *kill = action_for(&sim, &plan, POD_ACTION_KILL_CONTAINER, "proxy");
    assert_int_equal(kill->hook_grace_s, 0);
    assert_int_equal(kill->grace_s, 23);
    sim_done(&sim);
}

/* --- properties over random pods --- */

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void random_pod(struct buf *yaml, uint32_t *state)
{
    static const char *const policies[] = {"Always", "OnFailure", "Never"};
    buf_clear(yaml);
    buf_printf(yaml,
               "metadata: {name: p, namespace: default}\nspec:\n  restartPolicy: %s\n"
               "  terminationGracePeriodSeconds: %u\n",
               policies[next_random(state) % 3], next_random(state) % 40);
    size_t inits = next_random(state) % 4, regular = 1 + next_random(state) % 3;
    if (inits > 0)
        buf_add_text(yaml, "  initContainers:\n");
    for (size_t i = 0; i < inits; i++)
        buf_printf(yaml, "  - {name: init%zu, image: i%s}\n", i,
                   next_random(state) % 3 == 0 ? ", restartPolicy: Always" : "");
    buf_add_text(yaml, "  containers:\n");
    for (size_t i = 0; i < regular; i++)
        buf_printf(yaml, "  - {name: c%zu, image: i}\n", i);
}

static void random_scripts(struct sim *sim, uint32_t *state)
{
    for (size_t i = 0; i < sim->n_scripts; i++) {
        bool init = text_has_prefix(sim->scripts[i].name, "init");
        if (init || next_random(state) % 2)
            sim_exits(sim, sim->scripts[i].name, 1 + next_random(state) % 50,
                      next_random(state) % 3 == 0 ? (int32_t)(1 + next_random(state) % 9) : 0);
    }
}

static void run_random_pod(uint32_t seed, size_t fault_at, size_t *ret_steps)
{
    uint32_t state = seed;
    struct buf yaml;
    buf_init(&yaml, 64 * KiB);
    random_pod(&yaml, &state);
    struct sim sim;
    sim_init(&sim, buf_text(&yaml));
    sim.fault_at = fault_at;
    random_scripts(&sim, &state);
    sim_run(&sim, 600);
    if (next_random(&state) % 4 == 0 && pod_observed_active_sandbox(&sim.have)) {
        sim_stop_sandbox(&sim, sim.have.sandboxes->id);
        sim_run(&sim, 900);
    }
    sim_terminate(&sim);
    *ret_steps = sim.steps;
    if (sim.broken)
        fail_msg("seed %u, fault at %zu: %s\n%s%s", seed, fault_at, sim.broken, buf_text(&yaml),
                 buf_text(&sim.transcript));
    sim_done(&sim);
    buf_done(&yaml);
}

TEST_CASE(random_pods_keep_the_invariants_and_come_to_an_end)
{
    size_t steps;
    for (uint32_t seed = 1; seed <= 400; seed++)
        run_random_pod(seed, 0, &steps);
}

TEST_CASE(a_failure_at_any_step_changes_nothing_about_the_end)
{
    for (uint32_t seed = 1; seed <= 25; seed++) {
        size_t steps, ignored;
        run_random_pod(seed, 0, &steps);
        for (size_t fault = 1; fault <= steps; fault++)
            run_random_pod(seed, fault, &ignored);
    }
}

TEST_MAIN(TEST(a_plain_pod_gets_its_ground_then_its_sandbox_then_its_container),
          TEST(init_containers_run_one_after_another_and_a_sidecar_stays),
          TEST(of_an_evicted_pod_nothing_stays_in_the_runtime),
          TEST(a_crashing_container_restarts_at_once_then_waits_ever_longer),
          TEST(never_runs_once_and_then_the_pod_is_stopped),
          TEST(on_failure_restarts_failures_only),
          TEST(a_failed_init_container_under_never_ends_the_pod),
          TEST(a_dead_sandbox_is_replaced_and_initialisation_runs_again),
          TEST(that_a_sandbox_is_replaced_is_told_before_what_is_in_it_is_killed),
          TEST(an_unready_network_holds_back_the_sandbox_unless_the_pod_uses_the_hosts),
          TEST(a_kill_that_fails_does_not_keep_the_sandbox_alive),
          TEST(an_orphan_is_killed_with_the_grace_period_its_containers_remember),
          TEST(a_changed_image_restarts_the_container_even_under_never),
          TEST(a_failed_liveness_probe_kills_and_restarts_by_policy),
          TEST(a_kill_has_the_grace_of_its_pod_or_of_the_probe_that_failed),
          TEST(a_sidecar_begins_to_stop_with_the_others_and_stops_after_them),
          TEST(random_pods_keep_the_invariants_and_come_to_an_end),
          TEST(a_failure_at_any_step_changes_nothing_about_the_end))
