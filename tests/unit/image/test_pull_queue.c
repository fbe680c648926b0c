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

TEST_CASE(as_many_pull_at_once_as_may)
{
    static const struct {
        size_t max_parallel, running;
    } rows[] = {{1, 1}, {2, 2}, {0, 4}}; /* 0: no limit */
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pull_queue *queue =
            pull_queue_new(&(struct pull_queue_options){.max_parallel = rows[i].max_parallel});
        struct pull_ticket *tickets[4];
        int turns = 0;
        bool now;
        for (size_t k = 0; k < ARRAY_SIZE(tickets); k++)
            assert_no_error(pull_queue_enter(queue, 0, on_turn, &turns, &tickets[k], &now));
        assert_int_equal(pull_queue_running(queue), rows[i].running);
        assert_int_equal(pull_queue_waiting(queue), ARRAY_SIZE(tickets) - rows[i].running);
        for (size_t k = 0; k < ARRAY_SIZE(tickets); k++)
            pull_queue_leave(tickets[k]);
        assert_int_equal(turns, ARRAY_SIZE(tickets) - rows[i].running);
        pull_queue_free(queue);
    }
}

TEST_CASE(without_a_rate_no_pull_is_refused)
{
    struct pull_queue *queue = pull_queue_new(&(struct pull_queue_options){.qps = 0, .burst = 1});
    struct pull_ticket *ticket;
    bool now;
    for (int i = 0; i < 100; i++) {
        assert_no_error(pull_queue_enter(queue, 0, on_turn, NULL, &ticket, &now));
        pull_queue_leave(ticket);
    }
    pull_queue_free(queue);
}

TEST_MAIN(TEST(serial_pulls_take_turns_in_order), TEST(an_empty_bucket_refuses_and_fills_with_time),
          TEST(as_many_pull_at_once_as_may), TEST(without_a_rate_no_pull_is_refused))
