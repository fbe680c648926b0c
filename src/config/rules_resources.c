/* The rules about reserved resources and images; part of rules_check(). */
#include "config/rules.h"

#include "kube/quantity.h"

#define CPU_MAX 8191 /* beyond any kernel's NR_CPUS */

bool rules_parse_cpus(const char *text, int64_t *ret_count)
{
    bool is_set[CPU_MAX + 1] = {false};
    int64_t count = 0;
    struct str rest = str_from(text), part;
    while (text[0] && str_split_next(&rest, ',', &part)) {
        size_t dash = str_find(part, '-');
        int64_t first, last;
        AUTO(free) char *low = str_dup((struct str){.ptr = part.ptr, .len = dash});
        AUTO(free)
        char *high =
            dash == part.len
                ? xstrdup(low)
                : str_dup((struct str){.ptr = part.ptr + dash + 1, .len = part.len - dash - 1});
        if (!parse_i64(low, 0, CPU_MAX, &first) || !parse_i64(high, first, CPU_MAX, &last))
            return false;
        for (int64_t cpu = first; cpu <= last; cpu++) {
            count += is_set[cpu] ? 0 : 1;
            is_set[cpu] = true;
        }
    }
    *ret_count = count;
    return true;
}

static bool is_given(const char *text)
{
    return text && text[0];
}

/* One enforcement: what it needs, and what it cannot be combined with. */
static const struct enforcement {
    const char *name;
    const char *excludes; /* its compressible or plain sibling */
    const char *needs;    /* the cgroup field, with its flag */
    bool is_system;
} enforcements[] = {
    {"none", NULL, NULL, false},
    {"pods", NULL, NULL, false},
    {"system-reserved", "system-reserved-compressible",
     "systemReservedCgroup (--system-reserved-cgroup)", true},
    {"system-reserved-compressible", "system-reserved",
     "systemReservedCgroup (--system-reserved-cgroup)", true},
    {"kube-reserved", "kube-reserved-compressible", "kubeReservedCgroup (--kube-reserved-cgroup)",
     false},
    {"kube-reserved-compressible", "kube-reserved", "kubeReservedCgroup (--kube-reserved-cgroup)",
     false},
};

static const struct enforcement *find_enforcement(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(enforcements); i++) {
        if (text_eq(enforcements[i].name, name))
            return &enforcements[i];
    }
    return NULL;
}

static void check_enforcement(const Kubeletconfig__KubeletConfiguration *config, size_t index,
                              struct rules_findings *findings)
{
    const char *const *names = (const char *const *)config->enforce_node_allocatable;
    const struct enforcement *row = find_enforcement(names[index]);
    if (!row) {
        rules_add_invalid(findings,
                          "option \"%s\" specified for enforceNodeAllocatable "
                          "(--enforce-node-allocatable). Valid options are \"pods\", "
                          "\"system-reserved\", \"system-reserved-compressible\", "
                          "\"kube-reserved\", \"kube-reserved-compressible\" or \"none\"",
                          names[index]);
        return;
    }
    const char *cgroup =
        row->is_system ? config->system_reserved_cgroup : config->kube_reserved_cgroup;
    if (row->needs && !is_given(cgroup))
        rules_add_invalid(findings,
                          "%s must be specified when \"%s\" is contained in "
                          "enforceNodeAllocatable (--enforce-node-allocatable)",
                          row->needs, row->name);
    if (row->excludes && rules_is_one_of(row->excludes, names, index))
        rules_add_invalid(findings,
                          "\"%s\" and \"%s\" cannot both be specified for enforceNodeAllocatable "
                          "(--enforce-node-allocatable)",
                          row->excludes, row->name);
    if (text_eq(row->name, "none") && config->n_enforce_node_allocatable > 1)
        rules_add_invalid(findings, "enforceNodeAllocatable (--enforce-node-allocatable) may not "
                                    "contain additional enforcements when \"none\" is specified");
}

static void check_enforcements(const Kubeletconfig__KubeletConfiguration *config,
                               struct rules_findings *findings)
{
    const char *const *names = (const char *const *)config->enforce_node_allocatable;
    for (size_t i = 0; i < config->n_enforce_node_allocatable; i++) {
        if (rules_is_one_of(names[i], names, i))
            rules_add_invalid(findings,
                              "duplicated enforcements \"%s\" in enforceNodeAllocatable "
                              "(--enforce-node-allocatable)",
                              names[i]);
        else
            check_enforcement(config, i, findings);
    }
}

static void check_reserved_cpus(const Kubeletconfig__KubeletConfiguration *config,
                                struct rules_findings *findings)
{
    int64_t count;
    if (!is_given(config->reserved_system_cpus))
        return;
    if (is_given(config->system_reserved_cgroup) || is_given(config->kube_reserved_cgroup))
        rules_add_invalid(findings,
                          "can't use reservedSystemCPUs (--reserved-cpus) with "
                          "systemReservedCgroup (--system-reserved-cgroup) or kubeReservedCgroup "
                          "(--kube-reserved-cgroup)");
    if (!rules_parse_cpus(config->reserved_system_cpus, &count))
        rules_add_invalid(findings,
                          "unable to parse reservedSystemCPUs (--reserved-cpus) %s: expected a "
                          "list such as 0-1,4",
                          config->reserved_system_cpus);
}

/* True when an earlier reservation names the same NUMA node and resource. */
static bool is_reserved_before(const Kubeletconfig__KubeletConfiguration *config, size_t index,
                               const char *resource)
{
    for (size_t i = 0; i < index; i++) {
        const Kubeletconfig__MemoryReservation *other = config->reserved_memory[i];
        if (other->numa_node != config->reserved_memory[index]->numa_node)
            continue;
        for (size_t k = 0; k < other->n_limits; k++) {
            if (text_eq(other->limits[k]->key, resource))
                return true;
        }
    }
    return false;
}

static void check_reserved_memory(const Kubeletconfig__KubeletConfiguration *config,
                                  struct rules_findings *findings)
{
    for (size_t i = 0; i < config->n_reserved_memory; i++) {
        const Kubeletconfig__MemoryReservation *reservation = config->reserved_memory[i];
        for (size_t k = 0; k < reservation->n_limits; k++) {
            const char *resource = reservation->limits[k]->key;
            int node = reservation->numa_node;
            if (!text_eq(resource, "memory") && !text_has_prefix(resource, "hugepages-"))
                rules_add_invalid(findings,
                                  "the limit type \"%s\" for NUMA node %d is not allowed, only "
                                  "[memory hugepages-<HugePageSize>] is accepted",
                                  resource, node);
            if (is_reserved_before(config, i, resource))
                rules_add_invalid(findings,
                                  "the reserved memory has a duplicate value for NUMA node %d and "
                                  "resource \"%s\"",
                                  node, resource);
            if (quantity_is_zero(reservation->limits[k]->value))
                rules_add_invalid(findings,
                                  "reserved memory may not be zero for NUMA node %d and resource "
                                  "\"%s\"",
                                  node, resource);
        }
    }
}

/* An image name without tag or digest, "*" only as a whole last path element. */
static bool is_allowlist_pattern(const char *pattern)
{
    struct str text = str_from(pattern);
    if (text.len == 0 || str_trim(text).len != text.len || strchr(pattern, '@'))
        return false;
    const char *star = strchr(pattern, '*');
    if (star && (star[1] || star == pattern || star[-1] != '/'))
        return false;
    const char *slash = strrchr(pattern, '/');
    return !strchr(slash ? slash : pattern, ':');
}

static void check_pull_policy(const struct rules_subject *subject, struct rules_findings *findings)
{
    static const char *const policies[] = {"NeverVerify", "NeverVerifyPreloadedImages",
                                           "NeverVerifyAllowlistedImages", "AlwaysVerify"};
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    const char *policy = config->image_pull_credentials_verification_policy;
    if (!gate_is_enabled(subject->gates, GATE_KubeletEnsureSecretPulledImages)) {
        if (is_given(policy))
            rules_add_invalid(findings, "imagePullCredentialsVerificationPolicy requires feature "
                                        "gate KubeletEnsureSecretPulledImages");
    } else if (!rules_is_one_of(policy, policies, ARRAY_SIZE(policies))) {
        rules_add_invalid(findings,
                          "imagePullCredentialsVerificationPolicy \"%s\" must be one of: "
                          "\"NeverVerify\", \"NeverVerifyPreloadedImages\", "
                          "\"NeverVerifyAllowlistedImages\" or \"AlwaysVerify\"",
                          policy ? policy : "");
    }
    if (config->n_preloaded_images_verification_allowlist > 0 &&
        !text_eq(policy, "NeverVerifyAllowlistedImages"))
        rules_add_invalid(findings, "preloadedImagesVerificationAllowlist can only be set when "
                                    "imagePullCredentialsVerificationPolicy is "
                                    "\"NeverVerifyAllowlistedImages\"");
    for (size_t i = 0; i < config->n_preloaded_images_verification_allowlist; i++) {
        if (!is_allowlist_pattern(config->preloaded_images_verification_allowlist[i]))
            rules_add_invalid(findings,
                              "preloadedImagesVerificationAllowlist[%zu] \"%s\" must be an image "
                              "name without tag or digest; a wildcard may only be a trailing /*",
                              i, config->preloaded_images_verification_allowlist[i]);
    }
}

void rules_resources(const struct rules_subject *subject, struct rules_findings *findings)
{
    const Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    check_enforcements(config, findings);
    check_reserved_cpus(config, findings);
    check_reserved_memory(config, findings);
    check_pull_policy(subject, findings);
    if (text_eq(config->memory_reservation_policy, "TieredReservation")) {
        if (!gate_is_enabled(subject->gates, GATE_MemoryQoS))
            rules_add_invalid(findings, "memoryReservationPolicy \"TieredReservation\" requires "
                                        "feature gate MemoryQoS");
    } else if (!text_eq(config->memory_reservation_policy, "None")) {
        rules_add_invalid(findings,
                          "memoryReservationPolicy \"%s\" must be one of: \"None\" or "
                          "\"TieredReservation\"",
                          config->memory_reservation_policy);
    }
}
