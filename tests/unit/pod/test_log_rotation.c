/* The rules of rotating a log, and the files it is done to. */
#include "pod/log_rotation.h"

#include "base/arena.h"
#include "tests/lib/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#define MAX_NAMES 12
#define LOG_FOLDER "ns_pod_uid/c"
#define NOW_NS (INT64_C(1700000000) * NS_PER_SEC)

/* --- the plan --- */

/* "name=fate" of each, in the order the plan leaves them in; names are given apart by blanks. */
static const char *plan_of(const char *names, int32_t max_files, struct arena *arena)
{
    static const char marks[] = {
        [LOG_STAYS] = '=', [LOG_IS_DELETED] = '-', [LOG_IS_COMPRESSED] = '+'};
    struct log_file files[MAX_NAMES];
    size_t count = 0;
    struct str rest = str_from(names), name;
    while (names[0] != '\0' && str_split_next(&rest, ' ', &name))
        files[count++].name = arena_strndup(arena, name.ptr, name.len);
    log_rotation_plan(files, count, max_files);
    const char *text = "";
    for (size_t i = 0; i < count; i++)
        text = arena_printf(arena, "%s%s%c%s", text, i > 0 ? " " : "", marks[files[i].fate],
                            files[i].name);
    return text;
}

static void assert_plan(const char *names, int32_t max_files, const char *want)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_string_equal(plan_of(names, max_files, arena), want);
}

TEST_CASE(a_log_without_others_needs_nothing)
{
    assert_plan("", 5, "");
}

TEST_CASE(unfinished_files_are_deleted)
{
    assert_plan("l.1.tmp l.2.gz l.3", 5, "-l.1.tmp =l.2.gz +l.3");
}

TEST_CASE(what_was_compressed_already_is_deleted)
{
    assert_plan("l.2 l.1.gz l.1", 5, "-l.1 =l.1.gz +l.2");
}

TEST_CASE(the_oldest_go_until_two_less_than_the_most_are_left)
{
    assert_plan("l.3 l.1.gz l.4 l.2.gz", 5, "-l.1.gz =l.2.gz +l.3 +l.4");
    assert_plan("l.1.gz l.2.gz l.3.gz l.4", 5, "-l.1.gz =l.2.gz =l.3.gz +l.4");
    assert_plan("l.1.gz l.2", 2, "-l.1.gz -l.2");
    assert_plan("l.1 l.2.gz", 3, "-l.1 =l.2.gz");
}

TEST_CASE(what_goes_anyway_does_not_count)
{
    assert_plan("l.1 l.1.gz l.2 l.2.gz l.3.tmp l.4", 5, "-l.1 =l.1.gz -l.2 =l.2.gz -l.3.tmp +l.4");
}

TEST_CASE(a_name_is_the_local_time)
{
    assert_int_equal(setenv("TZ", "XYZ-05:30", 1), 0);
    tzset();
    AUTO(free) char *name = log_rotation_name("0.log", NOW_NS);
    assert_string_equal(name, "0.log.20231115-034320");
}

/* --- the files --- */

struct place {
    struct arena *arena;
    char *dir;
    const char *log; /* its path */
};

static const char *path_of(const struct place *place, const char *name)
{
    return arena_printf(place->arena, "%s/" LOG_FOLDER "/%s", place->dir, name);
}

static void put(const struct place *place, const char *name, const char *text)
{
    assert_no_error(fd_write_file_blocking(path_of(place, name), str_from(text), 0640));
}

static struct place place_new(const char *names)
{
    struct place place = {.arena = arena_new(0), .dir = tempdir_new()};
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    tzset();
    assert_no_error(fd_mkdir_all(path_of(&place, ""), 0755));
    place.log = path_of(&place, "0.log");
    struct str rest = str_from(names), name;
    while (str_split_next(&rest, ' ', &name)) {
        const char *text = arena_strndup(place.arena, name.ptr, name.len);
        put(&place, text, text);
    }
    return place;
}

static void place_done(struct place *place)
{
    tempdir_free(place->dir);
    arena_free(place->arena);
}

static bool exists(const struct place *place, const char *name)
{
    struct stat info;
    return lstat(path_of(place, name), &info) == 0;
}

static const char *text_in(const struct place *place, const char *name)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 1 * MiB);
    assert_no_error(fd_read_file_blocking(path_of(place, name), &text));
    return arena_strdup(place->arena, buf_text(&text));
}

/* How many of @names, apart by blanks, there are; the rest must be missing. */
static void assert_only(const struct place *place, const char *there, const char *missing)
{
    struct str rest = str_from(there), name;
    while (*there && str_split_next(&rest, ' ', &name)) {
        const char *text = arena_strndup(place->arena, name.ptr, name.len);
        if (!exists(place, text))
            fail_msg("%s is missing", text);
    }
    rest = str_from(missing);
    while (*missing && str_split_next(&rest, ' ', &name)) {
        const char *text = arena_strndup(place->arena, name.ptr, name.len);
        if (exists(place, text))
            fail_msg("%s is there", text);
    }
}

static const char *rotate(const struct place *place, int32_t max_files)
{
    AUTO(free) char *name = NULL;
    assert_no_error(log_rotate_blocking(place->dir, place->log, max_files, NOW_NS, &name));
    return arena_strdup(place->arena, name);
}

TEST_CASE(the_log_is_renamed_and_older_ones_are_compressed)
{
    struct place place = place_new("0.log 0.log.2020 0.log.2019.gz 0.log.2018.gz 0.log.2021.tmp "
                                   "10.log.2020 0.logs");
    assert_string_equal(rotate(&place, 4), "0.log.20231114-221320");
    assert_only(&place, "0.log.20231114-221320 0.log.2020.gz 0.log.2019.gz 10.log.2020 0.logs",
                "0.log 0.log.2020 0.log.2018.gz 0.log.2021.tmp");
    assert_string_equal(text_in(&place, "0.log.20231114-221320"), "0.log");
    place_done(&place);
}

TEST_CASE(what_is_compressed_is_the_same_text_with_the_same_mode)
{
    struct place place = place_new("0.log");
    AUTO(free) char *text = xcalloc(1, 300001);
    for (size_t i = 0; i < 300000; i++)
        text[i] = (char)('a' + i * i % 23);
    put(&place, "0.log.2020", text);
    assert_int_equal(chmod(path_of(&place, "0.log.2020"), 0604), 0);
    rotate(&place, 5);
    struct stat info;
    assert_int_equal(stat(path_of(&place, "0.log.2020.gz"), &info), 0);
    assert_int_equal(info.st_mode & 07777, 0604);
    AUTO(free) char *back = xcalloc(1, 300002);
    gzFile file = gzopen(path_of(&place, "0.log.2020.gz"), "rb");
    assert_int_equal(gzread(file, back, 300001), 300000);
    assert_int_equal(gzclose(file), Z_OK);
    assert_string_equal(back, text);
    place_done(&place);
}

TEST_CASE(links_and_folders_in_the_log_folder_are_not_touched)
{
    struct place place = place_new("0.log other");
    assert_int_equal(symlink(path_of(&place, "other"), path_of(&place, "0.log.2000")), 0);
    assert_int_equal(mkdir(path_of(&place, "0.log.2001"), 0700), 0);
    assert_int_equal(mkfifo(path_of(&place, "0.log.2002"), 0700), 0);
    rotate(&place, 2);
    assert_only(&place, "other 0.log.2000 0.log.2001 0.log.2002", "0.log other.gz 0.log.2000.gz");
    assert_string_equal(text_in(&place, "other"), "other");
    place_done(&place);
}

TEST_CASE(a_log_or_a_folder_that_is_a_link_is_refused)
{
    struct place place = place_new("other");
    char *name = NULL;
    assert_int_equal(symlink("other", path_of(&place, "0.log")), 0);
    assert_error_code(log_rotate_blocking(place.dir, place.log, 5, NOW_NS, &name),
                      ERROR_FAILED_PRECONDITION);
    const char *link = arena_printf(place.arena, "%s/ns_pod_uid/link", place.dir);
    assert_int_equal(symlink("c", link), 0);
    const char *through = arena_printf(place.arena, "%s/other", link);
    AUTO(error)
    struct error *err = log_rotate_blocking(place.dir, through, 5, NOW_NS, &name);
    assert_non_null(err);
    error_free(TAKE(err));
    err = log_delete_blocking(place.dir, through);
    assert_int_equal(err->os_errno, ELOOP);
    assert_only(&place, "0.log other", "");
    assert_null(name);
    place_done(&place);
}

TEST_CASE(a_log_has_a_size_is_missing_or_is_none)
{
    struct place place = place_new("0.log");
    int64_t bytes = -1;
    assert_no_error(log_size_blocking(place.dir, place.log, &bytes));
    assert_int_equal(bytes, 5);
    assert_error_code(log_size_blocking(place.dir, path_of(&place, "1.log"), &bytes),
                      ERROR_NOT_FOUND);
    assert_error_code(log_size_blocking(place.dir, "/no/such/folder/0.log", &bytes),
                      ERROR_NOT_FOUND);
    assert_int_equal(symlink("0.log", path_of(&place, "2.log")), 0);
    assert_error_code(log_size_blocking(place.dir, path_of(&place, "2.log"), &bytes),
                      ERROR_FAILED_PRECONDITION);
    const char *link = arena_printf(place.arena, "%s/ns_pod_uid/link", place.dir);
    assert_int_equal(symlink("c", link), 0);
    const char *through = arena_printf(place.arena, "%s/0.log", link);
    AUTO(error) struct error *err = log_size_blocking(place.dir, through, &bytes);
    assert_int_equal(err->os_errno, ELOOP);
    place_done(&place);
}

TEST_CASE(a_second_rotation_within_the_second_does_not_replace_the_first)
{
    struct place place = place_new("0.log 0.log.20231114-221320");
    char *name = NULL;
    assert_error_message(log_rotate_blocking(place.dir, place.log, 5, NOW_NS, &name),
                         "there is a 0.log.20231114-221320 already");
    assert_only(&place, "0.log 0.log.20231114-221320", "");
    place_done(&place);
}

TEST_CASE(a_failed_step_leaves_the_log_its_name)
{
    struct place place = place_new("0.log 0.log.2020");
    char *name = NULL;
    /* Where it would become 0.log.2020.gz there is a folder. */
    assert_int_equal(mkdir(path_of(&place, "0.log.2020.gz"), 0700), 0);
    AUTO(error) struct error *err = log_rotate_blocking(place.dir, place.log, 5, NOW_NS, &name);
    assert_non_null(err);
    assert_string_equal(err->message,
                        "compressing 0.log.2020: renaming 0.log.2020.tmp: Is a directory");
    assert_only(&place, "0.log 0.log.2020", "0.log.2020.tmp");
    place_done(&place);
}

TEST_CASE(the_name_comes_back_unless_there_is_a_new_log)
{
    struct place place = place_new("0.log.2020");
    assert_no_error(log_rotate_back_blocking(place.dir, place.log, "0.log.2020"));
    assert_string_equal(text_in(&place, "0.log"), "0.log.2020");
    put(&place, "0.log.2021", "old");
    assert_no_error(log_rotate_back_blocking(place.dir, place.log, "0.log.2021"));
    assert_string_equal(text_in(&place, "0.log"), "0.log.2020");
    assert_string_equal(text_in(&place, "0.log.2021"), "old");
    place_done(&place);
}

TEST_CASE(deleting_takes_the_log_and_all_that_begins_with_its_name)
{
    struct place place = place_new("0.log 0.log.2020 0.log.2019.gz 1.log 10.log 00.log");
    assert_int_equal(symlink("1.log", path_of(&place, "0.log.link")), 0);
    assert_int_equal(mkdir(path_of(&place, "0.log.d"), 0700), 0);
    assert_no_error(log_delete_blocking(place.dir, place.log));
    assert_only(&place, "1.log 10.log 00.log 0.log.d", "0.log 0.log.2020 0.log.2019.gz 0.log.link");
    assert_no_error(log_delete_blocking(place.dir, path_of(&place, "none.log")));
    assert_no_error(log_delete_blocking(place.dir, "/no/such/folder/0.log"));
    place_done(&place);
}

TEST_CASE(a_path_that_is_empty_or_relative_deletes_nothing)
{
    assert_error_message(log_delete_blocking("/var/log/pods", ""),
                         "the log's path \"\" is not absolute");
    assert_error_code(log_delete_blocking("/var/log/pods", "x"), ERROR_INVALID_ARGUMENT);
}

TEST_CASE(a_log_of_another_folder_than_the_node_s_is_handled_all_the_same)
{
    struct place place = place_new("0.log");
    AUTO(free) char *name = NULL;
    assert_no_error(log_rotate_blocking("/var/log/pods", place.log, 5, NOW_NS, &name));
    assert_no_error(log_delete_blocking("/var/log/pods", place.log));
    assert_only(&place, "", "0.log 0.log.20231114-221320");
    place_done(&place);
}

TEST_MAIN(TEST(a_log_without_others_needs_nothing), TEST(unfinished_files_are_deleted),
          TEST(what_was_compressed_already_is_deleted),
          TEST(the_oldest_go_until_two_less_than_the_most_are_left),
          TEST(what_goes_anyway_does_not_count), TEST(a_name_is_the_local_time),
          TEST(the_log_is_renamed_and_older_ones_are_compressed),
          TEST(what_is_compressed_is_the_same_text_with_the_same_mode),
          TEST(links_and_folders_in_the_log_folder_are_not_touched),
          TEST(a_log_or_a_folder_that_is_a_link_is_refused),
          TEST(a_log_has_a_size_is_missing_or_is_none),
          TEST(a_second_rotation_within_the_second_does_not_replace_the_first),
          TEST(a_failed_step_leaves_the_log_its_name),
          TEST(the_name_comes_back_unless_there_is_a_new_log),
          TEST(deleting_takes_the_log_and_all_that_begins_with_its_name),
          TEST(a_path_that_is_empty_or_relative_deletes_nothing),
          TEST(a_log_of_another_folder_than_the_node_s_is_handled_all_the_same))
