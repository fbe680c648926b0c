/*
 * Making and removing trees.
 *
 * Removing goes depth first on directory descriptors; no path below the start is ever resolved as
 * text, so a pod that swaps a directory for a link while we work gains nothing. Each step down is
 * an openat2() that refuses links and mount points (RESOLVE_NO_XDEV sees bind mounts too, which a
 * comparison of st_dev does not).
 *
 * Depth is the pod's choice, descriptors are ours: below LEVELS directories a subdirectory is not
 * entered but moved ("hoisted") up beside the first one and met there again. A tree of any depth is
 * so removed with a bounded number of descriptors, and without "..", which a concurrent rename
 * could redirect.
 *
 * A directory that is not empty after its listing ended (entries were hoisted into it, or are still
 * being made) is listed again, but not for ever.
 */
#include "base/fd.h"

#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEVELS 16
/* Listings of one directory that found it filled by somebody else again. */
#define MAX_LISTINGS 16
/* A bound on the work for one tree, far above what a file system's quota lets a pod build. */
#define MAX_HOISTS (UINT64_C(1) << 22)
#define HOIST_NAME_TRIES 64

struct level {
    DIR *dir; /* owned */
    unsigned listings;
    bool hoisted_into; /* since its last listing began */
    char name[NAME_MAX + 1];
};

struct removal {
    int parent_fd; /* borrowed: the directory that holds the tree */
    size_t depth;
    uint64_t hoists;
    struct level levels[LEVELS];
};

struct error *fd_mkdir_all(const char *path, mode_t mode)
{
    AUTO(free) char *prefix = path_clean(path);
    for (char *at = prefix + 1; *prefix; at++) {
        char saved = *at;
        if (saved != '/' && saved != '\0')
            continue;
        *at = '\0';
        if (mkdir(prefix, mode) < 0 && errno != EEXIST && errno != EISDIR)
            return error_from_errno(errno, "making directory %s", prefix);
        *at = saved;
        if (!saved)
            break;
    }
    struct stat info;
    if (stat(prefix, &info) < 0)
        return error_from_errno(errno, "making directory %s", prefix);
    if (!S_ISDIR(info.st_mode))
        return error_from_errno(ENOTDIR, "making directory %s", prefix);
    return NULL;
}

static struct error *cannot_remove(int os_errno, const char *name)
{
    /* A mounted file or directory: EXDEV from openat2(), EBUSY from unlink. */
    if (os_errno == EXDEV || os_errno == EBUSY) {
        struct error *err = error_new(ERROR_FAILED_PRECONDITION,
                                      "removing %s: it is a mount point or in use", name);
        err->os_errno = os_errno;
        return err;
    }
    return error_from_errno(os_errno, "removing %s", name);
}

static int level_fd(const struct removal *removal, size_t depth)
{
    return depth == 0 ? removal->parent_fd : dirfd(removal->levels[depth - 1].dir);
}

/* Enters @name, which lies in the innermost open directory. One that has just vanished is fine. */
static struct error *enter(struct removal *removal, const char *name)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    long fd;
    int tries = 0;
    do {
        fd = syscall(SYS_openat2, level_fd(removal, removal->depth), name, &how, sizeof(how));
    } while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < MAX_LISTINGS);
    if (fd < 0)
        return errno == ENOENT ? NULL : cannot_remove(errno, name);

    AUTO(fd) int dir_fd = (int)fd;
    DIR *dir = fdopendir(dir_fd);
    if (!dir)
        return error_from_errno(errno, "listing %s", name);
    dir_fd = -1; /* the DIR owns it now */
    struct level *level = &removal->levels[removal->depth++];
    level->dir = dir;
    level->listings = 1;
    level->hoisted_into = false;
    size_t len = strnlen(name, NAME_MAX);
    memcpy(level->name, name, len);
    level->name[len] = '\0';
    return NULL;
}

/* Moves @name from the innermost directory into the outermost, under a name that is free there. */
static struct error *hoist(struct removal *removal, const char *name)
{
    if (removal->hoists >= MAX_HOISTS)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "removing %s: the tree is too deep", name);
    int from = level_fd(removal, removal->depth), to = dirfd(removal->levels[0].dir);
    for (int i = 0; i < HOIST_NAME_TRIES; i++) {
        char hoisted[48];
        (void)snprintf(hoisted, sizeof(hoisted), ".cubelet-removing-%llu",
                       (unsigned long long)removal->hoists++);
        if (renameat(from, name, to, hoisted) == 0) {
            removal->levels[0].hoisted_into = true;
            return NULL;
        }
        if (errno == ENOENT)
            return NULL;
        if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR)
            return cannot_remove(errno, name);
    }
    return error_new(ERROR_UNAVAILABLE, "removing %s: no name was free for moving it", name);
}

static struct error *remove_entry(struct removal *removal, const struct dirent *entry)
{
    if (entry->d_type != DT_DIR) {
        if (unlinkat(level_fd(removal, removal->depth), entry->d_name, 0) == 0 || errno == ENOENT)
            return NULL;
        if (errno != EISDIR) /* a directory where the file system does not tell types */
            return cannot_remove(errno, entry->d_name);
    }
    if (removal->depth < LEVELS)
        return enter(removal, entry->d_name);
    return hoist(removal, entry->d_name);
}

/* The innermost directory's listing ended: removes it and steps out, or begins a new listing. */
static struct error *leave(struct removal *removal)
{
    struct level *level = &removal->levels[removal->depth - 1];
    int outer_fd = level_fd(removal, removal->depth - 1);
    if (unlinkat(outer_fd, level->name, AT_REMOVEDIR) == 0 || errno == ENOENT) {
        (void)closedir(TAKE(level->dir));
        removal->depth--;
        return NULL;
    }
    if (errno != ENOTEMPTY && errno != EEXIST)
        return cannot_remove(errno, level->name);
    if (!level->hoisted_into && ++level->listings > MAX_LISTINGS)
        return error_from_errno(ENOTEMPTY, "removing %s: it is being filled", level->name);
    level->hoisted_into = false;
    rewinddir(level->dir);
    return NULL;
}

static struct error *step(struct removal *removal)
{
    struct level *level = &removal->levels[removal->depth - 1];
    errno = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this DIR is ours alone */
    const struct dirent *entry = readdir(level->dir);
    if (!entry && errno)
        return error_from_errno(errno, "listing %s", level->name);
    if (!entry)
        return leave(removal);
    if (text_eq(entry->d_name, ".") || text_eq(entry->d_name, ".."))
        return NULL;
    return remove_entry(removal, entry);
}

static struct error *remove_below(struct removal *removal, const char *name)
{
    if (unlinkat(removal->parent_fd, name, 0) == 0 || errno == ENOENT)
        return NULL;
    if (errno != EISDIR)
        return cannot_remove(errno, name);
    struct error *err = enter(removal, name);
    while (!err && removal->depth > 0)
        err = step(removal);
    for (; removal->depth > 0; removal->depth--)
        (void)closedir(TAKE(removal->levels[removal->depth - 1].dir));
    return err;
}

struct error *fd_remove_tree_blocking(const char *path)
{
    AUTO(free) char *clean = path_clean(path);
    const char *name = path_base(clean);
    if (!*name || text_eq(name, ".") || text_eq(name, ".."))
        return error_new(ERROR_INVALID_ARGUMENT, "removing \"%s\": not a name in a directory",
                         path);
    AUTO(free) char *parent = path_dir(clean);
    AUTO(fd) int parent_fd = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd < 0)
        return errno == ENOENT ? NULL : error_from_errno(errno, "opening directory %s", parent);
    AUTO(free) struct removal *removal = xcalloc(1, sizeof(*removal));
    removal->parent_fd = parent_fd;
    return error_wrap(remove_below(removal, name), "removing tree %s", clean);
}
