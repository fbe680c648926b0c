/*
 * Records live in memory, too, so that a rewrite needs no reading. Changes are gathered and go to
 * the file with one append and one fdatasync on a worker; while that is under way further changes
 * gather for the next one. A failed write is logged and leads to a full rewrite at the next change
 * or at the end, which repairs whatever the file has become.
 */
#include "journal/journal.h"

#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define JOURNAL_DIR_MODE 0700
#define JOURNAL_FILE_MODE 0600
#define REWRITE_SLACK_BYTES (16 * KiB) /* small files are not worth a rewrite */

struct record {
    char *key;
    char *value;
    size_t value_len;
    UT_hash_handle hh;
};

/*
 * What a journal shares with its writes. Cancelling does not end a write that a worker has begun,
 * and what it carries is old: closing waits for it here, and one that has not come so far finds the
 * gate shut. Else it could land behind the last write.
 */
struct gate {
    pthread_mutex_t lock; /* held while a worker writes */
    bool is_shut;
    unsigned users; /* the journal and each job; the last one frees it */
};

struct journal {
    struct work_pool *pool;
    struct gate *gate;
    char *path, *kind;
    struct record *records; /* hash head */
    size_t live_bytes;      /* what a compact file would hold */
    size_t file_bytes;
    struct buf pending; /* records not yet on disk */
    bool rewrite;       /* the next write replaces the file */
    struct work *write;
};

static size_t record_bytes(const char *key, size_t value_len)
{
    return 8 + 3 + strlen(key) + value_len;
}

/* --- the gate --- */

static struct gate *gate_new(void)
{
    struct gate *gate = xcalloc(1, sizeof(*gate));
    (void)pthread_mutex_init(&gate->lock, NULL);
    gate->users = 1;
    return gate;
}

static struct gate *gate_join(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->users++;
    (void)pthread_mutex_unlock(&gate->lock);
    return gate;
}

/* Any thread: a job that the pool has left behind is released by its worker. */
static void gate_leave(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    bool is_last = --gate->users == 0;
    (void)pthread_mutex_unlock(&gate->lock);
    if (!is_last)
        return;
    (void)pthread_mutex_destroy(&gate->lock);
    free(gate);
}

/* Waits for the write under way. */
static void gate_shut(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    gate->is_shut = true;
    (void)pthread_mutex_unlock(&gate->lock);
}

/* --- records in memory --- */

static struct record *find(const struct journal *journal, const char *key)
{
    struct record *record;
    HASH_FIND_STR(journal->records, key, record);
    return record;
}

static void forget(struct journal *journal, struct record *record)
{
    journal->live_bytes -= record_bytes(record->key, record->value_len);
    HASH_DEL(journal->records, record);
    free(record->key);
    free(record->value);
    free(record);
}

static void remember(struct journal *journal, const char *key, struct str value)
{
    struct record *record = find(journal, key);
    if (!record) {
        record = xcalloc(1, sizeof(*record));
        record->key = xstrdup(key);
        HASH_ADD_KEYPTR(hh, journal->records, record->key, strlen(record->key), record);
        journal->live_bytes += record_bytes(key, 0);
    }
    journal->live_bytes += value.len - record->value_len;
    free(record->value);
    record->value = str_dup(value);
    record->value_len = value.len;
}

static void on_loaded(void *ctx, const char *key, struct str value)
{
    struct journal *journal = ctx;
    struct record *old = find(journal, key);
    if (value.ptr)
        remember(journal, key, value);
    else if (old)
        forget(journal, old);
}

/* --- reading --- */

static void set_aside(const struct journal *journal)
{
    AUTO(free) char *aside = xasprintf("%s.damaged", journal->path);
    bool moved = rename(journal->path, aside) == 0;
    log_warning("A journal file is damaged and was set aside; what it held is lost",
                LOG_STR("path", journal->path), LOG_STR("keptAs", moved ? aside : ""));
}

static void load(struct journal *journal)
{
    struct buf text;
    buf_init(&text, JOURNAL_FILE_MAX_BYTES);
    AUTO(error) struct error *err = fd_read_file_blocking(journal->path, &text);
    journal->rewrite = true;
    if (err) {
        if (err->code != ERROR_NOT_FOUND) {
            log_warning("Could not read a journal file", LOG_STR("path", journal->path),
                        LOG_ERR(err));
            set_aside(journal);
        }
        buf_done(&text);
        return;
    }
    size_t good = 0;
    switch (journal_parse(buf_str(&text), journal->kind, on_loaded, journal, &good)) {
    case JOURNAL_PARSE_OK:
        journal->rewrite = false;
        journal->file_bytes = text.len;
        break;
    case JOURNAL_PARSE_TORN: /* an interrupted append; the next write makes the file whole again */
        log_info("Cut the torn tail of a journal file", LOG_STR("path", journal->path),
                 LOG_INT("bytes", text.len - good));
        break;
    case JOURNAL_PARSE_DAMAGED:
        set_aside(journal);
        while (journal->records)
            forget(journal, journal->records);
        break;
    }
    buf_done(&text);
}

/* --- writing --- */

struct write_job {
    struct gate *gate; /* shared */
    char *path;
    char *data;
    size_t len;
    bool replace;
    struct error *err;
};

static struct error *append(const struct write_job *job)
{
    AUTO(fd) int fd = open(job->path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(errno, "opening %s", job->path);
    ssize_t written = write(fd, job->data, job->len);
    if (written < 0)
        return error_from_errno(errno, "writing %s", job->path);
    if ((size_t)written != job->len)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "writing %s: only %zd of %zu bytes fitted",
                         job->path, written, job->len);
    if (fdatasync(fd) < 0)
        return error_from_errno(errno, "syncing %s", job->path);
    return NULL;
}

static void write_blocking(struct write_job *job)
{
    struct str data = {.ptr = job->data, .len = job->len};
    if (job->err) /* more than a file may hold */
        return;
    job->err =
        job->replace ? fd_replace_file_blocking(job->path, data, JOURNAL_FILE_MODE) : append(job);
}

static void write_run(void *ctx)
{
    struct write_job *job = ctx;
    (void)pthread_mutex_lock(&job->gate->lock);
    if (!job->gate->is_shut)
        write_blocking(job);
    (void)pthread_mutex_unlock(&job->gate->lock);
}

static void write_release(void *ctx)
{
    struct write_job *job = ctx;
    gate_leave(job->gate);
    free(job->path);
    free(job->data);
    error_free(job->err);
    free(job);
}

static void flush(struct journal *journal);

/* Whatever the file has become, the next write makes it whole, also when no further change comes.
 */
static void ask_for_rewrite(struct journal *journal)
{
    journal->rewrite = true;
    buf_add_char(&journal->pending, '\0');
}

static void take_result(struct journal *journal, const struct write_job *job)
{
    if (job->err) {
        log_error("Could not write local state, will try again with the next change",
                  LOG_STR("path", journal->path), LOG_ERR(job->err));
        ask_for_rewrite(journal);
        return;
    }
    journal->file_bytes = job->replace ? job->len : journal->file_bytes + job->len;
}

static void on_written(void *ctx, void *done)
{
    struct journal *journal = ctx;
    const struct write_job *job = done;
    journal->write = NULL;
    take_result(journal, job);
    if (!job->err)
        flush(journal);
}

static const struct work_vtable write_vtable = {.name = "journal",
                                                .class = WORK_NORMAL,
                                                .run_blocking = write_run,
                                                .on_done = on_written,
                                                .release = write_release};

static void format_all(const struct journal *journal, struct buf *out)
{
    journal_format_header(journal->kind, out);
    const struct record *record, *next;
    HASH_ITER(hh, journal->records, record, next)
        journal_format_record(
            record->key, (struct str){.ptr = record->value, .len = record->value_len}, false, out);
}

/* What the next write is to do; NULL when there is nothing to write. */
static struct write_job *next_write(struct journal *journal)
{
    if (journal->pending.len == 0)
        return NULL;
    bool grown =
        journal->file_bytes + journal->pending.len > 2 * journal->live_bytes + REWRITE_SLACK_BYTES;
    struct write_job *job = xcalloc(1, sizeof(*job));
    job->gate = gate_join(journal->gate);
    job->path = xstrdup(journal->path);
    job->replace = journal->rewrite || grown || journal->pending.overflowed;
    if (job->replace) {
        struct buf all;
        buf_init(&all, JOURNAL_FILE_MAX_BYTES);
        format_all(journal, &all);
        job->err = buf_error(&all, "local state");
        job->len = all.len;
        job->data = buf_take(&all);
        journal->rewrite = false;
    } else {
        job->len = journal->pending.len;
        job->data = xcalloc(1, job->len + 1);
        memcpy(job->data, journal->pending.data, job->len);
    }
    buf_clear(&journal->pending);
    return job;
}

static void flush(struct journal *journal)
{
    if (journal->write)
        return;
    struct write_job *job = next_write(journal);
    if (job)
        journal->write = work_start(journal->pool, &write_vtable, job, journal);
}

/* --- the door --- */

struct error *journal_open_blocking(struct work_pool *pool, const char *dir, const char *kind,
                                    struct journal **ret)
{
    struct error *err = fd_mkdir_all(dir, JOURNAL_DIR_MODE);
    if (err)
        return error_wrap(err, "making the folder for local state");
    struct journal *journal = xcalloc(1, sizeof(*journal));
    journal->pool = pool;
    journal->gate = gate_new();
    journal->path = xasprintf("%s/%s", dir, kind);
    journal->kind = xstrdup(kind);
    buf_init(&journal->pending, JOURNAL_FILE_MAX_BYTES);
    load(journal);
    *ret = journal;
    return NULL;
}

void journal_close(struct journal *journal)
{
    if (!journal)
        return;
    if (journal->write) /* its outcome stays unknown: what it carries is written once more */
        ask_for_rewrite(journal);
    work_cancel(TAKE(journal->write));
    gate_shut(journal->gate);
    struct write_job *job = next_write(journal);
    if (job) {
        write_blocking(job);
        take_result(journal, job);
        write_release(job);
    }
    while (journal->records)
        forget(journal, journal->records);
    buf_done(&journal->pending);
    gate_leave(journal->gate);
    free(journal->path);
    free(journal->kind);
    free(journal);
}

void journal_put(struct journal *journal, const char *key, struct str value)
{
    ASSERT(strlen(key) <= JOURNAL_KEY_MAX_BYTES && value.len <= JOURNAL_VALUE_MAX_BYTES);
    const struct record *old = find(journal, key);
    if (old && old->value_len == value.len &&
        memcmp(old->value, value.ptr ? value.ptr : "", value.len) == 0)
        return;
    remember(journal, key, value);
    journal_format_record(key, value, false, &journal->pending);
    flush(journal);
}

void journal_remove(struct journal *journal, const char *key)
{
    struct record *old = find(journal, key);
    if (!old)
        return;
    forget(journal, old);
    journal_format_record(key, (struct str){0}, true, &journal->pending);
    flush(journal);
}

void journal_visit(const struct journal *journal,
                   void (*visit)(void *ctx, const char *key, struct str value), void *ctx)
{
    const struct record *record, *next;
    HASH_ITER(hh, journal->records, record, next)
        visit(ctx, record->key, (struct str){.ptr = record->value, .len = record->value_len});
}

size_t journal_count(const struct journal *journal)
{
    return HASH_COUNT(journal->records);
}
