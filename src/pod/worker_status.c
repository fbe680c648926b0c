/* What is told of a pod: its status, events, and that something has changed. */
#include "pod/op.h"

#include "kube/codec.h"
#include "kube/event_recorder.h"
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/prepare.h"

#define STATUS_ARENA_BYTES 2048

/* --- events --- */

/* Spec pods.md §9.1 involvedObject. */
static void record(struct pod_worker *worker, enum timeline_type type, const char *reason,
                   const char *container, const char *message)
{
    const struct pods_api *api = worker->pods->env.api;
    if (!api || !api->events)
        return;
    const Core__Pod *pod = worker->object ? worker->object->pod : NULL;
    AUTO(free) char *path = NULL;
    if (container) {
        const char *list = pod ? pod_list_of_container(pod->spec, container) : NULL;
        if (!list)
            return; /* not of the spec: upstream drops such events */
        path = xasprintf("spec.%s{%s}", list, container);
    }
    Core__ObjectReference object = CORE__OBJECT_REFERENCE__INIT;
    object.api_version = cri_borrow("v1");
    object.kind = cri_borrow("Pod");
    object.namespace_ = worker->namespace;
    object.name = worker->name;
    object.uid = worker->uid;
    object.resource_version = pod ? pod->metadata->resource_version : NULL;
    object.field_path = path;
    event_record(api->events, &object, type == TIMELINE_WARNING ? EVENT_WARNING : EVENT_NORMAL,
                 reason, "%s", message);
}

void pod_worker_event(struct pod_worker *worker, enum timeline_type type, const char *reason,
                      const char *container, const char *message)
{
    const char *name = container && container[0] != '\0' ? container : NULL;
    timeline_add(&worker->timeline, loop_now_wall_ns(worker->pods->env.loop), type, reason, name,
                 message);
    log_info("Event occurred", LOG_POD(worker->namespace, worker->name),
             LOG_STR("containerName", name),
             LOG_STR("type", type == TIMELINE_WARNING ? "Warning" : "Normal"),
             LOG_STR("reason", reason), LOG_STR("message", message));
    record(worker, type, reason, name, message);
}

/* --- the view --- */

void pod_worker_view(const struct pod_worker *worker, struct pod_view *ret)
{
    bool is_over = worker->want.life == POD_LIFE_TERMINATED;
    *ret = (struct pod_view){.pod = worker->object ? worker->object->pod : NULL,
                             .object = worker->object,
                             .uid = worker->uid,
                             .name = worker->name,
                             .namespace = worker->namespace,
                             .status = worker->status,
                             .doing = "",
                             .timeline = &worker->timeline,
                             .observed = &worker->have,
                             .terminating = worker->want.life != POD_LIFE_SYNC,
                             .removed = worker->want.removed,
                             .could_run = !is_over,
                             .finished = is_over && worker->disk_clean};
    if (worker->ops) {
        unsigned kind = worker->ops->kind;
        ret->doing = kind == POD_OP_INSPECT   ? "Inspect"
                     : kind == POD_OP_REFRESH ? "RefreshVolumes"
                                              : pod_action_name((enum pod_action_kind)kind);
        ret->doing_since_ns = worker->ops->since_ns;
    }
}

void pod_worker_changed(struct pod_worker *worker)
{
    worker->is_changed = true;
    pod_worker_wake(worker);
}

void pod_worker_tell(struct pod_worker *worker)
{
    worker->is_changed = false;
    pods_tell_changed(worker);
}

/* --- the status --- */

static void set_status(struct pod_worker *worker, Core__PodStatus *status,
                       struct arena *arena_owned)
{
    arena_free(worker->status_arena);
    worker->status_arena = arena_owned;
    worker->status = status;
}

void pod_worker_take_status(struct pod_worker *worker, Core__PodStatus *status,
                            struct arena *arena_owned)
{
    set_status(worker, status, arena_owned);
    pod_worker_changed(worker);
}

void pod_worker_recover_status(struct pod_worker *worker, const Core__PodStatus *status)
{
    if (worker->status || !status->phase || status->phase[0] == '\0' ||
        (!status->start_time && status->n_container_statuses == 0 && !status_is_terminal(status)))
        return; /* it was never on a node */
    struct arena *arena = arena_new(STATUS_ARENA_BYTES);
    pod_worker_take_status(worker, (Core__PodStatus *)kube_message_dup(&status->base, arena),
                           arena);
}

static struct status_input input_of(const struct pod_worker *worker, int64_t now_ns)
{
    const struct pods_environment *env = &worker->pods->env;
    bool is_over = worker->want.life == POD_LIFE_TERMINATED;
    return (struct status_input){.pod = worker->object->pod,
                                 .have = &worker->have,
                                 .old = worker->status,
                                 .results = worker->results,
                                 .n_results = worker->n_notes,
                                 .notes = worker->notes,
                                 .n_notes = worker->n_notes,
                                 .runtime_name = env->runtime_name,
                                 .host_ips = env->host_ips,
                                 .primary_ipv6 = env->host_ips[0] && strchr(env->host_ips[0], ':'),
                                 .now_ns = now_ns,
                                 .agent_started_ns = worker->pods->started_ns,
                                 .is_static = pod_object_is_static(worker->object),
                                 .final = is_over,
                                 .terminated = is_over,
                                 .forced_reason = worker->forced.reason,
                                 .forced_message = worker->forced.message,
                                 .recursive_read_only =
                                     prepare_handler_of(worker).recursive_read_only,
                                 .stop_signals = env->node->stop_signals,
                                 .disruption = worker->forced.disruption};
}

/* A refused pod keeps the status it got, and one that waits for the answer has none yet. */
static bool has_status(const struct pod_worker *worker)
{
    bool waits = worker->admission == POD_WAITS_NODE || worker->admission == POD_WAITS_VICTIMS;
    return worker->object && worker->observed && worker->admission != POD_REJECTED &&
           !(waits && worker->want.life == POD_LIFE_SYNC);
}

/* Someone else may have said at the API server that the pod is over: then it is (§8.1). */
static void obey_api_phase(const struct pod_worker *worker, struct status_input *input,
                           Core__PodStatus *room)
{
    const Core__PodStatus *api = worker->object->pod->status;
    if (pod_object_is_static(worker->object) || !api || !status_is_terminal(api) ||
        (input->old && status_is_terminal(input->old)))
        return;
    *room = input->old ? *input->old : *api;
    room->phase = api->phase;
    room->reason = api->reason;
    room->message = api->message;
    input->old = room;
}

void pod_worker_renew_status(struct pod_worker *worker, int64_t now_ns)
{
    if (!has_status(worker))
        return;
    struct status_input input = input_of(worker, now_ns);
    Core__PodStatus shallow;
    obey_api_phase(worker, &input, &shallow);
    int64_t due_ns = 0;
    bool is_late = status_deadline_exceeded(worker->object->pod, input.old, now_ns, &due_ns) &&
                   !status_is_terminal(input.old); /* what was over in time stays so */
    if (is_late && !input.forced_reason) {
        input.forced_reason = "DeadlineExceeded";
        input.forced_message = "Pod was active on the node longer than the specified deadline";
        pod_worker_event(worker, TIMELINE_NORMAL, input.forced_reason, NULL, input.forced_message);
    }
    AUTO(arena) struct arena *arena = arena_new(STATUS_ARENA_BYTES);
    Core__PodStatus *status = status_generate(&input, arena);
    if (worker->status && status_eq(worker->status, status))
        return;
    bool is_start = worker->status && text_eq(worker->status->phase, "Pending") &&
                    text_eq(status->phase, "Running");
    set_status(worker, status, TAKE(arena)); /* this pass goes on with it: no need for another */
    if (is_start)
        pod_metrics_running(worker);
    pod_worker_tell(worker);
}
