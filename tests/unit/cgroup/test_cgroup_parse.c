#include "cgroup/cgroup_parse.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#include <math.h>

TEST_CASE(a_number_is_digits_or_max)
{
    static const struct {
        const char *text;
        bool is_number, is_limit;
        uint64_t value;
    } rows[] = {
        {"0\n", true, true, 0},
        {" 42 \n", true, true, 42},
        {"9223372036854771712\n", true, true, UINT64_C(9223372036854771712)},
        {"18446744073709551616\n", true, true, UINT64_MAX},
        {"max\n", true, true, UINT64_MAX},
        {"-1\n", false, true, UINT64_MAX},
        {"", false, false, 0},
        {"-\n", false, false, 0},
        {"maxi", false, false, 0},
        {"1 2", false, false, 0},
        {"0x10", false, false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t number = 7, limit = 7;
        assert_int_equal(cgroup_parse_number(str_from(rows[i].text), &number), rows[i].is_number);
        assert_int_equal(cgroup_parse_limit(str_from(rows[i].text), &limit), rows[i].is_limit);
        assert_true(number == (rows[i].is_number ? rows[i].value : 7));
        assert_true(limit == (rows[i].is_limit ? rows[i].value : 7));
    }
}

TEST_CASE(cpu_max_is_a_quota_or_none_and_a_period)
{
    struct cgroup_cpu_figures cpu = {0};
    cgroup_parse_cpu_max(STR_LITERAL("max 100000\n"), &cpu);
    assert_false(cpu.has_quota);
    assert_int_equal(cpu.period_us, 100000);
    cgroup_parse_cpu_max(STR_LITERAL("15000 50000\n"), &cpu);
    assert_true(cpu.has_quota);
    assert_int_equal(cpu.quota_us, 15000);
    assert_int_equal(cpu.period_us, 50000);
    cgroup_parse_cpu_max(STR_LITERAL("\n"), &cpu);
    assert_true(cpu.has_quota);
}

TEST_CASE(keys_fill_what_they_name_and_no_more)
{
    static const struct cgroup_key keys[] = {
        {"nr_periods", offsetof(struct cgroup_cpu_figures, periods)},
        {"nr_bursts", offsetof(struct cgroup_cpu_figures, burst_periods)},
        {"never", offsetof(struct cgroup_cpu_figures, shares)},
    };
    struct cgroup_cpu_figures cpu = {.shares = 5};
    static const char text[] = "nr_periods 11\nnr_periodsX 9\nnr_throttled 1\n\nnr_bursts x\nnever";
    assert_int_equal(cgroup_parse_keys(str_from(text), keys, ARRAY_SIZE(keys), &cpu), 1);
    assert_int_equal(cpu.periods, 11);
    assert_int_equal(cpu.burst_periods, 0);
    assert_int_equal(cpu.shares, 5);
}

TEST_CASE(pressure_has_both_lines_or_only_some)
{
    struct cgroup_pressure pressure;
    assert_true(
        cgroup_parse_pressure(STR_LITERAL("some avg10=0.22 avg60=1.05 avg300=100.00 total=123456\n"
                                          "full avg10=0.00 avg60=0.01 avg300=0.10 total=77\n"),
                              &pressure));
    assert_true(fabs(pressure.some.avg10 - 0.22) < 1e-9);
    assert_true(fabs(pressure.some.avg60 - 1.05) < 1e-9);
    assert_true(fabs(pressure.some.avg300 - 100) < 1e-9);
    assert_int_equal(pressure.some.total_us, 123456);
    assert_true(fabs(pressure.full.avg300 - 0.1) < 1e-9);
    assert_int_equal(pressure.full.total_us, 77);
    assert_true(cgroup_parse_pressure(STR_LITERAL("some avg10=0.00 total=9"), &pressure));
    assert_int_equal(pressure.some.total_us, 9);
    assert_int_equal(pressure.full.total_us, 0);
    assert_false(cgroup_parse_pressure(STR_LITERAL("full avg10=0.00 total=9"), &pressure));
    assert_false(cgroup_parse_pressure(STR_LITERAL(""), &pressure));
    assert_int_equal(pressure.some.total_us, 9);
}

TEST_CASE(blkio_gathers_kinds_by_device)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct cgroup_io_list list = {0};
    cgroup_parse_blkio(STR_LITERAL("254:0 Read 4096\n254:0 Write 512\n254:0 Sync 4608\n"
                                   "254:0 Async 0\n254:0 Discard 8\n254:0 Total 4608\n"
                                   "8:16 Read 1\n8:16 Odd 3\nTotal 4609\n"),
                       true, arena, &list);
    cgroup_parse_blkio(STR_LITERAL("254:0 Read 3\n259:1 Write 2\n"), false, arena, &list);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.items[0].major, 254);
    assert_int_equal(list.items[0].bytes[CGROUP_IO_READ], 4096);
    assert_int_equal(list.items[0].bytes[CGROUP_IO_DISCARD], 8);
    assert_int_equal(list.items[0].has_bytes, (1U << CGROUP_IO_KIND_COUNT) - 1);
    assert_int_equal(list.items[0].operations[CGROUP_IO_READ], 3);
    assert_int_equal(list.items[0].has_operations, 1U << CGROUP_IO_READ);
    assert_int_equal(list.items[1].minor, 16);
    assert_int_equal(list.items[1].has_bytes, 1U << CGROUP_IO_READ);
    assert_int_equal(list.items[2].major, 259);
    assert_int_equal(list.items[2].has_bytes, 0);
}

TEST_CASE(io_stat_survives_devices_without_figures)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct cgroup_io_list list = {0};
    cgroup_parse_io_stat(
        STR_LITERAL("7:0 \n7:1 254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"
                    "8:0 rbytes=5 cost.usage=33 cost.wait=44 cost.indebt=55 cost.indelay=66\n"
                    "junk rbytes=1\n"),
        arena, &list);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].major, 254);
    assert_int_equal(list.items[0].bytes[CGROUP_IO_READ], 10);
    assert_int_equal(list.items[0].bytes[CGROUP_IO_WRITE], 20);
    assert_int_equal(list.items[0].operations[CGROUP_IO_WRITE], 2);
    assert_int_equal(list.items[0].has_cost, 0);
    assert_int_equal(list.items[1].bytes[CGROUP_IO_READ], 5);
    assert_int_equal(list.items[1].has_bytes, 1U << CGROUP_IO_READ);
    assert_int_equal(list.items[1].cost_us[CGROUP_COST_INDELAY], 66);
    assert_int_equal(list.items[1].has_cost, (1U << CGROUP_IO_COST_COUNT) - 1);
}

TEST_CASE(the_list_of_devices_has_an_end)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MiB);
    for (int i = 0; i < CGROUP_MAX_IO_DEVICES + 10; i++)
        buf_printf(&text, "8:%d rbytes=%d\n", i, i);
    struct cgroup_io_list list = {0};
    cgroup_parse_io_stat(buf_str(&text), arena, &list);
    assert_int_equal(list.count, CGROUP_MAX_IO_DEVICES);
    assert_int_equal(list.items[CGROUP_MAX_IO_DEVICES - 1].bytes[CGROUP_IO_READ],
                     CGROUP_MAX_IO_DEVICES - 1);
}

TEST_CASE(pids_are_numbers_on_lines_of_their_own)
{
    struct str rest = STR_LITERAL("1\n0\nx\n\n4194304\n99999999999\n7");
    static const int64_t want[] = {1, 4194304, 7};
    int64_t pid;
    for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
        assert_true(cgroup_next_pid(&rest, &pid));
        assert_int_equal(pid, want[i]);
    }
    assert_false(cgroup_next_pid(&rest, &pid));
}

TEST_CASE(the_soft_limit_of_open_files_is_found)
{
    int64_t limit = 7;
    static const char head[] = "Limit                     Soft Limit           Hard Limit\n"
                               "Max cpu time              unlimited            unlimited\n";
    AUTO(free) char *some = xasprintf("%sMax open files            1024   4096  files\n", head);
    AUTO(free) char *none = xasprintf("%sMax open files            unlimited 4096 files", head);
    assert_true(cgroup_parse_open_files_limit(str_from(some), &limit));
    assert_int_equal(limit, 1024);
    assert_true(cgroup_parse_open_files_limit(str_from(none), &limit));
    assert_int_equal(limit, -1);
    assert_false(cgroup_parse_open_files_limit(str_from(head), &limit));
    assert_false(cgroup_parse_open_files_limit(STR_LITERAL("Max open files"), &limit));
    assert_false(cgroup_parse_open_files_limit(STR_LITERAL("Max open files x y"), &limit));
}

TEST_CASE(meminfo_is_told_in_bytes)
{
    struct cgroup_meminfo info;
    cgroup_parse_meminfo(STR_LITERAL("MemTotal:       24684092 kB\nMemFree:  1 kB\n"
                                     "SwapTotal:           8 kB\nSwapFree:            4 kB\n"),
                         &info);
    assert_int_equal(info.total_bytes, INT64_C(25276510208));
    assert_int_equal(info.swap_total_bytes, 8192);
    assert_int_equal(info.swap_free_bytes, 4096);
    cgroup_parse_meminfo(STR_LITERAL(""), &info);
    assert_int_equal(info.total_bytes, 0);
}

TEST_CASE(a_process_has_one_cgroup_or_none)
{
    static const struct {
        const char *name, *text;
        enum cgroup_version version;
        const char *path; /* NULL: refused */
    } rows[] = {
        {"v2", "0::/system.slice/cubelet.service\n", CGROUP_V2, "/system.slice/cubelet.service"},
        {"v2 without its line", "1:cpu:/a\n", CGROUP_V2, NULL},
        {"v1 with systemd", "4:cpu,cpuacct:/a\n3:memory:/a\n1:name=systemd:/a/b\n", CGROUP_V1,
         "/a/b"},
        {"v1 without systemd", "4:cpuacct,cpu:/a:b\n3:memory:/a:b\n0::/x\n", CGROUP_V1, "/a:b"},
        {"v1 torn", "4:cpu:/\n3:memory:/other\n1:name=systemd:/\n", CGROUP_V1, NULL},
        {"empty", "", CGROUP_V1, NULL},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *path = NULL;
        AUTO(error)
        struct error *err =
            cgroup_parse_own_path(str_from(rows[i].text), rows[i].version, arena, &path);
        if (!text_eq(path, rows[i].path) || (err == NULL) != (rows[i].path != NULL))
            fail_msg("%s: %s", rows[i].name, path ? path : "refused");
    }
}

TEST_MAIN(TEST(a_process_has_one_cgroup_or_none), TEST(a_number_is_digits_or_max),
          TEST(cpu_max_is_a_quota_or_none_and_a_period), TEST(keys_fill_what_they_name_and_no_more),
          TEST(pressure_has_both_lines_or_only_some), TEST(blkio_gathers_kinds_by_device),
          TEST(io_stat_survives_devices_without_figures), TEST(the_list_of_devices_has_an_end),
          TEST(pids_are_numbers_on_lines_of_their_own), TEST(the_soft_limit_of_open_files_is_found),
          TEST(meminfo_is_told_in_bytes))
