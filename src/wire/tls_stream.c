/*
 * A TLS stream stands between its owner and an inner stream:
 *
 *     owner ⇄ SSL_read(), SSL_write() ⇄ BIO ⇄ inner
 *
 *     HANDSHAKING ──► OPEN
 *          └────────► BROKEN     the owner is told, and frees it
 *
 * The BIO goes straight to the inner stream, nothing is kept in between. What is easily got wrong:
 *
 * - Readiness of the inner stream is not ours. OpenSSL may hold bytes that it has already read, for
 *   which no descriptor will ever ring: then a timer stands in, once a turn, for as long as the
 *   owner wants to read. And reading may wait for the inner stream to become writable (an answer to
 *   a key update), or the other way round.
 * - A record that was sealed but did not fit leaves write() with 0 bytes taken. It goes out with
 *   the next write(), which must offer the same bytes again; any owner that does not forget what
 *   was not taken does so.
 * - An end without the peer's goodbye (close_notify) is an error, not an end: somebody may have cut
 *   the rest off.
 */
#include "wire/tls_internal.h"

#include "base/arena.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum tls_state { TLS_HANDSHAKING, TLS_OPEN, TLS_BROKEN };

struct tls_stream {
    struct byte_stream base;
    struct loop *loop;
    struct tls_context *context; /* a reference */
    struct byte_stream *inner;   /* owned */
    SSL *ssl; /* a server's: made when the client has said something; till then NULL */
    char *server_name;
    enum tls_state state;
    struct loop_timer *soon;

    tls_on_handshake *on_handshake;
    void *handshake_ctx;
    byte_stream_on_ready *on_ready;
    void *ready_ctx;
    unsigned wanted; /* by the owner */

    bool read_needs_write, write_needs_read;
    bool is_read_dry;  /* the last read found the inner stream empty */
    bool inner_ended;  /* the inner stream's end, seen by the BIO */
    bool has_ended;    /* the peer's goodbye, to be told with the next read */
    bool has_met_http; /* the peer's first bytes are HTTP without TLS */
    char first[5];     /* of what the peer has said: a record's head, if it is one */
    size_t first_len;
    struct error *broken;     /* why nothing can be read, or the handshake not made, any more */
    struct error *cut;        /* why nothing can be written any more */
    struct error *read_error; /* what the BIO met; OpenSSL's queue cannot hold it */
    struct error *write_error;
    struct error *refusal; /* why the peer's certificate does not verify */

    struct arena *peer_arena;
    struct tls_peer peer;
    char *protocol;
};

static const struct byte_stream_vtable tls_vtable;

static struct tls_stream *as_tls(struct byte_stream *stream)
{
    ASSERT(stream->vtable == &tls_vtable);
    return CONTAINER_OF(stream, struct tls_stream, base);
}

/* --- the BIO --- */

static int bio_read(BIO *bio, char *out, int size)
{
    struct tls_stream *stream = BIO_get_data(bio);
    size_t len = 0;
    bool is_end = false;
    BIO_clear_retry_flags(bio);
    if (size <= 0 || stream->read_error)
        return -1;
    stream->read_error =
        stream->inner->vtable->read(stream->inner, out, (size_t)size, &len, &is_end);
    if (stream->read_error)
        return -1;
    if (len > 0) {
        size_t noted = min_size(len, sizeof(stream->first) - stream->first_len);
        memcpy(stream->first + stream->first_len, out, noted);
        stream->first_len += noted;
        return (int)len;
    }
    stream->inner_ended = is_end;
    if (!is_end)
        BIO_set_retry_read(bio);
    return is_end ? 0 : -1;
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct tls_stream *stream = BIO_get_data(bio);
    size_t written = 0;
    BIO_clear_retry_flags(bio);
    if (len <= 0 || stream->write_error)
        return -1;
    stream->write_error = stream->inner->vtable->write(stream->inner, bytes, (size_t)len, &written);
    if (stream->write_error)
        return -1;
    if (written > 0)
        return (int)written;
    BIO_set_retry_write(bio);
    return -1;
}

static long bio_ctrl(BIO *bio, int command, UNUSED long number, UNUSED void *pointer)
{
    const struct tls_stream *stream = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF)
        return stream->inner_ended ? 1 : 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

struct bio_method_st *tls_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "byte stream");
    if (!method || BIO_meth_set_read(method, bio_read) != 1 ||
        BIO_meth_set_write(method, bio_write) != 1 || BIO_meth_set_ctrl(method, bio_ctrl) != 1)
        base_die("openssl: out of memory");
    return method;
}

/* --- waiting --- */

static bool can_read_without_inner(const struct tls_stream *stream)
{
    return stream->has_ended || stream->broken ||
           (!stream->is_read_dry && SSL_has_pending(stream->ssl) == 1);
}

static unsigned inner_event_for_read(const struct tls_stream *stream)
{
    return stream->read_needs_write ? LOOP_IO_WRITE : LOOP_IO_READ;
}

static unsigned inner_event_for_write(const struct tls_stream *stream)
{
    return stream->write_needs_read ? LOOP_IO_READ : LOOP_IO_WRITE;
}

static void update_wants(struct tls_stream *stream)
{
    unsigned events = 0;
    if (stream->wanted & LOOP_IO_READ)
        events |= inner_event_for_read(stream);
    if (stream->wanted & LOOP_IO_WRITE)
        events |= inner_event_for_write(stream);
    stream->inner->vtable->want(stream->inner, events);

    bool is_ready = (stream->wanted & LOOP_IO_READ) != 0 && can_read_without_inner(stream);
    if (is_ready && !loop_timer_is_armed(stream->soon))
        loop_timer_start(stream->soon, -1);
}

/* --- errors --- */

enum outcome { OUTCOME_READ_LATER, OUTCOME_WRITE_LATER, OUTCOME_END, OUTCOME_BROKEN };

/* What the last call on OpenSSL met, taken out of its queue. */
static struct error *take_cause(struct tls_stream *stream, int why)
{
    bool is_optional = stream->context->client_auth == TLS_CLIENT_AUTH_OPTIONAL;
    bool is_response = !stream->context->is_server && stream->first_len == sizeof(stream->first) &&
                       memcmp(stream->first, "HTTP/", sizeof(stream->first)) == 0;
    stream->has_met_http = tls_error_is_http() || is_response;
    if (stream->state == TLS_HANDSHAKING && stream->refusal && !is_optional)
        return error_dup(stream->refusal);
    if (why == SSL_ERROR_SYSCALL && (stream->read_error || stream->write_error))
        return error_dup(stream->read_error ? stream->read_error : stream->write_error);
    if (stream->inner_ended && (why == SSL_ERROR_SYSCALL || tls_error_is_eof()))
        return error_with_reason(error_new(ERROR_UNAVAILABLE, stream->state == TLS_HANDSHAKING
                                                                  ? "EOF"
                                                                  : "unexpected EOF"),
                                 TLS_CUT_OFF);
    return tls_error_take(ERROR_UNAVAILABLE, NULL, "tls: the connection is broken");
}

/* What OpenSSL means by @result; *ret_err is set for OUTCOME_BROKEN only. */
static enum outcome interpret(struct tls_stream *stream, int result, struct error **ret_err)
{
    enum outcome outcome = OUTCOME_BROKEN;
    int why = SSL_get_error(stream->ssl, result);
    if (why == SSL_ERROR_WANT_READ)
        outcome = OUTCOME_READ_LATER;
    else if (why == SSL_ERROR_WANT_WRITE)
        outcome = OUTCOME_WRITE_LATER;
    else if (why == SSL_ERROR_ZERO_RETURN)
        outcome = OUTCOME_END;
    else
        *ret_err = take_cause(stream, why);
    ERR_clear_error();
    return outcome;
}

/* --- the peer --- */

/* What a certificate says that the handshake has verified. */
static void read_verified(struct tls_stream *stream, const X509 *cert)
{
    struct tls_subject subject;
    stream->peer_arena = arena_new(KiB);
    if (!tls_subject_read(cert, stream->peer_arena, &subject) || !*subject.common_name)
        return;
    stream->peer = (struct tls_peer){.common_name = subject.common_name,
                                     .organizations = subject.organizations,
                                     .organization_count = subject.organization_count,
                                     .not_after_s = tls_time_s(X509_get0_notAfter(cert), 0)};
}

static void read_peer(struct tls_stream *stream)
{
    X509 *cert = SSL_get0_peer_certificate(stream->ssl);
    bool is_unverified = stream->context->client_auth == TLS_CLIENT_AUTH_UNVERIFIED;
    if (cert && is_unverified)
        stream->peer.certificate = tls_certificate_new(cert, SSL_get_peer_cert_chain(stream->ssl));
    else if (cert && stream->context->is_verifying && !stream->refusal &&
             SSL_get_verify_result(stream->ssl) == X509_V_OK)
        read_verified(stream, cert);
    const unsigned char *protocol = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(stream->ssl, &protocol, &len);
    stream->protocol = xstrndup(protocol ? (const char *)protocol : "", len);
}

/* OpenSSL asks for every certificate of a chain, and again after a finding that was passed over. */
static int on_verify(int is_ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_stream *stream = SSL_get_app_data(ssl);
    if (is_ok == 1)
        return 1;
    if (!stream->refusal)
        stream->refusal =
            tls_error_verify(store, stream->server_name, loop_now_wall_ns(stream->loop));
    return stream->context->is_server && stream->context->client_auth == TLS_CLIENT_AUTH_OPTIONAL;
}

/* --- handshake --- */

static void finish_handshake(struct tls_stream *stream, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    stream->state = err ? TLS_BROKEN : TLS_OPEN;
    if (err && !stream->broken)
        stream->broken = error_dup(err);
    if (err && !stream->cut)
        stream->cut = error_dup(err);
    if (!err)
        read_peer(stream);
    update_wants(stream);
    stream->on_handshake(stream->handshake_ctx, err); /* may free the stream */
}

static void make_ssl(struct tls_stream *stream)
{
    stream->ssl = SSL_new(stream->context->ssl_ctx);
    BIO *bio = BIO_new(stream->context->bio_method);
    if (!stream->ssl || !bio)
        base_die("openssl: out of memory");
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(stream->ssl, bio, bio);
    SSL_set_app_data(stream->ssl, stream);
    SSL_set_verify(stream->ssl, stream->context->is_verifying ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                   on_verify);
    if (stream->context->is_server)
        SSL_set_accept_state(stream->ssl);
    else
        SSL_set_connect_state(stream->ssl);
}

static void advance_handshake(struct tls_stream *stream)
{
    if (stream->broken) {
        finish_handshake(stream, error_dup(stream->broken));
        return;
    }
    ERR_clear_error();
    if (!stream->ssl)
        make_ssl(stream);
    int result = SSL_do_handshake(stream->ssl);
    if (result == 1) {
        finish_handshake(stream, NULL);
        return;
    }
    struct error *err = NULL;
    switch (interpret(stream, result, &err)) {
    case OUTCOME_READ_LATER:
        stream->inner->vtable->want(stream->inner, LOOP_IO_READ);
        break;
    case OUTCOME_WRITE_LATER:
        stream->inner->vtable->want(stream->inner, LOOP_IO_WRITE);
        break;
    case OUTCOME_END:
        err = error_new(ERROR_UNAVAILABLE, "EOF");
        finish_handshake(stream, err);
        break;
    case OUTCOME_BROKEN:
        finish_handshake(stream, err);
        break;
    }
}

/* --- readiness --- */

static void tell_ready(struct tls_stream *stream, unsigned events)
{
    if (events != 0 && stream->on_ready)
        stream->on_ready(stream->ready_ctx, events); /* may free the stream */
}

static void on_soon(void *ctx)
{
    struct tls_stream *stream = ctx;
    if (stream->state == TLS_HANDSHAKING)
        advance_handshake(stream);
    else if ((stream->wanted & LOOP_IO_READ) && can_read_without_inner(stream))
        tell_ready(stream, LOOP_IO_READ);
}

static void on_inner_ready(void *ctx, unsigned events)
{
    struct tls_stream *stream = ctx;
    if (stream->state == TLS_HANDSHAKING) {
        advance_handshake(stream);
        return;
    }
    unsigned ready = 0;
    if ((stream->wanted & LOOP_IO_READ) && (events & inner_event_for_read(stream)))
        ready |= LOOP_IO_READ;
    if ((stream->wanted & LOOP_IO_WRITE) && (events & inner_event_for_write(stream)))
        ready |= LOOP_IO_WRITE;
    tell_ready(stream, ready);
}

/* --- the five functions --- */

/* One SSL_read(). False when there is no more to be had now. */
static bool read_some(struct tls_stream *stream, char *out, size_t size, size_t *ret_len)
{
    ERR_clear_error();
    int result = SSL_read(stream->ssl, out, (int)min_size(size, INT_MAX));
    if (result > 0) {
        *ret_len = (size_t)result;
        return true;
    }
    switch (interpret(stream, result, &stream->broken)) {
    case OUTCOME_READ_LATER:
        break;
    case OUTCOME_WRITE_LATER:
        stream->read_needs_write = true;
        break;
    case OUTCOME_END:
        stream->has_ended = true;
        break;
    case OUTCOME_BROKEN:
        stream->state = TLS_BROKEN;
        break;
    }
    stream->is_read_dry = true;
    return false;
}

static struct error *tls_read(struct byte_stream *self, void *bytes, size_t size, size_t *ret_len,
                              bool *ret_is_end)
{
    struct tls_stream *stream = as_tls(self);
    ASSERT(stream->state != TLS_HANDSHAKING);
    size_t len = 0, got = 0;
    stream->read_needs_write = false;
    stream->is_read_dry = false;
    /* Until the buffer is full, so that a short read means the same as on a socket. */
    while (len < size && !stream->has_ended && stream->state == TLS_OPEN &&
           read_some(stream, (char *)bytes + len, size - len, &got))
        len += got;
    update_wants(stream);
    if (len == 0 && size > 0 && stream->state == TLS_BROKEN)
        return error_dup(stream->broken);
    *ret_len = len;
    *ret_is_end = len == 0 && stream->has_ended;
    return NULL;
}

static struct error *tls_write(struct byte_stream *self, const void *bytes, size_t len,
                               size_t *ret_len)
{
    struct tls_stream *stream = as_tls(self);
    ASSERT(stream->state != TLS_HANDSHAKING);
    size_t written = 0;
    stream->write_needs_read = false;
    while (written < len && !stream->cut) {
        ERR_clear_error();
        int result = SSL_write(stream->ssl, (const char *)bytes + written,
                               (int)min_size(len - written, INT_MAX));
        if (result > 0) {
            written += (size_t)result;
            continue;
        }
        enum outcome outcome = interpret(stream, result, &stream->cut);
        stream->write_needs_read = outcome == OUTCOME_READ_LATER;
        if (outcome == OUTCOME_END)
            stream->cut = error_new(ERROR_UNAVAILABLE, "tls: the connection is closed");
        break;
    }
    /* What a peer said before it broke off can still be read: an early refusal, say. */
    if (stream->cut)
        return error_dup(stream->cut);
    *ret_len = written;
    return NULL;
}

static void tls_listen(struct byte_stream *self, byte_stream_on_ready *on_ready, void *ctx)
{
    struct tls_stream *stream = as_tls(self);
    stream->on_ready = on_ready;
    stream->ready_ctx = ctx;
}

static void tls_want(struct byte_stream *self, unsigned events)
{
    struct tls_stream *stream = as_tls(self);
    stream->wanted = events;
    if (stream->state != TLS_HANDSHAKING)
        update_wants(stream);
}

static bool tls_end(struct byte_stream *self)
{
    struct tls_stream *stream = as_tls(self);
    AUTO(error) struct error *err = NULL;
    if (stream->state == TLS_OPEN && !stream->cut) {
        ERR_clear_error();
        int result = SSL_shutdown(stream->ssl);
        if (result < 0 && interpret(stream, result, &err) == OUTCOME_WRITE_LATER)
            return false;
        ERR_clear_error();
    }
    return stream->inner->vtable->end(stream->inner);
}

static void tls_free(struct byte_stream *self)
{
    struct tls_stream *stream = as_tls(self);
    ERR_clear_error();
    if (stream->state == TLS_OPEN && !stream->cut)
        (void)SSL_shutdown(
            stream->ssl); /* our goodbye, if there is room for it; no answer awaited */
    ERR_clear_error();
    SSL_free(stream->ssl);
    byte_stream_free(stream->inner);
    loop_timer_free(stream->soon);
    tls_context_unref(stream->context);
    error_free(stream->broken);
    error_free(stream->cut);
    error_free(stream->read_error);
    error_free(stream->write_error);
    error_free(stream->refusal);
    arena_free(stream->peer_arena);
    tls_certificate_free(stream->peer.certificate);
    free(stream->server_name);
    free(stream->protocol);
    free(stream);
}

static const struct byte_stream_vtable tls_vtable = {.read = tls_read,
                                                     .write = tls_write,
                                                     .listen = tls_listen,
                                                     .want = tls_want,
                                                     .end = tls_end,
                                                     .free = tls_free};

/* --- beginning --- */

static bool is_address(const char *host)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* Whom the certificate must be for. A zone ("fe80::1%eth0") is our affair, not the certificate's;
 * nor is the dot that ends a full domain name. */
static void expect_server(struct tls_stream *stream, const char *server_name)
{
    struct str name = str_from(server_name);
    name.len = str_find(name, '%');
    if (name.len > 1 && name.ptr[name.len - 1] == '.')
        name.len--;
    stream->server_name = str_dup(name);
    X509_VERIFY_PARAM *param = SSL_get0_param(stream->ssl);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool is_ip = is_address(stream->server_name);
    bool is_set = true;
    if (!is_ip)
        is_set = SSL_set_tlsext_host_name(stream->ssl, stream->server_name) == 1;
    if (is_set && stream->context->is_verifying)
        is_set = (is_ip ? X509_VERIFY_PARAM_set1_ip_asc(param, stream->server_name)
                        : X509_VERIFY_PARAM_set1_host(param, stream->server_name, 0)) == 1;
    if (!is_set)
        stream->broken =
            error_new(ERROR_INVALID_ARGUMENT, "tls: \"%s\" is no server name", stream->server_name);
}

struct beginning {
    struct loop *loop;
    struct tls_context *context;
    struct byte_stream *inner;
    tls_on_handshake *on_handshake;
    void *ctx;
};

static struct tls_stream *begin(const struct beginning *beginning)
{
    ERR_clear_error();
    struct tls_stream *stream = xcalloc(1, sizeof(*stream));
    stream->base.vtable = &tls_vtable;
    stream->loop = beginning->loop;
    stream->context = tls_context_ref(beginning->context);
    stream->inner = beginning->inner;
    stream->on_handshake = beginning->on_handshake;
    stream->handshake_ctx = beginning->ctx;
    stream->soon = loop_timer_new(beginning->loop, "tls", on_soon, stream);
    stream->inner->vtable->listen(stream->inner, on_inner_ready, stream);
    return stream;
}

struct byte_stream *tls_stream_new_client(struct loop *loop, struct tls_context *context,
                                          const char *server_name, struct byte_stream *inner_owned,
                                          tls_on_handshake *on_handshake, void *ctx)
{
    ASSERT(!context->is_server);
    const struct beginning beginning = {loop, context, inner_owned, on_handshake, ctx};
    struct tls_stream *stream = begin(&beginning);
    make_ssl(stream);
    expect_server(stream, server_name);
    loop_timer_start(stream->soon, -1);
    return &stream->base;
}

struct byte_stream *tls_stream_new_server(struct loop *loop, struct tls_context *context,
                                          struct byte_stream *inner_owned,
                                          tls_on_handshake *on_handshake, void *ctx)
{
    ASSERT(context->is_server);
    const struct beginning beginning = {loop, context, inner_owned, on_handshake, ctx};
    struct tls_stream *stream = begin(&beginning);
    /* The client speaks first. Until it does it costs little: there may be thousands that never do.
     */
    stream->inner->vtable->want(stream->inner, LOOP_IO_READ);
    return &stream->base;
}

bool tls_stream_has_met_http(const struct byte_stream *stream)
{
    ASSERT(stream->vtable == &tls_vtable);
    return CONTAINER_OF(stream, const struct tls_stream, base)->has_met_http;
}

void tls_stream_refuse_http(struct byte_stream *stream, const char *text)
{
    ASSERT(stream->vtable == &tls_vtable);
    struct tls_stream *self = CONTAINER_OF(stream, struct tls_stream, base);
    size_t written = 0;
    if (!self->has_met_http)
        return;
    AUTO(error)
    struct error *err = self->inner->vtable->write(self->inner, text, strlen(text), &written);
    error_ignore(err, "who does not even speak TLS may go without a word");
}

const char *tls_stream_protocol(const struct byte_stream *stream)
{
    ASSERT(stream->vtable == &tls_vtable);
    const struct tls_stream *self = CONTAINER_OF(stream, const struct tls_stream, base);
    return self->protocol ? self->protocol : "";
}

const struct tls_peer *tls_stream_peer(const struct byte_stream *stream)
{
    ASSERT(stream->vtable == &tls_vtable);
    return &CONTAINER_OF(stream, const struct tls_stream, base)->peer;
}
