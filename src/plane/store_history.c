#include "plane/store_history.h"

struct entry {
    struct store_change change;
    size_t size_bytes;
    char memory[]; /* the texts and bytes of the change */
};

struct store_history {
    size_t max_events;
    size_t max_bytes;
    struct entry **ring; /* entry @number sits at number modulo capacity, a power of two */
    size_t capacity;
    uint64_t first; /* number of the oldest entry */
    uint64_t next;  /* number of the next one to come */
    size_t size_bytes;
    int64_t floor;
};

struct store_history *store_history_new(size_t max_events, size_t max_bytes, int64_t floor)
{
    struct store_history *history = xcalloc(1, sizeof(*history));
    history->max_events = max_events;
    history->max_bytes = max_bytes;
    history->floor = floor;
    return history;
}

static struct entry **slot(const struct store_history *history, uint64_t number)
{
    return &history->ring[number & (history->capacity - 1)];
}

static void drop_first(struct store_history *history)
{
    struct entry **first = slot(history, history->first);
    history->floor = (*first)->change.revision;
    history->size_bytes -= (*first)->size_bytes;
    free(TAKE(*first));
    history->first++;
}

void store_history_free(struct store_history *history)
{
    if (!history)
        return;
    for (uint64_t i = history->first; i < history->next; i++)
        free(*slot(history, i));
    free(history->ring);
    free(history);
}

static void grow(struct store_history *history)
{
    size_t capacity = history->capacity ? history->capacity * 2 : 64;
    struct entry **ring = xcalloc(capacity, sizeof(void *));
    for (uint64_t i = history->first; i < history->next; i++)
        ring[i & (capacity - 1)] = *slot(history, i);
    free(history->ring);
    history->ring = ring;
    history->capacity = capacity;
}

static char *put_text(char *at, const char *text, const char **ret)
{
    size_t size = strlen(text) + 1;
    memcpy(at, text, size);
    *ret = at;
    return at + size;
}

static char *put_bytes(char *at, struct str bytes, struct str *ret)
{
    if (bytes.len > 0)
        memcpy(at, bytes.ptr, bytes.len);
    *ret = (struct str){.ptr = at, .len = bytes.len};
    return at + bytes.len;
}

void store_history_add(struct store_history *history, const struct store_change *change)
{
    if (history->next - history->first == history->capacity)
        grow(history);
    const struct store_key *key = &change->key;
    size_t size = strlen(key->resource) + strlen(key->namespace_) + strlen(key->name) + 3 +
                  change->bytes.len + change->before.len;
    struct entry *entry = xcalloc(1, sizeof(*entry) + size);
    entry->size_bytes = sizeof(*entry) + size;
    entry->change = *change;
    char *at = put_text(entry->memory, key->resource, &entry->change.key.resource);
    at = put_text(at, key->namespace_, &entry->change.key.namespace_);
    at = put_text(at, key->name, &entry->change.key.name);
    at = put_bytes(at, change->bytes, &entry->change.bytes);
    put_bytes(at, change->before, &entry->change.before);
    *slot(history, history->next) = entry;
    history->next++;
    history->size_bytes += entry->size_bytes;
}

void store_history_trim(struct store_history *history)
{
    while (history->first < history->next &&
           (history->next - history->first > history->max_events ||
            history->size_bytes > history->max_bytes))
        drop_first(history);
}

int64_t store_history_floor(const struct store_history *history)
{
    return history->floor;
}

uint64_t store_history_seek(const struct store_history *history, int64_t since)
{
    uint64_t low = history->first;
    uint64_t high = history->next;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if ((*slot(history, middle))->change.revision > since)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

const struct store_change *store_history_at(const struct store_history *history, uint64_t number)
{
    if (number < history->first || number >= history->next)
        return NULL;
    return &(*slot(history, number))->change;
}
