/*
 * Shared by the files of plane/pki*.c: issuing one certificate. Pure but for random serial numbers.
 * Any thread.
 */
#pragma once

#include "plane/crypto.h"
#include "plane/pki.h"

/* Certificates begin this much before they are made, for clocks that are late. As upstream's signer
 * backdates (Backdate in pkg/controller/certificates/signer). */
#define PKI_BACKDATE_S (INT64_C(5) * 60)

enum pki_role { PKI_ROLE_CA, PKI_ROLE_SERVER, PKI_ROLE_CLIENT };

/** A pair; either may be NULL while it is being made. Owned by who holds the struct. */
struct pki_pair {
    struct evp_pkey_st *key;
    struct x509_st *certificate;
};

struct pki_subject {
    struct text_list organizations;
    const char *common_name;
    struct text_list dns_names;
    struct text_list addresses;
};

struct pki_issue {
    enum pki_role role;
    struct pki_subject subject;
    bool has_key_encipherment;
    int64_t not_before_s;
    int64_t not_after_s; /* cut to the issuer's end */
};

/**
 * Issues a certificate for the public part of @key. @issuer NULL: signed with @key itself, which
 * must be private then. The caller owns *ret.
 */
MUST_CHECK struct error *pki_issue(const struct pki_issue *issue, struct evp_pkey_st *key,
                                   const struct pki_pair *issuer, struct x509_st **ret);

/** The DNS names and addresses of the server, in @arena, into @ret. INVALID_ARGUMENT for one that
 * is neither and for a wrong service range. */
MUST_CHECK struct error *pki_server_names(const struct pki_options *options, struct arena *arena,
                                          struct pki_subject *ret);

/** The times of @certificate in seconds since 1970. */
MUST_CHECK struct error *pki_validity(const struct x509_st *certificate, int64_t *ret_not_before_s,
                                      int64_t *ret_not_after_s);

/** True when @certificate holds each of the DNS names and addresses of @subject. */
bool pki_covers(struct x509_st *certificate, const struct pki_subject *subject);

/** True when @text is an IPv4 or IPv6 address. */
bool pki_is_address(const char *text);

/** What a kubeconfig holds. Borrowed. */
struct pki_kubeconfig {
    const char *server_url;
    const char *user; /* "kubernetes-admin" */
    const char *ca_pem;
    const char *certificate_pem;
    const char *key_pem;
};
/** Appends the kubeconfig as YAML. */
MUST_CHECK struct error *pki_kubeconfig_text(const struct pki_kubeconfig *config, struct buf *out);
