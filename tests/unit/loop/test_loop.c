#include "loop/loop.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/time.h"
#include "tests/lib/test.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* Turns a loop may need before a case gives up: some five seconds. */
#define MAX_TURNS 500
#define TURN_WAIT_NS (10 * NS_PER_MS)

static struct loop *loop_make(void)
{
    struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    return loop;
}

static void turn_until(struct loop *loop, const int *count, int want)
{
    for (int i = 0; i < MAX_TURNS && *count < want; i++)
        loop_turn(loop, TURN_WAIT_NS);
    assert_int_equal(*count, want);
}

static void count_up(void *ctx)
{
    ++*(int *)ctx;
}

/* --- turning --- */

TEST_CASE(a_turn_with_nothing_to_do_returns)
{
    AUTO(loop) struct loop *loop = loop_make();
    loop_turn(loop, 0);
    loop_turn(loop, -1);
    int64_t before = loop_now_mono_ns(loop);
    loop_turn(loop, 5 * NS_PER_MS);
    assert_true(loop_now_mono_ns(loop) > before);
    loop_free(NULL);
}

struct stopper {
    struct loop *loop;
    int runs;
};

static void stop_at_three(void *ctx)
{
    struct stopper *stopper = ctx;
    if (++stopper->runs == 3)
        loop_stop(stopper->loop);
    else
        loop_post(stopper->loop, stop_at_three, stopper);
}

TEST_CASE(running_ends_when_told_and_may_begin_again)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct stopper stopper = {.loop = loop};
    loop_post(loop, stop_at_three, &stopper);
    loop_run(loop);
    assert_int_equal(stopper.runs, 3);
    stopper.runs = 0;
    loop_post(loop, stop_at_three, &stopper);
    loop_run(loop);
    assert_int_equal(stopper.runs, 3);
    loop_stop(loop);
    loop_run(loop);
}

struct clock_reader {
    struct loop *loop;
    int64_t mono_ns[2], wall_ns[2];
    int reads;
};

static void read_clock(void *ctx)
{
    struct clock_reader *reader = ctx;
    reader->mono_ns[reader->reads] = loop_now_mono_ns(reader->loop);
    reader->wall_ns[reader->reads++] = loop_now_wall_ns(reader->loop);
    int64_t before = time_mono_ns(), wall = time_wall_ns();
    while (time_mono_ns() == before || time_wall_ns() == wall)
        ; /* until the real clocks have moved on */
}

TEST_CASE(now_stands_still_within_a_turn_and_moves_between)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct clock_reader reader = {.loop = loop};
    int64_t before = loop_now_mono_ns(loop);
    loop_post(loop, read_clock, &reader);
    loop_post(loop, read_clock, &reader);
    loop_turn(loop, 0);
    assert_int_equal(reader.reads, 2);
    assert_true(reader.mono_ns[0] >= before);
    assert_int_equal(reader.mono_ns[0], reader.mono_ns[1]);
    assert_int_equal(reader.wall_ns[0], reader.wall_ns[1]);
    assert_true(loop_now_mono_ns(loop) > reader.mono_ns[1]);
}

static void hold_the_loop(UNUSED void *ctx)
{
    int64_t end = time_mono_ns() + 55 * NS_PER_MS;
    while (time_mono_ns() < end)
        ;
}

TEST_CASE(a_callback_that_holds_the_loop_is_counted_and_named)
{
    AUTO(loop) struct loop *loop = loop_make();
    char path[] = "/tmp/cubelet-test-XXXXXX";
    AUTO(fd) int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    log_set_fd(fd);
    struct loop_timer *timer = loop_timer_new(loop, "the slow one", hold_the_loop, NULL);
    loop_timer_start(timer, 0);
    loop_turn(loop, 0);
    log_set_fd(2);
    loop_timer_free(timer);
    assert_int_equal(loop_slow_callbacks(loop), 1);
    AUTO(buf) struct buf text;
    buf_init(&text, 10000);
    assert_no_error(fd_read_file_blocking(path, &text));
    assert_non_null(strstr(buf_text(&text), "callback=\"the slow one\" durationMilliseconds="));
    (void)unlink(path);
}

/* --- deferred frees --- */

struct journal {
    struct loop *loop;
    char text[64];
    size_t len;
};

struct note {
    struct journal *journal;
    char letter;
};

static void write_note(void *ctx)
{
    const struct note *note = ctx;
    note->journal->text[note->journal->len++] = note->letter;
}

static struct journal defer_journal;

static void defer_another(void *ctx)
{
    static struct note late = {.journal = &defer_journal, .letter = 'c'};
    write_note(ctx);
    loop_defer_free(defer_journal.loop, write_note, &late);
}

static void defer_two(void *ctx)
{
    static struct note first = {.journal = &defer_journal, .letter = 'a'};
    static struct note second = {.journal = &defer_journal, .letter = 'b'};
    loop_defer_free(defer_journal.loop, defer_another, &first);
    loop_defer_free(defer_journal.loop, write_note, &second);
    write_note(ctx);
}

TEST_CASE(deferred_frees_run_in_order_at_the_end_of_the_turn)
{
    AUTO(loop) struct loop *loop = loop_make();
    defer_journal = (struct journal){.loop = loop};
    struct note now = {.journal = &defer_journal, .letter = '1'};
    struct note later = {.journal = &defer_journal, .letter = '2'};
    loop_post(loop, defer_two, &now);
    loop_post(loop, write_note, &later);
    loop_turn(loop, 0);
    assert_string_equal(defer_journal.text, "12abc");
}

TEST_CASE(freeing_the_loop_runs_what_was_deferred_and_drops_posts)
{
    int deferred = 0, posted = 0;
    struct loop *loop = loop_make();
    loop_defer_free(loop, count_up, &deferred);
    loop_post(loop, count_up, &posted);
    loop_free(loop);
    assert_int_equal(deferred, 1);
    assert_int_equal(posted, 0);
}

/* --- posts --- */

enum { POSTS = 2000 };

struct poster {
    struct loop *loop;
    int got, wrong;
    struct posted {
        struct poster *poster;
        int number;
    } items[POSTS];
};

static void on_posted(void *ctx)
{
    const struct posted *item = ctx;
    if (item->number != item->poster->got++)
        item->poster->wrong++;
}

static void *post_many(void *ctx)
{
    struct poster *poster = ctx;
    for (int i = 0; i < POSTS; i++) {
        poster->items[i] = (struct posted){.poster = poster, .number = i};
        loop_post(poster->loop, on_posted, &poster->items[i]);
    }
    return NULL;
}

TEST_CASE(posts_from_another_thread_arrive_once_and_in_order)
{
    AUTO(loop) struct loop *loop = loop_make();
    AUTO(free) struct poster *poster = xcalloc(1, sizeof(*poster));
    poster->loop = loop;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, post_many, poster), 0);
    for (int i = 0; i < POSTS * 2 && poster->got < POSTS; i++)
        loop_turn(loop, NS_PER_SEC);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(poster->got, POSTS);
    assert_int_equal(poster->wrong, 0);
}

TEST_CASE(a_post_made_by_a_post_waits_for_the_next_turn)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct stopper stopper = {.loop = loop};
    loop_post(loop, stop_at_three, &stopper);
    loop_turn(loop, 0);
    assert_int_equal(stopper.runs, 1);
    loop_turn(loop, 0);
    assert_int_equal(stopper.runs, 2);
}

/* --- timers --- */

struct ring {
    struct loop *loop;
    struct loop_timer *timer;
    int64_t deadline_ns;
    int rings;
    bool early, was_armed;
};

static void on_ring(void *ctx)
{
    struct ring *ring = ctx;
    ring->rings++;
    ring->early = ring->early || loop_now_mono_ns(ring->loop) < ring->deadline_ns;
    ring->was_armed = loop_timer_is_armed(ring->timer);
}

TEST_CASE(a_timer_rings_once_and_never_early)
{
    static const int64_t delays_ns[] = {
        0, 1, NS_PER_US, NS_PER_MS, 1500 * NS_PER_US, 7 * NS_PER_MS};
    AUTO(loop) struct loop *loop = loop_make();
    for (size_t i = 0; i < ARRAY_SIZE(delays_ns); i++) {
        struct ring ring = {.loop = loop};
        ring.timer = loop_timer_new(loop, "ring", on_ring, &ring);
        assert_false(loop_timer_is_armed(ring.timer));
        ring.deadline_ns = loop_now_mono_ns(loop) + delays_ns[i];
        loop_timer_start(ring.timer, delays_ns[i]);
        assert_true(loop_timer_is_armed(ring.timer));
        turn_until(loop, &ring.rings, 1);
        loop_turn(loop, 0);
        assert_int_equal(ring.rings, 1);
        assert_false(ring.early);
        assert_false(ring.was_armed);
        assert_false(loop_timer_is_armed(ring.timer));
        loop_timer_free(ring.timer);
    }
}

TEST_CASE(timers_ring_in_the_order_of_their_deadlines)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct journal journal = {.loop = loop};
    struct note notes[3];
    struct loop_timer *timers[3];
    for (int i = 0; i < 3; i++) {
        notes[i] = (struct note){.journal = &journal, .letter = (char)('a' + i)};
        timers[i] = loop_timer_new(loop, "note", write_note, &notes[i]);
        loop_timer_start(timers[i], (30 - 10 * i) * NS_PER_MS);
    }
    for (int i = 0; i < MAX_TURNS && journal.len < 3; i++)
        loop_turn(loop, TURN_WAIT_NS);
    assert_string_equal(journal.text, "cba");
    for (int i = 0; i < 3; i++)
        loop_timer_free(timers[i]);
}

static void free_own_timer(void *ctx)
{
    struct ring *ring = ctx;
    ring->rings++;
    loop_timer_free(TAKE(ring->timer));
}

TEST_CASE(a_timer_may_be_freed_by_its_own_callback)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct ring ring = {.loop = loop};
    ring.timer = loop_timer_new(loop, "suicidal", free_own_timer, &ring);
    loop_timer_start(ring.timer, -5);
    turn_until(loop, &ring.rings, 1);
    assert_null(ring.timer);
    loop_turn(loop, 0);
}

static void free_other_timer(void *ctx)
{
    struct loop_timer **other = ctx;
    if (*other)
        loop_timer_free(TAKE(*other));
}

TEST_CASE(a_timer_freed_by_another_that_is_due_as_well_stays_silent)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct loop_timer *timers[2];
    /* Whichever rings first frees the other. */
    timers[0] = loop_timer_new(loop, "first", free_other_timer, &timers[1]);
    timers[1] = loop_timer_new(loop, "second", free_other_timer, &timers[0]);
    loop_timer_start(timers[0], 0);
    loop_timer_start(timers[1], 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_true((timers[0] == NULL) != (timers[1] == NULL));
    loop_timer_free(timers[0]);
    loop_timer_free(timers[1]);
}

TEST_CASE(starting_again_replaces_and_cancelling_silences)
{
    AUTO(loop) struct loop *loop = loop_make();
    int rings = 0;
    AUTO(loop_timer) struct loop_timer *timer = loop_timer_new(loop, "t", count_up, &rings);
    loop_timer_start(timer, 0);
    loop_timer_start(timer, NS_PER_SEC * 3600);
    loop_turn(loop, 0);
    assert_int_equal(rings, 0);
    loop_timer_start(timer, 0);
    loop_timer_cancel(timer);
    loop_timer_cancel(timer);
    assert_false(loop_timer_is_armed(timer));
    loop_turn(loop, 0);
    assert_int_equal(rings, 0);
    loop_timer_free(NULL);
}

TEST_CASE(endless_delays_saturate)
{
    AUTO(loop) struct loop *loop = loop_make();
    int rings = 0;
    AUTO(loop_timer) struct loop_timer *timer = loop_timer_new(loop, "t", count_up, &rings);
    loop_timer_start(timer, INT64_MAX);
    assert_true(loop_timer_is_armed(timer));
    loop_turn(loop, NS_PER_MS);
    assert_int_equal(rings, 0);
    loop_timer_start(timer, INT64_MIN);
    loop_turn(loop, 0);
    assert_int_equal(rings, 1);
}

static void ring_again_at_once(void *ctx)
{
    struct ring *ring = ctx;
    ring->rings++;
    loop_timer_start(ring->timer, 0);
}

TEST_CASE(a_timer_armed_in_its_own_callback_rings_in_the_next_turn)
{
    AUTO(loop) struct loop *loop = loop_make();
    struct ring ring = {.loop = loop};
    ring.timer = loop_timer_new(loop, "again", ring_again_at_once, &ring);
    loop_timer_start(ring.timer, 0);
    for (int i = 1; i <= 3; i++) {
        loop_turn(loop, 0);
        assert_int_equal(ring.rings, i);
    }
    loop_timer_free(ring.timer);
}

/* --- descriptors --- */

struct reader {
    struct loop_io *io, *victim;
    int calls;
    unsigned events;
};

static void on_readable(void *ctx, unsigned events)
{
    struct reader *reader = ctx;
    reader->calls++;
    reader->events = events;
    if (reader->victim)
        loop_io_free(TAKE(reader->victim));
}

static void pipe_new(int ends[2])
{
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
}

static void pipe_free(int ends[2])
{
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

TEST_CASE(a_descriptor_is_reported_as_long_as_it_is_ready_and_wanted)
{
    AUTO(loop) struct loop *loop = loop_make();
    int ends[2];
    pipe_new(ends);
    struct reader reader = {0};
    reader.io = loop_io_new(loop, "pipe", ends[0], on_readable, &reader);
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_turn(loop, 0);
    assert_int_equal(reader.calls, 0);
    loop_io_want(reader.io, LOOP_IO_READ);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(reader.calls, 2);
    assert_int_equal(reader.events, LOOP_IO_READ);
    loop_io_want(reader.io, 0);
    loop_turn(loop, 0);
    assert_int_equal(reader.calls, 2);
    loop_io_want(reader.io, LOOP_IO_READ);
    char c;
    assert_int_equal(read(ends[0], &c, 1), 1);
    loop_turn(loop, 0);
    assert_int_equal(reader.calls, 2);
    fd_close(&ends[1]);
    loop_turn(loop, 0);
    assert_int_equal(reader.calls, 3);
    loop_io_free(reader.io);
    loop_io_free(NULL);
    pipe_free(ends);
}

TEST_CASE(a_writable_end_is_reported_as_writable)
{
    AUTO(loop) struct loop *loop = loop_make();
    int ends[2];
    pipe_new(ends);
    struct reader reader = {0};
    reader.io = loop_io_new(loop, "pipe", ends[1], on_readable, &reader);
    loop_io_want(reader.io, LOOP_IO_READ | LOOP_IO_WRITE);
    loop_turn(loop, 0);
    assert_int_equal(reader.events, LOOP_IO_WRITE);
    loop_io_free(reader.io);
    pipe_free(ends);
}

static void free_own_io(void *ctx, UNUSED unsigned events)
{
    struct reader *reader = ctx;
    reader->calls++;
    loop_io_free(TAKE(reader->io));
}

TEST_CASE(an_io_may_be_freed_by_its_own_callback)
{
    AUTO(loop) struct loop *loop = loop_make();
    int ends[2];
    pipe_new(ends);
    struct reader reader = {0};
    reader.io = loop_io_new(loop, "pipe", ends[1], free_own_io, &reader);
    loop_io_want(reader.io, LOOP_IO_WRITE);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(reader.calls, 1);
    pipe_free(ends);
}

TEST_CASE(an_io_freed_by_another_that_is_ready_as_well_stays_silent)
{
    AUTO(loop) struct loop *loop = loop_make();
    int ends[2], other_ends[2];
    pipe_new(ends);
    pipe_new(other_ends);
    struct reader readers[2] = {{0}, {0}};
    struct loop_io *first = loop_io_new(loop, "first", ends[1], on_readable, &readers[0]);
    struct loop_io *second = loop_io_new(loop, "second", other_ends[1], on_readable, &readers[1]);
    readers[0].victim = second;
    readers[1].victim = first;
    loop_io_want(first, LOOP_IO_WRITE);
    loop_io_want(second, LOOP_IO_WRITE);
    loop_turn(loop, 0);
    assert_int_equal(readers[0].calls + readers[1].calls, 1);
    loop_io_free(readers[0].victim ? readers[0].victim : readers[1].victim);
    pipe_free(ends);
    pipe_free(other_ends);
}

static int debug_events(UNUSED void **state)
{
    event_enable_debug_mode();
    return 0;
}

static int forget_events(UNUSED void **state)
{
    libevent_global_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_turn_with_nothing_to_do_returns),
        TEST(running_ends_when_told_and_may_begin_again),
        TEST(now_stands_still_within_a_turn_and_moves_between),
        TEST(a_callback_that_holds_the_loop_is_counted_and_named),
        TEST(deferred_frees_run_in_order_at_the_end_of_the_turn),
        TEST(freeing_the_loop_runs_what_was_deferred_and_drops_posts),
        TEST(posts_from_another_thread_arrive_once_and_in_order),
        TEST(a_post_made_by_a_post_waits_for_the_next_turn),
        TEST(a_timer_rings_once_and_never_early),
        TEST(timers_ring_in_the_order_of_their_deadlines),
        TEST(a_timer_may_be_freed_by_its_own_callback),
        TEST(a_timer_freed_by_another_that_is_due_as_well_stays_silent),
        TEST(starting_again_replaces_and_cancelling_silences),
        TEST(endless_delays_saturate),
        TEST(a_timer_armed_in_its_own_callback_rings_in_the_next_turn),
        TEST(a_descriptor_is_reported_as_long_as_it_is_ready_and_wanted),
        TEST(a_writable_end_is_reported_as_writable),
        TEST(an_io_may_be_freed_by_its_own_callback),
        TEST(an_io_freed_by_another_that_is_ready_as_well_stays_silent),
    };
    return cmocka_run_group_tests(tests, debug_events, forget_events);
}
