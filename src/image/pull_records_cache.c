#include "image/pull_records_cache.h"

#include "base/hash.h"

struct entry {
    char name[PULL_RECORD_NAME_SIZE];
    enum pull_file_state state;
    char *text; /* owned; NULL unless readable */
    size_t len;
    UT_hash_handle hh; /* the order of use, the oldest first */
};

struct pull_cache {
    struct entry *entries; /* hash head by name */
    size_t max_entries, bytes;
    bool is_complete;
};

struct pull_cache *pull_cache_new(size_t max_entries)
{
    ASSERT(max_entries > 0);
    struct pull_cache *cache = xcalloc(1, sizeof(*cache));
    cache->max_entries = max_entries;
    return cache;
}

static void drop(struct pull_cache *cache, struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(cache->entries, entry);
    cache->bytes -= entry->len;
    free(entry->text);
    free(entry);
}

void pull_cache_free(struct pull_cache *cache)
{
    if (!cache)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next)
        drop(cache, entry);
    free(cache);
}

static bool is_full(const struct pull_cache *cache)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash has unlinked what was freed, unseen */
    return HASH_COUNT(cache->entries) > cache->max_entries || cache->bytes > PULL_CACHE_MAX_BYTES;
}

/* What is not there is no news of a complete cache, and so can always go. */
static void make_room(struct pull_cache *cache, const struct entry *newest)
{
    while (cache->entries && cache->entries != newest && is_full(cache)) {
        struct entry *oldest = cache->entries;
        cache->is_complete = cache->is_complete && oldest->state == PULL_FILE_ABSENT;
        drop(cache, oldest);
    }
}

void pull_cache_put(struct pull_cache *cache, const struct pull_file *file)
{
    struct entry *entry;
    HASH_FIND_STR(cache->entries, file->name, entry);
    if (entry)
        drop(cache, entry);
    if (file->state == PULL_FILE_ABSENT && cache->is_complete)
        return;
    entry = xcalloc(1, sizeof(*entry));
    memcpy(entry->name, file->name, sizeof(entry->name));
    entry->state = file->state;
    if (file->state == PULL_FILE_READABLE) {
        entry->text = xstrndup(file->text.ptr, file->text.len);
        entry->len = file->text.len;
    }
    cache->bytes += entry->len;
    HASH_ADD_STR(cache->entries, name, entry);
    make_room(cache, entry);
}

void pull_cache_set_complete(struct pull_cache *cache)
{
    cache->is_complete = true;
}

bool pull_cache_get(struct pull_cache *cache, const char *name, struct pull_file *ret)
{
    struct entry *entry;
    HASH_FIND_STR(cache->entries, name, entry);
    *ret = (struct pull_file){.state = PULL_FILE_ABSENT};
    memcpy(ret->name, name, sizeof(ret->name));
    if (!entry)
        return cache->is_complete;
    HASH_DEL(cache->entries, entry);
    HASH_ADD_STR(cache->entries, name, entry);
    ret->state = entry->state;
    ret->text = (struct str){.ptr = entry->text, .len = entry->len};
    return true;
}

double pull_cache_usage(const struct pull_cache *cache)
{
    return 100.0 * HASH_COUNT(cache->entries) / (double)cache->max_entries;
}
