#include "pod/status.h"
#include "sim.h"

struct world {
    struct sim sim;
    struct start_result results[SIM_MAX_CONTAINERS];
    Core__PodStatus *status;
    bool final, terminated, is_api;
    const char *forced_reason;
    int64_t agent_started_ns;
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
                                 .agent_started_ns = world->agent_started_ns,
                                 .is_static = !world->is_api,
                                 .final = world->final,
                                 .terminated = world->terminated,
                                 .forced_reason = world->forced_reason,
                                 .forced_message = world->forced_reason};
    world->status = status_generate(&input, sim->arena);
}

static void world_init(struct world *world, const char *yaml)
{
    *world = (struct world){.agent_started_ns = 999 * NS_PER_SEC};
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

TEST_CASE(a_pod_that_ends_before_it_ran_goes_on_saying_what_was_not_ready)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Always"));
    world.is_api = true;
    renew(&world);
    assert_string_equal(condition(&world, "Ready"),
                        "False ContainersNotReady: containers with unready status: [web]");
    world.final = world.terminated = true;
    for (int round = 0; round < 2; round++) { /* the second looks back on an end */
        renew(&world);
        assert_string_equal(world.status->phase, "Failed");
        assert_string_equal(state(&world, entry(&world, 0)->state),
                            "terminated 137 ContainerStatusUnknown");
        assert_string_equal(condition(&world, "Ready"),
                            "False ContainersNotReady: containers with unready status: [web]");
        assert_string_equal(condition(&world, "ContainersReady"),
                            "False ContainersNotReady: containers with unready status: [web]");
    }
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

/* --- what has ended stays ended --- */

static const char *ended_with(const struct world *world, const Core__ContainerStatus *c)
{
    return arena_printf(world->sim.arena, "%s, %d", state(world, c->state), c->restart_count);
}

TEST_CASE(a_container_that_ended_for_good_does_not_come_back_in_the_status)
{
    static const struct {
        const char *name, *policy, *own;
        int32_t exit_code;
        const char *shown;
    } rows[] = {
        {"Never and 0", "Never", "", 0, "terminated 0 , 0"},
        {"Never and 3", "Never", "", 3, "terminated 3 , 0"},
        {"OnFailure and 0", "OnFailure", "", 0, "terminated 0 , 0"},
        {"OnFailure and 3", "OnFailure", "", 3, "running, 1"},
        {"Always and 0", "Always", "", 0, "running, 1"},
        {"Never, the container's own policy is another", "Never", "restartPolicy: Always,", 0,
         "running, 1"},
        {"Never, a rule of its own restarts", "Never",
         "restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, "
         "values: [42]}}],",
         42, "running, 1"},
        {"Never, some rule restarts all", "Never",
         "restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: "
         "{operator: In, values: [42]}}],",
         0, "running, 1"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct world world;
        world_init(&world, arena_printf(arena,
                                        "metadata: {name: p, namespace: default}\n"
                                        "spec: {restartPolicy: %s, containers: [{name: a, image: "
                                        "i}, {name: web, %s image: i}]}\n",
                                        rows[i].policy, rows[i].own));
        sim_run(&world.sim, 1);
        renew(&world);
        sim_end_container(&world.sim, pod_observed_newest(&world.sim.have, "web"),
                          rows[i].exit_code);
        renew(&world);
        sim_put(&world.sim, "other", world.sim.have.sandboxes->id, "web",
                CRI__CONTAINER_STATE__CONTAINER_RUNNING, sim_script(&world.sim, "web"),
                world.sim.env.now_ns + 100);
        renew(&world);
        if (strcmp(ended_with(&world, entry(&world, 1)), rows[i].shown) != 0)
            fail_msg("%s: %s", rows[i].name, ended_with(&world, entry(&world, 1)));
        assert_string_equal(world.status->phase, "Running");
        sim_done(&world.sim);
    }
}

TEST_CASE(what_runs_again_unseen_does_not_complete_the_pod)
{
    struct world world;
    world_init(&world, "metadata: {name: p, namespace: default}\n"
                       "spec: {restartPolicy: Never, containers: [{name: a, image: i}, {name: web, "
                       "image: i}]}\n");
    sim_run(&world.sim, 1);
    renew(&world);
    sim_end_container(&world.sim, pod_observed_newest(&world.sim.have, "web"), 0);
    renew(&world);
    sim_put(&world.sim, "other", world.sim.have.sandboxes->id, "web",
            CRI__CONTAINER_STATE__CONTAINER_RUNNING, sim_script(&world.sim, "web"),
            world.sim.env.now_ns + 100);
    sim_end_container(&world.sim, pod_observed_newest(&world.sim.have, "a"), 0);
    renew(&world);
    assert_string_equal(world.status->phase, "Running");
    sim_end_container(&world.sim, pod_observed_newest(&world.sim.have, "web"), 5);
    renew(&world);
    assert_string_equal(world.status->phase, "Failed");
    assert_string_equal(state(&world, entry(&world, 1)->state), "terminated 5 ");
    assert_string_equal(state(&world, entry(&world, 1)->last_state), "terminated 0 ");
    sim_done(&world.sim);
}

TEST_CASE(a_completed_init_container_stays_so_while_it_is_run_again)
{
    struct world world;
    world_init(&world, "metadata: {name: p, namespace: default}\n"
                       "spec: {restartPolicy: OnFailure, initContainers: [{name: a, image: i}],\n"
                       "  containers: [{name: web, image: i}]}\n");
    sim_exits(&world.sim, "a", 1, 0);
    sim_run(&world.sim, 3);
    renew(&world);
    const Core__ContainerStatus *init = world.status->init_container_statuses[0];
    assert_string_equal(state(&world, init->state), "terminated 0 ");
    assert_true(init->ready);
    sim_put(&world.sim, "again", world.sim.have.sandboxes->id, "a",
            CRI__CONTAINER_STATE__CONTAINER_RUNNING, sim_script(&world.sim, "a"),
            world.sim.env.now_ns + 100);
    renew(&world);
    init = world.status->init_container_statuses[0];
    assert_string_equal(state(&world, init->state), "terminated 0 ");
    assert_true(init->ready);
    sim_done(&world.sim);
}

/* --- messages of containers --- */

TEST_CASE(the_message_of_an_end_is_cut_and_made_text)
{
    static const char two[] = "ephemeralContainers: [{name: d, image: i}],";
    static const struct {
        const char *name, *more;
        const char *unit; /* repeated */
        size_t times;
        size_t want_bytes;
        const char *want; /* NULL: not compared */
    } rows[] = {
        {"short", "", "x", 3, 3, "xxx"},
        {"none", "", "", 1, 0, NULL},
        {"all there may be", "", "x", 12288, 12288, NULL},
        {"too long", "", "x", 12289, 12288, NULL},
        {"each container has its share", two, "x", 12288, 6144, NULL},
        {"cut before a character", "", "xy\xe2\x82\xac", 4000, 12287, NULL},
        {"no UTF-8", "", "a\xff\xe2\x82", 1, 10, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"nothing but bytes", "", "\x80", 20000, 12288, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf text;
        buf_init(&text, 1 * MiB);
        for (size_t n = 0; n < rows[i].times; n++)
            buf_add_text(&text, rows[i].unit);
        struct world world;
        world_init(&world, arena_printf(arena,
                                        "metadata: {name: p, namespace: default}\n"
                                        "spec: {restartPolicy: Never, %s containers: [{name: web, "
                                        "image: i}]}\n",
                                        rows[i].more));
        sim_run(&world.sim, 1);
        sim_end_container(&world.sim, world.sim.have.containers, 1);
        container_observed_set_termination(world.sim.have.containers, buf_text(&text));
        renew(&world);
        const char *message = entry(&world, 0)->state->terminated->message;
        size_t len = message ? strlen(message) : 0;
        if (len != rows[i].want_bytes)
            fail_msg("%s: %zu bytes", rows[i].name, len);
        if (rows[i].want)
            assert_string_equal(message, rows[i].want);
        sim_done(&world.sim);
    }
}

TEST_CASE(messages_taken_over_from_before_are_cut_to_their_share_as_well)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text;
    buf_init(&text, 1 * MiB);
    for (size_t n = 0; n < 12000; n++)
        buf_add_char(&text, 'x');
    struct world world;
    world_init(&world, pod_with_policy(arena, "Never"));
    sim_run(&world.sim, 1);
    sim_end_container(&world.sim, world.sim.have.containers, 1);
    container_observed_set_termination(world.sim.have.containers, buf_text(&text));
    renew(&world);
    assert_int_equal(strlen(entry(&world, 0)->state->terminated->message), 12000);
    Core__PodSpec *spec = world.sim.pod->spec; /* a debug container has been added */
    Core__EphemeralContainer *debugger =
        (Core__EphemeralContainer *)kube_message_new(&core__ephemeral_container__descriptor, arena);
    spec->n_ephemeral_containers = 1;
    spec->ephemeral_containers = arena_memdup(arena, &debugger, sizeof(debugger));
    pod_observed_clear(&world.sim.have);
    renew(&world);
    assert_int_equal(strlen(entry(&world, 0)->state->terminated->message), 6144);
    assert_int_equal(world.status->n_ephemeral_container_statuses, 0);
    sim_done(&world.sim);
}

TEST_CASE(times_are_whole_seconds)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Never"));
    sim_run(&world.sim, 1);
    world.sim.env.now_ns += 1999999999;
    sim_end_container(&world.sim, world.sim.have.containers, 0);
    renew(&world);
    const Meta__Time *end = entry(&world, 0)->state->terminated->finished_at;
    assert_int_equal(end->seconds, 1001);
    assert_int_equal(end->nanos, 0);
    sim_done(&world.sim);
}

/* --- the end of a pod --- */

TEST_CASE(a_pod_of_the_server_that_was_terminated_is_over_even_before_it_was_initialised)
{
    struct world world;
    world_init(&world, "metadata: {name: p, namespace: default}\n"
                       "spec: {initContainers: [{name: a, image: i}, {name: b, image: i}],\n"
                       "  containers: [{name: web, image: i}]}\n");
    world.is_api = true;
    sim_exits(&world.sim, "a", 1, 0);
    sim_run(&world.sim, 0);
    world.sim.env.now_ns += NS_PER_SEC;
    sim_end_container(&world.sim, world.sim.have.containers, 0); /* b never starts */
    renew(&world);
    assert_string_equal(world.status->phase, "Pending");
    world.final = world.terminated = true;
    renew(&world);
    assert_string_equal(world.status->phase, "Failed");
    assert_string_equal(condition(&world, "Ready"),
                        "False ContainersNotReady: containers with unready status: [web]");
    assert_string_equal(state(&world, entry(&world, 0)->state), "waiting PodInitializing");
    sim_done(&world.sim);
}

TEST_CASE(what_is_said_of_a_pod_too_late_does_not_explain_its_success)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Never"));
    sim_run(&world.sim, 1);
    sim_end_container(&world.sim, world.sim.have.containers, 0);
    renew(&world);
    world.forced_reason = "Evicted";
    renew(&world);
    assert_string_equal(world.status->phase, "Succeeded");
    assert_null(world.status->reason);
    assert_null(world.status->message);
    sim_done(&world.sim);
}

/* --- addresses and resources --- */

static const char *pod_ip(const struct world *world)
{
    return world->status->pod_ip ? world->status->pod_ip : "";
}

TEST_CASE(a_pod_in_the_host_network_has_the_node_s_address_from_first_to_last)
{
    struct world world;
    world_init(&world, "metadata: {name: p, namespace: default}\n"
                       "spec: {hostNetwork: true, restartPolicy: Never, containers: [{name: web, "
                       "image: i}]}\n");
    assert_string_equal(pod_ip(&world), "192.0.2.7");
    sim_put_sandbox(&world.sim, "s", true, 0);
    renew(&world);
    assert_string_equal(pod_ip(&world), "192.0.2.7");
    sim_put_sandbox(&world.sim, "s", false, 0);
    renew(&world);
    assert_string_equal(pod_ip(&world), "192.0.2.7");
    assert_int_equal(world.status->n_pod_ips, 1);
    sim_done(&world.sim);
}

TEST_CASE(a_pod_keeps_its_address_to_the_end_and_beyond)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct world world;
    world_init(&world, pod_with_policy(arena, "Never"));
    sim_run(&world.sim, 1);
    Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
    Cri__PodSandboxMetadata meta = CRI__POD_SANDBOX_METADATA__INIT;
    Cri__PodSandboxNetworkStatus network = CRI__POD_SANDBOX_NETWORK_STATUS__INIT;
    network.ip = cri_borrow("10.1.2.3");
    status.id = cri_borrow(arena_strdup(arena, world.sim.have.sandboxes->id));
    status.metadata = &meta;
    status.network = &network;
    status.state = CRI__POD_SANDBOX_STATE__SANDBOX_READY;
    pod_observed_put_sandbox(&world.sim.have, &status);
    renew(&world);
    assert_string_equal(pod_ip(&world), "10.1.2.3");
    sim_end_container(&world.sim, world.sim.have.containers, 0);
    sim_stop_sandbox(&world.sim, world.sim.have.sandboxes->id);
    world.final = world.terminated = true;
    renew(&world);
    assert_string_equal(pod_ip(&world), "10.1.2.3");
    pod_observed_clear(&world.sim.have);
    renew(&world);
    assert_string_equal(pod_ip(&world), "10.1.2.3");
    sim_done(&world.sim);
}

static const char *status_json(const struct world *world)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 1 * MiB);
    kube_encode_json(&world->status->base, NULL, &text);
    return arena_strdup(world->sim.arena, buf_text(&text));
}

TEST_CASE(the_pod_s_resources_are_the_sums_of_its_containers)
{
    static const struct {
        const char *name, *resources, *want;
    } rows[] = {
        {"none", "{}", "\"resources\":{}"},
        {"guaranteed", "{limits: {cpu: 150m, memory: 48Mi}}",
         "\"resources\":{\"limits\":{\"cpu\":\"150m\",\"memory\":\"48Mi\"},\"requests\":{"
         "\"cpu\":\"150m\",\"memory\":\"48Mi\"}}"},
        {"requests only", "{requests: {cpu: 10m}}",
         "\"resources\":{\"requests\":{\"cpu\":\"10m\"}}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct world world;
        world_init(&world, arena_printf(arena,
                                        "metadata: {name: p, namespace: default}\n"
                                        "spec: {containers: [{name: web, image: i, resources: "
                                        "%s}]}\n",
                                        rows[i].resources));
        if (!strstr(status_json(&world), rows[i].want))
            fail_msg("%s: %s", rows[i].name, status_json(&world));
        sim_done(&world.sim);
    }
}

/* --- after a restart of the agent --- */

TEST_CASE(what_the_server_had_survives_a_restart_of_the_agent)
{
    static const struct {
        const char *name;
        bool was_ready, is_young;
        enum probe_result readiness;
        bool ready;
    } rows[] = {
        {"ready before, no result yet", true, false, PROBE_UNKNOWN, true},
        {"not ready before, no result yet", false, false, PROBE_UNKNOWN, false},
        {"started after the agent", true, true, PROBE_UNKNOWN, false},
        {"a result counts", true, false, PROBE_FAILURE, false},
        {"a good result counts", false, false, PROBE_SUCCESS, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct world world;
        world_init(&world, pod_with_policy(arena, "Always"));
        sim_run(&world.sim, 1);
        world.sim.notes[0].has_readiness = world.sim.notes[0].has_startup = true;
        world.sim.notes[0].startup = PROBE_SUCCESS;
        world.sim.notes[0].readiness = rows[i].was_ready ? PROBE_SUCCESS : PROBE_FAILURE;
        renew(&world);
        Core__PodStatus *told = world.status;
        told->container_statuses[0]->restart_count = 4; /* the runtime knows of fewer */
        int64_t start_s = told->start_time->seconds;
        world.sim.env.now_ns += 60 * NS_PER_SEC;
        world.sim.notes[0].startup = PROBE_UNKNOWN;
        world.sim.notes[0].readiness = rows[i].readiness;
        world.agent_started_ns = rows[i].is_young ? 999 * NS_PER_SEC : world.sim.env.now_ns;
        renew(&world);
        const Core__ContainerStatus *web = entry(&world, 0);
        if (web->ready != rows[i].ready)
            fail_msg("%s: ready=%d", rows[i].name, web->ready);
        assert_int_equal(web->started, !rows[i].is_young); /* such a one is probed anew */
        assert_int_equal(web->restart_count, 4);
        assert_int_equal(world.status->start_time->seconds, start_s);
        if (rows[i].ready == rows[i].was_ready)
            assert_true(status_eq(told, world.status));
        sim_done(&world.sim);
    }
}

/* --- the order of transitions --- */

static int64_t since(const struct world *world, const char *type)
{
    for (size_t i = 0; i < world->status->n_conditions; i++) {
        const Core__PodCondition *c = world->status->conditions[i];
        if (strcmp(c->type, type) == 0)
            return strcmp(c->status, "True") == 0 ? c->last_transition_time->seconds : INT64_MAX;
    }
    return INT64_MAX;
}

TEST_CASE(conditions_become_true_in_the_order_the_node_conformance_suite_asks_for)
{
    static const struct {
        const char *name, *init;
        const char *order[5];
    } rows[] = {
        {"without init containers",
         "",
         {"PodScheduled", "Initialized", "PodReadyToStartContainers", "ContainersReady", "Ready"}},
        {"with an init container",
         "initContainers: [{name: a, image: i}],",
         {"PodScheduled", "PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct world world;
        world_init(&world, arena_printf(arena,
                                        "metadata: {name: p, namespace: default}\n"
                                        "spec: {%s containers: [{name: web, image: i}]}\n",
                                        rows[i].init));
        world.sim.env.now_ns += NS_PER_SEC;
        sim_put_sandbox(&world.sim, "s", true, 0); /* its image is still being pulled */
        renew(&world);
        assert_int_equal(since(&world, "PodReadyToStartContainers"), 1001);
        if (rows[i].init[0] != '\0')
            sim_exits(&world.sim, "a", 2, 0);
        for (int64_t s = 2; s < 9; s++) {
            world.sim.env.now_ns += NS_PER_SEC;
            sim_run(&world.sim, s);
            renew(&world);
        }
        for (size_t n = 0; n < ARRAY_SIZE(rows[i].order); n++) {
            const char *type = rows[i].order[n];
            if (since(&world, type) == INT64_MAX ||
                (n > 0 && since(&world, type) < since(&world, rows[i].order[n - 1])))
                fail_msg("%s: %s", rows[i].name, type);
        }
        sim_done(&world.sim);
    }
}

TEST_MAIN(TEST(a_new_pod_is_pending_and_its_container_being_created),
          TEST(a_running_pod_is_ready_and_keeps_its_transition_times),
          TEST(a_crash_loop_shows_its_back_off_and_the_last_end),
          TEST(the_phase_follows_policy_and_exit_codes), TEST(a_terminal_phase_is_never_left),
          TEST(init_containers_hold_the_pod_pending_and_are_named),
          TEST(a_failed_start_shows_reason_and_message),
          TEST(a_container_that_vanished_is_counted_and_explained),
          TEST(what_never_stopped_in_sight_is_unknown_after_termination),
          TEST(a_pod_that_ends_before_it_ran_goes_on_saying_what_was_not_ready),
          TEST(a_deadline_forces_failed),
          TEST(a_startup_probe_that_has_not_succeeded_keeps_the_container_unready),
          TEST(a_container_that_ended_for_good_does_not_come_back_in_the_status),
          TEST(what_runs_again_unseen_does_not_complete_the_pod),
          TEST(a_completed_init_container_stays_so_while_it_is_run_again),
          TEST(the_message_of_an_end_is_cut_and_made_text),
          TEST(messages_taken_over_from_before_are_cut_to_their_share_as_well),
          TEST(times_are_whole_seconds),
          TEST(a_pod_of_the_server_that_was_terminated_is_over_even_before_it_was_initialised),
          TEST(what_is_said_of_a_pod_too_late_does_not_explain_its_success),
          TEST(a_pod_in_the_host_network_has_the_node_s_address_from_first_to_last),
          TEST(a_pod_keeps_its_address_to_the_end_and_beyond),
          TEST(the_pod_s_resources_are_the_sums_of_its_containers),
          TEST(what_the_server_had_survives_a_restart_of_the_agent),
          TEST(conditions_become_true_in_the_order_the_node_conformance_suite_asks_for))
