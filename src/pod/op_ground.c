/*
 * The ground a pod stands on: its cgroup and its volumes before anything starts, and their removal
 * after everything has stopped. Volumes go before the cgroup, so that tmpfs charges do not move to
 * the parent (spec resources.md §2.14).
 */
#include "pod/op.h"

#include "base/fd.h"
#include "base/time.h"
#include "kube/resources.h"
#include "pod/start_files.h"

static int64_t retry_at(const struct pod_worker *worker)
{
    return sat_add_i64(loop_now_wall_ns(worker->pods->env.loop),
                       pods_retry_delay(worker->pods, false));
}

/* --- cgroup --- */

/* The burstable tier weighs as much as all of its pods ask for; a failure is made good at the next
 * change (§2.14). */
void pods_update_qos(struct pods *pods)
{
    static const struct pod_resource_options all = {0};
    int64_t millis = 0;
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        bool present;
        if (worker->object && worker->want.life != POD_LIFE_TERMINATED &&
            pod_qos_of(worker->object->pod) == POD_QOS_BURSTABLE)
            millis =
                sat_add_i64(millis, pod_request_milli_cpu(worker->object->pod, &all, &present));
    }
    if (pods->qos_known && millis == pods->burstable_millis)
        return;
    int64_t began_ns = time_mono_ns();
    AUTO(error) struct error *err = cgroup_update_qos(pods->env.cgroups, millis);
    pod_metrics_cgroup(pods, "update", time_mono_ns() - began_ns);
    if (err)
        log_warning("Could not update the cgroups of the QoS tiers", LOG_ERR(err));
    pods->qos_known = !err;
    pods->burstable_millis = millis;
}

void op_ensure_cgroup_start(struct pod_worker *worker)
{
    bool created = false;
    pods_update_qos(worker->pods);
    int64_t began_ns = time_mono_ns();
    AUTO(error)
    struct error *err = cgroup_pod_create(worker->pods->env.cgroups, worker->object->pod, &created);
    pod_metrics_cgroup(worker->pods, created ? "create" : "update", time_mono_ns() - began_ns);
    if (!err) {
        worker->cgroup_ready = true;
        pod_worker_wake(worker);
        return;
    }
    err = error_wrap(TAKE(err), "unable to ensure pod container exists");
    pod_worker_event(worker, TIMELINE_WARNING, "FailedCreatePodContainer", NULL, err->message);
    worker->setup_retry_at_ns = retry_at(worker);
    pod_worker_wake(worker);
}

/* --- volumes --- */

/* When what failed is tried again; changes of what the volumes refer to come sooner. */
static int64_t tell_failures(struct pod_worker *worker, const struct volume_mount_result *result)
{
    for (size_t i = 0; i < result->failure_count; i++)
        pod_worker_event(worker, TIMELINE_WARNING, result->failures[i].reason, NULL,
                         result->failures[i].message);
    return sat_add_i64(loop_now_wall_ns(worker->pods->env.loop), result->retry_delay_ns);
}

static void on_volumes(void *ctx, const struct volume_mount_result *result)
{
    struct pod_op *op = ctx;
    struct pod_worker *worker = op->worker;
    op->volume = NULL;
    if (result->set_owned) {
        volume_set_free(worker->volumes);
        worker->volumes = result->set_owned;
        worker->volumes_ready =
            op->spec_round == worker->spec_round; /* else it is another by now */
        worker->setup_retry_at_ns = 0;
    } else {
        worker->setup_retry_at_ns = tell_failures(worker, result);
    }
    pod_op_end(op);
}

static void on_refreshed(void *ctx, const struct volume_mount_result *result)
{
    struct pod_op *op = ctx;
    struct pod_worker *worker = op->worker;
    op->volume = NULL;
    AUTO(volume_set) struct volume_set *fresh = result->set_owned;
    if (fresh) {
        /* The volumes are the same, and a container's start may be looking at those there are. */
        worker->volumes->refresh_at_ns = fresh->refresh_at_ns;
        worker->volumes_retry_at_ns = 0;
    } else {
        worker->volumes_stale = true;
        worker->volumes_retry_at_ns = tell_failures(worker, result);
    }
    pod_op_end(op);
}

/* It may wait for a Secret that never comes; a pod that ends does not. */
static void mount_volumes(struct pod_op *op, volume_on_mounted *on_done)
{
    struct pod_worker *worker = op->worker;
    op->may_abandon = true;
    worker->disk_clean = false;
    op->volume = volume_mount_start(worker->pods->env.volumes, op->object->pod, on_done, op);
}

void op_ensure_volumes_start(struct pod_worker *worker)
{
    worker->volumes_stale = false; /* it is read anew */
    mount_volumes(pod_op_new(worker, POD_ACTION_ENSURE_VOLUMES, NULL), on_volumes);
}

void op_refresh_volumes_start(struct pod_worker *worker)
{
    mount_volumes(pod_op_new(worker, POD_OP_REFRESH, NULL), on_refreshed);
}

/* --- clean-up --- */

/* How much goes is decided at the beginning; a pod that is removed meanwhile is cleaned again. */
struct clean {
    bool removed;
};

/* The cgroup of the pod, its host ids and, when it is removed or evicted, its log folder. */
struct clean_job {
    struct cgroup_tree *cgroups; /* process lifetime; its functions touch the file system only */
    char *uid;
    char *log_dir;     /* NULL: stays */
    char *links_dir;   /* where links may have outlived their containers; NULL: none has */
    char *userns_path; /* NULL: it has no ids */
    char *namespace, *name;
    int64_t cgroup_ns; /* that took */
    struct error *err;
};

static void clean_release(void *ctx)
{
    struct clean_job *job = ctx;
    free(job->uid);
    free(job->log_dir);
    free(job->userns_path);
    free(job->links_dir);
    free(job->namespace);
    free(job->name);
    error_free(job->err);
    free(job);
}

static void clean_run(void *ctx)
{
    struct clean_job *job = ctx;
    int64_t began_ns = time_mono_ns();
    job->err = cgroup_pod_destroy_blocking(job->cgroups, job->uid);
    job->cgroup_ns = time_mono_ns() - began_ns;
    if (!job->err && job->log_dir && job->links_dir)
        container_links_remove_blocking(job->links_dir, job->namespace, job->name, job->log_dir);
    if (!job->err && job->log_dir)
        job->err = fd_remove_tree_blocking(job->log_dir);
    if (!job->err && job->userns_path)
        job->err = userns_file_remove_blocking(job->userns_path);
}

static const struct pod_job clean_kind = {
    .name = "pod clean-up", .run_blocking = clean_run, .release = clean_release};

/* The sweep has it cleaned; its pod is not known. */
static void count_orphan(const struct pod_worker *worker, enum pod_metric metric)
{
    if (!worker->object)
        metric_add(worker->pods->metrics.families[metric], 1, NULL);
}

static void clean_failed(struct pod_op *op, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    log_error("Could not clean up after the pod, will try again",
              LOG_POD(op->worker->namespace, op->worker->name), LOG_STR("podUID", op->worker->uid),
              LOG_ERR(err));
    count_orphan(op->worker, POD_METRIC_CLEANED_ORPHAN_ERRORS);
    op->worker->cleanup_retry_at_ns = retry_at(op->worker);
    pod_op_end(op);
}

static void clean_advance(struct pod_op *op)
{
    struct clean_job *job = op->job;
    pod_metrics_cgroup(op->worker->pods, "destroy", job->cgroup_ns);
    if (job->err) {
        clean_failed(op, TAKE(job->err));
        return;
    }
    count_orphan(op->worker, POD_METRIC_CLEANED_ORPHANS);
    const struct clean *clean = op->state;
    op->worker->disk_clean = clean->removed == op->worker->want.removed;
    op->worker->volumes_ready = false;
    op->worker->cgroup_ready = false;
    userns_release(op->worker->pods->env.userns, op->worker->uid);
    pod_worker_changed(op->worker);
    pods_update_qos(op->worker->pods);
    pod_op_end(op);
}

static void on_torn_down(void *ctx, struct error *err_owned)
{
    struct pod_op *op = ctx;
    struct pod_worker *worker = op->worker;
    op->volume = NULL;
    if (err_owned) {
        clean_failed(op, err_owned);
        return;
    }
    volume_set_free(TAKE(worker->volumes));
    const struct pods_environment *env = &worker->pods->env;
    struct clean_job *job = xcalloc(1, sizeof(*job));
    job->cgroups = env->cgroups;
    job->uid = xstrdup(worker->uid);
    const struct clean *clean = op->state;
    if ((clean->removed || worker->want.evicted) && worker->name[0] != '\0')
        job->log_dir = xasprintf("%s/%s_%s_%s", env->node->pod_logs_dir, worker->namespace,
                                 worker->name, worker->uid);
    if (userns_find(env->userns, worker->uid).length > 0)
        job->userns_path = userns_file_path(env->node->root_dir, worker->uid);
    /* A restart of all containers leaves logs with their links behind. */
    if (job->log_dir && (!worker->object || pod_has_restart_all_rule(worker->object->pod))) {
        job->links_dir = xstrdup(env->container_links);
        job->namespace = xstrdup(worker->namespace);
        job->name = xstrdup(worker->name);
    }
    pod_op_job(op, &clean_kind, job);
}

void op_clean_disk_start(struct pod_worker *worker)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_CLEAN_DISK, NULL);
    op->advance = clean_advance;
    struct clean *clean = arena_alloc(op->arena, sizeof(*clean));
    clean->removed = worker->want.removed;
    op->state = clean;
    op->volume = volume_teardown_start(
        worker->pods->env.volumes, worker->uid,
        clean->removed ? VOLUME_TEARDOWN_REMOVE_DIR : VOLUME_TEARDOWN_KEEP_DIR, on_torn_down, op);
}
