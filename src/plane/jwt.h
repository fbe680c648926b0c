/*
 * Service-account tokens: JSON Web Tokens signed with ES256 (RFC 7515, 7518, 7519), and the two
 * documents by which others verify them (OpenID Connect discovery, JSON Web Key Set). Knows
 * signatures, times and audiences; whether the objects a token names still exist is authn's affair.
 * No clock, no I/O. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/text_list.h"

#define JWT_MAX_BYTES (16 * KiB)       /* a longer token is refused unread */
#define JWT_MAX_AUDIENCES ((size_t)32) /* in one token */
/* How far clocks may differ; go-jose's default leeway, which kube-apiserver uses. */
#define JWT_LEEWAY_S INT64_C(60)

struct jwt_key; /* opaque: a P-256 key pair */

/** Reads a PEM private key. INVALID_ARGUMENT when it is none, or not one of P-256. The caller owns
 * *ret. */
MUST_CHECK struct error *jwt_key_new(const char *pem, struct jwt_key **ret);
void jwt_key_free(struct jwt_key *key); /* NULL is fine */
DEFINE_AUTO(jwt_key, struct jwt_key *, jwt_key_free)
/** The key's identifier in token headers and in the JWKS: the unpadded base64url SHA-256 of the
 * public key's DER. Borrowed from @key. */
const char *jwt_key_id(const struct jwt_key *key);

/** An object a token is bound to; `name` NULL when it is not bound to such an object. */
struct jwt_ref {
    const char *name;
    const char *uid; /* of a token that was read: never NULL beside a name, "" when it said none */
};

/** What a token says. Times are seconds since 1970. */
struct jwt_claims {
    const char *issuer;
    const char *subject; /* "system:serviceaccount:<namespace>:<name>" */
    struct text_list audiences;
    int64_t expires_s;
    int64_t issued_s;
    int64_t not_before_s;
    const char *id; /* jti */
    /* below "kubernetes.io" */
    const char *namespace_;
    struct jwt_ref service_account;
    struct jwt_ref pod;
    struct jwt_ref node;
    struct jwt_ref secret;
    bool has_warn_after; /* the token lives longer than was asked for; see below */
    int64_t warn_after_s;
};

/**
 * Appends the token for @claims to @out. Members are in the order kube-apiserver writes them
 * (sorted), so that equal claims give equal payloads. RESOURCE_EXHAUSTED for what would be longer
 * than JWT_MAX_BYTES or for more than JWT_MAX_AUDIENCES: nobody could verify it.
 */
MUST_CHECK struct error *jwt_sign(const struct jwt_key *key, const struct jwt_claims *claims,
                                  struct buf *out);

/** The issuer a token claims, without verifying anything, in @arena; NULL when @token is no JWT at
 * all. For deciding whose token it is. */
const char *jwt_peek_issuer(struct str token, struct arena *arena);

struct jwt_expectations {
    const char *issuer;
    int64_t now_s;
    /* The token must be for one of these; none: any audience will do. */
    struct text_list audiences;
};

/**
 * Verifies @token and reads its claims into *ret, which live in @arena. UNAUTHENTICATED says why
 * not: `service account token has expired`, `service account token is not valid yet`, `token
 * audiences ["x"] is invalid for the target audiences ["y"]`, `invalid signature`, … A header that
 * names another algorithm or key than ours, or `crit`, is refused.
 */
MUST_CHECK struct error *jwt_verify(const struct jwt_key *key, struct str token,
                                    const struct jwt_expectations *expectations,
                                    struct arena *arena, struct jwt_claims *ret);

/** Appends the JSON Web Key Set of @key, for /openid/v1/jwks. */
void jwt_write_jwks(const struct jwt_key *key, struct buf *out);
/** Appends the discovery document, for /.well-known/openid-configuration. */
void jwt_write_discovery(const char *issuer, const char *jwks_uri, struct buf *out);
