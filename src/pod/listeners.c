/* Who is told of changes. Each gets a view of its own, because the one before may have brought the
 * pod another object. */
#include "pod/pods_internal.h"

#include "base/hash.h"

struct pods_listening {
    struct pods_listener listener;
    struct pods_listening *next;
};

void pods_listen(struct pods *pods, const struct pods_listener *listener)
{
    struct pods_listening *listening = xcalloc(1, sizeof(*listening));
    listening->listener = *listener;
    LL_APPEND(pods->listeners, listening);
}

void pods_unlisten(struct pods *pods, const void *ctx)
{
    struct pods_listening *listening;
    LL_SEARCH_SCALAR(pods->listeners, listening, listener.ctx, ctx);
    if (!listening)
        return;
    LL_DELETE(pods->listeners, listening);
    free(listening);
}

void pods_listeners_free(struct pods *pods)
{
    struct pods_listening *listening, *next;
    LL_FOREACH_SAFE(pods->listeners, listening, next)
        free(listening);
    pods->listeners = NULL;
}

void pods_tell_changed(const struct pod_worker *worker)
{
    const struct pods_listening *listening;
    LL_FOREACH(worker->pods->listeners, listening) {
        struct pod_view view;
        if (!listening->listener.on_change || !worker->object)
            continue;
        pod_worker_view(worker, &view);
        listening->listener.on_change(listening->listener.ctx, &view);
    }
}

void pods_tell_gone(const struct pod_worker *worker)
{
    const struct pods_listening *listening;
    LL_FOREACH(worker->pods->listeners, listening) {
        struct pod_view view;
        if (worker->again || !listening->listener.on_gone)
            continue;
        pod_worker_view(worker, &view);
        listening->listener.on_gone(listening->listener.ctx, &view);
    }
}

void pods_tell_runtime(const struct pods *pods)
{
    const struct pods_listening *listening;
    LL_FOREACH(pods->listeners, listening) {
        if (listening->listener.on_runtime)
            listening->listener.on_runtime(listening->listener.ctx);
    }
}

void pods_tell_image(const struct pods *pods)
{
    const struct pods_listening *listening;
    LL_FOREACH(pods->listeners, listening) {
        if (listening->listener.on_image)
            listening->listener.on_image(listening->listener.ctx);
    }
}
