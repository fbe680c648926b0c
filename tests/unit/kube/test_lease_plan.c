/* The heartbeat as transcripts: an outcome, and what is asked next. */
#include "kube/lease_plan.h"

#include "tests/lib/test.h"

#define PERIOD_NS (10 * NS_PER_SEC)

enum input { BEGIN, TIMER, OK, OK_WITHOUT_OWNER, MISSING, CONFLICT, FAILED };

struct line {
    enum input input;
    enum lease_action want;
    int64_t wait_ms;
    bool resets, gives_up;
};

static struct lease_step take(struct lease_plan *plan, enum input input)
{
    switch (input) {
    case BEGIN:
        return lease_plan_start(plan);
    case TIMER:
        return lease_plan_on_timer(plan);
    case OK:
        return lease_plan_on_done(plan, LEASE_OK, true, 0);
    case OK_WITHOUT_OWNER:
        return lease_plan_on_done(plan, LEASE_OK, false, 0);
    case MISSING:
        return lease_plan_on_done(plan, LEASE_NOT_FOUND, false, 0);
    case CONFLICT:
        return lease_plan_on_done(plan, LEASE_CONFLICT, false, 0);
    case FAILED:
        return lease_plan_on_done(plan, LEASE_FAILED, false, 0);
    }
    return (struct lease_step){0};
}

static void run(const struct line *lines, size_t count)
{
    struct lease_plan plan;
    lease_plan_init(&plan, PERIOD_NS);
    for (size_t i = 0; i < count; i++) {
        struct lease_step step = take(&plan, lines[i].input);
        if (step.action != lines[i].want || step.wait_ns != lines[i].wait_ms * NS_PER_MS ||
            step.resets_connection != lines[i].resets || step.is_given_up != lines[i].gives_up)
            fail_msg("line %zu: action %d, wait %lld ms, resets %d, given up %d", i,
                     (int)step.action, (long long)(step.wait_ns / NS_PER_MS),
                     step.resets_connection, step.is_given_up);
    }
}

#define RUN(...)                                                                                   \
    do {                                                                                           \
        static const struct line script[] = {__VA_ARGS__};                                         \
        run(script, ARRAY_SIZE(script));                                                           \
    } while (0)

TEST_CASE(a_fresh_node_makes_its_lease_and_renews_it)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {MISSING, LEASE_GET_NODE, 0, false, false},
        {OK, LEASE_CREATE, 0, false, false}, {OK, LEASE_WAIT, 10000, false, false},
        {TIMER, LEASE_UPDATE, 0, false, false}, {OK, LEASE_WAIT, 10000, false, false},
        {TIMER, LEASE_UPDATE, 0, false, false});
}

TEST_CASE(without_a_node_there_is_no_lease_yet)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {MISSING, LEASE_GET_NODE, 0, false, false},
        {MISSING, LEASE_WAIT, 10000, false, true}, {TIMER, LEASE_GET, 0, false, false},
        {MISSING, LEASE_GET_NODE, 0, false, false}, {OK, LEASE_CREATE, 0, false, false});
}

TEST_CASE(a_lease_that_is_there_is_updated)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false},
        {OK, LEASE_WAIT, 10000, false, false});
}

TEST_CASE(a_lease_without_owner_gets_one)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {OK_WITHOUT_OWNER, LEASE_GET_NODE, 0, false, false},
        {FAILED, LEASE_GET_NODE, 0, false, false}, {FAILED, LEASE_GET_NODE, 0, true, false},
        {OK, LEASE_UPDATE, 0, false, false}, {OK, LEASE_WAIT, 10000, false, false},
        {TIMER, LEASE_UPDATE, 0, false, false});
}

TEST_CASE(reading_waits_longer_and_longer)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 200, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 400, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 800, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 1600, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 3200, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 6400, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 7000, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 7000, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {MISSING, LEASE_GET_NODE, 0, false, false},
        {OK, LEASE_CREATE, 0, false, false}, {FAILED, LEASE_WAIT, 7000, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false});
}

TEST_CASE(five_attempts_then_it_is_read_and_five_more)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false},
        {OK, LEASE_WAIT, 10000, false, false}, {TIMER, LEASE_UPDATE, 0, false, false},
        {FAILED, LEASE_UPDATE, 0, false, false}, {FAILED, LEASE_UPDATE, 0, true, false},
        {FAILED, LEASE_UPDATE, 0, true, false}, {FAILED, LEASE_UPDATE, 0, true, false},
        {FAILED, LEASE_GET, 0, true, false}, {OK, LEASE_UPDATE, 0, false, false},
        {FAILED, LEASE_UPDATE, 0, false, false}, {FAILED, LEASE_UPDATE, 0, true, false},
        {FAILED, LEASE_UPDATE, 0, true, false}, {FAILED, LEASE_UPDATE, 0, true, false},
        {FAILED, LEASE_WAIT, 10000, true, true}, {TIMER, LEASE_UPDATE, 0, false, false},
        {OK, LEASE_WAIT, 10000, false, false});
}

TEST_CASE(a_conflict_is_read_and_goes_on)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false},
        {OK, LEASE_WAIT, 10000, false, false}, {TIMER, LEASE_UPDATE, 0, false, false},
        {CONFLICT, LEASE_GET, 0, false, false}, {FAILED, LEASE_WAIT, 200, false, false},
        {TIMER, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false},
        {CONFLICT, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false},
        {OK, LEASE_WAIT, 10000, false, false});
}

TEST_CASE(a_lease_that_was_deleted_is_made_again)
{
    RUN({BEGIN, LEASE_GET, 0, false, false}, {OK, LEASE_UPDATE, 0, false, false},
        {OK, LEASE_WAIT, 10000, false, false}, {TIMER, LEASE_UPDATE, 0, false, false},
        {MISSING, LEASE_UPDATE, 0, false, false}, {MISSING, LEASE_UPDATE, 0, true, false},
        {MISSING, LEASE_UPDATE, 0, true, false}, {MISSING, LEASE_UPDATE, 0, true, false},
        {MISSING, LEASE_GET, 0, true, false}, {MISSING, LEASE_GET_NODE, 0, false, false},
        {OK, LEASE_CREATE, 0, false, false}, {OK, LEASE_WAIT, 10000, false, false});
}

TEST_CASE(periods_are_at_most_four_percent_longer)
{
    struct lease_plan plan;
    lease_plan_init(&plan, PERIOD_NS);
    (void)lease_plan_start(&plan);
    (void)lease_plan_on_done(&plan, LEASE_OK, true, 0);
    struct lease_step step = lease_plan_on_done(&plan, LEASE_OK, true, 399999999);
    assert_int_equal(step.wait_ns, 10399999999);
}

TEST_MAIN(TEST(a_fresh_node_makes_its_lease_and_renews_it),
          TEST(without_a_node_there_is_no_lease_yet), TEST(a_lease_that_is_there_is_updated),
          TEST(a_lease_without_owner_gets_one), TEST(reading_waits_longer_and_longer),
          TEST(five_attempts_then_it_is_read_and_five_more), TEST(a_conflict_is_read_and_goes_on),
          TEST(a_lease_that_was_deleted_is_made_again),
          TEST(periods_are_at_most_four_percent_longer))
