#include "server/self_signed.h"

#include "base/fd.h"
#include "base/path.h"
#include "wire/x509.h"

#include <errno.h>
#include <stdio.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#define FILE_MAX_BYTES (256 * KiB)
#define DIR_MODE 0755
#define CERT_MODE 0644
#define KEY_MODE 0600
/* client-go's GenerateSelfSignedCertKey. */
#define BACKDATE_S INT64_C(3600)
#define LIFE_S (INT64_C(365) * 24 * 3600)

struct pair_text {
    struct buf cert, key;
    bool has_cert, has_key;
};

static void pair_text_init(struct pair_text *pair)
{
    *pair = (struct pair_text){0};
    buf_init(&pair->cert, FILE_MAX_BYTES);
    buf_init(&pair->key, FILE_MAX_BYTES);
}

static void auto_release_pair_text(struct pair_text *pair)
{
    if (pair->key.data)
        explicit_bzero(pair->key.data, pair->key.len);
    buf_done(&pair->cert);
    buf_done(&pair->key);
}

/* --- making --- */

static struct error *make_ca(const struct self_signed_options *options, struct x509_pair *ret)
{
    AUTO(free)
    char *name = xasprintf("%s-ca@%lld", options->host, (long long)options->now_s);
    const struct x509_issue issue = {.role = X509_ROLE_CA,
                                     .subject = {.common_name = name},
                                     .not_before_s = options->now_s - BACKDATE_S,
                                     .not_after_s = options->now_s - BACKDATE_S + LIFE_S};
    AUTO(pkey) EVP_PKEY *key = NULL;
    struct error *err = crypto_new_rsa_key_blocking(&key);
    if (!err)
        err = x509_issue(&issue, key, NULL, &ret->certificate);
    if (!err)
        ret->key = TAKE(key);
    return err;
}

static struct error *make_leaf(const struct self_signed_options *options,
                               const struct x509_pair *ca, struct pair_text *out)
{
    AUTO(free) char *name = xasprintf("%s@%lld", options->host, (long long)options->now_s);
    struct x509_issue issue = {.role = X509_ROLE_SERVER,
                               .subject = {.common_name = name},
                               .has_key_encipherment = true,
                               .not_before_s = options->now_s - BACKDATE_S,
                               .not_after_s = options->now_s - BACKDATE_S + LIFE_S};
    const struct text_list host = {&options->host, 1};
    if (x509_is_address(options->host))
        issue.subject.addresses = host;
    else
        issue.subject.dns_names = host;
    AUTO(pkey) EVP_PKEY *key = NULL;
    AUTO(certificate) X509 *certificate = NULL;
    struct error *err = crypto_new_rsa_key_blocking(&key);
    if (!err)
        err = x509_issue(&issue, key, ca, &certificate);
    if (!err)
        err = crypto_write_certificate(certificate, &out->cert);
    if (!err)
        err = crypto_write_certificate(ca->certificate, &out->cert);
    if (!err)
        err = crypto_write_named_key(key, &out->key);
    return err;
}

/* The authority's key is thrown away with it. */
static struct error *make_pair(const struct self_signed_options *options, struct pair_text *out)
{
    struct x509_pair ca = {0};
    struct error *err = make_ca(options, &ca);
    if (!err)
        err = make_leaf(options, &ca, out);
    crypto_free_pkey(ca.key);
    crypto_free_certificate(ca.certificate);
    return err;
}

/* --- what is there --- */

static struct error *read_optional(const char *path, struct buf *out, bool *ret_is_there)
{
    struct error *err = fd_read_file_blocking(path, out);
    *ret_is_there = !err;
    if (error_is(err, ERROR_NOT_FOUND)) {
        error_ignore(err, "not made yet");
        return NULL;
    }
    return err;
}

static bool is_pair(const struct pair_text *text)
{
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(pkey) EVP_PKEY *key = NULL;
    struct error *err = crypto_read_certificate(buf_str(&text->cert), &certificate);
    if (!err)
        err = crypto_read_key(buf_str(&text->key), &key);
    if (err) {
        error_ignore(err, "the caller says that the pair is damaged");
        return false;
    }
    bool is_good = X509_check_private_key(certificate, key) == 1;
    crypto_begin();
    return is_good;
}

static struct error *set_aside(const char *path)
{
    AUTO(free) char *aside = xasprintf("%s.damaged", path);
    if (rename(path, aside) != 0 && errno != ENOENT)
        return error_from_errno(errno, "rename %s to %s", path, aside);
    return NULL;
}

struct error *self_signed_ensure_blocking(const struct self_signed_options *options,
                                          enum self_signed_outcome *ret)
{
    AUTO(free) char *cert_path = path_join(options->dir, SELF_SIGNED_CERT);
    AUTO(free) char *key_path = path_join(options->dir, SELF_SIGNED_KEY);
    AUTO(pair_text) struct pair_text found, made;
    pair_text_init(&found);
    pair_text_init(&made);
    struct error *err = read_optional(cert_path, &found.cert, &found.has_cert);
    if (!err)
        err = read_optional(key_path, &found.key, &found.has_key);
    if (err)
        return err;
    if (found.has_cert && !found.has_key)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "error reading %s and %s, certificate and key must be supplied as a pair",
                         cert_path, key_path);
    if (found.has_cert && is_pair(&found)) {
        *ret = SELF_SIGNED_FOUND;
        return NULL;
    }
    err = make_pair(options, &made);
    if (!err)
        err = fd_mkdir_all(options->dir, DIR_MODE);
    /* The certificate goes first and comes last: a key without one is what can be cut off. */
    if (!err && found.has_cert)
        err = set_aside(cert_path);
    if (!err && found.has_key)
        err = set_aside(key_path);
    if (!err)
        err = fd_replace_file_blocking(key_path, buf_str(&made.key), KEY_MODE);
    if (!err)
        err = fd_replace_file_blocking(cert_path, buf_str(&made.cert), CERT_MODE);
    if (!err)
        *ret = found.has_cert ? SELF_SIGNED_REPLACED : SELF_SIGNED_MADE;
    return err;
}
