/*
 * Asks the cluster for a certificate (certificates.k8s.io/v1): creates a CertificateSigningRequest
 * and watches it until it is signed, denied, failed or gone, or patience has ended. Loop thread.
 */
#pragma once

#include "kube/api_client.h"

struct certificate_request; /* opaque */

#define CERTIFICATE_REQUEST_PATIENCE_NS (900 * NS_PER_SEC)

/** Copied. */
struct certificate_request_options {
    const char *signer_name;   /* "kubernetes.io/kubelet-serving" */
    const char *const *usages; /* spec.usages, in this order */
    size_t usage_count;
    struct str request_pem;
};

/** @certificate_pem is what was signed, borrowed; empty with @err_owned. */
typedef void certificate_on_signed(void *ctx, struct str certificate_pem, struct error *err_owned);

/**
 * Begins. @on_signed runs once, when the request is no more; not from inside this call. Errors:
 * those of the API server, `certificate signing request is denied, reason: R, message: M`,
 * DEADLINE_EXCEEDED `timed out waiting for the condition`.
 */
struct certificate_request *certificate_request_start(
    struct loop *loop, struct api_client *client, const struct certificate_request_options *options,
    certificate_on_signed *on_signed, void *ctx);
/** Silence; the object stays with the server, whose controllers remove it. NULL is fine. */
void certificate_request_cancel(struct certificate_request *request);
