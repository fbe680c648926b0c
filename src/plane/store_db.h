/*
 * The SQLite side of the store: statements and transactions on one connection, errors in words.
 * Used by store.c only. Loop thread, except store_db_commit_blocking(), which runs on a worker
 * while the loop keeps its hands off the connection.
 */
#pragma once

#include "plane/store.h"

struct store_db; /* opaque */

/** As store_open(). */
MUST_CHECK struct error *store_db_open(const char *path, bool is_unsynced, struct store_db **ret);
void store_db_close(struct store_db *db); /* NULL is fine */
DEFINE_AUTO(store_db, struct store_db *, store_db_close)

/** The revision counter as of the last commit, read at opening. */
int64_t store_db_saved_revision(const struct store_db *db);

MUST_CHECK struct error *store_db_begin(struct store_db *db);
/** Marks the place store_db_rollback_task() goes back to. */
MUST_CHECK struct error *store_db_begin_task(struct store_db *db);
MUST_CHECK struct error *store_db_end_task(struct store_db *db);
MUST_CHECK struct error *store_db_rollback_task(struct store_db *db);
/** False after SQLite has rolled the whole transaction back by itself (a full disk). */
bool store_db_is_in_transaction(const struct store_db *db);
/** Saves @revision and commits. On failure everything since store_db_begin() is undone. */
MUST_CHECK struct error *store_db_commit_blocking(struct store_db *db, int64_t revision);
void store_db_rollback(struct store_db *db);

/** As the store's functions of these names; put replaces or inserts. */
MUST_CHECK struct error *store_db_get(struct store_db *db, const struct store_key *key,
                                      struct arena *arena, struct store_item *ret);
MUST_CHECK struct error *store_db_put(struct store_db *db, const struct store_key *key,
                                      int64_t revision, struct str bytes);
MUST_CHECK struct error *store_db_delete(struct store_db *db, const struct store_key *key);
MUST_CHECK struct error *store_db_list(struct store_db *db, const struct store_range *range,
                                       store_each *each, void *ctx);
MUST_CHECK struct error *store_db_count(struct store_db *db, const struct store_range *range,
                                        size_t *ret_count);
