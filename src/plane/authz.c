/*
 * As kube-apiserver with --authorization-mode=Node,RBAC: who is a node is judged by the Node
 * authorizer first; everybody, nodes included, by the bindings of their user name and groups.
 */
#include "plane/authz_internal.h"

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* --- bindings --- */

/* Calls @each with every binding of @user until it returns true; then true as well. */
typedef bool on_binding(void *ctx, const struct authz_binding *binding);

static bool is_bound(const struct authz_binding *binding, const struct plane_user *user)
{
    return (binding->user && text_eq(binding->user, user->name)) ||
           (binding->group && plane_user_has_group(user, binding->group));
}

static bool each_of(const struct authz_binding *bindings, size_t count,
                    const struct plane_user *user, on_binding *each, void *ctx)
{
    for (size_t i = 0; i < count; i++) {
        if (is_bound(&bindings[i], user) && each(ctx, &bindings[i]))
            return true;
    }
    return false;
}

static bool each_binding(const struct plane_user *user, const struct authz_policy *policy,
                         on_binding *each, void *ctx)
{
    size_t count = 0;
    const struct authz_binding *builtin = authz_builtin_bindings(&count);
    return each_of(builtin, count, user, each, ctx) ||
           each_of(policy->bindings, policy->binding_count, user, each, ctx);
}

/* A binding in a namespace is about the resources in there, and no paths. */
static bool reaches(const struct authz_binding *binding, const char *namespace_)
{
    return !binding->namespace_ || (namespace_[0] && text_eq(binding->namespace_, namespace_));
}

/* --- deciding --- */

static bool allows(void *ctx, const struct authz_binding *binding)
{
    const struct authz_attributes *attributes = ctx;
    if (!reaches(binding, attributes->is_resource ? or_empty(attributes->namespace_) : ""))
        return false;
    for (size_t i = 0; i < binding->rule_count; i++) {
        if (authz_rule_allows(&binding->rules[i], attributes))
            return true;
    }
    return false;
}

struct authz_verdict authz_decide(const struct authz_attributes *attributes,
                                  const struct authz_policy *policy, struct arena *arena)
{
    struct authz_verdict verdict = {.reason = ""};
    const char *node = plane_user_node(attributes->user);
    if (node)
        verdict = authz_decide_node(attributes, node, policy, arena);
    struct authz_attributes copy = *attributes;
    if (!verdict.is_allowed && each_binding(attributes->user, policy, allows, &copy))
        verdict = (struct authz_verdict){.is_allowed = true, .reason = ""};
    return verdict;
}

/* --- refusing --- */

const char *authz_refusal(const struct authz_attributes *attributes, const char *reason,
                          struct arena *arena)
{
    const char *user = attributes->user->name, *verb = or_empty(attributes->verb);
    const char *group = or_empty(attributes->group), *what = or_empty(attributes->resource);
    const char *tail = or_empty(reason)[0] ? arena_printf(arena, ": %s", reason) : "";
    if (!attributes->is_resource)
        return arena_printf(arena, "User \"%s\" cannot %s path \"%s\"%s", user, verb,
                            or_empty(attributes->path), tail);
    if (or_empty(attributes->subresource)[0])
        what = arena_printf(arena, "%s/%s", what, attributes->subresource);
    if (or_empty(attributes->namespace_)[0])
        return arena_printf(
            arena,
            "User \"%s\" cannot %s resource \"%s\" in API group \"%s\" in the namespace "
            "\"%s\"%s",
            user, verb, what, group, attributes->namespace_, tail);
    return arena_printf(
        arena, "User \"%s\" cannot %s resource \"%s\" in API group \"%s\" at the cluster scope%s",
        user, verb, what, group, tail);
}

Meta__Status *authz_failure(const struct authz_attributes *attributes, const char *reason,
                            struct arena *arena)
{
    const char *why = authz_refusal(attributes, reason, arena);
    if (!attributes->is_resource)
        return failure_new(arena, 403, "forbidden: %s", why);
    const struct failure_target target = {
        .group = or_empty(attributes->group),
        .resource = or_empty(attributes->resource),
        .name = or_empty(attributes->name)[0] ? attributes->name : NULL,
    };
    return failure_forbidden(arena, &target, why);
}

Meta__Status *authz_check(const struct authz_attributes *attributes,
                          const struct authz_policy *policy, struct arena *arena)
{
    struct authz_verdict verdict = authz_decide(attributes, policy, arena);
    return verdict.is_allowed ? NULL : authz_failure(attributes, verdict.reason, arena);
}

/* --- SelfSubjectRulesReview --- */

struct review {
    const char *namespace_;
    struct arena *arena;
    Authorization__SubjectRulesReviewStatus *status;
};

#define REVIEW_RULES_MAX 256 /* rules shown of one kind; more make the answer incomplete */

static char **split(const char *list, struct arena *arena, size_t *ret_count)
{
    size_t count = 1;
    for (const char *c = list; *c; c++)
        count += *c == ',' ? 1 : 0;
    char **items = arena_calloc(arena, count, sizeof(*items));
    struct str rest = str_from(list), entry;
    for (size_t i = 0; i < count && str_split_next(&rest, ',', &entry); i++)
        items[i] = arena_strndup(arena, entry.ptr, entry.len);
    *ret_count = count;
    return items;
}

static void add_rule(struct review *review, const struct authz_rule *rule)
{
    Authorization__SubjectRulesReviewStatus *status = review->status;
    size_t *count = rule->paths ? &status->n_non_resource_rules : &status->n_resource_rules;
    if (*count == REVIEW_RULES_MAX) {
        status->has_incomplete = true;
        status->incomplete = 1;
        return;
    }
    if (rule->paths) {
        Authorization__NonResourceRule *shown =
            arena_alloc(review->arena, sizeof(Authorization__NonResourceRule));
        authorization__non_resource_rule__init(shown);
        shown->verbs = split(rule->verbs, review->arena, &shown->n_verbs);
        shown->non_resource_urls = split(rule->paths, review->arena, &shown->n_non_resource_urls);
        status->non_resource_rules[(*count)++] = shown;
        return;
    }
    Authorization__ResourceRule *shown =
        arena_alloc(review->arena, sizeof(Authorization__ResourceRule));
    authorization__resource_rule__init(shown);
    shown->verbs = split(rule->verbs, review->arena, &shown->n_verbs);
    shown->api_groups = split(rule->groups, review->arena, &shown->n_api_groups);
    shown->resources = split(rule->resources, review->arena, &shown->n_resources);
    if (rule->names)
        shown->resource_names = split(rule->names, review->arena, &shown->n_resource_names);
    status->resource_rules[(*count)++] = shown;
}

static bool show(void *ctx, const struct authz_binding *binding)
{
    struct review *review = ctx;
    for (size_t i = 0; reaches(binding, review->namespace_) && i < binding->rule_count; i++)
        add_rule(review, &binding->rules[i]);
    return false;
}

Authorization__SubjectRulesReviewStatus *authz_rules_review(const struct plane_user *user,
                                                            const char *namespace_,
                                                            const struct authz_policy *policy,
                                                            struct arena *arena)
{
    Authorization__SubjectRulesReviewStatus *status =
        arena_alloc(arena, sizeof(Authorization__SubjectRulesReviewStatus));
    authorization__subject_rules_review_status__init(status);
    status->resource_rules = arena_calloc(arena, REVIEW_RULES_MAX, sizeof(void *));
    status->non_resource_rules = arena_calloc(arena, REVIEW_RULES_MAX, sizeof(void *));
    status->has_incomplete = true;
    status->incomplete = plane_user_node(user) ? 1 : 0;
    if (status->incomplete)
        status->evaluation_error =
            arena_strdup(arena, "node authorizer does not support user rule resolution");
    struct review review = {.namespace_ = or_empty(namespace_), .arena = arena, .status = status};
    (void)each_binding(user, policy, show, &review);
    return status;
}

/* --- SubjectAccessReview --- */

/* The `=` requirements of a review's selector: In with one value. */
static void add_fields(const Authorization__FieldSelectorAttributes *selector, struct arena *arena,
                       struct authz_attributes *ret)
{
    size_t room = selector ? selector->n_requirements : 0;
    struct authz_requirement *fields = arena_calloc(arena, room + 1, sizeof(*fields));
    for (size_t i = 0; i < room; i++) {
        const Meta__FieldSelectorRequirement *requirement = selector->requirements[i];
        if (text_eq(requirement->operator_, "In") && requirement->n_values == 1)
            fields[ret->field_count++] =
                (struct authz_requirement){requirement->key, requirement->values[0]};
    }
    ret->fields = fields;
}

bool authz_attributes_of_review(const Authorization__ResourceAttributes *resource,
                                const Authorization__NonResourceAttributes *path,
                                const struct plane_user *user, struct arena *arena,
                                struct authz_attributes *ret)
{
    if ((resource != NULL) == (path != NULL))
        return false;
    *ret = (struct authz_attributes){.user = user, .is_resource = resource != NULL};
    if (path) {
        ret->verb = path->verb;
        ret->path = path->path;
        return true;
    }
    ret->verb = resource->verb;
    ret->group = resource->group;
    ret->version = resource->version;
    ret->resource = resource->resource;
    ret->subresource = resource->subresource;
    ret->namespace_ = resource->namespace_;
    ret->name = resource->name;
    add_fields(resource->field_selector, arena, ret);
    return true;
}
