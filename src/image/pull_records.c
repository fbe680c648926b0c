/*
 * The store of pull records. Requests wait in one queue; the first of them has a job on a worker,
 * or needs none, and is answered:
 *
 *   read     what is on disk at the start                                  → the caches
 *   known    the two files about one image, if the caches do not tell      → the caches
 *   intend   writes an intent, unless it is there
 *   leave    takes it away, unless a pull of the image is meant again
 *   pulled   merges a proof into a record; then as leave
 *   prune    removes records of images that are gone
 *
 * A job that fails is logged and leaves the caches as they are, which is what the disk has.
 */
#include "image/pull_records.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/path.h"
#include "base/time.h"
#include "image/pull_metrics.h"
#include "image/pull_records_cache.h"
#include "image/pull_records_job.h"

struct pull_request {
    struct pull_records *records;
    enum pull_request_kind kind;
    struct arena *arena; /* holds all the texts */
    const char *image;   /* or NULL: PULL_REQUEST_PULLED without a pull */
    bool is_left_over;   /* PULL_REQUEST_PULLED: by an agent that has ended */
    struct pull_proof proof;
    const char *const *ids;
    size_t n_ids;
    int64_t before_s;
    union {
        void (*known)(void *ctx, const struct pull_known *known);
        void (*written)(void *ctx, struct error *err_owned);
        void (*done)(void *ctx);
        void (*read)(void *ctx, bool has_any);
    } on; /* all NULL: nobody listens */
    void *ctx;
    struct pull_request *prev, *next;
};

/* How many pulls of an image are meant. */
struct counter {
    char *image;
    size_t count;
    UT_hash_handle hh;
};

struct pull_records {
    struct pull_records_options options;
    char *dirs[2]; /* by enum pull_folder */
    struct pull_cache *caches[2];
    size_t on_disk[2];
    struct counter *counters;   /* hash head */
    struct pull_request *queue; /* the first has its turn */
    struct work *work;
    bool is_advancing, is_closed;
    struct pull_metrics metrics;
};

static void on_job_done(void *ctx, void *memory);

static const struct work_vtable job_vtable = {
    .name = "image pull records",
    .class = WORK_NORMAL,
    .run_blocking = pull_job_run_blocking,
    .on_done = on_job_done,
    .release = pull_job_release,
};

/* --- what is known --- */

static struct counter *find_counter(struct pull_records *records, const char *image)
{
    struct counter *counter;
    HASH_FIND_STR(records->counters, image, counter);
    return counter;
}

static bool is_meant(struct pull_records *records, const char *image)
{
    return find_counter(records, image);
}

static bool know(struct pull_records *records, const char *image, const char *image_ref,
                 struct pull_known *ret)
{
    char name[PULL_RECORD_NAME_SIZE];
    struct pull_file record, intent;
    pull_record_name(image_ref, name);
    *ret = (struct pull_known){0};
    if (!pull_cache_get(records->caches[PULL_FOLDER_PULLED], name, &record))
        return false;
    ret->is_unreadable = record.state == PULL_FILE_DAMAGED;
    ret->is_known = record.state != PULL_FILE_ABSENT || is_meant(records, image);
    ret->record = record.text;
    if (ret->is_known)
        return true;
    pull_record_name(image, name);
    if (!pull_cache_get(records->caches[PULL_FOLDER_PULLING], name, &intent))
        return false;
    ret->is_unreadable = intent.state == PULL_FILE_DAMAGED;
    ret->is_known = intent.state != PULL_FILE_ABSENT;
    return true;
}

static bool has_intent(struct pull_records *records, const char *image, bool *ret_is_sure)
{
    char name[PULL_RECORD_NAME_SIZE];
    struct pull_file intent;
    pull_record_name(image, name);
    *ret_is_sure = pull_cache_get(records->caches[PULL_FOLDER_PULLING], name, &intent);
    return *ret_is_sure && intent.state == PULL_FILE_READABLE;
}

static void show_sizes(struct pull_records *records)
{
    const struct pull_metrics *metrics = &records->metrics;
    metric_set(metrics->families[PULL_METRIC_RECORDS_USAGE],
               pull_cache_usage(records->caches[PULL_FOLDER_PULLED]), NULL);
    metric_set(metrics->families[PULL_METRIC_INTENTS_USAGE],
               pull_cache_usage(records->caches[PULL_FOLDER_PULLING]), NULL);
    metric_set(metrics->families[PULL_METRIC_RECORDS_ON_DISK],
               (double)records->on_disk[PULL_FOLDER_PULLED], NULL);
    metric_set(metrics->families[PULL_METRIC_INTENTS_ON_DISK],
               (double)records->on_disk[PULL_FOLDER_PULLING], NULL);
}

/* A file is now like this. */
static void take_file(struct pull_records *records, size_t folder, const struct pull_file *file)
{
    struct pull_file before;
    bool was_known = pull_cache_get(records->caches[folder], file->name, &before);
    bool was_there = was_known && before.state != PULL_FILE_ABSENT;
    bool is_there = file->state != PULL_FILE_ABSENT;
    if (was_known && is_there && !was_there)
        records->on_disk[folder]++;
    if (was_there && !is_there)
        records->on_disk[folder]--;
    if (file->state == PULL_FILE_DAMAGED && (!was_known || before.state != file->state))
        log_warning("A file about image pulls cannot be read, so that its image has to be pulled",
                    LOG_STR("file", file->name), LOG_STR("folder", records->dirs[folder]),
                    LOG_STR("err", file->problem));
    pull_cache_put(records->caches[folder], file);
}

static void take_listing(struct pull_records *records, size_t folder,
                         const struct pull_listing *listing, bool is_whole)
{
    for (size_t i = 0; i < listing->count; i++)
        take_file(records, folder, &listing->files[i]);
    records->on_disk[folder] = listing->n_on_disk;
    if (is_whole && listing->count == listing->n_on_disk)
        pull_cache_set_complete(records->caches[folder]);
}

/* --- the queue --- */

static struct pull_request *request_new(struct pull_records *records, enum pull_request_kind kind,
                                        void *ctx)
{
    struct pull_request *request = xcalloc(1, sizeof(*request));
    *request = (struct pull_request){
        .records = records, .kind = kind, .arena = arena_new(256), .ctx = ctx};
    DL_APPEND(records->queue, request);
    return request;
}

static void request_free(struct pull_request *request)
{
    arena_free(request->arena);
    free(request);
}

static void start_job(struct pull_request *request)
{
    struct pull_records *records = request->records;
    struct pull_job *job = xcalloc(1, sizeof(*job));
    job->kind = request->kind;
    job->arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(job->dirs); i++)
        job->dirs[i] = arena_strdup(job->arena, records->dirs[i]);
    job->max_files[PULL_FOLDER_PULLING] = records->options.max_intents;
    job->max_files[PULL_FOLDER_PULLED] = records->options.max_records;
    job->image = arena_strdup(job->arena, request->image);
    job->proof = pull_proof_dup(&request->proof, job->arena);
    job->prune.before_s = request->before_s;
    const char **ids = arena_calloc(job->arena, request->n_ids + 1, sizeof(*ids));
    for (size_t i = 0; i < request->n_ids; i++)
        ids[i] = arena_strdup(job->arena, request->ids[i]);
    job->prune.ids = ids;
    job->prune.n_ids = request->n_ids;
    const struct counter *counter = request->image ? find_counter(records, request->image) : NULL;
    if (request->is_left_over)
        job->takes_intent = !counter;
    else
        job->takes_intent = counter && counter->count == 1;
    records->work = work_start(records->options.pool, &job_vtable, job, records);
}

/* The pull is over. */
static void count_down(struct pull_records *records, const char *image)
{
    struct counter *counter = find_counter(records, image);
    if (!counter || --counter->count > 0)
        return;
    HASH_DEL(records->counters, counter);
    free(counter->image);
    free(counter);
}

static bool has_any(const struct pull_records *records)
{
    return records->on_disk[PULL_FOLDER_PULLING] > 0 || records->on_disk[PULL_FOLDER_PULLED] > 0;
}

/* True: nothing has to be done on disk for it. */
static bool needs_no_job(struct pull_request *request)
{
    struct pull_records *records = request->records;
    struct pull_known known;
    bool is_sure = false;
    switch (request->kind) {
    case PULL_REQUEST_KNOWN:
        return know(records, request->image, request->proof.image_ref, &known);
    case PULL_REQUEST_INTEND:
        return !is_meant(records, request->image) || has_intent(records, request->image, &is_sure);
    case PULL_REQUEST_LEAVE: {
        bool is_there = has_intent(records, request->image, &is_sure);
        return records->is_closed || is_meant(records, request->image) || (is_sure && !is_there);
    }
    case PULL_REQUEST_READ:
    case PULL_REQUEST_READ_DONE:
    case PULL_REQUEST_PULLED:
    case PULL_REQUEST_PRUNE:
        return false;
    }
    return false;
}

/* Its turn is over; @err_owned: it went wrong. Who hears of it may ask for more: that is for
 * advance(), which does not run meanwhile. */
static void answer(struct pull_request *request, struct error *err_owned)
{
    struct pull_records *records = request->records;
    struct pull_known known;
    AUTO(error) struct error *err = err_owned;
    DL_DELETE(records->queue, request);
    switch (request->kind) {
    case PULL_REQUEST_KNOWN:
        if (!know(records, request->image, request->proof.image_ref, &known))
            known = (struct pull_known){.is_unreadable = true};
        if (request->on.known)
            request->on.known(request->ctx, &known);
        break;
    case PULL_REQUEST_INTEND:
        if (request->on.written)
            request->on.written(request->ctx, TAKE(err));
        break;
    case PULL_REQUEST_PULLED:
        if (request->on.done)
            request->on.done(request->ctx);
        break;
    case PULL_REQUEST_READ_DONE:
        if (request->on.read)
            request->on.read(request->ctx, has_any(records));
        break;
    case PULL_REQUEST_READ:
    case PULL_REQUEST_LEAVE:
    case PULL_REQUEST_PRUNE:
        break;
    }
    request_free(request);
}

static void advance(struct pull_records *records)
{
    if (records->is_advancing)
        return;
    records->is_advancing = true;
    while (records->queue && !records->work) {
        struct pull_request *request = records->queue;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist has unlinked what was freed, unseen */
        if (needs_no_job(request))
            answer(request, NULL);
        else
            start_job(request);
    }
    records->is_advancing = false;
}

/* What went wrong is somebody's only for an intent. */
static void tell_failure(const struct pull_job *job)
{
    static const char *const texts[] = {
        [PULL_REQUEST_READ] = "Failed to read what is known of image pulls",
        [PULL_REQUEST_LEAVE] = "failed to remove image pull intent",
        [PULL_REQUEST_PULLED] = "failed to write image pulled record",
        [PULL_REQUEST_PRUNE] = "failed to remove an ImagePulledRecord",
    };
    if (job->err && (size_t)job->kind < ARRAY_SIZE(texts) && texts[job->kind])
        log_error(texts[job->kind], LOG_STR("image", job->image),
                  LOG_STR("imageRef", job->proof.image_ref), LOG_ERR(job->err));
}

static void on_job_done(void *ctx, void *memory)
{
    struct pull_records *records = ctx;
    struct pull_job *job = memory;
    struct pull_request *request = records->queue;
    records->work = NULL;
    tell_failure(job);
    for (size_t i = 0; i < ARRAY_SIZE(job->files); i++) {
        if (job->kind == PULL_REQUEST_READ)
            take_listing(records, i, &job->listings[i], !job->err);
        if (job->has_file[i])
            take_file(records, i, &job->files[i]);
    }
    for (size_t i = 0; i < job->prune.n_names; i++) {
        struct pull_file gone = {.state = PULL_FILE_ABSENT};
        memcpy(gone.name, job->prune.names[i], sizeof(gone.name));
        take_file(records, PULL_FOLDER_PULLED, &gone);
    }
    /* A record that could not be written leaves the intent, and the image known by it. */
    if (job->kind == PULL_REQUEST_PULLED && request->image && !request->is_left_over && !job->err)
        count_down(records, request->image);
    show_sizes(records);
    records->is_advancing = true;
    answer(request, TAKE(job->err));
    records->is_advancing = false;
    advance(records);
}

/* --- the door --- */

struct pull_records *pull_records_new(const struct pull_records_options *options)
{
    struct pull_records *records = xcalloc(1, sizeof(*records));
    records->options = *options;
    static const char *const folders[] = {[PULL_FOLDER_PULLING] = "image_manager/pulling",
                                          [PULL_FOLDER_PULLED] = "image_manager/pulled"};
    for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
        records->dirs[i] = path_join(options->root_dir, folders[i]);
    records->caches[PULL_FOLDER_PULLING] = pull_cache_new(options->max_intents);
    records->caches[PULL_FOLDER_PULLED] = pull_cache_new(options->max_records);
    pull_metrics_init(&records->metrics, options->metrics);
    (void)request_new(records, PULL_REQUEST_READ, NULL);
    advance(records);
    return records;
}

void pull_records_free(struct pull_records *records)
{
    if (!records)
        return;
    work_cancel(records->work);
    struct pull_request *request, *next_request;
    DL_FOREACH_SAFE(records->queue, request, next_request)
        request_free(request); /* the queue goes as a whole */
    struct counter *counter, *next;
    HASH_ITER(hh, records->counters, counter, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
        HASH_DEL(records->counters, counter);
        free(counter->image);
        free(counter);
    }
    for (size_t i = 0; i < ARRAY_SIZE(records->caches); i++) {
        pull_cache_free(records->caches[i]);
        free(records->dirs[i]);
    }
    free(records);
}

void pull_records_close(struct pull_records *records)
{
    if (records)
        records->is_closed = true;
}

void pull_request_cancel(struct pull_request *request)
{
    if (!request)
        return;
    memset(&request->on, 0, sizeof(request->on));
    request->ctx = NULL;
}

bool pull_records_look(struct pull_records *records, const char *image, const char *image_ref,
                       struct pull_known *ret)
{
    return !records->queue && know(records, image, image_ref, ret);
}

struct pull_request *pull_records_ask(struct pull_records *records, const char *image,
                                      const char *image_ref,
                                      void (*on_known)(void *ctx, const struct pull_known *known),
                                      void *ctx)
{
    struct pull_request *request = request_new(records, PULL_REQUEST_KNOWN, ctx);
    request->image = arena_strdup(request->arena, image);
    request->proof.image_ref = arena_strdup(request->arena, image_ref);
    request->on.known = on_known;
    advance(records);
    return request;
}

enum pull_check pull_records_check(struct pull_records *records, const struct pull_known *known,
                                   const char *repository, const struct pull_access *pod,
                                   const struct pull_secret **ret_note)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pull_record record = {0};
    bool is_old = false;
    struct pull_check_input input = {.policy = &records->options.policy,
                                     .repository = repository,
                                     .is_unreadable = known->is_unreadable,
                                     .is_known = known->is_known,
                                     .pod = pod};
    if (known->record.ptr) {
        AUTO(error) struct error *err = pull_record_decode(known->record, arena, &record, &is_old);
        input.is_unreadable = input.is_unreadable || err;
        input.record = &record;
    }
    enum pull_check check = pull_check(&input, ret_note);
    if (check != PULL_CHECK_NEEDS_ACCESS)
        metric_add(records->metrics.families[PULL_METRIC_CHECKS], 1, pull_check_name(check));
    return check;
}

void pull_records_enter(struct pull_records *records, const char *image)
{
    struct counter *counter = find_counter(records, image);
    if (!counter) {
        counter = xcalloc(1, sizeof(*counter));
        counter->image = xstrdup(image);
        HASH_ADD_KEYPTR(hh, records->counters, counter->image, strlen(counter->image), counter);
    }
    counter->count++;
}

struct pull_request *pull_records_write_intent(struct pull_records *records, const char *image,
                                               void (*on_written)(void *ctx,
                                                                  struct error *err_owned),
                                               void *ctx)
{
    bool is_sure = false;
    if (!records->queue && has_intent(records, image, &is_sure))
        return NULL;
    struct pull_request *request = request_new(records, PULL_REQUEST_INTEND, ctx);
    request->image = arena_strdup(request->arena, image);
    request->on.written = on_written;
    advance(records);
    return request;
}

void pull_records_leave(struct pull_records *records, const char *image)
{
    count_down(records, image);
    bool is_sure = false;
    bool is_there = has_intent(records, image, &is_sure);
    if (is_meant(records, image) || (!records->queue && is_sure && !is_there))
        return;
    struct pull_request *request = request_new(records, PULL_REQUEST_LEAVE, NULL);
    request->image = arena_strdup(request->arena, image);
    advance(records);
}

static struct pull_request *merge_new(struct pull_records *records, const char *image,
                                      const struct pull_proof *proof, void *ctx)
{
    struct pull_request *request = request_new(records, PULL_REQUEST_PULLED, ctx);
    request->image = arena_strdup(request->arena, image);
    request->proof = pull_proof_dup(proof, request->arena);
    return request;
}

struct pull_request *pull_records_leave_pulled(struct pull_records *records, const char *image,
                                               const struct pull_proof *proof,
                                               void (*on_done)(void *ctx), void *ctx)
{
    struct pull_request *request = merge_new(records, image, proof, ctx);
    request->on.done = on_done;
    advance(records);
    return request;
}

void pull_records_note(struct pull_records *records, const struct pull_proof *proof)
{
    (void)merge_new(records, NULL, proof, NULL);
    advance(records);
}

struct pull_request *pull_records_when_read(struct pull_records *records,
                                            void (*on_read)(void *ctx, bool has_any), void *ctx)
{
    struct pull_request *request = request_new(records, PULL_REQUEST_READ_DONE, ctx);
    request->on.read = on_read;
    advance(records);
    return request;
}

/* --- what the runtime has --- */

/* Of all images of the runtime those that an agent meant to pull. */
static void adopt(struct pull_records *records, const struct pull_image *image)
{
    for (size_t i = 0; i < image->n_names; i++) {
        bool is_sure = false;
        if (is_meant(records, image->names[i]) || !has_intent(records, image->names[i], &is_sure))
            continue;
        const struct pull_proof proof = {.image_ref = image->id};
        merge_new(records, image->names[i], &proof, NULL)->is_left_over = true;
    }
}

void pull_records_reconcile(struct pull_records *records, const struct pull_image *images,
                            size_t count, int64_t asked_s)
{
    for (size_t i = 0; i < count; i++)
        adopt(records, &images[i]);
    advance(records);
    if (records->on_disk[PULL_FOLDER_PULLED] == 0)
        return;
    struct pull_request *request = request_new(records, PULL_REQUEST_PRUNE, NULL);
    const char **ids = arena_calloc(request->arena, count + 1, sizeof(*ids));
    for (size_t i = 0; i < count; i++)
        ids[i] = arena_strdup(request->arena, images[i].id);
    qsort(ids, count, sizeof(*ids), text_compare);
    request->ids = ids;
    request->n_ids = count;
    request->before_s = asked_s;
    advance(records);
}
