/*
 * Keeps a certificate of this node: what is on disk at the start, and a new one of the cluster
 * before the old one ends, when other names are wanted, or while there is none (spec node.md §2.5).
 * Loop thread; files are a worker's.
 */
#pragma once

#include "kube/api_client.h"
#include "kube/certificate_store.h"
#include "wire/x509.h"

struct certificate_manager; /* opaque */

/** None of them may free the manager; each may be NULL. */
struct certificate_listener {
    /** From now on: certificates, leaf first, and the key in one PEM text, borrowed for the call.
     * NULL: there is none, because nothing of use was on disk or its time has ended. */
    void (*on_certificate)(void *ctx, const char *pem);
    /** A certificate was replaced @age_ns after it began. */
    void (*on_rotated)(void *ctx, int64_t age_ns);
    /** A new certificate could not be had or not be stored; logged, and tried again later. */
    void (*on_renew_failed)(void *ctx);
};

/** Copied, but for what is said to be borrowed. */
struct certificate_manager_options {
    struct loop *loop;         /* borrowed */
    struct work_pool *pool;    /* borrowed */
    struct api_client *client; /* borrowed; NULL: nobody to ask */
    struct certificate_place place;
    const char *signer_name;   /* "kubernetes.io/kubelet-serving" */
    const char *const *usages; /* spec.usages, for a key that is not RSA's */
    size_t usage_count;
};

/** Begins to read what is on disk. @listener is borrowed for the manager's life; nothing is told
 * from inside this call. */
struct certificate_manager *certificate_manager_new(
    const struct certificate_manager_options *options, const struct certificate_listener *listener,
    void *ctx);
void certificate_manager_free(struct certificate_manager *manager); /* silence; NULL is fine */
DEFINE_AUTO(certificate_manager, struct certificate_manager *, certificate_manager_free)

/**
 * Whom the certificate is to be for (copied); NULL: not known (any more), so that none is asked
 * for. A request under way for another subject is given up, one for less than the certificate in
 * use holds is not made. Cheap when nothing has changed.
 */
void certificate_manager_want(struct certificate_manager *manager,
                              const struct x509_subject *subject);

/** When the certificate in use ends, in seconds since 1970; INT64_MAX: there is none. */
int64_t certificate_manager_end_s(const struct certificate_manager *manager);

/* --- its part, for tests --- */

/** When a certificate of that life is to be replaced: at 70 to 90 % of it. Pure. */
int64_t certificate_rotation_s(int64_t not_before_s, int64_t not_after_s, uint64_t random);
