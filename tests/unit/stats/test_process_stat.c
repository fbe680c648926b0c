#include "stats/process_stat.h"

#include "base/time.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <unistd.h>

#define STAT_TAIL                                                                                  \
    "S 1 4711 4711 0 -1 4194560 5000 0 12 0 150 9 0 0 20 0 11 0 12345 1443598336 24210 "           \
    "18446744073709551615 1 1 0 0 0 0 0\n"

TEST_CASE(the_figures_of_a_process_are_found_behind_any_name)
{
    static const char *const texts[] = {"4711 (cubelet) " STAT_TAIL, "1 (a) S 9 (b) " STAT_TAIL,
                                        "1 (()) " STAT_TAIL};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct process_stat stat = {0};
        assert_true(process_stat_parse(str_from(texts[i]), &stat));
        assert_int_equal(stat.cpu_ticks, 159);
        assert_int_equal(stat.threads, 11);
        assert_int_equal(stat.start_ticks, 12345);
        assert_int_equal(stat.virtual_bytes, 1443598336);
        assert_int_equal(stat.resident_pages, 24210);
    }
}

TEST_CASE(a_malformed_stat_is_refused)
{
    static const char *const texts[] = {
        "",
        "4711 (cubelet) S 1 2 3",
        "4711 cubelet S 1 2 3",
        "4711 (x) S 1 1 1 0 -1 1 5 0 1 0 x 9 0 0 20 0 11 0 12345 1443598336 24210 1",
        "4711 (x) S 1 1 1 0 -1 1 5 0 1 0 -1 9 0 0 20 0 11 0 12345 1443598336 24210 1",
        "4711 (x) S 1 1 1 0 -1 1 5 0 1 0 1 9 0 0 20 0 11 0 12345 1443598336",
    };
    struct process_stat stat = {.threads = 7};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_false(process_stat_parse(str_from(texts[i]), &stat));
    assert_int_equal(stat.threads, 7);
}

TEST_CASE(the_machines_start_is_a_line_of_its_own)
{
    int64_t boot = 0;
    assert_true(
        process_boot_parse(str_from("cpu  1 2\nctxt 5\nbtime 1795230000\nprocesses 1\n"), &boot));
    assert_int_equal(boot, 1795230000);
    assert_false(process_boot_parse(str_from("cpu 1\nnobtime 5\n"), &boot));
    assert_false(process_boot_parse(str_from("btime soon\n"), &boot));
    assert_false(process_boot_parse(str_from(""), &boot));
}

TEST_CASE(traffic_is_found_by_the_names_above_it)
{
    int64_t in = 0, out = 0;
    assert_true(process_traffic_parse(
        str_from("TcpExt: InOctets OutOctets\nTcpExt: 1 2\n"
                 "IpExt: InNoRoutes InOctets OutOctets InMcast\nIpExt: 9 11494117 2237377 3\n"),
        &in, &out));
    assert_int_equal(in, 11494117);
    assert_int_equal(out, 2237377);

    static const char *const bad[] = {
        "",
        "IpExt: InOctets OutOctets",
        "IpExt: InOctets OutOctets\nIpExt: 1\n",
        "IpExt: InOctets\nIpExt: 1\n",
        "IpExt: InOctets OutOctets\nIpExt: 1 two\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(process_traffic_parse(str_from(bad[i]), &in, &out));
}

TEST_CASE(this_process_can_be_told_of)
{
    struct process_stat stat;
    assert_true(process_stat_read(&stat));
    assert_true(stat.threads >= 1 && stat.resident_pages > 0);
    assert_true(stat.virtual_bytes > stat.resident_pages);
    assert_true(process_start_seconds() > 1.7e9);
    assert_true(process_start_mono_ns() > 0 && process_start_mono_ns() <= time_mono_ns());

    int64_t before = process_open_fds();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(process_open_fds(), before + 1);
    (void)close(fd);
    assert_int_equal(process_open_fds(), before);
}

TEST_MAIN(TEST(the_figures_of_a_process_are_found_behind_any_name),
          TEST(a_malformed_stat_is_refused), TEST(the_machines_start_is_a_line_of_its_own),
          TEST(traffic_is_found_by_the_names_above_it), TEST(this_process_can_be_told_of))
