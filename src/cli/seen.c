#include "cli/seen.h"

#include "base/hash.h"

struct entry {
    char *key, *state; /* owned */
    unsigned round;    /* in which it was last noted */
    UT_hash_handle hh;
};

struct seen {
    struct entry *entries;
    unsigned round;
};

static void entry_free(struct entry *entry)
{
    free(entry->key);
    free(entry->state);
    free(entry);
}

struct seen *seen_new(void)
{
    return xcalloc(1, sizeof(struct seen));
}

void seen_free(struct seen *seen)
{
    if (!seen)
        return;
    struct entry *entry, *next;
    HASH_ITER(hh, seen->entries, entry, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        HASH_DEL(seen->entries, entry);
        entry_free(entry);
    }
    free(seen);
}

bool seen_note(struct seen *seen, const char *key, const char *state)
{
    struct entry *entry;
    HASH_FIND_STR(seen->entries, key, entry);
    if (!entry) {
        entry = xcalloc(1, sizeof(*entry));
        entry->key = xstrdup(key);
        HASH_ADD_KEYPTR(hh, seen->entries, entry->key, strlen(entry->key), entry);
    }
    entry->round = seen->round;
    if (text_eq(entry->state, state))
        return false;
    free(entry->state);
    entry->state = xstrdup(state);
    return true;
}

void seen_end_round(struct seen *seen)
{
    struct entry *entry, *next;
    HASH_ITER(hh, seen->entries, entry, next) {
        if (entry->round == seen->round)
            continue;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        HASH_DEL(seen->entries, entry);
        entry_free(entry);
    }
    seen->round++;
}
