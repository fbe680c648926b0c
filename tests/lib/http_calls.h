/*
 * A client under test and what becomes of its calls, for tests that play the server.
 *
 *     AUTO(http_bench) struct http_bench bench;
 *     http_bench_init(&bench, &(struct http_client_options){.host = "127.0.0.1", .port = port});
 *     struct http_record record = {0};
 *     http_bench_start(&bench, &record, "GET", "/");
 */
#pragma once

#include "base/buf.h"
#include "tests/lib/test.h"
#include "wire/http_client.h"

#define HTTP_BENCH_WAIT_NS (5 * NS_PER_SEC) /* how long a hang takes to be seen */
#define HTTP_BENCH_MAX_TURNS 200000
#define HTTP_BENCH_FOREVER_NS (600 * NS_PER_SEC)

struct http_bench {
    struct loop *loop;
    struct work_pool *pool;
    struct http_client *client;
};

enum http_record_event { HTTP_ON_NOTHING, HTTP_ON_RESPONSE, HTTP_ON_DATA, HTTP_ON_END };

/* One call; a zeroed one to begin with. What it is told to do, it does once. */
struct http_record {
    struct http_bench *bench;
    struct http_call *call; /* NULL: over */
    enum http_record_event cancel_on, free_on, pause_on, restart_on;
    size_t responses, pieces, ends;
    unsigned status;
    char *field; /* the response's "x-test" */
    struct buf data;
    char *error; /* NULL: complete */
    enum error_code code;
    bool is_unsent, is_reset;
};

static inline UNUSED void http_bench_start(struct http_bench *bench, struct http_record *record,
                                           const char *method, const char *target);

static inline UNUSED void http_record_act(struct http_record *record, enum http_record_event event)
{
    if (record->pause_on == event && event != HTTP_ON_NOTHING) {
        record->pause_on = HTTP_ON_NOTHING;
        http_call_pause(record->call, true);
    }
    if (record->cancel_on == event)
        http_call_cancel(TAKE(record->call));
    if (record->free_on == event && record->bench->client)
        http_client_free(TAKE(record->bench->client));
    if (record->restart_on == event) {
        record->restart_on = HTTP_ON_NOTHING;
        http_bench_start(record->bench, record, "GET", "/again");
    }
}

static inline UNUSED void http_record_on_response(void *ctx, unsigned status,
                                                  const struct http_fields *fields)
{
    struct http_record *record = ctx;
    record->responses++;
    record->status = status;
    free(record->field);
    record->field = xstrdup(http_fields_get(fields, "x-test"));
    http_record_act(record, HTTP_ON_RESPONSE);
    for (size_t i = 0; i < fields->count; i++) /* still there, whatever we did */
        (void)strlen(fields->items[i].value);
}

static inline UNUSED void http_record_on_data(void *ctx, struct str bytes)
{
    struct http_record *record = ctx;
    record->pieces++;
    http_record_act(record, HTTP_ON_DATA);
    buf_add_str(&record->data, bytes);
}

static inline UNUSED void http_record_on_end(void *ctx, const struct http_call_end *end)
{
    struct http_record *record = ctx;
    record->ends++;
    record->call = NULL;
    free(record->error);
    record->error = end->err ? xstrdup(end->err->message) : NULL;
    record->code = end->err ? end->err->code : 0;
    record->is_unsent = end->is_unsent;
    record->is_reset = end->is_reset;
    http_record_act(record, HTTP_ON_END);
}

static const struct http_call_events http_record_events = {.on_response = http_record_on_response,
                                                           .on_data = http_record_on_data,
                                                           .on_end = http_record_on_end};

static inline UNUSED void http_bench_start_with(struct http_bench *bench,
                                                struct http_record *record,
                                                const struct http_call_options *options)
{
    record->bench = bench;
    if (record->data.max_len == 0)
        buf_init(&record->data, 64 * MiB);
    size_t before = record->responses + record->pieces + record->ends;
    record->call = http_call_start(bench->client, options, &http_record_events, record);
    assert_int_equal(record->responses + record->pieces + record->ends, before);
}

static inline UNUSED void http_bench_start(struct http_bench *bench, struct http_record *record,
                                           const char *method, const char *target)
{
    http_bench_start_with(bench, record,
                          &(struct http_call_options){.method = method, .target = target});
}

static inline UNUSED void http_record_done(struct http_record *record)
{
    buf_done(&record->data);
    free(TAKE(record->field));
    free(TAKE(record->error));
}

static inline UNUSED void auto_release_http_record(struct http_record *record)
{
    http_record_done(record);
}

static inline UNUSED void http_bench_init(struct http_bench *bench,
                                          const struct http_client_options *options)
{
    *bench = (struct http_bench){0};
    assert_no_error(loop_new(&bench->loop));
    bench->pool = work_pool_new(bench->loop, 0);
    assert_no_error(http_client_new(bench->loop, bench->pool, options, &bench->client));
}

static inline UNUSED void http_bench_done(struct http_bench *bench)
{
    http_client_free(TAKE(bench->client));
    work_pool_free(TAKE(bench->pool), 0);
    loop_free(TAKE(bench->loop));
}

static inline UNUSED void auto_release_http_bench(struct http_bench *bench)
{
    if (bench->loop)
        http_bench_done(bench);
}

/** Turns the bench's loop until @condition holds; fails after too many turns. */
#define TURN_UNTIL(bench, condition)                                                               \
    do {                                                                                           \
        for (size_t turns = 0; !(condition); turns++) {                                            \
            assert_true(turns < HTTP_BENCH_MAX_TURNS);                                             \
            loop_turn((bench)->loop, HTTP_BENCH_WAIT_NS);                                          \
        }                                                                                          \
    } while (0)

/** Lets everything happen that is going to without anybody's doing more. */
static inline UNUSED void http_bench_settle(struct http_bench *bench)
{
    for (size_t i = 0; i < 12; i++)
        loop_turn(bench->loop, 0);
}
