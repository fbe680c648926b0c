/*
 * nodeplane's certificates and keys: made on first start below the data directory, read again on
 * every later one, renewed when little of their life is left (at a start, and meanwhile by
 * plane/renewal.h), and used for signing requests.
 *
 *     DIR/pki/ca.crt, ca.key                  the authority of everything below, 10 years
 *     DIR/pki/apiserver.crt, apiserver.key    the server's own, 1 year
 *     DIR/pki/admin.crt, admin.key            O=system:masters, CN=kubernetes-admin, 1 year
 *     DIR/pki/node-NAME.crt, node-NAME.key    O=system:nodes, CN=system:node:NAME, 1 year
 *     DIR/pki/sa.key, sa.pub                  signs service-account tokens
 *     DIR/admin.kubeconfig, DIR/node-NAME.kubeconfig
 *
 * Directories are 0700 and files 0600, written whole (base/fd.h) and a key before its certificate,
 * so that a crash at any point leaves what the next start can finish. Renewing keeps the key and
 * replaces one file. Nothing damaged is ever replaced silently: it is an error that names the file.
 *
 * Functions ending in _blocking wait for the disk: at start, or on a worker. The rest is pure. Any
 * thread, one at a time.
 */
#pragma once

#include "base/arena.h"
#include "plane/csr.h"

#define PKI_CA_LIFE_S (INT64_C(10) * 365 * 24 * 3600)
#define PKI_LEAF_LIFE_S (INT64_C(365) * 24 * 3600)
#define PKI_RENEW_DIVISOR 5 /* renewed when less than a fifth of the life is left */

struct pki; /* opaque */

/** All borrowed for the call. */
struct pki_options {
    const char *node_name;   /* a DNS subdomain, as every node's name */
    const char *listen_host; /* address or name listened at; NULL, "", and 0.0.0.0 or :: add none */
    const char *host_name;   /* the machine's; NULL, "" or no DNS name: none */
    const char *service_range; /* "10.96.0.0/12", or two with a comma: the first address of each */
    struct text_list extra_names; /* further names and addresses of the server */
    int64_t now_s;                /* seconds since 1970 */
};

/**
 * Makes or reads everything of the list above but the kubeconfigs. The server certificate is issued
 * anew when it lacks a name that is wanted now. The caller owns *ret.
 * Errors: the errno's of the disk; INVALID_ARGUMENT for options that are wrong and, with the file's
 * path in front, for what is damaged: `DIR/pki/ca.key: not a PEM private key`, `…: does not belong
 * to …`, `…: was not issued by …`, `…: is missing although … is there`, `…: has expired` (the
 * authority only).
 */
MUST_CHECK struct error *pki_open_blocking(const char *data_dir, const struct pki_options *options,
                                           struct pki **ret);
void pki_free(struct pki *pki); /* NULL is fine */
DEFINE_AUTO(pki, struct pki *, pki_free)

/**
 * Writes both kubeconfigs for a server at @server_url ("https://127.0.0.1:6443"), with everything
 * inside them, unless they already say just that.
 */
MUST_CHECK struct error *pki_write_kubeconfigs_blocking(const struct pki *pki,
                                                        const char *server_url);

/** When the first certificate below the authority is due: a start from this moment on would renew
 * it. Seconds since 1970. */
int64_t pki_renewal_s(const struct pki *pki);
/**
 * Gives @pki the server's, the administrator's and the node's certificates of @fresh_owned, which
 * was opened later from the same directory. FAILED_PRECONDITION when the authority or the key of
 * tokens is not the same there: nothing changed.
 */
MUST_CHECK struct error *pki_adopt(struct pki *pki, struct pki *fresh_owned);

/* PEM texts, borrowed from @pki; the certificates and keys below the authority until pki_adopt().
 */
const char *pki_ca_pem(const struct pki *pki);
const char *pki_server_certificate_pem(const struct pki *pki);
const char *pki_server_key_pem(const struct pki *pki);
/** The administrator's, with which nodeplane also speaks to the node's server. */
const char *pki_admin_certificate_pem(const struct pki *pki);
const char *pki_admin_key_pem(const struct pki *pki);
/** The private key of service-account tokens, for jwt_key_new(). */
const char *pki_token_key_pem(const struct pki *pki);

/** What is to be signed. Borrowed for the call. */
struct pki_order {
    enum csr_signer signer;
    struct str request_pem;
    struct text_list usages; /* spec.usages */
    bool has_expiration;     /* spec.expirationSeconds was given */
    int64_t expiration_s;
    int64_t now_s;
};

/**
 * Signs an approved request as kube-controller-manager does: checked by csr_check() first, with the
 * request's organizations, common name, DNS names and addresses (nothing else of it), for the time
 * asked for, between 10 minutes and a year, never beyond the authority's own end. *ret_pem lives in
 * @arena. INVALID_ARGUMENT as csr_read() and csr_check().
 */
MUST_CHECK struct error *pki_sign_csr(const struct pki *pki, const struct pki_order *order,
                                      struct arena *arena, const char **ret_pem);
