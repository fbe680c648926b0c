/*
 * TLS over a byte stream, both sides, by OpenSSL. A context holds what one side knows
 * (certificates, trust, protocol list) and may be replaced while connections made from the old one
 * go on; a TLS stream is a byte_stream again, so protocols do not know that it is there. No
 * descriptor, no clock of its own except OpenSSL's look at certificate dates. Loop thread; contexts
 * are reference counted because streams outlive a reload.
 */
#pragma once

#include "wire/byte_stream.h"

struct tls_context;     /* opaque, reference counted */
struct tls_certificate; /* wire/tls_certificate.h */

enum tls_client_auth {
    TLS_CLIENT_AUTH_NONE,       /* no certificate is asked for */
    TLS_CLIENT_AUTH_REQUEST,    /* asked for; who shows one that does not verify is refused */
    TLS_CLIENT_AUTH_OPTIONAL,   /* asked for; one that does not verify counts as none
                                   (kube-apiserver's way) */
    TLS_CLIENT_AUTH_UNVERIFIED, /* asked for and not looked at: wire/tls_certificate.h does that
                                   when a request comes (kubelet's way) */
};

/** PEM texts; NULL where there is none. All borrowed for the call. */
struct tls_options {
    const char *ca_pem;   /* whom to trust; NULL: the system's store (client), nobody (server) */
    const char *cert_pem; /* own chain, leaf first */
    const char *key_pem;
    const char *alpn;    /* comma-separated, best first: "h2,http/1.1"; NULL: no ALPN */
    int min_version;     /* 0x0301 (TLS 1.0) to 0x0304 (TLS 1.3); 0: TLS 1.2 */
    const char *ciphers; /* OpenSSL's names, colon-separated, up to TLS 1.2; NULL: Go's defaults */
    const char *groups;  /* OpenSSL's names of curves, colon-separated; NULL: OpenSSL's defaults */
    enum tls_client_auth client_auth; /* server only */
    bool insecure_skip_verify;        /* client only: anybody will do */
    /* Server only: there is no certificate yet, every handshake ends with the alert internal_error,
     * as a kubelet does it until its request is approved. */
    bool is_certificate_pending;
};

/** INVALID_ARGUMENT names the part that is wrong: `CA certificate`, `certificate`, `private key`,
 * `the private key does not belong to the certificate`. The caller owns *ret (one reference). */
MUST_CHECK struct error *tls_context_new_client(const struct tls_options *options,
                                                struct tls_context **ret);
MUST_CHECK struct error *tls_context_new_server(const struct tls_options *options,
                                                struct tls_context **ret);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL is fine */
DEFINE_AUTO(tls_context, struct tls_context *, tls_context_unref)

/**
 * What the peer's verified certificate says; lives as long as its stream. For authentication of
 * clients: user = common name, groups = organizations.
 */
struct tls_peer {
    const char *common_name; /* NULL when the peer showed no (valid) certificate */
    const char *const *organizations;
    size_t organization_count;
    int64_t not_after_s; /* seconds since 1970 */
    /* With TLS_CLIENT_AUTH_UNVERIFIED what was shown, of which nothing above is told; else NULL. */
    struct tls_certificate *certificate;
};

/** The handshake is over: @err (borrowed) NULL when it succeeded; then byte_stream calls work. */
typedef void tls_on_handshake(void *ctx, const struct error *err);

/**
 * Begins TLS over @inner_owned. @server_name (client side): the name or address the certificate
 * must be for, sent as SNI when it is a name. @on_handshake runs once, never from inside this call;
 * not after byte_stream_free(). A failed stream must still be freed by the caller. Errors of the
 * handshake are UNAVAILABLE, or UNAUTHENTICATED for a certificate that does not verify, with Go's
 * words where people know them: `tls: failed to verify certificate: x509: certificate signed by
 * unknown authority`, `x509: certificate has expired or is not yet valid`.
 */
struct byte_stream *tls_stream_new_client(struct loop *loop, struct tls_context *context,
                                          const char *server_name, struct byte_stream *inner_owned,
                                          tls_on_handshake *on_handshake, void *ctx);
struct byte_stream *tls_stream_new_server(struct loop *loop, struct tls_context *context,
                                          struct byte_stream *inner_owned,
                                          tls_on_handshake *on_handshake, void *ctx);
/** The reason of an error that says: the connection ended without the peer's goodbye. */
#define TLS_CUT_OFF "CutOff"

/** True after a handshake that failed because the peer speaks HTTP without TLS. */
bool tls_stream_has_met_http(const struct byte_stream *stream);
/** For a server's stream whose handshake has failed: when the client has begun to speak HTTP
 * instead it is sent @text as it is, as much as there is room for. */
void tls_stream_refuse_http(struct byte_stream *stream, const char *text);
/** The protocol agreed on by ALPN, or "". @stream is one of those above, after the handshake. */
const char *tls_stream_protocol(const struct byte_stream *stream);
const struct tls_peer *tls_stream_peer(const struct byte_stream *stream);
