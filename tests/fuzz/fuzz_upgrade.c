/*
 * Exec and port-forward between two that may say anything: a client of our server, on a socket
 * pair, and the runtime's streaming server, on loopback. What the client asks for is taken apart as
 * by the handlers, and passed on, unwrapped or ended here as it wishes. The first byte chooses how
 * both are cut, what is asked and who goes first; the next two say how much is the client's. Before
 * it says anything the runtime gets one request and nothing else, and when both are gone nothing of
 * the session is left.
 */
#include "server/streaming_internal.h"
#include "wire/http_server_internal.h"
#include "wire/websocket.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS_MAX 2000
#define HEAD_MAX_BYTES (128 * KiB)

enum choice {
    CHOICE_CLIENT_PIECE = 3, /* two bits: which of pieces[] */
    CHOICE_RUNTIME_PIECE = 3 << 2,
    CHOICE_PORT_FORWARD = 1 << 4,
    CHOICE_RUNTIME_ENDS = 1 << 5, /* its side, when it has said all */
    CHOICE_CLIENT_IS_DEAF = 1 << 6,
    CHOICE_CUT_OFF = 1 << 7, /* by us, in the middle */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct scene {
    struct loop *loop;
    struct work_pool *pool;
    struct streaming *streaming;
    struct http_server *server;
    unsigned choice;
    int listener, client, runtime; /* -1: none */
    uint16_t port;
    struct buf asked; /* of the runtime, before it said anything */
    bool has_spoken;
};

/* --- our side --- */

/* False when it is refused. */
static bool take_apart(struct http_exchange *exchange, bool is_port_forward,
                       struct streaming_session *session)
{
    const struct http_request *request = http_exchange_request(exchange);
    struct arena *arena = http_exchange_arena(exchange);
    struct streaming_ports ports = {0};
    struct streaming_command command, split;
    AUTO(error) struct error *err = NULL;
    streaming_parse_command(&request->target, arena, &command);
    streaming_split_command(request->target.path, arena, &split);
    ASSERT(split.count > 0 && command.count <= request->target.param_count);
    if (!is_port_forward)
        err = streaming_parse_switches(&request->target, &session->switches);
    else if (websocket_is_asked_for(&request->fields) &&
             streaming_manner_of(&request->fields, true) != STREAMING_TUNNEL)
        err = streaming_parse_ports(&request->target, arena, &ports);
    for (size_t i = 0; i < ports.count; i++)
        ASSERT(ports.items[i] > 0 && ports.items[i] <= UINT16_MAX);
    ASSERT(err || !session->switches.tty || !session->switches.error);
    return !err;
}

static void begin(struct scene *scene, const struct streaming_session *session,
                  struct http_exchange *exchange, bool is_port_forward)
{
    switch (streaming_manner_of(session->fields, is_port_forward)) {
    case STREAMING_PASSED_ON:
        streaming_pass(scene->streaming, session, exchange);
        break;
    case STREAMING_CHANNELS:
        streaming_channels(scene->streaming, session, exchange);
        break;
    case STREAMING_TUNNEL:
        streaming_tunnel(scene->streaming, session, exchange);
        break;
    }
}

static void on_request(void *ctx, struct http_exchange *exchange)
{
    struct scene *scene = ctx;
    bool is_port_forward = scene->choice & CHOICE_PORT_FORWARD;
    struct arena *arena = http_exchange_arena(exchange);
    struct streaming_session *session = arena_calloc(arena, 1, sizeof(*session));
    session->subresource = "any";
    session->fields = &http_exchange_request(exchange)->fields;
    AUTO(error)
    struct error *err = streaming_url_parse(
        arena_printf(arena, "http://127.0.0.1:%u/t", (unsigned)scene->port), arena, &session->url);
    ASSERT(!err);
    if (scene->streaming && take_apart(exchange, is_port_forward, session) &&
        http_exchange_request(exchange)->is_upgrade)
        begin(scene, session, exchange, is_port_forward);
    else
        http_exchange_reply(exchange, 400, NULL, STR_LITERAL("no"));
}

/* --- the others --- */

static int listen_on_loopback(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ASSERT(fd >= 0 && bind(fd, (const struct sockaddr *)&address, len) == 0 && listen(fd, 4) == 0 &&
           getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

/* One request, whole, and nothing behind it. */
static void check_asked(const struct scene *scene)
{
    AUTO(http1_parser)
    struct http1_parser *parser = http1_parser_new(HTTP1_REQUESTS, 80 * KiB);
    struct str rest = buf_str(&scene->asked);
    struct http1_event event = {.kind = HTTP1_HEAD};
    bool has_head = false;
    while (event.kind != HTTP1_COMPLETE) {
        AUTO(error) struct error *err = http1_parser_next(parser, &rest, &event);
        ASSERT(!err && event.kind != HTTP1_BODY);
        if (event.kind == HTTP1_NONE)
            return; /* not all of it has come yet */
        if (event.kind == HTTP1_HEAD) {
            ASSERT(!has_head && strcmp(event.head->target, "/t") == 0);
            has_head = true;
        }
    }
    ASSERT(has_head && rest.len == 0);
}

static void read_runtime(struct scene *scene)
{
    static const struct linger none = {.l_onoff = 1}; /* no socket shall wait for its end */
    char bytes[4096];
    if (scene->runtime < 0) {
        scene->runtime = accept4(scene->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (scene->runtime >= 0)
            (void)setsockopt(scene->runtime, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    }
    for (ssize_t len = 1; scene->runtime >= 0 && len > 0;) {
        len = recv(scene->runtime, bytes, sizeof(bytes), 0);
        if (len > 0 && !scene->has_spoken)
            buf_add(&scene->asked, bytes, (size_t)len);
    }
    if (!scene->has_spoken)
        check_asked(scene);
}

static void read_client(struct scene *scene)
{
    char bytes[4096];
    while (!(scene->choice & CHOICE_CLIENT_IS_DEAF) &&
           recv(scene->client, bytes, sizeof(bytes), 0) > 0)
        ;
}

static void turn(struct scene *scene, int64_t wait_ns)
{
    loop_turn(scene->loop, wait_ns);
    read_runtime(scene);
    read_client(scene);
}

static void say(int fd, struct str *rest, size_t piece)
{
    size_t len = min_size(piece, rest->len);
    if (fd < 0 || len == 0)
        return;
    (void)send(fd, rest->ptr, len, MSG_NOSIGNAL); /* what is not taken is lost */
    *rest = (struct str){.ptr = rest->ptr + len, .len = rest->len - len};
}

/* The runtime speaks once it was asked; who is never asked never does. */
static void talk(struct scene *scene, struct str client, struct str runtime)
{
    static const size_t pieces[] = {1 << 16, 1, 7, 300};
    size_t client_piece = pieces[scene->choice & CHOICE_CLIENT_PIECE];
    size_t runtime_piece = pieces[(scene->choice & CHOICE_RUNTIME_PIECE) >> 2];
    for (int quiet = 0; client.len > 0 || (runtime.len > 0 && quiet < 4); quiet++) {
        say(scene->client, &client, client_piece);
        turn(scene, 0);
        if (scene->asked.len == 0)
            continue;
        scene->has_spoken = true;
        say(scene->runtime, &runtime, runtime_piece);
        quiet = 0;
        turn(scene, 0);
        if ((scene->choice & CHOICE_CUT_OFF) && runtime.len < 64)
            streaming_free(TAKE(scene->streaming));
    }
    if ((scene->choice & CHOICE_RUNTIME_ENDS) && scene->runtime >= 0)
        (void)shutdown(scene->runtime, SHUT_WR);
    turn(scene, 0);
}

static void part(struct scene *scene)
{
    (void)close(scene->client);
    (void)close(scene->listener);
    if (scene->runtime >= 0)
        (void)close(scene->runtime);
    for (int i = 0; i < TURNS_MAX; i++) {
        if (!scene->streaming || (streaming_session_count(scene->streaming) == 0 &&
                                  http_server_connection_count(scene->server) == 0))
            break;
        loop_turn(scene->loop, i < 20 ? 0 : NS_PER_MS);
    }
    ASSERT(!scene->streaming || streaming_session_count(scene->streaming) == 0);
    streaming_free(scene->streaming);
    http_server_free(scene->server);
    loop_turn(scene->loop, 0);
    work_pool_free(scene->pool, NS_PER_SEC);
    loop_free(scene->loop);
    buf_done(&scene->asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_server_options server_options = {0};
    if (size < 3)
        return 0;
    struct scene scene = {.choice = data[0], .runtime = -1};
    size_t client_len = min_size((size_t)data[1] | (size_t)data[2] << 8, size - 3);
    int fds[2];
    error_ignore(loop_new(&scene.loop), "asserted next");
    ASSERT(scene.loop &&
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    buf_init(&scene.asked, HEAD_MAX_BYTES);
    scene.client = fds[1];
    scene.listener = listen_on_loopback(&scene.port);
    scene.pool = work_pool_new(scene.loop, 0);
    const struct streaming_options options = {
        .loop = scene.loop, .pool = scene.pool, .max_sessions = 4};
    scene.streaming = streaming_new(&options);
    scene.server = http_server_new(scene.loop, &server_options, on_request, &scene);
    http_server_serve_fd(scene.server, fds[0], NULL);
    const char *text = (const char *)data + 3;
    talk(&scene, (struct str){.ptr = text, .len = client_len},
         (struct str){.ptr = text + client_len, .len = size - 3 - client_len});
    part(&scene);
    return 0;
}
