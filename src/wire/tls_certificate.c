/*
 * What of a certificate is looked at is what Go's x509 looks at for a kubelet: the chain up to a
 * trusted certificate (root or not), its dates, and the extended key usage of every certificate in
 * it. The plain key usage of a client's certificate is not: many have keyEncipherment alone.
 */
#include "wire/tls_certificate.h"

#include "base/arena.h"
#include "wire/tls_internal.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* A certificate with more is not one of ours: the rest is not looked at. */
#define MAX_ORGANIZATIONS 64

#define UID_OID "1.3.6.1.4.1.57683.2"

/* OpenSSL's level without what Go refuses as well: MD5 and SHA-1 signatures, RSA below 1024 bits.
 */
#define AUTH_LEVEL 1

DEFINE_AUTO(store_ctx, X509_STORE_CTX *, X509_STORE_CTX_free)
DEFINE_AUTO(object, ASN1_OBJECT *, ASN1_OBJECT_free)

struct tls_authorities {
    size_t refs;
    X509_STORE *store;
};

struct tls_certificate {
    X509 *leaf;             /* a reference */
    STACK_OF(X509) * chain; /* owned, with references; what came behind the leaf */
    int64_t not_after_s;
    struct arena *arena; /* of the subject; NULL: not read yet */
    struct tls_subject subject;

    /* The verdict: by whom, and when it holds. */
    struct tls_authorities *judge; /* a reference, so that no other can be at its address; NULL:
                                      there is no verdict */
    struct error *refusal;         /* NULL: good */
    int64_t begins_s, ends_s;      /* when that holds */
};

/* --- authorities --- */

struct error *tls_authorities_new(const char *ca_pem, struct tls_authorities **ret)
{
    ERR_clear_error();
    AUTO(tls_authorities) struct tls_authorities *authorities = xcalloc(1, sizeof(*authorities));
    authorities->refs = 1;
    authorities->store = X509_STORE_new();
    if (!authorities->store)
        base_die("openssl: out of memory");
    struct error *err = tls_add_authorities(authorities->store, NULL, ca_pem);
    if (!err)
        *ret = TAKE(authorities);
    return err;
}

struct tls_authorities *tls_authorities_ref(struct tls_authorities *authorities)
{
    authorities->refs++;
    return authorities;
}

void tls_authorities_unref(struct tls_authorities *authorities)
{
    if (!authorities || --authorities->refs > 0)
        return;
    X509_STORE_free(authorities->store);
    free(authorities);
}

/* --- subjects --- */

/* The text of @entry in @arena; NULL when it is no text, or one with a NUL in it, which would let a
 * name pass for a shorter one. */
static const char *entry_text(const X509_NAME_ENTRY *entry, struct arena *arena)
{
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
    const char *text = NULL;
    if (len >= 0 && memchr(utf8, '\0', (size_t)len) == NULL)
        text = arena_strndup(arena, (const char *)utf8, (size_t)len);
    OPENSSL_free(utf8);
    ERR_clear_error();
    return text;
}

bool tls_subject_read(const X509 *cert, struct arena *arena, struct tls_subject *ret)
{
    const X509_NAME *name = X509_get_subject_name(cert);
    AUTO(object) ASN1_OBJECT *uid = OBJ_txt2obj(UID_OID, 1);
    const char **organizations = arena_calloc(arena, MAX_ORGANIZATIONS, sizeof(*organizations));
    struct tls_subject subject = {.common_name = "", .organizations = organizations};
    if (X509_digest(cert, EVP_sha256(), subject.sha256, NULL) != 1 || !uid)
        base_die("openssl: out of memory");
    for (int i = 0; i < X509_NAME_entry_count(name); i++) {
        const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
        const ASN1_OBJECT *object = X509_NAME_ENTRY_get_object(entry);
        int kind = OBJ_obj2nid(object);
        bool is_uid = OBJ_cmp(object, uid) == 0;
        if (kind != NID_commonName && kind != NID_organizationName && !is_uid)
            continue;
        const char *text = entry_text(entry, arena);
        if (!text || (is_uid && subject.uid))
            return false;
        if (is_uid)
            subject.uid = text;
        else if (kind == NID_commonName)
            subject.common_name = text;
        else if (subject.organization_count < MAX_ORGANIZATIONS)
            organizations[subject.organization_count++] = text;
    }
    *ret = subject;
    return true;
}

int64_t tls_time_s(const ASN1_TIME *time, int64_t otherwise_s)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : otherwise_s;
}

/* --- life --- */

struct tls_certificate *tls_certificate_new(X509 *leaf, const STACK_OF(X509) * chain)
{
    struct tls_certificate *certificate = xcalloc(1, sizeof(*certificate));
    certificate->leaf = leaf;
    certificate->chain = chain ? X509_chain_up_ref((STACK_OF(X509) *)chain) : NULL;
    if (X509_up_ref(leaf) != 1 || (chain && !certificate->chain))
        base_die("openssl: out of memory");
    certificate->not_after_s = tls_time_s(X509_get0_notAfter(leaf), 0);
    return certificate;
}

static void forget_verdict(struct tls_certificate *certificate)
{
    tls_authorities_unref(TAKE(certificate->judge));
    error_free(TAKE(certificate->refusal));
}

void tls_certificate_free(struct tls_certificate *certificate)
{
    if (!certificate)
        return;
    forget_verdict(certificate);
    X509_free(certificate->leaf);
    sk_X509_pop_free(certificate->chain, X509_free);
    arena_free(certificate->arena);
    free(certificate);
}

int64_t tls_certificate_not_after_s(const struct tls_certificate *certificate)
{
    return certificate->not_after_s;
}

/* --- verification --- */

/* Every certificate that limits what those below it are for must have clients among it. */
static bool is_for_clients(STACK_OF(X509) * chain)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *cert = sk_X509_value(chain, i);
        if (!(X509_get_extended_key_usage(cert) & (XKU_SSL_CLIENT | XKU_ANYEKU)))
            return false;
    }
    return true;
}

/* Whoever signs another is an authority, and says so. OpenSSL is content with a key usage without
 * basic constraints; Go is so with version 1 only, which has neither. */
static bool is_of_authorities(STACK_OF(X509) * chain)
{
    for (int i = 1; i < sk_X509_num(chain); i++) {
        X509 *cert = sk_X509_value(chain, i);
        if (X509_get_version(cert) == X509_VERSION_3 && X509_check_ca(cert) != 1)
            return false;
    }
    return true;
}

/* When all of @chain is valid. */
static void note_dates(struct tls_certificate *certificate, STACK_OF(X509) * chain)
{
    certificate->begins_s = INT64_MIN;
    certificate->ends_s = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *cert = sk_X509_value(chain, i);
        int64_t begins_s = tls_time_s(X509_get0_notBefore(cert), INT64_MAX);
        int64_t ends_s = tls_time_s(X509_get0_notAfter(cert), INT64_MIN);
        if (begins_s > certificate->begins_s)
            certificate->begins_s = begins_s;
        if (ends_s < certificate->ends_s)
            certificate->ends_s = ends_s;
    }
}

static struct error *verify_chain(struct tls_certificate *certificate,
                                  const struct tls_authorities *authorities, int64_t now_wall_ns)
{
    ERR_clear_error();
    AUTO(store_ctx) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!ctx ||
        X509_STORE_CTX_init(ctx, authorities->store, certificate->leaf, certificate->chain) != 1)
        base_die("openssl: out of memory");
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    (void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
    X509_VERIFY_PARAM_set_time(param, (time_t)(now_wall_ns / NS_PER_SEC));
    bool is_good = X509_verify_cert(ctx) == 1;
    if (is_good && !is_of_authorities(X509_STORE_CTX_get0_chain(ctx))) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_INVALID_CA);
        is_good = false;
    } else if (is_good && !is_for_clients(X509_STORE_CTX_get0_chain(ctx))) {
        X509_STORE_CTX_set_error(ctx, X509_V_ERR_INVALID_PURPOSE);
        is_good = false;
    }
    if (is_good)
        note_dates(certificate, X509_STORE_CTX_get0_chain(ctx));
    struct error *err = is_good ? NULL : tls_error_verify(ctx, NULL, now_wall_ns);
    ERR_clear_error();
    return err;
}

static struct error *read_subject(struct tls_certificate *certificate)
{
    if (certificate->arena)
        return NULL;
    AUTO(arena) struct arena *arena = arena_new(KiB);
    if (!tls_subject_read(certificate->leaf, arena, &certificate->subject))
        return error_new(ERROR_UNAUTHENTICATED, "x509: the certificate's subject is malformed");
    certificate->arena = TAKE(arena);
    return NULL;
}

static bool is_judged(const struct tls_certificate *certificate,
                      const struct tls_authorities *authorities, int64_t now_s)
{
    return certificate->judge == authorities && now_s >= certificate->begins_s &&
           now_s <= certificate->ends_s;
}

struct error *tls_certificate_verify(struct tls_certificate *certificate,
                                     struct tls_authorities *authorities, int64_t now_wall_ns,
                                     const struct tls_subject **ret)
{
    int64_t now_s = now_wall_ns / NS_PER_SEC;
    if (!is_judged(certificate, authorities, now_s)) {
        forget_verdict(certificate);
        /* A refusal holds for this second: it may be due to a date. */
        certificate->begins_s = certificate->ends_s = now_s;
        certificate->refusal = verify_chain(certificate, authorities, now_wall_ns);
        if (!certificate->refusal)
            certificate->refusal = read_subject(certificate);
        certificate->judge = tls_authorities_ref(authorities);
    }
    if (certificate->refusal)
        return error_dup(certificate->refusal);
    *ret = &certificate->subject;
    return NULL;
}
