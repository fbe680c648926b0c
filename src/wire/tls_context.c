#include "wire/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

/* Go's for TLS 1.2, in its order: forward secrecy only. */
static const char default_ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                      "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                      "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                                      "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"
                                      "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA";

/* Go's for TLS 1.3, in its order. */
static const char ciphers_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

DEFINE_AUTO(BIO, BIO *, BIO_free_all)
DEFINE_AUTO(EVP_PKEY, EVP_PKEY *, EVP_PKEY_free)
DEFINE_AUTO(X509, X509 *, X509_free)

/* --- parts --- */

static struct error *use_chain(struct tls_context *context, const char *pem)
{
    static const char what[] = "certificate";
    AUTO(BIO) BIO *bio = tls_pem_open(pem);
    for (size_t count = 0;; count++) {
        AUTO(X509) X509 *cert = NULL;
        struct error *err = tls_pem_next_certificate(bio, what, &cert);
        if (err || !cert)
            return err ? err : count == 0 ? tls_pem_none(what) : NULL;
        if ((count == 0 ? SSL_CTX_use_certificate(context->ssl_ctx, cert)
                        : (int)SSL_CTX_add1_chain_cert(context->ssl_ctx, cert)) != 1)
            return tls_error_take(ERROR_INVALID_ARGUMENT, what, "not usable");
    }
}

static struct error *use_key(struct tls_context *context, const char *pem)
{
    static const char what[] = "private key";
    AUTO(BIO) BIO *bio = tls_pem_open(pem);
    bool asked = false;
    ERR_clear_error();
    AUTO(EVP_PKEY)
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, tls_pem_refuse_passphrase, &asked);
    if (!key) {
        AUTO(error) struct error *err = tls_error_take(ERROR_INVALID_ARGUMENT, what, "not PEM");
        return asked ? error_new(ERROR_INVALID_ARGUMENT, "%s: it is encrypted", what) : TAKE(err);
    }
    if (X509_check_private_key(SSL_CTX_get0_certificate(context->ssl_ctx), key) != 1) {
        ERR_clear_error();
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the private key does not belong to the certificate");
    }
    if (SSL_CTX_use_PrivateKey(context->ssl_ctx, key) != 1)
        return tls_error_take(ERROR_INVALID_ARGUMENT, what, "not usable");
    return NULL;
}

/* OpenSSL asks for a certificate in each handshake; 0 makes it send internal_error. */
static int refuse_certificate(UNUSED SSL *ssl, UNUSED void *ctx)
{
    return 0;
}

static struct error *use_own_certificate(struct tls_context *context,
                                         const struct tls_options *options)
{
    if (context->is_server && options->is_certificate_pending) {
        SSL_CTX_set_cert_cb(context->ssl_ctx, refuse_certificate, NULL);
        return NULL;
    }
    if (!options->cert_pem && !options->key_pem && !context->is_server)
        return NULL;
    if (!options->cert_pem)
        return error_new(ERROR_INVALID_ARGUMENT, "certificate: there is none");
    if (!options->key_pem)
        return error_new(ERROR_INVALID_ARGUMENT, "private key: there is none");
    struct error *err = use_chain(context, options->cert_pem);
    return err ? err : use_key(context, options->key_pem);
}

/* Takes any certificate: whoever wants to know looks at it later. */
static int accept_unverified(UNUSED X509_STORE_CTX *store, UNUSED void *ctx)
{
    return 1;
}

static struct error *use_trust(struct tls_context *context, const struct tls_options *options)
{
    if (context->is_server && options->client_auth == TLS_CLIENT_AUTH_UNVERIFIED)
        SSL_CTX_set_cert_verify_callback(context->ssl_ctx, accept_unverified, NULL);
    /* Whoever is on the list is trusted, also when it is not a root: so Go does it. */
    (void)X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context->ssl_ctx),
                                      X509_V_FLAG_PARTIAL_CHAIN);
    if (options->ca_pem)
        return tls_add_authorities(SSL_CTX_get_cert_store(context->ssl_ctx),
                                   context->is_server ? context->ssl_ctx : NULL, options->ca_pem);
    if (!context->is_server && context->is_verifying &&
        SSL_CTX_set_default_verify_paths(context->ssl_ctx) != 1)
        return tls_error_take(ERROR_INVALID_ARGUMENT, "CA certificate",
                              "the system's store cannot be read");
    return NULL;
}

/* "h2,http/1.1" becomes "\2h2\10http/1.1". */
static struct error *parse_protocols(const char *list, struct tls_context *context)
{
    struct str rest = str_from(list), name;
    uint8_t *out = context->alpn = xcalloc(1, rest.len + 1);
    while (str_split_next(&rest, ',', &name)) {
        if (name.len == 0 || name.len > UINT8_MAX)
            return error_new(ERROR_INVALID_ARGUMENT, "ALPN: \"%s\" is no list of protocols", list);
        *out++ = (uint8_t)name.len;
        memcpy(out, name.ptr, name.len);
        out += name.len;
    }
    context->alpn_len = (uint32_t)(out - context->alpn);
    return NULL;
}

/* The server's order decides. NOLINTNEXTLINE(readability-function-size): OpenSSL's signature */
static int on_select_protocol(UNUSED SSL *ssl, const unsigned char **out, unsigned char *out_len,
                              const unsigned char *offered, unsigned offered_len, void *ctx)
{
    const struct tls_context *context = ctx;
    unsigned char *chosen = NULL;
    int outcome = SSL_select_next_proto(&chosen, out_len, context->alpn, context->alpn_len, offered,
                                        offered_len);
    *out = chosen;
    return outcome == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static struct error *use_protocols(struct tls_context *context, const char *alpn)
{
    if (!alpn)
        return NULL;
    struct error *err = parse_protocols(alpn, context);
    if (err)
        return err;
    if (context->is_server)
        SSL_CTX_set_alpn_select_cb(context->ssl_ctx, on_select_protocol, context);
    else if (SSL_CTX_set_alpn_protos(context->ssl_ctx, context->alpn, context->alpn_len) != 0)
        return tls_error_take(ERROR_INVALID_ARGUMENT, "ALPN", "not usable");
    return NULL;
}

static struct error *use_versions(struct tls_context *context, const struct tls_options *options)
{
    int min_version = options->min_version != 0 ? options->min_version : TLS1_2_VERSION;
    /* Before TLS 1.2 handshakes are signed with SHA-1, which no higher level of OpenSSL allows. */
    if (min_version < TLS1_2_VERSION)
        SSL_CTX_set_security_level(context->ssl_ctx, 0);
    if (SSL_CTX_set_min_proto_version(context->ssl_ctx, min_version) != 1)
        return tls_error_take(ERROR_INVALID_ARGUMENT, "minimum version", "unknown");
    const char *ciphers = options->ciphers ? options->ciphers : default_ciphers;
    if (SSL_CTX_set_cipher_list(context->ssl_ctx, ciphers) != 1)
        return tls_error_take(ERROR_INVALID_ARGUMENT, "ciphers", "none is known");
    if (SSL_CTX_set_ciphersuites(context->ssl_ctx, ciphers_1_3) != 1)
        return tls_error_take(ERROR_INTERNAL, "ciphers of TLS 1.3", "none is known");
    if (options->groups && SSL_CTX_set1_groups_list(context->ssl_ctx, options->groups) != 1)
        return tls_error_take(ERROR_INVALID_ARGUMENT, "curves", "one is not known");
    return NULL;
}

/* --- life --- */

/* Sessions are not kept: neither side of ours would look for one, and each costs kilobytes. */
static void set_defaults(SSL_CTX *ssl_ctx)
{
    (void)SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                           SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_num_tickets(ssl_ctx, 0);
    (void)SSL_CTX_set_session_cache_mode(ssl_ctx, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ssl_ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl_ctx, 1); /* a record's head and body by one read */
}

static struct error *context_new(const struct tls_options *options, bool is_server,
                                 struct tls_context **ret)
{
    ERR_clear_error();
    AUTO(tls_context) struct tls_context *context = xcalloc(1, sizeof(*context));
    context->refs = 1;
    context->is_server = is_server;
    context->client_auth = options->client_auth;
    context->is_verifying =
        is_server ? options->client_auth != TLS_CLIENT_AUTH_NONE : !options->insecure_skip_verify;
    context->bio_method = tls_bio_method_new();
    context->ssl_ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!context->ssl_ctx)
        return tls_error_take(ERROR_INTERNAL, "making a TLS context", "out of memory");
    set_defaults(context->ssl_ctx);

    struct error *err = use_versions(context, options);
    if (!err)
        err = use_protocols(context, options->alpn);
    if (!err)
        err = use_trust(context, options);
    if (!err)
        err = use_own_certificate(context, options);
    if (!err)
        *ret = TAKE(context);
    return err;
}

struct error *tls_context_new_client(const struct tls_options *options, struct tls_context **ret)
{
    return context_new(options, false, ret);
}

struct error *tls_context_new_server(const struct tls_options *options, struct tls_context **ret)
{
    return context_new(options, true, ret);
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    context->refs++;
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || --context->refs > 0)
        return;
    SSL_CTX_free(context->ssl_ctx);
    BIO_meth_free(context->bio_method);
    free(context->alpn);
    free(context);
}
