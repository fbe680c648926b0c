#include "cgroup/cgroup_reader_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 65536 /* of one process; see READER_MAX_PROCESSES */
#define LINK_BYTES 16         /* enough to tell "socket:" */

static bool is_number(const char *name)
{
    return name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
}

/* A process that has ended meanwhile has no descriptors. */
static void count_descriptors(const struct cgroup_reader *reader, int64_t pid,
                              struct cgroup_figures *ret)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "%lld/fd", (long long)pid);
    int fd = openat(reader->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        fd_close(&fd);
        return;
    }
    const struct dirent *entry;
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): own stream */
    for (size_t i = 0; i < MAX_DESCRIPTORS && (entry = readdir(dir)) != NULL; i++) {
        char link[LINK_BYTES];
        if (!is_number(entry->d_name))
            continue;
        ret->descriptors++;
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link));
        if (len > 0 && str_has_prefix((struct str){.ptr = link, .len = (size_t)len}, "socket:"))
            ret->sockets++;
    }
    (void)closedir(dir);
}

static void read_open_files(struct cgroup_reader *reader, size_t count, struct cgroup_figures *ret)
{
    ret->has_open_files = true;
    struct str limits;
    for (size_t i = 0; i < count; i++)
        count_descriptors(reader, reader->pids[i], ret);
    ret->has_ulimit =
        count > 0 &&
        cgroup_reader_process_file_blocking(reader, reader->pids[0], "limits", &limits) &&
        cgroup_parse_open_files_limit(limits, &ret->open_files_limit);
}

/* The list may be longer than the buffer. */
bool reader_read_processes(struct cgroup_reader *reader, size_t max, size_t *ret_kept,
                           uint64_t *ret_total)
{
    *ret_kept = 0;
    *ret_total = 0;
    int dir = reader_dir(reader, reader_main_controller(reader));
    AUTO(fd) int fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    size_t left = 0; /* the begin of a line that is not yet whole */
    for (;;) {
        ssize_t got = reader_read_all(fd, reader->text + left, READER_TEXT_MAX_BYTES - left);
        if (got < 0)
            return errno != ENODEV; /* EOPNOTSUPP: a threaded cgroup names none */
        size_t len = left + (size_t)got, whole = len;
        while (whole > 0 && reader->text[whole - 1] != '\n')
            whole--;
        struct str rest = {.ptr = reader->text, .len = whole};
        int64_t pid;
        while (cgroup_next_pid(&rest, &pid)) {
            if (*ret_kept < max)
                reader->pids[(*ret_kept)++] = pid;
            (*ret_total)++;
        }
        if (len < READER_TEXT_MAX_BYTES || whole == 0)
            return true;
        left = len - whole;
        memmove(reader->text, reader->text + whole, left);
    }
}

static void read_tasks_max(struct cgroup_reader *reader, enum cgroup_controller controller,
                           struct cgroup_figures *ret)
{
    uint64_t max;
    if (ret->has_pids && reader_read_number(reader, controller, "pids.max", &max))
        ret->tasks_max = max == UINT64_MAX ? 0 : max;
}

static void copy_processes(const struct cgroup_figures *before, struct cgroup_figures *ret)
{
    ret->has_processes = true;
    ret->has_pids = before->has_pids;
    ret->has_open_files = before->has_open_files;
    ret->tasks = before->tasks;
    ret->processes = before->processes;
    ret->first_pid = before->first_pid;
    ret->descriptors = before->descriptors;
    ret->sockets = before->sockets;
    ret->has_ulimit = before->has_ulimit;
    ret->open_files_limit = before->open_files_limit;
}

bool reader_fill_processes(struct cgroup_reader *reader, bool wants_files,
                           struct cgroup_figures *ret)
{
    enum cgroup_controller controller =
        reader->layout->version == CGROUP_V2 ? CGROUP_UNIFIED : CGROUP_PIDS;
    if (reader->is_asleep && reader->before->has_processes &&
        reader->before->has_open_files == wants_files) {
        copy_processes(reader->before, ret);
        read_tasks_max(reader, controller, ret);
        return true;
    }
    size_t kept = 0;
    if (!reader_read_processes(reader, wants_files ? READER_MAX_PROCESSES : 1, &kept,
                               &ret->processes))
        return false;
    ret->has_processes = true;
    ret->first_pid = kept > 0 ? reader->pids[0] : 0;
    ret->has_pids = reader_read_number(reader, controller, "pids.current", &ret->tasks);
    read_tasks_max(reader, controller, ret);
    if (!ret->has_pids && !reader->is_root)
        ret->tasks = ret->processes;
    if (wants_files)
        read_open_files(reader, kept, ret);
    return true;
}
