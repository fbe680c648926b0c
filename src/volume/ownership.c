/*
 * The walk keeps a stack of open directories, one per level, and works on descriptors only: an
 * entry is opened with O_PATH | O_NOFOLLOW, looked at, and changed through that descriptor, so what
 * was looked at is what is changed, however the names move meanwhile.
 */
#include "volume/ownership.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_MAX 256               /* each level holds a descriptor and a read buffer */
#define GID_MAX INT64_C(0xfffffffe) /* 2^32 - 1 means "no change" to the kernel */
#define MODE_BITS 07777
#define MASK_READ_WRITE 0660
#define MASK_READ_ONLY 0440
#define MASK_DIRECTORY (S_ISGID | 0110)

struct walk {
    gid_t group;
    mode_t mask;
    DIR *levels[DEPTH_MAX];
    size_t depth;
};

static mode_t wanted_bits(const struct walk *walk, mode_t mode)
{
    return walk->mask | (S_ISDIR(mode) ? MASK_DIRECTORY : 0);
}

/* Failures are passed over: a volume may be read-only or on a file system without owners. */
static void give_to_group(const struct walk *walk, int fd, const struct stat *st)
{
    (void)!fchownat(fd, "", (uid_t)-1, walk->group, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    if (S_ISLNK(st->st_mode))
        return;
    /* An O_PATH descriptor has no fchmod(); its magic link leads to the same object. */
    char path[sizeof("/proc/self/fd/") + 12];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    (void)chmod(path, (st->st_mode & MODE_BITS) | wanted_bits(walk, st->st_mode));
}

static struct error *enter(struct walk *walk, int parent_fd, const char *name)
{
    if (walk->depth == DEPTH_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d directories deep", DEPTH_MAX);
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return NULL; /* gone or swapped since it was listed */
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        struct error *err = error_from_errno(errno, "reading directory %s", name);
        fd_close(&fd);
        return err;
    }
    walk->levels[walk->depth++] = dir;
    return NULL;
}

/* All entries of the top directory are done: the directory itself comes last. */
static void leave(struct walk *walk)
{
    DIR *dir = walk->levels[--walk->depth];
    struct stat st;
    if (fstat(dirfd(dir), &st) == 0)
        give_to_group(walk, dirfd(dir), &st);
    closedir(dir);
}

static struct error *visit(struct walk *walk, int dir_fd, const char *name)
{
    AUTO(fd) int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return NULL;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_from_errno(errno, "looking at %s", name);
    if (S_ISDIR(st.st_mode))
        return enter(walk, dir_fd, name);
    give_to_group(walk, fd, &st);
    return NULL;
}

static struct error *step(struct walk *walk)
{
    DIR *dir = walk->levels[walk->depth - 1];
    errno = 0;
    const struct dirent *entry = readdir(dir); /* NOLINT(concurrency-mt-unsafe): own stream */
    if (!entry && errno != 0)
        return error_from_errno(errno, "listing a directory");
    if (!entry) {
        leave(walk);
        return NULL;
    }
    if (text_eq(entry->d_name, ".") || text_eq(entry->d_name, ".."))
        return NULL;
    return visit(walk, dirfd(dir), entry->d_name);
}

static bool root_is_right(const struct walk *walk, const struct stat *st)
{
    mode_t bits = wanted_bits(walk, st->st_mode);
    return st->st_gid == walk->group && (st->st_mode & bits) == bits;
}

struct error *volume_ownership_apply_blocking(const char *path,
                                              const struct volume_ownership *ownership)
{
    if (ownership->fs_group < 0 || ownership->fs_group > GID_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "fsGroup %lld is no group id",
                         (long long)ownership->fs_group);
    struct walk walk = {.group = (gid_t)ownership->fs_group,
                        .mask = ownership->read_only ? MASK_READ_ONLY : MASK_READ_WRITE};
    struct stat st;
    if (lstat(path, &st) != 0)
        return error_from_errno(errno, "looking at %s", path);
    if (ownership->on_root_mismatch && root_is_right(&walk, &st))
        return NULL;
    /* A root that is no directory has nothing below it. */
    struct error *err =
        S_ISDIR(st.st_mode) ? enter(&walk, AT_FDCWD, path) : visit(&walk, AT_FDCWD, path);
    while (!err && walk.depth > 0)
        err = step(&walk);
    while (walk.depth > 0)
        closedir(walk.levels[--walk.depth]);
    return error_wrap(err, "changing the group of %s", path);
}
