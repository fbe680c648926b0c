#include "server/path_trace.h"

#include "base/buf.h"
#include "tests/lib/tempdir.h"

#include <sys/stat.h>

struct bed {
    char *dir;
    struct arena *arena;
};

static void bed_init(struct bed *bed)
{
    *bed = (struct bed){.dir = tempdir_new(), .arena = arena_new(0)};
}

static void auto_release_bed(struct bed *bed)
{
    tempdir_free(bed->dir);
    arena_free(bed->arena);
}

static const char *path_of(const struct bed *bed, const char *name)
{
    return arena_printf(bed->arena, "%s/%s", bed->dir, name);
}

static void make_file(const struct bed *bed, const char *name)
{
    assert_no_error(fd_write_file_blocking(path_of(bed, name), STR_LITERAL("x"), 0600));
}

static void make_dir(const struct bed *bed, const char *name)
{
    assert_int_equal(mkdir(path_of(bed, name), 0700), 0);
}

static void make_link(const struct bed *bed, const char *name, const char *target)
{
    assert_int_equal(symlink(target, path_of(bed, name)), 0);
}

/* The spots in the order found, without the bed's own directory: "d:name d:..data ". */
static void assert_trace(const struct bed *bed, const char *path, const char *want)
{
    struct path_trace trace = {0};
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 64 * KiB);
    path_trace_blocking(path, bed->arena, &trace);
    for (size_t i = 0; i < trace.count; i++) {
        const char *dir = trace.spots[i].dir;
        assert_true(text_has_prefix(dir, bed->dir));
        buf_printf(&text, "%s:%s ", dir + strlen(bed->dir), trace.spots[i].name);
    }
    assert_string_equal(buf_text(&text), want);
}

TEST_CASE(a_plain_file_is_one_spot)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_dir(&bed, "a");
    make_file(&bed, "a/tls.crt");
    assert_trace(&bed, path_of(&bed, "a/tls.crt"), "/a:tls.crt ");
    assert_trace(&bed, path_of(&bed, "a//./../a/tls.crt"), "/a:tls.crt ");
    assert_trace(&bed, path_of(&bed, "a"), ":a ");
}

TEST_CASE(what_is_missing_first_is_the_last_spot)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    assert_trace(&bed, path_of(&bed, "a/b/tls.crt"), ":a ");
    make_dir(&bed, "a");
    assert_trace(&bed, path_of(&bed, "a/b/tls.crt"), "/a:b ");
    make_dir(&bed, "a/b");
    assert_trace(&bed, path_of(&bed, "a/b/tls.crt"), "/a/b:tls.crt ");
    make_file(&bed, "file");
    assert_trace(&bed, path_of(&bed, "file/tls.crt"), ":file ");
}

TEST_CASE(every_link_of_a_secret_volume_is_a_spot)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_dir(&bed, "..2026");
    make_file(&bed, "..2026/tls.crt");
    make_link(&bed, "..data", "..2026");
    make_link(&bed, "tls.crt", "..data/tls.crt");
    assert_trace(&bed, path_of(&bed, "tls.crt"), ":tls.crt :..data /..2026:tls.crt ");
}

TEST_CASE(absolute_links_and_links_upwards_are_followed)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_dir(&bed, "a");
    make_dir(&bed, "b");
    make_file(&bed, "b/tls.crt");
    make_link(&bed, "a/up", "../b");
    make_link(&bed, "a/whole", path_of(&bed, "b/tls.crt"));
    assert_trace(&bed, path_of(&bed, "a/up/tls.crt"), "/a:up /b:tls.crt ");
    assert_trace(&bed, path_of(&bed, "a/whole"), "/a:whole /b:tls.crt ");
    make_link(&bed, "a/nowhere", "../c/tls.crt");
    assert_trace(&bed, path_of(&bed, "a/nowhere"), "/a:nowhere :c ");
}

TEST_CASE(a_circle_of_links_ends)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_link(&bed, "one", "two");
    make_link(&bed, "two", "one");
    assert_trace(&bed, path_of(&bed, "one"), ":one :two ");
}

TEST_CASE(several_paths_share_their_spots)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed);
    make_link(&bed, "link", "gone");
    struct path_trace trace = {0};
    path_trace_blocking(path_of(&bed, "link/tls.crt"), bed.arena, &trace);
    path_trace_blocking(path_of(&bed, "link/tls.key"), bed.arena, &trace);
    assert_int_equal(trace.count, 2);
}

TEST_MAIN(TEST(a_plain_file_is_one_spot), TEST(what_is_missing_first_is_the_last_spot),
          TEST(every_link_of_a_secret_volume_is_a_spot),
          TEST(absolute_links_and_links_upwards_are_followed), TEST(a_circle_of_links_ends),
          TEST(several_paths_share_their_spots))
