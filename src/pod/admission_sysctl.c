/* Which sysctls a pod may set without the node's owner having said so (pkg/kubelet/sysctl). */
#include "pod/admission_internal.h"

struct safe_sysctl {
    const char *name;
    unsigned major, minor; /* the kernel from which on it is kept apart by namespace */
};

static const struct safe_sysctl safe[] = {
    {"kernel.shm_rmid_forced", 0, 0},
    {"net.ipv4.ip_local_port_range", 0, 0},
    {"net.ipv4.tcp_syncookies", 0, 0},
    {"net.ipv4.ping_group_range", 0, 0},
    {"net.ipv4.ip_unprivileged_port_start", 0, 0},
    {"net.ipv4.ip_local_reserved_ports", 3, 16},
    {"net.ipv4.tcp_keepalive_time", 4, 5},
    {"net.ipv4.tcp_fin_timeout", 4, 6},
    {"net.ipv4.tcp_keepalive_intvl", 4, 5},
    {"net.ipv4.tcp_keepalive_probes", 4, 5},
    {"net.ipv4.tcp_rmem", 4, 15},
    {"net.ipv4.tcp_wmem", 4, 15},
};

enum sysctl_namespace { SYSCTL_NO_NAMESPACE, SYSCTL_IPC, SYSCTL_NET };

/* A pattern ends with `*`, or is the name itself. */
static bool matches(const char *pattern, const char *name)
{
    size_t len = strlen(pattern);
    if (len > 0 && pattern[len - 1] == '*')
        return strncmp(pattern, name, len - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static enum sysctl_namespace namespace_of(const char *name)
{
    static const char *const ipc[] = {"kernel.sem", "kernel.shm*", "kernel.msg*", "fs.mqueue.*"};
    for (size_t i = 0; i < ARRAY_SIZE(ipc); i++) {
        if (matches(ipc[i], name))
            return SYSCTL_IPC;
    }
    return matches("net.*", name) ? SYSCTL_NET : SYSCTL_NO_NAMESPACE;
}

static bool is_safe(const struct admission_node *node, const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(safe); i++) {
        if (strcmp(safe[i].name, name) == 0)
            return node->kernel_major > safe[i].major ||
                   (node->kernel_major == safe[i].major && node->kernel_minor >= safe[i].minor);
    }
    return false;
}

/* Sysctls may be written with slashes, like the paths below /proc/sys; dots inside an element are
 * slashes there then. */
static const char *dotted(const char *name, struct arena *arena)
{
    const char *first = strpbrk(name, "./");
    if (!first || *first == '.')
        return name;
    char *copy = arena_strdup(arena, name);
    for (char *c = copy; *c; c++)
        *c = (char)(*c == '/' ? '.' : *c == '.' ? '/' : *c);
    return copy;
}

static bool is_allowed(const struct admission_node *node, const char *name, struct arena *arena)
{
    for (size_t i = 0; i < node->n_allowed_unsafe_sysctls; i++) {
        if (matches(dotted(node->allowed_unsafe_sysctls[i], arena), name))
            return true;
    }
    return is_safe(node, name);
}

struct refusal admission_sysctls(const struct admission_input *input, struct arena *arena)
{
    const Core__PodSpec *spec = input->pod->spec;
    const Core__PodSecurityContext *security = spec->security_context;
    for (size_t i = 0; security && i < security->n_sysctls; i++) {
        const char *given = security->sysctls[i]->name ? security->sysctls[i]->name : "";
        const char *name = dotted(given, arena);
        const char *why = NULL;
        enum sysctl_namespace space = namespace_of(name);
        if (!is_allowed(input->node, name, arena))
            why = "not allowlisted";
        else if (space == SYSCTL_IPC && spec->has_host_ipc && spec->host_ipc)
            why = "not allowed with host IPC enabled";
        else if (space == SYSCTL_NET && spec->has_host_network && spec->host_network)
            why = "not allowed with host Net enabled";
        if (why)
            return (struct refusal){
                .reason = "SysctlForbidden",
                .message = arena_printf(arena, "forbidden sysctl: \"%s\" %s", name, why)};
    }
    return (struct refusal){0};
}
