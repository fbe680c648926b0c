#include "wire/tls_certificate.h"

#include "base/arena.h"
#include "tests/lib/tls_certs.h"
#include "wire/tls_internal.h"

#include <openssl/err.h>
#include <time.h>

#define UNKNOWN "tls: failed to verify certificate: x509: certificate signed by unknown authority"
#define WRONG_USE                                                                                  \
    "tls: failed to verify certificate: x509: certificate specifies an incompatible key usage"
#define OUTDATED                                                                                   \
    "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
#define DAY_NS (TEST_CERT_DAY_S * NS_PER_SEC)

DEFINE_AUTO(tls_certificate, struct tls_certificate *, tls_certificate_free)

struct world {
    struct test_cert ca, other_ca;
    struct tls_authorities *ours, *theirs;
    int64_t now_ns;
};

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    world->ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    world->other_ca =
        test_cert_new(&(struct test_cert_options){.common_name = "ca", .is_ca = true}, NULL);
    assert_no_error(tls_authorities_new(world->ca.cert_pem, &world->ours));
    assert_no_error(tls_authorities_new(world->other_ca.cert_pem, &world->theirs));
    world->now_ns = time(NULL) * NS_PER_SEC;
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    test_cert_free(&world->ca);
    test_cert_free(&world->other_ca);
    tls_authorities_unref(world->ours);
    tls_authorities_unref(world->theirs);
    free(world);
    return ERR_peek_error() == 0 ? 0 : -1; /* whatever happened, OpenSSL's queue is empty */
}

/* Verifies @cert, with @middle (NULL: nothing) behind it. */
static struct error *verify(const struct world *world, const struct test_cert *cert,
                            const struct test_cert *middle)
{
    STACK_OF(X509) *chain = sk_X509_new_null();
    if (middle)
        sk_X509_push(chain, middle->cert);
    AUTO(tls_certificate)
    struct tls_certificate *certificate = tls_certificate_new(cert->cert, middle ? chain : NULL);
    sk_X509_free(chain);
    const struct tls_subject *subject = NULL;
    struct error *err = tls_certificate_verify(certificate, world->ours, world->now_ns, &subject);
    assert_int_equal(subject == NULL, err != NULL);
    if (subject)
        assert_string_equal(subject->common_name, "bob");
    return err;
}

TEST_CASE(a_certificate_is_good_for_authenticating_a_client_or_it_is_not)
{
    const struct world *world = *test_state;
    const struct {
        const char *name;
        struct test_cert_options options;
        const struct test_cert *issuer; /* NULL: itself */
        const char *want;               /* how the error begins; NULL: good */
    } rows[] = {
        {"good", {.usage = "clientAuth"}, &world->ca, NULL},
        {"for anything", {0}, &world->ca, NULL},
        {"for anything, and says so", {.usage = "anyExtendedKeyUsage"}, &world->ca, NULL},
        {"for both", {.usage = "serverAuth,clientAuth"}, &world->ca, NULL},
        {"a server's", {.usage = "serverAuth"}, &world->ca, WRONG_USE},
        {"for something of nobody's", {.usage = "1.2.3.4"}, &world->ca, WRONG_USE},
        {"of another authority of the same name", {0}, &world->other_ca, UNKNOWN},
        {"of its own", {0}, NULL, UNKNOWN},
        {"expired", {.begins_s = -2 * TEST_CERT_DAY_S, .ends_s = -60}, &world->ca, OUTDATED},
        {"of tomorrow",
         {.begins_s = TEST_CERT_DAY_S, .ends_s = 2 * TEST_CERT_DAY_S},
         &world->ca,
         OUTDATED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct test_cert_options options = rows[i].options;
        options.common_name = "bob";
        AUTO(test_cert) struct test_cert cert = test_cert_new(&options, rows[i].issuer);
        AUTO(error) struct error *err = verify(world, &cert, NULL);
        if (!rows[i].want != !err || (err && !text_has_prefix(err->message, rows[i].want)))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "accepted");
        if (err)
            assert_int_equal(err->code, ERROR_UNAUTHENTICATED);
    }
}

TEST_CASE(a_chain_leads_through_authorities_for_clients)
{
    const struct world *world = *test_state;
    const struct {
        const char *name;
        struct test_cert_options options;
        bool is_shown;
        const char *want;
    } rows[] = {
        {"good", {.is_ca = true}, true, NULL},
        {"not shown", {.is_ca = true}, false, UNKNOWN},
        {"for clients", {.is_ca = true, .usage = "clientAuth"}, true, NULL},
        {"for servers only", {.is_ca = true, .usage = "serverAuth"}, true, WRONG_USE},
        {"no authority", {.is_ca = false}, true, UNKNOWN},
        {"says nothing", {.has_no_constraints = true}, true, UNKNOWN},
        {"may sign but is no authority",
         {.has_no_constraints = true, .key_usage = "keyCertSign"},
         true,
         UNKNOWN},
        {"an authority that may not sign",
         {.is_ca = true, .key_usage = "digitalSignature"},
         true,
         UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct test_cert_options options = rows[i].options;
        options.common_name = "middle";
        AUTO(test_cert) struct test_cert middle = test_cert_new(&options, &world->ca);
        AUTO(test_cert)
        struct test_cert cert =
            test_cert_new(&(struct test_cert_options){.common_name = "bob"}, &middle);
        AUTO(error)
        struct error *err = verify(world, &cert, rows[i].is_shown ? &middle : NULL);
        if (!rows[i].want != !err || (err && !text_has_prefix(err->message, rows[i].want)))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "accepted");
    }
}

TEST_CASE(a_trusted_certificate_need_not_be_a_root)
{
    struct world *world = *test_state;
    AUTO(test_cert)
    struct test_cert middle = test_cert_new(
        &(struct test_cert_options){.common_name = "middle", .is_ca = true}, &world->ca);
    AUTO(test_cert)
    struct test_cert cert =
        test_cert_new(&(struct test_cert_options){.common_name = "bob"}, &middle);
    AUTO(tls_authorities) struct tls_authorities *only_middle = NULL;
    assert_no_error(tls_authorities_new(middle.cert_pem, &only_middle));
    AUTO(tls_certificate)
    struct tls_certificate *certificate = tls_certificate_new(cert.cert, NULL);
    const struct tls_subject *subject = NULL;
    assert_no_error(tls_certificate_verify(certificate, only_middle, world->now_ns, &subject));
}

TEST_CASE(authorities_and_time_are_those_of_the_question)
{
    const struct world *world = *test_state;
    AUTO(test_cert)
    struct test_cert cert = test_cert_new(&(struct test_cert_options){.common_name = "bob",
                                                                      .begins_s = -3600,
                                                                      .ends_s = TEST_CERT_DAY_S},
                                          &world->ca);
    AUTO(tls_certificate)
    struct tls_certificate *certificate = tls_certificate_new(cert.cert, NULL);
    const struct {
        const char *name;
        struct tls_authorities *authorities;
        int64_t after_ns;
        const char *want;
    } rows[] = {
        {"now", world->ours, 0, NULL},
        {"now, again", world->ours, 1, NULL},
        {"others", world->theirs, 1, UNKNOWN},
        {"others, again", world->theirs, 1, UNKNOWN},
        {"the first ones again", world->ours, 1, NULL},
        {"in the last minute", world->ours, DAY_NS - 60 * NS_PER_SEC, NULL},
        {"too late", world->ours, DAY_NS + 60 * NS_PER_SEC, OUTDATED},
        {"the clock was set back", world->ours, 0, NULL},
        {"too far", world->ours, -7200 * NS_PER_SEC, OUTDATED},
    };
    assert_true(llabs(tls_certificate_not_after_s(certificate) -
                      (world->now_ns / NS_PER_SEC + TEST_CERT_DAY_S)) < 60);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct tls_subject *subject = NULL;
        AUTO(error)
        struct error *err = tls_certificate_verify(certificate, rows[i].authorities,
                                                   world->now_ns + rows[i].after_ns, &subject);
        if (!rows[i].want != !err || (err && !text_has_prefix(err->message, rows[i].want)))
            fail_msg("%s: %s", rows[i].name, err ? err->message : "accepted");
    }
}

TEST_CASE(authorities_that_were_replaced_are_kept_as_long_as_a_verdict_is_theirs)
{
    const struct world *world = *test_state;
    AUTO(test_cert)
    struct test_cert cert =
        test_cert_new(&(struct test_cert_options){.common_name = "bob"}, &world->ca);
    AUTO(tls_certificate)
    struct tls_certificate *certificate = tls_certificate_new(cert.cert, NULL);
    /* An allocator likes to give the same place again. */
    for (int i = 0; i < 8; i++) {
        AUTO(tls_authorities) struct tls_authorities *authorities = NULL;
        const struct tls_subject *subject = NULL;
        const struct test_cert *ca = i % 2 ? &world->other_ca : &world->ca;
        assert_no_error(tls_authorities_new(ca->cert_pem, &authorities));
        AUTO(error)
        struct error *err =
            tls_certificate_verify(certificate, authorities, world->now_ns, &subject);
        assert_int_equal(err != NULL, i % 2);
    }
}

/* A certificate whose subject has @count entries, each a field, or an OID, and a text. */
static struct test_cert with_subject(const struct world *world, const char *const (*entries)[2],
                                     size_t count)
{
    struct test_cert cert = test_cert_new(&(struct test_cert_options){0}, &world->ca);
    X509_NAME *subject = X509_get_subject_name(cert.cert);
    for (size_t i = 0; i < count; i++) {
        ASN1_OBJECT *object = OBJ_txt2obj(entries[i][0], 0);
        assert_int_equal(X509_NAME_add_entry_by_OBJ(subject, object, V_ASN1_UTF8STRING,
                                                    (const unsigned char *)entries[i][1],
                                                    (int)strlen(entries[i][1]), -1, 0),
                         1);
        ASN1_OBJECT_free(object);
    }
    assert_true(X509_sign(cert.cert, world->ca.key, EVP_sha256()) > 0);
    return cert;
}

TEST_CASE(a_subject_has_a_name_groups_a_uid_and_a_fingerprint)
{
    static const char *const entries[][2] = {
        {"O", "system:nodes"},          {"CN", "first"}, {"OU", "not looked at"},
        {"1.3.6.1.4.1.57683.2", "u-1"}, {"O", "more"},   {"CN", "system:node:a"}};
    const struct world *world = *test_state;
    AUTO(test_cert) struct test_cert cert = with_subject(world, entries, ARRAY_SIZE(entries));
    AUTO(tls_certificate)
    struct tls_certificate *certificate = tls_certificate_new(cert.cert, NULL);
    const struct tls_subject *subject = NULL;
    assert_no_error(tls_certificate_verify(certificate, world->ours, world->now_ns, &subject));
    assert_string_equal(subject->common_name, "system:node:a");
    assert_int_equal(subject->organization_count, 2);
    assert_string_equal(subject->organizations[0], "system:nodes");
    assert_string_equal(subject->organizations[1], "more");
    assert_string_equal(subject->uid, "u-1");
    unsigned char *der = NULL;
    int len = i2d_X509(cert.cert, &der);
    uint8_t want[TLS_SHA256_BYTES];
    assert_int_equal(EVP_Digest(der, (size_t)len, want, NULL, EVP_sha256(), NULL), 1);
    OPENSSL_free(der);
    assert_memory_equal(subject->sha256, want, sizeof(want));
}

TEST_CASE(a_subject_may_lack_everything)
{
    static const char *const entries[][2] = {{"CN", ""}};
    const struct world *world = *test_state;
    for (size_t count = 0; count <= 1; count++) {
        AUTO(test_cert) struct test_cert cert = with_subject(world, entries, count);
        AUTO(tls_certificate)
        struct tls_certificate *certificate = tls_certificate_new(cert.cert, NULL);
        const struct tls_subject *subject = NULL;
        assert_no_error(tls_certificate_verify(certificate, world->ours, world->now_ns, &subject));
        assert_string_equal(subject->common_name, "");
        assert_int_equal(subject->organization_count, 0);
        assert_null(subject->uid);
    }
}

TEST_CASE(a_subject_that_could_be_taken_for_another_is_refused)
{
    static const char *const two_uids[][2] = {
        {"CN", "bob"}, {"1.3.6.1.4.1.57683.2", "u-1"}, {"1.3.6.1.4.1.57683.2", "u-2"}};
    const struct world *world = *test_state;
    AUTO(test_cert) struct test_cert doubled = with_subject(world, two_uids, ARRAY_SIZE(two_uids));
    assert_error_message(verify(world, &doubled, NULL),
                         "x509: the certificate's subject is malformed");

    AUTO(test_cert) struct test_cert cut = test_cert_new(&(struct test_cert_options){0}, NULL);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cut.cert), "CN", V_ASN1_UTF8STRING,
                               (const unsigned char *)"bob\0.example", 12, -1, 0);
    X509_set_issuer_name(cut.cert, X509_get_subject_name(world->ca.cert));
    assert_true(X509_sign(cut.cert, world->ca.key, EVP_sha256()) > 0);
    assert_error_message(verify(world, &cut, NULL), "x509: the certificate's subject is malformed");
}

TEST_CASE(authorities_are_certificates_in_pem_form)
{
    const struct world *world = *test_state;
    struct tls_authorities *authorities = NULL;
    assert_error_message(tls_authorities_new("", &authorities),
                         "CA certificate: no certificate in PEM form found");
    AUTO(free)
    char *broken = xasprintf("%s-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                             world->ca.cert_pem);
    assert_error_code(tls_authorities_new(broken, &authorities), ERROR_INVALID_ARGUMENT);
    assert_null(authorities);
    AUTO(free) char *both = xasprintf("%s%s", world->ca.cert_pem, world->other_ca.cert_pem);
    assert_no_error(tls_authorities_new(both, &authorities));
    tls_authorities_unref(authorities);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_certificate_is_good_for_authenticating_a_client_or_it_is_not),
        TEST(a_chain_leads_through_authorities_for_clients),
        TEST(a_trusted_certificate_need_not_be_a_root),
        TEST(authorities_and_time_are_those_of_the_question),
        TEST(authorities_that_were_replaced_are_kept_as_long_as_a_verdict_is_theirs),
        TEST(a_subject_has_a_name_groups_a_uid_and_a_fingerprint),
        TEST(a_subject_may_lack_everything),
        TEST(a_subject_that_could_be_taken_for_another_is_refused),
        TEST(authorities_are_certificates_in_pem_form),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
