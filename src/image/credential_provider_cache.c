#include "image/credential_provider_cache.h"

#include "base/hash.h"

#define KEY_MAX_BYTES (64 * MiB) /* never met: an image is a part of an object */

struct entry {
    UT_hash_handle hh;
    struct credential_set set;
    int64_t expires_ns;
    size_t key_len;
    char key[];
};

struct credential_cache {
    struct entry *entries; /* hash head; the cache owns every entry */
    int64_t purged_ns;
};

/* Kind of key, what it names, NUL, account; in @out. */
static void make_key(enum credential_cache_key kind, const char *image, struct str account,
                     struct buf *out)
{
    buf_init(out, KEY_MAX_BYTES);
    buf_add_char(out, (char)('0' + (int)kind));
    struct str name = str_from(image);
    if (kind == CREDENTIAL_CACHE_REGISTRY)
        name.len = str_find(name, '/');
    if (kind != CREDENTIAL_CACHE_GLOBAL)
        buf_add_str(out, name);
    buf_add_char(out, '\0');
    buf_add_str(out, account);
    ASSERT(!out->overflowed); /* a part of a key could be another's */
}

static void drop(struct credential_cache *cache, struct entry *entry)
{
    HASH_DEL(cache->entries, entry);
    credential_set_done(&entry->set);
    free(entry);
}

struct credential_cache *credential_cache_new(int64_t now_ns)
{
    struct credential_cache *cache = xcalloc(1, sizeof(*cache));
    cache->purged_ns = now_ns;
    return cache;
}

void credential_cache_free(struct credential_cache *cache)
{
    while (cache && cache->entries)
        drop(cache, cache->entries);
    free(cache);
}

static void purge(struct credential_cache *cache, int64_t now_ns)
{
    if (now_ns <= sat_add_i64(cache->purged_ns, CREDENTIAL_CACHE_PURGE_NS))
        return;
    cache->purged_ns = now_ns;
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next) {
        if (now_ns > entry->expires_ns)
            drop(cache, entry);
    }
}

static struct entry *find(const struct credential_cache *cache, enum credential_cache_key kind,
                          const char *image, struct str account)
{
    AUTO(buf) struct buf key;
    make_key(kind, image, account, &key);
    struct entry *entry;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash has unlinked what was freed, unseen */
    HASH_FIND(hh, cache->entries, key.data, key.len, entry);
    return entry;
}

const struct credential_set *credential_cache_find(struct credential_cache *cache,
                                                   const char *image, struct str account,
                                                   int64_t now_ns)
{
    purge(cache, now_ns);
    for (int kind = CREDENTIAL_CACHE_IMAGE; kind <= CREDENTIAL_CACHE_GLOBAL; kind++) {
        struct entry *entry = find(cache, (enum credential_cache_key)kind, image, account);
        if (entry && now_ns <= entry->expires_ns)
            return &entry->set;
        if (entry)
            drop(cache, entry);
    }
    return NULL;
}

static void make_room(struct credential_cache *cache)
{
    if (HASH_COUNT(cache->entries) < CREDENTIAL_CACHE_MAX_ENTRIES)
        return;
    struct entry *first = cache->entries, *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next) {
        if (entry->expires_ns < first->expires_ns)
            first = entry;
    }
    drop(cache, first);
}

static struct entry *add(struct credential_cache *cache, enum credential_cache_key kind,
                         const char *image, struct str account)
{
    make_room(cache);
    AUTO(buf) struct buf key;
    make_key(kind, image, account, &key);
    struct entry *entry = xcalloc(1, sizeof(*entry) + key.len);
    entry->key_len = key.len;
    memcpy(entry->key, key.data, key.len);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the same */
    HASH_ADD_KEYPTR(hh, cache->entries, entry->key, entry->key_len, entry);
    return entry;
}

void credential_cache_put(struct credential_cache *cache, const char *image, struct str account,
                          struct credential_response *response, int64_t expires_ns)
{
    struct entry *entry = find(cache, response->cache_key, image, account);
    if (!entry)
        entry = add(cache, response->cache_key, image, account);
    credential_set_done(&entry->set);
    entry->set = response->set;
    response->set = (struct credential_set){0};
    entry->expires_ns = expires_ns;
}

size_t credential_cache_count(const struct credential_cache *cache)
{
    return HASH_COUNT(cache->entries);
}
