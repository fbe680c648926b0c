/*
 * Shared by the files of plane/pki*.c. Pure. Any thread.
 */
#pragma once

#include "plane/pki.h"
#include "wire/x509.h"

/* Certificates begin this much before they are made, for clocks that are late. As upstream's signer
 * backdates (Backdate in pkg/controller/certificates/signer). */
#define PKI_BACKDATE_S (INT64_C(5) * 60)

/** The DNS names and addresses of the server, in @arena, into @ret. INVALID_ARGUMENT for one that
 * is neither and for a wrong service range. */
MUST_CHECK struct error *pki_server_names(const struct pki_options *options, struct arena *arena,
                                          struct x509_subject *ret);

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
