/*
 * A file or folder on its way to a client.
 *
 *     OPENING ──► answered in one go: missing, forbidden, redirect, folder, unchanged
 *        │
 *        └──► READING ── bytes ──► SENDING ── the client took most of them ──► READING
 *                └── all of what was promised is sent ──► the answer ends
 *
 * What was found when the file was opened is what is sent: a log that grows meanwhile is not sent
 * further, and one that is cut breaks the answer off.
 */
#include "base/fd.h"
#include "base/hash.h"
#include "base/path.h"
#include "server/content_type.h"
#include "server/file_reader.h"
#include "server/node_logs_internal.h"
#include "server/reply.h"
#include "server/static_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define INDEX "index.html"
#define PAGE_MAX_BYTES (16 * MiB)
#define FOLDER_MAX_ENTRIES 200000

struct node_transfer {
    struct node_logs *logs; /* parent */
    struct node_transfer *prev, *next;
    struct http_exchange *exchange;
    const char *path; /* the exchange's memory */
    struct work *work;
    struct file_reader *reader; /* NULL: OPENING */
    bool is_sending;
    uint64_t left; /* promised and not read yet */
};

/* --- looking --- */

/* What a worker finds out. */
struct look {
    char *root, *path; /* owned; @path is clean and begins with '/' */
    bool wants_folder; /* a folder is to be listed */

    int fd; /* owned; -1: it cannot be opened */
    int os_errno;
    struct stat stat;
    bool is_index;   /* of the folder asked for */
    bool is_unread;  /* the folder cannot be listed */
    struct buf page; /* of a folder */
    char first[CONTENT_SNIFF_BYTES];
    size_t first_len;
};

static void release_look(void *object)
{
    struct look *look = object;
    fd_close(&look->fd);
    buf_done(&look->page);
    free(look->root);
    free(look->path);
    free(look);
}

/* Unlike what the kernel says, Go calls a path through a file a missing one. */
static int open_blocking(const char *root, const char *path, struct stat *ret_stat, int *ret_fd)
{
    AUTO(free) char *full = path_join(root, path);
    AUTO(fd) int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOTDIR ? ENOENT : errno;
    if (fstat(fd, ret_stat) < 0)
        return errno;
    if (!S_ISREG(ret_stat->st_mode) && !S_ISDIR(ret_stat->st_mode))
        return EINVAL; /* a pipe or device has nothing to be served */
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static bool is_folder(DIR *dir, const struct dirent *entry)
{
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    struct stat stat = {0};
    return fstatat(dirfd(dir), entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(stat.st_mode);
}

static bool add_entry(DIR *dir, const struct dirent *entry, struct arena *arena,
                      struct static_entry **entries, size_t *count, size_t *room)
{
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return true;
    if (*count == FOLDER_MAX_ENTRIES)
        return false;
    if (*count == *room) {
        *room = *room ? 2 * *room : 64;
        *entries = xrealloc(*entries, *room * sizeof(**entries));
    }
    (*entries)[(*count)++] = (struct static_entry){.name = arena_strdup(arena, entry->d_name),
                                                   .is_folder = is_folder(dir, entry)};
    return true;
}

/* Returns whether all of it could be read. */
static bool list_blocking(int fd, struct buf *page)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (!dir) {
        fd_close(&copy);
        return false;
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free) struct static_entry *entries = NULL;
    size_t count = 0, room = 0;
    bool is_good = true;
    const struct dirent *entry = NULL;
    errno = 0;
    while (is_good && (entry = readdir(dir))) { // NOLINT(concurrency-mt-unsafe): our own stream
        is_good = add_entry(dir, entry, arena, &entries, &count, &room);
        errno = 0;
    }
    is_good = is_good && errno == 0;
    (void)closedir(dir);
    static_folder_write(entries, count, page);
    return is_good && !page->overflowed;
}

static void look_into_folder(struct look *look)
{
    AUTO(free) char *index = path_join(look->path, INDEX);
    AUTO(fd) int fd = -1;
    struct stat stat = {0};
    if (open_blocking(look->root, index, &stat, &fd) == 0 && S_ISREG(stat.st_mode)) {
        fd_close(&look->fd);
        look->fd = fd;
        fd = -1;
        look->stat = stat;
        look->is_index = true;
        return;
    }
    look->is_unread = !list_blocking(look->fd, &look->page);
}

static void look_blocking(void *object)
{
    struct look *look = object;
    look->os_errno = open_blocking(look->root, look->path, &look->stat, &look->fd);
    if (look->os_errno == 0 && look->wants_folder && S_ISDIR(look->stat.st_mode))
        look_into_folder(look);
    if (look->os_errno != 0 || !S_ISREG(look->stat.st_mode))
        return;
    ssize_t len = pread(look->fd, look->first, sizeof(look->first), 0);
    look->first_len = len > 0 ? (size_t)len : 0;
}

/* --- life --- */

static void transfer_free(struct node_transfer *transfer)
{
    DL_DELETE(transfer->logs->transfers, transfer);
    transfer->logs->n_transfers--;
    work_cancel(transfer->work);
    file_reader_free(transfer->reader);
    free(transfer);
}

void node_file_abort_all(struct node_logs *logs)
{
    struct node_transfer *transfer, *next;
    DL_FOREACH_SAFE(logs->transfers, transfer, next) {
        http_exchange_abort(transfer->exchange);
        transfer_free(transfer);
    }
}

static void on_gone(void *ctx)
{
    transfer_free(ctx);
}

/* --- answers in one go --- */

static void redirect(struct http_exchange *exchange, const char *place)
{
    const struct http_target *target = &http_exchange_request(exchange)->target;
    const char *location = arena_printf(http_exchange_arena(exchange), "%s%s%s", place,
                                        target->raw_query[0] ? "?" : "", target->raw_query);
    const struct http_field items[] = {{"location", location}};
    http_exchange_reply(exchange, 301, &(struct http_fields){.items = items, .count = 1},
                        STR_LITERAL(""));
}

/* The last element of @path, escaped. Not cleaned before: the client resolves the answer against
 * what it asked for, dots and all. */
static const char *last_element(struct http_exchange *exchange, const char *path)
{
    struct str rest = str_from(path);
    while (rest.len > 1 && rest.ptr[rest.len - 1] == '/')
        rest.len--;
    size_t from = rest.len;
    while (from > 0 && rest.ptr[from - 1] != '/')
        from--;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * HTTP_TARGET_MAX_BYTES);
    http_escape(&out, (struct str){.ptr = rest.ptr + from, .len = rest.len - from});
    return arena_strdup(http_exchange_arena(exchange), buf_text(&out));
}

static void refuse(struct http_exchange *exchange, int os_errno)
{
    if (os_errno == ENOENT)
        reply_plain_error(exchange, 404, "404 page not found");
    else if (os_errno == EACCES || os_errno == EPERM)
        reply_plain_error(exchange, 403, "403 Forbidden");
    else
        reply_plain_error(exchange, 500, "500 Internal Server Error");
}

/* A folder ends in a slash and a file does not. True: the client is sent there. */
static bool redirect_to_proper(struct http_exchange *exchange, const char *path,
                               bool is_folder_path, bool is_folder)
{
    if (is_folder_path == is_folder)
        return false;
    struct arena *arena = http_exchange_arena(exchange);
    const char *base = last_element(exchange, path);
    redirect(exchange,
             is_folder ? arena_printf(arena, "%s/", base) : arena_printf(arena, "../%s", base));
    return true;
}

/* Fields that belong to a file, however it is sent. */
struct fields {
    struct http_field items[4];
    size_t count;
    char modified[HTTP_DATE_SIZE];
};

static void add_field(struct fields *fields, const char *name, const char *value)
{
    fields->items[fields->count++] = (struct http_field){.name = name, .value = value};
}

static void add_modified(struct fields *fields, int64_t modified_s)
{
    if (modified_s != 0)
        add_field(fields, "last-modified", http_date(modified_s * NS_PER_SEC, fields->modified));
}

static struct http_fields list(const struct fields *fields)
{
    return (struct http_fields){.items = fields->items, .count = fields->count};
}

static void send_folder(struct http_exchange *exchange, const struct look *look)
{
    struct fields fields = {.count = 0};
    int64_t modified_s = look->stat.st_mtim.tv_sec;
    if (look->is_unread) {
        reply_plain_error(exchange, 500, "Error reading directory");
        return;
    }
    if (static_folder_is_unchanged(&http_exchange_request(exchange)->fields, modified_s)) {
        http_exchange_reply(exchange, 304, NULL, STR_LITERAL(""));
        return;
    }
    add_field(&fields, "content-type", "text/html; charset=utf-8");
    add_modified(&fields, modified_s);
    const struct http_fields all = list(&fields);
    http_exchange_reply(exchange, 200, &all, buf_str(&look->page));
}

/* No part of the file is as wanted. */
static void refuse_range(struct http_exchange *exchange, const struct static_answer *answer,
                         int64_t size)
{
    struct arena *arena = http_exchange_arena(exchange);
    struct fields fields = {.count = 0};
    add_field(&fields, "content-type", "text/plain; charset=utf-8");
    add_field(&fields, "x-content-type-options", "nosniff");
    if (answer->has_no_overlap)
        add_field(&fields, "content-range", arena_printf(arena, "bytes */%lld", (long long)size));
    const struct http_fields all = list(&fields);
    http_exchange_reply(exchange, 416, &all,
                        answer->has_no_overlap ? STR_LITERAL("invalid range: failed to overlap\n")
                                               : STR_LITERAL("invalid range\n"));
}

/* --- sending a file --- */

static void on_piece(void *ctx, struct str bytes, struct error *err_owned)
{
    struct node_transfer *transfer = ctx;
    struct http_exchange *exchange = transfer->exchange;
    if (err_owned || bytes.len == 0) {
        error_ignore(err_owned, "the client sees that it has not got all");
        http_exchange_abort(exchange);
        transfer_free(transfer);
        return;
    }
    http_exchange_write(exchange, bytes);
    transfer->left -= bytes.len;
    if (transfer->left == 0) {
        transfer_free(transfer);
        http_exchange_finish(exchange);
        return;
    }
    transfer->is_sending = http_exchange_backlog(exchange) >= NODE_LOGS_BACKLOG_BYTES / 2;
    if (!transfer->is_sending)
        file_reader_next(transfer->reader, transfer->left);
}

static void on_drain(void *ctx)
{
    struct node_transfer *transfer = ctx;
    if (!transfer->is_sending)
        return;
    transfer->is_sending = false;
    file_reader_next(transfer->reader, transfer->left);
}

static void send_part(struct node_transfer *transfer, struct look *look,
                      const struct static_answer *answer)
{
    struct http_exchange *exchange = transfer->exchange;
    struct arena *arena = http_exchange_arena(exchange);
    struct fields fields = {.count = 0};
    const char *type = content_type_by_name(look->is_index ? INDEX : look->path);
    struct str first = {.ptr = look->first, .len = look->first_len};
    add_field(&fields, "content-type", type ? type : content_type_sniff(first));
    add_field(&fields, "accept-ranges", "bytes");
    add_modified(&fields, look->stat.st_mtim.tv_sec);
    if (answer->outcome == STATIC_PART)
        add_field(&fields, "content-range",
                  arena_printf(arena, "bytes %lld-%lld/%lld", (long long)answer->from,
                               (long long)(answer->from + answer->length - 1),
                               (long long)look->stat.st_size));
    const struct http_fields all = list(&fields);
    http_exchange_set_patience(exchange, NODE_LOGS_PATIENCE_NS);
    http_exchange_begin_sized(exchange, answer->outcome == STATIC_PART ? 206 : 200, &all,
                              (uint64_t)answer->length);
    if (answer->length == 0 || text_eq(http_exchange_request(exchange)->method, "HEAD")) {
        transfer_free(transfer);
        http_exchange_finish(exchange);
        return;
    }
    transfer->left = (uint64_t)answer->length;
    transfer->reader =
        file_reader_new(transfer->logs->pool, look->fd, answer->from, on_piece, transfer);
    look->fd = -1;
    http_exchange_on_drain(exchange, NODE_LOGS_BACKLOG_BYTES, on_drain, transfer);
    file_reader_next(transfer->reader, transfer->left);
}

static void send_file(struct node_transfer *transfer, struct look *look)
{
    struct http_exchange *exchange = transfer->exchange;
    const struct static_file file = {.size = look->stat.st_size,
                                     .modified_s = look->stat.st_mtim.tv_sec};
    struct static_answer answer;
    static_file_decide(&http_exchange_request(exchange)->fields, &file, &answer);
    struct fields fields = {.count = 0};
    add_modified(&fields, file.modified_s);
    const struct http_fields all = list(&fields);
    switch (answer.outcome) {
    case STATIC_WHOLE:
    case STATIC_PART:
        send_part(transfer, look, &answer);
        return;
    case STATIC_NOT_MODIFIED:
    case STATIC_FAILED:
        http_exchange_reply(exchange, answer.outcome == STATIC_FAILED ? 412 : 304, &all,
                            STR_LITERAL(""));
        break;
    case STATIC_OUT_OF_RANGE:
        refuse_range(exchange, &answer, file.size);
        break;
    }
    transfer_free(transfer);
}

static void on_looked(void *ctx, void *object)
{
    struct node_transfer *transfer = ctx;
    struct look *look = object;
    struct http_exchange *exchange = transfer->exchange;
    transfer->work = NULL;
    if (look->os_errno != 0) {
        transfer_free(transfer);
        refuse(exchange, look->os_errno);
        return;
    }
    bool is_listed = S_ISDIR(look->stat.st_mode);
    if (redirect_to_proper(exchange, transfer->path, look->wants_folder,
                           is_listed || look->is_index)) {
        transfer_free(transfer);
    } else if (is_listed) {
        transfer_free(transfer);
        send_folder(exchange, look);
    } else {
        send_file(transfer, look);
    }
}

static const struct work_vtable look_work = {.name = "log-open",
                                             .class = WORK_SLOW,
                                             .run_blocking = look_blocking,
                                             .on_done = on_looked,
                                             .release = release_look};

void node_file_serve(struct node_logs *logs, struct http_exchange *exchange, const char *path)
{
    if (text_has_suffix(path, "/" INDEX)) {
        redirect(exchange, "./");
        return;
    }
    struct node_transfer *transfer = xcalloc(1, sizeof(*transfer));
    *transfer = (struct node_transfer){.logs = logs, .exchange = exchange, .path = path};
    DL_APPEND(logs->transfers, transfer);
    logs->n_transfers++;
    http_exchange_on_gone(exchange, on_gone, transfer);

    struct look *look = xcalloc(1, sizeof(*look));
    look->root = xstrdup(logs->root);
    look->path = path_clean(path);
    look->wants_folder = path[strlen(path) - 1] == '/';
    look->fd = -1;
    buf_init(&look->page, PAGE_MAX_BYTES);
    transfer->work = work_start(logs->pool, &look_work, look, transfer);
}
