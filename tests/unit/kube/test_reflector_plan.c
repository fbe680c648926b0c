/*
 * The table of client-go's reflector, as transcripts: each line is an event and what follows from
 * it, on a clock that the script moves.
 */
#include "kube/reflector_plan.h"

#include "base/buf.h"
#include "kube/api_error.h"
#include "tests/lib/test.h"

/* One event of a script. */
struct line {
    int64_t after_ms; /* time passes first */
    struct reflector_event event;
    const char *want;
};

#define START                                                                                      \
    {                                                                                              \
        .type = REFLECTOR_START                                                                    \
    }
#define TIMER                                                                                      \
    {                                                                                              \
        .type = REFLECTOR_TIMER                                                                    \
    }
#define PAGE(v, next)                                                                              \
    {                                                                                              \
        .type = REFLECTOR_PAGE, .version = (v), .next_page = (next)                                \
    }
#define LIST_FAILED(f)                                                                             \
    {                                                                                              \
        .type = REFLECTOR_LIST_FAILED, .failure = (f)                                              \
    }
#define ADDED(v)                                                                                   \
    {                                                                                              \
        .type = REFLECTOR_OBJECT, .version = (v), .is_added = true                                 \
    }
#define CHANGED(v)                                                                                 \
    {                                                                                              \
        .type = REFLECTOR_OBJECT, .version = (v)                                                   \
    }
#define BOOKMARK(v)                                                                                \
    {                                                                                              \
        .type = REFLECTOR_BOOKMARK, .version = (v)                                                 \
    }
#define INITIAL_END(v)                                                                             \
    {                                                                                              \
        .type = REFLECTOR_BOOKMARK, .version = (v), .ends_initial = true                           \
    }
#define SKIPPED                                                                                    \
    {                                                                                              \
        .type = REFLECTOR_SKIPPED                                                                  \
    }
#define CLOSED                                                                                     \
    {                                                                                              \
        .type = REFLECTOR_CLOSED                                                                   \
    }
#define FAILED(f)                                                                                  \
    {                                                                                              \
        .type = REFLECTOR_WATCH_FAILED, .failure = (f)                                             \
    }
#define OVERFULL                                                                                   \
    {                                                                                              \
        .type = REFLECTOR_OVERFULL                                                                 \
    }

#define LIST_0 "list limit=500&resourceVersion=0 new"
#define LIST_NEWEST "list limit=500 new"
#define STREAM_NEW                                                                                 \
    "stream 300s allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&"                      \
    "sendInitialEvents=true new"
#define STREAM(v)                                                                                  \
    "stream 300s allowWatchBookmarks=true&resourceVersion=" v                                      \
    "&resourceVersionMatch=NotOlderThan&sendInitialEvents=true new"
#define WATCH(v) "watch 300s allowWatchBookmarks=true&resourceVersion=" v
#define SECOND 1000

static void write_step(const struct reflector_plan *plan, const struct reflector_step *step,
                       struct buf *out)
{
    static const char *const names[] = {[REFLECTOR_GO_ON] = "go on",
                                        [REFLECTOR_LIST] = "list",
                                        [REFLECTOR_STREAM] = "stream",
                                        [REFLECTOR_WATCH] = "watch",
                                        [REFLECTOR_WAIT] = "wait"};
    buf_add_text(out, names[step->action]);
    if (step->timeout_ns)
        buf_printf(out, " %llds", (long long)(step->timeout_ns / NS_PER_SEC));
    if (step->action == REFLECTOR_WAIT)
        buf_printf(out, " %lldms", (long long)(step->wait_ns / NS_PER_MS));
    if (step->action == REFLECTOR_LIST || step->action == REFLECTOR_STREAM ||
        step->action == REFLECTOR_WATCH) {
        buf_add_char(out, ' ');
        reflector_plan_query(plan, "", out);
    }
    buf_add_text(out, step->begins_collect ? " new" : "");
    buf_add_text(out, step->is_complete ? " complete" : "");
    buf_add_text(out, step->is_very_short ? " short" : "");
}

static void run(bool is_streaming_off, const struct line *lines, size_t count)
{
    struct reflector_plan plan;
    int64_t now_ns = 1000 * NS_PER_SEC;
    reflector_plan_init(&plan, 300 * NS_PER_SEC, 600 * NS_PER_SEC);
    plan.is_streaming_off = is_streaming_off;
    for (size_t i = 0; i < count; i++) {
        AUTO(buf) struct buf got;
        buf_init(&got, 4 * KiB);
        now_ns += lines[i].after_ms * NS_PER_MS;
        struct reflector_step step = reflector_plan_step(&plan, &lines[i].event, now_ns, 0);
        write_step(&plan, &step, &got);
        if (strcmp(buf_text(&got), lines[i].want) != 0)
            fail_msg("line %zu: got \"%s\", want \"%s\"", i, buf_text(&got), lines[i].want);
    }
    reflector_plan_done(&plan);
}

#define RUN(is_streaming_off, ...)                                                                 \
    do {                                                                                           \
        static const struct line script[] = {__VA_ARGS__};                                         \
        run(is_streaming_off, script, ARRAY_SIZE(script));                                         \
    } while (0)

TEST_CASE(a_stream_becomes_a_watch_and_watches_follow_one_another)
{
    RUN(false, {0, START, STREAM_NEW}, {0, ADDED("7"), "go on"}, {0, ADDED("3"), "go on"},
        {0, INITIAL_END("9"), "go on complete"}, {0, CHANGED("10"), "go on"},
        {300 * SECOND, CLOSED, WATCH("10")}, {0, BOOKMARK("15"), "go on"},
        {300 * SECOND, CLOSED, WATCH("15")}, {300 * SECOND, CLOSED, WATCH("15")},
        {0, ADDED("16"), "go on"}, {300 * SECOND, CLOSED, WATCH("16")});
}

TEST_CASE(a_server_without_streams_is_listed_and_watched)
{
    RUN(false, {0, START, STREAM_NEW}, {0, FAILED(REFLECTOR_REFUSED), LIST_0},
        {0, PAGE("271", NULL), WATCH("271") " complete"}, {0, CHANGED("272"), "go on"},
        {300 * SECOND, CLOSED, WATCH("272")},
        /* The next cycle asks for a stream again. */
        {0, FAILED(REFLECTOR_REFUSED), "wait 800ms"}, {0, TIMER, STREAM("272")},
        {0, FAILED(REFLECTOR_REFUSED), "list resourceVersion=272 new"},
        {0, PAGE("280", ""), WATCH("280") " complete"});
}

TEST_CASE(pages_follow_pages)
{
    RUN(true, {0, START, LIST_0}, {0, PAGE("5", "a&b"), "list continue=a%26b&limit=500"},
        {0, PAGE("5", "c"), "list continue=c&limit=500"},
        {0, PAGE("5", ""), WATCH("5") " complete"},
        /* A server that pages from its cache is asked for pages of any version. */
        {0, FAILED(REFLECTOR_EXPIRED), "wait 800ms"},
        {800, TIMER, "list limit=500&resourceVersion=5 new"},
        {0, PAGE("9", NULL), WATCH("9") " complete"});
}

TEST_CASE(a_list_whose_pages_expire_is_read_at_once)
{
    RUN(true, {0, START, LIST_0}, {0, PAGE("5", "c"), "list continue=c&limit=500"},
        {0, LIST_FAILED(REFLECTOR_EXPIRED), "list resourceVersion=0 new"},
        {0, PAGE("8", NULL), WATCH("8") " complete"});
}

TEST_CASE(a_list_of_a_version_that_is_lost_asks_for_the_newest)
{
    RUN(true, {0, START, LIST_0}, {0, PAGE("5", NULL), WATCH("5") " complete"},
        {0, FAILED(REFLECTOR_EXPIRED), "wait 800ms"}, {800, TIMER, "list resourceVersion=5 new"},
        {0, LIST_FAILED(REFLECTOR_EXPIRED), LIST_NEWEST},
        {0, LIST_FAILED(REFLECTOR_EXPIRED), "wait 1600ms"}, {1600, TIMER, LIST_NEWEST},
        {0, LIST_FAILED(REFLECTOR_REFUSED), "wait 3200ms"}, {3200, TIMER, LIST_NEWEST},
        {0, PAGE("77", NULL), WATCH("77") " complete"},
        {0, FAILED(REFLECTOR_REFUSED), "wait 6400ms"},
        {6400, TIMER, "list resourceVersion=77 new"});
}

TEST_CASE(a_stream_of_a_version_that_is_lost_asks_for_any)
{
    RUN(false, {0, START, STREAM_NEW}, {0, INITIAL_END("9"), "go on complete"},
        {5 * SECOND, FAILED(REFLECTOR_EXPIRED), "wait 800ms"}, {800, TIMER, STREAM("9")},
        {0, FAILED(REFLECTOR_EXPIRED), STREAM_NEW}, {0, INITIAL_END("30"), "go on complete"},
        {5 * SECOND, FAILED(REFLECTOR_REFUSED), "wait 1600ms"}, {1600, TIMER, STREAM("30")});
}

TEST_CASE(a_stream_that_can_never_be_does_not_spin)
{
    RUN(false, {0, START, STREAM_NEW}, {0, FAILED(REFLECTOR_EXPIRED), "wait 800ms"},
        {800, TIMER, STREAM_NEW}, {0, FAILED(REFLECTOR_EXPIRED), "wait 1600ms"});
}

TEST_CASE(nobody_there_and_too_many_requests_are_waited_out)
{
    RUN(false, {0, START, STREAM_NEW}, {0, FAILED(REFLECTOR_UNREACHED), "wait 800ms"},
        {800, TIMER, STREAM_NEW}, {0, FAILED(REFLECTOR_THROTTLED), "wait 800ms"},
        {800, TIMER, STREAM_NEW}, {0, FAILED(REFLECTOR_THROTTLED), "wait 1600ms"},
        {1600, TIMER, STREAM_NEW}, {0, INITIAL_END("9"), "go on complete"},
        {300 * SECOND, CLOSED, WATCH("9")},
        /* Not asked for two minutes, the back-off has started over. */
        {0, FAILED(REFLECTOR_UNREACHED), "wait 800ms"}, {800, TIMER, WATCH("9")},
        {0, FAILED(REFLECTOR_THROTTLED), "wait 800ms"}, {800, TIMER, WATCH("9")});
}

/* However long it has been away and whatever is drawn: the last rest, and the one that an expired
 * version costs. The transport's pause, of up to a second, comes on top. */
TEST_CASE(a_server_that_comes_back_is_found_within_seconds)
{
    const uint64_t most = NS_PER_SEC - 1;
    int64_t now_ns = 1000 * NS_PER_SEC;
    struct reflector_event lost = FAILED(REFLECTOR_UNREACHED), end = INITIAL_END("9");
    struct reflector_plan plan;
    struct reflector_step step;
    reflector_plan_init(&plan, 300 * NS_PER_SEC, 600 * NS_PER_SEC);
    (void)reflector_plan_step(&plan, &(struct reflector_event)START, now_ns, 0);
    (void)reflector_plan_step(&plan, &end, now_ns, 0);
    for (int i = 0; i < 5000; i++) {
        step = reflector_plan_step(&plan, &lost, now_ns, i % 2 ? most : most * 4 / 5);
        assert_int_equal(step.action, REFLECTOR_WAIT);
        assert_in_range(step.wait_ns, 800 * NS_PER_MS, 2 * NS_PER_SEC);
        now_ns += step.wait_ns;
        step = reflector_plan_step(&plan, &(struct reflector_event)TIMER, now_ns, 0);
        assert_int_equal(step.action, REFLECTOR_WATCH);
    }
    step = reflector_plan_step(&plan, &(struct reflector_event)FAILED(REFLECTOR_EXPIRED), now_ns,
                               most * 4 / 5);
    assert_in_range(step.wait_ns, 800 * NS_PER_MS, 1600 * NS_PER_MS);
    step = reflector_plan_step(&plan, &(struct reflector_event)TIMER, now_ns, 0);
    assert_int_equal(step.action, REFLECTOR_STREAM);
    reflector_plan_done(&plan);
}

TEST_CASE(a_server_that_wants_more_time_gets_it)
{
    struct reflector_event later = FAILED(REFLECTOR_THROTTLED);
    struct reflector_plan plan;
    reflector_plan_init(&plan, 300 * NS_PER_SEC, 600 * NS_PER_SEC);
    (void)reflector_plan_step(&plan, &(struct reflector_event)START, 0, 0);
    later.retry_after_ns = 5 * NS_PER_SEC;
    assert_int_equal(reflector_plan_step(&plan, &later, 0, 0).wait_ns, 5 * NS_PER_SEC);
    (void)reflector_plan_step(&plan, &(struct reflector_event)TIMER, 0, 0);
    later.retry_after_ns = INT64_MAX;
    assert_int_equal(reflector_plan_step(&plan, &later, 0, 0).wait_ns, 120 * NS_PER_SEC);
    (void)reflector_plan_step(&plan, &(struct reflector_event)TIMER, 0, 0);
    later.retry_after_ns = 1;
    assert_int_equal(reflector_plan_step(&plan, &later, 0, 0).wait_ns, 3200 * NS_PER_MS);
    reflector_plan_done(&plan);
}

TEST_CASE(a_list_nobody_answers_ends_the_cycle)
{
    RUN(true, {0, START, LIST_0}, {0, LIST_FAILED(REFLECTOR_UNREACHED), "wait 800ms"},
        {800, TIMER, LIST_0}, {0, LIST_FAILED(REFLECTOR_THROTTLED), "wait 800ms"},
        {800, TIMER, LIST_0}, {0, LIST_FAILED(REFLECTOR_UNREACHED), "wait 1000ms"},
        {1000, TIMER, LIST_0});
}

TEST_CASE(a_very_short_watch_is_a_failure)
{
    RUN(false, {0, START, STREAM_NEW}, {0, INITIAL_END("9"), "go on complete"},
        {999, CLOSED, "wait 800ms short"}, {800, TIMER, STREAM("9")},
        /* Of a stream: lists instead. */
        {999, CLOSED, "list resourceVersion=9 new short"},
        {0, PAGE("9", NULL), WATCH("9") " complete"}, {1000, CLOSED, WATCH("9")},
        /* Something was heard: it goes on, but not in haste. */
        {0, BOOKMARK("11"), "go on"}, {0, CLOSED, "wait 1600ms"}, {1600, TIMER, WATCH("11")},
        {0, SKIPPED, "go on"}, {0, CLOSED, "wait 3200ms"}, {3200, TIMER, WATCH("11")});
}

TEST_CASE(a_stream_that_ends_before_its_time_is_asked_again)
{
    RUN(false, {0, START, STREAM_NEW}, {0, ADDED("4"), "go on"},
        {400 * SECOND, CLOSED, "wait 800ms"}, {800, TIMER, STREAM_NEW});
}

TEST_CASE(a_watch_from_nowhere_is_not_led_by_new_objects)
{
    /* Nor gone on with: what is deleted between two of them would be missed. */
    RUN(true, {0, START, LIST_0},
        {0, PAGE("", NULL), "watch 300s allowWatchBookmarks=true complete"},
        {0, ADDED("9"), "go on"}, {2 * SECOND, CLOSED, "wait 800ms"}, {800, TIMER, LIST_0},
        {0, PAGE("0", NULL), "watch 300s allowWatchBookmarks=true&resourceVersion=0 complete"},
        {0, ADDED("9"), "go on"}, {0, FAILED(REFLECTOR_UNREACHED), "wait 800ms"},
        {800, TIMER, LIST_0}, {0, PAGE("", NULL), "watch 300s allowWatchBookmarks=true complete"},
        {0, ADDED("9"), "go on"}, {0, CHANGED("12"), "go on"}, {0, ADDED("13"), "go on"},
        {2 * SECOND, CLOSED, WATCH("13")});
}

TEST_CASE(a_full_store_ends_the_cycle)
{
    RUN(false, {0, START, STREAM_NEW}, {0, OVERFULL, "wait 800ms"}, {800, TIMER, STREAM_NEW},
        {0, INITIAL_END("3"), "go on complete"}, {0, OVERFULL, "wait 1600ms"},
        {1600, TIMER, STREAM("3")}, {0, FAILED(REFLECTOR_REFUSED), "list resourceVersion=3 new"},
        {0, OVERFULL, "wait 3200ms"});
}

TEST_CASE(what_comes_too_late_changes_nothing)
{
    RUN(false, {0, TIMER, "go on"}, {0, PAGE("1", NULL), "go on"}, {0, CLOSED, "go on"},
        {0, START, STREAM_NEW}, {0, START, "go on"}, {0, TIMER, "go on"},
        {0, PAGE("1", NULL), "go on"}, {0, LIST_FAILED(REFLECTOR_REFUSED), "go on"},
        {0, FAILED(REFLECTOR_REFUSED), LIST_0}, {0, CLOSED, "go on"}, {0, ADDED("3"), "go on"},
        {0, OVERFULL, "wait 800ms"}, {0, OVERFULL, "go on"}, {0, CLOSED, "go on"});
}

TEST_CASE(watch_times_and_rests_are_drawn)
{
    struct reflector_plan plan;
    reflector_plan_init(&plan, 1800 * NS_PER_SEC, 3600 * NS_PER_SEC);
    struct reflector_step step =
        reflector_plan_step(&plan, &(struct reflector_event)START, 0, 1799);
    assert_int_equal(step.timeout_ns, 3599 * NS_PER_SEC);
    step = reflector_plan_step(&plan, &(struct reflector_event)OVERFULL, 0, 799 * NS_PER_MS);
    assert_int_equal(step.wait_ns, 1599 * NS_PER_MS);
    reflector_plan_done(&plan);
}

TEST_CASE(after_a_stop_the_version_is_still_known)
{
    struct reflector_plan plan;
    reflector_plan_init(&plan, 300 * NS_PER_SEC, 600 * NS_PER_SEC);
    (void)reflector_plan_step(&plan, &(struct reflector_event)START, 0, 0);
    (void)reflector_plan_step(&plan, &(struct reflector_event)INITIAL_END("44"), 0, 0);
    reflector_plan_stop(&plan);
    struct reflector_step step = reflector_plan_step(&plan, &(struct reflector_event)START, 0, 0);
    AUTO(buf) struct buf query;
    buf_init(&query, 4 * KiB);
    assert_int_equal(step.action, REFLECTOR_STREAM);
    reflector_plan_query(&plan, "fieldSelector=spec.nodeName%3Dnode-a", &query);
    assert_string_equal(buf_text(&query),
                        "allowWatchBookmarks=true&fieldSelector=spec.nodeName%3Dnode-a"
                        "&resourceVersion=44&resourceVersionMatch=NotOlderThan"
                        "&sendInitialEvents=true");
    reflector_plan_done(&plan);
}

TEST_CASE(failures_are_told_apart)
{
    Meta__StatusCause too_large = META__STATUS_CAUSE__INIT, other = META__STATUS_CAUSE__INIT;
    too_large.reason = (char *)"ResourceVersionTooLarge";
    other.message = (char *)"Too large resource version";
    Meta__StatusCause *by_reason[] = {&too_large}, *by_message[] = {&other};
    Meta__StatusDetails reason_details = META__STATUS_DETAILS__INIT,
                        message_details = META__STATUS_DETAILS__INIT;
    reason_details.n_causes = message_details.n_causes = 1;
    reason_details.causes = by_reason;
    message_details.causes = by_message;
    const struct {
        const char *name;
        unsigned http_status;
        const char *reason, *message;
        Meta__StatusDetails *details;
        enum reflector_failure want;
    } rows[] = {
        {"gone", 410, "Gone", "too old resource version: 1 (7)", NULL, REFLECTOR_EXPIRED},
        {"expired", 410, "Expired", "too old resource version: 1 (7)", NULL, REFLECTOR_EXPIRED},
        {"an ERROR event of 410", 0, "Expired", "too old", NULL, REFLECTOR_EXPIRED},
        {"too large by its cause", 504, "Timeout", "x", &reason_details, REFLECTOR_EXPIRED},
        {"too large by its cause's text", 504, "Timeout", "x", &message_details, REFLECTOR_EXPIRED},
        {"too large by its text", 504, "Timeout", "Too large resource version: 9, current: 3", NULL,
         REFLECTOR_EXPIRED},
        {"another timeout", 504, "Timeout", "request did not complete", NULL, REFLECTOR_REFUSED},
        {"throttled", 429, "TooManyRequests", "later", NULL, REFLECTOR_THROTTLED},
        {"an ERROR event of 429", 0, "TooManyRequests", "later", NULL, REFLECTOR_THROTTLED},
        {"no such parameter", 422, "Invalid", "sendInitialEvents is forbidden", NULL,
         REFLECTOR_REFUSED},
        {"forbidden", 403, "Forbidden", "no", NULL, REFLECTOR_REFUSED},
        {"an ERROR event of 500", 0, "InternalError", "etcd", NULL, REFLECTOR_REFUSED},
        {"the server shuts down", 503, "ServiceUnavailable", "x", NULL, REFLECTOR_REFUSED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Meta__Status status = META__STATUS__INIT;
        print_message("%s\n", rows[i].name);
        status.reason = (char *)rows[i].reason;
        status.message = (char *)rows[i].message;
        status.details = rows[i].details;
        AUTO(error) struct error *err = api_error_from_status(&status, rows[i].http_status);
        assert_int_equal(reflector_failure_of(err, rows[i].http_status, &status), rows[i].want);
    }
    AUTO(error) struct error *refused = error_new(ERROR_UNAVAILABLE, "connection refused");
    assert_int_equal(reflector_failure_of(refused, 0, NULL), REFLECTOR_UNREACHED);
    AUTO(error) struct error *late = error_new(ERROR_DEADLINE_EXCEEDED, "no answer");
    assert_int_equal(reflector_failure_of(late, 0, NULL), REFLECTOR_UNREACHED);
    AUTO(error) struct error *full = error_new(ERROR_RESOURCE_EXHAUSTED, "the answer is too large");
    assert_int_equal(reflector_failure_of(full, 0, NULL), REFLECTOR_REFUSED);
}

TEST_MAIN(TEST(a_stream_becomes_a_watch_and_watches_follow_one_another),
          TEST(a_server_without_streams_is_listed_and_watched), TEST(pages_follow_pages),
          TEST(a_list_whose_pages_expire_is_read_at_once),
          TEST(a_list_of_a_version_that_is_lost_asks_for_the_newest),
          TEST(a_stream_of_a_version_that_is_lost_asks_for_any),
          TEST(a_stream_that_can_never_be_does_not_spin),
          TEST(nobody_there_and_too_many_requests_are_waited_out),
          TEST(a_server_that_comes_back_is_found_within_seconds),
          TEST(a_server_that_wants_more_time_gets_it), TEST(a_list_nobody_answers_ends_the_cycle),
          TEST(a_very_short_watch_is_a_failure),
          TEST(a_stream_that_ends_before_its_time_is_asked_again),
          TEST(a_watch_from_nowhere_is_not_led_by_new_objects), TEST(a_full_store_ends_the_cycle),
          TEST(what_comes_too_late_changes_nothing), TEST(watch_times_and_rests_are_drawn),
          TEST(after_a_stop_the_version_is_still_known), TEST(failures_are_told_apart))
