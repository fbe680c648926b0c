/*
 * What a user may do: a pure decision over the attributes of a request, from a table of rules as
 * RBAC's and, for nodes, from upstream's Node authorizer. There are no Role objects: the roles are
 * built in (system:masters, discovery, basic user, public info, nodes) and whoever starts nodeplane
 * may add bindings. Nobody is ever denied outright, only not allowed. No clock, no I/O. Any thread.
 */
#pragma once

#include "plane/authn.h"

#include "authorization.pb-c.h"

/** A requirement `field=value` of a list's or watch's field selector; `!=` ones are left out. */
struct authz_requirement {
    const char *field;
    const char *value;
};

/** What is asked. Texts may be NULL for "". All borrowed. */
struct authz_attributes {
    const struct plane_user *user;
    const char *verb; /* "get", "list", …; for paths the method in lower case */
    bool is_resource;
    /* resource requests */
    const char *group, *version, *resource, *subresource;
    const char *namespace_; /* NULL or "": none, or all */
    const char *name; /* NULL or "": none; of a list or watch the one that metadata.name= asks */
    const struct authz_requirement *fields;
    size_t field_count;
    /* others */
    const char *path; /* "/healthz" */
};

/* --- rules --- */

/** What is allowed, as a PolicyRule: each text is a comma-separated list, in which `*` is
 * everything. A rule is about resources or about paths. */
struct authz_rule {
    const char *verbs;
    const char *groups;    /* "" is the core group alone: ",apps" is core and apps */
    const char *resources; /* "pods,pods/status"; an asterisk before a slash stands for all
                              resources that have the subresource */
    const char *names;     /* NULL: all */
    const char *paths;     /* "/version,/api"; an asterisk at the end of one stands for any ending;
                              NULL for a rule about resources */
};

/** Gives rules to a user or a group. */
struct authz_binding {
    const char *user;       /* NULL: see group */
    const char *group;      /* NULL: see user */
    const char *namespace_; /* NULL: everywhere; otherwise only in there */
    const struct authz_rule *rules;
    size_t rule_count;
};

/* --- facts about nodes --- */

enum authz_object {
    AUTHZ_SECRET,
    AUTHZ_CONFIG_MAP,
    AUTHZ_CLAIM,  /* persistentvolumeclaims */
    AUTHZ_VOLUME, /* persistentvolumes */
    AUTHZ_RESOURCE_CLAIM,
    AUTHZ_ATTACHMENT, /* volumeattachments */
    AUTHZ_SERVICE_ACCOUNT,
    AUTHZ_POD,
    AUTHZ_RESOURCE_SLICE,
};

struct authz_facts {
    /** True when the object has to do with @node: a pod bound to it, what such a pod refers to
     * (plane/references.h), the volume behind its claim and that volume's secret, an attachment or
     * slice of the node. @namespace_ "" for what has none. */
    bool (*is_referenced)(void *ctx, enum authz_object kind, const char *namespace_,
                          const char *name, const char *node);
};

struct authz_policy {
    const struct authz_binding *bindings; /* beside the built-in ones */
    size_t binding_count;
    const struct authz_facts *facts; /* NULL: nodes are related to nothing */
    void *facts_ctx;
};

/* --- decisions --- */

struct authz_verdict {
    bool is_allowed;
    const char *reason; /* why not, or ""; in the arena */
};

struct authz_verdict authz_decide(const struct authz_attributes *attributes,
                                  const struct authz_policy *policy, struct arena *arena);

/** `User "x" cannot list resource "pods" in API group "" in the namespace "default"`, with
 * `: <reason>` when there is one. */
const char *authz_refusal(const struct authz_attributes *attributes, const char *reason,
                          struct arena *arena);

/** The 403 that is answered: `pods is forbidden: User "x" cannot …`. */
Meta__Status *authz_failure(const struct authz_attributes *attributes, const char *reason,
                            struct arena *arena);

/** authz_decide(), and its failure when it is not allowed; NULL when it is. */
MUST_CHECK Meta__Status *authz_check(const struct authz_attributes *attributes,
                                     const struct authz_policy *policy, struct arena *arena);

/** What @user may do in @namespace_, for SelfSubjectRulesReview: from the same tables. A node's
 * rights are not all rules, so its answer is `incomplete`, as upstream's. */
Authorization__SubjectRulesReviewStatus *authz_rules_review(const struct plane_user *user,
                                                            const char *namespace_,
                                                            const struct authz_policy *policy,
                                                            struct arena *arena);

/**
 * The attributes a SubjectAccessReview (any of its forms) asks about for @user. Exactly one of
 * @resource and @path must be there: false otherwise.
 */
MUST_CHECK bool authz_attributes_of_review(const Authorization__ResourceAttributes *resource,
                                           const Authorization__NonResourceAttributes *path,
                                           const struct plane_user *user, struct arena *arena,
                                           struct authz_attributes *ret);
