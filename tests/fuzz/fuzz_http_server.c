/*
 * A client's bytes against the whole server, over a socket pair: the first byte chooses how the
 * rest is cut, whether HTTP/2's preface comes before it, whether the client reads, and for what the
 * server has no patience. The owner answers, streams, breaks off, takes over, keeps, drains or
 * frees the server, as the requests choose. Exchanges end in one way each, and when all connections
 * are gone no memory is charged to a request any more.
 */
#include "wire/http_server_internal.h"

#include <sys/socket.h>
#include <unistd.h>

#define MAX_KEPT 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct owner {
    struct loop *loop;
    struct http_server *server;
    struct slot {
        struct owner *owner;
        struct http_exchange *exchange; /* NULL: ended */
    } kept[MAX_KEPT];
    size_t count;
};

static void free_server(struct owner *owner)
{
    http_server_free(TAKE(owner->server)); /* all others go in silence */
    for (size_t i = 0; i < owner->count; i++)
        owner->kept[i].exchange = NULL;
}

static void on_gone(void *ctx)
{
    struct slot *slot = ctx;
    ASSERT(slot->exchange);
    slot->exchange = NULL;
    if (slot == &slot->owner->kept[6])
        free_server(slot->owner);
}

static void on_drain(void *ctx)
{
    struct slot *slot = ctx;
    ASSERT(slot->exchange);
    if (slot == &slot->owner->kept[3])
        http_exchange_abort(TAKE(slot->exchange));
    else if (slot == &slot->owner->kept[9])
        free_server(slot->owner);
    else
        http_exchange_finish(TAKE(slot->exchange));
}

static void take_over(struct http_exchange *exchange)
{
    AUTO(byte_stream) struct byte_stream *stream = NULL;
    AUTO(arena) struct arena *arena = NULL;
    struct str early = {0};
    AUTO(error) struct error *err = http_exchange_take(exchange, &stream, &early, &arena);
    ASSERT(!err && stream && arena);
}

static void keep(struct owner *owner, struct http_exchange *exchange)
{
    if (owner->count == MAX_KEPT) {
        http_exchange_abort(exchange);
        return;
    }
    struct slot *slot = &owner->kept[owner->count++];
    *slot = (struct slot){.owner = owner, .exchange = exchange};
    http_exchange_on_gone(exchange, on_gone, slot);
    if (owner->count % 2 == 0) {
        http_exchange_begin(exchange, 200, NULL);
        http_exchange_on_drain(exchange, 1, on_drain, slot);
        http_exchange_write(exchange, STR_LITERAL("some of it"));
    }
}

static void drain(struct owner *owner, struct http_exchange *exchange)
{
    http_server_drain(owner->server);
    http_exchange_reply(exchange, 200, NULL, STR_LITERAL("last"));
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct owner *owner = ctx;
    const struct http_request *request = http_exchange_request(exchange);
    static const struct http_field fields[] = {{"content-type", "text/plain"}};
    size_t choice = strlen(request->target.path) + request->body.len;
    if (request->is_upgrade && choice % 2 == 0)
        take_over(exchange);
    else if (choice % 4 == 1)
        keep(owner, exchange);
    else if (choice % 4 == 3)
        http_exchange_abort(exchange);
    else if (choice % 32 == 30)
        drain(owner, exchange);
    else
        http_exchange_reply(exchange, 200, &(struct http_fields){.items = fields, .count = 1},
                            request->body);
}

static void read_away(int fd)
{
    char bytes[4096];
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        ;
}

static void send_all(struct owner *owner, int fd, struct str all, uint8_t choice)
{
    static const size_t pieces[] = {1,   3,   9,   17,  33,   65,   100,  150,
                                    200, 300, 400, 600, 1000, 2000, 5000, 20000};
    size_t piece = pieces[(choice >> 2) & 15];
    for (size_t at = 0; at < all.len; at += piece) {
        (void)send(fd, all.ptr + at, min_size(piece, all.len - at), MSG_NOSIGNAL);
        loop_turn(owner->loop, 0);
        if (choice & 2)
            read_away(fd);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char start[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    static const struct http_server_options options[] = {
        {.max_header_bytes = 512, .max_body_bytes = 100},
        {.max_header_bytes = 512, .max_body_bytes = 100, .write_timeout_ns = 1},
        {.max_header_bytes = 512, .max_body_bytes = 100, .body_timeout_ns = 1},
        {.max_header_bytes = 512, .max_body_bytes = 100, .idle_timeout_ns = 1},
    };
    if (size == 0)
        return 0;
    struct owner owner = {0};
    int fds[2];
    error_ignore(loop_new(&owner.loop), "asserted next");
    ASSERT(owner.loop && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    owner.server = http_server_new(owner.loop, &options[data[0] >> 6], on_request, &owner);
    http_server_serve_fd(owner.server, fds[0], NULL);
    if (data[0] & 1)
        (void)send(fds[1], start, sizeof(start) - 1, MSG_NOSIGNAL);
    send_all(&owner, fds[1], (struct str){(const char *)data + 1, size - 1}, data[0]);
    for (size_t i = 0; i < owner.count; i += 3) {
        if (owner.kept[i].exchange)
            http_exchange_abort(TAKE(owner.kept[i].exchange));
    }
    loop_turn(owner.loop, 0);
    if (owner.server)
        http_server_drain(owner.server);
    loop_turn(owner.loop, 0);
    (void)close(fds[1]);
    for (size_t i = 0; i < 4; i++)
        loop_turn(owner.loop, 0);
    ASSERT(!owner.server || http_server_connection_count(owner.server) == 0);
    ASSERT(!owner.server || owner.server->request_bytes == 0);
    for (size_t i = 0; i < owner.count; i++)
        ASSERT(!owner.kept[i].exchange);
    http_server_free(owner.server);
    loop_free(owner.loop);
    return 0;
}
