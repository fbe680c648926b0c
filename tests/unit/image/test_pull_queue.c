#include "image/pull_queue.h"
#include "tests/lib/test.h"

static void on_turn(void *ctx)
{
    ++*(int *)ctx;
}

TEST_CASE(serial_pulls_take_turns_in_order)
{
    struct pull_queue *queue = pull_queue_new(&(struct pull_queue_options){.max_parallel = 1});
    struct pull_ticket *tickets[3];
    int turns[3] = {0};
    bool now[3];
    for (int i = 0; i < 3; i++)
        assert_no_error(pull_queue_enter(queue, 0, on_turn, &turns[i], &tickets[i], &now[i]));
    assert_true(now[0] && !now[1] && !now[2]);
    assert_int_equal(pull_queue_waiting(queue), 2);
    pull_queue_leave(tickets[1]); /* gives up waiting */
    assert_int_equal(turns[2], 0);
    pull_queue_leave(tickets[0]);
    assert_int_equal(turns[1], 0);
    assert_int_equal(turns[2], 1);
    pull_queue_leave(tickets[2]);
    assert_int_equal(pull_queue_running(queue), 0);
    pull_queue_free(queue);
}

TEST_CASE(an_empty_bucket_refuses_and_fills_with_time)
{
    struct pull_queue *queue = pull_queue_new(&(struct pull_queue_options){.qps = 5, .burst = 2});
    struct pull_ticket *ticket;
    bool now;
    for (int i = 0; i < 2; i++) {
        assert_no_error(pull_queue_enter(queue, 0, on_turn, NULL, &ticket, &now));
        pull_queue_leave(ticket);
    }
    assert_error_message(pull_queue_enter(queue, 0, on_turn, NULL, &ticket, &now),
                         "pull QPS exceeded");
    assert_no_error(pull_queue_enter(queue, 200 * NS_PER_MS, on_turn, NULL, &ticket, &now));
    pull_queue_leave(ticket);
    pull_queue_free(queue);
}

TEST_MAIN(TEST(serial_pulls_take_turns_in_order), TEST(an_empty_bucket_refuses_and_fills_with_time))
