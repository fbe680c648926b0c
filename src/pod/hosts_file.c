/*
 * /etc/hosts of a container (spec runtime.md §3.9): managed unless the container mounts its own or
 * no address of the pod is known yet.
 */
#include "pod/cri_config_internal.h"

#include "base/buf.h"

#define HOSTS_MAX_BYTES (64 * MiB) /* out of reach: a pod has 10 MiB at most */

static const char pod_network_head[] = "# Kubernetes-managed hosts file.\n"
                                       "127.0.0.1\tlocalhost\n"
                                       "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                       "fe00::0\tip6-localnet\n"
                                       "fe00::0\tip6-mcastprefix\n"
                                       "fe00::1\tip6-allnodes\n"
                                       "fe00::2\tip6-allrouters\n";
static const char host_network_head[] = "# Kubernetes-managed hosts file (host network).\n";

static bool mounts_own_hosts(const Core__Container *container)
{
    for (size_t i = 0; i < container->n_volume_mounts; i++) {
        if (text_eq(container->volume_mounts[i]->mount_path, "/etc/hosts"))
            return true;
    }
    return false;
}

static void add_aliases(struct buf *out, const Core__PodSpec *spec)
{
    if (spec->n_host_aliases == 0)
        return;
    buf_add_text(out, "\n# Entries added by HostAliases.\n");
    for (size_t i = 0; i < spec->n_host_aliases; i++) {
        const Core__HostAlias *alias = spec->host_aliases[i];
        buf_printf(out, "%s\t", alias->ip ? alias->ip : "");
        for (size_t k = 0; k < alias->n_hostnames; k++)
            buf_printf(out, "%s%s", k == 0 ? "" : "\t", alias->hostnames[k]);
        buf_add_char(out, '\n');
    }
}

static const char *in_arena(struct buf *out, struct arena *arena)
{
    return arena_strndup(arena, buf_text(out), out->len);
}

void hosts_file_plan(const struct container_config_input *input, const struct pod_hostname *name,
                     struct arena *arena, struct container_files *files)
{
    const Core__PodSpec *spec = input->pod->spec;
    bool has_ips = input->pod_ips && input->pod_ips[0];
    if (mounts_own_hosts(input->container) || (!has_ips && !spec->host_network))
        return;
    files->hosts_path = arena_printf(arena, "%s/pods/%s/etc-hosts", input->node->root_dir,
                                     input->pod->metadata->uid);
    AUTO(buf) struct buf out;
    buf_init(&out, HOSTS_MAX_BYTES);
    if (spec->host_network) {
        files->hosts_from_node = true;
        files->hosts_prefix = host_network_head;
        add_aliases(&out, spec);
        files->hosts_suffix = in_arena(&out, arena);
        return;
    }
    buf_add_text(&out, pod_network_head);
    for (size_t i = 0; has_ips && input->pod_ips[i]; i++) {
        if (*name->domain)
            buf_printf(&out, "%s\t%s.%s\t%s\n", input->pod_ips[i], name->hostname, name->domain,
                       name->hostname);
        else
            buf_printf(&out, "%s\t%s\n", input->pod_ips[i], name->hostname);
    }
    add_aliases(&out, spec);
    files->hosts_content = in_arena(&out, arena);
}
