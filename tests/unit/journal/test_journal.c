#include "journal/journal.h"

#include "base/fd.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* How long a write waits for somebody to overtake it. */
#define OVERTAKE_NS (200 * NS_PER_MS)

static struct {
    bool is_on; /* set before the worker starts */
    pthread_t loop_thread;
    sem_t reached, go_on;
} hold;

/* In place of the C library's: a worker's write can be stopped between its bytes and their name. */
int fsync(int fd)
{
    if (hold.is_on && !pthread_equal(pthread_self(), hold.loop_thread)) {
        struct timespec until;
        (void)sem_post(&hold.reached);
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += OVERTAKE_NS;
        until.tv_sec += until.tv_nsec / NS_PER_SEC;
        until.tv_nsec %= NS_PER_SEC;
        while (sem_timedwait(&hold.go_on, &until) < 0 && errno == EINTR)
            continue;
    }
    return (int)syscall(SYS_fsync, fd);
}

struct place {
    char dir[64];
    struct loop *loop;
    struct work_pool *pool;
    struct journal *journal;
};

static void reopen(struct place *place)
{
    journal_close(place->journal);
    place->journal = NULL;
    assert_no_error(journal_open_blocking(place->pool, place->dir, "test", &place->journal));
}

static void place_init(struct place *place)
{
    *place = (struct place){.dir = "/tmp/cubelet-journal-XXXXXX"};
    assert_non_null(mkdtemp(place->dir));
    assert_no_error(loop_new(&place->loop));
    place->pool = work_pool_new(place->loop, 0);
    reopen(place);
}

static void place_done(struct place *place)
{
    journal_close(place->journal);
    work_pool_free(place->pool, 0);
    loop_free(place->loop);
    assert_no_error(fd_remove_tree_blocking(place->dir));
}

static void add_record(void *ctx, const char *key, struct str value)
{
    buf_printf(ctx, "%s=%.*s;", key, STR_ARG(value));
}

static void expect(const struct place *place, const char *want)
{
    struct buf text;
    buf_init(&text, MiB);
    journal_visit(place->journal, add_record, &text);
    assert_string_equal(buf_text(&text), want);
    buf_done(&text);
}

static char *file_of(const struct place *place)
{
    return xasprintf("%s/test", place->dir);
}

static void read_file(const struct place *place, struct buf *text)
{
    AUTO(free) char *path = file_of(place);
    buf_init(text, MiB);
    assert_no_error(fd_read_file_blocking(path, text));
}

static void write_file(const struct place *place, struct str text)
{
    AUTO(free) char *path = file_of(place);
    assert_no_error(fd_write_file_blocking(path, text, 0600));
}

TEST_CASE(records_survive_and_removed_ones_stay_away)
{
    struct place place;
    place_init(&place);
    journal_put(place.journal, "a", STR_LITERAL("1"));
    journal_put(place.journal, "b", STR_LITERAL("2"));
    loop_turn(place.loop, 0);
    journal_put(place.journal, "a", STR_LITERAL("3"));
    journal_remove(place.journal, "b");
    reopen(&place);
    expect(&place, "a=3;");
    place_done(&place);
}

TEST_CASE(a_torn_tail_is_cut_wherever_it_was_torn)
{
    struct place place;
    place_init(&place);
    journal_put(place.journal, "a", STR_LITERAL("1"));
    reopen(&place);
    journal_put(place.journal, "b", STR_LITERAL("22"));
    for (int i = 0; i < 3; i++)
        loop_turn(place.loop, 0);
    struct buf whole;
    read_file(&place, &whole);
    size_t first = 0;
    for (size_t cut = whole.len; cut-- > 0;) {
        write_file(&place, (struct str){.ptr = whole.data, .len = cut});
        journal_close(place.journal);
        place.journal = NULL;
        write_file(&place, (struct str){.ptr = whole.data, .len = cut});
        reopen(&place);
        size_t count = journal_count(place.journal);
        assert_true(count <= 1);
        first = count == 1 ? cut : first;
    }
    assert_true(first > 0);
    buf_done(&whole);
    place_done(&place);
}

TEST_CASE(a_tail_that_was_never_filled_is_cut)
{
    static const size_t lens[] = {1, 7, 8, 9, 4096};
    for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
        struct place place;
        place_init(&place);
        journal_put(place.journal, "a", STR_LITERAL("1"));
        journal_close(place.journal);
        place.journal = NULL;
        struct buf text;
        read_file(&place, &text);
        for (size_t k = 0; k < lens[i]; k++)
            buf_add_char(&text, '\0');
        write_file(&place, buf_str(&text));
        buf_done(&text);
        reopen(&place);
        expect(&place, "a=1;");
        journal_put(place.journal, "b", STR_LITERAL("2"));
        reopen(&place);
        expect(&place, "a=1;b=2;");
        place_done(&place);
    }
}

TEST_CASE(what_could_not_be_written_is_written_at_the_end)
{
    struct place place;
    place_init(&place);
    journal_put(place.journal, "a", STR_LITERAL("1"));
    loop_turn(place.loop, 0);
    AUTO(free) char *path = file_of(&place);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* nothing can be written there */
    journal_put(place.journal, "b", STR_LITERAL("2"));
    for (int i = 0; i < 3; i++)
        loop_turn(place.loop, 0);
    assert_int_equal(rmdir(path), 0);
    reopen(&place);
    expect(&place, "a=1;b=2;");
    place_done(&place);
}

TEST_CASE(closing_waits_for_a_write_under_way_so_that_nothing_old_comes_last)
{
    struct place place;
    place_init(&place);
    journal_close(place.journal);
    work_pool_free(place.pool, 0);
    place.pool = work_pool_new(place.loop, 1);
    assert_int_equal(sem_init(&hold.reached, 0, 0), 0);
    assert_int_equal(sem_init(&hold.go_on, 0, 0), 0);
    assert_no_error(journal_open_blocking(place.pool, place.dir, "test", &place.journal));
    hold.loop_thread = pthread_self();
    hold.is_on = true;
    journal_put(place.journal, "a", STR_LITERAL("old"));
    assert_int_equal(sem_wait(&hold.reached), 0);
    journal_put(place.journal, "a", STR_LITERAL("new"));
    journal_close(place.journal);
    place.journal = NULL;
    (void)sem_post(&hold.go_on);
    work_pool_free(place.pool, 10 * NS_PER_SEC);
    hold.is_on = false;
    place.pool = work_pool_new(place.loop, 0);
    reopen(&place);
    expect(&place, "a=new;");
    place_done(&place);
    (void)sem_destroy(&hold.reached);
    (void)sem_destroy(&hold.go_on);
}

TEST_CASE(a_damaged_file_is_set_aside_and_work_goes_on)
{
    struct place place;
    place_init(&place);
    journal_put(place.journal, "a", STR_LITERAL("1"));
    journal_put(place.journal, "b", STR_LITERAL("2"));
    journal_close(place.journal);
    place.journal = NULL;
    struct buf text;
    read_file(&place, &text);
    text.data[strlen("cubelet-journal 1 test\n") + 9] ^= 1; /* inside the first record */
    write_file(&place, buf_str(&text));
    buf_done(&text);
    reopen(&place);
    expect(&place, "");
    AUTO(free) char *aside = xasprintf("%s/test.damaged", place.dir);
    assert_int_equal(access(aside, F_OK), 0);
    journal_put(place.journal, "c", STR_LITERAL("3"));
    reopen(&place);
    expect(&place, "c=3;");
    place_done(&place);
}

TEST_CASE(the_file_is_rewritten_when_it_has_grown)
{
    struct place place;
    place_init(&place);
    for (int i = 0; i < 5000; i++) {
        AUTO(free) char *value = xasprintf("%d", i);
        journal_put(place.journal, "key", str_from(value));
        loop_turn(place.loop, 0);
    }
    struct buf text;
    read_file(&place, &text);
    assert_true(text.len < 40 * KiB);
    buf_done(&text);
    reopen(&place);
    expect(&place, "key=4999;");
    place_done(&place);
}

TEST_CASE(an_equal_value_writes_nothing)
{
    struct place place;
    place_init(&place);
    journal_put(place.journal, "a", STR_LITERAL("1"));
    reopen(&place);
    struct buf before, after;
    read_file(&place, &before);
    journal_put(place.journal, "a", STR_LITERAL("1"));
    reopen(&place);
    read_file(&place, &after);
    assert_int_equal(before.len, after.len);
    buf_done(&before);
    buf_done(&after);
    place_done(&place);
}

TEST_MAIN(TEST(records_survive_and_removed_ones_stay_away),
          TEST(a_torn_tail_is_cut_wherever_it_was_torn), TEST(a_tail_that_was_never_filled_is_cut),
          TEST(what_could_not_be_written_is_written_at_the_end),
          TEST(closing_waits_for_a_write_under_way_so_that_nothing_old_comes_last),
          TEST(a_damaged_file_is_set_aside_and_work_goes_on),
          TEST(the_file_is_rewritten_when_it_has_grown), TEST(an_equal_value_writes_nothing))
