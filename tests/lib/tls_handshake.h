/*
 * A TLS client that is plain OpenSSL, and what it saw of a handshake with a server context of ours,
 * over a socket pair.
 *
 *     AUTO(tls_sight) struct tls_sight sight = tls_shake(loop, context, &(struct tls_client){0});
 *     assert_int_equal(sight.alert, 80);
 */
#pragma once

#include "tests/lib/test.h"
#include "wire/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_SHAKE_MAX_TURNS 10000

/** How the client is made; everything may be left out. */
struct tls_client {
    int min_version, max_version;
    const char *ciphers; /* up to TLS 1.2 */
    const char *groups;
    const char *alpn; /* as on the wire: "\2h2\10http/1.1" */
    const char *cert_pem, *key_pem;
};

struct tls_sight {
    bool is_done; /* both sides have agreed */
    int alert;    /* what the server sent; 0: none */
    int version;
    const char *cipher; /* OpenSSL's name; static */
    int group;          /* IANA's number where it is an old one */
    bool has_alpn;
    size_t ca_names;        /* of authorities that the server asks a certificate of */
    char *common_name;      /* of the server's certificate */
    char *user;             /* whom the server took us for; NULL: nobody */
    STACK_OF(X509) * chain; /* what the server showed */
};

static inline UNUSED void auto_release_tls_sight(struct tls_sight *sight)
{
    free(sight->common_name);
    free(sight->user);
    sk_X509_pop_free(sight->chain, X509_free);
}

struct tls_shake_state {
    struct byte_stream *server;
    size_t handshakes;
    char *user;
};

static inline UNUSED void tls_shake_on_handshake(void *ctx, const struct error *err)
{
    struct tls_shake_state *state = ctx;
    const struct tls_peer *peer = err ? NULL : tls_stream_peer(state->server);
    state->handshakes += err ? 0 : 1;
    state->user = peer ? xstrdup(peer->common_name) : NULL;
}

static inline UNUSED void tls_shake_on_info(const SSL *ssl, int where, int value)
{
    if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (value >> 8) == SSL3_AL_FATAL)
        ((struct tls_sight *)SSL_get_app_data(ssl))->alert = value & 0xff;
}

static inline UNUSED SSL_CTX *tls_client_context(const struct tls_client *client)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, client->min_version);
    SSL_CTX_set_max_proto_version(context, client->max_version);
    if (client->ciphers)
        assert_int_equal(SSL_CTX_set_cipher_list(context, client->ciphers), 1);
    if (client->groups)
        assert_int_equal(SSL_CTX_set1_groups_list(context, client->groups), 1);
    if (client->alpn)
        assert_int_equal(SSL_CTX_set_alpn_protos(context, (const unsigned char *)client->alpn,
                                                 (unsigned)strlen(client->alpn)),
                         0);
    if (!client->cert_pem)
        return context;
    BIO *bio = BIO_new_mem_buf(client->cert_pem, -1);
    X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_certificate(context, cert), 1);
    X509_free(cert);
    BIO_free(bio);
    bio = BIO_new_mem_buf(client->key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_int_equal(SSL_CTX_use_PrivateKey(context, key), 1);
    EVP_PKEY_free(key);
    BIO_free(bio);
    return context;
}

static inline UNUSED void tls_sight_fill(struct tls_sight *sight, SSL *ssl)
{
    const unsigned char *alpn = NULL;
    unsigned alpn_len = 0;
    char name[256] = "";
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_len);
    sight->has_alpn = alpn_len > 0;
    sight->version = SSL_version(ssl);
    sight->cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl));
    sight->group = (int)SSL_get_negotiated_group(ssl);
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
    sight->ca_names = names ? (size_t)sk_X509_NAME_num(names) : 0;
    sight->chain = X509_chain_up_ref(SSL_get_peer_cert_chain(ssl));
    X509_NAME_get_text_by_NID(X509_get_subject_name(sk_X509_value(sight->chain, 0)), NID_commonName,
                              name, sizeof(name));
    sight->common_name = xstrdup(name);
}

/** Shakes hands on @loop, which it turns; the connection is over afterwards. */
static inline UNUSED struct tls_sight tls_shake(struct loop *loop, struct tls_context *context,
                                                const struct tls_client *client)
{
    struct tls_sight sight = {0};
    struct tls_shake_state state = {0};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    state.server = tls_stream_new_server(loop, context, byte_stream_from_socket(loop, fds[0]),
                                         tls_shake_on_handshake, &state);
    SSL_CTX *ssl_ctx = tls_client_context(client);
    SSL *ssl = SSL_new(ssl_ctx);
    SSL_set_fd(ssl, fds[1]);
    SSL_set_app_data(ssl, &sight);
    SSL_set_info_callback(ssl, tls_shake_on_info);
    SSL_set_connect_state(ssl);
    int result = -1;
    for (size_t turns = 0; result != 1 || state.handshakes == 0; turns++) {
        assert_true(turns < TLS_SHAKE_MAX_TURNS);
        ERR_clear_error();
        result = SSL_do_handshake(ssl);
        int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl, result);
        if (why != SSL_ERROR_NONE && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            break;
        loop_turn(loop, 0);
    }
    sight.is_done = result == 1;
    sight.user = state.user;
    if (sight.is_done)
        tls_sight_fill(&sight, ssl);
    SSL_free(ssl);
    SSL_CTX_free(ssl_ctx);
    ERR_clear_error();
    close(fds[1]);
    byte_stream_free(state.server);
    return sight;
}
