/*
 * nodeplane's objects on disk: one SQLite file (WAL), which is the only copy. Writes of the same
 * moment share a transaction: store_submit() queues what wants the database, and each batch is run,
 * committed on a worker, and only then answered. So what was acknowledged survives `kill -9` and,
 * because commits are synced, a power cut; a full disk fails the batch and changes nothing. The
 * store knows keys, revisions and bytes, not kinds. Loop thread.
 *
 * The happy path: submit → (batch begins) run() reads and stages writes → commit → watchers are
 * told of the changes in order → done(NULL). When the commit fails: rollback, no watcher hears of
 * it, and done(err) for all of the batch.
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "loop/work.h"

struct store; /* opaque */

struct store_options {
    const char *path;          /* the database file */
    size_t history_max_events; /* kept for watches that come back; 0: 4096 */
    size_t history_max_bytes;  /* and at most this much of them; 0: 4 MiB */
    bool is_unsynced;          /* leave syncing to the kernel: for tests of other things */
};

/**
 * Opens or makes the database, checks it, and brings an older layout up to date. DATA_LOSS for a
 * damaged file: it is left alone and the message says where it is. FAILED_PRECONDITION when another
 * process has it open or a newer nodeplane wrote it.
 */
MUST_CHECK struct error *store_open(struct loop *loop, struct work_pool *pool,
                                    const struct store_options *options, struct store **ret);
/** Drops what is queued, in silence. The pool must have been freed before: a commit under way is
 * over then. NULL is fine. */
void store_close(struct store *store);
DEFINE_AUTO(store, struct store *, store_close)

/** What an object is called: resource with group ("pods", "leases.coordination.k8s.io"), namespace
 * ("" for none) and name. */
struct store_key {
    const char *resource;
    const char *namespace_;
    const char *name;
};

/** A row. Borrowed from the arena given. */
struct store_item {
    struct store_key key;
    int64_t revision; /* of its last change: resourceVersion */
    struct str bytes; /* the encoded object, without resourceVersion */
};

/* --- batches --- */

/** One task of a batch. Callbacks are run on the loop, each once, in the order submitted. */
struct store_task {
    /** Reads and stages with the functions below. An error takes back this task's own writes only,
     * and is what done() gets. */
    struct error *(*run)(void *ctx);
    /** The batch was committed (@err NULL), or this is why not. Borrowed. */
    void (*done)(void *ctx, const struct error *err);
};

/** Queues @task (copied). Never runs it from inside this call. */
void store_submit(struct store *store, const struct store_task *task, void *ctx);
/** Takes the not yet begun tasks with @ctx out of the queue, in silence. True when there was one;
 * false: it has run, and done() will come. */
bool store_withdraw(struct store *store, const void *ctx);

/* --- reading: only from run(); sees what earlier tasks of the batch staged --- */

/** NOT_FOUND when there is no such row. */
MUST_CHECK struct error *store_get(struct store *store, const struct store_key *key,
                                   struct arena *arena, struct store_item *ret);

struct store_range {
    const char *resource;
    const char *namespace_;      /* NULL: all */
    const char *after_namespace; /* continue behind this key; NULL: from the start */
    const char *after_name;
    size_t limit; /* 0: all */
};
/** Called for each row, by namespace and name; @item lives until it returns. An error ends it. */
typedef struct error *store_each(void *ctx, const struct store_item *item);
MUST_CHECK struct error *store_list(struct store *store, const struct store_range *range,
                                    store_each *each, void *ctx);
MUST_CHECK struct error *store_count(struct store *store, const struct store_range *range,
                                     size_t *ret_count);

/** The newest revision: committed, or staged in this batch. */
int64_t store_revision(const struct store *store);

/* --- writing: only from run() --- */

/**
 * Puts @bytes under @key at a new revision, *ret_revision. ALREADY_EXISTS / NOT_FOUND by
 * store_create / store_update; UNAVAILABLE with SQLite's words when the disk is full.
 */
MUST_CHECK struct error *store_create(struct store *store, const struct store_key *key,
                                      struct str bytes, int64_t *ret_revision);
MUST_CHECK struct error *store_update(struct store *store, const struct store_key *key,
                                      struct str bytes, int64_t *ret_revision);
/** Removes the row at a new revision; @last_bytes is what watchers see as the last state. */
MUST_CHECK struct error *store_delete(struct store *store, const struct store_key *key,
                                      struct str last_bytes, int64_t *ret_revision);

/* --- watching: told after the commit, in order of revision, each change once --- */

enum store_change_type { STORE_CREATED, STORE_UPDATED, STORE_DELETED };

/** Borrowed for the callback; `before` is empty for STORE_CREATED. */
struct store_change {
    enum store_change_type type;
    struct store_key key;
    int64_t revision;
    struct str bytes;  /* STORE_DELETED: the last state */
    struct str before; /* the bytes this change replaced */
};

struct store_watch; /* opaque */

/**
 * Tells @on_change of every change of @resource (NULL: of all) after revision @since, beginning
 * with those kept in the history. OUT_OF_RANGE when the history no longer reaches back to @since;
 * OUT_OF_RANGE as well when @since lies in the future. @on_change never runs from inside this
 * call. Call from done() or any callback of the loop.
 */
MUST_CHECK struct error *store_watch_start(struct store *store, const char *resource, int64_t since,
                                           void (*on_change)(void *ctx,
                                                             const struct store_change *change),
                                           void *ctx, struct store_watch **ret);
void store_watch_stop(struct store_watch *watch); /* NULL is fine; may be called from on_change */

/** True when @watch has been told of everything up to store_committed_revision(). */
bool store_watch_is_current(const struct store_watch *watch);

/** The revision after which every change is still in the history. */
int64_t store_history_oldest(const struct store *store);
/** The newest revision that has been committed. */
int64_t store_committed_revision(const struct store *store);
