/*
 * The plane without TLS: requests of HTTP/1.1 over socket pairs reach plane_serve() as they would
 * over the network, on the store of a rest_bed. Two static tokens: "admin" and "nobody".
 *
 *     AUTO(plane_bed) struct plane_bed *bed = plane_bed_new();
 *     struct plane_client *client = plane_ask(bed, "GET", "/api/v1/pods?watch=1", NULL);
 *     assert_int_equal(client->status, 200);
 *
 * Clients are freed with the bed. Nothing waits for time.
 */
#pragma once

#include "base/fd.h"
#include "base/path.h"
#include "plane/plane_internal.h"
#include "tests/unit/plane/rest_bed.h"
#include "wire/http1.h"
#include "wire/http_server_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLANE_BED_CLIENTS_MAX 16

struct plane_bed;

/** One connection with one request on it, and what has come back. */
struct plane_client {
    struct plane_bed *bed;
    int fd;
    struct http1_parser *parser;
    struct buf raw; /* not yet parsed; all of it once a connection was taken over */
    unsigned status;
    char *content_type;
    char *warning;
    struct buf body;
    bool is_complete;
    bool is_upgraded;
    bool is_ended;  /* the connection was closed */
    bool is_broken; /* in the middle of the answer */
    bool is_paused; /* does not read */
};

struct plane_bed {
    struct rest_bed *rest;
    struct plane plane;
    struct plane_client *clients[PLANE_BED_CLIENTS_MAX];
    size_t client_count;
};

static inline UNUSED void plane_bed_on_request(void *ctx, struct http_exchange *exchange)
{
    struct plane_bed *bed = ctx;
    plane_serve(&bed->plane, exchange);
}

static inline UNUSED struct plane_bed *plane_bed_new(void)
{
    static const char tokens[] = "admin,admin,1,\"system:masters\"\nnobody,nobody,2,\n";
    static const struct http_server_options server_options = {0};
    struct plane_bed *bed = xcalloc(1, sizeof(*bed));
    bed->rest = rest_bed_new();
    AUTO(free) char *token_file = path_join(bed->rest->dir, "tokens.csv");
    assert_no_error(fd_write_file_blocking(token_file, STR_LITERAL(tokens), 0600));
    const struct authn_options authn_options = {.token_file = token_file, .issuer = "test"};
    struct plane *plane = &bed->plane;
    assert_no_error(authn_new_blocking(&authn_options, &plane->authn));
    plane->loop = bed->rest->loop;
    plane->store = bed->rest->store;
    plane->world = bed->rest->world;
    plane->world.authn = plane->authn;
    plane->server_url = "https://127.0.0.1:6443";
    plane->watches = watch_house_new(plane->loop, plane->store);
    plane->proxy = node_proxy_new(plane->loop, bed->rest->pool, NULL);
    plane->server = http_server_new(plane->loop, &server_options, plane_bed_on_request, bed);
    return bed;
}

static inline UNUSED void plane_client_free(struct plane_client *client)
{
    fd_close(&client->fd);
    http1_parser_free(client->parser);
    buf_done(&client->raw);
    buf_done(&client->body);
    free(client->content_type);
    free(client->warning);
    free(client);
}

/** The plane's part: what plane_free() does, but for the store, which is the rest_bed's. */
static inline UNUSED void plane_bed_free(struct plane_bed *bed)
{
    watch_house_free(bed->plane.watches);
    node_proxy_free(bed->plane.proxy);
    plane_serve_end_asking(&bed->plane);
    http_server_free(bed->plane.server);
    plane_serve_free_all(&bed->plane);
    authn_free(bed->plane.authn);
    for (size_t i = 0; i < bed->client_count; i++)
        plane_client_free(bed->clients[i]);
    rest_bed_free(bed->rest);
    free(bed);
}
DEFINE_AUTO(plane_bed, struct plane_bed *, plane_bed_free)

static inline UNUSED void plane_client_take_head(struct plane_client *client,
                                                 const struct http1_head *head)
{
    client->status = head->status;
    client->is_upgraded = head->is_upgrade;
    client->content_type = xstrdup(http_fields_get(&head->fields, "content-type"));
    client->warning = xstrdup(http_fields_get(&head->fields, "warning"));
}

static inline UNUSED void plane_client_parse(struct plane_client *client)
{
    struct str rest = buf_str(&client->raw);
    struct http1_event event = {.kind = HTTP1_BODY};
    while (event.kind != HTTP1_NONE && !client->is_complete && !client->is_broken) {
        assert_no_error(http1_parser_next(client->parser, &rest, &event));
        if (event.kind == HTTP1_HEAD)
            plane_client_take_head(client, event.head);
        if (event.kind == HTTP1_BODY)
            buf_add_str(&client->body, event.bytes);
        if (event.kind == HTTP1_COMPLETE)
            client->is_complete = true;
    }
    buf_consume(&client->raw, client->raw.len - rest.len);
}

/** Reads what has come. False when that was nothing. */
static inline UNUSED bool plane_client_read(struct plane_client *client)
{
    char bytes[16 * 1024];
    ssize_t len = 0;
    bool is_any = false;
    while (client->fd >= 0 && !client->is_paused &&
           (len = recv(client->fd, bytes, sizeof(bytes), 0)) > 0) {
        buf_add(&client->raw, bytes, (size_t)len);
        is_any = true;
    }
    if (client->fd >= 0 && !client->is_paused && (len == 0 || errno != EAGAIN))
        client->is_ended = true;
    plane_client_parse(client);
    if (client->is_ended && !client->is_complete && !client->is_broken) {
        struct http1_event event = {.kind = HTTP1_NONE};
        error_ignore(http1_parser_end(client->parser, &event), "it was broken off, then");
        client->is_complete = event.kind == HTTP1_COMPLETE;
        client->is_broken = !client->is_complete;
    }
    return is_any;
}

/** Turns until nothing moves any more. */
static inline UNUSED void plane_settle(struct plane_bed *bed)
{
    for (int quiet = 0; quiet < 8; quiet++) {
        loop_turn(bed->rest->loop, 0);
        for (size_t i = 0; i < bed->client_count; i++) {
            if (plane_client_read(bed->clients[i]))
                quiet = 0;
        }
    }
}

static inline UNUSED struct plane_client *plane_connect(struct plane_bed *bed)
{
    int fds[2];
    assert_true(bed->client_count < PLANE_BED_CLIENTS_MAX);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    http_server_serve_fd(bed->plane.server, fds[0], NULL);
    struct plane_client *client = xcalloc(1, sizeof(*client));
    client->bed = bed;
    client->fd = fds[1];
    client->parser = http1_parser_new(HTTP1_RESPONSES, 64 * KiB);
    buf_init(&client->raw, 64 * MiB);
    buf_init(&client->body, 64 * MiB);
    bed->clients[bed->client_count++] = client;
    return client;
}

static inline UNUSED void plane_client_send(struct plane_client *client, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0) {
            assert_int_equal(errno, EAGAIN);
            loop_turn(client->bed->rest->loop, 0);
            continue;
        }
        bytes = (struct str){.ptr = bytes.ptr + sent, .len = bytes.len - (size_t)sent};
    }
}

/** A request with more fields ("" or lines that end in CRLF) on a connection of its own. */
static inline UNUSED struct plane_client *plane_ask_with(struct plane_bed *bed, const char *method,
                                                         const char *target, const char *fields,
                                                         const char *body)
{
    struct plane_client *client = plane_connect(bed);
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * MiB);
    buf_printf(&text, "%s %s HTTP/1.1\r\nhost: h\r\n%s", method, target, fields);
    if (body)
        buf_printf(&text, "content-length: %zu\r\n", strlen(body));
    buf_printf(&text, "\r\n%s", body ? body : "");
    plane_client_send(client, buf_str(&text));
    plane_settle(bed);
    return client;
}

/** The same by the admin. */
static inline UNUSED struct plane_client *plane_ask(struct plane_bed *bed, const char *method,
                                                    const char *target, const char *body)
{
    return plane_ask_with(bed, method, target, "authorization: Bearer admin\r\n", body);
}

/** The client goes away. */
static inline UNUSED void plane_client_hang_up(struct plane_client *client)
{
    fd_close(&client->fd);
    plane_settle(client->bed);
}
