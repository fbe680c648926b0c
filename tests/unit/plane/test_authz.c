#include "plane/authz.h"

#include "tests/lib/test.h"

static const char *const master_groups[] = {"system:masters", "system:authenticated"};
static const char *const user_groups[] = {"dev", "system:authenticated"};
static const char *const nobody_groups[] = {"system:unauthenticated"};
static const char *const node_groups[] = {"system:nodes", "system:authenticated"};
static const char *const account_groups[] = {
    "system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"};

static const struct plane_user admin = {"kubernetes-admin", "", {master_groups, 2}, NULL, 0};
static const struct plane_user jane = {"jane", "", {user_groups, 2}, NULL, 0};
static const struct plane_user nobody = {"system:anonymous", "", {nobody_groups, 1}, NULL, 0};
static const struct plane_user node_a = {"system:node:node-a", "", {node_groups, 2}, NULL, 0};
static const struct plane_user nameless = {"system:node:", "", {node_groups, 2}, NULL, 0};
static const struct plane_user account = {
    "system:serviceaccount:kube-system:default", "", {account_groups, 3}, NULL, 0};

/* node-a has to do with everything called "mine". */
static bool is_mine(UNUSED void *ctx, UNUSED enum authz_object kind, UNUSED const char *namespace_,
                    const char *name, const char *node)
{
    return text_eq(name, "mine") && text_eq(node, "node-a");
}

static const struct authz_facts facts = {.is_referenced = is_mine};
static const struct authz_policy policy = {.facts = &facts};

#define YES "yes"

/* --- paths --- */

TEST_CASE(paths_are_for_those_who_may_know_of_them)
{
    static const struct {
        const struct plane_user *user;
        const char *verb, *path;
        bool want;
    } rows[] = {
        {&nobody, "get", "/healthz", true},
        {&nobody, "get", "/livez", true},
        {&nobody, "get", "/readyz", true},
        {&nobody, "get", "/version", true},
        {&nobody, "get", "/version/", true},
        {&nobody, "post", "/version", false},
        {&nobody, "get", "/healthz/etcd", false},
        {&nobody, "get", "/api", false},
        {&nobody, "get", "/apis/apps/v1", false},
        {&nobody, "get", "/openapi/v3", false},
        {&nobody, "get", "/metrics", false},
        {&nobody, "get", "/", false},
        {&jane, "get", "/api", true},
        {&jane, "get", "/api/v1", true},
        {&jane, "get", "/apis", true},
        {&jane, "get", "/apis/coordination.k8s.io/v1", true},
        {&jane, "get", "/apisx", false},
        {&jane, "get", "/openapi/v2", true},
        {&jane, "get", "/metrics", false},
        {&jane, "get", "/.well-known/openid-configuration", false},
        {&account, "get", "/.well-known/openid-configuration", true},
        {&account, "get", "/openid/v1/jwks", true},
        {&account, "get", "/metrics", false},
        {&node_a, "get", "/api/v1", true},
        {&node_a, "get", "/healthz", true},
        {&admin, "get", "/metrics", true},
        {&admin, "delete", "/anything", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct authz_attributes attributes = {
            .user = rows[i].user, .verb = rows[i].verb, .path = rows[i].path};
        if (authz_decide(&attributes, &policy, arena).is_allowed != rows[i].want)
            fail_msg("%s %s as %s", rows[i].verb, rows[i].path, rows[i].user->name);
    }
}

/* --- resources of people --- */

TEST_CASE(people_review_themselves_and_nothing_else)
{
    static const struct {
        const struct plane_user *user;
        const char *verb, *group, *resource, *subresource;
        bool want;
    } rows[] = {
        {&admin, "deletecollection", "", "pods", NULL, true},
        {&admin, "impersonate", "", "users", NULL, true},
        {&admin, "create", "example.com", "anything", "odd", true},
        {&jane, "create", "authorization.k8s.io", "selfsubjectaccessreviews", NULL, true},
        {&jane, "create", "authorization.k8s.io", "selfsubjectrulesreviews", NULL, true},
        {&jane, "create", "authentication.k8s.io", "selfsubjectreviews", NULL, true},
        {&jane, "create", "authorization.k8s.io", "subjectaccessreviews", NULL, false},
        {&jane, "create", "authentication.k8s.io", "tokenreviews", NULL, false},
        {&jane, "get", "", "pods", NULL, false},
        {&jane, "create", "certificates.k8s.io", "certificatesigningrequests", NULL, false},
        {&jane, "impersonate", "", "users", NULL, false},
        {&account, "create", "authentication.k8s.io", "selfsubjectreviews", NULL, true},
        {&account, "get", "", "secrets", NULL, false},
        {&account, "list", "", "pods", NULL, false},
        {&nobody, "create", "authentication.k8s.io", "selfsubjectreviews", NULL, false},
        {&nobody, "get", "", "namespaces", NULL, false},
        {&node_a, "create", "authentication.k8s.io", "selfsubjectreviews", NULL, true},
        {&node_a, "create", "certificates.k8s.io", "certificatesigningrequests", "selfnodeclient",
         true},
        {&node_a, "create", "certificates.k8s.io", "certificatesigningrequests", "nodeclient",
         false},
        {&node_a, "create", "certificates.k8s.io", "certificatesigningrequests", "selfnodeserver",
         false},
        {&jane, "*", "*", "*", NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct authz_attributes attributes = {.user = rows[i].user,
                                                    .verb = rows[i].verb,
                                                    .is_resource = true,
                                                    .group = rows[i].group,
                                                    .resource = rows[i].resource,
                                                    .subresource = rows[i].subresource,
                                                    .namespace_ = "default",
                                                    .name = "x"};
        if (authz_decide(&attributes, &policy, arena).is_allowed != rows[i].want)
            fail_msg("%s %s as %s", rows[i].verb, rows[i].resource, rows[i].user->name);
    }
}

/* --- nodes --- */

#define NO_RELATION "no relationship found between node 'node-a' and this object"

static const struct {
    const char *verb, *group, *resource, *subresource, *namespace_, *name;
    const char *selector; /* "field=value" */
    const char *want;     /* YES or the reason why not */
} node_rows[] = {
    /* nodes */
    {"get", "", "nodes", NULL, NULL, "node-a", NULL, YES},
    {"watch", "", "nodes", NULL, NULL, "node-a", NULL, YES},
    {"list", "", "nodes", NULL, NULL, NULL, NULL,
     "node 'node-a' cannot read all nodes, only its own Node object"},
    {"get", "", "nodes", NULL, NULL, "node-b", NULL,
     "node 'node-a' cannot read 'node-b', only its own Node object"},
    {"create", "", "nodes", NULL, NULL, NULL, NULL, YES},
    {"patch", "", "nodes", "status", NULL, "node-a", NULL, YES},
    {"update", "", "nodes", "status", NULL, "node-a", NULL, YES},
    {"get", "", "nodes", "status", NULL, "node-a", NULL, ""},
    {"get", "", "nodes", "proxy", NULL, "node-a", NULL, ""},
    {"delete", "", "nodes", NULL, NULL, "node-a", NULL, ""},
    /* pods */
    {"get", "", "pods", NULL, "default", "mine", NULL, YES},
    {"get", "", "pods", NULL, "default", "theirs", NULL, NO_RELATION},
    {"get", "", "pods", "log", "default", "mine", NULL, ""},
    {"list", "", "pods", NULL, NULL, NULL, "spec.nodeName=node-a", YES},
    {"watch", "", "pods", NULL, NULL, NULL, "spec.nodeName=node-a", YES},
    {"list", "", "pods", NULL, NULL, NULL, "spec.nodeName=node-b",
     "can only list/watch pods with spec.nodeName field selector"},
    {"list", "", "pods", NULL, NULL, NULL, NULL,
     "can only list/watch pods with spec.nodeName field selector"},
    {"watch", "", "pods", NULL, "default", "mine", "metadata.name=mine", YES},
    {"create", "", "pods", NULL, "default", NULL, NULL, YES},
    {"delete", "", "pods", NULL, "default", "mine", NULL, YES},
    {"update", "", "pods", NULL, "default", "mine", NULL, ""},
    {"patch", "", "pods", "status", "default", "mine", NULL, YES},
    {"create", "", "pods", "eviction", "default", "mine", NULL, YES},
    {"create", "", "pods", "exec", "default", "mine", NULL, ""},
    {"create", "", "pods", "binding", "default", "mine", NULL, ""},
    {"deletecollection", "", "pods", NULL, "default", NULL, NULL, ""},
    /* what pods refer to */
    {"get", "", "secrets", NULL, "default", "mine", NULL, YES},
    {"watch", "", "secrets", NULL, "default", "mine", "metadata.name=mine", YES},
    {"get", "", "secrets", NULL, "default", "theirs", NULL, NO_RELATION},
    {"list", "", "secrets", NULL, "default", NULL, NULL, "No Object name found"},
    {"list", "", "secrets", NULL, NULL, "mine", NULL,
     "can only read namespaced object of this type"},
    {"update", "", "secrets", NULL, "default", "mine", NULL,
     "can only read resources of this type"},
    {"get", "", "configmaps", NULL, "default", "mine", NULL, YES},
    {"get", "", "configmaps", "x", "default", "mine", NULL, "cannot read subresource"},
    {"get", "", "persistentvolumeclaims", NULL, "default", "mine", NULL, YES},
    {"list", "", "persistentvolumeclaims", NULL, "default", NULL, NULL,
     "can only get individual resources of this type"},
    {"patch", "", "persistentvolumeclaims", "status", "default", "mine", NULL, YES},
    {"patch", "", "persistentvolumeclaims", "status", "default", "theirs", NULL, NO_RELATION},
    {"get", "", "persistentvolumeclaims", "status", "default", "mine", NULL,
     "can only get/update/patch this type"},
    {"get", "", "persistentvolumes", NULL, NULL, "mine", NULL, YES},
    {"get", "resource.k8s.io", "resourceclaims", NULL, "default", "mine", NULL, YES},
    {"get", "storage.k8s.io", "volumeattachments", NULL, NULL, "mine", NULL, YES},
    {"list", "storage.k8s.io", "volumeattachments", NULL, NULL, NULL, NULL,
     "can only get individual resources of this type"},
    {"create", "", "serviceaccounts", "token", "default", "mine", NULL, YES},
    {"create", "", "serviceaccounts", "token", "default", "theirs", NULL, NO_RELATION},
    {"get", "", "serviceaccounts", NULL, "default", "mine", NULL, YES},
    {"get", "", "serviceaccounts", NULL, "default", "theirs", NULL, NO_RELATION},
    {"get", "", "serviceaccounts", "token", "default", "mine", NULL,
     "can only create tokens for individual service accounts"},
    {"list", "", "serviceaccounts", NULL, "default", NULL, NULL,
     "can only create tokens for individual service accounts"},
    {"create", "", "serviceaccounts", NULL, "default", "mine", NULL,
     "can only create token subresource of serviceaccount"},
    /* the node's own */
    {"create", "coordination.k8s.io", "leases", NULL, "kube-node-lease", NULL, NULL, YES},
    {"update", "coordination.k8s.io", "leases", NULL, "kube-node-lease", "node-a", NULL, YES},
    {"update", "coordination.k8s.io", "leases", NULL, "kube-node-lease", "node-b", NULL,
     "can only access node lease with the same name as the requesting node"},
    {"get", "coordination.k8s.io", "leases", NULL, "default", "node-a", NULL,
     "can only access leases in the \"kube-node-lease\" system namespace"},
    {"list", "coordination.k8s.io", "leases", NULL, "kube-node-lease", NULL, NULL,
     "can only get, create, update, patch, or delete a node lease"},
    {"patch", "storage.k8s.io", "csinodes", NULL, NULL, "node-a", NULL, YES},
    {"get", "storage.k8s.io", "csinodes", NULL, NULL, "node-b", NULL,
     "can only access CSINode with the same name as the requesting node"},
    {"create", "resource.k8s.io", "resourceslices", NULL, NULL, NULL, NULL, YES},
    {"list", "resource.k8s.io", "resourceslices", NULL, NULL, NULL, "spec.nodeName=node-a", YES},
    {"list", "resource.k8s.io", "resourceslices", NULL, NULL, NULL, NULL,
     "can only list/watch/deletecollection resourceslices with nodeName field selector"},
    /* what every node may */
    {"list", "", "services", NULL, NULL, NULL, NULL, YES},
    {"create", "", "services", NULL, "default", NULL, NULL, ""},
    {"get", "", "endpoints", NULL, "default", "x", NULL, YES},
    {"create", "", "events", NULL, "default", NULL, NULL, YES},
    {"patch", "", "events", NULL, "default", "x", NULL, YES},
    {"get", "", "events", NULL, "default", "x", NULL, ""},
    {"create", "authentication.k8s.io", "tokenreviews", NULL, NULL, NULL, NULL, YES},
    {"create", "authorization.k8s.io", "subjectaccessreviews", NULL, NULL, NULL, NULL, YES},
    {"create", "certificates.k8s.io", "certificatesigningrequests", NULL, NULL, NULL, NULL, YES},
    {"watch", "certificates.k8s.io", "certificatesigningrequests", NULL, NULL, NULL, NULL, YES},
    {"update", "certificates.k8s.io", "certificatesigningrequests", "approval", NULL, "x", NULL,
     ""},
    {"list", "node.k8s.io", "runtimeclasses", NULL, NULL, NULL, NULL, YES},
    {"list", "storage.k8s.io", "csidrivers", NULL, NULL, NULL, NULL, YES},
    {"list", "storage.k8s.io", "storageclasses", NULL, NULL, NULL, NULL, ""},
    {"list", "", "namespaces", NULL, NULL, NULL, NULL, ""},
    {"get", "apps", "secrets", NULL, "default", "mine", NULL, ""},
};

static void add_selector(const char *selector, struct arena *arena,
                         struct authz_attributes *attributes)
{
    if (!selector)
        return;
    struct authz_requirement *field = arena_alloc(arena, sizeof(*field));
    struct str text = str_from(selector);
    size_t equals = str_find(text, '=');
    field->field = arena_strndup(arena, text.ptr, equals);
    field->value = text.ptr + equals + 1;
    attributes->fields = field;
    attributes->field_count = 1;
}

TEST_CASE(a_node_may_what_the_node_authorizer_allows)
{
    for (size_t i = 0; i < ARRAY_SIZE(node_rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct authz_attributes attributes = {.user = &node_a,
                                              .verb = node_rows[i].verb,
                                              .is_resource = true,
                                              .group = node_rows[i].group,
                                              .resource = node_rows[i].resource,
                                              .subresource = node_rows[i].subresource,
                                              .namespace_ = node_rows[i].namespace_,
                                              .name = node_rows[i].name};
        add_selector(node_rows[i].selector, arena, &attributes);
        struct authz_verdict verdict = authz_decide(&attributes, &policy, arena);
        const char *got = verdict.is_allowed ? YES : verdict.reason;
        if (strcmp(got, node_rows[i].want) != 0)
            fail_msg("row %zu, %s %s %s: %s", i, node_rows[i].verb, node_rows[i].resource,
                     node_rows[i].name ? node_rows[i].name : "", got);
    }
}

TEST_CASE(a_nameless_node_may_nothing_of_a_node)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct authz_attributes attributes = {
        .user = &nameless, .verb = "get", .is_resource = true, .resource = "services", .name = "x"};
    struct authz_verdict verdict = authz_decide(&attributes, &policy, arena);
    assert_false(verdict.is_allowed);
    assert_string_equal(verdict.reason, "unknown node for user \"system:node:\"");
}

TEST_CASE(without_facts_a_node_is_related_to_nothing)
{
    static const struct authz_policy bare = {0};
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct authz_attributes attributes = {.user = &node_a,
                                                .verb = "get",
                                                .is_resource = true,
                                                .resource = "secrets",
                                                .namespace_ = "default",
                                                .name = "mine"};
    assert_false(authz_decide(&attributes, &bare, arena).is_allowed);
}

/* --- bindings --- */

TEST_CASE(bindings_add_rights_where_they_are_bound)
{
    static const struct authz_rule rules[] = {
        {.verbs = "get,list", .groups = ",apps", .resources = "pods,deployments,*/scale"},
        {.verbs = "*", .groups = "", .resources = "configmaps", .names = "one,two"},
        {.verbs = "get", .paths = "/metrics"},
    };
    static const struct authz_binding bindings[] = {
        {.user = "jane", .namespace_ = "default", .rules = rules, .rule_count = 3},
        {.group = "system:serviceaccounts:kube-system", .rules = rules, .rule_count = 3},
    };
    static const struct authz_policy bound = {.bindings = bindings, .binding_count = 2};
    static const struct {
        const struct plane_user *user;
        const char *verb, *group, *resource, *subresource, *namespace_, *name;
        bool want;
    } rows[] = {
        {&jane, "get", "", "pods", NULL, "default", "x", true},
        {&jane, "get", "apps", "deployments", NULL, "default", "x", true},
        {&jane, "get", "apps", "statefulsets", "scale", "default", "x", true},
        {&jane, "get", "apps", "statefulsets", NULL, "default", "x", false},
        {&jane, "get", "", "pods", "log", "default", "x", false},
        {&jane, "get", "batch", "pods", NULL, "default", "x", false},
        {&jane, "delete", "", "pods", NULL, "default", "x", false},
        {&jane, "get", "", "pods", NULL, "other", "x", false},
        {&jane, "list", "", "pods", NULL, NULL, NULL, false},
        {&jane, "delete", "", "configmaps", NULL, "default", "two", true},
        {&jane, "delete", "", "configmaps", NULL, "default", "three", false},
        {&jane, "list", "", "configmaps", NULL, "default", NULL, false},
        {&account, "list", "", "pods", NULL, NULL, NULL, true},
        {&nobody, "list", "", "pods", NULL, NULL, NULL, false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct authz_attributes attributes = {.user = rows[i].user,
                                                    .verb = rows[i].verb,
                                                    .is_resource = true,
                                                    .group = rows[i].group,
                                                    .resource = rows[i].resource,
                                                    .subresource = rows[i].subresource,
                                                    .namespace_ = rows[i].namespace_,
                                                    .name = rows[i].name};
        if (authz_decide(&attributes, &bound, arena).is_allowed != rows[i].want)
            fail_msg("row %zu: %s %s", i, rows[i].verb, rows[i].resource);
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    struct authz_attributes path = {.user = &jane, .verb = "get", .path = "/metrics"};
    assert_false(authz_decide(&path, &bound, arena).is_allowed);
    path.user = &account;
    assert_true(authz_decide(&path, &bound, arena).is_allowed);
}

/* --- words --- */

TEST_CASE(refusals_read_as_upstream_s)
{
    static const struct {
        struct authz_attributes attributes;
        const char *want;
    } rows[] = {
        {{.user = &jane,
          .verb = "list",
          .is_resource = true,
          .resource = "pods",
          .namespace_ = "default"},
         "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the "
         "namespace \"default\""},
        {{.user = &jane, .verb = "get", .is_resource = true, .resource = "nodes", .name = "n"},
         "nodes \"n\" is forbidden: User \"jane\" cannot get resource \"nodes\" in API group \"\" "
         "at the cluster scope"},
        {{.user = &jane,
          .verb = "patch",
          .is_resource = true,
          .group = "apps",
          .resource = "deployments",
          .subresource = "scale",
          .namespace_ = "x",
          .name = "web"},
         "deployments.apps \"web\" is forbidden: User \"jane\" cannot patch resource "
         "\"deployments/scale\" in API group \"apps\" in the namespace \"x\""},
        {{.user = &nobody, .verb = "get", .path = "/metrics"},
         "forbidden: User \"system:anonymous\" cannot get path \"/metrics\""},
        {{.user = &node_a,
          .verb = "get",
          .is_resource = true,
          .resource = "secrets",
          .namespace_ = "default",
          .name = "theirs"},
         "secrets \"theirs\" is forbidden: User \"system:node:node-a\" cannot get resource "
         "\"secrets\" in API group \"\" in the namespace \"default\": no relationship found "
         "between node 'node-a' and this object"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const Meta__Status *failure = authz_check(&rows[i].attributes, &policy, arena);
        assert_non_null(failure);
        assert_int_equal(failure->code, 403);
        assert_string_equal(failure->reason, "Forbidden");
        assert_string_equal(failure->message, rows[i].want);
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct authz_attributes fine = {.user = &admin, .verb = "get", .path = "/"};
    assert_null(authz_check(&fine, &policy, arena));
}

/* --- reviews --- */

TEST_CASE(a_rules_review_shows_the_same_table)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Authorization__SubjectRulesReviewStatus *of_jane =
        authz_rules_review(&jane, "default", &policy, arena);
    assert_int_equal(of_jane->n_resource_rules, 2);
    assert_string_equal(of_jane->resource_rules[0]->resources[0], "selfsubjectaccessreviews");
    assert_string_equal(of_jane->resource_rules[0]->resources[1], "selfsubjectrulesreviews");
    assert_string_equal(of_jane->resource_rules[0]->verbs[0], "create");
    assert_int_equal(of_jane->n_non_resource_rules, 2);
    assert_int_equal(of_jane->incomplete, 0);
    const Authorization__SubjectRulesReviewStatus *of_admin =
        authz_rules_review(&admin, "default", &policy, arena);
    assert_string_equal(of_admin->resource_rules[0]->verbs[0], "*");
    assert_string_equal(of_admin->resource_rules[0]->api_groups[0], "*");
    const Authorization__SubjectRulesReviewStatus *of_node =
        authz_rules_review(&node_a, "default", &policy, arena);
    assert_int_equal(of_node->incomplete, 1);
    assert_string_equal(of_node->evaluation_error,
                        "node authorizer does not support user rule resolution");
}

TEST_CASE(an_access_review_becomes_attributes)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct authz_attributes attributes;
    assert_false(authz_attributes_of_review(NULL, NULL, &jane, arena, &attributes));
    Authorization__ResourceAttributes resource = AUTHORIZATION__RESOURCE_ATTRIBUTES__INIT;
    Authorization__NonResourceAttributes path = AUTHORIZATION__NON_RESOURCE_ATTRIBUTES__INIT;
    assert_false(authz_attributes_of_review(&resource, &path, &jane, arena, &attributes));
    path.path = arena_strdup(arena, "/api");
    path.verb = arena_strdup(arena, "get");
    assert_true(authz_attributes_of_review(NULL, &path, &jane, arena, &attributes));
    assert_true(authz_decide(&attributes, &policy, arena).is_allowed);

    char *values[] = {arena_strdup(arena, "node-a")};
    Meta__FieldSelectorRequirement requirement = META__FIELD_SELECTOR_REQUIREMENT__INIT;
    requirement.key = arena_strdup(arena, "spec.nodeName");
    requirement.operator_ = arena_strdup(arena, "In");
    requirement.values = values;
    requirement.n_values = 1;
    Meta__FieldSelectorRequirement *requirements[] = {&requirement};
    Authorization__FieldSelectorAttributes selector =
        AUTHORIZATION__FIELD_SELECTOR_ATTRIBUTES__INIT;
    selector.requirements = requirements;
    selector.n_requirements = 1;
    resource.verb = arena_strdup(arena, "list");
    resource.resource = arena_strdup(arena, "pods");
    resource.field_selector = &selector;
    assert_true(authz_attributes_of_review(&resource, NULL, &node_a, arena, &attributes));
    assert_true(authz_decide(&attributes, &policy, arena).is_allowed);
    requirement.operator_ = arena_strdup(arena, "NotIn");
    assert_true(authz_attributes_of_review(&resource, NULL, &node_a, arena, &attributes));
    assert_false(authz_decide(&attributes, &policy, arena).is_allowed);
}

TEST_MAIN(TEST(paths_are_for_those_who_may_know_of_them),
          TEST(people_review_themselves_and_nothing_else),
          TEST(a_node_may_what_the_node_authorizer_allows),
          TEST(a_nameless_node_may_nothing_of_a_node),
          TEST(without_facts_a_node_is_related_to_nothing),
          TEST(bindings_add_rights_where_they_are_bound), TEST(refusals_read_as_upstream_s),
          TEST(a_rules_review_shows_the_same_table), TEST(an_access_review_becomes_attributes))
