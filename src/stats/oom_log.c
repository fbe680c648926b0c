#include "stats/oom_log.h"

#include "base/fd.h"
#include "base/hash.h"
#include "stats/oom_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define RECORD_MAX_BYTES (8 * KiB) /* the kernel's own limit of a record */
#define RECORDS_PER_TURN 64

struct count {
    uint64_t kills;
    UT_hash_handle hh;
    char path[];
};

struct oom_log {
    int fd;
    struct loop_io *io;
    struct count *counts; /* hash head by path; the one least recently killed in comes first */
    char *record;         /* RECORD_MAX_BYTES */
};

static struct count *find(const struct oom_log *log, const char *path)
{
    struct count *count;
    HASH_FIND_STR(log->counts, path, count);
    return count;
}

static void drop(struct oom_log *log, struct count *count)
{
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): uthash unlinks it, unseen */
    HASH_DEL(log->counts, count);
    free(count);
}

static void note_kill(struct oom_log *log, struct str cgroup)
{
    AUTO(free) char *path = str_dup(cgroup);
    struct count *count = find(log, path);
    if (!count && HASH_COUNT(log->counts) >= OOM_MAX_CGROUPS)
        drop(log, log->counts);
    if (count) {
        HASH_DEL(log->counts, count); /* and added anew at the end */
    } else {
        count = xcalloc(1, sizeof(*count) + cgroup.len + 1);
        memcpy(count->path, path, strlen(path));
    }
    count->kills++;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the same */
    HASH_ADD_KEYPTR(hh, log->counts, count->path, strlen(count->path), count);
}

/* EPIPE: records were overwritten before they were read; the next ones follow. */
static void on_ready(void *ctx, UNUSED unsigned events)
{
    struct oom_log *log = ctx;
    for (int i = 0; i < RECORDS_PER_TURN; i++) {
        ssize_t got = read(log->fd, log->record, RECORD_MAX_BYTES);
        if (got < 0 && (errno == EPIPE || errno == EINTR))
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) { /* a log that ends or fails would wake the loop for ever */
            loop_io_want(log->io, 0);
            return;
        }
        struct str cgroup;
        if (oom_parse_record((struct str){.ptr = log->record, .len = (size_t)got}, &cgroup))
            note_kill(log, cgroup);
    }
}

struct oom_log *oom_log_new_from_fd(struct loop *loop, int fd_owned)
{
    struct oom_log *log = xcalloc(1, sizeof(*log));
    log->record = xcalloc(1, RECORD_MAX_BYTES);
    log->fd = fd_owned;
    log->io = loop_io_new(loop, "kernel log", log->fd, on_ready, log);
    loop_io_want(log->io, LOOP_IO_READ);
    return log;
}

struct error *oom_log_new(struct loop *loop, const char *path, struct oom_log **ret)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_from_errno(errno, "opening the kernel's log %s", path);
    if (lseek(fd, 0, SEEK_END) < 0)
        return error_from_errno(errno, "going to the end of the kernel's log %s", path);
    *ret = oom_log_new_from_fd(loop, fd);
    fd = -1;
    return NULL;
}

void oom_log_free(struct oom_log *log)
{
    if (!log)
        return;
    loop_io_free(log->io);
    fd_close(&log->fd);
    struct count *count, *next;
    HASH_ITER(hh, log->counts, count, next)
        drop(log, count);
    free(log->record);
    free(log);
}

uint64_t oom_log_count(const struct oom_log *log, const char *path)
{
    const struct count *count = find(log, path);
    return count ? count->kills : 0;
}
