/*
 * A pair on disk goes through: nothing → key → key and certificate. Reading one decides by what is
 * there:
 *
 *     key   certificate
 *     no    no           first start: make the key, write it, go on below
 *     yes   no           first start that was cut off: issue a certificate for the key, write it
 *     yes   yes          check that they belong together and to the authority; renew if due
 *     no    yes          damaged: somebody took the key away, which nobody can make again
 *
 * The authority is the one pair that is never renewed: everybody's trust hangs on it.
 */
#include "plane/pki_internal.h"

#include "base/fd.h"
#include "base/path.h"
#include "kube/validate.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define FILE_MAX_BYTES (64 * KiB) /* of one of our files */
#define FILE_MODE 0600
#define DIR_MODE 0700
#define ADMIN_USER "kubernetes-admin"
/* Upstream's signer: shorter ones are not backdated at their end (signer.go). */
#define SIGN_SHORT_S (INT64_C(8) * 3600)
#define SIGN_MIN_S (INT64_C(10) * 60)

struct stored {
    struct x509_pair pair;      /* certificate NULL for the token key */
    struct buf key_pem;         /* as in the file */
    struct buf certificate_pem; /* as in the file */
};

struct pki {
    char *data_dir;
    char *dir; /* DIR/pki */
    char *node_name;
    struct stored ca, server, admin, node, token;
};

/* --- files --- */

static void stored_init(struct stored *stored)
{
    buf_init(&stored->key_pem, FILE_MAX_BYTES);
    buf_init(&stored->certificate_pem, FILE_MAX_BYTES);
}

static void stored_done(struct stored *stored)
{
    EVP_PKEY_free(stored->pair.key);
    X509_free(stored->pair.certificate);
    if (stored->key_pem.data)
        explicit_bzero(stored->key_pem.data, stored->key_pem.len);
    buf_done(&stored->key_pem);
    buf_done(&stored->certificate_pem);
}

/* Reads a file into @out, which stays empty when there is none; *ret_exists tells. */
static struct error *read_file(const char *path, struct buf *out, bool *ret_exists)
{
    struct error *err = fd_read_file_blocking(path, out);
    *ret_exists = !err;
    if (error_is(err, ERROR_NOT_FOUND)) {
        error_ignore(err, "not made yet");
        return NULL;
    }
    return err;
}

static struct error *write_file(const char *path, const struct buf *text)
{
    return fd_replace_file_blocking(path, buf_str(text), FILE_MODE);
}

/* --- keys --- */

static struct error *make_key(const char *path, struct stored *stored)
{
    struct error *err = crypto_new_key(&stored->pair.key);
    if (!err)
        err = crypto_write_key(stored->pair.key, &stored->key_pem);
    if (!err)
        err = write_file(path, &stored->key_pem);
    return err;
}

/* Reads or makes the key. @certificate_path names what must not be there without it. */
static struct error *open_key(const char *path, const char *certificate_path, bool has_certificate,
                              struct stored *stored)
{
    bool exists = false;
    struct error *err = read_file(path, &stored->key_pem, &exists);
    if (err)
        return err;
    if (exists)
        return error_wrap(crypto_read_key(buf_str(&stored->key_pem), &stored->pair.key), "%s",
                          path);
    if (has_certificate)
        return error_new(ERROR_INVALID_ARGUMENT, "%s: is missing although %s is there", path,
                         certificate_path);
    return make_key(path, stored);
}

/* --- certificates --- */

static struct error *issue_and_write(const char *path, const struct x509_issue *issue,
                                     const struct x509_pair *issuer, struct stored *stored)
{
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, FILE_MAX_BYTES);
    struct error *err = x509_issue(issue, stored->pair.key, issuer, &certificate);
    if (!err)
        err = crypto_write_certificate(certificate, &pem);
    if (!err)
        err = write_file(path, &pem);
    if (err)
        return err;
    X509_free(stored->pair.certificate);
    stored->pair.certificate = TAKE(certificate);
    buf_clear(&stored->certificate_pem);
    buf_add_str(&stored->certificate_pem, buf_str(&pem));
    return NULL;
}

static struct error *damaged(const char *path, const char *why, const char *other)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s: %s %s", path, why, other);
}

/* Whether what was read is what the layout promises. */
static struct error *check_pair(const char *path, const char *key_path, const char *ca_path,
                                const struct x509_pair *issuer, const struct stored *stored)
{
    X509 *certificate = stored->pair.certificate;
    crypto_begin();
    bool has_key = X509_check_private_key(certificate, stored->pair.key) == 1;
    EVP_PKEY *issuer_key = issuer ? issuer->key : stored->pair.key;
    bool is_issued = X509_verify(certificate, issuer_key) == 1;
    bool is_ca = issuer || X509_check_ca(certificate) == 1;
    crypto_begin();
    if (!has_key)
        return damaged(key_path, "does not belong to", path);
    if (!is_issued)
        return damaged(path, "was not issued by", ca_path);
    return is_ca ? NULL : damaged(path, "is not", "the certificate of an authority");
}

/* The last second of a life at which there is no need to renew yet. */
static int64_t renewal_after_s(int64_t from_s, int64_t until_s)
{
    return sat_sub_i64(until_s, sat_sub_i64(until_s, from_s) / PKI_RENEW_DIVISOR);
}

struct pair_order {
    const char *name; /* "apiserver" */
    const struct x509_issue *issue;
    const struct x509_pair *issuer; /* NULL: signs itself */
    int64_t now_s;
};

/* Renews the leaf when its time or its names say so; an authority must only not have ended. */
static struct error *refresh(const struct pair_order *order, const char *path,
                             struct stored *stored)
{
    X509 *certificate = stored->pair.certificate;
    int64_t from_s = 0, until_s = 0;
    struct error *err = x509_validity(certificate, &from_s, &until_s);
    if (err)
        return error_wrap(err, "%s", path);
    if (!order->issuer)
        return until_s > order->now_s ? NULL
                                      : error_new(ERROR_INVALID_ARGUMENT, "%s: has expired", path);
    /* One that begins later was made by a clock that was wrong, or is now. */
    bool must_renew = order->now_s < from_s || order->now_s > renewal_after_s(from_s, until_s);
    if (!must_renew && x509_covers(certificate, &order->issue->subject))
        return NULL;
    return issue_and_write(path, order->issue, order->issuer, stored);
}

static struct error *open_pair(const struct pki *pki, const struct pair_order *order,
                               struct stored *stored)
{
    AUTO(free) char *path = xasprintf("%s/%s.crt", pki->dir, order->name);
    AUTO(free) char *key_path = xasprintf("%s/%s.key", pki->dir, order->name);
    AUTO(free) char *ca_path = xasprintf("%s/ca.crt", pki->dir);
    bool has_certificate = false;
    struct error *err = read_file(path, &stored->certificate_pem, &has_certificate);
    if (!err)
        err = open_key(key_path, path, has_certificate, stored);
    if (err)
        return err;
    if (!has_certificate)
        return issue_and_write(path, order->issue, order->issuer, stored);
    err = error_wrap(
        crypto_read_certificate(buf_str(&stored->certificate_pem), &stored->pair.certificate), "%s",
        path);
    if (!err)
        err = check_pair(path, key_path, order->issuer ? ca_path : path, order->issuer, stored);
    if (!err)
        err = refresh(order, path, stored);
    return err;
}

static struct error *open_ca(struct pki *pki, int64_t now_s)
{
    static const char *const names[] = {"kubernetes"}; /* as kubeadm's */
    const struct x509_issue issue = {
        .role = X509_ROLE_CA,
        .subject = {.common_name = "kubernetes", .dns_names = {names, 1}},
        .not_before_s = now_s - PKI_BACKDATE_S,
        .not_after_s = now_s - PKI_BACKDATE_S + PKI_CA_LIFE_S,
    };
    const struct pair_order order = {.name = "ca", .issue = &issue, .now_s = now_s};
    return open_pair(pki, &order, &pki->ca);
}

static struct error *open_leaf(struct pki *pki, const char *name, enum x509_role role,
                               const struct x509_subject *subject, int64_t now_s,
                               struct stored *stored)
{
    const struct x509_issue issue = {
        .role = role,
        .subject = *subject,
        .not_before_s = now_s - PKI_BACKDATE_S,
        .not_after_s = now_s - PKI_BACKDATE_S + PKI_LEAF_LIFE_S,
    };
    const struct pair_order order = {
        .name = name, .issue = &issue, .issuer = &pki->ca.pair, .now_s = now_s};
    return open_pair(pki, &order, stored);
}

/* --- opening --- */

static struct error *open_server(struct pki *pki, const struct pki_options *options)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct x509_subject subject = {.common_name = "kube-apiserver"};
    struct error *err = pki_server_names(options, arena, &subject);
    if (!err)
        err = open_leaf(pki, "apiserver", X509_ROLE_SERVER, &subject, options->now_s, &pki->server);
    return err;
}

static struct error *open_clients(struct pki *pki, int64_t now_s)
{
    static const char *const masters[] = {"system:masters"}, *const nodes[] = {"system:nodes"};
    const struct x509_subject admin = {.organizations = {masters, 1}, .common_name = ADMIN_USER};
    struct error *err = open_leaf(pki, "admin", X509_ROLE_CLIENT, &admin, now_s, &pki->admin);
    if (err)
        return err;
    AUTO(free) char *user = xasprintf("system:node:%s", pki->node_name);
    AUTO(free) char *file = xasprintf("node-%s", pki->node_name);
    const struct x509_subject node = {.organizations = {nodes, 1}, .common_name = user};
    return open_leaf(pki, file, X509_ROLE_CLIENT, &node, now_s, &pki->node);
}

/* sa.pub can be made from sa.key at any time; it is there for people and other programs. */
static struct error *open_token_key(struct pki *pki)
{
    AUTO(free) char *path = path_join(pki->dir, "sa.key");
    AUTO(free) char *public_path = path_join(pki->dir, "sa.pub");
    AUTO(buf) struct buf wanted = {0}, found = {0};
    buf_init(&wanted, FILE_MAX_BYTES);
    buf_init(&found, FILE_MAX_BYTES);
    bool exists = false;
    struct error *err = read_file(public_path, &found, &exists);
    if (!err)
        err = open_key(path, public_path, exists, &pki->token);
    if (!err)
        err = crypto_write_public_key(pki->token.pair.key, &wanted);
    if (err)
        return err;
    if (exists && !str_eq(buf_str(&found), buf_str(&wanted)))
        return damaged(public_path, "does not belong to", path);
    return exists ? NULL : write_file(public_path, &wanted);
}

struct error *pki_open_blocking(const char *data_dir, const struct pki_options *options,
                                struct pki **ret)
{
    const char *why = name_check_dns1123_subdomain(str_from(options->node_name));
    if (why)
        return error_new(ERROR_INVALID_ARGUMENT, "node name \"%s\": %s", options->node_name, why);
    AUTO(pki) struct pki *pki = xcalloc(1, sizeof(*pki));
    pki->data_dir = xstrdup(data_dir);
    pki->dir = path_join(data_dir, "pki");
    pki->node_name = xstrdup(options->node_name);
    struct stored *const all[] = {&pki->ca, &pki->server, &pki->admin, &pki->node, &pki->token};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        stored_init(all[i]);

    struct error *err = fd_mkdir_all(pki->dir, DIR_MODE);
    if (!err)
        err = open_ca(pki, options->now_s);
    if (!err)
        err = open_server(pki, options);
    if (!err)
        err = open_clients(pki, options->now_s);
    if (!err)
        err = open_token_key(pki);
    if (!err)
        *ret = TAKE(pki);
    return err;
}

void pki_free(struct pki *pki)
{
    if (!pki)
        return;
    struct stored *const all[] = {&pki->ca, &pki->server, &pki->admin, &pki->node, &pki->token};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        stored_done(all[i]);
    free(pki->data_dir);
    free(pki->dir);
    free(pki->node_name);
    free(pki);
}

/* --- renewing --- */

int64_t pki_renewal_s(const struct pki *pki)
{
    const struct stored *const leaves[] = {&pki->server, &pki->admin, &pki->node};
    int64_t first_s = INT64_MAX;
    for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
        int64_t from_s = 0, until_s = 0;
        struct error *err = x509_validity(leaves[i]->pair.certificate, &from_s, &until_s);
        if (err)
            error_ignore(err, "they have been read before");
        first_s = min_i64(first_s, sat_add_i64(renewal_after_s(from_s, until_s), 1));
    }
    return first_s;
}

static void swap(struct stored *a, struct stored *b)
{
    struct stored kept = *a;
    *a = *b;
    *b = kept;
}

struct error *pki_adopt(struct pki *pki, struct pki *fresh_owned)
{
    AUTO(pki) struct pki *fresh = fresh_owned;
    if (!str_eq(buf_str(&fresh->ca.certificate_pem), buf_str(&pki->ca.certificate_pem)) ||
        !str_eq(buf_str(&fresh->ca.key_pem), buf_str(&pki->ca.key_pem)) ||
        !str_eq(buf_str(&fresh->token.key_pem), buf_str(&pki->token.key_pem)))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "%s: the authority or the key of tokens is another one than at the start; "
                         "only a restart takes it",
                         pki->dir);
    swap(&pki->server, &fresh->server);
    swap(&pki->admin, &fresh->admin);
    swap(&pki->node, &fresh->node);
    return NULL;
}

/* --- kubeconfigs --- */

static struct error *write_kubeconfig(const struct pki *pki, const char *file, const char *user,
                                      const char *server_url, const struct stored *who)
{
    const struct pki_kubeconfig config = {
        .server_url = server_url,
        .user = user,
        .ca_pem = pki_ca_pem(pki),
        .certificate_pem = buf_text(&who->certificate_pem),
        .key_pem = buf_text(&who->key_pem),
    };
    AUTO(free) char *path = path_join(pki->data_dir, file);
    AUTO(buf) struct buf wanted = {0}, found = {0};
    buf_init(&wanted, FILE_MAX_BYTES);
    buf_init(&found, FILE_MAX_BYTES);
    bool exists = false;
    struct error *err = pki_kubeconfig_text(&config, &wanted);
    if (!err)
        err = read_file(path, &found, &exists);
    if (!err && !(exists && str_eq(buf_str(&found), buf_str(&wanted))))
        err = write_file(path, &wanted);
    return err;
}

struct error *pki_write_kubeconfigs_blocking(const struct pki *pki, const char *server_url)
{
    struct error *err =
        write_kubeconfig(pki, "admin.kubeconfig", ADMIN_USER, server_url, &pki->admin);
    if (err)
        return err;
    AUTO(free) char *file = xasprintf("node-%s.kubeconfig", pki->node_name);
    AUTO(free) char *user = xasprintf("system:node:%s", pki->node_name);
    return write_kubeconfig(pki, file, user, server_url, &pki->node);
}

const char *pki_ca_pem(const struct pki *pki)
{
    return buf_text(&pki->ca.certificate_pem);
}

const char *pki_server_certificate_pem(const struct pki *pki)
{
    return buf_text(&pki->server.certificate_pem);
}

const char *pki_server_key_pem(const struct pki *pki)
{
    return buf_text(&pki->server.key_pem);
}

const char *pki_admin_certificate_pem(const struct pki *pki)
{
    return buf_text(&pki->admin.certificate_pem);
}

const char *pki_admin_key_pem(const struct pki *pki)
{
    return buf_text(&pki->admin.key_pem);
}

const char *pki_token_key_pem(const struct pki *pki)
{
    return buf_text(&pki->token.key_pem);
}

/* --- signing requests --- */

static void set_life(const struct pki_order *order, struct x509_issue *issue)
{
    int64_t life_s = order->has_expiration
                         ? clamp_i64(order->expiration_s, SIGN_MIN_S, PKI_LEAF_LIFE_S)
                         : PKI_LEAF_LIFE_S;
    issue->not_before_s = order->now_s - PKI_BACKDATE_S;
    /* A short life is not cut further by what was put in front. */
    issue->not_after_s = order->now_s + life_s - (life_s < SIGN_SHORT_S ? 0 : PKI_BACKDATE_S);
}

struct error *pki_sign_csr(const struct pki *pki, const struct pki_order *order,
                           struct arena *arena, const char **ret_pem)
{
    struct csr csr;
    struct error *err = csr_read(order->request_pem, arena, &csr);
    if (!err)
        err = csr_check(order->signer, &csr, &order->usages);
    AUTO(request) X509_REQ *request = NULL;
    if (!err)
        err = crypto_read_request(order->request_pem, &request);
    if (err)
        return err;
    struct x509_issue issue = {
        .role = order->signer == CSR_SIGNER_SERVING ? X509_ROLE_SERVER : X509_ROLE_CLIENT,
        .subject = {.organizations = csr.organizations,
                    .common_name = csr.common_name,
                    .dns_names = csr.dns_names,
                    .addresses = csr.addresses},
        .has_key_encipherment = text_list_has(&order->usages, "key encipherment"),
    };
    set_life(order, &issue);
    AUTO(certificate) X509 *certificate = NULL;
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, FILE_MAX_BYTES);
    err = x509_issue(&issue, X509_REQ_get0_pubkey(request), &pki->ca.pair, &certificate);
    if (!err)
        err = crypto_write_certificate(certificate, &pem);
    if (!err)
        *ret_pem = arena_strdup(arena, buf_text(&pem));
    return err;
}
