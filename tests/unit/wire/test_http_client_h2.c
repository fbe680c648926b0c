/* The client against an HTTP/2 server over TLS that misbehaves on demand (tests/lib/h2_peer.h). */
#include "wire/http_client.h"

#include "tests/lib/h2_peer.h"

#include <openssl/err.h>

#define SHORT_NS (20 * NS_PER_MS)

struct world {
    struct test_cert ca, other_ca, server, client, renewed;
};

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    world->other_ca =
        test_cert_new(&(struct test_cert_options){.common_name = "other", .is_ca = true}, NULL);
    world->server = test_cert_new(
        &(struct test_cert_options){.common_name = "server", .names = "IP:127.0.0.1"}, &world->ca);
    world->client = test_cert_new(&(struct test_cert_options){.common_name = "old"}, &world->ca);
    world->renewed = test_cert_new(&(struct test_cert_options){.common_name = "new"}, &world->ca);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    test_cert_free(&world->ca);
    test_cert_free(&world->other_ca);
    test_cert_free(&world->server);
    test_cert_free(&world->client);
    test_cert_free(&world->renewed);
    free(world);
    return 0;
}

struct bed {
    struct http_bench bench;
    struct h2_peer peer;
};

static void bed_start_with(struct bed *bed, const struct world *world,
                           const struct http_client_options *extra, const char *ca_pem)
{
    AUTO(tls_context) struct tls_context *tls = NULL;
    assert_no_error(tls_context_new_client(&(struct tls_options){.ca_pem = ca_pem,
                                                                 .cert_pem = world->client.cert_pem,
                                                                 .key_pem = world->client.key_pem,
                                                                 .alpn = "h2,http/1.1"},
                                           &tls));
    bed->peer.listener = loopback_listen(16, &bed->peer.port);
    struct http_client_options options = *extra;
    options.host = "127.0.0.1";
    options.port = bed->peer.port;
    options.tls = tls;
    http_bench_init(&bed->bench, &options);
    bed->peer.cert_pem = world->server.cert_pem;
    bed->peer.key_pem = world->server.key_pem;
    bed->peer.ca_pem = world->ca.cert_pem;
    h2_peer_start(&bed->peer, bed->bench.loop);
}

/* The bed is zeroed but for what the peer is to do. */
static void bed_start(struct bed *bed, void **state)
{
    const struct world *world = *state;
    bed_start_with(bed, world, &(struct http_client_options){0}, world->ca.cert_pem);
}

static void auto_release_bed(struct bed *bed)
{
    http_client_free(TAKE(bed->bench.client));
    h2_peer_stop(&bed->peer);
    http_bench_done(&bed->bench);
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_ends(const struct http_record *record, const char *error_end)
{
    if (!error_end && record->error)
        fail_msg("%s", record->error);
    if (error_end && !record->error)
        fail_msg("complete, instead of %s", error_end);
    if (error_end && !text_has_suffix(record->error, error_end))
        fail_msg("%s, instead of %s", record->error, error_end);
}

/* --- requests and responses --- */

TEST_CASE(calls_share_one_connection)
{
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    struct http_record records[20] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        http_bench_start(&bed.bench, &records[i], "GET", i % 2 == 0 ? "/ok" : "/early");
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        TURN_UNTIL(&bed.bench, records[i].ends == 1);
        assert_ends(&records[i], NULL);
        assert_int_equal(records[i].responses, 1);
        assert_int_equal(records[i].status, 200);
        assert_string_equal(records[i].field, "yes");
        assert_string_equal(buf_text(&records[i].data), "hello");
        http_record_done(&records[i]);
    }
    assert_int_equal(http_client_connects(bed.bench.client), 1);
    assert_int_equal(http_client_connection_count(bed.bench.client), 1);
}

TEST_CASE(a_request_is_said_in_full)
{
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    AUTO(http_record) struct http_record post = {0}, get = {0};
    const struct http_field field = {"x-test", "some value"};
    http_bench_start_with(&bed.bench, &post,
                          &(struct http_call_options){.method = "POST",
                                                      .target = "/count",
                                                      .fields = {.items = &field, .count = 1},
                                                      .body = STR_LITERAL("seven!!")});
    TURN_UNTIL(&bed.bench, post.ends == 1);
    assert_ends(&post, NULL);
    assert_string_equal(buf_text(&post.data), "7");
    AUTO(free) char *authority = xasprintf("127.0.0.1:%u", bed.peer.port);
    assert_string_equal(bed.peer.last_authority, authority);
    assert_string_equal(bed.peer.last_field, "some value");
    assert_string_equal(bed.peer.last_length, "7");
    bed.peer.last_length[0] = '\0';
    http_bench_start(&bed.bench, &get, "GET", "/count");
    TURN_UNTIL(&bed.bench, get.ends == 1);
    assert_string_equal(buf_text(&get.data), "0");
    assert_string_equal(bed.peer.last_length, "");
}

TEST_CASE(every_end_is_told_once)
{
    static const struct {
        const char *path;
        const char *error; /* its end; NULL: complete */
        bool is_unsent;
        const char *data;
    } rows[] = {
        {"/ok", NULL, false, "hello"},
        {"/trailers", NULL, false, "hello"},
        {"/drain", NULL, false, "hello"},
        {"/rst", ": stream error: INTERNAL_ERROR", false, ""},
        {"/refuse", ": http2: the server takes no more requests on this connection", true, ""},
        {"/goaway", ": http2: the server takes no more requests on this connection", true, ""},
        {"/close", ": unexpected EOF", false, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bed) struct bed bed = {0};
        bed_start(&bed, test_state);
        AUTO(http_record) struct http_record record = {0};
        http_bench_start(&bed.bench, &record, "GET", rows[i].path);
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_ends(&record, rows[i].error);
        assert_int_equal(record.is_unsent, rows[i].is_unsent);
        assert_int_equal(record.is_reset, text_eq(rows[i].path, "/rst"));
        assert_string_equal(buf_text(&record.data), rows[i].data);
        http_bench_settle(&bed.bench);
        assert_int_equal(record.ends, 1);
        if (record.error)
            assert_int_equal(record.code, ERROR_UNAVAILABLE);
    }
}

/* --- GOAWAY and reset --- */

TEST_CASE(after_goaway_calls_go_elsewhere_and_the_rest_finishes)
{
    AUTO(bed) struct bed bed = {.peer = {.big_bytes = 5 * MiB}};
    bed_start(&bed, test_state);
    AUTO(http_record)
    struct http_record big = {.pause_on = HTTP_ON_RESPONSE}, drain = {0}, ok = {0};
    http_bench_start(&bed.bench, &big, "GET", "/big");
    TURN_UNTIL(&bed.bench, big.responses == 1);
    http_bench_start(&bed.bench, &drain, "GET", "/drain");
    TURN_UNTIL(&bed.bench, drain.ends == 1);
    http_bench_start(&bed.bench, &ok, "GET", "/ok");
    TURN_UNTIL(&bed.bench, ok.ends == 1);
    assert_ends(&ok, NULL);
    assert_int_equal(http_client_connects(bed.bench.client), 2);
    assert_int_equal(http_client_connection_count(bed.bench.client), 2);
    http_call_pause(big.call, false);
    TURN_UNTIL(&bed.bench, big.ends == 1);
    assert_ends(&big, NULL);
    assert_int_equal(big.data.len, 5 * MiB);
    TURN_UNTIL(&bed.bench, http_client_connection_count(bed.bench.client) == 1);
}

TEST_CASE(a_new_certificate_is_used_from_the_next_call_on)
{
    const struct world *world = *test_state;
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    AUTO(http_record) struct http_record first = {0}, hang = {0}, second = {0};
    http_bench_start(&bed.bench, &first, "GET", "/whoami");
    TURN_UNTIL(&bed.bench, first.ends == 1);
    assert_string_equal(buf_text(&first.data), "old");
    http_bench_start(&bed.bench, &hang, "GET", "/half");
    TURN_UNTIL(&bed.bench, hang.data.len == 4);

    AUTO(tls_context) struct tls_context *tls = NULL;
    assert_no_error(
        tls_context_new_client(&(struct tls_options){.ca_pem = world->ca.cert_pem,
                                                     .cert_pem = world->renewed.cert_pem,
                                                     .key_pem = world->renewed.key_pem,
                                                     .alpn = "h2"},
                               &tls));
    http_client_set_tls(bed.bench.client, tls);
    http_bench_start(&bed.bench, &second, "GET", "/whoami");
    TURN_UNTIL(&bed.bench, second.ends == 1);
    assert_string_equal(buf_text(&second.data), "new");
    assert_int_equal(hang.ends, 0);
    assert_int_equal(http_client_connection_count(bed.bench.client), 2);
    http_call_cancel(TAKE(hang.call));
    TURN_UNTIL(&bed.bench, http_client_connection_count(bed.bench.client) == 1);
}

TEST_CASE(a_reset_while_connecting_connects_anew)
{
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    for (size_t wait = 0; wait < 6; wait++) {
        AUTO(http_record) struct http_record record = {0};
        http_bench_start(&bed.bench, &record, "GET", "/ok");
        for (size_t i = 0; i < wait; i++)
            loop_turn(bed.bench.loop, 0);
        http_client_reset(bed.bench.client);
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_ends(&record, NULL);
    }
}

/* --- many at a time --- */

TEST_CASE(calls_beyond_the_peers_limit_wait_their_turn)
{
    AUTO(bed) struct bed bed = {.peer = {.max_streams = 2}};
    bed_start(&bed, test_state); /* they start before the limit is known */
    struct http_record records[7] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        http_bench_start(&bed.bench, &records[i], "GET", "/ok");
    http_call_cancel(TAKE(records[5].call));
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        TURN_UNTIL(&bed.bench, records[i].ends == 1 || i == 5);
        assert_ends(&records[i], NULL);
        http_record_done(&records[i]);
    }
    assert_true(bed.peer.most_streams <= 2);
    assert_true(http_client_connects(bed.bench.client) <= 2);
}

TEST_CASE(a_call_does_not_wait_for_those_that_never_end)
{
    AUTO(bed) struct bed bed = {.peer = {.max_streams = 2}};
    bed_start(&bed, test_state);
    struct http_record hangs[5] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(hangs); i++) {
        http_bench_start(&bed.bench, &hangs[i], "GET", "/half");
        TURN_UNTIL(&bed.bench, hangs[i].data.len == 4);
    }
    assert_int_equal(http_client_connection_count(bed.bench.client), 3);
    assert_int_equal(bed.peer.most_streams, 2);
    /* What has become free is used again before there is a further connection. */
    http_call_cancel(TAKE(hangs[0].call));
    for (size_t i = 0; i < 3; i++) {
        AUTO(http_record) struct http_record ok = {0};
        http_bench_start(&bed.bench, &ok, "GET", "/ok");
        TURN_UNTIL(&bed.bench, ok.ends == 1);
        assert_ends(&ok, NULL);
    }
    assert_int_equal(http_client_connects(bed.bench.client), 3);
    http_client_reset(bed.bench.client);
    for (size_t i = 1; i < ARRAY_SIZE(hangs); i++)
        http_call_cancel(TAKE(hangs[i].call));
    TURN_UNTIL(&bed.bench, http_client_connection_count(bed.bench.client) == 0);
    for (size_t i = 0; i < ARRAY_SIZE(hangs); i++)
        http_record_done(&hangs[i]);
}

TEST_CASE(connections_have_a_limit_and_calls_wait_there)
{
    enum { LIMIT = 16 };
    AUTO(bed) struct bed bed = {.peer = {.max_streams = 1}};
    bed_start(&bed, test_state);
    struct http_record hangs[LIMIT] = {0};
    for (size_t i = 0; i < LIMIT; i++) {
        http_bench_start(&bed.bench, &hangs[i], "GET", "/half");
        TURN_UNTIL(&bed.bench, hangs[i].data.len == 4);
    }
    AUTO(http_record) struct http_record ok = {0};
    http_bench_start(&bed.bench, &ok, "GET", "/ok");
    http_bench_settle(&bed.bench);
    assert_int_equal(ok.ends, 0);
    assert_int_equal(http_client_connection_count(bed.bench.client), LIMIT);
    http_call_cancel(TAKE(hangs[LIMIT / 2].call));
    TURN_UNTIL(&bed.bench, ok.ends == 1);
    assert_ends(&ok, NULL);
    assert_int_equal(http_client_connects(bed.bench.client), LIMIT);
    for (size_t i = 0; i < LIMIT; i++) {
        http_call_cancel(TAKE(hangs[i].call));
        http_record_done(&hangs[i]);
    }
}

TEST_CASE(what_still_waits_when_its_connection_breaks_goes_on_another)
{
    AUTO(bed) struct bed bed = {.peer = {.max_streams = 1}};
    bed_start(&bed, test_state);
    AUTO(http_record) struct http_record warm = {0}, sent = {0}, waiting = {0};
    http_bench_start(&bed.bench, &warm, "GET", "/ok");
    TURN_UNTIL(&bed.bench, warm.ends == 1);
    http_bench_start(&bed.bench, &sent, "POST", "/hang");
    http_bench_start(&bed.bench, &waiting, "POST", "/ok");
    TURN_UNTIL(&bed.bench, bed.peer.conns[0].requests == 2);
    h2_peer_close_all(&bed.peer);
    TURN_UNTIL(&bed.bench, sent.ends == 1 && waiting.ends == 1);
    assert_ends(&sent, ": unexpected EOF");
    assert_false(sent.is_unsent);
    /* The other one may have been there, or half there, and been closed with the first. */
    if (waiting.error)
        assert_int_equal(waiting.code, ERROR_UNAVAILABLE);
}

TEST_CASE(a_server_that_closes_before_it_speaks_fails_all_who_wait_at_once)
{
    AUTO(bed) struct bed bed = {.peer = {.max_streams = 1}};
    bed_start(&bed, test_state);
    struct http_record records[5] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(records); i++)
        http_bench_start(&bed.bench, &records[i], "POST", "/ok");
    while (http_client_connects(bed.bench.client) == 0)
        loop_turn(bed.bench.loop, NS_PER_MS);
    h2_peer_close_all(&bed.peer);
    size_t unsent = 0;
    for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
        TURN_UNTIL(&bed.bench, records[i].ends == 1);
        assert_int_equal(records[i].code, ERROR_UNAVAILABLE);
        unsent += records[i].is_unsent;
        http_record_done(&records[i]);
    }
    assert_true(unsent >= ARRAY_SIZE(records) - 1);
    assert_int_equal(http_client_connects(bed.bench.client), 1);
}

TEST_CASE(a_waiting_call_learns_of_goaway_at_once)
{
    AUTO(bed) struct bed bed = {.peer = {.max_streams = 2}};
    bed_start(&bed, test_state);
    AUTO(http_record)
    struct http_record warm = {0}, hang = {0}, drain = {0}, waiting = {0};
    http_bench_start(&bed.bench, &warm, "GET", "/ok");
    TURN_UNTIL(&bed.bench, warm.ends == 1);
    http_bench_start(&bed.bench, &hang, "GET", "/hang");
    http_bench_start(&bed.bench, &drain, "GET", "/drain");
    http_bench_start(&bed.bench, &waiting, "GET", "/ok");
    TURN_UNTIL(&bed.bench, drain.ends == 1 && waiting.ends == 1);
    assert_ends(&drain, NULL);
    /* It may also have had its turn before the GOAWAY came. */
    assert_true(waiting.error == NULL || waiting.is_unsent);
    assert_int_equal(hang.ends, 0);
}

/* --- flow --- */

TEST_CASE(a_big_body_is_uploaded)
{
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    AUTO(http_record) struct http_record record = {0};
    AUTO(free) char *body = xcalloc(1, 6 * MiB);
    http_bench_start_with(&bed.bench, &record,
                          &(struct http_call_options){.method = "PUT",
                                                      .target = "/count",
                                                      .body = {.ptr = body, .len = 6 * MiB}});
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_ends(&record, NULL);
    assert_string_equal(buf_text(&record.data), "6291456");
}

TEST_CASE(a_pause_holds_the_server_back_but_not_the_other_calls)
{
    AUTO(bed) struct bed bed = {.peer = {.big_bytes = 12 * MiB}};
    bed_start(&bed, test_state);
    struct http_record paused[6] = {0};
    for (size_t i = 0; i < ARRAY_SIZE(paused); i++) {
        paused[i].pause_on = i % 2 == 0 ? HTTP_ON_RESPONSE : HTTP_ON_DATA;
        http_bench_start(&bed.bench, &paused[i], "GET", "/big");
    }
    for (size_t i = 0; i < ARRAY_SIZE(paused); i++)
        TURN_UNTIL(&bed.bench, paused[i].responses == 1);
    AUTO(http_record) struct http_record free_one = {0};
    http_bench_start(&bed.bench, &free_one, "GET", "/big");
    TURN_UNTIL(&bed.bench, free_one.ends == 1);
    assert_ends(&free_one, NULL);
    assert_int_equal(free_one.data.len, 12 * MiB);
    for (size_t i = 0; i < 50; i++)
        loop_turn(bed.bench.loop, 0);
    /* Six streams' windows, and the whole of the seventh. */
    assert_true(bed.peer.conns[0].sent_bytes <= 12 * MiB + 6 * MiB + MiB);
    for (size_t i = 0; i < ARRAY_SIZE(paused); i++)
        assert_int_equal(paused[i].pieces, i % 2);
    for (size_t i = 0; i < ARRAY_SIZE(paused); i++) {
        http_call_pause(paused[i].call, false);
        TURN_UNTIL(&bed.bench, paused[i].ends == 1);
        assert_ends(&paused[i], NULL);
        assert_int_equal(paused[i].data.len, 12 * MiB);
        http_record_done(&paused[i]);
    }
}

TEST_CASE(a_response_that_ended_during_a_pause_is_told_afterwards)
{
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    AUTO(http_record) struct http_record record = {.pause_on = HTTP_ON_RESPONSE};
    http_bench_start(&bed.bench, &record, "GET", "/ok");
    TURN_UNTIL(&bed.bench, record.responses == 1);
    http_bench_settle(&bed.bench);
    assert_int_equal(record.pieces + record.ends, 0);
    http_call_pause(record.call, false);
    assert_int_equal(record.pieces + record.ends, 0);
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_ends(&record, NULL);
    assert_string_equal(buf_text(&record.data), "hello");

    AUTO(http_record) struct http_record early = {0}; /* paused before there is anything */
    http_bench_start(&bed.bench, &early, "GET", "/ok");
    http_call_pause(early.call, true);
    http_bench_settle(&bed.bench);
    assert_int_equal(early.responses + early.pieces + early.ends, 0);
    http_call_pause(early.call, false);
    TURN_UNTIL(&bed.bench, early.ends == 1);
    assert_ends(&early, NULL);
}

/* --- time --- */

TEST_CASE(a_dead_peer_is_noticed_by_pings)
{
    const struct world *world = *test_state;
    AUTO(bed) struct bed bed = {0};
    const struct http_client_options options = {.ping_after_ns = SHORT_NS,
                                                .ping_timeout_ns = SHORT_NS};
    bed_start_with(&bed, world, &options, world->ca.cert_pem);
    AUTO(http_record) struct http_record hang = {0}, half = {0};
    http_bench_start(&bed.bench, &hang, "GET", "/hang");
    http_bench_start(&bed.bench, &half, "GET", "/half");
    TURN_UNTIL(&bed.bench, half.data.len == 4);
    TURN_UNTIL(&bed.bench, bed.peer.conns[0].pings >= 3); /* silent, but alive */
    assert_int_equal(hang.ends + half.ends, 0);
    bed.peer.is_mute = true;
    TURN_UNTIL(&bed.bench, hang.ends == 1 && half.ends == 1);
    assert_ends(&hang, ": http2: client connection lost");
    assert_ends(&half, ": http2: client connection lost");
    assert_int_equal(http_client_connection_count(bed.bench.client), 0);
}

TEST_CASE(nobody_is_pinged_without_a_call)
{
    const struct world *world = *test_state;
    AUTO(bed) struct bed bed = {0};
    const struct http_client_options options = {.ping_after_ns = NS_PER_MS,
                                                .ping_timeout_ns = 10 * NS_PER_SEC};
    bed_start_with(&bed, world, &options, world->ca.cert_pem);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start(&bed.bench, &record, "GET", "/ok");
    TURN_UNTIL(&bed.bench, record.ends == 1);
    loop_turn(bed.bench.loop, SHORT_NS); /* the timer's last ring */
    size_t pings = bed.peer.conns[0].pings;
    for (size_t i = 0; i < 10; i++)
        loop_turn(bed.bench.loop, 3 * NS_PER_MS);
    assert_true(bed.peer.conns[0].pings <= pings + 1);
    assert_int_equal(http_client_connection_count(bed.bench.client), 1);
}

TEST_CASE(deadlines_hold_at_every_stage)
{
    for (size_t stage = 0; stage < 3; stage++) {
        const struct world *world = *test_state;
        AUTO(bed) struct bed bed = {.peer = {.is_slow_to_shake = stage == 0}};
        bed_start_with(&bed, world, &(struct http_client_options){0}, world->ca.cert_pem);
        AUTO(http_record) struct http_record record = {0};
        http_bench_start_with(&bed.bench, &record,
                              &(struct http_call_options){.method = "GET",
                                                          .target = stage == 1 ? "/hang" : "/half",
                                                          .deadline_ns = 5 * SHORT_NS});
        TURN_UNTIL(&bed.bench, record.ends == 1);
        assert_ends(&record, ": context deadline exceeded");
        assert_int_equal(record.is_unsent, stage == 0);
        assert_int_equal(record.code, ERROR_DEADLINE_EXCEEDED);
    }
}

/* --- TLS --- */

TEST_CASE(who_cannot_be_trusted_is_not_spoken_to)
{
    const struct world *world = *test_state;
    AUTO(bed) struct bed bed = {0};
    bed_start_with(&bed, world, &(struct http_client_options){0}, world->other_ca.cert_pem);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start(&bed.bench, &record, "GET", "/ok");
    TURN_UNTIL(&bed.bench, record.ends == 1);
    AUTO(free)
    char *want = xasprintf("Get \"https://127.0.0.1:%u/ok\": tls: failed to verify certificate: "
                           "x509: certificate signed by unknown authority",
                           bed.peer.port);
    assert_string_equal(record.error, want);
    assert_int_equal(record.code, ERROR_UNAUTHENTICATED);
    assert_true(record.is_unsent);
}

TEST_CASE(another_name_may_be_expected_of_the_certificate)
{
    const struct world *world = *test_state;
    AUTO(bed) struct bed bed = {0};
    bed_start_with(&bed, world, &(struct http_client_options){.server_name = "api"},
                   world->ca.cert_pem);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start(&bed.bench, &record, "GET", "/ok");
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_ends(&record, ": x509: certificate is not valid for any names, but wanted to match api");
}

TEST_CASE(a_handshake_that_stalls_is_given_up)
{
    const struct world *world = *test_state;
    AUTO(bed) struct bed bed = {.peer = {.is_slow_to_shake = true}};
    bed_start_with(&bed, world, &(struct http_client_options){.connect_timeout_ns = SHORT_NS},
                   world->ca.cert_pem);
    AUTO(http_record) struct http_record record = {0};
    http_bench_start(&bed.bench, &record, "GET", "/ok");
    TURN_UNTIL(&bed.bench, record.ends == 1);
    assert_ends(&record, ": net/http: TLS handshake timeout");
    assert_true(record.is_unsent);
}

/* --- anywhere --- */

TEST_CASE(a_cut_at_every_byte_ends_every_call_once)
{
    size_t completes = 0;
    for (size_t cut = 1; completes < 3; cut += cut < 1500 ? 97 : 1) {
        AUTO(bed) struct bed bed = {.peer = {.cut_after = cut}};
        bed_start(&bed, test_state);
        struct http_record records[3] = {0};
        http_bench_start(&bed.bench, &records[0], "GET", "/ok");
        http_bench_start(&bed.bench, &records[1], "GET", "/trailers");
        http_bench_start(&bed.bench, &records[2], "POST", "/count");
        completes = 0;
        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
            TURN_UNTIL(&bed.bench, records[i].ends == 1);
            completes += records[i].error == NULL;
            assert_true(records[i].error || records[i].responses == 1);
        }
        http_bench_settle(&bed.bench);
        for (size_t i = 0; i < ARRAY_SIZE(records); i++) {
            assert_int_equal(records[i].ends, 1);
            http_record_done(&records[i]);
        }
        assert_true(cut < 20000);
    }
}

TEST_CASE(a_call_may_be_cancelled_and_the_client_freed_anywhere)
{
    static const char *const paths[] = {"/ok", "/trailers", "/rst", "/goaway", "/close", "/half"};
    for (size_t i = 0; i < ARRAY_SIZE(paths) * 6; i++) {
        AUTO(bed) struct bed bed = {0};
        bed_start(&bed, test_state);
        enum http_record_event event = (enum http_record_event)(HTTP_ON_RESPONSE + i % 3);
        bool is_free = i / 3 % 2 == 1;
        struct http_record records[3] = {0};
        for (size_t n = 0; n < ARRAY_SIZE(records); n++) {
            records[n].free_on = is_free ? event : HTTP_ON_NOTHING;
            records[n].cancel_on = !is_free && event != HTTP_ON_END ? event : HTTP_ON_NOTHING;
            http_bench_start(&bed.bench, &records[n], "GET", paths[i / 6]);
        }
        for (size_t n = 0; n < 60; n++)
            loop_turn(bed.bench.loop, 0);
        for (size_t n = 0; n < ARRAY_SIZE(records); n++) {
            assert_true(records[n].ends <= 1);
            if (records[n].cancel_on != HTTP_ON_NOTHING && !records[n].call)
                assert_true(records[n].ends == 0 || records[n].pieces == 0);
            http_record_done(&records[n]);
        }
    }
}

/* A call that ends because its connection breaks may take the others with it. */
struct killer {
    struct http_call *victim;
    size_t ends;
};

static void killer_on_end(void *ctx, UNUSED const struct http_call_end *end)
{
    struct killer *killer = ctx;
    killer->ends++;
    http_call_cancel(TAKE(killer->victim));
}

TEST_CASE(a_call_may_cancel_another_while_the_connection_breaks)
{
    static const struct http_call_events events = {.on_response = http_record_on_response,
                                                   .on_data = http_record_on_data,
                                                   .on_end = killer_on_end};
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    struct killer killers[2] = {0};
    const struct http_call_options options = {.method = "GET", .target = "/hang"};
    struct http_call *first = http_call_start(bed.bench.client, &options, &events, &killers[0]);
    struct http_call *second = http_call_start(bed.bench.client, &options, &events, &killers[1]);
    killers[0].victim = second;
    killers[1].victim = first;
    http_bench_settle(&bed.bench);
    TURN_UNTIL(&bed.bench, bed.peer.count == 1 && bed.peer.conns[0].requests == 2);
    h2_peer_close_all(&bed.peer);
    TURN_UNTIL(&bed.bench, killers[0].ends + killers[1].ends > 0);
    http_bench_settle(&bed.bench);
    assert_int_equal(killers[0].ends + killers[1].ends, 1);
}

TEST_CASE(an_idle_connection_that_the_server_closes_is_forgotten)
{
    AUTO(bed) struct bed bed = {0};
    bed_start(&bed, test_state);
    AUTO(http_record) struct http_record first = {0}, second = {0};
    http_bench_start(&bed.bench, &first, "GET", "/ok");
    TURN_UNTIL(&bed.bench, first.ends == 1);
    h2_peer_close_all(&bed.peer);
    TURN_UNTIL(&bed.bench, http_client_connection_count(bed.bench.client) == 0);
    http_bench_start(&bed.bench, &second, "GET", "/ok");
    TURN_UNTIL(&bed.bench, second.ends == 1);
    assert_ends(&second, NULL);
    assert_int_equal(http_client_connects(bed.bench.client), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_share_one_connection),
        TEST(a_request_is_said_in_full),
        TEST(every_end_is_told_once),
        TEST(after_goaway_calls_go_elsewhere_and_the_rest_finishes),
        TEST(a_new_certificate_is_used_from_the_next_call_on),
        TEST(a_reset_while_connecting_connects_anew),
        TEST(calls_beyond_the_peers_limit_wait_their_turn),
        TEST(a_call_does_not_wait_for_those_that_never_end),
        TEST(connections_have_a_limit_and_calls_wait_there),
        TEST(what_still_waits_when_its_connection_breaks_goes_on_another),
        TEST(a_server_that_closes_before_it_speaks_fails_all_who_wait_at_once),
        TEST(a_waiting_call_learns_of_goaway_at_once),
        TEST(a_big_body_is_uploaded),
        TEST(a_pause_holds_the_server_back_but_not_the_other_calls),
        TEST(a_response_that_ended_during_a_pause_is_told_afterwards),
        TEST(a_dead_peer_is_noticed_by_pings),
        TEST(nobody_is_pinged_without_a_call),
        TEST(deadlines_hold_at_every_stage),
        TEST(who_cannot_be_trusted_is_not_spoken_to),
        TEST(another_name_may_be_expected_of_the_certificate),
        TEST(a_handshake_that_stalls_is_given_up),
        TEST(a_cut_at_every_byte_ends_every_call_once),
        TEST(a_call_may_be_cancelled_and_the_client_freed_anywhere),
        TEST(a_call_may_cancel_another_while_the_connection_breaks),
        TEST(an_idle_connection_that_the_server_closes_is_forgotten),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
