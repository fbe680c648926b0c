#include "api_bench.h"

#include "base/time.h"
#include "coordination.pb-c.h"

static const struct api_step good = {.status = 200, .body = NODE_JSON};

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not contain \"%s\"", text ? text : "(none)", part);
}

/* --- what is asked and answered --- */

TEST_CASE(a_request_looks_like_the_real_kubelet_s)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.config.cert_data = bench.client_cert.cert_pem;
    bench.config.key_data = bench.client_cert.key_pem;
    bench.steps[0] = good;
    api_bench_connect(
        &bench, &(struct api_client_options){.is_unlimited = true, .timeout_ns = 10 * NS_PER_SEC});
    assert_string_equal(api_transport_server(bench.transport), bench.url);
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_null(record.message);
    assert_int_equal(record.http_status, 200);
    assert_string_equal(record.kind->kind, "Node");
    assert_string_equal(((Core__Node *)record.object)->metadata->name, "a");
    const struct api_seen *seen = &bench.seen[0];
    assert_string_equal(seen->line, "GET /api/v1/nodes/a?timeout=10s");
    assert_string_equal(seen->accept, "application/vnd.kubernetes.protobuf,application/json");
    assert_string_equal(seen->user_agent, "test/1.0");
    assert_string_equal(seen->common_name, "system:node:a");
    assert_null(seen->content_type);
    assert_null(seen->authorization);
    assert_true(seen->is_http2);
}

TEST_CASE(objects_travel_as_protobuf_both_ways)
{
    AUTO(api_bench) struct api_bench bench;
    AUTO(buf) struct buf answer;
    api_bench_init(&bench, API_BENCH_TLS);
    const struct kube_kind *kind = kind_of("coordination.k8s.io/v1", "Lease");
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    char name[] = "node-a", namespace[] = "kube-node-lease";
    meta.name = name;
    meta.namespace_ = namespace;
    Coordination__Lease lease = COORDINATION__LEASE__INIT;
    lease.metadata = &meta;
    buf_init(&answer, MiB);
    kube_encode_any(&lease.base, kind, KUBE_PROTOBUF, &answer);
    bench.steps[0] = (struct api_step){.status = 200,
                                       .content_type = "application/vnd.kubernetes.protobuf",
                                       .bytes = buf_str(&answer)};
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    const struct api_request request = {.verb = API_UPDATE,
                                        .kind = kind,
                                        .namespace_ = "kube-node-lease",
                                        .name = "node-a",
                                        .body = &lease.base,
                                        .timeout_ns = 1500 * NS_PER_MS};
    api_record_run(&bench, &record, &request);
    assert_null(record.message);
    assert_true(kube_message_eq(record.object, &lease.base));
    const struct api_seen *seen = &bench.seen[0];
    assert_string_equal(seen->line, "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/"
                                    "leases/node-a?timeout=1.5s");
    assert_string_equal(seen->content_type, "application/vnd.kubernetes.protobuf");
    assert_true(str_eq(buf_str(&seen->body), buf_str(&answer)));
}

TEST_CASE(a_json_client_says_so_over_plain_http)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    AUTO(free) char *server = xasprintf("%s/k8s/c-1/", bench.url);
    bench.config.server = server;
    bench.steps[0] = (struct api_step){.status = 201, .content_type = "", .body = NODE_JSON};
    api_bench_connect(&bench, &(struct api_client_options){.is_json = true});
    Core__Node node = CORE__NODE__INIT;
    AUTO(api_record) struct api_record record = {0};
    const struct api_request request = {
        .verb = API_CREATE, .kind = kind_of("v1", "Node"), .body = &node.base};
    api_record_run(&bench, &record, &request);
    assert_null(record.message);
    const struct api_seen *seen = &bench.seen[0];
    assert_string_equal(seen->line, "POST /k8s/c-1/api/v1/nodes");
    assert_string_equal(seen->accept, "application/json, */*");
    assert_string_equal(seen->content_type, "application/json");
    assert_string_equal(buf_text(&seen->body), "{\"kind\":\"Node\",\"apiVersion\":\"v1\"}");
    assert_false(seen->is_http2);
}

TEST_CASE(every_verb_sends_its_body)
{
    static const char status[] =
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Success\"}";
    static const char pods[] = "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"items\":[]}";
    static const char pod[] = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}";
    static const char token[] =
        "{\"kind\":\"TokenRequest\",\"apiVersion\":\"authentication.k8s.io/v1\"}";
    Meta__DeleteOptions options = META__DELETE_OPTIONS__INIT;
    Core__ServiceAccount account = CORE__SERVICE_ACCOUNT__INIT;
    const struct {
        enum api_verb verb;
        const char *kind, *name, *subresource, *query, *patch;
        const ProtobufCMessage *body;
        const char *answer, *want_line, *want_type, *want_body_part;
    } rows[] = {
        {API_LIST, "Pod", NULL, NULL, "limit=500", NULL, NULL, pods,
         "GET /api/v1/namespaces/d/pods?limit=500", NULL, ""},
        {API_PATCH_STRATEGIC, "Pod", "p", "status", NULL, "{\"a\":1}", NULL, pod,
         "PATCH /api/v1/namespaces/d/pods/p/status", "application/strategic-merge-patch+json",
         "{\"a\":1}"},
        {API_PATCH_MERGE, "Pod", "p", NULL, NULL, "{}", NULL, pod,
         "PATCH /api/v1/namespaces/d/pods/p", "application/merge-patch+json", "{}"},
        {API_PATCH_JSON, "Pod", "p", NULL, NULL, "[]", NULL, pod,
         "PATCH /api/v1/namespaces/d/pods/p", "application/json-patch+json", "[]"},
        {API_PATCH_APPLY, "Pod", "p", NULL, "fieldManager=x", "{}", NULL, pod,
         "PATCH /api/v1/namespaces/d/pods/p?fieldManager=x", "application/apply-patch+yaml", "{}"},
        {API_DELETE, "Pod", "p", NULL, NULL, NULL, &options.base, status,
         "DELETE /api/v1/namespaces/d/pods/p", "application/vnd.kubernetes.protobuf",
         "DeleteOptions"},
        {API_DELETE, "Pod", "p", NULL, NULL, NULL, NULL, pod, "DELETE /api/v1/namespaces/d/pods/p",
         NULL, ""},
        {API_DELETE_COLLECTION, "Pod", NULL, NULL, NULL, NULL, NULL, pods,
         "DELETE /api/v1/namespaces/d/pods", NULL, ""},
        {API_CREATE, "ServiceAccount", "sa", "token", NULL, NULL, &account.base, token,
         "POST /api/v1/namespaces/d/serviceaccounts/sa/token",
         "application/vnd.kubernetes.protobuf", "ServiceAccount"},
    };
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bool is_token = rows[i].answer == token; /* the answer is of the body's kind */
        AUTO(api_record) struct api_record record = {0};
        bench.steps[i] = (struct api_step){.status = 200, .body = rows[i].answer};
        const struct api_request request = {.verb = rows[i].verb,
                                            .kind = kind_of("v1", rows[i].kind),
                                            .namespace_ = "d",
                                            .name = rows[i].name,
                                            .subresource = rows[i].subresource,
                                            .query = rows[i].query,
                                            .body = rows[i].body,
                                            .patch = str_from(rows[i].patch)};
        api_record_run(&bench, &record, &request);
        assert_string_equal(bench.seen[i].line, rows[i].want_line);
        if (!text_eq(bench.seen[i].content_type, rows[i].want_type))
            fail_msg("%s: content type %s", rows[i].want_line, bench.seen[i].content_type);
        assert_non_null(memmem(buf_text(&bench.seen[i].body), bench.seen[i].body.len,
                               rows[i].want_body_part, strlen(rows[i].want_body_part)));
        if (is_token)
            assert_string_equal(record.message, "the server answered with a TokenRequest of "
                                                "authentication.k8s.io/v1 instead of a "
                                                "ServiceAccount");
        else
            assert_null(record.message);
    }
    assert_int_equal(http_client_connects(bench.transport->http), 1);
}

TEST_CASE(failures_come_with_code_reason_and_the_server_s_words)
{
    static const char gone[] =
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"status\":\"Failure\",\"message\":\"too old\","
        "\"reason\":\"Expired\",\"code\":410,\"details\":{\"retryAfterSeconds\":7}}";
    static const struct {
        const char *name;
        struct api_step step;
        const char *want;
        enum error_code code;
        const char *reason;
        bool has_status;
    } rows[] = {
        {"a Status", {.status = 410, .body = gone}, "too old", ERROR_OUT_OF_RANGE, "Expired", true},
        {"a Status with 200",
         {.status = 200, .body = gone},
         "too old",
         ERROR_OUT_OF_RANGE,
         "Expired",
         true},
        {"a proxy's page",
         {.status = 502, .content_type = "text/html", .body = "<h1>Bad Gateway</h1>"},
         "an error on the server (\"<h1>Bad Gateway</h1>\") has prevented the request from "
         "succeeding (get nodes a)",
         ERROR_UNAVAILABLE,
         "InternalError",
         false},
        {"a login page",
         {.status = 200, .content_type = "text/html; charset=utf-8", .body = "<h1>Welcome</h1>"},
         "the answer is of type \"text/html; charset=utf-8\", not a Kubernetes object: "
         "\"<h1>Welcome</h1>\"",
         ERROR_INTERNAL,
         NULL,
         false},
        {"plain 404",
         {.status = 404, .content_type = "text/plain", .body = "404 page not found"},
         "the server could not find the requested resource (get nodes a)",
         ERROR_NOT_FOUND,
         "NotFound",
         false},
        {"nothing", {.status = 200}, "the answer is empty", ERROR_INTERNAL, NULL, false},
        {"another kind",
         {.status = 200, .body = "{\"kind\":\"Pod\",\"apiVersion\":\"v1\"}"},
         "the server answered with a Pod of v1 instead of a Node",
         ERROR_INTERNAL,
         NULL,
         false},
        {"an unexpected success",
         {.status = 200, .body = "{\"kind\":\"Status\",\"apiVersion\":\"v1\"}"},
         "the server answered with a Status of v1 instead of a Node",
         ERROR_INTERNAL,
         NULL,
         false},
        {"429 alone",
         {.status = 429, .content_type = "text/plain"},
         "the server has received too many requests and has asked us to try again later (get nodes "
         "a)",
         ERROR_RESOURCE_EXHAUSTED,
         "TooManyRequests",
         false},
        {"a redirect",
         {.status = 301, .content_type = ""},
         "the server responded with the status code 301 but did not return more information (get "
         "nodes a)",
         ERROR_UNKNOWN,
         NULL,
         false},
    };
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(api_record) struct api_record record = {0};
        bench.steps[i] = rows[i].step;
        api_record_run_get(&bench, &record);
        if (!text_eq(record.message, rows[i].want) || record.code != rows[i].code ||
            !text_eq(record.reason, rows[i].reason) || record.has_status != rows[i].has_status)
            fail_msg("%s: %s (code %d, reason %s)", rows[i].name, record.message, (int)record.code,
                     record.reason);
        assert_int_equal(record.http_status, rows[i].step.status);
        if (i == 0)
            assert_int_equal(record.retry_after_ns, 7 * NS_PER_SEC);
    }
    assert_int_equal(bench.requests, ARRAY_SIZE(rows)); /* nothing was tried twice */
    bench.steps[bench.requests] = (struct api_step){.status = 200, .body = "{]"};
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_true(text_has_prefix(record.message, "decoding the answer: "));
    assert_int_equal(record.code, ERROR_INTERNAL);
}

TEST_CASE(a_request_that_cannot_be_made_ends_in_the_next_turn)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, &(struct api_client_options){.timeout_ns = NS_PER_SEC});
    AUTO(api_record) struct api_record record = {0};
    Core__Pod pod = CORE__POD__INIT;
    const struct api_request rows[] = {
        {.verb = API_GET, .kind = kind_of("v1", "Node"), .name = "a/b"},
        {.verb = API_CREATE, .kind = kind_of("v1", "Node"), .body = &pod.base},
        {.verb = API_LIST, .kind = kind_of("authentication.k8s.io/v1", "TokenReview")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        api_record_run(&bench, &record, &rows[i]);
        assert_int_equal(record.code, ERROR_INVALID_ARGUMENT);
        assert_int_equal(record.http_status, 0);
    }
    assert_int_equal(bench.requests, 0);
    assert_int_equal(http_client_connects(bench.transport->http), 0);
}

TEST_CASE(an_answer_beyond_the_cap_is_refused)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    api_bench_connect(&bench, NULL);
    AUTO(free) char *body = xcalloc(1, API_REPLY_MAX_BYTES + 1);
    bench.steps[0] =
        (struct api_step){.status = 200, .bytes = {.ptr = body, .len = API_REPLY_MAX_BYTES + 1}};
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_RESOURCE_EXHAUSTED);
    assert_contains(record.message, "the answer is larger than 67108864 bytes");
    assert_int_equal(bench.requests, 1);
}

/* --- trying again --- */

TEST_CASE(busy_servers_are_asked_again_ten_times_when_they_say_when)
{
    static const struct {
        const char *name;
        struct api_step step;
        size_t want_requests;
        enum error_code code;
    } rows[] = {
        {"429 with Retry-After", {.status = 429, .retry_after = "0"}, 11, ERROR_RESOURCE_EXHAUSTED},
        {"503 with Retry-After", {.status = 503, .retry_after = "0"}, 11, ERROR_UNAVAILABLE},
        {"500 with Retry-After", {.status = 500, .retry_after = "0"}, 11, ERROR_INTERNAL},
        {"429 without", {.status = 429}, 1, ERROR_RESOURCE_EXHAUSTED},
        {"500 without", {.status = 500}, 1, ERROR_INTERNAL},
        {"a date",
         {.status = 503, .retry_after = "Fri, 31 Dec 2027 23:59:59 GMT"},
         1,
         ERROR_UNAVAILABLE},
        {"a negative one", {.status = 503, .retry_after = "-1"}, 1, ERROR_UNAVAILABLE},
        {"another failure", {.status = 409, .retry_after = "0"}, 1, ERROR_ABORTED},
        {"far too long", {.status = 503, .retry_after = "86400"}, 1, ERROR_UNAVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(api_bench) struct api_bench bench;
        api_bench_init(&bench, API_BENCH_PLAIN);
        api_bench_connect(&bench, NULL);
        bench.steps[0] = rows[i].step;
        bench.is_endless = true;
        AUTO(api_record) struct api_record record = {0};
        const struct api_request request = {.verb = API_PATCH_MERGE,
                                            .kind = kind_of("v1", "Node"),
                                            .name = "a",
                                            .patch = STR_LITERAL("{}")};
        api_record_run(&bench, &record, &request);
        api_bench_settle(&bench);
        if (bench.requests != rows[i].want_requests || record.code != rows[i].code)
            fail_msg("%s: %zu requests, code %d", rows[i].name, bench.requests, (int)record.code);
        assert_string_equal(buf_text(&bench.seen[bench.requests - 1].body), "{}");
    }
}

TEST_CASE(a_server_that_comes_round_is_believed)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    bench.steps[0] = (struct api_step){.status = 429, .retry_after = "0"};
    bench.steps[1] = (struct api_step){.status = 503, .retry_after = "0"};
    bench.steps[2] = good;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_null(record.message);
    assert_int_equal(bench.requests, 3);
}

TEST_CASE(a_wait_that_would_outlast_the_deadline_is_not_begun)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, &(struct api_client_options){.timeout_ns = 10 * NS_PER_SEC});
    bench.steps[0] = (struct api_step){.status = 429, .retry_after = "60"};
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_RESOURCE_EXHAUSTED);
    assert_int_equal(record.retry_after_ns, 60 * NS_PER_SEC);
}

TEST_CASE(reads_survive_a_cut_connection_and_writes_are_not_repeated)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    api_bench_connect(&bench, NULL);
    bench.steps[0] = (struct api_step){.what = STEP_ABORT};
    bench.steps[1] = (struct api_step){.what = STEP_TRUNC, .status = 200, .body = "{\"ki"};
    bench.steps[2] = good;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_null(record.message);
    assert_int_equal(bench.requests, 3);

    bench.steps[3] = (struct api_step){.what = STEP_ABORT};
    const struct api_request request = {.verb = API_PATCH_MERGE,
                                        .kind = kind_of("v1", "Node"),
                                        .name = "a",
                                        .patch = STR_LITERAL("{}")};
    api_record_run(&bench, &record, &request);
    api_bench_settle(&bench);
    assert_int_equal(record.code, ERROR_UNAVAILABLE);
    assert_int_equal(record.http_status, 0);
    assert_true(text_has_prefix(record.message, "Patch \"http"));
    assert_int_equal(bench.requests, 4);
}

/* client-go asks again for a lost connection only. A reset tells of this request alone, and would
 * most likely do so again. */
TEST_CASE(a_read_whose_stream_is_reset_is_told_at_once)
{
    static const struct api_step rows[] = {
        {.what = STEP_ABORT},
        {.what = STEP_TRUNC, .status = 200, .body = "{\"ki"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(api_bench) struct api_bench bench;
        api_bench_init(&bench, API_BENCH_TLS);
        api_bench_connect(&bench, NULL);
        bench.steps[0] = rows[i];
        bench.steps[1] = good;
        AUTO(api_record) struct api_record record = {0};
        api_record_run_get(&bench, &record);
        assert_int_equal(record.code, ERROR_UNAVAILABLE);
        assert_int_equal(record.http_status, 0);
        assert_non_null(strstr(record.message, ": stream error: "));
        assert_int_equal(bench.requests, 1);
    }
}

TEST_CASE(a_read_whose_connection_is_always_cut_ends_after_ten_retries)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    api_bench_connect(&bench, NULL);
    bench.steps[0] = (struct api_step){.what = STEP_ABORT};
    bench.is_endless = true;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_UNAVAILABLE);
    assert_int_equal(bench.requests, 11);
}

TEST_CASE(a_refused_connection_is_told_in_go_s_words)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    http_server_free(TAKE(bench.server));
    fd_close(&bench.listener);
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0}, write = {0};
    AUTO(free)
    char *cause = xasprintf("dial tcp 127.0.0.1:%u: connect: connection refused", bench.port);
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_UNAVAILABLE);
    assert_true(text_has_prefix(record.message, "Get \"https://127.0.0.1:"));
    assert_true(text_has_suffix(record.message, cause));
    assert_in_range(bench.transport->failures, 2, 12); /* tried again, for a while */
    api_record_done(&write);
}

TEST_CASE(calls_of_one_failed_connection_count_as_one_failure)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.timing.unsent_limit_ns = 0;
    http_server_free(TAKE(bench.server));
    fd_close(&bench.listener);
    api_bench_connect(&bench, NULL);
    struct api_record records[20] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        api_record_get_node(&bench, &records[i]);
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        TURN_UNTIL(&bench, records[i].ends == 1);
        assert_int_equal(records[i].code, ERROR_UNAVAILABLE);
        api_record_done(&records[i]);
    }
    assert_int_equal(bench.transport->failures, 1);
    api_record_get_node(&bench, &records[0]); /* at once: the first failure closes no gate */
    assert_int_equal(api_transport_pause(bench.transport), 0);
    api_record_wait(&records[0]);
    assert_int_equal(bench.transport->failures, 2);
    api_record_done(&records[0]);
}

TEST_CASE(a_server_that_restarts_meanwhile_is_not_noticed)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    bench.steps[0] = bench.steps[1] = bench.steps[2] = good;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    http_server_free(TAKE(bench.server));
    api_bench_serve(&bench);
    const struct api_request request = {.verb = API_PATCH_MERGE,
                                        .kind = kind_of("v1", "Node"),
                                        .name = "a",
                                        .patch = STR_LITERAL("{}")};
    api_bench_settle(&bench); /* the end of the connection has been seen */
    api_record_run(&bench, &record, &request);
    assert_null(record.message);
    assert_int_equal(bench.requests, 2);
    assert_int_equal(bench.transport->failures, 0);
}

TEST_CASE(a_draining_server_finishes_and_the_next_call_goes_to_a_new_one)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    bench.steps[0] = (struct api_step){.what = STEP_HOLD};
    bench.steps[1] = good;
    AUTO(api_record) struct api_record first = {0}, second = {0};
    api_record_get_node(&bench, &first);
    TURN_UNTIL(&bench, bench.held);
    struct http_server *old = TAKE(bench.server);
    http_server_drain(old); /* GOAWAY */
    api_bench_serve(&bench);
    api_bench_settle(&bench);
    api_record_run_get(&bench, &second);
    assert_null(second.message);
    const struct http_field type = {"content-type", "application/json"};
    http_exchange_reply(TAKE(bench.held), 200, &(struct http_fields){&type, 1},
                        STR_LITERAL(NODE_JSON));
    api_record_wait(&first);
    assert_null(first.message);
    assert_int_equal(bench.requests, 2);
    assert_int_equal(http_client_connects(bench.transport->http), 2);
    http_server_free(old);
}

TEST_CASE(a_server_whose_certificate_has_expired_is_asked_once)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    AUTO(test_cert)
    struct test_cert expired =
        test_cert_new(&(struct test_cert_options){.common_name = "api",
                                                  .names = "IP:127.0.0.1",
                                                  .begins_s = -2 * TEST_CERT_DAY_S,
                                                  .ends_s = -TEST_CERT_DAY_S},
                      &bench.ca);
    AUTO(tls_context) struct tls_context *context = api_bench_context(&bench, &expired);
    http_server_set_tls(bench.server, context);
    bench.timing.unsent_limit_ns = API_BENCH_WAIT_NS; /* would be tried again if it could */
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_UNAUTHENTICATED);
    assert_contains(record.message, "x509: certificate has expired or is not yet valid");
    assert_int_equal(bench.transport->failures, 1);
    assert_int_equal(bench.requests, 0);
}

TEST_CASE(a_server_that_refuses_our_certificate_is_asked_as_often_as_the_rules_allow)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    AUTO(test_cert)
    struct test_cert expired =
        test_cert_new(&(struct test_cert_options){.common_name = "system:node:a",
                                                  .begins_s = -2 * TEST_CERT_DAY_S,
                                                  .ends_s = -TEST_CERT_DAY_S},
                      &bench.ca);
    const struct tls_options options = {.ca_pem = bench.ca.cert_pem,
                                        .cert_pem = bench.server_cert.cert_pem,
                                        .key_pem = bench.server_cert.key_pem,
                                        .alpn = "h2,http/1.1",
                                        .client_auth = TLS_CLIENT_AUTH_REQUEST};
    AUTO(tls_context) struct tls_context *context = NULL;
    assert_no_error(tls_context_new_server(&options, &context));
    http_server_set_tls(bench.server, context);
    bench.config.cert_data = expired.cert_pem;
    bench.config.key_data = expired.key_pem;
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_contains(record.message, "remote error: tls: expired certificate");
    assert_int_equal(bench.requests, 0);
    /* With TLS 1.3 the alert comes after the handshake, but is no lost connection. */
    assert_int_equal(http_client_connects(bench.transport->http), 1);
}

/* --- time --- */

TEST_CASE(a_stalled_server_is_given_up_at_the_deadline)
{
    static const struct api_step stalls[] = {{.what = STEP_HOLD},
                                             {.what = STEP_STREAM, .status = 200, .body = "{"}};
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    AUTO(free)
    char *want =
        xasprintf("Get \"%s/api/v1/nodes/a?timeout=150ms\": context deadline exceeded", bench.url);
    bench.steps[0] = good;
    api_record_run_get(&bench, &record);
    struct api_request request = {
        .verb = API_GET, .kind = kind_of("v1", "Node"), .name = "a", .timeout_ns = 150 * NS_PER_MS};
    for (size_t i = 0; i < ARRAY_SIZE(stalls); i++) {
        bench.steps[bench.requests] = stalls[i];
        api_record_run(&bench, &record, &request);
        assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
        assert_int_equal(record.http_status, 0);
        assert_string_equal(record.message, want);
        TURN_UNTIL(&bench, !bench.held); /* the server is told */
    }
    bench.steps[bench.requests] = good;
    request.timeout_ns = 0;
    api_record_run(&bench, &record, &request);
    assert_null(record.message); /* the connection has stayed good */
    assert_int_equal(http_client_connects(bench.transport->http), 1);
}

TEST_CASE(a_call_without_a_deadline_does_not_wait_for_ever)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.timing.attempt_limit_ns = 150 * NS_PER_MS;
    api_bench_connect(&bench, NULL);
    bench.steps[0] = (struct api_step){.what = STEP_HOLD};
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
    assert_in_range(bench.requests, 0, 1); /* not again */
}

TEST_CASE(a_deadline_while_trying_again_tells_what_went_wrong)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    bench.timing.unsent_limit_ns = API_BENCH_WAIT_NS;
    bench.timing.reconnect_base_ns = bench.timing.reconnect_max_ns = 20 * NS_PER_MS;
    http_server_free(TAKE(bench.server));
    fd_close(&bench.listener);
    api_bench_connect(&bench, NULL);
    AUTO(api_record) struct api_record record = {0};
    const struct api_request request = {
        .verb = API_GET, .kind = kind_of("v1", "Node"), .name = "a", .timeout_ns = 200 * NS_PER_MS};
    api_record_run(&bench, &record, &request);
    assert_contains(record.message, "connection refused");
}

TEST_CASE(limited_calls_leave_in_order_and_unlimited_ones_do_not_wait)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, &(struct api_client_options){.qps = 50, .burst = 2});
    struct api_client *heartbeat =
        api_client_new(bench.transport, &(struct api_client_options){.is_unlimited = true});
    bench.steps[0] = good;
    bench.is_endless = true;
    struct api_record records[6] = {0};
    AUTO(api_record) struct api_record beat = {.bench = &bench};
    size_t counter = 0;
    int64_t began_ns = time_mono_ns();
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        records[i].counter = &counter;
        api_record_get_node(&bench, &records[i]);
    }
    const struct api_request request = {
        .verb = API_GET, .kind = kind_of("v1", "Node"), .name = "beat"};
    beat.counter = &counter;
    beat.call = api_call_start(heartbeat, &request, api_record_on_done, &beat);
    api_call_cancel(TAKE(records[3].call)); /* its place is free */
    TURN_UNTIL(&bench, counter == 6);
    assert_in_range(beat.order, 1, 3); /* with the burst */
    assert_int_equal(records[2].order, 4);
    assert_int_equal(records[4].order, 5);
    assert_int_equal(records[5].order, 6);
    assert_true(time_mono_ns() - began_ns >= 60 * NS_PER_MS); /* three tokens */
    assert_int_equal(records[3].ends, 0);
    assert_int_equal(bench.requests, 6);
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        api_record_done(&records[i]);
    api_client_free(heartbeat);
}

TEST_CASE(retries_take_a_token_each)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    api_bench_connect(&bench, &(struct api_client_options){.qps = 100, .burst = 1});
    bench.steps[0] = (struct api_step){.status = 429, .retry_after = "0"};
    bench.is_endless = true;
    AUTO(api_record) struct api_record record = {0};
    int64_t began_ns = time_mono_ns();
    api_record_run_get(&bench, &record);
    assert_int_equal(bench.requests, 11);
    assert_true(time_mono_ns() - began_ns >= 100 * NS_PER_MS);
}

TEST_CASE(a_deadline_in_the_queue_names_the_limiter)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_PLAIN);
    api_bench_connect(&bench, &(struct api_client_options){.qps = 0.001, .burst = 1});
    bench.steps[0] = good;
    AUTO(api_record) struct api_record first = {0}, second = {0};
    const struct api_request request = {
        .verb = API_GET, .kind = kind_of("v1", "Node"), .name = "a", .timeout_ns = 30 * NS_PER_MS};
    api_record_run(&bench, &first, &request);
    api_record_run(&bench, &second, &request);
    assert_string_equal(second.message,
                        "client rate limiter Wait returned an error: context deadline exceeded");
    assert_int_equal(second.code, ERROR_DEADLINE_EXCEEDED);
    assert_int_equal(bench.requests, 1);
}

/* --- cancelling --- */

TEST_CASE(a_cancelled_call_is_silent_wherever_it_was)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, &(struct api_client_options){.qps = 0.001, .burst = 1});
    bench.steps[0] = (struct api_step){.what = STEP_HOLD};
    AUTO(api_record) struct api_record sent = {0}, queued = {0}, failing = {0};
    api_record_get_node(&bench, &sent);
    api_record_get_node(&bench, &queued);
    const struct api_request bad = {.verb = API_GET, .kind = kind_of("v1", "Node"), .name = "."};
    api_record_start(&bench, &failing, &bad);
    TURN_UNTIL(&bench, bench.held);
    api_call_cancel(TAKE(queued.call));
    api_call_cancel(TAKE(sent.call));
    TURN_UNTIL(&bench, bench.is_held_gone);
    assert_int_equal(sent.ends + queued.ends, 0);
    assert_int_equal(failing.ends, 1);
    api_call_cancel(NULL);
}

TEST_CASE(anything_may_be_done_from_a_callback)
{
    static const enum api_record_act acts[] = {ACT_CANCEL_OTHER, ACT_FREE_CLIENT, ACT_FREE_ALL,
                                               ACT_CALL_AGAIN};
    for (size_t i = 0; i < ARRAY_SIZE(acts); i++) {
        for (int is_tls = 0; is_tls < 2; is_tls++) {
            AUTO(api_bench) struct api_bench bench;
            api_bench_init(&bench, is_tls ? API_BENCH_TLS : API_BENCH_PLAIN);
            api_bench_connect(&bench, NULL);
            bench.steps[0] = bench.steps[1] = bench.steps[2] = good;
            AUTO(api_record) struct api_record first = {.act = acts[i]}, second = {0};
            first.other = &second;
            api_record_get_node(&bench, &first);
            api_record_get_node(&bench, &second);
            TURN_UNTIL(&bench, first.ends > 0);
            api_bench_settle(&bench);
            if (acts[i] == ACT_CALL_AGAIN)
                TURN_UNTIL(&bench, first.ends == 2);
            else
                assert_int_equal(first.ends, 1);
            assert_null(first.message);
        }
    }
}

TEST_CASE(everything_may_be_freed_when_a_call_fails)
{
    static const struct api_step steps[] = {
        {.what = STEP_ABORT}, {.what = STEP_TRUNC, .status = 200, .body = "{"}, {.status = 500}};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        AUTO(api_bench) struct api_bench bench;
        api_bench_init(&bench, API_BENCH_TLS);
        api_bench_connect(&bench, NULL);
        bench.steps[0] = steps[i];
        AUTO(api_record) struct api_record record = {.act = ACT_FREE_ALL};
        const struct api_request request = {.verb = API_PATCH_MERGE,
                                            .kind = kind_of("v1", "Node"),
                                            .name = "a",
                                            .patch = STR_LITERAL("{}")};
        api_record_run(&bench, &record, &request);
        assert_non_null(record.message);
    }
}

TEST_CASE(a_reset_transport_connects_anew)
{
    AUTO(api_bench) struct api_bench bench;
    api_bench_init(&bench, API_BENCH_TLS);
    api_bench_connect(&bench, NULL);
    bench.steps[0] = bench.steps[1] = good;
    AUTO(api_record) struct api_record record = {0};
    api_record_run_get(&bench, &record);
    api_transport_reset(bench.transport);
    api_record_run_get(&bench, &record);
    assert_null(record.message);
    assert_int_equal(http_client_connects(bench.transport->http), 2);
}

TEST_MAIN(TEST(a_request_looks_like_the_real_kubelet_s), TEST(objects_travel_as_protobuf_both_ways),
          TEST(a_json_client_says_so_over_plain_http), TEST(every_verb_sends_its_body),
          TEST(failures_come_with_code_reason_and_the_server_s_words),
          TEST(a_request_that_cannot_be_made_ends_in_the_next_turn),
          TEST(an_answer_beyond_the_cap_is_refused),
          TEST(busy_servers_are_asked_again_ten_times_when_they_say_when),
          TEST(a_server_that_comes_round_is_believed),
          TEST(a_wait_that_would_outlast_the_deadline_is_not_begun),
          TEST(reads_survive_a_cut_connection_and_writes_are_not_repeated),
          TEST(a_read_whose_stream_is_reset_is_told_at_once),
          TEST(a_read_whose_connection_is_always_cut_ends_after_ten_retries),
          TEST(a_refused_connection_is_told_in_go_s_words),
          TEST(calls_of_one_failed_connection_count_as_one_failure),
          TEST(a_server_that_restarts_meanwhile_is_not_noticed),
          TEST(a_draining_server_finishes_and_the_next_call_goes_to_a_new_one),
          TEST(a_server_whose_certificate_has_expired_is_asked_once),
          TEST(a_server_that_refuses_our_certificate_is_asked_as_often_as_the_rules_allow),
          TEST(a_stalled_server_is_given_up_at_the_deadline),
          TEST(a_call_without_a_deadline_does_not_wait_for_ever),
          TEST(a_deadline_while_trying_again_tells_what_went_wrong),
          TEST(limited_calls_leave_in_order_and_unlimited_ones_do_not_wait),
          TEST(retries_take_a_token_each), TEST(a_deadline_in_the_queue_names_the_limiter),
          TEST(a_cancelled_call_is_silent_wherever_it_was),
          TEST(anything_may_be_done_from_a_callback),
          TEST(everything_may_be_freed_when_a_call_fails), TEST(a_reset_transport_connects_anew))
