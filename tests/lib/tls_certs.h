/*
 * Certificates for a test, made on the spot by OpenSSL: no files, no clock but OpenSSL's.
 *
 *     AUTO(test_cert) struct test_cert ca = test_cert_new(&(struct test_cert_options){
 *         .common_name = "ca", .is_ca = true}, NULL);
 */
#pragma once

#include "tests/lib/test.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define TEST_CERT_DAY_S 86400L

struct test_cert {
    char *cert_pem;
    char *key_pem;
    X509 *cert;
    EVP_PKEY *key;
};

struct test_cert_options {
    const char *common_name;      /* NULL: none */
    const char *organizations[4]; /* up to the first NULL */
    const char *names;            /* "DNS:localhost,IP:127.0.0.1"; NULL: none */
    const char *usage;            /* "serverAuth"; NULL: none said, so any */
    long begins_s, ends_s;        /* from now; both 0: yesterday, tomorrow */
    bool is_ca;
    const char *key_usage;   /* "keyCertSign"; NULL: none said */
    bool has_no_constraints; /* basic constraints are left out */
};

static inline UNUSED void test_cert_free(struct test_cert *cert)
{
    X509_free(cert->cert);
    EVP_PKEY_free(cert->key);
    free(cert->cert_pem);
    free(cert->key_pem);
    *cert = (struct test_cert){0};
}

static inline UNUSED void auto_release_test_cert(struct test_cert *cert)
{
    test_cert_free(cert);
}

static inline UNUSED char *test_cert_bio_text(BIO *bio)
{
    char *bytes = NULL;
    long len = BIO_get_mem_data(bio, &bytes);
    char *text = xstrndup(bytes, (size_t)len);
    BIO_free(bio);
    return text;
}

static inline UNUSED void test_cert_add_name(X509_NAME *name, const char *field, const char *text)
{
    if (text)
        assert_int_equal(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                                    (const unsigned char *)text, -1, -1, 0),
                         1);
}

static inline UNUSED void test_cert_extend(X509 *cert, int kind, const char *value)
{
    if (!value)
        return;
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/** Makes a key and a certificate for it, signed by @issuer, or by itself when that is NULL. The
 * caller releases it. */
static inline UNUSED struct test_cert test_cert_new(const struct test_cert_options *options,
                                                    const struct test_cert *issuer)
{
    struct test_cert made = {.cert = X509_new(), .key = EVP_EC_gen("P-256")};
    assert_non_null(made.cert);
    assert_non_null(made.key);
    bool is_dated = options->begins_s != 0 || options->ends_s != 0;
    X509_set_version(made.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(made.cert),
                    is_dated ? options->begins_s : -TEST_CERT_DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), is_dated ? options->ends_s : TEST_CERT_DAY_S);
    X509_NAME *subject = X509_get_subject_name(made.cert);
    for (size_t i = 0; i < ARRAY_SIZE(options->organizations) && options->organizations[i]; i++)
        test_cert_add_name(subject, "O", options->organizations[i]);
    test_cert_add_name(subject, "CN", options->common_name);
    X509_set_issuer_name(made.cert, issuer ? X509_get_subject_name(issuer->cert) : subject);
    X509_set_pubkey(made.cert, made.key);
    if (!options->has_no_constraints)
        test_cert_extend(made.cert, NID_basic_constraints, options->is_ca ? "CA:TRUE" : "CA:FALSE");
    test_cert_extend(made.cert, NID_key_usage, options->key_usage);
    test_cert_extend(made.cert, NID_ext_key_usage, options->usage);
    test_cert_extend(made.cert, NID_subject_alt_name, options->names);
    assert_true(X509_sign(made.cert, issuer ? issuer->key : made.key, EVP_sha256()) > 0);

    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, made.cert), 1);
    made.cert_pem = test_cert_bio_text(bio);
    bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, made.key, NULL, NULL, 0, NULL, NULL), 1);
    made.key_pem = test_cert_bio_text(bio);
    return made;
}
