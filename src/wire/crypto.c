#include "wire/crypto.h"

#include <limits.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>

#define PEM_MAX_BYTES ((size_t)256 * KiB)
#define REASON_SIZE 256
#define RSA_BITS 2048

void crypto_free_pkey(EVP_PKEY *pkey)
{
    EVP_PKEY_free(pkey);
}

void crypto_free_certificate(X509 *certificate)
{
    X509_free(certificate);
}

void crypto_free_request(X509_REQ *request)
{
    X509_REQ_free(request);
}

void crypto_free_md_ctx(EVP_MD_CTX *ctx)
{
    EVP_MD_CTX_free(ctx);
}

void crypto_free_ecdsa_sig(ECDSA_SIG *sig)
{
    ECDSA_SIG_free(sig);
}

void crypto_free_bignum(BIGNUM *number)
{
    BN_free(number);
}

void crypto_free_bio(BIO *bio)
{
    BIO_free_all(bio);
}

void crypto_init(void)
{
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
        base_die("openssl: cannot be initialised");
}

void crypto_begin(void)
{
    ERR_clear_error();
}

struct error *crypto_error(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    AUTO(free) char *what = xvasprintf(format, args);
    va_end(args);
    char reason[REASON_SIZE] = "no reason given";
    unsigned long code = ERR_peek_last_error();
    if (code != 0)
        ERR_error_string_n(code, reason, sizeof(reason));
    ERR_clear_error();
    return error_new(ERROR_INTERNAL, "%s: %s", what, reason);
}

struct error *crypto_new_key(EVP_PKEY **ret)
{
    crypto_begin();
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    if (!pkey)
        return crypto_error("making a key");
    *ret = pkey;
    return NULL;
}

struct error *crypto_new_rsa_key_blocking(EVP_PKEY **ret)
{
    crypto_begin();
    EVP_PKEY *pkey = EVP_RSA_gen(RSA_BITS);
    if (!pkey)
        return crypto_error("making a key");
    *ret = pkey;
    return NULL;
}

/* Without it OpenSSL would ask for a passphrase at the terminal. */
static int no_passphrase(UNUSED char *text, UNUSED int size, UNUSED int is_writing,
                         UNUSED void *ctx)
{
    return -1;
}

/* A reader over @pem, or NULL when it is too long to be one. */
static BIO *open_pem(struct str pem)
{
    crypto_begin();
    return pem.len <= PEM_MAX_BYTES ? BIO_new_mem_buf(pem.len > 0 ? pem.ptr : "", (int)pem.len)
                                    : NULL;
}

/* Says what was expected; OpenSSL's own reasons ("no start line") tell people nothing more. */
static struct error *not_a(const char *what)
{
    ERR_clear_error();
    return error_new(ERROR_INVALID_ARGUMENT, "not a PEM %s", what);
}

struct error *crypto_read_key(struct str pem, EVP_PKEY **ret)
{
    AUTO(bio) BIO *bio = open_pem(pem);
    EVP_PKEY *pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (!pkey)
        return not_a("private key");
    *ret = pkey;
    return NULL;
}

struct error *crypto_read_certificate(struct str pem, X509 **ret)
{
    AUTO(bio) BIO *bio = open_pem(pem);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    if (!certificate)
        return not_a("certificate");
    *ret = certificate;
    return NULL;
}

struct error *crypto_read_request(struct str pem, X509_REQ **ret)
{
    AUTO(bio) BIO *bio = open_pem(pem);
    X509_REQ *request = bio ? PEM_read_bio_X509_REQ(bio, NULL, no_passphrase, NULL) : NULL;
    if (!request)
        return not_a("certificate request");
    *ret = request;
    return NULL;
}

/* Appends what was written into @bio. */
static struct error *take_text(BIO *bio, bool was_written, struct buf *out)
{
    char *text = NULL;
    long len = bio && was_written ? BIO_get_mem_data(bio, &text) : 0;
    if (len <= 0)
        return crypto_error("writing PEM");
    buf_add(out, text, (size_t)len);
    return buf_error(out, "the PEM text");
}

struct error *crypto_write_key(EVP_PKEY *pkey, struct buf *out)
{
    crypto_begin();
    /* Secure memory would be pointless: the text goes into an ordinary buffer and a file. */
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    bool was_written =
        bio && PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, no_passphrase, NULL) == 1;
    return take_text(bio, was_written, out);
}

struct error *crypto_write_named_key(EVP_PKEY *pkey, struct buf *out)
{
    crypto_begin();
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    bool was_written = bio && PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0,
                                                                   no_passphrase, NULL) == 1;
    return take_text(bio, was_written, out);
}

struct error *crypto_write_public_key(EVP_PKEY *pkey, struct buf *out)
{
    crypto_begin();
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    return take_text(bio, bio && PEM_write_bio_PUBKEY(bio, pkey) == 1, out);
}

struct error *crypto_write_certificate(X509 *certificate, struct buf *out)
{
    crypto_begin();
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    return take_text(bio, bio && PEM_write_bio_X509(bio, certificate) == 1, out);
}

struct error *crypto_copy_certificates(struct str pem, struct buf *out)
{
    AUTO(bio) BIO *bio = open_pem(pem);
    for (size_t count = 0; bio; count++) {
        crypto_begin();
        AUTO(certificate) X509 *certificate = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        bool is_end = !certificate && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        if (is_end && count > 0) {
            crypto_begin();
            return NULL;
        }
        struct error *err =
            certificate ? crypto_write_certificate(certificate, out) : not_a("certificate");
        if (err)
            return err;
    }
    return not_a("certificate");
}

struct error *crypto_write_request(X509_REQ *request, struct buf *out)
{
    crypto_begin();
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    return take_text(bio, bio && PEM_write_bio_X509_REQ(bio, request) == 1, out);
}

struct error *crypto_random(void *bytes, size_t len)
{
    crypto_begin();
    if (len > INT_MAX || RAND_bytes(bytes, (int)len) != 1)
        return crypto_error("drawing random bytes");
    return NULL;
}
