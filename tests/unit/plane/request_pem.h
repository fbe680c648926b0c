/*
 * Certificate requests for tests, made on the spot.
 */
#pragma once

#include "tests/lib/test.h"
#include "wire/crypto.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct request_text {
    const char *common_name;       /* NULL: none */
    const char *organizations[3];  /* ends with NULL */
    const char *alternative_names; /* OpenSSL's words: "DNS:node-a,IP:10.0.0.1"; NULL: none */
    bool has_names_twice;          /* the extension comes a second time, with other names */
    bool has_broken_names;
    bool is_signed_by_other;
};

static void add_subject(X509_REQ *request, const char *field, const char *text)
{
    if (text)
        assert_int_equal(X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), field,
                                                    V_ASN1_UTF8STRING, (const unsigned char *)text,
                                                    -1, -1, 0),
                         1);
}

static void push_names(STACK_OF(X509_EXTENSION) * extensions, const char *names, bool is_broken)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    assert_non_null(extension);
    if (is_broken)
        assert_int_equal(ASN1_STRING_set(X509_EXTENSION_get_data(extension), "rubbish", -1), 1);
    assert_true(sk_X509_EXTENSION_push(extensions, extension) > 0);
}

static void add_alternative_names(X509_REQ *request, const struct request_text *text)
{
    if (!text->alternative_names)
        return;
    STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
    push_names(extensions, text->alternative_names, text->has_broken_names);
    if (text->has_names_twice)
        push_names(extensions, "DNS:second", false);
    assert_int_equal(X509_REQ_add_extensions(request, extensions), 1);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

/** The request as PEM; free() it. */
static inline UNUSED char *request_pem(const struct request_text *text)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(pkey) EVP_PKEY *other = NULL;
    assert_no_error(crypto_new_key(&key));
    assert_no_error(crypto_new_key(&other));
    AUTO(request) X509_REQ *request = X509_REQ_new();
    assert_int_equal(X509_REQ_set_version(request, 0), 1);
    for (size_t i = 0; text->organizations[i]; i++)
        add_subject(request, "O", text->organizations[i]);
    add_subject(request, "CN", text->common_name);
    add_alternative_names(request, text);
    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    assert_true(X509_REQ_sign(request, text->is_signed_by_other ? other : key, EVP_sha256()) > 0);
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(bio, request), 1);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    return xstrndup(data, (size_t)len);
}
