/*
 * A batch, from the first task to the last answer:
 *
 *     IDLE ── a turn later ──► running the queued tasks, one after the other
 *        ▲                        │ nothing staged                 │ something staged
 *        └──── answers ◄──────────┘                                ▼
 *        └──── changes to the watches, then answers ◄── COMMITTING on a worker
 *
 * What is submitted while a commit is under way waits for the next batch, so the batches grow with
 * the load. A task's writes sit behind a savepoint of their own. SQLite may throw away the whole
 * transaction by itself when the disk is full: then every task of the batch fails with that.
 */
#include "plane/store.h"

#include "base/hash.h"
#include "base/time.h"
#include "plane/store_db.h"
#include "plane/store_history.h"

#define HISTORY_MAX_EVENTS 4096
#define HISTORY_MAX_BYTES (4 * MiB)
/* A batch ends after this long, so that the loop gets to its other work. */
#define BATCH_MAX_NS (20 * NS_PER_MS)
#define BATCH_ARENA_BYTES (4 * KiB)

struct queued {
    struct store_task task;
    void *ctx;
    struct error *err; /* what run() returned, or the batch's failure */
    struct queued *prev, *next;
};

struct staged {
    struct store_change change; /* in the batch's arena */
    struct staged *prev, *next;
};

struct store_watch {
    struct store *store;
    char *resource; /* NULL: all */
    uint64_t next_entry;
    void (*on_change)(void *ctx, const struct store_change *change); /* NULL once stopped */
    void *ctx;
    struct store_watch *prev, *next;
};

struct store {
    struct loop *loop;
    struct work_pool *pool;
    struct store_db *db;
    struct loop_timer *turn; /* begins a batch, or tells new watches of the past */

    struct queued *queue; /* not yet begun */
    struct queued *batch; /* run, not yet answered */
    struct arena *arena;  /* of the batch */
    struct staged *staged;
    struct error *broken; /* why this batch cannot be committed */
    bool has_begun;       /* a transaction is open */
    bool has_savepoint;   /* the task that runs has written */
    bool is_committing;
    int64_t revision; /* newest, staged ones included */
    int64_t committed_revision;

    struct store_history *history;
    struct store_watch *watches;
    bool is_telling; /* watches are being told: none is freed now */
};

static void on_turn(void *ctx);

struct error *store_open(struct loop *loop, struct work_pool *pool,
                         const struct store_options *options, struct store **ret)
{
    AUTO(store_db) struct store_db *db = NULL;
    struct error *err = store_db_open(options->path, options->is_unsynced, &db);
    if (err)
        return err;
    struct store *store = xcalloc(1, sizeof(*store));
    store->loop = loop;
    store->pool = pool;
    store->db = TAKE(db);
    store->turn = loop_timer_new(loop, "store", on_turn, store);
    store->revision = store_db_saved_revision(store->db);
    store->committed_revision = store->revision;
    size_t max_events =
        options->history_max_events ? options->history_max_events : HISTORY_MAX_EVENTS;
    size_t max_bytes = options->history_max_bytes ? options->history_max_bytes : HISTORY_MAX_BYTES;
    store->history = store_history_new(max_events, max_bytes, store->revision);
    *ret = store;
    return NULL;
}

static void free_tasks(struct queued **tasks)
{
    struct queued *task, *next;
    DL_FOREACH_SAFE(*tasks, task, next) {
        error_free(task->err);
        free(task);
    }
    *tasks = NULL;
}

static void free_watch(struct store_watch *watch)
{
    DL_DELETE(watch->store->watches, watch);
    free(watch->resource);
    free(watch);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    loop_timer_free(store->turn);
    free_tasks(&store->queue);
    free_tasks(&store->batch);
    struct store_watch *watch, *next;
    DL_FOREACH_SAFE(store->watches, watch, next) {
        free_watch(watch);
    }
    store_history_free(store->history);
    arena_free(store->arena);
    error_free(store->broken);
    store_db_close(store->db);
    free(store);
}

void store_submit(struct store *store, const struct store_task *task, void *ctx)
{
    struct queued *queued = xcalloc(1, sizeof(*queued));
    queued->task = *task;
    queued->ctx = ctx;
    DL_APPEND(store->queue, queued);
    if (!store->is_committing && !loop_timer_is_armed(store->turn))
        loop_timer_start(store->turn, 0);
}

bool store_withdraw(struct store *store, const void *ctx)
{
    bool found = false;
    struct queued *queued, *next;
    DL_FOREACH_SAFE(store->queue, queued, next) {
        if (queued->ctx == ctx) {
            /* NOLINTNEXTLINE(clang-analyzer-*): utlist unlinks it, unseen */
            DL_DELETE(store->queue, queued);
            free(queued);
            found = true;
        }
    }
    return found;
}

/* --- running a batch --- */

/* Notes that SQLite gave the whole transaction up, which only some failures make it do. */
static struct error *check_transaction(struct store *store, struct error *err)
{
    if (err && store->has_begun && !store->broken && !store_db_is_in_transaction(store->db))
        store->broken = error_dup(err);
    return err;
}

static struct error *begin_write(struct store *store)
{
    if (store->broken)
        return error_dup(store->broken);
    if (!store->has_begun) {
        struct error *err = store_db_begin(store->db);
        if (err)
            return err;
        store->has_begun = true;
    }
    if (store->has_savepoint)
        return NULL;
    struct error *err = store_db_begin_task(store->db);
    if (!err)
        store->has_savepoint = true;
    return check_transaction(store, err);
}

static void unstage(struct store *store, struct staged *last_kept)
{
    while (store->staged) {
        struct staged *tail = store->staged->prev; /* utlist: the head's prev is the tail */
        if (tail == last_kept)
            return;
        DL_DELETE(store->staged, tail);
    }
}

static void run_task(struct store *store, struct queued *queued)
{
    int64_t revision = store->revision;
    struct staged *tail = store->staged ? store->staged->prev : NULL;
    queued->err = queued->task.run(queued->ctx);
    if (store->has_savepoint && !store->broken) {
        struct error *err =
            queued->err ? store_db_rollback_task(store->db) : store_db_end_task(store->db);
        if (err && !store->broken)
            store->broken = error_dup(err);
        error_ignore(err, "the batch carries it");
    }
    if (queued->err) {
        store->revision = revision;
        unstage(store, tail);
    }
    store->has_savepoint = false;
}

static void answer(struct store *store, const struct error *failure)
{
    struct queued *tasks = store->batch;
    store->batch = NULL;
    struct queued *queued, *next;
    DL_FOREACH_SAFE(tasks, queued, next) {
        queued->task.done(queued->ctx, failure ? failure : queued->err);
        error_free(queued->err);
        free(queued);
    }
}

static void tell_watch(struct store_watch *watch)
{
    const struct store_history *history = watch->store->history;
    const struct store_change *change;
    while (watch->on_change && (change = store_history_at(history, watch->next_entry))) {
        watch->next_entry++;
        if (!watch->resource || strcmp(watch->resource, change->key.resource) == 0)
            watch->on_change(watch->ctx, change);
    }
}

static void tell_watches(struct store *store)
{
    struct store_watch *watch, *next;
    store->is_telling = true;
    DL_FOREACH(store->watches, watch)
        tell_watch(watch);
    store->is_telling = false;
    DL_FOREACH_SAFE(store->watches, watch, next) {
        if (!watch->on_change)
            free_watch(watch);
    }
}

static void publish(struct store *store)
{
    struct staged *staged;
    DL_FOREACH(store->staged, staged)
        store_history_add(store->history, &staged->change);
    store->committed_revision = store->revision;
    tell_watches(store);
    store_history_trim(store->history);
}

/* Ends the batch: @err is NULL when it was committed or had nothing to commit. */
static void end_batch(struct store *store, const struct error *err)
{
    if (err)
        store->revision = store->committed_revision;
    else
        publish(store);
    store->staged = NULL;
    store->has_begun = false;
    AUTO(arena) struct arena *arena = TAKE(store->arena);
    answer(store, err);
    if (store->queue)
        loop_timer_start(store->turn, 0);
}

/* --- the commit, on a worker --- */

/* While it is under way the connection is the worker's alone. */
struct commit {
    struct store_db *db;
    int64_t revision;
    struct error *err;
};

static void commit_blocking(void *job)
{
    struct commit *commit = job;
    commit->err = store_db_commit_blocking(commit->db, commit->revision);
}

static void on_committed(void *ctx, void *job)
{
    struct store *store = ctx;
    const struct commit *commit = job;
    store->is_committing = false;
    end_batch(store, commit->err);
}

static void release_commit(void *job)
{
    struct commit *commit = job;
    error_free(commit->err);
    free(commit);
}

static const struct work_vtable commit_work = {
    .name = "store commit",
    .run_blocking = commit_blocking,
    .on_done = on_committed,
    .release = release_commit,
};

static void start_commit(struct store *store)
{
    struct commit *commit = xcalloc(1, sizeof(*commit));
    commit->db = store->db;
    commit->revision = store->revision;
    store->is_committing = true;
    work_start(store->pool, &commit_work, commit, store);
}

static void on_turn(void *ctx)
{
    struct store *store = ctx;
    tell_watches(store);
    if (store->is_committing || !store->queue)
        return;
    store->arena = arena_new(BATCH_ARENA_BYTES);
    int64_t started_ns = time_mono_ns();
    do {
        struct queued *queued = store->queue;
        DL_DELETE(store->queue, queued);
        DL_APPEND(store->batch, queued);
        run_task(store, queued);
    } while (store->queue && !store->broken && time_mono_ns() - started_ns < BATCH_MAX_NS);

    if (store->broken || !store->staged) {
        store_db_rollback(store->db);
        AUTO(error) struct error *broken = TAKE(store->broken);
        end_batch(store, broken);
    } else {
        start_commit(store);
    }
}

/* --- what tasks use --- */

struct error *store_get(struct store *store, const struct store_key *key, struct arena *arena,
                        struct store_item *ret)
{
    return store_db_get(store->db, key, arena, ret);
}

struct error *store_list(struct store *store, const struct store_range *range, store_each *each,
                         void *ctx)
{
    return store_db_list(store->db, range, each, ctx);
}

struct error *store_count(struct store *store, const struct store_range *range, size_t *ret_count)
{
    return store_db_count(store->db, range, ret_count);
}

int64_t store_revision(const struct store *store)
{
    return store->revision;
}

int64_t store_committed_revision(const struct store *store)
{
    return store->committed_revision;
}

static struct str copy_bytes(struct arena *arena, struct str bytes)
{
    if (bytes.len == 0)
        return (struct str){.ptr = ""};
    return (struct str){.ptr = arena_memdup(arena, bytes.ptr, bytes.len), .len = bytes.len};
}

static void stage(struct store *store, enum store_change_type type, const struct store_key *key,
                  struct str bytes, struct str before)
{
    struct staged *staged = arena_calloc(store->arena, 1, sizeof(*staged));
    staged->change = (struct store_change){
        .type = type,
        .key = {.resource = arena_strdup(store->arena, key->resource),
                .namespace_ = arena_strdup(store->arena, key->namespace_),
                .name = arena_strdup(store->arena, key->name)},
        .revision = store->revision,
        .bytes = copy_bytes(store->arena, bytes),
        .before = before,
    };
    DL_APPEND(store->staged, staged);
}

static struct error *put(struct store *store, enum store_change_type type,
                         const struct store_key *key, struct str bytes, struct str before,
                         int64_t *ret_revision)
{
    struct error *err = begin_write(store);
    if (!err)
        err = check_transaction(store, store_db_put(store->db, key, store->revision + 1, bytes));
    if (err)
        return err;
    *ret_revision = ++store->revision;
    stage(store, type, key, bytes, before);
    return NULL;
}

struct error *store_create(struct store *store, const struct store_key *key, struct str bytes,
                           int64_t *ret_revision)
{
    struct store_item item;
    struct error *err = store_db_get(store->db, key, store->arena, &item);
    if (!err)
        return error_new(ERROR_ALREADY_EXISTS, "%s %s/%s is there already", key->resource,
                         key->namespace_, key->name);
    if (!error_is(err, ERROR_NOT_FOUND))
        return err;
    error_ignore(err, "that is as it should be");
    return put(store, STORE_CREATED, key, bytes, (struct str){.ptr = ""}, ret_revision);
}

struct error *store_update(struct store *store, const struct store_key *key, struct str bytes,
                           int64_t *ret_revision)
{
    struct store_item item;
    struct error *err = store_db_get(store->db, key, store->arena, &item);
    return err ? err : put(store, STORE_UPDATED, key, bytes, item.bytes, ret_revision);
}

struct error *store_delete(struct store *store, const struct store_key *key, struct str last_bytes,
                           int64_t *ret_revision)
{
    struct store_item item;
    struct error *err = store_db_get(store->db, key, store->arena, &item);
    if (!err)
        err = begin_write(store);
    if (!err)
        err = check_transaction(store, store_db_delete(store->db, key));
    if (err)
        return err;
    *ret_revision = ++store->revision;
    stage(store, STORE_DELETED, key, last_bytes, item.bytes);
    return NULL;
}

/* --- watching --- */

struct error *store_watch_start(struct store *store, const char *resource, int64_t since,
                                void (*on_change)(void *ctx, const struct store_change *change),
                                void *ctx, struct store_watch **ret)
{
    if (since < store_history_floor(store->history))
        return error_new(ERROR_OUT_OF_RANGE, "too old resource version: %lld (%lld)",
                         (long long)since, (long long)store_history_floor(store->history));
    if (since > store->committed_revision)
        return error_new(ERROR_OUT_OF_RANGE, "Too large resource version: %lld, current: %lld",
                         (long long)since, (long long)store->committed_revision);
    struct store_watch *watch = xcalloc(1, sizeof(*watch));
    watch->store = store;
    watch->resource = xstrdup(resource);
    watch->next_entry = store_history_seek(store->history, since);
    watch->on_change = on_change;
    watch->ctx = ctx;
    DL_APPEND(store->watches, watch);
    if (store_history_at(store->history, watch->next_entry))
        loop_timer_start(store->turn, 0);
    *ret = watch;
    return NULL;
}

void store_watch_stop(struct store_watch *watch)
{
    if (!watch)
        return;
    watch->on_change = NULL;
    if (!watch->store->is_telling)
        free_watch(watch);
}

bool store_watch_is_current(const struct store_watch *watch)
{
    return !store_history_at(watch->store->history, watch->next_entry);
}

int64_t store_history_oldest(const struct store *store)
{
    return store_history_floor(store->history);
}
