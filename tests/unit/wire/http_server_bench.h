/*
 * A bench for the HTTP server: the server on one end of a socket pair, the case on the other. The
 * owner behind it answers by path: /echo at once with what was asked, /hold never (the case does),
 * /drop breaks off.
 */
#pragma once

#include "base/fd.h"
#include "tests/lib/test.h"
#include "wire/http_server_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define BENCH_MAX_HELD 300

struct bench {
    struct loop *loop;
    struct http_server *server;
    int fd; /* the client's end */
    struct http_exchange *held[BENCH_MAX_HELD];
    size_t held_count, requests, gone, drains;
    struct buf got; /* what the client has received */
    bool is_ended;  /* and no more will come */
};

static inline UNUSED void bench_on_gone(void *ctx)
{
    ((struct bench *)ctx)->gone++;
}

static inline UNUSED void bench_echo(struct http_exchange *exchange)
{
    const struct http_request *request = http_exchange_request(exchange);
    AUTO(buf) struct buf text;
    buf_init(&text, 16 * MiB);
    buf_printf(&text, "%s %s [%.*s]", request->method, request->target.path,
               STR_ARG(request->body));
    const char *host = http_fields_get(&request->fields, "host");
    const struct http_field fields[] = {{"content-type", "text/plain"},
                                        {"x-host", host ? host : "none"},
                                        {"content-length", "wrong"}};
    http_exchange_reply(exchange, 200, &(struct http_fields){.items = fields, .count = 2 + 1},
                        buf_str(&text));
}

static inline UNUSED void bench_on_request(void *ctx, struct http_exchange *exchange)
{
    struct bench *bench = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    bench->requests++;
    http_exchange_on_gone(exchange, bench_on_gone, bench);
    if (text_eq(request->target.path, "/drop")) {
        http_exchange_abort(exchange);
    } else if (text_eq(request->target.path, "/hold")) {
        assert_true(bench->held_count < BENCH_MAX_HELD);
        bench->held[bench->held_count++] = exchange;
    } else {
        bench_echo(exchange);
    }
}

static inline UNUSED int bench_connect(struct bench *bench)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    http_server_serve_fd(bench->server, fds[0], NULL);
    return fds[1];
}

static inline UNUSED void bench_init(struct bench *bench, const struct http_server_options *options)
{
    static const struct http_server_options defaults = {0};
    *bench = (struct bench){0};
    buf_init(&bench->got, 64 * MiB);
    assert_no_error(loop_new(&bench->loop));
    bench->server =
        http_server_new(bench->loop, options ? options : &defaults, bench_on_request, bench);
    bench->fd = bench_connect(bench);
}

static inline UNUSED void bench_done(struct bench *bench)
{
    http_server_free(bench->server);
    fd_close(&bench->fd);
    loop_free(bench->loop);
    buf_done(&bench->got);
}

/* Reads what has come for the client. */
static inline UNUSED bool bench_read(struct bench *bench)
{
    char bytes[16 * 1024];
    ssize_t len = 0;
    bool is_any = false;
    while (bench->fd >= 0 && (len = recv(bench->fd, bytes, sizeof(bytes), 0)) > 0) {
        buf_add(&bench->got, bytes, (size_t)len);
        is_any = true;
    }
    if (bench->fd >= 0 && (len == 0 || errno != EAGAIN))
        bench->is_ended = true;
    return is_any;
}

/* Turns until nothing moves any more, without waiting for time. */
static inline UNUSED void bench_settle(struct bench *bench)
{
    for (int quiet = 0; quiet < 4; quiet++) {
        loop_turn(bench->loop, 0);
        if (bench_read(bench))
            quiet = 0;
    }
}

static inline UNUSED void bench_send(struct bench *bench, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(bench->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            bench_settle(bench);
            continue;
        }
        bytes = (struct str){.ptr = bytes.ptr + sent, .len = bytes.len - (size_t)sent};
    }
    bench_settle(bench);
}

/* Turns until the server has closed the connection; the timeouts of such cases are short. */
static inline UNUSED void bench_wait_end(struct bench *bench)
{
    for (int i = 0; i < 500 && !bench->is_ended; i++) {
        loop_turn(bench->loop, 10 * NS_PER_MS);
        (void)bench_read(bench);
    }
    assert_true(bench->is_ended);
}
