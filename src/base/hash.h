/*
 * The house's door to Debian's uthash and utlist. Include it from .c files only (library macros do
 * not leak through doors), or from headers that embed a UT_hash_handle. Keyed hash: outside data
 * cannot choose buckets.
 */
#pragma once

#include "base/base.h"

#define uthash_fatal(message) base_die("uthash: %s", message)
#define HASH_FUNCTION(key, key_len, ret) ((ret) = hash_bytes((key), (key_len)))

#include <uthash.h>
#include <utlist.h>

/** SipHash-like keyed 32-bit hash; the process-wide key is drawn at first use. */
unsigned hash_bytes(const void *bytes, size_t len);

/** FNV-1a, the hashes Kubernetes writes into names and annotations. */
uint32_t hash_fnv1a_32(const void *bytes, size_t len);
uint64_t hash_fnv1a_64(const void *bytes, size_t len);
/** Continues a 32-bit hash: start with HASH_FNV32_START. */
uint32_t hash_fnv1a_32_add(uint32_t hash, const void *bytes, size_t len);
#define HASH_FNV32_START UINT32_C(0x811c9dc5)

struct hash128 {
    uint64_t high, low;
};
/** FNV-1a over 128 bits, for static pod UIDs. */
struct hash128 hash_fnv1a_128(const void *bytes, size_t len);
