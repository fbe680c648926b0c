#include "cgroup/cgroup.h"

#include "fake_cgroup.h"

#include <limits.h>
#include <sys/syscall.h>

/* In place of the C library's: below a directory called "threaded" the kernel names no processes.
 */
ssize_t read(int fd, void *bytes, size_t size)
{
    char link[32], path[PATH_MAX];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    if (text_has_suffix(path, "/threaded/cgroup.procs")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return syscall(SYS_read, fd, bytes, size);
}

static const struct test_amounts none = {0};
static const struct test_amounts burstable = {.cpu_request = "100m"};
static const struct test_amounts guaranteed = {"150m", "48Mi", "150m", "48Mi"};

static const struct cgroup_node_limits node = {
    .memory_bytes = 1073741824, .cpu_millis = 2000, .pids = 32768};

static struct error *new_tree(const struct fake_cgroup *fake, const struct cgroup_options *options)
{
    struct cgroup_options copy = *options;
    copy.mount_root = fake->root;
    copy.fs = &fake->fs;
    AUTO(cgroup_tree) struct cgroup_tree *tree = NULL;
    return cgroup_tree_new(&copy, &tree);
}

TEST_CASE(what_cannot_work_is_refused_with_the_remedy)
{
    static const struct {
        const char *name;
        struct cgroup_options options;
        enum error_code code;
        const char *part;
    } rows[] = {
        {"systemd driver",
         {.driver = CGROUP_DRIVER_SYSTEMD, .cgroup_root = "/"},
         ERROR_FAILED_PRECONDITION,
         "set cgroupDriver: cgroupfs"},
        {"QoS cgroups without a root",
         {.cgroup_root = "", .cgroups_per_qos = true},
         ERROR_INVALID_ARGUMENT,
         "cgroup-root was not specified"},
        {"a relative root",
         {.cgroup_root = "x", .cgroups_per_qos = true},
         ERROR_INVALID_ARGUMENT,
         "no absolute path"},
        {"a root that climbs",
         {.cgroup_root = "/a/../..", .cgroups_per_qos = true},
         ERROR_INVALID_ARGUMENT,
         "no absolute path"},
        {"a root that is not there",
         {.cgroup_root = "/nowhere", .cgroups_per_qos = true},
         ERROR_FAILED_PRECONDITION,
         "invalid configuration: cgroup [\"nowhere\"] has some missing paths: "},
    };
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(error) struct error *err = new_tree(fake, &rows[i].options);
        assert_non_null(err);
        if (err->code != rows[i].code || !strstr(err->message, rows[i].part))
            fail_msg("%s: %d %s", rows[i].name, (int)err->code, err->message);
    }
}

TEST_CASE(controllers_that_are_not_mounted_are_listed)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    fake->missing = 1u << CGROUP_CPUSET | 1u << CGROUP_MEMORY;
    const struct cgroup_options options = {.cgroup_root = "/"};
    AUTO(error) struct error *err = new_tree(fake, &options);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_FAILED_PRECONDITION);
    assert_non_null(strstr(err->message, "system validation failed - Following Cgroup subsystem "
                                         "not mounted: [cpuset memory]"));
}

TEST_CASE(swap_is_found_where_the_version_keeps_it)
{
    AUTO(fake_cgroup) struct fake_cgroup *v1 = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *without = fake_tree(v1, NULL);
    assert_false(cgroup_tree_has_swap(without));
    AUTO(free) char *memory = path_join(v1->root, "memory");
    fake_write(memory, "memory.memsw.limit_in_bytes", "1\n");
    AUTO(cgroup_tree) struct cgroup_tree *with = fake_tree(v1, NULL);
    assert_true(cgroup_tree_has_swap(with));
    assert_int_equal(cgroup_tree_version(with), CGROUP_V1);

    AUTO(fake_cgroup) struct fake_cgroup *v2 = fake_cgroup_new(CGROUP_V2);
    AUTO(free) char *own = path_join(v2->root, "system.slice/cubelet.service");
    assert_no_error(fd_mkdir_all(own, 0755));
    fake_write(own, "memory.swap.max", "max\n");
    AUTO(cgroup_tree) struct cgroup_tree *unified = fake_tree(v2, NULL);
    assert_true(cgroup_tree_has_swap(unified));
    assert_int_equal(cgroup_tree_version(unified), CGROUP_V2);
}

TEST_CASE(the_node_gets_its_tiers_and_limits)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_control(fake, "cpu/kubepods/cpu.shares", "2048");
    assert_control(fake, "cpu/kubepods/cpu.cfs_quota_us", "-1");
    assert_control(fake, "memory/kubepods/memory.limit_in_bytes", "1073741824");
    assert_control(fake, "pids/kubepods/pids.max", "32768");
    assert_control(fake, "cpu/kubepods/besteffort/cpu.shares", "2");
    assert_control(fake, "cpuset/kubepods/burstable/cpuset.cpus", "0-3");
    assert_control(fake, "cpuset/kubepods/besteffort/cpuset.mems", "0");
    assert_true(fake_exists(fake, "devices/kubepods/burstable"));
    assert_true(fake_exists(fake, "systemd/kubepods/besteffort"));

    assert_no_error(cgroup_update_qos(tree, 10));
    assert_control(fake, "cpu/kubepods/burstable/cpu.shares", "10");
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_control(fake, "cpu/kubepods/burstable/cpu.shares", "10");
}

TEST_CASE(a_pods_path_follows_from_its_tier_and_uid)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_string_equal(cgroup_tier_path(tree, POD_QOS_GUARANTEED), "/kubepods");
    assert_string_equal(cgroup_pod_path(tree, POD_QOS_BURSTABLE, "a-1", arena),
                        "/kubepods/burstable/poda-1");
    assert_null(cgroup_pod_path(tree, POD_QOS_BURSTABLE, "../a", arena));
    const struct cgroup_options flat = {.cgroup_root = "/"};
    AUTO(cgroup_tree) struct cgroup_tree *without = fake_tree(fake, &flat);
    assert_null(cgroup_tier_path(without, POD_QOS_GUARANTEED));
    assert_null(cgroup_pod_path(without, POD_QOS_BURSTABLE, "a-1", arena));
}

TEST_CASE(on_v2_controllers_are_passed_on_to_every_level)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    static const char all[] = "+cpuset +cpu +io +memory +hugetlb +pids";
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_control(fake, "cgroup.subtree_control", all);
    assert_control(fake, "kubepods/cgroup.subtree_control", all);
    assert_control(fake, "kubepods/burstable/cgroup.subtree_control", "");
    assert_control(fake, "kubepods/cpu.weight", "79");
    assert_control(fake, "kubepods/cpu.max", "max 100000");
    assert_control(fake, "kubepods/memory.max", "1073741824");
    assert_control(fake, "kubepods/besteffort/cpu.weight", "1");

    struct test_pod it = {0};
    bool created;
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "a-1", &guaranteed), &created));
    assert_true(created);
    assert_control(fake, "kubepods/poda-1/cpu.max", "15000 100000");
    assert_control(fake, "kubepods/poda-1/memory.max", "50331648");
}

TEST_CASE(a_threaded_cgroup_on_the_way_is_refused)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    AUTO(free) char *kubepods = path_join(fake->root, "kubepods");
    assert_int_equal(fake_make_dir(fake, kubepods), 0);
    fake_write(kubepods, "cgroup.type", "domain threaded\n");
    assert_error_code(cgroup_setup_node(tree, &node), ERROR_FAILED_PRECONDITION);
}

TEST_CASE(a_limit_that_cannot_be_written_leaves_the_tiers_usable)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_setup_node(tree, &node));
    AUTO(free) char *limit = path_join(fake->root, "memory/kubepods/memory.limit_in_bytes");
    assert_int_equal(unlink(limit), 0);
    AUTO(error) struct error *err = cgroup_setup_node(tree, &node);
    assert_non_null(err);
    assert_string_equal(err->reason, "FailedNodeAllocatableEnforcement");
    assert_true(
        text_has_prefix(err->message, "Failed to update Node Allocatable Limits [\"kubepods\"]: "));
}

TEST_CASE(a_pods_cgroup_is_made_once_in_its_tier)
{
    static const struct {
        const struct test_amounts *amounts;
        const char *path, *shares;
    } rows[] = {{&guaranteed, "cpu/kubepods/podu-1", "153"},
                {&burstable, "cpu/kubepods/burstable/podu-1", "102"},
                {&none, "cpu/kubepods/besteffort/podu-1", "2"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
        AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
        struct test_pod it = {0};
        const Core__Pod *pod = test_pod_init(&it, "u-1", rows[i].amounts);
        AUTO(free) char *shares = path_join(rows[i].path, "cpu.shares");
        AUTO(free) char *dir = path_join(fake->root, rows[i].path);
        bool created;
        assert_no_error(cgroup_setup_node(tree, &node));
        assert_false(cgroup_pod_exists(tree, pod));
        assert_no_error(cgroup_pod_create(tree, pod, &created));
        assert_true(created);
        assert_true(cgroup_pod_exists(tree, pod));
        assert_control(fake, shares, rows[i].shares);

        fake_write(dir, "cpu.shares", "500");
        assert_no_error(cgroup_pod_create(tree, pod, &created));
        assert_false(created);
        assert_control(fake, shares, "500");
    }
}

TEST_CASE(a_pod_in_some_hierarchies_only_is_completed)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    struct test_pod it = {0};
    const Core__Pod *pod = test_pod_init(&it, "u", &none);
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    AUTO(free) char *cpu = path_join(fake->root, "cpu/kubepods/besteffort/podu");
    assert_int_equal(fake_make_dir(fake, cpu), 0);
    assert_false(cgroup_pod_exists(tree, pod));
    assert_no_error(cgroup_pod_create(tree, pod, &created));
    assert_true(created);
    assert_true(cgroup_pod_exists(tree, pod));
}

TEST_CASE(a_failed_creation_leaves_nothing_behind)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    struct test_pod it = {0};
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    AUTO(free) char *cpuset = path_join(fake->root, "cpuset/kubepods/besteffort/cpuset.cpus");
    assert_int_equal(unlink(cpuset), 0);
    assert_error_code(cgroup_pod_create(tree, test_pod_init(&it, "u", &none), &created),
                      ERROR_NOT_FOUND);
    assert_false(created);
    assert_false(fake_exists(fake, "cpu/kubepods/besteffort/podu"));
    assert_false(fake_exists(fake, "cpuset/kubepods/besteffort/podu"));
    assert_true(fake_exists(fake, "cpu/kubepods/besteffort"));

    fake->refuse_dir = "podv";
    assert_error_code(cgroup_pod_create(tree, test_pod_init(&it, "v", &none), &created),
                      ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(a_value_the_kernel_refuses_does_not_fail_the_pod)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    fake->missing = 1u << CGROUP_PIDS;
    const struct cgroup_options options = {.cgroups_per_qos = true, .pids_limit = 10};
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, &options);
    const struct cgroup_node_limits no_pids = {.cpu_millis = 1000};
    struct test_pod it = {0};
    bool created;
    assert_no_error(cgroup_setup_node(tree, &no_pids));
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "u", &none), &created));
    assert_true(created);
}

TEST_CASE(a_uid_that_is_no_name_is_refused)
{
    static const char *const uids[] = {"", "../../etc", "a/b", "a_b", NULL};
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_setup_node(tree, &node));
    for (size_t i = 0; i < ARRAY_SIZE(uids); i++) {
        struct test_pod it = {0};
        const Core__Pod *pod = test_pod_init(&it, uids[i], &none);
        bool created = true;
        assert_error_code(cgroup_pod_create(tree, pod, &created), ERROR_INVALID_ARGUMENT);
        assert_false(created);
        assert_false(cgroup_pod_exists(tree, pod));
        assert_error_code(cgroup_pod_destroy_blocking(tree, uids[i]), ERROR_INVALID_ARGUMENT);
    }
}

static void add_process(struct fake_cgroup *fake, const char *cgroup, const char *pids)
{
    AUTO(free) char *dir = path_join(fake->root, cgroup);
    if (!fake_exists(fake, cgroup))
        assert_int_equal(fake_make_dir(fake, dir), 0);
    fake_write(dir, "cgroup.procs", pids);
}

static bool was_killed(const struct fake_cgroup *fake, pid_t pid)
{
    for (size_t i = 0; i < fake->n_killed; i++) {
        if (fake->killed[i] == pid)
            return true;
    }
    return false;
}

TEST_CASE(destroying_kills_in_every_cgroup_below_and_removes_all_hierarchies)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    struct test_pod it = {0};
    const Core__Pod *pod = test_pod_init(&it, "u", &burstable);
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_no_error(cgroup_pod_create(tree, pod, &created));
    add_process(fake, "cpu/kubepods/burstable/podu", "0\n1\n4000001\n");
    add_process(fake, "memory/kubepods/burstable/podu/c1", "4000002\n");
    add_process(fake, "memory/kubepods/burstable/podu/c1/nested", "4000003\n");
    fake->busy = 3;
    assert_no_error(cgroup_pod_destroy_blocking(tree, "u"));
    assert_true(was_killed(fake, 4000001));
    assert_true(was_killed(fake, 4000002));
    assert_true(was_killed(fake, 4000003));
    assert_false(was_killed(fake, 0));
    assert_false(was_killed(fake, 1));
    assert_false(fake_exists(fake, "cpu/kubepods/burstable/podu"));
    assert_false(fake_exists(fake, "memory/kubepods/burstable/podu"));
    assert_false(fake_exists(fake, "devices/kubepods/burstable/podu"));
    assert_true(fake_exists(fake, "cpu/kubepods/burstable"));
    assert_no_error(cgroup_pod_destroy_blocking(tree, "u"));
}

TEST_CASE(a_threaded_cgroup_inside_a_pod_is_removed_with_it)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    struct test_pod it = {0};
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "u", &none), &created));
    add_process(fake, "kubepods/besteffort/podu/c1", "4000001\n");
    add_process(fake, "kubepods/besteffort/podu/c1/threaded", "");
    assert_no_error(cgroup_pod_destroy_blocking(tree, "u"));
    assert_true(was_killed(fake, 4000001));
    assert_false(fake_exists(fake, "kubepods/besteffort/podu"));
}

TEST_CASE(a_process_that_cannot_be_killed_is_reported_and_nothing_is_removed)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    struct test_pod it = {0};
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "u", &none), &created));
    add_process(fake, "cpu/kubepods/besteffort/podu", "4000001\n");
    fake->unkillable = 4000001;
    AUTO(error) struct error *err = cgroup_pod_destroy_blocking(tree, "u");
    assert_non_null(err);
    assert_true(text_has_prefix(err->message,
                                "failed to kill all the processes attached to the [\"kubepods\" "
                                "\"besteffort\" \"podu\"] cgroups: "));
    assert_int_equal(fake->n_killed, 5);
    assert_true(fake_exists(fake, "cpu/kubepods/besteffort/podu"));
}

TEST_CASE(pods_are_listed_once_from_all_tiers)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    AUTO(arena) struct arena *arena = arena_new(0);
    const char **uids;
    size_t count;
    assert_no_error(cgroup_list_pods(tree, arena, &uids, &count));
    assert_int_equal(count, 0);

    struct test_pod it = {0};
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "c", &none), &created));
    it = (struct test_pod){0};
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "a", &guaranteed), &created));
    it = (struct test_pod){0};
    assert_no_error(cgroup_pod_create(tree, test_pod_init(&it, "b", &burstable), &created));
    add_process(fake, "cpu/kubepods/besteffort/pod", "");
    add_process(fake, "cpu/kubepods/besteffort/other", "");
    assert_no_error(cgroup_list_pods(tree, arena, &uids, &count));
    assert_int_equal(count, 3);
    assert_string_equal(uids[0], "a");
    assert_string_equal(uids[1], "b");
    assert_string_equal(uids[2], "c");
}

TEST_CASE(below_another_root_nothing_outside_is_touched)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    struct cgroup_facts facts;
    assert_no_error(fake_look(fake, fake->root, &facts));
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        if (!facts.mounts[i])
            continue;
        AUTO(free) char *path = path_join(facts.mounts[i], "edge");
        assert_int_equal(fake_make_dir(fake, path), 0);
    }
    cgroup_facts_done(&facts);
    const struct cgroup_options options = {.cgroup_root = "/edge/", .cgroups_per_qos = true};
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, &options);
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_control(fake, "cpu/edge/kubepods/cpu.shares", "2048");
    assert_control(fake, "cpu/edge/cpu.shares", "1024");
    assert_false(fake_exists(fake, "cpu/kubepods"));
}

TEST_CASE(without_qos_cgroups_everything_exists_and_nothing_is_made)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    const struct cgroup_options options = {.cgroups_per_qos = false};
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, &options);
    struct test_pod it = {0};
    const Core__Pod *pod = test_pod_init(&it, "u", &none);
    bool created;
    assert_no_error(cgroup_setup_node(tree, &node));
    assert_no_error(cgroup_update_qos(tree, 100));
    assert_no_error(cgroup_pod_create(tree, pod, &created));
    assert_false(created);
    assert_true(cgroup_pod_exists(tree, pod));
    assert_no_error(cgroup_pod_destroy_blocking(tree, "u"));
    assert_false(fake_exists(fake, "cpu/kubepods"));
}

TEST_MAIN(TEST(what_cannot_work_is_refused_with_the_remedy),
          TEST(controllers_that_are_not_mounted_are_listed),
          TEST(swap_is_found_where_the_version_keeps_it), TEST(the_node_gets_its_tiers_and_limits),
          TEST(a_pods_path_follows_from_its_tier_and_uid),
          TEST(on_v2_controllers_are_passed_on_to_every_level),
          TEST(a_threaded_cgroup_on_the_way_is_refused),
          TEST(a_limit_that_cannot_be_written_leaves_the_tiers_usable),
          TEST(a_pods_cgroup_is_made_once_in_its_tier),
          TEST(a_pod_in_some_hierarchies_only_is_completed),
          TEST(a_failed_creation_leaves_nothing_behind),
          TEST(a_value_the_kernel_refuses_does_not_fail_the_pod),
          TEST(a_uid_that_is_no_name_is_refused),
          TEST(destroying_kills_in_every_cgroup_below_and_removes_all_hierarchies),
          TEST(a_threaded_cgroup_inside_a_pod_is_removed_with_it),
          TEST(a_process_that_cannot_be_killed_is_reported_and_nothing_is_removed),
          TEST(pods_are_listed_once_from_all_tiers),
          TEST(below_another_root_nothing_outside_is_touched),
          TEST(without_qos_cgroups_everything_exists_and_nothing_is_made))
