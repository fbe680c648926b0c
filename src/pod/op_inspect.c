/*
 * Reading a pod back from the runtime.
 *
 * All of it: ListPodSandbox and ListContainers by the pod's uid, then the status of each; what is
 * no longer listed is dropped from the observation. One container: its status alone. NotFound means
 * gone. A container seen to have exited gets its termination message from the file (or the log)
 * once. Any other failure leaves the observation as it was and is tried again after the usual
 * pause.
 */
#include "base/time.h"
#include "pod/cri_request.h"
#include "pod/labels.h"
#include "pod/op.h"
#include "pod/termination.h"

enum { LIST_SANDBOXES, LIST_CONTAINERS, READ_SANDBOXES, READ_CONTAINERS, READ_MESSAGE };

struct inspect {
    const char **sandboxes; /* ids still to be read */
    size_t n_sandboxes, next_sandbox;
    const char **containers;
    const char **container_sandboxes; /* sandbox id of each */
    size_t n_containers, next_container;
    const char *reading; /* id whose status or message is under way */
    const char **known;  /* ids the observation had when the list under way was asked for */
    size_t n_known;
    int64_t began_ns; /* mono */
};

static void inspect_advance(struct pod_op *op);

/* What became known after the list was asked for may be missing in it: only what was known before
 * can be gone. */
static bool was_known(const struct inspect *inspect, const char *id)
{
    for (size_t i = 0; i < inspect->n_known; i++) {
        if (strcmp(inspect->known[i], id) == 0)
            return true;
    }
    return false;
}

static void list_sandboxes(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    size_t count = 0;
    for (const struct sandbox_observed *s = op->worker->have.sandboxes; s; s = s->next)
        count++;
    inspect->known = arena_calloc(op->arena, count + 1, sizeof(char *));
    inspect->n_known = 0;
    for (const struct sandbox_observed *s = op->worker->have.sandboxes; s; s = s->next)
        inspect->known[inspect->n_known++] = arena_strdup(op->arena, s->id);
    Cri__PodSandboxFilter__LabelSelectorEntry label =
        CRI__POD_SANDBOX_FILTER__LABEL_SELECTOR_ENTRY__INIT;
    label.key = cri_borrow(LABEL_POD_UID);
    label.value = op->worker->uid;
    Cri__PodSandboxFilter__LabelSelectorEntry *labels[] = {&label};
    Cri__PodSandboxFilter filter = CRI__POD_SANDBOX_FILTER__INIT;
    filter.n_label_selector = 1;
    filter.label_selector = labels;
    Cri__ListPodSandboxRequest request = CRI__LIST_POD_SANDBOX_REQUEST__INIT;
    request.filter = &filter;
    op->step = LIST_SANDBOXES;
    pod_op_call(op, RUNTIME_LIST_POD_SANDBOX, &request.base, 0);
}

static void list_containers(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    size_t count = 0;
    for (const struct container_observed *c = op->worker->have.containers; c; c = c->next)
        count++;
    inspect->known = arena_calloc(op->arena, count + 1, sizeof(char *));
    inspect->n_known = 0;
    for (const struct container_observed *c = op->worker->have.containers; c; c = c->next)
        inspect->known[inspect->n_known++] = arena_strdup(op->arena, c->id);
    Cri__ContainerFilter__LabelSelectorEntry label =
        CRI__CONTAINER_FILTER__LABEL_SELECTOR_ENTRY__INIT;
    label.key = cri_borrow(LABEL_POD_UID);
    label.value = op->worker->uid;
    Cri__ContainerFilter__LabelSelectorEntry *labels[] = {&label};
    Cri__ContainerFilter filter = CRI__CONTAINER_FILTER__INIT;
    filter.n_label_selector = 1;
    filter.label_selector = labels;
    Cri__ListContainersRequest request = CRI__LIST_CONTAINERS_REQUEST__INIT;
    request.filter = &filter;
    op->step = LIST_CONTAINERS;
    pod_op_call(op, RUNTIME_LIST_CONTAINERS, &request.base, 0);
}

static void take_sandbox_list(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    const Cri__ListPodSandboxResponse *reply = (const Cri__ListPodSandboxResponse *)op->reply;
    inspect->sandboxes = arena_calloc(op->arena, reply->n_items + 1, sizeof(char *));
    for (size_t i = 0; i < reply->n_items; i++)
        inspect->sandboxes[inspect->n_sandboxes++] = arena_strdup(op->arena, reply->items[i]->id);

    struct pod_observed *have = &op->worker->have;
    struct sandbox_observed *next;
    for (struct sandbox_observed *known = have->sandboxes; known; known = next) {
        next = known->next;
        bool listed = false;
        for (size_t i = 0; i < inspect->n_sandboxes && !listed; i++)
            listed = strcmp(inspect->sandboxes[i], known->id) == 0;
        if (!listed && was_known(inspect, known->id))
            pod_observed_drop_sandbox(have, known->id);
    }
}

static void take_container_list(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    const Cri__ListContainersResponse *reply = (const Cri__ListContainersResponse *)op->reply;
    inspect->containers = arena_calloc(op->arena, reply->n_containers + 1, sizeof(char *));
    inspect->container_sandboxes = arena_calloc(op->arena, reply->n_containers + 1, sizeof(char *));
    for (size_t i = 0; i < reply->n_containers; i++) {
        inspect->containers[inspect->n_containers] =
            arena_strdup(op->arena, reply->containers[i]->id);
        inspect->container_sandboxes[inspect->n_containers++] =
            arena_strdup(op->arena, reply->containers[i]->pod_sandbox_id);
    }

    struct pod_observed *have = &op->worker->have;
    struct container_observed *next;
    for (struct container_observed *known = have->containers; known; known = next) {
        next = known->next;
        bool listed = false;
        for (size_t i = 0; i < inspect->n_containers && !listed; i++)
            listed = strcmp(inspect->containers[i], known->id) == 0;
        if (listed || !was_known(inspect, known->id))
            continue;
        pods_sweep_again(op->worker->pods); /* its link is left */
        pod_observed_drop_container(have, known->id);
    }
}

static void take_sandbox_status(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    const Cri__PodSandboxStatusResponse *reply = (const Cri__PodSandboxStatusResponse *)op->reply;
    if (reply)
        pod_observed_put_sandbox(&op->worker->have, reply->status);
    else
        pod_observed_drop_sandbox(&op->worker->have, inspect->reading);
}

/* True when the message of the container that was just read must be fetched first. */
static bool take_container_status(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    struct pod_worker *worker = op->worker;
    const Cri__ContainerStatusResponse *reply = (const Cri__ContainerStatusResponse *)op->reply;
    if (!reply) {
        pods_sweep_again(worker->pods); /* its link is left */
        pod_observed_drop_container(&worker->have, inspect->reading);
        return false;
    }
    size_t index = inspect->next_container - 1;
    const struct container_observed *known =
        pod_observed_container(&worker->have, inspect->reading);
    bool could_run = known && known->state != CONTAINER_EXITED;
    struct container_observed *instance = pod_observed_put_container(
        &worker->have, inspect->container_sandboxes[index], reply->status);
    if (could_run && instance->state == CONTAINER_EXITED)
        pod_metrics_exited(worker, instance);
    struct pod_runtime *runtime = worker->pods->env.runtime;
    if (instance->state == CONTAINER_RUNNING)
        runtime->vtable->watch_exit(runtime, worker->uid, instance->id);
    return termination_start(op, instance);
}

static void read_next(struct pod_op *op)
{
    struct inspect *inspect = op->state;
    if (inspect->next_sandbox < inspect->n_sandboxes) {
        inspect->reading = inspect->sandboxes[inspect->next_sandbox++];
        Cri__PodSandboxStatusRequest request = CRI__POD_SANDBOX_STATUS_REQUEST__INIT;
        request.pod_sandbox_id = cri_borrow(inspect->reading);
        op->step = READ_SANDBOXES;
        pod_op_call(op, RUNTIME_POD_SANDBOX_STATUS, &request.base, 0);
        return;
    }
    if (inspect->next_container < inspect->n_containers) {
        inspect->reading = inspect->containers[inspect->next_container++];
        Cri__ContainerStatusRequest request = CRI__CONTAINER_STATUS_REQUEST__INIT;
        request.container_id = cri_borrow(inspect->reading);
        op->step = READ_CONTAINERS;
        pod_op_call(op, RUNTIME_CONTAINER_STATUS, &request.base, 0);
        return;
    }
    op->worker->observed = true;
    op->worker->inspect_failed = false;
    const struct pods *pods = op->worker->pods;
    metric_observe(pods->metrics.families[POD_METRIC_POD_RELIST_SECONDS],
                   time_seconds(loop_now_mono_ns(pods->env.loop) - inspect->began_ns), NULL);
    pod_op_end(op);
}

/* A failed read says nothing about the pod: keep what was known and look again later. */
static void give_up(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    AUTO(error) struct error *err = TAKE(op->err);
    /* Once an outage: a runtime that is away is told of elsewhere, and the tries come often. */
    if (!worker->inspect_failed)
        log_warning("Could not read the pod from the runtime, will try again",
                    LOG_POD(worker->namespace, worker->name), LOG_ERR(err));
    worker->inspect_failed = true;
    worker->inspect_again = true;
    pod_worker_cool_down(worker, "", pods_retry_delay(worker->pods, true));
    pod_op_end(op);
}

static void inspect_advance(struct pod_op *op)
{
    bool listing = op->step == LIST_SANDBOXES || op->step == LIST_CONTAINERS;
    if (op->err && (listing || op->err->code != ERROR_NOT_FOUND)) {
        give_up(op);
        return;
    }
    switch (op->step) {
    case LIST_SANDBOXES:
        take_sandbox_list(op);
        list_containers(op);
        return;
    case LIST_CONTAINERS:
        take_container_list(op);
        break;
    case READ_SANDBOXES:
        take_sandbox_status(op);
        break;
    case READ_CONTAINERS:
        if (take_container_status(op)) {
            op->step = READ_MESSAGE;
            return;
        }
        break;
    case READ_MESSAGE:
        termination_finish(op, ((struct inspect *)op->state)->reading);
        break;
    }
    read_next(op);
}

void op_inspect_start(struct pod_worker *worker, const char *container_id)
{
    struct pod_op *op = pod_op_new(worker, POD_OP_INSPECT, container_id);
    struct inspect *inspect = arena_alloc(op->arena, sizeof(*inspect));
    inspect->began_ns = loop_now_mono_ns(worker->pods->env.loop);
    op->state = inspect;
    op->advance = inspect_advance;
    if (!container_id) {
        list_sandboxes(op);
        return;
    }
    const struct container_observed *known = pod_observed_container(&worker->have, container_id);
    inspect->containers = arena_calloc(op->arena, 1, sizeof(char *));
    inspect->container_sandboxes = arena_calloc(op->arena, 1, sizeof(char *));
    inspect->containers[0] = op->target;
    inspect->container_sandboxes[0] = arena_strdup(op->arena, known ? known->sandbox_id : "");
    inspect->n_containers = 1;
    if (known && known->sandbox_id[0] != '\0') { /* it may have died with its sandbox */
        inspect->sandboxes = arena_calloc(op->arena, 1, sizeof(char *));
        inspect->sandboxes[0] = inspect->container_sandboxes[0];
        inspect->n_sandboxes = 1;
    }
    read_next(op);
}
