/*
 * Answers of somebody else, kept for a while by the digest of the question. When there are too many
 * the one that has not been asked for the longest goes. Bookkeeping only: no clock, no I/O. Times
 * are monotonic nanoseconds. Loop thread.
 */
#pragma once

#include "base/base.h"

#define ANSWER_KEY_BYTES 32

struct answer_key {
    uint8_t bytes[ANSWER_KEY_BYTES];
};

struct answer {
    bool is_yes;
    struct str text; /* what goes with it; may be empty */
};

struct answer_cache; /* opaque */

struct answer_cache_limits {
    size_t max_entries;
    size_t max_bytes; /* of all texts */
};

/** Makes an empty cache; the caller owns it. */
struct answer_cache *answer_cache_new(const struct answer_cache_limits *limits);
void answer_cache_free(struct answer_cache *cache); /* NULL is fine */
DEFINE_AUTO(answer_cache, struct answer_cache *, answer_cache_free)

/** True when there is an answer that has not expired at @now_ns; its text is valid until the next
 * change. */
bool answer_cache_get(struct answer_cache *cache, const struct answer_key *key, int64_t now_ns,
                      struct answer *ret);

/**
 * Keeps a copy of @answer until @expires_ns, in the place of one with the same key. One that has no
 * time to live, or a text beyond a quarter of the limit, is not kept.
 */
void answer_cache_put(struct answer_cache *cache, const struct answer_key *key,
                      const struct answer *answer, int64_t now_ns, int64_t expires_ns);

/** Answers there are, expired ones among them: those go when somebody stumbles over them. */
size_t answer_cache_count(const struct answer_cache *cache);
