/* What is written is read back by OpenSSL itself. The authority's side is tested with nodeplane's
 * pki, of which it is a part. */
#include "wire/x509.h"

#include "tests/lib/test.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define MAX_BYTES (64 * KiB)
#define NOW_S INT64_C(1800000000)

static const char *const organizations[] = {"system:nodes"};
static const char *const dns_names[] = {"node-a", "node-a.example, DNS:evil.example"};
static const char *const addresses[] = {"10.0.0.1", "fd00::1"};
static const struct x509_subject subject = {.organizations = {organizations, 1},
                                            .common_name = "system:node:node-a",
                                            .dns_names = {dns_names, 2},
                                            .addresses = {addresses, 2}};

static char *name_text(const X509_NAME *name)
{
    AUTO(bio) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
    long len = BIO_get_mem_data(bio, &text);
    return xstrndup(text, (size_t)len);
}

TEST_CASE(a_request_says_whom_it_is_for_and_is_signed_with_its_key)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(buf) struct buf pem = {0};
    AUTO(request) X509_REQ *request = NULL;
    buf_init(&pem, MAX_BYTES);
    assert_no_error(crypto_new_key(&key));
    assert_no_error(x509_write_request(&subject, key, &pem));
    assert_true(text_has_prefix(buf_text(&pem), "-----BEGIN CERTIFICATE REQUEST-----\n"));
    assert_no_error(crypto_read_request(buf_str(&pem), &request));
    assert_int_equal(X509_REQ_verify(request, key), 1);
    AUTO(free) char *name = name_text(X509_REQ_get_subject_name(request));
    assert_string_equal(name, "CN=system:node:node-a,O=system:nodes");

    STACK_OF(X509_EXTENSION) *extensions = X509_REQ_get_extensions(request);
    GENERAL_NAMES *names = X509V3_get_d2i(extensions, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 4); /* a comma makes no second name */
    GENERAL_NAMES_free(names);
    sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}

TEST_CASE(a_request_without_names_has_no_extension)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(buf) struct buf pem = {0};
    AUTO(request) X509_REQ *request = NULL;
    buf_init(&pem, MAX_BYTES);
    assert_no_error(crypto_new_key(&key));
    const struct x509_subject bare = {.organizations = {organizations, 1},
                                      .common_name = "system:node:node-a"};
    assert_no_error(x509_write_request(&bare, key, &pem));
    assert_no_error(crypto_read_request(buf_str(&pem), &request));
    assert_int_equal(X509_REQ_get_attr_count(request), 0);
}

TEST_CASE(a_name_that_is_no_address_makes_no_request)
{
    static const char *const wrong[] = {"10.0.0.1", "node-a"};
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, MAX_BYTES);
    assert_no_error(crypto_new_key(&key));
    const struct x509_subject bad = {.common_name = "a", .addresses = {wrong, 2}};
    assert_error_code(x509_write_request(&bad, key, &pem), ERROR_INTERNAL);
    assert_int_equal(pem.len, 0);
}

TEST_CASE(a_certificate_is_compared_with_what_is_wanted)
{
    static const char *const other_organizations[] = {"system:nodes", "system:masters"};
    static const char *const other_name[] = {"node-b"}, *const other_address[] = {"10.0.0.2"};
    static const struct {
        const char *name;
        struct x509_subject wanted;
        bool is_of, covers;
    } rows[] = {
        {"the same",
         {.organizations = {organizations, 1},
          .common_name = "system:node:node-a",
          .dns_names = {dns_names, 1},
          .addresses = {addresses, 2}},
         true,
         true},
        {"less", {.common_name = ""}, true, true},
        {"another user", {.common_name = "system:node:node"}, false, true},
        {"a further organization",
         {.organizations = {other_organizations, 2}, .common_name = "system:node:node-a"},
         false,
         true},
        {"another name", {.common_name = "", .dns_names = {other_name, 1}}, true, false},
        {"another address", {.common_name = "", .addresses = {other_address, 1}}, true, false},
    };
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(certificate) X509 *authority = NULL;
    AUTO(certificate) X509 *certificate = NULL;
    assert_no_error(crypto_new_key(&key));
    const struct x509_issue of_ca = {.role = X509_ROLE_CA,
                                     .subject = {.common_name = "ca"},
                                     .not_before_s = NOW_S,
                                     .not_after_s = NOW_S + 3600};
    assert_no_error(x509_issue(&of_ca, key, NULL, &authority));
    const struct x509_pair issuer = {.key = key, .certificate = authority};
    const struct x509_issue issue = {.role = X509_ROLE_SERVER,
                                     .subject = subject,
                                     .not_before_s = NOW_S,
                                     .not_after_s = NOW_S + 60};
    assert_no_error(x509_issue(&issue, key, &issuer, &certificate));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (x509_is_of(certificate, &rows[i].wanted) != rows[i].is_of ||
            x509_covers(certificate, &rows[i].wanted) != rows[i].covers)
            fail_msg("%s", rows[i].name);
    }
    int64_t from_s = 0, until_s = 0;
    assert_no_error(x509_validity(certificate, &from_s, &until_s));
    assert_int_equal(from_s, NOW_S);
    assert_int_equal(until_s, NOW_S + 60);
}

TEST_CASE(keys_are_named_as_a_kubelet_names_them)
{
    static const struct {
        struct error *(*make)(EVP_PKEY **ret);
        const char *begin;
    } rows[] = {{crypto_new_key, "-----BEGIN EC PRIVATE KEY-----\n"},
                {crypto_new_rsa_key_blocking, "-----BEGIN RSA PRIVATE KEY-----\n"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(pkey) EVP_PKEY *key = NULL;
        AUTO(pkey) EVP_PKEY *again = NULL;
        AUTO(buf) struct buf pem = {0};
        buf_init(&pem, MAX_BYTES);
        assert_no_error(rows[i].make(&key));
        assert_no_error(crypto_write_named_key(key, &pem));
        assert_true(text_has_prefix(buf_text(&pem), rows[i].begin));
        assert_no_error(crypto_read_key(buf_str(&pem), &again));
        assert_int_equal(EVP_PKEY_eq(key, again), 1);
    }
}

TEST_CASE(certificates_are_copied_without_what_lies_between_them)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(buf) struct buf one = {0}, mixed = {0}, copy = {0};
    buf_init(&one, MAX_BYTES);
    buf_init(&mixed, MAX_BYTES);
    buf_init(&copy, MAX_BYTES);
    assert_no_error(crypto_new_key(&key));
    const struct x509_issue issue = {.role = X509_ROLE_CA,
                                     .subject = {.common_name = "ca"},
                                     .not_before_s = NOW_S,
                                     .not_after_s = NOW_S + 3600};
    assert_no_error(x509_issue(&issue, key, NULL, &certificate));
    assert_no_error(crypto_write_certificate(certificate, &one));
    buf_printf(&mixed, "words\n%s", buf_text(&one));
    assert_no_error(crypto_write_key(key, &mixed));
    buf_add_str(&mixed, buf_str(&one));
    assert_no_error(crypto_copy_certificates(buf_str(&mixed), &copy));
    AUTO(free) char *want = xasprintf("%s%s", buf_text(&one), buf_text(&one));
    assert_string_equal(buf_text(&copy), want);

    buf_clear(&copy);
    assert_error_code(crypto_copy_certificates(STR_LITERAL("words"), &copy),
                      ERROR_INVALID_ARGUMENT);
    buf_truncate(&mixed, mixed.len - 40); /* the last one is cut off */
    assert_error_code(crypto_copy_certificates(buf_str(&mixed), &copy), ERROR_INVALID_ARGUMENT);
}

TEST_MAIN(TEST(a_request_says_whom_it_is_for_and_is_signed_with_its_key),
          TEST(a_request_without_names_has_no_extension),
          TEST(a_name_that_is_no_address_makes_no_request),
          TEST(a_certificate_is_compared_with_what_is_wanted),
          TEST(keys_are_named_as_a_kubelet_names_them),
          TEST(certificates_are_copied_without_what_lies_between_them))
