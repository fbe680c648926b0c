/*
 * The set of all pods. Nothing is decided before the runtime was listed once; nothing is called an
 * orphan before every source has spoken. Each turn of the wake queue runs a bounded number of
 * workers, critical pods first.
 */
#include "pod/op.h"

#include "kube/codec.h"
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/log_monitor.h"
#include "pod/probing.h"

#include <sys/random.h>

#define WORKERS_PER_TURN 64
#define MAX_BACKOFF_ENTRIES 4096

int64_t pods_retry_delay(const struct pods *pods, bool soon)
{
    int64_t base_ns = soon ? pods->env.retry_ns / 10 : pods->env.retry_ns;
    uint16_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        random = 0;
    return sat_add_i64(base_ns, base_ns / 2 / UINT16_MAX * random);
}

struct pod_worker *pods_find(struct pods *pods, const char *uid)
{
    struct pod_worker *worker;
    HASH_FIND_STR(pods->workers, uid, worker);
    return worker;
}

void pods_wake_name(struct pods *pods, const char *namespace, const char *name)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (pod_worker_has_name(worker, namespace, name))
            pod_worker_wake(worker);
    }
}

void pods_wake_all(struct pods *pods)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next)
        pod_worker_wake(worker);
}

/* --- the wake queue --- */

static bool is_critical(const struct pod_worker *worker)
{
    return worker->object && pod_is_critical(worker->object->pod);
}

static void on_turn(void *ctx)
{
    struct pods *pods = ctx;
    for (size_t i = 0; i < WORKERS_PER_TURN && pods->woken; i++) {
        struct pod_worker *worker = pods->woken;
        DL_DELETE2(pods->woken, worker, wake_prev, wake_next);
        worker->queued = false;
        pod_worker_run(worker); /* may free it */
    }
    if (pods->woken)
        loop_timer_start(pods->turn, 0);
}

/*
 * Pods that wait for a slot: critical ones first, in the order they are kept otherwise. One is
 * woken; when it does not take what it was offered, its pass offers the slot to the next.
 */
void pods_slot_released(struct pods *pods)
{
    struct pod_worker *worker, *next, *chosen = NULL;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (!worker->waits_for_slot)
            continue;
        if (!chosen || (is_critical(worker) && !is_critical(chosen)))
            chosen = worker;
    }
    if (!chosen)
        return;
    chosen->waits_for_slot = false;
    chosen->was_offered_slot = true;
    pod_worker_wake(chosen);
}

/* --- what the runtime tells --- */

static void on_backoff_over(void *ctx, const char *key)
{
    struct pods_journal *journal = ((struct pods *)ctx)->env.journal;
    if (journal)
        journal->vtable->note_backoff(journal, key, 0, 0);
}

static void prune_backoffs(struct pods *pods)
{
    int64_t now_ns = loop_now_wall_ns(pods->env.loop);
    backoff_prune(pods->backoff, now_ns, on_backoff_over, pods);
    backoff_prune(pods->image_backoff, now_ns, NULL, NULL);
}

static void on_audit(void *ctx)
{
    struct pods *pods = ctx;
    pods_read_status(pods);
    pods_relist_start(pods, true);
    pods_collect_garbage(pods);
    pods_end_orphans(pods);
    prune_backoffs(pods);
    loop_timer_start(pods->audit, pods->env.audit_period_ns);
}

static void on_changed(void *ctx, const char *pod_uid, const char *container_id)
{
    struct pods *pods = ctx;
    struct pod_worker *worker = pods_find(pods, pod_uid);
    if (!worker) {
        pods_relist_start(pods, false);
        return;
    }
    bool makes = false;
    const struct pod_op *op;
    DL_FOREACH(worker->ops, op) {
        /* Whoever acts on it reads it afterwards. */
        if (container_id && strcmp(op->target, container_id) == 0)
            return;
        makes = makes || op->kind == POD_ACTION_CREATE_SANDBOX ||
                op->kind == POD_ACTION_START_CONTAINER;
    }
    if (container_id && pod_observed_container(&worker->have, container_id)) {
        op_inspect_start(worker, container_id);
        return;
    }
    bool is_new = container_id && !pod_observed_sandbox(&worker->have, container_id);
    if (is_new && makes)
        return; /* the operation that makes it tells what became of it */
    worker->inspect_again = true;
    pod_worker_wake(worker);
}

static void on_lost(void *ctx)
{
    struct pods *pods = ctx;
    log_v(2, "Lost track of the runtime, listing it anew");
    pods_read_status(pods);
    pods_relist_start(pods, false);
}

static void on_disconnected(void *ctx)
{
    pods_runtime_failing(ctx);
}

void pods_on_listed(struct pods *pods)
{
    pods->listed = true;
    pods_end_orphans(pods);
    pods_wake_all(pods);
    pods_tell_runtime(pods);
}

void pods_set_host_ips(struct pods *pods, const char *const *host_ips)
{
    pods->env.host_ips = host_ips;
    pods_wake_all(pods);
}

void pods_retry(struct pods *pods)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next)
        pod_worker_retry_now(worker);
}

/* --- life of the set --- */

static void on_kept_backoff(void *ctx, const char *key, int64_t wait_ns, int64_t restarted_ns)
{
    struct pods *pods = ctx;
    backoff_restore(pods->backoff, key, wait_ns, restarted_ns);
}

struct pods *pods_new(const struct pods_environment *environment)
{
    struct pods *pods = xcalloc(1, sizeof(*pods));
    pods->env = *environment;
    if (pods->env.sources == 0)
        pods->env.sources = 1U << POD_SOURCE_FILE;
    struct loop *loop = environment->loop;
    pods->turn = loop_timer_new(loop, "pods", on_turn, pods);
    pods->audit = loop_timer_new(loop, "pods audit", on_audit, pods);
    struct backoff_policy policy = {.initial_ns = BACKOFF_INITIAL_NS,
                                    .max_ns = environment->backoff_max_ns,
                                    .reset_ns = BACKOFF_RESET_NS,
                                    .max_entries = MAX_BACKOFF_ENTRIES};
    pods->backoff = backoff_new(&policy);
    policy.max_ns = BACKOFF_MAX_NS;
    pods->image_backoff = backoff_new(&policy);
    pods_runtime_init(pods);
    pods->probe_exec = pods_exec_new(pods);
    pods->probe_net = probe_net_new(loop, environment->pool);
    pod_metrics_init(&pods->metrics, environment->metrics, environment->probe_metrics);
    pods_collect_start(pods, environment->metrics);
    if (environment->journal)
        environment->journal->vtable->load_backoffs(environment->journal, on_kept_backoff, pods);
    prune_backoffs(pods);
    return pods;
}

void pods_free(struct pods *pods)
{
    if (!pods)
        return;
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next)
        pod_worker_free(worker);
    pods_relist_cancel(pods);
    pods_sweep_cancel(pods);
    log_monitor_free(pods->logs);
    pods_images_cancel(pods);
    pods_collect_stop(pods, pods->env.metrics);
    struct runtime_listener nobody = {0};
    pods->env.runtime->vtable->listen(pods->env.runtime, &nobody);
    loop_timer_free(pods->turn);
    loop_timer_free(pods->audit);
    backoff_free(pods->backoff);
    backoff_free(pods->image_backoff);
    pods_exec_free(pods->probe_exec);
    probe_net_free(pods->probe_net);
    pods_runtime_done(pods);
    pods_listeners_free(pods);
    free(pods);
}

void pods_start(struct pods *pods)
{
    struct runtime_listener listener = {.on_changed = on_changed,
                                        .on_lost = on_lost,
                                        .on_disconnected = on_disconnected,
                                        .ctx = pods};
    pods->started_ns = loop_now_wall_ns(pods->env.loop);
    pods->env.runtime->vtable->listen(pods->env.runtime, &listener);
    pods_read_status(pods);
    pods_relist_start(pods, false);
    pods_images_start(pods);
    loop_timer_start(pods->audit, pods->env.audit_period_ns);
    pods->logs = log_monitor_new(pods);
}

/* --- looking in from outside --- */

static int by_name(const struct pod_worker *a, const struct pod_worker *b)
{
    int order = strcmp(a->namespace, b->namespace);
    if (order == 0)
        order = strcmp(a->name, b->name);
    return order ? order : strcmp(a->uid, b->uid);
}

static int compare_workers(const void *a, const void *b)
{
    return by_name(*(struct pod_worker *const *)a, *(struct pod_worker *const *)b);
}

void pods_visit(const struct pods *pods, void (*visit)(void *ctx, const struct pod_view *view),
                void *ctx)
{
    size_t count = HASH_COUNT(pods->workers), filled = 0;
    const struct pod_worker **sorted = xcalloc(count + 1, sizeof(void *));
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next)
        sorted[filled++] = worker;
    qsort(sorted, filled, sizeof(void *), compare_workers);
    for (size_t i = 0; i < filled; i++) {
        struct pod_view view;
        pod_worker_view(sorted[i], &view);
        visit(ctx, &view);
    }
    free(sorted);
}

bool pods_view(const struct pods *pods, const char *uid, struct pod_view *ret)
{
    const struct pod_worker *worker;
    HASH_FIND_STR(pods->workers, uid, worker);
    if (worker)
        pod_worker_view(worker, ret);
    return worker;
}

char *pods_log_path(const struct pods *pods, const char *uid, const char *name, bool previous)
{
    const struct pod_worker *worker;
    HASH_FIND_STR(pods->workers, uid, worker);
    if (!worker)
        return NULL;
    const struct container_observed *instance = previous
                                                    ? pod_observed_previous(&worker->have, name)
                                                    : pod_observed_newest(&worker->have, name);
    return instance && instance->log_path[0] != '\0' ? xstrdup(instance->log_path) : NULL;
}

const char *pods_running_container(const struct pods *pods, const char *uid, const char *name)
{
    const struct pod_worker *worker;
    HASH_FIND_STR(pods->workers, uid, worker);
    const struct container_observed *instance =
        worker ? pod_observed_newest(&worker->have, name) : NULL;
    return instance && instance->state == CONTAINER_RUNNING ? instance->id : NULL;
}

const char *pods_ready_sandbox(const struct pods *pods, const char *uid)
{
    const struct pod_worker *worker;
    HASH_FIND_STR(pods->workers, uid, worker);
    const struct sandbox_observed *sandbox =
        worker ? pod_observed_active_sandbox(&worker->have) : NULL;
    return sandbox ? sandbox->id : NULL;
}

void pods_summarize(const struct pods *pods, struct pods_summary *ret)
{
    *ret = (struct pods_summary){.settled = pods->listed && pods_sources_are_ready(pods) &&
                                            !pods->relist && !pods->sweep && !pods->woken,
                                 .runtime_ready = pods->runtime_ready,
                                 .network_ready = pods->network_ready,
                                 .runtime_message = pods->runtime_message,
                                 .missed_changes = pods->missed_changes};
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (!worker->object)
            ret->orphans++;
        else if (!worker->want.removed || worker->again)
            ret->desired++;
        if (worker->status && text_eq(worker->status->phase, "Running"))
            ret->running++;
        if (worker->ops || !worker->observed)
            ret->settled = false;
    }
}
