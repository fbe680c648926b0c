/* RestartAllContainers in the plan and in the status (spec pods.md §5.8, §8.2, §8.4, §8.5). */
#include "pod/status.h"
#include "sim.h"

#define RULE(action, operator_, code)                                                              \
    "{action: " action ", exitCodes: {operator: " operator_ ", values: [" code "]}}"
#define ASKS                                                                                       \
    "restartPolicy: Never, restartPolicyRules: [" RULE("RestartAllContainers", "In", "42") "]"

#define POD                                                                                        \
    "metadata: {name: p, namespace: default, generation: 4}\n"                                     \
    "spec:\n"                                                                                      \
    "  restartPolicy: Always\n"                                                                    \
    "  initContainers: [{name: first, image: i}, {name: proxy, image: i, restartPolicy: "          \
    "Always}]\n"                                                                                   \
    "  containers: [{name: web, image: i, " ASKS "}, {name: log, image: i}]\n"                     \
    "  ephemeralContainers: [{name: shell, image: i}]\n"

static void expect(struct sim *sim, const char *want)
{
    if (sim->broken)
        fail_msg("%s\n%s", sim->broken, buf_text(&sim->transcript));
    assert_string_equal(buf_text(&sim->transcript), want);
    buf_clear(&sim->transcript);
}

/* Everything runs; web has not exited yet. */
static void begin(struct sim *sim)
{
    sim_init(sim, POD);
    sim_exits(sim, "first", 5, 0);
    sim_run(sim, 20);
    buf_clear(&sim->transcript);
}

static void web_asks(struct sim *sim)
{
    sim_end_container(sim, pod_observed_newest(&sim->have, "web"), 42);
}

static void plan_once(struct sim *sim, struct pod_plan *plan)
{
    pod_plan(&sim->want, &sim->have, &sim->env, sim->arena, plan);
}

TEST_CASE(all_go_in_order_and_begin_anew_in_place)
{
    struct sim sim;
    begin(&sim);
    const char *sandbox = arena_strdup(sim.arena, sim.have.sandboxes->id);
    web_asks(&sim);
    sim_run(&sim, 100);
    expect(&sim, "@5 KillContainer log\n@5 RemoveContainer log\n"
                 "@5 KillContainer proxy\n@5 RemoveContainer first\n@5 RemoveContainer proxy\n"
                 "@5 RemoveContainer web\n"
                 "@5 StartContainer first\n@10 StartContainer proxy\n@10 StartContainer web\n"
                 "@10 StartContainer log\n");
    assert_string_equal(sim.have.sandboxes->id, sandbox);
    assert_int_equal(sim_script(&sim, "shell")->starts, 1);
    assert_true(sim_script(&sim, "shell")->running);
    sim_done(&sim);
}

TEST_CASE(kills_are_quick_and_without_a_hook_and_logs_stay)
{
    struct sim sim;
    struct pod_plan plan;
    begin(&sim);
    web_asks(&sim);
    plan_once(&sim, &plan);
    assert_int_equal(plan.n_actions, 1);
    assert_int_equal(plan.actions[0].kind, POD_ACTION_KILL_CONTAINER);
    assert_int_equal(plan.actions[0].grace_s, 2);
    assert_int_equal(plan.actions[0].hook_grace_s, 0);
    assert_string_equal(plan.actions[0].message, "killing");
    assert_false(plan.actions[0].restart);
    sim_end_container(&sim, pod_observed_newest(&sim.have, "log"), 137);
    plan_once(&sim, &plan);
    assert_int_equal(plan.n_actions, 1);
    assert_int_equal(plan.actions[0].kind, POD_ACTION_REMOVE_CONTAINER);
    assert_true(plan.actions[0].keeps_logs);
    sim_done(&sim);
}

TEST_CASE(an_init_container_that_asks_goes_last_of_all)
{
    struct sim sim;
    sim_init(&sim,
             "metadata: {name: p, namespace: default}\n"
             "spec:\n"
             "  initContainers: [{name: first, image: i, " ASKS "}, {name: proxy, image: i, "
             "restartPolicy: Always, restartPolicyRules: [" RULE(
                 "RestartAllContainers", "In", "42") "]}]\n"
                                                     "  containers: [{name: web, image: i}]\n");
    sim_exits(&sim, "first", 5, 0);
    sim_run(&sim, 20);
    buf_clear(&sim.transcript);
    sim_end_container(&sim, pod_observed_newest(&sim.have, "proxy"), 42);
    sim_run(&sim, 6);
    expect(&sim, "@5 KillContainer web\n@5 RemoveContainer web\n@5 RemoveContainer first\n"
                 "@5 RemoveContainer proxy\n@5 StartContainer first\n");
    sim_done(&sim);
}

TEST_CASE(every_generation_goes)
{
    struct sim sim;
    begin(&sim);
    sim.env.max_dead_per_container = 3;
    sim_exits(&sim, "log", 1, 1);
    sim_run(&sim, 30);
    size_t n_log = 0;
    for (const struct container_observed *c = sim.have.containers; c; c = c->next)
        n_log += strcmp(c->name, "log") == 0 ? 1 : 0;
    assert_true(n_log > 1);
    sim_script(&sim, "log")->runs_ns = SIM_FOREVER;
    web_asks(&sim);
    struct pod_plan plan;
    plan_once(&sim, &plan);
    assert_int_equal(plan.n_actions, n_log);
    sim_done(&sim);
}

TEST_CASE(there_is_no_back_off)
{
    struct sim sim;
    sim_init(&sim, "metadata: {name: p, namespace: default}\n"
                   "spec: {containers: [{name: web, image: i, " ASKS "}]}\n");
    sim_exits(&sim, "web", 2, 42);
    sim_run(&sim, 21);
    assert_int_equal(sim_script(&sim, "web")->starts, 11);
    assert_null(sim.broken);
    sim_done(&sim);
}

TEST_CASE(a_dead_sandbox_is_replaced_after_all_have_gone)
{
    struct sim sim;
    begin(&sim);
    web_asks(&sim);
    sim_stop_sandbox(&sim, sim.have.sandboxes->id);
    sim_run(&sim, 6);
    expect(&sim, "@5 RemoveContainer log\n@5 RemoveContainer proxy\n@5 RemoveContainer first\n"
                 "@5 RemoveContainer web\n@5 CreateSandbox\n@5 StartContainer first\n");
    sim_done(&sim);
}

TEST_CASE(a_start_under_way_has_to_end_first)
{
    struct sim sim;
    struct pod_plan plan;
    begin(&sim);
    web_asks(&sim);
    sim.env.is_starting = true;
    plan_once(&sim, &plan);
    assert_int_equal(plan.n_actions, 0);
    sim_done(&sim);
}

TEST_CASE(a_pod_that_ends_only_ends)
{
    struct sim sim;
    begin(&sim);
    web_asks(&sim);
    sim_terminate(&sim);
    assert_null(sim.broken);
    assert_int_equal(sim_script(&sim, "first")->starts, 1);
    sim_done(&sim);
}

TEST_CASE(a_failure_at_any_step_changes_nothing_about_the_end)
{
    size_t steps = SIZE_MAX;
    for (size_t fault = 0; fault <= steps; fault++) {
        struct sim sim;
        begin(&sim);
        sim.steps = 0;
        sim.fault_at = fault;
        web_asks(&sim);
        sim_run(&sim, 600);
        static const char *const names[] = {"proxy", "web", "log"};
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            if (sim_script(&sim, names[i])->starts != 2 || !sim_script(&sim, names[i])->running)
                fail_msg("fault at %zu, %s:\n%s", fault, names[i], buf_text(&sim.transcript));
        }
        sim_terminate(&sim);
        if (sim.broken)
            fail_msg("fault at %zu: %s\n%s", fault, sim.broken, buf_text(&sim.transcript));
        if (fault == 0)
            steps = sim.steps;
        sim_done(&sim);
    }
}

/* --- when it is asked for --- */

static const Core__PodStatus *status_from(struct sim *sim, const char *yaml)
{
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = "test"};
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_yaml(str_from(yaml), &core__pod_status__descriptor, &options,
                                     sim->arena, &message));
    return (const Core__PodStatus *)message;
}

#define EXITED_42                                                                                  \
    "containerStatuses: [{name: web, image: i, imageID: '', ready: false, restartCount: 0, "       \
    "state: "                                                                                      \
    "{terminated: {exitCode: 42}}}]"

TEST_CASE(exit_code_rule_and_what_was_told_decide)
{
    static const struct {
        const char *name, *container;
        int32_t exit_code; /* -1: web runs; -2: it is gone, but log runs */
        const char *status;
        bool want;
    } rows[] = {
        {"its code is listed", ASKS, 42, NULL, true},
        {"its code is not listed", ASKS, 41, NULL, false},
        {"it runs", ASKS, -1, NULL, false},
        {"a rule for all codes but these",
         "restartPolicy: Never, restartPolicyRules: [" RULE("RestartAllContainers", "NotIn",
                                                            "0") "]",
         3, NULL, true},
        {"such a rule and one of these",
         "restartPolicy: Never, restartPolicyRules: [" RULE("RestartAllContainers", "NotIn",
                                                            "0") "]",
         0, NULL, false},
        {"an earlier rule decides",
         "restartPolicy: Never, restartPolicyRules: [" RULE("Restart", "In", "42") ", " RULE(
             "RestartAllContainers", "In", "42") "]",
         42, NULL, false},
        {"rules without a policy",
         "restartPolicyRules: [" RULE("RestartAllContainers", "In", "42") "]", 42, NULL, false},
        {"it was told and has not come to its end", ASKS, -1,
         "conditions: [{type: AllContainersRestarting, status: 'True'}]", true},
        {"it was told and is over", ASKS, -1,
         "conditions: [{type: AllContainersRestarting, status: 'False'}]", false},
        {"the end of one that is gone was told", ASKS, -2, EXITED_42, true},
        {"an end that was told of one that runs again", ASKS, -1, EXITED_42, false},
        {"a told condition, and no rule", "restartPolicy: Never", -1,
         "conditions: [{type: AllContainersRestarting, status: 'True'}]", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct sim sim;
        sim_init(&sim, arena_printf(arena,
                                    "metadata: {name: p, namespace: default}\n"
                                    "spec: {containers: [{name: web, image: i, %s}, {name: log, "
                                    "image: i}]}\n",
                                    rows[i].container));
        const Core__PodStatus *status = rows[i].status ? status_from(&sim, rows[i].status) : NULL;
        assert_false(pod_restarts_all(sim.pod, &sim.have, status)); /* nothing is left */
        sim_run(&sim, 1);
        const struct container_observed *web = pod_observed_newest(&sim.have, "web");
        if (rows[i].exit_code >= 0)
            sim_end_container(&sim, web, rows[i].exit_code);
        else if (rows[i].exit_code == -2)
            pod_observed_drop_container(&sim.have, web->id);
        if (pod_restarts_all(sim.pod, &sim.have, status) != rows[i].want)
            fail_msg("%s", rows[i].name);
        sim_done(&sim);
    }
}

/* --- what is told --- */

struct told {
    struct sim sim;
    Core__PodStatus *status;
};

static void tell(struct told *told)
{
    static const char *const host_ips[] = {"192.0.2.7", NULL};
    struct sim *sim = &told->sim;
    struct status_input input = {.pod = sim->pod,
                                 .have = &sim->have,
                                 .old = told->status,
                                 .notes = sim->notes,
                                 .n_notes = sim->n_scripts,
                                 .runtime_name = "containerd",
                                 .host_ips = host_ips,
                                 .now_ns = sim->env.now_ns};
    told->status = status_generate(&input, sim->arena);
    sim->env.status = told->status;
}

/* Plans once, tells, and carries out, as a worker does. */
static void pass(struct told *told)
{
    struct pod_plan plan;
    plan_once(&told->sim, &plan);
    tell(told);
    sim_apply(&told->sim, &plan);
}

static const char *condition(const struct told *told)
{
    for (size_t i = 0; i < told->status->n_conditions; i++) {
        const Core__PodCondition *c = told->status->conditions[i];
        if (!text_eq(c->type, "AllContainersRestarting"))
            continue;
        assert_false(c->has_observed_generation);
        return arena_printf(told->sim.arena, "%s %s %s", c->status, c->reason ? c->reason : "-",
                            c->message ? c->message : "-");
    }
    return "none";
}

static const char *state_text(struct arena *arena, const Core__ContainerState *state)
{
    if (state->running)
        return "running";
    if (state->waiting)
        return state->waiting->reason;
    return state->terminated
               ? arena_printf(arena, "%d %s", state->terminated->exit_code,
                              state->terminated->reason ? state->terminated->reason : "-")
               : "-";
}

/* "<state>/<last state>/<restarts>" of container @name. */
static const char *shown(const struct told *told, const char *name)
{
    const Core__PodStatus *status = told->status;
    struct arena *arena = told->sim.arena;
    for (size_t i = 0; i < status->n_container_statuses + status->n_init_container_statuses; i++) {
        const Core__ContainerStatus *entry =
            i < status->n_container_statuses
                ? status->container_statuses[i]
                : status->init_container_statuses[i - status->n_container_statuses];
        if (text_eq(entry->name, name))
            return arena_printf(arena, "%s/%s/%d", state_text(arena, entry->state),
                                state_text(arena, entry->last_state), entry->restart_count);
    }
    return "";
}

TEST_CASE(status_follows_it_from_the_exit_to_the_new_start)
{
    struct told told = {0};
    begin(&told.sim);
    tell(&told);
    assert_string_equal(condition(&told), "False - -");
    web_asks(&told.sim);
    pass(&told);
    assert_string_equal(condition(&told), "True RestartAllContainersStarted container exited with "
                                          "restart policy rule");
    assert_string_equal(shown(&told, "web"), "42 -/-/0");
    assert_string_equal(told.status->phase, "Running");
    pass(&told); /* log was killed: it is removed */
    assert_string_equal(shown(&told, "log"), "143 -/-/0");
    pass(&told);
    assert_string_equal(shown(&told, "log"),
                        "RestartingAllContainers/137 RestartingAllContainers/1");
    assert_string_equal(told.status->container_statuses[0]->state->waiting->message,
                        "The container is removed because RestartAllContainers in place");
    assert_string_equal(told.status->container_statuses[0]->last_state->terminated->message,
                        "The container is removed because RestartAllContainers in place");
    pass(&told);
    pass(&told); /* web goes */
    assert_string_equal(shown(&told, "log"),
                        "RestartingAllContainers/137 RestartingAllContainers/1");
    assert_null(pod_observed_newest(&told.sim.have, "web"));
    pass(&told); /* nothing is left: it is over, and all begins anew */
    assert_string_equal(condition(&told), "False - -");
    assert_string_equal(shown(&told, "web"),
                        "RestartingAllContainers/137 RestartingAllContainers/1");
    assert_string_equal(shown(&told, "first"),
                        "RestartingAllContainers/137 RestartingAllContainers/1");
    assert_string_equal(told.status->phase, "Running");
    tell(&told);
    assert_string_equal(shown(&told, "first"), "running/137 RestartingAllContainers/1");
    assert_string_equal(shown(&told, "web"), "PodInitializing/137 RestartingAllContainers/1");
    assert_string_equal(told.status->phase, "Pending");
    sim_run(&told.sim, 100);
    tell(&told);
    assert_string_equal(shown(&told, "web"), "running/137 RestartingAllContainers/1");
    assert_string_equal(told.status->phase, "Running");
    assert_string_equal(condition(&told), "False - -");
    assert_true(told.status->ephemeral_container_statuses[0]->state->running);
    sim_done(&told.sim);
}

TEST_CASE(an_instance_that_was_lost_from_sight_meanwhile_says_why)
{
    struct told told = {0};
    begin(&told.sim);
    tell(&told);
    web_asks(&told.sim);
    const struct container_observed *log = pod_observed_newest(&told.sim.have, "log");
    sim_put(&told.sim, arena_strdup(told.sim.arena, log->id), log->sandbox_id, "log",
            CRI__CONTAINER_STATE__CONTAINER_UNKNOWN, sim_script(&told.sim, "log"), log->created_ns);
    tell(&told);
    assert_string_equal(shown(&told, "log"), "137 RestartingAllContainers/-/1");
    sim_done(&told.sim);
}

TEST_CASE(without_such_a_rule_there_is_no_condition)
{
    struct told told = {0};
    sim_init(&told.sim, "metadata: {name: p, namespace: default}\n"
                        "spec: {containers: [{name: web, image: i}]}\n");
    tell(&told);
    assert_string_equal(condition(&told), "none");
    sim_done(&told.sim);
}

TEST_CASE(a_pod_that_is_over_does_not_restart)
{
    static const struct {
        int32_t exit_code;
        const char *want;
    } rows[] = {{0, "False PodCompleted -"}, {1, "False PodFailed -"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct told told = {0};
        sim_init(&told.sim,
                 "metadata: {name: p, namespace: default}\n"
                 "spec: {restartPolicy: Never, containers: [{name: web, image: i, " ASKS "}]}\n");
        sim_exits(&told.sim, "web", 1, rows[i].exit_code);
        sim_run(&told.sim, 10);
        tell(&told);
        assert_string_equal(condition(&told), rows[i].want);
        sim_done(&told.sim);
    }
}

TEST_CASE(under_never_what_is_taken_away_is_no_failure)
{
    struct told told = {0};
    sim_init(&told.sim,
             "metadata: {name: p, namespace: default}\n"
             "spec: {restartPolicy: Never, initContainers: [{name: first, image: i}],\n"
             "  containers: [{name: web, image: i, " ASKS "}, {name: log, image: i}]}\n");
    sim_exits(&told.sim, "first", 1, 0);
    sim_run(&told.sim, 10);
    tell(&told);
    web_asks(&told.sim);
    for (size_t i = 0; i < 12; i++) {
        pass(&told);
        assert_false(status_is_terminal(told.status));
    }
    assert_int_equal(sim_script(&told.sim, "first")->starts, 2);
    sim_done(&told.sim);
}

TEST_MAIN(TEST(all_go_in_order_and_begin_anew_in_place),
          TEST(kills_are_quick_and_without_a_hook_and_logs_stay),
          TEST(an_init_container_that_asks_goes_last_of_all), TEST(every_generation_goes),
          TEST(there_is_no_back_off), TEST(a_dead_sandbox_is_replaced_after_all_have_gone),
          TEST(a_start_under_way_has_to_end_first), TEST(a_pod_that_ends_only_ends),
          TEST(a_failure_at_any_step_changes_nothing_about_the_end),
          TEST(exit_code_rule_and_what_was_told_decide),
          TEST(status_follows_it_from_the_exit_to_the_new_start),
          TEST(an_instance_that_was_lost_from_sight_meanwhile_says_why),
          TEST(without_such_a_rule_there_is_no_condition),
          TEST(a_pod_that_is_over_does_not_restart),
          TEST(under_never_what_is_taken_away_is_no_failure))
