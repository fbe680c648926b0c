#include "wire/dial_internal.h"

#include "base/buf.h"
#include "wire/http1.h"

#include <openssl/evp.h>

#define PROXY_DEFAULT_PORT 80
#define URL_MAX_BYTES (4 * KiB)
/* The answer's body is of no interest. */
#define ANSWER_HEAD_MAX_BYTES (16 * KiB)

char *dial_join_host_port(const char *host, uint16_t port)
{
    return xasprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

/* --- the URL --- */

static bool unescape(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex_digit_value(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit_value(text.ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        buf_add_char(out, c);
    }
    return true;
}

/* "user:password", escaped, into a value for `proxy-authorization`. */
static bool parse_credentials(struct str text, struct dial_proxy *proxy)
{
    AUTO(buf) struct buf plain = {0};
    buf_init(&plain, URL_MAX_BYTES);
    struct str user = {.ptr = text.ptr, .len = str_find(text, ':')};
    struct str password = {0};
    if (user.len < text.len)
        password = (struct str){.ptr = text.ptr + user.len + 1, .len = text.len - user.len - 1};
    bool is_sound = unescape(user, &plain);
    buf_add_char(&plain, ':');
    is_sound = is_sound && unescape(password, &plain) && !plain.overflowed;
    if (!is_sound)
        return false;
    AUTO(free) char *encoded = xcalloc(1, plain.len * 4 / 3 + 8);
    (void)EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain.data,
                          (int)plain.len);
    proxy->authorization = xasprintf("Basic %s", encoded);
    return true;
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] <= ' ' || host.ptr[i] >= 0x7f || strchr("/?#@[]\\", host.ptr[i]))
            return false;
    }
    return host.len > 0;
}

/* "host", "host:port", "[address]:port". */
static bool parse_authority(struct str text, struct dial_proxy *proxy)
{
    struct str host = text, port = {0};
    if (text.len > 0 && text.ptr[0] == '[') {
        size_t end = str_find(text, ']');
        if (end == text.len)
            return false;
        host = (struct str){.ptr = text.ptr + 1, .len = end - 1};
        port = (struct str){.ptr = text.ptr + end + 1, .len = text.len - end - 1};
    } else {
        host.len = str_find(text, ':');
        port = (struct str){.ptr = text.ptr + host.len, .len = text.len - host.len};
    }
    if (!is_host(host) || (port.len > 0 && port.ptr[0] != ':'))
        return false;
    int64_t number = PROXY_DEFAULT_PORT;
    AUTO(free) char *digits = port.len > 1 ? xstrndup(port.ptr + 1, port.len - 1) : NULL;
    if (digits && !parse_i64(digits, 1, UINT16_MAX, &number))
        return false;
    proxy->host = str_dup(host);
    proxy->port = (uint16_t)number;
    return true;
}

static bool parse_url(const char *url, struct dial_proxy *proxy)
{
    static const char scheme[] = "http://";
    if (strlen(url) > URL_MAX_BYTES || !text_has_prefix(url, scheme))
        return false;
    struct str text = str_from(url + sizeof(scheme) - 1);
    if (str_has_suffix(text, "/"))
        text.len--;
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] != '@')
        at--;
    if (at > 0 && !parse_credentials((struct str){.ptr = text.ptr, .len = at - 1}, proxy))
        return false;
    return parse_authority((struct str){.ptr = text.ptr + at, .len = text.len - at}, proxy);
}

struct error *dial_proxy_parse(const char *url, struct dial_proxy **ret)
{
    AUTO(dial_proxy) struct dial_proxy *proxy = xcalloc(1, sizeof(*proxy));
    if (!parse_url(url, proxy))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "proxy URL: not of the form http://[user:password@]host[:port]");
    *ret = TAKE(proxy);
    return NULL;
}

void dial_proxy_free(struct dial_proxy *proxy)
{
    if (!proxy)
        return;
    free(proxy->host);
    free(proxy->authorization);
    free(proxy);
}

/* --- the question --- */

struct dial_tunnel {
    struct byte_stream *stream;
    struct http1_parser *parser;
    struct buf request; /* what is left of it */
    dial_tunnel_on_done *on_done;
    void *ctx;
};

void dial_tunnel_cancel(struct dial_tunnel *tunnel)
{
    if (!tunnel)
        return;
    byte_stream_free(tunnel->stream);
    http1_parser_free(tunnel->parser);
    buf_done(&tunnel->request);
    free(tunnel);
}

static void finish(struct dial_tunnel *tunnel, struct error *err_owned)
{
    struct byte_stream *stream = err_owned ? NULL : TAKE(tunnel->stream);
    dial_tunnel_on_done *on_done = tunnel->on_done;
    void *ctx = tunnel->ctx;
    dial_tunnel_cancel(tunnel);
    on_done(ctx, stream, err_owned);
}

/* Takes @input in; *ret_is_over when the answer is there, whatever it says. */
static struct error *parse_answer(struct dial_tunnel *tunnel, struct str input, bool *ret_is_over)
{
    bool is_informational = false;
    while (input.len > 0) {
        struct http1_event event = {0};
        struct error *err = http1_parser_next(tunnel->parser, &input, &event);
        if (err || event.kind == HTTP1_NONE)
            return err;
        if (event.kind == HTTP1_HEAD) {
            unsigned status = event.head->status;
            is_informational = status < 200;
            if (status >= 300)
                return error_new(ERROR_UNAVAILABLE, "%u %s", status, http_status_text(status));
        }
        *ret_is_over = event.kind == HTTP1_COMPLETE && !is_informational;
        /* The target has not been spoken to yet, so it cannot be the one who talks. */
        if (*ret_is_over && input.len > 0)
            return error_new(ERROR_UNAVAILABLE, "the proxy speaks before it is asked");
    }
    return NULL;
}

static struct error *read_answer(struct dial_tunnel *tunnel, bool *ret_is_over)
{
    char bytes[KiB];
    size_t len = 0;
    bool is_end = false;
    struct error *err =
        tunnel->stream->vtable->read(tunnel->stream, bytes, sizeof(bytes), &len, &is_end);
    if (err)
        return err;
    if (is_end)
        return error_new(ERROR_UNAVAILABLE, "unexpected EOF");
    return parse_answer(tunnel, (struct str){.ptr = bytes, .len = len}, ret_is_over);
}

static struct error *write_request(struct dial_tunnel *tunnel)
{
    size_t written = 0;
    struct error *err = tunnel->stream->vtable->write(tunnel->stream, tunnel->request.data,
                                                      tunnel->request.len, &written);
    if (!err)
        buf_consume(&tunnel->request, written);
    return err;
}

static void on_ready(void *ctx, unsigned events)
{
    struct dial_tunnel *tunnel = ctx;
    struct error *err = NULL;
    bool is_over = false;
    if ((events & LOOP_IO_WRITE) && tunnel->request.len > 0)
        err = write_request(tunnel);
    if (!err && (events & LOOP_IO_READ))
        err = read_answer(tunnel, &is_over);
    if (err || is_over) {
        if (err)
            err->code = ERROR_UNAVAILABLE;
        finish(tunnel, err);
        return;
    }
    tunnel->stream->vtable->want(tunnel->stream,
                                 LOOP_IO_READ | (tunnel->request.len > 0 ? LOOP_IO_WRITE : 0U));
}

struct dial_tunnel *dial_tunnel_start(struct byte_stream *stream_owned,
                                      const struct dial_proxy *proxy, const char *target,
                                      dial_tunnel_on_done *on_done, void *ctx)
{
    struct dial_tunnel *tunnel = xcalloc(1, sizeof(*tunnel));
    tunnel->stream = stream_owned;
    tunnel->parser = http1_parser_new(HTTP1_RESPONSES, ANSWER_HEAD_MAX_BYTES);
    http1_parser_expect(tunnel->parser, HTTP1_ANSWERS_CONNECT);
    tunnel->on_done = on_done;
    tunnel->ctx = ctx;
    buf_init(&tunnel->request, 2 * URL_MAX_BYTES + KiB);
    buf_printf(&tunnel->request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
    if (proxy->authorization)
        buf_printf(&tunnel->request, "Proxy-Authorization: %s\r\n", proxy->authorization);
    buf_add_text(&tunnel->request, "\r\n");
    stream_owned->vtable->listen(stream_owned, on_ready, tunnel);
    stream_owned->vtable->want(stream_owned, LOOP_IO_READ | LOOP_IO_WRITE);
    return tunnel;
}
