#include "node/node_plan.h"

#include "tests/lib/test.h"

#define START_NS (1000 * NS_PER_SEC)
#define PERIOD_NS (10 * NS_PER_SEC)
#define REPORT_NS (300 * NS_PER_SEC)

static const struct node_difference nothing, images = {.is_changed = true},
                                             flip = {.is_changed = true, .is_urgent = true};

static struct node_plan registered_plan(int64_t now_ns, uint64_t random)
{
    struct node_plan plan;
    node_plan_init(&plan, true, PERIOD_NS, REPORT_NS);
    node_plan_start(&plan, now_ns);
    assert_int_equal(node_plan_next(&plan, now_ns).action, NODE_CREATE);
    assert_true(node_plan_on_done(&plan, NODE_OK, now_ns, random).is_registered);
    /* What has changed while it was registered. */
    assert_int_equal(node_plan_next(&plan, now_ns).action, NODE_UPDATE);
    assert_false(node_plan_sends(&plan, &nothing, now_ns, random));
    (void)node_plan_on_done(&plan, NODE_UNSENT, now_ns, random);
    return plan;
}

TEST_CASE(nothing_is_done_before_the_start)
{
    struct node_plan plan;
    node_plan_init(&plan, true, PERIOD_NS, REPORT_NS);
    node_plan_wake(&plan, true);
    assert_int_equal(node_plan_next(&plan, START_NS).wait_ns, -1);
    node_plan_init(&plan, false, PERIOD_NS, REPORT_NS);
    node_plan_start(&plan, START_NS);
    assert_int_equal(node_plan_next(&plan, START_NS).wait_ns, -1);
    assert_true(node_plan_seen(&plan, START_NS));
    assert_false(node_plan_seen(&plan, START_NS));
    assert_int_equal(node_plan_next(&plan, START_NS).action, NODE_UPDATE);
}

TEST_CASE(how_registering_goes_on)
{
    static const struct {
        const char *name;
        enum node_outcome outcomes[3]; /* to the first that is OK or FAILED */
        enum node_action actions[3];
        bool is_registered;
    } rows[] = {
        {"made", {NODE_OK}, {NODE_CREATE}, true},
        {"refused", {NODE_FAILED}, {NODE_CREATE}, false},
        {"there already",
         {NODE_EXISTS, NODE_OK, NODE_OK},
         {NODE_CREATE, NODE_READ, NODE_RECONCILE},
         true},
        {"there already, as it should be",
         {NODE_EXISTS, NODE_OK, NODE_UNSENT},
         {NODE_CREATE, NODE_READ, NODE_RECONCILE},
         true},
        {"there, but not to be read", {NODE_EXISTS, NODE_FAILED}, {NODE_CREATE, NODE_READ}, false},
        {"not to be reconciled",
         {NODE_EXISTS, NODE_OK, NODE_FAILED},
         {NODE_CREATE, NODE_READ, NODE_RECONCILE},
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct node_plan plan;
        node_plan_init(&plan, true, PERIOD_NS, REPORT_NS);
        node_plan_start(&plan, START_NS);
        struct node_verdict verdict = {0};
        for (size_t k = 0; k < 3 && rows[i].actions[k] != NODE_REST; k++) {
            if (node_plan_next(&plan, START_NS).action != rows[i].actions[k])
                fail_msg("%s: step %zu", rows[i].name, k);
            verdict = node_plan_on_done(&plan, rows[i].outcomes[k], START_NS, 0);
        }
        assert_int_equal(verdict.is_registered, rows[i].is_registered);
        assert_int_equal(plan.is_registered, rows[i].is_registered);
        struct node_step step = node_plan_next(&plan, START_NS);
        if (!rows[i].is_registered) {
            assert_int_equal(step.action, NODE_REST);
            assert_int_equal(step.wait_ns, 100 * NS_PER_MS);
            step = node_plan_next(&plan, START_NS + step.wait_ns);
            assert_int_equal(step.action, NODE_CREATE);
        } else {
            assert_int_equal(step.action, NODE_UPDATE);
        }
    }
}

TEST_CASE(what_is_found_is_sent_by_its_weight)
{
    static const struct {
        const char *name;
        const struct node_difference *found;
        bool is_quick, is_hurried, sends;
        int64_t age_ns; /* of the last report */
    } rows[] = {
        {"nothing, on a wake", &nothing, true, false, false, 0},
        {"nothing, though hurried", &nothing, true, true, false, 0},
        {"nothing, on a wake, report due", &nothing, true, false, false, REPORT_NS},
        {"images, on a wake", &images, true, false, false, 0},
        {"images, hurried", &images, true, true, true, 0},
        {"a flip, on a wake", &flip, true, false, true, 0},
        {"nothing, in a period", &nothing, false, false, false, 0},
        {"images, in a period", &images, false, false, true, 0},
        {"a flip, in a period", &flip, false, false, true, 0},
        {"nothing, report not due", &nothing, false, false, false, REPORT_NS / 2 - NS_PER_SEC},
        {"nothing, report due", &nothing, false, false, true, REPORT_NS / 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct node_plan plan = registered_plan(START_NS, 0);
        int64_t now_ns = START_NS + rows[i].age_ns;
        plan.due_ns = rows[i].is_quick ? INT64_MAX : now_ns;
        node_plan_wake(&plan, rows[i].is_hurried);
        struct node_step step = node_plan_next(&plan, now_ns);
        assert_int_equal(step.action, NODE_UPDATE);
        assert_int_equal(step.starts_period, !rows[i].is_quick);
        if (node_plan_sends(&plan, rows[i].found, now_ns, 0) != rows[i].sends)
            fail_msg("%s", rows[i].name);
    }
}

/* The first report, and those after a change, come half a period early to half a period late. */
TEST_CASE(reports_are_scattered_by_changes_only)
{
    static const struct {
        uint64_t random;
        int64_t due_ns; /* after the change */
    } rows[] = {{0, REPORT_NS / 2},
                {REPORT_NS / 2, REPORT_NS},
                {REPORT_NS - 1, REPORT_NS + REPORT_NS / 2 - 1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct node_plan plan = registered_plan(START_NS, rows[i].random);
        int64_t due_ns = START_NS + rows[i].due_ns;
        for (int k = -1; k <= 0; k++) {
            plan.due_ns = due_ns + k;
            (void)node_plan_next(&plan, due_ns + k);
            assert_int_equal(node_plan_sends(&plan, &nothing, due_ns + k, rows[i].random), k == 0);
            (void)node_plan_on_done(&plan, k == 0 ? NODE_OK : NODE_UNSENT, due_ns + k, 0);
        }
        plan.due_ns = due_ns + REPORT_NS - 1;
        (void)node_plan_next(&plan, plan.due_ns);
        assert_false(node_plan_sends(&plan, &nothing, due_ns + REPORT_NS - 1, rows[i].random));
    }
}

TEST_CASE(a_period_is_up_to_four_percent_longer)
{
    static const struct {
        uint64_t random;
        int64_t wait_ns;
    } rows[] = {{0, PERIOD_NS}, {399999999, PERIOD_NS + 399999999}, {400000000, PERIOD_NS}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct node_plan plan = registered_plan(START_NS, rows[i].random);
        assert_int_equal(node_plan_next(&plan, START_NS).wait_ns, rows[i].wait_ns);
    }
}

TEST_CASE(no_period_keeps_the_loop_busy)
{
    static const int64_t periods_ns[] = {INT64_MIN, -NS_PER_SEC, 0, 1};
    for (size_t i = 0; i < ARRAY_SIZE(periods_ns); i++) {
        struct node_plan plan;
        node_plan_init(&plan, true, periods_ns[i], REPORT_NS);
        node_plan_start(&plan, START_NS);
        (void)node_plan_next(&plan, START_NS);
        (void)node_plan_on_done(&plan, NODE_OK, START_NS, 0);
        (void)node_plan_next(&plan, START_NS);
        (void)node_plan_on_done(&plan, NODE_UNSENT, START_NS, 0);
        assert_int_equal(node_plan_next(&plan, START_NS).wait_ns, 100 * NS_PER_MS);
    }
}

TEST_CASE(a_wake_during_an_update_is_served_after_it)
{
    struct node_plan plan = registered_plan(START_NS, 0);
    node_plan_wake(&plan, false);
    assert_int_equal(node_plan_next(&plan, START_NS).action, NODE_UPDATE);
    assert_true(node_plan_sends(&plan, &flip, START_NS, 0));
    node_plan_wake(&plan, false);
    (void)node_plan_on_done(&plan, NODE_OK, START_NS + 1, 0);
    assert_int_equal(node_plan_next(&plan, START_NS + 1).action, NODE_UPDATE);
}

/* A look that a wake asks for and that finds a flip. */
static bool is_flip_sent(struct node_plan *plan, int64_t now_ns)
{
    node_plan_wake(plan, false);
    assert_int_equal(node_plan_next(plan, now_ns).action, NODE_UPDATE);
    bool is_sent = node_plan_sends(plan, &flip, now_ns, 0);
    (void)node_plan_on_done(plan, is_sent ? NODE_OK : NODE_UNSENT, now_ns, 0);
    return is_sent;
}

TEST_CASE(a_few_flips_are_told_at_once_and_many_one_a_second)
{
    struct node_plan plan = registered_plan(START_NS, 0);
    for (int i = 0; i < 3; i++)
        assert_true(is_flip_sent(&plan, START_NS));
    /* Flipped back: it waits for its second, and is not forgotten. */
    assert_false(is_flip_sent(&plan, START_NS + 1));
    assert_int_equal(node_plan_next(&plan, START_NS + 1).wait_ns, NS_PER_SEC - 1);
    for (int i = 1; i < 5; i++) {
        int64_t now_ns = START_NS + i * NS_PER_SEC;
        assert_false(is_flip_sent(&plan, now_ns - 1));
        assert_int_equal(node_plan_next(&plan, now_ns).action, NODE_UPDATE);
        assert_true(node_plan_sends(&plan, &flip, now_ns, 0));
        (void)node_plan_on_done(&plan, NODE_OK, now_ns, 0);
    }
    /* After a rest some are told at once again, but no more for a longer one. */
    plan.due_ns = INT64_MAX;
    for (int i = 0; i < 4; i++)
        assert_int_equal(is_flip_sent(&plan, START_NS + 3600 * NS_PER_SEC), i < 3);
}

TEST_CASE(an_object_that_goes_during_an_update_is_registered_again)
{
    static const enum node_outcome outcomes[] = {NODE_OK, NODE_FAILED, NODE_UNSENT, NODE_GONE};
    for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++) {
        struct node_plan plan = registered_plan(START_NS, 0);
        int64_t now_ns = START_NS + 100 * NS_PER_SEC;
        assert_int_equal(node_plan_next(&plan, now_ns).action, NODE_UPDATE);
        assert_true(node_plan_gone(&plan, now_ns));
        assert_false(node_plan_gone(&plan, now_ns));
        struct node_verdict verdict = node_plan_on_done(&plan, outcomes[i], now_ns, 0);
        assert_false(verdict.is_gone || verdict.resets_connection || verdict.is_given_up);
        assert_int_equal(node_plan_next(&plan, now_ns).action, NODE_CREATE);
    }
}

TEST_MAIN(TEST(nothing_is_done_before_the_start), TEST(how_registering_goes_on),
          TEST(what_is_found_is_sent_by_its_weight), TEST(reports_are_scattered_by_changes_only),
          TEST(a_period_is_up_to_four_percent_longer), TEST(no_period_keeps_the_loop_busy),
          TEST(a_wake_during_an_update_is_served_after_it),
          TEST(a_few_flips_are_told_at_once_and_many_one_a_second),
          TEST(an_object_that_goes_during_an_update_is_registered_again))
