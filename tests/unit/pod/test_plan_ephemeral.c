/* Ephemeral containers in the plan (spec pods.md §5.2 item 1, §5.6 item 5). */
#include "sim.h"

#define DEBUGGED                                                                                   \
    "metadata: {name: p, namespace: default}\n"                                                    \
    "spec:\n"                                                                                      \
    "  containers: [{name: web, image: i}]\n"                                                      \
    "  ephemeralContainers: [{name: shell, image: i}, {name: trace, image: i}]\n"

#define DEBUGGED_ONCE                                                                              \
    "metadata: {name: p, namespace: default}\n"                                                    \
    "spec:\n"                                                                                      \
    "  restartPolicy: Never\n"                                                                     \
    "  containers: [{name: web, image: i}]\n"                                                      \
    "  ephemeralContainers: [{name: shell, image: i}]\n"

#define DEBUGGED_INIT                                                                              \
    "metadata: {name: p, namespace: default}\n"                                                    \
    "spec:\n"                                                                                      \
    "  restartPolicy: %s\n"                                                                        \
    "  initContainers: [{name: first, image: i}, {name: proxy, image: i, restartPolicy: "          \
    "Always}]\n"                                                                                   \
    "  containers: [{name: web, image: i}]\n"                                                      \
    "  ephemeralContainers: [{name: shell, image: i}]\n"

static void expect(struct sim *sim, const char *want)
{
    if (sim->broken)
        fail_msg("%s\n%s", sim->broken, buf_text(&sim->transcript));
    assert_string_equal(buf_text(&sim->transcript), want);
    buf_clear(&sim->transcript);
}

/* The pod without its ephemeral containers, which are added later. */
static size_t hide(struct sim *sim)
{
    size_t count = sim->pod->spec->n_ephemeral_containers;
    sim->pod->spec->n_ephemeral_containers = 0;
    return count;
}

TEST_CASE(one_that_is_added_starts_beside_what_runs)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    size_t count = hide(&sim);
    sim_run(&sim, 100);
    buf_clear(&sim.transcript);
    sim.pod->spec->n_ephemeral_containers = count;
    sim_run(&sim, 200);
    expect(&sim, "@0 StartContainer shell\n@0 StartContainer trace\n");
    assert_int_equal(sim_script(&sim, "web")->starts, 1);
    sim_done(&sim);
}

TEST_CASE(it_starts_before_the_init_containers_and_does_not_wait_for_them)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct sim sim;
    sim_init(&sim, arena_printf(arena, DEBUGGED_INIT, "Always"));
    sim_exits(&sim, "first", 5, 0);
    sim_run(&sim, 100);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer shell\n"
                 "@0 StartContainer first\n@5 StartContainer proxy\n@5 StartContainer web\n");
    sim_done(&sim);
}

TEST_CASE(it_is_never_started_again)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    sim_exits(&sim, "shell", 3, 1);
    sim_exits(&sim, "trace", 3, 0);
    sim_run(&sim, 3600);
    assert_int_equal(sim_script(&sim, "shell")->starts, 1);
    assert_int_equal(sim_script(&sim, "trace")->starts, 1);
    buf_clear(&sim.transcript);

    sim_stop_sandbox(&sim, sim.have.sandboxes->id); /* not even in another sandbox */
    sim_run(&sim, 7200);
    assert_int_equal(sim_script(&sim, "web")->starts, 2);
    assert_int_equal(sim_script(&sim, "shell")->starts, 1);
    sim_done(&sim);
}

TEST_CASE(one_that_was_only_created_stays_as_it_is)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    size_t count = hide(&sim);
    sim_run(&sim, 100);
    buf_clear(&sim.transcript);
    sim.pod->spec->n_ephemeral_containers = count;
    sim_put(&sim, "made", sim.have.sandboxes->id, "shell", CRI__CONTAINER_STATE__CONTAINER_CREATED,
            sim_script(&sim, "shell"), sim.env.now_ns);
    sim_run(&sim, 200);
    expect(&sim, "@0 StartContainer trace\n");
    sim_done(&sim);
}

TEST_CASE(a_failed_start_is_tried_again_and_holds_nothing_back)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    sim.fault_at = 4;
    sim_run(&sim, 100);
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer shell\n"
                 "@0 StartContainer trace\n@0 StartContainer web\n@10 StartContainer shell\n");
    sim_done(&sim);
}

TEST_CASE(volumes_that_changed_with_it_come_first)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    size_t count = hide(&sim);
    sim_run(&sim, 100);
    buf_clear(&sim.transcript);
    sim.pod->spec->n_ephemeral_containers = count;
    sim.env.volumes_ready = false;
    sim_run(&sim, 200);
    expect(&sim, "@0 EnsureVolumes\n@0 StartContainer shell\n@0 StartContainer trace\n");
    sim_done(&sim);
}

TEST_CASE(another_image_kills_no_ephemeral_container)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    sim_run(&sim, 100);
    struct container_observed *shell = sim.have.containers;
    while (strcmp(shell->name, "shell") != 0)
        shell = shell->next;
    shell->hash = 1;
    struct pod_plan plan;
    pod_plan(&sim.want, &sim.have, &sim.env, sim.arena, &plan);
    assert_int_equal(plan.n_actions, 0);
    sim_done(&sim);
}

TEST_CASE(it_ends_with_its_pod)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED_ONCE);
    sim_exits(&sim, "web", 5, 0);
    sim_run(&sim, 100); /* nothing will ever run again: a debugger does not keep the pod up */
    expect(&sim, "@0 EnsureCgroup\n@0 EnsureVolumes\n@0 CreateSandbox\n@0 StartContainer shell\n"
                 "@0 StartContainer web\n@5 KillContainer shell\n@5 StopSandbox\n");
    sim_done(&sim);

    sim_init(&sim, DEBUGGED);
    sim_run(&sim, 10);
    buf_clear(&sim.transcript);
    sim_terminate(&sim);
    assert_non_null(strstr(buf_text(&sim.transcript), "KillContainer shell"));
    assert_null(sim.broken);
    sim_done(&sim);
}

TEST_CASE(none_starts_while_the_pod_ends)
{
    struct sim sim;
    sim_init(&sim, DEBUGGED);
    size_t count = hide(&sim);
    sim_run(&sim, 10);
    sim.pod->spec->n_ephemeral_containers = count;
    sim_terminate(&sim);
    assert_int_equal(sim_script(&sim, "shell")->starts, 0);
    assert_null(sim.broken);
    sim_done(&sim);
}

TEST_CASE(a_failure_at_any_step_changes_nothing_about_the_end)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    size_t steps = SIZE_MAX;
    for (size_t fault = 0; fault <= steps; fault++) {
        struct sim sim;
        sim_init(&sim, arena_printf(arena, DEBUGGED_INIT, "Always"));
        sim.fault_at = fault;
        sim_exits(&sim, "first", 5, 0);
        sim_exits(&sim, "shell", 40, 3);
        sim_run(&sim, 600);
        assert_int_equal(sim_script(&sim, "shell")->starts, 1);
        assert_true(sim_script(&sim, "web")->running);
        sim_terminate(&sim);
        if (sim.broken)
            fail_msg("fault at %zu: %s\n%s", fault, sim.broken, buf_text(&sim.transcript));
        if (fault == 0)
            steps = sim.steps;
        sim_done(&sim);
    }
}

TEST_MAIN(TEST(one_that_is_added_starts_beside_what_runs),
          TEST(it_starts_before_the_init_containers_and_does_not_wait_for_them),
          TEST(it_is_never_started_again), TEST(one_that_was_only_created_stays_as_it_is),
          TEST(a_failed_start_is_tried_again_and_holds_nothing_back),
          TEST(volumes_that_changed_with_it_come_first),
          TEST(another_image_kills_no_ephemeral_container), TEST(it_ends_with_its_pod),
          TEST(none_starts_while_the_pod_ends),
          TEST(a_failure_at_any_step_changes_nothing_about_the_end))
