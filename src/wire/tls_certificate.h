/*
 * A certificate that a client showed in a handshake which did not look at it
 * (TLS_CLIENT_AUTH_UNVERIFIED), and its verification at the time somebody asks who the client is,
 * by the authorities trusted by then. So other authorities, or a certificate that runs out, take
 * effect on open connections, and whoever shows a bad certificate can be told so in HTTP. No
 * clock: time is passed in. Loop thread.
 */
#pragma once

#include "base/base.h"

struct tls_authorities; /* opaque, reference counted: whom to trust */
struct tls_certificate; /* opaque: with the chain that came with it; lives as long as its stream */

/** The certificates of @ca_pem (borrowed). INVALID_ARGUMENT `CA certificate: …` for a text that is
 * none. The caller owns *ret (one reference). */
MUST_CHECK struct error *tls_authorities_new(const char *ca_pem, struct tls_authorities **ret);
struct tls_authorities *tls_authorities_ref(struct tls_authorities *authorities);
void tls_authorities_unref(struct tls_authorities *authorities); /* NULL is fine */
DEFINE_AUTO(tls_authorities, struct tls_authorities *, tls_authorities_unref)

#define TLS_SHA256_BYTES 32

/** Whom a certificate is about; lives as long as the certificate. */
struct tls_subject {
    const char *common_name; /* "" when there is none; of several the last one, as in Go */
    const char *const *organizations;
    size_t organization_count;
    const char *uid;                  /* Kubernetes' 1.3.6.1.4.1.57683.2; NULL: none */
    uint8_t sha256[TLS_SHA256_BYTES]; /* of the certificate's DER */
};

/** Seconds since 1970 at which @certificate ends, as it says itself. */
int64_t tls_certificate_not_after_s(const struct tls_certificate *certificate);

/**
 * Who shows @certificate: when it is good for authenticating a client at @now_wall_ns, in the eyes
 * of @authorities. Else UNAUTHENTICATED, in Go's words: `tls: failed to verify certificate: x509:
 * certificate signed by unknown authority`. The verdict is kept with @certificate for as long as
 * the same authorities are asked and no date has passed, so that a request costs no signature.
 */
MUST_CHECK struct error *tls_certificate_verify(struct tls_certificate *certificate,
                                                struct tls_authorities *authorities,
                                                int64_t now_wall_ns,
                                                const struct tls_subject **ret);
