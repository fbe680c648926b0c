/*
 * The table of resources is written down with names and filled in once with what the names stand
 * for: kinds are found in kube/kinds.h, so their rows are no constants the compiler knows.
 */
#include "plane/resource.h"

#include "plane/strategy.h"
#include "plane/table.h"

#include <pthread.h>

#define VERBS_PART (VERB_GET | VERB_UPDATE | VERB_PATCH)
#define VERBS_STREAM (VERB_GET | VERB_CREATE)
#define VERBS_PROXY (VERB_GET | VERB_CREATE | VERB_UPDATE | VERB_PATCH | VERB_DELETE)

struct part_row {
    const char *name;
    unsigned verbs;
    const char *api_version, *kind; /* of its body; NULL: the resource's */
    Meta__Status *(*create)(const struct strategy_context *context, const char *namespace_,
                            const char *name, ProtobufCMessage *body, ProtobufCMessage **ret_reply,
                            const struct kube_kind **ret_kind);
    bool is_proxied;
};

#define STATUS_PART                                                                                \
    {                                                                                              \
        .name = "status", .verbs = VERBS_PART                                                      \
    }
#define PROXY_PART                                                                                 \
    {                                                                                              \
        .name = "proxy", .verbs = VERBS_PROXY, .is_proxied = true                                  \
    }

static const struct part_row status_parts[] = {STATUS_PART};

static const struct part_row namespace_parts[] = {
    {.name = "finalize", .verbs = VERB_UPDATE},
    STATUS_PART,
};

static const struct part_row node_parts[] = {PROXY_PART, STATUS_PART};
static const struct part_row service_parts[] = {PROXY_PART, STATUS_PART};

static const struct part_row pod_parts[] = {
    {.name = "attach", .verbs = VERBS_STREAM, .is_proxied = true},
    {.name = "binding",
     .verbs = VERB_CREATE,
     .api_version = "v1",
     .kind = "Binding",
     .create = pod_binding_create},
    {.name = "ephemeralcontainers", .verbs = VERBS_PART},
    {.name = "eviction",
     .verbs = VERB_CREATE,
     .api_version = "policy/v1",
     .kind = "Eviction",
     .create = pod_eviction_create},
    {.name = "exec", .verbs = VERBS_STREAM, .is_proxied = true},
    {.name = "log", .verbs = VERB_GET, .is_proxied = true},
    {.name = "portforward", .verbs = VERBS_STREAM, .is_proxied = true},
    PROXY_PART,
    {.name = "resize", .verbs = VERBS_PART},
    STATUS_PART,
};

static const struct part_row account_parts[] = {
    {.name = "token",
     .verbs = VERB_CREATE,
     .api_version = "authentication.k8s.io/v1",
     .kind = "TokenRequest",
     .create = service_account_token_create},
};

static const struct part_row csr_parts[] = {
    {.name = "approval", .verbs = VERBS_PART},
    STATUS_PART,
};

struct resource_row {
    const char *group, *name;
    const char *key;     /* NULL for what is not stored */
    unsigned verbs;      /* 0: all */
    const char *version; /* NULL: "v1" */
    const struct strategy *strategy;
    const struct table_cells *table;
    const struct part_row *parts;
    size_t part_count;
    const struct resource_storage *storage;
    Meta__Status *(*review)(const struct strategy_context *context, ProtobufCMessage *object,
                            ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
};

#define PARTS(list) .parts = (list), .part_count = ARRAY_SIZE(list)
#define MEASURED .verbs = VERB_GET | VERB_LIST, .version = "v1beta1"
#define REVIEW(function) .verbs = VERB_CREATE, .review = (function)

#define AUTHENTICATION "authentication.k8s.io"
#define AUTHORIZATION "authorization.k8s.io"
#define CERTIFICATES "certificates.k8s.io"
#define COORDINATION "coordination.k8s.io"
#define DISCOVERY "discovery.k8s.io"
#define EVENTS "events.k8s.io"
#define METRICS "metrics.k8s.io"
#define NODE "node.k8s.io"
#define STORAGE "storage.k8s.io"

/* clang-format off */
static const struct resource_row rows[] = {
    {"", "bindings", NULL, REVIEW(review_binding)},
    {"", "configmaps", "configmaps", .strategy = &strategy_config_map, .table = &table_configmaps},
    {"", "endpoints", "endpoints", .strategy = &strategy_endpoints, .table = &table_endpoints},
    {"", "events", "events", .strategy = &strategy_event, .table = &table_events},
    {"", "namespaces", "namespaces", VERBS_ALL & ~VERB_DELETE_COLLECTION,
     .strategy = &strategy_namespace, .table = &table_namespaces, PARTS(namespace_parts)},
    {"", "nodes", "nodes", .strategy = &strategy_node, .table = &table_nodes, PARTS(node_parts)},
    {"", "persistentvolumeclaims", "persistentvolumeclaims",
     .strategy = &strategy_persistent_volume_claim, .table = &table_persistentvolumeclaims,
     PARTS(status_parts)},
    {"", "persistentvolumes", "persistentvolumes", .strategy = &strategy_persistent_volume,
     .table = &table_persistentvolumes, PARTS(status_parts)},
    {"", "pods", "pods", .strategy = &strategy_pod, .table = &table_pods, PARTS(pod_parts)},
    {"", "secrets", "secrets", .strategy = &strategy_secret, .table = &table_secrets},
    {"", "serviceaccounts", "serviceaccounts", .strategy = &strategy_service_account,
     .table = &table_serviceaccounts, PARTS(account_parts)},
    {"", "services", "services", .strategy = &strategy_service, .table = &table_services,
     PARTS(service_parts)},
    {AUTHENTICATION, "selfsubjectreviews", NULL, REVIEW(review_self)},
    {AUTHENTICATION, "tokenreviews", NULL, REVIEW(review_token)},
    {AUTHORIZATION, "localsubjectaccessreviews", NULL, REVIEW(review_local_access)},
    {AUTHORIZATION, "selfsubjectaccessreviews", NULL, REVIEW(review_self_access)},
    {AUTHORIZATION, "selfsubjectrulesreviews", NULL, REVIEW(review_self_rules)},
    {AUTHORIZATION, "subjectaccessreviews", NULL, REVIEW(review_access)},
    {CERTIFICATES, "certificatesigningrequests", "certificatesigningrequests." CERTIFICATES,
     .strategy = &strategy_certificate_signing_request, .table = &table_csrs, PARTS(csr_parts)},
    {COORDINATION, "leases", "leases." COORDINATION, .strategy = &strategy_lease,
     .table = &table_leases},
    {DISCOVERY, "endpointslices", "endpointslices." DISCOVERY, .strategy = &strategy_endpoint_slice,
     .table = &table_endpointslices},
    {EVENTS, "events", "events", .strategy = &strategy_event_v1, .table = &table_events, .storage = &event_v1_storage},
    {METRICS, "nodes", "nodes", MEASURED, .table = &table_node_metrics, .storage = &node_measures},
    {METRICS, "pods", "pods", MEASURED, .table = &table_pod_metrics, .storage = &pod_measures},
    {NODE, "runtimeclasses", "runtimeclasses." NODE, .strategy = &strategy_runtime_class,
     .table = &table_runtimeclasses},
    {STORAGE, "csidrivers", "csidrivers." STORAGE, .strategy = &strategy_csi_driver,
     .table = &table_csidrivers},
    {STORAGE, "csinodes", "csinodes." STORAGE, .strategy = &strategy_csi_node,
     .table = &table_csinodes},
    {STORAGE, "storageclasses", "storageclasses." STORAGE, .strategy = &strategy_storage_class,
     .table = &table_storageclasses},
    {STORAGE, "volumeattachments", "volumeattachments." STORAGE,
     .strategy = &strategy_volume_attachment, .table = &table_volumeattachments,
     PARTS(status_parts)},
};
/* clang-format on */

#define PARTS_MAX 32

/* Filled in at the first call and constant from then on. */
static struct resource table[ARRAY_SIZE(rows)];
static struct subresource parts[PARTS_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_part(const struct part_row *row, struct subresource *ret)
{
    *ret = (struct subresource){
        .name = row->name,
        .verbs = row->verbs,
        .kind = row->kind ? kube_kind_find(row->api_version, row->kind) : NULL,
        .create = row->create,
        .is_proxied = row->is_proxied,
    };
}

static void make_table(void)
{
    size_t part_count = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct resource_row *row = &rows[i];
        table[i] = (struct resource){
            .kind =
                kube_kind_of_resource(row->group, row->version ? row->version : "v1", row->name),
            .key = row->key,
            .storage = row->storage,
            .verbs = row->verbs ? row->verbs : VERBS_ALL,
            .strategy = row->strategy,
            .subresources = &parts[part_count],
            .subresource_count = row->part_count,
            .table = row->table,
            .review = row->review,
        };
        ASSERT(table[i].kind);
        ASSERT(part_count + row->part_count <= PARTS_MAX);
        for (size_t k = 0; k < row->part_count; k++)
            make_part(&row->parts[k], &parts[part_count++]);
    }
}

bool resource_is_measured(const struct resource *resource)
{
    return resource->storage && resource->storage->measured;
}

const struct resource *resource_table(size_t *ret_count)
{
    if (pthread_once(&once, make_table) != 0)
        base_die("the table of resources cannot be made");
    *ret_count = ARRAY_SIZE(table);
    return table;
}

const struct resource *resource_find(const char *group, const char *version, const char *resource)
{
    size_t count;
    const struct resource *all = resource_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (text_eq(all[i].kind->resource, resource) && text_eq(all[i].kind->group, group) &&
            text_eq(all[i].kind->version, version))
            return &all[i];
    }
    return NULL;
}

const struct resource *resource_by_key(const char *key)
{
    size_t count;
    const struct resource *all = resource_table(&count);
    for (size_t i = 0; i < count; i++) {
        if (all[i].key && strcmp(all[i].key, key) == 0)
            return &all[i];
    }
    return NULL;
}

const struct subresource *resource_subresource(const struct resource *resource, const char *name)
{
    for (size_t i = 0; i < resource->subresource_count; i++) {
        if (strcmp(resource->subresources[i].name, name) == 0)
            return &resource->subresources[i];
    }
    return NULL;
}

const char *plane_verb_text(enum plane_verb verb)
{
    switch (verb) {
    case VERB_GET:
        return "get";
    case VERB_LIST:
        return "list";
    case VERB_WATCH:
        return "watch";
    case VERB_CREATE:
        return "create";
    case VERB_UPDATE:
        return "update";
    case VERB_PATCH:
        return "patch";
    case VERB_DELETE:
        return "delete";
    case VERB_DELETE_COLLECTION:
        return "deletecollection";
    }
    return "";
}
