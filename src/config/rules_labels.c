/* The rules about --node-labels. */
#include "config/rules.h"

#include "kube/validate.h"

/* Keys under kubernetes.io and k8s.io that a kubelet may set on its node. */
static const char *const own_labels[] = {
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

static bool is_foreign_label(const char *key)
{
    return (is_in_domain(key, "kubernetes.io") || is_in_domain(key, "k8s.io")) &&
           !is_in_domain(key, "kubelet.kubernetes.io") &&
           !is_in_domain(key, "node.kubernetes.io") &&
           !rules_is_one_of(key, own_labels, ARRAY_SIZE(own_labels));
}

struct error *rules_check_node_labels(const Kubeletconfig__KubeletFlags *flags, struct arena *arena)
{
    const char **unknown = arena_calloc(arena, flags->n_node_labels + 1, sizeof(char *));
    size_t unknown_count = 0;
    const char *bad = "";
    for (size_t i = 0; i < flags->n_node_labels; i++) {
        const char *key = flags->node_labels[i]->key, *value = flags->node_labels[i]->value;
        const char *reason = name_check_qualified(str_from(key));
        if (!reason && !rules_is_label_value(value))
            reason = "a valid label must be an empty string or consist of alphanumeric characters, "
                     "'-', '_' or '.', and must start and end with an alphanumeric character";
        if (reason)
            bad = arena_printf(arena, "%s%s'%s' - %s", bad, bad[0] ? "; " : "", key, reason);
        else if (is_foreign_label(key))
            unknown[unknown_count++] = key;
    }
    if (unknown_count > 0) {
        qsort(unknown, unknown_count, sizeof(char *), text_compare);
        const char *list = "";
        for (size_t i = 0; i < unknown_count; i++)
            list = arena_printf(arena, "%s%s%s", list, i ? ", " : "", unknown[i]);
        return error_new(ERROR_INVALID_ARGUMENT,
                         "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: "
                         "[%s]\n--node-labels in the 'kubernetes.io' namespace must begin with an "
                         "allowed prefix (kubelet.kubernetes.io, node.kubernetes.io) or be a "
                         "well-known node label such as kubernetes.io/hostname",
                         list);
    }
    return bad[0] ? error_new(ERROR_INVALID_ARGUMENT, "invalid node labels: %s", bad) : NULL;
}
