/*
 * One X.509 certificate: subject, alternative names, life and extensions, signed. The extensions
 * are those kubeadm's certificates have. A request has subject and names only.
 */
#include "wire/x509.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define SERIAL_BYTES 16 /* at most 20 by RFC 5280 */

/* --- parts --- */

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];
    struct error *err = crypto_random(bytes, sizeof(bytes));
    if (err) {
        error_ignore(err, "the caller makes its own of OpenSSL's queue");
        return false;
    }
    bytes[0] &= 0x7f; /* positive … */
    bytes[0] |= 0x40; /* … and never zero */
    AUTO(bignum) BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    return number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
}

static bool add_subject_text(X509_NAME *name, const char *field, const char *text)
{
    /* Not MBSTRING_UTF8: it would enforce X.520's 64 characters, and "system:node:" with a node's
     * name may be longer. */
    return X509_NAME_add_entry_by_txt(name, field, V_ASN1_UTF8STRING, (const unsigned char *)text,
                                      -1, -1, 0) == 1;
}

static bool set_subject(X509_NAME *name, const struct x509_subject *subject)
{
    for (size_t i = 0; i < subject->organizations.count; i++) {
        if (!add_subject_text(name, "O", subject->organizations.items[i]))
            return false;
    }
    return !subject->common_name[0] || add_subject_text(name, "CN", subject->common_name);
}

static bool set_validity(X509 *certificate, int64_t not_before_s, int64_t not_after_s)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)not_before_s) &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)not_after_s);
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool was_added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return was_added;
}

/* A list of names built from values, never from text: a comma in a name is no second name. */
static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value_owned)
{
    GENERAL_NAME *name = value_owned ? GENERAL_NAME_new() : NULL;
    if (!name) {
        ASN1_STRING_free(value_owned);
        return false;
    }
    GENERAL_NAME_set0_value(name, type, value_owned);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool push_dns_name(GENERAL_NAMES *names, const char *text)
{
    ASN1_IA5STRING *value = ASN1_IA5STRING_new();
    if (value && ASN1_STRING_set(value, text, -1) != 1) {
        ASN1_STRING_free(value);
        return false;
    }
    return push_name(names, GEN_DNS, value);
}

static bool has_names(const struct x509_subject *subject)
{
    return subject->dns_names.count > 0 || subject->addresses.count > 0;
}

/* NULL when one does not fit; the caller frees it. */
static GENERAL_NAMES *alternative_names(const struct x509_subject *subject)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool is_good = names != NULL;
    for (size_t i = 0; is_good && i < subject->dns_names.count; i++)
        is_good = push_dns_name(names, subject->dns_names.items[i]);
    for (size_t i = 0; is_good && i < subject->addresses.count; i++)
        is_good = push_name(names, GEN_IPADD, a2i_IPADDRESS(subject->addresses.items[i]));
    if (is_good)
        return names;
    GENERAL_NAMES_free(names);
    return NULL;
}

static bool add_alternative_names(X509 *certificate, const struct x509_subject *subject)
{
    if (!has_names(subject))
        return true;
    GENERAL_NAMES *names = alternative_names(subject);
    bool was_added =
        names && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
    GENERAL_NAMES_free(names);
    return was_added;
}

static const char *key_usage(const struct x509_issue *issue)
{
    if (issue->role == X509_ROLE_CA)
        return "critical,digitalSignature,keyEncipherment,keyCertSign";
    return issue->has_key_encipherment ? "critical,digitalSignature,keyEncipherment"
                                       : "critical,digitalSignature";
}

static bool add_extensions(X509 *certificate, const struct x509_issue *issue, X509 *issuer)
{
    const char *basic = issue->role == X509_ROLE_CA ? "critical,CA:TRUE" : "critical,CA:FALSE";
    if (!add_extension(certificate, issuer, NID_key_usage, key_usage(issue)) ||
        !add_extension(certificate, issuer, NID_basic_constraints, basic))
        return false;
    if (issue->role == X509_ROLE_CA)
        return add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
               add_alternative_names(certificate, &issue->subject);
    const char *purpose = issue->role == X509_ROLE_SERVER ? "serverAuth" : "clientAuth";
    return add_extension(certificate, issuer, NID_ext_key_usage, purpose) &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always") &&
           add_alternative_names(certificate, &issue->subject);
}

/* --- the whole --- */

static struct error *cut_to_issuer(const struct x509_pair *issuer, int64_t *not_after_s)
{
    int64_t issuer_from_s = 0, issuer_until_s = 0;
    struct error *err = x509_validity(issuer->certificate, &issuer_from_s, &issuer_until_s);
    if (!err)
        *not_after_s = min_i64(*not_after_s, issuer_until_s);
    return err;
}

struct error *x509_issue(const struct x509_issue *issue, EVP_PKEY *key,
                         const struct x509_pair *issuer, X509 **ret)
{
    int64_t not_after_s = issue->not_after_s;
    struct error *err = issuer ? cut_to_issuer(issuer, &not_after_s) : NULL;
    if (err)
        return err;
    crypto_begin();
    AUTO(certificate) X509 *certificate = X509_new();
    X509 *by = issuer ? issuer->certificate : certificate;
    if (!certificate || X509_set_version(certificate, X509_VERSION_3) != 1 ||
        !set_serial(certificate) ||
        !set_subject(X509_get_subject_name(certificate), &issue->subject) ||
        X509_set_issuer_name(certificate, X509_get_subject_name(by)) != 1 ||
        !set_validity(certificate, issue->not_before_s, not_after_s) ||
        X509_set_pubkey(certificate, key) != 1 || !add_extensions(certificate, issue, by) ||
        X509_sign(certificate, issuer ? issuer->key : key, EVP_sha256()) == 0)
        return crypto_error("issuing a certificate for %s", issue->subject.common_name);
    *ret = TAKE(certificate);
    return NULL;
}

/* --- a request --- */

static bool request_names(X509_REQ *request, const struct x509_subject *subject)
{
    if (!has_names(subject))
        return true;
    GENERAL_NAMES *names = alternative_names(subject);
    STACK_OF(X509_EXTENSION) *extensions = NULL;
    bool was_added = names &&
                     X509V3_add1_i2d(&extensions, NID_subject_alt_name, names, 0, 0) == 1 &&
                     X509_REQ_add_extensions(request, extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
    GENERAL_NAMES_free(names);
    return was_added;
}

struct error *x509_write_request(const struct x509_subject *subject, EVP_PKEY *key, struct buf *out)
{
    crypto_begin();
    AUTO(request) X509_REQ *request = X509_REQ_new();
    if (!request || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        !set_subject(X509_REQ_get_subject_name(request), subject) ||
        !request_names(request, subject) || X509_REQ_set_pubkey(request, key) != 1 ||
        X509_REQ_sign(request, key, EVP_sha256()) == 0)
        return crypto_error("making a certificate request for %s", subject->common_name);
    return crypto_write_request(request, out);
}

/* --- reading --- */

static bool read_time(const ASN1_TIME *time, int64_t *ret_s)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *ret_s = (int64_t)timegm(&parts);
    return true;
}

struct error *x509_validity(const X509 *certificate, int64_t *ret_not_before_s,
                            int64_t *ret_not_after_s)
{
    int64_t from_s = 0, until_s = 0;
    if (!read_time(X509_get0_notBefore(certificate), &from_s) ||
        !read_time(X509_get0_notAfter(certificate), &until_s))
        return error_new(ERROR_INVALID_ARGUMENT, "the certificate's dates do not read");
    *ret_not_before_s = from_s;
    *ret_not_after_s = until_s;
    return NULL;
}

bool x509_covers(X509 *certificate, const struct x509_subject *subject)
{
    const unsigned exactly = X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    for (size_t i = 0; i < subject->dns_names.count; i++) {
        if (X509_check_host(certificate, subject->dns_names.items[i], 0, exactly, NULL) != 1)
            return false;
    }
    for (size_t i = 0; i < subject->addresses.count; i++) {
        if (X509_check_ip_asc(certificate, subject->addresses.items[i], 0) != 1)
            return false;
    }
    return true;
}

/* @text without its terminator is what the entry holds. */
static bool has_entry(const X509_NAME *name, int nid, const char *text)
{
    for (int i = -1; (i = X509_NAME_get_index_by_NID(name, nid, i)) >= 0;) {
        unsigned char *utf8 = NULL;
        int len =
            ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));
        bool is_same = len >= 0 && str_eq_c((struct str){(const char *)utf8, (size_t)len}, text);
        OPENSSL_free(utf8);
        if (is_same)
            return true;
    }
    return false;
}

bool x509_is_of(const X509 *certificate, const struct x509_subject *subject)
{
    const X509_NAME *name = X509_get_subject_name(certificate);
    bool is_of = !subject->common_name[0] || has_entry(name, NID_commonName, subject->common_name);
    for (size_t i = 0; is_of && i < subject->organizations.count; i++)
        is_of = has_entry(name, NID_organizationName, subject->organizations.items[i]);
    crypto_begin();
    return is_of;
}

bool x509_is_address(const char *text)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}
