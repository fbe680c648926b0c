/* The collector over the pods' bench: a real pod set on a runtime in memory and cgroups in a
 * folder. */
#include "stats/collector.h"

#include "base/path.h"
#include "stats/host_read.h"
#include "tests/unit/pod/pods_bench.h"

#define POD_CGROUP "/kubepods/besteffort/podu-web"

struct asker {
    size_t answers, failures;
    struct stats_records *records; /* of the last answer; owned */
};

struct stats_bench {
    struct bench pods;
    struct stats_collector_options options;
    struct stats_collector *collector;
    struct asker first, second;
};

static void on_records(void *ctx, const struct stats_records *records, struct error *err_owned)
{
    struct asker *asker = ctx;
    asker->answers++;
    asker->failures += err_owned != NULL;
    error_free(err_owned);
    stats_records_unref(TAKE(asker->records));
    if (records)
        asker->records = stats_records_ref(records);
}

static void put(struct stats_bench *it, const char *dir, const char *file, const char *text)
{
    AUTO(free) char *path = path_join(it->pods.cgroup_fs->root, dir);
    assert_no_error(fd_mkdir_all(path, 0755));
    fake_write(path, file, text);
}

static void put_proc(struct stats_bench *it, const char *dir, const char *file, const char *text)
{
    AUTO(free) char *path = path_join("the-proc", dir);
    put(it, path, file, text);
}

static void make_cgroup(struct stats_bench *it, const char *path, const char *procs)
{
    put(it, path, "cpu.stat", "usage_usec 1000\nuser_usec 600\nsystem_usec 400\n");
    put(it, path, "memory.stat", "anon 200\nfile 100\ninactive_file 50\n");
    put(it, path, "memory.current", "5000\n");
    put(it, path, "cgroup.procs", procs);
}

static const char *sandbox_path(struct stats_bench *it)
{
    struct bench_look look = bench_look(&it->pods, "u-web");
    return arena_printf(it->pods.arena, POD_CGROUP "/%s", look.view.observed->sandboxes->id);
}

static const char *container_path(struct stats_bench *it)
{
    struct bench_look look = bench_look(&it->pods, "u-web");
    return arena_printf(it->pods.arena, POD_CGROUP "/cri-%s.scope",
                        look.view.observed->containers->id);
}

static void setup_for(struct stats_bench *it, int64_t max_age_ns)
{
    *it = (struct stats_bench){0};
    bench_init(&it->pods);
    bench_begin(&it->pods, "web", BENCH_WEB);
    make_cgroup(it, "", "1\n");
    make_cgroup(it, "system", "");
    make_cgroup(it, sandbox_path(it), "41\n");
    make_cgroup(it, container_path(it), "42\n");
    make_cgroup(it, POD_CGROUP "/nobody-knows", "43\n");
    put_proc(it, "", "meminfo", "MemTotal: 1024 kB\nSwapTotal: 64 kB\n");
    put_proc(it, "", "diskstats", "254 0 vda 1 2 3 4 5 6 7 8 9 10 11\n");
    put_proc(it, "1/net", "dev", "eth0: 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    put_proc(it, "41/net", "dev", "eth0: 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");
    put_proc(it, "42", "limits", "Max open files 1024 4096 files\n");
    it->options = (struct stats_collector_options){
        .loop = it->pods.loop,
        .pool = it->pods.pool,
        .pods = it->pods.pods,
        .runtime = it->pods.env.runtime,
        .cgroups = it->pods.cgroups,
        .kubelet_cgroup = "/",
        .system_cgroup = "system",
        .runtime_cgroup = "/not/there",
        .machine = {.machine_id = "m", .system_uuid = "u", .boot_id = "b"},
        .proc_root = bench_path(&it->pods, "proc"),
        .sys_root = bench_path(&it->pods, "sys"),
        .max_age_ns = max_age_ns,
    };
    AUTO(free) char *proc = path_join(it->pods.cgroup_fs->root, "the-proc");
    assert_int_equal(symlink(proc, it->options.proc_root), 0);
    it->collector = stats_collector_new(&it->options);
}

/* A snapshot is good for as long as a test takes. */
static void setup(struct stats_bench *it)
{
    setup_for(it, BENCH_NEVER_NS);
}

/* One is too old as soon as time has passed. */
static void setup_hasty(struct stats_bench *it)
{
    setup_for(it, 0);
}

static void teardown(struct stats_bench *it)
{
    stats_collector_free(it->collector);
    stats_records_unref(it->first.records);
    stats_records_unref(it->second.records);
    bench_finish(&it->pods);
}

static void ask(struct stats_bench *it, struct asker *asker)
{
    size_t before = asker->answers;
    assert_non_null(stats_collect_start(it->collector, on_records, asker));
    assert_int_equal(asker->answers, before); /* never from inside */
    bench_until(&it->pods, asker->answers > before);
}

static const struct stats_record *record_of(const struct stats_bench *it, const char *path)
{
    const struct stats_records *records = it->first.records;
    for (size_t i = 0; i < records->count; i++) {
        if (text_eq(records->items[i].path, path))
            return &records->items[i];
    }
    return NULL;
}

TEST_CASE(every_cgroup_that_is_known_has_its_record)
{
    struct stats_bench it;
    setup(&it);
    ask(&it, &it.first);
    const struct stats_records *records = it.first.records;
    assert_int_equal(it.first.failures, 0);
    assert_int_equal(records->count, 8);
    assert_string_equal(records->machine.machine_id, "m");
    assert_int_equal(records->machine.memory_bytes, 1048576);

    const struct stats_record *root = stats_records_root(records);
    assert_int_equal(root->roles, 1U << STATS_ROLE_KUBELET);
    assert_int_equal(root->n_interfaces, 1);
    assert_int_equal(root->interfaces[0].rx_bytes, 7);
    assert_true(root->n_filesystems > 0);
    assert_int_equal(root->figures.memory.limit_bytes, 1048576);
    assert_int_equal(record_of(&it, "/kubepods")->roles, 1U << STATS_ROLE_PODS);
    assert_int_equal(record_of(&it, "/kubepods/burstable")->kind, STATS_SLICE);
    assert_int_equal(record_of(&it, "/system")->roles, 1U << STATS_ROLE_MISC);

    const struct stats_record *pod = stats_records_pod(records, "u-web");
    assert_string_equal(pod->path, POD_CGROUP);
    assert_string_equal(pod->pod, "web-n");
    assert_string_equal(pod->container, "");
    assert_string_equal(pod->name, "");

    const struct stats_record *container = record_of(&it, container_path(&it));
    assert_int_equal(container->kind, STATS_CONTAINER);
    assert_string_equal(container->container, "c");
    assert_string_equal(container->image, "sha256:img:1"); /* as the runtime tells it */
    assert_string_equal(container->name, container->id);
    assert_string_equal(container->pod_uid, "u-web");
    assert_int_equal(container->figures.open_files_limit, 1024);
    assert_false(container->has_network);
    assert_true(container->figures.created_ns > 0);
    assert_ptr_equal(stats_records_by_id(records, container->id), container);

    const struct stats_record *sandbox = record_of(&it, sandbox_path(&it));
    assert_int_equal(sandbox->kind, STATS_SANDBOX);
    assert_string_equal(sandbox->image, "pause:test");
    assert_string_equal(sandbox->container, "");
    assert_string_equal(sandbox->namespace, "default");
    assert_true(sandbox->has_network);
    assert_int_equal(sandbox->interfaces[0].rx_bytes, 9);
    teardown(&it);
}

TEST_CASE(whoever_asks_within_a_second_shares_the_snapshot)
{
    struct stats_bench it;
    setup(&it);
    assert_non_null(stats_collect_start(it.collector, on_records, &it.second));
    ask(&it, &it.first);
    assert_int_equal(it.second.answers, 1);
    assert_ptr_equal(it.first.records, it.second.records);
    ask(&it, &it.second);
    assert_ptr_equal(it.first.records, it.second.records);
    size_t calls = fake_runtime_calls(it.pods.fake);
    ask(&it, &it.second); /* and the sandbox's image is not asked for again */
    assert_int_equal(fake_runtime_calls(it.pods.fake), calls);
    teardown(&it);
}

TEST_CASE(the_next_pass_knows_a_rate_and_what_is_gone)
{
    struct stats_bench it;
    setup_hasty(&it);
    ask(&it, &it.first);
    assert_int_equal(record_of(&it, container_path(&it))->cpu_nanocores, 0);
    int64_t created_ns = record_of(&it, container_path(&it))->figures.created_ns;
    put(&it, container_path(&it), "cpu.stat", "usage_usec 501000\n");
    AUTO(free) char *sandbox = path_join(it.pods.cgroup_fs->root, sandbox_path(&it));
    assert_no_error(fd_remove_tree_blocking(sandbox));
    ask(&it, &it.first);
    const struct stats_record *container = record_of(&it, container_path(&it));
    assert_true(container->cpu_nanocores > 0);
    assert_int_equal(record_of(&it, "/system")->cpu_nanocores, 0); /* at rest */
    assert_true(container->figures.created_ns == created_ns);
    assert_null(record_of(&it, sandbox_path(&it)));
    teardown(&it);
}

TEST_CASE(a_pid_that_left_the_sandbox_tells_nothing_of_its_network)
{
    struct stats_bench it;
    setup(&it);
    put(&it, sandbox_path(&it), "cgroup.procs", "999\n"); /* has no /proc entry */
    ask(&it, &it.first);
    assert_false(record_of(&it, sandbox_path(&it))->has_network);
    teardown(&it);
}

TEST_CASE(a_runtime_that_fails_leaves_the_image_blank)
{
    struct stats_bench it;
    setup_hasty(&it);
    bench_fault(&it.pods, RUNTIME_POD_SANDBOX_STATUS, FAKE_REFUSED);
    ask(&it, &it.first);
    assert_string_equal(record_of(&it, sandbox_path(&it))->image, "");
    ask(&it, &it.first);
    assert_string_equal(record_of(&it, sandbox_path(&it))->image, "pause:test");
    teardown(&it);
}

TEST_CASE(without_its_root_there_are_no_records)
{
    struct stats_bench it;
    setup(&it);
    AUTO(free) char *procs = path_join(it.pods.cgroup_fs->root, "cgroup.procs");
    assert_int_equal(unlink(procs), 0);
    ask(&it, &it.first);
    assert_int_equal(it.first.failures, 1);
    assert_null(it.first.records);
    teardown(&it);
}

TEST_CASE(a_cancelled_ask_is_not_answered)
{
    struct stats_bench it;
    setup(&it);
    struct stats_ask *gone = stats_collect_start(it.collector, on_records, &it.second);
    stats_collect_cancel(gone);
    stats_collect_cancel(NULL);
    ask(&it, &it.first);
    assert_int_equal(it.second.answers, 0);
    /* what is under way ends silently with the collector */
    stats_collector_free(TAKE(it.collector));
    it.collector = stats_collector_new(&it.options);
    (void)stats_collect_start(it.collector, on_records, &it.second);
    loop_turn(it.pods.loop, 0);
    stats_collector_free(TAKE(it.collector));
    bench_idle(&it.pods);
    assert_int_equal(it.second.answers, 0);
    teardown(&it);
}

TEST_CASE(cores_and_sockets_are_counted_as_they_belong_together)
{
    struct stats_bench it;
    setup(&it);
    static const struct {
        int cpu, socket, core;
    } processors[] = {{0, 0, 0}, {1, 0, 0}, {2, 0, 1}, {4, 1, 0}};
    put(&it, "sys/devices/system/cpu", "online", "0-2,4\n");
    for (size_t i = 0; i < ARRAY_SIZE(processors); i++) {
        AUTO(free)
        char *dir = xasprintf("sys/devices/system/cpu/cpu%d/topology", processors[i].cpu);
        AUTO(free) char *socket = xasprintf("%d\n", processors[i].socket);
        AUTO(free) char *core = xasprintf("%d\n", processors[i].core);
        put(&it, dir, "physical_package_id", socket);
        put(&it, dir, "core_id", core);
    }
    AUTO(free) char *sys = path_join(it.pods.cgroup_fs->root, "sys");
    struct stats_topology topology;
    stats_read_topology_blocking(sys, &topology);
    assert_int_equal(topology.cores, 4);
    assert_int_equal(topology.physical_cores, 3);
    assert_int_equal(topology.sockets, 2);
    stats_read_topology_blocking("/nowhere", &topology);
    assert_int_equal(topology.cores, 0);
    teardown(&it);
}

TEST_MAIN(TEST(every_cgroup_that_is_known_has_its_record),
          TEST(whoever_asks_within_a_second_shares_the_snapshot),
          TEST(the_next_pass_knows_a_rate_and_what_is_gone),
          TEST(a_pid_that_left_the_sandbox_tells_nothing_of_its_network),
          TEST(a_runtime_that_fails_leaves_the_image_blank),
          TEST(without_its_root_there_are_no_records), TEST(a_cancelled_ask_is_not_answered),
          TEST(cores_and_sockets_are_counted_as_they_belong_together))
