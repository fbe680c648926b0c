/* PodSandboxConfig: the frame of a pod, in the order of spec runtime.md §2.3. */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"
#include "pod/go_text.h"

#include "base/buf.h"
#include "base/path.h"
#include "kube/resources.h"
#include "pod/labels.h"

#include <ctype.h>

const char *pod_text(const Core__Pod *pod, struct arena *arena)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    return arena_printf(arena, "%s_%s(%s)", meta->name, meta->namespace_, meta->uid);
}

const char *pod_log_dir(const Core__Pod *pod, const struct node_facts *node, struct arena *arena)
{
    const Meta__ObjectMeta *meta = pod->metadata;
    const char *name = arena_printf(arena, "%s_%s_%s", meta->namespace_, meta->name, meta->uid);
    AUTO(free) char *path = path_join(node->pod_logs_dir, name);
    return arena_strdup(arena, path);
}

/* --- cgroup parent --- */

/* systemd spells the path of a slice into its name, so '-' inside a name must go. */
static const char *slice_part(const char *part, struct arena *arena)
{
    char *escaped = arena_strdup(arena, part);
    for (char *c = escaped; *c; c++) {
        if (*c == '-')
            *c = '_';
    }
    return escaped;
}

/* A cgroup path under construction, in one of the two spellings. */
struct cgroup_path {
    struct arena *arena;
    bool systemd;
    const char *path;  /* what was built so far; "" at the root */
    const char *slice; /* systemd: the innermost slice's name without ".slice" */
};

static void enter(struct cgroup_path *at, const char *part)
{
    if (!at->systemd) {
        at->path = arena_printf(at->arena, "%s/%s", at->path, part);
        return;
    }
    const char *escaped = slice_part(part, at->arena);
    at->slice = *at->slice ? arena_printf(at->arena, "%s-%s", at->slice, escaped) : escaped;
    at->path = arena_printf(at->arena, "%s/%s.slice", at->path, at->slice);
}

const char *pod_cgroup_parent(const Core__Pod *pod, const struct node_facts *node,
                              struct arena *arena)
{
    if (!node->cgroups_per_qos)
        return "";
    struct cgroup_path at = {
        .arena = arena, .systemd = node->cgroup_systemd_driver, .path = "", .slice = ""};
    struct str rest = str_from(node->cgroup_root), part;
    while (str_split_next(&rest, '/', &part)) {
        if (part.len > 0)
            enter(&at, arena_strndup(arena, part.ptr, part.len));
    }
    enter(&at, "kubepods");
    switch (pod_qos_of(pod)) {
    case POD_QOS_GUARANTEED:
        break;
    case POD_QOS_BURSTABLE:
        enter(&at, "burstable");
        break;
    case POD_QOS_BESTEFFORT:
        enter(&at, "besteffort");
        break;
    }
    enter(&at, arena_printf(arena, "pod%s", pod->metadata->uid));
    return at.path;
}

/* --- ports --- */

static Cri__Protocol protocol_of(const char *name)
{
    if (text_eq(name, "UDP"))
        return CRI__PROTOCOL__UDP;
    return text_eq(name, "SCTP") ? CRI__PROTOCOL__SCTP : CRI__PROTOCOL__TCP;
}

/* What makes a port the same as another of its container: its name, or all it says. */
static const char *port_key(const Core__ContainerPort *port, struct arena *arena)
{
    if (port->name && *port->name)
        return port->name;
    const char *ip = port->host_ip ? port->host_ip : "";
    const char *family = !*ip ? "any" : strchr(ip, ':') ? "v6" : "v4";
    return arena_printf(arena, "%s-%s-%s:%d:%d", family, port->protocol ? port->protocol : "", ip,
                        port->container_port, port->host_port);
}

static bool has_key(const char *const *keys, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(keys[i], key))
            return true;
    }
    return false;
}

static void add_ports(const Core__Container *container, struct arena *arena,
                      Cri__PodSandboxConfig *config)
{
    const char **keys = arena_calloc(arena, container->n_ports + 1, sizeof(*keys));
    for (size_t i = 0; i < container->n_ports; i++) {
        const Core__ContainerPort *port = container->ports[i];
        keys[i] = port_key(port, arena);
        if (has_key(keys, i, keys[i]))
            continue;
        Cri__PortMapping *mapping = cri_new(arena, &cri__port_mapping__descriptor);
        mapping->protocol = protocol_of(port->protocol);
        mapping->container_port = port->container_port;
        mapping->host_port = port->host_port;
        mapping->host_ip = cri_text(arena, port->host_ip);
        config->port_mappings[config->n_port_mappings++] = mapping;
    }
}

static void set_port_mappings(const Core__PodSpec *spec, struct arena *arena,
                              Cri__PodSandboxConfig *config)
{
    size_t total = 0;
    for (size_t i = 0; i < spec->n_containers; i++)
        total += spec->containers[i]->n_ports;
    if (total == 0)
        return;
    config->port_mappings = cri_array(arena, total);
    for (size_t i = 0; i < spec->n_containers; i++)
        add_ports(spec->containers[i], arena, config);
}

/* --- labels, annotations, sysctls --- */

#define IDENTITY_LABELS 3

static void set_labels(const Meta__ObjectMeta *meta, struct arena *arena,
                       Cri__PodSandboxConfig *config)
{
    const char *const identity[IDENTITY_LABELS][2] = {
        {LABEL_POD_NAME, meta->name},
        {LABEL_POD_NAMESPACE, meta->namespace_},
        {LABEL_POD_UID, meta->uid},
    };
    const ProtobufCMessageDescriptor *type = &cri__pod_sandbox_config__labels_entry__descriptor;
    config->labels = cri_array(arena, meta->n_labels + IDENTITY_LABELS);
    for (size_t i = 0; i < meta->n_labels; i++) {
        bool overridden = false;
        for (size_t k = 0; k < IDENTITY_LABELS; k++)
            overridden |= text_eq(meta->labels[i]->key, identity[k][0]);
        if (!overridden)
            config->labels[config->n_labels++] =
                cri_map_entry(arena, type, meta->labels[i]->key, meta->labels[i]->value);
    }
    for (size_t k = 0; k < IDENTITY_LABELS; k++)
        config->labels[config->n_labels++] =
            cri_map_entry(arena, type, identity[k][0], identity[k][1]);
}

static void set_annotations(const Meta__ObjectMeta *meta, struct arena *arena,
                            Cri__PodSandboxConfig *config)
{
    config->n_annotations = meta->n_annotations;
    config->annotations = cri_array(arena, meta->n_annotations);
    for (size_t i = 0; i < meta->n_annotations; i++)
        config->annotations[i] =
            cri_map_entry(arena, &cri__pod_sandbox_config__annotations_entry__descriptor,
                          meta->annotations[i]->key, meta->annotations[i]->value);
}

/* kernel/xx.yy is an old spelling of kernel.xx/yy: the first separator tells which of the two is
 * meant. */
static const char *sysctl_name(const char *name, struct arena *arena)
{
    size_t first = strcspn(name, "./");
    if (name[first] != '/')
        return name;
    char *swapped = arena_strdup(arena, name);
    for (char *c = swapped; *c; c++) {
        if (*c == '/')
            *c = '.';
        else if (*c == '.')
            *c = '/';
    }
    return swapped;
}

static bool is_later(Core__Sysctl *const *sysctls, size_t count, size_t at, const char *name,
                     struct arena *arena)
{
    for (size_t i = at + 1; i < count; i++) {
        if (text_eq(sysctl_name(sysctls[i]->name, arena), name))
            return true;
    }
    return false;
}

/* The last of several settings of one name counts. */
static void set_sysctls(const Core__PodSecurityContext *context, struct arena *arena,
                        Cri__LinuxPodSandboxConfig *linux_config)
{
    if (!context || context->n_sysctls == 0)
        return;
    linux_config->sysctls = cri_array(arena, context->n_sysctls);
    for (size_t i = 0; i < context->n_sysctls; i++) {
        const char *name = sysctl_name(context->sysctls[i]->name, arena);
        if (is_later(context->sysctls, context->n_sysctls, i, name, arena))
            continue;
        linux_config->sysctls[linux_config->n_sysctls++] =
            cri_map_entry(arena, &cri__linux_pod_sandbox_config__sysctls_entry__descriptor, name,
                          context->sysctls[i]->value);
    }
}

/* --- the whole --- */

static struct error *linux_build(const struct sandbox_config_input *input, struct arena *arena,
                                 Cri__LinuxPodSandboxConfig **ret)
{
    const Core__Pod *pod = input->pod;
    Cri__LinuxPodSandboxConfig *linux_config =
        cri_new(arena, &cri__linux_pod_sandbox_config__descriptor);
    linux_config->cgroup_parent = cri_text(arena, pod_cgroup_parent(pod, input->node, arena));
    set_sysctls(pod->spec->security_context, arena, linux_config);
    struct error *err = sandbox_security_build(input, arena, &linux_config->security_context);
    if (err)
        return err;
    linux_config->resources = sandbox_resources_build(pod, input->node, arena);
    linux_config->overhead = sandbox_overhead_build(pod, input->node, arena);
    *ret = linux_config;
    return NULL;
}

/* A pod in the host's network has the host's name. */
static struct error *set_hostname(const struct sandbox_config_input *input, struct arena *arena,
                                  Cri__PodSandboxConfig *config)
{
    if (input->pod->spec->host_network)
        return NULL;
    struct pod_hostname name;
    struct error *err = pod_hostname_of(input->pod, input->node->cluster_domain, arena, &name);
    if (err)
        return err;
    const char *kernel_name;
    err = pod_kernel_hostname(input->pod, &name, arena, &kernel_name);
    if (err)
        return err;
    config->hostname = cri_text(arena, kernel_name);
    return NULL;
}

struct error *sandbox_config_build(const struct sandbox_config_input *input, struct arena *arena,
                                   struct config_notices *notices, Cri__PodSandboxConfig **ret)
{
    const Meta__ObjectMeta *meta = input->pod->metadata;
    *notices = (struct config_notices){0};
    Cri__PodSandboxConfig *config = cri_new(arena, &cri__pod_sandbox_config__descriptor);
    config->metadata = cri_new(arena, &cri__pod_sandbox_metadata__descriptor);
    config->metadata->name = cri_text(arena, meta->name);
    config->metadata->namespace_ = cri_text(arena, meta->namespace_);
    config->metadata->uid = cri_text(arena, meta->uid);
    config->metadata->attempt = input->attempt;
    set_labels(meta, arena, config);
    set_annotations(meta, arena, config);
    config->dns_config = dns_config_build(input, arena, notices);
    struct error *err = set_hostname(input, arena, config);
    if (err)
        return err;
    config->log_directory = cri_text(arena, pod_log_dir(input->pod, input->node, arena));
    set_port_mappings(input->pod->spec, arena, config);
    err = linux_build(input, arena, &config->linux);
    if (err)
        return err;
    *ret = config;
    return NULL;
}
