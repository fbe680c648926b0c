/*
 * Owners and dependents. An object whose owners have all gone goes, too; one with some left only
 * loses the references to those gone. Who deletes an owner may choose otherwise: with "Orphan" the
 * dependents are let go first, with "Foreground" the owner waits for those that block it.
 *
 * An index from owner's uid to dependents' keys, built from all rows at the start and kept by the
 * changes, tells whom a change concerns; the truth is always read anew. Only objects that have
 * owners are in it.
 */
#include "plane/controllers_internal.h"

#include "base/hash.h"

#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"
/* How long until an owner that waits for dependents is looked at unasked. */
#define WAITING_PERIOD_NS (5 * NS_PER_SEC)

/* --- the index --- */

struct dependent {
    struct dependent *prev, *next;
    struct store_key key; /* in memory[] */
    char memory[];
};

struct owner {
    struct dependent *dependents;
    UT_hash_handle hh;
    char uid[];
};

struct dependents {
    struct owner *owners; /* hash by uid */
};

struct dependents *dependents_new(void)
{
    return xcalloc(1, sizeof(struct dependents));
}

static void owner_free(struct dependents *index, struct owner *owner)
{
    struct dependent *dependent, *next;
    DL_FOREACH_SAFE(owner->dependents, dependent, next)
        free(dependent);
    /* NOLINTNEXTLINE(clang-analyzer-*): uthash unlinks it, unseen */
    HASH_DEL(index->owners, owner);
    free(owner);
}

void dependents_free(struct dependents *index)
{
    while (index && index->owners)
        owner_free(index, index->owners);
    free(index);
}

static struct owner *find_owner(const struct dependents *index, const char *uid)
{
    struct owner *owner = NULL;
    HASH_FIND_STR(index->owners, uid, owner);
    return owner;
}

static bool same_key(const struct store_key *a, const struct store_key *b)
{
    return strcmp(a->resource, b->resource) == 0 && strcmp(a->namespace_, b->namespace_) == 0 &&
           strcmp(a->name, b->name) == 0;
}

static struct dependent *find_dependent(const struct owner *owner, const struct store_key *key)
{
    struct dependent *dependent;
    DL_FOREACH(owner->dependents, dependent) {
        if (same_key(&dependent->key, key))
            return dependent;
    }
    return NULL;
}

static struct dependent *dependent_new(const struct store_key *key)
{
    size_t resource = strlen(key->resource) + 1, namespace_ = strlen(key->namespace_) + 1,
           name = strlen(key->name) + 1;
    struct dependent *dependent = xcalloc(1, sizeof(*dependent) + resource + namespace_ + name);
    char *at = dependent->memory;
    dependent->key.resource = memcpy(at, key->resource, resource);
    dependent->key.namespace_ = memcpy(at + resource, key->namespace_, namespace_);
    dependent->key.name = memcpy(at + resource + namespace_, key->name, name);
    return dependent;
}

static void index_add(struct dependents *index, const char *uid, const struct store_key *key)
{
    struct owner *owner = find_owner(index, uid);
    if (!owner) {
        size_t len = strlen(uid);
        owner = xcalloc(1, sizeof(*owner) + len + 1);
        memcpy(owner->uid, uid, len);
        HASH_ADD_STR(index->owners, uid, owner);
    }
    if (find_dependent(owner, key))
        return;
    struct dependent *dependent = dependent_new(key); /* the macro looks at it more than once */
    DL_APPEND(owner->dependents, dependent);
}

static void index_remove(struct dependents *index, const char *uid, const struct store_key *key)
{
    struct owner *owner = find_owner(index, uid);
    struct dependent *dependent = owner ? find_dependent(owner, key) : NULL;
    if (!dependent)
        return;
    DL_DELETE(owner->dependents, dependent);
    free(dependent);
    if (!owner->dependents)
        owner_free(index, owner);
}

/* --- changes --- */

static void enqueue_dependents(struct controllers *controllers, const char *uid)
{
    struct owner *owner = find_owner(ctl_dependents(controllers), uid);
    struct dependent *dependent;
    if (!owner)
        return;
    DL_FOREACH(owner->dependents, dependent)
        ctl_enqueue(controllers, &concern_dependents, &dependent->key);
}

static void index_owners(struct controllers *controllers, const struct store_key *key,
                         const Meta__ObjectMeta *meta,
                         void (*change)(struct dependents *index, const char *uid,
                                        const struct store_key *key))
{
    for (size_t i = 0; meta && i < meta->n_owner_references; i++) {
        const char *uid = meta->owner_references[i]->uid;
        if (uid)
            change(ctl_dependents(controllers), uid, key);
    }
}

static bool waits_for_dependents(const Meta__ObjectMeta *meta)
{
    return meta->deletion_timestamp && (object_has_finalizer(meta, FINALIZER_ORPHAN) ||
                                        object_has_finalizer(meta, FINALIZER_FOREGROUND));
}

static const Meta__ObjectMeta *meta_of(const ProtobufCMessage *object)
{
    return object ? kube_object_meta(object) : NULL;
}

/* NULL when its kind is not served here. */
static const struct resource *resource_of(const Meta__OwnerReference *reference)
{
    const struct kube_kind *kind =
        kube_kind_find(reference->api_version ? reference->api_version : "",
                       reference->kind ? reference->kind : "");
    return kind && kind->resource ? resource_find(kind->group, kind->version, kind->resource)
                                  : NULL;
}

static bool has_owner(const Meta__ObjectMeta *meta, const char *uid)
{
    for (size_t i = 0; meta && i < meta->n_owner_references; i++) {
        if (text_eq(meta->owner_references[i]->uid, uid))
            return true;
    }
    return false;
}

/* Looks at the owners in @before that are none in @after (NULL: it has gone): they may have waited
 * for the object of @key. */
static void enqueue_lost_owners(struct controllers *controllers, const struct store_key *key,
                                const Meta__ObjectMeta *before, const Meta__ObjectMeta *after)
{
    for (size_t i = 0; before && i < before->n_owner_references; i++) {
        const Meta__OwnerReference *reference = before->owner_references[i];
        const struct resource *resource = resource_of(reference);
        if (!resource || !reference->name || !reference->uid || has_owner(after, reference->uid))
            continue;
        const struct store_key owner = {.resource = resource->key,
                                        .namespace_ =
                                            resource->kind->is_namespaced ? key->namespace_ : "",
                                        .name = reference->name};
        ctl_enqueue(controllers, &concern_dependents, &owner);
    }
}

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    /* Events come in numbers and own nothing. */
    if (strcmp(change->row->key.resource, "events") == 0)
        return;
    const Meta__ObjectMeta *before = meta_of(ctl_before(change));
    const Meta__ObjectMeta *after = meta_of(ctl_object(change));
    index_owners(controllers, &change->row->key, before, index_remove);
    if (change->row->type == STORE_DELETED) {
        if (after && after->uid)
            enqueue_dependents(controllers, after->uid);
        enqueue_lost_owners(controllers, &change->row->key, after, NULL);
        return;
    }
    enqueue_lost_owners(controllers, &change->row->key, before, after);
    if (!after)
        return;
    index_owners(controllers, &change->row->key, after, index_add);
    if (after->n_owner_references > 0 || waits_for_dependents(after))
        ctl_enqueue(controllers, &concern_dependents, &change->row->key);
}

/* --- a dependent --- */

enum owner_state { OWNER_SOLID, OWNER_GONE, OWNER_WAITING };

static Meta__Status *look_at_owner(const struct ctl_run *run, const char *namespace_,
                                   const Meta__OwnerReference *reference, enum owner_state *ret)
{
    const struct resource *resource = resource_of(reference);
    /* What is not known here is not judged; nor is an owner in a namespace of something that has
     * none, which can be no owner at all. */
    bool is_namespaced = resource && resource->kind->is_namespaced;
    bool is_senseless = is_namespaced && (!namespace_ || !*namespace_);
    *ret = OWNER_SOLID;
    if (!resource || !reference->name || is_senseless)
        return NULL;
    ProtobufCMessage *owner = NULL;
    Meta__Status *failure =
        rest_read(run->env, resource, is_namespaced ? namespace_ : NULL, reference->name, &owner);
    if (failure && failure->code != 404)
        return failure;
    const Meta__ObjectMeta *meta = owner ? kube_object_meta(owner) : NULL;
    if (!meta || !text_eq(meta->uid, reference->uid))
        *ret = OWNER_GONE;
    else if (meta->deletion_timestamp && object_has_finalizer(meta, FINALIZER_FOREGROUND))
        *ret = OWNER_WAITING;
    return NULL;
}

static Meta__Status *reconcile_owned(const struct ctl_run *run, const struct resource *resource,
                                     ProtobufCMessage *object)
{
    Meta__ObjectMeta *meta = kube_object_meta(object);
    size_t solid = 0;
    enum owner_state *states =
        arena_alloc(run->env->arena, meta->n_owner_references * sizeof(*states));
    for (size_t i = 0; i < meta->n_owner_references; i++) {
        Meta__Status *failure =
            look_at_owner(run, meta->namespace_, meta->owner_references[i], &states[i]);
        if (failure)
            return failure;
        solid += states[i] == OWNER_SOLID;
    }
    if (solid == 0)
        return meta->deletion_timestamp
                   ? NULL
                   : ctl_delete(run, resource, meta->namespace_, meta->name, -1);
    if (solid == meta->n_owner_references)
        return NULL;
    /* Owners that wait for their dependents do not get this one: it has others. */
    size_t kept = 0;
    for (size_t i = 0; i < meta->n_owner_references; i++) {
        if (states[i] == OWNER_SOLID)
            meta->owner_references[kept++] = meta->owner_references[i];
    }
    meta->n_owner_references = kept;
    return rest_update(run->env, run->user, resource, NULL, object, NULL);
}

/* --- an owner that is going --- */

static Meta__Status *let_go(const struct ctl_run *run, const struct store_key *key, const char *uid)
{
    const struct resource *resource = resource_by_key(key->resource);
    ProtobufCMessage *object = NULL;
    Meta__Status *failure =
        resource ? rest_read(run->env, resource, key->namespace_, key->name, &object) : NULL;
    if (failure || !object)
        return failure && failure->code == 404 ? NULL : failure;
    Meta__ObjectMeta *meta = kube_object_meta(object);
    size_t kept = 0;
    for (size_t i = 0; i < meta->n_owner_references; i++) {
        if (!text_eq(meta->owner_references[i]->uid, uid))
            meta->owner_references[kept++] = meta->owner_references[i];
    }
    meta->n_owner_references = kept;
    return rest_update(run->env, run->user, resource, NULL, object, NULL);
}

static Meta__Status *blocks(const struct ctl_run *run, const struct store_key *key, const char *uid,
                            bool *ret)
{
    const struct resource *resource = resource_by_key(key->resource);
    ProtobufCMessage *object = NULL;
    Meta__Status *failure =
        resource ? rest_read(run->env, resource, key->namespace_, key->name, &object) : NULL;
    if (failure || !object)
        return failure && failure->code == 404 ? NULL : failure;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    for (size_t i = 0; i < meta->n_owner_references; i++) {
        const Meta__OwnerReference *reference = meta->owner_references[i];
        if (text_eq(reference->uid, uid) && reference->has_block_owner_deletion &&
            reference->block_owner_deletion)
            *ret = true;
    }
    return NULL;
}

static Meta__Status *reconcile_owner(struct ctl_run *run, const struct resource *resource,
                                     ProtobufCMessage *object)
{
    Meta__ObjectMeta *meta = kube_object_meta(object);
    struct owner *owner = find_owner(ctl_dependents(run->controllers), meta->uid);
    bool is_orphaning = object_has_finalizer(meta, FINALIZER_ORPHAN);
    bool is_blocked = false;
    Meta__Status *failure = NULL;
    struct dependent *dependent;
    for (dependent = owner ? owner->dependents : NULL; dependent && !failure;
         dependent = dependent->next) {
        if (is_orphaning) {
            failure = let_go(run, &dependent->key, meta->uid);
            continue;
        }
        ctl_enqueue(run->controllers, &concern_dependents, &dependent->key);
        failure = blocks(run, &dependent->key, meta->uid, &is_blocked);
    }
    if (failure)
        return failure;
    if (is_blocked) {
        run->again_after_ns = WAITING_PERIOD_NS;
        return NULL;
    }
    object_remove_finalizer(meta, is_orphaning ? FINALIZER_ORPHAN : FINALIZER_FOREGROUND);
    return rest_update(run->env, run->user, resource, NULL, object, NULL);
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    const struct resource *resource = resource_by_key(key->resource);
    ProtobufCMessage *object = NULL;
    if (!resource)
        return NULL;
    Meta__Status *failure = rest_read(run->env, resource, key->namespace_, key->name, &object);
    if (failure)
        return failure->code == 404 ? NULL : failure;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    if (waits_for_dependents(meta))
        return reconcile_owner(run, resource, object);
    return meta->n_owner_references > 0 ? reconcile_owned(run, resource, object) : NULL;
}

const struct concern concern_dependents = {
    .name = "dependents", .on_change = on_change, .reconcile = reconcile};
