#include "pod/status.h"
#include "sim.h"

struct world {
    struct sim sim;
    struct start_result results[SIM_MAX_CONTAINERS];
    Core__PodStatus *status;
    bool final, terminated;
    const char *forced_reason;
};

static const char *const host_ips[] = {"192.0.2.7", NULL};

static void renew(struct world *world)
{
    struct sim *sim = &world->sim;
    struct status_input input = {.pod = sim->pod,
                                 .have = &sim->have,
                                 .old = world->status,
                                 .results = world->results,
                                 .n_results = sim->n_scripts,
                                 .notes = sim->notes,
                                 .n_notes = sim->n_scripts,
                                 .runtime_name = "containerd",
                                 .host_ips = host_ips,
                                 .now_ns = sim->env.now_ns,
                                 .agent_started_ns = 999 * NS_PER_SEC,
                                 .is_static = true,
                                 .final = world->final,
                                 .terminated = world->terminated,
                                 .forced_reason = world->forced_reason,
                                 .forced_message = world->forced_reason};
    world->status = status_generate(&input, sim->arena);
}

static void world_init(struct world *world, const char *yaml)
{
    *world = (struct world){0};
    sim_init(&world->sim, yaml);
    for (size_t i = 0; i < world->sim.n_scripts; i++)
        world->results[i].container = world->sim.scripts[i].name;
    renew(world);
}

static const char *condition(const struct world *world, const char *type)
{
    for (size_t i = 0; i < world->status->n_conditions; i++) {
        const Core__PodCondition *c = world->status->conditions[i];
        if (strcmp(c->type, type) == 0)
            return arena_printf(world->sim.arena, "%s%s%s%s%s", c->status, c->reason ? " " : "",
                                c->reason ? c->reason : "", c->message ? ": " : "",
                                c->message ? c->message : "");
    }
    return NULL;
}

static const char *state(const struct world *world, const Core__ContainerState *s)
{
    if (s->running)
        return "running";
    if (s->waiting)
        return arena_printf(world->sim.arena, "waiting %s",
                            s->waiting->reason ? s->waiting->reason : "");
    if (s->terminated)
        return arena_printf(world->sim.arena, "terminated %d %s", s->terminated->exit_code,
                            s->terminated->reason ? s->terminated->reason : "");
    return "";
}

static const Core__ContainerStatus *entry(const struct world *world, size_t i)
{
    return world->status->container_statuses[i];
}

static const char *pod_with_policy(struct arena *arena, const char *policy)
{
    return arena_printf(arena,
                        "metadata: {name: p, namespace: default, generation: 3}\n"
                        "spec: {restartPolicy: %s, containers: [{name: web, image: i}]}\n",
                        policy);
}

TEST_CASE(a_new_pod_is_pending_and_its_container_being_created)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    assert_string_equal(world.status->phase, "Pending");
    assert_string_equal(state(&world, entry(&world, 0)->state), "waiting ContainerCreating");
    assert_string_equal(condition(&world, "PodReadyToStartContainers"), "False");
    assert_string_equal(condition(&world, "Initialized"), "True");
    assert_string_equal(condition(&world, "Ready"),
                        "False ContainersNotReady: containers with unready status: [web]");
    assert_string_equal(condition(&world, "PodScheduled"), "True");
    assert_string_equal(world.status->qos_class, "BestEffort");
    assert_string_equal(world.status->host_ip, "192.0.2.7");
    assert_int_equal(world.status->observed_generation, 3);
    assert_int_equal(world.status->start_time->seconds, 1000);
    sim_done(&world.sim);
}

TEST_CASE(a_running_pod_is_ready_and_keeps_its_transition_times)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    sim_run(&world.sim, 5);
    renew(&world);
    assert_string_equal(world.status->phase, "Running");
    assert_string_equal(state(&world, entry(&world, 0)->state), "running");
    assert_true(entry(&world, 0)->ready && entry(&world, 0)->started);
    assert_true(text_has_prefix(entry(&world, 0)->container_id, "containerd://c"));
    assert_string_equal(condition(&world, "Ready"), "True");
    const Core__PodStatus *before = world.status;
    world.sim.env.now_ns += 60 * NS_PER_SEC;
    renew(&world);
    assert_true(status_eq(before, world.status));
    assert_int_equal(world.status->conditions[2]->last_transition_time->seconds, 1000);
    sim_done(&world.sim);
}

TEST_CASE(a_crash_loop_shows_its_back_off_and_the_last_end)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    sim_exits(&world.sim, "web", 1, 7);
    sim_run(&world.sim, 5); /* started, restarted at once, now in back-off */
    world.results[0].reason = "CrashLoopBackOff";
    world.results[0].message = "back-off 10s restarting failed container=web pod=p_default(uid-1)";
    renew(&world);
    assert_string_equal(world.status->phase, "Running");
    assert_string_equal(state(&world, entry(&world, 0)->state), "waiting CrashLoopBackOff");
    assert_string_equal(state(&world, entry(&world, 0)->last_state), "terminated 7 ");
    assert_false(entry(&world, 0)->ready);
    sim_done(&world.sim);
}

TEST_CASE(the_phase_follows_policy_and_exit_codes)
{
    static const struct {
        const char *name, *policy;
        int32_t exit_code;
        const char *phase;
    } rows[] = {
        {"Never and 0", "Never", 0, "Succeeded"},
        {"Never and 3", "Never", 3, "Failed"},
        {"OnFailure and 0", "OnFailure", 0, "Succeeded"},
        {"OnFailure and 3", "OnFailure", 3, "Running"},
        {"Always and 0", "Always", 0, "Running"},
        {"Always and 3", "Always", 3, "Running"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct world world;
        world_init(&world, pod_with_policy(arena, rows[i].policy));
        sim_run(&world.sim, 1);
        sim_end_container(&world.sim, world.sim.have.containers, rows[i].exit_code);
        renew(&world);
        if (strcmp(world.status->phase, rows[i].phase) != 0)
            fail_msg("%s: %s", rows[i].name, world.status->phase);
        sim_done(&world.sim);
    }
}

TEST_CASE(a_terminal_phase_is_never_left)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Never"));
    sim_run(&world.sim, 1);
    sim_end_container(&world.sim, world.sim.have.containers, 0);
    renew(&world);
    assert_true(status_is_terminal(world.status));
    assert_string_equal(condition(&world, "Ready"), "False PodCompleted");
    assert_string_equal(condition(&world, "Initialized"), "True PodCompleted");
    pod_observed_clear(&world.sim.have);
    renew(&world);
    assert_string_equal(world.status->phase, "Succeeded");
    sim_done(&world.sim);
}

TEST_CASE(init_containers_hold_the_pod_pending_and_are_named)
{
    struct world world;
    world_init(&world, "metadata: {name: p, namespace: default}\n"
                       "spec: {initContainers: [{name: a, image: i}, {name: b, image: i}],\n"
                       "  containers: [{name: web, image: i}]}\n");
    sim_run(&world.sim, 5);
    renew(&world);
    assert_string_equal(world.status->phase, "Pending");
    assert_string_equal(state(&world, entry(&world, 0)->state), "waiting PodInitializing");
    assert_string_equal(condition(&world, "Initialized"),
                        "False ContainersNotInitialized: containers with incomplete status: [a b]");
    sim_done(&world.sim);
}

TEST_CASE(a_failed_start_shows_reason_and_message)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    world.results[0].reason = "ErrImageNeverPull";
    world.results[0].message = "Container image \"i\" is not present with pull policy of Never";
    renew(&world);
    assert_string_equal(state(&world, entry(&world, 0)->state), "waiting ErrImageNeverPull");
    assert_string_equal(world.status->phase, "Pending");
    sim_done(&world.sim);
}

TEST_CASE(a_container_that_vanished_is_counted_and_explained)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    sim_run(&world.sim, 1);
    renew(&world);
    pod_observed_drop_container(&world.sim.have, world.sim.have.containers->id);
    renew(&world);
    assert_string_equal(state(&world, entry(&world, 0)->last_state),
                        "terminated 137 ContainerStatusUnknown");
    assert_int_equal(entry(&world, 0)->restart_count, 1);
    sim_done(&world.sim);
}

TEST_CASE(what_never_stopped_in_sight_is_unknown_after_termination)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    sim_run(&world.sim, 1);
    renew(&world);
    pod_observed_clear(&world.sim.have);
    world.final = world.terminated = true;
    renew(&world);
    assert_string_equal(state(&world, entry(&world, 0)->state),
                        "terminated 137 ContainerStatusUnknown");
    sim_done(&world.sim);
}

TEST_CASE(a_deadline_forces_failed)
{
    struct world world;
    world_init(&world, "metadata: {name: p, namespace: default}\n"
                       "spec: {activeDeadlineSeconds: 6, containers: [{name: web, image: i}]}\n");
    int64_t due_ns;
    assert_false(status_deadline_exceeded(world.sim.pod, world.status, 1005 * NS_PER_SEC, &due_ns));
    assert_int_equal(due_ns, 1006 * NS_PER_SEC);
    assert_true(status_deadline_exceeded(world.sim.pod, world.status, 1006 * NS_PER_SEC, &due_ns));
    world.forced_reason = "DeadlineExceeded";
    renew(&world);
    assert_string_equal(world.status->phase, "Failed");
    assert_string_equal(world.status->reason, "DeadlineExceeded");
    assert_string_equal(condition(&world, "Ready"), "False PodFailed");
    sim_done(&world.sim);
}

TEST_CASE(a_startup_probe_that_has_not_succeeded_keeps_the_container_unready)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    world.sim.notes[0].has_startup = true;
    sim_run(&world.sim, 1);
    renew(&world);
    assert_false(entry(&world, 0)->started || entry(&world, 0)->ready);
    world.sim.notes[0].startup = PROBE_SUCCESS;
    renew(&world);
    assert_true(entry(&world, 0)->started && entry(&world, 0)->ready);
    sim_done(&world.sim);
}

TEST_MAIN(TEST(a_new_pod_is_pending_and_its_container_being_created),
          TEST(a_running_pod_is_ready_and_keeps_its_transition_times),
          TEST(a_crash_loop_shows_its_back_off_and_the_last_end),
          TEST(the_phase_follows_policy_and_exit_codes), TEST(a_terminal_phase_is_never_left),
          TEST(init_containers_hold_the_pod_pending_and_are_named),
          TEST(a_failed_start_shows_reason_and_message),
          TEST(a_container_that_vanished_is_counted_and_explained),
          TEST(what_never_stopped_in_sight_is_unknown_after_termination),
          TEST(a_deadline_forces_failed),
          TEST(a_startup_probe_that_has_not_succeeded_keeps_the_container_unready))
