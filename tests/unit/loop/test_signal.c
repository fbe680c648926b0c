#include "loop/signal.h"

#include "tests/lib/test.h"

#include <signal.h>

struct seen {
    struct loop_signals *signals;
    int numbers[4];
    size_t count;
    bool free_first;
};

static void on_signal(void *ctx, int number)
{
    struct seen *seen = ctx;
    seen->numbers[seen->count++] = number;
    if (seen->free_first)
        loop_signals_free(TAKE(seen->signals));
}

TEST_CASE(signals_arrive_as_callbacks)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct seen seen = {0};
    assert_no_error(loop_signals_new(loop, (const int[]){SIGUSR1, SIGUSR2, 0}, on_signal, &seen,
                                     &seen.signals));
    (void)raise(SIGUSR2);
    (void)raise(SIGUSR1);
    assert_int_equal(seen.count, 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.numbers[0] + seen.numbers[1], SIGUSR1 + SIGUSR2);
    loop_signals_free(seen.signals);
    loop_signals_free(NULL);
}

TEST_CASE(the_callback_may_free_while_more_signals_wait)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct seen seen = {.free_first = true};
    assert_no_error(loop_signals_new(loop, (const int[]){SIGUSR1, SIGUSR2, 0}, on_signal, &seen,
                                     &seen.signals));
    (void)raise(SIGUSR2);
    (void)raise(SIGUSR1);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(seen.count, 1);
}

TEST_CASE(a_number_that_is_no_signal_is_refused)
{
    AUTO(loop) struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    struct loop_signals *signals = NULL;
    assert_error_code(
        loop_signals_new(loop, (const int[]){SIGUSR1, 9999, 0}, on_signal, NULL, &signals),
        ERROR_INVALID_ARGUMENT);
    assert_null(signals);
}

TEST_MAIN(TEST(signals_arrive_as_callbacks), TEST(the_callback_may_free_while_more_signals_wait),
          TEST(a_number_that_is_no_signal_is_refused))
