/*
 * A look is one job with the paths of all logs, which reads their sizes. What it finds becomes
 * turns, in a list; each is one log on its way:
 *
 *   WAITING ──(too large)──► ROTATING ──► REOPENING ──► gone
 *      └─────(missing)────────────────────►┘   └─(failed)─► RESTORING ──► gone
 *
 * A turn that fails is told and forgotten: the next look finds the same log again.
 */
#include "pod/log_monitor.h"

#include "base/hash.h"
#include "pod/cri_request.h"
#include "pod/log_rotation.h"
#include "pod/pods_internal.h"

/* --- the look: sizes of files, on a worker --- */

struct look_find {
    const char *path; /* within the job's paths */
    bool is_missing;
};

struct look_job {
    char *logs_dir;
    char *paths; /* one after the other, each with its NUL */
    size_t len;
    int64_t max_bytes;
    struct look_find *found;
    size_t n_found;
};

static void look_at(struct look_job *job, const char *path)
{
    int64_t bytes = -1;
    AUTO(error) struct error *err = log_size_blocking(job->logs_dir, path, &bytes);
    bool is_missing = error_is(err, ERROR_NOT_FOUND);
    if (!is_missing && (err || bytes < job->max_bytes))
        return; /* what is no file or cannot be reached is nothing to rotate */
    job->found = xrealloc(job->found, (job->n_found + 1) * sizeof(*job->found));
    job->found[job->n_found++] = (struct look_find){.path = path, .is_missing = is_missing};
}

static void look_run(void *ctx)
{
    struct look_job *job = ctx;
    for (size_t at = 0; at < job->len; at += strlen(job->paths + at) + 1)
        look_at(job, job->paths + at);
}

static void look_release(void *ctx)
{
    struct look_job *job = ctx;
    free(job->logs_dir);
    free(job->paths);
    free(job->found);
    free(job);
}

/* --- one log --- */

enum turn_state { TURN_WAITING, TURN_ROTATING, TURN_REOPENING, TURN_RESTORING };

struct log_turn {
    struct log_monitor *monitor;
    enum turn_state state;
    char *path, *container_id;
    char *pod_namespace, *pod_name;
    bool is_missing;
    char *rotated; /* the log's name since it was rotated, or NULL */
    struct error *err;
    struct work *work;
    struct runtime_call *call;
    struct log_turn *prev, *next;
};

struct log_monitor {
    struct pods *pods;
    struct loop_timer *timer;
    struct work *look;
    struct log_turn *turns; /* those under way first, for they came first */
    size_t under_way;
};

struct turn_job {
    char *logs_dir, *path;
    int32_t max_files;
    int64_t now_wall_ns;
    bool is_back;
    char *rotated;
    struct error *err;
};

static void start_turns(struct log_monitor *monitor);

static void turn_free(struct log_turn *turn)
{
    struct log_monitor *monitor = turn->monitor;
    DL_DELETE(monitor->turns, turn);
    monitor->under_way -= turn->state == TURN_WAITING ? 0 : 1;
    work_cancel(turn->work);
    runtime_call_cancel(monitor->pods->env.runtime, turn->call);
    error_free(turn->err);
    free(turn->path);
    free(turn->container_id);
    free(turn->pod_namespace);
    free(turn->pod_name);
    free(turn->rotated);
    free(turn);
}

static void turn_end(struct log_turn *turn)
{
    struct log_monitor *monitor = turn->monitor;
    if (turn->err)
        log_error("Could not rotate a container's log",
                  LOG_POD(turn->pod_namespace, turn->pod_name),
                  LOG_STR("containerID", turn->container_id), LOG_STR("path", turn->path),
                  LOG_ERR(turn->err));
    else
        log_v(2, "The runtime writes to a new log", LOG_POD(turn->pod_namespace, turn->pod_name),
              LOG_STR("containerID", turn->container_id), LOG_STR("path", turn->path),
              LOG_STR("rotated", turn->rotated ? turn->rotated : ""));
    turn_free(turn);
    start_turns(monitor);
}

static void turn_job_run(void *ctx)
{
    struct turn_job *job = ctx;
    if (job->is_back)
        job->err = log_rotate_back_blocking(job->logs_dir, job->path, job->rotated);
    else
        job->err = log_rotate_blocking(job->logs_dir, job->path, job->max_files, job->now_wall_ns,
                                       &job->rotated);
}

static void turn_job_release(void *ctx)
{
    struct turn_job *job = ctx;
    free(job->logs_dir);
    free(job->path);
    free(job->rotated);
    error_free(job->err);
    free(job);
}

static void on_turn_job(void *ctx, void *object);

static const struct work_vtable turn_job_vtable = {.name = "log rotation",
                                                   .class = WORK_SLOW,
                                                   .run_blocking = turn_job_run,
                                                   .on_done = on_turn_job,
                                                   .release = turn_job_release};

static void start_job(struct log_turn *turn, enum turn_state state)
{
    const struct pods_environment *env = &turn->monitor->pods->env;
    struct turn_job *job = xcalloc(1, sizeof(*job));
    *job = (struct turn_job){.logs_dir = xstrdup(env->node->pod_logs_dir),
                             .path = xstrdup(turn->path),
                             .max_files = env->logs.max_files,
                             .now_wall_ns = loop_now_wall_ns(env->loop),
                             .is_back = state == TURN_RESTORING,
                             .rotated = turn->rotated ? xstrdup(turn->rotated) : NULL};
    turn->state = state;
    turn->work = work_start(env->pool, &turn_job_vtable, job, turn);
}

static void on_reopened(void *ctx, UNUSED const ProtobufCMessage *reply, struct error *err_owned)
{
    struct log_turn *turn = ctx;
    turn->call = NULL;
    turn->err = error_wrap(err_owned, "ReopenContainerLog");
    if (turn->err && turn->rotated)
        start_job(turn, TURN_RESTORING);
    else
        turn_end(turn);
}

static void reopen(struct log_turn *turn)
{
    Cri__ReopenContainerLogRequest request = CRI__REOPEN_CONTAINER_LOG_REQUEST__INIT;
    request.container_id = cri_borrow(turn->container_id);
    turn->state = TURN_REOPENING;
    turn->call = runtime_call_start(turn->monitor->pods->env.runtime, RUNTIME_REOPEN_CONTAINER_LOG,
                                    &request.base, 0, on_reopened, turn);
}

static void on_turn_job(void *ctx, void *object)
{
    struct log_turn *turn = ctx;
    struct turn_job *job = object;
    turn->work = NULL;
    if (job->is_back) {
        if (job->err)
            turn->err = error_wrap(TAKE(turn->err), "%s", job->err->message);
        turn_end(turn);
    } else if (job->err) {
        turn->err = TAKE(job->err);
        turn_end(turn);
    } else {
        turn->rotated = TAKE(job->rotated);
        reopen(turn);
    }
}

static void start_turns(struct log_monitor *monitor)
{
    size_t most = (size_t)max_i64(monitor->pods->env.logs.max_workers, 1);
    struct log_turn *turn, *next;
    DL_FOREACH_SAFE(monitor->turns, turn, next) {
        if (monitor->under_way >= most)
            return;
        if (turn->state != TURN_WAITING)
            continue;
        monitor->under_way++;
        if (turn->is_missing)
            reopen(turn);
        else
            start_job(turn, TURN_ROTATING);
    }
}

/* --- from a look to turns --- */

static bool has_turn(const struct log_monitor *monitor, const char *path)
{
    const struct log_turn *turn;
    DL_FOREACH(monitor->turns, turn) {
        if (strcmp(turn->path, path) == 0)
            return true;
    }
    return false;
}

static bool is_watched(const struct container_observed *container)
{
    return container->state == CONTAINER_RUNNING && container->log_path[0] != '\0';
}

/* It may have ended since the look. */
static void add_turn(struct log_monitor *monitor, const struct look_find *found)
{
    const struct pod_worker *worker, *next;
    if (has_turn(monitor, found->path))
        return;
    HASH_ITER(hh, monitor->pods->workers, worker, next) {
        for (const struct container_observed *c = worker->have.containers; c; c = c->next) {
            if (!is_watched(c) || strcmp(c->log_path, found->path) != 0)
                continue;
            struct log_turn *turn = xcalloc(1, sizeof(*turn));
            *turn = (struct log_turn){.monitor = monitor,
                                      .path = xstrdup(c->log_path),
                                      .container_id = xstrdup(c->id),
                                      .pod_namespace = xstrdup(worker->namespace),
                                      .pod_name = xstrdup(worker->name),
                                      .is_missing = found->is_missing};
            DL_APPEND(monitor->turns, turn);
            return;
        }
    }
}

static void on_looked(void *ctx, void *object)
{
    struct log_monitor *monitor = ctx;
    const struct look_job *job = object;
    monitor->look = NULL;
    for (size_t i = 0; i < job->n_found; i++)
        add_turn(monitor, &job->found[i]);
    start_turns(monitor);
}

static const struct work_vtable look_vtable = {.name = "sizes of logs",
                                               .class = WORK_NORMAL,
                                               .run_blocking = look_run,
                                               .on_done = on_looked,
                                               .release = look_release};

/* The paths of all logs that are written now, in one piece. NULL: there is none. */
static char *collect_paths(const struct pods *pods, size_t *ret_len)
{
    size_t len = 0, at = 0;
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        for (const struct container_observed *c = worker->have.containers; c; c = c->next)
            len += is_watched(c) ? strlen(c->log_path) + 1 : 0;
    }
    *ret_len = len;
    if (len == 0)
        return NULL;
    char *paths = xcalloc(1, len);
    HASH_ITER(hh, pods->workers, worker, next) {
        for (const struct container_observed *c = worker->have.containers; c; c = c->next) {
            size_t size = is_watched(c) ? strlen(c->log_path) + 1 : 0;
            if (size > 0)
                memcpy(paths + at, c->log_path, size);
            at += size;
        }
    }
    return paths;
}

static void on_due(void *ctx)
{
    struct log_monitor *monitor = ctx;
    const struct pods_environment *env = &monitor->pods->env;
    loop_timer_start(monitor->timer, env->logs.period_ns);
    size_t len;
    char *paths = monitor->look ? NULL : collect_paths(monitor->pods, &len);
    if (!paths)
        return;
    struct look_job *job = xcalloc(1, sizeof(*job));
    *job = (struct look_job){.logs_dir = xstrdup(env->node->pod_logs_dir),
                             .paths = paths,
                             .len = len,
                             .max_bytes = env->logs.max_bytes};
    monitor->look = work_start(env->pool, &look_vtable, job, monitor);
}

/* --- life --- */

struct log_monitor *log_monitor_new(struct pods *pods)
{
    if (pods->env.logs.max_bytes < 0 || pods->env.logs.period_ns <= 0)
        return NULL;
    struct log_monitor *monitor = xcalloc(1, sizeof(*monitor));
    monitor->pods = pods;
    monitor->timer = loop_timer_new(pods->env.loop, "sizes of logs", on_due, monitor);
    loop_timer_start(monitor->timer, pods->env.logs.period_ns);
    return monitor;
}

void log_monitor_free(struct log_monitor *monitor)
{
    if (!monitor)
        return;
    work_cancel(monitor->look);
    struct log_turn *turn, *next;
    DL_FOREACH_SAFE(monitor->turns, turn, next)
        turn_free(turn);
    loop_timer_free(monitor->timer);
    free(monitor);
}
