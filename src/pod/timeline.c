#include "pod/timeline.h"

static void entry_done(struct timeline_entry *entry)
{
    free((char *)(uintptr_t)entry->reason);
    free((char *)(uintptr_t)entry->container);
    free((char *)(uintptr_t)entry->message);
    *entry = (struct timeline_entry){0};
}

void timeline_done(struct timeline *timeline)
{
    for (size_t i = 0; i < timeline->capacity; i++)
        entry_done(&timeline->entries[i]);
    free(timeline->entries);
    *timeline = (struct timeline){0};
}

const struct timeline_entry *timeline_at(const struct timeline *timeline, size_t index)
{
    ASSERT(index < timeline->count);
    return &timeline->entries[(timeline->start + index) % timeline->capacity];
}

static struct timeline_entry *find_repeat(struct timeline *timeline, enum timeline_type type,
                                          const char *reason, const char *container,
                                          const char *message)
{
    for (size_t i = timeline->count; i-- > 0;) {
        struct timeline_entry *entry =
            &timeline->entries[(timeline->start + i) % timeline->capacity];
        if (entry->type == type && text_eq(entry->reason, reason) &&
            text_eq(entry->container, container) && text_eq(entry->message, message))
            return entry;
    }
    return NULL;
}

/* The ring is short for most pods: it grows by doubling up to its maximum and only then turns. */
static struct timeline_entry *new_entry(struct timeline *timeline)
{
    if (timeline->count == TIMELINE_MAX_ENTRIES) {
        struct timeline_entry *oldest = &timeline->entries[timeline->start];
        entry_done(oldest);
        timeline->start = (timeline->start + 1) % timeline->capacity;
        return oldest;
    }
    if (timeline->count == timeline->capacity) {
        size_t capacity = timeline->capacity ? timeline->capacity * 2 : 4;
        timeline->entries = xrealloc(timeline->entries, capacity * sizeof(*timeline->entries));
        memset(timeline->entries + timeline->capacity, 0,
               (capacity - timeline->capacity) * sizeof(*timeline->entries));
        timeline->capacity = capacity;
    }
    return &timeline->entries[timeline->count++];
}

void timeline_add(struct timeline *timeline, int64_t now_ns, enum timeline_type type,
                  const char *reason, const char *container, const char *message)
{
    struct timeline_entry *entry = find_repeat(timeline, type, reason, container, message);
    if (entry) {
        entry->count++;
        entry->last_ns = now_ns;
        return;
    }
    entry = new_entry(timeline);
    *entry = (struct timeline_entry){.first_ns = now_ns,
                                     .last_ns = now_ns,
                                     .count = 1,
                                     .type = type,
                                     .reason = xstrdup(reason),
                                     .container = xstrdup(container),
                                     .message = xstrdup(message)};
}
