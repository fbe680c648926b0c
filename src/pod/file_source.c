/*
 * One scan is under way at a time: a job gets the names to look at (or none: the whole folder) with
 * what is known of each file, reads and parses those that changed, and brings back the result.
 * Changes noticed meanwhile make the next scan. A file that fails to parse is read once more after
 * a moment, because it may still be being written; only then is the failure reported.
 */
#include "pod/file_source.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "kube/codec.h"
#include "loop/inotify.h"
#include "pod/static_pod.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define MANIFEST_MAX_BYTES (10 * MiB) /* pkg/kubelet/config/common.go: maxConfigLength */
#define MANIFEST_MAX_FILES 4096
#define SETTLE_NS (50 * NS_PER_MS)
#define WATCH_RETRY_NS NS_PER_SEC /* pkg/kubelet/config/file_linux.go: retryPeriod */

/*
 * What tells a changed file: without reading it where nothing was heard of it, and by its content
 * after an event, since file times are coarser than writes are fast.
 */
struct file_mark {
    int64_t mtime_ns;
    int64_t size; /* -1: unknown, the file must be read */
    uint64_t inode;
    bool has_content;
    struct hash128 content;
};

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

/* --- the job --- */

struct scanned {
    char *name;
    struct file_mark mark;
    bool unchanged;
    bool gone; /* not there, or no regular file */
    struct pod_object *object;
    struct error *err;
};

struct scan_job {
    char *path, *node_name;
    int64_t now_ns;
    bool all;
    bool missing; /* the path itself is not there */
    struct error *err;
    struct scanned *files; /* in: names to look at, with the mark known; out: results */
    size_t count;
};

static void scanned_done(struct scanned *file)
{
    free(file->name);
    pod_object_unref(file->object);
    error_free(file->err);
}

static void scan_release(void *ctx)
{
    struct scan_job *job = ctx;
    for (size_t i = 0; i < job->count; i++)
        scanned_done(&job->files[i]);
    free(job->files);
    free(job->path);
    free(job->node_name);
    error_free(job->err);
    free(job);
}

static void add_file(struct scan_job *job, const char *name, const struct file_mark *mark)
{
    job->files = xrealloc(job->files, (job->count + 1) * sizeof(*job->files));
    job->files[job->count++] = (struct scanned){.name = xstrdup(name), .mark = *mark};
}

static bool job_has(const struct scan_job *job, const char *name)
{
    for (size_t i = 0; i < job->count; i++) {
        if (strcmp(job->files[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Everything in the folder that does not begin with a dot; no filter on extensions (spec pods.md
 * §1.2). */
static struct error *list_folder(struct scan_job *job)
{
    DIR *entries = opendir(job->path);
    if (!entries)
        return error_from_errno(errno, "reading static pod path %s", job->path);
    const struct file_mark unknown = {.size = -1};
    const struct dirent *entry;
    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry->d_name[0] == '.' || job->count >= MANIFEST_MAX_FILES)
            continue;
        if (!job_has(job, entry->d_name))
            add_file(job, entry->d_name, &unknown);
    }
    closedir(entries);
    return NULL;
}

static void scan_file(const struct scan_job *job, struct scanned *file)
{
    AUTO(free)
    char *path = file->name[0] != '\0' ? path_join(job->path, file->name) : xstrdup(job->path);
    struct stat info;
    if (stat(path, &info) < 0) {
        file->gone = errno == ENOENT || errno == ENOTDIR;
        if (!file->gone)
            file->err = error_from_errno(errno, "reading %s", path);
        return;
    }
    if (!S_ISREG(info.st_mode)) {
        file->gone = true;
        return;
    }
    struct file_mark mark = {.mtime_ns =
                                 (int64_t)info.st_mtim.tv_sec * NS_PER_SEC + info.st_mtim.tv_nsec,
                             .size = info.st_size,
                             .inode = info.st_ino,
                             .has_content = file->mark.has_content,
                             .content = file->mark.content};
    file->unchanged = mark.mtime_ns == file->mark.mtime_ns && mark.size == file->mark.size &&
                      mark.inode == file->mark.inode;
    file->mark = mark;
    if (file->unchanged)
        return;
    struct buf text;
    buf_init(&text, MANIFEST_MAX_BYTES - 1);
    file->err = fd_read_file_blocking(path, &text);
    if (file->err && file->err->code == ERROR_RESOURCE_EXHAUSTED) {
        error_free(file->err);
        file->err = error_new(ERROR_RESOURCE_EXHAUSTED, "%s: the read limit is reached", path);
    }
    if (!file->err && str_trim(buf_str(&text)).len == 0)
        file->err = error_new(ERROR_INVALID_ARGUMENT, "%s: the file is empty", path);
    if (!file->err) {
        struct hash128 content = hash_fnv1a_128(text.data, text.len);
        file->unchanged = mark.has_content && content.high == mark.content.high &&
                          content.low == mark.content.low;
        file->mark.has_content = true;
        file->mark.content = content;
    }
    struct static_pod_input input = {
        .text = buf_str(&text), .path = path, .node_name = job->node_name, .seen_ns = job->now_ns};
    if (!file->err && !file->unchanged)
        file->err = static_pod_read(&input, &file->object);
    buf_done(&text);
}

static void scan_run(void *ctx)
{
    struct scan_job *job = ctx;
    struct stat info;
    if (stat(job->path, &info) < 0) {
        job->missing = errno == ENOENT;
        if (!job->missing)
            job->err = error_from_errno(errno, "reading static pod path %s", job->path);
        return;
    }
    if (S_ISDIR(info.st_mode)) {
        if (job->all)
            job->err = list_folder(job);
    } else if (S_ISREG(info.st_mode)) {
        const struct file_mark unknown = {.size = -1};
        if (!job_has(job, ""))
            add_file(job, "", &unknown);
    } else {
        job->err =
            error_new(ERROR_INVALID_ARGUMENT,
                      "static pod path %s is neither a folder nor a regular file", job->path);
    }
    for (size_t i = 0; !job->err && i < job->count; i++)
        scan_file(job, &job->files[i]);
}

/* --- what outlives the agent --- */

#define KEPT_MAX_BYTES (256 * KiB)

static struct manifest *add_manifest(struct file_source *source, const char *name)
{
    struct manifest *manifest = xcalloc(1, sizeof(*manifest));
    manifest->name = xstrdup(name);
    manifest->mark.size = -1; /* unlike any file: the next scan reads it */
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
    struct buf bytes;
    buf_init(&bytes, KEPT_MAX_BYTES);
    kube_encode_protobuf(&manifest->object->pod->base, &bytes);
    if (source->store && !bytes.overflowed)
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

static void note_problem(struct file_source *source, struct manifest *manifest, struct error *err)
{
    bool same = text_eq(manifest->problem, err->message);
    if (!same) {
        free(manifest->problem);
        manifest->problem = xstrdup(err->message);
        manifest->reported = false;
        /* Perhaps it is still being written: look again before saying so. */
        manifest->mark = (struct file_mark){.size = -1};
        loop_timer_start(source->settle, SETTLE_NS);
        return;
    }
    if (manifest->reported)
        return;
    manifest->reported = true;
    log_error("Could not use a static pod manifest",
              LOG_STR("file", manifest->name[0] != '\0' ? manifest->name : source->path),
              LOG_BOOL("podKeepsRunning", manifest->object), LOG_ERR(err));
}

/* True when the desired set may have changed. */
static bool take_file(struct file_source *source, struct scanned *file)
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
        log_info("Static pod manifest is usable now", LOG_STR("file", manifest->name));
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
        size_t place = count;
        for (size_t i = 0; i < count; i++) {
            if (same_key(objects[i], manifest->object)) {
                place = i;
                log_warning("Two static pod manifests define the same pod, the last one counts",
                            LOG_STR("file", manifest->name), LOG_STR("other", objects[i]->origin));
            }
        }
        objects[place] = manifest->object;
        count = place == count ? count + 1 : count;
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

static bool take_scan(struct file_source *source, struct scan_job *job)
{
    if (job->err) {
        log_error("Could not read the static pod path", LOG_STR("path", source->path),
                  LOG_ERR(job->err));
        return false;
    }
    if (job->missing) {
        if (!source->missing_reported)
            log_warning("The static pod path does not exist, so there are no static pods",
                        LOG_STR("path", source->path));
        source->missing_reported = true;
        return drop_all(source);
    }
    source->missing_reported = false;
    bool changed = false;
    for (size_t i = 0; i < job->count; i++)
        changed = take_file(source, &job->files[i]) || changed;
    return changed;
}

/*
 * The first set makes orphans of all running pods that it does not name. So it waits for a path
 * that can be read, and once for a manifest that could not be parsed and is perhaps still being
 * written.
 */
static bool may_emit_first(struct file_source *source, const struct scan_job *job)
{
    if (job->err)
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
                                               .run_blocking = scan_run,
                                               .on_done = on_scanned,
                                               .release = scan_release};

/* --- what starts a scan --- */

static void start_scan(struct file_source *source)
{
    if (source->scan)
        return;
    struct scan_job *job = xcalloc(1, sizeof(*job));
    job->path = xstrdup(source->path);
    job->node_name = xstrdup(source->node_name);
    job->now_ns = loop_now_wall_ns(source->loop);
    job->all = source->scan_all;
    const struct file_mark unknown = {.size = -1};
    const struct manifest *manifest, *next;
    while (source->dirty) {
        struct dirty *dirty = source->dirty;
        source->dirty = dirty->next;
        manifest = find(source, dirty->name);
        struct file_mark mark = manifest ? manifest->mark : unknown;
        mark.size = -1;
        if (!job_has(job, dirty->name))
            add_file(job, dirty->name, &mark);
        free(dirty);
    }
    HASH_ITER(hh, source->manifests, manifest, next) {
        if (source->scan_all && !job_has(job, manifest->name))
            add_file(job, manifest->name, &manifest->mark);
    }
    source->scan_all = false;
    source->scan = work_start(source->pool, &scan_vtable, job, source);
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
        struct manifest_problem problem = {.file = manifest->name[0] != '\0' ? manifest->name
                                                                             : source->path,
                                           .message = manifest->problem};
        visit(ctx, &problem);
    }
}
