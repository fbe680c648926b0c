/* What is removed when nobody needs it any more, over the fake runtime, in real time. */
#include "kube/event_recorder.h"
#include "pods_bench.h"

#include <unistd.h>

#define INIT "initContainers: [{name: one, image: 'img:1'}], " BENCH_WEB
#define ONCE "restartPolicy: Never, containers: [{name: c, image: 'img:1'}]"
#define TWICE                                                                                      \
    "restartPolicy: Never, containers: [{name: c, image: 'img:1'}, {name: d, image: 'img:1'}]"
#define AUDIT_NS (3 * NS_PER_MS)

static bool said(const struct bench *bench, const char *text)
{
    return strstr(bench_transcript(bench), text);
}

static size_t count_of(const struct bench *bench, const char *text)
{
    size_t count = 0;
    for (const char *at = bench_transcript(bench); (at = strstr(at, text)); at++)
        count++;
    return count;
}

/* Audits come and go by themselves, so the pods never rest: what is asked of them is waited for. */
static void begin(struct bench *bench, const char *name, const char *spec)
{
    bench->env.audit_period_ns = AUDIT_NS;
    bench_start(bench);
    bench_want(bench, name, spec);
    bench_tell(bench);
}

/* Turns until two more audits are over. */
static void audit(struct bench *bench)
{
    size_t lists = fake_runtime_count(bench->fake, RUNTIME_LIST_CONTAINERS) + 3;
    bench_until(bench, fake_runtime_count(bench->fake, RUNTIME_LIST_CONTAINERS) >= lists);
}

TEST_CASE(of_a_plain_init_container_only_the_newest_end_is_kept)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_dead_per_container = 5;
    fake_runtime_script(bench.fake,
                        &(struct fake_script){.name = "one", .exits = 3, .exit_code = 1});
    bench_begin(&bench, "web", INIT);
    bench_until(&bench, fake_runtime_running(bench.fake, "web-n", "one") == 1);
    bench_rest(&bench);
    assert_true(said(&bench, "RemoveContainer web-n.one/0\n"));
    assert_true(said(&bench, "RemoveContainer web-n.one/1\n"));
    assert_int_equal(fake_runtime_containers(bench.fake), 2);
    bench_finish(&bench);
}

TEST_CASE(a_limit_of_none_removes_the_dead_ones_of_a_container_that_runs)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_dead_per_container = 0;
    begin(&bench, "web", BENCH_WEB);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_until(&bench, said(&bench, "RemoveContainer web-n.c/0\n"));
    audit(&bench);
    assert_int_equal(fake_runtime_containers(bench.fake), 1);
    bench_finish(&bench);
}

TEST_CASE(a_young_one_is_not_collected)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_dead_per_container = 0;
    bench.env.min_dead_age_ns = INT64_MAX;
    begin(&bench, "web", BENCH_WEB);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_START_CONTAINER) == 2);
    audit(&bench);
    assert_false(said(&bench, "RemoveContainer"));
    bench_finish(&bench);
}

TEST_CASE(what_has_finished_in_a_living_pod_does_not_run_again)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_dead_per_container = 0;
    bench.env.max_dead_containers = 0;
    begin(&bench, "web", TWICE);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "d"), "running"));
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "exited 0 Completed"));
    audit(&bench);
    assert_int_equal(count_of(&bench, "StartContainer web-n.c/"), 1);
    assert_false(said(&bench, "RemoveContainer"));
    bench_finish(&bench);
}

TEST_CASE(a_pod_that_is_over_keeps_its_status_when_its_containers_are_collected)
{
    struct bench bench;
    bench_init(&bench);
    bench.env.max_dead_containers = 0;
    fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .exits = 1, .exit_code = 3});
    begin(&bench, "web", ONCE);
    bench_until(&bench, said(&bench, "RemoveContainer web-n.c/0\n"));
    audit(&bench);
    assert_string_equal(bench_phase(&bench, "u-web"), "Failed");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "exited 3 Error");
    assert_int_equal(count_of(&bench, "StartContainer"), 1);
    /* Its newest sandbox stays as long as it does. */
    assert_int_equal(fake_runtime_sandboxes(bench.fake), 1);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_int_equal(fake_runtime_sandboxes(bench.fake), 0);
    bench_finish(&bench);
}

TEST_CASE(an_evicted_pod_keeps_its_status_alone)
{
    static const struct {
        bool is_eviction;
        size_t kept;
    } rows[] = {{true, 0}, {false, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench);
        bench_begin(&bench, "web", BENCH_WEB);
        const struct pod_kill kill = {
            .reason = "Evicted", .message = "m", .is_eviction = rows[i].is_eviction};
        pods_kill(bench.pods, "u-web", &kill);
        bench_rest(&bench);
        assert_string_equal(bench_phase(&bench, "u-web"), "Failed");
        assert_string_equal(bench_state(&bench, "u-web", "c"), "exited 143 Error");
        assert_int_equal(fake_runtime_containers(bench.fake), rows[i].kept);
        assert_int_equal(fake_runtime_sandboxes(bench.fake), rows[i].kept);
        assert_int_equal(bench_exists(&bench, "logs/default_web-n_u-web"), rows[i].kept);
        bench_drop(&bench, "u-web");
        bench_tell(&bench);
        bench_rest(&bench);
        bench_assert_gone(&bench, "web", "u-web");
        bench_finish(&bench);
    }
}

TEST_CASE(one_that_nobody_can_tell_about_is_killed_before_it_is_removed)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", ONCE);
    fake_runtime_exit(bench.fake, "web-n", "c", 0);
    bench_rest(&bench);
    fake_runtime_lose_container(bench.fake, "web-n", "c");
    fake_runtime_poke(bench.fake, "web-n");
    fake_runtime_restart(bench.fake, /* wipe= */ false);
    bench_rest(&bench);
    fake_runtime_clear_transcript(bench.fake);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_rest(&bench);
    assert_true(said(&bench, "StopContainer web-n.c/0 30\nRemoveContainer web-n.c/0\n"));
    assert_false(bench_has_pod(&bench, "u-web"));
    bench_finish(&bench);
}

/* --- what cannot be listed --- */

static bool told(const struct bench *bench, const char *message)
{
    struct buf text;
    buf_init(&text, 1 * MiB);
    assert_no_error(fd_read_file_blocking(bench_path(bench, "log"), &text));
    const char *event = arena_printf(bench->arena,
                                     "\"Event occurred\" kind=\"Node\" object=\"node-a\" "
                                     "namespace=\"\" fieldPath=\"\" type=\"Warning\" "
                                     "reason=\"ContainerGCFailed\" message=\"%s",
                                     message);
    bool found = strstr(buf_text(&text), event);
    buf_done(&text);
    return found;
}

TEST_CASE(what_cannot_be_listed_is_told_on_the_node)
{
    static const struct {
        const char *message;
        bool no_folder;
    } rows[] = {{"failed to read podLogsDirectory", true},
                {"rpc error: code = Unavailable desc = away", false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench);
        int fd = open(bench_path(&bench, "log"), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
        log_set_fd(fd);
        log_set_verbosity(3);
        struct pods_api api = {.events = event_recorder_new(bench.loop, NULL, "kubelet", "n")};
        bench.env.api = &api;
        bench.env.audit_period_ns = AUDIT_NS;
        if (rows[i].no_folder)
            assert_int_equal(rmdir(bench_path(&bench, "logs")), 0);
        else
            fake_runtime_fail(bench.fake, &(struct fake_fault){.of_method = true,
                                                               .method = RUNTIME_LIST_CONTAINERS,
                                                               .at = 2,
                                                               .code = ERROR_UNAVAILABLE,
                                                               .message = "away"});
        bench_start(&bench);
        bench_tell(&bench);
        bench_until(&bench, told(&bench, rows[i].message));
        bench_finish(&bench);
        event_recorder_free(api.events);
        log_set_verbosity(0);
        assert_int_equal(close(fd), 0);
    }
}

/* --- links --- */

static void make_link(const struct bench *bench, const char *target, const char *name)
{
    const char *link = arena_printf(bench->arena, "links/%s", name);
    assert_int_equal(symlink(bench_path(bench, target), bench_path(bench, link)), 0);
}

TEST_CASE(links_that_lead_nowhere_go_at_the_start)
{
    struct bench bench;
    bench_init(&bench);
    make_link(&bench, "none", "a_b_c-0123456789.log");
    make_link(&bench, "none", "nodash.log");
    make_link(&bench, "none", "other.txt");
    make_link(&bench, "hosts", "a_b_c-abcdefgh.log");
    bench_begin(&bench, "web", BENCH_WEB);
    assert_false(bench_exists(&bench, "links/a_b_c-0123456789.log"));
    assert_false(bench_exists(&bench, "links/nodash.log"));
    assert_true(bench_exists(&bench, "links/other.txt"));
    assert_true(bench_exists(&bench, "links/a_b_c-abcdefgh.log"));
    bench_finish(&bench);
}

/* As after a restart of the agent; turns until it has looked for leftovers more than once. */
static void begin_again(struct bench *bench)
{
    bench->env.audit_period_ns = AUDIT_NS;
    bench_start(bench);
    bench_tell(bench);
    audit(bench);
}

TEST_CASE(the_link_of_a_log_that_is_away_for_a_moment_stays)
{
    static const struct {
        const char *name, *spec;
        bool stays;
    } rows[] = {{"it runs", BENCH_WEB, true}, {"it has ended", ONCE, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench);
        bench_begin(&bench, "web", rows[i].spec);
        if (!rows[i].stays)
            fake_runtime_exit(bench.fake, "web-n", "c", 0);
        bench_rest(&bench);
        assert_int_equal(unlink(bench_path(&bench, "logs/default_web-n_u-web/c/0.log")), 0);
        bench_stop(&bench);
        begin_again(&bench);
        if (bench_exists(&bench, "links/web-n_default_c-container-2.log") != rows[i].stays)
            fail_msg("%s", rows[i].name);
        bench_finish(&bench);
    }
}

TEST_CASE(a_container_that_somebody_else_removed_leaves_no_link)
{
    struct bench bench;
    bench_init(&bench);
    begin(&bench, "web", BENCH_WEB);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_true(bench_exists(&bench, "links/web-n_default_c-container-2.log"));
    const char *log = bench_path(&bench, "logs/default_web-n_u-web/c/0.log");
    assert_int_equal(rename(log, bench_path(&bench, "logs/default_web-n_u-web/c/5.log")), 0);
    fake_runtime_forget(bench.fake); /* the next one writes 6.log */
    bench_until(&bench, !bench_exists(&bench, "links/web-n_default_c-container-2.log"));
    bench_done(&bench);
}

TEST_CASE(the_links_of_pods_left_over_go_after_their_logs)
{
    struct bench bench;
    bench_init(&bench);
    assert_no_error(fd_mkdir_all(bench_path(&bench, "logs/default_old_u-old/c"), 0755));
    bench_write(bench_path(&bench, "logs/default_old_u-old/c/0.log"), "x");
    make_link(&bench, "logs/default_old_u-old/c/0.log", "old_default_c-0123456789.log");
    begin(&bench, "web", BENCH_WEB);
    bench_until(&bench, !bench_exists(&bench, "logs/default_old_u-old"));
    bench_until(&bench, !bench_exists(&bench, "links/old_default_c-0123456789.log"));
    bench_finish(&bench);
}

TEST_MAIN(TEST(of_a_plain_init_container_only_the_newest_end_is_kept),
          TEST(a_limit_of_none_removes_the_dead_ones_of_a_container_that_runs),
          TEST(a_young_one_is_not_collected),
          TEST(what_has_finished_in_a_living_pod_does_not_run_again),
          TEST(a_pod_that_is_over_keeps_its_status_when_its_containers_are_collected),
          TEST(an_evicted_pod_keeps_its_status_alone),
          TEST(one_that_nobody_can_tell_about_is_killed_before_it_is_removed),
          TEST(what_cannot_be_listed_is_told_on_the_node),
          TEST(links_that_lead_nowhere_go_at_the_start),
          TEST(the_link_of_a_log_that_is_away_for_a_moment_stays),
          TEST(a_container_that_somebody_else_removed_leaves_no_link),
          TEST(the_links_of_pods_left_over_go_after_their_logs))
