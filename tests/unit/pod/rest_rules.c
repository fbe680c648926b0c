/* What must hold of a pod at rest, and on its way there: nothing spins, nothing is left out. */
#include "tests/unit/pod/pod_rules.h"

/* Even when nothing takes time: a container starts, ends, restarts at once and ends, its dead
 * instances go one by one, and all that twice when the sandbox is another one. */
#define PASSES_A_MOMENT 24

void rules_of_pass(struct virtual_node *node)
{
    if (node->passes_at_ns != node->now_ns)
        node->n_passes = 0;
    node->passes_at_ns = node->now_ns;
    node->n_passes++;
    rule_check(node, node->n_passes <= PASSES_A_MOMENT * (node->n_records + 1),
               "a pod does not go round and round while no time passes");
}

void rules_of_look(struct virtual_node *node, bool found)
{
    node->idle_looks = found ? 0 : node->idle_looks + 1;
    /* Each container may become due twice, by retry and back-off, while another one starts. */
    rule_check(node, node->idle_looks <= 2 * node->n_records,
               "time alone wakes a pod only when there is something to do");
}

/* --- at rest --- */

/* 1 when all init containers are done, -1 when one is under way, 0 when nothing goes on. */
static int are_initialised(struct virtual_node *node)
{
    for (size_t i = 0; i < node->n_records && node->records[i].is_init; i++) {
        const struct container_record *record = &node->records[i];
        bool is_running = rules_runs(node, record);
        if (is_running && (!record->is_sidecar || !record->was_started))
            return -1;
        if (record->is_sidecar ? !is_running : !record->has_succeeded)
            return 0;
    }
    return 1;
}

/* True when everything has become of the pod that its spec asks for, or it waits for one of its
 * own containers. */
static bool is_as_wanted(struct virtual_node *node)
{
    bool some_stay = false, all_right = true;
    for (size_t i = 0; i < node->n_records; i++) {
        const struct container_record *record = &node->records[i];
        const struct virtual_instance *newest = node_newest(node, record->container->name);
        bool is_running = rules_runs(node, record);
        if (is_running && (record->is_sidecar || record->is_regular))
            all_right = all_right && !rules_has_failed(node, newest);
        if (record->is_regular) {
            some_stay = some_stay || is_running;
            all_right = all_right && (is_running || rules_is_over(node, record));
        }
    }
    int initialised = are_initialised(node);
    return initialised < 0 || (initialised > 0 && all_right && some_stay);
}

static size_t count_dead(const struct virtual_node *node, const struct container_record *record)
{
    size_t dead = 0;
    for (size_t i = 0; i < node->n_instances; i++) {
        const struct virtual_instance *instance = &node->instances[i];
        if ((instance->state == CONTAINER_EXITED || instance->state == CONTAINER_UNKNOWN) &&
            text_eq(instance->name, record->container->name))
            dead++;
    }
    return dead;
}

void rules_at_rest(struct virtual_node *node)
{
    bool has_sandbox = pod_observed_active_sandbox(&node->have);
    bool may_lack_sandbox = !node->network_ready || rules_all_succeeded(node) ||
                            text_eq(node->pod->spec->restart_policy, "Never");
    switch (node->want.life) {
    case POD_LIFE_SYNC:
        rule_check(node, has_sandbox ? is_as_wanted(node) : may_lack_sandbox,
                   "a pod rests once everything is as its spec asks for");
        break;
    case POD_LIFE_TERMINATING:
        rule_check(node, false, "a pod that terminates does not rest before it has stopped");
        break;
    case POD_LIFE_TERMINATED:
        rule_check(node,
                   node->disk_clean && !node->want.removed && !rules_any_runs(node) && !has_sandbox,
                   "a pod that has stopped rests once its disk is clean");
        break;
    }
    for (size_t i = 0; node->want.life == POD_LIFE_SYNC && i < node->n_records; i++) {
        const struct virtual_instance *newest = node_newest(node, node->records[i].container->name);
        rule_check(node, !rules_init_failed(node, &node->records[i]) || newest->exit_code == 0,
                   "a pod has failed when an init container has for good (§8.2)");
    }
    for (size_t i = 0; i < node->n_records; i++)
        rule_check(node, count_dead(node, &node->records[i]) <= 1,
                   "of one name no more than one dead instance is kept (§3.14)");
}
