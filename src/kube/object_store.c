#include "kube/object_store.h"

#include "base/hash.h"

struct entry {
    UT_hash_handle hh;
    const struct kube_object *object; /* a reference */
    char key[];                       /* "namespace/name" */
};

struct object_store {
    struct object_store_limits limits;
    struct entry *entries; /* hash head; the store owns every entry */
    size_t bytes;
};

static char *key_of(const char *namespace_, const char *name)
{
    return xasprintf("%s/%s", namespace_ ? namespace_ : "", name);
}

static struct entry *find(const struct object_store *store, const char *namespace_,
                          const char *name)
{
    AUTO(free) char *key = key_of(namespace_, name);
    struct entry *entry;
    HASH_FIND_STR(store->entries, key, entry);
    return entry;
}

static struct entry *find_like(const struct object_store *store, const struct kube_object *object)
{
    return find(store, kube_object_namespace(object), kube_object_name(object));
}

struct object_store *object_store_new(const struct object_store_limits *limits)
{
    struct object_store *store = xcalloc(1, sizeof(*store));
    store->limits = *limits;
    return store;
}

void object_store_free(struct object_store *store)
{
    if (!store)
        return;
    object_store_clear(store);
    free(store);
}

static struct error *check_room(const struct object_store *store, const struct entry *replaced,
                                const struct kube_object *object)
{
    size_t bytes = store->bytes - (replaced ? replaced->object->bytes : 0);
    if (!replaced && HASH_COUNT(store->entries) >= store->limits.max_objects)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %zu objects of kind %s",
                         store->limits.max_objects, object->kind->kind);
    if (object->bytes > store->limits.max_bytes || bytes > store->limits.max_bytes - object->bytes)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "objects of kind %s take more than %zu bytes",
                         object->kind->kind, store->limits.max_bytes);
    return NULL;
}

static struct entry *add(struct object_store *store, const struct kube_object *object)
{
    AUTO(free) char *key = key_of(kube_object_namespace(object), kube_object_name(object));
    size_t len = strlen(key);
    struct entry *entry = xcalloc(1, sizeof(*entry) + len + 1);
    memcpy(entry->key, key, len);
    HASH_ADD_KEYPTR(hh, store->entries, entry->key, len, entry);
    return entry;
}

struct error *object_store_put(struct object_store *store, const struct kube_object *object,
                               struct kube_object **ret_old)
{
    struct entry *entry = find_like(store, object);
    struct error *err = check_room(store, entry, object);
    if (err)
        return err;
    if (!entry)
        entry = add(store, object);
    const struct kube_object *old = entry->object;
    entry->object = kube_object_ref(object);
    store->bytes += object->bytes - (old ? old->bytes : 0);
    *ret_old = (struct kube_object *)old;
    return NULL;
}

static const struct kube_object *take_entry(struct object_store *store, struct entry *entry)
{
    const struct kube_object *object = entry->object;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(store->entries, entry);
    store->bytes -= object->bytes;
    free(entry);
    return object;
}

struct kube_object *object_store_take(struct object_store *store, const char *namespace_,
                                      const char *name)
{
    struct entry *entry = find(store, namespace_, name);
    return entry ? (struct kube_object *)take_entry(store, entry) : NULL;
}

void object_store_clear(struct object_store *store)
{
    struct entry *entry, *next;
    HASH_ITER(hh, store->entries, entry, next) {
        kube_object_unref(take_entry(store, entry));
    }
}

const struct kube_object *object_store_find(const struct object_store *store,
                                            const char *namespace_, const char *name)
{
    struct entry *entry = find(store, namespace_, name);
    return entry ? entry->object : NULL;
}

const struct kube_object *object_store_next(const struct object_store *store,
                                            const struct kube_object *after)
{
    const struct entry *entry = store->entries;
    if (after) {
        entry = find_like(store, after);
        ASSERT(entry);
        entry = entry->hh.next;
    }
    return entry ? entry->object : NULL;
}

size_t object_store_count(const struct object_store *store)
{
    return HASH_COUNT(store->entries);
}

size_t object_store_bytes(const struct object_store *store)
{
    return store->bytes;
}
