#include "loop/inotify_hub.h"

#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

struct sleeper {
    struct inotify_wake *wake;
    size_t woken, gone;
    struct sleeper *victim; /* is freed when this one wakes */
};

static void on_wake(void *ctx, bool is_gone)
{
    struct sleeper *sleeper = ctx;
    sleeper->woken++;
    sleeper->gone += is_gone;
    if (sleeper->victim)
        inotify_wake_free(TAKE(sleeper->victim->wake));
}

struct room {
    char *dir, *a, *b;
    struct loop *loop;
    struct inotify_hub *hub;
};

static void room_init(struct room *room)
{
    *room = (struct room){.dir = tempdir_new()};
    room->a = path_join(room->dir, "a");
    room->b = path_join(room->dir, "b");
    assert_int_equal(mkdir(room->a, 0700), 0);
    assert_int_equal(mkdir(room->b, 0700), 0);
    assert_no_error(loop_new(&room->loop));
    room->hub = inotify_hub_new(room->loop);
}

static void room_done(struct room *room)
{
    inotify_hub_free(room->hub);
    loop_free(room->loop);
    free(room->a);
    free(room->b);
    tempdir_free(room->dir);
}

static void sleep_in(struct room *room, const char *dir, struct sleeper *sleeper)
{
    assert_no_error(inotify_wake_new(room->hub, dir, on_wake, sleeper, &sleeper->wake));
}

/* inotify queues an event before the system call that caused it returns. */
static void settle(struct room *room)
{
    for (int i = 0; i < 3; i++)
        loop_turn(room->loop, 0);
}

static void append(const char *dir, const char *name)
{
    AUTO(free) char *path = path_join(dir, name);
    FILE *file = fopen(path, "ae");
    assert_non_null(file);
    assert_true(fputs("x", file) >= 0);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(fclose(file), 0);
}

TEST_CASE(who_sleeps_in_a_directory_is_woken_by_what_happens_there)
{
    struct room room;
    struct sleeper one = {0}, two = {0}, other = {0};
    room_init(&room);
    sleep_in(&room, room.a, &one);
    sleep_in(&room, room.a, &two);
    sleep_in(&room, room.b, &other);
    settle(&room);
    assert_int_equal(one.woken + two.woken + other.woken, 0);
    append(room.a, "0.log");
    settle(&room);
    assert_int_equal(one.woken, 1); /* once, for all that was there to be read */
    assert_int_equal(two.woken, 1);
    assert_int_equal(other.woken, 0);

    inotify_wake_free(TAKE(one.wake)); /* the other one stays */
    append(room.a, "0.log");
    settle(&room);
    assert_int_equal(one.woken, 1);
    assert_int_equal(two.woken, 2);
    inotify_wake_free(two.wake);
    append(room.a, "0.log");
    append(room.b, "0.log");
    settle(&room);
    assert_int_equal(two.woken, 2);
    assert_int_equal(other.woken, 1);
    inotify_wake_free(other.wake);
    room_done(&room);
}

TEST_CASE(a_directory_that_goes_is_told_of_once)
{
    struct room room;
    struct sleeper one = {0}, two = {0};
    room_init(&room);
    sleep_in(&room, room.a, &one);
    sleep_in(&room, room.b, &two);
    AUTO(free) char *elsewhere = path_join(room.dir, "c");
    assert_int_equal(rmdir(room.a), 0);
    assert_int_equal(rename(room.b, elsewhere), 0);
    settle(&room);
    assert_int_equal(one.gone, 1);
    assert_int_equal(two.gone, 1);
    append(elsewhere, "x");
    settle(&room);
    assert_int_equal(one.woken, 1);
    assert_int_equal(two.woken, 1);
    inotify_wake_free(one.wake);
    inotify_wake_free(two.wake);
    struct sleeper late = {0};
    assert_error_code(inotify_wake_new(room.hub, room.a, on_wake, &late, &late.wake),
                      ERROR_NOT_FOUND);
    room_done(&room);
}

TEST_CASE(a_wake_may_free_any_of_them)
{
    struct room room;
    struct sleeper one = {0}, two = {0}, three = {0};
    room_init(&room);
    one.victim = &two;
    three.victim = &three;
    sleep_in(&room, room.a, &one);
    sleep_in(&room, room.a, &two);
    sleep_in(&room, room.a, &three);
    append(room.a, "x");
    settle(&room);
    assert_int_equal(one.woken, 1);
    assert_int_equal(two.woken, 0);
    assert_int_equal(three.woken, 1);
    inotify_wake_free(one.wake);
    room_done(&room);
}

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir)) // NOLINT(concurrency-mt-unsafe): this stream is nobody else's
        count++;
    assert_int_equal(closedir(dir), 0);
    return count;
}

TEST_CASE(many_wakes_take_one_descriptor)
{
    enum { MANY = 40 };
    struct room room;
    struct sleeper sleepers[MANY] = {0};
    room_init(&room);
    size_t before = count_descriptors();
    for (size_t i = 0; i < MANY; i++)
        sleep_in(&room, i % 2 ? room.a : room.b, &sleepers[i]);
    assert_int_equal(count_descriptors(), before + 1);
    for (size_t i = 0; i < MANY; i++)
        inotify_wake_free(sleepers[i].wake);
    room_done(&room);
}

TEST_MAIN(TEST(who_sleeps_in_a_directory_is_woken_by_what_happens_there),
          TEST(a_directory_that_goes_is_told_of_once), TEST(a_wake_may_free_any_of_them),
          TEST(many_wakes_take_one_descriptor))
