/* Time, the runtime's truth, and what befalls the pod. */
#include "tests/unit/pod/virtual_node.h"

#include "kube/codec.h"
#include "kube/defaults.h"
#include "pod/cri_config.h"
#include "pod/cri_message.h"
#include "pod/cri_request.h"
#include "pod/labels.h"
#include "tests/lib/test.h"
#include "tests/unit/pod/pod_rules.h"

#define POD_UID "uid-1"
#define TRANSCRIPT_MAX_BYTES (4 * MiB)
#define EXIT_KILLED 137 /* 128 + SIGKILL */

void node_tell(struct virtual_node *node, const char *format, ...)
{
    int64_t at_ms = (node->now_ns - NODE_BEGIN_NS) / NS_PER_MS;
    char time[32];
    int len = snprintf(time, sizeof(time), at_ms % 1000 ? "%lld.%03llds" : "%llds",
                       (long long)(at_ms / 1000), (long long)(at_ms % 1000));
    buf_printf(&node->transcript, "%*s%s  ", len < 7 ? 7 - len : 0, "", time);
    va_list args;
    va_start(args, format);
    buf_vprintf(&node->transcript, format, args);
    va_end(args);
    buf_add_char(&node->transcript, '\n');
}

/* --- making one --- */

static Core__Pod *decode(const char *yaml, struct arena *arena)
{
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = "pod"};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_yaml(str_from(yaml), &core__pod__descriptor, &options, arena, &message));
    Core__Pod *pod = (Core__Pod *)message;
    pod_set_defaults(pod, arena);
    pod->metadata->uid = arena_strdup(arena, POD_UID);
    return pod;
}

void virtual_node_init(struct virtual_node *node, const char *yaml,
                       const struct virtual_world *world)
{
    static const struct backoff_policy policy = {.initial_ns = BACKOFF_INITIAL_NS,
                                                 .max_ns = BACKOFF_MAX_NS,
                                                 .reset_ns = BACKOFF_RESET_NS,
                                                 .max_entries = 64};
    *node = (struct virtual_node){.arena = arena_new(0),
                                  .world = *world,
                                  .now_ns = NODE_BEGIN_NS,
                                  .agent_started_ns = NODE_BEGIN_NS,
                                  .next_look_ns = NODE_BEGIN_NS,
                                  .network_ready = true};
    node->pod = decode(yaml, node->arena);
    node->want = (struct pod_desired){.pod = node->pod, .uid = POD_UID};
    node->backoff = backoff_new(&policy);
    buf_init(&node->transcript, TRANSCRIPT_MAX_BYTES);
    buf_init(&node->shown, 64 * KiB);
    rules_init(node);
    for (size_t i = 0; i < node->n_records; i++)
        node->notes[i].name = node->results[i].container = node->records[i].container->name;
}

void virtual_node_done(struct virtual_node *node)
{
    pod_observed_clear(&node->have);
    backoff_free(node->backoff);
    buf_done(&node->transcript);
    buf_done(&node->shown);
    arena_free(node->status_arena);
    arena_free(node->arena);
}

void virtual_node_will(struct virtual_node *node, struct node_event event)
{
    assert_true(node->n_events < NODE_MAX_EVENTS);
    size_t place = node->n_events++;
    for (; place > 0 && node->events[place - 1].at_ns > event.at_ns; place--)
        node->events[place] = node->events[place - 1];
    node->events[place] = event;
}

/* --- the runtime --- */

size_t node_record_index(const struct virtual_node *node, const char *name)
{
    size_t i = 0;
    while (i < node->n_records && !text_eq(node->records[i].container->name, name))
        i++;
    assert_true(i < node->n_records);
    return i;
}

struct virtual_instance *node_instance(struct virtual_node *node, const char *id)
{
    for (size_t i = 0; i < node->n_instances; i++) {
        if (text_eq(node->instances[i].id, id))
            return &node->instances[i];
    }
    return NULL;
}

struct virtual_instance *node_newest(struct virtual_node *node, const char *name)
{
    for (size_t i = node->n_instances; i-- > 0;) {
        if (text_eq(node->instances[i].name, name))
            return &node->instances[i];
    }
    return NULL;
}

static Cri__ContainerState cri_state(enum container_state state)
{
    switch (state) {
    case CONTAINER_CREATED:
        return CRI__CONTAINER_STATE__CONTAINER_CREATED;
    case CONTAINER_RUNNING:
        return CRI__CONTAINER_STATE__CONTAINER_RUNNING;
    case CONTAINER_EXITED:
        return CRI__CONTAINER_STATE__CONTAINER_EXITED;
    case CONTAINER_UNKNOWN:
        return CRI__CONTAINER_STATE__CONTAINER_UNKNOWN;
    }
    return CRI__CONTAINER_STATE__CONTAINER_UNKNOWN;
}

/* The agent sees what has become of @instance at once. */
static void show(struct virtual_node *node, const struct virtual_instance *instance)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const ProtobufCMessageDescriptor *entry = &cri__container_status__annotations_entry__descriptor;
    Cri__ContainerStatus *status = cri_new(arena, &cri__container_status__descriptor);
    status->metadata = cri_new(arena, &cri__container_metadata__descriptor);
    status->metadata->name = cri_borrow(instance->name);
    status->id = cri_borrow(instance->id);
    status->state = cri_state(instance->state);
    status->created_at = instance->created_ns;
    status->started_at = instance->started_ns;
    status->finished_at = instance->finished_ns;
    status->exit_code = instance->exit_code;
    status->reason = cri_borrow(instance->reason ? instance->reason : "");
    status->annotations = cri_array(arena, 2);
    status->annotations[status->n_annotations++] =
        cri_map_entry(arena, entry, ANNOTATION_HASH, arena_printf(arena, "%x", instance->hash));
    status->annotations[status->n_annotations++] = cri_map_entry(
        arena, entry, ANNOTATION_RESTART_COUNT, arena_printf(arena, "%d", instance->restart_count));
    pod_observed_put_container(&node->have, instance->sandbox_id, status);
}

struct virtual_instance *node_add_instance(struct virtual_node *node, const struct virtual_op *op,
                                           enum container_state state)
{
    assert_true(node->n_instances < NODE_MAX_INSTANCES);
    struct virtual_instance *instance = &node->instances[node->n_instances++];
    size_t index = node_record_index(node, op->target);
    const Core__Container *container = node->records[index].container;
    *instance = (struct virtual_instance){
        .id = arena_printf(node->arena, "c%zu", ++node->ids),
        .name = container->name,
        .sandbox_id = arena_strdup(node->arena, node->have.sandboxes->id),
        .state = state,
        .restart_count = op->restart_count,
        .hash = container_hash(container->image, container->name),
        .created_ns = node->now_ns + (int64_t)node->ids, /* later ones are newer, always */
        .ends_ns = NODE_FOREVER,
        .how = op->how};
    if (node->logs[index] <= op->restart_count)
        node->logs[index] = op->restart_count + 1;
    if (state == CONTAINER_RUNNING) {
        instance->started_ns = node->now_ns;
        instance->has_started = !container->startup_probe;
        instance->ends_ns = sat_add_i64(node->now_ns, op->how.run_ns);
        node_tell(node, "%s runs", instance->name);
        rules_container_runs(node, instance);
    } else if (state == CONTAINER_EXITED) {
        instance->finished_ns = node->now_ns;
        instance->exit_code = 128;
        instance->reason = "StartError";
    }
    node->records[index].n_instances++;
    show(node, instance);
    return instance;
}

void node_end_instance(struct virtual_node *node, struct virtual_instance *instance,
                       int32_t exit_code, const char *reason)
{
    instance->state = CONTAINER_EXITED;
    instance->exit_code = exit_code;
    instance->reason = reason ? reason : exit_code == 0 ? "Completed" : "Error";
    instance->finished_ns = node->now_ns;
    node_tell(node, "%s exits %d%s%s", instance->name, exit_code, reason ? " " : "",
              reason ? reason : "");
    rules_container_ended(node, instance);
    show(node, instance);
    agent_instance_ended(node, instance->id);
}

void node_remove_instance(struct virtual_node *node, const char *id)
{
    struct virtual_instance *gone = node_instance(node, id);
    if (gone) {
        struct virtual_instance *end = node->instances + node->n_instances--;
        memmove(gone, gone + 1, (size_t)(end - gone - 1) * sizeof(*gone));
    }
    pod_observed_drop_container(&node->have, id);
}

void node_put_sandbox(struct virtual_node *node, const char *id, bool ready, uint32_t attempt)
{
    const struct sandbox_observed *known = pod_observed_sandbox(&node->have, id);
    Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
    Cri__PodSandboxMetadata meta = CRI__POD_SANDBOX_METADATA__INIT;
    Cri__PodSandboxNetworkStatus network = CRI__POD_SANDBOX_NETWORK_STATUS__INIT;
    network.ip = cri_borrow("10.0.0.5");
    meta.attempt = attempt;
    status.id =
        cri_borrow(arena_strdup(node->arena, id)); /* the old one goes with what it replaces */
    status.metadata = &meta;
    status.network = &network;
    status.state =
        ready ? CRI__POD_SANDBOX_STATE__SANDBOX_READY : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
    status.created_at = known ? known->created_ns : node->now_ns + (int64_t)node->ids;
    pod_observed_put_sandbox(&node->have, &status);
}

/* --- what befalls the pod --- */

static void lose_sandbox(struct virtual_node *node, bool with_containers)
{
    const struct sandbox_observed *active = pod_observed_active_sandbox(&node->have);
    if (!active)
        return;
    node_tell(node, "the sandbox is lost%s", with_containers ? " with its containers" : "");
    node->starts_over = true;
    const char *id = arena_strdup(node->arena, active->id);
    node_put_sandbox(node, id, false, active->attempt);
    for (size_t i = 0; with_containers && i < node->n_instances; i++) {
        if (node->instances[i].state == CONTAINER_RUNNING)
            node_end_instance(node, &node->instances[i], EXIT_KILLED, NULL);
    }
}

static void delete_pod(struct virtual_node *node, int64_t grace_s)
{
    Meta__ObjectMeta *meta = node->pod->metadata;
    if (node->is_static) {
        node_tell(node, "the manifest is removed");
        node->want.removed = true;
        node->disk_clean = false;
    } else if (!meta->deletion_timestamp) {
        if (grace_s < 0)
            grace_s = node->pod->spec->termination_grace_period_seconds;
        node_tell(node, "the pod is deleted, grace period %llds", (long long)grace_s);
        meta->deletion_timestamp = arena_alloc(node->arena, sizeof(Meta__Time));
        meta__time__init(meta->deletion_timestamp);
        meta->deletion_timestamp->has_seconds = true;
        meta->deletion_timestamp->seconds = node->now_ns / NS_PER_SEC;
        meta->has_deletion_grace_period_seconds = true;
        meta->deletion_grace_period_seconds = grace_s;
    } else if (grace_s >= 0 && grace_s < meta->deletion_grace_period_seconds) {
        node_tell(node, "the pod is deleted again, grace period %llds", (long long)grace_s);
        meta->deletion_grace_period_seconds = grace_s;
    }
    agent_terminate(node);
}

static void evict(struct virtual_node *node, int64_t grace_s)
{
    if (node->want.life == POD_LIFE_TERMINATED)
        return; /* it has ended as it has ended */
    node_tell(node, "the pod is evicted, grace period %llds", (long long)grace_s);
    node->evict_grace_s = node->is_evicted ? min_i64(node->evict_grace_s, grace_s) : grace_s;
    node->is_evicted = true;
    agent_terminate(node);
}

static void change_image(struct virtual_node *node, const char *name)
{
    struct container_record *record = &node->records[node_record_index(node, name)];
    node_tell(node, "the image of %s is changed", name);
    const char *image = record->container->image;
    Core__Container *container = NULL; /* the same one, as the spec has it to be changed */
    for (size_t i = 0; i < node->pod->spec->n_init_containers; i++) {
        if (node->pod->spec->init_containers[i] == record->container)
            container = node->pod->spec->init_containers[i];
    }
    for (size_t i = 0; i < node->pod->spec->n_containers; i++) {
        if (node->pod->spec->containers[i] == record->container)
            container = node->pod->spec->containers[i];
    }
    assert_non_null(container);
    container->image = arena_printf(node->arena, "%s+", image);
    record->backs_off = false;
}

static void vanish(struct virtual_node *node, const char *name)
{
    struct virtual_instance *instance = node_newest(node, name);
    if (!instance)
        return;
    node_tell(node, "%s vanishes from the runtime", name);
    struct container_record *record = &node->records[node_record_index(node, name)];
    record->may_start_anew = record->lost_sight = node->starts_over = true;
    const char *id = instance->id;
    node_remove_instance(node, id);
    agent_instance_ended(node, id);
}

void virtual_node_event(struct virtual_node *node, struct node_event event)
{
    switch (event.kind) {
    case EVENT_DELETE:
        delete_pod(node, event.value);
        break;
    case EVENT_EVICT:
        evict(node, event.value);
        break;
    case EVENT_LOSE_SANDBOX:
        lose_sandbox(node, event.value == 1);
        break;
    case EVENT_RESTART_AGENT:
        if (node->is_static && node->want.removed)
            break; /* it would be an orphan, which is another story */
        node_tell(node, "the agent is restarted");
        agent_restart(node, event.value != 1);
        break;
    case EVENT_CHANGE_IMAGE:
        change_image(node, event.name);
        break;
    case EVENT_VANISH:
        vanish(node, event.name);
        break;
    case EVENT_NETWORK:
        node_tell(node, "the network is %s", event.value == 1 ? "ready" : "not ready");
        node->network_ready = event.value == 1;
        break;
    }
    node->idle_looks = 0;
}

/* --- probes --- */

static int64_t probe_due(const struct virtual_node *node, const struct virtual_instance *instance,
                         enum virtual_probe probe)
{
    size_t index = node_record_index(node, instance->name);
    const Core__Container *container = node->records[index].container;
    const struct container_note *note = &node->notes[index];
    bool has_started = !container->startup_probe || note->startup == PROBE_SUCCESS;
    bool is_sync = node->want.life == POD_LIFE_SYNC;
    int64_t after_ns = NODE_FOREVER;
    if (instance->state != CONTAINER_RUNNING || (instance->probes_told & (1 << probe)) ||
        !text_eq(node->probed[index], instance->id))
        return NODE_FOREVER;
    if (probe == PROBE_STARTUP_TOLD && container->startup_probe && is_sync)
        after_ns = instance->how.startup_ns;
    else if (probe == PROBE_READY_TOLD && container->readiness_probe && has_started)
        after_ns = instance->how.ready_ns;
    else if (probe == PROBE_LIVENESS_TOLD && container->liveness_probe && has_started && is_sync)
        after_ns = instance->how.liveness_fails_ns;
    return sat_add_i64(instance->started_ns, after_ns);
}

static void tell_probe(struct virtual_node *node, struct virtual_instance *instance,
                       enum virtual_probe probe)
{
    struct container_note *note = &node->notes[node_record_index(node, instance->name)];
    instance->probes_told |= 1 << probe;
    switch (probe) {
    case PROBE_STARTUP_TOLD:
        note->startup = instance->how.startup_fails ? PROBE_FAILURE : PROBE_SUCCESS;
        node_tell(node, "startup probe of %s %s", instance->name,
                  instance->how.startup_fails ? "fails" : "succeeds");
        instance->has_started = !instance->how.startup_fails;
        if (instance->has_started)
            rules_startup_succeeded(node, instance->name);
        break;
    case PROBE_READY_TOLD:
        note->readiness = PROBE_SUCCESS;
        node_tell(node, "readiness probe of %s succeeds", instance->name);
        break;
    case PROBE_LIVENESS_TOLD:
        note->liveness = PROBE_FAILURE;
        node_tell(node, "liveness probe of %s fails", instance->name);
        break;
    }
}

/* --- time --- */

/* What comes next, and when; the earliest wins, in this order when there are several. */
struct next {
    int64_t at_ns;
    struct virtual_instance *instance; /* it ends, or a probe has its result */
    bool is_probe;
    enum virtual_probe probe;
    struct virtual_op *op;
    const struct node_event *event;
    bool is_look;
};

static void find_next_of_instances(struct virtual_node *node, struct next *next)
{
    for (size_t i = 0; i < node->n_instances; i++) {
        struct virtual_instance *instance = &node->instances[i];
        if (instance->state == CONTAINER_RUNNING && instance->ends_ns < next->at_ns)
            *next = (struct next){.at_ns = instance->ends_ns, .instance = instance};
        for (int probe = 0; probe <= PROBE_LIVENESS_TOLD; probe++) {
            int64_t at_ns = probe_due(node, instance, (enum virtual_probe)probe);
            if (at_ns < next->at_ns)
                *next = (struct next){.at_ns = at_ns,
                                      .instance = instance,
                                      .is_probe = true,
                                      .probe = (enum virtual_probe)probe};
        }
    }
}

static struct next find_next(struct virtual_node *node)
{
    struct next next = {.at_ns = NODE_FOREVER};
    find_next_of_instances(node, &next);
    struct virtual_op *op = agent_next_op(node);
    if (op && op->ends_ns < next.at_ns)
        next = (struct next){.at_ns = op->ends_ns, .op = op};
    if (node->next_event < node->n_events && node->events[node->next_event].at_ns < next.at_ns)
        next = (struct next){.at_ns = node->events[node->next_event].at_ns,
                             .event = &node->events[node->next_event]};
    int64_t look_ns = min_i64(node->next_look_ns, agent_next_cooldown(node));
    if (look_ns < next.at_ns)
        next = (struct next){.at_ns = look_ns, .is_look = true};
    return next;
}

static void happen(struct virtual_node *node, const struct next *next)
{
    if (next->is_probe) {
        tell_probe(node, next->instance, next->probe);
    } else if (next->instance && next->instance->how.gets_unknown) {
        next->instance->state = CONTAINER_UNKNOWN;
        struct container_record *record =
            &node->records[node_record_index(node, next->instance->name)];
        record->may_start_anew = record->lost_sight = true;
        node_tell(node, "the state of %s is unknown", next->instance->name);
        show(node, next->instance);
    } else if (next->instance) {
        node_end_instance(node, next->instance, next->instance->how.exit_code,
                          next->instance->how.exit_reason);
    } else if (next->op) {
        agent_end_op(node, next->op);
    } else if (next->event) {
        node->next_event++;
        virtual_node_event(node, *next->event);
    }
}

bool virtual_node_run(struct virtual_node *node, int64_t until_ns)
{
    while (!node->finished && !node->broken) {
        struct next next = find_next(node);
        if (next.at_ns == NODE_FOREVER) {
            rules_at_rest(node);
            return true;
        }
        if (next.at_ns > until_ns) {
            node->now_ns = until_ns;
            return false;
        }
        node->now_ns = max_i64(node->now_ns, next.at_ns);
        happen(node, &next);
        size_t before = node->transcript.len;
        agent_pass(node);
        if (next.is_look)
            rules_of_look(node, node->transcript.len != before);
        else
            node->idle_looks = 0;
    }
    return node->finished;
}
