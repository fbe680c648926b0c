/*
 * NodeRestriction on the Node object: its taints, owners and those labels by which workloads find
 * nodes are other people's to say.
 */
#include "plane/admission_internal.h"

#define FORBIDDEN_LABELS_MAX 256

/* True when the prefix of @key is @domain or a subdomain of it. */
static bool is_in_domain(const char *key, const char *domain)
{
    const char *slash = strchr(key, '/');
    if (!slash)
        return false;
    struct str prefix = {.ptr = key, .len = (size_t)(slash - key)};
    size_t len = strlen(domain);
    return str_has_suffix(prefix, domain) &&
           (prefix.len == len || prefix.ptr[prefix.len - len - 1] == '.');
}

/* kubeletLabels and kubeletLabelNamespaces of k8s.io/kubelet/pkg/apis. */
static bool is_kubelet_label(const char *key)
{
    static const char *const labels[] = {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    };
    const struct text_list list = {labels, ARRAY_SIZE(labels)};
    return text_list_has(&list, key) || is_in_domain(key, "kubelet.kubernetes.io") ||
           is_in_domain(key, "node.kubernetes.io");
}

static bool is_forbidden_label(const char *key)
{
    return is_in_domain(key, "node-restriction.kubernetes.io") ||
           ((is_in_domain(key, "kubernetes.io") || is_in_domain(key, "k8s.io")) &&
            !is_kubelet_label(key));
}

static const char *label_value(const Meta__ObjectMeta *meta, const char *key)
{
    for (size_t i = 0; meta && i < meta->n_labels; i++) {
        if (text_eq(meta->labels[i]->key, key))
            return admission_text(meta->labels[i]->value);
    }
    return NULL;
}

struct label_keys {
    const char *items[FORBIDDEN_LABELS_MAX];
    size_t count;
};

/* Adds the forbidden keys of @meta that are not the same in @other. */
static void add_changed(struct label_keys *keys, const Meta__ObjectMeta *meta,
                        const Meta__ObjectMeta *other)
{
    for (size_t i = 0; meta && i < meta->n_labels; i++) {
        const char *key = admission_text(meta->labels[i]->key);
        const struct text_list known = {keys->items, keys->count};
        if (!is_forbidden_label(key) || keys->count == FORBIDDEN_LABELS_MAX ||
            text_eq(admission_text(meta->labels[i]->value), label_value(other, key)) ||
            text_list_has(&known, key))
            continue;
        keys->items[keys->count++] = key;
    }
}

/* "a, b" of the labels that may not be added, removed or changed; NULL when there are none. */
static const char *forbidden_changes(const Meta__ObjectMeta *meta, const Meta__ObjectMeta *old,
                                     struct arena *arena)
{
    struct label_keys keys = {.count = 0};
    add_changed(&keys, meta, old);
    add_changed(&keys, old, meta);
    if (keys.count == 0)
        return NULL;
    qsort(keys.items, keys.count, sizeof(keys.items[0]), text_compare);
    const char *text = keys.items[0];
    for (size_t i = 1; i < keys.count; i++)
        text = arena_printf(arena, "%s, %s", text, keys.items[i]);
    return text;
}

static Meta__Status *check_node_create(const struct node_write *write, const Core__Node *node)
{
    const struct admission_request *request = write->request;
    if (node->spec && node->spec->config_source)
        return admission_forbidden(
            request, "node \"%s\" is not allowed to create pods with a non-nil configSource",
            write->node);
    const char *labels = forbidden_changes(node->metadata, NULL, request->arena);
    return labels
               ? admission_forbidden(request,
                                     "node \"%s\" is not allowed to set the following labels: %s",
                                     write->node, labels)
               : NULL;
}

static bool have_equal_taints(const Core__NodeSpec *a, const Core__NodeSpec *b)
{
    Core__NodeSpec left = CORE__NODE_SPEC__INIT, right = CORE__NODE_SPEC__INIT;
    left.taints = a ? a->taints : NULL;
    left.n_taints = a ? a->n_taints : 0;
    right.taints = b ? b->taints : NULL;
    right.n_taints = b ? b->n_taints : 0;
    return kube_message_eq(&left.base, &right.base);
}

static bool have_equal_owners(const Meta__ObjectMeta *a, const Meta__ObjectMeta *b)
{
    Meta__ObjectMeta left = META__OBJECT_META__INIT, right = META__OBJECT_META__INIT;
    left.owner_references = a ? a->owner_references : NULL;
    left.n_owner_references = a ? a->n_owner_references : 0;
    right.owner_references = b ? b->owner_references : NULL;
    right.n_owner_references = b ? b->n_owner_references : 0;
    return kube_message_eq(&left.base, &right.base);
}

static bool sets_config_source(const Core__Node *node, const Core__Node *old)
{
    const Core__NodeConfigSource *wanted = node->spec ? node->spec->config_source : NULL;
    const Core__NodeConfigSource *have = old->spec ? old->spec->config_source : NULL;
    return wanted && (!have || !kube_message_eq(&wanted->base, &have->base));
}

static Meta__Status *check_node_update(const struct node_write *write, const Core__Node *node,
                                       const Core__Node *old)
{
    const struct admission_request *request = write->request;
    if (sets_config_source(node, old))
        return admission_forbidden(
            request,
            "node \"%s\" is not allowed to update configSource to a new non-nil "
            "configSource",
            write->node);
    if (!have_equal_taints(node->spec, old->spec))
        return admission_forbidden(request, "node \"%s\" is not allowed to modify taints",
                                   write->node);
    if (!have_equal_owners(node->metadata, old->metadata))
        return admission_forbidden(request, "node \"%s\" is not allowed to modify ownerReferences",
                                   write->node);
    const char *labels = forbidden_changes(node->metadata, old->metadata, request->arena);
    return labels ? admission_forbidden(request, "is not allowed to modify labels: %s", labels)
                  : NULL;
}

Meta__Status *admission_check_node(const struct node_write *write)
{
    const struct admission_request *request = write->request;
    const char *name = node_write_name(write);
    if (!text_eq(name, write->node))
        return admission_forbidden(request, "node \"%s\" is not allowed to modify node \"%s\"",
                                   write->node, name);
    if (request->operation == ADMISSION_CREATE)
        return check_node_create(write, (const Core__Node *)request->object);
    if (request->operation == ADMISSION_UPDATE)
        return check_node_update(write, (const Core__Node *)request->object,
                                 (const Core__Node *)request->old);
    return NULL;
}
