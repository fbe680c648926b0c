/* Volumes with content on the disk, and the order of a pod's operations, by the room's own door. */
#include "volume/volume.h"

#include "kube/object_watch.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/kube/pod_yaml.h"
#include "tests/unit/volume/fake_work.h"
#include "volume_test.h"

struct bench {
    struct scratch *scratch;
    struct loop *loop;
    struct api_client *client;
    struct object_watch *config_maps;
    struct volume_manager *manager;
    struct buf log; /* "mounted ", "failed … ", "torn down " in the order of their coming */
    struct volume_set *set;
    int64_t retry_delay_ns;
    unsigned version; /* of the ConfigMap */
};

static struct error *field(UNUSED void *ctx, UNUSED const Core__ObjectFieldSelector *selector,
                           const Core__Pod *pod, UNUSED struct arena *arena, const char **ret)
{
    *ret = pod->metadata->name;
    return NULL;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.scratch = scratch_new()};
    buf_init(&bench->log, 64 * KiB);
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->config_maps =
        object_watch_new(bench->loop, bench->client,
                         &(struct object_watch_options){.kind = kube_kind_find("v1", "ConfigMap"),
                                                        .strategy = OBJECT_STRATEGY_GET});
    const struct volume_options options = {
        .root_dir = bench->scratch->dir,
        .sources = {.config_maps = bench->config_maps, .field = field}};
    bench->manager = volume_manager_new(bench->loop, NULL, &options);
}

static void auto_release_bench(struct bench *bench)
{
    volume_manager_free(bench->manager);
    while (fake_work_count() > 0)
        fake_work_deliver();
    object_watch_free(bench->config_maps);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    volume_set_free(bench->set);
    buf_done(&bench->log);
    scratch_free(bench->scratch);
}

static void on_mounted(void *ctx, const struct volume_mount_result *result)
{
    struct bench *bench = ctx;
    volume_set_free(bench->set);
    bench->set = result->set_owned;
    bench->retry_delay_ns = result->retry_delay_ns;
    for (size_t i = 0; i < result->failure_count; i++)
        buf_printf(&bench->log, "%s: %s\n", result->failures[i].reason,
                   result->failures[i].message);
    if (result->set_owned)
        buf_add_text(&bench->log, "mounted\n");
}

static void on_torn_down(void *ctx, struct error *err_owned)
{
    struct bench *bench = ctx;
    assert_no_error(err_owned);
    buf_add_text(&bench->log, "torn down\n");
}

#define assert_log(bench, want)                                                                    \
    do {                                                                                           \
        assert_string_equal(buf_text(&(bench)->log), (want));                                      \
        buf_clear(&(bench)->log);                                                                  \
    } while (0)

/* A pod with ConfigMap `cm` as volume `v`; @spec: more of its spec, with a comma at the end. */
static Core__Pod *pod_of(const struct bench *bench, const char *spec, const char *mounts)
{
    return pod_parse(
        arena_printf(bench->scratch->arena,
                     "metadata: {name: web, namespace: ns, uid: uid}\n"
                     "spec: {%s volumes: [{name: v, configMap: {name: cm, defaultMode: 288}}], "
                     "containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}%s]}]}\n",
                     spec, mounts),
        bench->scratch->arena);
}

static void reply(struct bench *bench, const char *key, const char *value)
{
    const char *version = arena_printf(bench->scratch->arena, "%u", ++bench->version);
    Core__ConfigMap *object = (Core__ConfigMap *)fake_object(
        kube_kind_find("v1", "ConfigMap"), "ns", "cm", "u", version, bench->scratch->arena);
    Core__ConfigMap__DataEntry entry = CORE__CONFIG_MAP__DATA_ENTRY__INIT, *list[] = {&entry};
    entry.key = (char *)(uintptr_t)key;
    entry.value = (char *)(uintptr_t)value;
    object->n_data = 1;
    object->data = list;
    assert_int_equal(fake_pending(bench->client), 1);
    fake_reply(fake_first(bench->client), &object->base);
    fake_loop_advance(bench->loop, 0);
}

static void mount_as(struct bench *bench, const Core__Pod *pod, const char *key, const char *value)
{
    (void)volume_mount_start(bench->manager, pod, on_mounted, bench);
    fake_loop_advance(bench->loop, 0);
    reply(bench, key, value);
    fake_work_run();
    fake_work_deliver();
    assert_int_equal(fake_work_count(), 0);
}

#define VOLUME "pods/uid/volumes/kubernetes.io~configmap/v"
#define MARKER "pods/uid/plugins/kubernetes.io~empty-dir/wrapped_v/ready"

TEST_CASE(a_config_map_is_published_and_follows_its_object)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_of(&bench, "", ", {name: v, mountPath: /w}");
    mount_as(&bench, pod, "greeting", "hello");
    assert_log(&bench, "mounted\n");
    assert_int_equal(bench.set->count, 1);
    assert_string_equal(bench.set->volumes[0].host_path, at(bench.scratch, VOLUME));
    assert_true(bench.set->volumes[0].read_only);
    assert_true(is_there(at(bench.scratch, MARKER)));
    assert_int_equal(mode_of(at(bench.scratch, VOLUME)), 0777);
    assert_content(at(bench.scratch, VOLUME "/greeting"), "hello");
    assert_int_equal(mode_of(at(bench.scratch, VOLUME "/..data/greeting")), 0440);

    mount_as(&bench, pod, "other", "hi");
    assert_content(at(bench.scratch, VOLUME "/other"), "hi");
    assert_false(is_there(at(bench.scratch, VOLUME "/greeting")));

    (void)volume_teardown_start(bench.manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR, on_torn_down,
                                &bench);
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "mounted\ntorn down\n");
    assert_false(is_there(at(bench.scratch, "pods/uid")));
}

TEST_CASE(a_group_gets_all_of_it_and_mounts_inside_get_a_place)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_of(
        &bench,
        arena_printf(bench.scratch->arena, "securityContext: {fsGroup: %u},", (unsigned)getegid()),
        ", {name: x, mountPath: /v/in/side}");
    mount_as(&bench, pod, "k", "1");
    assert_log(&bench, "mounted\n");
    /* As the kubelet leaves them: recorded trees have drwxrwsrwx, drwxr-sr-x and -r--r-----. */
    assert_int_equal(mode_of(at(bench.scratch, VOLUME)), 02777);
    char target[64] = "";
    assert_true(readlink(at(bench.scratch, VOLUME "/..data"), target, sizeof(target) - 1) > 0);
    assert_int_equal(
        mode_of(at(bench.scratch, arena_printf(bench.scratch->arena, VOLUME "/%s", target))),
        02755);
    assert_int_equal(mode_of(at(bench.scratch, VOLUME "/..data/k")), 0440);
    struct stat st;
    assert_int_equal(lstat(at(bench.scratch, VOLUME "/in/side"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
}

TEST_CASE(what_cannot_be_got_leaves_what_is_there_and_waits_longer_each_time)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_of(&bench, "", "");
    mount_as(&bench, pod, "k", "1");
    assert_log(&bench, "mounted\n");
    static const int64_t want_ms[] = {500,   1000,  2000,  4000,   8000,
                                      16000, 32000, 64000, 122000, 122000};
    for (size_t i = 0; i < ARRAY_SIZE(want_ms); i++) {
        (void)volume_mount_start(bench.manager, pod, on_mounted, &bench);
        fake_loop_advance(bench.loop, 0);
        fake_fail(fake_first(bench.client), 404, "NotFound", "configmaps \"cm\" not found");
        fake_loop_advance(bench.loop, 0);
        fake_work_run();
        fake_work_deliver();
        assert_true(text_has_prefix(buf_text(&bench.log),
                                    "FailedMount: MountVolume.SetUp failed for volume \"v\" : "));
        buf_clear(&bench.log);
        assert_null(bench.set);
        assert_int_equal(bench.retry_delay_ns, want_ms[i] * NS_PER_MS);
        assert_content(at(bench.scratch, VOLUME "/k"), "1");
    }
    mount_as(&bench, pod, "k", "2");
    assert_content(at(bench.scratch, VOLUME "/k"), "2");
    (void)volume_mount_start(bench.manager, pod, on_mounted, &bench);
    fake_loop_advance(bench.loop, 0);
    fake_fail(fake_first(bench.client), 404, "NotFound", "gone");
    fake_loop_advance(bench.loop, 0);
    fake_work_run();
    fake_work_deliver();
    assert_int_equal(bench.retry_delay_ns, 500 * NS_PER_MS);
}

TEST_CASE(a_first_publication_that_fails_leaves_no_volume)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    (void)make_dir_at(bench.scratch, VOLUME "/..data");
    mount_as(&bench, pod_of(&bench, "", ""), "k", "1");
    assert_true(text_has_prefix(buf_text(&bench.log), "FailedMount: "));
    buf_clear(&bench.log);
    /* A directory where the link should be counts as published: it is not ours to take away. */
    assert_true(is_there(at(bench.scratch, VOLUME "/..data")));

    assert_int_equal(rmdir(at(bench.scratch, VOLUME "/..data")), 0);
    (void)make_dir_at(bench.scratch, VOLUME "/..data_tmp");
    mount_as(&bench, pod_of(&bench, "", ""), "k", "1");
    assert_true(text_has_prefix(buf_text(&bench.log), "FailedMount: "));
    buf_clear(&bench.log);
    assert_false(is_there(at(bench.scratch, VOLUME)));
    assert_false(is_there(at(bench.scratch, MARKER)));
    mount_as(&bench, pod_of(&bench, "", ""), "k", "1");
    assert_log(&bench, "mounted\n");
}

TEST_CASE(operations_of_a_pod_follow_each_other)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_of(&bench, "", ""), *other = pod_new(bench.scratch->arena, "other");
    (void)volume_mount_start(bench.manager, pod, on_mounted, &bench);
    (void)volume_teardown_start(bench.manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR, on_torn_down,
                                &bench);
    (void)volume_mount_start(bench.manager, other, on_mounted, &bench);
    assert_int_equal(fake_work_count(), 1); /* the other pod's */
    fake_loop_advance(bench.loop, 0);
    reply(&bench, "k", "1");
    assert_int_equal(fake_work_count(), 2); /* still no teardown */
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "mounted\n");
    fake_work_run();
    assert_true(is_there(at(bench.scratch, VOLUME "/k")));
    fake_work_deliver();
    assert_int_equal(fake_work_count(), 1);
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "mounted\ntorn down\n");
    assert_false(is_there(at(bench.scratch, "pods/uid")));
}

TEST_CASE(a_cancelled_job_that_runs_is_waited_for)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_of(&bench, "", "");
    struct volume_op *op = volume_mount_start(bench.manager, pod, on_mounted, &bench);
    fake_loop_advance(bench.loop, 0);
    reply(&bench, "k", "1");
    fake_work_run();
    volume_op_cancel(op);
    (void)volume_teardown_start(bench.manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR, on_torn_down,
                                &bench);
    assert_int_equal(fake_work_count(), 1);
    fake_work_deliver();
    assert_int_equal(fake_work_count(), 1);
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "torn down\n");
    assert_false(is_there(at(bench.scratch, "pods/uid")));
}

TEST_CASE(what_gathers_or_waits_is_cancelled_at_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_of(&bench, "", "");
    struct volume_op *gathering = volume_mount_start(bench.manager, pod, on_mounted, &bench);
    struct volume_op *waiting = volume_mount_start(bench.manager, pod, on_mounted, &bench);
    (void)volume_teardown_start(bench.manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR, on_torn_down,
                                &bench);
    fake_loop_advance(bench.loop, 0);
    volume_op_cancel(waiting);
    assert_int_equal(fake_work_count(), 0);
    volume_op_cancel(gathering);
    assert_int_equal(fake_work_count(), 1);
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "torn down\n");
}

TEST_CASE(the_manager_may_go_in_any_state)
{
    for (size_t state = 0; state < 5; state++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        const Core__Pod *pod = pod_of(&bench, "", "");
        struct volume_op *op = volume_mount_start(bench.manager, pod, on_mounted, &bench);
        (void)volume_mount_start(bench.manager, pod, on_mounted, &bench);
        fake_loop_advance(bench.loop, 0);
        if (state > 0) /* gathered, so that a job waits */
            reply(&bench, "k", "1");
        if (state > 1) /* it runs */
            fake_work_run();
        if (state == 3) /* unheard */
            volume_op_cancel(op);
        if (state == 4) { /* done, and the next one gathers */
            fake_work_deliver();
            assert_log(&bench, "mounted\n");
        }
        volume_manager_free(TAKE(bench.manager));
        while (fake_work_count() > 0)
            fake_work_deliver();
        fake_loop_advance(bench.loop, NS_PER_SEC);
        assert_log(&bench, "");
    }
}

TEST_CASE(a_tmpfs_holds_what_is_secret)
{
    enter_own_mounts();
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const Core__Pod *pod = pod_parse(
        "metadata: {name: web, namespace: ns, uid: uid}\n"
        "spec: {volumes: [{name: d, downwardAPI: {defaultMode: 420, items: [{path: name, fieldRef: "
        "{apiVersion: v1, fieldPath: metadata.name}}]}}], containers: [{name: c, volumeMounts: "
        "[{name: d, mountPath: /d}], resources: {limits: {memory: 32Mi}}}]}\n",
        bench.scratch->arena);
    (void)volume_mount_start(bench.manager, pod, on_mounted, &bench);
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "mounted\n");
    const char *dir = at(bench.scratch, "pods/uid/volumes/kubernetes.io~downward-api/d");
    assert_int_equal(mode_of(dir), 01777);
    assert_content(arena_printf(bench.scratch->arena, "%s/name", dir), "web");
    (void)volume_teardown_start(bench.manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR, on_torn_down,
                                &bench);
    fake_work_run();
    fake_work_deliver();
    assert_log(&bench, "torn down\n");
    assert_false(is_there(dir));
}

TEST_MAIN(TEST(a_config_map_is_published_and_follows_its_object),
          TEST(a_group_gets_all_of_it_and_mounts_inside_get_a_place),
          TEST(what_cannot_be_got_leaves_what_is_there_and_waits_longer_each_time),
          TEST(a_first_publication_that_fails_leaves_no_volume),
          TEST(operations_of_a_pod_follow_each_other),
          TEST(a_cancelled_job_that_runs_is_waited_for),
          TEST(what_gathers_or_waits_is_cancelled_at_once), TEST(the_manager_may_go_in_any_state),
          TEST(a_tmpfs_holds_what_is_secret))
