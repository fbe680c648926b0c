/*
 * The set of all pods. Nothing is decided before the runtime was listed once; nothing is called an
 * orphan before every source has spoken. Each turn of the wake queue runs a bounded number of
 * workers, critical pods first.
 */
#include "pod/op.h"

#include "kube/codec.h"
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/probing.h"

#include <sys/random.h>

#define WORKERS_PER_TURN 64
#define MAX_BACKOFF_ENTRIES 4096
/* pkg/kubelet/kubelet.go: runtime status is read every 5 s; here only while it is not ready, else
 * with the audit. */
/* Upstream's (runtimeState): a runtime is down when it has not answered for this long. */
#define STATUS_POLL_NS (5 * NS_PER_SEC)
#define RUNTIME_DOWN_NS (30 * NS_PER_SEC)

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

static void wake_all(struct pods *pods)
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

/* --- the runtime --- */

static void set_runtime_state(struct pods *pods, bool runtime_ready, bool network_ready,
                              const char *message)
{
    bool changed = runtime_ready != pods->runtime_ready || network_ready != pods->network_ready ||
                   !text_eq(message, pods->runtime_message);
    pods->runtime_ready = runtime_ready;
    pods->network_ready = network_ready;
    if (!changed)
        return;
    free(pods->runtime_message);
    pods->runtime_message = xstrdup(message);
    if (message[0] != '\0')
        log_warning("Container runtime is not ready", LOG_STR("reason", message));
    else
        log_info("Container runtime is ready");
    wake_all(pods);
}

/* Texts of spec runtime.md §1.8. */
static void take_conditions(struct pods *pods, const Cri__RuntimeStatus *status)
{
    bool runtime_ready = false, network_ready = false;
    const Cri__RuntimeCondition *bad = NULL;
    for (size_t i = 0; i < status->n_conditions; i++) {
        const Cri__RuntimeCondition *condition = status->conditions[i];
        if (text_eq(condition->type, "RuntimeReady"))
            runtime_ready = condition->status;
        else if (text_eq(condition->type, "NetworkReady"))
            network_ready = condition->status;
        else
            continue;
        if (!condition->status && (!bad || text_eq(condition->type, "RuntimeReady")))
            bad = condition;
    }
    AUTO(free) char *message = NULL;
    if (bad)
        message = xasprintf("container runtime %snot ready: %s=false reason:%s message:%s",
                            text_eq(bad->type, "NetworkReady") ? "network " : "", bad->type,
                            bad->reason, bad->message);
    set_runtime_state(pods, runtime_ready, network_ready, message ? message : "");
}

/* Begins to look often at a runtime that has stopped answering. */
static void note_failing(struct pods *pods)
{
    if (pods->failing_since_ns == 0)
        pods->failing_since_ns = loop_now_mono_ns(pods->env.loop);
    if (!loop_timer_is_armed(pods->status_poll))
        loop_timer_start(pods->status_poll, STATUS_POLL_NS);
}

static bool is_down(const struct pods *pods)
{
    int64_t failing_ns = loop_now_mono_ns(pods->env.loop) - pods->failing_since_ns;
    return !pods->runtime_ready || failing_ns >= RUNTIME_DOWN_NS;
}

static void on_status(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct pods *pods = ctx;
    AUTO(error) struct error *err = err_owned;
    pods->status_call = NULL;
    if (err) {
        note_failing(pods);
        AUTO(free) char *message = xasprintf("container runtime is down: %s", err->message);
        if (is_down(pods))
            set_runtime_state(pods, false, pods->network_ready, message);
    } else {
        pods->failing_since_ns = 0;
        take_conditions(pods, ((const Cri__StatusResponse *)reply)->status);
    }
    if (!pods->runtime_ready || !pods->network_ready)
        loop_timer_start(pods->status_poll, STATUS_POLL_NS);
}

static void read_status(struct pods *pods)
{
    if (pods->status_call)
        return;
    Cri__StatusRequest request = CRI__STATUS_REQUEST__INIT;
    pods->status_call =
        runtime_call_start(pods->env.runtime, RUNTIME_STATUS, &request.base, 0, on_status, pods);
}

static void on_status_poll(void *ctx)
{
    read_status(ctx);
}

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
    read_status(pods);
    pods_relist_start(pods, true);
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
    read_status(pods);
    pods_relist_start(pods, false);
}

static void on_disconnected(void *ctx)
{
    note_failing(ctx);
}

/* --- orphans and sources --- */

static void end_orphans(struct pods *pods)
{
    if (!pods->listed || !pods->sources_ready)
        return;
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (!worker->object && worker->want.life == POD_LIFE_SYNC)
            pod_worker_terminate(worker, true);
    }
    pods_sweep_start(pods);
}

void pods_on_listed(struct pods *pods)
{
    pods->listed = true;
    end_orphans(pods);
    wake_all(pods);
}

static bool same_pod(const Core__Pod *a, const Core__Pod *b)
{
    return protobuf_c_message_get_packed_size(&a->base) ==
               protobuf_c_message_get_packed_size(&b->base) &&
           kube_message_eq(&a->base, &b->base);
}

void pods_want_object(struct pods *pods, struct pod_object *object)
{
    const Core__Pod *pod = object->pod;
    struct pod_worker *worker = pods_find(pods, pod->metadata->uid);
    if (worker && worker->want.removed) {
        /* The same uid came back while it is being ended: it starts anew once that is done. */
        pod_object_unref(worker->again);
        worker->again = pod_object_ref(object);
        return;
    }
    if (!worker) {
        worker = pod_worker_new(pods, pod->metadata->uid, pod->metadata->namespace_,
                                pod->metadata->name);
        worker->observed = pods->listed && !pods->relist;
        worker->inspect_again = pods->listed && pods->relist;
        log_info("Pod added", LOG_POD(pod->metadata->namespace_, pod->metadata->name),
                 LOG_STR("podUID", worker->uid), LOG_STR("origin", object->origin));
    } else if (worker->object && same_pod(worker->object->pod, pod)) {
        return;
    } else if (worker->object) {
        log_info("Pod updated", LOG_POD(worker->namespace, worker->name),
                 LOG_STR("podUID", worker->uid), LOG_STR("origin", object->origin));
    }
    pod_worker_set_object(worker, object);
}

void pods_set_desired(struct pods *pods, struct pod_object *const *objects, size_t count)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        bool wanted = false;
        for (size_t i = 0; i < count && !wanted; i++)
            wanted = strcmp(objects[i]->pod->metadata->uid, worker->uid) == 0;
        if (!wanted) {
            pod_object_unref(worker->again);
            worker->again = NULL;
        }
        if (worker->object && !wanted && !worker->want.removed) {
            log_info("Pod removed", LOG_POD(worker->namespace, worker->name),
                     LOG_STR("podUID", worker->uid));
            pod_worker_terminate(worker, true);
        }
    }
    for (size_t i = 0; i < count; i++)
        pods_want_object(pods, objects[i]);
    pods->sources_ready = true;
    end_orphans(pods);
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
    struct loop *loop = environment->loop;
    pods->turn = loop_timer_new(loop, "pods", on_turn, pods);
    pods->audit = loop_timer_new(loop, "pods audit", on_audit, pods);
    pods->status_poll = loop_timer_new(loop, "runtime status", on_status_poll, pods);
    struct backoff_policy policy = {.initial_ns = BACKOFF_INITIAL_NS,
                                    .max_ns = environment->backoff_max_ns,
                                    .reset_ns = BACKOFF_RESET_NS,
                                    .max_entries = MAX_BACKOFF_ENTRIES};
    pods->backoff = backoff_new(&policy);
    policy.max_ns = BACKOFF_MAX_NS;
    pods->image_backoff = backoff_new(&policy);
    pods->runtime_message = xstrdup("network state unknown");
    pods->probe_exec = pods_exec_new(pods);
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
    runtime_call_cancel(pods->env.runtime, pods->status_call);
    struct runtime_listener nobody = {0};
    pods->env.runtime->vtable->listen(pods->env.runtime, &nobody);
    loop_timer_free(pods->turn);
    loop_timer_free(pods->audit);
    loop_timer_free(pods->status_poll);
    backoff_free(pods->backoff);
    backoff_free(pods->image_backoff);
    pods_exec_free(pods->probe_exec);
    free(pods->runtime_message);
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
    read_status(pods);
    pods_relist_start(pods, false);
    loop_timer_start(pods->audit, pods->env.audit_period_ns);
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

void pods_listen(struct pods *pods, void (*on_change)(void *ctx, const struct pod_view *view),
                 void *ctx)
{
    pods->on_change = on_change;
    pods->on_change_ctx = ctx;
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

void pods_summarize(const struct pods *pods, struct pods_summary *ret)
{
    *ret = (struct pods_summary){.settled = pods->listed && pods->sources_ready && !pods->relist &&
                                            !pods->sweep && !pods->woken,
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
