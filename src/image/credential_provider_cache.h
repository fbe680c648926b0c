/*
 * What one credential provider plugin has answered, until it expires (spec pods.md §6.5).
 * Bookkeeping only: no clock, no I/O. Loop thread. Times are monotonic nanoseconds.
 */
#pragma once

#include "image/credential_provider_codec.h"

#define CREDENTIAL_CACHE_PURGE_NS (15 * (60 * NS_PER_SEC)) /* plugin.go: cachePurgeInterval */
#define CREDENTIAL_CACHE_MAX_ENTRIES 1024                  /* what expires first goes first */

struct credential_cache; /* opaque */

struct credential_cache *credential_cache_new(int64_t now_ns);
void credential_cache_free(struct credential_cache *cache); /* NULL is fine */
DEFINE_AUTO(credential_cache, struct credential_cache *, credential_cache_free)

/**
 * What is known for @image (a repository): for itself, for its registry, for all. @account sets
 * apart those who must not share: "" for a plugin that gets no token. NULL: nothing that is still
 * good. Drops what has expired, of others every quarter of an hour. Borrowed until the next call.
 */
const struct credential_set *credential_cache_find(struct credential_cache *cache,
                                                   const char *image, struct str account,
                                                   int64_t now_ns);
/** Remembers the set of @response (taken over) up to and with @expires_ns, in place of what was
 * there. */
void credential_cache_put(struct credential_cache *cache, const char *image, struct str account,
                          struct credential_response *response, int64_t expires_ns);
size_t credential_cache_count(const struct credential_cache *cache);
