/*
 * X.509 certificates beyond reading their PEM: issuing one, asking for one, and what one says. Pure
 * but for random serial numbers. Any thread.
 */
#pragma once

#include "base/text_list.h"
#include "wire/crypto.h"

enum x509_role { X509_ROLE_CA, X509_ROLE_SERVER, X509_ROLE_CLIENT };

/** A pair; either may be NULL while it is being made. Owned by who holds the struct. */
struct x509_pair {
    struct evp_pkey_st *key;
    struct x509_st *certificate;
};

struct x509_subject {
    struct text_list organizations;
    const char *common_name; /* "": none */
    struct text_list dns_names;
    struct text_list addresses; /* "10.0.0.1", "fd00::1" */
};

struct x509_issue {
    enum x509_role role;
    struct x509_subject subject;
    bool has_key_encipherment;
    int64_t not_before_s;
    int64_t not_after_s; /* cut to the issuer's end */
};

/**
 * Issues a certificate for the public part of @key. @issuer NULL: signed with @key itself, which
 * must be private then. The caller owns *ret.
 */
MUST_CHECK struct error *x509_issue(const struct x509_issue *issue, struct evp_pkey_st *key,
                                    const struct x509_pair *issuer, struct x509_st **ret);

/** Appends a certificate signing request for @subject as PEM, signed with the private @key. */
MUST_CHECK struct error *x509_write_request(const struct x509_subject *subject,
                                            struct evp_pkey_st *key, struct buf *out);

/** The times of @certificate in seconds since 1970. */
MUST_CHECK struct error *x509_validity(const struct x509_st *certificate, int64_t *ret_not_before_s,
                                       int64_t *ret_not_after_s);

/** True when @certificate holds each of the DNS names and addresses of @subject. */
bool x509_covers(struct x509_st *certificate, const struct x509_subject *subject);
/** True when @certificate is @subject's: its common name and each of its organizations. */
bool x509_is_of(const struct x509_st *certificate, const struct x509_subject *subject);

/** True when @text is an IPv4 or IPv6 address. */
bool x509_is_address(const char *text);
