/* What must hold of the generated status and of each step from one to the next (spec pods.md §8).
 */
#include "tests/unit/pod/pod_rules.h"

#include "kube/resources.h"
#include "tests/lib/test.h"

/* --- reading a status --- */

static const Core__PodCondition *condition(const Core__PodStatus *status, const char *type)
{
    for (size_t i = 0; status && i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, type))
            return status->conditions[i];
    }
    return NULL;
}

static bool is_true(const Core__PodStatus *status, const char *type)
{
    const Core__PodCondition *found = condition(status, type);
    return found && text_eq(found->status, "True");
}

static const Core__ContainerStatus *entry_of(const Core__PodStatus *status, const char *name)
{
    for (size_t i = 0; i < status->n_init_container_statuses; i++) {
        if (text_eq(status->init_container_statuses[i]->name, name))
            return status->init_container_statuses[i];
    }
    for (size_t i = 0; i < status->n_container_statuses; i++) {
        if (text_eq(status->container_statuses[i]->name, name))
            return status->container_statuses[i];
    }
    for (size_t i = 0; i < status->n_ephemeral_container_statuses; i++) {
        if (text_eq(status->ephemeral_container_statuses[i]->name, name))
            return status->ephemeral_container_statuses[i];
    }
    return NULL;
}

/* --- telling it --- */

static void show_entry(struct buf *text, const Core__ContainerStatus *entry, bool is_plain_init)
{
    const Core__ContainerState *state = entry->state;
    buf_printf(text, "; %s ", entry->name);
    if (state->running)
        buf_add_text(text, entry->ready || is_plain_init ? "running" : "running, not ready");
    else if (state->terminated)
        buf_printf(text, "exited %d%s%s", state->terminated->exit_code,
                   state->terminated->reason ? " " : "",
                   state->terminated->reason ? state->terminated->reason : "");
    else
        buf_printf(text, "waiting%s%s", state->waiting->reason ? " " : "",
                   state->waiting->reason ? state->waiting->reason : "");
    if (entry->restart_count > 0)
        buf_printf(text, " (restarts %d)", entry->restart_count);
}

/* "= Running [Sandbox Initialized Ready]; web running", once for as long as it stays so. */
static void show(struct virtual_node *node, const Core__PodStatus *status)
{
    static const struct {
        const char *type, *text;
    } shown[] = {{"PodReadyToStartContainers", "Sandbox"},
                 {"Initialized", "Initialized"},
                 {"Ready", "Ready"}};
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    buf_printf(&text, "= %s%s%s [", status->phase, status->reason ? " " : "",
               status->reason ? status->reason : "");
    bool is_first = true;
    for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
        if (!is_true(status, shown[i].type))
            continue;
        buf_printf(&text, "%s%s", is_first ? "" : " ", shown[i].text);
        is_first = false;
    }
    buf_add_char(&text, ']');
    for (size_t i = 0; i < node->n_records; i++) {
        const struct container_record *record = &node->records[i];
        const Core__ContainerStatus *entry = entry_of(status, record->container->name);
        if (entry)
            show_entry(&text, entry, record->is_init && !record->is_sidecar);
    }
    if (text_eq(buf_text(&text), buf_text(&node->shown)))
        return;
    buf_clear(&node->shown);
    buf_add_text(&node->shown, buf_text(&text));
    node_tell(node, "%s", buf_text(&text));
}

/* --- phase and conditions --- */

static int rank_of(const char *phase)
{
    return text_eq(phase, "Pending") ? 0 : text_eq(phase, "Running") ? 1 : 2;
}

static bool all_succeeded(const Core__PodStatus *status)
{
    for (size_t i = 0; i < status->n_container_statuses; i++) {
        const Core__ContainerStateTerminated *end =
            status->container_statuses[i]->state->terminated;
        if (!end || end->exit_code != 0)
            return false;
    }
    return true;
}

/* Whether the pod may be over by itself: no regular container runs, and, unless the pod is ending
 * or an init container has failed, none of them will. What was lost from sight counts as failed. */
static bool is_end(struct virtual_node *node)
{
    bool will_run = false, has_failed_init = false;
    for (size_t i = 0; i < node->n_records; i++) {
        const struct container_record *record = &node->records[i];
        const struct virtual_instance *newest = node_newest(node, record->container->name);
        bool is_over = rules_is_over(node, record);
        bool has_failed = record->lost_sight || (is_over && newest->exit_code != 0);
        if (record->is_regular && newest && newest->state == CONTAINER_RUNNING)
            return false;
        if (record->is_regular)
            will_run = will_run || !(is_over || record->lost_sight);
        else if (record->is_init && !record->is_sidecar)
            has_failed_init = has_failed_init || has_failed;
    }
    return !will_run || has_failed_init || node->want.life != POD_LIFE_SYNC;
}

static void rules_of_phase(struct virtual_node *node, const Core__PodStatus *old,
                           const Core__PodStatus *status)
{
    bool was_terminal = old && status_is_terminal(old);
    if (was_terminal)
        rule_check(node, text_eq(old->phase, status->phase),
                   "a terminal phase is never left (§8.1)");
    else if (old)
        rule_check(node, rank_of(status->phase) >= rank_of(old->phase) || node->starts_over,
                   "a phase only moves forward, unless the pod has to initialise anew (§8.2)");
    bool is_new_end = status_is_terminal(status) && !was_terminal;
    if (is_new_end && text_eq(status->phase, "Succeeded"))
        rule_check(node, all_succeeded(status),
                   "a pod has succeeded when all its regular containers have (§8.2)");
    if (is_new_end && !status->reason)
        rule_check(node, is_end(node), "a pod is over once its regular containers are (§8.2)");
    if (node->pod->spec->has_active_deadline_seconds && !status_is_terminal(status))
        rule_check(node,
                   node->now_ns <
                       (status->start_time->seconds + node->pod->spec->active_deadline_seconds) *
                           NS_PER_SEC,
                   "a pod fails when its deadline is over (§10.1)");
}

static void rules_of_conditions(struct virtual_node *node, const Core__PodStatus *old,
                                const Core__PodStatus *status)
{
    for (size_t i = 0; i < status->n_conditions; i++) {
        const Core__PodCondition *now = status->conditions[i];
        const Core__PodCondition *before = condition(old, now->type);
        rule_check(node, condition(status, now->type) == now, "a condition is told once (§8.4)");
        if (before && text_eq(before->status, now->status))
            rule_check(node,
                       before->last_transition_time->seconds == now->last_transition_time->seconds,
                       "a transition time changes with the status alone (§8.4)");
        else
            rule_check(node, now->last_transition_time->seconds == node->now_ns / NS_PER_SEC,
                       "a transition is told with its time (§8.4)");
    }
    if (old && is_true(old, "Initialized"))
        rule_check(node, is_true(status, "Initialized"), "Initialized stays true (§8.4)");
    if (is_true(status, "Ready"))
        rule_check(node, is_true(status, "ContainersReady"),
                   "a pod is ready only with its containers (§8.4)");
    if (status_is_terminal(status))
        rule_check(node, !is_true(status, "Ready") && !is_true(status, "ContainersReady"),
                   "a pod that is over is not ready (§8.4)");
    const struct sandbox_observed *newest = node->have.sandboxes;
    rule_check(node, is_true(status, "PodReadyToStartContainers") == (newest && newest->ready),
               "PodReadyToStartContainers tells of the sandbox (§8.4)");
}

/* --- containers --- */

/* True when the status may go on showing an end after the container was started again (§8.7). */
static bool may_keep_end(const struct virtual_node *node)
{
    return !text_eq(node->pod->spec->restart_policy, "Always");
}

static void rules_of_restarts(struct virtual_node *node, struct container_record *record,
                              const Core__ContainerStatus *before,
                              const Core__ContainerStatus *entry)
{
    if (before)
        rule_check(node, entry->restart_count >= before->restart_count,
                   "a restart count never falls (§8.5)");
    const struct virtual_instance *newest = node_newest(node, entry->name);
    bool is_newest = newest && text_has_suffix(entry->container_id, newest->id);
    if (record->lost_sight || !is_newest)
        return; /* it was counted without an instance, or shows the end of an earlier one */
    int32_t restarts = (int32_t)record->n_instances - 1;
    rule_check(node, entry->restart_count == restarts,
               "a restart count goes up by one with each instance (§5.6)");
}

static void rules_of_entry(struct virtual_node *node, struct container_record *record,
                           const Core__PodStatus *old, const Core__PodStatus *status)
{
    const char *name = record->container->name;
    const Core__ContainerStatus *entry = entry_of(status, name);
    rule_check(node, entry, "each container has its entry (§8.5)");
    if (!entry)
        return;
    const Core__ContainerState *state = entry->state;
    int states = (state->running ? 1 : 0) + (state->waiting ? 1 : 0) + (state->terminated ? 1 : 0);
    rule_check(node, states == 1, "a container is in one state (§8.5)");
    const struct virtual_instance *newest = node_newest(node, name);
    bool is_running = newest && newest->state == CONTAINER_RUNNING;
    if (state->running)
        rule_check(node, is_running, "only what runs is shown as running (§8.5)");
    else if (is_running)
        rule_check(node, record->n_instances > 1 && may_keep_end(node),
                   "what runs is shown as running (§8.5)");
    bool is_plain_init = record->is_init && !record->is_sidecar;
    bool ends_well = state->terminated && state->terminated->exit_code == 0;
    bool is_ephemeral = !record->is_init && !record->is_regular;
    if (is_ephemeral)
        rule_check(node, !entry->ready && !entry->has_started,
                   "an ephemeral container is never ready (§7.4)");
    if (entry->ready)
        rule_check(node, is_plain_init ? ends_well : state->running != NULL,
                   "ready is what runs, or an init container that has succeeded (§7.4)");
    if (entry->started && is_running)
        rule_check(node, newest->has_started,
                   "a container has started once its startup probe has succeeded (§7.4)");
    if (entry->ready && !is_plain_init && record->container->startup_probe)
        rule_check(node, entry->started, "nothing is ready before it has started (§7.4)");
    if (is_true(status, "ContainersReady") && !is_plain_init && !is_ephemeral)
        rule_check(node, entry->ready, "containers are ready when all are (§8.4)");
    rules_of_restarts(node, record, old ? entry_of(old, name) : NULL, entry);
}

void rules_of_status(struct virtual_node *node, const Core__PodStatus *old,
                     const Core__PodStatus *status)
{
    show(node, status);
    rules_of_phase(node, old, status);
    rules_of_conditions(node, old, status);
    for (size_t i = 0; i < node->n_records; i++)
        rules_of_entry(node, &node->records[i], old, status);
    if (old)
        rule_check(node, old->start_time->seconds == status->start_time->seconds,
                   "a start time never changes (§8.5)");
}
