#include "wire/tls_internal.h"

#include "base/buf.h"
#include "base/time.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* Some certificates name hundreds of hosts. */
#define NAMES_MAX_BYTES 512

struct text {
    int number;
    const char *text;
};

/* RFC 8446 §6 and older. People know alerts by the words that Go has for them. */
static const struct text alert_texts[] = {
    {10, "unexpected message"},
    {20, "bad record MAC"},
    {21, "decryption failed"},
    {22, "record overflow"},
    {30, "decompression failure"},
    {40, "handshake failure"},
    {42, "bad certificate"},
    {43, "unsupported certificate"},
    {44, "revoked certificate"},
    {45, "expired certificate"},
    {46, "unknown certificate"},
    {47, "illegal parameter"},
    {48, "unknown certificate authority"},
    {49, "access denied"},
    {50, "error decoding message"},
    {51, "error decrypting message"},
    {70, "protocol version not supported"},
    {71, "insufficient security level"},
    {80, "internal error"},
    {86, "inappropriate fallback"},
    {90, "user canceled"},
    {100, "no renegotiation"},
    {109, "missing extension"},
    {110, "unsupported extension"},
    {112, "unrecognized name"},
    {116, "certificate required"},
    {120, "no application protocol"},
};

/* Our own findings for which OpenSSL's words tell nothing. */
static const struct text reason_texts[] = {
    {SSL_R_WRONG_VERSION_NUMBER, "first record does not look like a TLS handshake"},
    {SSL_R_HTTP_REQUEST, "client sent an HTTP request to an HTTPS server"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers only unsupported versions"},
    {SSL_R_CERT_CB_ERROR, "no serving certificate available for the kubelet"},
    {SSL_R_NO_SHARED_CIPHER, "no cipher suite supported by both client and server"},
};

static const char *text_for(const struct text *texts, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (texts[i].number == number)
            return texts[i].text;
    }
    return NULL;
}

static char *describe(unsigned long code)
{
    int reason = ERR_GET_REASON(code);
    const char *known = NULL;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
        known = text_for(alert_texts, ARRAY_SIZE(alert_texts), reason - SSL_AD_REASON_OFFSET);
        return known ? xasprintf("remote error: tls: %s", known)
                     : xasprintf("remote error: tls: alert(%d)", reason - SSL_AD_REASON_OFFSET);
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL)
        known = text_for(reason_texts, ARRAY_SIZE(reason_texts), reason);
    if (!known)
        known = ERR_reason_error_string(code);
    return known ? xasprintf("tls: %s", known) : xasprintf("tls: error %lx", code);
}

/* True for an alert by which the peer says that our certificate will not do. Under TLS 1.3 a client
 * learns of it only after the handshake. */
static bool is_about_our_certificate(unsigned long code)
{
    int alert = ERR_GET_REASON(code) - SSL_AD_REASON_OFFSET;
    bool is_certificate =
        alert >= 42 && alert <= 46; /* bad, unsupported, revoked, expired, unknown */
    return ERR_GET_LIB(code) == ERR_LIB_SSL &&
           (is_certificate || alert == 48 || alert == 49 || alert == 116);
}

bool tls_error_is_eof(void)
{
    unsigned long code = ERR_peek_error();
    return ERR_GET_LIB(code) == ERR_LIB_SSL &&
           ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

bool tls_error_is_http(void)
{
    unsigned long code = ERR_peek_error();
    return ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST;
}

struct error *tls_error_take(enum error_code code, const char *what, const char *fallback)
{
    /* The oldest entry is the cause, the later ones tell who passed it on. */
    unsigned long first = ERR_get_error();
    ERR_clear_error();
    if (is_about_our_certificate(first))
        code = ERROR_UNAUTHENTICATED;
    AUTO(free) char *cause = first != 0 ? describe(first) : xstrdup(fallback);
    return what ? error_new(code, "%s: %s", what, cause) : error_new(code, "%s", cause);
}

/* --- certificates that do not verify --- */

static bool to_wall_ns(const ASN1_TIME *time, int64_t *ret)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(time, &tm) != 1)
        return false;
    *ret = sat_mul_i64(timegm(&tm), NS_PER_SEC);
    return true;
}

static char *describe_dates(const X509 *cert, bool is_too_late, int64_t now_wall_ns)
{
    const char *what = "x509: certificate has expired or is not yet valid";
    int64_t limit_ns = 0;
    if (!to_wall_ns(is_too_late ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert), &limit_ns))
        return xstrdup(what);
    char now[TIME_TEXT_SIZE], limit[TIME_TEXT_SIZE];
    return xasprintf("%s: current time %s is %s %s", what, time_format_rfc3339(now_wall_ns, now),
                     is_too_late ? "after" : "before", time_format_rfc3339(limit_ns, limit));
}

static void add_name(struct buf *names, const char *text)
{
    if (names->len > 0)
        buf_add_text(names, ", ");
    buf_add_text(names, text);
}

static void add_address(struct buf *names, const ASN1_OCTET_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(address);
    if ((len == 4 || len == 16) && inet_ntop(len == 4 ? AF_INET : AF_INET6,
                                             ASN1_STRING_get0_data(address), text, sizeof(text)))
        add_name(names, text);
}

/* The certificate's names of @type (GEN_DNS or GEN_IPADD), as a list. */
static void list_names(const X509 *cert, int type, struct buf *names)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);
        if (name->type != type)
            continue;
        if (type == GEN_IPADD) {
            add_address(names, name->d.iPAddress);
        } else {
            unsigned char *text = NULL;
            if (ASN1_STRING_to_UTF8(&text, name->d.dNSName) >= 0)
                add_name(names, (const char *)text);
            OPENSSL_free(text);
        }
    }
    GENERAL_NAMES_free(all);
}

static char *describe_names(const X509 *cert, const char *wanted, bool is_address)
{
    AUTO(buf) struct buf names = {0};
    buf_init(&names, NAMES_MAX_BYTES);
    list_names(cert, is_address ? GEN_IPADD : GEN_DNS, &names);
    if (names.len > 0)
        return xasprintf("x509: certificate is valid for %s%s, not %s", buf_text(&names),
                         names.overflowed ? "…" : "", wanted);
    if (is_address)
        return xasprintf("x509: cannot validate certificate for %s because it doesn't contain any "
                         "IP SANs",
                         wanted);
    return xasprintf("x509: certificate is not valid for any names, but wanted to match %s",
                     wanted);
}

static char *describe_refusal(X509_STORE_CTX *store, const char *server_name, int64_t now_wall_ns)
{
    const X509 *cert = X509_STORE_CTX_get_current_cert(store);
    int code = X509_STORE_CTX_get_error(store);
    switch (code) { /* OpenSSL's numbers, of which only some are of interest */
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_INVALID_CA:
        return xstrdup("x509: certificate signed by unknown authority");
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return describe_dates(cert, true, now_wall_ns);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return describe_dates(cert, false, now_wall_ns);
    case X509_V_ERR_INVALID_PURPOSE:
        return xstrdup("x509: certificate specifies an incompatible key usage");
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return describe_names(cert, server_name ? server_name : "",
                              code == X509_V_ERR_IP_ADDRESS_MISMATCH);
    default:
        return xasprintf("x509: %s", X509_verify_cert_error_string(code));
    }
}

struct error *tls_error_verify(X509_STORE_CTX *store, const char *server_name, int64_t now_wall_ns)
{
    AUTO(free) char *cause = describe_refusal(store, server_name, now_wall_ns);
    ERR_clear_error();
    return error_new(ERROR_UNAUTHENTICATED, "tls: failed to verify certificate: %s", cause);
}
