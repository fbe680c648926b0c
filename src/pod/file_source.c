/*
 * One scan is under way at a time: a job gets the names to look at (or none: the whole folder) with
 * what is known of each file, reads and parses those that changed, and brings back the result.
 * Changes noticed meanwhile make the next scan. A file that fails to parse is read once more after
 * a moment, because it may still be being written; only then is the failure reported.
 */
#include "pod/file_source.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "kube/codec.h"
#include "loop/inotify.h"
#include "pod/file_scan.h"
#include "pod/static_pod.h"

#define SETTLE_NS (50 * NS_PER_MS)
#define WATCH_RETRY_NS NS_PER_SEC /* pkg/kubelet/config/file_linux.go: retryPeriod */

/* A manifest as it was last seen. */
struct manifest {
    char *name; /* in the folder; "" for a single file */
    struct file_mark mark;
    struct pod_object *object; /* the last good one, or NULL */
    char *problem;             /* why the present content cannot be used, or NULL */
    bool reported;
    UT_hash_handle hh;
};

struct file_source {
    struct loop *loop;
    struct work_pool *pool;
    char *path, *node_name;
    int64_t resync_ns;
    struct manifest_store *store;
    void (*on_set)(void *ctx, struct pod_object *const *objects, size_t count);
    void *ctx;
    struct manifest *manifests; /* hash head by name */
    struct inotify_watch *watch;
    struct loop_timer *resync, *settle, *rewatch;
    struct work *scan;
    bool scan_all;       /* the next scan looks at everything */
    struct dirty *dirty; /* names for the next scan */
    bool first_done;
    bool first_delayed; /* for a manifest that is perhaps still being written */
    bool missing_reported;
};

struct dirty {
    struct dirty *next;
    char name[];
};

/* --- what outlives the agent --- */

#define KEPT_MAX_BYTES (256 * KiB)

static struct manifest *add_manifest(struct file_source *source, const char *name)
{
    struct manifest *manifest = xcalloc(1, sizeof(*manifest));
    manifest->name = xstrdup(name);
    manifest->mark.size = FILE_MARK_UNREAD; /* unlike any file: the next scan reads it */
    HASH_ADD_KEYPTR(hh, source->manifests, manifest->name, strlen(manifest->name), manifest);
    return manifest;
}

static void on_kept(void *ctx, const char *file, struct str pod)
{
    struct file_source *source = ctx;
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *message = NULL;
    AUTO(error)
    struct error *err = kube_decode_protobuf(pod, &core__pod__descriptor, arena, &message);
    const Core__Pod *decoded = (const Core__Pod *)message;
    if (err || !decoded->metadata || !decoded->metadata->uid || !decoded->metadata->name ||
        !decoded->metadata->namespace_ || !decoded->spec) {
        log_warning("What was kept of a static pod manifest cannot be used", LOG_STR("file", file));
        return;
    }
    const char *origin = arena_printf(arena, "%s/%s", source->path, file);
    add_manifest(source, file)->object = pod_object_new(TAKE(arena), decoded, origin);
}

static void load_kept(struct file_source *source)
{
    if (source->store)
        source->store->vtable->load(source->store, on_kept, source);
}

static void keep(struct file_source *source, const struct manifest *manifest)
{
    if (!source->store)
        return;
    struct buf bytes;
    buf_init(&bytes, KEPT_MAX_BYTES);
    kube_encode_protobuf(&manifest->object->pod->base, &bytes);
    if (bytes.overflowed) /* better nothing than what it was before */
        source->store->vtable->remove(source->store, manifest->name);
    else
        source->store->vtable->put(source->store, manifest->name, buf_str(&bytes));
    buf_done(&bytes);
}

/* config.seen is the pod's first time, so it stays while the pod is the same (spec pods.md §1.8).
 */
static void adopt_seen(struct pod_object *object, const struct pod_object *old)
{
    const Meta__ObjectMeta *meta = object->pod->metadata, *old_meta = old->pod->metadata;
    if (!text_eq(meta->uid, old_meta->uid))
        return;
    for (size_t i = 0; i < meta->n_annotations; i++) {
        for (size_t n = 0; n < old_meta->n_annotations; n++) {
            if (text_eq(meta->annotations[i]->key, ANNOTATION_CONFIG_SEEN) &&
                text_eq(old_meta->annotations[n]->key, ANNOTATION_CONFIG_SEEN))
                meta->annotations[i]->value =
                    arena_strdup(object->arena, old_meta->annotations[n]->value);
        }
    }
}

/* --- taking over what was found --- */

static struct manifest *find(const struct file_source *source, const char *name)
{
    struct manifest *manifest;
    HASH_FIND_STR(source->manifests, name, manifest);
    return manifest;
}

static void drop(struct file_source *source, struct manifest *manifest)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(source->manifests, manifest);
    pod_object_unref(manifest->object);
    free(manifest->problem);
    free(manifest->name);
    free(manifest);
}

static int by_name(const struct manifest *a, const struct manifest *b)
{
    return strcmp(a->name, b->name);
}

static void start_scan(struct file_source *source);

/* A single file has no name of its own in the folder. */
static const char *shown_name(const struct file_source *source, const struct manifest *manifest)
{
    return manifest->name[0] != '\0' ? manifest->name : source->path;
}

static void note_problem(struct file_source *source, struct manifest *manifest, struct error *err)
{
    bool same = text_eq(manifest->problem, err->message);
    if (!same) {
        free(manifest->problem);
        manifest->problem = xstrdup(err->message);
        manifest->reported = false;
        /* Perhaps it is still being written: look again before saying so. */
        manifest->mark = (struct file_mark){.size = FILE_MARK_UNREAD};
        loop_timer_start(source->settle, SETTLE_NS);
        return;
    }
    if (manifest->reported)
        return;
    manifest->reported = true;
    log_error("Could not use a static pod manifest", LOG_STR("file", shown_name(source, manifest)),
              LOG_BOOL("podKeepsRunning", manifest->object), LOG_ERR(err));
}

/* True when the desired set may have changed. */
static bool take_file(struct file_source *source, struct scanned_file *file)
{
    struct manifest *manifest = find(source, file->name);
    if (file->gone) {
        if (!manifest)
            return false;
        if (source->store)
            source->store->vtable->remove(source->store, manifest->name);
        drop(source, manifest);
        return true;
    }
    if (file->unchanged && manifest) {
        manifest->mark = file->mark;
        return false;
    }
    if (!manifest)
        manifest = add_manifest(source, file->name);
    manifest->mark = file->mark;
    if (file->err) {
        note_problem(source, manifest, file->err);
        return false;
    }
    if (manifest->problem)
        log_info("Static pod manifest is usable now",
                 LOG_STR("file", shown_name(source, manifest)));
    free(manifest->problem);
    manifest->problem = NULL;
    if (manifest->object)
        adopt_seen(file->object, manifest->object);
    pod_object_unref(manifest->object);
    manifest->object = TAKE(file->object);
    keep(source, manifest);
    return true;
}

static bool same_key(const struct pod_object *a, const struct pod_object *b)
{
    return (text_eq(a->pod->metadata->namespace_, b->pod->metadata->namespace_) &&
            text_eq(a->pod->metadata->name, b->pod->metadata->name)) ||
           text_eq(a->pod->metadata->uid, b->pod->metadata->uid);
}

/* Two files that define one namespace/name, or give one uid: the last in order wins (spec pods.md
 * §1.2). */
static void emit(struct file_source *source)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as in drop() */
    HASH_SORT(source->manifests, by_name);
    size_t count = 0;
    struct pod_object **objects = xcalloc(HASH_COUNT(source->manifests) + 1, sizeof(void *));
    struct manifest *manifest, *next;
    HASH_ITER(hh, source->manifests, manifest, next) {
        if (!manifest->object)
            continue;
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            if (same_key(objects[i], manifest->object))
                log_warning("Two static pod manifests define the same pod, the last one counts",
                            LOG_STR("file", manifest->name), LOG_STR("other", objects[i]->origin));
            else
                objects[kept++] = objects[i];
        }
        objects[kept] = manifest->object;
        count = kept + 1;
    }
    source->on_set(source->ctx, objects, count);
    free(objects);
}

static bool drop_all(struct file_source *source)
{
    bool any = source->manifests;
    struct manifest *manifest, *next;
    HASH_ITER(hh, source->manifests, manifest, next)
        drop(source, manifest);
    return any;
}

static bool take_scan(struct file_source *source, struct file_scan *scan)
{
    if (scan->err) {
        log_error("Could not read the static pod path", LOG_STR("path", source->path),
                  LOG_ERR(scan->err));
        return false;
    }
    if (scan->missing) {
        if (!source->missing_reported)
            log_warning("The static pod path does not exist, so there are no static pods",
                        LOG_STR("path", source->path));
        source->missing_reported = true;
        return drop_all(source);
    }
    source->missing_reported = false;
    bool changed = false;
    for (size_t i = 0; i < scan->count; i++)
        changed = take_file(source, &scan->files[i]) || changed;
    return changed;
}

/*
 * The first set makes orphans of all running pods that it does not name. So it waits for a path
 * that can be read, and once for a manifest that could not be parsed and is perhaps still being
 * written.
 */
static bool may_emit_first(struct file_source *source, const struct file_scan *scan)
{
    if (scan->err)
        return false;
    bool delay = loop_timer_is_armed(source->settle) && !source->first_delayed;
    source->first_delayed = true;
    return !delay;
}

static void on_scanned(void *ctx, void *done)
{
    struct file_source *source = ctx;
    source->scan = NULL;
    bool changed = take_scan(source, done);
    if (source->first_done ? changed : may_emit_first(source, done)) {
        source->first_done = true;
        emit(source);
    }
    if (source->scan_all || source->dirty)
        start_scan(source);
}

static const struct work_vtable scan_vtable = {.name = "static pods",
                                               .class = WORK_NORMAL,
                                               .run_blocking = file_scan_run_blocking,
                                               .on_done = on_scanned,
                                               .release = file_scan_free};

/* --- what starts a scan --- */

static void start_scan(struct file_source *source)
{
    if (source->scan)
        return;
    struct file_scan *scan =
        file_scan_new(source->path, source->node_name, loop_now_wall_ns(source->loop));
    scan->all = source->scan_all;
    struct manifest *manifest, *next;
    while (source->dirty) {
        struct dirty *dirty = source->dirty;
        source->dirty = dirty->next;
        manifest = find(source, dirty->name);
        if (manifest)
            manifest->mark.size = FILE_MARK_UNREAD; /* also for a later scan, if this one fails */
        file_scan_add(scan, dirty->name, manifest ? &manifest->mark : NULL);
        free(dirty);
    }
    HASH_ITER(hh, source->manifests, manifest, next) {
        if (scan->all)
            file_scan_add(scan, manifest->name, &manifest->mark);
    }
    source->scan_all = false;
    source->scan = work_start(source->pool, &scan_vtable, scan, source);
}

static void scan_everything(void *ctx)
{
    struct file_source *source = ctx;
    source->scan_all = true;
    start_scan(source);
}

static void on_resync(void *ctx)
{
    struct file_source *source = ctx;
    loop_timer_start(source->resync, source->resync_ns);
    scan_everything(source);
}

static void mark_dirty(struct file_source *source, const char *name)
{
    size_t len = strlen(name);
    struct dirty *dirty = xcalloc(1, sizeof(*dirty) + len + 1);
    memcpy(dirty->name, name, len);
    dirty->next = source->dirty;
    source->dirty = dirty;
}

static void on_change(void *ctx, enum inotify_change change, const char *name)
{
    struct file_source *source = ctx;
    switch (change) {
    case INOTIFY_CREATED:
    case INOTIFY_MODIFIED:
    case INOTIFY_DELETED:
        if (name[0] == '.')
            return;
        mark_dirty(source, name);
        start_scan(source);
        return;
    case INOTIFY_GONE:
        inotify_watch_free(TAKE(source->watch));
        loop_timer_start(source->rewatch, WATCH_RETRY_NS);
        scan_everything(source);
        return;
    case INOTIFY_OVERFLOW:
        scan_everything(source);
        return;
    }
}

static void watch(void *ctx)
{
    struct file_source *source = ctx;
    AUTO(error)
    struct error *err =
        inotify_watch_new(source->loop, source->path, on_change, source, &source->watch);
    if (!err) {
        scan_everything(source); /* what changed before the watch began */
        return;
    }
    if (err->code != ERROR_NOT_FOUND)
        log_error("Could not watch the static pod path, only its resync will see changes",
                  LOG_STR("path", source->path), LOG_ERR(err));
    loop_timer_start(source->rewatch, WATCH_RETRY_NS);
    if (!source->first_done)
        scan_everything(source);
}

struct file_source *file_source_new(
    struct loop *loop, struct work_pool *pool, const struct file_source_options *options,
    void (*on_set)(void *ctx, struct pod_object *const *objects, size_t count), void *ctx)
{
    struct file_source *source = xcalloc(1, sizeof(*source));
    *source = (struct file_source){.loop = loop,
                                   .pool = pool,
                                   .path = path_clean(options->path),
                                   .node_name = xstrdup(options->node_name),
                                   .resync_ns = options->resync_ns,
                                   .store = options->store,
                                   .on_set = on_set,
                                   .ctx = ctx};
    source->resync = loop_timer_new(loop, "static pods resync", on_resync, source);
    source->settle = loop_timer_new(loop, "static pods settle", scan_everything, source);
    source->rewatch = loop_timer_new(loop, "static pods watch", watch, source);
    load_kept(source);
    loop_timer_start(source->resync, source->resync_ns);
    watch(source);
    return source;
}

void file_source_free(struct file_source *source)
{
    if (!source)
        return;
    work_cancel(source->scan);
    inotify_watch_free(source->watch);
    loop_timer_free(source->resync);
    loop_timer_free(source->settle);
    loop_timer_free(source->rewatch);
    drop_all(source);
    while (source->dirty) {
        struct dirty *dirty = source->dirty;
        source->dirty = dirty->next;
        free(dirty);
    }
    free(source->path);
    free(source->node_name);
    free(source);
}

void file_source_visit_problems(const struct file_source *source,
                                void (*visit)(void *ctx, const struct manifest_problem *problem),
                                void *ctx)
{
    const struct manifest *manifest, *next;
    HASH_ITER(hh, source->manifests, manifest, next) {
        if (!manifest->problem)
            continue;
        struct manifest_problem problem = {.file = shown_name(source, manifest),
                                           .message = manifest->problem};
        visit(ctx, &problem);
    }
}
