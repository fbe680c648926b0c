#include "cgroup/cgroup_internal.h"

#include "fake_cgroup.h"

/* A machine whose mounts a test arranges; everything else is the fake's. */
struct arranged {
    struct fake_cgroup *fake;
    struct cgroup_fs fs;
    bool cpuacct_beside_cpu; /* both in one hierarchy, as most distributions have it */
    bool hybrid;             /* a cgroup2 mount beside the v1 ones */
    int refuse_removal;      /* an errno: every removal fails with it; 0: none does */
};

static struct error *arranged_look(void *ctx, const char *mount_root, struct cgroup_facts *ret)
{
    const struct arranged *arranged = ctx;
    struct error *err = fake_look(arranged->fake, mount_root, ret);
    if (!err && arranged->cpuacct_beside_cpu) {
        free(ret->mounts[CGROUP_CPUACCT]);
        ret->mounts[CGROUP_CPUACCT] = xstrdup(ret->mounts[CGROUP_CPU]);
    }
    if (!err && arranged->hybrid)
        ret->mounts[CGROUP_UNIFIED] = path_join(mount_root, "unified");
    return err;
}

static int arranged_make_dir(void *ctx, const char *path)
{
    const struct arranged *arranged = ctx;
    return strstr(path, "/unified/") ? EROFS : fake_make_dir(arranged->fake, path);
}

static int arranged_remove_dir(void *ctx, const char *path)
{
    const struct arranged *arranged = ctx;
    return arranged->refuse_removal ? arranged->refuse_removal
                                    : fake_remove_dir(arranged->fake, path);
}

static int arranged_kill_process(void *ctx, pid_t pid)
{
    return fake_kill_process(((const struct arranged *)ctx)->fake, pid);
}

static struct cgroup_tree *arrange(struct arranged *arranged, struct fake_cgroup *fake)
{
    arranged->fake = fake;
    arranged->fs = (struct cgroup_fs){.ctx = arranged,
                                      .look = arranged_look,
                                      .make_dir = arranged_make_dir,
                                      .remove_dir = arranged_remove_dir,
                                      .kill_process = arranged_kill_process};
    const struct cgroup_options options = {
        .mount_root = fake->root, .cgroup_root = "/", .fs = &arranged->fs};
    struct cgroup_tree *tree = NULL;
    assert_no_error(cgroup_tree_new(&options, &tree));
    return tree;
}

static void write_in(const struct fake_cgroup *fake, const char *cgroup, const char *file,
                     const char *text)
{
    AUTO(free) char *dir = path_join(fake->root, cgroup);
    fake_write(dir, file, text);
}

static void remove_in(const struct fake_cgroup *fake, const char *path)
{
    AUTO(free) char *full = path_join(fake->root, path);
    assert_int_equal(unlink(full), 0);
}

TEST_CASE(a_hierarchy_of_two_controllers_is_walked_once)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    struct arranged arranged = {.cpuacct_beside_cpu = true};
    AUTO(cgroup_tree) struct cgroup_tree *tree = arrange(&arranged, fake);
    const char *cpu = cgroup_mount_of(tree, CGROUP_CPU), *mount;
    assert_string_equal(cgroup_mount_of(tree, CGROUP_CPUACCT), cpu);
    size_t cursor = 0, count = 0, of_cpu = 0;
    while ((mount = cgroup_next_mount(tree, &cursor)) != NULL) {
        count++;
        of_cpu += text_eq(mount, cpu) ? 1 : 0;
    }
    assert_int_equal(of_cpu, 1);
    assert_int_equal(count, 6); /* cpu, cpuset, memory, pids, systemd, devices */
    assert_no_error(cgroup_dir_make(tree, "/a"));
    assert_no_error(cgroup_dir_check(tree, "/a"));
    assert_true(fake_exists(fake, "cpu/a"));
    assert_false(fake_exists(fake, "cpuacct/a"));
    assert_no_error(cgroup_dir_destroy_blocking(tree, "/a"));
    assert_false(fake_exists(fake, "cpu/a"));
}

TEST_CASE(missing_parents_are_made_on_the_way)
{
    static const char *const rows[] = {"/a/b/c", "a/b/c", "/a//b/c/"};
    static const enum cgroup_version versions[] = {CGROUP_V1, CGROUP_V2};
    for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(versions); i++) {
        const char *cgroup = rows[i / ARRAY_SIZE(versions)];
        AUTO(fake_cgroup)
        struct fake_cgroup *fake = fake_cgroup_new(versions[i % ARRAY_SIZE(versions)]);
        AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
        assert_no_error(cgroup_dir_make(tree, cgroup));
        assert_no_error(cgroup_dir_check(tree, "/a/b/c"));
        if (fake->version == CGROUP_V1) {
            assert_control(fake, "cpuset/a/b/cpuset.cpus", "0-3");
            assert_control(fake, "cpuset/a/b/c/cpuset.mems", "0");
        }
        assert_no_error(cgroup_dir_make(tree, cgroup)); /* again: all is there */
    }
}

TEST_CASE(a_cpuset_of_its_own_is_kept_and_an_empty_parent_gives_nothing)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_dir_make(tree, "/a"));
    write_in(fake, "cpuset/a", "cpuset.cpus", "1\n");
    assert_no_error(cgroup_dir_make(tree, "/a"));
    assert_control(fake, "cpuset/a/cpuset.cpus", "1");

    write_in(fake, "cpuset", "cpuset.mems", "\n");
    assert_no_error(cgroup_dir_make(tree, "/b"));
    assert_control(fake, "cpuset/b/cpuset.mems", "");
}

TEST_CASE(the_hybrid_hierarchy_may_be_read_only)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V1);
    struct arranged arranged = {.hybrid = true};
    AUTO(cgroup_tree) struct cgroup_tree *tree = arrange(&arranged, fake);
    assert_no_error(cgroup_dir_make(tree, "/a"));
    assert_no_error(cgroup_dir_check(tree, "/a"));
    assert_true(fake_exists(fake, "memory/a"));
    assert_false(fake_exists(fake, "unified"));
    assert_no_error(cgroup_dir_destroy_blocking(tree, "/a"));
}

TEST_CASE(what_a_cgroup_lacks_is_named)
{
    static const struct {
        const char *name, *controllers, *want; /* controllers: NULL is no such file */
    } rows[] = {
        {"all of them", "cpuset cpu io memory hugetlb pids", NULL},
        {"more than needed", "cpu cpuset hugetlb memory pids rdma misc", NULL},
        {"one is missing", "cpuset cpu io memory hugetlb",
         "cgroup [\"a\"] has some missing controllers: pids"},
        {"several are missing", "io memory",
         "cgroup [\"a\"] has some missing controllers: cpu, cpuset, hugetlb, pids"},
        {"a longer word is another controller", "cpuset cpux io memory hugetlb pids",
         "cgroup [\"a\"] has some missing controllers: cpu"},
        {"none", "",
         "cgroup [\"a\"] has some missing controllers: cpu, cpuset, hugetlb, memory, pids"},
    };
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_dir_make(tree, "/a"));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(free) char *line = xasprintf("%s\n", rows[i].controllers);
        write_in(fake, "a", "cgroup.controllers", line);
        AUTO(error) struct error *err = cgroup_dir_check(tree, "/a");
        if (!text_eq(err ? err->message : NULL, rows[i].want) ||
            (err && err->code != ERROR_FAILED_PRECONDITION))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "no error");
    }
    AUTO(error) struct error *err = cgroup_dir_check(tree, "/a/absent");
    assert_int_equal(err->code, ERROR_FAILED_PRECONDITION);
    assert_true(text_has_prefix(err->message,
                                "could not read controllers for cgroup [\"a\" \"absent\"]: "));
}

TEST_CASE(a_controller_that_the_machine_lacks_is_not_missed)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    write_in(fake, "", "cgroup.controllers", "cpu cpuset memory pids\n");
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    assert_no_error(cgroup_dir_make(tree, "/a"));
    write_in(fake, "a", "cgroup.controllers", "cpu cpuset memory pids\n");
    assert_no_error(cgroup_dir_check(tree, "/a"));
}

TEST_CASE(a_mode_that_cannot_hold_controllers_is_refused)
{
    static const struct {
        const char *type; /* NULL: no such file */
        bool is_fine;
    } rows[] = {{"domain", true},
                {"domain invalid", false},
                {"threaded", false},
                {"domain threaded", false},
                {NULL, true}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
        AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
        assert_no_error(cgroup_dir_make(tree, "/a"));
        if (rows[i].type)
            write_in(fake, "a", "cgroup.type", rows[i].type);
        else
            remove_in(fake, "a/cgroup.type");
        AUTO(error) struct error *err = cgroup_dir_make(tree, "/a/b");
        if (rows[i].is_fine != !err || (err && err->code != ERROR_FAILED_PRECONDITION) ||
            fake_exists(fake, "a/b") != rows[i].is_fine)
            fail_msg("%s: %s", rows[i].type, err ? err->message : "no error");
    }
}

TEST_CASE(a_level_that_passes_no_controllers_on_is_made_all_the_same)
{
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    remove_in(fake, "cgroup.subtree_control");
    assert_no_error(cgroup_dir_make(tree, "/a"));
    assert_true(fake_exists(fake, "a"));
}

TEST_CASE(only_others_are_killed)
{
    AUTO(free) char *self = xasprintf("%d\n", (int)getpid());
    AUTO(free) char *with_self = xasprintf("4000001\n%d\n4000002\n", (int)getpid());
    const struct {
        const char *name, *procs; /* NULL: no such file */
        size_t n_killed;
        pid_t first, last;
    } rows[] = {
        {"nobody", "", 0, 0, 0},
        {"the agent alone", self, 0, 0, 0},
        {"the agent among others", with_self, 10, 4000001, 4000002},
        {"processes elsewhere and init", "0\n1\n", 0, 0, 0},
        {"lines that are no numbers", "x\n-5\n\n4000001 4000002\n", 0, 0, 0},
        {"numbers that are no processes", "99999999999\n999999999999999999999999999999\n", 0, 0, 0},
        {"no newline at the end", "4000001", 5, 4000001, 4000001},
        {"removed meanwhile", NULL, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
        AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
        assert_no_error(cgroup_dir_make(tree, "/a"));
        if (rows[i].procs)
            write_in(fake, "a", "cgroup.procs", rows[i].procs);
        else
            remove_in(fake, "a/cgroup.procs");
        assert_no_error(cgroup_dir_destroy_blocking(tree, "/a"));
        if (fake->n_killed != rows[i].n_killed || fake->killed[0] != rows[i].first ||
            (fake->n_killed > 0 && fake->killed[fake->n_killed - 1] != rows[i].last))
            fail_msg("%s: %zu killed, %d first", rows[i].name, fake->n_killed,
                     (int)fake->killed[0]);
        assert_false(fake_exists(fake, "a"));
    }
}

TEST_CASE(a_removal_that_is_refused_is_told_at_once)
{
    static const struct {
        const char *name;
        int os_errno;
        bool is_fine;
    } rows[] = {{"gone already", ENOENT, true},
                {"not permitted", EPERM, false},
                {"read-only", EROFS, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
        struct arranged arranged = {.refuse_removal = rows[i].os_errno};
        AUTO(cgroup_tree) struct cgroup_tree *tree = arrange(&arranged, fake);
        assert_no_error(cgroup_dir_make(tree, "/a"));
        AUTO(error) struct error *err = cgroup_dir_destroy_blocking(tree, "/a");
        AUTO(free) char *want = xasprintf("removing cgroup %s/a: ", fake->root);
        bool is_told =
            err && err->os_errno == rows[i].os_errno && text_has_prefix(err->message, want);
        if (rows[i].is_fine ? err != NULL : !is_told)
            fail_msg("%s: %s", rows[i].name, err ? err->message : "no error");
    }
}

TEST_CASE(any_number_of_children_is_listed_and_taken_down)
{
    enum { CHILDREN = 40 };
    AUTO(fake_cgroup) struct fake_cgroup *fake = fake_cgroup_new(CGROUP_V2);
    AUTO(cgroup_tree) struct cgroup_tree *tree = fake_tree(fake, NULL);
    AUTO(arena) struct arena *arena = arena_new(0);
    for (int i = 0; i < CHILDREN; i++)
        assert_no_error(cgroup_dir_make(tree, arena_printf(arena, "/a/c%d/inner", i)));
    AUTO(free) char *path = path_join(fake->root, "a");
    const char **names = NULL;
    size_t count = 0;
    assert_no_error(cgroup_dir_children(path, arena, &names, &count));
    assert_int_equal(count, CHILDREN); /* control files are none */
    bool seen[CHILDREN] = {false};
    for (size_t i = 0; i < count; i++) {
        int64_t number = -1;
        assert_true(names[i][0] == 'c' && parse_i64(names[i] + 1, 0, CHILDREN - 1, &number));
        assert_false(seen[number]);
        seen[number] = true;
    }
    AUTO(free) char *file = path_join(path, "cgroup.procs");
    assert_error_code(cgroup_dir_children(file, arena, &names, &count), ERROR_FAILED_PRECONDITION);
    assert_no_error(cgroup_dir_destroy_blocking(tree, "/a"));
    assert_false(fake_exists(fake, "a"));
    assert_no_error(cgroup_dir_children(path, arena, &names, &count));
    assert_int_equal(count, 0);
}

TEST_MAIN(TEST(a_hierarchy_of_two_controllers_is_walked_once),
          TEST(missing_parents_are_made_on_the_way),
          TEST(a_cpuset_of_its_own_is_kept_and_an_empty_parent_gives_nothing),
          TEST(the_hybrid_hierarchy_may_be_read_only), TEST(what_a_cgroup_lacks_is_named),
          TEST(a_controller_that_the_machine_lacks_is_not_missed),
          TEST(a_mode_that_cannot_hold_controllers_is_refused),
          TEST(a_level_that_passes_no_controllers_on_is_made_all_the_same),
          TEST(only_others_are_killed), TEST(a_removal_that_is_refused_is_told_at_once),
          TEST(any_number_of_children_is_listed_and_taken_down))
