/*
 * What the runtime holds, as a whole: ListPodSandbox and ListContainers without a filter, grouped
 * by pod uid.
 *
 * It runs at start, after the event stream broke or the runtime restarted, and as a slow audit of
 * what events and pidfds report. A pod whose listed ids and states differ from its observation is
 * inspected; nothing else is done here. A failed list is tried again after a second.
 */
#include "base/time.h"
#include "pod/cri_request.h"
#include "pod/labels.h"
#include "pod/pods_internal.h"

/* One pod as the lists show it. */
struct listed {
    const char *uid, *namespace, *name;
    size_t n_items; /* sandboxes and containers listed */
    bool differs;   /* something is new, or in another state */
    UT_hash_handle hh;
};

struct pods_relist {
    struct pods *pods;
    bool audit;
    struct arena *arena;
    struct listed *listed; /* hash head; entries in the arena */
    struct runtime_call *call;
    struct loop_timer *retry;
    int64_t began_ns; /* mono */
    bool failed;      /* said once; further tries of this list are for those who look closely */
};

static void relist_free(struct pods_relist *relist)
{
    HASH_CLEAR(hh, relist->listed);
    runtime_call_cancel(relist->pods->env.runtime, relist->call);
    loop_timer_free(relist->retry);
    arena_free(relist->arena);
    free(relist);
}

void pods_relist_cancel(struct pods *pods)
{
    if (pods->relist)
        relist_free(TAKE(pods->relist));
}

static void list_sandboxes(struct pods_relist *relist);

static void on_retry(void *ctx)
{
    list_sandboxes(ctx);
}

static void try_again(struct pods_relist *relist, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    if (relist->failed)
        log_v(2, "Listing the runtime failed again", LOG_ERR(err));
    else
        log_warning("Listing the runtime failed, will try again", LOG_ERR(err));
    if (relist->audit && !relist->failed) {
        AUTO(error)
        struct error *as_rpc = error_new(err->code, "rpc error: code = %s desc = %s",
                                         error_code_name(err->code), err->message);
        pods_tell_gc_failed(relist->pods, as_rpc->message);
    }
    relist->failed = true;
    HASH_CLEAR(hh, relist->listed);
    relist->listed = NULL;
    loop_timer_start(relist->retry, pods_retry_delay(relist->pods, true));
}

static struct listed *listed_pod(struct pods_relist *relist, const char *uid, const char *namespace,
                                 const char *name)
{
    struct listed *pod;
    HASH_FIND_STR(relist->listed, uid, pod);
    if (pod)
        return pod;
    pod = arena_alloc(relist->arena, sizeof(*pod));
    pod->uid = arena_strdup(relist->arena, uid);
    pod->namespace = arena_strdup(relist->arena, namespace ? namespace : "");
    pod->name = arena_strdup(relist->arena, name ? name : "");
    HASH_ADD_KEYPTR(hh, relist->listed, pod->uid, strlen(pod->uid), pod);
    return pod;
}

static const struct pod_observed *seen_of(const struct pods_relist *relist, const char *uid)
{
    static const struct pod_observed nothing = {0};
    const struct pod_worker *worker = pods_find(relist->pods, uid);
    return worker ? &worker->have : &nothing;
}

static void note_sandbox(struct pods_relist *relist, const Cri__PodSandbox *item)
{
    const Cri__PodSandboxMetadata *meta = item->metadata;
    if (!meta || !meta->uid || meta->uid[0] == '\0')
        return; /* not a pod's (spec runtime.md §4.1) */
    struct listed *pod = listed_pod(relist, meta->uid, meta->namespace_, meta->name);
    pod->n_items++;
    const struct sandbox_observed *seen =
        pod_observed_sandbox(seen_of(relist, meta->uid), item->id);
    bool ready = item->state == CRI__POD_SANDBOX_STATE__SANDBOX_READY;
    pod->differs = pod->differs || !seen || seen->ready != ready;
}

static const char *container_label(const Cri__Container *item, const char *key)
{
    for (size_t i = 0; i < item->n_labels; i++) {
        if (text_eq(item->labels[i]->key, key))
            return item->labels[i]->value;
    }
    return NULL;
}

static void note_container(struct pods_relist *relist, const Cri__Container *item)
{
    static const enum container_state states[] = {
        [CRI__CONTAINER_STATE__CONTAINER_CREATED] = CONTAINER_CREATED,
        [CRI__CONTAINER_STATE__CONTAINER_RUNNING] = CONTAINER_RUNNING,
        [CRI__CONTAINER_STATE__CONTAINER_EXITED] = CONTAINER_EXITED,
    };
    const char *uid = container_label(item, LABEL_POD_UID);
    if (!uid || uid[0] == '\0')
        return;
    struct listed *pod = listed_pod(relist, uid, container_label(item, LABEL_POD_NAMESPACE),
                                    container_label(item, LABEL_POD_NAME));
    pod->n_items++;
    const struct container_observed *seen = pod_observed_container(seen_of(relist, uid), item->id);
    size_t raw = (size_t)item->state;
    enum container_state state = raw < ARRAY_SIZE(states) ? states[raw] : CONTAINER_UNKNOWN;
    pod->differs = pod->differs || !seen || seen->state != state;
}

static size_t count_seen(const struct pod_observed *have)
{
    size_t count = 0;
    for (const struct sandbox_observed *s = have->sandboxes; s; s = s->next)
        count++;
    for (const struct container_observed *c = have->containers; c; c = c->next)
        count++;
    return count;
}

static void count_relist(const struct pods_relist *relist)
{
    const struct pods *pods = relist->pods;
    struct metric_family *const *families = pods->metrics.families;
    int64_t took_ns = loop_now_mono_ns(pods->env.loop) - relist->began_ns;
    metric_observe(families[POD_METRIC_RELIST_SECONDS], time_seconds(took_ns), NULL);
    int64_t now_s = loop_now_wall_ns(pods->env.loop) / NS_PER_SEC;
    metric_set(families[POD_METRIC_RELIST_LAST], (double)now_s, NULL);
}

/* Has every pod inspected whose list is not what was seen. Operations under way may be what makes
 * the difference, so then it does not count as missed. */
static void compare(struct pods_relist *relist)
{
    struct pods *pods = relist->pods;
    struct listed *pod, *next_listed;
    HASH_ITER(hh, relist->listed, pod, next_listed) {
        if (!pods_find(pods, pod->uid))
            pod_worker_new(pods, pod->uid, pod->namespace, pod->name);
    }
    struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        HASH_FIND_STR(relist->listed, worker->uid, pod);
        size_t listed = pod ? pod->n_items : 0;
        bool differs = listed != count_seen(&worker->have) || (pod && pod->differs);
        if (!differs) {
            worker->observed = true;
        } else {
            worker->inspect_again = true;
            if (relist->audit && worker->observed && !worker->ops)
                pods->missed_changes++;
        }
        pod_worker_wake(worker);
    }
}

static void on_containers(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct pods_relist *relist = ctx;
    relist->call = NULL;
    if (err_owned) {
        try_again(relist, err_owned);
        return;
    }
    const Cri__ListContainersResponse *list = (const Cri__ListContainersResponse *)reply;
    for (size_t i = 0; i < list->n_containers; i++)
        note_container(relist, list->containers[i]);
    compare(relist);
    count_relist(relist);

    struct pods *pods = relist->pods;
    relist_free(TAKE(pods->relist));
    if (!pods->listed)
        pods_on_listed(pods);
    if (pods->relist_again) {
        pods->relist_again = false;
        pods_relist_start(pods, pods->relist_again_audit);
    }
}

static void on_sandboxes(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct pods_relist *relist = ctx;
    relist->call = NULL;
    if (err_owned) {
        try_again(relist, err_owned);
        return;
    }
    const Cri__ListPodSandboxResponse *list = (const Cri__ListPodSandboxResponse *)reply;
    for (size_t i = 0; i < list->n_items; i++)
        note_sandbox(relist, list->items[i]);
    Cri__ListContainersRequest request = CRI__LIST_CONTAINERS_REQUEST__INIT;
    relist->call = runtime_call_start(relist->pods->env.runtime, RUNTIME_LIST_CONTAINERS,
                                      &request.base, 0, on_containers, relist);
}

static void list_sandboxes(struct pods_relist *relist)
{
    Cri__ListPodSandboxRequest request = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
    relist->call = runtime_call_start(relist->pods->env.runtime, RUNTIME_LIST_POD_SANDBOX,
                                      &request.base, 0, on_sandboxes, relist);
}

void pods_relist_start(struct pods *pods, bool audit)
{
    if (pods->relist) {
        pods->relist_again = true;
        pods->relist_again_audit = audit;
        return;
    }
    struct pods_relist *relist = xcalloc(1, sizeof(*relist));
    relist->pods = pods;
    relist->audit = audit;
    relist->arena = arena_new(0);
    relist->retry = loop_timer_new(pods->env.loop, "relist retry", on_retry, relist);
    pods->relist = relist;
    relist->began_ns = loop_now_mono_ns(pods->env.loop);
    if (pods->relist_began_ns > 0)
        metric_observe(pods->metrics.families[POD_METRIC_RELIST_INTERVAL],
                       time_seconds(relist->began_ns - pods->relist_began_ns), NULL);
    pods->relist_began_ns = relist->began_ns;
    list_sandboxes(relist);
}
