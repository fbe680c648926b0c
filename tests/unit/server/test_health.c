#include "server/health.h"

#include "tests/lib/test.h"

static const struct health_facts well = {.now_ns = 1000 * NS_PER_SEC,
                                         .sync_frequency_ns = 60 * NS_PER_SEC};
static const struct health_facts ping_only = {
    .is_ping_only = true, .now_ns = 1000 * NS_PER_SEC, .runtime_lost_ns = 1 * NS_PER_SEC};
static const struct health_facts ill = {.is_runtime_lost = true,
                                        .now_ns = 1000 * NS_PER_SEC,
                                        .runtime_lost_ns = 699 * NS_PER_SEC,
                                        .sync_frequency_ns = 60 * NS_PER_SEC};

TEST_CASE(answers_are_a_kubelets_word_for_word)
{
    static const struct {
        const struct health_facts *facts;
        const char *check, *target, *want;
        unsigned status;
    } rows[] = {
        {&well, "", "/healthz", "ok", 200},
        {&well, "syncloop", "/healthz/syncloop", "ok", 200},
        {&well, "", "/healthz?verbose",
         "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n", 200},
        {&ill, "", "/healthz",
         "[+]ping ok\n[+]log ok\n[-]syncloop failed: reason withheld\nhealthz check failed", 500},
        {&ill, "ping", "/healthz/ping", "ok", 200},
        {&ill, "syncloop", "/healthz/syncloop",
         "internal server error: sync Loop took longer than expected", 500},
        {&ill, "", "/healthz?exclude=syncloop", "ok", 200},
        {&ill, "", "/healthz?exclude=syncloop&exclude=b&exclude=a&exclude=b&verbose=1",
         "[+]ping ok\n[+]log ok\n[+]syncloop excluded: ok\n"
         "warn: some health checks cannot be excluded: no matches for \"a\",\"b\"\n"
         "healthz check passed\n",
         200},
        {&well, "", "/healthz?exclude=x", "ok", 200},
        {&ping_only, "", "/healthz", "ok", 200},
        {&ping_only, "", "/healthz?verbose&exclude=log",
         "[+]ping ok\nwarn: some health checks cannot be excluded: no matches for \"log\"\n"
         "healthz check passed\n",
         200},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        AUTO(buf) struct buf out;
        buf_init(&out, 4 * KiB);
        struct http_target target;
        struct health_report report;
        assert_null(http_target_parse(str_from(rows[i].target), arena, &target));
        health_answer(rows[i].facts, rows[i].check, &target, &out, &report);
        assert_string_equal(buf_text(&out), rows[i].want);
        assert_int_equal(report.status, rows[i].status);
        assert_int_equal(report.is_plain_error, rows[i].status == 500);
        assert_int_equal(report.count, rows[i].check[0]              ? 0
                                       : rows[i].facts->is_ping_only ? 1
                                                                     : HEALTH_MAX_CHECKS);
    }
}

TEST_CASE(a_runtime_may_be_away_for_as_long_as_two_rounds_and_five_minutes)
{
    static const struct {
        int64_t sync_s, away_s;
        bool is_lost, want;
    } rows[] = {{60, 300, true, true},
                {60, 301, true, false},
                {200, 400, true, true},
                {200, 401, true, false},
                {60, 5000, false, true}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct health_facts facts = {.now_ns = 9000 * NS_PER_SEC,
                                     .is_runtime_lost = rows[i].is_lost,
                                     .runtime_lost_ns = (9000 - rows[i].away_s) * NS_PER_SEC,
                                     .sync_frequency_ns = rows[i].sync_s * NS_PER_SEC};
        AUTO(buf) struct buf out;
        buf_init(&out, 4 * KiB);
        struct http_target target = {.raw_query = ""};
        struct health_report report;
        health_answer(&facts, "syncloop", &target, &out, &report);
        assert_int_equal(report.status, rows[i].want ? 200 : 500);
    }
}

TEST_MAIN(TEST(answers_are_a_kubelets_word_for_word),
          TEST(a_runtime_may_be_away_for_as_long_as_two_rounds_and_five_minutes))
