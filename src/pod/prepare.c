#include "pod/prepare.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/path.h"
#include "kube/reflector.h"

#include "node.pb-c.h"

#include <dirent.h>
#include <sys/random.h>

#define LOG_DIR_MODE 0755 /* kuberuntime_sandbox.go: MkdirAll(…, 0755) */

static void prepare_release(void *ctx)
{
    struct prepare_job *job = ctx;
    free(job->log_dir);
    free(job->container_name);
    free(job->resolv_path);
    free(job->resolv_text);
    free(job->userns_path);
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
    if (!job->err && job->userns_path)
        job->err = userns_file_store_blocking(job->userns_path, job->userns);
    if (!job->err)
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

/* Without an API server nobody can say what a RuntimeClass means (spec runtime.md §2.6). One that
 * is not known yet is as unknown as one that does not exist. The handler's name is borrowed. */
static struct error *find_runtime_handler(const struct pod_worker *worker, const char *name,
                                          const char **ret)
{
    const struct pods_api *api = worker->pods->env.api;
    *ret = "";
    if (!api || !api->runtime_classes || !name || !*name)
        return NULL;
    const struct kube_object *found = reflector_find(api->runtime_classes, NULL, name);
    if (!found)
        return error_new(ERROR_NOT_FOUND, "runtimeclass.node.k8s.io \"%s\" not found", name);
    const char *handler = ((const Node__RuntimeClass *)found->message)->handler;
    if (handler)
        *ret = handler;
    return NULL;
}

struct runtime_handler prepare_handler_of(const struct pod_worker *worker)
{
    const char *name;
    AUTO(error)
    struct error *err =
        find_runtime_handler(worker, worker->object->pod->spec->runtime_class_name, &name);
    return runtime_handler_of(err ? NULL : pods_runtime_status(worker->pods), name);
}

/* A pod with a user namespace has its ids before its config is made. One whose handler is not found
 * or cannot do it gets none: the config refuses it. */
static struct error *claim_ids(struct pod_op *op, struct prepare_job *job)
{
    const struct pod_worker *worker = op->worker;
    const struct pods_environment *env = &worker->pods->env;
    const Core__PodSpec *spec = op->object->pod->spec;
    if (!spec->has_host_users || spec->host_users || !env->userns ||
        !prepare_handler_of(worker).user_namespaces)
        return NULL;
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = (uint64_t)pod_op_now(op);
    struct error *err = userns_claim(env->userns, worker->uid, random, &job->userns);
    if (!err)
        job->userns_path = userns_file_path(env->node->root_dir, worker->uid);
    return err;
}

void prepare_start(struct pod_op *op, const char *container_name)
{
    const struct pods_environment *env = &op->worker->pods->env;
    struct prepare_job *job = xcalloc(1, sizeof(*job));
    job->log_dir = xstrdup(pod_log_dir(op->object->pod, env->node, op->arena));
    job->container_name = xstrdup(container_name);
    job->resolv_path = xstrdup(env->resolv_conf);
    job->err = claim_ids(op, job);
    pod_op_job(op, &prepare_kind, job);
}

struct prepare_job *prepare_result(struct pod_op *op)
{
    return op->job;
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
    struct error *err =
        find_runtime_handler(op->worker, op->object->pod->spec->runtime_class_name, &handler);
    if (err)
        return err;
    handler = arena_strdup(op->arena, handler);
    setup.handler = runtime_handler_of(pods_runtime_status(op->worker->pods), handler);
    struct sandbox_config_input input = {.pod = op->object->pod,
                                         .node = op->worker->pods->env.node,
                                         .resolv = job->resolv_text ? &resolv : NULL,
                                         .handler = setup.handler,
                                         .userns = job->userns,
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
