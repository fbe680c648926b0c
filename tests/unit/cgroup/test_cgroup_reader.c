#include "cgroup/cgroup_reader.h"

#include "base/time.h"
#include "fake_cgroup.h"

#define POD "/kubepods/poda-1"

/* A machine of two folders: cgroups, and a /proc. */
struct machine {
    struct fake_cgroup *fake;
    struct cgroup_tree *tree;
    char *proc;
    struct arena *arena;
    struct cgroup_layout layout;
    struct cgroup_reader *reader;
};

static void write_proc(const struct machine *machine, const char *dir, const char *file,
                       const char *text)
{
    AUTO(free) char *path = path_join(machine->proc, dir);
    assert_no_error(fd_mkdir_all(path, 0755));
    fake_write(path, file, text);
}

static void setup(struct machine *machine, enum cgroup_version version)
{
    *machine = (struct machine){.fake = fake_cgroup_new(version), .arena = arena_new(0)};
    if (version ==
        CGROUP_V1) { /* the folder has these two on top of what the tests of limits need */
        AUTO(free) char *blkio = path_join(machine->fake->root, "blkio");
        assert_no_error(fd_mkdir_all(blkio, 0755));
    }
    machine->tree = fake_tree(machine->fake, NULL);
    machine->proc = path_join(machine->fake->root, "the-proc");
    write_proc(machine, "", "meminfo", "MemTotal: 1024 kB\nSwapTotal: 64 kB\nSwapFree: 60 kB\n");
    cgroup_layout_copy(machine->tree, machine->arena, &machine->layout);
    if (version == CGROUP_V1)
        machine->layout.mounts[CGROUP_BLKIO] =
            arena_printf(machine->arena, "%s/blkio", machine->fake->root);
}

static void open_reader(struct machine *machine)
{
    assert_no_error(cgroup_reader_new_blocking(&machine->layout, machine->proc, &machine->reader));
}

static void teardown(struct machine *machine)
{
    cgroup_reader_free(machine->reader);
    cgroup_tree_free(machine->tree);
    fake_cgroup_free(machine->fake);
    free(machine->proc);
    arena_free(machine->arena);
}

static void put(const struct machine *machine, const char *dir, const char *file, const char *text)
{
    AUTO(free) char *path = path_join(machine->fake->root, dir);
    assert_no_error(fd_mkdir_all(path, 0755));
    fake_write(path, file, text);
}

static bool read_it(const struct machine *machine, const char *path, unsigned wants,
                    struct cgroup_figures *ret)
{
    const struct cgroup_read read = {.path = path, .wants = wants};
    return cgroup_reader_read_blocking(machine->reader, &read, machine->arena, ret);
}

static void fill_v1(const struct machine *machine, const char *cgroup)
{
    static const struct {
        const char *hierarchy, *file, *text;
    } files[] = {
        {"cpuacct", "cpuacct.usage", "2500000000\n"},
        {"cpuacct", "cpuacct.stat", "user 150\nsystem 75\n"},
        {"cpu", "cpu.stat",
         "nr_periods 11\nnr_throttled 1\nthrottled_time 29486673\nnr_bursts 2\nburst_time 9\n"},
        {"cpu", "cpu.shares", "153\n"},
        {"cpu", "cpu.cfs_quota_us", "15000\n"},
        {"cpu", "cpu.cfs_period_us", "100000\n"},
        {"cpu", "cgroup.procs", ""},
        {"memory", "memory.usage_in_bytes", "5000\n"},
        {"memory", "memory.max_usage_in_bytes", "6000\n"},
        {"memory", "memory.failcnt", "3\n"},
        {"memory", "memory.kmem.usage_in_bytes", "700\n"},
        {"memory", "memory.limit_in_bytes", "50331648\n"},
        {"memory", "memory.memsw.limit_in_bytes", "9223372036854771712\n"},
        {"memory", "memory.soft_limit_in_bytes", "9223372036854771712\n"},
        {"memory", "memory.stat",
         "cache 1\nrss 1\npgfault 10\npgmajfault 2\ntotal_cache 100\ntotal_rss 200\n"
         "total_mapped_file 30\ntotal_swap 4\ntotal_pgfault 1000\ntotal_pgmajfault 20\n"
         "total_inactive_file 1500\ntotal_active_file 250\n"},
        {"pids", "pids.current", "6\n"},
        {"pids", "pids.max", "max\n"},
        {"blkio", "blkio.bfq.io_service_bytes_recursive", "Total 0\n"},
        {"blkio", "blkio.throttle.io_service_bytes_recursive", "254:0 Read 4096\nTotal 4096\n"},
        {"blkio", "blkio.throttle.io_serviced_recursive", "254:0 Read 2\nTotal 2\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        AUTO(free) char *dir = path_join(files[i].hierarchy, cgroup);
        put(machine, dir, files[i].file, files[i].text);
    }
}

TEST_CASE(on_v1_every_hierarchy_gives_its_part)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    fill_v1(&machine, POD);
    open_reader(&machine);
    struct cgroup_figures have;
    assert_true(read_it(&machine, POD, 0, &have));
    assert_true(have.has_cpu && have.has_memory && have.has_pids && have.has_io);
    assert_false(have.has_pressure || have.has_open_files);
    assert_int_equal(have.cpu.total_ns, INT64_C(2500000000));
    assert_int_equal(have.cpu.user_ns, INT64_C(1500000000));
    assert_int_equal(have.cpu.system_ns, 750000000);
    assert_int_equal(have.cpu.periods, 11);
    assert_int_equal(have.cpu.throttled_periods, 1);
    assert_int_equal(have.cpu.throttled_ns, 29486673);
    assert_int_equal(have.cpu.burst_periods, 2);
    assert_int_equal(have.cpu.burst_ns, 9);
    assert_int_equal(have.cpu.shares, 153);
    assert_true(have.cpu.has_quota);
    assert_int_equal(have.cpu.quota_us, 15000);
    assert_int_equal(have.cpu.period_us, 100000);
    assert_int_equal(have.memory.usage_bytes, 5000);
    assert_int_equal(have.memory.working_set_bytes, 3500);
    assert_int_equal(have.memory.max_usage_bytes, 6000);
    assert_int_equal(have.memory.failcnt, 3);
    assert_int_equal(have.memory.kernel_bytes, 700);
    assert_int_equal(have.memory.limit_bytes, 50331648);
    assert_true(have.memory.swap_limit_bytes > CGROUP_LIMIT_MAX);
    assert_int_equal(have.memory.cache_bytes, 100);
    assert_int_equal(have.memory.rss_bytes, 200);
    assert_int_equal(have.memory.mapped_file_bytes, 30);
    assert_int_equal(have.memory.swap_bytes, 4);
    assert_int_equal(have.memory.active_file_bytes, 250);
    assert_int_equal(have.memory.page_faults, 10);
    assert_int_equal(have.memory.tree_major_page_faults, 20);
    assert_int_equal(have.tasks, 6);
    assert_int_equal(have.tasks_max, 0);
    assert_int_equal(have.n_io_devices, 1);
    assert_int_equal(have.io_devices[0].bytes[CGROUP_IO_READ], 4096);
    assert_int_equal(have.io_devices[0].operations[CGROUP_IO_READ], 2);
    assert_int_equal(have.processes, 0);
    assert_int_equal(have.first_pid, 0);
    teardown(&machine);
}

TEST_CASE(controllers_of_one_mount_share_its_folder)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    fill_v1(&machine, POD);
    AUTO(free) char *dir = path_join("cpu", POD);
    put(&machine, dir, "cpuacct.usage", "77\n");
    machine.layout.mounts[CGROUP_CPUACCT] =
        arena_strdup(machine.arena, machine.layout.mounts[CGROUP_CPU]);
    machine.layout.mounts[CGROUP_MEMORY] = NULL;
    open_reader(&machine);
    struct cgroup_figures have;
    assert_true(read_it(&machine, POD, 0, &have));
    assert_int_equal(have.cpu.total_ns, 77);
    assert_int_equal(have.cpu.shares, 153);
    assert_false(have.has_memory);
    teardown(&machine);
}

TEST_CASE(what_is_not_there_is_not_told)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    open_reader(&machine);
    struct cgroup_figures have;
    assert_false(read_it(&machine, POD, 0, &have));
    put(&machine, "cpu" POD, "cpu.shares", "2\n"); /* a directory without cgroup.procs is dying */
    assert_false(read_it(&machine, POD, 0, &have));
    fill_v1(&machine, POD);
    assert_true(read_it(&machine, POD, 0, &have));
    teardown(&machine);
}

static void fill_v2(const struct machine *machine, const char *cgroup)
{
    static const struct {
        const char *file, *text;
    } files[] = {
        {"cpu.stat", "usage_usec 2500\nuser_usec 1500\nsystem_usec 1000\nnr_periods 4\n"
                     "nr_throttled 3\nthrottled_usec 2\nnr_bursts 1\nburst_usec 5\n"},
        {"cpu.weight", "39\n"},
        {"cpu.max", "max 100000\n"},
        {"memory.current", "5000\n"},
        {"memory.peak", "7000\n"},
        {"memory.swap.current", "4096\n"},
        {"memory.max", "max\n"},
        {"memory.swap.max", "0\n"},
        {"memory.min", "12\n"},
        {"memory.stat", "anon 200\nfile 100\nfile_mapped 30\ninactive_file 6000\nactive_file 9\n"
                        "pgfault 10\npgmajfault 2\n"},
        {"pids.max", "100\n"},
        {"cpu.pressure", "some avg10=1.00 avg60=0.50 avg300=0.00 total=5\n"},
        {"io.pressure", "some avg10=0.00 total=6\nfull avg10=0.00 total=7\n"},
        {"io.stat", "254:0 rbytes=1 wbytes=2 rios=3 wios=4\n"},
        {"cgroup.procs", "41\n42\n"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        put(machine, cgroup, files[i].file, files[i].text);
}

TEST_CASE(on_v2_one_folder_gives_all)
{
    struct machine machine;
    setup(&machine, CGROUP_V2);
    fill_v2(&machine, POD);
    put(&machine, "", "cpu.pressure", "some avg10=0.00 total=0\n");
    open_reader(&machine);
    assert_true(cgroup_reader_has_pressure(machine.reader));
    struct cgroup_figures have;
    assert_true(read_it(&machine, POD, 0, &have));
    assert_true(have.has_cpu && have.has_memory && have.has_io && have.has_pressure);
    assert_int_equal(have.cpu.total_ns, 2500000);
    assert_int_equal(have.cpu.throttled_ns, 2000);
    assert_int_equal(have.cpu.burst_ns, 5000);
    assert_int_equal(have.cpu.shares, 998); /* 2 + 38 * 262142 / 9999 */
    assert_false(have.cpu.has_quota);
    assert_int_equal(have.memory.usage_bytes, 5000);
    assert_int_equal(have.memory.working_set_bytes, 0);
    assert_int_equal(have.memory.max_usage_bytes, 7000);
    assert_int_equal(have.memory.swap_bytes, 4096);
    assert_true(have.memory.limit_bytes == UINT64_MAX);
    assert_int_equal(have.memory.swap_limit_bytes, 0);
    assert_int_equal(have.memory.reservation_bytes, 12);
    assert_int_equal(have.memory.tree_page_faults, 10);
    assert_int_equal(have.cpu_pressure.some.total_us, 5);
    assert_int_equal(have.io_pressure.full.total_us, 7);
    assert_int_equal(have.io_devices[0].operations[CGROUP_IO_WRITE], 4);
    assert_int_equal(have.processes, 2);
    assert_int_equal(have.first_pid, 41);
    assert_false(have.has_pids); /* no pids.current: the processes stand for it */
    assert_int_equal(have.tasks, 2);
    teardown(&machine);
}

TEST_CASE(the_roots_limits_are_the_machines)
{
    struct machine machine;
    setup(&machine, CGROUP_V2);
    fill_v2(&machine, "");
    open_reader(&machine);
    struct cgroup_figures have;
    assert_true(read_it(&machine, "/", 0, &have));
    assert_int_equal(have.memory.limit_bytes, 1048576);
    assert_int_equal(have.memory.swap_limit_bytes, 65536);
    assert_int_equal(have.memory.swap_bytes, 4096);
    assert_int_equal(have.memory.usage_bytes, 300); /* anon and file */
    assert_int_equal(have.memory.reservation_bytes, 0);
    teardown(&machine);

    setup(&machine, CGROUP_V1);
    fill_v1(&machine, "");
    open_reader(&machine);
    assert_true(read_it(&machine, "/", 0, &have));
    assert_int_equal(have.memory.limit_bytes, 1048576);
    assert_int_equal(have.memory.swap_limit_bytes, 65536);
    assert_int_equal(have.memory.usage_bytes, 5000);
    teardown(&machine);
}

TEST_CASE(open_files_are_counted_only_when_asked_for)
{
    struct machine machine;
    setup(&machine, CGROUP_V2);
    fill_v2(&machine, POD);
    write_proc(&machine, "41", "limits", "Max open files   1024   4096  files\n");
    write_proc(&machine, "41/fd", "junk", "");
    AUTO(free) char *fds = path_join(machine.proc, "41/fd/");
    static const char *const links[] = {"socket:[77]", "/dev/null", "pipe:[1]"};
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        AUTO(free) char *link = xasprintf("%s/%zu", fds, i);
        assert_int_equal(symlink(links[i], link), 0);
    }
    open_reader(&machine);
    struct cgroup_figures have;
    assert_true(read_it(&machine, POD, CGROUP_WANT_OPEN_FILES, &have));
    assert_true(have.has_open_files && have.has_ulimit);
    assert_int_equal(have.descriptors, 3); /* process 42 has gone meanwhile */
    assert_int_equal(have.sockets, 1);
    assert_int_equal(have.open_files_limit, 1024);
    assert_int_equal(have.processes, 2);
    teardown(&machine);
}

TEST_CASE(more_processes_than_fit_the_buffer_are_all_counted)
{
    struct machine machine;
    setup(&machine, CGROUP_V2);
    fill_v2(&machine, POD);
    AUTO(buf) struct buf procs = {0};
    buf_init(&procs, MiB);
    for (int i = 0; i < 30000; i++)
        buf_printf(&procs, "%d\n", 1000000 + i);
    put(&machine, POD, "cgroup.procs", buf_text(&procs));
    open_reader(&machine);
    struct cgroup_figures have;
    assert_true(read_it(&machine, POD, 0, &have));
    assert_int_equal(have.processes, 30000);
    assert_true(cgroup_reader_has_process_blocking(machine.reader, POD, 1000001));
    assert_false(cgroup_reader_has_process_blocking(machine.reader, POD, 41));
    assert_false(cgroup_reader_has_process_blocking(machine.reader, "/nowhere", 41));
    teardown(&machine);
}

TEST_CASE(the_oldest_date_is_when_it_was_made)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    fill_v1(&machine, POD);
    const int64_t now_ns = time_wall_ns();
    const struct timespec made = {.tv_sec = now_ns / NS_PER_SEC - 1};
    const struct timespec times[] = {made, made};
    AUTO(free) char *dir = path_join(machine.fake->root, "memory" POD);
    assert_int_equal(utimensat(AT_FDCWD, dir, times, 0), 0);
    open_reader(&machine);
    struct cgroup_figures have;
    assert_true(read_it(&machine, POD, 0, &have));
    assert_int_equal(have.created_ns, 0);
    assert_true(read_it(&machine, POD, CGROUP_WANT_CREATED, &have));
    assert_int_equal(have.created_ns, made.tv_sec * NS_PER_SEC);
    struct cgroup_figures again, before = have;
    const struct cgroup_read read = {.path = POD, .wants = CGROUP_WANT_CREATED, .before = &before};
    before.created_ns = 5;
    assert_true(cgroup_reader_read_blocking(machine.reader, &read, machine.arena, &again));
    assert_int_equal(again.created_ns, 5); /* not looked at again */
    before.inode++;
    assert_true(cgroup_reader_read_blocking(machine.reader, &read, machine.arena, &again));
    assert_int_equal(again.created_ns, have.created_ns);
    teardown(&machine);
}

/* --- what is known from before --- */

/* The files that change, each told by the figure it gives, and what of them is seen when. */
static void describe(const struct cgroup_figures *have, struct buf *out)
{
    buf_clear(out);
    buf_printf(out, "user %llu shares %llu throttled %llu cache %llu peak %llu limit %llu",
               (unsigned long long)have->cpu.user_ns, (unsigned long long)have->cpu.shares,
               (unsigned long long)have->cpu.throttled_periods,
               (unsigned long long)have->memory.cache_bytes,
               (unsigned long long)have->memory.max_usage_bytes,
               (unsigned long long)have->memory.limit_bytes);
    buf_printf(out, " tasks %llu of %llu processes %llu", (unsigned long long)have->tasks,
               (unsigned long long)have->tasks_max, (unsigned long long)have->processes);
}

static void check_before(const struct machine *machine, const struct cgroup_figures *before,
                         const char *want)
{
    const struct cgroup_read read = {.path = POD, .before = before};
    struct cgroup_figures have;
    AUTO(buf) struct buf text;
    buf_init(&text, KiB);
    assert_true(cgroup_reader_read_blocking(machine->reader, &read, machine->arena, &have));
    describe(&have, &text);
    assert_string_equal(buf_text(&text), want);
}

TEST_CASE(who_has_not_run_has_not_changed_on_v1)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    fill_v1(&machine, POD);
    open_reader(&machine);
    struct cgroup_figures before, other;
    assert_true(read_it(&machine, POD, 0, &before));
    other = before;
    other.inode++;
    put(&machine, "cpuacct" POD, "cpuacct.stat", "user 1\nsystem 1\n");
    put(&machine, "cpu" POD, "cpu.stat", "nr_throttled 2\n");
    put(&machine, "cpu" POD, "cpu.shares", "2\n");
    put(&machine, "cpu" POD, "cgroup.procs", "41\n");
    put(&machine, "memory" POD, "memory.stat", "total_cache 2\n");
    put(&machine, "memory" POD, "memory.max_usage_in_bytes", "2\n");
    put(&machine, "memory" POD, "memory.limit_in_bytes", "2\n");
    put(&machine, "pids" POD, "pids.current", "2\n");
    put(&machine, "pids" POD, "pids.max", "2\n");
    static const char fresh[] =
        "user 10000000 shares 2 throttled 2 cache 2 peak 2 limit 2 tasks 2 of 2 processes 1";
    check_before(&machine, NULL, fresh);
    check_before(&machine, &other, fresh);
    check_before(&machine, &before,
                 "user 1500000000 shares 2 throttled 1 cache 100 peak 6000 limit 2 "
                 "tasks 6 of 2 processes 0");
    /* The kernel has taken pages back. */
    put(&machine, "memory" POD, "memory.usage_in_bytes", "4000\n");
    check_before(&machine, &before,
                 "user 1500000000 shares 2 throttled 1 cache 2 peak 2 limit 2 "
                 "tasks 6 of 2 processes 0");
    put(&machine, "cpuacct" POD, "cpuacct.usage", "2500000001\n");
    check_before(&machine, &before, fresh);
    teardown(&machine);
}

TEST_CASE(who_has_not_run_has_not_changed_on_v2)
{
    struct machine machine;
    setup(&machine, CGROUP_V2);
    fill_v2(&machine, POD);
    put(&machine, POD, "pids.current", "6\n");
    open_reader(&machine);
    struct cgroup_figures before;
    assert_true(read_it(&machine, POD, 0, &before));
    put(&machine, POD, "cpu.weight", "1\n");
    put(&machine, POD, "cgroup.procs", "41\n");
    put(&machine, POD, "memory.stat", "file 2\n");
    put(&machine, POD, "memory.peak", "2\n");
    put(&machine, POD, "memory.max", "2\n");
    put(&machine, POD, "pids.current", "2\n");
    put(&machine, POD, "pids.max", "2\n");
    check_before(&machine, NULL,
                 "user 1500000 shares 2 throttled 3 cache 2 peak 2 limit 2 tasks 2 of 2 "
                 "processes 1");
    check_before(&machine, &before,
                 "user 1500000 shares 2 throttled 3 cache 100 peak 7000 limit 2 tasks 6 of 2 "
                 "processes 2");
    put(&machine, POD, "memory.current", "4000\n");
    check_before(&machine, &before,
                 "user 1500000 shares 2 throttled 3 cache 2 peak 2 limit 2 tasks 6 of 2 "
                 "processes 2");
    put(&machine, POD, "cpu.stat", "usage_usec 2501\nuser_usec 1\n");
    check_before(&machine, &before,
                 "user 1000 shares 2 throttled 0 cache 2 peak 2 limit 2 tasks 2 of 2 processes 1");
    teardown(&machine);
}

TEST_CASE(what_was_not_asked_for_before_is_read_of_a_sleeper_too)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    fill_v1(&machine, POD);
    put(&machine, "cpu" POD, "cpu.cfs_quota_us", "-1\n");
    open_reader(&machine);
    struct cgroup_figures before, have;
    assert_true(read_it(&machine, POD, 0, &before));
    put(&machine, "cpu" POD, "cpu.cfs_quota_us", "5000\n");
    const struct cgroup_read read = {
        .path = POD, .wants = CGROUP_WANT_OPEN_FILES, .before = &before};
    assert_true(cgroup_reader_read_blocking(machine.reader, &read, machine.arena, &have));
    assert_true(have.has_open_files);
    assert_int_equal(have.cpu.periods, 11);
    assert_int_equal(have.cpu.quota_us, 5000);
    teardown(&machine);
}

TEST_CASE(children_are_the_folders_below)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    put(&machine, "cpu" POD "/one", "cgroup.procs", "");
    put(&machine, "cpu" POD "/two", "cgroup.procs", "");
    put(&machine, "cpu" POD, "cgroup.procs", "");
    open_reader(&machine);
    const char **names;
    assert_int_equal(cgroup_reader_children_blocking(machine.reader, POD, 8, machine.arena, &names),
                     2);
    assert_int_equal(cgroup_reader_children_blocking(machine.reader, POD, 1, machine.arena, &names),
                     1);
    assert_int_equal(
        cgroup_reader_children_blocking(machine.reader, "/no", 8, machine.arena, &names), 0);
    teardown(&machine);
}

TEST_CASE(without_its_main_hierarchy_nothing_can_be_read)
{
    struct machine machine;
    setup(&machine, CGROUP_V1);
    machine.layout.mounts[CGROUP_CPU] = "/nowhere/at/all";
    assert_error_code(cgroup_reader_new_blocking(&machine.layout, machine.proc, &machine.reader),
                      ERROR_UNAVAILABLE);
    assert_null(machine.reader);
    teardown(&machine);
}

TEST_MAIN(TEST(on_v1_every_hierarchy_gives_its_part),
          TEST(controllers_of_one_mount_share_its_folder), TEST(what_is_not_there_is_not_told),
          TEST(on_v2_one_folder_gives_all), TEST(the_roots_limits_are_the_machines),
          TEST(open_files_are_counted_only_when_asked_for),
          TEST(more_processes_than_fit_the_buffer_are_all_counted),
          TEST(the_oldest_date_is_when_it_was_made), TEST(who_has_not_run_has_not_changed_on_v1),
          TEST(who_has_not_run_has_not_changed_on_v2),
          TEST(what_was_not_asked_for_before_is_read_of_a_sleeper_too),
          TEST(children_are_the_folders_below),
          TEST(without_its_main_hierarchy_nothing_can_be_read))
