/* The client and our own server: what one says the other understands, in every protocol. */
#include "wire/http_client.h"

#include "tests/lib/http_calls.h"
#include "tests/lib/tls_certs.h"
#include "wire/http_server.h"

struct bed {
    struct test_cert ca, cert;
    struct tls_context *client_tls, *server_tls;
    struct http_bench bench;
    struct http_server *server;
    size_t http2_requests;
};

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct bed *bed = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    bed->http2_requests += request->is_http2;
    const char *field = http_fields_get(&request->fields, "x-question");
    const struct http_field fields[] = {{"x-test", field ? field : "none"}};
    const struct http_fields all = {.items = fields, .count = 1};
    if (text_eq(request->target.path, "/echo")) {
        http_exchange_reply(exchange, 201, &all, request->body);
    } else if (text_eq(request->target.path, "/parts")) {
        http_exchange_begin(exchange, 200, &all);
        for (size_t i = 0; i < 10; i++)
            http_exchange_write(exchange, STR_LITERAL("part "));
        http_exchange_finish(exchange);
    } else if (text_eq(request->target.path, "/abort")) {
        http_exchange_begin(exchange, 200, &all);
        http_exchange_write(exchange, STR_LITERAL("half"));
        http_exchange_abort(exchange);
    } else {
        http_exchange_reply(exchange, 404, &all, STR_LITERAL("no"));
    }
}

/* @alpn NULL: without TLS. */
static void bed_init(struct bed *bed, const char *alpn)
{
    *bed = (struct bed){0};
    bed->ca = test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    bed->cert = test_cert_new(
        &(struct test_cert_options){.common_name = "server", .names = "DNS:localhost"}, &bed->ca);
    if (alpn) {
        assert_no_error(tls_context_new_server(&(struct tls_options){.cert_pem = bed->cert.cert_pem,
                                                                     .key_pem = bed->cert.key_pem,
                                                                     .alpn = alpn},
                                               &bed->server_tls));
        assert_no_error(tls_context_new_client(
            &(struct tls_options){.ca_pem = bed->ca.cert_pem, .alpn = "h2,http/1.1"},
            &bed->client_tls));
    }
    struct loop *loop = NULL;
    assert_no_error(loop_new(&loop));
    bed->server = http_server_new(loop, &(struct http_server_options){0}, on_request, bed);
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *address = NULL;
    assert_no_error(
        http_server_listen(bed->server, "127.0.0.1:0", bed->server_tls, arena, &address));
    int64_t port = 0;
    assert_true(parse_i64(strchr(address, ':') + 1, 1, UINT16_MAX, &port));
    const struct http_client_options options = {.host = "127.0.0.1",
                                                .port = (uint16_t)port,
                                                .server_name = "localhost",
                                                .tls = bed->client_tls};
    bed->bench.loop = loop;
    bed->bench.pool = work_pool_new(loop, 0);
    assert_no_error(http_client_new(loop, bed->bench.pool, &options, &bed->bench.client));
}

static void auto_release_bed(struct bed *bed)
{
    http_client_free(TAKE(bed->bench.client));
    http_server_free(TAKE(bed->server));
    http_bench_done(&bed->bench);
    tls_context_unref(bed->client_tls);
    tls_context_unref(bed->server_tls);
    test_cert_free(&bed->ca);
    test_cert_free(&bed->cert);
}

static const struct {
    const char *alpn; /* NULL: no TLS */
    bool is_http2;
} protocols[] = {{NULL, false}, {"http/1.1", false}, {"h2,http/1.1", true}};

TEST_CASE(client_and_server_understand_each_other)
{
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed, protocols[i].alpn);
        AUTO(free) char *body = xcalloc(1, 2 * MiB + 1);
        memset(body, 'x', 2 * MiB);
        const struct http_field field = {"x-question", "why"};
        struct http_record records[12] = {0};
        for (size_t n = 0; n < ARRAY_SIZE(records); n++)
            http_bench_start_with(&bed.bench, &records[n],
                                  &(struct http_call_options){
                                      .method = n % 2 == 0 ? "POST" : "GET",
                                      .target = n % 2 == 0 ? "/echo" : "/parts?x=y",
                                      .fields = {.items = &field, .count = 1},
                                      .body = {.ptr = body, .len = n % 2 == 0 ? 2 * MiB : 0}});
        for (size_t n = 0; n < ARRAY_SIZE(records); n++) {
            TURN_UNTIL(&bed.bench, records[n].ends == 1);
            if (records[n].error)
                fail_msg("%s", records[n].error);
            assert_int_equal(records[n].status, n % 2 == 0 ? 201 : 200);
            assert_string_equal(records[n].field, "why");
            assert_int_equal(records[n].data.len, n % 2 == 0 ? 2 * MiB : 50);
            http_record_done(&records[n]);
        }
        assert_int_equal(bed.http2_requests, protocols[i].is_http2 ? ARRAY_SIZE(records) : 0);
        size_t connects = http_client_connects(bed.bench.client);
        assert_true(protocols[i].is_http2 ? connects == 1 : connects <= 8);
    }
}

TEST_CASE(an_aborted_answer_is_an_error_and_others_are_answers)
{
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
        AUTO(bed) struct bed bed;
        bed_init(&bed, protocols[i].alpn);
        AUTO(http_record) struct http_record aborted = {0}, missing = {0}, head = {0};
        http_bench_start(&bed.bench, &aborted, "GET", "/abort");
        http_bench_start(&bed.bench, &missing, "GET", "/nowhere");
        http_bench_start(&bed.bench, &head, "HEAD", "/parts");
        TURN_UNTIL(&bed.bench, aborted.ends + missing.ends + head.ends == 3);
        assert_non_null(aborted.error);
        assert_int_equal(aborted.code, ERROR_UNAVAILABLE);
        assert_null(missing.error);
        assert_int_equal(missing.status, 404);
        assert_null(head.error);
        assert_int_equal(head.status, 200);
        assert_int_equal(head.data.len, 0);
    }
}

TEST_CASE(a_draining_server_takes_no_new_calls)
{
    AUTO(bed) struct bed bed;
    bed_init(&bed, "h2");
    AUTO(http_record) struct http_record first = {0}, second = {0};
    http_bench_start(&bed.bench, &first, "GET", "/parts");
    TURN_UNTIL(&bed.bench, first.ends == 1);
    http_server_drain(bed.server);
    http_bench_settle(&bed.bench);
    TURN_UNTIL(&bed.bench, http_client_connection_count(bed.bench.client) == 0);
    http_bench_start(&bed.bench, &second, "GET", "/parts");
    TURN_UNTIL(&bed.bench, second.ends == 1);
    assert_non_null(second.error);
    assert_true(second.is_unsent);
}

TEST_MAIN(TEST(client_and_server_understand_each_other),
          TEST(an_aborted_answer_is_an_error_and_others_are_answers),
          TEST(a_draining_server_takes_no_new_calls))
