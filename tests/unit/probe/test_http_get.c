#include "probe/http_get.h"

#include "played_server.h"
#include "tests/lib/h2_peer.h"

#define TURNS 800

struct world {
    struct loop *loop;
    struct work_pool *pool;
    struct probe_net *net;
    bool is_done, has_met_http;
    unsigned status;
    char error[1024], body[256];
};

static void on_done(void *ctx, const struct http_get_end *end)
{
    struct world *world = ctx;
    assert_false(world->is_done);
    world->is_done = true;
    world->status = end->status;
    world->has_met_http = end->has_met_http;
    (void)snprintf(world->error, sizeof(world->error), "%s", end->error ? end->error : "");
    (void)snprintf(world->body, sizeof(world->body), "%.*s", STR_ARG(end->body));
}

static void world_init(struct world *world)
{
    *world = (struct world){0};
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 0);
    world->net = probe_net_new(world->loop, world->pool);
}

static void world_done(struct world *world)
{
    probe_net_free(world->net);
    work_pool_free(world->pool, 0);
    loop_free(world->loop);
}

static struct http_get_options to(uint16_t port, const char *scheme, const char *path)
{
    return (struct http_get_options){.scheme = scheme,
                                     .host = "127.0.0.1",
                                     .port = port,
                                     .path = path,
                                     .user_agent = "kube-probe/1.36",
                                     .timeout_ns = 5 * NS_PER_SEC};
}

static void run(struct world *world, const struct http_get_options *options)
{
    world->is_done = false;
    assert_non_null(http_get_start(world->net, options, on_done, world));
    assert_false(world->is_done);
    for (int i = 0; i < TURNS && !world->is_done; i++)
        loop_turn(world->loop, 10 * NS_PER_MS);
    assert_true(world->is_done);
}

/* Turns until @server has heard of so many clients that went. */
static void settle(struct world *world, const struct played_server *server, size_t gone)
{
    for (int i = 0; i < TURNS && server->ends + server->cuts < gone; i++)
        loop_turn(world->loop, 10 * NS_PER_MS);
    assert_int_equal(server->ends + server->cuts, gone);
}

static void assert_says(const struct world *world, const char *format, unsigned port,
                        const char *what)
{
    AUTO(free) char *want = xasprintf("Get \"%s://127.0.0.1:%u/\": %s", format, port, what);
    assert_string_equal(world->error, want);
    assert_int_equal(world->status, 0);
}

TEST_CASE(an_answer_is_status_and_body)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 503 no\r\nContent-Length: 2\r\n\r\nhm"}};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/a?b");
    run(&world, &options);
    assert_int_equal(world.status, 503);
    assert_string_equal(world.body, "hm");
    assert_string_equal(world.error, "");
    assert_true(
        text_has_prefix(played_request(&server, 0), "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:"));
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(a_server_that_closes_first_sees_no_reset)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 200 OK\r\n\r\nfine"}};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    run(&world, &options);
    assert_string_equal(world.body, "fine");
    settle(&world, &server, 1);
    assert_int_equal(server.ends, 1);
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(what_breaks_is_told_in_the_words_of_go)
{
    static const struct {
        const char *name, *answer, *what;
    } rows[] = {
        {"closes at once", "", "EOF"},
        {"is no web server", "SSH-2.0-x\r\n",
         "net/http: HTTP/1.x transport connection broken: malformed HTTP response \"SSH-2.0-x\""},
        {"stops within the head", "HTTP/1.1 200",
         "net/http: HTTP/1.x transport connection broken: unexpected EOF"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world world;
        world_init(&world);
        struct played_server server = {.answers = {rows[i].answer}};
        played_start(&server, world.loop);
        const struct http_get_options options = to(server.port, "http", "/");
        run(&world, &options);
        assert_says(&world, "http", server.port, rows[i].what);
        played_stop(&server);
        world_done(&world);
    }
}

TEST_CASE(a_refused_connection_is_told_as_a_dial)
{
    struct world world;
    world_init(&world);
    unsigned port = loopback_free_port();
    const struct http_get_options options = to((uint16_t)port, "http", "/");
    run(&world, &options);
    AUTO(free) char *what = xasprintf("dial tcp 127.0.0.1:%u: connect: connection refused", port);
    assert_says(&world, "http", port, what);
    world_done(&world);
}

TEST_CASE(a_reset_names_both_ends)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.resets = true};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    run(&world, &options);
    AUTO(free)
    char *start = xasprintf("Get \"http://127.0.0.1:%u/\": read tcp 127.0.0.1:", server.port);
    AUTO(free)
    char *end = xasprintf("->127.0.0.1:%u: read: connection reset by peer", server.port);
    assert_true(text_has_prefix(world.error, start));
    assert_true(text_has_suffix(world.error, end));
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(the_time_is_up_before_the_head_or_within_the_body)
{
    struct world world;
    world_init(&world);
    struct played_server mute = {.is_mute = true};
    played_start(&mute, world.loop);
    struct http_get_options options = to(mute.port, "http", "/");
    options.timeout_ns = 20 * NS_PER_MS;
    run(&world, &options);
    assert_says(&world, "http", mute.port,
                "context deadline exceeded (Client.Timeout exceeded while awaiting headers)");
    played_stop(&mute);

    struct played_server slow = {.answers = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhm"},
                                 .is_open = true};
    played_start(&slow, world.loop);
    options.port = slow.port;
    run(&world, &options);
    assert_int_equal(world.status, 200);
    assert_string_equal(world.error, "context deadline exceeded (Client.Timeout or context "
                                     "cancellation while reading body)");
    played_stop(&slow);
    world_done(&world);
}

TEST_CASE(a_body_that_breaks_off_leaves_its_status)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhm"}};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    run(&world, &options);
    assert_int_equal(world.status, 200);
    assert_string_equal(world.error, "unexpected EOF");
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(a_header_that_may_not_be_sent_is_refused_later)
{
    struct world world;
    world_init(&world);
    Core__HTTPHeader header = CORE__HTTPHEADER__INIT;
    header.name = (char *)(uintptr_t) "a b";
    Core__HTTPHeader *headers[] = {&header};
    struct http_get_options options = to(1, "http", "/");
    options.headers = headers;
    options.n_headers = 1;
    run(&world, &options);
    assert_says(&world, "http", 1, "net/http: invalid header field name \"a b\"");
    world_done(&world);
}

/* --- redirects --- */

TEST_CASE(redirects_on_the_same_host_are_followed_with_all_fields)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 302 Found\r\nLocation: ../there?x\r\n\r\n",
                                               "HTTP/1.1 200 OK\r\n\r\nhi"}};
    played_start(&server, world.loop);
    Core__HTTPHeader host = CORE__HTTPHEADER__INIT, own = CORE__HTTPHEADER__INIT;
    host.name = (char *)(uintptr_t) "Host";
    host.value = (char *)(uintptr_t) "example.org";
    own.name = (char *)(uintptr_t) "X-Own";
    own.value = (char *)(uintptr_t) "1";
    Core__HTTPHeader *headers[] = {&host, &own};
    struct http_get_options options = to(server.port, "http", "/a/b");
    options.headers = headers;
    options.n_headers = 2;
    run(&world, &options);
    assert_int_equal(world.status, 200);
    assert_string_equal(world.body, "hi");
    const char *second = played_request(&server, 1);
    assert_true(text_has_prefix(second, "GET /there?x HTTP/1.1\r\nHost: example.org\r\n"));
    assert_non_null(strstr(second, "\r\nX-Own: 1\r\n"));
    AUTO(free) char *referer = xasprintf("\r\nReferer: http://127.0.0.1:%u/a/b\r\n", server.port);
    assert_non_null(strstr(second, referer));
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(a_redirect_that_names_the_host_takes_the_host_field_away)
{
    struct world world;
    world_init(&world);
    struct played_server server = {0};
    played_start(&server, world.loop);
    AUTO(free)
    char *moved =
        xasprintf("HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:%u/x\r\n\r\n", server.port);
    server.answers[0] = moved;
    server.answers[1] = "HTTP/1.1 200 OK\r\n\r\n";
    Core__HTTPHeader host = CORE__HTTPHEADER__INIT;
    host.name = (char *)(uintptr_t) "Host";
    host.value = (char *)(uintptr_t) "example.org";
    Core__HTTPHeader *headers[] = {&host};
    struct http_get_options options = to(server.port, "http", "/");
    options.headers = headers;
    options.n_headers = 1;
    run(&world, &options);
    assert_int_equal(world.status, 200);
    assert_true(text_has_prefix(played_request(&server, 1), "GET /x HTTP/1.1\r\nHost: 127.0.0.1:"));
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(ten_requests_are_enough)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 307 x\r\nLocation: /again\r\n\r\n"}};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    run(&world, &options);
    assert_int_equal(server.count, 10);
    assert_string_equal(world.error, "Get \"/again\": stopped after 10 redirects");
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(an_answer_that_points_nowhere_we_go_is_the_last_one)
{
    static const struct {
        const char *name, *answer;
        unsigned status;
    } rows[] = {
        {"another host", "HTTP/1.1 302 x\r\nLocation: http://127.0.0.2/\r\n\r\nbody", 302},
        {"a name for the same", "HTTP/1.1 302 x\r\nLocation: http://localhost/\r\n\r\nbody", 302},
        {"no location", "HTTP/1.1 301 x\r\n\r\nbody", 301},
        {"not modified", "HTTP/1.1 304 x\r\nLocation: /x\r\n\r\n", 304},
        {"choices", "HTTP/1.1 300 x\r\nLocation: /x\r\n\r\nbody", 300},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world world;
        world_init(&world);
        struct played_server server = {.answers = {rows[i].answer}};
        played_start(&server, world.loop);
        const struct http_get_options options = to(server.port, "http", "/");
        run(&world, &options);
        if (world.status != rows[i].status || server.count != 1 ||
            !text_eq(world.body, rows[i].status == 304 ? "" : "body"))
            fail_msg("%s: %u %s", rows[i].name, world.status, world.error);
        played_stop(&server);
        world_done(&world);
    }
}

TEST_CASE(a_location_that_is_no_url_is_an_error)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 302 x\r\nLocation: /%zz\r\n\r\n"}};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    run(&world, &options);
    assert_says(&world, "http", server.port,
                "failed to parse Location header \"/%zz\": parse \"/%zz\": invalid URL escape "
                "\"%zz\"");
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(a_scheme_that_nobody_speaks_is_an_error)
{
    struct world world;
    world_init(&world);
    struct played_server server = {
        .answers = {"HTTP/1.1 302 x\r\nLocation: ftp://127.0.0.1/x\r\n\r\n"}};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    run(&world, &options);
    assert_string_equal(world.error,
                        "Get \"ftp://127.0.0.1/x\": unsupported protocol scheme \"ftp\"");
    played_stop(&server);
    world_done(&world);
}

/* --- TLS --- */

TEST_CASE(a_certificate_that_nobody_trusts_will_do)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 200 OK\r\n\r\nsecret"},
                                   .tls = played_tls("http/1.1")};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "https", "/");
    run(&world, &options);
    assert_string_equal(world.error, "");
    assert_int_equal(world.status, 200);
    assert_string_equal(world.body, "secret");
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(a_server_without_tls_is_told_apart)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.answers = {"HTTP/1.1 400 Bad Request\r\n\r\n"}};
    played_start(&server, world.loop);
    /* It answers as soon as it is spoken to, as servers do to what is no request. */
    server.is_mute = false;
    const struct http_get_options options = to(server.port, "https", "/");
    world.is_done = false;
    assert_non_null(http_get_start(world.net, &options, on_done, &world));
    bool has_answered = false;
    for (int i = 0; i < TURNS && !world.is_done; i++) {
        loop_turn(world.loop, 10 * NS_PER_MS);
        if (!has_answered && server.count == 1 && server.conns[0].in.len > 0) {
            played_answer(&server.conns[0]);
            has_answered = true;
        }
    }
    assert_says(&world, "https", server.port, "http: server gave HTTP response to HTTPS client");
    assert_true(world.has_met_http);
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(a_server_that_chooses_http2_is_spoken_to_so)
{
    struct world world;
    world_init(&world);
    AUTO(test_cert)
    struct test_cert cert = test_cert_new(&(struct test_cert_options){.common_name = "h2"}, NULL);
    struct h2_peer peer = {.cert_pem = cert.cert_pem, .key_pem = cert.key_pem};
    peer.listener = loopback_listen(16, &peer.port);
    h2_peer_start(&peer, world.loop);
    Core__HTTPHeader host = CORE__HTTPHEADER__INIT, own = CORE__HTTPHEADER__INIT;
    host.name = (char *)(uintptr_t) "Host";
    host.value = (char *)(uintptr_t) "example.org";
    own.name = (char *)(uintptr_t) "X-Test";
    own.value = (char *)(uintptr_t) "1";
    Core__HTTPHeader *headers[] = {&host, &own};
    struct http_get_options options = to(peer.port, "https", "/ok");
    options.headers = headers;
    options.n_headers = 2;
    run(&world, &options);
    assert_string_equal(world.error, "");
    assert_int_equal(world.status, 200);
    assert_string_equal(world.body, "hello");
    assert_string_equal(peer.last_authority, "example.org");
    assert_string_equal(peer.last_field, "1");

    options.path = "/rst";
    run(&world, &options);
    assert_int_equal(world.status, 0);
    assert_non_null(strstr(
        world.error, "/rst\": stream error: stream ID 1; INTERNAL_ERROR; received from peer"));
    options.path = "/close";
    run(&world, &options);
    assert_int_equal(world.status, 0);
    options.path = "/half";
    options.timeout_ns = 50 * NS_PER_MS;
    run(&world, &options);
    assert_int_equal(world.status, 200);
    assert_non_null(strstr(world.error, "while reading body"));
    h2_peer_stop(&peer);
    world_done(&world);
}

TEST_CASE(who_cancels_hears_nothing)
{
    struct world world;
    world_init(&world);
    struct played_server server = {.is_mute = true};
    played_start(&server, world.loop);
    const struct http_get_options options = to(server.port, "http", "/");
    struct http_get *get = http_get_start(world.net, &options, on_done, &world);
    for (int i = 0; i < TURNS && server.count == 0; i++)
        loop_turn(world.loop, 10 * NS_PER_MS);
    http_get_cancel(get);
    settle(&world, &server, 1);
    assert_false(world.is_done);
    http_get_cancel(http_get_start(world.net, &options, on_done, &world));
    played_stop(&server);
    world_done(&world);
}

TEST_MAIN(TEST(an_answer_is_status_and_body), TEST(a_server_that_closes_first_sees_no_reset),
          TEST(what_breaks_is_told_in_the_words_of_go),
          TEST(a_refused_connection_is_told_as_a_dial), TEST(a_reset_names_both_ends),
          TEST(the_time_is_up_before_the_head_or_within_the_body),
          TEST(a_body_that_breaks_off_leaves_its_status),
          TEST(a_header_that_may_not_be_sent_is_refused_later),
          TEST(redirects_on_the_same_host_are_followed_with_all_fields),
          TEST(a_redirect_that_names_the_host_takes_the_host_field_away),
          TEST(ten_requests_are_enough), TEST(an_answer_that_points_nowhere_we_go_is_the_last_one),
          TEST(a_location_that_is_no_url_is_an_error),
          TEST(a_scheme_that_nobody_speaks_is_an_error),
          TEST(a_certificate_that_nobody_trusts_will_do), TEST(a_server_without_tls_is_told_apart),
          TEST(a_server_that_chooses_http2_is_spoken_to_so), TEST(who_cancels_hears_nothing))
