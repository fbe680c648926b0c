#include "journal/journal.h"

#include "base/fd.h"
#include "tests/lib/test.h"

#include <unistd.h>

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
    assert_no_error(
        journal_open_blocking(place->loop, place->pool, place->dir, "test", &place->journal));
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
          TEST(a_torn_tail_is_cut_wherever_it_was_torn),
          TEST(a_damaged_file_is_set_aside_and_work_goes_on),
          TEST(the_file_is_rewritten_when_it_has_grown), TEST(an_equal_value_writes_nothing))
