/* Dials to sockets at 127.0.0.1; the proxy is a script. */
#include "wire/dial_internal.h"

#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/loopback.h"
#include "tests/lib/test.h"

#include <netdb.h>
#include <netinet/tcp.h>

#define TURN_WAIT_NS (5 * NS_PER_SEC)
#define LONG_NS (60 * NS_PER_SEC)
#define SHORT_NS (30 * NS_PER_MS)

struct bench {
    struct loop *loop;
    struct work_pool *pool;
    size_t dones;
    struct byte_stream *stream;
    struct error *failure;
};

static void on_done(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct bench *bench = ctx;
    bench->dones++;
    assert_true((stream_owned != NULL) != (err_owned != NULL));
    bench->stream = stream_owned;
    bench->failure = err_owned;
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    assert_no_error(loop_new(&bench->loop));
    bench->pool = work_pool_new(bench->loop, 0);
}

static void bench_done(struct bench *bench)
{
    byte_stream_free(bench->stream);
    error_free(bench->failure);
    work_pool_free(bench->pool, 0);
    loop_free(bench->loop);
}

static void auto_release_bench(struct bench *bench)
{
    bench_done(bench);
}

static struct dial *start(struct bench *bench, const char *host, uint16_t port, int64_t timeout_ns)
{
    const struct dial_options options = {.host = host, .port = port, .timeout_ns = timeout_ns};
    struct dial *dial = dial_start(bench->loop, bench->pool, &options, on_done, bench);
    assert_int_equal(bench->dones, 0);
    return dial;
}

static void turn_until_done(struct bench *bench)
{
    while (bench->dones == 0)
        loop_turn(bench->loop, TURN_WAIT_NS);
    assert_int_equal(bench->dones, 1);
}

TEST_CASE(an_address_is_connected_to)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = 0;
    AUTO(fd) int listener = loopback_listen(4, &port);
    (void)start(&bench, "127.0.0.1", port, LONG_NS);
    turn_until_done(&bench);
    assert_null(bench.failure);
    AUTO(fd) int peer = loopback_accept(listener);
    size_t len = 0;
    assert_no_error(bench.stream->vtable->write(bench.stream, "hello", 5, &len));
    char bytes[8] = {0};
    assert_int_equal(read(peer, bytes, sizeof(bytes)), 5);
    assert_string_equal(bytes, "hello");
}

TEST_CASE(a_name_is_looked_up_and_every_address_tried)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = 0;
    AUTO(fd) int listener = loopback_listen(4, &port);
    (void)start(&bench, "localhost", port, LONG_NS); /* often ::1 first, where nobody listens */
    turn_until_done(&bench);
    assert_null(bench.failure);
    AUTO(fd) int peer = loopback_accept(listener);
    assert_true(peer >= 0);
}

TEST_CASE(failures_are_told_in_gos_words)
{
    uint16_t port = loopback_free_port();
    AUTO(free) char *long_name = xcalloc(1, 301);
    memset(long_name, 'a', 300);
    AUTO(free)
    char *refused = xasprintf("dial tcp 127.0.0.1:%u: connect: connection refused", port);
    AUTO(free) char *long_wanted = xasprintf("dial tcp: lookup %s: ", long_name);
    const struct {
        const char *host, *want; /* its beginning */
    } rows[] = {{"127.0.0.1", refused}, {long_name, long_wanted}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        (void)start(&bench, rows[i].host, port, LONG_NS);
        turn_until_done(&bench);
        assert_non_null(bench.failure);
        assert_int_equal(bench.failure->code, ERROR_UNAVAILABLE);
        if (!text_has_prefix(bench.failure->message, rows[i].want))
            fail_msg("%s", bench.failure->message);
    }
}

TEST_CASE(who_does_not_answer_is_given_up)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = 0;
    AUTO(fd)
    int listener = loopback_listen(0, &port); /* room for one; the next ones hear nothing */
    int fillers[4];
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(port),
                                        .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (const struct sockaddr *)&address, sizeof(address));
    }
    (void)start(&bench, "127.0.0.1", port, SHORT_NS);
    turn_until_done(&bench);
    AUTO(free) char *want = xasprintf("dial tcp 127.0.0.1:%u: i/o timeout", port);
    assert_non_null(bench.failure);
    assert_string_equal(bench.failure->message, want);
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
        fd_close(&fillers[i]);
}

TEST_CASE(a_cancelled_dial_is_silent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = 0;
    AUTO(fd) int listener = loopback_listen(16, &port);
    dial_cancel(NULL);
    static const char *const hosts[] = {"127.0.0.1", "localhost"};
    for (size_t turns = 0; turns < 3; turns++) {
        struct dial *dial = start(&bench, hosts[turns % 2], port, LONG_NS);
        for (size_t i = 0; i < turns && bench.dones == 0; i++)
            loop_turn(bench.loop, 0);
        if (bench.dones == 0)
            dial_cancel(dial);
        size_t dones = bench.dones;
        for (size_t i = 0; i < 5; i++)
            loop_turn(bench.loop, 0);
        assert_int_equal(bench.dones, dones);
        byte_stream_free(TAKE(bench.stream));
        bench.dones = 0;
    }
}

TEST_CASE(a_dead_peer_will_be_noticed)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = 0;
    AUTO(fd) int listener = loopback_listen(4, &port);
    (void)start(&bench, "127.0.0.1", port, LONG_NS);
    turn_until_done(&bench);
    /* The stream hides its socket: it is the newest one that is connected. */
    bool is_found = false;
    for (int fd = 3; fd < 64; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 || ntohs(peer.sin_port) != port)
            continue;
        int keepalive = 0, user_timeout = 0, no_delay = 0;
        socklen_t size = sizeof(int);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &size), 0);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout, &size), 0);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
        assert_true(keepalive && no_delay && user_timeout > 0 && user_timeout <= 30000);
        is_found = true;
    }
    assert_true(is_found);
}

/* --- the proxy --- */

TEST_CASE(a_proxy_url_is_taken_apart)
{
    static const struct {
        const char *url, *host;
        uint16_t port;
        const char *authorization;
    } rows[] = {
        {"http://proxy", "proxy", 80, NULL},
        {"http://proxy:3128/", "proxy", 3128, NULL},
        {"http://[::1]:3128", "::1", 3128, NULL},
        {"http://[::1]", "::1", 80, NULL},
        {"http://user@proxy:1", "proxy", 1, "Basic dXNlcjo="},
        {"http://user:p%40ss%3Aw@10.0.0.1:8080", "10.0.0.1", 8080, "Basic dXNlcjpwQHNzOnc="},
        {"http://a:b@c:d@proxy", "proxy", 80, "Basic YTpiQGM6ZA=="},
        {"https://proxy:1", NULL, 0, NULL},
        {"socks5://proxy:1", NULL, 0, NULL},
        {"proxy:1", NULL, 0, NULL},
        {"", NULL, 0, NULL},
        {"http://", NULL, 0, NULL},
        {"http://:1", NULL, 0, NULL},
        {"http://proxy:0", NULL, 0, NULL},
        {"http://proxy:65536", NULL, 0, NULL},
        {"http://proxy:x", NULL, 0, NULL},
        {"http://[::1", NULL, 0, NULL},
        {"http://[]:1", NULL, 0, NULL},
        {"http://[::1]1", NULL, 0, NULL},
        {"http://proxy/path", NULL, 0, NULL},
        {"http://proxy?q", NULL, 0, NULL},
        {"http://pro xy", NULL, 0, NULL},
        {"http://a%zz:b@proxy", NULL, 0, NULL},
        {"http://a%4@proxy", NULL, 0, NULL},
        {"http://a%@proxy", NULL, 0, NULL},
        {"http://a\r\nx:b@pro\r\nxy", NULL, 0, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(dial_proxy) struct dial_proxy *proxy = NULL;
        AUTO(error) struct error *err = dial_proxy_parse(rows[i].url, &proxy);
        if ((err == NULL) != (rows[i].host != NULL))
            fail_msg("%s: %s", rows[i].url, err ? err->message : "accepted");
        if (err) {
            assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
            continue;
        }
        assert_string_equal(proxy->host, rows[i].host);
        assert_int_equal(proxy->port, rows[i].port);
        if (!text_eq(proxy->authorization, rows[i].authorization))
            fail_msg("%s: %s", rows[i].url, proxy->authorization);
    }
}

/* Accepts, reads the question, says @answer in pieces of @piece bytes. */
static void play_proxy(struct bench *bench, int listener, const char *answer, size_t piece,
                       struct buf *question)
{
    int peer = -1;
    while ((peer = loopback_accept(listener)) < 0)
        loop_turn(bench->loop, TURN_WAIT_NS);
    while (!strstr(buf_text(question), "\r\n\r\n")) {
        char bytes[512];
        ssize_t len = read(peer, bytes, sizeof(bytes));
        if (len > 0)
            buf_add(question, bytes, (size_t)len);
        else
            loop_turn(bench->loop, TURN_WAIT_NS);
    }
    for (size_t at = 0, len = strlen(answer); at < len && bench->dones == 0; at += piece) {
        size_t now = min_size(piece, len - at);
        assert_int_equal(write(peer, answer + at, now), now);
        loop_turn(bench->loop, 0);
        loop_turn(bench->loop, 0);
    }
    fd_close(&peer); /* who has not got an answer by now never will */
    turn_until_done(bench);
}

TEST_CASE(a_proxy_is_asked_to_connect)
{
    static const struct {
        const char *answer, *want; /* NULL: connected */
    } rows[] = {
        {"HTTP/1.1 200 Connection established\r\n\r\n", NULL},
        {"HTTP/1.0 200 OK\r\nVia: x\r\nContent-Length: 5\r\n\r\n", NULL},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", NULL},
        {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno",
         "proxyconnect tcp: 407 Proxy Authentication Required"},
        {"HTTP/1.1 302 Found\r\n\r\n", "proxyconnect tcp: 302 Found"},
        {"HTTP/1.1 200 OK\r\n", "proxyconnect tcp: unexpected EOF"},
        {"", "proxyconnect tcp: unexpected EOF"},
        {"SSH-2.0-OpenSSH\r\n", "proxyconnect tcp: malformed HTTP response: "},
    };
    static const size_t pieces[] = {1, 3, 1000};
    for (size_t i = 0; i < ARRAY_SIZE(rows) * ARRAY_SIZE(pieces); i++) {
        const char *want = rows[i / ARRAY_SIZE(pieces)].want;
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        uint16_t port = 0;
        AUTO(fd) int listener = loopback_listen(4, &port);
        AUTO(free) char *url = xasprintf("http://me:secret@127.0.0.1:%u", port);
        AUTO(dial_proxy) struct dial_proxy *proxy = NULL;
        assert_no_error(dial_proxy_parse(url, &proxy));
        const struct dial_options options = {
            .host = "fd00::1", .port = 6443, .timeout_ns = LONG_NS, .proxy = proxy};
        (void)dial_start(bench.loop, bench.pool, &options, on_done, &bench);
        AUTO(buf) struct buf question = {0};
        buf_init(&question, 4 * KiB);
        play_proxy(&bench, listener, rows[i / ARRAY_SIZE(pieces)].answer,
                   pieces[i % ARRAY_SIZE(pieces)], &question);
        assert_string_equal(buf_text(&question),
                            "CONNECT [fd00::1]:6443 HTTP/1.1\r\nHost: [fd00::1]:6443\r\n"
                            "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n\r\n");
        if ((bench.failure == NULL) != (want == NULL) ||
            (want && !text_has_prefix(bench.failure->message, want)))
            fail_msg("row %zu: %s", i, bench.failure ? bench.failure->message : "connected");
    }
}

TEST_CASE(a_proxy_may_not_speak_first_nor_be_silent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = 0;
    AUTO(fd) int listener = loopback_listen(4, &port);
    AUTO(free) char *url = xasprintf("http://127.0.0.1:%u", port);
    AUTO(dial_proxy) struct dial_proxy *proxy = NULL;
    assert_no_error(dial_proxy_parse(url, &proxy));
    struct dial_options options = {.host = "a", .port = 1, .timeout_ns = LONG_NS, .proxy = proxy};
    (void)dial_start(bench.loop, bench.pool, &options, on_done, &bench);
    AUTO(buf) struct buf question = {0};
    buf_init(&question, 4 * KiB);
    play_proxy(&bench, listener, "HTTP/1.1 200 OK\r\n\r\nearly", 1000, &question);
    assert_string_equal(bench.failure->message,
                        "proxyconnect tcp: the proxy speaks before it is asked");
    error_free(TAKE(bench.failure));

    bench.dones = 0;
    options.timeout_ns = SHORT_NS;
    (void)dial_start(bench.loop, bench.pool, &options, on_done, &bench);
    turn_until_done(&bench);
    assert_string_equal(bench.failure->message, "proxyconnect tcp: dial tcp a:1: i/o timeout");
}

TEST_CASE(a_proxy_that_is_not_there_is_named)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    uint16_t port = loopback_free_port();
    AUTO(free) char *url = xasprintf("http://127.0.0.1:%u", port);
    AUTO(free)
    char *want =
        xasprintf("proxyconnect tcp: dial tcp 127.0.0.1:%u: connect: connection refused", port);
    AUTO(dial_proxy) struct dial_proxy *proxy = NULL;
    assert_no_error(dial_proxy_parse(url, &proxy));
    const struct dial_options options = {
        .host = "a", .port = 1, .timeout_ns = LONG_NS, .proxy = proxy};
    (void)dial_start(bench.loop, bench.pool, &options, on_done, &bench);
    turn_until_done(&bench);
    assert_string_equal(bench.failure->message, want);
}

TEST_MAIN(TEST(an_address_is_connected_to), TEST(a_name_is_looked_up_and_every_address_tried),
          TEST(failures_are_told_in_gos_words), TEST(who_does_not_answer_is_given_up),
          TEST(a_cancelled_dial_is_silent), TEST(a_dead_peer_will_be_noticed),
          TEST(a_proxy_url_is_taken_apart), TEST(a_proxy_is_asked_to_connect),
          TEST(a_proxy_may_not_speak_first_nor_be_silent), TEST(a_proxy_that_is_not_there_is_named))
