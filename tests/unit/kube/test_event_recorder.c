#include "kube/event_recorder.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

struct bench {
    struct loop *loop;
    struct api_client *client;
    struct event_recorder *recorder;
    struct arena *arena;
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.arena = arena_new(0)};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->recorder = event_recorder_new(bench->loop, bench->client, "kubelet", "node-a");
}

static void auto_release_bench(struct bench *bench)
{
    event_recorder_free(bench->recorder);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
}

static Core__ObjectReference node_reference(void)
{
    Core__ObjectReference node = CORE__OBJECT_REFERENCE__INIT;
    node.api_version = (char *)"v1";
    node.kind = (char *)"Node";
    node.name = (char *)"node-a";
    return node;
}

static Core__ObjectReference pod_reference(const char *name)
{
    Core__ObjectReference pod = CORE__OBJECT_REFERENCE__INIT;
    pod.api_version = (char *)"v1";
    pod.kind = (char *)"Pod";
    pod.namespace_ = (char *)"rec";
    pod.name = (char *)name;
    pod.uid = (char *)"2971482e-ef8a-4779-903c-3c7083151918";
    pod.resource_version = (char *)"309";
    return pod;
}

static void record(struct bench *bench, const char *pod, const char *message)
{
    Core__ObjectReference object = pod_reference(pod);
    event_record(bench->recorder, &object, EVENT_WARNING, "Failed", "%s", message);
}

static const Core__Event *sent(const struct bench *bench)
{
    return (const Core__Event *)fake_first(bench->client)->body;
}

/* The server stores what it is sent. */
static void store(struct bench *bench)
{
    struct fake_exchange *request = fake_first(bench->client);
    assert_int_equal(request->verb, API_CREATE);
    fake_reply(request, kube_message_dup(request->body, bench->arena));
}

static const char *last_request(const struct bench *bench)
{
    return fake_log(bench->client, fake_started(bench->client) - 1);
}

TEST_CASE(an_event_is_as_the_kubelet_sends_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    Core__ObjectReference node = node_reference();
    event_record(bench.recorder, &node, EVENT_NORMAL, "Starting", "Starting %s.", "kubelet");
    assert_string_equal(last_request(&bench), "POST /api/v1/namespaces/default/events");
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    kube_encode_any(&sent(&bench)->base, kube_kind_find("v1", "Event"), KUBE_JSON, &text);
    AUTO(free)
    char *want = xasprintf(
        "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"node-a.%llx\","
        "\"namespace\":\"default\"},\"involvedObject\":{\"kind\":\"Node\",\"name\":\"node-a\","
        "\"apiVersion\":\"v1\"},\"reason\":\"Starting\",\"message\":\"Starting kubelet.\","
        "\"source\":{\"component\":\"kubelet\",\"host\":\"node-a\"},"
        "\"firstTimestamp\":\"2027-01-15T08:16:40Z\",\"lastTimestamp\":\"2027-01-15T08:16:40Z\","
        "\"count\":1,\"type\":\"Normal\",\"reportingComponent\":\"kubelet\","
        "\"reportingInstance\":\"node-a\"}",
        (unsigned long long)(FAKE_LOOP_WALL_START_NS + 1000 * NS_PER_SEC));
    assert_string_equal(buf_text(&text), want);
    store(&bench);
    assert_int_equal(event_recorder_queued(bench.recorder), 0);
}

TEST_CASE(a_pods_event_lives_in_its_namespace)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    Core__ObjectReference pod = pod_reference("web");
    pod.field_path = (char *)"spec.containers{c}";
    event_record(bench.recorder, &pod, EVENT_WARNING, "BackOff", "Back-off");
    assert_string_equal(last_request(&bench), "POST /api/v1/namespaces/rec/events");
    assert_string_equal(sent(&bench)->type, "Warning");
    assert_true(text_has_prefix(sent(&bench)->metadata->name, "web."));
    assert_true(kube_message_eq(&sent(&bench)->involved_object->base, &pod.base));
}

TEST_CASE(events_go_out_one_by_one_with_names_of_their_own)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const char *names[5] = {0};
    for (int i = 0; i < 5; i++)
        record(&bench, "web", arena_printf(bench.arena, "message %d", i));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(fake_pending(bench.client), 1);
        assert_string_equal(sent(&bench)->message, arena_printf(bench.arena, "message %d", i));
        names[i] = arena_strdup(bench.arena, sent(&bench)->metadata->name);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
        store(&bench);
    }
    assert_int_equal(fake_started(bench.client), 5);
}

TEST_CASE(a_name_that_cannot_be_becomes_a_uid)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    fake_random_set(UINT64_C(0x0123456789abcdef));
    record(&bench, "Not_A_Name", "m");
    assert_string_equal(sent(&bench)->metadata->name, "01234567-89ab-4def-8123-456789abcdef");
}

TEST_CASE(a_repeat_is_a_patch)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    record(&bench, "web", "m");
    const char *name = arena_strdup(bench.arena, sent(&bench)->metadata->name);
    store(&bench);
    fake_loop_advance(bench.loop, 5 * NS_PER_SEC);
    record(&bench, "web", "m");
    assert_string_equal(last_request(&bench),
                        arena_printf(bench.arena, "PATCH /api/v1/namespaces/rec/events/%s", name));
    assert_int_equal(fake_first(bench.client)->verb, API_PATCH_STRATEGIC);
    assert_string_equal(
        fake_first(bench.client)->patch,
        "{\"count\":2,\"lastTimestamp\":\"2027-01-15T08:16:45Z\",\"message\":\"m\"}");
    fake_fail(fake_first(bench.client), 404, "NotFound", "events \"web\" not found");
    /* Gone: created anew, as it is by now. */
    assert_string_equal(last_request(&bench), "POST /api/v1/namespaces/rec/events");
    assert_int_equal(sent(&bench)->count, 2);
    assert_string_equal(sent(&bench)->metadata->name, name);
    assert_int_equal(sent(&bench)->first_timestamp->seconds + 5,
                     sent(&bench)->last_timestamp->seconds);
    store(&bench);
    record(&bench, "web", "m");
    assert_int_equal(fake_first(bench.client)->verb, API_PATCH_STRATEGIC);
}

TEST_CASE(what_the_server_refuses_is_not_tried_again)
{
    static const struct {
        unsigned status;
        const char *reason;
    } rows[] = {{409, "AlreadyExists"}, {403, "Forbidden"}, {422, "Invalid"},
                {500, "InternalError"}, {404, "NotFound"},  {429, "TooManyRequests"}};
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        record(&bench, arena_printf(bench.arena, "p%zu", i), "m");
        fake_fail(fake_first(bench.client), rows[i].status, rows[i].reason, "no");
        assert_int_equal(fake_pending(bench.client), 0);
        assert_int_equal(event_recorder_lost(bench.recorder), i + 1);
    }
    assert_int_equal(fake_started(bench.client), ARRAY_SIZE(rows));
    assert_int_equal(fake_loop_armed(bench.loop), 0);
}

TEST_CASE(twelve_tries_ten_seconds_apart)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    fake_random_set(4 * NS_PER_SEC);
    record(&bench, "web", "m");
    record(&bench, "web", "n");
    for (int i = 1; i <= 12; i++) {
        assert_int_equal(fake_started(bench.client), i);
        assert_string_equal(sent(&bench)->message, "m");
        fake_lose(fake_first(bench.client));
        if (i == 12)
            break;
        assert_int_equal(fake_loop_next(bench.loop), (i == 1 ? 4 : 10) * NS_PER_SEC);
        fake_loop_advance(bench.loop, fake_loop_next(bench.loop));
    }
    assert_string_equal(sent(&bench)->message, "n");
    assert_int_equal(event_recorder_lost(bench.recorder), 1);
    store(&bench);
    assert_int_equal(event_recorder_queued(bench.recorder), 0);
}

TEST_CASE(what_could_not_be_sent_is_tried_again_if_that_may_help)
{
    static const struct {
        const char *name;
        enum error_code code;
        bool want;
    } rows[] = {{"a certificate or credentials", ERROR_UNAUTHENTICATED, true},
                {"a decoder", ERROR_INTERNAL, true},
                {"a request that cannot be made", ERROR_INVALID_ARGUMENT, false},
                {"a request that is too large", ERROR_RESOURCE_EXHAUSTED, false}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        print_message("%s\n", rows[i].name);
        bench_init(&bench);
        record(&bench, "web", "m");
        fake_lose_as(fake_first(bench.client), rows[i].code);
        assert_int_equal(event_recorder_queued(bench.recorder), rows[i].want);
        assert_int_equal(event_recorder_lost(bench.recorder), !rows[i].want);
    }
}

TEST_CASE(a_patch_that_was_lost_is_sent_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    record(&bench, "web", "m");
    store(&bench);
    record(&bench, "web", "m");
    fake_lose(fake_first(bench.client));
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(fake_first(bench.client)->verb, API_PATCH_STRATEGIC);
    assert_non_null(strstr(fake_first(bench.client)->patch, "\"count\":2"));
}

TEST_CASE(a_full_queue_drops_what_comes)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (int i = 0; i < 1010; i++)
        record(&bench, arena_printf(bench.arena, "p%d", i), "m");
    assert_int_equal(event_recorder_queued(bench.recorder), 1000);
    assert_int_equal(event_recorder_lost(bench.recorder), 10);
    store(&bench);
    assert_true(text_has_prefix(sent(&bench)->metadata->name, "p1."));
    record(&bench, "later", "m");
    assert_int_equal(event_recorder_lost(bench.recorder), 10);

    /* Large ones are bounded by their bytes. */
    AUTO(free) char *large = xcalloc(1, 300 * KiB);
    memset(large, 'x', 300 * KiB - 1);
    for (int i = 0; i < 10; i++)
        record(&bench, "web", large);
    assert_true(event_recorder_lost(bench.recorder) > 11);
}

TEST_CASE(spam_is_passed_over)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (int i = 0; i < 60; i++)
        record(&bench, "web", "m");
    record(&bench, "db", "m");
    store(&bench);
    Core__Event stored = CORE__EVENT__INIT; /* its count is not said: ours goes on */
    for (int i = 0; i < 24; i++)
        fake_reply(fake_first(bench.client), &stored.base);
    assert_true(text_has_prefix(sent(&bench)->metadata->name, "db."));
    assert_int_equal(fake_started(bench.client), 26);
}

TEST_CASE(without_a_client_events_are_only_logged)
{
    struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    AUTO(event_recorder)
    struct event_recorder *recorder = event_recorder_new(loop, NULL, "kubelet", "node-a");
    Core__ObjectReference node = node_reference();
    event_record(recorder, &node, EVENT_NORMAL, "Starting", "Starting kubelet.");
    assert_int_equal(event_recorder_queued(recorder), 0);
    loop_free(loop);
}

TEST_MAIN(TEST(an_event_is_as_the_kubelet_sends_it), TEST(a_pods_event_lives_in_its_namespace),
          TEST(events_go_out_one_by_one_with_names_of_their_own),
          TEST(a_name_that_cannot_be_becomes_a_uid), TEST(a_repeat_is_a_patch),
          TEST(what_the_server_refuses_is_not_tried_again), TEST(twelve_tries_ten_seconds_apart),
          TEST(what_could_not_be_sent_is_tried_again_if_that_may_help),
          TEST(a_patch_that_was_lost_is_sent_again), TEST(a_full_queue_drops_what_comes),
          TEST(spam_is_passed_over), TEST(without_a_client_events_are_only_logged))
