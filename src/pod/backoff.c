#include "pod/backoff.h"

#include "base/hash.h"

struct entry {
    int64_t wait_ns;
    int64_t restarted_ns;
    UT_hash_handle hh;
    char key[];
};

struct backoff {
    struct backoff_policy policy;
    struct entry *entries; /* hash head; the table owns every entry */
};

static struct entry *find(const struct backoff *table, const char *key)
{
    struct entry *entry;
    HASH_FIND_STR(table->entries, key, entry);
    return entry;
}

static struct entry *add(struct backoff *table, const char *key)
{
    size_t len = strlen(key);
    struct entry *entry = xcalloc(1, sizeof(*entry) + len + 1);
    memcpy(entry->key, key, len);
    HASH_ADD_KEYPTR(hh, table->entries, entry->key, len, entry);
    return entry;
}

static void drop(struct backoff *table, struct entry *entry)
{
    /* NOLINTNEXTLINE(clang-analyzer-*): uthash unlinks it, unseen */
    HASH_DEL(table->entries, entry);
    free(entry);
}

/* A run that outlived the reset time proves the container healthy again. */
static bool has_recovered(const struct backoff *table, const struct entry *entry, int64_t at_ns)
{
    return sat_sub_i64(at_ns, entry->restarted_ns) > table->policy.reset_ns;
}

struct backoff *backoff_new(const struct backoff_policy *policy)
{
    struct backoff *table = xcalloc(1, sizeof(*table));
    table->policy = *policy;
    table->policy.initial_ns = min_i64(policy->initial_ns, policy->max_ns);
    return table;
}

void backoff_free(struct backoff *table)
{
    if (!table)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, table->entries, entry, next)
        drop(table, entry);
    free(table);
}

int64_t backoff_remaining(const struct backoff *table, const char *key, int64_t ended_ns,
                          int64_t now_ns)
{
    const struct entry *entry = find(table, key);
    if (!entry || has_recovered(table, entry, ended_ns))
        return 0;
    /* The clamp keeps a clock that was set back from stretching the wait. */
    int64_t elapsed_ns = sat_sub_i64(now_ns, ended_ns);
    return clamp_i64(sat_sub_i64(entry->wait_ns, elapsed_ns), 0, entry->wait_ns);
}

int64_t backoff_wait(const struct backoff *table, const char *key)
{
    const struct entry *entry = find(table, key);
    return entry ? entry->wait_ns : 0;
}

struct error *backoff_note_restart(struct backoff *table, const char *key, int64_t ended_ns,
                                   int64_t now_ns)
{
    struct entry *entry = find(table, key);
    if (!entry && HASH_COUNT(table->entries) >= table->policy.max_entries)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "back-off table is full at %zu containers",
                         table->policy.max_entries);
    if (!entry)
        entry = add(table, key);

    if (entry->wait_ns == 0 || has_recovered(table, entry, ended_ns))
        entry->wait_ns = table->policy.initial_ns;
    else
        entry->wait_ns = clamp_i64(sat_mul_i64(entry->wait_ns, 2), 0, table->policy.max_ns);
    entry->restarted_ns = now_ns;
    return NULL;
}

void backoff_restore(struct backoff *table, const char *key, int64_t wait_ns, int64_t restarted_ns)
{
    struct entry *entry = find(table, key);
    if (!entry && HASH_COUNT(table->entries) >= table->policy.max_entries)
        return;
    if (!entry)
        entry = add(table, key);
    entry->wait_ns = clamp_i64(wait_ns, 0, table->policy.max_ns);
    entry->restarted_ns = restarted_ns;
}

bool backoff_get(const struct backoff *table, const char *key, int64_t *ret_wait_ns,
                 int64_t *ret_restarted_ns)
{
    const struct entry *entry = find(table, key);
    if (!entry)
        return false;
    *ret_wait_ns = entry->wait_ns;
    *ret_restarted_ns = entry->restarted_ns;
    return true;
}

void backoff_prune(struct backoff *table, int64_t now_ns,
                   void (*on_forgotten)(void *ctx, const char *key), void *ctx)
{
    struct entry *entry, *next;
    HASH_ITER(hh, table->entries, entry, next) {
        if (!has_recovered(table, entry, now_ns))
            continue;
        if (on_forgotten)
            on_forgotten(ctx, entry->key);
        drop(table, entry);
    }
}
