#include "pod/prepare.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "kube/reflector.h"

#include "node.pb-c.h"

#include <dirent.h>

#define LOG_DIR_MODE 0755 /* kuberuntime_sandbox.go: MkdirAll(…, 0755) */

static void prepare_release(void *ctx)
{
    struct prepare_job *job = ctx;
    free(job->log_dir);
    free(job->container_name);
    free(job->resolv_path);
    free(job->resolv_text);
    error_free(job->err);
    free(job);
}

/* "12.log", "12.log.20260101-000000": digits, then ".log", then anything. */
static bool log_number(const char *name, int64_t *ret)
{
    size_t digits = strspn(name, "0123456789");
    if (digits == 0 || !text_has_prefix(name + digits, ".log"))
        return false;
    AUTO(free) char *number = xstrndup(name, digits);
    return parse_i64(number, 0, INT32_MAX - 1, ret);
}

uint32_t prepare_count_logs_blocking(const char *dir)
{
    DIR *entries = opendir(dir);
    if (!entries)
        return 0;
    uint32_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        int64_t number;
        if (entry->d_type != DT_DIR && log_number(entry->d_name, &number) && number >= count)
            count = (uint32_t)number + 1;
    }
    closedir(entries);
    return count;
}

static struct error *read_resolv(struct prepare_job *job)
{
    struct buf text;
    buf_init(&text, RESOLV_CONF_MAX_BYTES);
    struct error *err = fd_read_file_blocking(job->resolv_path, &text);
    if (err) {
        buf_done(&text);
        return error_wrap(err, "reading %s", job->resolv_path);
    }
    job->resolv_text = buf_take(&text);
    return NULL;
}

static void prepare_run(void *ctx)
{
    struct prepare_job *job = ctx;
    job->err = fd_mkdir_all(job->log_dir, LOG_DIR_MODE);
    if (!job->err && job->resolv_path[0] != '\0')
        job->err = read_resolv(job);
    if (!job->err && job->container_name) {
        AUTO(free) char *dir = path_join(job->log_dir, job->container_name);
        job->restart_count = prepare_count_logs_blocking(dir);
    }
}

static const struct pod_job prepare_kind = {
    .name = "prepare logs",
    .run_blocking = prepare_run,
    .release = prepare_release,
};

void prepare_start(struct pod_op *op, const char *container_name)
{
    const struct pods_environment *env = &op->worker->pods->env;
    struct prepare_job *job = xcalloc(1, sizeof(*job));
    job->log_dir = xstrdup(pod_log_dir(op->object->pod, env->node, op->arena));
    job->container_name = xstrdup(container_name);
    job->resolv_path = xstrdup(env->resolv_conf);
    pod_op_job(op, &prepare_kind, job);
}

struct prepare_job *prepare_result(struct pod_op *op)
{
    return op->job;
}

/* Without an API server nobody can say what a RuntimeClass means (spec runtime.md §2.6). One that
 * is not known yet is as unknown as one that does not exist. */
static struct error *find_runtime_handler(struct pod_op *op, const char **ret)
{
    const struct pods_api *api = op->worker->pods->env.api;
    const char *name = op->object->pod->spec->runtime_class_name;
    *ret = "";
    if (!api || !api->runtime_classes || !name || !*name)
        return NULL;
    const struct kube_object *found = reflector_find(api->runtime_classes, NULL, name);
    if (!found)
        return error_new(ERROR_NOT_FOUND, "runtimeclass.node.k8s.io \"%s\" not found", name);
    const char *handler = ((const Node__RuntimeClass *)found->message)->handler;
    if (handler)
        *ret = arena_strdup(op->arena, handler);
    return NULL;
}

struct error *prepare_sandbox(struct pod_op *op, const struct prepare_job *job, uint32_t attempt,
                              struct sandbox_setup *ret)
{
    struct resolv_conf resolv;
    if (job->resolv_text) {
        struct error *err = resolv_conf_parse(str_from(job->resolv_text), op->arena, &resolv);
        if (err)
            return error_wrap(err, "%s", job->resolv_path);
    }
    struct sandbox_setup setup = {0};
    const char *handler;
    struct error *err = find_runtime_handler(op, &handler);
    if (err)
        return err;
    setup.handler = runtime_handler_of(pods_runtime_status(op->worker->pods), handler);
    struct sandbox_config_input input = {.pod = op->object->pod,
                                         .node = op->worker->pods->env.node,
                                         .resolv = job->resolv_text ? &resolv : NULL,
                                         .handler = setup.handler,
                                         .attempt = attempt};
    struct config_notices notices = {0};
    err = sandbox_config_build(&input, op->arena, &notices, &setup.config);
    for (size_t i = 0; i < notices.count; i++)
        pod_worker_event(op->worker, TIMELINE_WARNING, notices.items[i].reason, NULL,
                         notices.items[i].message);
    if (!err)
        *ret = setup;
    return err;
}
