/*
 * Certificate signing requests, without signing: what a request asks for, whether its signer may
 * grant that (upstream's rules, pkg/apis/certificates and the signers of kube-controller-manager),
 * and who may have it approved without a person. Signing is pki_sign_csr(). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/text_list.h"

struct plane_user; /* plane/authn.h */

#define CSR_MAX_BYTES ((size_t)64 * KiB) /* of PEM; a longer request is refused unread */
#define CSR_MAX_NAMES ((size_t)256)      /* subject alternative names of one request */

enum csr_signer {
    CSR_SIGNER_CLIENT,         /* kubernetes.io/kube-apiserver-client */
    CSR_SIGNER_CLIENT_KUBELET, /* kubernetes.io/kube-apiserver-client-kubelet */
    CSR_SIGNER_SERVING,        /* kubernetes.io/kubelet-serving */
};

/** False for a name that is none of ours: such requests are stored and left to others. */
bool csr_signer_from_name(const char *name, enum csr_signer *ret);

/** What a request asks for. Everything lives in the arena it was read into. */
struct csr {
    const char *common_name; /* "" when there is none */
    struct text_list organizations;
    struct text_list dns_names;
    struct text_list addresses; /* "10.0.0.1", "fd00::1" */
    struct text_list emails;
    struct text_list uris;
};

/**
 * Reads a PEM certificate request and checks that it is signed with its own key. INVALID_ARGUMENT:
 * `PEM block type must be CERTIFICATE REQUEST`, `unable to verify certificate request signature`,
 * more than CSR_MAX_NAMES names, alternative names that do not read or come twice, or a name with a
 * NUL or control character inside.
 */
MUST_CHECK struct error *csr_read(struct str pem, struct arena *arena, struct csr *ret);

/**
 * Whether @signer may sign @csr with @usages (`spec.usages`). INVALID_ARGUMENT with upstream's
 * words otherwise, which belong into a Failed condition with reason SignerValidationFailure:
 * `subject organization is not system:nodes`, `usages did not match [client auth digital signature
 * key encipherment]`, …
 */
MUST_CHECK struct error *csr_check(enum csr_signer signer, const struct csr *csr,
                                   const struct text_list *usages);

/**
 * The admission rule on subjects (CertificateSubjectRestriction): NULL when fine, else why not, in
 * static memory: no client certificate of kube-apiserver-client may name system:masters.
 */
const char *csr_subject_restriction(enum csr_signer signer, const struct csr *csr);

/** A reason to approve a request by itself: granted when the user may create
 * certificatesigningrequests/<subresource> in certificates.k8s.io. Static texts. */
struct csr_approval {
    const char *subresource;
    const char *message; /* for the Approved condition, whose reason is "AutoApproved" */
};
#define CSR_APPROVALS_MAX 2

/**
 * The reasons that fit, in the order to try them, into @ret; returns how many: 0 means that a
 * person must decide. @asker is who created the request (spec.username). Upstream approves client
 * certificates of kubelets only: `selfnodeclient` when a node asks for itself, then `nodeclient`.
 * Beyond upstream a node's own serving certificate has `selfnodeserver`, which is granted to nobody
 * but system:masters unless a binding of authz says so.
 */
size_t csr_approvals(enum csr_signer signer, const struct csr *csr, const struct text_list *usages,
                     const struct plane_user *asker,
                     struct csr_approval ret[static CSR_APPROVALS_MAX]);
