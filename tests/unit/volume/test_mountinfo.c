#include "volume/mountinfo.h"

#include "tests/lib/test.h"

TEST_CASE(a_line_is_taken_apart)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct mountinfo_entry entry;
    assert_no_error(mountinfo_parse_line(
        STR_LITERAL("36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:22 - ext3 /dev/root "
                    "rw,errors=continue"),
        arena, &entry));
    assert_int_equal(entry.id, 36);
    assert_int_equal(entry.parent_id, 35);
    assert_int_equal(entry.major, 98);
    assert_int_equal(entry.minor, 0);
    assert_string_equal(entry.root, "/mnt1");
    assert_string_equal(entry.mount_point, "/mnt 2");
    assert_string_equal(entry.options, "rw,noatime");
    assert_true(entry.shared);
    assert_string_equal(entry.fs_type, "ext3");
    assert_string_equal(entry.source, "/dev/root");
    assert_string_equal(entry.super_options, "rw,errors=continue");
}

TEST_CASE(odd_but_possible_lines_are_understood)
{
    static const struct {
        const char *name, *line, *mount_point, *source, *super_options;
    } rows[] = {
        {"an empty source does not shift the rest", "1 2 0:3 / /x rw - tmpfs  rw", "/x", "", "rw"},
        {"a name space as root", "1 2 0:4 net:[4026531993] /run/netns/a rw shared:1 - nsfs nsfs rw",
         "/run/netns/a", "nsfs", "rw"},
        {"a removed mount point", "1 2 0:3 / /x//deleted rw - tmpfs tmpfs rw", "/x", "tmpfs", "rw"},
        {"a tab, a newline and a backslash", "1 2 0:3 / /a\\011b\\012c\\134d rw - t s o",
         "/a\tb\nc\\d", "s", "o"},
        {"a backslash that escapes nothing", "1 2 0:3 / /a\\9\\04 rw - t s\\400 o\\", "/a\\9\\04",
         "s\\400", "o\\"},
        {"an escaped NUL stays text", "1 2 0:3 / /a\\000b rw - t s o", "/a\\000b", "s", "o"},
        {"blanks in what a file system prints", "1 2 0:3 / /x rw - t s rw,a=b c", "/x", "s",
         "rw,a=b c"},
        {"optional fields of the future", "1 2 0:3 / /x rw a:1 b c:2 - t s o", "/x", "s", "o"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct mountinfo_entry entry = {0};
        struct error *err = mountinfo_parse_line(str_from(rows[i].line), arena, &entry);
        if (err)
            fail_msg("%s: %s", rows[i].name, err->message);
        assert_string_equal(entry.mount_point, rows[i].mount_point);
        assert_string_equal(entry.source, rows[i].source);
        assert_string_equal(entry.super_options, rows[i].super_options);
    }
}

TEST_CASE(lines_that_no_kernel_writes_are_refused)
{
    static const char *const lines[] = {
        "",
        " ",
        "36",
        "36 35 98:0 /mnt1 /mnt2",
        "36 35 98:0 /mnt1 /mnt2 rw",
        "36 35 98:0 /mnt1 /mnt2 rw -",
        "36 35 98:0 /mnt1 /mnt2 rw - ext3",
        "36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root",
        "36 35 98:0 /mnt1 /mnt2 rw shared:1 ext3 /dev/root rw",
        "36 35 98:0 /mnt1 mnt2 rw - ext3 /dev/root rw",
        "36 35 98 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        "36 35 98: /mnt1 /mnt2 rw - ext3 /dev/root rw",
        "36 35 98:0x /mnt1 /mnt2 rw - ext3 /dev/root rw",
        "x 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        "-1 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        "36  98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        "36 99999999999999999999999 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
        " 36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw",
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        struct mountinfo_entry entry;
        AUTO(error)
        struct error *err = mountinfo_parse_line(str_from(lines[i]), arena, &entry);
        if (!err)
            fail_msg("accepted: \"%s\"", lines[i]);
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
    }
    struct mountinfo_entry entry;
    struct str with_nul = {.ptr = "1 2 0:3 / /x\0y rw - t s o", .len = 26};
    assert_error_code(mountinfo_parse_line(with_nul, arena, &entry), ERROR_INVALID_ARGUMENT);
}

static const char table_text[] =
    "1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw\n"
    "2 1 8:1 /k /var/lib/kubelet rw shared:1 - ext4 /dev/sda rw\n"
    "3 2 0:9 / /var/lib/kubelet/pods/a/x rw - tmpfs tmpfs rw\n"
    "4 3 0:8 / /var/lib/kubelet/pods/a/x rw - tmpfs top rw,size=8192k\n"
    "5 2 0:7 / /var/lib/kubelet/pods/ab rw - tmpfs tmpfs rw\n";

TEST_CASE(mounts_are_found_by_place)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct mountinfo_table table;
    assert_no_error(mountinfo_parse(str_from(table_text), arena, &table));
    assert_int_equal(table.count, 5);

    assert_string_equal(mountinfo_find(&table, "/var/lib/kubelet/pods/a/x")->source, "top");
    assert_null(mountinfo_find(&table, "/var/lib/kubelet/pods/a"));
    assert_int_equal(mountinfo_find_containing(&table, "/var/lib/kubelet/pods/a")->id, 2);
    assert_int_equal(mountinfo_find_containing(&table, "/var/lib/kubelet/pods/a/x/y")->id, 4);
    assert_int_equal(mountinfo_find_containing(&table, "/var/lib/kubelets")->id, 1);
    assert_int_equal(mountinfo_find_below(&table, "/var/lib/kubelet/pods/a")->id, 4);
    assert_null(mountinfo_find_below(&table, "/var/lib/kubelet/pods/b"));
}

TEST_CASE(a_bad_line_is_named_and_spoils_the_table)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct mountinfo_table table;
    AUTO(error)
    struct error *err =
        mountinfo_parse(STR_LITERAL("1 0 8:1 / / rw - ext4 s rw\nnonsense\n"), arena, &table);
    assert_non_null(err);
    assert_true(text_has_prefix(err->message, "line 2: mount table: "));
}

TEST_CASE(options_are_found_by_their_whole_name)
{
    static const struct {
        const char *options, *name, *want;
    } rows[] = {{"rw,size=8192k,noswap", "size", "8192k"},
                {"rw,size=8192k", "rw", ""},
                {"rw,size=8192k", "siz", NULL},
                {"rw,xsize=1", "size", NULL},
                {"", "size", NULL},
                {"a=b=c", "a", "b=c"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct str value;
        bool found = mountinfo_option(rows[i].options, rows[i].name, &value);
        assert_int_equal(found, rows[i].want != NULL);
        if (found)
            assert_true(str_eq_c(value, rows[i].want));
    }
}

TEST_CASE(this_machines_own_table_is_understood)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct mountinfo_table table;
    assert_no_error(mountinfo_read_blocking(arena, &table));
    assert_non_null(mountinfo_find_containing(&table, "/proc"));
    assert_non_null(mountinfo_find(&table, "/proc"));
}

TEST_MAIN(TEST(a_line_is_taken_apart), TEST(odd_but_possible_lines_are_understood),
          TEST(lines_that_no_kernel_writes_are_refused), TEST(mounts_are_found_by_place),
          TEST(a_bad_line_is_named_and_spoils_the_table),
          TEST(options_are_found_by_their_whole_name), TEST(this_machines_own_table_is_understood))
