/* RestartAllContainers over a fake runtime: the pod begins anew in its sandbox, and comes to the
 * same end whatever call fails and whenever the agent restarts. */
#include "pods_bench.h"

#include <dirent.h>
#include <unistd.h>

#define ASKS                                                                                       \
    "restartPolicy: Never, restartPolicyRules: [{action: RestartAllContainers, exitCodes: "        \
    "{operator: In, values: [42]}}]"
#define SPEC                                                                                       \
    "volumes: [{name: v, emptyDir: {}}], initContainers: [{name: init, image: 'img:1'}, "          \
    "{name: side, image: 'img:1', restartPolicy: Always}], "                                       \
    "containers: [{name: web, image: 'img:1', " ASKS "}, {name: log, image: 'img:1', lifecycle: "  \
    "{preStop: {exec: {command: [goodbye]}}}, volumeMounts: [{name: v, mountPath: /v}]}]"
#define LEFTOVER "root/pods/u-work/volumes/kubernetes.io~empty-dir/v/kept"

static const char *condition(const struct bench *bench)
{
    const Core__PodStatus *status = bench_look(bench, "u-work").view.status;
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "AllContainersRestarting"))
            return status->conditions[i]->status;
    }
    return "none";
}

static void begin(struct bench *bench)
{
    bench_init_with(bench, &(struct cgroup_options){.cgroups_per_qos = false});
    fake_runtime_script(bench->fake, &(struct fake_script){.name = "init", .exits = SIZE_MAX});
    bench_begin(bench, "work", SPEC);
    bench_write(bench_path(bench, LEFTOVER), "");
}

TEST_CASE(all_containers_begin_anew_in_the_same_sandbox)
{
    struct bench bench;
    begin(&bench);
    assert_string_equal(condition(&bench), "False");
    fake_runtime_clear_transcript(bench.fake);
    fake_runtime_exit(bench.fake, "work-n", "web", 42);
    bench_rest(&bench);
    assert_string_equal(bench_transcript(&bench),
                        "StopContainer work-n.log/0 2\nRemoveContainer work-n.log/0\n"
                        "StopContainer work-n.side/0 2\nRemoveContainer work-n.init/0\n"
                        "RemoveContainer work-n.side/0\nRemoveContainer work-n.web/0\n"
                        "CreateContainer work-n.init/1\nStartContainer work-n.init/1\n"
                        "CreateContainer work-n.side/1\nStartContainer work-n.side/1\n"
                        "CreateContainer work-n.web/1\nStartContainer work-n.web/1\n"
                        "CreateContainer work-n.log/1\nStartContainer work-n.log/1\n");
    assert_string_equal(condition(&bench), "False");
    assert_string_equal(bench_phase(&bench, "u-work"), "Running");
    static const char *const names[] = {"init", "side", "web", "log"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const Core__ContainerStatus *entry = bench_container(&bench, "u-work", names[i]);
        assert_int_equal(entry->restart_count, 1);
        assert_string_equal(entry->last_state->terminated->reason, "RestartingAllContainers");
        const char *logs =
            arena_printf(bench.arena, "logs/default_work-n_u-work/%s/0.log", names[i]);
        assert_true(bench_exists(&bench, logs));
    }
    assert_true(bench_exists(&bench, LEFTOVER));
    assert_int_equal(fake_runtime_sandboxes(bench.fake), 1);
    bench_finish(&bench);
}

static size_t links_of(const struct bench *bench, const char *prefix)
{
    DIR *entries = opendir(bench_path(bench, "links"));
    assert_non_null(entries);
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries)))
        count += text_has_prefix(entry->d_name, prefix) ? 1 : 0;
    assert_int_equal(closedir(entries), 0);
    return count;
}

TEST_CASE(links_to_kept_logs_go_with_the_pod)
{
    struct bench bench;
    begin(&bench);
    assert_int_equal(links_of(&bench, "work-n_default_"), 4);
    fake_runtime_exit(bench.fake, "work-n", "web", 42);
    bench_rest(&bench);
    assert_int_equal(links_of(&bench, "work-n_default_"), 8);
    /* Of the same name, but another pod's. */
    assert_int_equal(symlink(bench_path(&bench, "logs/default_work-n_u-work-2/c/0.log"),
                             bench_path(&bench, "links/work-n_default_c-other.log")),
                     0);
    bench_drop(&bench, "u-work");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_int_equal(links_of(&bench, "work-n_default_"), 1);
    bench_assert_gone(&bench, "work-n", "u-work");
    bench_finish(&bench);
}

TEST_CASE(one_that_waited_for_its_back_off_starts_at_once)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.backoff_max_ns = BENCH_NEVER_NS;
    fake_runtime_script(bench.fake,
                        &(struct fake_script){.name = "log", .exits = 2, .exit_code = 1});
    bench_begin(&bench, "work",
                "containers: [{name: web, image: 'img:1', " ASKS "}, {name: log, image: 'img:1'}]");
    assert_string_equal(bench_state(&bench, "u-work", "log"), "CrashLoopBackOff");
    fake_runtime_exit(bench.fake, "work-n", "web", 42);
    bench_rest(&bench);
    assert_string_equal(bench_state(&bench, "u-work", "log"), "running");
    bench_finish(&bench);
}

TEST_CASE(a_start_under_way_ends_first)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "init", .exits = SIZE_MAX});
    bench_start(&bench);
    bench_want(&bench, "work",
               "initContainers: [{name: init, image: 'img:1'}], containers: [{name: web, image: "
               "'img:1', " ASKS "}, {name: log, image: 'pulled:1', imagePullPolicy: Always}]");
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, true);
    bench_tell(&bench);
    bench_until(&bench, fake_runtime_count(bench.fake, IMAGE_PULL_IMAGE) == 1 &&
                            text_eq(bench_state(&bench, "u-work", "web"), "running"));
    fake_runtime_exit(bench.fake, "work-n", "web", 42);
    bench_until(&bench, text_eq(condition(&bench), "True"));
    bench_idle(&bench);
    assert_int_equal(fake_runtime_count(bench.fake, RUNTIME_REMOVE_CONTAINER), 0);
    fake_runtime_hold(bench.fake, IMAGE_PULL_IMAGE, false);
    bench_until(&bench, text_eq(bench_state(&bench, "u-work", "log"), "running") &&
                            text_eq(condition(&bench), "False"));
    assert_int_equal(bench_container(&bench, "u-work", "init")->restart_count, 1);
    assert_int_equal(bench_container(&bench, "u-work", "log")->restart_count, 1);
    bench_finish(&bench);
}

/* --- failure sweep --- */

enum kind { REFUSED, REPLY_LOST, LATE, AGENT_RESTART, KINDS };

static const struct {
    enum fake_effect effect;
    enum error_code code;
} kinds[] = {
    [REFUSED] = {FAKE_REFUSED, ERROR_UNAVAILABLE},
    [REPLY_LOST] = {FAKE_REPLY_LOST, ERROR_UNAVAILABLE},
    [LATE] = {FAKE_LATE, ERROR_DEADLINE_EXCEEDED},
    [AGENT_RESTART] = {0},
};

static void restart_agent_at(struct bench *bench, size_t call)
{
    for (size_t i = 0; i < BENCH_TURNS && fake_runtime_calls(bench->fake) < call; i++)
        loop_turn(bench->loop, BENCH_WAIT_NS);
    bench_stop(bench);
    bench_start(bench);
    bench_tell(bench);
}

/* One run with call @at going wrong; 0: none. Returns the number of calls. */
static size_t run_scenario(enum kind kind, size_t at)
{
    struct bench bench;
    begin(&bench);
    size_t before = fake_runtime_calls(bench.fake);
    if (at > 0 && kind != AGENT_RESTART)
        fake_runtime_fail(
            bench.fake,
            &(struct fake_fault){.at = at, .effect = kinds[kind].effect, .code = kinds[kind].code});
    fake_runtime_exit(bench.fake, "work-n", "web", 42);
    if (at > 0 && kind == AGENT_RESTART)
        restart_agent_at(&bench, before + at);
    bench_rest(&bench);
    size_t calls = fake_runtime_calls(bench.fake) - before;
    static const char *const names[] = {"side", "web", "log"};
    bool holds = fake_runtime_sandboxes(bench.fake) == 1 && text_eq(condition(&bench), "False") &&
                 fake_runtime_running(bench.fake, NULL, NULL) == 3;
    for (size_t i = 0; holds && i < ARRAY_SIZE(names); i++) {
        const Cri__ContainerConfig *config = fake_runtime_config(bench.fake, "work-n", names[i]);
        holds = config && config->metadata->attempt >= 1;
    }
    if (!holds)
        fail_msg("kind %d at call %zu, condition %s:\n%s", (int)kind, at, condition(&bench),
                 bench_transcript(&bench));
    bench_finish(&bench);
    return calls;
}

TEST_CASE(whatever_goes_wrong_all_have_begun_anew)
{
    size_t calls = run_scenario(REFUSED, 0);
    assert_true(calls > 20);
    for (enum kind kind = REFUSED; kind < KINDS; kind++) {
        for (size_t at = 1; at <= calls; at++)
            run_scenario(kind, at);
    }
}

TEST_MAIN(TEST(all_containers_begin_anew_in_the_same_sandbox),
          TEST(links_to_kept_logs_go_with_the_pod),
          TEST(one_that_waited_for_its_back_off_starts_at_once), TEST(a_start_under_way_ends_first),
          TEST(whatever_goes_wrong_all_have_begun_anew))
