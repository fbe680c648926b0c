#include "cli/local_client.h"

#include "base/arena.h"
#include "base/fd.h"
#include "wire/json.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_HEAD_BYTES (16 * KiB)
#define MAX_ERROR_BYTES (64 * KiB)
#define PIECE_BYTES (16 * KiB)
#define ANSWER_TIMEOUT_SECONDS 30

void local_client_add_encoded(struct buf *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        if (plain)
            buf_add_char(out, *c);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)*c);
    }
}

bool local_client_parse_head(struct str bytes, struct reply_head *ret, struct error **ret_err)
{
    const char *end = memmem(bytes.ptr, bytes.len, "\r\n\r\n", 4);
    if (!end)
        return false;
    struct str rest = {.ptr = bytes.ptr, .len = (size_t)(end - bytes.ptr)}, line, version, code;
    bool is_http = str_split_next(&rest, '\r', &line) && str_split_next(&line, ' ', &version) &&
                   str_has_prefix(version, "HTTP/1.") && str_split_next(&line, ' ', &code);
    AUTO(free) char *code_text = is_http ? str_dup(code) : NULL;
    if (!code_text || !parse_i64(code_text, 100, 599, &ret->code)) {
        *ret_err = error_new(ERROR_INVALID_ARGUMENT, "the reply is no HTTP");
        return false;
    }
    ret->len = (size_t)(end - bytes.ptr) + 4;
    return true;
}

static struct error *unreachable(struct error *err_owned, const char *path)
{
    AUTO(error) struct error *err = err_owned;
    const char *hint = err->os_errno == EACCES
                           ? "only root may use it"
                           : "is cubelet running? --local-socket names another socket";
    /* The errno's text alone: what it was doing is said by the sentence. */
    return error_new(ERROR_UNAVAILABLE, "cannot reach the node agent at %s: %s (%s)", path,
                     err->message, hint);
}

static struct error *connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path))
        return error_new(ERROR_INVALID_ARGUMENT, "the socket's path is too long: %s", path);
    memcpy(address.sun_path, path, len);
    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_from_errno(errno, "making a socket");
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int os_errno = errno;
        struct error *err =
            error_new(error_code_from_errno(os_errno), "%s", strerrordesc_np(os_errno));
        err->os_errno = os_errno;
        return unreachable(err, path);
    }
    *ret_fd = fd;
    fd = -1; /* the caller owns it now */
    return NULL;
}

static struct error *send_request(int fd, const char *request)
{
    struct str rest = str_from(request);
    while (rest.len > 0) {
        ssize_t sent = send(fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (sent < 0)
            return error_from_errno(errno, "asking the node agent");
        rest.ptr += sent;
        rest.len -= (size_t)sent;
    }
    return NULL;
}

/* The next bytes of the reply; an empty piece at its end. */
static struct error *receive(int fd, char *piece, struct str *ret)
{
    ssize_t got;
    do {
        got = recv(fd, piece, PIECE_BYTES, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return error_new(ERROR_DEADLINE_EXCEEDED, "the node agent did not answer within %d seconds",
                         ANSWER_TIMEOUT_SECONDS);
    if (got < 0)
        return error_from_errno(errno, "reading the node agent's reply");
    *ret = (struct str){.ptr = piece, .len = (size_t)got};
    return NULL;
}

static const struct {
    int64_t http;
    enum error_code code;
} refusals[] = {{400, ERROR_INVALID_ARGUMENT}, {403, ERROR_PERMISSION_DENIED},
                {404, ERROR_NOT_FOUND},        {405, ERROR_UNIMPLEMENTED},
                {422, ERROR_INVALID_ARGUMENT}, {429, ERROR_RESOURCE_EXHAUSTED},
                {503, ERROR_UNAVAILABLE}};

/* @body is a v1 Status, a line of text, or whatever somebody else sends. */
static struct error *refused(int64_t http, struct str body)
{
    enum error_code code = ERROR_INTERNAL;
    for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
        if (refusals[i].http == http)
            code = refusals[i].code;
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = MAX_ERROR_BYTES};
    const struct doc_node *document = NULL;
    struct error *err = json_parse(body, &options, arena, &document);
    error_ignore(err, "then it is a text, or the code alone must do");
    const struct doc_node *message = doc_get(document, "message");
    if (message && message->kind == DOC_STRING)
        return error_new(code, "%s", message->string.ptr);
    struct str text = str_trim(body);
    if (!document && text.len > 0 && !memchr(text.ptr, '\n', text.len))
        return error_new(code, "%.*s", STR_ARG(text));
    return error_new(code, "the node agent answers with HTTP status %lld", (long long)http);
}

/* Collects until the head is complete. What follows it stays in @start. */
static struct error *read_head(int fd, char *piece, struct buf *start, struct reply_head *ret)
{
    struct error *err = NULL;
    while (!err && !local_client_parse_head(buf_str(start), ret, &err)) {
        struct str bytes = {.ptr = piece, .len = 0};
        if (err)
            break;
        err = receive(fd, piece, &bytes);
        if (!err && bytes.len == 0)
            err = error_new(ERROR_UNAVAILABLE, "the node agent closed the connection");
        if (err)
            break;
        buf_add_str(start, bytes);
        err = buf_error(start, "the head of the reply");
    }
    return err;
}

/* The rest of a reply that is no 200; what came until an error or the cap must do. */
static struct error *read_refusal(int fd, char *piece, int64_t http, struct str begun)
{
    AUTO(buf) struct buf body;
    buf_init(&body, MAX_ERROR_BYTES);
    buf_add_str(&body, begun);
    AUTO(error) struct error *err = NULL;
    struct str bytes = {.ptr = piece, .len = 0};
    do {
        err = receive(fd, piece, &bytes);
        if (!err)
            buf_add_str(&body, bytes);
    } while (!err && bytes.len > 0 && !body.overflowed);
    return refused(http, buf_str(&body));
}

/* How long a receive() may wait; 0: for ever. */
static struct error *set_patience(int fd, int seconds)
{
    const struct timeval limit = {.tv_sec = seconds};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        return error_from_errno(errno, "preparing the socket");
    return NULL;
}

/* What is done with the body. */
struct reader {
    bool (*on_body)(void *ctx, struct str piece);
    void *ctx;
    bool is_endless; /* once begun it may be silent for as long as it likes */
};

/* Sends @request and reads until the head of its answer is there; what follows it stays in @start.
 * An answer other than @wanted is a refusal. */
static struct error *exchange_heads(int fd, const char *request, int64_t wanted, char *piece,
                                    struct buf *start)
{
    struct reply_head head = {0};
    struct error *err = set_patience(fd, ANSWER_TIMEOUT_SECONDS);
    if (!err)
        err = send_request(fd, request);
    if (!err)
        err = read_head(fd, piece, start, &head);
    if (err)
        return err;
    buf_consume(start, head.len);
    return head.code == wanted ? NULL : read_refusal(fd, piece, head.code, buf_str(start));
}

static struct error *ask(int fd, const char *target, char *piece, const struct reader *reader)
{
    AUTO(buf) struct buf start;
    buf_init(&start, MAX_HEAD_BYTES + PIECE_BYTES);
    AUTO(free)
    char *request =
        xasprintf("GET %s HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n", target);
    struct error *err = exchange_heads(fd, request, 200, piece, &start);
    struct str rest = buf_str(&start);
    if (!err && reader->is_endless)
        err = set_patience(fd, 0);
    if (err || (rest.len > 0 && !reader->on_body(reader->ctx, rest)))
        return err;
    for (;;) {
        err = receive(fd, piece, &rest);
        if (err || rest.len == 0 || !reader->on_body(reader->ctx, rest))
            return err;
    }
}

static struct error *connect_and_ask(const char *socket_path, const char *target,
                                     const struct reader *reader)
{
    AUTO(fd) int fd = -1;
    struct error *err = connect_to(socket_path, &fd);
    if (err)
        return err;
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    return ask(fd, target, piece, reader);
}

struct error *local_client_stream(const char *socket_path, const char *target,
                                  bool (*on_body)(void *ctx, struct str piece), void *ctx)
{
    const struct reader reader = {.on_body = on_body, .ctx = ctx, .is_endless = true};
    return connect_and_ask(socket_path, target, &reader);
}

static bool collect(void *ctx, struct str piece)
{
    struct buf *out = ctx;
    buf_add_str(out, piece);
    return !out->overflowed;
}

struct error *local_client_get(const char *socket_path, const char *target, struct buf *out)
{
    const struct reader reader = {.on_body = collect, .ctx = out};
    struct error *err = connect_and_ask(socket_path, target, &reader);
    return err ? err : buf_error(out, "the node agent's reply");
}

struct error *local_client_upgrade(const char *socket_path, const char *target,
                                   const char *protocol, int *ret_fd, struct buf *early)
{
    /* The key is for caches on the way, of which there are none; `close` is for a refusal. */
    AUTO(free)
    char *request = xasprintf("GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, close\r\n"
                              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: Y3ViZWxldC1vbi1sb2NhbA==\r\n"
                              "Sec-WebSocket-Protocol: %s\r\n\r\n",
                              target, protocol);
    AUTO(fd) int fd = -1;
    struct error *err = connect_to(socket_path, &fd);
    if (err)
        return err;
    AUTO(free) char *piece = xcalloc(1, PIECE_BYTES);
    AUTO(buf) struct buf start;
    buf_init(&start, MAX_HEAD_BYTES + PIECE_BYTES);
    err = exchange_heads(fd, request, 101, piece, &start);
    if (err)
        return err;
    buf_add_str(early, buf_str(&start));
    *ret_fd = fd;
    fd = -1; /* the caller owns it now */
    return NULL;
}
