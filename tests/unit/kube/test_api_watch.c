#include "api_bench.h"

#define POD(name) "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"" name "\"}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define ADDED(name) EVENT("ADDED", POD(name))

enum watch_record_act { WATCH_GO_ON, WATCH_CANCEL, WATCH_FREE_CLIENT, WATCH_FREE_ALL };

struct watch_record {
    struct api_bench *bench;
    struct api_watch *watch; /* NULL: over */
    size_t opens, events, failures, ends;
    char names[128]; /* of the objects, in order */
    enum watch_event_type last_type;
    char *last_failure;
    enum error_code code; /* of the end; 0: in order */
    char *message;
    unsigned http_status;
    bool has_status;
    enum watch_record_act act_on_open, act_on_event, act_on_end;
};

static void watch_act(struct watch_record *record, enum watch_record_act act)
{
    struct api_bench *bench = record->bench;
    if (act == WATCH_CANCEL)
        api_watch_cancel(TAKE(record->watch));
    if (act == WATCH_FREE_CLIENT || act == WATCH_FREE_ALL)
        api_client_free(TAKE(bench->client));
    if (act == WATCH_FREE_ALL)
        api_transport_free(TAKE(bench->transport));
}

static void on_open(void *ctx)
{
    struct watch_record *record = ctx;
    record->opens++;
    watch_act(record, record->act_on_open);
}

static void on_event(void *ctx, const struct watch_event *event, const struct error *err,
                     struct arena *arena)
{
    struct watch_record *record = ctx;
    assert_non_null(arena);
    assert_true((event == NULL) == (err != NULL));
    record->events += event ? 1 : 0;
    record->failures += err ? 1 : 0;
    if (err) {
        free(record->last_failure);
        record->last_failure = xstrdup(err->message);
    } else {
        const Meta__ObjectMeta *meta = kube_object_meta(event->object);
        size_t len = strlen(record->names);
        record->last_type = event->type;
        (void)snprintf(record->names + len, sizeof(record->names) - len, "%s ",
                       meta && meta->name ? meta->name : event->kind->kind);
    }
    watch_act(record, record->act_on_event);
}

static void on_end(void *ctx, struct api_result *result)
{
    struct watch_record *record = ctx;
    record->watch = NULL;
    record->ends++;
    record->code = result->err ? result->err->code : 0;
    record->message = xstrdup(result->err ? result->err->message : NULL);
    record->http_status = result->http_status;
    record->has_status = result->status != NULL;
    watch_act(record, record->act_on_end);
}

static const struct api_watch_events events = {
    .on_open = on_open, .on_event = on_event, .on_end = on_end};

static void auto_release_watch_record(struct watch_record *record)
{
    free(record->message);
    free(record->last_failure);
}

static void watch_pods(struct api_bench *bench, struct watch_record *record)
{
    const struct api_watch_request request = {.kind = kind_of("v1", "Pod")};
    record->bench = bench;
    record->watch = api_watch_start(bench->client, &request, &events, record);
}

static void start(struct api_bench *bench, enum api_bench_kind kind, struct api_step step)
{
    api_bench_init(bench, kind);
    bench->steps[0] = step;
    api_bench_connect(bench, NULL);
}

TEST_CASE(a_watch_is_asked_for_as_the_real_kubelet_does)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(watch_record) struct watch_record record = {.bench = &bench};
    start(&bench, API_BENCH_TLS, (struct api_step){.what = STEP_STREAM, .status = 200});
    const struct api_watch_request request = {
        .kind = kind_of("v1", "ConfigMap"),
        .namespace_ = "default",
        .query = "fieldSelector=metadata.name%3Dcm&allowWatchBookmarks=true&"
                 "resourceVersionMatch=NotOlderThan&sendInitialEvents=true",
        .timeout_ns = 2604 * NS_PER_SEC + 1};
    record.watch = api_watch_start(bench.client, &request, &events, &record);
    TURN_UNTIL(&bench, record.opens == 1);
    assert_string_equal(bench.seen[0].line,
                        "GET /api/v1/namespaces/default/configmaps?allowWatchBookmarks=true&"
                        "fieldSelector=metadata.name%3Dcm&resourceVersionMatch=NotOlderThan&"
                        "sendInitialEvents=true&timeout=43m24s&timeoutSeconds=2604&watch=true");
    assert_string_equal(bench.seen[0].accept,
                        "application/vnd.kubernetes.protobuf,application/json");
    api_watch_cancel(record.watch);
    TURN_UNTIL(&bench, bench.is_held_gone);
    assert_int_equal(record.ends, 0);
}

TEST_CASE(events_come_as_they_are_sent_until_the_server_ends_in_order)
{
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        AUTO(api_bench) struct api_bench bench;
        AUTO(watch_record) struct watch_record record = {0};
        start(&bench, is_tls ? API_BENCH_TLS : API_BENCH_PLAIN,
              (struct api_step){.what = STEP_STREAM,
                                .status = 200,
                                .content_type = "application/json;stream=watch",
                                .body = ADDED("a") ADDED("b") "{\"type\":"});
        watch_pods(&bench, &record);
        TURN_UNTIL(&bench, record.events == 2);
        http_exchange_write(bench.held, STR_LITERAL("\"DELETED\",\"object\":" POD("a") "}" EVENT(
                                            "BOOKMARK", POD("mark"))));
        TURN_UNTIL(&bench, record.events == 4);
        assert_int_equal(record.last_type, WATCH_BOOKMARK);
        assert_string_equal(record.names, "a b a mark ");
        http_exchange_finish(TAKE(bench.held));
        TURN_UNTIL(&bench, record.ends == 1);
        assert_int_equal(record.code, 0);
        assert_int_equal(record.http_status, 200);
        assert_int_equal(record.opens, 1);
    }
}

TEST_CASE(events_come_as_protobuf)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(watch_record) struct watch_record record = {0};
    AUTO(buf) struct buf frames;
    buf_init(&frames, MiB);
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    char name[] = "a";
    meta.name = name;
    Core__Pod pod = CORE__POD__INIT;
    pod.metadata = &meta;
    const struct watch_event event = {
        .type = WATCH_MODIFIED, .kind = kind_of("v1", "Pod"), .object = &pod.base};
    watch_frame_encode(&event, KUBE_PROTOBUF, &frames);
    start(&bench, API_BENCH_TLS,
          (struct api_step){.status = 200,
                            .content_type = "application/vnd.kubernetes.protobuf;stream=watch",
                            .bytes = buf_str(&frames)});
    watch_pods(&bench, &record);
    TURN_UNTIL(&bench, record.ends == 1);
    assert_string_equal(record.names, "a ");
    assert_int_equal(record.last_type, WATCH_MODIFIED);
    assert_int_equal(record.code, 0);
}

TEST_CASE(bad_events_are_told_and_the_watch_goes_on)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(watch_record) struct watch_record record = {0};
    start(&bench, API_BENCH_TLS,
          (struct api_step){
              .status = 200,
              .body = ADDED("a") EVENT("ADDED", "{\"kind\":\"Pod\",\"apiVersion\":\"v1\","
                                                "\"metadata\":7}")
                  EVENT("ADDED", "{\"kind\":\"Node\",\"apiVersion\":\"v1\"}")
                      EVENT("ADDED", "{\"kind\":\"Status\",\"apiVersion\":\"v1\"}") EVENT(
                          "ERROR", "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"code\":410}")});
    watch_pods(&bench, &record);
    TURN_UNTIL(&bench, record.ends == 1);
    assert_string_equal(record.names, "a Status ");
    assert_int_equal(record.last_type, WATCH_ERROR);
    assert_int_equal(record.failures, 3);
    assert_string_equal(record.last_failure, "the server sent a Status of v1 in a watch of pods");
    assert_int_equal(record.code, 0);
}

TEST_CASE(a_watch_that_goes_wrong_says_how)
{
    static const char expired[] = "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":"
                                  "\"Failure\",\"message\":\"old\",\"reason\":\"Expired\","
                                  "\"code\":410}";
    static const struct {
        const char *name;
        struct api_step step;
        enum error_code code;
        size_t opens, events;
        const char *want; /* the beginning */
        bool has_status;
    } rows[] = {
        {"a Status", {.status = 410, .body = expired}, ERROR_OUT_OF_RANGE, 0, 0, "old", true},
        {"429 with Retry-After",
         {.status = 429, .retry_after = "0"},
         ERROR_RESOURCE_EXHAUSTED,
         0,
         0,
         "the server has received too many requests",
         false},
        {"a proxy's page",
         {.status = 200, .content_type = "text/html", .body = "<html>"},
         ERROR_INTERNAL,
         0,
         0,
         "the answer is of type \"text/html\", not a stream of watch events",
         false},
        {"a proxy's failure",
         {.status = 502, .content_type = "text/html", .body = "<html>"},
         ERROR_UNAVAILABLE,
         0,
         0,
         "an error on the server (\"<html>\")",
         false},
        {"a frame cut off by an orderly end",
         {.status = 200, .body = ADDED("a") "{\"type\":"},
         ERROR_UNAVAILABLE,
         1,
         1,
         "reading watch events: unexpected EOF",
         false},
        {"a cut before the answer",
         {.what = STEP_ABORT},
         ERROR_UNAVAILABLE,
         0,
         0,
         "Get \"https://",
         false},
        {"no frames at all",
         {.status = 200, .body = "]]]]"},
         ERROR_INVALID_ARGUMENT,
         1,
         0,
         "reading watch events: ",
         false},
        {"a frame too long",
         {.status = 200,
          .content_type = "application/vnd.kubernetes.protobuf;stream=watch",
          .bytes = {.ptr = "\xff\xff\xff\xff", .len = 4}},
         ERROR_RESOURCE_EXHAUSTED,
         1,
         0,
         "reading watch events: ",
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(api_bench) struct api_bench bench;
        AUTO(watch_record) struct watch_record record = {0};
        start(&bench, API_BENCH_TLS, rows[i].step);
        watch_pods(&bench, &record);
        TURN_UNTIL(&bench, record.ends == 1);
        api_bench_settle(&bench);
        if (record.code != rows[i].code || !text_has_prefix(record.message, rows[i].want))
            fail_msg("%s: code %d, %s", rows[i].name, (int)record.code, record.message);
        assert_int_equal(record.opens, rows[i].opens);
        assert_int_equal(record.events, rows[i].events);
        assert_int_equal(record.has_status, rows[i].has_status);
        assert_int_equal(record.ends, 1);
        assert_int_equal(bench.requests, 1); /* the reflector decides what is next */
    }
}

TEST_CASE(a_cut_connection_is_no_orderly_end)
{
    for (int is_tls = 0; is_tls < 2; is_tls++) {
        AUTO(api_bench) struct api_bench bench;
        AUTO(watch_record) struct watch_record record = {0};
        start(&bench, is_tls ? API_BENCH_TLS : API_BENCH_PLAIN,
              (struct api_step){.what = STEP_STREAM, .status = 200, .body = ADDED("a")});
        watch_pods(&bench, &record);
        TURN_UNTIL(&bench, record.events == 1);
        http_exchange_abort(TAKE(bench.held));
        TURN_UNTIL(&bench, record.ends == 1);
        assert_int_equal(record.code, ERROR_UNAVAILABLE);
        assert_true(text_has_prefix(record.message, "Get \"http"));
        assert_int_equal(record.http_status, 200);
    }
}

TEST_CASE(a_watch_that_outlives_its_time_is_ended)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(watch_record) struct watch_record record = {.bench = &bench};
    start(&bench, API_BENCH_TLS, (struct api_step){.what = STEP_STREAM, .status = 200});
    bench.timing.watch_grace_ns = 150 * NS_PER_MS;
    const struct api_watch_request request = {.kind = kind_of("v1", "Pod"), .timeout_ns = 1};
    record.watch = api_watch_start(bench.client, &request, &events, &record);
    TURN_UNTIL(&bench, record.ends == 1);
    assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
    if (bench.requests > 0) /* a busy machine may not get there in time */
        assert_string_equal(bench.seen[0].line, "GET /api/v1/pods?watch=true");
}

TEST_CASE(a_watch_that_cannot_be_asked_for_ends_in_the_next_turn)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(watch_record) struct watch_record record = {.bench = &bench}, cancelled = {0};
    start(&bench, API_BENCH_TLS, (struct api_step){0});
    const struct api_watch_request request = {.kind = kind_of("v1", "Status")};
    record.watch = api_watch_start(bench.client, &request, &events, &record);
    api_watch_cancel(api_watch_start(bench.client, &request, &events, &cancelled));
    TURN_UNTIL(&bench, record.ends == 1);
    assert_string_equal(record.message, "Status is not a resource");
    assert_int_equal(cancelled.ends, 0);
}

/* Watches for which no token is left, and a call beside them. */
static void watch_many(struct api_bench *bench, enum api_bench_kind kind)
{
    api_bench_init(bench, kind);
    api_bench_connect(bench, &(struct api_client_options){.qps = 0.001, .burst = 1});
    struct watch_record records[20] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        bench->steps[i] = (struct api_step){.what = STEP_STREAM, .status = 200, .body = ADDED("a")};
        watch_pods(bench, &records[i]);
    }
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        TURN_UNTIL(bench, records[i].events == 1);
    bench->steps[ARRAY_SIZE(records)] = (struct api_step){.status = 200, .body = NODE_JSON};
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(bench, &record);
    assert_null(record.message);
    assert_int_equal(http_client_connects(bench->transport->http),
                     kind == API_BENCH_TLS ? 1 : ARRAY_SIZE(records) + 1);
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        api_watch_cancel(records[i].watch);
}

TEST_CASE(watches_wait_for_no_token_and_share_the_connection_of_calls)
{
    AUTO(api_bench) struct api_bench bench;
    watch_many(&bench, API_BENCH_TLS);
}

TEST_CASE(watches_leave_room_for_calls_where_there_is_no_http2)
{
    AUTO(api_bench) struct api_bench bench;
    watch_many(&bench, API_BENCH_PLAIN);
}

TEST_CASE(anything_may_be_done_from_a_callback)
{
    static const enum watch_record_act acts[] = {WATCH_CANCEL, WATCH_FREE_CLIENT, WATCH_FREE_ALL};
    for (size_t i = 0; i < ARRAY_SIZE(acts) * 3; i++) {
        AUTO(api_bench) struct api_bench bench;
        AUTO(watch_record) struct watch_record record = {0};
        enum watch_record_act act = acts[i / 3];
        start(&bench, API_BENCH_TLS,
              (struct api_step){.status = 200, .body = ADDED("a") ADDED("b") ADDED("c")});
        if (i % 3 == 0)
            record.act_on_open = act;
        else if (i % 3 == 1)
            record.act_on_event = act;
        else
            record.act_on_end = act == WATCH_CANCEL ? WATCH_GO_ON : act;
        watch_pods(&bench, &record);
        TURN_UNTIL(&bench, i % 3 == 0   ? record.opens == 1
                           : i % 3 == 1 ? record.events > 0
                                        : record.ends == 1);
        api_bench_settle(&bench);
        assert_int_equal(record.opens, 1);
        assert_int_equal(record.events, i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 3);
        assert_int_equal(record.ends, i % 3 == 2 ? 1 : 0);
    }
}

TEST_MAIN(TEST(a_watch_is_asked_for_as_the_real_kubelet_does),
          TEST(events_come_as_they_are_sent_until_the_server_ends_in_order),
          TEST(events_come_as_protobuf), TEST(bad_events_are_told_and_the_watch_goes_on),
          TEST(a_watch_that_goes_wrong_says_how), TEST(a_cut_connection_is_no_orderly_end),
          TEST(a_watch_that_outlives_its_time_is_ended),
          TEST(a_watch_that_cannot_be_asked_for_ends_in_the_next_turn),
          TEST(watches_wait_for_no_token_and_share_the_connection_of_calls),
          TEST(watches_leave_room_for_calls_where_there_is_no_http2),
          TEST(anything_may_be_done_from_a_callback))
