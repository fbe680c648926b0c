/*
 * A query's answer on its way: what journald has of the services first, then the files of those it
 * does not know.
 *
 *     CHECKING ──► refused, or a file that the file server serves
 *        │
 *        └──► LISTING ──► JOURNAL ──► FILES: one service after the other ──► the answer ends
 *        units known to journald      └─ each: look for its log, then copy it
 *
 * The 200 leaves before LISTING; what fails from there on is a line of text in the body, as with
 * upstream. The time limit kills journalctl and ends copying, in the same way. A client that reads
 * slowly makes journalctl and the copying wait; one that has not taken the rest when the limit has
 * passed once more is cut off.
 */
#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "loop/child.h"
#include "server/file_reader.h"
#include "server/node_logs_internal.h"
#include "server/reply.h"
#include "wire/gzip_stream.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LISTING_MAX_BYTES (4 * MiB) /* of unit names */
#define LATE "context deadline exceeded"

enum run_state { RUN_CHECKING, RUN_LISTING, RUN_JOURNAL, RUN_FILES };

struct journal_run {
    struct node_logs *logs; /* parent */
    struct journal_run *prev, *next;
    struct http_exchange *exchange;
    struct node_log_query query; /* its texts and the lists below are the exchange's memory */
    enum run_state state;
    const char **natives, **strays; /* services by whether journald knows them */
    size_t n_natives, n_strays;
    size_t stray; /* the one whose file is being served */
    bool is_late;
    bool is_blocked; /* the client has not taken enough yet */
    struct loop_timer *limit;
    struct work *work;
    struct child *child;
    struct buf listing;
    struct file_reader *reader;
    struct gzip_stream *gzip; /* NULL: plain */
};

static void serve_next_file(struct journal_run *run);

/* --- life --- */

static void run_free(struct journal_run *run)
{
    DL_DELETE(run->logs->runs, run);
    run->logs->n_runs--;
    run->logs->n_transfers--;
    loop_timer_free(run->limit);
    work_cancel(run->work);
    child_free(run->child);
    file_reader_free(run->reader);
    gzip_stream_free(run->gzip);
    buf_done(&run->listing);
    free(run);
}

void node_journal_abort_all(struct node_logs *logs)
{
    struct journal_run *run, *next;
    DL_FOREACH_SAFE(logs->runs, run, next) {
        http_exchange_abort(run->exchange);
        run_free(run);
    }
}

static void on_gone(void *ctx)
{
    run_free(ctx);
}

/* --- towards the client --- */

static void put(struct journal_run *run, struct str bytes)
{
    if (!run->gzip) {
        http_exchange_write(run->exchange, bytes);
        return;
    }
    AUTO(buf) struct buf out;
    buf_init(&out, gzip_stream_max_output(bytes.len));
    gzip_stream_add(run->gzip, bytes, &out);
    http_exchange_write(run->exchange, buf_str(&out));
}

static void put_line(struct journal_run *run, const char *format, ...) PRINTF_LIKE(2, 3);
static void put_line(struct journal_run *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = arena_vprintf(http_exchange_arena(run->exchange), format, args);
    va_end(args);
    put(run, str_from(text));
}

static void finish(struct journal_run *run)
{
    struct http_exchange *exchange = run->exchange;
    if (run->gzip) {
        AUTO(buf) struct buf out;
        buf_init(&out, gzip_stream_max_output(0));
        gzip_stream_finish(run->gzip, &out);
        http_exchange_write(exchange, buf_str(&out));
    }
    run_free(run);
    http_exchange_finish(exchange);
}

static bool is_full(const struct journal_run *run)
{
    return http_exchange_backlog(run->exchange) >= NODE_LOGS_BACKLOG_BYTES / 2;
}

static void on_drain(void *ctx)
{
    struct journal_run *run = ctx;
    if (!run->is_blocked)
        return;
    run->is_blocked = false;
    if (run->child)
        child_pause(run->child, false);
    else if (run->reader)
        file_reader_next(run->reader, UINT64_MAX);
}

/* --- files --- */

/* Where a worker looks for the log of a service. */
struct search {
    char *root, *service; /* owned */
    int fd;               /* owned; -1: none */
    char *problem;        /* owned; NULL when there is simply none */
};

static void release_search(void *object)
{
    struct search *search = object;
    fd_close(&search->fd);
    free(search->root);
    free(search->service);
    free(search->problem);
    free(search);
}

/* "No such file" as Go writes it. */
static char *cause_of(const struct error *err)
{
    const char *text = err->os_errno ? strerrordesc_np(err->os_errno) : err->message;
    char *cause = xstrdup(text ? text : err->message);
    cause[0] = (char)tolower((unsigned char)cause[0]);
    return cause;
}

/* Returns whether the search is over. */
static bool try_blocking(struct search *search, const char *name)
{
    AUTO(fd) int fd = -1;
    struct stat stat = {0};
    AUTO(error)
    struct error *err = node_logs_open_blocking(search->root, name, O_RDONLY, &fd);
    if (!err && fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode)) {
        search->fd = fd;
        fd = -1;
        return true;
    }
    if (!err || err->code == ERROR_NOT_FOUND)
        return false;
    AUTO(free) char *cause = cause_of(err);
    search->problem = xasprintf("open %s/%s: %s", search->root, name, cause);
    return true;
}

static void search_blocking(void *object)
{
    struct search *search = object;
    AUTO(free) char *plain = xasprintf("%s.log", search->service);
    AUTO(free) char *nested = xasprintf("%s/%s.log", search->service, search->service);
    if (!try_blocking(search, search->service) && !try_blocking(search, plain))
        (void)try_blocking(search, nested);
}

static void next_stray(struct journal_run *run)
{
    run->stray++;
    serve_next_file(run);
}

static void fail_file(struct journal_run *run, const char *problem)
{
    put_line(run, "\nerror getting log for %s: %s\n", run->strays[run->stray], problem);
    next_stray(run);
}

static void on_piece(void *ctx, struct str bytes, struct error *err_owned)
{
    struct journal_run *run = ctx;
    AUTO(error) struct error *err = err_owned;
    bool is_end = err || bytes.len == 0;
    if (!is_end && !run->is_late) {
        put(run, bytes);
        run->is_blocked = is_full(run);
        if (!run->is_blocked)
            file_reader_next(run->reader, UINT64_MAX);
        return;
    }
    file_reader_free(TAKE(run->reader));
    if (run->is_late && !is_end)
        fail_file(run, LATE);
    else if (err)
        fail_file(run, err->message);
    else
        next_stray(run);
}

static void on_found(void *ctx, void *object)
{
    struct journal_run *run = ctx;
    struct search *search = object;
    run->work = NULL;
    if (search->problem) {
        fail_file(run, search->problem);
    } else if (search->fd < 0) {
        put_line(run, "\nlog not found for %s\n", search->service);
        next_stray(run);
    } else {
        run->reader = file_reader_new(run->logs->pool, search->fd, 0, on_piece, run);
        search->fd = -1;
        file_reader_next(run->reader, UINT64_MAX);
    }
}

static const struct work_vtable search_work = {.name = "log-search",
                                               .class = WORK_SLOW,
                                               .run_blocking = search_blocking,
                                               .on_done = on_found,
                                               .release = release_search};

static void serve_next_file(struct journal_run *run)
{
    if (run->stray == run->n_strays) {
        finish(run);
        return;
    }
    struct search *search = xcalloc(1, sizeof(*search));
    search->root = xstrdup(run->logs->root);
    search->service = xstrdup(run->strays[run->stray]);
    search->fd = -1;
    run->work = work_start(run->logs->pool, &search_work, search, run);
}

static void serve_files(struct journal_run *run)
{
    run->state = RUN_FILES;
    if (run->n_strays > 0 && node_log_query_has_options(&run->query)) {
        put_line(run, "\noptions present and query resolved to log files for [");
        for (size_t i = 0; i < run->n_strays; i++)
            put_line(run, "%s%s", i ? " " : "", run->strays[i]);
        put_line(run, "]\ntry without specifying options\n");
        finish(run);
    } else if (run->n_strays > 0 && run->is_late) {
        put_line(run, "\ncontext error: " LATE "\n");
        finish(run);
    } else {
        serve_next_file(run);
    }
}

/* --- journalctl --- */

static void on_output(void *ctx, struct str bytes)
{
    struct journal_run *run = ctx;
    if (run->state == RUN_LISTING) {
        buf_add_str(&run->listing, bytes);
        return;
    }
    put(run, bytes);
    run->is_blocked = is_full(run);
    if (run->is_blocked)
        child_pause(run->child, true);
}

static void on_exit_of_child(void *ctx, int status);

static const struct child_events journal_events = {.on_output = on_output,
                                                   .on_exit = on_exit_of_child};

static struct error *start_journal(struct journal_run *run, const char *const *argv)
{
    const char *path = getenv("PATH"); // NOLINT(concurrency-mt-unsafe): nobody changes it
    AUTO(free)
    char *path_entry = xasprintf("PATH=%s", path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
    const char *const env[] = {path_entry, "LANG=C.UTF-8", "SYSTEMD_COLORS=0", NULL};
    const struct child_options options = {.argv = argv, .env = env, .errors = CHILD_ERRORS_JOINED};
    return child_start(run->logs->loop, run->logs->pool, &options, &journal_events, run,
                       &run->child);
}

static void serve_journal(struct journal_run *run)
{
    run->state = RUN_JOURNAL;
    if (run->n_natives == 0 || run->is_late) {
        serve_files(run);
        return;
    }
    const char *const *argv =
        node_log_query_arguments(&run->query, run->logs->journalctl, run->natives, run->n_natives,
                                 http_exchange_arena(run->exchange));
    struct error *err = start_journal(run, argv);
    if (!err)
        return;
    error_ignore(err, "the client is told in upstream's words");
    if (!run->query.has_boot || run->query.boot == 0)
        put_line(run, "\nerror: journal output not available\n");
    serve_files(run);
}

/* Sorts the services by whether journald has something of theirs. */
static void split_services(struct journal_run *run, bool has_listing)
{
    struct arena *arena = http_exchange_arena(run->exchange);
    run->natives = arena_calloc(arena, run->query.service_count, sizeof(*run->natives));
    run->strays = arena_calloc(arena, run->query.service_count, sizeof(*run->strays));
    for (size_t i = 0; i < run->query.service_count; i++) {
        const char *service = run->query.services[i];
        AUTO(free) char *unit = xasprintf("%s.service", service);
        if (has_listing && strstr(buf_text(&run->listing), unit))
            run->natives[run->n_natives++] = service;
        else
            run->strays[run->n_strays++] = service;
    }
    buf_done(&run->listing);
}

static void on_exit_of_child(void *ctx, int status)
{
    struct journal_run *run = ctx;
    child_free(TAKE(run->child));
    run->is_blocked = false;
    if (run->state == RUN_LISTING) {
        split_services(run, WIFEXITED(status) && WEXITSTATUS(status) == 0);
        serve_journal(run);
    } else {
        serve_files(run);
    }
}

/* The second time it is the client that keeps us: what is left to be sent is little, but a query's
 * place is one of few. */
static void on_limit(void *ctx)
{
    struct journal_run *run = ctx;
    if (run->is_late) {
        http_exchange_abort(run->exchange);
        run_free(run);
        return;
    }
    run->is_late = true;
    loop_timer_start(run->limit, run->logs->query_timeout_ns);
    if (run->child)
        child_kill(run->child);
}

static void serve_services(struct journal_run *run)
{
    struct http_exchange *exchange = run->exchange;
    static const struct http_field items[] = {{"content-type", "text/plain;charset=UTF-8"},
                                              {"content-encoding", "gzip"}};
    const char *accepted =
        http_fields_get(&http_exchange_request(exchange)->fields, "accept-encoding");
    bool is_gzip = accepted && strcmp(accepted, "gzip") == 0;
    if (is_gzip)
        run->gzip = gzip_stream_new();
    http_exchange_set_patience(exchange, NODE_LOGS_PATIENCE_NS);
    http_exchange_begin(exchange, 200,
                        &(struct http_fields){.items = items, .count = is_gzip ? 2 : 1});
    http_exchange_on_drain(exchange, NODE_LOGS_BACKLOG_BYTES, on_drain, run);
    loop_timer_start(run->limit, run->logs->query_timeout_ns);
    run->state = RUN_LISTING;
    const char *const argv[] = {run->logs->journalctl, "--field", "_SYSTEMD_UNIT", NULL};
    struct error *err = start_journal(run, argv);
    if (!err)
        return;
    error_ignore(err, "then no service is journald's");
    split_services(run, false);
    serve_journal(run);
}

/* --- checking --- */

/* Whether a file can be read at all. */
struct probe {
    char *root, *path; /* owned */
    char *problem;     /* owned; NULL: it can */
};

static void release_probe(void *object)
{
    struct probe *probe = object;
    free(probe->root);
    free(probe->path);
    free(probe->problem);
    free(probe);
}

static void probe_blocking(void *object)
{
    struct probe *probe = object;
    AUTO(fd) int fd = -1;
    AUTO(error)
    struct error *err = node_logs_open_blocking(probe->root, probe->path, O_PATH, &fd);
    if (!err)
        return;
    if (err->code == ERROR_NOT_FOUND)
        err->os_errno = ENOENT; /* as it is for who sees nothing but the root */
    AUTO(free) char *cause = cause_of(err);
    AUTO(free) char *full = path_join(probe->root, probe->path);
    probe->problem = xasprintf("stat %s: %s", full, cause);
}

static void decide(struct journal_run *run, const char *file_problem)
{
    struct http_exchange *exchange = run->exchange;
    struct arena *arena = http_exchange_arena(exchange);
    const char *problem = node_log_query_check(&run->query, file_problem, arena);
    if (problem) {
        run_free(run);
        reply_plain_error(exchange, 406, problem);
        return;
    }
    if (run->query.service_count > 0) {
        serve_services(run);
        return;
    }
    const char *file = run->query.files[0];
    struct node_logs *logs = run->logs;
    run_free(run);
    node_file_serve(logs, exchange, file[0] == '/' ? file : arena_printf(arena, "/%s", file));
}

static void on_probed(void *ctx, void *object)
{
    struct journal_run *run = ctx;
    struct probe *probe = object;
    run->work = NULL;
    decide(run, probe->problem);
}

static const struct work_vtable probe_work = {.name = "log-probe",
                                              .class = WORK_SLOW,
                                              .run_blocking = probe_blocking,
                                              .on_done = on_probed,
                                              .release = release_probe};

void node_journal_serve(struct node_logs *logs, struct http_exchange *exchange,
                        const struct node_log_query *query)
{
    struct journal_run *run = xcalloc(1, sizeof(*run));
    *run = (struct journal_run){.logs = logs, .exchange = exchange, .query = *query};
    run->limit = loop_timer_new(logs->loop, "log query", on_limit, run);
    buf_init(&run->listing, LISTING_MAX_BYTES);
    DL_APPEND(logs->runs, run);
    logs->n_runs++;
    logs->n_transfers++;
    http_exchange_on_gone(exchange, on_gone, run);
    const char *file = node_log_query_file(query);
    if (!file) {
        decide(run, NULL);
        return;
    }
    struct probe *probe = xcalloc(1, sizeof(*probe));
    probe->root = xstrdup(logs->root);
    AUTO(free) char *rooted = xasprintf("/%s", file);
    probe->path = path_clean(rooted);
    run->work = work_start(logs->pool, &probe_work, probe, run);
}
