#include "wire/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

DEFINE_AUTO(BIO, BIO *, BIO_free_all)
DEFINE_AUTO(X509, X509 *, X509_free)

BIO *tls_pem_open(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (!bio)
        base_die("openssl: out of memory");
    return bio;
}

int tls_pem_refuse_passphrase(UNUSED char *out, UNUSED int size, UNUSED int is_writing, void *asked)
{
    *(bool *)asked = true;
    return -1;
}

struct error *tls_pem_next_certificate(BIO *bio, const char *what, X509 **ret)
{
    bool asked = false;
    ERR_clear_error();
    *ret = PEM_read_bio_X509(bio, NULL, tls_pem_refuse_passphrase, &asked);
    if (*ret)
        return NULL;
    unsigned long code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
        ERR_clear_error();
        return NULL;
    }
    return tls_error_take(ERROR_INVALID_ARGUMENT, what, "not PEM");
}

struct error *tls_pem_none(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s: no certificate in PEM form found", what);
}

struct error *tls_add_authorities(X509_STORE *store, SSL_CTX *ssl_ctx, const char *pem)
{
    static const char what[] = "CA certificate";
    AUTO(BIO) BIO *bio = tls_pem_open(pem);
    size_t count = 0;
    for (;; count++) {
        AUTO(X509) X509 *cert = NULL;
        struct error *err = tls_pem_next_certificate(bio, what, &cert);
        if (err || !cert)
            return err ? err : count == 0 ? tls_pem_none(what) : NULL;
        if (X509_STORE_add_cert(store, cert) != 1)
            return tls_error_take(ERROR_INVALID_ARGUMENT, what, "not usable");
        /* Their names tell a client which of its certificates is asked for. */
        if (ssl_ctx && SSL_CTX_add_client_CA(ssl_ctx, cert) != 1)
            return tls_error_take(ERROR_INVALID_ARGUMENT, what, "not usable");
    }
}
