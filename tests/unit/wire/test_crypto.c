#include "wire/crypto.h"

#include "tests/lib/tls_certs.h"

#include <openssl/err.h>

#define MAX_BYTES (64 * KiB)
#define LONG_BYTES (300 * KiB)

static int teardown(UNUSED void **state)
{
    return ERR_peek_error() == 0 ? 0 : -1;
}

static void assert_fails(struct error *err_owned, const char *message)
{
    AUTO(error) struct error *err = err_owned;
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_INVALID_ARGUMENT);
    assert_string_equal(err->message, message);
}

TEST_CASE(a_key_is_read_as_it_was_written)
{
    static const struct {
        const char *name, *begin;
        bool is_rsa;
        struct error *(*write)(EVP_PKEY *key, struct buf *out);
    } rows[] = {
        {"plain", "-----BEGIN PRIVATE KEY-----\n", false, crypto_write_key},
        {"by its kind", "-----BEGIN EC PRIVATE KEY-----\n", false, crypto_write_named_key},
        {"plain RSA", "-----BEGIN PRIVATE KEY-----\n", true, crypto_write_key},
        {"RSA by its kind", "-----BEGIN RSA PRIVATE KEY-----\n", true, crypto_write_named_key},
    };
    AUTO(pkey) EVP_PKEY *small = NULL, *rsa = NULL;
    assert_no_error(crypto_new_key(&small));
    assert_no_error(crypto_new_rsa_key_blocking(&rsa));
    assert_int_equal(EVP_PKEY_get_bits(rsa), 2048);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        EVP_PKEY *key = rows[i].is_rsa ? rsa : small;
        AUTO(pkey) EVP_PKEY *again = NULL;
        AUTO(buf) struct buf pem;
        buf_init(&pem, MAX_BYTES);
        assert_no_error(rows[i].write(key, &pem));
        assert_no_error(crypto_read_key(buf_str(&pem), &again));
        if (!text_has_prefix(buf_text(&pem), rows[i].begin) || EVP_PKEY_eq(key, again) != 1)
            fail_msg("%s: %s", rows[i].name, buf_text(&pem));
    }
}

TEST_CASE(a_public_key_is_nothing_private)
{
    AUTO(pkey) EVP_PKEY *key = NULL, *again = NULL;
    AUTO(buf) struct buf pem;
    buf_init(&pem, MAX_BYTES);
    assert_no_error(crypto_new_key(&key));
    assert_no_error(crypto_write_public_key(key, &pem));
    assert_true(text_has_prefix(buf_text(&pem), "-----BEGIN PUBLIC KEY-----\n"));
    assert_fails(crypto_read_key(buf_str(&pem), &again), "not a PEM private key");
}

/* Nobody is there to be asked for a passphrase, least of all at the terminal. */
TEST_CASE(a_key_under_a_passphrase_is_refused)
{
    AUTO(pkey) EVP_PKEY *key = NULL, *again = NULL;
    assert_no_error(crypto_new_key(&key));
    BIO *bio = BIO_new(BIO_s_mem());
    static const unsigned char secret[] = "secret";
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, EVP_aes_256_cbc(), secret,
                                              sizeof(secret) - 1, NULL, NULL),
                     1);
    AUTO(free) char *pem = test_cert_bio_text(bio);
    assert_fails(crypto_read_key(str_from(pem), &again), "not a PEM private key");
}

TEST_CASE(what_is_none_is_refused)
{
    AUTO(free) char *much = xcalloc(1, LONG_BYTES + 1);
    memset(much, '\n', LONG_BYTES);
    const char *texts[] = {"", "nothing of use",
                           "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", much};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct str text = str_from(texts[i]);
        EVP_PKEY *key = NULL;
        X509 *certificate = NULL;
        X509_REQ *request = NULL;
        AUTO(buf) struct buf out;
        buf_init(&out, MAX_BYTES);
        assert_fails(crypto_read_key(text, &key), "not a PEM private key");
        assert_fails(crypto_read_certificate(text, &certificate), "not a PEM certificate");
        assert_fails(crypto_read_request(text, &request), "not a PEM certificate request");
        assert_fails(crypto_copy_certificates(text, &out), "not a PEM certificate");
        assert_int_equal(out.len, 0);
    }
}

TEST_CASE(certificates_are_copied_in_their_order_and_nothing_else_is)
{
    AUTO(test_cert)
    struct test_cert ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    AUTO(test_cert)
    struct test_cert leaf = test_cert_new(&(struct test_cert_options){.common_name = "leaf"}, &ca);
    AUTO(free)
    char *mixed = xasprintf("a word\n%s%sanother\n%s", leaf.cert_pem, leaf.key_pem, ca.cert_pem);
    AUTO(free) char *want = xasprintf("%s%s", leaf.cert_pem, ca.cert_pem);
    AUTO(buf) struct buf out;
    buf_init(&out, MAX_BYTES);
    assert_no_error(crypto_copy_certificates(str_from(mixed), &out));
    assert_string_equal(buf_text(&out), want);

    AUTO(pkey) EVP_PKEY *key = NULL; /* of the same text, as a kubelet keeps the two */
    assert_no_error(crypto_read_key(str_from(mixed), &key));
    assert_int_equal(EVP_PKEY_eq(key, leaf.key), 1);
    AUTO(certificate) X509 *first = NULL;
    assert_no_error(crypto_read_certificate(str_from(mixed), &first));
    assert_int_equal(X509_cmp(first, leaf.cert), 0);
}

TEST_CASE(a_damaged_certificate_spoils_the_copy)
{
    AUTO(test_cert)
    struct test_cert leaf = test_cert_new(&(struct test_cert_options){.common_name = "leaf"}, NULL);
    AUTO(free)
    char *cut = xasprintf("%s%.100s\n-----END CERTIFICATE-----\n", leaf.cert_pem, leaf.cert_pem);
    AUTO(buf) struct buf out;
    buf_init(&out, MAX_BYTES);
    assert_fails(crypto_copy_certificates(str_from(cut), &out), "not a PEM certificate");
}

TEST_CASE(a_text_that_does_not_fit_is_an_error)
{
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(buf) struct buf out;
    buf_init(&out, 10);
    assert_no_error(crypto_new_key(&key));
    AUTO(error) struct error *err = crypto_write_key(key, &out);
    assert_non_null(err);
    assert_int_equal(err->code, ERROR_RESOURCE_EXHAUSTED);
}

TEST_CASE(an_error_says_what_openssl_meant_and_empties_its_queue)
{
    AUTO(error) struct error *bare = crypto_error("doing %s", "something");
    assert_int_equal(bare->code, ERROR_INTERNAL);
    assert_string_equal(bare->message, "doing something: no reason given");
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    AUTO(error) struct error *err = crypto_error("reading");
    assert_non_null(strstr(err->message, "no start line"));
    ERR_raise(ERR_LIB_PEM, PEM_R_NO_START_LINE);
    crypto_begin();
    assert_int_equal(ERR_peek_error(), 0);
}

TEST_CASE(random_bytes_are_no_others)
{
    uint8_t one[32] = {0}, other[32] = {0};
    assert_no_error(crypto_random(one, sizeof(one)));
    assert_no_error(crypto_random(other, sizeof(other)));
    assert_memory_not_equal(one, other, sizeof(one));
}

/* Whoever uses OpenSSL leaves its queue empty. */
#define CASE(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    crypto_init();
    const struct CMUnitTest tests[] = {
        CASE(a_key_is_read_as_it_was_written),
        CASE(a_public_key_is_nothing_private),
        CASE(a_key_under_a_passphrase_is_refused),
        CASE(what_is_none_is_refused),
        CASE(certificates_are_copied_in_their_order_and_nothing_else_is),
        CASE(a_damaged_certificate_spoils_the_copy),
        CASE(a_text_that_does_not_fit_is_an_error),
        CASE(an_error_says_what_openssl_meant_and_empties_its_queue),
        CASE(random_bytes_are_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
