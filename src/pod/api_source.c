/*
 * The reflector tells objects one at a time; until it has synced they are only kept (it has them),
 * and then told in the order of their creation, since that is the order in which they are admitted.
 * When each pod was first seen is remembered by uid, because every version of it says so in an
 * annotation; that is also how a pod that was told is known again when it goes, whatever is left of
 * it then.
 *
 * A listener may free the source: what is left to be told then is not told, and the memory goes at
 * the end of the turn.
 */
#include "pod/api_source.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/time.h"
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/labels.h"

/* Metadata and annotations of most pods; there is one for each pod of the node. */
#define OBJECT_ARENA_BYTES 512

/* When a pod was first seen. */
struct sighting {
    int64_t seen_ns;
    UT_hash_handle hh;
    char uid[];
};

struct api_source {
    struct loop *loop;
    struct reflector *reflector;
    const struct api_source_listener *listener;
    void *ctx;
    struct sighting *sightings; /* hash head by uid */
    bool is_ready;              /* the first set has been told */
    bool is_freed;
};

/* --- an API pod as the node uses it --- */

/* @key is a constant, @value lives in @arena or is one, too. */
static Meta__ObjectMeta__AnnotationsEntry *annotation(const char *key, const char *value,
                                                      struct arena *arena)
{
    Meta__ObjectMeta__AnnotationsEntry *entry = arena_alloc(arena, sizeof(*entry));
    meta__object_meta__annotations_entry__init(entry);
    entry->key = cri_borrow(key);
    entry->value = cri_borrow(value);
    return entry;
}

static bool is_local(const char *key)
{
    return text_eq(key, ANNOTATION_CONFIG_SOURCE) || text_eq(key, ANNOTATION_CONFIG_SEEN);
}

static void annotate(Meta__ObjectMeta *meta, int64_t seen_ns, struct arena *arena)
{
    Meta__ObjectMeta__AnnotationsEntry **theirs = meta->annotations;
    size_t count = meta->n_annotations;
    meta->annotations = arena_calloc(arena, count + 2, sizeof(void *));
    meta->n_annotations = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_local(theirs[i]->key))
            meta->annotations[meta->n_annotations++] = theirs[i];
    }
    char seen[TIME_TEXT_SIZE];
    time_format_rfc3339_nano(seen_ns, seen);
    meta->annotations[meta->n_annotations++] =
        annotation(ANNOTATION_CONFIG_SEEN, arena_strdup(arena, seen), arena);
    meta->annotations[meta->n_annotations++] = annotation(ANNOTATION_CONFIG_SOURCE, "api", arena);
}

struct pod_object *pod_object_from_api(const struct kube_object *api, int64_t seen_ns)
{
    const Core__Pod *theirs = (const Core__Pod *)api->message;
    struct arena *arena = arena_new(OBJECT_ARENA_BYTES);
    Core__Pod *pod = arena_alloc(arena, sizeof(*pod));
    Meta__ObjectMeta *meta = arena_alloc(arena, sizeof(*meta));
    *pod = *theirs;
    *meta = *theirs->metadata;
    pod->metadata = meta;
    annotate(meta, seen_ns, arena);
    struct pod_object *object = pod_object_new(arena, pod, "api");
    object->source = POD_SOURCE_API;
    object->api = kube_object_ref(api);
    return object;
}

/* --- telling --- */

static bool is_usable(const Core__Pod *pod)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    return meta && meta->uid && meta->uid[0] && meta->name && meta->name[0] && meta->namespace_ &&
           meta->namespace_[0] && pod->spec;
}

static const Core__Pod *pod_of(const struct kube_object *object)
{
    return (const Core__Pod *)object->message;
}

static void tell_pod(struct api_source *source, const struct kube_object *api)
{
    const char *uid = kube_object_uid(api);
    struct sighting *sighting;
    HASH_FIND_STR(source->sightings, uid, sighting);
    bool is_new = !sighting;
    if (is_new) {
        size_t size = strlen(uid) + 1;
        sighting = xcalloc(1, sizeof(*sighting) + size);
        memcpy(sighting->uid, uid, size);
        sighting->seen_ns = loop_now_wall_ns(source->loop);
        HASH_ADD_STR(source->sightings, uid, sighting);
    }
    AUTO(pod_object) struct pod_object *object = pod_object_from_api(api, sighting->seen_ns);
    source->listener->on_pod(source->ctx, object, is_new);
}

static void tell(struct api_source *source, const struct kube_object *api)
{
    if (!is_usable(pod_of(api))) {
        log_warning("The API server has a pod that is none: it is left alone",
                    LOG_POD(kube_object_namespace(api), kube_object_name(api)));
        return;
    }
    if (pod_is_mirror(pod_of(api)))
        source->listener->on_mirror(source->ctx, api);
    else
        tell_pod(source, api);
}

static void on_added(void *ctx, const struct kube_object *object)
{
    struct api_source *source = ctx;
    if (source->is_ready)
        tell(source, object);
}

/* What was told as a pod goes as a pod, even if what the server says last is no longer a whole one.
 */
static void on_deleted(void *ctx, const struct kube_object *object)
{
    struct api_source *source = ctx;
    struct sighting *sighting;
    HASH_FIND_STR(source->sightings, kube_object_uid(object), sighting);
    if (sighting) {
        HASH_DEL(source->sightings, sighting);
        free(sighting);
        source->listener->on_pod_gone(source->ctx, kube_object_uid(object));
    } else if (source->is_ready && pod_is_mirror(pod_of(object))) {
        source->listener->on_mirror_gone(source->ctx, object);
    }
}

/* An API server lets nobody make a mirror of a pod or the other way round. Where it happens, one
 * has gone and the other has come. */
static void on_updated(void *ctx, const struct kube_object *old, const struct kube_object *object)
{
    const struct api_source *source = ctx;
    if (pod_is_mirror(pod_of(old)) != pod_is_mirror(pod_of(object)))
        on_deleted(ctx, old);
    if (!source->is_freed)
        on_added(ctx, object);
}

/* --- the first set --- */

static int64_t created_s(const struct kube_object *object)
{
    const Meta__Time *created = object->meta->creation_timestamp;
    return created ? created->seconds : 0;
}

static int by_creation(const void *a, const void *b)
{
    const struct kube_object *left = *(const struct kube_object *const *)a;
    const struct kube_object *right = *(const struct kube_object *const *)b;
    if (created_s(left) != created_s(right))
        return created_s(left) < created_s(right) ? -1 : 1;
    int order = strcmp(kube_object_namespace(left), kube_object_namespace(right));
    return order ? order : strcmp(kube_object_name(left), kube_object_name(right));
}

/* References, since a listener may free the source and with it the reflector's. */
static void on_synced(void *ctx)
{
    struct api_source *source = ctx;
    if (source->is_ready)
        return;
    size_t count = reflector_count(source->reflector), filled = 0;
    struct kube_object **all = xcalloc(count + 1, sizeof(struct kube_object *));
    const struct kube_object *object = NULL;
    while ((object = reflector_next(source->reflector, object)))
        all[filled++] = kube_object_ref(object);
    qsort(all, filled, sizeof(struct kube_object *), by_creation);
    source->is_ready = true;
    for (size_t i = 0; i < filled; i++) {
        if (!source->is_freed)
            tell(source, all[i]);
        kube_object_unref(all[i]);
    }
    free(all);
    if (!source->is_freed)
        source->listener->on_ready(source->ctx);
}

static const struct reflector_listener listener = {.on_added = on_added,
                                                   .on_updated = on_updated,
                                                   .on_deleted = on_deleted,
                                                   .on_synced = on_synced};

/* --- life --- */

struct api_source *api_source_new(struct loop *loop, struct api_client *client,
                                  const char *node_name,
                                  const struct api_source_listener *source_listener, void *ctx)
{
    struct api_source *source = xcalloc(1, sizeof(*source));
    *source = (struct api_source){.loop = loop, .listener = source_listener, .ctx = ctx};
    AUTO(free) char *selector = xasprintf("spec.nodeName=%s", node_name);
    struct reflector_options options = {.kind = kube_kind_find("v1", "Pod"),
                                        .field_selector = selector,
                                        .drops_managed_fields = true};
    source->reflector = reflector_new(loop, client, &options, &listener, source);
    return source;
}

static void release(void *memory)
{
    struct api_source *source = memory;
    struct sighting *sighting = source->sightings;
    HASH_CLEAR(hh, source->sightings);
    while (sighting) {
        struct sighting *next = sighting->hh.next;
        free(sighting);
        sighting = next;
    }
    free(source);
}

void api_source_free(struct api_source *source)
{
    if (!source)
        return;
    source->is_freed = true;
    reflector_free(TAKE(source->reflector));
    loop_defer_free(source->loop, release, source);
}

void api_source_start(struct api_source *source)
{
    reflector_start(source->reflector);
}

bool api_source_has_synced(const struct api_source *source)
{
    return source->is_ready;
}

const struct error *api_source_error(const struct api_source *source)
{
    return reflector_error(source->reflector);
}
