/*
 * What TLS settings are called outside (IANA's names of cipher suites and numbers of curves), told
 * in the words of the OpenSSL at hand. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/text_list.h"

struct tls_suites {
    /* For struct tls_options, in the order in which Go prefers them, whatever the order asked for.
     * NULL: nothing of what was asked for is of use up to TLS 1.2, so only TLS 1.3 is left, whose
     * suites nobody chooses. */
    const char *ciphers;
    struct text_list insecure; /* asked for although Go calls them insecure */
    struct text_list missing;  /* asked for, and OpenSSL does not have them */
};

/**
 * The suites of @names; everything of *ret lives in @arena. INVALID_ARGUMENT: `Cipher suite <x> not
 * supported or doesn't exist`.
 */
MUST_CHECK struct error *tls_suites_choose(const struct text_list *names, struct arena *arena,
                                           struct tls_suites *ret);

/**
 * The curves of @ids (23, 24, 25, 29, 4587, 4588, 4589) for struct tls_options, in the order in
 * which Go prefers them; in @arena; NULL when @count is 0. INVALID_ARGUMENT for any other number,
 * FAILED_PRECONDITION for one that OpenSSL does not have.
 */
MUST_CHECK struct error *tls_groups_choose(const int32_t *ids, size_t count, struct arena *arena,
                                           const char **ret);
