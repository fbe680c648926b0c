#include "kube/certificate_request.h"

#include "base/buf.h"
#include "tests/unit/kube/csr_server.h"
#include "tests/unit/kube/fake_loop.h"

struct bench {
    struct csr_server server;
    struct certificate_request *request; /* NULL: over */
    struct buf told;
};

static const char *const usages[] = {"digital signature", "server auth"};
static const struct certificate_request_options options = {
    .signer_name = "kubernetes.io/kubelet-serving",
    .usages = usages,
    .usage_count = 2,
    .request_pem = {"PEM", 3},
};

static void on_signed(void *ctx, struct str certificate_pem, struct error *err_owned)
{
    struct bench *bench = ctx;
    AUTO(error) struct error *err = err_owned;
    bench->request = NULL;
    buf_printf(&bench->told, "%.*s%s|", STR_ARG(certificate_pem), err ? err->message : "");
}

static void turn(struct loop *loop)
{
    fake_loop_advance(loop, 0);
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    buf_init(&bench->told, 64 * KiB);
    assert_no_error(loop_new(&bench->server.loop));
    bench->server.client = fake_api_client_new(bench->server.loop);
    bench->server.arena = arena_new(0);
    bench->server.turn = turn;
    bench->request = certificate_request_start(bench->server.loop, bench->server.client, &options,
                                               on_signed, bench);
}

static void auto_release_bench(struct bench *bench)
{
    certificate_request_cancel(bench->request);
    fake_loop_advance(bench->server.loop, 0);
    assert_int_equal(fake_pending(bench->server.client), 0);
    assert_int_equal(fake_loop_live(bench->server.loop), 0);
    api_client_free(bench->server.client);
    loop_free(bench->server.loop);
    arena_free(bench->server.arena);
    buf_done(&bench->told);
}

TEST_CASE(the_request_is_as_the_kubelet_makes_it)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const struct fake_exchange *post = fake_first(bench.server.client);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 64 * KiB);
    kube_encode_any(post->body, post->kind, KUBE_JSON, &text);
    assert_string_equal(fake_log(bench.server.client, 0), "POST " CSR_PATH "?timeout=30s");
    assert_string_equal(
        buf_text(&text),
        "{\"kind\":\"CertificateSigningRequest\",\"apiVersion\":\"certificates.k8s.io/v1\","
        "\"metadata\":{\"generateName\":\"csr-\"},\"spec\":{\"request\":\"UEVN\","
        "\"usages\":[\"digital signature\",\"server auth\"],"
        "\"signerName\":\"kubernetes.io/kubelet-serving\"}}");
}

TEST_CASE(a_certificate_that_is_signed_later_is_told_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csr_server_accept(&bench.server);
    assert_non_null(
        strstr(fake_log(bench.server.client, 1), "fieldSelector=metadata.name%3Dcsr-1"));
    csr_server_condition(&bench.server, "Approved", "Ok", "fine");
    csr_server_tell(&bench.server, WATCH_MODIFIED);
    assert_string_equal(buf_text(&bench.told), ""); /* approved, not signed */
    csr_server_sign(&bench.server, "CERTIFICATE");
    assert_string_equal(buf_text(&bench.told), "CERTIFICATE|");
    assert_null(bench.request);
}

TEST_CASE(a_first_list_that_has_not_heard_of_it_is_no_failure)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csr_server_create(&bench.server);
    csr_server_list(&bench.server, false);
    csr_server_tell(&bench.server, WATCH_ADDED);
    csr_server_sign(&bench.server, "CERTIFICATE");
    assert_string_equal(buf_text(&bench.told), "CERTIFICATE|");
}

TEST_CASE(a_request_that_ends_otherwise_is_a_failure)
{
    static const struct {
        const char *condition; /* NULL: deleted */
        const char *want;
    } rows[] = {
        {"Denied", "certificate signing request is denied, reason: R, message: M|"},
        {"Failed", "certificate signing request failed, reason: R, message: M|"},
        {NULL, "csr \"csr-1\" was deleted|"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        csr_server_accept(&bench.server);
        if (rows[i].condition)
            csr_server_condition(&bench.server, rows[i].condition, "R", "M");
        csr_server_tell(&bench.server, rows[i].condition ? WATCH_MODIFIED : WATCH_DELETED);
        assert_string_equal(buf_text(&bench.told), rows[i].want);
    }
}

TEST_CASE(another_object_of_the_same_name_is_a_failure)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csr_server_create(&bench.server);
    bench.server.csr->metadata->uid = arena_strdup(bench.server.arena, "other");
    csr_server_list(&bench.server, true);
    assert_string_equal(buf_text(&bench.told), "csr \"csr-1\" changed UIDs|");
}

TEST_CASE(a_refused_creation_is_told_with_the_servers_words)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    fake_fail(fake_first(bench.server.client), 403, "Forbidden", "not for you");
    fake_loop_advance(bench.server.loop, 0);
    assert_string_equal(buf_text(&bench.told),
                        "cannot create certificate signing request: not for you|");
}

TEST_CASE(a_lost_watch_is_taken_up_again)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csr_server_accept(&bench.server);
    fake_lose(csr_server_watch(&bench.server));
    fake_loop_advance(bench.server.loop, 60 * NS_PER_SEC);
    assert_string_equal(buf_text(&bench.told), "");
    csr_server_list(&bench.server, true); /* one that was this short is followed by a list */
    csr_server_sign(&bench.server, "CERTIFICATE");
    assert_string_equal(buf_text(&bench.told), "CERTIFICATE|");
}

TEST_CASE(patience_ends_after_a_quarter_of_an_hour)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    csr_server_accept(&bench.server);
    fake_loop_advance(bench.server.loop, CERTIFICATE_REQUEST_PATIENCE_NS - NS_PER_SEC);
    assert_string_equal(buf_text(&bench.told), "");
    fake_loop_advance(bench.server.loop, NS_PER_SEC);
    assert_string_equal(buf_text(&bench.told), "timed out waiting for the condition|");
}

TEST_CASE(cancelling_is_silent_at_every_stage)
{
    for (int stage = 0; stage < 3; stage++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        if (stage > 0)
            csr_server_create(&bench.server);
        if (stage > 1)
            csr_server_list(&bench.server, true);
        certificate_request_cancel(TAKE(bench.request));
        fake_loop_advance(bench.server.loop, CERTIFICATE_REQUEST_PATIENCE_NS);
        assert_string_equal(buf_text(&bench.told), "");
    }
}

TEST_MAIN(TEST(the_request_is_as_the_kubelet_makes_it),
          TEST(a_certificate_that_is_signed_later_is_told_once),
          TEST(a_first_list_that_has_not_heard_of_it_is_no_failure),
          TEST(a_request_that_ends_otherwise_is_a_failure),
          TEST(another_object_of_the_same_name_is_a_failure),
          TEST(a_refused_creation_is_told_with_the_servers_words),
          TEST(a_lost_watch_is_taken_up_again), TEST(patience_ends_after_a_quarter_of_an_hour),
          TEST(cancelling_is_silent_at_every_stage))
