#include "pod/object_fetch.h"

#include "kube/object_watch.h"
#include "pod/pods.h"

struct fetch_item {
    struct object_fetch *fetch;
    struct object_watch_get *get; /* NULL: it has ended */
    const struct kube_object *object;
    struct error *error;
    struct env_object *result;
};

struct object_fetch {
    struct fetch_item *items; /* one for each result */
    struct env_object *results;
    size_t count, pending;
    void (*on_done)(void *ctx);
    void *ctx;
};

static void on_got(void *ctx, const struct kube_object *object, struct error *err_owned)
{
    struct fetch_item *item = ctx;
    struct object_fetch *fetch = item->fetch;
    item->get = NULL;
    item->object = kube_object_ref(object);
    item->error = err_owned;
    item->result->object = object ? object->message : NULL;
    item->result->err = err_owned;
    if (--fetch->pending == 0)
        fetch->on_done(fetch->ctx); /* may free it */
}

static void start(struct object_fetch *fetch, struct object_watch *watch, bool is_secret,
                  const char *namespace_, const char *name)
{
    struct fetch_item *item = &fetch->items[fetch->count];
    item->fetch = fetch;
    item->result = &fetch->results[fetch->count];
    *item->result = (struct env_object){.is_secret = is_secret, .name = name};
    fetch->count++;
    fetch->pending++;
    item->get = object_watch_get(watch, namespace_, name, on_got, item);
}

struct object_fetch *object_fetch_start(const struct pods_api *api, const char *namespace_,
                                        const struct pod_references *references,
                                        void (*on_done)(void *ctx), void *ctx)
{
    size_t count = references->config_map_count + references->secret_count;
    if (count == 0)
        return NULL;
    struct object_fetch *fetch = xcalloc(1, sizeof(*fetch));
    fetch->items = xcalloc(count, sizeof(*fetch->items));
    fetch->results = xcalloc(count, sizeof(*fetch->results));
    fetch->on_done = on_done;
    fetch->ctx = ctx;
    for (size_t i = 0; i < references->config_map_count; i++)
        start(fetch, api->config_maps, false, namespace_, references->config_maps[i]);
    for (size_t i = 0; i < references->secret_count; i++)
        start(fetch, api->secrets, true, namespace_, references->secrets[i]);
    return fetch;
}

void object_fetch_free(struct object_fetch *fetch)
{
    if (!fetch)
        return;
    for (size_t i = 0; i < fetch->count; i++) {
        object_watch_get_cancel(fetch->items[i].get);
        kube_object_unref(fetch->items[i].object);
        error_free(fetch->items[i].error);
    }
    free(fetch->items);
    free(fetch->results);
    free(fetch);
}

const struct env_object *object_fetch_results(const struct object_fetch *fetch, size_t *ret_count)
{
    *ret_count = fetch ? fetch->count : 0;
    return fetch ? fetch->results : NULL;
}
