#include "loop/watchdog.h"

#include "base/log.h"
#include "loop/loop_internal.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_NS (20 * NS_PER_MS)

TEST_CASE(an_idle_loop_is_alive)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    AUTO(watchdog) struct watchdog *watchdog = watchdog_new(loop, LIMIT_NS);
    /* Each of these turns has nothing to do until the watchdog asks. */
    int64_t began_ns = loop_now_mono_ns(loop);
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 10 * NS_PER_SEC);
    int64_t took_ns = loop_now_mono_ns(loop) - began_ns;
    assert_true(took_ns >= 4 * LIMIT_NS / 2 && took_ns < 10 * NS_PER_SEC);
}

TEST_CASE(a_watchdog_ends_at_once_when_freed)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct watchdog *watchdog = watchdog_new(loop, 3600 * NS_PER_SEC);
    watchdog_free(watchdog);
    watchdog_free(NULL);
}

static void hold_for_ever(UNUSED void *ctx)
{
    for (;;)
        (void)pause();
}

NORETURN static void be_stuck(int log_fd)
{
    struct loop *loop = NULL;
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    log_set_fd(log_fd);
    error_ignore(loop_new(&loop), "the parent notices");
    (void)watchdog_new(loop, LIMIT_NS);
    loop_post(loop, hold_for_ever, NULL);
    loop_run(loop);
    _exit(0);
}

TEST_CASE(a_stuck_loop_ends_the_process_and_names_the_callback)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_stuck(ends[1]);
    (void)close(ends[1]);
    char text[4096] = {0};
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    (void)close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_int_equal(text[0], 'F');
    assert_non_null(strstr(text, "limitMilliseconds=20 callback=\"post\"\n"));
}

TEST_MAIN(TEST(an_idle_loop_is_alive), TEST(a_watchdog_ends_at_once_when_freed),
          TEST(a_stuck_loop_ends_the_process_and_names_the_callback))
