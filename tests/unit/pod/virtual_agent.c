/*
 * The agent of the virtual node: a pass writes the status, moves the life on, plans and starts what
 * the plan says, one chained operation at a time and the others beside it, as src/pod/worker.c and
 * src/pod/op_*.c do. Each operation ends later and is followed by another pass.
 */
#include "tests/unit/pod/virtual_node.h"

#include "base/time.h"
#include "pod/cri_config.h"
#include "pod/cri_request.h"
#include "tests/lib/test.h"
#include "tests/unit/pod/pod_rules.h"

#define GRACE_FLOOR_S 2
#define EXIT_KILLED 137     /* 128 + SIGKILL */
#define MAX_PASSES_A_TURN 8 /* each but the last moves the life on, which has no more steps */

static const char *const host_ips[] = {"192.0.2.7", NULL};

/* --- operations --- */

static bool is_chained_under_way(const struct virtual_node *node)
{
    for (size_t i = 0; i < node->n_ops; i++) {
        if (pod_action_is_chained(node->ops[i].kind))
            return true;
    }
    return false;
}

static bool is_under_way(const struct virtual_node *node, const char *id)
{
    for (size_t i = 0; i < node->n_ops; i++) {
        if (!pod_action_is_chained(node->ops[i].kind) && strcmp(node->ops[i].target, id) == 0)
            return true;
    }
    return false;
}

bool agent_is_starting(const struct virtual_node *node, const char *name)
{
    for (size_t i = 0; i < node->n_ops; i++) {
        if (node->ops[i].kind == POD_ACTION_START_CONTAINER &&
            strcmp(node->ops[i].target, name) == 0)
            return true;
    }
    return false;
}

struct virtual_op *agent_next_op(struct virtual_node *node)
{
    struct virtual_op *next = NULL;
    for (size_t i = 0; i < node->n_ops; i++) {
        if (!next || node->ops[i].ends_ns < next->ends_ns)
            next = &node->ops[i];
    }
    return next;
}

static void drop_op(struct virtual_node *node, struct virtual_op *op)
{
    struct virtual_op *end = node->ops + node->n_ops--;
    memmove(op, op + 1, (size_t)(end - op - 1) * sizeof(*op));
}

void agent_instance_ended(struct virtual_node *node, const char *id)
{
    for (size_t i = 0; i < node->n_ops; i++) {
        bool is_stop = node->ops[i].kind == POD_ACTION_KILL_CONTAINER ||
                       node->ops[i].kind == POD_ACTION_BEGIN_STOP;
        if (is_stop && strcmp(node->ops[i].target, id) == 0)
            node->ops[i].ends_ns = min_i64(node->ops[i].ends_ns, node->now_ns);
    }
}

static void cool_down(struct virtual_node *node, const char *id)
{
    assert_true(node->n_cooldowns < NODE_MAX_OPS);
    node->cooldowns[node->n_cooldowns++] =
        (struct virtual_cooldown){.id = id, .until_ns = node->now_ns + NODE_RETRY_NS};
}

static bool is_cooling(const struct virtual_node *node, const char *id)
{
    for (size_t i = 0; i < node->n_cooldowns; i++) {
        if (text_eq(node->cooldowns[i].id, id))
            return true;
    }
    return false;
}

int64_t agent_next_cooldown(const struct virtual_node *node)
{
    int64_t next_ns = NODE_FOREVER;
    for (size_t i = 0; i < node->n_cooldowns; i++)
        next_ns = min_i64(next_ns, node->cooldowns[i].until_ns);
    return next_ns;
}

static void end_cooldowns(struct virtual_node *node)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->n_cooldowns; i++) {
        if (node->cooldowns[i].until_ns > node->now_ns)
            node->cooldowns[kept++] = node->cooldowns[i];
    }
    node->n_cooldowns = kept;
    if (kept == 0)
        node->kill_failed = false;
}

/* --- beginning them --- */

/* How long the preStop hook of @instance takes, of what @action gives it. */
static int64_t hook_time(const struct virtual_node *node, const struct virtual_instance *instance,
                         const struct pod_action *action)
{
    size_t index = node_record_index(node, instance->name);
    const Core__Lifecycle *lifecycle = node->records[index].container->lifecycle;
    int64_t takes_ns = lifecycle && lifecycle->pre_stop ? instance->how.pre_stop_ns : 0;
    return min_i64(takes_ns, action->hook_grace_s * NS_PER_SEC);
}

/* A hook beside the ends of others takes nothing of what the kill that follows has. */
static void time_begin_stop(struct virtual_node *node, const struct pod_action *action,
                            struct virtual_op *op)
{
    pod_observed_container(&node->have, action->id)->stop_begun = true;
    op->ends_ns = node->now_ns + hook_time(node, node_instance(node, action->id), action);
}

/* A kill takes its hook and its grace period, or until the container has ended by itself. */
static void time_kill(struct virtual_node *node, const struct pod_action *action,
                      struct virtual_op *op)
{
    const struct virtual_instance *instance = node_instance(node, action->id);
    size_t index = node_record_index(node, instance->name);
    struct container_note *note = &node->notes[index];
    note->restart_wanted = note->restart_wanted || action->restart;
    if (instance->state != CONTAINER_RUNNING) {
        op->ends_ns = node->now_ns;
        return;
    }
    int64_t hook_ns = hook_time(node, instance, action);
    int64_t left_s = max_i64(action->grace_s - hook_ns / NS_PER_SEC, GRACE_FLOOR_S);
    op->was_killed = instance->how.stop_ns > left_s * NS_PER_SEC;
    op->ends_ns = node->now_ns + hook_ns + min_i64(instance->how.stop_ns, left_s * NS_PER_SEC);
}

static void time_start(struct virtual_node *node, const struct pod_action *action,
                       struct virtual_op *op)
{
    const char *name = action->container->name;
    struct container_record *record = &node->records[node_record_index(node, name)];
    const struct container_observed *newest = pod_observed_newest(&node->have, name);
    op->restart_count =
        newest ? newest->restart_count + 1 : node->logs[node_record_index(node, name)];
    if (newest && newest->state == CONTAINER_EXITED)
        assert_no_error(backoff_note_restart(
            node->backoff, container_backoff_key(node->pod, action->container, node->arena),
            newest->finished_ns, node->now_ns));
    node->world.start(node->world.ctx, name, record->n_starts++, &op->how);
    op->ends_ns = node->now_ns + op->how.start_ns;
}

static void begin(struct virtual_node *node, const struct pod_action *action)
{
    const char *name = action->container ? action->container->name : "";
    const struct container_observed *instance =
        action->id ? pod_observed_container(&node->have, action->id) : NULL;
    if (instance)
        name = node->records[node_record_index(node, instance->name)].container->name;
    rules_of_action(node, action);
    if (node->broken)
        return;
    if (action->kind == POD_ACTION_KILL_CONTAINER)
        node_tell(node, "%s %s, grace period %llds%s%s", pod_action_name(action->kind), name,
                  (long long)action->grace_s, action->message ? ": " : "",
                  action->message ? action->message : "");
    else
        node_tell(node, "%s%s%s", pod_action_name(action->kind), name[0] ? " " : "", name);

    assert_true(node->n_ops < NODE_MAX_OPS);
    struct virtual_op *op = &node->ops[node->n_ops];
    *op = (struct virtual_op){
        .kind = action->kind, .container = action->container, .attempt = action->attempt};
    op->target = action->container ? name : arena_strdup(node->arena, action->id ? action->id : "");
    int64_t takes_ns = 0;
    op->fails = node->world.step(node->world.ctx, action->kind, name, &takes_ns);
    op->ends_ns = node->now_ns + takes_ns;
    if (action->kind == POD_ACTION_START_CONTAINER)
        time_start(node, action, op);
    else if (action->kind == POD_ACTION_BEGIN_STOP)
        time_begin_stop(node, action, op);
    else if (action->kind == POD_ACTION_KILL_CONTAINER)
        time_kill(node, action, op);
    node->n_ops++;
}

/* --- ending them --- */

static void start_failed(struct virtual_node *node, const struct virtual_op *op)
{
    size_t index = node_record_index(node, op->target);
    node->results[index].reason = op->how.start_error;
    node->results[index].message = "it did not start";
    node->notes[index].retry_at_ns = node->now_ns + NODE_RETRY_NS;
    node_tell(node, "%s does not start: %s", op->target, op->how.start_error);
    if (op->how.leftover == LEFT_CREATED)
        node_add_instance(node, op, CONTAINER_CREATED);
    else if (op->how.leftover == LEFT_EXITED)
        node_add_instance(node, op, CONTAINER_EXITED);
}

static void end_start(struct virtual_node *node, const struct virtual_op *op)
{
    if (!pod_observed_active_sandbox(&node->have)) { /* lost meanwhile */
        struct virtual_op failed = *op;
        failed.how.start_error = "CreateContainerError";
        failed.how.leftover = LEFT_NOTHING;
        start_failed(node, &failed);
        return;
    }
    if (op->how.start_error) {
        start_failed(node, op);
        return;
    }
    size_t index = node_record_index(node, op->target);
    node->results[index].reason = node->results[index].message = NULL;
    node->notes[index].retry_at_ns = 0;
    node->notes[index].restart_wanted = false;
    node_add_instance(node, op, CONTAINER_RUNNING);
}

static void end_kill(struct virtual_node *node, const struct virtual_op *op)
{
    struct virtual_instance *instance = node_instance(node, op->target);
    if (!instance || instance->state == CONTAINER_EXITED)
        return;
    if (op->fails) {
        node_tell(node, "%s cannot be killed", instance->name);
        node->kill_failed = true;
        cool_down(node, op->target);
    } else if (instance->state == CONTAINER_UNKNOWN || op->was_killed) {
        node_end_instance(node, instance, EXIT_KILLED, NULL);
    } else {
        node_end_instance(node, instance, instance->how.stop_code, NULL);
    }
}

static void end_stop_sandbox(struct virtual_node *node, const struct virtual_op *op)
{
    const struct sandbox_observed *sandbox = pod_observed_sandbox(&node->have, op->target);
    if (op->fails) {
        node_tell(node, "the sandbox cannot be stopped");
        cool_down(node, op->target);
        return;
    }
    for (size_t i = 0; i < node->n_instances; i++) {
        if (node->instances[i].state == CONTAINER_RUNNING &&
            text_eq(node->instances[i].sandbox_id, op->target))
            node_end_instance(node, &node->instances[i], EXIT_KILLED, NULL);
    }
    node->starts_over = true;
    if (sandbox)
        node_put_sandbox(node, op->target, false, sandbox->attempt);
}

static void end_create_sandbox(struct virtual_node *node, const struct virtual_op *op)
{
    if (op->fails) {
        node_tell(node, "the sandbox cannot be created");
        node->setup_retry_at_ns = node->now_ns + NODE_RETRY_NS;
        return;
    }
    node_put_sandbox(node, arena_printf(node->arena, "s%zu", ++node->ids), true, op->attempt);
    for (size_t i = 0; i < node->n_records; i++)
        node->notes[i].retry_at_ns = 0;
    rules_sandbox_made(node);
}

/* Steps that have only two outcomes. */
static void end_simple(struct virtual_node *node, const struct virtual_op *op)
{
    if (op->fails)
        node_tell(node, "%s fails", pod_action_name(op->kind));
    if (op->fails &&
        (op->kind == POD_ACTION_REMOVE_CONTAINER || op->kind == POD_ACTION_REMOVE_SANDBOX))
        cool_down(node, op->target);
    else if (op->fails && op->kind == POD_ACTION_CLEAN_DISK)
        node->cleanup_retry_at_ns = node->now_ns + NODE_RETRY_NS;
    else if (op->fails)
        node->setup_retry_at_ns = node->now_ns + NODE_RETRY_NS;
    else if (op->kind == POD_ACTION_ENSURE_CGROUP)
        node->cgroup_ready = true;
    else if (op->kind == POD_ACTION_ENSURE_VOLUMES)
        node->volumes_ready = true;
    else if (op->kind == POD_ACTION_CLEAN_DISK)
        node->disk_clean = true;
    else if (op->kind == POD_ACTION_REMOVE_CONTAINER)
        node_remove_instance(node, op->target);
    else if (op->kind == POD_ACTION_REMOVE_SANDBOX)
        pod_observed_drop_sandbox(&node->have, op->target);
}

void agent_end_op(struct virtual_node *node, struct virtual_op *op)
{
    struct virtual_op ended = *op;
    drop_op(node, op);
    switch (ended.kind) {
    case POD_ACTION_START_CONTAINER:
        end_start(node, &ended);
        break;
    case POD_ACTION_KILL_CONTAINER:
        end_kill(node, &ended);
        break;
    case POD_ACTION_STOP_SANDBOX:
        end_stop_sandbox(node, &ended);
        break;
    case POD_ACTION_CREATE_SANDBOX:
        end_create_sandbox(node, &ended);
        break;
    case POD_ACTION_ENSURE_CGROUP:
    case POD_ACTION_ENSURE_VOLUMES:
    case POD_ACTION_CLEAN_DISK:
    case POD_ACTION_REMOVE_CONTAINER:
    case POD_ACTION_REMOVE_SANDBOX:
        end_simple(node, &ended);
        break;
    case POD_ACTION_FINISH:     /* has no duration */
    case POD_ACTION_BEGIN_STOP: /* shows nowhere but in what comes later */
    case POD_ACTION_KIND_COUNT:
        break;
    }
}

/* --- the life --- */

/* A grace period can only become shorter; kills that have more time than that begin anew. */
static void renew_grace(struct virtual_node *node)
{
    struct pod_desired *want = &node->want;
    const Meta__ObjectMeta *meta = node->pod->metadata;
    int64_t grace_s = NODE_FOREVER;
    if (meta->has_deletion_grace_period_seconds)
        grace_s = meta->deletion_grace_period_seconds;
    if (node->is_evicted)
        grace_s = min_i64(grace_s, node->evict_grace_s);
    if (grace_s == NODE_FOREVER)
        return;
    grace_s = max_i64(grace_s, 1);
    if (want->has_grace && grace_s >= want->grace_s)
        return;
    int64_t before_s = want->has_grace
                           ? want->grace_s
                           : max_i64(node->pod->spec->termination_grace_period_seconds, 1);
    want->has_grace = true;
    want->grace_s = grace_s;
    for (size_t i = node->n_ops; grace_s < before_s && i-- > 0;) {
        struct container_observed *begun = NULL;
        if (node->ops[i].kind == POD_ACTION_BEGIN_STOP)
            begun = pod_observed_container(&node->have, node->ops[i].target);
        if (begun)
            begun->stop_begun = false;
        if (begun || node->ops[i].kind == POD_ACTION_KILL_CONTAINER)
            drop_op(node, &node->ops[i]);
    }
}

void agent_terminate(struct virtual_node *node)
{
    renew_grace(node);
    if (node->want.life != POD_LIFE_SYNC)
        return;
    for (size_t i = node->n_ops; i-- > 0;) {
        if (node->ops[i].kind == POD_ACTION_START_CONTAINER && node->ops[i].how.may_abandon)
            drop_op(node, &node->ops[i]);
    }
    node->want.life = POD_LIFE_TERMINATING;
    node->want.terminating_since_ns = node->now_ns;
    node_tell(node, "the pod is terminating");
}

void agent_restart(struct virtual_node *node, bool carried_out)
{
    while (node->n_ops > 0) {
        struct virtual_op op = node->ops[0];
        drop_op(node, &node->ops[0]);
        if (carried_out && op.kind == POD_ACTION_START_CONTAINER && !op.how.start_error &&
            pod_observed_active_sandbox(&node->have))
            node_add_instance(node, &op, CONTAINER_RUNNING);
        else if (carried_out && op.kind == POD_ACTION_KILL_CONTAINER)
            end_kill(node, &op);
    }
    for (size_t i = 0; i < node->n_records; i++) {
        const char *name = node->records[i].container->name;
        node->notes[i] = (struct container_note){.name = name};
        node->results[i] = (struct start_result){.container = name};
        node->probed[i] = NULL;
    }
    for (size_t i = 0; i < node->n_instances; i++)
        node->instances[i].probes_told = 0;
    for (struct container_observed *c = node->have.containers; c; c = c->next)
        c->stop_begun = false;
    node->n_cooldowns = 0;
    node->cgroup_ready = node->volumes_ready = node->disk_clean = node->kill_failed = false;
    node->setup_retry_at_ns = node->cleanup_retry_at_ns = 0;
    node->want = (struct pod_desired){.pod = node->pod, .uid = node->want.uid};
    node->is_evicted = false;
    node->agent_started_ns = node->now_ns;
    if (node->pod->metadata->deletion_timestamp)
        agent_terminate(node);
}

/* True when the life went on, so that all must be looked at again. */
static bool move_life(struct virtual_node *node, const struct pod_plan *plan)
{
    struct pod_desired *want = &node->want;
    if (want->life == POD_LIFE_SYNC && status_is_terminal(node->status)) {
        agent_terminate(node);
        return true;
    }
    if (want->life == POD_LIFE_TERMINATING && plan->stopped && node->n_ops == 0) {
        want->life = POD_LIFE_TERMINATED;
        node_tell(node, "the pod is terminated");
        return true;
    }
    /* Nothing of it is left on the node, so the API server lets the deleted pod go. */
    if (want->life == POD_LIFE_TERMINATED && node->disk_clean && !want->removed &&
        node->pod->metadata->deletion_timestamp) {
        want->removed = true;
        node->disk_clean = false;
        node_tell(node, "the pod is gone from the API");
        return true;
    }
    return false;
}

/* --- the pass --- */

/* As probing.c: a new instance has nothing proved, except that nothing is known to be wrong. */
static void sync_probes(struct virtual_node *node)
{
    for (size_t i = 0; i < node->n_records; i++) {
        const Core__Container *container = node->records[i].container;
        struct container_note *note = &node->notes[i];
        note->has_liveness = container->liveness_probe;
        note->has_readiness = container->readiness_probe;
        note->has_startup = container->startup_probe;
        const struct container_observed *newest = pod_observed_newest(&node->have, container->name);
        if (!newest || newest->state != CONTAINER_RUNNING || text_eq(node->probed[i], newest->id))
            continue;
        node->probed[i] = arena_strdup(node->arena, newest->id);
        bool survived = node->agent_started_ns - newest->started_ns > 10 * NS_PER_SEC;
        note->liveness = PROBE_SUCCESS;
        note->readiness = survived ? PROBE_UNKNOWN : PROBE_FAILURE;
        note->startup = PROBE_UNKNOWN;
    }
}

static void show_waiting(struct virtual_node *node, const struct pod_plan *plan)
{
    for (size_t i = 0; i < plan->n_waiting; i++) {
        const char *name = plan->waiting[i].container->name;
        struct start_result *result = &node->results[node_record_index(node, name)];
        if (agent_is_starting(node, name))
            continue;
        char wait[TIME_TEXT_SIZE];
        time_format_duration(plan->waiting[i].backoff_ns, wait);
        const char *text = arena_printf(
            plan->arena, "back-off %s restarting failed container=%s pod=p_default(%s)", wait, name,
            node->want.uid);
        if (text_eq(result->message, text))
            continue;
        result->reason = "CrashLoopBackOff";
        result->message = arena_strdup(node->arena, text);
    }
}

/* As worker_status.c; *ret_due_ns is the pod's deadline, 0: none ahead. */
static void renew_status(struct virtual_node *node, int64_t *ret_due_ns)
{
    bool is_over = node->want.life == POD_LIFE_TERMINATED;
    struct status_input input = {.pod = node->pod,
                                 .have = &node->have,
                                 .old = node->status,
                                 .results = node->results,
                                 .n_results = node->n_records,
                                 .notes = node->notes,
                                 .n_notes = node->n_records,
                                 .runtime_name = "containerd",
                                 .host_ips = host_ips,
                                 .now_ns = node->now_ns,
                                 .agent_started_ns = node->agent_started_ns,
                                 .is_static = node->is_static,
                                 .final = is_over,
                                 .terminated = is_over};
    bool is_late = status_deadline_exceeded(node->pod, node->status, node->now_ns, ret_due_ns);
    if (node->is_evicted) {
        input.forced_reason = "Evicted";
        input.forced_message = "The node was low on resource: memory. ";
    } else if (is_late && !status_is_terminal(node->status)) {
        input.forced_reason = "DeadlineExceeded";
        input.forced_message = "Pod was active on the node longer than the specified deadline";
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__PodStatus *status = status_generate(&input, arena);
    bool is_same = node->status && status_eq(node->status, status);
    /* Of a pod that nobody wants any more the instances go one by one, and nobody is told. */
    if (!is_over || !node->want.removed)
        rules_of_status(node, node->status, status);
    if (!is_same) {
        arena_free(node->status_arena);
        node->status = status;
        node->status_arena = TAKE(arena);
    }
    status_deadline_exceeded(node->pod, node->status, node->now_ns, ret_due_ns);
    if (*ret_due_ns <= node->now_ns || node->want.life != POD_LIFE_SYNC)
        *ret_due_ns = 0;
}

static void dispatch(struct virtual_node *node, const struct pod_plan *plan)
{
    for (size_t i = 0; i < plan->n_actions && !node->broken; i++) {
        const struct pod_action *action = &plan->actions[i];
        if (action->id && is_cooling(node, action->id))
            continue;
        bool is_chained = pod_action_is_chained(action->kind);
        if (is_chained ? is_chained_under_way(node) : is_under_way(node, action->id))
            continue;
        if (action->kind != POD_ACTION_FINISH) {
            begin(node, action);
        } else if (node->n_ops == 0) {
            rules_of_action(node, action);
            node_tell(node, "Finish");
            node->finished = true;
        }
    }
}

/* True when there has to be another pass. */
static bool pass(struct virtual_node *node)
{
    rules_of_pass(node);
    end_cooldowns(node);
    sync_probes(node);
    struct pod_plan_env env = {.now_ns = node->now_ns,
                               .backoff = node->backoff,
                               .notes = node->notes,
                               .n_notes = node->n_records,
                               .volumes_ready = node->volumes_ready,
                               .cgroup_ready = node->cgroup_ready,
                               .network_ready = node->network_ready,
                               .setup_retry_at_ns = node->setup_retry_at_ns,
                               .kill_failed = node->kill_failed,
                               .disk_clean = node->disk_clean,
                               .cleanup_retry_at_ns = node->cleanup_retry_at_ns,
                               .max_dead_per_container = 1};
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_plan plan, again;
    pod_plan(&node->want, &node->have, &env, arena, &plan);
    pod_plan(&node->want, &node->have, &env, arena, &again);
    rules_of_plan(node, &plan, &again);
    show_waiting(node, &plan);
    int64_t due_ns = 0;
    renew_status(node, &due_ns);
    node->next_look_ns = plan.has_next_look ? plan.next_look_ns : NODE_FOREVER;
    if (due_ns > 0)
        node->next_look_ns = min_i64(node->next_look_ns, due_ns);
    if (node->broken)
        return false;
    if (move_life(node, &plan))
        return true;
    dispatch(node, &plan);
    return false;
}

void agent_pass(struct virtual_node *node)
{
    size_t passes = 0;
    while (!node->finished && !node->broken && pass(node))
        rule_check(node, ++passes < MAX_PASSES_A_TURN, "the life of a pod only moves forward");
}
