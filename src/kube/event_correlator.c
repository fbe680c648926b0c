/*
 * In this order, as upstream: combine, count, filter. A dropped repeat has been counted, so that
 * the next one that passes jumps.
 *
 * Memory: what upstream keys by texts is keyed by 128-bit digests of them here. Entries that have
 * forgotten everything (no similar event for ten minutes, a full bucket) are let go early; what is
 * left is bounded by the number of entries, the least recently used going first.
 */
#include "kube/event_correlator.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/time.h"
#include "kube/kinds.h"
#include "kube/rate_limit.h"
#include "wire/json.h"

#include <stdio.h>

/* client-go's defaultAggregateMaxEvents, …IntervalInSeconds, defaultSpamBurst and …QPS. */
#define SIMILAR_MAX 10
#define SIMILAR_WITHIN_NS (600 * NS_PER_SEC)
#define SPAM_BURST 25
#define SPAM_INTERVAL_S INT64_C(300)
#define COMBINED_PREFIX "(combined from similar events): "

#define PATCH_MAX_BYTES (2 * MiB)

/* --- memories --- */

struct record {
    UT_hash_handle hh;
    uint64_t key[2];
    int64_t used_ns; /* mono */
};

/* Insertion order of the hash is the order of use: a record that is used is put in again. */
struct memory {
    struct record *records; /* hash head; owns every record */
    size_t record_bytes;
    size_t max_entries;
    int64_t keep_ns; /* a record not used for so long says nothing; 0: it always does */
    void (*done)(struct record *record); /* releases what it holds; may be NULL */
};

static void record_free(struct memory *memory, struct record *record)
{
    /* NOLINTNEXTLINE(clang-analyzer-*): uthash unlinks it, unseen */
    HASH_DEL(memory->records, record);
    if (memory->done)
        memory->done(record);
    free(record);
}

static void memory_clear(struct memory *memory)
{
    while (memory->records)
        record_free(memory, memory->records);
}

static void forget_old(struct memory *memory, int64_t now_ns)
{
    struct record *record, *next;
    HASH_ITER(hh, memory->records, record, next) {
        bool is_old = memory->keep_ns > 0 && now_ns - record->used_ns > memory->keep_ns;
        if (!is_old)
            return; /* those behind it were used later */
        record_free(memory, record);
    }
}

/* The record of @key, a zeroed one when there was none. */
static struct record *use(struct memory *memory, const uint64_t key[2], int64_t now_ns,
                          bool *ret_is_new)
{
    struct record *record;
    forget_old(memory, now_ns);
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_FIND(hh, memory->records, key, sizeof(record->key), record);
    *ret_is_new = !record;
    if (record) {
        HASH_DEL(memory->records, record);
    } else {
        if (HASH_COUNT(memory->records) >= memory->max_entries)
            record_free(memory, memory->records);
        record = xcalloc(1, memory->record_bytes);
        memcpy(record->key, key, sizeof(record->key));
    }
    record->used_ns = now_ns;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_ADD(hh, memory->records, key, sizeof(record->key), record);
    return record;
}

/* Messages of similar events, as digests. */
struct similar {
    struct record record; /* first */
    size_t count;
    uint64_t (*messages)[2]; /* owned */
};

static void similar_done(struct record *record)
{
    free(((struct similar *)record)->messages);
}

/* What has been sent for an event. */
struct sent {
    struct record record; /* first */
    int32_t count;
    int64_t first_s; /* firstTimestamp */
    char *name;      /* owned */
};

static void sent_done(struct record *record)
{
    free(((struct sent *)record)->name);
}

struct bucket {
    struct record record; /* first */
    struct rate_limit limit;
};

struct event_correlator {
    struct memory similar, sent, buckets;
};

struct event_correlator *event_correlator_new(size_t max_entries)
{
    struct event_correlator *correlator = xcalloc(1, sizeof(*correlator));
    size_t max = max_entries ? max_entries : EVENT_CACHE_ENTRIES;
    correlator->similar = (struct memory){.record_bytes = sizeof(struct similar),
                                          .max_entries = max,
                                          .keep_ns = SIMILAR_WITHIN_NS,
                                          .done = similar_done};
    correlator->sent =
        (struct memory){.record_bytes = sizeof(struct sent), .max_entries = max, .done = sent_done};
    correlator->buckets = (struct memory){.record_bytes = sizeof(struct bucket),
                                          .max_entries = max,
                                          .keep_ns = SPAM_BURST * SPAM_INTERVAL_S * NS_PER_SEC};
    return correlator;
}

void event_correlator_free(struct event_correlator *correlator)
{
    if (!correlator)
        return;
    memory_clear(&correlator->similar);
    memory_clear(&correlator->sent);
    memory_clear(&correlator->buckets);
    free(correlator);
}

size_t event_correlator_entries(const struct event_correlator *correlator)
{
    return HASH_COUNT(correlator->similar.records) + HASH_COUNT(correlator->sent.records) +
           HASH_COUNT(correlator->buckets.records);
}

/* --- keys --- */

/* Texts are told apart by the NUL after each. */
static void digest_texts(const char *const *texts, size_t count, uint64_t ret_key[2])
{
    AUTO(buf) struct buf bytes;
    buf_init(&bytes, SIZE_MAX);
    for (size_t i = 0; i < count; i++) {
        buf_add_text(&bytes, texts[i] ? texts[i] : "");
        buf_add_char(&bytes, '\0');
    }
    struct hash128 hash = hash_fnv1a_128(buf_text(&bytes), bytes.len);
    ret_key[0] = hash.high;
    ret_key[1] = hash.low;
}

/* Protobuf leaves absent what these have: without them the code below need not ask. */
static const Core__EventSource no_source = CORE__EVENT_SOURCE__INIT;
static const Core__ObjectReference no_object = CORE__OBJECT_REFERENCE__INIT;

static const Core__EventSource *source_of(const Core__Event *event)
{
    return event->source ? event->source : &no_source;
}

static const Core__ObjectReference *object_of(const Core__Event *event)
{
    return event->involved_object ? event->involved_object : &no_object;
}

static void key_of_similar(const Core__Event *event, uint64_t ret_key[2])
{
    const Core__ObjectReference *object = object_of(event);
    const char *const texts[] = {source_of(event)->component,
                                 source_of(event)->host,
                                 object->kind,
                                 object->namespace_,
                                 object->name,
                                 object->uid,
                                 object->api_version,
                                 event->type,
                                 event->reason,
                                 event->reporting_component,
                                 event->reporting_instance};
    digest_texts(texts, ARRAY_SIZE(texts), ret_key);
}

static void key_of_event(const Core__Event *event, uint64_t ret_key[2])
{
    const Core__ObjectReference *object = object_of(event);
    const char *const texts[] = {source_of(event)->component,
                                 source_of(event)->host,
                                 object->kind,
                                 object->namespace_,
                                 object->name,
                                 object->field_path,
                                 object->uid,
                                 object->api_version,
                                 event->type,
                                 event->reason,
                                 event->message};
    digest_texts(texts, ARRAY_SIZE(texts), ret_key);
}

static void key_of_bucket(const Core__Event *event, uint64_t ret_key[2])
{
    const Core__ObjectReference *object = object_of(event);
    const char *const texts[] = {source_of(event)->component,
                                 source_of(event)->host,
                                 object->kind,
                                 object->namespace_,
                                 object->name,
                                 object->uid,
                                 object->api_version,
                                 event->type};
    digest_texts(texts, ARRAY_SIZE(texts), ret_key);
}

/* --- combining --- */

/* Notes the message; true when it is one of too many. A set of nine stays: those go on being
 * counted on their own. */
static bool is_one_of_many(struct similar *similar, const char *message)
{
    uint64_t key[2];
    digest_texts(&message, 1, key);
    for (size_t i = 0; i < similar->count; i++) {
        if (memcmp(similar->messages[i], key, sizeof(key)) == 0)
            return false;
    }
    if (similar->count + 1 >= SIMILAR_MAX)
        return true;
    similar->messages =
        xrealloc(similar->messages, (similar->count + 1) * sizeof(*similar->messages));
    memcpy(similar->messages[similar->count], key, sizeof(key));
    similar->count++;
    return false;
}

static Meta__Time *time_at(int64_t wall_s, struct arena *arena)
{
    Meta__Time *time = (Meta__Time *)kube_message_new(&meta__time__descriptor, arena);
    time->has_seconds = true;
    time->seconds = wall_s;
    return time;
}

static Core__Event *combined(const Core__Event *event, int64_t wall_ns, struct arena *arena)
{
    Core__Event *combined = (Core__Event *)kube_message_new(&core__event__descriptor, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&combined->base, arena);
    const char *name = object_of(event)->name;
    meta->name = arena_printf(arena, "%s.%llx", name ? name : "", (unsigned long long)wall_ns);
    meta->namespace_ = event->metadata ? event->metadata->namespace_ : NULL;
    combined->has_count = true;
    combined->count = 1;
    combined->first_timestamp = time_at(wall_ns / NS_PER_SEC, arena);
    combined->last_timestamp = combined->first_timestamp;
    combined->involved_object = event->involved_object;
    combined->message =
        arena_printf(arena, COMBINED_PREFIX "%s", event->message ? event->message : "");
    combined->type = event->type;
    combined->reason = event->reason;
    combined->source = event->source;
    return combined;
}

/* --- counting --- */

static struct str patch_of(const Core__Event *event, struct arena *arena)
{
    AUTO(buf) struct buf text;
    char time[TIME_TEXT_SIZE];
    buf_init(&text, PATCH_MAX_BYTES);
    buf_printf(&text, "{\"count\":%d", (int)event->count);
    if (event->last_timestamp)
        buf_printf(&text, ",\"lastTimestamp\":\"%s\"",
                   time_format_rfc3339(event->last_timestamp->seconds * NS_PER_SEC, time));
    if (event->message && *event->message) {
        buf_add_text(&text, ",\"message\":");
        json_add_string(&text, str_from(event->message));
    }
    buf_add_char(&text, '}');
    if (text.overflowed)
        return (struct str){0};
    return (struct str){.ptr = arena_memdup(arena, text.data, text.len), .len = text.len};
}

/* The event as it is after one more of it. */
static Core__Event *repeated(const Core__Event *event, const struct sent *sent, struct arena *arena)
{
    Core__Event *copy = arena_memdup(arena, event, sizeof(*event));
    Meta__ObjectMeta *meta =
        (Meta__ObjectMeta *)kube_message_new(&meta__object_meta__descriptor, arena);
    meta->name = arena_strdup(arena, sent->name);
    meta->namespace_ = event->metadata ? event->metadata->namespace_ : NULL;
    copy->metadata = meta;
    copy->first_timestamp = time_at(sent->first_s, arena);
    copy->has_count = true;
    copy->count = sent->count == INT32_MAX ? INT32_MAX : sent->count + 1;
    return copy;
}

static void remember(struct sent *sent, const Core__Event *event)
{
    const char *name = event->metadata ? event->metadata->name : NULL;
    char *copy = xstrdup(name ? name : "");
    free(sent->name);
    sent->name = copy;
    sent->count = event->count;
    sent->first_s = event->first_timestamp ? event->first_timestamp->seconds : 0;
}

/* --- the door --- */

static bool is_spam(struct event_correlator *correlator, const Core__Event *event, int64_t now_ns)
{
    uint64_t key[2];
    bool is_new;
    int64_t wait_ns;
    key_of_bucket(event, key);
    struct bucket *bucket = (struct bucket *)use(&correlator->buckets, key, now_ns, &is_new);
    if (is_new)
        rate_limit_init(&bucket->limit, 1.0 / (double)SPAM_INTERVAL_S, SPAM_BURST);
    return !rate_limit_take(&bucket->limit, now_ns, &wait_ns);
}

void event_correlate(struct event_correlator *correlator, const Core__Event *event,
                     const struct event_clock *now, struct arena *arena, struct event_verdict *ret)
{
    uint64_t similar_key[2];
    bool is_new;
    *ret = (struct event_verdict){.event = event};
    key_of_similar(event, similar_key);
    struct similar *similar =
        (struct similar *)use(&correlator->similar, similar_key, now->mono_ns, &is_new);
    if (is_one_of_many(similar, event->message)) {
        ret->event = combined(event, now->wall_ns, arena);
        memcpy(ret->key, similar_key, sizeof(ret->key));
    } else {
        key_of_event(event, ret->key);
    }

    struct sent *sent = (struct sent *)use(&correlator->sent, ret->key, now->mono_ns, &is_new);
    if (sent->count > 0) {
        ret->event = repeated(ret->event, sent, arena);
        ret->patch = patch_of(ret->event, arena);
    }
    remember(sent, ret->event);
    ret->is_dropped = is_spam(correlator, ret->event, now->mono_ns);
}

void event_correlator_note_stored(struct event_correlator *correlator,
                                  const struct event_verdict *verdict, const Core__Event *stored)
{
    struct record *record;
    HASH_FIND(hh, correlator->sent.records, verdict->key, sizeof(verdict->key), record);
    if (record && stored->count > 0)
        remember((struct sent *)record, stored);
}
