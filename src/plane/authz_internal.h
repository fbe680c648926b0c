/*
 * Shared by plane/authz*.c: the tables of rules and how they match. Pure. Any thread.
 */
#pragma once

#include "plane/authz.h"

/** True when the comma-separated @list holds @item. "" holds "" only. */
bool authz_list_has(const char *list, const char *item);

/** True when @rule allows what @attributes ask. */
bool authz_rule_allows(const struct authz_rule *rule, const struct authz_attributes *attributes);

/** The bindings everybody has. */
const struct authz_binding *authz_builtin_bindings(size_t *ret_count);

/** The static rules of system:node, for what the Node authorizer does not look at more closely. */
const struct authz_rule *authz_node_rules(size_t *ret_count);

/** What the Node authorizer says of @node ("" when it is nameless). */
struct authz_verdict authz_decide_node(const struct authz_attributes *attributes, const char *node,
                                       const struct authz_policy *policy, struct arena *arena);
