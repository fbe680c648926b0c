#include "kube/codec.h"
#include "server/log_query.h"
#include "tests/lib/test.h"

#define NOW (INT64_C(1000) * NS_PER_SEC)

static struct error *parse(const char *query, struct log_query *ret)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_target target;
    assert_no_error(
        http_target_parse(str_from(arena_printf(arena, "/?%s", query)), arena, &target));
    return log_query_parse(&target, NOW, ret);
}

TEST_CASE(queries_are_read_with_their_ranges)
{
    static const struct {
        const char *query;
        struct log_query want;
    } rows[] = {
        {"", {false, false, false, "All", -1, -1, INT64_MIN}},
        {"follow=true&previous=0&timestamps", {true, false, true, "All", -1, -1, INT64_MIN}},
        {"follow=False&previous=no", {false, true, false, "All", -1, -1, INT64_MIN}},
        {"tailLines=0", {false, false, false, "All", 0, -1, INT64_MIN}},
        {"tail=7&tailLines=x", {false, false, false, "All", 7, -1, INT64_MIN}},
        {"tail=&tailLines=%2B3", {false, false, false, "All", 3, -1, INT64_MIN}},
        {"tail=all&tailLines=3", {false, false, false, "All", -1, -1, INT64_MIN}},
        {"limitBytes=1&sinceSeconds=10",
         {false, false, false, "All", -1, 1, NOW - 10 * NS_PER_SEC}},
        {"sinceTime=1970-01-01T00:00:07Z", {false, false, false, "All", -1, -1, 7 * NS_PER_SEC}},
        {"sinceTime=0001-01-01T00:00:00Z", {false, false, false, "All", -1, -1, INT64_MIN}},
        {"sinceTime=", {false, false, false, "All", -1, -1, INT64_MIN}},
        {"stream=Stderr", {false, false, false, "Stderr", -1, -1, INT64_MIN}},
        {"stream=All&tailLines=1", {false, false, false, "All", 1, -1, INT64_MIN}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct log_query query;
        assert_no_error(parse(rows[i].query, &query));
        const struct log_query *want = &rows[i].want;
        assert_int_equal(query.follow, want->follow);
        assert_int_equal(query.previous, want->previous);
        assert_int_equal(query.timestamps, want->timestamps);
        assert_string_equal(query.stream, want->stream);
        assert_int_equal(query.tail_lines, want->tail_lines);
        assert_int_equal(query.limit_bytes, want->limit_bytes);
        assert_int_equal(query.since_wall_ns, want->since_wall_ns);
    }
}

TEST_CASE(bad_queries_are_refused_as_upstream_does)
{
    static const struct {
        const char *query;
        enum error_code code;
    } rows[] = {
        {"tailLines=x", ERROR_INVALID_ARGUMENT},
        {"tailLines=", ERROR_INVALID_ARGUMENT},
        {"tailLines=%2B-1", ERROR_INVALID_ARGUMENT},
        {"tailLines=-1", ERROR_OUT_OF_RANGE},
        {"tail=some", ERROR_INVALID_ARGUMENT},
        {"limitBytes=0", ERROR_OUT_OF_RANGE},
        {"sinceSeconds=0", ERROR_OUT_OF_RANGE},
        {"sinceSeconds=99999999999999999999", ERROR_INVALID_ARGUMENT},
        {"sinceTime=yesterday", ERROR_INVALID_ARGUMENT},
        {"sinceTime=1970-01-01T00:00:07Z&sinceSeconds=1", ERROR_OUT_OF_RANGE},
        {"stream=stdout", ERROR_OUT_OF_RANGE},
        {"stream=", ERROR_OUT_OF_RANGE},
        {"stream=Stdout&tailLines=1", ERROR_OUT_OF_RANGE},
        /* What does not decode goes before what is not valid, wherever it stands. */
        {"tailLines=-1&limitBytes=x", ERROR_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct log_query query;
        assert_error_code(parse(rows[i].query, &query), rows[i].code);
    }
}

TEST_CASE(one_stream_of_two_is_behind_a_gate)
{
    struct log_query query;
    assert_no_error(parse("stream=Stdout", &query));
    assert_no_error(log_query_check_stream(&query, true));
    assert_error_message(log_query_check_stream(&query, false),
                         "unable to return the given log stream: \"Stdout\". Please enable "
                         "PodLogsQuerySplitStreams feature gate in kubelet");
    assert_no_error(parse("stream=All", &query));
    assert_no_error(log_query_check_stream(&query, false));
}

static const Core__Pod *pod_from(const char *json, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_json(str_from(json), &core__pod__descriptor, &options, arena, &message));
    return (const Core__Pod *)message;
}

TEST_CASE(a_container_is_found_among_all_kinds)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod = pod_from(
        "{\"metadata\":{\"name\":\"web\"},\"spec\":{\"initContainers\":[{\"name\":\"init\"}],"
        "\"containers\":[{\"name\":\"one\"},{\"name\":\"two\"}],\"ephemeralContainers\":[{\"name\":"
        "\"debug\"}]}}",
        arena);
    static const char *const rows[][2] = {{"", "one"},    {"-", "one"},     {"one", "one"},
                                          {"two", "two"}, {"init", "init"}, {"debug", "debug"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *name = log_container_or_first(pod, rows[i][0]);
        assert_string_equal(name, rows[i][1]);
        assert_no_error(log_container_check(pod, name));
    }
    assert_error_message(log_container_check(pod, "x"), "container \"x\" not found in pod \"web\"");
    assert_error_code(log_container_check(pod, "-"), ERROR_NOT_FOUND);
}

#define RUNNING "\"state\":{\"running\":{}},\"containerID\":\"c://2\""
#define ENDED "\"state\":{\"terminated\":{\"exitCode\":0,\"containerID\":\"c://2\"}}"
#define ENDED_WITHOUT_ID "\"state\":{\"terminated\":{\"exitCode\":0}}"
#define WAITING(reason) "\"state\":{\"waiting\":{\"reason\":\"" reason "\"}}"
#define LAST ",\"lastState\":{\"terminated\":{\"exitCode\":1,\"containerID\":\"c://1\"}}"

TEST_CASE(the_instance_is_chosen_by_the_status)
{
    static const struct {
        const char *status;
        bool previous;
        const char *id, *err; /* one of them */
        bool before_newest, running;
    } rows[] = {
        {RUNNING, false, "c://2", NULL, false, true},
        {RUNNING LAST, false, "c://2", NULL, false, true},
        {RUNNING LAST, true, "c://1", NULL, true, false},
        {RUNNING, true, NULL, "previous terminated container \"a\" in pod \"p\" not found", false,
         false},
        {ENDED, false, "c://2", NULL, false, false},
        {ENDED LAST, true, "c://1", NULL, true, false},
        {ENDED_WITHOUT_ID LAST, false, "c://1", NULL, false, false},
        {ENDED_WITHOUT_ID, false, NULL, "container \"a\" in pod \"p\" is terminated", false, false},
        {WAITING("CrashLoopBackOff") LAST, false, "c://1", NULL, false, false},
        {WAITING("CrashLoopBackOff") LAST, true, "c://1", NULL, false, false},
        {WAITING("ErrImagePull"), false, NULL,
         "container \"a\" in pod \"p\" is waiting to start: image can't be pulled", false, false},
        {WAITING("ImagePullBackOff"), false, NULL,
         "container \"a\" in pod \"p\" is waiting to start: trying and failing to pull image",
         false, false},
        {WAITING("ContainerCreating"), false, NULL,
         "container \"a\" in pod \"p\" is waiting to start: ContainerCreating", false, false},
        {"\"state\":{}", false, NULL,
         "container \"a\" in pod \"p\" is waiting to start - no logs yet", false, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *json = arena_printf(
            arena, "{\"status\":{\"containerStatuses\":[{\"name\":\"a\",%s}]}}", rows[i].status);
        struct log_instance instance = {.container_id = "unset"};
        AUTO(error)
        struct error *err = log_choose_instance(pod_from(json, arena)->status, "p", "a",
                                                rows[i].previous, &instance);
        if (rows[i].err) {
            assert_non_null(err);
            assert_string_equal(err->message, rows[i].err);
            continue;
        }
        assert_null(err);
        assert_string_equal(instance.container_id, rows[i].id);
        assert_int_equal(instance.before_newest, rows[i].before_newest);
        assert_int_equal(instance.running, rows[i].running);
    }
}

TEST_CASE(a_pod_without_status_has_no_log)
{
    struct log_instance instance;
    assert_error_message(log_choose_instance(NULL, "p", "a", false, &instance),
                         "container \"a\" in pod \"p\" is not available");
}

TEST_MAIN(TEST(queries_are_read_with_their_ranges), TEST(bad_queries_are_refused_as_upstream_does),
          TEST(one_stream_of_two_is_behind_a_gate), TEST(a_container_is_found_among_all_kinds),
          TEST(the_instance_is_chosen_by_the_status), TEST(a_pod_without_status_has_no_log))
