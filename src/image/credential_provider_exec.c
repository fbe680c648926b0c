/*
 * The request waits in a file that exists in memory only, so that neither a plugin that does not
 * read nor a long request holds anybody up. Its errors come through a pipe of their own, of which
 * the beginning is kept.
 *
 * The ways it fails: the program cannot be started (told in the next turn), it prints too much or
 * takes too long (its process group is killed, which ends it), it ends with another code than 0.
 */
#include "image/credential_provider_exec.h"

#include "base/buf.h"
#include "base/fd.h"
#include "image/credential_provider_codec.h"
#include "loop/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_BYTES 4096
#define READS_PER_TURN 16
#define HIDDEN "<redacted>"

struct credential_exec {
    struct loop *loop;
    char *name, *image, *secret; /* secret may be NULL */
    credential_exec_on_done *on_done;
    void *ctx;
    struct child *child;      /* NULL: it could not be started */
    struct loop_timer *timer; /* the deadline; at once when starting failed */
    int errors_fd;
    struct loop_io *errors_io;
    struct buf output, errors;
    struct error *failure; /* what killed or prevented it; else its status tells */
};

/* --- what it is given --- */

static const char *const *build_environment(const Credentialprovider__CredentialProvider *provider,
                                            struct arena *arena)
{
    struct child_variable *own = arena_calloc(arena, provider->n_env + 1, sizeof(*own));
    for (size_t i = 0; i < provider->n_env; i++)
        own[i] = (struct child_variable){provider->env[i]->name ? provider->env[i]->name : "",
                                         provider->env[i]->value ? provider->env[i]->value : ""};
    return child_environment(own, provider->n_env, arena);
}

static const char *const *build_arguments(const struct credential_exec_options *options,
                                          struct arena *arena)
{
    size_t count = options->provider->n_args;
    const char **argv = arena_calloc(arena, count + 2, sizeof(*argv));
    argv[0] = options->path;
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = options->provider->args[i];
    return argv;
}

static struct error *make_input(struct str request, int *ret_fd)
{
    AUTO(fd) int fd = memfd_create("credential request", MFD_CLOEXEC);
    if (fd < 0)
        return error_from_errno(errno, "making its input");
    for (size_t done = 0; done < request.len;) {
        ssize_t len = write(fd, request.ptr + done, request.len - done);
        if (len < 0 && errno != EINTR)
            return error_from_errno(errno, "writing its input");
        done += len > 0 ? (size_t)len : 0;
    }
    if (lseek(fd, 0, SEEK_SET) != 0)
        return error_from_errno(errno, "writing its input");
    *ret_fd = fd;
    fd = -1;
    return NULL;
}

/* --- what it says --- */

static void run_free(struct credential_exec *run)
{
    child_free(TAKE(run->child));
    loop_timer_free(TAKE(run->timer));
    loop_io_free(TAKE(run->errors_io));
    fd_close(&run->errors_fd);
    if (run->output.data)
        explicit_bzero(run->output.data, run->output.len);
    buf_done(&run->output);
    buf_done(&run->errors);
    if (run->secret)
        explicit_bzero(run->secret, strlen(run->secret));
    free(run->secret);
    free(run->name);
    free(run->image);
    error_free(TAKE(run->failure));
    free(run);
}

/* The first reason stays; the process' end follows. */
static void run_abort(struct credential_exec *run, struct error *why_owned)
{
    if (run->failure)
        error_ignore(why_owned, "it is being killed already");
    else
        run->failure = why_owned;
    child_kill(run->child);
}

static void on_output(void *ctx, struct str bytes)
{
    struct credential_exec *run = ctx;
    buf_add_str(&run->output, bytes);
    if (run->output.overflowed && !run->failure)
        run_abort(run, error_new(ERROR_RESOURCE_EXHAUSTED, "it printed more than %zu bytes",
                                 run->output.max_len));
}

/* All is read, so that it can go on, but only the beginning is kept. */
static void read_errors(struct credential_exec *run)
{
    char bytes[READ_BYTES];
    ssize_t len = 1;
    for (size_t i = 0; len > 0 && i < READS_PER_TURN; i++) {
        len = read(run->errors_fd, bytes, sizeof(bytes));
        size_t room = run->errors.max_len - run->errors.len;
        if (len > 0)
            buf_add(&run->errors, bytes, (size_t)len < room ? (size_t)len : room);
    }
    if (len == 0)
        loop_io_want(run->errors_io, 0);
}

static void on_errors(void *ctx, UNUSED unsigned events)
{
    read_errors(ctx);
}

/* True when @text begins with the secret, or with as much of it as was kept. */
static bool shows_secret(const struct credential_exec *run, struct str text)
{
    size_t len = run->secret ? strlen(run->secret) : 0;
    bool is_cut = run->errors.len == run->errors.max_len && text.len < len;
    if (len == 0 || (text.len < len && !is_cut))
        return false;
    return memcmp(text.ptr, run->secret, is_cut ? text.len : len) == 0;
}

static char *complaints(const struct credential_exec *run)
{
    struct str text = str_trim(buf_str(&run->errors));
    AUTO(buf) struct buf shown;
    buf_init(&shown, (size_t)CREDENTIAL_EXEC_ERRORS_MAX_BYTES * sizeof(HIDDEN));
    while (text.len > 0) {
        bool is_secret = shows_secret(run, text);
        size_t len = is_secret ? strlen(run->secret) : 1;
        if (is_secret)
            buf_add_text(&shown, HIDDEN);
        else
            buf_add(&shown, text.ptr[0] ? text.ptr : " ", 1);
        len = len < text.len ? len : text.len;
        text = (struct str){.ptr = text.ptr + len, .len = text.len - len};
    }
    return buf_take(&shown);
}

static void run_finish(struct credential_exec *run, struct error *err_owned)
{
    if (err_owned) {
        AUTO(free) char *text = complaints(run);
        struct error *err = error_new(
            err_owned->code, "error execing credential provider plugin %s for image %s: %s%s%s",
            run->name, run->image, err_owned->message, *text ? ": " : "", text);
        error_free(err_owned);
        err_owned = err;
    }
    run->on_done(run->ctx, buf_str(&run->output), err_owned);
    run_free(run);
}

static struct error *exit_failure(int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    if (WIFEXITED(status))
        return error_new(ERROR_UNKNOWN, "exit status %d", WEXITSTATUS(status));
    const char *signal_text = WIFSIGNALED(status) ? sigdescr_np(WTERMSIG(status)) : NULL;
    return error_new(ERROR_UNKNOWN, "signal: %s", signal_text ? signal_text : "unknown");
}

static void on_exit_of_plugin(void *ctx, int status)
{
    struct credential_exec *run = ctx;
    read_errors(run);
    run_finish(run, run->failure ? TAKE(run->failure) : exit_failure(status));
}

static const struct child_events plugin_events = {.on_output = on_output,
                                                  .on_exit = on_exit_of_plugin};

static void on_timer(void *ctx)
{
    struct credential_exec *run = ctx;
    if (!run->child)
        run_finish(run, TAKE(run->failure));
    else
        run_abort(run, error_new(ERROR_DEADLINE_EXCEEDED, "context deadline exceeded"));
}

/* --- starting --- */

static struct error *start_child(struct credential_exec *run,
                                 const struct credential_exec_options *options)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(fd) int in_fd = -1;
    struct error *err = make_input(options->request, &in_fd);
    if (err)
        return err;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_from_errno(errno, "making a pipe");
    AUTO(fd) int write_fd = fds[1];
    run->errors_fd = fds[0];
    if (fcntl(run->errors_fd, F_SETFL, O_NONBLOCK) != 0)
        return error_from_errno(errno, "setting up a pipe");
    run->errors_io =
        loop_io_new(run->loop, "credential provider's errors", run->errors_fd, on_errors, run);
    const struct child_options child = {.argv = build_arguments(options, arena),
                                        .env = build_environment(options->provider, arena),
                                        .errors = CHILD_ERRORS_APART,
                                        .in_fd = in_fd,
                                        .err_fd = write_fd};
    err = child_start(run->loop, options->pool, &child, &plugin_events, run, &run->child);
    if (!err)
        loop_io_want(run->errors_io, LOOP_IO_READ);
    return err;
}

struct credential_exec *credential_exec_start(const struct credential_exec_options *options,
                                              credential_exec_on_done *on_done, void *ctx)
{
    struct credential_exec *run = xcalloc(1, sizeof(*run));
    *run = (struct credential_exec){.loop = options->loop,
                                    .name = xstrdup(options->provider->name),
                                    .image = xstrdup(options->image),
                                    .secret = xstrdup(options->secret),
                                    .on_done = on_done,
                                    .ctx = ctx,
                                    .errors_fd = -1};
    buf_init(&run->output, CREDENTIAL_RESPONSE_MAX_BYTES);
    buf_init(&run->errors, CREDENTIAL_EXEC_ERRORS_MAX_BYTES);
    run->timer = loop_timer_new(run->loop, "credential provider", on_timer, run);
    run->failure = start_child(run, options);
    loop_timer_start(run->timer, run->failure ? -1 : options->timeout_ns);
    return run;
}

void credential_exec_cancel(struct credential_exec *run)
{
    if (run)
        run_free(run);
}
