/*
 * What of user namespaces lies on the disk: whose ids they are (user `kubelet`, `getsubids`) and
 * which pod has which (`userns` in its folder). All blocking.
 */
#include "pod/userns.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/time.h"
#include "loop/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define USERNS_USER "kubelet" /* whose subordinate ids are handed out */
#define FILE_MODE 0600
#define PASSWD_MAX_BYTES (4 * MiB)
#define OUTPUT_MAX_BYTES (4 * KiB)
#define PROGRAM_LIMIT_NS (10 * NS_PER_SEC)

/* --- files of pods --- */

char *userns_file_path(const char *root_dir, const char *uid)
{
    return path_join_all(root_dir, "pods", uid, "userns", NULL);
}

struct error *userns_file_store_blocking(const char *path, struct userns_range range)
{
    AUTO(buf) struct buf old, text;
    buf_init(&old, USERNS_FILE_MAX_BYTES);
    buf_init(&text, USERNS_FILE_MAX_BYTES);
    userns_file_add(&text, range);
    struct error *err = fd_read_file_blocking(path, &old);
    bool is_there = !err && str_eq(buf_str(&old), buf_str(&text));
    error_ignore(err, "what cannot be read is written anew");
    return is_there ? NULL : fd_replace_file_blocking(path, buf_str(&text), FILE_MODE);
}

struct error *userns_file_remove_blocking(const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
        return NULL;
    return error_from_errno(errno, "removing %s", path);
}

static struct error *record_pod(struct userns *userns, const char *root_dir, const char *uid)
{
    AUTO(free) char *path = userns_file_path(root_dir, uid);
    AUTO(buf) struct buf text;
    buf_init(&text, USERNS_FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    if (err && (err->os_errno == ENOENT || err->os_errno == ENOTDIR)) {
        error_free(err);
        return NULL;
    }
    struct userns_range range;
    if (!err && text.len > 0)
        err = userns_file_parse(buf_str(&text), &range);
    if (!err && text.len > 0)
        err = userns_record(userns, uid, range);
    return error_wrap(err, "%s (the ids of a pod; drain the node and remove the file)", path);
}

static struct error *record_pods(struct userns *userns, const char *root_dir)
{
    AUTO(free) char *path = path_join(root_dir, "pods");
    DIR *pods = opendir(path);
    if (!pods)
        return errno == ENOENT ? NULL : error_from_errno(errno, "reading %s", path);
    struct error *err = NULL;
    const struct dirent *entry;
    while (!err && (entry = readdir(pods))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry->d_name[0] != '.')
            err = record_pod(userns, root_dir, entry->d_name);
    }
    closedir(pods);
    return err;
}

/* --- whose ids --- */

static struct error *user_exists(const char *passwd, bool *ret)
{
    AUTO(buf) struct buf text;
    buf_init(&text, PASSWD_MAX_BYTES);
    struct error *err = fd_read_file_blocking(passwd, &text);
    *ret = false;
    if (err && err->os_errno == ENOENT) {
        error_free(err);
        return NULL;
    }
    struct str rest = buf_str(&text), line, name;
    while (!err && !*ret && str_split_next(&rest, '\n', &line))
        *ret = str_split_next(&line, ':', &name) && str_eq_c(name, USERNS_USER);
    return error_wrap(err, "looking for user " USERNS_USER);
}

/* All that @fd brings until its end, or the deadline. */
static struct error *read_output(int fd, struct buf *out)
{
    int64_t deadline_ns = time_mono_ns() + PROGRAM_LIMIT_NS;
    for (;;) {
        int64_t left_ns = deadline_ns - time_mono_ns();
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int count = left_ns > 0 ? poll(&ready, 1, (int)(left_ns / NS_PER_MS) + 1) : 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return error_from_errno(errno, "waiting for its output");
        if (count == 0)
            return error_new(ERROR_DEADLINE_EXCEEDED, "it does not end");
        char bytes[512];
        ssize_t len = read(fd, bytes, sizeof(bytes));
        if (len < 0 && errno != EINTR)
            return error_from_errno(errno, "reading its output");
        if (len == 0)
            return NULL;
        if (len > 0)
            buf_add(out, bytes, (size_t)len);
        if (out->overflowed)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "it prints more than %zu bytes",
                             (size_t)OUTPUT_MAX_BYTES);
    }
}

/* Runs `getsubids [-g] kubelet`; *ret_found is false when there is no such program. */
static struct error *run_getsubids(const char *program, bool groups, struct buf *out,
                                   bool *ret_found)
{
    const char *const argv[] = {program, groups ? "-g" : USERNS_USER, groups ? USERNS_USER : NULL,
                                NULL};
    const struct child_options options = {
        .argv = argv, .env = (const char *const *)environ, .errors = CHILD_ERRORS_DROPPED};
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_from_errno(errno, "making a pipe");
    AUTO(fd) int read_fd = fds[0];
    pid_t pid;
    int failure = child_spawn(&options, fds[1], &pid);
    close(fds[1]);
    *ret_found = failure != ENOENT;
    if (failure == ENOENT)
        return NULL;
    if (failure != 0)
        return error_from_errno(failure, "%s", program);
    struct error *err = read_output(read_fd, out);
    if (err)
        kill(-pid, SIGKILL);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (!err && !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
        err = error_new(ERROR_INTERNAL, "it fails with status %d",
                        WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return error_wrap(err, "%s %s" USERNS_USER, program, groups ? "-g " : "");
}

/* All ids but the host's own; what does not fill a range at the end is left. */
static struct userns_range default_range(uint32_t ids_per_pod)
{
    uint32_t all = UINT32_MAX - ids_per_pod + 1;
    return (struct userns_range){.host_id = ids_per_pod, .length = all - all % ids_per_pod};
}

static struct error *find_range(const struct userns_start *start, struct userns_range *ret)
{
    *ret = default_range(start->ids_per_pod);
    bool has_user, has_program = false;
    struct error *err = user_exists(start->passwd, &has_user);
    if (err || !has_user)
        return err;
    AUTO(buf) struct buf users, groups;
    buf_init(&users, OUTPUT_MAX_BYTES);
    buf_init(&groups, OUTPUT_MAX_BYTES);
    err = run_getsubids(start->getsubids, false, &users, &has_program);
    if (!err && has_program)
        err = run_getsubids(start->getsubids, true, &groups, &has_program);
    if (err || !has_program)
        return err;
    return error_wrap(userns_parse_subids(buf_str(&users), buf_str(&groups), ret), "%s",
                      start->getsubids);
}

struct error *userns_start_blocking(const struct userns_start *start, struct userns **ret)
{
    struct userns_range range;
    struct error *err = find_range(start, &range);
    if (err)
        return error_wrap(err, "user namespaces");
    const struct userns_options options = {.ids_per_pod = start->ids_per_pod,
                                           .first = range.host_id,
                                           .length = range.length,
                                           .max_pods = start->max_pods};
    AUTO(userns) struct userns *userns = NULL;
    err = userns_new(&options, &userns);
    if (!err)
        err = record_pods(userns, start->root_dir);
    if (err)
        return error_wrap(err, "user namespaces");
    *ret = TAKE(userns);
    return NULL;
}
