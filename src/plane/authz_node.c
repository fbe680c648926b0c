/*
 * The Node authorizer (plugin/pkg/auth/authorizer/node): a node reads its own Node, the pods bound
 * to it and what these refer to, one object at a time; writes go through here in kind and are held
 * to the node's own objects by NodeRestriction (plane/admission_node.c), which sees contents.
 */
#include "plane/authz_internal.h"

#define LEASE_NAMESPACE "kube-node-lease"

struct question {
    const struct authz_attributes *attributes;
    const char *node;
    const struct authz_policy *policy;
    struct arena *arena;
};

static const struct authz_verdict allowed = {.is_allowed = true, .reason = ""};

static struct authz_verdict no(const char *reason)
{
    return (struct authz_verdict){.is_allowed = false, .reason = reason};
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static bool is_verb(const struct question *question, const char *verbs)
{
    return authz_list_has(verbs, or_empty(question->attributes->verb));
}

static bool has_subresource(const struct question *question)
{
    return or_empty(question->attributes->subresource)[0] != '\0';
}

static bool is_subresource(const struct question *question, const char *subresource)
{
    return text_eq(or_empty(question->attributes->subresource), subresource);
}

/* --- objects related to the node --- */

static struct authz_verdict related(const struct question *question, enum authz_object kind)
{
    const struct authz_policy *policy = question->policy;
    const char *name = or_empty(question->attributes->name);
    const char *namespace_ = or_empty(question->attributes->namespace_);
    if (!name[0])
        return no("No Object name found");
    if (policy->facts &&
        policy->facts->is_referenced(policy->facts_ctx, kind, namespace_, name, question->node))
        return allowed;
    return no(arena_printf(question->arena,
                           "no relationship found between node '%s' and this object",
                           question->node));
}

static struct authz_verdict read_namespaced(const struct question *question, enum authz_object kind)
{
    if (!is_verb(question, "get,list,watch"))
        return no("can only read resources of this type");
    if (has_subresource(question))
        return no("cannot read subresource");
    if (!or_empty(question->attributes->namespace_)[0])
        return no("can only read namespaced object of this type");
    return related(question, kind);
}

static struct authz_verdict get_only(const struct question *question, enum authz_object kind)
{
    if (!is_verb(question, "get"))
        return no("can only get individual resources of this type");
    if (has_subresource(question))
        return no("cannot get subresource");
    return related(question, kind);
}

static struct authz_verdict decide_secret(const struct question *question)
{
    return read_namespaced(question, AUTHZ_SECRET);
}

static struct authz_verdict decide_config_map(const struct question *question)
{
    return read_namespaced(question, AUTHZ_CONFIG_MAP);
}

static struct authz_verdict decide_claim(const struct question *question)
{
    if (!is_subresource(question, "status"))
        return get_only(question, AUTHZ_CLAIM);
    if (!is_verb(question, "update,patch"))
        return no("can only get/update/patch this type");
    return related(question, AUTHZ_CLAIM);
}

static struct authz_verdict decide_volume(const struct question *question)
{
    return get_only(question, AUTHZ_VOLUME);
}

static struct authz_verdict decide_resource_claim(const struct question *question)
{
    return get_only(question, AUTHZ_RESOURCE_CLAIM);
}

static struct authz_verdict decide_attachment(const struct question *question)
{
    return get_only(question, AUTHZ_ATTACHMENT);
}

/* A credential provider plugin is told of the account's annotations. */
static struct authz_verdict decide_service_account(const struct question *question)
{
    if (is_verb(question, "get") && !has_subresource(question))
        return related(question, AUTHZ_SERVICE_ACCOUNT);
    if (!is_verb(question, "create") || !or_empty(question->attributes->name)[0])
        return no("can only create tokens for individual service accounts");
    if (!is_subresource(question, "token"))
        return no("can only create token subresource of serviceaccount");
    return related(question, AUTHZ_SERVICE_ACCOUNT);
}

/* --- objects of the node's own name --- */

/* Creating is left to NodeRestriction: the name is only in the body then. */
static bool is_of_own_name(const struct question *question)
{
    return is_verb(question, "create") || text_eq(question->attributes->name, question->node);
}

static struct authz_verdict decide_lease(const struct question *question)
{
    if (!is_verb(question, "get,create,update,patch,delete"))
        return no("can only get, create, update, patch, or delete a node lease");
    if (!text_eq(question->attributes->namespace_, LEASE_NAMESPACE))
        return no("can only access leases in the \"" LEASE_NAMESPACE "\" system namespace");
    return is_of_own_name(question)
               ? allowed
               : no("can only access node lease with the same name as the requesting node");
}

static struct authz_verdict decide_csi_node(const struct question *question)
{
    if (!is_verb(question, "get,create,update,patch,delete"))
        return no("can only get, create, update, patch, or delete a CSINode");
    if (has_subresource(question))
        return no("cannot authorize CSINode subresources");
    return is_of_own_name(question)
               ? allowed
               : no("can only access CSINode with the same name as the requesting node");
}

static struct authz_verdict decide_node_object(const struct question *question)
{
    const char *name = or_empty(question->attributes->name);
    if (is_subresource(question, "status"))
        return is_verb(question, "update,patch") ? allowed : no("");
    if (has_subresource(question))
        return no("");
    if (is_verb(question, "create,update,patch"))
        return allowed;
    if (!is_verb(question, "get,list,watch"))
        return no("");
    if (text_eq(name, question->node))
        return allowed;
    if (!name[0])
        return no(arena_printf(question->arena,
                               "node '%s' cannot read all nodes, only its own Node object",
                               question->node));
    return no(arena_printf(question->arena, "node '%s' cannot read '%s', only its own Node object",
                           question->node, name));
}

/* True when the field selector holds @field = the node's name. */
static bool selects_own(const struct question *question, const char *field)
{
    for (size_t i = 0; i < question->attributes->field_count; i++) {
        const struct authz_requirement *requirement = &question->attributes->fields[i];
        if (text_eq(requirement->field, field) && text_eq(requirement->value, question->node))
            return true;
    }
    return false;
}

static struct authz_verdict decide_slice(const struct question *question)
{
    if (has_subresource(question))
        return no("cannot authorize ResourceSlice subresources");
    if (is_verb(question, "create"))
        return allowed;
    if (is_verb(question, "get,update,patch,delete"))
        return related(question, AUTHZ_RESOURCE_SLICE);
    if (!is_verb(question, "watch,list,deletecollection"))
        return no("only the following verbs are allowed for a ResourceSlice: get, watch, list, "
                  "create, update, patch, delete, deletecollection");
    return selects_own(question, "spec.nodeName")
               ? allowed
               : no("can only list/watch/deletecollection resourceslices with nodeName field "
                    "selector");
}

static struct authz_verdict read_pods(const struct question *question)
{
    if (is_verb(question, "get"))
        return get_only(question, AUTHZ_POD);
    if (selects_own(question, "spec.nodeName"))
        return allowed;
    if (or_empty(question->attributes->name)[0])
        return related(question, AUTHZ_POD);
    return no("can only list/watch pods with spec.nodeName field selector");
}

static struct authz_verdict decide_pod(const struct question *question)
{
    if (!has_subresource(question) && is_verb(question, "get,list,watch"))
        return read_pods(question);
    if (!has_subresource(question))
        return is_verb(question, "create,delete") ? allowed : no("");
    if (is_subresource(question, "status"))
        return is_verb(question, "update,patch") ? allowed : no("");
    if (is_subresource(question, "eviction"))
        return is_verb(question, "create") ? allowed : no("");
    return no("");
}

/* --- the whole --- */

static const struct {
    const char *group;
    const char *resource;
    struct authz_verdict (*decide)(const struct question *question);
} deciders[] = {
    {"", "secrets", decide_secret},
    {"", "configmaps", decide_config_map},
    {"", "persistentvolumeclaims", decide_claim},
    {"", "persistentvolumes", decide_volume},
    {"resource.k8s.io", "resourceclaims", decide_resource_claim},
    {"storage.k8s.io", "volumeattachments", decide_attachment},
    {"", "serviceaccounts", decide_service_account},
    {"coordination.k8s.io", "leases", decide_lease},
    {"storage.k8s.io", "csinodes", decide_csi_node},
    {"resource.k8s.io", "resourceslices", decide_slice},
    {"", "nodes", decide_node_object},
    {"", "pods", decide_pod},
};

struct authz_verdict authz_decide_node(const struct authz_attributes *attributes, const char *node,
                                       const struct authz_policy *policy, struct arena *arena)
{
    const struct question question = {
        .attributes = attributes, .node = node, .policy = policy, .arena = arena};
    if (!node[0])
        return no(arena_printf(arena, "unknown node for user \"%s\"", attributes->user->name));
    for (size_t i = 0; attributes->is_resource && i < ARRAY_SIZE(deciders); i++) {
        if (text_eq(or_empty(attributes->group), deciders[i].group) &&
            text_eq(attributes->resource, deciders[i].resource))
            return deciders[i].decide(&question);
    }
    size_t count = 0;
    const struct authz_rule *rules = authz_node_rules(&count);
    for (size_t i = 0; i < count; i++) {
        if (authz_rule_allows(&rules[i], attributes))
            return allowed;
    }
    return no("");
}
