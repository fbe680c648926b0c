/*
 * The output is a pipe on the loop, the end is a pidfd. When the process has ended, what is left in
 * the pipe is told before its end is. The end of the pipe alone says nothing: a process may close
 * its output and go on.
 */
#include "loop/child.h"

#include "base/fd.h"
#include "loop/pidfd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES (16 * KiB)
/* A chatty one must not keep the other work of a turn waiting. */
#define READS_PER_TURN 4

struct child {
    struct loop *loop; /* these two borrowed */
    struct work_pool *pool;
    const struct child_events *events;
    void *ctx;
    pid_t pid;                 /* 0: reaped */
    struct pidfd_watch *watch; /* NULL: it has ended */
    int out_fd;
    struct loop_io *out;     /* NULL: freed */
    struct loop_timer *soon; /* what the pipe may not wake us for, once the process has ended */
    bool is_paused;
    bool is_read_out; /* the pipe has ended */
    bool has_ended, is_told;
    int status; /* once it has ended */
};

static void set_wants(struct child *child)
{
    bool wants = !child->is_paused && !child->is_read_out;
    loop_io_want(child->out, wants ? LOOP_IO_READ : 0U);
}

/* Returns false when there is nothing to be read now. */
static bool read_once(struct child *child)
{
    char bytes[READ_BYTES];
    ssize_t len;
    do {
        len = read(child->out_fd, bytes, sizeof(bytes));
    } while (len < 0 && errno == EINTR);
    if (len > 0) {
        child->events->on_output(child->ctx, (struct str){.ptr = bytes, .len = (size_t)len});
        return true;
    }
    if (len == 0 || errno != EAGAIN)
        child->is_read_out = true;
    return false;
}

static void pump(struct child *child)
{
    bool is_more = !child->is_read_out;
    for (size_t i = 0; is_more && child->out && !child->is_paused && i < READS_PER_TURN; i++)
        is_more = read_once(child);
    if (!child->out)
        return; /* freed meanwhile */
    set_wants(child);
    if (!child->has_ended || child->is_paused || child->is_told)
        return;
    if (is_more) {
        loop_timer_start(child->soon, -1);
        return;
    }
    child->is_told = true;
    loop_io_want(child->out, 0);
    child->events->on_exit(child->ctx, child->status);
}

static void on_readable(void *ctx, UNUSED unsigned events)
{
    pump(ctx);
}

static void on_end(void *ctx)
{
    struct child *child = ctx;
    while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
        continue;
    child->pid = 0;
    child->has_ended = true;
    pidfd_watch_free(TAKE(child->watch));
    pump(child);
}

static void on_soon(void *ctx)
{
    pump(ctx);
}

/* --- what it is given --- */

/* Whether a variable from @first on is called @name. */
static bool is_given(const struct child_variable *own, size_t first, size_t count, struct str name)
{
    for (size_t i = first; i < count; i++) {
        if (str_eq_c(name, own[i].name))
            return true;
    }
    return false;
}

const char *const *child_environment(const struct child_variable *own, size_t count,
                                     struct arena *arena)
{
    size_t kept = 0, ours = 0;
    while (environ[ours])
        ours++;
    const char **env = arena_calloc(arena, ours + count + 1, sizeof(*env));
    for (size_t i = 0; i < ours; i++) {
        struct str name = {.ptr = environ[i], .len = str_find(str_from(environ[i]), '=')};
        if (!is_given(own, 0, count, name))
            env[kept++] = environ[i];
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_given(own, i + 1, count, str_from(own[i].name)))
            env[kept++] = arena_printf(arena, "%s=%s", own[i].name, own[i].value);
    }
    return env;
}

/* --- starting --- */

static void add_files(posix_spawn_file_actions_t *actions, const struct child_options *options,
                      int out_fd)
{
    if (options->in_fd > 0)
        (void)posix_spawn_file_actions_adddup2(actions, options->in_fd, STDIN_FILENO);
    else
        (void)posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(actions, out_fd, STDOUT_FILENO);
    switch (options->errors) {
    case CHILD_ERRORS_DROPPED:
        (void)posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        return;
    case CHILD_ERRORS_JOINED:
        (void)posix_spawn_file_actions_adddup2(actions, out_fd, STDERR_FILENO);
        return;
    case CHILD_ERRORS_APART:
        (void)posix_spawn_file_actions_adddup2(actions, options->err_fd, STDERR_FILENO);
        return;
    case CHILD_ERRORS_KEPT:
        return;
    }
}

int child_spawn(const struct child_options *options, int out_fd, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
    add_files(&actions, options, out_fd);
    /* execve() does not write to them, only its prototype is older than const. */
    int result = posix_spawnp(ret_pid, options->argv[0], &actions, &attributes,
                              (char *const *)(uintptr_t)options->argv,
                              (char *const *)(uintptr_t)options->env);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return result;
}

struct error *child_start(struct loop *loop, struct work_pool *pool,
                          const struct child_options *options, const struct child_events *events,
                          void *ctx, struct child **ret)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_from_errno(errno, "making a pipe");
    AUTO(fd) int read_fd = fds[0];
    AUTO(fd) int write_fd = fds[1];
    if (fcntl(read_fd, F_SETFL, O_NONBLOCK) != 0)
        return error_from_errno(errno, "setting up a pipe");
    pid_t pid = 0;
    int failure = child_spawn(options, write_fd, &pid);
    if (failure != 0)
        return error_from_errno(failure, "starting %s", options->argv[0]);
    AUTO(child) struct child *child = xcalloc(1, sizeof(*child));
    *child = (struct child){
        .loop = loop, .pool = pool, .events = events, .ctx = ctx, .pid = pid, .out_fd = read_fd};
    child->out = loop_io_new(loop, "child's output", read_fd, on_readable, child);
    child->soon = loop_timer_new(loop, "child's end", on_soon, child);
    read_fd = -1; /* the child's now */
    struct error *err = pidfd_watch_new(loop, pid, on_end, child, &child->watch);
    if (err)
        return err;
    set_wants(child);
    *ret = TAKE(child);
    return NULL;
}

void child_pause(struct child *child, bool is_paused)
{
    child->is_paused = is_paused;
    if (child->has_ended && !is_paused)
        loop_timer_start(child->soon, -1);
    set_wants(child);
}

void child_kill(struct child *child)
{
    if (child->pid > 0)
        (void)kill(-child->pid, SIGKILL);
}

/* --- the end --- */

static void reap_blocking(void *job)
{
    pid_t *pid = job;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void reap_done(UNUSED void *ctx, UNUSED void *job) {}

static const struct work_vtable reap_vtable = {.name = "reaping a child",
                                               .class = WORK_SLOW,
                                               .run_blocking = reap_blocking,
                                               .on_done = reap_done,
                                               .release = free};

void child_free(struct child *child)
{
    if (!child || !child->out)
        return;
    child_kill(child);
    if (child->pid > 0) {
        pid_t *pid = xcalloc(1, sizeof(*pid));
        *pid = child->pid;
        (void)work_start(child->pool, &reap_vtable, pid, NULL);
    }
    pidfd_watch_free(TAKE(child->watch));
    loop_timer_free(TAKE(child->soon));
    loop_io_free(TAKE(child->out));
    fd_close(&child->out_fd);
    loop_defer_free(child->loop, free, child); /* pump() may be below us */
}
