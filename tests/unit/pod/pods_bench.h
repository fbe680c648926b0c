/*
 * The pod engine on a bench: pods_new() with real volumes and a cgroup tree in a folder, over the
 * fake runtime, on a loop that a test turns. Pauses are a millisecond, the audit comes only when a
 * test wants it.
 */
#pragma once

#include "base/fd.h"
#include "base/log.h"
#include "fake_runtime.h"
#include "image/pull_records.h"
#include "kube/resources.h"
#include "pod/pods.h"
#include "pod/static_pod.h"
#include "pod_fixture.h"
#include "tests/lib/metrics_read.h"
#include "tests/lib/tempdir.h"
#include "tests/unit/cgroup/fake_cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>

#define BENCH_WEB "containers: [{name: c, image: 'img:1'}]" /* what most scenarios want */
#define BENCH_MAX_PODS 8
#define BENCH_TURNS 4000
#define BENCH_WAIT_NS (2 * NS_PER_MS)
#define BENCH_QUIET_TURNS 12
#define BENCH_REST_TURNS 6
#define BENCH_QUIET_NS (6 * NS_PER_MS) /* longer than any pause after a failure */
#define BENCH_NEVER_NS (24 * 3600 * NS_PER_SEC)

struct bench {
    struct arena *arena;
    char *dir;
    struct loop *loop;
    struct work_pool *pool;
    struct fake_runtime *fake;
    struct fake_cgroup *cgroup_fs;
    struct cgroup_tree *cgroups;
    struct volume_manager *volumes;
    struct pull_queue *pulls;
    struct pull_records *pull_records;
    struct metrics *metrics, *probe_metrics;
    struct node_facts node;
    struct pods_environment env;
    struct pods *pods;
    int log_fd;
    struct pod_object *wanted[BENCH_MAX_PODS];
    size_t n_wanted;
};

static inline UNUSED const char *bench_path(const struct bench *bench, const char *relative)
{
    return arena_printf(bench->arena, "%s/%s", bench->dir, relative);
}

static inline void bench_write(const char *path, const char *text)
{
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0644));
}

/** @cgroups changes the cgroup tree, as for fake_tree(); NULL: one cgroup per QoS tier and pod. */
static inline void bench_init_with(struct bench *bench, const struct cgroup_options *cgroups)
{
    static const char *const host_ips[] = {"192.0.2.1", NULL};
    static const struct pull_queue_options pulls = {.max_parallel = 1};
    static const struct cgroup_node_limits no_limits = {0};
    *bench = (struct bench){.arena = arena_new(0), .dir = tempdir_new()};
    /* What goes wrong on purpose would fill the terminal. */
    bench->log_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (!getenv("CUBELET_TEST_LOG"))
        log_set_fd(bench->log_fd);
    assert_no_error(loop_new(&bench->loop));
    bench->pool = work_pool_new(bench->loop, 0);
    bench->fake = fake_runtime_new(bench->loop);
    fake_runtime_add_image(bench->fake, "img:1");
    bench->cgroup_fs = fake_cgroup_new(CGROUP_V2);
    bench->cgroups = fake_tree(bench->cgroup_fs, cgroups);
    assert_no_error(cgroup_setup_node(bench->cgroups, &no_limits));
    static const char *const folders[] = {
        "root", "root/pods", "root/image_manager/pulling", "root/image_manager/pulled",
        "logs", "links"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        assert_no_error(fd_mkdir_all(bench_path(bench, folders[i]), 0755));
    bench_write(bench_path(bench, "resolv.conf"), "nameserver 192.0.2.53\n");
    bench_write(bench_path(bench, "hosts"), "127.0.0.1 localhost\n");
    struct volume_options volumes = {.root_dir = bench_path(bench, "root")};
    bench->volumes = volume_manager_new(bench->loop, bench->pool, &volumes);
    bench->pulls = pull_queue_new(&pulls);
    bench->metrics = metrics_new();
    bench->probe_metrics = metrics_new();
    const struct pull_records_options records = {
        .pool = bench->pool,
        .root_dir = bench_path(bench, "root"),
        .policy = {.kind = CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES},
        .max_intents = 8,
        .max_records = 8,
        .metrics = bench->metrics};
    bench->pull_records = pull_records_new(&records);
    bench->node = node_for_tests();
    bench->node.cgroups_per_qos = !cgroups || cgroups->cgroups_per_qos;
    bench->node.root_dir = bench_path(bench, "root");
    bench->node.pod_logs_dir = bench_path(bench, "logs");
    bench->env = (struct pods_environment){.loop = bench->loop,
                                           .pool = bench->pool,
                                           .runtime = fake_runtime_as_pod_runtime(bench->fake),
                                           .volumes = bench->volumes,
                                           .cgroups = bench->cgroups,
                                           .pulls = bench->pulls,
                                           .pull_records = bench->pull_records,
                                           .node = &bench->node,
                                           .runtime_name = "fake",
                                           .resolv_conf = bench_path(bench, "resolv.conf"),
                                           .etc_hosts = bench_path(bench, "hosts"),
                                           .container_links = bench_path(bench, "links"),
                                           .backoff_max_ns = NS_PER_MS,
                                           .retry_ns = NS_PER_MS,
                                           .max_dead_per_container = 1,
                                           .max_dead_containers = -1,
                                           .audit_period_ns = BENCH_NEVER_NS,
                                           .max_parallel_starts = 8,
                                           .host_ips = host_ips,
                                           .metrics = bench->metrics,
                                           .probe_metrics = bench->probe_metrics};
}

static inline UNUSED void bench_init(struct bench *bench)
{
    bench_init_with(bench, NULL);
}

/** Makes and starts the pods with what bench->env says; nothing is wanted yet. */
static inline void bench_start(struct bench *bench)
{
    bench->pods = pods_new(&bench->env);
    pods_start(bench->pods);
}

static inline UNUSED void bench_stop(struct bench *bench)
{
    pods_free(bench->pods);
    bench->pods = NULL;
}

static inline UNUSED void bench_done(struct bench *bench)
{
    bench_stop(bench);
    for (size_t i = 0; i < bench->n_wanted; i++)
        pod_object_unref(bench->wanted[i]);
    volume_manager_free(bench->volumes);
    pull_records_free(bench->pull_records);
    metrics_free(bench->metrics);
    metrics_free(bench->probe_metrics);
    pull_queue_free(bench->pulls);
    cgroup_tree_free(bench->cgroups);
    fake_cgroup_free(bench->cgroup_fs);
    fake_runtime_free(bench->fake);
    work_pool_free(bench->pool, NS_PER_SEC);
    loop_free(bench->loop);
    tempdir_free(bench->dir);
    log_set_fd(STDERR_FILENO);
    assert_int_equal(close(bench->log_fd), 0);
    arena_free(bench->arena);
}

/** Wants pod @name (its node name is added) with the uid "u-<name>" and @spec in YAML flow text,
 * after what is wanted. */
static inline void bench_want_uid(struct bench *bench, const char *name, const char *uid,
                                  const char *spec)
{
    const char *text = arena_printf(
        bench->arena, "apiVersion: v1\nkind: Pod\nmetadata: {name: %s, uid: %s}\nspec: {%s}\n",
        name, uid, spec);
    struct static_pod_input input = {.text = str_from(text),
                                     .path = arena_printf(bench->arena, "/manifests/%s", name),
                                     .node_name = "n",
                                     .seen_ns = loop_now_wall_ns(bench->loop)};
    assert_true(bench->n_wanted < BENCH_MAX_PODS);
    assert_no_error(static_pod_read(&input, &bench->wanted[bench->n_wanted]));
    bench->n_wanted++;
}

static inline UNUSED void bench_want(struct bench *bench, const char *name, const char *spec)
{
    bench_want_uid(bench, name, arena_printf(bench->arena, "u-%s", name), spec);
}

/** Takes the pod with @uid out of what is wanted. */
static inline UNUSED void bench_drop(struct bench *bench, const char *uid)
{
    size_t kept = 0;
    for (size_t i = 0; i < bench->n_wanted; i++) {
        if (strcmp(bench->wanted[i]->pod->metadata->uid, uid) == 0)
            pod_object_unref(bench->wanted[i]);
        else
            bench->wanted[kept++] = bench->wanted[i];
    }
    bench->n_wanted = kept;
}

/** Tells the engine what is wanted now. */
static inline void bench_tell(struct bench *bench)
{
    pods_set_desired(bench->pods, POD_SOURCE_FILE, bench->wanted, bench->n_wanted);
}

static inline bool bench_is_settled(const struct bench *bench)
{
    struct pods_summary summary;
    pods_summarize(bench->pods, &summary);
    return summary.settled && fake_runtime_pending(bench->fake) == 0;
}

/** Turns the loop until nothing is under way and nothing begins for a while. False: it never
 * rests. */
static inline bool bench_rests(struct bench *bench)
{
    size_t calls = fake_runtime_calls(bench->fake), quiet_turns = 0;
    int64_t since_ns = loop_now_mono_ns(bench->loop);
    for (size_t i = 0; i < BENCH_TURNS; i++) {
        loop_turn(bench->loop, BENCH_WAIT_NS);
        bool quiet = bench_is_settled(bench) && calls == fake_runtime_calls(bench->fake);
        quiet_turns = quiet ? quiet_turns + 1 : 0;
        if (!quiet)
            since_ns = loop_now_mono_ns(bench->loop);
        else if (loop_now_mono_ns(bench->loop) - since_ns > BENCH_QUIET_NS &&
                 quiet_turns >= BENCH_REST_TURNS)
            return true; /* by the clock alone a busy machine would seem to rest */
        calls = fake_runtime_calls(bench->fake);
    }
    return false;
}

#define bench_rest(bench)                                                                          \
    do {                                                                                           \
        if (!bench_rests(bench))                                                                   \
            fail_msg("the pods never come to rest:\n%s", fake_runtime_transcript((bench)->fake));  \
    } while (0)

/** Turns the loop until @condition holds; fails the test when it never does. */
#define bench_until(bench, condition)                                                              \
    do {                                                                                           \
        size_t turns_left = BENCH_TURNS;                                                           \
        while (!(condition) && turns_left-- > 0)                                                   \
            loop_turn((bench)->loop, BENCH_WAIT_NS);                                               \
        if (!(condition))                                                                          \
            fail_msg("never: %s\n%s", #condition, fake_runtime_transcript((bench)->fake));         \
    } while (0)

/** Turns for as long as something takes to begin; for what must not. */
static inline UNUSED void bench_idle(struct bench *bench)
{
    for (size_t i = 0; i < BENCH_QUIET_TURNS; i++)
        loop_turn(bench->loop, BENCH_WAIT_NS);
}

/** The next call of @method goes wrong. */
static inline UNUSED void bench_fault(struct bench *bench, enum runtime_method method,
                                      enum fake_effect effect)
{
    fake_runtime_fail(bench->fake,
                      &(struct fake_fault){.of_method = true, .method = method, .effect = effect});
}

static inline UNUSED const char *bench_transcript(const struct bench *bench)
{
    return fake_runtime_transcript(bench->fake);
}

/** Starts, wants pod @name beside what is wanted, and turns until it rests. */
static inline UNUSED void bench_begin(struct bench *bench, const char *name, const char *spec)
{
    bench_start(bench);
    bench_want(bench, name, spec);
    bench_tell(bench);
    bench_rest(bench);
}

/** Ends a scenario, in which nothing was asked that no agent should ask. */
static inline UNUSED void bench_finish(struct bench *bench)
{
    assert_string_equal(fake_runtime_violations(bench->fake), "");
    bench_done(bench);
}

/* --- looking at a pod --- */

struct bench_look {
    const char *uid;
    struct pod_view view;
    bool found;
};

static inline void bench_visit(void *ctx, const struct pod_view *view)
{
    struct bench_look *look = ctx;
    if (strcmp(view->uid, look->uid) != 0)
        return;
    look->view = *view;
    look->found = true;
}

static inline struct bench_look bench_look(const struct bench *bench, const char *uid)
{
    struct bench_look look = {.uid = uid};
    pods_visit(bench->pods, bench_visit, &look);
    return look;
}

/** The status of container @name (regular or init) of the pod, or NULL. */
static inline const Core__ContainerStatus *bench_container(const struct bench *bench,
                                                           const char *uid, const char *name)
{
    struct bench_look look = bench_look(bench, uid);
    const Core__PodStatus *status = look.found ? look.view.status : NULL;
    for (size_t i = 0; status && i < status->n_container_statuses; i++) {
        if (text_eq(status->container_statuses[i]->name, name))
            return status->container_statuses[i];
    }
    for (size_t i = 0; status && i < status->n_init_container_statuses; i++) {
        if (text_eq(status->init_container_statuses[i]->name, name))
            return status->init_container_statuses[i];
    }
    return NULL;
}

/** "running", "exited <code> <reason>", or the waiting reason of container @name; "" when it has no
 * status. */
static inline UNUSED const char *bench_state(const struct bench *bench, const char *uid,
                                             const char *name)
{
    const Core__ContainerStatus *status = bench_container(bench, uid, name);
    if (!status || !status->state)
        return "";
    if (status->state->running)
        return "running";
    if (status->state->terminated)
        return arena_printf(bench->arena, "exited %d %s", status->state->terminated->exit_code,
                            status->state->terminated->reason);
    return status->state->waiting && status->state->waiting->reason ? status->state->waiting->reason
                                                                    : "";
}

static inline UNUSED const char *bench_phase(const struct bench *bench, const char *uid)
{
    struct bench_look look = bench_look(bench, uid);
    return look.found && look.view.status && look.view.status->phase ? look.view.status->phase : "";
}

static inline UNUSED bool bench_has_pod(const struct bench *bench, const char *uid)
{
    return bench_look(bench, uid).found;
}

/** How often @reason is in the pod's timeline, repeats included. */
static inline UNUSED size_t bench_events(const struct bench *bench, const char *uid,
                                         const char *reason)
{
    struct bench_look look = bench_look(bench, uid);
    size_t count = 0;
    for (size_t i = 0; look.found && i < look.view.timeline->count; i++) {
        const struct timeline_entry *entry = timeline_at(look.view.timeline, i);
        count += text_eq(entry->reason, reason) ? entry->count : 0;
    }
    return count;
}

static inline UNUSED bool bench_exists(const struct bench *bench, const char *relative)
{
    struct stat info;
    return lstat(bench_path(bench, relative), &info) == 0;
}

/** Nothing of pod @name with @uid is left: in the runtime, on the disk, in the cgroup tree. */
static inline UNUSED void bench_assert_gone(const struct bench *bench, const char *name,
                                            const char *uid)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_false(bench_has_pod(bench, uid));
    const char **uids = NULL;
    size_t count = 0;
    assert_no_error(cgroup_list_pods(bench->cgroups, arena, &uids, &count));
    for (size_t i = 0; i < count; i++)
        assert_string_not_equal(uids[i], uid);
    assert_int_equal(fake_runtime_running(bench->fake, name, NULL), 0);
    assert_string_equal(fake_runtime_newest(bench->fake, name, NULL), "");
    assert_false(bench_exists(bench, arena_printf(arena, "root/pods/%s", uid)));
    assert_false(bench_exists(bench, arena_printf(arena, "logs/default_%s_%s", name, uid)));
}
