#include "server/answer_cache.h"

#include "base/hash.h"

/* One answer's share of the texts at most, so that one cannot push all others out. */
#define TEXT_SHARE 4

/* Of those at the old end, so many are looked at for having expired with each new one: what
 * nobody asks for again does not stay for ever. */
#define SWEEP_COUNT 2

struct entry {
    UT_hash_handle hh; /* the table's order is that of use, the latest last */
    struct answer_key key;
    bool is_yes;
    uint32_t len;
    int64_t expires_ns;
    char text[];
};

struct answer_cache {
    struct answer_cache_limits limits;
    struct entry *entries;
    size_t bytes; /* of texts */
};

struct answer_cache *answer_cache_new(const struct answer_cache_limits *limits)
{
    struct answer_cache *cache = xcalloc(1, sizeof(*cache));
    ASSERT(limits->max_entries > 0);
    cache->limits = *limits;
    return cache;
}

static void drop(struct answer_cache *cache, struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(cache->entries, entry);
    cache->bytes -= entry->len;
    free(entry);
}

void answer_cache_free(struct answer_cache *cache)
{
    if (!cache)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next) {
        drop(cache, entry);
    }
    free(cache);
}

static struct entry *find(const struct answer_cache *cache, const struct answer_key *key)
{
    struct entry *entry;
    HASH_FIND(hh, cache->entries, key, sizeof(*key), entry);
    return entry;
}

static void add(struct answer_cache *cache, struct entry *entry)
{
    HASH_ADD(hh, cache->entries, key, sizeof(entry->key), entry);
}

bool answer_cache_get(struct answer_cache *cache, const struct answer_key *key, int64_t now_ns,
                      struct answer *ret)
{
    struct entry *entry = find(cache, key);
    if (!entry)
        return false;
    if (now_ns >= entry->expires_ns) {
        drop(cache, entry);
        return false;
    }
    if (entry->hh.next) { /* to the end of the order */
        HASH_DEL(cache->entries, entry);
        add(cache, entry);
    }
    *ret = (struct answer){.is_yes = entry->is_yes, .text = {entry->text, entry->len}};
    return true;
}

static void make_room(struct answer_cache *cache, size_t len, int64_t now_ns)
{
    for (size_t i = 0; i < SWEEP_COUNT && cache->entries; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash has unlinked what was freed, unseen */
        if (now_ns >= cache->entries->expires_ns)
            drop(cache, cache->entries);
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the same */
    while (cache->entries && (HASH_COUNT(cache->entries) >= cache->limits.max_entries ||
                              cache->bytes + len > cache->limits.max_bytes))
        drop(cache, cache->entries);
}

void answer_cache_put(struct answer_cache *cache, const struct answer_key *key,
                      const struct answer *answer, int64_t now_ns, int64_t expires_ns)
{
    size_t len = answer->text.len;
    struct entry *entry = find(cache, key);
    if (entry)
        drop(cache, entry);
    if (expires_ns <= now_ns || len > cache->limits.max_bytes / TEXT_SHARE || len > UINT32_MAX)
        return;
    make_room(cache, len, now_ns);
    entry = xcalloc(1, sizeof(*entry) + len);
    entry->key = *key;
    entry->is_yes = answer->is_yes;
    entry->len = (uint32_t)len;
    entry->expires_ns = expires_ns;
    if (len > 0)
        memcpy(entry->text, answer->text.ptr, len);
    add(cache, entry);
    cache->bytes += len;
}

size_t answer_cache_count(const struct answer_cache *cache)
{
    return HASH_COUNT(cache->entries);
}
