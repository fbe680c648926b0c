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
