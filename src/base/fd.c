#include "base/fd.h"

#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define READ_CHUNK (8 * KiB)
/* openat2(2): EAGAIN means a rename raced with the look-up; "retry a few times, then fail". */
#define BENEATH_TRIES 16
#define TEMPORARY_TRIES 8

void fd_close(int *fd)
{
    int number = *fd;
    *fd = -1;
    if (number >= 0)
        (void)close(number);
}

static struct error *open_regular(int dir_fd, const char *name, int *ret_fd, struct stat *ret_stat)
{
    AUTO(fd) int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_from_errno(errno, "opening %s", name);
    if (fstat(fd, ret_stat) < 0)
        return error_from_errno(errno, "looking at %s", name);
    if (!S_ISREG(ret_stat->st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "%s is not a regular file", name);
    *ret_fd = fd;
    fd = -1;
    return NULL;
}

/*
 * Appends up to @limit bytes from @fd's position. The size that stat reports is not asked: it is 0
 * in /proc and may have changed elsewhere.
 */
static struct error *read_up_to(int fd, const char *name, size_t limit, struct buf *buf)
{
    size_t old_len = buf->len;
    char chunk[READ_CHUNK];
    while (limit > 0) {
        ssize_t got = read(fd, chunk, min_size(limit, sizeof(chunk)));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            struct error *err = error_from_errno(errno, "reading %s", name);
            buf_truncate(buf, old_len);
            return err;
        }
        if (got == 0)
            break;
        if (buf->overflowed || (size_t)got > buf->max_len - buf->len) {
            buf_truncate(buf, old_len);
            return error_new(ERROR_RESOURCE_EXHAUSTED, "%s is larger than %zu bytes", name,
                             buf->max_len);
        }
        buf_add(buf, chunk, (size_t)got);
        limit -= (size_t)got;
    }
    return NULL;
}

struct error *fd_read_file_blocking(const char *path, struct buf *buf)
{
    return fd_read_file_at_blocking(AT_FDCWD, path, buf);
}

struct error *fd_read_file_at_blocking(int dir_fd, const char *name, struct buf *buf)
{
    AUTO(fd) int fd = -1;
    struct stat info = {0};
    struct error *err = open_regular(dir_fd, name, &fd, &info);
    if (err)
        return err;
    return read_up_to(fd, name, SIZE_MAX, buf);
}

struct error *fd_read_tail_blocking(const char *path, size_t max_bytes, struct buf *buf)
{
    AUTO(fd) int fd = -1;
    struct stat info = {0};
    struct error *err = open_regular(AT_FDCWD, path, &fd, &info);
    if (err)
        return err;
    if (info.st_size > 0 && (uint64_t)info.st_size > max_bytes &&
        lseek(fd, info.st_size - (off_t)max_bytes, SEEK_SET) < 0)
        return error_from_errno(errno, "seeking in %s", path);
    return read_up_to(fd, path, max_bytes, buf);
}

struct error *fd_write_control_file(const char *path, struct str data)
{
    /* O_TRUNC means nothing to a control file, and keeps a plain one (in tests) exact. */
    AUTO(fd) int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return error_from_errno(errno, "opening %s", path);
    ssize_t done;
    do {
        done = write(fd, data.ptr ? data.ptr : "", data.len);
    } while (done < 0 && errno == EINTR);
    if (done < 0)
        return error_from_errno(errno, "writing %s", path);
    if ((size_t)done != data.len)
        return error_new(ERROR_DATA_LOSS, "writing %s: only %zd of %zu bytes were taken", path,
                         done, data.len);
    return NULL;
}

static struct error *write_all(int fd, struct str data)
{
    while (data.len > 0) {
        ssize_t done = write(fd, data.ptr, data.len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return error_from_errno(errno, "writing");
        data.ptr += done;
        data.len -= (size_t)done;
    }
    return NULL;
}

#define TEMPORARY_NAME_SIZE 32

/*
 * A temporary file for writing in @dir_fd. The name is short, since the final one may already fill
 * NAME_MAX, and starts with a dot, since those who list our directories skip such files.
 */
static struct error *temporary_open(int dir_fd, char name[static TEMPORARY_NAME_SIZE], int *ret_fd)
{
    for (int i = 0; i < TEMPORARY_TRIES; i++) {
        uint64_t random;
        if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
            continue;
        (void)snprintf(name, TEMPORARY_NAME_SIZE, ".cubelet-%016llx", (unsigned long long)random);
        int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            *ret_fd = fd;
            return NULL;
        }
        if (errno != EEXIST)
            return error_from_errno(errno, "creating a temporary file");
    }
    return error_new(ERROR_UNAVAILABLE, "creating a temporary file: no name was free");
}

static struct error *temporary_fill(int fd, struct str data, mode_t mode, bool sync)
{
    struct error *err = write_all(fd, data);
    if (err)
        return err;
    if (fchmod(fd, mode) < 0) /* not at open(): umask would take bits away */
        return error_from_errno(errno, "setting the mode");
    if (sync && fsync(fd) < 0)
        return error_from_errno(errno, "syncing");
    return NULL;
}

static struct error *replace_in(int dir_fd, const char *base, struct str data, mode_t mode,
                                bool sync)
{
    AUTO(fd) int fd = -1;
    char name[TEMPORARY_NAME_SIZE];
    struct error *err = temporary_open(dir_fd, name, &fd);
    if (err)
        return err;
    err = temporary_fill(fd, data, mode, sync);
    if (!err && renameat(dir_fd, name, dir_fd, base) < 0)
        err = error_from_errno(errno, "renaming");
    if (err) {
        (void)unlinkat(dir_fd, name, 0); /* the error that matters is the first */
        return err;
    }
    if (sync && fsync(dir_fd) < 0)
        return error_from_errno(errno, "syncing the directory");
    return NULL;
}

static struct error *replace_file(const char *path, struct str data, mode_t mode, bool sync)
{
    const char *base = path_base(path);
    if (!*base)
        return error_new(ERROR_INVALID_ARGUMENT, "writing \"%s\": not a file's name", path);
    AUTO(free) char *dir = path_dir(path);
    AUTO(fd) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return error_from_errno(errno, "opening directory %s", dir);
    return error_wrap(replace_in(dir_fd, base, data, mode, sync), "replacing %s", path);
}

struct error *fd_replace_file_blocking(const char *path, struct str data, mode_t mode)
{
    return replace_file(path, data, mode, true);
}

struct error *fd_write_file_blocking(const char *path, struct str data, mode_t mode)
{
    return replace_file(path, data, mode, false);
}

struct error *fd_open_beneath(int dir_fd, const char *relative, int flags, mode_t mode,
                              bool no_symlinks, int *ret_fd)
{
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | O_TMPFILE) ? mode : 0, /* else openat2() refuses a mode */
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (no_symlinks ? RESOLVE_NO_SYMLINKS : 0),
    };
    for (int i = 0; i < BENEATH_TRIES; i++) {
        long fd = syscall(SYS_openat2, dir_fd, relative, &how, sizeof(how));
        if (fd >= 0) {
            *ret_fd = (int)fd;
            return NULL;
        }
        if (errno != EAGAIN && errno != EINTR)
            return error_from_errno(errno, "opening %s", relative);
    }
    return error_from_errno(EAGAIN, "opening %s", relative);
}
