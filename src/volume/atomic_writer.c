/*
 * A directory with published content looks so:
 *
 *     ..2026_11_21_03_07_06.732291057/    the files, never changed once they are published
 *     ..data → ..2026_11_21_03_07_06.732291057
 *     token → ..data/token                one for each first element of a path
 *
 * New content is a new directory; renaming a new link over `..data` is the moment of publication.
 * After it come the links: missing ones are made, and those that lead nowhere any more go, as do
 * directories of other times. Both are found by looking and not by what has changed, so that a call
 * that was interrupted anywhere is completed by the next one.
 *
 * A pod may work on the directory at the same time, as root if it has found a way to write to it.
 * So nothing below the directory is reached by a path of several elements that the kernel would
 * follow links in, and names that are found there are looked at one by one: how many there are is
 * the pod's choice.
 */
#include "volume/atomic_writer.h"

#include "base/fd.h"
#include "base/path.h"
#include "kube/jitter.h"
#include "volume/dir_beneath.h"
#include "volume/volume_plugin.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DATA_LINK "..data"
#define NEW_DATA_LINK "..data_tmp"
#define DIR_MODE 0755
#define SUB_DIR_MODE 0777 /* less umask */
#define READ_BYTES (4 * KiB)
#define NAME_TRIES 100

struct writer {
    const struct atomic_write *write;
    struct arena *arena; /* scratch */
    int dir_fd;
    const char *current; /* the directory `..data` leads to; NULL: none, or not ours */
};

static const char *path_in(const struct writer *writer, const char *name)
{
    return arena_printf(writer->arena, "%s/%s", writer->write->dir, name);
}

/* Where link @name leads; NULL when it is not there, or no link, or an odd one. */
static const char *link_target(const struct writer *writer, const char *name)
{
    char target[NAME_MAX + sizeof(DATA_LINK) + 1];
    ssize_t len = readlinkat(writer->dir_fd, name, target, sizeof(target));
    if (len <= 0 || (size_t)len == sizeof(target))
        return NULL;
    return arena_strndup(writer->arena, target, (size_t)len);
}

/* --- is what is published what is wanted? --- */

/* *ret: the file below @fd is a plain one with these bytes. */
static struct error *is_same_file(int fd, const struct volume_file *file, bool *ret)
{
    AUTO(fd) int file_fd = -1;
    *ret = false;
    struct error *err =
        fd_open_beneath(fd, file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, true, &file_fd);
    if (err) {
        /* Missing, or something else in its way: it has to be written. */
        error_ignore(err, "the new directory does not depend on what is wrong in the old one");
        return NULL;
    }
    struct stat st;
    if (fstat(file_fd, &st) != 0)
        return error_from_errno(errno, "looking at %s", file->path);
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != file->len)
        return NULL;
    uint8_t bytes[READ_BYTES];
    size_t done = 0;
    while (done < file->len) {
        ssize_t len = read(file_fd, bytes, sizeof(bytes));
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return error_from_errno(errno, "reading %s", file->path);
        if (len == 0 || (size_t)len > file->len - done ||
            memcmp(bytes, file->bytes + done, (size_t)len) != 0)
            return NULL;
        done += (size_t)len;
    }
    *ret = true;
    return NULL;
}

/* Calls @visit for each name in the directory until it fails or ends the listing. */
static struct error *list(int dir_fd,
                          struct error *(*visit)(void *ctx, const char *name, bool *end), void *ctx)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        struct error *err = error_from_errno(errno, "listing a directory");
        fd_close(&fd);
        return err;
    }
    const struct dirent *entry;
    struct error *err = NULL;
    bool end = false;
    while (!err && !end) {
        errno = 0;
        entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe): own stream */
        if (!entry)
            break;
        if (!text_eq(entry->d_name, ".") && !text_eq(entry->d_name, ".."))
            err = visit(ctx, entry->d_name, &end);
    }
    if (!err && !end && errno != 0)
        err = error_from_errno(errno, "listing a directory");
    (void)closedir(dir);
    return err;
}

/* Looking for what is not wanted. */
struct search {
    const struct writer *writer;
    const char *dir;   /* being listed; "": the published one */
    const char **dirs; /* wanted ones, in the order they were met */
    size_t count, room;
    bool found_other;
};

static struct error *search_visit(void *ctx, const char *name, bool *end)
{
    struct search *search = ctx;
    struct arena *arena = search->writer->arena;
    const char *inner = arena_printf(arena, "%s%s%s", search->dir, *search->dir ? "/" : "", name);
    switch (volume_payload_place(search->writer->write->payload, inner)) {
    case PAYLOAD_NONE:
        search->found_other = *end = true;
        return NULL;
    case PAYLOAD_FILE:
        return NULL;
    case PAYLOAD_PARENT:
        break;
    }
    if (search->count == search->room) {
        search->room = search->room ? search->room * 2 : 8;
        const char **larger = arena_calloc(arena, search->room, sizeof(*larger));
        if (search->count > 0)
            memcpy(larger, search->dirs, search->count * sizeof(*larger));
        search->dirs = larger;
    }
    search->dirs[search->count++] = inner;
    return NULL;
}

/* *ret: directory @fd holds nothing that is not wanted. Only directories that are wanted are
 * entered, so there are no more of them than the payload has. */
static struct error *has_no_others(const struct writer *writer, int fd, bool *ret)
{
    struct search search = {.writer = writer, .dir = ""};
    struct error *err = list(fd, search_visit, &search);
    for (size_t i = 0; !err && !search.found_other && i < search.count; i++) {
        AUTO(fd) int dir_fd = -1;
        search.dir = search.dirs[i];
        err = fd_open_beneath(fd, search.dir, O_PATH | O_DIRECTORY, 0, true, &dir_fd);
        if (!err)
            err = list(dir_fd, search_visit, &search);
    }
    *ret = !err && !search.found_other;
    return err;
}

/* Modes and owners do not count, as upstream has it. */
static struct error *is_current(const struct writer *writer, bool *ret)
{
    *ret = false;
    if (!writer->current)
        return NULL;
    AUTO(fd)
    int fd =
        openat(writer->dir_fd, writer->current, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    const struct volume_payload *payload = writer->write->payload;
    for (size_t i = 0; i < payload->count; i++) {
        bool same;
        struct error *err = is_same_file(fd, &payload->files[i], &same);
        if (err || !same)
            return err;
    }
    return has_no_others(writer, fd, ret);
}

/* --- writing --- */

static struct error *make_new_dir(const struct writer *writer, const char **ret_name)
{
    time_t now_s = (time_t)(writer->write->now_ns / NS_PER_SEC);
    struct tm utc;
    char text[sizeof("..2026_11_21_03_07_06") + 16];
    if (!gmtime_r(&now_s, &utc) || strftime(text, sizeof(text), "..%Y_%m_%d_%H_%M_%S", &utc) == 0)
        return error_new(ERROR_INTERNAL, "the clock shows no time that could name a directory");
    uint32_t number = (uint32_t)(jitter_draw() & UINT32_MAX);
    for (uint32_t i = 0; i < NAME_TRIES; i++) {
        const char *name = arena_printf(writer->arena, "%s.%u", text, number + i);
        if (mkdirat(writer->dir_fd, name, 0700) == 0) {
            *ret_name = name;
            return NULL;
        }
        if (errno != EEXIST)
            return error_from_errno(errno, "making %s", path_in(writer, name));
    }
    return error_new(ERROR_ALREADY_EXISTS, "no free name for a new directory in %s",
                     writer->write->dir);
}

/* Makes the file, which is new, and the directories above it. */
static struct error *create_file(const struct writer *writer, int fd, const char *path, int *ret_fd)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return fd_open_beneath(fd, path, O_WRONLY | O_CREAT | O_EXCL, 0600, true, ret_fd);
    AUTO(fd) int parent_fd = -1;
    const char *parent = arena_strndup(writer->arena, path, (size_t)(slash - path));
    struct error *err = dir_make_beneath_blocking(fd, parent, SUB_DIR_MODE, &parent_fd);
    return err ? err
               : fd_open_beneath(parent_fd, slash + 1, O_WRONLY | O_CREAT | O_EXCL, 0600, true,
                                 ret_fd);
}

static struct error *write_file(const struct writer *writer, int fd, const struct volume_file *file)
{
    AUTO(fd) int file_fd = -1;
    struct error *err = create_file(writer, fd, file->path, &file_fd);
    if (err)
        return error_wrap(err, "writing %s", file->path);
    for (size_t done = 0; done < file->len;) {
        ssize_t len = write(file_fd, file->bytes + done, file->len - done);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return error_from_errno(errno, "writing %s", file->path);
        done += (size_t)len;
    }
    if (fchmod(file_fd, file->mode) != 0)
        return error_from_errno(errno, "setting the mode of %s", file->path);
    if (file->has_owner && fchown(file_fd, file->owner, (gid_t)-1) != 0)
        return error_from_errno(errno, "setting the owner of %s", file->path);
    return NULL;
}

static struct error *fill(const struct writer *writer, const char *name)
{
    AUTO(fd)
    int fd = openat(writer->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(errno, "opening %s", path_in(writer, name));
    if (fchmod(fd, DIR_MODE) != 0)
        return error_from_errno(errno, "setting the mode of %s", path_in(writer, name));
    const struct volume_payload *payload = writer->write->payload;
    struct error *err = NULL;
    for (size_t i = 0; !err && i < payload->count; i++)
        err = write_file(writer, fd, &payload->files[i]);
    if (!err && writer->write->before_publish)
        err = writer->write->before_publish(writer->write->ctx);
    return err;
}

static struct error *publish(const struct writer *writer, const char *name)
{
    if (unlinkat(writer->dir_fd, NEW_DATA_LINK, 0) != 0 && errno != ENOENT)
        return error_from_errno(errno, "removing %s", path_in(writer, NEW_DATA_LINK));
    if (symlinkat(name, writer->dir_fd, NEW_DATA_LINK) != 0)
        return error_from_errno(errno, "making %s", path_in(writer, NEW_DATA_LINK));
    if (renameat(writer->dir_fd, NEW_DATA_LINK, writer->dir_fd, DATA_LINK) == 0)
        return NULL;
    struct error *err = error_from_errno(errno, "publishing %s", path_in(writer, name));
    (void)!unlinkat(writer->dir_fd, NEW_DATA_LINK, 0);
    return err;
}

static struct error *rewrite(struct writer *writer)
{
    const char *name = "";
    struct error *err = make_new_dir(writer, &name);
    if (err)
        return err;
    err = fill(writer, name);
    if (!err)
        err = publish(writer, name);
    if (err) {
        error_ignore(fd_remove_tree_blocking(path_in(writer, name)),
                     "the next call removes it; the first error is the one to tell");
        return err;
    }
    writer->current = name;
    return NULL;
}

/* --- links, and what has to go --- */

static struct error *make_link(const struct writer *writer, const char *name,
                               const struct volume_file *file)
{
    struct stat st;
    /* Whatever is there already, a mount point of the pod perhaps, is left alone. */
    if (fstatat(writer->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return NULL;
    if (errno != ENOENT)
        return error_from_errno(errno, "looking at %s", path_in(writer, name));
    if (symlinkat(arena_printf(writer->arena, DATA_LINK "/%s", name), writer->dir_fd, name) != 0)
        return error_from_errno(errno, "making %s", path_in(writer, name));
    if (file->has_owner &&
        fchownat(writer->dir_fd, name, file->owner, (gid_t)-1, AT_SYMLINK_NOFOLLOW) != 0)
        return error_from_errno(errno, "setting the owner of %s", path_in(writer, name));
    return NULL;
}

static struct error *make_links(const struct writer *writer)
{
    const struct volume_payload *payload = writer->write->payload;
    const char *before = NULL;
    for (size_t i = 0; i < payload->count; i++) {
        const char *path = payload->files[i].path;
        const char *name =
            arena_strndup(writer->arena, path, (size_t)(strchrnul(path, '/') - path));
        if (text_eq(name, before))
            continue;
        struct error *err = make_link(writer, name, &payload->files[i]);
        if (err)
            return err;
        before = name;
    }
    return NULL;
}

/* "..2026_11_21_03_07_06.732291057" */
static bool is_timestamped(const char *name)
{
    static const char form[] = "..dddd_dd_dd_dd_dd_dd.";
    for (size_t i = 0; i < sizeof(form) - 1; i++) {
        if (form[i] == 'd' ? !isdigit((unsigned char)name[i]) : name[i] != form[i])
            return false;
    }
    const char *digits = name + sizeof(form) - 1;
    return *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

/* A link of ours for a path that is no longer wanted. */
static bool is_stale_link(const struct writer *writer, const char *name)
{
    static const char prefix[] = DATA_LINK "/";
    char target[NAME_MAX + sizeof(prefix)];
    if (text_has_prefix(name, "..") ||
        volume_payload_place(writer->write->payload, name) != PAYLOAD_NONE)
        return false;
    ssize_t len = readlinkat(writer->dir_fd, name, target, sizeof(target) - 1);
    if (len <= 0)
        return false;
    target[len] = '\0';
    return text_has_prefix(target, prefix) && text_eq(target + sizeof(prefix) - 1, name);
}

static struct error *remove_if_stale(void *ctx, const char *name, UNUSED bool *end)
{
    const struct writer *writer = ctx;
    if (is_timestamped(name) && !text_eq(name, writer->current)) {
        AUTO(free) char *path = path_join(writer->write->dir, name);
        return fd_remove_tree_blocking(path);
    }
    if ((text_eq(name, NEW_DATA_LINK) || is_stale_link(writer, name)) &&
        unlinkat(writer->dir_fd, name, 0) != 0 && errno != ENOENT)
        return error_from_errno(errno, "removing %s", path_in(writer, name));
    return NULL;
}

struct error *atomic_write_blocking(const struct atomic_write *write)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(fd) int dir_fd = open(write->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return error_from_errno(errno, "opening %s", write->dir);
    struct writer writer = {.write = write, .arena = arena, .dir_fd = dir_fd};
    writer.current = link_target(&writer, DATA_LINK);
    if (writer.current && !volume_name_is_safe(writer.current))
        writer.current = NULL;
    bool current;
    struct error *err = is_current(&writer, &current);
    if (!err && !current)
        err = rewrite(&writer);
    if (!err)
        err = make_links(&writer);
    return err ? err : list(dir_fd, remove_if_stale, &writer);
}

bool atomic_is_published_blocking(const char *dir)
{
    AUTO(free) char *path = xasprintf("%s/" DATA_LINK, dir);
    struct stat st;
    return lstat(path, &st) == 0;
}
