/*
 * The roles of a fresh cluster that matter on one node (plugin/pkg/auth/authorizer/rbac/
 * bootstrappolicy), as tables, and RBAC's matching of one rule.
 */
#include "plane/authz_internal.h"

static const struct authz_rule cluster_admin[] = {
    {.verbs = "*", .groups = "*", .resources = "*"},
    {.verbs = "*", .paths = "*"},
};

/* system:basic-user */
static const struct authz_rule basic_user[] = {
    {.verbs = "create",
     .groups = "authorization.k8s.io",
     .resources = "selfsubjectaccessreviews,selfsubjectrulesreviews"},
    {.verbs = "create", .groups = "authentication.k8s.io", .resources = "selfsubjectreviews"},
};

/* system:discovery */
static const struct authz_rule discovery[] = {
    {.verbs = "get",
     .paths = "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,"
              "/version/"},
};

/* system:public-info-viewer */
static const struct authz_rule public_info[] = {
    {.verbs = "get", .paths = "/healthz,/livez,/readyz,/version,/version/"},
};

/* system:service-account-issuer-discovery */
static const struct authz_rule issuer_discovery[] = {
    {.verbs = "get",
     .paths = "/.well-known/openid-configuration,/.well-known/openid-configuration/,"
              "/openid/v1/jwks,/openid/v1/jwks/"},
};

/* system:certificates.k8s.io:certificatesigningrequests:selfnodeclient, which kubeadm binds to
 * nodes so that they can renew their client certificates. */
static const struct authz_rule self_node_client[] = {
    {.verbs = "create",
     .groups = "certificates.k8s.io",
     .resources = "certificatesigningrequests/selfnodeclient"},
};

static const struct authz_binding builtin[] = {
    {.group = GROUP_MASTERS, .rules = cluster_admin, .rule_count = ARRAY_SIZE(cluster_admin)},
    {.group = GROUP_AUTHENTICATED, .rules = basic_user, .rule_count = ARRAY_SIZE(basic_user)},
    {.group = GROUP_AUTHENTICATED, .rules = discovery, .rule_count = ARRAY_SIZE(discovery)},
    {.group = GROUP_AUTHENTICATED, .rules = public_info, .rule_count = ARRAY_SIZE(public_info)},
    {.group = GROUP_UNAUTHENTICATED, .rules = public_info, .rule_count = ARRAY_SIZE(public_info)},
    {.group = GROUP_SERVICE_ACCOUNTS,
     .rules = issuer_discovery,
     .rule_count = ARRAY_SIZE(issuer_discovery)},
    {.group = GROUP_NODES, .rules = self_node_client, .rule_count = ARRAY_SIZE(self_node_client)},
};

const struct authz_binding *authz_builtin_bindings(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(builtin);
    return builtin;
}

/* NodeRules() of policy.go, without what authz_node.c decides itself. */
static const struct authz_rule node[] = {
    {.verbs = "create", .groups = "authentication.k8s.io", .resources = "tokenreviews"},
    {.verbs = "create",
     .groups = "authorization.k8s.io",
     .resources = "subjectaccessreviews,localsubjectaccessreviews"},
    {.verbs = "get,list,watch", .groups = "", .resources = "services"},
    {.verbs = "create,update,patch", .groups = "", .resources = "events"},
    {.verbs = "get", .groups = "", .resources = "endpoints"},
    {.verbs = "create,get,list,watch",
     .groups = "certificates.k8s.io",
     .resources = "certificatesigningrequests"},
    {.verbs = "get,list,watch",
     .groups = "certificates.k8s.io",
     .resources = "clustertrustbundles"},
    {.verbs = "get,list,watch", .groups = "storage.k8s.io", .resources = "csidrivers"},
    {.verbs = "get,list,watch", .groups = "node.k8s.io", .resources = "runtimeclasses"},
};

const struct authz_rule *authz_node_rules(size_t *ret_count)
{
    *ret_count = ARRAY_SIZE(node);
    return node;
}

/* --- matching --- */

bool authz_list_has(const char *list, const char *item)
{
    struct str rest = str_from(list), entry;
    while (str_split_next(&rest, ',', &entry)) {
        if (str_eq_c(entry, item))
            return true;
    }
    return false;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* "pods" and "pods/status" as written, "*" for all, "*" + "/status" for that part of all. */
static bool resource_matches(const char *list, const struct authz_attributes *attributes)
{
    const char *subresource = or_empty(attributes->subresource);
    const char *resource = or_empty(attributes->resource);
    size_t resource_len = strlen(resource);
    struct str rest = str_from(list), entry;
    while (str_split_next(&rest, ',', &entry)) {
        if (str_eq_c(entry, "*"))
            return true;
        size_t slash = str_find(entry, '/');
        struct str head = {.ptr = entry.ptr, .len = slash};
        struct str tail = {.ptr = entry.ptr + slash, .len = entry.len - slash};
        bool is_part = tail.len > 0;
        if (is_part)
            tail = (struct str){.ptr = tail.ptr + 1, .len = tail.len - 1};
        bool is_head = (head.len == resource_len && str_eq_c(head, resource)) ||
                       (is_part && str_eq_c(head, "*"));
        if (is_head && is_part == (subresource[0] != '\0') && str_eq_c(tail, subresource))
            return true;
    }
    return false;
}

static bool path_matches(const char *list, const char *path)
{
    struct str rest = str_from(list), entry;
    while (str_split_next(&rest, ',', &entry)) {
        struct str stem = {.ptr = entry.ptr, .len = entry.len - 1};
        bool is_open = entry.len > 0 && entry.ptr[entry.len - 1] == '*';
        if (str_eq_c(entry, path) ||
            (is_open && strlen(path) >= stem.len && memcmp(path, stem.ptr, stem.len) == 0))
            return true;
    }
    return false;
}

static bool list_has_or_all(const char *list, const char *item)
{
    return authz_list_has(list, "*") || authz_list_has(list, item);
}

bool authz_rule_allows(const struct authz_rule *rule, const struct authz_attributes *attributes)
{
    if (!list_has_or_all(rule->verbs, or_empty(attributes->verb)))
        return false;
    if (!attributes->is_resource)
        return rule->paths && path_matches(rule->paths, or_empty(attributes->path));
    return rule->resources && list_has_or_all(rule->groups, or_empty(attributes->group)) &&
           resource_matches(rule->resources, attributes) &&
           (!rule->names || authz_list_has(rule->names, or_empty(attributes->name)));
}
