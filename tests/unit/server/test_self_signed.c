#include "server/self_signed.h"

#include "tests/lib/tempdir.h"
#include "wire/x509.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#define NOW_S INT64_C(1795226792)
#define MAX_BYTES (64 * KiB)

static enum self_signed_outcome ensure(const char *dir, const char *host)
{
    enum self_signed_outcome outcome = SELF_SIGNED_FOUND;
    const struct self_signed_options options = {.dir = dir, .host = host, .now_s = NOW_S};
    assert_no_error(self_signed_ensure_blocking(&options, &outcome));
    return outcome;
}

static char *read_text(const char *dir, const char *file)
{
    AUTO(free) char *path = path_join(dir, file);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, MAX_BYTES);
    assert_no_error(fd_read_file_blocking(path, &text));
    return buf_take(&text);
}

static void write_text(const char *dir, const char *file, const char *text)
{
    AUTO(free) char *path = path_join(dir, file);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0600));
}

static void assert_mode(const char *dir, const char *file, mode_t want)
{
    AUTO(free) char *path = path_join(dir, file);
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, want);
}

static char *common_name(const X509_NAME *name)
{
    char text[256] = "";
    X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof(text));
    return xstrdup(text);
}

TEST_CASE(the_pair_is_as_the_kubelet_makes_it)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *pki = path_join(dir, "pki");
    assert_int_equal(ensure(pki, "node1"), SELF_SIGNED_MADE);
    assert_mode(pki, "", 0755);
    assert_mode(pki, "kubelet.crt", 0644);
    assert_mode(pki, "kubelet.key", 0600);

    AUTO(free) char *cert_pem = read_text(pki, "kubelet.crt");
    AUTO(free) char *key_pem = read_text(pki, "kubelet.key");
    assert_true(text_has_prefix(key_pem, "-----BEGIN RSA PRIVATE KEY-----\n"));
    AUTO(bio) BIO *bio = BIO_new_mem_buf(cert_pem, -1);
    AUTO(certificate) X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    AUTO(certificate) X509 *ca = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    AUTO(pkey) EVP_PKEY *key = NULL;
    assert_no_error(crypto_read_key(str_from(key_pem), &key));
    assert_int_equal(EVP_PKEY_get_bits(key), 2048);
    assert_int_equal(X509_check_private_key(leaf, key), 1);
    assert_int_equal(X509_verify(leaf, X509_get0_pubkey(ca)), 1);

    AUTO(free) char *leaf_name = common_name(X509_get_subject_name(leaf));
    AUTO(free) char *ca_name = common_name(X509_get_subject_name(ca));
    assert_string_equal(leaf_name, "node1@1795226792");
    assert_string_equal(ca_name, "node1-ca@1795226792");
    int64_t from_s = 0, until_s = 0;
    assert_no_error(x509_validity(leaf, &from_s, &until_s));
    assert_int_equal(from_s, NOW_S - 3600);
    assert_int_equal(until_s, NOW_S - 3600 + 365 * 24 * 3600);
    assert_int_equal(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT);
    assert_int_equal(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
    assert_int_equal(X509_check_host(leaf, "node1", 0, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL),
                     1);
}

TEST_CASE(a_node_named_by_its_address_has_it_as_one)
{
    AUTO(tempdir) char *dir = tempdir_new();
    assert_int_equal(ensure(dir, "10.0.0.1"), SELF_SIGNED_MADE);
    AUTO(free) char *cert_pem = read_text(dir, "kubelet.crt");
    AUTO(certificate) X509 *leaf = NULL;
    assert_no_error(crypto_read_certificate(str_from(cert_pem), &leaf));
    assert_int_equal(X509_check_ip_asc(leaf, "10.0.0.1", 0), 1);
}

TEST_CASE(a_pair_that_is_there_stays_even_when_expired)
{
    AUTO(tempdir) char *dir = tempdir_new();
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_MADE);
    AUTO(free) char *before = read_text(dir, "kubelet.crt");
    enum self_signed_outcome outcome = SELF_SIGNED_MADE;
    const struct self_signed_options later = {
        .dir = dir, .host = "node2", .now_s = NOW_S + INT64_C(10) * 365 * 24 * 3600};
    assert_no_error(self_signed_ensure_blocking(&later, &outcome));
    assert_int_equal(outcome, SELF_SIGNED_FOUND);
    AUTO(free) char *after = read_text(dir, "kubelet.crt");
    assert_string_equal(after, before);
}

TEST_CASE(a_key_without_certificate_is_a_start_that_was_cut_off)
{
    AUTO(tempdir) char *dir = tempdir_new();
    write_text(dir, "kubelet.key", "the first half of");
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_MADE);
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_FOUND);
}

TEST_CASE(a_certificate_without_key_is_refused_and_left_alone)
{
    AUTO(tempdir) char *dir = tempdir_new();
    write_text(dir, "kubelet.crt", "somebody's");
    enum self_signed_outcome outcome = SELF_SIGNED_FOUND;
    const struct self_signed_options options = {.dir = dir, .host = "node1", .now_s = NOW_S};
    AUTO(error) struct error *err = self_signed_ensure_blocking(&options, &outcome);
    AUTO(free)
    char *want = xasprintf("error reading %s/kubelet.crt and %s/kubelet.key, certificate and key "
                           "must be supplied as a pair",
                           dir, dir);
    assert_string_equal(err->message, want);
    AUTO(free) char *text = read_text(dir, "kubelet.crt");
    assert_string_equal(text, "somebody's");
}

TEST_CASE(a_damaged_pair_is_set_aside)
{
    AUTO(tempdir) char *dir = tempdir_new();
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_MADE);
    AUTO(free) char *other_key = read_text(dir, "kubelet.key");
    assert_int_equal(fd_remove_tree_blocking(dir) == NULL, true);
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_MADE);
    write_text(dir, "kubelet.key", other_key); /* of another certificate */
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_REPLACED);
    AUTO(free) char *aside = read_text(dir, "kubelet.key.damaged");
    assert_string_equal(aside, other_key);
    write_text(dir, "kubelet.crt", "-----BEGIN CERT");
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_REPLACED);
    assert_int_equal(ensure(dir, "node1"), SELF_SIGNED_FOUND);
    AUTO(free) char *cert_aside = read_text(dir, "kubelet.crt.damaged");
    assert_string_equal(cert_aside, "-----BEGIN CERT");
}

TEST_CASE(what_cannot_be_read_is_not_replaced)
{
    AUTO(tempdir) char *dir = tempdir_new();
    AUTO(free) char *path = path_join(dir, "kubelet.crt");
    assert_int_equal(mkdir(path, 0700), 0);
    enum self_signed_outcome outcome = SELF_SIGNED_FOUND;
    const struct self_signed_options options = {.dir = dir, .host = "node1", .now_s = NOW_S};
    AUTO(error) struct error *err = self_signed_ensure_blocking(&options, &outcome);
    assert_non_null(err);
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
}

TEST_MAIN(TEST(the_pair_is_as_the_kubelet_makes_it),
          TEST(a_node_named_by_its_address_has_it_as_one),
          TEST(a_pair_that_is_there_stays_even_when_expired),
          TEST(a_key_without_certificate_is_a_start_that_was_cut_off),
          TEST(a_certificate_without_key_is_refused_and_left_alone),
          TEST(a_damaged_pair_is_set_aside), TEST(what_cannot_be_read_is_not_replaced))
