/*
 * What happened to a pod, and since when: the last 64 transitions, from which events and `cubelet
 * why` are read. Bookkeeping only. Loop thread.
 */
#pragma once

#include "base/base.h"

#define TIMELINE_MAX_ENTRIES 64 /* DESIGN §5 */

enum timeline_type { TIMELINE_NORMAL, TIMELINE_WARNING };

struct timeline_entry {
    int64_t first_ns, last_ns; /* wall clock; repeats of the same entry are counted */
    uint32_t count;
    enum timeline_type type;
    const char *reason;    /* "Started", "OutOfcpu", …; owned by the timeline */
    const char *container; /* NULL: the pod as a whole; owned by the timeline */
    const char *message;   /* owned by the timeline */
};

struct timeline {
    struct timeline_entry
        *entries; /* ring of at most TIMELINE_MAX_ENTRIES, grown as needed; owned */
    size_t count, start, capacity;
};

void timeline_done(struct timeline *timeline);
/** Adds an entry, or counts a repeat when the newest with the same type, reason, container and
 * message exists. */
void timeline_add(struct timeline *timeline, int64_t now_ns, enum timeline_type type,
                  const char *reason, const char *container, const char *message);
/** The @index-th oldest entry, 0 <= index < count. */
const struct timeline_entry *timeline_at(const struct timeline *timeline, size_t index);
