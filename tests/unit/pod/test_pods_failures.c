/*
 * Failure sweep: one scenario is run without a fault to count the runtime's calls, then once per
 * call and kind of fault with that call failing. Whatever fails, the end is the same: what is
 * wanted runs, each container once, and what is not wanted is gone. The audit never comes, so
 * nothing is found by it alone.
 */
#include "pods_bench.h"

#define WORK_POD                                                                                   \
    "initContainers: [{name: init, image: 'img:1'}, "                                              \
    "{name: side, image: 'img:1', restartPolicy: Always}], "                                       \
    "volumes: [{name: v, emptyDir: {}}], "                                                         \
    "containers: [{name: main, image: 'img:1', volumeMounts: [{name: v, mountPath: /v}]}]"
#define HOOK_POD                                                                                   \
    "containers: [{name: main, image: 'img:1', lifecycle: {"                                       \
    "postStart: {exec: {command: [hello]}}, preStop: {exec: {command: [goodbye]}}}}]"

enum kind { NO_FAULT, REFUSED, OUTAGE, REPLY_LOST, LATE, AGENT_RESTART };

static const struct {
    const char *name;
    enum fake_effect effect;
    enum error_code code;
    size_t times; /* so many calls in a row */
} kinds[] = {
    [NO_FAULT] = {.name = "no fault"},
    [REFUSED] = {"refused", FAKE_REFUSED, ERROR_UNAVAILABLE, 1},
    [OUTAGE] = {"outage", FAKE_REFUSED, ERROR_UNAVAILABLE, 4},
    [REPLY_LOST] = {"reply lost", FAKE_REPLY_LOST, ERROR_UNAVAILABLE, 1},
    [LATE] = {"late", FAKE_LATE, ERROR_DEADLINE_EXCEEDED, 1},
    [AGENT_RESTART] = {.name = "agent restart"},
};

struct run {
    struct bench bench;
    enum kind kind;
    size_t at; /* the call that fails */
    bool restarted;
    const char *phase; /* of the scenario, for messages */
};

static void give_up(const struct run *run, const char *what)
{
    enum runtime_method method = RUNTIME_METHOD_COUNT;
    fake_runtime_was_hit(run->bench.fake, &method);
    fail_msg("%s at call %zu (method %d), %s: %s\n%s%s", kinds[run->kind].name, run->at,
             (int)method, run->phase, what, fake_runtime_violations(run->bench.fake),
             fake_runtime_transcript(run->bench.fake));
}

static void check(const struct run *run, bool holds, const char *what)
{
    if (!holds)
        give_up(run, what);
}

/* The agent ends in the middle of whatever it does, and a new one begins. */
static void restart_agent(struct run *run)
{
    run->restarted = true;
    bench_stop(&run->bench);
    bench_start(&run->bench);
    bench_tell(&run->bench);
}

static void settle(struct run *run, const char *phase)
{
    struct bench *bench = &run->bench;
    run->phase = phase;
    for (size_t i = 0; run->kind == AGENT_RESTART && !run->restarted && i < BENCH_TURNS; i++) {
        if (fake_runtime_calls(bench->fake) >= run->at)
            restart_agent(run);
        else if (bench_is_settled(bench) && i > 20)
            break;
        else
            loop_turn(bench->loop, BENCH_WAIT_NS);
    }
    check(run, bench_rests(bench), "never comes to rest");
    struct pods_summary summary;
    pods_summarize(bench->pods, &summary);
    if (!summary.network_ready) {
        fake_runtime_restart(bench->fake, false); /* else it is asked again only seconds later */
        check(run, bench_rests(bench), "never comes to rest");
    }
}

/* The hook of the instance that runs now, not only of one that had to be replaced. */
static bool hook_ran(const struct bench *bench)
{
    uint32_t attempt = fake_runtime_config(bench->fake, "hook-n", "main")->metadata->attempt;
    return strstr(fake_runtime_transcript(bench->fake),
                  arena_printf(bench->arena, "ExecSync hook-n.main/%u hello\n", attempt));
}

static bool has_link(const struct bench *bench)
{
    const char *id = fake_runtime_newest(bench->fake, "hook-n", "main");
    return bench_exists(bench, arena_printf(bench->arena, "links/hook-n_default_main-%s.log", id));
}

static size_t run_scenario(enum kind kind, size_t at)
{
    struct run run = {.kind = kind, .at = at};
    struct bench *bench = &run.bench;
    bench_init_with(bench, &(struct cgroup_options){.cgroups_per_qos = false});
    fake_runtime_script(bench->fake, &(struct fake_script){.name = "init", .exits = SIZE_MAX});
    if (kind != NO_FAULT && kind != AGENT_RESTART)
        fake_runtime_fail(bench->fake, &(struct fake_fault){.at = at,
                                                            .effect = kinds[kind].effect,
                                                            .code = kinds[kind].code,
                                                            .times = kinds[kind].times});
    bench_start(bench);
    bench_want(bench, "work", WORK_POD);
    bench_want(bench, "hook", HOOK_POD);
    bench_tell(bench);
    settle(&run, "starting");
    check(&run, fake_runtime_running(bench->fake, NULL, NULL) == 3, "three containers should run");
    if (kind == REFUSED || kind == REPLY_LOST) {
        check(&run, hook_ran(bench), "the running container's postStart hook should have run");
        check(&run, has_link(bench), "the running container's log should be linked");
    }
    fake_runtime_exit(bench->fake, "work-n", "main", 3);
    settle(&run, "restarting");
    check(&run, fake_runtime_running(bench->fake, NULL, NULL) == 3, "three containers should run");
    bench_drop(bench, "u-hook");
    bench_tell(bench);
    settle(&run, "removing");
    bench_assert_gone(bench, "hook-n", "u-hook");
    check(&run, fake_runtime_running(bench->fake, NULL, NULL) == 2, "two containers should run");
    check(&run, fake_runtime_running(bench->fake, "work-n", "main") == 1, "main should run");
    check(&run, fake_runtime_running(bench->fake, "work-n", "side") == 1, "side should run");
    check(&run, fake_runtime_sandboxes(bench->fake) == 1, "one sandbox should be left");
    check(&run, fake_runtime_containers(bench->fake) <= 6, "too many dead containers are left");
    check(&run, text_eq(bench_phase(bench, "u-work"), "Running"), "the pod should say Running");
    check(&run, text_eq(bench_state(bench, "u-work", "main"), "running"),
          "main should say running");
    check(&run, text_eq(bench_state(bench, "u-work", "init"), "exited 0 Completed"),
          "init should say that it completed");
    check(&run, *fake_runtime_violations(bench->fake) == '\0', "the runtime was mistreated");
    size_t calls = fake_runtime_calls(bench->fake);
    bench_done(bench);
    return calls;
}

static void sweep(enum kind kind)
{
    size_t calls = run_scenario(NO_FAULT, 0);
    assert_true(calls > 40);
    for (size_t at = 1; at <= calls; at++)
        run_scenario(kind, at);
}

TEST_CASE(every_call_may_be_refused)
{
    sweep(REFUSED);
}

TEST_CASE(the_runtime_may_be_out_for_some_calls)
{
    sweep(OUTAGE);
}

TEST_CASE(every_reply_may_be_lost)
{
    sweep(REPLY_LOST);
}

TEST_CASE(every_call_may_miss_its_deadline_and_be_carried_out_later)
{
    sweep(LATE);
}

TEST_CASE(the_agent_may_restart_at_every_call)
{
    sweep(AGENT_RESTART);
}

TEST_MAIN(TEST(every_call_may_be_refused), TEST(the_runtime_may_be_out_for_some_calls),
          TEST(every_reply_may_be_lost),
          TEST(every_call_may_miss_its_deadline_and_be_carried_out_later),
          TEST(the_agent_may_restart_at_every_call))
