#include "pod/cri_config_internal.h"

#include "pod/go_text.h"

#include "kube/validate.h"

/* What Linux keeps of a name (MAXHOSTNAMELEN minus nothing: 64 bytes), and what a DNS label may
 * have. */
#define KERNEL_HOSTNAME_MAX 64
#define HOSTNAME_MAX 63

/* The first 63 bytes, without the '-' and '.' they may end in. */
static struct error *truncate_hostname(const Core__Pod *pod, const char *hostname,
                                       struct arena *arena, const char **ret)
{
    size_t len = strlen(hostname);
    if (len > HOSTNAME_MAX) {
        len = HOSTNAME_MAX;
        while (len > 0 && (hostname[len - 1] == '-' || hostname[len - 1] == '.'))
            len--;
        if (len == 0)
            return error_new(ERROR_INVALID_ARGUMENT, "hostname for pod %s was invalid: %s",
                             go_quote(arena, pod->metadata->name), go_quote(arena, hostname));
    }
    *ret = arena_strndup(arena, hostname, len);
    return NULL;
}

static struct error *name_error(const char *field, const char *name, const char *kind,
                                const char *why, struct arena *arena)
{
    return error_new(ERROR_INVALID_ARGUMENT, "pod %s %s is not a valid DNS %s: %s", field,
                     go_quote(arena, name), kind, why);
}

struct error *pod_hostname_of(const Core__Pod *pod, const char *cluster_domain, struct arena *arena,
                              struct pod_hostname *ret)
{
    const Core__PodSpec *spec = pod->spec;
    struct pod_hostname name = {.domain = ""};
    const char *override = spec->hostname_override;
    if (override) {
        const char *why = name_check_dns1123_subdomain(str_from(override));
        if (why)
            return name_error("HostnameOverride", override, "subdomain", why, arena);
        struct error *err = truncate_hostname(pod, override, arena, &name.hostname);
        if (err)
            return err;
        *ret = name;
        return NULL;
    }

    const char *hostname = pod->metadata->name;
    if (spec->hostname && *spec->hostname) {
        hostname = spec->hostname;
        const char *why = name_check_dns1123_label(str_from(hostname));
        if (why)
            return name_error("Hostname", hostname, "label", why, arena);
    }
    struct error *err = truncate_hostname(pod, hostname, arena, &name.hostname);
    if (err)
        return err;
    if (spec->subdomain && *spec->subdomain) {
        const char *why = name_check_dns1123_label(str_from(spec->subdomain));
        if (why)
            return name_error("Subdomain", spec->subdomain, "label", why, arena);
        name.domain = arena_printf(arena, "%s.%s.svc.%s", spec->subdomain,
                                   pod->metadata->namespace_, cluster_domain);
    }
    *ret = name;
    return NULL;
}

struct error *pod_kernel_hostname(const Core__Pod *pod, const struct pod_hostname *name,
                                  struct arena *arena, const char **ret)
{
    if (!pod->spec->set_hostname_as_fqdn || !*name->domain) {
        *ret = name->hostname;
        return NULL;
    }
    const char *fqdn = arena_printf(arena, "%s.%s", name->hostname, name->domain);
    if (strlen(fqdn) > KERNEL_HOSTNAME_MAX)
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "failed to construct FQDN from pod hostname and cluster domain, FQDN %s is too long "
            "(%d characters is the max, %zu characters requested)",
            fqdn, KERNEL_HOSTNAME_MAX, strlen(fqdn));
    *ret = fqdn;
    return NULL;
}
