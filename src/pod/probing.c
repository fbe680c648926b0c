/*
 * One slot per container and probe type, in the order of the notes. A slot's probe belongs to one
 * instance; when another instance runs the results start over: liveness good, readiness bad
 * (unknown for a container that is older than the agent), startup unknown (good for such a one that
 * has started, as its status tells). Liveness and readiness wait for startup (spec pods.md §7.1).
 */
#include "pod/probing.h"

#include "base/buf.h"
#include "base/time.h"
#include "kube/codec.h"
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/expand.h"
#include "pod/status_internal.h"

#define PROBE_TYPES 3
#define SLOT_ARENA_BYTES 512
/* Statuses come in bursts while a pod starts; a probe for each would be no use. */
#define TRIGGER_AGAIN_NS NS_PER_SEC
#define SURVIVED_NS                                                                                \
    (10 * NS_PER_SEC) /* prober_manager.go: containers older than the agent by this */

struct pod_probe {
    struct probe *probe;
    struct pod_worker *worker;
    struct container_note *note;
    struct arena *arena;       /* what the probe borrows: pod objects come and go while it runs */
    int64_t triggered_mono_ns; /* 0: never */
};

/* --- exec through the runtime --- */

struct exec {
    struct probe_exec base;
    struct pods *pods;
};

struct probe_exec_run {
    struct pods *pods;
    struct runtime_call *call;
    void (*on_done)(void *ctx, int32_t exit_code, struct str output, struct error *err_owned);
    void *ctx;
};

static void on_exec_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct probe_exec_run *run = ctx;
    struct probe_exec_run ended = *run;
    free(run);
    if (err_owned) {
        ended.on_done(ended.ctx, 0, (struct str){0}, err_owned);
        return;
    }
    const Cri__ExecSyncResponse *response = (const Cri__ExecSyncResponse *)reply;
    struct buf output;
    buf_init(&output, 64 * KiB);
    buf_add(&output, response->stdout.data, min_size(response->stdout.len, 16 * KiB));
    buf_add(&output, response->stderr.data, min_size(response->stderr.len, 16 * KiB));
    ended.on_done(ended.ctx, response->exit_code, buf_str(&output), NULL);
    buf_done(&output);
}

static struct probe_exec_run *exec_run(struct probe_exec *self, const struct probe_command *command,
                                       void (*on_done)(void *ctx, int32_t exit_code,
                                                       struct str output, struct error *err_owned),
                                       void *ctx)
{
    struct pods *pods = CONTAINER_OF(self, struct exec, base)->pods;
    struct probe_exec_run *run = xcalloc(1, sizeof(*run));
    *run = (struct probe_exec_run){.pods = pods, .on_done = on_done, .ctx = ctx};
    char **words = xcalloc(command->count + 1, sizeof(*words));
    for (size_t i = 0; i < command->count; i++)
        words[i] = command->words[i];
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.container_id = cri_borrow(command->container_id);
    request.n_cmd = command->count;
    request.cmd = words;
    request.timeout = command->timeout_s;
    run->call = runtime_call_start(pods->env.runtime, RUNTIME_EXEC_SYNC, &request.base,
                                   sat_mul_i64(command->timeout_s, NS_PER_SEC), on_exec_reply, run);
    free(words);
    return run;
}

static void exec_cancel(UNUSED struct probe_exec *self, struct probe_exec_run *run)
{
    if (!run)
        return;
    runtime_call_cancel(run->pods->env.runtime, run->call);
    free(run);
}

static const struct probe_exec_vtable exec_vtable = {.run = exec_run, .cancel = exec_cancel};

struct probe_exec *pods_exec_new(struct pods *pods)
{
    struct exec *exec = xcalloc(1, sizeof(*exec));
    *exec = (struct exec){.base = {.vtable = &exec_vtable}, .pods = pods};
    return &exec->base;
}

void pods_exec_free(struct probe_exec *exec)
{
    free(exec ? CONTAINER_OF(exec, struct exec, base) : NULL);
}

/* --- results --- */

static const char *pod_ip(void *ctx)
{
    const struct pod_worker *worker = ((const struct pod_probe *)ctx)->worker;
    const struct sandbox_observed *sandbox = pod_observed_active_sandbox(&worker->have);
    if (worker->status && worker->status->pod_ip && worker->status->pod_ip[0] != '\0')
        return worker->status->pod_ip;
    return sandbox && sandbox->n_ips > 0 ? sandbox->ips[0] : NULL;
}

static void on_result(void *ctx, struct probe *probe, bool success)
{
    struct pod_probe *slot = ctx;
    enum probe_result result = success ? PROBE_SUCCESS : PROBE_FAILURE;
    switch (probe_type_of(probe)) {
    case PROBE_LIVENESS:
        slot->note->liveness = result;
        break;
    case PROBE_READINESS:
        slot->note->readiness = result;
        break;
    case PROBE_STARTUP:
        slot->note->startup = result;
        break;
    }
    pod_worker_wake(slot->worker);
}

static void on_event(void *ctx, UNUSED struct probe *probe, const char *reason, const char *message)
{
    struct pod_probe *slot = ctx;
    bool warning = strcmp(reason, "ProbeWarning") == 0;
    pod_worker_event(slot->worker, TIMELINE_WARNING, warning ? "ProbeWarning" : "Unhealthy",
                     slot->note->name, message);
}

static void on_outcome(void *ctx, struct probe *probe, enum probe_outcome outcome, int64_t took_ns)
{
    static const char *const results[] = {[PROBE_OUTCOME_SUCCESS] = "successful",
                                          [PROBE_OUTCOME_FAILURE] = "failed",
                                          [PROBE_OUTCOME_WARNING] = "successful",
                                          [PROBE_OUTCOME_ERROR] = "unknown"};
    const struct pod_probe *slot = ctx;
    const struct pod_worker *worker = slot->worker;
    struct metric_family *const *families = worker->pods->metrics.probes;
    const char *type = probe_type_name(probe_type_of(probe));
    metric_add(families[PROBE_METRIC_TOTAL], 1, slot->note->name, worker->namespace, worker->name,
               worker->uid, type, results[outcome]);
    if (outcome != PROBE_OUTCOME_FAILURE)
        metric_observe(families[PROBE_METRIC_SECONDS], time_seconds(took_ns), slot->note->name,
                       worker->namespace, worker->name, type);
}

/* The series of container @name go with its probes. */
static void forget_outcomes(const struct pod_worker *worker, const char *name)
{
    static const char *const results[] = {"successful", "failed", "unknown"};
    struct metric_family *const *families = worker->pods->metrics.probes;
    for (size_t type = 0; type < PROBE_TYPES; type++) {
        const char *type_name = probe_type_name((enum probe_type)type);
        for (size_t i = 0; i < ARRAY_SIZE(results); i++)
            metric_forget_values(families[PROBE_METRIC_TOTAL],
                                 METRIC_VALUES(name, worker->namespace, worker->name, worker->uid,
                                               type_name, results[i]));
        metric_forget_values(families[PROBE_METRIC_SECONDS],
                             METRIC_VALUES(name, worker->namespace, worker->name, type_name));
    }
}

/* --- slots --- */

static void slot_clear(struct pod_probe *slot)
{
    probe_free(TAKE(slot->probe));
    arena_free(TAKE(slot->arena));
    slot->triggered_mono_ns = 0;
}

/* Those notes come first; after them come those of ephemeral containers, which are never probed. */
static size_t n_probed(const struct pod_worker *worker)
{
    const Core__PodSpec *spec = worker->object->pod->spec;
    return spec->n_init_containers + spec->n_containers;
}

static const Core__Probe *spec_of(const Core__Container *container, enum probe_type type)
{
    switch (type) {
    case PROBE_LIVENESS:
        return container->liveness_probe;
    case PROBE_READINESS:
        return container->readiness_probe;
    case PROBE_STARTUP:
        return container->startup_probe;
    }
    return NULL;
}

/* All that a probe looks at in its container. */
static const Core__Container *copy_ports(const Core__Container *container, struct arena *arena)
{
    Core__Container *copy = arena_alloc(arena, sizeof(*copy));
    core__container__init(copy);
    copy->ports = arena_calloc(arena, container->n_ports + 1, sizeof(void *));
    for (; copy->n_ports < container->n_ports; copy->n_ports++)
        copy->ports[copy->n_ports] =
            (Core__ContainerPort *)kube_message_dup(&container->ports[copy->n_ports]->base, arena);
    return copy;
}

/* It ran before the agent did, so what is known of it is in its status. */
static bool has_survived(const struct pods *pods, const struct container_observed *instance)
{
    return sat_sub_i64(pods->started_ns, instance->started_ns) > SURVIVED_NS;
}

static void slot_start(struct pod_probe *slot, enum probe_type type,
                       const Core__Container *container, const struct container_observed *instance)
{
    struct pod_worker *worker = slot->worker;
    struct pods *pods = worker->pods;
    slot->arena = arena_new(SLOT_ARENA_BYTES);
    const Core__Probe *spec =
        (const Core__Probe *)kube_message_dup(&spec_of(container, type)->base, slot->arena);
    struct probe_options options = {.type = type,
                                    .spec = spec,
                                    .container = copy_ports(container, slot->arena),
                                    .container_id = instance->id,
                                    .started_wall_ns = instance->started_ns,
                                    .agent_started_wall_ns = pods->started_ns,
                                    .has_no_result =
                                        type == PROBE_READINESS && has_survived(pods, instance),
                                    .exec = pods->probe_exec,
                                    .net = pods->probe_net};
    if (spec->handler && spec->handler->exec) {
        char **words = spec->handler->exec->command;
        struct error *err = expand_command(container, spec->handler->exec, slot->arena, &words);
        error_ignore(err, "a word that grows beyond all bounds stays as it is written");
        options.command = words;
        options.n_command = spec->handler->exec->n_command;
    }
    const struct probe_listener listener = {.pod_ip = pod_ip,
                                            .on_result = on_result,
                                            .on_event = on_event,
                                            .on_outcome = on_outcome,
                                            .ctx = slot};
    slot->probe = probe_new(pods->env.loop, &options, &listener);
}

/* A status from before the agent's start says that @instance has started. */
static bool was_started(const struct pod_worker *worker, const char *name,
                        const struct container_observed *instance)
{
    const Core__PodStatus *status = worker->status;
    const Core__ContainerStatus *entry = NULL;
    if (status)
        entry = status_find(status->container_statuses, status->n_container_statuses, name);
    if (status && !entry)
        entry =
            status_find(status->init_container_statuses, status->n_init_container_statuses, name);
    /* "containerd://<id>" */
    return entry && entry->container_id && text_has_suffix(entry->container_id, instance->id) &&
           entry->has_started && entry->started;
}

/* A new instance starts with nothing proved, except that nothing has been seen to be wrong with it.
 */
static void reset_results(struct pod_worker *worker, struct container_note *note,
                          const struct container_observed *instance)
{
    bool survived = has_survived(worker->pods, instance);
    note->liveness = PROBE_SUCCESS;
    note->readiness = survived ? PROBE_UNKNOWN : PROBE_FAILURE;
    note->startup =
        survived && was_started(worker, note->name, instance) ? PROBE_SUCCESS : PROBE_UNKNOWN;
}

static bool type_may_run(const struct pod_worker *worker, const struct container_note *note,
                         enum probe_type type)
{
    if (type == PROBE_READINESS)
        return !note->has_startup || note->startup == PROBE_SUCCESS;
    if (worker->want.life != POD_LIFE_SYNC)
        return false;
    bool has_started = !note->has_startup || note->startup == PROBE_SUCCESS;
    return type == PROBE_STARTUP ? !has_started : has_started;
}

/* A status is about to be made: who shows as not ready is asked again (spec §7.1, manual trigger).
 */
static void trigger(struct pod_probe *slot)
{
    int64_t now_ns = loop_now_mono_ns(slot->worker->pods->env.loop);
    bool is_burst = slot->triggered_mono_ns > 0 &&
                    sat_sub_i64(now_ns, slot->triggered_mono_ns) < TRIGGER_AGAIN_NS;
    if (slot->note->readiness != PROBE_SUCCESS && !is_burst && probe_trigger(slot->probe))
        slot->triggered_mono_ns = now_ns;
}

static void sync_container(struct pod_worker *worker, size_t index)
{
    const Core__Container *container = pod_container_at(worker->object->pod->spec, index);
    struct container_note *note = &worker->notes[index];
    const struct container_observed *newest = pod_observed_newest(&worker->have, note->name);
    bool running = newest && newest->state == CONTAINER_RUNNING;
    struct pod_probe *slots = &worker->probes[index * PROBE_TYPES];
    bool is_new = false;
    for (size_t type = 0; type < PROBE_TYPES; type++) {
        if (slots[type].probe &&
            (!running || strcmp(probe_container_id(slots[type].probe), newest->id) != 0))
            slot_clear(&slots[type]);
    }
    if (running && !text_eq(worker->probed[index], newest->id)) {
        is_new = true;
        free(worker->probed[index]);
        worker->probed[index] = xstrdup(newest->id);
    }
    if (!running && worker->want.life != POD_LIFE_SYNC)
        forget_outcomes(worker, note->name);
    if (is_new)
        reset_results(worker, note, newest);
    for (size_t type = 0; running && type < PROBE_TYPES; type++) {
        bool wanted = spec_of(container, (enum probe_type)type) &&
                      type_may_run(worker, note, (enum probe_type)type);
        if (wanted && !slots[type].probe)
            slot_start(&slots[type], (enum probe_type)type, container, newest);
        else if (!wanted)
            slot_clear(&slots[type]);
        else if (type == PROBE_READINESS)
            trigger(&slots[type]);
    }
}

static void make_slots(struct pod_worker *worker)
{
    worker->probes = xcalloc(n_probed(worker) * PROBE_TYPES, sizeof(*worker->probes));
    worker->probed = xcalloc(n_probed(worker), sizeof(*worker->probed));
    for (size_t i = 0; i < n_probed(worker) * PROBE_TYPES; i++) {
        worker->probes[i].worker = worker;
        worker->probes[i].note = &worker->notes[i / PROBE_TYPES];
    }
}

static bool has_probes(const Core__Container *container)
{
    return container->liveness_probe || container->readiness_probe || container->startup_probe;
}

void probing_sync(struct pod_worker *worker)
{
    if (!worker->object)
        return;
    for (size_t i = 0; i < n_probed(worker); i++) {
        const Core__Container *container = pod_container_at(worker->object->pod->spec, i);
        struct container_note *note = &worker->notes[i];
        note->has_liveness = container->liveness_probe;
        note->has_readiness = container->readiness_probe;
        note->has_startup = container->startup_probe;
        if (!has_probes(container))
            continue;
        if (!worker->probes)
            make_slots(worker);
        sync_container(worker, i);
    }
}

/* --- another object --- */

static bool is_same_probe(const Core__Container *a, const Core__Container *b, enum probe_type type)
{
    const Core__Probe *left = spec_of(a, type), *right = spec_of(b, type);
    return left && right ? kube_message_eq(&left->base, &right->base) : left == right;
}

static bool has_same_probes(const Core__Container *a, const Core__Container *b)
{
    bool is_same = text_eq(a->name, b->name);
    for (int type = 0; is_same && type < PROBE_TYPES; type++)
        is_same = is_same_probe(a, b, (enum probe_type)type);
    return is_same;
}

void probing_prepare(struct pod_worker *worker, const Core__Pod *pod)
{
    if (!worker->probes)
        return;
    const Core__PodSpec *old = worker->object->pod->spec, *spec = pod->spec;
    bool is_same = old->n_init_containers == spec->n_init_containers &&
                   old->n_containers == spec->n_containers;
    for (size_t i = 0; is_same && i < old->n_init_containers; i++)
        is_same = has_same_probes(old->init_containers[i], spec->init_containers[i]);
    for (size_t i = 0; is_same && i < old->n_containers; i++)
        is_same = has_same_probes(old->containers[i], spec->containers[i]);
    if (!is_same)
        probing_stop(worker);
}

void probing_follow(struct pod_worker *worker)
{
    for (size_t i = 0; worker->probes && i < n_probed(worker) * PROBE_TYPES; i++)
        worker->probes[i].note = &worker->notes[i / PROBE_TYPES];
}

void probing_stop(struct pod_worker *worker)
{
    for (size_t i = 0; worker->probes && i < n_probed(worker) * PROBE_TYPES; i++)
        slot_clear(&worker->probes[i]);
    for (size_t i = 0; worker->probed && i < n_probed(worker); i++) {
        forget_outcomes(worker, worker->notes[i].name);
        free(worker->probed[i]);
    }
    free(worker->probes);
    free(worker->probed);
    worker->probes = NULL;
    worker->probed = NULL;
}
