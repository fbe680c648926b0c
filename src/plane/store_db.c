/*
 * One table holds all objects; its key is (resource, namespace, name), so a list is a walk along
 * the index. The revision counter is a row of its own, because the newest revision may be a
 * deletion's.
 *
 * The connection takes the file for itself (locking_mode EXCLUSIVE): a second nodeplane finds it
 * locked, and SQLite needs no shared memory file.
 */
#include "plane/store_db.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

/* Grows with each change of the tables; an older file would be brought up to date in upgrade(). */
#define LAYOUT_VERSION 1

enum statement {
    STATEMENT_BEGIN,
    STATEMENT_BEGIN_TASK,
    STATEMENT_END_TASK,
    STATEMENT_ROLLBACK_TASK,
    STATEMENT_COMMIT,
    STATEMENT_SAVE_REVISION,
    STATEMENT_GET,
    STATEMENT_PUT,
    STATEMENT_DELETE,
    STATEMENT_COUNT_ALL,
    STATEMENT_COUNT_NAMESPACE,
    STATEMENT_MAX,
};

static const char *const statement_sql[STATEMENT_MAX] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_BEGIN_TASK] = "SAVEPOINT task",
    [STATEMENT_END_TASK] = "RELEASE task",
    [STATEMENT_ROLLBACK_TASK] = "ROLLBACK TO task",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_SAVE_REVISION] = "UPDATE counters SET value = ?1 WHERE name = 'revision'",
    [STATEMENT_GET] = "SELECT revision, bytes FROM objects"
                      " WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
    [STATEMENT_PUT] = "INSERT INTO objects (resource, namespace, name, revision, bytes)"
                      " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (resource, namespace, name)"
                      " DO UPDATE SET revision = ?4, bytes = ?5",
    [STATEMENT_DELETE] = "DELETE FROM objects"
                         " WHERE resource = ?1 AND namespace = ?2 AND name = ?3",
    [STATEMENT_COUNT_ALL] = "SELECT count(*) FROM objects"
                            " WHERE resource = ?1 AND (namespace, name) > (?3, ?4)",
    [STATEMENT_COUNT_NAMESPACE] = "SELECT count(*) FROM objects WHERE resource = ?1"
                                  " AND namespace = ?2 AND (namespace, name) > (?3, ?4)",
};

/* Lists may nest, so each makes its own statement. */
#define LIST_COLUMNS "SELECT namespace, name, revision, bytes FROM objects"
#define LIST_ORDER " AND (namespace, name) > (?3, ?4) ORDER BY namespace, name LIMIT ?5"
static const char list_all_sql[] = LIST_COLUMNS " WHERE resource = ?1" LIST_ORDER;
static const char list_namespace_sql[] =
    LIST_COLUMNS " WHERE resource = ?1 AND namespace = ?2" LIST_ORDER;

static const char layout_sql[] =
    "CREATE TABLE objects (resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,"
    " revision INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE (resource, namespace, name));"
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO counters (name, value) VALUES ('revision', 1);";

struct store_db {
    sqlite3 *sqlite;
    char *path;
    sqlite3_stmt *statements[STATEMENT_MAX];
    int64_t saved_revision;
};

/* What SQLite says, as one of our errors. Which file it is about is always worth saying. */
static struct error *db_error(const struct store_db *db, int code)
{
    const char *text = db->sqlite ? sqlite3_errmsg(db->sqlite) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_new(ERROR_DATA_LOSS,
                         "the database %s is damaged (%s); move it away to begin"
                         " with an empty one",
                         db->path, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_new(ERROR_FAILED_PRECONDITION, "the database %s is in use by another process",
                         db->path);
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return error_new(ERROR_UNAVAILABLE, "the database %s: %s", db->path, text);
    default: /* SQLite's numbers are an open set */
        return error_new(ERROR_INTERNAL, "the database %s: %s", db->path, text);
    }
}

static struct error *exec(struct store_db *db, const char *sql)
{
    int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? NULL : db_error(db, code);
}

static struct error *query_number(struct store_db *db, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    struct error *err = code == SQLITE_ROW ? NULL : db_error(db, code);
    if (!err)
        *ret = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return err;
}

static struct error *check_integrity(struct store_db *db)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db->sqlite, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    struct error *err = NULL;
    if (code != SQLITE_ROW) {
        err = db_error(db, code);
    } else {
        const char *verdict = (const char *)sqlite3_column_text(statement, 0);
        if (!verdict || strcmp(verdict, "ok") != 0)
            err = error_new(ERROR_DATA_LOSS,
                            "the database %s is damaged (%s); move it away to"
                            " begin with an empty one",
                            db->path, verdict ? verdict : "?");
    }
    sqlite3_finalize(statement);
    return err;
}

static struct error *make_layout(struct store_db *db)
{
    struct error *err = exec(db, "BEGIN IMMEDIATE");
    if (!err)
        err = exec(db, layout_sql);
    if (!err) {
        AUTO(free) char *version = xasprintf("PRAGMA user_version = %d", LAYOUT_VERSION);
        err = exec(db, version);
    }
    if (!err)
        err = exec(db, "COMMIT");
    return err;
}

static struct error *open_layout(struct store_db *db)
{
    int64_t version = 0;
    struct error *err = query_number(db, "PRAGMA user_version", &version);
    if (err)
        return err;
    if (version > LAYOUT_VERSION)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "the database %s was written by a newer nodeplane (layout %lld, this one"
                         " knows up to %d)",
                         db->path, (long long)version, LAYOUT_VERSION);
    if (version == 0)
        err = make_layout(db);
    if (!err)
        err = query_number(db, "SELECT value FROM counters WHERE name = 'revision'",
                           &db->saved_revision);
    return err;
}

static struct error *prepare_statements(struct store_db *db)
{
    for (size_t i = 0; i < STATEMENT_MAX; i++) {
        int code = sqlite3_prepare_v3(db->sqlite, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                      &db->statements[i], NULL);
        if (code != SQLITE_OK)
            return db_error(db, code);
    }
    return NULL;
}

struct error *store_db_open(const char *path, bool is_unsynced, struct store_db **ret)
{
    AUTO(store_db) struct store_db *db = xcalloc(1, sizeof(*db));
    db->path = xstrdup(path);
    /* Secrets are in it. What SQLite puts beside it has the mode of this file. */
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_from_errno(errno, "open %s", path);
    /* Before SQLite opens the file: closing any descriptor of it drops this process's locks. */
    fd_close(&fd);
    int code = sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code != SQLITE_OK)
        return db_error(db, code);
    sqlite3_extended_result_codes(db->sqlite, 1);
    struct error *err = exec(db, "PRAGMA locking_mode = EXCLUSIVE");
    if (!err)
        err = exec(db, "PRAGMA journal_mode = WAL");
    if (!err)
        err = exec(db, is_unsynced ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL");
    if (!err)
        err = check_integrity(db);
    if (!err)
        err = open_layout(db);
    if (!err)
        err = prepare_statements(db);
    if (!err)
        *ret = TAKE(db);
    return err;
}

void store_db_close(struct store_db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < STATEMENT_MAX; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close_v2(db->sqlite);
    free(db->path);
    free(db);
}

int64_t store_db_saved_revision(const struct store_db *db)
{
    return db->saved_revision;
}

/* Runs a statement that yields no rows, and leaves it ready for the next time. */
static struct error *run(struct store_db *db, enum statement which)
{
    sqlite3_stmt *statement = db->statements[which];
    int code = sqlite3_step(statement);
    struct error *err = code == SQLITE_DONE || code == SQLITE_ROW ? NULL : db_error(db, code);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return err;
}

struct error *store_db_begin(struct store_db *db)
{
    return run(db, STATEMENT_BEGIN);
}

struct error *store_db_begin_task(struct store_db *db)
{
    return run(db, STATEMENT_BEGIN_TASK);
}

struct error *store_db_end_task(struct store_db *db)
{
    return run(db, STATEMENT_END_TASK);
}

struct error *store_db_rollback_task(struct store_db *db)
{
    struct error *err = run(db, STATEMENT_ROLLBACK_TASK);
    /* Going back leaves the mark in place. */
    return err ? err : run(db, STATEMENT_END_TASK);
}

bool store_db_is_in_transaction(const struct store_db *db)
{
    return sqlite3_get_autocommit(db->sqlite) == 0;
}

void store_db_rollback(struct store_db *db)
{
    if (store_db_is_in_transaction(db))
        error_ignore(exec(db, "ROLLBACK"),
                     "what cannot be rolled back is gone with the connection");
}

struct error *store_db_commit_blocking(struct store_db *db, int64_t revision)
{
    sqlite3_bind_int64(db->statements[STATEMENT_SAVE_REVISION], 1, revision);
    struct error *err = run(db, STATEMENT_SAVE_REVISION);
    if (!err)
        err = run(db, STATEMENT_COMMIT);
    if (err)
        store_db_rollback(db);
    else
        db->saved_revision = revision;
    return err;
}

/* All texts outlive the step they are bound for. */
static void bind_text(sqlite3_stmt *statement, int position, const char *text)
{
    sqlite3_bind_text(statement, position, text, -1, SQLITE_STATIC);
}

static sqlite3_stmt *bind_key(struct store_db *db, enum statement which,
                              const struct store_key *key)
{
    sqlite3_stmt *statement = db->statements[which];
    bind_text(statement, 1, key->resource);
    bind_text(statement, 2, key->namespace_);
    bind_text(statement, 3, key->name);
    return statement;
}

static struct str column_blob(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    int len = sqlite3_column_bytes(statement, column);
    return (struct str){.ptr = bytes ? bytes : "", .len = (size_t)len};
}

struct error *store_db_get(struct store_db *db, const struct store_key *key, struct arena *arena,
                           struct store_item *ret)
{
    sqlite3_stmt *statement = bind_key(db, STATEMENT_GET, key);
    int code = sqlite3_step(statement);
    struct error *err = NULL;
    if (code == SQLITE_ROW) {
        struct str bytes = column_blob(statement, 1);
        ret->key.resource = arena_strdup(arena, key->resource);
        ret->key.namespace_ = arena_strdup(arena, key->namespace_);
        ret->key.name = arena_strdup(arena, key->name);
        ret->revision = sqlite3_column_int64(statement, 0);
        ret->bytes =
            (struct str){.ptr = arena_memdup(arena, bytes.ptr, bytes.len), .len = bytes.len};
    } else if (code == SQLITE_DONE) {
        err = error_new(ERROR_NOT_FOUND, "%s %s/%s is not there", key->resource, key->namespace_,
                        key->name);
    } else {
        err = db_error(db, code);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return err;
}

struct error *store_db_put(struct store_db *db, const struct store_key *key, int64_t revision,
                           struct str bytes)
{
    sqlite3_stmt *statement = bind_key(db, STATEMENT_PUT, key);
    sqlite3_bind_int64(statement, 4, revision);
    sqlite3_bind_blob64(statement, 5, bytes.ptr, bytes.len, SQLITE_STATIC);
    return run(db, STATEMENT_PUT);
}

struct error *store_db_delete(struct store_db *db, const struct store_key *key)
{
    bind_key(db, STATEMENT_DELETE, key);
    return run(db, STATEMENT_DELETE);
}

static void bind_range(sqlite3_stmt *statement, const struct store_range *range)
{
    bind_text(statement, 1, range->resource);
    if (range->namespace_)
        bind_text(statement, 2, range->namespace_);
    bind_text(statement, 3, range->after_namespace ? range->after_namespace : "");
    bind_text(statement, 4, range->after_name ? range->after_name : "");
}

struct error *store_db_list(struct store_db *db, const struct store_range *range, store_each *each,
                            void *ctx)
{
    sqlite3_stmt *statement = NULL;
    const char *sql = range->namespace_ ? list_namespace_sql : list_all_sql;
    int code = sqlite3_prepare_v2(db->sqlite, sql, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return db_error(db, code);
    bind_range(statement, range);
    /* A negative limit is none. */
    sqlite3_bind_int64(statement, 5, range->limit ? (int64_t)range->limit : -1);
    struct error *err = NULL;
    while (!err && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct store_item item = {
            .key = {.resource = range->resource,
                    .namespace_ = (const char *)sqlite3_column_text(statement, 0),
                    .name = (const char *)sqlite3_column_text(statement, 1)},
            .revision = sqlite3_column_int64(statement, 2),
            .bytes = column_blob(statement, 3),
        };
        err = each(ctx, &item);
    }
    if (!err && code != SQLITE_DONE)
        err = db_error(db, code);
    sqlite3_finalize(statement);
    return err;
}

struct error *store_db_count(struct store_db *db, const struct store_range *range,
                             size_t *ret_count)
{
    enum statement which = range->namespace_ ? STATEMENT_COUNT_NAMESPACE : STATEMENT_COUNT_ALL;
    sqlite3_stmt *statement = db->statements[which];
    bind_range(statement, range);
    int code = sqlite3_step(statement);
    struct error *err = code == SQLITE_ROW ? NULL : db_error(db, code);
    if (!err)
        *ret_count = (size_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return err;
}
