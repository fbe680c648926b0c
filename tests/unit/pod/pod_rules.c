/* What must hold of plans, starts, kills and removals (spec pods.md §5). */
#include "tests/unit/pod/pod_rules.h"

#include "kube/resources.h"
#include "pod/cri_config.h"
#include "tests/lib/test.h"

#define WAIT_FIRST_NS (10 * NS_PER_SEC)
#define WAIT_MOST_NS (300 * NS_PER_SEC)
#define RUN_THAT_PROVES_HEALTH_NS (600 * NS_PER_SEC)
#define GRACE_LEAST_S 2

void rule_check(struct virtual_node *node, bool holds, const char *rule)
{
    if (holds || node->broken)
        return;
    node->broken = rule;
    node_tell(node, "BROKEN: %s", rule);
}

static struct container_record *add_record(struct virtual_node *node,
                                           const Core__Container *container)
{
    assert_true(node->n_records < NODE_MAX_CONTAINERS);
    struct container_record *record = &node->records[node->n_records++];
    *record = (struct container_record){.container = container};
    return record;
}

void rules_init(struct virtual_node *node)
{
    const Core__PodSpec *spec = node->pod->spec;
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        struct container_record *record = add_record(node, spec->init_containers[i]);
        record->is_init = true;
        record->is_sidecar = text_eq(record->container->restart_policy, "Always");
    }
    for (size_t i = 0; i < spec->n_containers; i++)
        add_record(node, spec->containers[i])->is_regular = true;
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++)
        add_record(node, ephemeral_as_container(spec->ephemeral_containers[i], node->arena));
}

static struct container_record *record_of(struct virtual_node *node, const char *name)
{
    return &node->records[node_record_index(node, name)];
}

static bool is_plain_init(const struct container_record *record)
{
    return record->is_init && !record->is_sidecar;
}

bool rules_runs(struct virtual_node *node, const struct container_record *record)
{
    for (size_t i = 0; i < node->n_instances; i++) {
        if (node->instances[i].state == CONTAINER_RUNNING &&
            text_eq(node->instances[i].name, record->container->name))
            return true;
    }
    return false;
}

bool rules_any_runs(struct virtual_node *node)
{
    for (size_t i = 0; i < node->n_records; i++) {
        if (rules_runs(node, &node->records[i]))
            return true;
    }
    return false;
}

/* --- §5.4, told once more --- */

static bool lists(const Core__ContainerRestartRuleOnExitCodes *codes, int32_t exit_code)
{
    bool is_listed = false;
    for (size_t i = 0; i < codes->n_values; i++)
        is_listed = is_listed || codes->values[i] == exit_code;
    return text_eq(codes->operator_, "In") ? is_listed : !is_listed;
}

const char *rules_policy(const struct virtual_node *node, const struct container_record *record)
{
    const char *own = record->container->restart_policy;
    return own && own[0] != '\0' ? own : node->pod->spec->restart_policy;
}

/* Whether policy and rules have a container that exited with @exit_code started again. */
static bool policy_restarts(const struct virtual_node *node, const struct container_record *record,
                            int32_t exit_code)
{
    const Core__Container *container = record->container;
    const char *policy = rules_policy(node, record);
    if (container->restart_policy && container->restart_policy[0] != '\0') {
        for (size_t i = 0; i < container->n_restart_policy_rules; i++) {
            if (lists(container->restart_policy_rules[i]->exit_codes, exit_code))
                return true;
        }
    }
    return text_eq(policy, "Always") || (text_eq(policy, "OnFailure") && exit_code != 0);
}

bool rules_init_failed(struct virtual_node *node, const struct container_record *record)
{
    const struct virtual_instance *newest = node_newest(node, record->container->name);
    if (!is_plain_init(record) || !newest)
        return false;
    if (newest->state == CONTAINER_UNKNOWN)
        return true; /* §5.3 may say so */
    bool has_failed = newest->exit_code != 0 || text_eq(newest->reason, "OOMKilled");
    return newest->state == CONTAINER_EXITED && has_failed &&
           !policy_restarts(node, record, newest->exit_code);
}

bool rules_is_over(struct virtual_node *node, const struct container_record *record)
{
    const struct virtual_instance *newest = node_newest(node, record->container->name);
    return newest && newest->state == CONTAINER_EXITED &&
           !policy_restarts(node, record, newest->exit_code);
}

/* --- plans --- */

static bool is_same_action(const struct pod_action *a, const struct pod_action *b)
{
    bool is_same_container = a->ephemeral ? a->ephemeral == b->ephemeral
                                          : a->container == b->container; /* one is a copy */
    return a->kind == b->kind && is_same_container && text_eq(a->id, b->id) &&
           a->attempt == b->attempt && a->grace_s == b->grace_s && a->restart == b->restart &&
           text_eq(a->message, b->message);
}

static bool is_same_plan(const struct pod_plan *a, const struct pod_plan *b)
{
    if (a->n_actions != b->n_actions || a->n_waiting != b->n_waiting ||
        a->has_next_look != b->has_next_look || a->next_look_ns != b->next_look_ns ||
        a->stopped != b->stopped || a->done != b->done ||
        a->waits_for_network != b->waits_for_network || a->sandbox_changed != b->sandbox_changed)
        return false;
    for (size_t i = 0; i < a->n_actions; i++) {
        if (!is_same_action(&a->actions[i], &b->actions[i]))
            return false;
    }
    return true;
}

/* How long a container that ended at @ended_ns has to wait after that; §5.7. */
static int64_t wait_of(const struct container_record *record, int64_t ended_ns)
{
    if (!record->backs_off || ended_ns - record->restarted_ns > RUN_THAT_PROVES_HEALTH_NS)
        return 0;
    return record->wait_ns;
}

static void rules_of_waiting(struct virtual_node *node, const struct pod_waiting *waiting)
{
    const char *name = waiting->container->name;
    const struct virtual_instance *newest = node_newest(node, name);
    const struct container_record *record = record_of(node, name);
    rule_check(node, newest && newest->state == CONTAINER_EXITED,
               "only what has exited waits for its back-off (§5.7)");
    if (node->broken || agent_is_starting(node, name))
        return; /* the model counts the start under way */
    int64_t wait_ns = wait_of(record, newest->finished_ns);
    rule_check(node, waiting->backoff_ns == wait_ns,
               "the back-off is 10 s, doubles to 300 s and starts over after 10 minutes (§5.7)");
    rule_check(node, waiting->until_ns == newest->finished_ns + wait_ns,
               "the back-off counts from the end of the container (§5.7)");
}

static bool kills(const struct pod_plan *plan, const char *id)
{
    for (size_t i = 0; i < plan->n_actions; i++) {
        if (plan->actions[i].kind == POD_ACTION_KILL_CONTAINER && text_eq(plan->actions[i].id, id))
            return true;
    }
    return false;
}

static void rules_of_termination(struct virtual_node *node, const struct pod_plan *plan)
{
    for (size_t i = 0; i < node->n_instances; i++) {
        const struct virtual_instance *instance = &node->instances[i];
        if (instance->state == CONTAINER_RUNNING && !record_of(node, instance->name)->is_sidecar)
            rule_check(node, kills(plan, instance->id),
                       "all but sidecars are killed at once, in parallel (§5.9)");
    }
    if (plan->stopped)
        rule_check(node, !rules_any_runs(node) && !pod_observed_active_sandbox(&node->have),
                   "a pod has stopped once its containers and its sandbox have (§3.9)");
}

void rules_of_plan(struct virtual_node *node, const struct pod_plan *plan,
                   const struct pod_plan *again)
{
    rule_check(node, is_same_plan(plan, again), "the same input gives the same plan");
    rule_check(node, !plan->has_next_look || plan->next_look_ns > node->now_ns,
               "the next look lies ahead: nothing spins");
    bool is_done = plan->n_actions == 0 && !plan->has_next_look && !plan->waits_for_network;
    rule_check(node, plan->done == is_done, "a plan is done when it waits for nothing");
    for (size_t i = 0; i < plan->n_waiting && !node->broken; i++)
        rules_of_waiting(node, &plan->waiting[i]);
    if (node->want.life == POD_LIFE_TERMINATING)
        rules_of_termination(node, plan);
}

/* --- starts --- */

static void rules_of_order(struct virtual_node *node, const struct container_record *record)
{
    for (const struct container_record *other = node->records;
         other < node->records + node->n_records; other++) {
        if (other == record)
            continue;
        if (is_plain_init(other) && !record->is_sidecar)
            rule_check(node, !rules_runs(node, other),
                       "an init container runs beside no later init container and no regular "
                       "container (§5.3)");
        if (is_plain_init(record) && other->is_regular)
            rule_check(node,
                       !rules_runs(node, other) && !agent_is_starting(node, other->container->name),
                       "no init container runs beside a regular container (§5.3)");
        if (other > record || !other->is_init)
            continue;
        if (other->is_sidecar)
            rule_check(node, other->was_started,
                       "what comes after a sidecar waits until that has started (§5.3)");
        else
            rule_check(node, other->has_succeeded,
                       "what comes after an init container waits until that has succeeded (§5.3)");
    }
}

static void rules_of_restart(struct virtual_node *node, const struct container_record *record,
                             const struct virtual_instance *ended)
{
    const char *policy = rules_policy(node, record);
    bool is_here = text_eq(ended->sandbox_id, node->have.sandboxes->id);
    if (!is_here)
        rule_check(node, !text_eq(node->pod->spec->restart_policy, "Never"),
                   "under Never nothing restarts, not in a new sandbox either (§5.1)");
    bool may = record->is_sidecar || record->may_start_anew || (record->is_init && !is_here) ||
               policy_restarts(node, record, ended->exit_code);
    if (text_eq(policy, "Never"))
        rule_check(node, may, "under Never nothing restarts (§5.4)");
    else
        rule_check(node, may, "under OnFailure nothing restarts that has succeeded (§5.4)");
    if (record->is_init && !record->is_sidecar && is_here && !record->may_start_anew)
        rule_check(node, !record->has_succeeded,
                   "an init container that has succeeded does not run again (§5.3)");
}

static void rules_of_start(struct virtual_node *node, const struct pod_action *action)
{
    const char *name = action->container->name;
    struct container_record *record = record_of(node, name);
    rule_check(node, !rules_runs(node, record), "what runs is never started (§5.2)");
    rule_check(node, !agent_is_starting(node, name), "what is being started is not started again");
    rule_check(node, pod_observed_active_sandbox(&node->have),
               "containers start in a sandbox that is ready (§5.1)");
    rule_check(node, node->cgroup_ready && node->volumes_ready,
               "nothing starts before cgroup and volumes are there (§3.8)");
    const struct virtual_instance *newest = node_newest(node, name);
    if (action->ephemeral) {
        rule_check(node, !newest, "an ephemeral container starts once (§5.2)");
        return;
    }
    rules_of_order(node, record);
    rule_check(node, !newest || newest->state != CONTAINER_UNKNOWN,
               "what is in unknown state is killed before it starts again (§5.2, §5.3)");
    if (node->broken || !newest || newest->state != CONTAINER_EXITED)
        return;
    rules_of_restart(node, record, newest);
    int64_t wait_ns = wait_of(record, newest->finished_ns);
    rule_check(node, node->now_ns - newest->finished_ns >= wait_ns, "back-off is honoured (§5.7)");
    record->wait_ns = wait_ns == 0 ? WAIT_FIRST_NS : min_i64(wait_ns * 2, WAIT_MOST_NS);
    record->restarted_ns = node->now_ns;
    record->backs_off = true;
}

/* --- kills --- */

/* Whether @record has ended for good, or is going to: what fails its probe under Never is killed
 * and not kept (§5.2). */
static bool ends_for_good(struct virtual_node *node, const struct container_record *record)
{
    const struct container_note *note = &node->notes[record - node->records];
    bool has_failed = note->startup == PROBE_FAILURE || note->liveness == PROBE_FAILURE;
    return rules_is_over(node, record) ||
           (rules_runs(node, record) && has_failed && text_eq(rules_policy(node, record), "Never"));
}

/* Whether something has come about for which all that runs in the pod has to go. */
static bool pod_has_to_end(struct virtual_node *node)
{
    if (!pod_observed_active_sandbox(&node->have))
        return true;
    bool is_all_over = true;
    for (size_t i = 0; i < node->n_records; i++) {
        const struct container_record *record = &node->records[i];
        if (rules_init_failed(node, record))
            return true;
        if (record->is_regular)
            is_all_over = is_all_over && ends_for_good(node, record);
    }
    return is_all_over;
}

/* Whether @instance was made from another definition than that of the spec (§5.5). */
static bool has_changed(const struct container_record *record,
                        const struct virtual_instance *instance)
{
    return instance->hash != container_hash(record->container->image, record->container->name);
}

bool rules_has_failed(struct virtual_node *node, const struct virtual_instance *instance)
{
    const struct container_note *note = &node->notes[node_record_index(node, instance->name)];
    return instance->state == CONTAINER_UNKNOWN || note->startup == PROBE_FAILURE ||
           note->liveness == PROBE_FAILURE ||
           has_changed(record_of(node, instance->name), instance);
}

static void rules_of_sidecar_kill(struct virtual_node *node, const struct container_record *sidecar,
                                  const struct pod_action *action)
{
    if (node->want.life == POD_LIFE_TERMINATING) {
        int64_t grace_s = node->want.has_grace
                              ? node->want.grace_s
                              : max_i64(node->pod->spec->termination_grace_period_seconds, 1);
        int64_t over_ns = node->want.terminating_since_ns + grace_s * NS_PER_SEC;
        int64_t left_s = max_i64(0, (over_ns - node->now_ns + NS_PER_SEC - 1) / NS_PER_SEC);
        rule_check(node, action->grace_s == max_i64(left_s, GRACE_LEAST_S),
                   "a sidecar has what the others have left of the grace period (§5.9)");
        if (node->now_ns >= over_ns)
            return;
    }
    for (const struct container_record *other = node->records;
         other < node->records + node->n_records; other++) {
        if (other->is_regular)
            rule_check(node, !rules_runs(node, other),
                       "a sidecar outlives the regular containers (§5.9)");
        if (other->is_sidecar && other > sidecar)
            rule_check(node, !rules_runs(node, other), "sidecars end in reverse order (§5.9)");
    }
}

static void rules_of_kill(struct virtual_node *node, const struct pod_action *action)
{
    const struct virtual_instance *instance = node_instance(node, action->id);
    rule_check(node, instance, "only what exists is killed");
    if (node->broken)
        return;
    struct container_record *record = record_of(node, instance->name);
    int64_t grace_s = node->want.has_grace ? node->want.grace_s
                                           : node->pod->spec->termination_grace_period_seconds;
    rule_check(node, instance->state == CONTAINER_RUNNING || instance->state == CONTAINER_UNKNOWN,
               "only what runs, or may run, is killed");
    rule_check(node, action->grace_s >= GRACE_LEAST_S, "no kill has less than two seconds (§5.9)");
    rule_check(node, action->grace_s <= max_i64(grace_s, GRACE_LEAST_S),
               "no kill has more than the grace period (§5.9)");
    bool is_alone = action->message != NULL;
    if (is_alone)
        rule_check(node, rules_has_failed(node, instance),
                   "no container is killed without a cause (§5.2)");
    else if (node->want.life == POD_LIFE_SYNC)
        rule_check(node, pod_has_to_end(node), "no pod is killed without a cause (§5.2)");
    if (!is_alone && !record->is_sidecar)
        rule_check(node, action->grace_s == max_i64(grace_s, GRACE_LEAST_S),
                   "a kill has the whole grace period (§5.9)");
    if (!is_alone && record->is_sidecar)
        rules_of_sidecar_kill(node, record, action);
    if (action->restart && !record->is_sidecar && instance->state == CONTAINER_RUNNING &&
        !has_changed(record, instance))
        rule_check(node, !text_eq(rules_policy(node, record), "Never"),
                   "under Never a failed probe restarts nothing (§5.2)");
    record->may_start_anew = record->may_start_anew || action->restart;
}

/* --- the other steps --- */

bool rules_all_succeeded(struct virtual_node *node)
{
    for (size_t i = 0; i < node->n_records; i++) {
        const struct container_record *record = &node->records[i];
        const struct virtual_instance *newest = node_newest(node, record->container->name);
        bool has_succeeded = newest && newest->state == CONTAINER_EXITED &&
                             newest->exit_code == 0 &&
                             text_eq(rules_policy(node, record), "OnFailure");
        if (record->is_regular && !has_succeeded)
            return false;
    }
    return true;
}

static void rules_of_new_sandbox(struct virtual_node *node, const struct pod_action *action)
{
    const struct sandbox_observed *newest = node->have.sandboxes;
    rule_check(node, !rules_any_runs(node), "a sandbox is made once nothing runs any more (§5.1)");
    for (const struct sandbox_observed *s = newest; s; s = s->next)
        rule_check(node, !s->ready, "a sandbox is made once no other one is ready (§5.1)");
    rule_check(node, action->attempt == (newest ? newest->attempt + 1 : 0),
               "each sandbox counts one attempt more (§5.1)");
    rule_check(node, node->network_ready, "no sandbox is made without a network (§3.8)");
    rule_check(node, !newest || !rules_all_succeeded(node),
               "no sandbox is made when nothing would start in it (§5.1)");
    for (size_t i = 0; newest && i < node->n_instances; i++)
        rule_check(node, !record_of(node, node->instances[i].name)->is_init,
                   "all init containers are removed before a new sandbox is made (§5.1)");
}

static void rules_of_removal(struct virtual_node *node, const struct pod_action *action)
{
    const struct virtual_instance *instance = node_instance(node, action->id);
    rule_check(node, !instance || instance->state != CONTAINER_RUNNING,
               "what runs is not removed (§3.14)");
    for (size_t i = 0; action->kind == POD_ACTION_REMOVE_SANDBOX && i < node->n_instances; i++)
        rule_check(node, !text_eq(node->instances[i].sandbox_id, action->id),
                   "a sandbox is removed after its containers (§3.14)");
}

static void rules_of_stop(struct virtual_node *node)
{
    rule_check(node, node->kill_failed || !rules_any_runs(node),
               "a sandbox is stopped after its containers (§5.9)");
}

static void rules_of_early_hook(struct virtual_node *node, const struct pod_action *action)
{
    const struct virtual_instance *instance = node_instance(node, action->id);
    rule_check(node, instance && instance->state == CONTAINER_RUNNING,
               "only what runs has its end told (§5.9)");
    rule_check(node, instance && record_of(node, instance->name)->is_sidecar,
               "only a sidecar's hook runs before its turn to stop has come (§5.9)");
}

void rules_of_action(struct virtual_node *node, const struct pod_action *action)
{
    bool is_setup = action->kind <= POD_ACTION_START_CONTAINER;
    if (is_setup)
        rule_check(node,
                   node->want.life == POD_LIFE_SYNC && !node->pod->metadata->deletion_timestamp,
                   "nothing starts after the end has begun (§3.2, §5.4)");
    switch (action->kind) {
    case POD_ACTION_START_CONTAINER:
        rules_of_start(node, action);
        return;
    case POD_ACTION_BEGIN_STOP:
        rules_of_early_hook(node, action);
        return;
    case POD_ACTION_KILL_CONTAINER:
        rules_of_kill(node, action);
        return;
    case POD_ACTION_CREATE_SANDBOX:
        rules_of_new_sandbox(node, action);
        return;
    case POD_ACTION_STOP_SANDBOX:
        rules_of_stop(node);
        return;
    case POD_ACTION_REMOVE_CONTAINER:
    case POD_ACTION_REMOVE_SANDBOX:
        rules_of_removal(node, action);
        return;
    case POD_ACTION_CLEAN_DISK:
        rule_check(node,
                   node->want.life == POD_LIFE_TERMINATED && !pod_observed_is_running(&node->have),
                   "the disk is cleaned once nothing runs any more (§3.11)");
        return;
    case POD_ACTION_FINISH:
        rule_check(node, node->n_instances == 0 && !node->have.sandboxes && node->disk_clean,
                   "a pod is forgotten once nothing is left of it (§3.11)");
        return;
    case POD_ACTION_ENSURE_CGROUP:
    case POD_ACTION_ENSURE_VOLUMES:
    case POD_ACTION_KIND_COUNT:
        return;
    }
}

/* --- what has happened --- */

void rules_container_runs(struct virtual_node *node, const struct virtual_instance *instance)
{
    struct container_record *record = record_of(node, instance->name);
    size_t running = 0;
    for (size_t i = 0; i < node->n_instances; i++)
        running += node->instances[i].state == CONTAINER_RUNNING &&
                           text_eq(node->instances[i].name, instance->name)
                       ? 1
                       : 0;
    rule_check(node, running == 1, "of one name no two instances run at once");
    record->was_started = record->was_started || !record->container->startup_probe;
    record->may_start_anew = false;
    if (record->is_regular)
        node->starts_over = false;
    if (is_plain_init(record))
        record->has_succeeded = false;
    for (size_t i = 0; is_plain_init(record) && i < node->n_records; i++)
        rule_check(node, !node->records[i].is_regular || !rules_runs(node, &node->records[i]),
                   "no init container runs beside a regular container (§5.3)");
}

void rules_container_ended(struct virtual_node *node, const struct virtual_instance *instance)
{
    struct container_record *record = record_of(node, instance->name);
    if (is_plain_init(record))
        record->has_succeeded = instance->exit_code == 0 && !text_eq(instance->reason, "OOMKilled");
}

void rules_startup_succeeded(struct virtual_node *node, const char *name)
{
    record_of(node, name)->was_started = true;
}

void rules_sandbox_made(struct virtual_node *node)
{
    for (size_t i = 0; i < node->n_records; i++)
        node->records[i].was_started = node->records[i].has_succeeded = false;
}
