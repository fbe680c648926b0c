#include "node/facts_parse.h"

#include "tests/lib/test.h"

#define UNTOUCHED (-7)

TEST_CASE(a_line_of_meminfo_gives_bytes)
{
    static const struct {
        const char *name, *text, *key;
        int64_t want; /* UNTOUCHED: refused */
    } rows[] = {
        {"the first line", "MemTotal:       24684092 kB\nMemFree: 1 kB\n",
         "MemTotal:", INT64_C(25276510208)},
        {"a later line", "MemTotal: 5 kB\nSwapTotal:      2097148 kB\n",
         "SwapTotal:", INT64_C(2147479552)},
        {"none of it", "SwapTotal:             0 kB\n", "SwapTotal:", 0},
        {"no newline at the end", "MemTotal: 4 kB", "MemTotal:", 4096},
        {"no blank before the number", "MemTotal:4 kB\n", "MemTotal:", 4096},
        {"tabs before the number", "MemTotal:\t\t4 kB\n", "MemTotal:", 4096},
        {"no unit", "HugePages_Total:       3\n", "HugePages_Total:", 3072},
        {"a longer key is another one", "MemTotalX: 9 kB\nMemTotal: 4 kB\n", "MemTotal:", 4096},
        {"the key not at the beginning", " MemTotal: 9 kB\n", "MemTotal:", UNTOUCHED},
        {"the second of two, the first has no number", "MemTotal: kB\nMemTotal: 4 kB\n",
         "MemTotal:", 4096},
        {"empty", "", "MemTotal:", UNTOUCHED},
        {"newlines only", "\n\n\n", "MemTotal:", UNTOUCHED},
        {"the key is missing", "MemFree: 1 kB\n", "MemTotal:", UNTOUCHED},
        {"nothing behind the key", "MemTotal:\n", "MemTotal:", UNTOUCHED},
        {"blanks behind the key", "MemTotal:     \n", "MemTotal:", UNTOUCHED},
        {"no number", "MemTotal: much kB\n", "MemTotal:", UNTOUCHED},
        {"a negative one", "MemTotal: -4 kB\n", "MemTotal:", UNTOUCHED},
        {"a fraction", "MemTotal: 4.5 kB\n", "MemTotal:", UNTOUCHED},
        {"hexadecimal", "MemTotal: 0x10 kB\n", "MemTotal:", UNTOUCHED},
        {"the largest that fits", "MemTotal: 9007199254740991 kB\n",
         "MemTotal:", INT64_C(9223372036854774784)},
        {"its bytes do not fit", "MemTotal: 9007199254740992 kB\n", "MemTotal:", UNTOUCHED},
        {"beyond 64 bits", "MemTotal: 99999999999999999999999999 kB\n", "MemTotal:", UNTOUCHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t bytes = UNTOUCHED;
        bool found = facts_parse_meminfo(str_from(rows[i].text), rows[i].key, &bytes);
        if (found != (rows[i].want != UNTOUCHED) || bytes != rows[i].want)
            fail_msg("%s: %d %lld", rows[i].name, found, (long long)bytes);
    }
}

TEST_CASE(a_file_may_be_one_number)
{
    static const struct {
        const char *name, *text;
        int64_t want; /* UNTOUCHED: refused */
    } rows[] = {
        {"as the kernel writes it", "4194304\n", 4194304},
        {"bare", "0", 0},
        {"blanks around it", " \t12 \n", 12},
        {"the largest", "9223372036854775807\n", INT64_MAX},
        {"one more", "9223372036854775808\n", UNTOUCHED},
        {"negative", "-1\n", UNTOUCHED},
        {"a word", "max\n", UNTOUCHED},
        {"two numbers", "1 2\n", UNTOUCHED},
        {"two lines", "1\n2\n", UNTOUCHED},
        {"empty", "", UNTOUCHED},
        {"blank", "\n", UNTOUCHED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t number = UNTOUCHED;
        bool is_number = facts_parse_number(str_from(rows[i].text), &number);
        if (is_number != (rows[i].want != UNTOUCHED) || number != rows[i].want)
            fail_msg("%s: %d %lld", rows[i].name, is_number, (long long)number);
    }
}

#define SWAPS "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

TEST_CASE(swap_is_on_when_something_follows_the_heading)
{
    static const struct {
        const char *name, *text;
        bool want;
    } rows[] = {
        {"the heading alone", SWAPS, false},
        {"a partition", SWAPS "/dev/sda2  partition\t2097148\t\t0\t\t-2\n", true},
        {"two files", SWAPS "/a file\t1\t0\t-2\n/b file\t1\t0\t-3\n", true},
        {"no newline at the end", SWAPS "/a file\t1\t0\t-2", true},
        {"an empty line is nothing", SWAPS "\n\n", false},
        {"empty", "", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (facts_has_swap(str_from(rows[i].text)) != rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

TEST_CASE(a_system_tells_its_name)
{
    static const struct {
        const char *name, *text, *want;
    } rows[] = {
        {"as Debian writes it",
         "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n",
         "Debian GNU/Linux 12 (bookworm)"},
        {"not the first line", "NAME=a\nPRETTY_NAME=\"b c\"\n", "b c"},
        {"without quotes", "PRETTY_NAME=Flatcar\n", "Flatcar"},
        {"single quotes stay", "PRETTY_NAME='A'\n", "'A'"},
        {"quotes inside stay", "PRETTY_NAME=\"a \"b\" c\"\n", "a \"b\" c"},
        {"no newline at the end", "PRETTY_NAME=\"x\"", "x"},
        {"the first of two", "PRETTY_NAME=a\nPRETTY_NAME=b\n", "a"},
        {"in a comment", "# PRETTY_NAME=a\nPRETTY_NAME=b\n", "a"},
        {"nothing", "PRETTY_NAME=\n", ""},
        {"an empty name", "PRETTY_NAME=\"\"\n", ""},
        {"one quote", "PRETTY_NAME=\"\n", ""},
        {"no name", "NAME=a\nID=b\n", "Linux"},
        {"empty", "", "Linux"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *name = facts_parse_os_name(str_from(rows[i].text), arena);
        if (strcmp(name, rows[i].want) != 0)
            fail_msg("%s: '%s'", rows[i].name, name);
    }
}

TEST_CASE(a_kernel_release_begins_with_two_numbers)
{
    static const struct {
        const char *release;
        bool want;
        unsigned major, minor;
    } rows[] = {
        {"6.1.0-27-amd64", true, 6, 1},
        {"5.10", true, 5, 10},
        {"6.12-rc1", true, 6, 12},
        {"4.19.0+", true, 4, 19},
        {"6", false, 99, 99},
        {"6.", false, 99, 99},
        {".1", false, 99, 99},
        {"6,1", false, 99, 99},
        {"v6.1", false, 99, 99},
        {"-6.1", false, 99, 99},
        {"99999999999.1", false, 99, 99},
        {"6.99999999999", false, 99, 99},
        {"", false, 99, 99},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        unsigned major = 99, minor = 99;
        bool is_known = facts_parse_kernel(str_from(rows[i].release), &major, &minor);
        if (is_known != rows[i].want || major != rows[i].major || minor != rows[i].minor)
            fail_msg("'%s': %d %u %u", rows[i].release, is_known, major, minor);
    }
}

TEST_CASE(an_id_stands_alone)
{
    static const struct {
        const char *name;
        struct str text;
        const char *want;
    } rows[] = {
        {"as it is", STR_LITERAL("3d1219c7"), "3d1219c7"},
        {"blanks around", STR_LITERAL(" 3d12 19c7\n"), "3d12 19c7"},
        {"from a device tree", STR_LITERAL("IBM,1\0"), "IBM,1"},
        {"a newline before the end", STR_LITERAL("IBM,1\n\0\0"), "IBM,1"},
        {"blank", STR_LITERAL("\n"), ""},
        {"nothing", {0}, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!str_eq_c(facts_parse_id(rows[i].text), rows[i].want))
            fail_msg("%s", rows[i].name);
    }
}

TEST_CASE(pages_of_a_size_are_a_resource)
{
    static const struct {
        int64_t kib;
        const char *want;
    } rows[] = {
        {2048, "hugepages-2Mi"},      {1048576, "hugepages-1Gi"}, {64, "hugepages-64Ki"},
        {32768, "hugepages-32Mi"},    {1, "hugepages-1Ki"},       {1536, "hugepages-1536Ki"},
        {16777216, "hugepages-16Gi"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(facts_hugepage_resource(rows[i].kib, arena), rows[i].want);
}

TEST_CASE(a_folder_tells_the_size_of_a_huge_page)
{
    static const struct {
        const char *name;
        int64_t want;
    } rows[] = {
        {"hugepages-2048kB", 2048},
        {"hugepages-1048576kB", 1048576},
        {"hugepages-64kB", 64},
        {"hugepages-9007199254740991kB", INT64_C(9007199254740991)},
        {"hugepages-9007199254740992kB", 0},
        {"hugepages-99999999999999999999kB", 0},
        {"hugepages-0kB", 0},
        {"hugepages--1kB", 0},
        {"hugepages-kB", 0},
        {"hugepages-2048", 0},
        {"hugepages-2048KB", 0},
        {"hugepages-2MB", 0},
        {"hugepages-2 kB", 0},
        {"transparent_hugepage", 0},
        {"kB", 0},
        {".", 0},
        {"", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (facts_hugepage_kib(rows[i].name) != rows[i].want)
            fail_msg("'%s'", rows[i].name);
    }
}

TEST_CASE(sizes_of_huge_pages_are_shown_in_order)
{
    int64_t sizes[] = {1048576, 64, 16777216, 2048, 512, 32768};
    static const char *const want[] = {"64KB", "512KB", "2MB", "32MB", "1GB", "16GB"};
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *const *texts = facts_hugepage_texts(sizes, ARRAY_SIZE(sizes), arena);
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(texts[i], want[i]);
    assert_null(texts[ARRAY_SIZE(want)]);
    assert_null(facts_hugepage_texts(NULL, 0, arena)[0]);
}

TEST_CASE(a_threshold_is_an_amount_or_a_share)
{
    static const struct {
        const char *name, *text;
        int64_t capacity, want;
    } rows[] = {
        {"none", NULL, 1000, 0},
        {"a quantity", "100Mi", 1000, 104857600},
        {"a quantity, decimal", "1.5k", 1000, 1500},
        {"a quantity rounded up", "500m", 1000, 1},
        {"beyond 64 bits", "100E", 1000, INT64_MAX},
        {"no quantity", "much", 1000, 0},
        {"empty", "", 1000, 0},
        /* 264212084Ki less 267847642337 allocatable, as a kubelet with nodefs.available 1% said. */
        {"a share as recorded", "1%", INT64_C(270553174016), INT64_C(2705531679)},
        {"the default of nodefs", "10%", 1000, 100},
        {"a fraction, a little less than it reads", "0.5%", 1000000, 4999},
        {"a share of nothing", "10%", 0, 0},
        {"0% is no threshold", "0%", 1000, 0},
        {"100% is no threshold", "100%", 1000, 0},
        {"another spelling of all", "100.0%", 1000, 1000},
        {"another spelling of all, of the largest", "100.0%", INT64_MAX, INT64_MAX},
        {"nearly all of the largest", "99.99999%", INT64_MAX, INT64_C(9223371487098961920)},
        {"more than all", "250%", 1000, 1000},
        {"far more than all", "99999999999999999999999999999999999999999999%", 1000, 1000},
        {"negative", "-10%", 1000, 0},
        {"with a sign", "+10%", 1000, 100},
        {"no number", "%", 1000, 0},
        {"a sign alone", "-%", 1000, 0},
        {"two numbers", "1.2.3%", 1000, 0},
        {"two signs", "--1%", 1000, 0},
        {"two percents", "10%%", 1000, 0},
        {"a blank", "10 %", 1000, 0},
        {"an exponent", "1e1%", 1000, 0},
        {"hexadecimal", "0x10%", 1000, 0},
        {"infinite", "inf%", 1000, 0},
        {"not a number", "nan%", 1000, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t have = facts_threshold(rows[i].text, rows[i].capacity);
        if (have != rows[i].want)
            fail_msg("%s: %lld", rows[i].name, (long long)have);
    }
}

TEST_CASE(what_is_reserved_leaves_nothing_below_zero)
{
    static const struct {
        const char *name;
        int64_t capacity, reserved, threshold, want;
    } rows[] = {
        {"nothing reserved", 1000, 0, 0, 1000},
        {"both", 1000, 300, 200, 500},
        {"all of it", 1000, 600, 400, 0},
        {"more than there is", 1000, 1000, 1, 0},
        {"far more than there is", 1000, INT64_MAX, INT64_MAX, 0},
        {"less than nothing reserved", INT64_MAX, INT64_MIN, 0, INT64_MAX},
        {"unknown capacity", 0, 10, 10, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (facts_allocatable(rows[i].capacity, rows[i].reserved, rows[i].threshold) !=
            rows[i].want)
            fail_msg("%s", rows[i].name);
    }
}

TEST_CASE(the_lower_limit_of_processes_counts)
{
    assert_int_equal(facts_max_pids(4194304, 96309), 96309);
    assert_int_equal(facts_max_pids(32768, 96309), 32768);
    assert_int_equal(facts_max_pids(0, 96309), 96309);
    assert_int_equal(facts_max_pids(32768, 0), 32768);
    assert_int_equal(facts_max_pids(0, 0), 0);
}

TEST_CASE(a_label_is_one_once_a_policy_is_loaded)
{
    assert_true(facts_is_selinux_label(STR_LITERAL("system_u:system_r:init_t:s0\0")));
    assert_true(facts_is_selinux_label(STR_LITERAL("unconfined_u:unconfined_r:unconfined_t:s0\n")));
    assert_false(facts_is_selinux_label(STR_LITERAL("kernel\0")));
    assert_false(facts_is_selinux_label(STR_LITERAL("kernel")));
    assert_false(facts_is_selinux_label(STR_LITERAL("\0")));
    assert_false(facts_is_selinux_label(STR_LITERAL("")));
}

TEST_MAIN(TEST(a_label_is_one_once_a_policy_is_loaded), TEST(a_line_of_meminfo_gives_bytes),
          TEST(a_file_may_be_one_number), TEST(swap_is_on_when_something_follows_the_heading),
          TEST(a_system_tells_its_name), TEST(a_kernel_release_begins_with_two_numbers),
          TEST(an_id_stands_alone), TEST(pages_of_a_size_are_a_resource),
          TEST(a_folder_tells_the_size_of_a_huge_page),
          TEST(sizes_of_huge_pages_are_shown_in_order), TEST(a_threshold_is_an_amount_or_a_share),
          TEST(what_is_reserved_leaves_nothing_below_zero),
          TEST(the_lower_limit_of_processes_counts))
