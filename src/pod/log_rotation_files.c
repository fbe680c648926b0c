/*
 * The files of log_rotation.h. A log folder is opened once and everything happens relative to it.
 * "<file>" is compressed into "<file>.tmp", which becomes "<file>.gz" when it is whole; then
 * "<file>" goes. Whoever is interrupted leaves what the next rotation tidies up.
 */
#include "pod/log_rotation.h"

#include "base/fd.h"
#include "base/path.h"
#include "wire/gzip_stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 4096   /* beside one log; one who makes more of them has his log not rotated */
#define MAX_LISTINGS 256 /* of a folder whose logs are deleted while somebody makes new ones */
#define CHUNK_BYTES (64 * KiB)

/* --- the folder --- */

/* Of a path elsewhere, made for another pod logs directory, no part may be a link. */
static struct error *open_folder(const char *logs_dir, const char *log_path, int *ret_fd)
{
    if (!path_is_absolute(log_path))
        return error_new(ERROR_INVALID_ARGUMENT, "the log's path \"%s\" is not absolute", log_path);
    AUTO(free) char *path = path_clean(log_path);
    AUTO(free) char *folder = path_dir(path);
    AUTO(free) char *root = path_clean(logs_dir);
    const char *base = path_is_below(folder, root) ? root : "/";
    const char *relative = folder + strlen(base);
    while (*relative == '/')
        relative++;
    AUTO(fd) int base_fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base_fd < 0)
        return error_from_errno(errno, "opening %s", base);
    struct error *err = fd_open_beneath(base_fd, *relative ? relative : ".", O_RDONLY | O_DIRECTORY,
                                        0, /* no_symlinks= */ true, ret_fd);
    return error_wrap(err, "opening %s", folder);
}

/* What in a folder begins with a given text and is no directory; texts are owned. */
struct names {
    char **items;
    size_t count;
};

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){0};
}
static inline UNUSED void auto_release_names(struct names *names)
{
    names_clear(names);
}

static bool has_type(int folder_fd, const char *name, mode_t type)
{
    struct stat info;
    return fstatat(folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           (info.st_mode & S_IFMT) == type;
}

/* At most MAX_FILES of them. */
static struct error *list_names(int folder_fd, const char *prefix, struct names *names)
{
    int own_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (!entries) {
        struct error *err = error_from_errno(errno, "listing the folder");
        fd_close(&own_fd);
        return err;
    }
    const struct dirent *entry;
    while (names->count < MAX_FILES &&
           (entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (!text_has_prefix(entry->d_name, prefix) || has_type(folder_fd, entry->d_name, S_IFDIR))
            continue;
        if ((names->count & (names->count - 1)) == 0)
            names->items = xrealloc(names->items, (names->count * 2 + 1) * sizeof(*names->items));
        names->items[names->count++] = xstrdup(entry->d_name);
    }
    closedir(entries);
    return NULL;
}

struct error *log_size_blocking(const char *logs_dir, const char *log_path, int64_t *ret_bytes)
{
    AUTO(fd) int folder_fd = -1;
    struct stat info;
    struct error *err = open_folder(logs_dir, log_path, &folder_fd);
    if (err)
        return err;
    if (fstatat(folder_fd, path_base(log_path), &info, AT_SYMLINK_NOFOLLOW) < 0)
        return error_from_errno(errno, "looking at %s", log_path);
    if (!S_ISREG(info.st_mode))
        return error_new(ERROR_FAILED_PRECONDITION, "%s is no regular file", log_path);
    *ret_bytes = info.st_size;
    return NULL;
}

static struct error *delete_file(int folder_fd, const char *name)
{
    if (unlinkat(folder_fd, name, 0) < 0 && errno != ENOENT)
        return error_from_errno(errno, "deleting %s", name);
    return NULL;
}

/* --- compressing --- */

static struct error *write_all(int fd, struct buf *out)
{
    size_t done = 0;
    while (done < out->len) {
        ssize_t wrote = write(fd, out->data + done, out->len - done);
        if (wrote < 0 && errno != EINTR)
            return error_from_errno(errno, "writing");
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    buf_clear(out);
    return NULL;
}

static struct error *compress_stream(int from_fd, int to_fd)
{
    AUTO(gzip_stream) struct gzip_stream *stream = gzip_stream_new();
    AUTO(free) char *chunk = xcalloc(1, CHUNK_BYTES);
    AUTO(buf) struct buf out;
    buf_init(&out, gzip_stream_max_output(CHUNK_BYTES) * 2);
    struct error *err = NULL;
    ssize_t got = 1;
    while (!err && got != 0) {
        got = read(from_fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_from_errno(errno, "reading");
        if (got > 0)
            gzip_stream_add(stream, (struct str){.ptr = chunk, .len = (size_t)got}, &out);
        else
            gzip_stream_finish(stream, &out);
        err = buf_error(&out, "compressed text");
        if (!err)
            err = write_all(to_fd, &out);
    }
    return err;
}

static struct error *write_compressed(int folder_fd, const char *name, const char *tmp)
{
    AUTO(fd)
    int from_fd =
        openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat info;
    if (from_fd < 0 || fstat(from_fd, &info) < 0)
        return error_from_errno(errno, "opening it");
    if (!S_ISREG(info.st_mode))
        return error_new(ERROR_FAILED_PRECONDITION, "it is no regular file");
    AUTO(fd)
    int to_fd = openat(folder_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to_fd < 0)
        return error_from_errno(errno, "making %s", tmp);
    struct error *err = compress_stream(from_fd, to_fd);
    if (!err && fchmod(to_fd, info.st_mode & 07777) < 0)
        err = error_from_errno(errno, "giving %s its mode", tmp);
    return err;
}

static struct error *compress_file(int folder_fd, const char *name)
{
    AUTO(free) char *tmp = xasprintf("%s.tmp", name);
    AUTO(free) char *compressed = xasprintf("%s.gz", name);
    struct error *err = write_compressed(folder_fd, name, tmp);
    if (!err && renameat(folder_fd, tmp, folder_fd, compressed) < 0)
        err = error_from_errno(errno, "renaming %s", tmp);
    if (err) {
        error_ignore(delete_file(folder_fd, tmp), "the next rotation tries again");
        return error_wrap(err, "compressing %s", name);
    }
    return delete_file(folder_fd, name);
}

/* --- rotation --- */

static struct error *follow_plan(int folder_fd, const struct log_file *files, size_t count)
{
    struct error *err = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        if (files[i].fate == LOG_IS_DELETED)
            err = delete_file(folder_fd, files[i].name);
    }
    for (size_t i = 0; !err && i < count; i++) {
        if (files[i].fate == LOG_IS_COMPRESSED)
            err = compress_file(folder_fd, files[i].name);
    }
    return err;
}

static struct error *rotate_in(int folder_fd, const char *log, int32_t max_files,
                               int64_t now_wall_ns, char **ret_name)
{
    if (!has_type(folder_fd, log, S_IFREG))
        return error_new(ERROR_FAILED_PRECONDITION, "%s is no regular file", log);
    AUTO(free) char *prefix = xasprintf("%s.", log);
    AUTO(names) struct names names = {0};
    struct error *err = list_names(folder_fd, prefix, &names);
    if (err)
        return err;
    if (names.count == MAX_FILES)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "there are %d or more files beside the log",
                         MAX_FILES);
    AUTO(free) struct log_file *files = xcalloc(names.count + 1, sizeof(*files));
    size_t count = 0;
    for (size_t i = 0; i < names.count; i++) {
        if (has_type(folder_fd, names.items[i], S_IFREG))
            files[count++].name = names.items[i];
    }
    log_rotation_plan(files, count, max_files);
    AUTO(free) char *rotated = log_rotation_name(log, now_wall_ns);
    if (log_rotation_is_taken(files, count, rotated))
        return error_new(ERROR_ALREADY_EXISTS, "there is a %s already", rotated);
    err = follow_plan(folder_fd, files, count);
    if (!err && renameat(folder_fd, log, folder_fd, rotated) < 0)
        err = error_from_errno(errno, "renaming %s", log);
    if (!err)
        *ret_name = TAKE(rotated);
    return err;
}

struct error *log_rotate_blocking(const char *logs_dir, const char *log_path, int32_t max_files,
                                  int64_t now_wall_ns, char **ret_name)
{
    AUTO(fd) int folder_fd = -1;
    struct error *err = open_folder(logs_dir, log_path, &folder_fd);
    return err ? err : rotate_in(folder_fd, path_base(log_path), max_files, now_wall_ns, ret_name);
}

struct error *log_rotate_back_blocking(const char *logs_dir, const char *log_path, const char *name)
{
    AUTO(fd) int folder_fd = -1;
    const char *log = path_base(log_path);
    struct error *err = open_folder(logs_dir, log_path, &folder_fd);
    if (err)
        return err;
    struct stat info;
    if (fstatat(folder_fd, log, &info, AT_SYMLINK_NOFOLLOW) == 0)
        return NULL; /* the runtime had opened it all the same */
    if (renameat(folder_fd, name, folder_fd, log) < 0)
        return error_from_errno(errno, "renaming %s back", name);
    return NULL;
}

/* --- deletion --- */

static struct error *delete_in(int folder_fd, const char *log)
{
    for (size_t listings = 0; listings < MAX_LISTINGS; listings++) {
        AUTO(names) struct names names = {0};
        struct error *err = list_names(folder_fd, log, &names);
        for (size_t i = 0; !err && i < names.count; i++)
            err = delete_file(folder_fd, names.items[i]);
        if (err || names.count < MAX_FILES)
            return err;
    }
    return error_new(ERROR_RESOURCE_EXHAUSTED, "there are ever more files beside the log");
}

struct error *log_delete_blocking(const char *logs_dir, const char *log_path)
{
    AUTO(fd) int folder_fd = -1;
    struct error *err = open_folder(logs_dir, log_path, &folder_fd);
    if (err && (err->code == ERROR_NOT_FOUND || err->os_errno == ENOTDIR)) {
        error_ignore(err, "without a folder there is no log");
        return NULL;
    }
    return err ? err : delete_in(folder_fd, path_base(log_path));
}
