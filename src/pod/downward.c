#include "pod/downward.h"

#include "pod/go_text.h"

#include "base/buf.h"
#include "kube/quantity.h"
#include "kube/resources.h"
#include "kube/validate.h"

#include <arpa/inet.h>
#include <ctype.h>

/* --- addresses --- */

/* Go accepts no leading zeros in IPv4 either, but old runtimes print them and upstream's parser
 * forgives. */
static const char *without_leading_zeros(const char *ip, struct arena *arena)
{
    char *out = arena_strdup(arena, ip);
    size_t len = 0;
    for (size_t i = 0; ip[i]; i++) {
        bool at_start = len == 0 || out[len - 1] == '.';
        if (at_start && ip[i] == '0' && isdigit((unsigned char)ip[i + 1]))
            continue;
        out[len++] = ip[i];
    }
    out[len] = '\0';
    return out;
}

/* The canonical text of @ip, or NULL when it is none. */
static const char *canonical_ip(const char *ip, struct arena *arena, int *ret_family)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    char text[INET6_ADDRSTRLEN];
    *ret_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
    const char *from = *ret_family == AF_INET ? without_leading_zeros(ip, arena) : ip;
    if (inet_pton(*ret_family, from, bytes) != 1 ||
        !inet_ntop(*ret_family, bytes, text, sizeof(text)))
        return NULL;
    return arena_strdup(arena, text);
}

/* At most one address per family, the primary family of the node first. */
struct ip_pair {
    const char *primary, *secondary;
};

static struct ip_pair reduce_ips(const char *const *pod_ips, const struct node_facts *node,
                                 struct arena *arena)
{
    int primary_family = AF_INET, family;
    if (node->node_ips && node->node_ips[0] && strchr(node->node_ips[0], ':'))
        primary_family = AF_INET6;
    struct ip_pair pair = {0};
    for (size_t i = 0; pod_ips && pod_ips[i]; i++) {
        const char *ip = canonical_ip(pod_ips[i], arena, &family);
        if (ip && family == primary_family && !pair.primary)
            pair.primary = ip;
        if (ip && family != primary_family && !pair.secondary)
            pair.secondary = ip;
    }
    if (!pair.primary) {
        pair.primary = pair.secondary;
        pair.secondary = NULL;
    }
    return pair;
}

/* --- maps --- */

struct text_pair {
    const char *key, *value;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct text_pair *)a)->key, ((const struct text_pair *)b)->key);
}

/* Lines of key="quoted value", sorted by key, no newline at the end. */
static struct error *format_map(struct text_pair *pairs, size_t count, struct arena *arena,
                                const char **ret)
{
    if (count > 0)
        qsort(pairs, count, sizeof(*pairs), compare_keys);
    AUTO(buf) struct buf out;
    buf_init(&out, 8 * MiB);
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "%s%s=%s", i == 0 ? "" : "\n", pairs[i].key,
                   go_quote(arena, pairs[i].value));
    struct error *err = buf_error(&out, "the downward API's map");
    if (err)
        return err;
    *ret = arena_strndup(arena, buf_text(&out), out.len);
    return NULL;
}

static struct error *all_labels(const Core__Pod *pod, struct arena *arena, const char **ret)
{
    size_t count = pod->metadata->n_labels;
    struct text_pair *pairs = arena_calloc(arena, count + 1, sizeof(*pairs));
    for (size_t i = 0; i < count; i++)
        pairs[i] =
            (struct text_pair){pod->metadata->labels[i]->key, pod->metadata->labels[i]->value};
    return format_map(pairs, count, arena, ret);
}

static struct error *all_annotations(const Core__Pod *pod, struct arena *arena, const char **ret)
{
    size_t count = pod->metadata->n_annotations;
    struct text_pair *pairs = arena_calloc(arena, count + 1, sizeof(*pairs));
    for (size_t i = 0; i < count; i++)
        pairs[i] = (struct text_pair){pod->metadata->annotations[i]->key,
                                      pod->metadata->annotations[i]->value};
    return format_map(pairs, count, arena, ret);
}

/* --- fields --- */

/* metadata.labels['key']: the parts, or false for a path without a subscript. */
static bool split_subscript(struct str path, struct str *ret_field, struct str *ret_key)
{
    if (!str_has_suffix(path, "']"))
        return false;
    for (size_t i = 1; i + 4 <= path.len; i++) {
        if (path.ptr[i] == '[' && path.ptr[i + 1] == '\'') {
            *ret_field = (struct str){.ptr = path.ptr, .len = i};
            *ret_key = (struct str){.ptr = path.ptr + i + 2, .len = path.len - i - 4};
            return true;
        }
    }
    return false;
}

static struct error *subscripted_field(const Core__Pod *pod, const char *path, struct str field,
                                       struct str key, struct arena *arena, const char **ret)
{
    bool annotations = str_eq_c(field, "metadata.annotations");
    if (!annotations && !str_eq_c(field, "metadata.labels"))
        return error_new(ERROR_INVALID_ARGUMENT, "field label does not support subscript: %s",
                         path);
    char *checked = arena_strndup(arena, key.ptr, key.len);
    for (char *c = checked; annotations && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    const char *why = name_check_qualified(str_from(checked));
    if (why)
        return error_new(ERROR_INVALID_ARGUMENT, "invalid key subscript in %s: %s", path, why);
    const char *name = arena_strndup(arena, key.ptr, key.len);
    const char *value = annotations ? pod_annotation(pod, name) : pod_label(pod, name);
    *ret = value ? value : "";
    return NULL;
}

/* A path, and what answers it. */
enum field_kind {
    FIELD_NAME,
    FIELD_NAMESPACE,
    FIELD_UID,
    FIELD_LABELS,
    FIELD_ANNOTATIONS,
    FIELD_NODE_NAME,
    FIELD_SERVICE_ACCOUNT,
    FIELD_HOST_IP,
    FIELD_HOST_IPS,
    FIELD_POD_IP,
    FIELD_POD_IPS,
    FIELD_UNSUPPORTED, /* a known label of pods that the downward API does not offer */
};

static const struct {
    const char *path;
    enum field_kind kind;
} fields[] = {
    {"metadata.name", FIELD_NAME},
    {"metadata.namespace", FIELD_NAMESPACE},
    {"metadata.uid", FIELD_UID},
    {"metadata.labels", FIELD_LABELS},
    {"metadata.annotations", FIELD_ANNOTATIONS},
    {"spec.nodeName", FIELD_NODE_NAME},
    {"spec.host", FIELD_NODE_NAME},
    {"spec.serviceAccountName", FIELD_SERVICE_ACCOUNT},
    {"status.hostIP", FIELD_HOST_IP},
    {"status.hostIPs", FIELD_HOST_IPS},
    {"status.podIP", FIELD_POD_IP},
    {"status.podIPs", FIELD_POD_IPS},
    {"spec.restartPolicy", FIELD_UNSUPPORTED},
    {"spec.schedulerName", FIELD_UNSUPPORTED},
    {"status.phase", FIELD_UNSUPPORTED},
};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

static struct error *host_ips(const struct node_facts *node, bool all, struct arena *arena,
                              const char **ret)
{
    const char *const *ips = node->node_ips;
    if (!ips || !ips[0])
        return error_new(ERROR_FAILED_PRECONDITION, "host IP unknown; known addresses: []");
    const char *text = ips[0];
    for (size_t i = 1; all && ips[i]; i++)
        text = arena_printf(arena, "%s,%s", text, ips[i]);
    *ret = text;
    return NULL;
}

static const char *pod_ips_text(struct ip_pair ips, bool all, struct arena *arena)
{
    if (all && ips.secondary)
        return arena_printf(arena, "%s,%s", ips.primary, ips.secondary);
    return or_empty(ips.primary);
}

/* What one path is asked of. */
struct field_query {
    const Core__Pod *pod;
    const struct node_facts *node;
    const char *const *pod_ips;
    const char *path;
};

static struct error *plain_field(const struct field_query *query, enum field_kind kind,
                                 struct arena *arena, const char **ret)
{
    const Core__Pod *pod = query->pod;
    switch (kind) {
    case FIELD_NAME:
        *ret = or_empty(pod->metadata->name);
        return NULL;
    case FIELD_NAMESPACE:
        *ret = or_empty(pod->metadata->namespace_);
        return NULL;
    case FIELD_UID:
        *ret = or_empty(pod->metadata->uid);
        return NULL;
    case FIELD_LABELS:
        return all_labels(pod, arena, ret);
    case FIELD_ANNOTATIONS:
        return all_annotations(pod, arena, ret);
    case FIELD_NODE_NAME:
        *ret = or_empty(pod->spec->node_name);
        return NULL;
    case FIELD_SERVICE_ACCOUNT:
        *ret = or_empty(pod->spec->service_account_name);
        return NULL;
    case FIELD_HOST_IP:
    case FIELD_HOST_IPS:
        return host_ips(query->node, kind == FIELD_HOST_IPS, arena, ret);
    case FIELD_POD_IP:
    case FIELD_POD_IPS:
        *ret = pod_ips_text(reduce_ips(query->pod_ips, query->node, arena), kind == FIELD_POD_IPS,
                            arena);
        return NULL;
    case FIELD_UNSUPPORTED:
        break;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "unsupported fieldPath: %s", query->path);
}

struct error *downward_field(const Core__ObjectFieldSelector *field, const Core__Pod *pod,
                             const struct node_facts *node, const char *const *pod_ips,
                             struct arena *arena, const char **ret)
{
    const char *path = or_empty(field->field_path);
    if (!text_eq(field->api_version, "v1"))
        return error_new(ERROR_INVALID_ARGUMENT, "unsupported pod version: %s",
                         or_empty(field->api_version));
    struct str name, key;
    if (split_subscript(str_from(path), &name, &key))
        return subscripted_field(pod, path, name, key, arena, ret);
    const struct field_query query = {.pod = pod, .node = node, .pod_ips = pod_ips, .path = path};
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (text_eq(path, fields[i].path))
            return plain_field(&query, fields[i].kind, arena, ret);
    }
    return error_new(ERROR_INVALID_ARGUMENT, "field label not supported: %s", path);
}

/* --- resources --- */

static bool is_cpu(const char *resource)
{
    return text_eq(resource, "cpu");
}

/* In thousandths for cpu, whole units otherwise. */
static int64_t amount(const Meta__Quantity *quantity, const char *resource)
{
    return is_cpu(resource) ? quantity_milli_value(quantity) : quantity_value(quantity);
}

/* What stands in for a limit that is not set: the pod's own, or all that the node has to give. */
static int64_t default_limit(const Core__Pod *pod, const struct node_facts *node,
                             const char *resource)
{
    const Meta__Quantity *shared = resource_get_limit(pod->spec->resources, resource);
    bool is_memory = text_eq(resource, "memory");
    if ((is_cpu(resource) || is_memory) && !quantity_is_zero(shared))
        return amount(shared, resource);
    if (is_cpu(resource))
        return node->allocatable_cpu_millis;
    return is_memory ? node->allocatable_memory_bytes : node->allocatable_ephemeral_bytes;
}

static bool is_standard(const char *resource)
{
    return is_cpu(resource) || text_eq(resource, "memory") ||
           text_eq(resource, "ephemeral-storage");
}

/* Splits "limits.cpu"; NULL when the whole is not one of the forms the downward API offers. */
static const char *resource_name(const char *resource, bool *ret_limit)
{
    *ret_limit = text_has_prefix(resource, "limits.");
    if (!*ret_limit && !text_has_prefix(resource, "requests."))
        return NULL;
    const char *name = strchr(resource, '.') + 1;
    return is_standard(name) || text_has_prefix(name, "hugepages-") ? name : NULL;
}

/* Doubles, as upstream, so that both agents print the same number; clamped where C would be
 * undefined. */
static int64_t divide_up(int64_t value, int64_t divisor)
{
    double quotient = (double)value / (double)divisor;
    if (quotient >= 9223372036854775807.0)
        return INT64_MAX;
    if (quotient <= -9223372036854775808.0)
        return INT64_MIN;
    int64_t whole = (int64_t)quotient;
    return (double)whole < quotient ? whole + 1 : whole;
}

struct error *downward_resource(const Core__ResourceFieldSelector *selector, const Core__Pod *pod,
                                const Core__Container *container, const struct node_facts *node,
                                struct arena *arena, const char **ret)
{
    /* Only regular containers get default limits when one is looked up by name, as upstream's pod
     * copy has it. */
    bool defaulted = true;
    const char *named = or_empty(selector->container_name);
    if (*named) {
        container = pod_container_find(pod->spec, named);
        defaulted = text_eq(pod_list_of_container(pod->spec, named), "containers");
    }
    if (!container)
        return error_new(ERROR_INVALID_ARGUMENT, "container %s not found", named);
    bool limit;
    const char *name = resource_name(or_empty(selector->resource), &limit);
    if (!name)
        return error_new(ERROR_INVALID_ARGUMENT, "unsupported container resource : %s",
                         or_empty(selector->resource));
    const Meta__Quantity *own = limit ? resource_get_limit(container->resources, name)
                                      : resource_get_request(container->resources, name);
    int64_t value = amount(own, name);
    if (limit && defaulted && is_standard(name) && quantity_is_zero(own))
        value = default_limit(pod, node, name);
    int64_t divisor = is_cpu(name) ? 1000 : 1;
    if (!quantity_is_zero(selector->divisor))
        divisor = amount(selector->divisor, name);
    if (divisor == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "the divisor of %s is too small",
                         selector->resource);
    *ret = arena_printf(arena, "%lld", (long long)divide_up(value, divisor));
    return NULL;
}
