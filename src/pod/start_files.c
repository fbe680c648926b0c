#include "pod/start_files.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "pod/env.h"
#include "pod/log_rotation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS_MODE 0644           /* kubelet_pods.go ensureHostsFile, explicit chmod */
#define HOSTS_MAX_BYTES (1 * MiB) /* of the node's own /etc/hosts */
#define TERMINATION_DIR_MODE 0750
#define TERMINATION_LOG_MODE 0666
#define LOG_DIR_MODE 0755
#define LINK_NAME_MAX_BYTES 251 /* legacy.go: 255 less ".log" */

/* --- env files --- */

/* Upstream reads line by line for as long as the file is. It is a container's, so here one that
 * could not be an environment is as good as one that cannot be read. */
#define ENV_FILE_MAX_BYTES (1 * MiB)

struct env_file_read {
    const struct env_file_request *request; /* in the operation's arena: for the loop only */
    char *volume_path, *path;
    struct buf content;
    struct error *err;
};

struct env_file_job {
    size_t count;
    struct env_file_read *reads;
};

static void env_files_release(void *ctx)
{
    struct env_file_job *job = ctx;
    for (size_t i = 0; i < job->count; i++) {
        free(job->reads[i].volume_path);
        free(job->reads[i].path);
        buf_done(&job->reads[i].content);
        error_free(job->reads[i].err);
    }
    free(job->reads);
    free(job);
}

static struct error *read_regular(int fd, struct buf *content)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return error_from_errno(errno, "looking at it");
    if (!S_ISREG(info.st_mode))
        return error_new(ERROR_INVALID_ARGUMENT, "it is no regular file");
    char chunk[4 * KiB];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof(chunk))) != 0 && !content->overflowed) {
        if (got < 0 && errno != EINTR)
            return error_from_errno(errno, "reading");
        if (got > 0)
            buf_add(content, chunk, (size_t)got);
    }
    return buf_error(content, "its content");
}

/* The volume's path is the agent's own, what is below may be a container's. */
static struct error *read_beneath(const char *volume_path, const char *path, struct buf *content)
{
    AUTO(fd) int volume_fd = open(volume_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (volume_fd < 0)
        return error_from_errno(errno, "opening its volume");
    AUTO(fd) int fd = -1;
    struct error *err = fd_open_beneath(volume_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
                                        /* no_symlinks= */ false, &fd);
    return err ? err : read_regular(fd, content);
}

static void env_files_run(void *ctx)
{
    const struct env_file_job *job = ctx;
    size_t left = ENVIRONMENT_MAX_BYTES;
    for (size_t i = 0; i < job->count; i++) {
        struct env_file_read *it = &job->reads[i];
        buf_init(&it->content, min_size(ENV_FILE_MAX_BYTES, left));
        it->err = read_beneath(it->volume_path, it->path, &it->content);
        left -= it->content.len;
    }
}

static const struct pod_job env_files_kind = {
    .name = "env files", .run_blocking = env_files_run, .release = env_files_release};

void start_env_files(struct pod_op *op, const struct env_file_request *requests, size_t count)
{
    struct env_file_job *job = xcalloc(1, sizeof(*job));
    job->count = count;
    job->reads = xcalloc(count, sizeof(*job->reads));
    for (size_t i = 0; i < count; i++)
        job->reads[i] = (struct env_file_read){.request = &requests[i],
                                               .volume_path = xstrdup(requests[i].volume_path),
                                               .path = xstrdup(requests[i].path)};
    pod_op_job(op, &env_files_kind, job);
}

const struct env_file *start_env_files_result(struct pod_op *op, size_t *ret_count)
{
    const struct env_file_job *job = op->job;
    struct env_file *files = arena_calloc(op->arena, job->count, sizeof(*files));
    for (size_t i = 0; i < job->count; i++) {
        const struct env_file_read *it = &job->reads[i];
        const struct env_file_request *request = it->request;
        files[i] = (struct env_file){
            .volume_name = request->volume_name, .path = request->path, .readable = !it->err};
        if (it->err)
            /* The pod is told no more than that it could not be parsed, as upstream does. */
            log_info("Could not read an environment file",
                     LOG_POD(op->worker->namespace, op->worker->name),
                     LOG_STR("containerName", op->container->name),
                     LOG_STR("volumeName", request->volume_name), LOG_STR("path", request->path),
                     LOG_ERR(it->err));
        else
            files[i].content = (struct str){
                .ptr = arena_memdup(op->arena, buf_text(&it->content), it->content.len),
                .len = it->content.len};
    }
    *ret_count = job->count;
    return files;
}

/* --- subPath binds --- */

struct subpath_job {
    char *root_dir;
    size_t count;
    struct volume_subpath *requests; /* texts are owned */
    char **targets;
    struct error *err;
};

static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void subpath_release(void *ctx)
{
    struct subpath_job *job = ctx;
    for (size_t i = 0; i < job->count; i++) {
        free_text(job->requests[i].pod_uid);
        free_text(job->requests[i].volume_path);
        free_text(job->requests[i].inner_name);
        free_text(job->requests[i].container);
        free_text(job->requests[i].sub_path);
        free(job->targets[i]);
    }
    free(job->requests);
    free(job->targets);
    free(job->root_dir);
    error_free(job->err);
    free(job);
}

static void subpath_run(void *ctx)
{
    struct subpath_job *job = ctx;
    for (size_t i = 0; i < job->count && !job->err; i++)
        job->err =
            volume_subpath_prepare_blocking(job->root_dir, &job->requests[i], &job->targets[i]);
}

static const struct pod_job subpath_kind = {
    .name = "subPath binds", .run_blocking = subpath_run, .release = subpath_release};

void start_subpaths(struct pod_op *op, const struct subpath_request *requests, size_t count,
                    const char *container)
{
    struct subpath_job *job = xcalloc(1, sizeof(*job));
    job->root_dir = xstrdup(op->worker->pods->env.node->root_dir);
    job->count = count;
    job->requests = xcalloc(count, sizeof(*job->requests));
    job->targets = xcalloc(count, sizeof(*job->targets));
    for (size_t i = 0; i < count; i++) {
        job->requests[i] = (struct volume_subpath){.pod_uid = xstrdup(op->worker->uid),
                                                   .volume_path = xstrdup(requests[i].volume_path),
                                                   .inner_name = xstrdup(requests[i].inner_name),
                                                   .container = xstrdup(container),
                                                   .mount_index = requests[i].mount_index,
                                                   .sub_path = xstrdup(requests[i].sub_path)};
    }
    pod_op_job(op, &subpath_kind, job);
}

struct error *start_subpath_targets(struct pod_op *op, size_t n_mounts,
                                    const char *const **ret_targets)
{
    struct subpath_job *job = op->job;
    if (job->err)
        return TAKE(job->err);
    const char **targets = arena_calloc(op->arena, n_mounts + 1, sizeof(*targets));
    for (size_t i = 0; i < job->count; i++)
        targets[job->requests[i].mount_index] = arena_strdup(op->arena, job->targets[i]);
    *ret_targets = targets;
    return NULL;
}

/* --- files of one start --- */

struct files_job {
    char *log_dir, *hosts_path, *hosts_content;
    bool hosts_from_node;
    char *node_hosts, *hosts_prefix, *hosts_suffix;
    char *termination_dir, *termination_log;
    struct error *err, *termination_err;
};

static void files_release(void *ctx)
{
    struct files_job *job = ctx;
    free(job->log_dir);
    free(job->hosts_path);
    free(job->hosts_content);
    free(job->node_hosts);
    free(job->hosts_prefix);
    free(job->hosts_suffix);
    free(job->termination_dir);
    free(job->termination_log);
    error_free(job->err);
    error_free(job->termination_err);
    free(job);
}

static struct error *write_hosts(const struct files_job *job)
{
    if (!job->hosts_from_node)
        return fd_write_file_blocking(job->hosts_path, str_from(job->hosts_content), HOSTS_MODE);
    struct buf node, text;
    buf_init(&node, HOSTS_MAX_BYTES);
    buf_init(&text, 2 * HOSTS_MAX_BYTES);
    struct error *err = fd_read_file_blocking(job->node_hosts, &node);
    buf_add_text(&text, job->hosts_prefix);
    buf_add_str(&text, buf_str(&node));
    buf_add_text(&text, job->hosts_suffix);
    if (!err)
        err = buf_error(&text, "the hosts file");
    if (!err)
        err = fd_write_file_blocking(job->hosts_path, buf_str(&text), HOSTS_MODE);
    buf_done(&node);
    buf_done(&text);
    return err;
}

static struct error *make_termination_log(const struct files_job *job)
{
    struct error *err = fd_mkdir_all(job->termination_dir, TERMINATION_DIR_MODE);
    return err ? err
               : fd_write_file_blocking(job->termination_log, STR_LITERAL(""),
                                        TERMINATION_LOG_MODE);
}

static void files_run(void *ctx)
{
    struct files_job *job = ctx;
    job->err = fd_mkdir_all(job->log_dir, LOG_DIR_MODE);
    if (!job->err && job->hosts_path)
        job->err = write_hosts(job);
    if (!job->err && job->termination_dir)
        job->termination_err = make_termination_log(job);
}

static const struct pod_job files_kind = {
    .name = "container files", .run_blocking = files_run, .release = files_release};

void start_files(struct pod_op *op, const struct container_files *files)
{
    struct files_job *job = xcalloc(1, sizeof(*job));
    *job = (struct files_job){.log_dir = xstrdup(files->log_dir),
                              .hosts_path = xstrdup(files->hosts_path),
                              .hosts_content = xstrdup(files->hosts_content),
                              .hosts_from_node = files->hosts_from_node,
                              .node_hosts = xstrdup(op->worker->pods->env.etc_hosts),
                              .hosts_prefix = xstrdup(files->hosts_prefix),
                              .hosts_suffix = xstrdup(files->hosts_suffix),
                              .termination_dir = xstrdup(files->termination_dir),
                              .termination_log = xstrdup(files->termination_log)};
    pod_op_job(op, &files_kind, job);
}

struct error *start_files_result(struct pod_op *op, bool *ret_has_termination_log)
{
    struct files_job *job = op->job;
    if (job->termination_err)
        log_error("Could not make the termination log, the container starts without it",
                  LOG_POD(op->worker->namespace, op->worker->name),
                  LOG_STR("containerName", op->container->name), LOG_ERR(job->termination_err));
    *ret_has_termination_log = job->termination_dir && !job->termination_err;
    return TAKE(job->err);
}

/* --- links and logs --- */

struct log_job {
    char *log_path, *link;
    char *logs_dir; /* NULL: the link is made; else what it names is deleted with it */
    bool keeps_logs;
    struct error *err;
};

static void log_release(void *ctx)
{
    struct log_job *job = ctx;
    free(job->log_path);
    free(job->link);
    free(job->logs_dir);
    error_free(job->err);
    free(job);
}

static void make_link(const struct log_job *job)
{
    struct stat info;
    if (stat(job->log_path, &info) < 0 && errno == ENOENT)
        return;
    /* A link that is left over from an earlier instance of the same id is the same link. */
    if (symlink(job->log_path, job->link) < 0)
        return;
}

static void delete_logs(struct log_job *job)
{
    if (!job->keeps_logs)
        job->err = log_delete_blocking(job->logs_dir, job->log_path);
    if (!job->err)
        unlink(job->link);
}

static void log_run(void *ctx)
{
    struct log_job *job = ctx;
    if (job->logs_dir)
        delete_logs(job);
    else
        make_link(job);
}

static const struct pod_job log_kind = {
    .name = "container log files", .run_blocking = log_run, .release = log_release};

/* A pod of the same name may be there already: where a link leads tells whose it is. */
static bool leads_below(int dir_fd, const char *link, const char *folder)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir_fd, link, target, sizeof(target) - 1);
    if (len < 0)
        return false;
    target[len] = '\0';
    return text_has_prefix(target, folder) && target[strlen(folder)] == '/';
}

void container_links_remove_blocking(const char *dir, const char *namespace, const char *name,
                                     const char *log_dir)
{
    AUTO(free) char *prefix = xasprintf("%s_%s_", name, namespace);
    if (strlen(prefix) > LINK_NAME_MAX_BYTES)
        prefix[LINK_NAME_MAX_BYTES] = '\0';
    DIR *entries = opendir(dir);
    if (!entries)
        return;
    const struct dirent *entry;
    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (text_has_prefix(entry->d_name, prefix) &&
            leads_below(dirfd(entries), entry->d_name, log_dir))
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    closedir(entries);
}

void start_link(struct pod_op *op, const char *log_path, const char *link)
{
    struct log_job *job = xcalloc(1, sizeof(*job));
    *job = (struct log_job){.log_path = xstrdup(log_path), .link = xstrdup(link)};
    pod_op_job(op, &log_kind, job);
}

void start_delete_logs(struct pod_op *op, const char *log_path, const char *id)
{
    const struct pod_worker *worker = op->worker;
    const struct pods_environment *env = &worker->pods->env;
    const struct container_observed *instance = pod_observed_container(&worker->have, id);
    struct log_job *job = xcalloc(1, sizeof(*job));
    *job = (struct log_job){
        .log_path = xstrdup(log_path),
        .link = xstrdup(container_link_path(env->container_links, worker,
                                            instance ? instance->name : "", id, op->arena)),
        .logs_dir = xstrdup(env->node->pod_logs_dir),
        .keeps_logs = env->logs.max_bytes < 0};
    pod_op_job(op, &log_kind, job);
}

struct error *start_delete_logs_result(struct pod_op *op)
{
    return TAKE(((struct log_job *)op->job)->err);
}

const char *container_link_path(const char *dir, const struct pod_worker *worker,
                                const char *container, const char *id, struct arena *arena)
{
    const char *name =
        arena_printf(arena, "%s_%s_%s-%s", worker->name, worker->namespace, container, id);
    return arena_printf(arena, "%s/%.*s.log", dir, LINK_NAME_MAX_BYTES, name);
}
