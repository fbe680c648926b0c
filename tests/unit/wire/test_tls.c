/* Client and server talk over a socket pair on one loop, with certificates made on the spot. */
#include "wire/tls.h"

#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/choppy_stream.h"
#include "tests/lib/test.h"
#include "tests/lib/tls_certs.h"
#include "wire/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Nothing here waits for anything but the other end: this is how long a hang takes to be seen. */
#define TURN_WAIT_NS (5 * NS_PER_SEC)
#define MAX_TURNS 200000

struct world {
    struct test_cert ca, other_ca, server, client;
};

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    world->other_ca =
        test_cert_new(&(struct test_cert_options){.common_name = "other", .is_ca = true}, NULL);
    world->server = test_cert_new(&(struct test_cert_options){.common_name = "server",
                                                              .names = "DNS:node-a,IP:10.0.0.1",
                                                              .usage = "serverAuth"},
                                  &world->ca);
    world->client =
        test_cert_new(&(struct test_cert_options){.common_name = "system:node:a",
                                                  .organizations = {"system:nodes", "more"},
                                                  .usage = "clientAuth"},
                      &world->ca);
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
    free(world);
    return 0;
}

/* --- one end --- */

struct end {
    struct byte_stream *stream;
    size_t handshakes;
    struct error *failure; /* of the handshake or of reading */
    struct str to_send;
    struct buf received;
    size_t read_bytes; /* at a time */
    bool has_ended, is_paused, frees_itself;
    size_t rings;
};

static void end_want(struct end *end)
{
    unsigned events = end->is_paused || end->has_ended || end->failure ? 0 : LOOP_IO_READ;
    if (end->to_send.len > 0 && !end->failure)
        events |= LOOP_IO_WRITE;
    end->stream->vtable->want(end->stream, events);
}

static void end_on_ready(void *ctx, unsigned events)
{
    struct end *end = ctx;
    end->rings++;
    if (end->frees_itself) {
        byte_stream_free(TAKE(end->stream));
        return;
    }
    size_t len = 0;
    if (events & LOOP_IO_WRITE) {
        end->failure =
            end->stream->vtable->write(end->stream, end->to_send.ptr, end->to_send.len, &len);
        end->to_send.ptr += len;
        end->to_send.len -= len;
    }
    if ((events & LOOP_IO_READ) && !end->failure) {
        char bytes[20000];
        len = 0;
        end->failure =
            end->stream->vtable->read(end->stream, bytes, end->read_bytes, &len, &end->has_ended);
        buf_add(&end->received, bytes, len);
    }
    end_want(end);
}

static void end_on_handshake(void *ctx, const struct error *err)
{
    struct end *end = ctx;
    end->handshakes++;
    end->failure = error_dup(err);
    if (end->frees_itself) {
        byte_stream_free(TAKE(end->stream));
        return;
    }
    end->stream->vtable->listen(end->stream, end_on_ready, end);
    end_want(end);
}

static void end_done(struct end *end)
{
    byte_stream_free(TAKE(end->stream));
    error_free(TAKE(end->failure));
    buf_done(&end->received);
}

/* --- the pair --- */

struct pair {
    struct loop *loop;
    struct end client, server;
    struct choppy_stream *client_wire, *server_wire;
};

struct pair_options {
    struct tls_options client, server;
    const char *server_name;
    size_t piece_bytes;
};

/* What most tests begin with: the client knows the server's authority, the server the client's. */
static struct pair_options options_for(const struct world *world)
{
    return (struct pair_options){.client = {.ca_pem = world->ca.cert_pem, .alpn = "h2,http/1.1"},
                                 .server = {.ca_pem = world->ca.cert_pem,
                                            .cert_pem = world->server.cert_pem,
                                            .key_pem = world->server.key_pem,
                                            .alpn = "h2,http/1.1",
                                            .client_auth = TLS_CLIENT_AUTH_OPTIONAL},
                                 .server_name = "node-a",
                                 .piece_bytes = 64 * KiB};
}

static void pair_init(struct pair *pair, const struct pair_options *options)
{
    *pair = (struct pair){0};
    int fds[2];
    assert_no_error(loop_new(&pair->loop));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    pair->client_wire =
        choppy_stream_new(byte_stream_from_socket(pair->loop, fds[0]), options->piece_bytes);
    pair->server_wire =
        choppy_stream_new(byte_stream_from_socket(pair->loop, fds[1]), options->piece_bytes);
    AUTO(tls_context) struct tls_context *client = NULL;
    AUTO(tls_context) struct tls_context *server = NULL;
    assert_no_error(tls_context_new_client(&options->client, &client));
    assert_no_error(tls_context_new_server(&options->server, &server));
    pair->client.stream =
        tls_stream_new_client(pair->loop, client, options->server_name, &pair->client_wire->base,
                              end_on_handshake, &pair->client);
    pair->server.stream = tls_stream_new_server(pair->loop, server, &pair->server_wire->base,
                                                end_on_handshake, &pair->server);
    assert_int_equal(pair->client.handshakes, 0);
    assert_int_equal(pair->server.handshakes, 0);
    pair->client.read_bytes = pair->server.read_bytes = 16 * KiB;
    buf_init(&pair->client.received, 16 * MiB);
    buf_init(&pair->server.received, 16 * MiB);
}

static void pair_done(struct pair *pair)
{
    end_done(&pair->client);
    end_done(&pair->server);
    loop_free(TAKE(pair->loop));
    assert_int_equal(ERR_peek_error(), 0); /* whatever happened, OpenSSL's queue is empty */
}

static void auto_release_pair(struct pair *pair)
{
    if (pair->loop)
        pair_done(pair);
}

static void assert_prefix(const char *text, const char *want)
{
    if (!text_has_prefix(text, want))
        fail_msg("\"%s\" does not begin with \"%s\"", text, want);
}

#define TURN_UNTIL(pair, condition)                                                                \
    do {                                                                                           \
        size_t turns = 0;                                                                          \
        while (!(condition)) {                                                                     \
            assert_true(turns++ < MAX_TURNS);                                                      \
            loop_turn((pair)->loop, TURN_WAIT_NS);                                                 \
        }                                                                                          \
    } while (0)

static void shake_hands(struct pair *pair)
{
    TURN_UNTIL(pair, pair->client.handshakes == 1 && pair->server.handshakes == 1);
}

static void send_text(struct end *end, const char *text)
{
    end->to_send = str_from(text);
    end_want(end);
}

/* --- good cases --- */

TEST_CASE(both_sides_agree_and_talk)
{
    struct pair_options options = options_for(*test_state);
    const struct world *world = *test_state;
    options.client.cert_pem = world->client.cert_pem;
    options.client.key_pem = world->client.key_pem;
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_null(pair.client.failure);
    assert_null(pair.server.failure);
    assert_string_equal(tls_stream_protocol(pair.client.stream), "h2");
    assert_string_equal(tls_stream_protocol(pair.server.stream), "h2");

    const struct tls_peer *peer = tls_stream_peer(pair.server.stream);
    assert_string_equal(peer->common_name, "system:node:a");
    assert_int_equal(peer->organization_count, 2);
    assert_string_equal(peer->organizations[0], "system:nodes");
    assert_string_equal(peer->organizations[1], "more");
    assert_true(peer->not_after_s > time(NULL));
    assert_string_equal(tls_stream_peer(pair.client.stream)->common_name, "server");

    send_text(&pair.client, "ping");
    send_text(&pair.server, "pong");
    TURN_UNTIL(&pair, pair.client.received.len == 4 && pair.server.received.len == 4);
    assert_string_equal(buf_text(&pair.server.received), "ping");
    assert_string_equal(buf_text(&pair.client.received), "pong");
}

TEST_CASE(a_goodbye_is_an_end_and_a_cut_is_an_error)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    shake_hands(&pair);
    byte_stream_free(TAKE(pair.client.stream));
    TURN_UNTIL(&pair, pair.server.has_ended || pair.server.failure);
    assert_null(pair.server.failure);
    pair_done(&pair);

    pair_init(&pair, &options);
    shake_hands(&pair);
    pair.server_wire->read_left = 0;
    send_text(&pair.client, "x"); /* rings the bell */
    TURN_UNTIL(&pair, pair.server.has_ended || pair.server.failure);
    assert_non_null(pair.server.failure);
    assert_string_equal(pair.server.failure->message, "unexpected EOF");
    assert_int_equal(pair.server.failure->code, ERROR_UNAVAILABLE);
}

TEST_CASE(who_has_ended_still_listens)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    shake_hands(&pair);
    send_text(&pair.server, "last words");
    TURN_UNTIL(&pair, pair.server.to_send.len == 0);
    pair.server_wire->piece_bytes = 0; /* no room */
    assert_false(pair.server.stream->vtable->end(pair.server.stream));
    pair.server_wire->piece_bytes = options.piece_bytes;
    assert_true(pair.server.stream->vtable->end(pair.server.stream));
    TURN_UNTIL(&pair, pair.client.has_ended || pair.client.failure);
    assert_null(pair.client.failure);
    assert_string_equal(buf_text(&pair.client.received), "last words");
    send_text(&pair.client, "all the same");
    TURN_UNTIL(&pair, pair.server.received.len > 0 || pair.server.failure);
    assert_string_equal(buf_text(&pair.server.received), "all the same");
    byte_stream_free(TAKE(pair.client.stream));
    TURN_UNTIL(&pair, pair.server.has_ended || pair.server.failure);
    assert_null(pair.server.failure);
}

TEST_CASE(much_data_passes_in_pieces_of_any_size)
{
    static const struct {
        size_t piece_bytes, read_bytes, total_bytes;
    } rows[] = {{1, 16 * KiB, 3000},
                {7, 16 * KiB, 40000},
                {64 * KiB, 100, 200000},
                {1000, 20000, 2 * MiB},
                {64 * KiB, 16 * KiB, 5 * MiB}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair_options options = options_for(*test_state);
        options.piece_bytes = rows[i].piece_bytes;
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        pair.server.read_bytes = pair.client.read_bytes = rows[i].read_bytes;
        AUTO(free) char *text = xcalloc(1, rows[i].total_bytes);
        for (size_t at = 0; at < rows[i].total_bytes; at++)
            text[at] = (char)(at * 31 + at / 251);
        shake_hands(&pair);
        const struct str all = {.ptr = text, .len = rows[i].total_bytes};
        pair.client.to_send = pair.server.to_send = all;
        end_want(&pair.client);
        end_want(&pair.server);
        TURN_UNTIL(&pair,
                   pair.server.received.len == all.len && pair.client.received.len == all.len);
        assert_true(str_eq(buf_str(&pair.server.received), all));
        assert_true(str_eq(buf_str(&pair.client.received), all));
        assert_null(pair.client.failure);
        assert_null(pair.server.failure);
    }
}

TEST_CASE(bytes_that_openssl_holds_ring_and_a_paused_reader_hears_nothing)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    pair.server.read_bytes = 1;
    pair.server.is_paused = true;
    shake_hands(&pair);
    send_text(&pair.client, "many bytes in one record");
    for (size_t i = 0; i < 20; i++)
        loop_turn(pair.loop, 0);
    assert_int_equal(pair.server.rings, 0);
    pair.server.is_paused = false;
    end_want(&pair.server);
    TURN_UNTIL(&pair, pair.server.received.len == strlen("many bytes in one record"));

    size_t rings = pair.server.rings; /* and when there is nothing left, nothing rings */
    for (size_t i = 0; i < 20; i++)
        loop_turn(pair.loop, 0);
    assert_true(pair.server.rings <= rings + 1);
}

TEST_CASE(an_owner_may_free_the_stream_in_any_callback)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    pair.client.frees_itself = true;
    TURN_UNTIL(&pair, !pair.client.stream);
    TURN_UNTIL(&pair, pair.server.failure || pair.server.has_ended);
    pair_done(&pair);

    pair_init(&pair, &options);
    shake_hands(&pair);
    pair.client.frees_itself = true;
    send_text(&pair.server, "hello");
    TURN_UNTIL(&pair, !pair.client.stream);
    pair_done(&pair);

    pair_init(&pair, &options); /* before anything has happened: no callback any more */
    byte_stream_free(TAKE(pair.client.stream));
    TURN_UNTIL(&pair, pair.server.handshakes == 1);
    assert_int_equal(pair.client.handshakes, 0);
    assert_string_equal(pair.server.failure->message, "EOF");
}

/* --- certificates --- */

/* A server's certificate; empty fields: as the good one's. */
struct server_row {
    const char *name;
    struct test_cert_options cert;
    const char *server_name;
    const char *want; /* NULL: accepted. Up to what depends on the time */
};

TEST_CASE(a_client_refuses_a_certificate_that_is_not_the_servers)
{
    static const struct server_row rows[] = {
        {"name", {.names = "DNS:node-a"}, "node-a", NULL},
        {"name with a final dot", {.names = "DNS:node-a"}, "node-a.", NULL},
        {"name in another case", {.names = "DNS:Node-A"}, "node-a", NULL},
        {"wildcard", {.names = "DNS:*.default.svc"}, "api.default.svc", NULL},
        {"address", {.names = "IP:127.0.0.1"}, "127.0.0.1", NULL},
        {"address of the other family", {.names = "IP:::1"}, "::1", NULL},
        {"address with a zone", {.names = "IP:fe80::1"}, "fe80::1%eth0", NULL},
        {"wrong name",
         {.names = "DNS:a,DNS:b,IP:1.2.3.4"},
         "c",
         "x509: certificate is valid for a, b, not c"},
        {"partial wildcard",
         {.names = "DNS:n*.svc"},
         "node.svc",
         "x509: certificate is valid for n*.svc, not node.svc"},
        {"common name does not count",
         {.common_name = "node-a"},
         "node-a",
         "x509: certificate is not valid for any names, but wanted to match node-a"},
        {"wrong address",
         {.names = "IP:1.2.3.4,IP:::1"},
         "127.0.0.1",
         "x509: certificate is valid for 1.2.3.4, ::1, not 127.0.0.1"},
        {"address as a name",
         {.names = "DNS:127.0.0.1"},
         "127.0.0.1",
         "x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"},
        {"too late",
         {.names = "DNS:a", .begins_s = -2 * TEST_CERT_DAY_S, .ends_s = -TEST_CERT_DAY_S},
         "a",
         "x509: certificate has expired or is not yet valid: current time "},
        {"too early",
         {.names = "DNS:a", .begins_s = TEST_CERT_DAY_S, .ends_s = 2 * TEST_CERT_DAY_S},
         "a",
         "x509: certificate has expired or is not yet valid: current time "},
        {"a client's",
         {.names = "DNS:a", .usage = "clientAuth"},
         "a",
         "x509: certificate specifies an incompatible key usage"},
    };
    const struct world *world = *test_state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(test_cert) struct test_cert cert = test_cert_new(&rows[i].cert, &world->ca);
        struct pair_options options = options_for(world);
        options.server.cert_pem = cert.cert_pem;
        options.server.key_pem = cert.key_pem;
        options.server_name = rows[i].server_name;
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        if (!rows[i].want) {
            if (pair.client.failure)
                fail_msg("%s: %s", rows[i].name, pair.client.failure->message);
            continue;
        }
        AUTO(free)
        char *want = xasprintf("tls: failed to verify certificate: %s", rows[i].want);
        if (!pair.client.failure)
            fail_msg("%s: accepted", rows[i].name);
        assert_int_equal(pair.client.failure->code, ERROR_UNAUTHENTICATED);
        assert_prefix(pair.client.failure->message, want);
        /* In TLS 1.3 a server is done before the client has looked; it hears of it afterwards. */
        TURN_UNTIL(&pair, pair.server.failure);
        assert_non_null(strstr(pair.server.failure->message, "remote error: tls: "));
    }
}

TEST_CASE(a_client_trusts_its_authorities_only)
{
    const struct world *world = *test_state;
    AUTO(test_cert)
    struct test_cert alone = test_cert_new(
        &(struct test_cert_options){.common_name = "node-a", .names = "DNS:node-a"}, NULL);
    AUTO(test_cert)
    struct test_cert middle = test_cert_new(
        &(struct test_cert_options){.common_name = "middle", .is_ca = true}, &world->ca);
    AUTO(test_cert)
    struct test_cert leaf = test_cert_new(
        &(struct test_cert_options){.common_name = "leaf", .names = "DNS:node-a"}, &middle);
    AUTO(free) char *chain = xasprintf("%s%s", leaf.cert_pem, middle.cert_pem);
    AUTO(free)
    char *two_cas = xasprintf("# a comment\n%s\n%s", world->other_ca.cert_pem, world->ca.cert_pem);
    AUTO(free) char *mixed = xasprintf("%s%s", world->server.cert_pem, world->server.key_pem);
    AUTO(free) char *key_first = xasprintf("%s%s", world->server.key_pem, world->server.cert_pem);
    static const char unknown[] =
        "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    const struct {
        const char *name, *ca, *cert, *key, *want;
        bool is_insecure;
    } rows[] = {
        {"other authority", world->other_ca.cert_pem, world->server.cert_pem, world->server.key_pem,
         unknown, false},
        {"own signature", world->ca.cert_pem, alone.cert_pem, alone.key_pem, unknown, false},
        {"own signature, but trusted", alone.cert_pem, alone.cert_pem, alone.key_pem, NULL, false},
        {"chain", world->ca.cert_pem, chain, leaf.key_pem, NULL, false},
        {"chain with a gap", world->ca.cert_pem, leaf.cert_pem, leaf.key_pem, unknown, false},
        {"trust in the middle", middle.cert_pem, leaf.cert_pem, leaf.key_pem, NULL, false},
        {"the second of two", two_cas, world->server.cert_pem, world->server.key_pem, NULL, false},
        {"key and certificate in one file", world->ca.cert_pem, mixed, mixed, NULL, false},
        {"the key first", world->ca.cert_pem, key_first, key_first, NULL, false},
        {"the system's store", NULL, world->server.cert_pem, world->server.key_pem, unknown, false},
        {"anybody will do", NULL, alone.cert_pem, alone.key_pem, NULL, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair_options options = options_for(world);
        options.client.ca_pem = rows[i].ca;
        options.client.insecure_skip_verify = rows[i].is_insecure;
        options.server.cert_pem = rows[i].cert;
        options.server.key_pem = rows[i].key;
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        const char *got = pair.client.failure ? pair.client.failure->message : NULL;
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: %s", rows[i].name, got ? got : "accepted");
        if (rows[i].is_insecure)
            assert_null(tls_stream_peer(pair.client.stream)->common_name);
    }
}

TEST_CASE(a_server_asks_for_certificates_as_it_is_told)
{
    const struct world *world = *test_state;
    AUTO(test_cert)
    struct test_cert expired = test_cert_new(
        &(struct test_cert_options){
            .common_name = "late", .begins_s = -2 * TEST_CERT_DAY_S, .ends_s = -TEST_CERT_DAY_S},
        &world->ca);
    AUTO(test_cert)
    struct test_cert stranger =
        test_cert_new(&(struct test_cert_options){.common_name = "stranger"}, &world->other_ca);
    AUTO(test_cert)
    struct test_cert wrong = test_cert_new(
        &(struct test_cert_options){.common_name = "server too", .usage = "serverAuth"},
        &world->ca);
    AUTO(test_cert)
    struct test_cert nameless =
        test_cert_new(&(struct test_cert_options){.organizations = {"system:masters"}}, &world->ca);
    static const char unknown[] =
        "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    const struct {
        const char *name;
        enum tls_client_auth mode;
        const struct test_cert *cert;
        const char *want_name;  /* of the peer */
        const char *want_error; /* its beginning */
    } rows[] = {
        {"nobody asks", TLS_CLIENT_AUTH_NONE, &world->client, NULL, NULL},
        {"asked, good", TLS_CLIENT_AUTH_REQUEST, &world->client, "system:node:a", NULL},
        {"asked, none", TLS_CLIENT_AUTH_REQUEST, NULL, NULL, NULL},
        {"asked, stranger", TLS_CLIENT_AUTH_REQUEST, &stranger, NULL, unknown},
        {"asked, expired", TLS_CLIENT_AUTH_REQUEST, &expired, NULL,
         "tls: failed to verify certificate: x509: certificate has expired"},
        {"optional, good", TLS_CLIENT_AUTH_OPTIONAL, &world->client, "system:node:a", NULL},
        {"optional, none", TLS_CLIENT_AUTH_OPTIONAL, NULL, NULL, NULL},
        {"optional, stranger", TLS_CLIENT_AUTH_OPTIONAL, &stranger, NULL, NULL},
        {"optional, expired", TLS_CLIENT_AUTH_OPTIONAL, &expired, NULL, NULL},
        {"optional, a server's", TLS_CLIENT_AUTH_OPTIONAL, &wrong, NULL, NULL},
        {"optional, without a name", TLS_CLIENT_AUTH_OPTIONAL, &nameless, NULL, NULL},
        {"unverified, good", TLS_CLIENT_AUTH_UNVERIFIED, &world->client, NULL, NULL},
        {"unverified, none", TLS_CLIENT_AUTH_UNVERIFIED, NULL, NULL, NULL},
        {"unverified, stranger", TLS_CLIENT_AUTH_UNVERIFIED, &stranger, NULL, NULL},
        {"unverified, expired", TLS_CLIENT_AUTH_UNVERIFIED, &expired, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair_options options = options_for(world);
        options.server.client_auth = rows[i].mode;
        options.client.cert_pem = rows[i].cert ? rows[i].cert->cert_pem : NULL;
        options.client.key_pem = rows[i].cert ? rows[i].cert->key_pem : NULL;
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        if (rows[i].want_error) {
            assert_non_null(pair.server.failure);
            assert_prefix(pair.server.failure->message, rows[i].want_error);
            assert_int_equal(pair.server.failure->code, ERROR_UNAUTHENTICATED);
            TURN_UNTIL(&pair, pair.client.failure);
            assert_prefix(pair.client.failure->message, "remote error: tls: ");
            continue;
        }
        if (pair.server.failure)
            fail_msg("%s: %s", rows[i].name, pair.server.failure->message);
        const struct tls_peer *peer = tls_stream_peer(pair.server.stream);
        if (!text_eq(peer->common_name, rows[i].want_name))
            fail_msg("%s: %s", rows[i].name, peer->common_name ? peer->common_name : "nobody");
        if (!rows[i].want_name)
            assert_int_equal(peer->organization_count, 0);
        assert_int_equal(peer->certificate != NULL,
                         rows[i].mode == TLS_CLIENT_AUTH_UNVERIFIED && rows[i].cert);
        send_text(&pair.client, "hello");
        TURN_UNTIL(&pair, pair.server.received.len == 5);
    }
}

TEST_CASE(what_was_not_looked_at_can_be_verified_later)
{
    const struct world *world = *test_state;
    AUTO(test_cert)
    struct test_cert middle = test_cert_new(
        &(struct test_cert_options){.common_name = "middle", .is_ca = true}, &world->ca);
    AUTO(test_cert)
    struct test_cert client =
        test_cert_new(&(struct test_cert_options){.common_name = "bob"}, &middle);
    AUTO(free) char *chain = xasprintf("%s%s", client.cert_pem, middle.cert_pem);
    struct pair_options options = options_for(world);
    options.server.client_auth = TLS_CLIENT_AUTH_UNVERIFIED;
    options.client.cert_pem = chain;
    options.client.key_pem = client.key_pem;
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    shake_hands(&pair);
    AUTO(tls_authorities) struct tls_authorities *ours = NULL;
    AUTO(tls_authorities) struct tls_authorities *theirs = NULL;
    assert_no_error(tls_authorities_new(world->ca.cert_pem, &ours));
    assert_no_error(tls_authorities_new(world->other_ca.cert_pem, &theirs));
    const struct tls_subject *subject = NULL;
    struct tls_certificate *certificate = tls_stream_peer(pair.server.stream)->certificate;
    int64_t now_ns = loop_now_wall_ns(pair.loop);
    assert_no_error(tls_certificate_verify(certificate, ours, now_ns, &subject));
    assert_string_equal(subject->common_name, "bob");
    assert_error_code(tls_certificate_verify(certificate, theirs, now_ns, &subject),
                      ERROR_UNAUTHENTICATED);
}

TEST_CASE(an_end_of_the_wire_later_does_not_show_an_earlier_refusal)
{
    const struct world *world = *test_state;
    struct pair_options options = options_for(world);
    options.client.cert_pem = world->other_ca.cert_pem;
    options.client.key_pem = world->other_ca.key_pem;
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    shake_hands(&pair);
    assert_null(pair.server.failure);
    pair.server_wire->read_left = 0;
    send_text(&pair.client, "x");
    TURN_UNTIL(&pair, pair.server.failure);
    assert_string_equal(pair.server.failure->message, "unexpected EOF");
}

/* --- protocols --- */

TEST_CASE(the_server_chooses_the_protocol)
{
    static const struct {
        const char *client, *server, *want; /* NULL: no agreement */
    } rows[] = {
        {"h2,http/1.1", "h2,http/1.1", "h2"},
        {"http/1.1,h2", "h2,http/1.1", "h2"},
        {"h2,http/1.1", "http/1.1", "http/1.1"},
        {NULL, "h2", ""},
        {"h2", NULL, ""},
        {"h2", "http/1.1", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair_options options = options_for(*test_state);
        options.client.alpn = rows[i].client;
        options.server.alpn = rows[i].server;
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        if (rows[i].want) {
            assert_string_equal(tls_stream_protocol(pair.client.stream), rows[i].want);
            assert_string_equal(tls_stream_protocol(pair.server.stream), rows[i].want);
        } else {
            assert_string_equal(pair.client.failure->message,
                                "remote error: tls: no application protocol");
            assert_string_equal(pair.server.failure->message, "tls: no application protocol");
        }
    }
}

TEST_CASE(versions_and_ciphers_are_limited)
{
    struct pair_options options = options_for(*test_state);
    options.server.min_version = 0x0304;
    options.client.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
    {
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        shake_hands(&pair);
        assert_null(pair.client.failure);
    }
    options.server.min_version = 0;
    options.client.ciphers = NULL;
    options.server.ciphers = "AES128-SHA";
    {
        AUTO(pair) struct pair pair; /* TLS 1.3 has ciphers of its own */
        pair_init(&pair, &options);
        shake_hands(&pair);
        assert_null(pair.client.failure);
    }
}

/* A client that is OpenSSL itself, for what our own would never do. It shares the loop's thread:
 * each of its steps is tried until it goes through. */
struct raw_client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

static void raw_client_init(struct raw_client *raw, int fd, int max_version)
{
    raw->context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(raw->context, max_version);
    raw->ssl = SSL_new(raw->context);
    raw->fd = fd;
    assert_int_equal(SSL_set_fd(raw->ssl, fd), 1);
    SSL_set_connect_state(raw->ssl);
}

static void raw_client_done(struct raw_client *raw)
{
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->context);
    fd_close(&raw->fd);
    ERR_clear_error();
}

static void server_alone_init(struct pair *pair, const struct pair_options *options, int *ret_fd)
{
    *pair = (struct pair){0};
    int fds[2];
    assert_no_error(loop_new(&pair->loop));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    AUTO(tls_context) struct tls_context *context = NULL;
    assert_no_error(tls_context_new_server(&options->server, &context));
    pair->server.stream =
        tls_stream_new_server(pair->loop, context, byte_stream_from_socket(pair->loop, fds[0]),
                              end_on_handshake, &pair->server);
    pair->server.read_bytes = 16 * KiB;
    buf_init(&pair->server.received, MiB);
    *ret_fd = fds[1];
}

TEST_CASE(a_key_update_is_answered)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    struct raw_client raw;
    int fd = -1;
    server_alone_init(&pair, &options, &fd);
    raw_client_init(&raw, fd, TLS1_3_VERSION);
    while (SSL_do_handshake(raw.ssl) != 1)
        loop_turn(pair.loop, NS_PER_MS);
    assert_int_equal(SSL_key_update(raw.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_write(raw.ssl, "after", 5), 5);
    TURN_UNTIL(&pair, pair.server.received.len == 5);
    send_text(&pair.server, "answer");
    TURN_UNTIL(&pair, pair.server.to_send.len == 0);
    char bytes[16] = {0};
    assert_int_equal(SSL_read(raw.ssl, bytes, sizeof(bytes)), 6);
    assert_string_equal(bytes, "answer");
    raw_client_done(&raw);
}

TEST_CASE(a_renegotiation_is_refused)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    struct raw_client raw;
    int fd = -1;
    server_alone_init(&pair, &options, &fd);
    raw_client_init(&raw, fd, TLS1_2_VERSION);
    while (SSL_do_handshake(raw.ssl) != 1)
        loop_turn(pair.loop, NS_PER_MS);
    assert_int_equal(SSL_renegotiate(raw.ssl), 1);
    int outcome = 0, reason = 0;
    for (size_t i = 0; i < 100 && outcome != 1 && reason == 0; i++) {
        ERR_clear_error();
        outcome = SSL_do_handshake(raw.ssl);
        reason = ERR_GET_REASON(ERR_peek_error()); /* before the other side empties the queue */
        loop_turn(pair.loop, 0);
    }
    assert_int_equal(reason, SSL_R_NO_RENEGOTIATION);
    raw_client_done(&raw);
}

/* Goes through the handshake; the reason for which OpenSSL failed in it, or 0. */
static int try_handshake(const struct raw_client *raw, struct pair *pair)
{
    int reason = 0;
    for (size_t i = 0; i < 1000 && reason == 0; i++) {
        ERR_clear_error();
        if (SSL_do_handshake(raw->ssl) == 1)
            break;
        reason = ERR_GET_REASON(ERR_peek_error()); /* before the other side empties the queue */
        loop_turn(pair->loop, NS_PER_MS);
    }
    return reason;
}

/* As Go, whose defaults the components of Kubernetes have. */
TEST_CASE(ciphers_without_forward_secrecy_must_be_asked_for)
{
    static const struct {
        const char *offered, *allowed; /* NULL: the default */
        bool is_good;
    } rows[] = {
        {"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256", NULL, true},
        {"ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA", NULL, true},
        {"ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256", NULL, false},
        {"AES128-GCM-SHA256:AES128-SHA", NULL, false},
        {"DHE-RSA-AES128-GCM-SHA256", NULL, false},
        {"ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256",
         "ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pair_options options = options_for(*test_state);
        options.server.ciphers = rows[i].allowed;
        AUTO(pair) struct pair pair;
        struct raw_client raw;
        int fd = -1;
        server_alone_init(&pair, &options, &fd);
        raw_client_init(&raw, fd, TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(raw.ssl, rows[i].offered), 1);
        int reason = try_handshake(&raw, &pair);
        assert_int_equal(reason, rows[i].is_good ? 0 : SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
        raw_client_done(&raw);
    }
}

TEST_CASE(a_server_whose_certificate_is_pending_says_internal_error)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        struct pair_options options = options_for(*test_state);
        options.server.cert_pem = options.server.key_pem = NULL;
        options.server.is_certificate_pending = true;
        AUTO(pair) struct pair pair;
        struct raw_client raw;
        int fd = -1;
        server_alone_init(&pair, &options, &fd);
        raw_client_init(&raw, fd, versions[i]);
        assert_int_equal(try_handshake(&raw, &pair), SSL_R_TLSV1_ALERT_INTERNAL_ERROR);
        assert_int_equal(pair.server.handshakes, 1);
        assert_string_equal(pair.server.failure->message,
                            "tls: no serving certificate available for the kubelet");
        raw_client_done(&raw);
    }
}

/* What is said by who does not speak TLS. */
TEST_CASE(a_peer_without_tls_is_recognised)
{
    const struct pair_options options = options_for(*test_state);
    static const struct {
        bool is_client;
        const char *says, *want;
    } rows[] = {
        {true, "HTTP/1.1 400 Bad Request\r\n\r\n",
         "tls: first record does not look like a TLS handshake"},
        {false, "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
         "tls: client sent an HTTP request to an HTTPS server"},
        {false, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
         "tls: first record does not look like a TLS handshake"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(pair) struct pair pair = {0};
        int fds[2];
        assert_no_error(loop_new(&pair.loop));
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                         0);
        struct byte_stream *inner = byte_stream_from_socket(pair.loop, fds[0]);
        AUTO(tls_context) struct tls_context *context = NULL;
        assert_no_error(rows[i].is_client ? tls_context_new_client(&options.client, &context)
                                          : tls_context_new_server(&options.server, &context));
        struct end *end = &pair.client;
        end->stream =
            rows[i].is_client
                ? tls_stream_new_client(pair.loop, context, "node-a", inner, end_on_handshake, end)
                : tls_stream_new_server(pair.loop, context, inner, end_on_handshake, end);
        size_t len = strlen(rows[i].says);
        assert_int_equal(write(fds[1], rows[i].says, len), len);
        TURN_UNTIL(&pair, end->handshakes == 1);
        assert_string_equal(end->failure->message, rows[i].want);
        close(fds[1]);
    }
}

TEST_CASE(a_name_that_is_none_fails_the_handshake)
{
    struct pair_options options = options_for(*test_state);
    AUTO(free) char *name = xcalloc(1, 400);
    memset(name, 'a', 399);
    options.server_name = name;
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    TURN_UNTIL(&pair, pair.client.handshakes == 1);
    assert_int_equal(pair.client.failure->code, ERROR_INVALID_ARGUMENT);
}

/* --- trouble --- */

/* Every place at which the wire can break: each side ends, once, with an error or an orderly end.
 */
TEST_CASE(a_cut_at_every_byte_ends_both_sides)
{
    static const char text[] = "some text each way";
    for (size_t side = 0; side < 2; side++) {
        bool has_passed = false;
        for (size_t cut = 0; !has_passed; cut += cut < 3000 ? 7 : 1) {
            struct pair_options options = options_for(*test_state);
            AUTO(pair) struct pair pair;
            pair_init(&pair, &options);
            struct choppy_stream *wire = side == 0 ? pair.client_wire : pair.server_wire;
            struct end *end = side == 0 ? &pair.client : &pair.server;
            wire->read_left = cut;
            pair.client.to_send = pair.server.to_send = STR_LITERAL(text);
            TURN_UNTIL(&pair, end->failure || end->received.len == sizeof(text) - 1);
            if (end->failure) {
                assert_int_equal(end->failure->code, ERROR_UNAVAILABLE);
                assert_non_null(strstr(end->failure->message, "EOF"));
            }
            has_passed = end->failure == NULL;
            assert_int_equal(end->handshakes, 1);
        }
    }
}

TEST_CASE(a_write_that_breaks_at_any_byte_is_an_error)
{
    for (size_t cut = 0; cut < 2000; cut += 13) {
        const struct pair_options options = options_for(*test_state);
        AUTO(pair) struct pair pair;
        pair_init(&pair, &options);
        pair.server_wire->write_left = cut;
        pair.server.to_send = STR_LITERAL("hello");
        TURN_UNTIL(&pair, pair.server.failure ||
                              (pair.server.handshakes == 1 && pair.server.to_send.len == 0));
        if (pair.server.failure)
            assert_string_equal(pair.server.failure->message, "write: cable cut");
    }
}

/* A peer that refuses early and breaks off must still be heard. */
TEST_CASE(what_has_arrived_is_read_although_writing_fails)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(pair) struct pair pair;
    pair_init(&pair, &options);
    shake_hands(&pair);
    pair.client.is_paused = true;
    end_want(&pair.client);
    send_text(&pair.server, "no, thanks");
    TURN_UNTIL(&pair, pair.server.to_send.len == 0);
    pair.client_wire->write_left = 0;
    struct byte_stream *stream = pair.client.stream;
    size_t len = 0;
    bool is_end = false;
    assert_error_message(stream->vtable->write(stream, "request", 7, &len), "write: cable cut");
    assert_error_message(stream->vtable->write(stream, "request", 7, &len), "write: cable cut");
    char bytes[64] = {0};
    assert_no_error(stream->vtable->read(stream, bytes, sizeof(bytes), &len, &is_end));
    assert_string_equal(bytes, "no, thanks");
}

/* --- contexts --- */

static char *encrypted_key(const struct test_cert *cert)
{
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, cert->key, EVP_aes_128_cbc(),
                                              (const unsigned char *)"secret", 6, NULL, NULL),
                     1);
    return test_cert_bio_text(bio);
}

TEST_CASE(what_is_wrong_with_a_context_is_named)
{
    const struct world *world = *test_state;
    const char *cert = world->server.cert_pem, *key = world->server.key_pem;
    AUTO(free) char *encrypted = encrypted_key(&world->server);
    AUTO(free) char *half = xstrndup(cert, strlen(cert) / 2);
    AUTO(free) char *broken = xstrdup(cert);
    memcpy(strstr(broken, "-----\n") + 6, "AAAA", 4);
    AUTO(free) char *good_and_broken = xasprintf("%s%s", cert, broken);
    const struct {
        const char *name;
        struct tls_options options;
        const char *want; /* its beginning */
    } rows[] = {
        {"nothing", {0}, "certificate: there is none"},
        {"no key", {.cert_pem = cert}, "private key: there is none"},
        {"no certificate", {.key_pem = key}, "certificate: there is none"},
        {"a key for a certificate", {.cert_pem = key, .key_pem = key}, "certificate: no "},
        {"a certificate for a key", {.cert_pem = cert, .key_pem = cert}, "private key: tls: "},
        {"empty texts", {.cert_pem = "", .key_pem = ""}, "certificate: no certificate in PEM"},
        {"half", {.cert_pem = half, .key_pem = key}, "certificate: tls: "},
        {"broken", {.cert_pem = broken, .key_pem = key}, "certificate: tls: "},
        {"broken behind a good one",
         {.cert_pem = good_and_broken, .key_pem = key},
         "certificate: tls: "},
        {"somebody else's key",
         {.cert_pem = cert, .key_pem = world->client.key_pem},
         "the private key does not belong to the certificate"},
        {"encrypted", {.cert_pem = cert, .key_pem = encrypted}, "private key: it is encrypted"},
        {"no authority",
         {.cert_pem = cert, .key_pem = key, .ca_pem = "none"},
         "CA certificate: no certificate in PEM form found"},
        {"broken authority",
         {.cert_pem = cert, .key_pem = key, .ca_pem = broken},
         "CA certificate: tls: "},
        {"cipher", {.cert_pem = cert, .key_pem = key, .ciphers = "NONE-SUCH"}, "ciphers: tls: "},
        {"protocols", {.cert_pem = cert, .key_pem = key, .alpn = "h2,,x"}, "ALPN: \"h2,,x\" is no"},
        {"version", {.cert_pem = cert, .key_pem = key, .min_version = 7}, "minimum version: "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(tls_context) struct tls_context *context = NULL;
        AUTO(error) struct error *err = tls_context_new_server(&rows[i].options, &context);
        if (!err)
            fail_msg("%s: accepted", rows[i].name);
        assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
        assert_prefix(err->message, rows[i].want);
        assert_null(context);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

TEST_CASE(a_context_lives_as_long_as_its_streams)
{
    const struct pair_options options = options_for(*test_state);
    AUTO(tls_context) struct tls_context *context = NULL;
    assert_no_error(tls_context_new_client(&options.client, &context));
    struct tls_context *again = tls_context_ref(context);
    assert_ptr_equal(again, context);
    tls_context_unref(again);
    tls_context_unref(NULL);
    /* pair_init() drops its own references at once: every other test is about that. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_sides_agree_and_talk),
        TEST(a_goodbye_is_an_end_and_a_cut_is_an_error),
        TEST(who_has_ended_still_listens),
        TEST(much_data_passes_in_pieces_of_any_size),
        TEST(bytes_that_openssl_holds_ring_and_a_paused_reader_hears_nothing),
        TEST(an_owner_may_free_the_stream_in_any_callback),
        TEST(a_client_refuses_a_certificate_that_is_not_the_servers),
        TEST(a_client_trusts_its_authorities_only),
        TEST(a_server_asks_for_certificates_as_it_is_told),
        TEST(what_was_not_looked_at_can_be_verified_later),
        TEST(an_end_of_the_wire_later_does_not_show_an_earlier_refusal),
        TEST(the_server_chooses_the_protocol),
        TEST(versions_and_ciphers_are_limited),
        TEST(a_key_update_is_answered),
        TEST(a_renegotiation_is_refused),
        TEST(ciphers_without_forward_secrecy_must_be_asked_for),
        TEST(a_server_whose_certificate_is_pending_says_internal_error),
        TEST(a_peer_without_tls_is_recognised),
        TEST(a_name_that_is_none_fails_the_handshake),
        TEST(a_cut_at_every_byte_ends_both_sides),
        TEST(a_write_that_breaks_at_any_byte_is_an_error),
        TEST(what_has_arrived_is_read_although_writing_fails),
        TEST(what_is_wrong_with_a_context_is_named),
        TEST(a_context_lives_as_long_as_its_streams),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
