#include "server/pod_lookup.h"

struct search {
    const char *namespace, *name;
    struct pod_view *found;
    bool is_found;
};

static void search_pod(void *ctx, const struct pod_view *view)
{
    struct search *search = ctx;
    if (!view->pod || (search->is_found && view->terminating) ||
        !text_eq(search->namespace, view->namespace) || !text_eq(search->name, view->name))
        return;
    *search->found = *view;
    search->is_found = true;
}

bool pod_lookup(const struct pods *pods, const char *namespace, const char *name,
                struct pod_view *ret)
{
    struct search search = {.namespace = namespace, .name = name, .found = ret};
    pods_visit(pods, search_pod, &search);
    return search.is_found;
}

static bool find(const Core__PodSpec *spec, const char *name, bool *ret_tty)
{
    for (size_t i = 0; i < spec->n_containers + spec->n_init_containers; i++) {
        const Core__Container *container = i < spec->n_containers
                                               ? spec->containers[i]
                                               : spec->init_containers[i - spec->n_containers];
        *ret_tty = container->has_tty && container->tty;
        if (text_eq(container->name, name))
            return true;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        *ret_tty = common && common->has_tty && common->tty;
        if (common && text_eq(common->name, name))
            return true;
    }
    return false;
}

bool container_lookup(const Core__PodSpec *spec, const char *name, bool *ret_tty)
{
    bool has_tty = false;
    bool is_found = find(spec, name, &has_tty);
    if (is_found && ret_tty)
        *ret_tty = has_tty;
    return is_found;
}
