/*
 * What the files of wire/tls.h share: the inside of a context, and the words for what goes wrong.
 * OpenSSL's types are named by their tags, so that its headers stay in the .c files. Loop thread.
 */
#pragma once

#include "wire/tls.h"
#include "wire/tls_certificate.h"

struct bio_method_st;
struct bio_st;
struct ssl_ctx_st;
struct asn1_string_st;
struct stack_st_X509;
struct x509_st;
struct x509_store_ctx_st;
struct x509_store_st;

struct tls_context {
    size_t refs;
    struct ssl_ctx_st *ssl_ctx;       /* owned */
    struct bio_method_st *bio_method; /* owned; how streams made from it reach their inner one */
    uint8_t *alpn;                    /* owned; as on the wire: a length, a name, … */
    uint32_t alpn_len;
    enum tls_client_auth client_auth;
    bool is_server;
    bool is_verifying; /* a peer's certificate is looked at */
};

/** How a tls_stream is read, written and asked; defined beside the stream. Owned by the caller,
 * who releases it with BIO_meth_free(). */
struct bio_method_st *tls_bio_method_new(void);

/**
 * Empties OpenSSL's error queue of this thread into one error "<what>: <cause>", or "<cause>" when
 * @what is NULL; @fallback is the cause when the queue had nothing to say.
 */
struct error *tls_error_take(enum error_code code, const char *what, const char *fallback);

/** True when the queue's oldest entry says that the peer went away without a goodbye. */
bool tls_error_is_eof(void);
/** True when it says that the peer speaks HTTP without TLS. */
bool tls_error_is_http(void);

/**
 * Why the certificate that @store looks at is refused, in Go's words: UNAUTHENTICATED `tls: failed
 * to verify certificate: x509: …`. @server_name is whom we meant to talk to; NULL for a client's
 * certificate.
 */
struct error *tls_error_verify(struct x509_store_ctx_st *store, const char *server_name,
                               int64_t now_wall_ns);

/** A reader of @pem, borrowed; the caller releases it with BIO_free_all(). */
struct bio_st *tls_pem_open(const char *pem);
/** The next certificate of @bio, the caller's; *ret NULL at the end. Other things in the text are
 * passed over: a kubelet keeps its key in the same file. INVALID_ARGUMENT `<what>: …`. */
MUST_CHECK struct error *tls_pem_next_certificate(struct bio_st *bio, const char *what,
                                                  struct x509_st **ret);
/** `<what>: no certificate in PEM form found`. */
struct error *tls_pem_none(const char *what);
/** For OpenSSL's readers of keys: a key is never decrypted, an agent has nobody to ask. Tells
 * @asked (a bool) that it was. */
int tls_pem_refuse_passphrase(char *out, int size, int is_writing, void *asked);

/** Adds the certificates of @pem to @store, and their names to those that @ssl_ctx (NULL: nobody)
 * asks clients for. Errors as for `ca_pem` of a context. */
MUST_CHECK struct error *tls_add_authorities(struct x509_store_st *store,
                                             struct ssl_ctx_st *ssl_ctx, const char *pem);

/** What the subject of @cert says, in @arena. False when it is malformed. */
struct arena;
MUST_CHECK bool tls_subject_read(const struct x509_st *cert, struct arena *arena,
                                 struct tls_subject *ret);
/** Seconds since 1970; @otherwise_s for what is no time. */
int64_t tls_time_s(const struct asn1_string_st *time, int64_t otherwise_s);

/** A certificate with the rest of its chain (NULL: there is none); takes references of both. The
 * caller owns it. */
struct tls_certificate *tls_certificate_new(struct x509_st *leaf,
                                            const struct stack_st_X509 *chain);
void tls_certificate_free(struct tls_certificate *certificate); /* NULL is fine */
