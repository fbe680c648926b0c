/* The server over TLS: our own client side on the other end of a socket pair. */
#include "http_server_bench.h"

#include "tests/lib/tls_certs.h"
#include "wire/http2_conn.h"

#include <sys/un.h>

struct world {
    struct test_cert ca, server, client;
};

struct client {
    struct bench bench;
    struct byte_stream *stream; /* NULL: taken by an HTTP/2 connection */
    int handshakes;
    bool is_broken;
};

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    world->server = test_cert_new(
        &(struct test_cert_options){.common_name = "node-a", .names = "DNS:node-a"}, &world->ca);
    world->client = test_cert_new(
        &(struct test_cert_options){.common_name = "admin", .organizations = {"masters"}},
        &world->ca);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    test_cert_free(&world->ca);
    test_cert_free(&world->server);
    test_cert_free(&world->client);
    free(world);
    return 0;
}

static struct tls_context *server_context(const struct world *world)
{
    const struct tls_options options = {.ca_pem = world->ca.cert_pem,
                                        .cert_pem = world->server.cert_pem,
                                        .key_pem = world->server.key_pem,
                                        .alpn = "h2,http/1.1",
                                        .client_auth = TLS_CLIENT_AUTH_OPTIONAL};
    struct tls_context *context = NULL;
    assert_no_error(tls_context_new_server(&options, &context));
    return context;
}

static void on_handshake(void *ctx, const struct error *err)
{
    struct client *client = ctx;
    client->handshakes++;
    client->is_broken = err != NULL;
}

/* A server with TLS, and a client that offers @alpn. */
static void client_init(struct client *client, const struct world *world, const char *alpn)
{
    *client = (struct client){0};
    bench_init(&client->bench, NULL);
    fd_close(&client->bench.fd);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    AUTO(tls_context) struct tls_context *server = server_context(world);
    http_server_serve_fd(client->bench.server, fds[0], server);

    const struct tls_options options = {.ca_pem = world->ca.cert_pem,
                                        .cert_pem = world->client.cert_pem,
                                        .key_pem = world->client.key_pem,
                                        .alpn = alpn};
    AUTO(tls_context) struct tls_context *context = NULL;
    assert_no_error(tls_context_new_client(&options, &context));
    client->stream = tls_stream_new_client(client->bench.loop, context, "node-a",
                                           byte_stream_from_socket(client->bench.loop, fds[1]),
                                           on_handshake, client);
    for (int i = 0; i < 500 && client->handshakes == 0; i++)
        loop_turn(client->bench.loop, NS_PER_MS);
    assert_int_equal(client->handshakes, 1);
    assert_false(client->is_broken);
}

static void client_done(struct client *client)
{
    byte_stream_free(client->stream);
    bench_done(&client->bench);
}

static void say(struct client *client, const char *text)
{
    size_t written = 0;
    assert_no_error(client->stream->vtable->write(client->stream, text, strlen(text), &written));
    assert_int_equal(written, strlen(text));
}

/* Reads until the server has said @text at the end of something. */
static void hear(struct client *client, const char *text)
{
    for (int i = 0; i < 500 && !strstr(buf_text(&client->bench.got), text); i++) {
        loop_turn(client->bench.loop, NS_PER_MS);
        char bytes[1024];
        size_t len = 0;
        bool is_end = false;
        assert_no_error(
            client->stream->vtable->read(client->stream, bytes, sizeof(bytes), &len, &is_end));
        assert_false(is_end);
        buf_add(&client->bench.got, bytes, len);
    }
    assert_non_null(strstr(buf_text(&client->bench.got), text));
}

TEST_CASE(requests_tell_who_asks)
{
    struct client client;
    client_init(&client, *test_state, "http/1.1");
    say(&client, "GET /hold HTTP/1.1\r\nhost: node-a\r\n\r\n");
    for (int i = 0; i < 500 && client.bench.held_count == 0; i++)
        loop_turn(client.bench.loop, NS_PER_MS);
    const struct http_request *request = http_exchange_request(client.bench.held[0]);
    assert_false(request->is_http2);
    assert_string_equal(request->peer->common_name, "admin");
    assert_int_equal(request->peer->organization_count, 1);
    assert_string_equal(request->peer->organizations[0], "masters");
    http_exchange_reply(client.bench.held[0], 200, NULL, STR_LITERAL("done"));
    hear(&client, "\r\n\r\ndone");
    client_done(&client);
}

TEST_CASE(a_connection_may_be_taken_over_below_its_encryption)
{
    struct client client;
    client_init(&client, *test_state, NULL);
    say(&client,
        "POST /hold HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nearly");
    for (int i = 0; i < 500 && client.bench.held_count == 0; i++)
        loop_turn(client.bench.loop, NS_PER_MS);
    AUTO(byte_stream) struct byte_stream *stream = NULL;
    AUTO(arena) struct arena *arena = NULL;
    struct str early = {0};
    assert_no_error(http_exchange_take(client.bench.held[0], &stream, &early, &arena));
    assert_true(str_eq_c(early, "early"));
    size_t written = 0;
    assert_no_error(stream->vtable->write(stream, "raw", 3, &written));
    hear(&client, "raw");
    assert_string_equal(tls_stream_peer(stream)->common_name, "admin");
    byte_stream_free(TAKE(stream));
    client_done(&client);
}

/* --- HTTP/2 --- */

struct asked {
    struct buf body;
    size_t ends;
};

static void on_fields(UNUSED void *ctx, const struct http2_fields *fields, UNUSED bool is_trailer)
{
    assert_string_equal(http2_fields_get(fields, ":status"), "200");
}

static void on_data(void *ctx, struct str bytes)
{
    buf_add_str(&((struct asked *)ctx)->body, bytes);
}

static void on_end(void *ctx, UNUSED const struct http2_end *end)
{
    ((struct asked *)ctx)->ends++;
}

static const struct http2_stream_events stream_events = {
    .on_fields = on_fields, .on_data = on_data, .on_end = on_end};

static void on_settings(UNUSED void *ctx) {}

static void on_lost(UNUSED void *ctx, UNUSED const struct error *cause) {}

static const struct http2_conn_events conn_events = {
    .on_settings = on_settings, .on_draining = on_settings, .on_lost = on_lost};

TEST_CASE(http2_is_agreed_on)
{
    struct client client;
    client_init(&client, *test_state, "h2,http/1.1");
    assert_string_equal(tls_stream_protocol(client.stream), "h2");
    struct http2_conn *conn =
        http2_conn_new(client.bench.loop, TAKE(client.stream), &conn_events, NULL);
    static const struct http2_field fields[] = {
        {":method", "POST"}, {":scheme", "https"}, {":path", "/a"}, {":authority", "node-a"}};
    const struct http2_request request = {
        .fields = fields, .field_count = ARRAY_SIZE(fields), .body = STR_LITERAL("xyz")};
    struct asked asked = {0};
    struct http2_stream *stream = NULL;
    buf_init(&asked.body, KiB);
    assert_no_error(http2_conn_start_stream(conn, &request, &stream_events, &asked, &stream));
    for (int i = 0; i < 500 && asked.ends == 0; i++)
        loop_turn(client.bench.loop, NS_PER_MS);
    assert_string_equal(buf_text(&asked.body), "POST /a [xyz]");
    buf_done(&asked.body);
    http2_conn_free(conn);
    client_done(&client);
}

/* --- the handshake --- */

TEST_CASE(who_does_not_shake_hands_is_cut_off)
{
    static const struct {
        const char *input, *answer;
    } cases[] = {{"", ""},
                 {"\x16\x03\x01", ""},
                 {"GET / HTTP/1.1\r\nhost: h\r\n\r\n",
                  "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS "
                  "server.\n"}};
    static const struct http_server_options options = {.header_timeout_ns = 5 * NS_PER_MS};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct bench bench;
        bench_init(&bench, &options);
        fd_close(&bench.fd);
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                         0);
        AUTO(tls_context) struct tls_context *server = server_context(*test_state);
        http_server_serve_fd(bench.server, fds[0], server);
        bench.fd = fds[1];
        bench_send(&bench, str_from(cases[i].input));
        bench_wait_end(&bench);
        assert_string_equal(buf_text(&bench.got), cases[i].answer);
        assert_int_equal(bench.requests, 0);
        bench_done(&bench);
    }
}

TEST_CASE(handshakes_take_a_share_of_the_room)
{
    static const struct http_server_options options = {.max_connections = 8};
    struct bench bench;
    bench_init(&bench, &options);
    AUTO(tls_context) struct tls_context *server = server_context(*test_state);
    int clients[6];
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        int fds[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                         0);
        clients[i] = fds[1];
        http_server_serve_fd(bench.server, fds[0], server);
        bench_settle(&bench);
    }
    assert_int_equal(http_server_connection_count(bench.server), 3 + 1); /* the bench's own */
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++) {
        char byte;
        bool is_closed = recv(clients[i], &byte, 1, MSG_PEEK) == 0;
        assert_int_equal(is_closed, i < 3); /* the oldest */
        fd_close(&clients[i]);
    }
    bench_settle(&bench);
    assert_int_equal(http_server_connection_count(bench.server), 1);
    bench_done(&bench);
}

TEST_CASE(new_connections_use_the_new_context)
{
    struct bench bench;
    bench_init(&bench, NULL);
    AUTO(tls_context) struct tls_context *old = server_context(*test_state);
    AUTO(tls_context) struct tls_context *renewed = server_context(*test_state);
    http_server_set_tls(bench.server, old);
    http_server_set_tls(bench.server, renewed);
    assert_ptr_equal(bench.server->tls, renewed);
    /* A listener without TLS stays one. */
    bench_send(&bench, STR_LITERAL("GET /a HTTP/1.1\r\nhost: h\r\n\r\n"));
    assert_int_equal(bench.requests, 1);
    bench_done(&bench);
}

/* A socket that listens, and a client that has connected to it. */
static int listener_with_client(int *ret_client)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}; /* the kernel chooses a name */
    socklen_t len = sizeof(address.sun_family), bound_len = sizeof(address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret_client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bound_len), 0);
    assert_int_equal(connect(*ret_client, (struct sockaddr *)&address, bound_len), 0);
    return listener;
}

TEST_CASE(clients_wait_for_the_first_context)
{
    static const struct http_server_options waiting = {.waits_for_tls = true};
    struct bench bench;
    int client = -1;
    bench_init(&bench, &waiting);
    AUTO(tls_context) struct tls_context *pending = server_context(*test_state);
    AUTO(tls_context) struct tls_context *ready = server_context(*test_state);
    http_server_listen_fd(bench.server, listener_with_client(&client), pending);
    bench_settle(&bench);
    assert_int_equal(http_server_connection_count(bench.server), 1); /* the bench's own */
    http_server_set_tls(bench.server, ready);
    bench_settle(&bench);
    assert_int_equal(http_server_connection_count(bench.server), 2);
    fd_close(&client);
    bench_done(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(requests_tell_who_asks),
                                       TEST(a_connection_may_be_taken_over_below_its_encryption),
                                       TEST(http2_is_agreed_on),
                                       TEST(who_does_not_shake_hands_is_cut_off),
                                       TEST(handshakes_take_a_share_of_the_room),
                                       TEST(new_connections_use_the_new_context),
                                       TEST(clients_wait_for_the_first_context)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
