#include "loop/inotify.h"

#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TURNS 500

struct record {
    struct loop *loop;
    struct inotify_watch *watch;
    struct buf text; /* "C:name M:name D:name G: " */
    bool free_first;
};

static void on_change(void *ctx, enum inotify_change change, const char *name)
{
    static const char letters[] = {[INOTIFY_CREATED] = 'C',
                                   [INOTIFY_MODIFIED] = 'M',
                                   [INOTIFY_DELETED] = 'D',
                                   [INOTIFY_GONE] = 'G',
                                   [INOTIFY_OVERFLOW] = 'O'};
    struct record *record = ctx;
    buf_printf(&record->text, "%c:%s ", letters[change], name);
    if (record->free_first)
        inotify_watch_free(TAKE(record->watch));
}

static struct record *record_new(const char *path)
{
    struct record *record = xcalloc(1, sizeof(*record));
    assert_no_error(loop_new(&record->loop));
    buf_init(&record->text, 10000);
    assert_no_error(inotify_watch_new(record->loop, path, on_change, record, &record->watch));
    return record;
}

static void record_free(struct record *record)
{
    inotify_watch_free(record->watch);
    loop_free(record->loop);
    buf_done(&record->text);
    free(record);
}
DEFINE_AUTO(record, struct record *, record_free)

/* inotify queues an event before the system call that caused it returns. */
static void assert_recorded(struct record *record, const char *want)
{
    for (int i = 0; i < 3; i++)
        loop_turn(record->loop, 0);
    assert_string_equal(buf_text(&record->text), want);
    buf_clear(&record->text);
}

TEST_CASE(changes_in_a_directory_are_told_with_their_names)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *a = path_join(dir, "a");
    AUTO(free) char *b = path_join(dir, "b");
    AUTO(free) char *sub = path_join(dir, "sub");
    AUTO(record) struct record *record = record_new(dir);
    assert_recorded(record, "");

    FILE *file = fopen(a, "we");
    assert_non_null(file);
    assert_recorded(record, "C:a ");
    assert_int_equal(fclose(file), 0);
    assert_recorded(record, "M:a ");
    assert_int_equal(chmod(a, 0400), 0);
    assert_recorded(record, "M:a ");
    assert_int_equal(rename(a, b), 0);
    assert_recorded(record, "D:a C:b ");
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_recorded(record, "C:sub ");
    assert_int_equal(unlink(b), 0);
    assert_recorded(record, "D:b ");
    assert_int_equal(rmdir(sub), 0);
    assert_recorded(record, "D:sub ");
}

TEST_CASE(an_atomic_replacement_is_a_creation)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *a = path_join(dir, "a");
    assert_no_error(fd_write_file_blocking(a, STR_LITERAL("1"), 0600));
    AUTO(record) struct record *record = record_new(dir);
    assert_no_error(fd_write_file_blocking(a, STR_LITERAL("2"), 0600));
    for (int i = 0; i < 3; i++)
        loop_turn(record->loop, 0);
    assert_non_null(strstr(buf_text(&record->text), " C:a "));
}

TEST_CASE(a_watched_directory_that_goes_away_is_told_once)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *sub = path_join(dir, "sub");
    AUTO(free) char *moved = path_join(dir, "moved");
    AUTO(free) char *late = path_join(dir, "moved/late");
    assert_int_equal(mkdir(sub, 0700), 0);
    AUTO(record) struct record *removed = record_new(sub);
    assert_int_equal(rmdir(sub), 0);
    assert_recorded(removed, "G: ");
    assert_int_equal(mkdir(sub, 0700), 0);
    AUTO(record) struct record *renamed = record_new(sub);
    assert_int_equal(rename(sub, moved), 0);
    assert_recorded(renamed, "G: ");
    assert_int_equal(mkdir(late, 0700), 0);
    assert_recorded(renamed, "");
    assert_recorded(removed, "");
}

TEST_CASE(a_single_file_can_be_watched)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *a = path_join(dir, "a");
    assert_no_error(fd_write_file_blocking(a, STR_LITERAL("1"), 0600));
    AUTO(record) struct record *record = record_new(a);
    assert_no_error(fd_write_control_file(a, STR_LITERAL("2")));
    assert_recorded(record, "M: ");
    assert_int_equal(unlink(a), 0);
    assert_recorded(record, "M: G: "); /* first its link count, then itself */
}

TEST_CASE(a_watch_freed_by_its_own_callback_tells_nothing_more)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(record) struct record *record = record_new(dir);
    record->free_first = true;
    for (int i = 0; i < 5; i++) {
        AUTO(free) char *name = xasprintf("%s/%d", dir, i);
        assert_int_equal(mkdir(name, 0700), 0);
    }
    assert_recorded(record, "C:0 ");
    assert_null(record->watch);
}

TEST_CASE(many_changes_at_once_all_arrive)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(record) struct record *record = record_new(dir);
    AUTO(buf) struct buf want;
    buf_init(&want, 10000);
    for (int i = 0; i < 200; i++) {
        AUTO(free) char *name = xasprintf("%s/a-long-name-that-fills-the-buffer-%d", dir, i);
        assert_int_equal(mkdir(name, 0700), 0);
        buf_printf(&want, "C:%s ", path_base(name));
    }
    for (int i = 0; i < MAX_TURNS && record->text.len < want.len; i++)
        loop_turn(record->loop, 0);
    assert_string_equal(buf_text(&record->text), buf_text(&want));
}

TEST_CASE(what_is_missing_cannot_be_watched)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *missing = path_join(dir, "missing");
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct inotify_watch *watch = NULL;
    assert_error_code(inotify_watch_new(loop, missing, on_change, NULL, &watch), ERROR_NOT_FOUND);
    assert_null(watch);
    inotify_watch_free(NULL);
}

TEST_MAIN(TEST(changes_in_a_directory_are_told_with_their_names),
          TEST(an_atomic_replacement_is_a_creation),
          TEST(a_watched_directory_that_goes_away_is_told_once), TEST(a_single_file_can_be_watched),
          TEST(a_watch_freed_by_its_own_callback_tells_nothing_more),
          TEST(many_changes_at_once_all_arrive), TEST(what_is_missing_cannot_be_watched))
