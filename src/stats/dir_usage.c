/*
 * A walk depth first on directory descriptors, of which the innermost HELD are open. Where the tree
 * is deeper, the outer ones are closed, and opened again when the walk comes back to them: from the
 * top, by their path, which the walk keeps, and at the position in their listing where it left
 * them. Each opening is an openat2() that refuses links and mount points all along the way, so a
 * pod that moves directories about gains a wrong count of its own volume and nothing else.
 *
 * An inode with several links is remembered by its number in a fixed table. Once that is half full,
 * the links of inodes that are not in it count as so many parts of a whole: exact when all of them
 * are below the directory, too little when not.
 */
#include "stats/dir_usage.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HELD 16 /* descriptors, and as many listings of some 32 KiB */
#define OPEN_TRIES 16
#define BLOCK_BYTES 512 /* the unit of st_blocks */
#define SHARE UINT64_C(65536)
#define LINK_SLOTS (2 * (size_t)DIR_USAGE_MAX_LINKED)
/* A path of single letters: each level takes two bytes. */
#define MAX_DEPTH (PATH_MAX / 2)

struct level {
    DIR *dir;        /* owned; NULL: closed, and the listing goes on at `position` */
    long position;   /* from telldir() */
    size_t path_len; /* of the walk's path up to and with this one's name */
};

struct walk {
    int top_fd; /* owned */
    dev_t device;
    struct dir_usage usage;
    size_t depth;             /* levels in use; level 0 is the top */
    char path[PATH_MAX];      /* of the innermost level, relative to the top; "" for the top */
    ino_t linked[LINK_SLOTS]; /* 0: free */
    size_t linked_count;
    uint64_t inode_shares; /* in parts of SHARE */
    struct level levels[MAX_DEPTH];
};

static bool vanished(int os_errno)
{
    return os_errno == ENOENT || os_errno == ENOTDIR;
}

/* Somebody swapped it for a link or mounted on it: not ours to look into. */
static bool is_barred(int os_errno)
{
    return os_errno == ELOOP || os_errno == EXDEV;
}

/* True when the table has taken @inode now; *ret_known: it had it before. */
static bool remember(struct walk *walk, ino_t inode, bool *ret_known)
{
    size_t slot = (size_t)((uint64_t)inode * UINT64_C(0x9E3779B97F4A7C15) >> 32) % LINK_SLOTS;
    while (walk->linked[slot] != 0 && walk->linked[slot] != inode)
        slot = (slot + 1) % LINK_SLOTS;
    *ret_known = walk->linked[slot] == inode;
    if (*ret_known || walk->linked_count == DIR_USAGE_MAX_LINKED)
        return false;
    walk->linked[slot] = inode;
    walk->linked_count++;
    return true;
}

static void count(struct walk *walk, const struct stat *st)
{
    uint64_t bytes = (uint64_t)st->st_blocks * BLOCK_BYTES;
    bool known = false;
    if (S_ISDIR(st->st_mode) || st->st_nlink < 2 || remember(walk, st->st_ino, &known)) {
        walk->usage.bytes += bytes;
        walk->usage.inodes++;
    } else if (!known) {
        walk->usage.bytes += bytes / st->st_nlink;
        walk->inode_shares += SHARE / st->st_nlink;
    }
}

/* Opens the directory of @level again, or for the first time; -1 with errno. */
static int open_below(const struct walk *walk, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    long fd;
    int tries = 0;
    do {
        fd = syscall(SYS_openat2, walk->top_fd, *path ? path : ".", &how, sizeof(how));
    } while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < OPEN_TRIES);
    return (int)fd;
}

static DIR *open_dir(const struct walk *walk, const char *path)
{
    int fd = open_below(walk, path);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !dir) {
        int os_errno = errno;
        fd_close(&fd);
        errno = os_errno;
    }
    return dir;
}

static void close_level(struct level *level)
{
    if (level->dir)
        (void)closedir(TAKE(level->dir));
}

/* Steps into the directory whose path stands in walk->path up to @path_len. */
static struct error *enter(struct walk *walk, size_t path_len)
{
    DIR *dir = open_dir(walk, walk->path);
    if (!dir && (vanished(errno) || is_barred(errno)))
        return NULL;
    if (!dir)
        return error_from_errno(errno, "listing %s", walk->path);
    if (walk->depth >= HELD) {
        struct level *outer = &walk->levels[walk->depth - HELD];
        outer->position = telldir(outer->dir);
        close_level(outer);
    }
    walk->levels[walk->depth++] = (struct level){.dir = dir, .path_len = path_len};
    return NULL;
}

static struct error *leave(struct walk *walk)
{
    close_level(&walk->levels[--walk->depth]);
    if (walk->depth == 0)
        return NULL;
    struct level *level = &walk->levels[walk->depth - 1];
    walk->path[level->path_len] = '\0';
    if (level->dir)
        return NULL;
    level->dir = open_dir(walk, walk->path);
    if (level->dir) {
        seekdir(level->dir, level->position);
        return NULL;
    }
    /* It went while the walk was below it: the rest of it counts as gone. */
    return vanished(errno) || is_barred(errno) ? NULL
                                               : error_from_errno(errno, "listing %s", walk->path);
}

static struct error *enter_child(struct walk *walk, const char *name)
{
    size_t at = walk->levels[walk->depth - 1].path_len, len = strlen(name);
    size_t gap = at > 0 ? 1 : 0;
    if (at + gap + len >= sizeof(walk->path) || walk->depth == MAX_DEPTH)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "its directories are nested too deep");
    if (gap > 0)
        walk->path[at] = '/';
    memcpy(walk->path + at + gap, name, len + 1);
    struct error *err = enter(walk, at + gap + len);
    walk->path[walk->levels[walk->depth - 1].path_len] = '\0';
    return err;
}

static struct error *visit(struct walk *walk, const struct level *level, const char *name)
{
    struct stat st;
    if (fstatat(dirfd(level->dir), name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0)
        return vanished(errno) ? NULL : error_from_errno(errno, "looking at %s", name);
    if (st.st_dev != walk->device)
        return NULL;
    count(walk, &st);
    return S_ISDIR(st.st_mode) ? enter_child(walk, name) : NULL;
}

static struct error *step(struct walk *walk)
{
    const struct level *level = &walk->levels[walk->depth - 1];
    if (!level->dir)
        return leave(walk);
    errno = 0;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): this DIR is ours alone */
    const struct dirent *entry = readdir(level->dir);
    if (!entry && errno != 0 && !vanished(errno))
        return error_from_errno(errno, "listing %s", walk->path);
    if (!entry)
        return leave(walk);
    if (text_eq(entry->d_name, ".") || text_eq(entry->d_name, ".."))
        return NULL;
    return visit(walk, level, entry->d_name);
}

static struct error *walk_top(struct walk *walk, const char *path)
{
    walk->top_fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (walk->top_fd < 0 || fstat(walk->top_fd, &st) != 0)
        return error_from_errno(errno, "measuring %s", path);
    if (S_ISLNK(st.st_mode))
        return error_from_errno(ELOOP, "measuring %s", path);
    walk->device = st.st_dev;
    count(walk, &st);
    struct error *err = S_ISDIR(st.st_mode) ? enter(walk, 0) : NULL;
    while (!err && walk->depth > 0)
        err = step(walk);
    return error_wrap(err, "measuring %s", path);
}

struct error *dir_usage_measure_blocking(const char *path, struct dir_usage *ret)
{
    AUTO(free) struct walk *walk = xcalloc(1, sizeof(*walk));
    struct error *err = walk_top(walk, path);
    while (walk->depth > 0)
        close_level(&walk->levels[--walk->depth]);
    fd_close(&walk->top_fd);
    walk->usage.inodes += walk->inode_shares / SHARE;
    if (!err)
        *ret = walk->usage;
    return err;
}

static void add_file(struct dir_usage *usage, const struct stat *st)
{
    usage->bytes += (uint64_t)st->st_blocks * BLOCK_BYTES;
    usage->inodes++;
}

static struct error *add_files(DIR *dir, struct dir_usage *usage)
{
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        struct stat st;
        if (entry->d_type == DT_DIR ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 ||
            S_ISDIR(st.st_mode))
            continue;
        add_file(usage, &st);
    }
    return errno != 0 ? error_from_errno(errno, "listing it") : NULL;
}

struct error *dir_usage_files_blocking(const char *path, struct dir_usage *ret)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        struct error *err = error_from_errno(errno, "measuring the files in %s", path);
        fd_close(&fd);
        return err;
    }
    struct dir_usage usage = {0};
    struct error *err = add_files(dir, &usage);
    (void)closedir(dir);
    if (!err)
        *ret = usage;
    return error_wrap(err, "measuring the files in %s", path);
}

struct error *dir_usage_file_blocking(const char *path, struct dir_usage *ret)
{
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return error_from_errno(errno, "measuring %s", path);
    if (S_ISLNK(st.st_mode))
        return error_from_errno(ELOOP, "measuring %s", path);
    *ret = (struct dir_usage){0};
    add_file(ret, &st);
    return NULL;
}
