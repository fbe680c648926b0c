#include "loop/loop_internal.h"
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>

static void *note_mask(void *ctx)
{
    sigset_t *mask = ctx;
    (void)pthread_sigmask(SIG_SETMASK, NULL, mask);
    return NULL;
}

TEST_CASE(a_new_thread_takes_no_signals_and_the_starter_keeps_its_own)
{
    sigset_t before, after, inside;
    pthread_t thread;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(loop_thread_start(128 * KiB, note_mask, &inside, &thread), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    static const int numbers[] = {SIGTERM, SIGCHLD, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        assert_int_equal(sigismember(&inside, numbers[i]), 1);
        assert_int_equal(sigismember(&after, numbers[i]), sigismember(&before, numbers[i]));
    }
}

TEST_CASE(an_impossible_stack_is_an_error)
{
    pthread_t thread;
    assert_int_equal(loop_thread_start(1, note_mask, NULL, &thread), EINVAL);
}

TEST_CASE(a_condition_with_a_past_deadline_times_out_at_once)
{
    pthread_cond_t cond;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    loop_cond_init(&cond);
    (void)pthread_mutex_lock(&lock);
    struct timespec past = loop_cond_deadline(INT64_MIN);
    assert_int_equal(pthread_cond_timedwait(&cond, &lock, &past), ETIMEDOUT);
    (void)pthread_mutex_unlock(&lock);
    assert_true(loop_cond_deadline(INT64_MAX).tv_sec == INT64_MAX / NS_PER_SEC);
    (void)pthread_cond_destroy(&cond);
}

TEST_MAIN(TEST(a_new_thread_takes_no_signals_and_the_starter_keeps_its_own),
          TEST(an_impossible_stack_is_an_error),
          TEST(a_condition_with_a_past_deadline_times_out_at_once))
