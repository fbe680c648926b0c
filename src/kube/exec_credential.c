/*
 * A run: the command is started with a pipe as its output and a pidfd on the loop. The pipe is read
 * as it fills; when the process has ended, what is left in the pipe is read and the whole is taken
 * apart. The end of the pipe is not waited for: a grandchild may hold it open for ever.
 *
 * The ways it fails: the command cannot be started (told in the next turn), it prints too much or
 * takes too long (its process group is killed, which ends it), it exits with another code than 0,
 * what it printed is no ExecCredential. A cancelled run is killed as well; the process is then
 * reaped on a worker, because even a killed one may take its time.
 */
#include "kube/exec_credential.h"

#include "base/fd.h"
#include "base/time.h"
#include "kube/api_auth_files.h"
#include "kube/codec_base64.h"
#include "loop/child.h"
#include "loop/pidfd.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define INFO_VARIABLE "KUBERNETES_EXEC_INFO"
#define INFO_MAX_BYTES (4 * MiB) /* the certificates of a CA file in base64 */

/* --- the credential --- */

void exec_credential_done(struct exec_credential *credential)
{
    auth_wipe_text(TAKE(credential->token));
    auth_wipe_text(TAKE(credential->cert_pem));
    auth_wipe_text(TAKE(credential->key_pem));
}

static struct error *read_text(const struct doc_node *status, const char *key, char **ret)
{
    const struct doc_node *node = doc_get(status, key);
    if (!node || node->kind == DOC_NULL)
        return NULL;
    if (node->kind != DOC_STRING)
        return error_new(ERROR_INVALID_ARGUMENT, "status.%s: expected a string", key);
    if (node->string.len > 0)
        *ret = str_dup(node->string);
    return NULL;
}

static struct error *check_version(const struct doc_node *root, const char *api_version)
{
    const char *version = doc_get_text(root, "apiVersion");
    if (strcmp(doc_get_text(root, "kind"), "ExecCredential") != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "the plugin did not return an ExecCredential");
    if (strcmp(version, api_version) != 0)
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "exec plugin is configured to use API version %s, plugin returned version %s",
            api_version, version);
    return NULL;
}

static struct error *read_status(const struct doc_node *status, struct exec_credential *credential)
{
    AUTO(free) char *expires = NULL;
    struct error *err = read_text(status, "token", &credential->token);
    if (!err)
        err = read_text(status, "clientCertificateData", &credential->cert_pem);
    if (!err)
        err = read_text(status, "clientKeyData", &credential->key_pem);
    if (!err)
        err = read_text(status, "expirationTimestamp", &expires);
    if (err)
        return err;
    if (!credential->token && !credential->cert_pem && !credential->key_pem)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "exec plugin didn't return a token or cert/key pair");
    if (!credential->cert_pem != !credential->key_pem)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "exec plugin returned only certificate or key, not both");
    credential->has_expiry = expires != NULL;
    if (!expires)
        return NULL;
    return error_wrap(time_parse_rfc3339(str_from(expires), &credential->expires_wall_ns),
                      "status.expirationTimestamp");
}

struct error *exec_credential_parse(struct str text, const char *api_version,
                                    struct exec_credential *ret)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = EXEC_OUTPUT_MAX_BYTES};
    const struct doc_node *root = NULL;
    struct error *err = json_parse(text, &options, arena, &root);
    if (err)
        return error_wrap(err, "decoding stdout");
    err = check_version(root, api_version);
    if (err)
        return err;
    const struct doc_node *status = doc_get(root, "status");
    if (!status || status->kind != DOC_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT, "exec plugin didn't return a status field");
    AUTO(exec_credential) struct exec_credential credential = {0};
    err = read_status(status, &credential);
    if (err)
        return err;
    *ret = credential;
    credential = (struct exec_credential){0};
    return NULL;
}

/* --- what the plugin is told --- */

static void write_text(struct doc_writer *writer, const char *key, const char *text)
{
    if (!text)
        return;
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_cluster(struct doc_writer *writer, const struct kubeconfig *config,
                          const char *ca_pem)
{
    AUTO(free) char *ca = ca_pem ? base64_encode((const uint8_t *)ca_pem, strlen(ca_pem)) : NULL;
    doc_write_key(writer, "cluster");
    writer->ops->begin_object(writer);
    write_text(writer, "server", config->server);
    write_text(writer, "tls-server-name", config->tls_server_name);
    if (config->insecure_skip_tls_verify) {
        doc_write_key(writer, "insecure-skip-tls-verify");
        doc_write_bool(writer, true);
    }
    write_text(writer, "certificate-authority-data", ca);
    write_text(writer, "proxy-url", config->proxy_url);
    writer->ops->end_object(writer);
}

char *exec_credential_info(const struct kubeconfig *config, const char *ca_pem)
{
    AUTO(buf) struct buf text;
    buf_init(&text, INFO_MAX_BYTES);
    struct json_writer json;
    json_writer_init(&json, &text, false);
    struct doc_writer *writer = &json.base;
    writer->ops->begin_object(writer);
    write_text(writer, "kind", "ExecCredential");
    write_text(writer, "apiVersion", config->exec->api_version);
    doc_write_key(writer, "spec");
    writer->ops->begin_object(writer);
    if (config->exec->provide_cluster_info)
        write_cluster(writer, config, ca_pem);
    doc_write_key(writer, "interactive");
    doc_write_bool(writer, false);
    writer->ops->end_object(writer);
    writer->ops->end_object(writer);
    return buf_take(&text);
}

/* --- the child --- */

struct exec_run {
    struct loop *loop;
    struct work_pool *pool;
    const struct kubeconfig *config; /* borrowed */
    exec_on_done *on_done;
    void *ctx;
    pid_t pid;                 /* 0: not started, or reaped */
    struct pidfd_watch *watch; /* of pid */
    int out_fd;
    struct loop_io *out;
    struct loop_timer *timer; /* the deadline; at once when starting failed */
    int64_t timeout_ns;
    struct buf output;
    struct error *failure; /* what killed or prevented it; else its exit tells */
};

/* Ours, then the config's, then what the protocol says; in @arena. */
static const char *const *build_environment(const struct kubeconfig *config, const char *ca_pem,
                                            struct arena *arena)
{
    const struct kubeconfig_exec *exec = config->exec;
    struct child_variable *own = arena_calloc(arena, exec->env_count + 1, sizeof(*own));
    for (size_t i = 0; i < exec->env_count; i++)
        own[i] = (struct child_variable){exec->env[i].name, exec->env[i].value};
    AUTO(free) char *info = exec_credential_info(config, ca_pem);
    own[exec->env_count] = (struct child_variable){INFO_VARIABLE, info};
    return child_environment(own, exec->env_count + 1, arena);
}

static char **build_arguments(const struct kubeconfig_exec *exec, struct arena *arena)
{
    char **argv = arena_calloc(arena, exec->arg_count + 2, sizeof(*argv));
    argv[0] = arena_strdup(arena, exec->command);
    for (size_t i = 0; i < exec->arg_count; i++)
        argv[i + 1] = arena_strdup(arena, exec->args[i]);
    return argv;
}

static struct error *start_failure(const struct kubeconfig_exec *exec, int os_errno)
{
    const char *hint = exec->install_hint;
    if (os_errno == ENOENT)
        return error_new(ERROR_UNAUTHENTICATED, "executable %s not found%s%s", exec->command,
                         hint ? ": " : "", hint ? hint : "");
    AUTO(error) struct error *cause = error_from_errno(os_errno, "executable %s", exec->command);
    return error_new(ERROR_UNAUTHENTICATED, "%s", cause->message);
}

static void reap_blocking(void *job)
{
    pid_t *pid = job;
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void reap_done(UNUSED void *ctx, UNUSED void *job) {}

static const struct work_vtable reap_vtable = {.name = "reaping a credential plugin",
                                               .class = WORK_SLOW,
                                               .run_blocking = reap_blocking,
                                               .on_done = reap_done,
                                               .release = free};

static void run_kill(const struct exec_run *run)
{
    if (run->pid > 0)
        (void)kill(-run->pid, SIGKILL);
}

static void run_free(struct exec_run *run)
{
    pidfd_watch_free(TAKE(run->watch));
    loop_io_free(TAKE(run->out));
    loop_timer_free(TAKE(run->timer));
    fd_close(&run->out_fd);
    if (run->output.data)
        explicit_bzero(run->output.data, run->output.len);
    buf_done(&run->output);
    error_free(TAKE(run->failure));
    free(run);
}

/* Tells, and frees. */
static void run_finish(struct exec_run *run, struct exec_credential *credential,
                       struct error *err_owned)
{
    exec_on_done *on_done = run->on_done;
    void *ctx = run->ctx;
    run_free(run);
    AUTO(error) struct error *err = error_wrap(err_owned, "getting credentials: exec");
    on_done(ctx, err ? NULL : credential, err);
}

/* The first reason stays; the process' end follows. */
static void run_abort(struct exec_run *run, struct error *why_owned)
{
    if (run->failure)
        error_ignore(why_owned, "it is being killed already");
    else
        run->failure = why_owned;
    run_kill(run);
}

static void read_output(struct exec_run *run)
{
    char bytes[4096];
    ssize_t len = 0;
    /* Up to the limit only: a plugin may well print faster than we read. */
    while (!run->output.overflowed && (len = read(run->out_fd, bytes, sizeof(bytes))) > 0)
        buf_add(&run->output, bytes, (size_t)len);
    explicit_bzero(bytes, sizeof(bytes));
    if (len == 0 || run->output.overflowed)
        loop_io_want(run->out, 0); /* there is no more to come; its exit will follow */
    if (run->output.overflowed)
        run_abort(run, error_new(ERROR_UNAUTHENTICATED, "executable %s printed more than %zu bytes",
                                 run->config->exec->command, run->output.max_len));
}

static void on_output(void *ctx, UNUSED unsigned events)
{
    read_output(ctx);
}

static struct error *exit_failure(const struct exec_run *run, int status)
{
    const struct kubeconfig_exec *exec = run->config->exec;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    if (WIFEXITED(status))
        return error_new(ERROR_UNAUTHENTICATED, "executable %s failed with exit code %d",
                         exec->command, WEXITSTATUS(status));
    return error_new(ERROR_UNAUTHENTICATED, "executable %s was ended by signal %d", exec->command,
                     WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void on_exit_of_child(void *ctx)
{
    struct exec_run *run = ctx;
    int status = 0;
    read_output(run);
    while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    run->pid = 0;
    AUTO(exec_credential) struct exec_credential credential = {0};
    struct error *err = run->failure ? TAKE(run->failure) : exit_failure(run, status);
    if (!err) {
        err = exec_credential_parse(buf_str(&run->output), run->config->exec->api_version,
                                    &credential);
        err = error_wrap(err, "executable %s", run->config->exec->command);
        if (err)
            err->code = ERROR_UNAUTHENTICATED;
    }
    run_finish(run, &credential, err);
}

static void on_timer(void *ctx)
{
    struct exec_run *run = ctx;
    char text[TIME_TEXT_SIZE];
    if (run->pid == 0) {
        run_finish(run, NULL, TAKE(run->failure));
        return;
    }
    run_abort(run,
              error_new(ERROR_UNAUTHENTICATED, "executable %s did not end within %s",
                        run->config->exec->command, time_format_duration(run->timeout_ns, text)));
}

static struct error *start_child(struct exec_run *run, const char *ca_pem)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return error_from_errno(errno, "making a pipe");
    AUTO(fd) int write_fd = fds[1];
    run->out_fd = fds[0];
    if (fcntl(run->out_fd, F_SETFL, O_NONBLOCK) != 0)
        return error_from_errno(errno, "setting up a pipe");
    char **argv = build_arguments(run->config->exec, arena);
    const struct child_options options = {.argv = (const char *const *)argv,
                                          .env = build_environment(run->config, ca_pem, arena),
                                          .errors = CHILD_ERRORS_KEPT};
    int failure = child_spawn(&options, write_fd, &run->pid);
    if (failure != 0) {
        run->pid = 0;
        return start_failure(run->config->exec, failure);
    }
    run->out = loop_io_new(run->loop, "credential plugin's output", run->out_fd, on_output, run);
    loop_io_want(run->out, LOOP_IO_READ);
    return pidfd_watch_new(run->loop, run->pid, on_exit_of_child, run, &run->watch);
}

/* Ends a child that nobody hears any more. */
static void abandon_child(struct exec_run *run)
{
    if (run->pid == 0)
        return;
    run_kill(run);
    pid_t *pid = xcalloc(1, sizeof(*pid));
    *pid = run->pid;
    run->pid = 0;
    (void)work_start(run->pool, &reap_vtable, pid, NULL);
}

struct exec_run *exec_run_start(const struct exec_options *options, exec_on_done *on_done,
                                void *ctx)
{
    struct exec_run *run = xcalloc(1, sizeof(*run));
    *run = (struct exec_run){.loop = options->loop,
                             .pool = options->pool,
                             .config = options->config,
                             .on_done = on_done,
                             .ctx = ctx,
                             .out_fd = -1,
                             .timeout_ns = options->timeout_ns};
    buf_init(&run->output, EXEC_OUTPUT_MAX_BYTES);
    run->timer = loop_timer_new(run->loop, "credential plugin", on_timer, run);
    run->failure = start_child(run, options->ca_pem);
    if (run->failure)
        abandon_child(run);
    loop_timer_start(run->timer, run->failure ? 0 : run->timeout_ns);
    return run;
}

void exec_run_cancel(struct exec_run *run)
{
    if (!run)
        return;
    abandon_child(run);
    run_free(run);
}
