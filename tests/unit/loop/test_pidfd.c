#include "loop/pidfd.h"

#include "tests/lib/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_TURNS 500

struct exit_note {
    struct pidfd_watch *watch;
    int calls;
    bool free_it;
};

static void on_exit_of_child(void *ctx)
{
    struct exit_note *note = ctx;
    note->calls++;
    if (note->free_it)
        pidfd_watch_free(TAKE(note->watch));
}

/* A child that lives until @ret_hold is closed. */
static pid_t child_new(int *ret_hold)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char c;
        (void)close(ends[1]);
        ssize_t got = read(ends[0], &c, 1);
        _exit(got == 0 ? 0 : 1);
    }
    (void)close(ends[0]);
    *ret_hold = ends[1];
    return child;
}

static void watch_a_child(bool free_it)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    int hold;
    pid_t child = child_new(&hold);
    struct exit_note note = {.free_it = free_it};
    assert_no_error(pidfd_watch_new(loop, child, on_exit_of_child, &note, &note.watch));
    loop_turn(loop, 0);
    assert_int_equal(note.calls, 0);
    (void)close(hold);
    for (int i = 0; i < MAX_TURNS && note.calls == 0; i++)
        loop_turn(loop, 10 * NS_PER_MS);
    assert_int_equal(waitpid(child, NULL, 0), child);
    loop_turn(loop, 0);
    assert_int_equal(note.calls, 1);
    pidfd_watch_free(note.watch);
}

TEST_CASE(the_end_of_a_process_is_told_once)
{
    watch_a_child(false);
}

TEST_CASE(the_watch_may_be_freed_by_its_own_callback)
{
    watch_a_child(true);
}

TEST_CASE(a_zombie_has_ended_and_a_reaped_process_is_not_found)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    int hold;
    pid_t child = child_new(&hold);
    (void)close(hold);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    struct exit_note note = {0};
    assert_no_error(pidfd_watch_new(loop, child, on_exit_of_child, &note, &note.watch));
    loop_turn(loop, 0);
    assert_int_equal(note.calls, 1);
    pidfd_watch_free(TAKE(note.watch));
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_error_code(pidfd_watch_new(loop, child, on_exit_of_child, &note, &note.watch),
                      ERROR_NOT_FOUND);
    assert_null(note.watch);
}

TEST_CASE(a_freed_watch_is_silent)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    int hold;
    pid_t child = child_new(&hold);
    struct exit_note note = {0};
    assert_no_error(pidfd_watch_new(loop, child, on_exit_of_child, &note, &note.watch));
    (void)close(hold);
    assert_int_equal(waitpid(child, NULL, 0), child);
    pidfd_watch_free(TAKE(note.watch));
    loop_turn(loop, 0);
    assert_int_equal(note.calls, 0);
    pidfd_watch_free(NULL);
}

TEST_CASE(numbers_that_are_no_process_are_refused)
{
    static const int64_t pids[] = {0, -1, INT64_MAX, INT64_MIN, INT64_C(1) << 32};
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct pidfd_watch *watch;
    for (size_t i = 0; i < ARRAY_SIZE(pids); i++)
        assert_error_code(pidfd_watch_new(loop, pids[i], on_exit_of_child, NULL, &watch),
                          ERROR_INVALID_ARGUMENT);
}

TEST_MAIN(TEST(the_end_of_a_process_is_told_once), TEST(the_watch_may_be_freed_by_its_own_callback),
          TEST(a_zombie_has_ended_and_a_reaped_process_is_not_found), TEST(a_freed_watch_is_silent),
          TEST(numbers_that_are_no_process_are_refused))
