/*
 * What must hold of a pod at every moment, whatever befalls it (spec pods.md §5, §8). The rules are
 * told afresh from the spec and the runtime's truth; they share no code with the plan, so that a
 * fault in there cannot hide. The first one that does not hold is kept in node->broken.
 */
#pragma once

#include "tests/unit/pod/virtual_node.h"

/** Notes @rule as broken unless @holds; only the first one counts. */
void rule_check(struct virtual_node *node, bool holds, const char *rule);

/* --- pod_rules.c --- */

/** Makes the records, one per container of the spec: init containers first. */
void rules_init(struct virtual_node *node);
/** @again: a second plan from the same input. */
void rules_of_plan(struct virtual_node *node, const struct pod_plan *plan,
                   const struct pod_plan *again);
/** @action is about to be carried out. */
void rules_of_action(struct virtual_node *node, const struct pod_action *action);
/** What has just happened in the runtime. */
void rules_container_runs(struct virtual_node *node, const struct virtual_instance *instance);
void rules_container_ended(struct virtual_node *node, const struct virtual_instance *instance);
void rules_startup_succeeded(struct virtual_node *node, const char *name);
void rules_sandbox_made(struct virtual_node *node);

/* What the other files ask of it. */
bool rules_runs(struct virtual_node *node, const struct container_record *record);
bool rules_any_runs(struct virtual_node *node);
/** The restart policy that counts for it: its own, else the pod's. */
const char *rules_policy(const struct virtual_node *node, const struct container_record *record);
/** An init container that has failed and may not restart (§5.3). */
bool rules_init_failed(struct virtual_node *node, const struct container_record *record);
/** Whether @instance has given cause to be killed alone, in order to be started again or not. */
bool rules_has_failed(struct virtual_node *node, const struct virtual_instance *instance);
/** Whether steps 2 and 3 of §5.1 leave nothing to start, although a rule of §5.4 may ask for it. */
bool rules_all_succeeded(struct virtual_node *node);
/** Whether container @record has ended and neither its policy nor a rule has it started again. */
bool rules_is_over(struct virtual_node *node, const struct container_record *record);

/* --- rest_rules.c --- */

/** The agent looks at the pod. */
void rules_of_pass(struct virtual_node *node);
/** A look that time alone has caused; @found: it changed anything. */
void rules_of_look(struct virtual_node *node, bool found);
/** Nothing is under way, and without something new nothing will ever happen. */
void rules_at_rest(struct virtual_node *node);

/* --- status_rules.c --- */

/** @old: the status before, or NULL. */
void rules_of_status(struct virtual_node *node, const Core__PodStatus *old,
                     const Core__PodStatus *status);
