/*
 * Keys, certificates and requests of OpenSSL: its errors as struct error, its objects released by
 * AUTO(), and PEM texts. OpenSSL's types appear by their struct names, so that its headers stay in
 * .c files. No I/O. Any thread.
 */
#pragma once

#include "base/buf.h"

struct evp_pkey_st;   /* EVP_PKEY */
struct x509_st;       /* X509 */
struct X509_req_st;   /* X509_REQ */
struct evp_md_ctx_st; /* EVP_MD_CTX */
struct ECDSA_SIG_st;  /* ECDSA_SIG */
struct bignum_st;     /* BIGNUM */
struct bio_st;        /* BIO */

void crypto_free_pkey(struct evp_pkey_st *pkey);
void crypto_free_certificate(struct x509_st *certificate);
void crypto_free_request(struct X509_req_st *request);
void crypto_free_md_ctx(struct evp_md_ctx_st *ctx);
void crypto_free_ecdsa_sig(struct ECDSA_SIG_st *sig);
void crypto_free_bignum(struct bignum_st *number);
void crypto_free_bio(struct bio_st *bio);

DEFINE_AUTO(pkey, struct evp_pkey_st *, crypto_free_pkey)
DEFINE_AUTO(certificate, struct x509_st *, crypto_free_certificate)
DEFINE_AUTO(request, struct X509_req_st *, crypto_free_request)
DEFINE_AUTO(md_ctx, struct evp_md_ctx_st *, crypto_free_md_ctx)
DEFINE_AUTO(ecdsa_sig, struct ECDSA_SIG_st *, crypto_free_ecdsa_sig)
DEFINE_AUTO(bignum, struct bignum_st *, crypto_free_bignum)
DEFINE_AUTO(bio, struct bio_st *, crypto_free_bio)

/** Before any other use, on the first thread: OpenSSL is not taken down when the process ends,
 * since a worker that nobody waited for any longer may still be making a key. */
void crypto_init(void);

/** Forgets what earlier calls left in this thread's queue of OpenSSL errors. */
void crypto_begin(void);
/** INTERNAL "<format>: <OpenSSL's newest reason>"; the queue is empty afterwards. */
struct error *crypto_error(const char *format, ...) PRINTF_LIKE(1, 2);

/** Makes a P-256 key pair; the caller owns *ret. */
MUST_CHECK struct error *crypto_new_key(struct evp_pkey_st **ret);
/** The same of RSA with 2048 bits, which takes up to some tenths of a second: on a worker. */
MUST_CHECK struct error *crypto_new_rsa_key_blocking(struct evp_pkey_st **ret);

/** Reads the first PEM private key / certificate / certificate request of @pem; the caller owns
 * *ret. INVALID_ARGUMENT `not a PEM private key` and so on. A key under a passphrase is refused. */
MUST_CHECK struct error *crypto_read_key(struct str pem, struct evp_pkey_st **ret);
MUST_CHECK struct error *crypto_read_certificate(struct str pem, struct x509_st **ret);
MUST_CHECK struct error *crypto_read_request(struct str pem, struct X509_req_st **ret);

/** Appends PEM text. */
MUST_CHECK struct error *crypto_write_key(struct evp_pkey_st *pkey, struct buf *out);
/** As a kubelet writes keys: `EC PRIVATE KEY` or `RSA PRIVATE KEY` instead of `PRIVATE KEY`. */
MUST_CHECK struct error *crypto_write_named_key(struct evp_pkey_st *pkey, struct buf *out);
MUST_CHECK struct error *crypto_write_public_key(struct evp_pkey_st *pkey, struct buf *out);
MUST_CHECK struct error *crypto_write_certificate(struct x509_st *certificate, struct buf *out);
/** Appends every certificate of @pem, in its order, and nothing else of it. INVALID_ARGUMENT for
 * one that does not read, or none at all. */
MUST_CHECK struct error *crypto_copy_certificates(struct str pem, struct buf *out);
MUST_CHECK struct error *crypto_write_request(struct X509_req_st *request, struct buf *out);

/** Fills @bytes from the system's random source. */
MUST_CHECK struct error *crypto_random(void *bytes, size_t len);
