#include "stats/records_build.h"

/* A snapshot: what everybody sees, and what keeps it. */
struct snapshot {
    struct stats_records records;
    struct arena *arena; /* holds the snapshot itself */
    unsigned refs;
    const struct stats_record **by_id, **by_uid; /* sorted; records without one are left out */
    size_t n_by_id, n_by_uid;
};

static const char *const role_names[] = {
    [STATS_ROLE_KUBELET] = "kubelet",
    [STATS_ROLE_RUNTIME] = "runtime",
    [STATS_ROLE_MISC] = "misc",
    [STATS_ROLE_PODS] = "pods",
};
_Static_assert(ARRAY_SIZE(role_names) == STATS_ROLE_COUNT, "name every role");

const char *stats_role_name(enum stats_role role)
{
    return role_names[role];
}

/* --- making one --- */

static int compare_paths(const void *a, const void *b)
{
    const struct stats_record *left = a, *right = b;
    return strcmp(left->path, right->path);
}

static int compare_ids(const void *a, const void *b)
{
    const struct stats_record *const *left = a, *const *right = b;
    return strcmp((*left)->id, (*right)->id);
}

static int compare_uids(const void *a, const void *b)
{
    const struct stats_record *const *left = a, *const *right = b;
    return strcmp((*left)->pod_uid, (*right)->pod_uid);
}

static void index_records(struct snapshot *snapshot)
{
    const struct stats_records *records = &snapshot->records;
    snapshot->by_id = arena_calloc(snapshot->arena, records->count, sizeof(void *));
    snapshot->by_uid = arena_calloc(snapshot->arena, records->count, sizeof(void *));
    for (size_t i = 0; i < records->count; i++) {
        const struct stats_record *record = &records->items[i];
        if (record->id[0] != '\0')
            snapshot->by_id[snapshot->n_by_id++] = record;
        if (record->kind == STATS_POD)
            snapshot->by_uid[snapshot->n_by_uid++] = record;
    }
    qsort(snapshot->by_id, snapshot->n_by_id, sizeof(void *), compare_ids);
    qsort(snapshot->by_uid, snapshot->n_by_uid, sizeof(void *), compare_uids);
}

struct stats_records *stats_records_build(const struct stats_records *content,
                                          struct stats_record *items, struct arena *arena_owned)
{
    struct snapshot *snapshot = arena_alloc(arena_owned, sizeof(*snapshot));
    if (content->count > 0)
        qsort(items, content->count, sizeof(*items), compare_paths);
    snapshot->records = *content;
    snapshot->records.items = items;
    snapshot->arena = arena_owned;
    snapshot->refs = 1;
    index_records(snapshot);
    return &snapshot->records;
}

/* Only the count of holders ever changes, and not what they hold. */
static struct snapshot *snapshot_of(const struct stats_records *records)
{
    return CONTAINER_OF((uintptr_t)records, struct snapshot, records);
}

struct stats_records *stats_records_ref(const struct stats_records *records)
{
    struct snapshot *snapshot = snapshot_of(records);
    snapshot->refs++;
    return &snapshot->records;
}

void stats_records_unref(struct stats_records *records)
{
    if (!records)
        return;
    struct snapshot *snapshot = snapshot_of(records);
    ASSERT(snapshot->refs > 0);
    if (--snapshot->refs == 0)
        arena_free(snapshot->arena);
}

/* --- finding --- */

const struct stats_record *stats_records_root(const struct stats_records *records)
{
    bool has_root = records->count > 0 && records->items[0].kind == STATS_ROOT;
    return has_root ? &records->items[0] : NULL;
}

const struct stats_record *stats_records_role(const struct stats_records *records,
                                              enum stats_role role)
{
    for (size_t i = 0; i < records->count; i++) {
        if (records->items[i].roles & (1U << role))
            return &records->items[i];
    }
    return NULL;
}

static const struct stats_record *found(const struct stats_record *const *place)
{
    return place ? *place : NULL;
}

const struct stats_record *stats_records_pod(const struct stats_records *records, const char *uid)
{
    const struct snapshot *snapshot = snapshot_of(records);
    const struct stats_record wanted = {.pod_uid = uid}, *key = &wanted;
    if (snapshot->n_by_uid == 0)
        return NULL;
    return found(bsearch(&key, snapshot->by_uid, snapshot->n_by_uid, sizeof(void *), compare_uids));
}

const struct stats_record *stats_records_by_id(const struct stats_records *records, const char *id)
{
    const struct snapshot *snapshot = snapshot_of(records);
    const struct stats_record wanted = {.id = id}, *key = &wanted;
    if (snapshot->n_by_id == 0)
        return NULL;
    return found(bsearch(&key, snapshot->by_id, snapshot->n_by_id, sizeof(void *), compare_ids));
}
