/*
 * Admission as it is carried out: asks admission_decide() once for each pod a source adds, reads
 * the node anew where that may help, ends the pods that must make room, and gives a refused pod the
 * status it keeps (spec pods.md §4). A pod that is ending or has ended already is not asked about.
 *
 *   NEW ──► ADMITTED
 *    │ ├──► REJECTED                       status Failed; what runs of it is ended
 *    │ ├──(labels did not match)──► WAITS_NODE ──► as NEW, for the last time
 *    │ └──(critical, no room)────► WAITS_VICTIMS ──(all stopped, or time is up)──► ADMITTED
 */
#include "pod/pods_internal.h"

#include "base/time.h"
#include "kube/codec.h"
#include "kube/resources.h"

/* pkg/kubelet/pod_workers.go: a killer waits this much longer than the grace period, and so long at
 * least. */
#define KILL_WAIT_FLOOR_NS (10 * NS_PER_SEC)
#define REJECTED_ARENA_BYTES 512

/* --- the question --- */

static bool is_over(const struct pod_worker *worker)
{
    const Core__PodStatus *api = worker->object->pod->status;
    return (worker->status && status_is_terminal(worker->status)) ||
           (!pod_object_is_static(worker->object) && api && status_is_terminal(api));
}

/* Pods that count against the node's room (spec §3.7): neither those no source wants any more,
 * whose successors may be asking just now, nor those whose room is promised to one that waits for
 * it, which counts in their place. */
bool pod_worker_is_active(const struct pod_worker *worker)
{
    if (!worker->object || worker->want.removed || worker->makes_room ||
        worker->want.life == POD_LIFE_TERMINATED)
        return false;
    if (worker->admission == POD_WAITS_VICTIMS)
        return worker->want.life == POD_LIFE_SYNC;
    return worker->admission == POD_ADMITTED &&
           (worker->want.life == POD_LIFE_TERMINATING || !is_over(worker));
}

static void ask(const struct pod_worker *worker, struct arena *arena,
                struct admission_result *result, struct pod_worker ***ret_others)
{
    struct pods *pods = worker->pods;
    size_t room = HASH_COUNT(pods->workers), count = 0;
    const Core__Pod **others = arena_calloc(arena, room, sizeof(void *));
    bool *others_static = arena_calloc(arena, room, sizeof(*others_static));
    struct pod_worker **workers = arena_calloc(arena, room, sizeof(void *));
    struct pod_worker *other, *next;
    HASH_ITER(hh, pods->workers, other, next) {
        if (other == worker || !pod_worker_is_active(other))
            continue;
        others[count] = other->object->pod;
        others_static[count] = pod_object_is_static(other->object);
        workers[count++] = other;
    }
    struct admission_node node = {0};
    pods->env.gate->vtable->node(pods->env.gate, &node);
    const struct admission_input input = {.pod = worker->object->pod,
                                          .is_static = pod_object_is_static(worker->object),
                                          .others = others,
                                          .others_static = others_static,
                                          .n_others = count,
                                          .node = &node};
    admission_decide(&input, arena, result);
    *ret_others = workers;
}

/* --- the answers --- */

static void admit(struct pod_worker *worker)
{
    worker->admission = POD_ADMITTED;
    if (worker->want.life == POD_LIFE_SYNC)
        pod_refs_register(worker);
    pod_worker_wake(worker);
}

static void reject(struct pod_worker *worker, const char *reason, const char *message)
{
    pod_worker_event(worker, TIMELINE_WARNING, reason, NULL, message);
    const Core__Pod *pod = worker->object->pod;
    struct arena *arena = arena_new(REJECTED_ARENA_BYTES);
    Core__PodStatus *status = arena_alloc(arena, sizeof(*status));
    core__pod_status__init(status);
    status->qos_class = arena_strdup(arena, pod_qos_name(pod_qos_of(pod)));
    status->phase = arena_strdup(arena, "Failed");
    status->reason = arena_strdup(arena, reason);
    status->message = arena_printf(arena, "Pod was rejected: %s", message);
    const Meta__Time *before = worker->status ? worker->status->start_time : NULL;
    Meta__Time *started = arena_alloc(arena, sizeof(*started));
    meta__time__init(started);
    started->has_seconds = true;
    started->seconds =
        before ? before->seconds : loop_now_wall_ns(worker->pods->env.loop) / NS_PER_SEC;
    status->start_time = started;
    if (pod->metadata->has_generation) {
        status->has_observed_generation = true;
        status->observed_generation = pod->metadata->generation;
    }
    worker->admission = POD_REJECTED;
    pod_metrics_rejected(worker->pods, reason);
    pod_worker_take_status(worker, status, arena);
    pod_worker_terminate(worker, false);
}

static void preempt(struct pod_worker *worker, struct pod_worker **others,
                    const struct admission_result *result)
{
    static const struct pod_kill kill = {
        .reason = "Preempting",
        .message = "Preempted in order to admit critical pod",
        .disruption = "Pod was preempted by Kubelet to accommodate a critical pod.",
        .is_eviction = true};
    int64_t longest_s = 0;
    worker->victims = xcalloc(result->n_victims, sizeof(char *));
    for (size_t i = 0; i < result->n_victims; i++) {
        struct pod_worker *victim = others[result->victims[i]];
        longest_s = max_i64(longest_s, pod_effective_grace(victim->object->pod));
        worker->victims[worker->n_victims++] = xstrdup(victim->uid);
        victim->makes_room = true;
        pod_worker_event(victim, TIMELINE_WARNING, kill.reason, NULL, kill.message);
        metric_add(worker->pods->metrics.families[POD_METRIC_PREEMPTIONS], 1, result->shortage);
        pod_worker_kill(victim, &kill);
    }
    int64_t wait_ns = max_i64(KILL_WAIT_FLOOR_NS, sat_mul_i64(longest_s, NS_PER_SEC * 3 / 2));
    worker->admission = POD_WAITS_VICTIMS;
    worker->victims_until_ns = sat_add_i64(loop_now_wall_ns(worker->pods->env.loop), wait_ns);
    pod_worker_wake(worker);
}

/* --- waiting --- */

static void decide(struct pod_worker *worker, bool may_reread);

/* No longer anybody's question. */
static bool is_ending(const struct pod_worker *worker)
{
    return worker->want.life != POD_LIFE_SYNC ||
           worker->object->pod->metadata->deletion_timestamp || is_over(worker);
}

static void on_reread(void *ctx)
{
    struct pods *pods = ctx;
    pods->rereads_node = false;
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (worker->admission != POD_WAITS_NODE)
            continue;
        if (is_ending(worker)) /* it has been ended while it waited: nobody is to make room */
            admit(worker);
        else
            decide(worker, false);
    }
}

static void wait_for_node(struct pod_worker *worker)
{
    struct pods *pods = worker->pods;
    worker->admission = POD_WAITS_NODE;
    if (pods->rereads_node)
        return;
    pods->rereads_node = true;
    pods->env.gate->vtable->reread(pods->env.gate, on_reread, pods);
}

static void decide(struct pod_worker *worker, bool may_reread)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct admission_result result = {0};
    struct pod_worker **others = NULL;
    ask(worker, arena, &result, &others);
    switch (result.verdict) {
    case ADMISSION_ADMITTED:
        admit(worker);
        return;
    case ADMISSION_PREEMPTS:
        preempt(worker, others, &result);
        return;
    case ADMISSION_REJECTED:
        if (result.wants_fresh_node && may_reread && worker->pods->env.gate->vtable->reread)
            wait_for_node(worker);
        else
            reject(worker, result.reason, result.message);
        return;
    }
}

/* True when all have stopped, or are gone, or took too long. */
static bool have_left(const struct pod_worker *worker)
{
    if (loop_now_wall_ns(worker->pods->env.loop) >= worker->victims_until_ns)
        return true;
    for (size_t i = 0; i < worker->n_victims; i++) {
        const struct pod_worker *victim = pods_find(worker->pods, worker->victims[i]);
        if (victim && victim->want.life != POD_LIFE_TERMINATED)
            return false;
    }
    return true;
}

void pods_admit(struct pod_worker *worker)
{
    if (!worker->pods->env.gate || is_ending(worker))
        admit(worker);
    else
        decide(worker, true);
}

bool pod_worker_is_admitted(struct pod_worker *worker, int64_t *next_ns)
{
    if (worker->admission == POD_WAITS_VICTIMS) {
        if (have_left(worker))
            admit(worker);
        else
            *next_ns = min_i64(*next_ns, worker->victims_until_ns);
    }
    return worker->admission == POD_ADMITTED || worker->admission == POD_REJECTED;
}

void pods_look_for_room(struct pods *pods)
{
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (worker->admission == POD_WAITS_VICTIMS)
            pod_worker_wake(worker);
    }
}

void pods_kill(struct pods *pods, const char *uid, const struct pod_kill *kill)
{
    struct pod_worker *worker = pods_find(pods, uid);
    if (worker && worker->object)
        pod_worker_kill(worker, kill);
}
