#include "volume/volume.h"

#include "tests/lib/metrics_read.h"
#include "volume_test.h"

/* The pool runs its jobs inline at the next turn of the loop. */
struct world {
    struct scratch *scratch;
    struct loop *loop;
    struct work_pool *pool;
    struct metrics *metrics;
    struct volume_manager *manager;
    size_t n_done;
    struct volume_set *set;
    struct error *err;
    struct buf failures; /* "reason: message" lines */
    int64_t retry_delay_ns;
    char *uids; /* joined by blanks */
};

static struct world *world_new(void)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->scratch = scratch_new();
    buf_init(&world->failures, 64 * KiB);
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 0);
    world->metrics = metrics_new();
    const struct volume_options options = {
        .root_dir = world->scratch->dir, .selinux_enabled = true, .metrics = world->metrics};
    world->manager = volume_manager_new(world->loop, world->pool, &options);
    return world;
}

static void world_free(struct world *world)
{
    volume_manager_free(world->manager);
    metrics_free(world->metrics);
    work_pool_free(world->pool, NS_PER_SEC);
    loop_free(world->loop);
    volume_set_free(world->set);
    error_free(world->err);
    free(world->uids);
    buf_done(&world->failures);
    scratch_free(world->scratch);
    free(world);
}
DEFINE_AUTO(world, struct world *, world_free)

static void turn(struct world *world)
{
    for (size_t i = 0; i < 5; i++)
        loop_turn(world->loop, 0);
}

static void ended(struct world *world, struct volume_set *set_owned, struct error *err_owned)
{
    world->n_done++;
    volume_set_free(world->set);
    error_free(world->err);
    world->set = set_owned;
    world->err = err_owned;
    buf_clear(&world->failures);
}

static void on_mounted(void *ctx, const struct volume_mount_result *result)
{
    struct world *world = ctx;
    assert_int_equal(!result->set_owned, result->failure_count > 0);
    ended(world, result->set_owned, NULL);
    for (size_t i = 0; i < result->failure_count; i++)
        buf_printf(&world->failures, "%s: %s\n", result->failures[i].reason,
                   result->failures[i].message);
    world->retry_delay_ns = result->retry_delay_ns;
}

static void on_torn_down(void *ctx, struct error *err_owned)
{
    ended(ctx, NULL, err_owned);
}

static void on_listed(void *ctx, const char *const *uids, size_t count, struct error *err_owned)
{
    struct world *world = ctx;
    struct buf text;
    buf_init(&text, 4 * KiB);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", uids[i]);
    free(world->uids);
    world->uids = buf_take(&text);
    ended(world, NULL, err_owned);
}

static void mount_pod(struct world *world, const Core__Pod *pod)
{
    size_t before = world->n_done;
    assert_non_null(volume_mount_start(world->manager, pod, on_mounted, world));
    assert_int_equal(world->n_done, before);
    turn(world);
    assert_int_equal(world->n_done, before + 1);
}

TEST_CASE(what_containers_mount_is_set_up_and_the_rest_is_left_out)
{
    AUTO(world) struct world *world = world_new();
    struct arena *arena = world->scratch->arena;
    Core__Pod *pod = pod_new(arena, "uid");
    Core__Container *first = pod_add_container(arena, pod);
    Core__Container *init = container_new(arena, "init");
    pod->spec->init_containers[pod->spec->n_init_containers++] = init;
    (void)pod_add_empty_dir(arena, pod, "work", "");
    pod_add_host_path(arena, pod, "host", "/proc", "Directory");
    (void)pod_add_empty_dir(arena, pod, "unused", "");
    (void)pod_add_volume(arena, pod, "unused-and-odd");
    container_mount(arena, first, "work");
    container_mount(arena, first, "work");
    container_mount(arena, init, "host");
    for (size_t i = 0; i < 2; i++) {
        mount_pod(world, pod);
        assert_null(world->err);
        assert_int_equal(world->set->count, 2);
        const struct volume_mounted *work = &world->set->volumes[0],
                                    *host = &world->set->volumes[1];
        assert_string_equal(work->name, "work");
        assert_string_equal(work->inner_name, "work");
        assert_string_equal(work->host_path,
                            at(world->scratch, "pods/uid/volumes/kubernetes.io~empty-dir/work"));
        assert_true(work->selinux_relabel);
        assert_false(work->read_only);
        assert_string_equal(host->name, "host");
        assert_string_equal(host->host_path, "/proc");
        assert_false(host->selinux_relabel);
    }
    assert_int_equal(mode_of(at(world->scratch, "pods/uid")), 0750);
    assert_int_equal(mode_of(at(world->scratch, "pods/uid/plugins")), 0750);
    assert_false(is_there(at(world->scratch, "pods/uid/volumes/kubernetes.io~empty-dir/unused")));
}

TEST_CASE(all_causes_of_failure_are_told_in_upstreams_form)
{
    AUTO(world) struct world *world = world_new();
    struct arena *arena = world->scratch->arena;
    Core__Pod *pod = pod_new(arena, "uid");
    Core__Container *container = pod_add_container(arena, pod);
    Core__VolumeSource *nfs = pod_add_volume(arena, pod, "share");
    nfs->nfs = arena_alloc(arena, sizeof(*nfs->nfs));
    core__nfsvolume_source__init(nfs->nfs);
    pod_add_host_path(arena, pod, "a-file", "/proc", "File");
    (void)pod_add_empty_dir(arena, pod, "work", "");
    (void)pod_add_empty_dir(arena, pod, "odd", "Tape");
    container_mount(arena, container, "share");
    container_mount(arena, container, "a-file");
    container_mount(arena, container, "work");
    container_mount(arena, container, "odd");
    mount_pod(world, pod);
    assert_null(world->set);
    assert_string_equal(
        buf_text(&world->failures),
        "FailedMount: MountVolume.SetUp failed for volume \"a-file\" : hostPath type check failed: "
        "/proc is not a file\n"
        "FailedMount: MountVolume.SetUp failed for volume \"odd\" : unknown storage medium "
        "\"Tape\"\n"
        "FailedMount: Unable to attach or mount volumes: unmounted volumes=[a-file odd share], "
        "unattached volumes=[], failed to process volumes=[share]: volume type \"nfs\" of volume "
        "\"share\" is not supported by cubelet yet\n");
    assert_true(is_there(at(world->scratch, "pods/uid/volumes/kubernetes.io~empty-dir/work")));
}

TEST_CASE(a_pods_directory_that_cannot_be_made_is_told_apart)
{
    AUTO(world) struct world *world = world_new();
    (void)make_dir_at(world->scratch, "pods");
    (void)make_file_at(world->scratch, "pods/uid", "");
    mount_pod(world, pod_new(world->scratch->arena, "uid"));
    assert_true(
        text_has_prefix(buf_text(&world->failures), "Failed: error making pod data directories: "));
    mount_pod(world, pod_new(world->scratch->arena, "../../etc"));
    assert_string_equal(buf_text(&world->failures),
                        "Failed: error making pod data directories: pod uid \"../../etc\" cannot "
                        "name a directory\n");
}

TEST_CASE(names_that_cannot_be_directories_are_refused)
{
    AUTO(world) struct world *world = world_new();
    struct arena *arena = world->scratch->arena;
    Core__Pod *pod = pod_new(arena, "uid");
    (void)pod_add_empty_dir(arena, pod, "../../../escaped", "");
    container_mount(arena, pod_add_container(arena, pod), "../../../escaped");
    mount_pod(world, pod);
    assert_null(world->set);
    assert_false(is_there(at(world->scratch, "escaped")));
}

TEST_CASE(pods_are_listed_and_torn_down)
{
    AUTO(world) struct world *world = world_new();
    assert_non_null(volume_list_pods_start(world->manager, on_listed, world));
    turn(world);
    assert_string_equal(world->uids, "");

    (void)make_dir_at(world->scratch, "pods/b/volumes");
    (void)make_dir_at(world->scratch, "pods/a/volumes");
    (void)make_file_at(world->scratch, "pods/stray", "");
    assert_non_null(volume_list_pods_start(world->manager, on_listed, world));
    turn(world);
    assert_string_equal(world->uids, "a b");

    assert_non_null(volume_teardown_start(world->manager, "a", VOLUME_TEARDOWN_REMOVE_DIR,
                                          on_torn_down, world));
    turn(world);
    assert_null(world->err);
    assert_int_equal(world->n_done, 3);
    assert_false(is_there(at(world->scratch, "pods/a")));
}

static void list_wanted(void *ctx, const char *name, const char *plugin)
{
    buf_printf(ctx, "%s of %s\n", name, plugin);
}

TEST_CASE(volumes_are_counted_by_plugin_and_how_it_went)
{
    AUTO(world) struct world *world = world_new();
    struct arena *arena = world->scratch->arena;
    Core__Pod *pod = pod_new(arena, "uid");
    Core__Container *container = pod_add_container(arena, pod);
    (void)pod_add_empty_dir(arena, pod, "work", "");
    (void)pod_add_empty_dir(arena, pod, "more", "");
    pod_add_host_path(arena, pod, "host", "/not-there", "Directory");
    (void)pod_add_volume(arena, pod, "odd");
    (void)pod_add_empty_dir(arena, pod, "unused", "");
    container_mount(arena, container, "work");
    container_mount(arena, container, "more");
    container_mount(arena, container, "host");
    container_mount(arena, container, "odd");
    mount_pod(world, pod);
    assert_non_null(volume_teardown_start(world->manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR,
                                          on_torn_down, world));
    turn(world);
    assert_null(world->err);

    static const struct {
        const char *values;
        int64_t want;
    } cases[] = {
        {"false,volume_mount,success,kubernetes.io/empty-dir", 2},
        {"false,volume_mount,fail-unknown,kubernetes.io/host-path", 1},
        {"false,volume_mount,success,kubernetes.io/host-path", -1},
        {"false,volume_unmount,success,kubernetes.io/empty-dir", 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(
            metrics_count(world->metrics, "storage_operation_duration_seconds", cases[i].values),
            cases[i].want);
    static const char overall[] = "volume_operation_total_seconds";
    assert_int_equal(
        metrics_count(world->metrics, overall, "overall_volume_mount,kubernetes.io/empty-dir"), 2);
    assert_int_equal(
        metrics_count(world->metrics, overall, "overall_volume_mount,kubernetes.io/host-path"), -1);

    AUTO(buf) struct buf wanted;
    buf_init(&wanted, KiB);
    volume_each_wanted(pod, list_wanted, &wanted);
    assert_string_equal(buf_text(&wanted), "work of kubernetes.io/empty-dir\n"
                                           "more of kubernetes.io/empty-dir\n"
                                           "host of kubernetes.io/host-path\n");
}

TEST_CASE(a_cancelled_operation_is_silent)
{
    AUTO(world) struct world *world = world_new();
    Core__Pod *pod = pod_new(world->scratch->arena, "uid");
    volume_op_cancel(volume_mount_start(world->manager, pod, on_mounted, world));
    volume_op_cancel(volume_teardown_start(world->manager, "uid", VOLUME_TEARDOWN_REMOVE_DIR,
                                           on_torn_down, world));
    volume_op_cancel(NULL);
    assert_non_null(volume_mount_start(world->manager, pod, on_mounted, world));
    volume_manager_free(TAKE(world->manager));
    turn(world);
    assert_int_equal(world->n_done, 0);
}

static void on_mounted_free_manager(void *ctx, const struct volume_mount_result *result)
{
    struct world *world = ctx;
    on_mounted(ctx, result);
    volume_manager_free(TAKE(world->manager));
}

TEST_CASE(a_callback_may_free_the_manager)
{
    AUTO(world) struct world *world = world_new();
    Core__Pod *pod = pod_new(world->scratch->arena, "uid");
    assert_non_null(volume_mount_start(world->manager, pod, on_mounted_free_manager, world));
    assert_non_null(volume_mount_start(world->manager, pod, on_mounted, world));
    turn(world);
    assert_int_equal(world->n_done, 1);
}

TEST_MAIN(TEST(what_containers_mount_is_set_up_and_the_rest_is_left_out),
          TEST(all_causes_of_failure_are_told_in_upstreams_form),
          TEST(a_pods_directory_that_cannot_be_made_is_told_apart),
          TEST(names_that_cannot_be_directories_are_refused), TEST(pods_are_listed_and_torn_down),
          TEST(volumes_are_counted_by_plugin_and_how_it_went),
          TEST(a_cancelled_operation_is_silent), TEST(a_callback_may_free_the_manager))
