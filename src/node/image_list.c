#include "node/image_list.h"

#include "base/log.h"
#include "kube/jitter.h"

/* A pod that starts wishes for a reading with each of its images; the runtime walks its store. */
#define READ_PAUSE_NS NS_PER_SEC

static const struct growing_wait_policy retries = {.initial_ns = NS_PER_SEC,
                                                   .max_ns = 30 * NS_PER_SEC};

struct image_list {
    struct loop *loop;
    struct pod_runtime *runtime;
    void (*on_changed)(void *ctx);
    void *ctx;

    struct runtime_call *call;
    struct loop_timer *timer;
    bool is_wished;  /* since the reading under way began */
    int64_t next_ns; /* mono: not before; 0: no reading yet */
    struct growing_wait retry;

    struct arena *arena; /* NULL: nothing was read yet; of: */
    struct node_image *images;
    size_t count;
};

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct node_image *)a)->id, ((const struct node_image *)b)->id);
}

static bool is_same_image(const struct node_image *a, const struct node_image *b)
{
    bool is_same =
        text_eq(a->id, b->id) && a->size_bytes == b->size_bytes && a->n_names == b->n_names;
    for (size_t i = 0; is_same && i < a->n_names; i++)
        is_same = text_eq(a->names[i], b->names[i]);
    return is_same;
}

static bool is_same_list(const struct image_list *list, const struct node_image *images,
                         size_t count)
{
    bool is_same = list->arena && list->count == count;
    for (size_t i = 0; is_same && i < count; i++)
        is_same = is_same_image(&list->images[i], &images[i]);
    return is_same;
}

static void copy_image(const Cri__Image *from, struct node_image *ret, struct arena *arena)
{
    const char **names =
        arena_calloc(arena, from->n_repo_digests + from->n_repo_tags, sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < from->n_repo_digests; i++)
        names[count++] = arena_strdup(arena, from->repo_digests[i]);
    for (size_t i = 0; i < from->n_repo_tags; i++)
        names[count++] = arena_strdup(arena, from->repo_tags[i]);
    *ret = (struct node_image){.id = arena_strdup(arena, from->id),
                               .names = names,
                               .n_names = count,
                               .size_bytes =
                                   (int64_t)(from->size < INT64_MAX ? from->size : INT64_MAX)};
}

/* True when @reply has other images than those known, which it then replaces. */
static bool take(struct image_list *list, const Cri__ListImagesResponse *reply)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_image *images = arena_calloc(arena, reply->n_images, sizeof(*images));
    for (size_t i = 0; i < reply->n_images; i++)
        copy_image(reply->images[i], &images[i], arena);
    if (reply->n_images > 1)
        qsort(images, reply->n_images, sizeof(*images), by_id);
    if (is_same_list(list, images, reply->n_images))
        return false;
    arena_free(list->arena);
    list->arena = TAKE(arena);
    list->images = images;
    list->count = reply->n_images;
    return true;
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct image_list *list = ctx;
    int64_t now_ns = loop_now_mono_ns(list->loop);
    list->call = NULL;
    list->next_ns = sat_add_i64(now_ns, READ_PAUSE_NS);
    if (err_owned) {
        AUTO(error) struct error *err = err_owned;
        list->next_ns = sat_add_i64(now_ns, growing_wait_next(&list->retry, &retries, now_ns, 0));
        list->is_wished = true;
        log_error("Failed to list the images of the runtime", LOG_ERR(err));
    } else {
        list->retry = (struct growing_wait){0};
    }
    if (list->is_wished)
        loop_timer_start(list->timer, list->next_ns - now_ns);
    if (reply && take(list, (const Cri__ListImagesResponse *)(const void *)reply))
        list->on_changed(list->ctx);
}

static void on_timer(void *ctx)
{
    struct image_list *list = ctx;
    const Cri__ListImagesRequest request = CRI__LIST_IMAGES_REQUEST__INIT;
    list->is_wished = false;
    list->call =
        runtime_call_start(list->runtime, IMAGE_LIST_IMAGES, &request.base, 0, on_reply, list);
}

struct image_list *image_list_new(struct loop *loop, struct pod_runtime *runtime,
                                  void (*on_changed)(void *ctx), void *ctx)
{
    struct image_list *list = xcalloc(1, sizeof(*list));
    *list =
        (struct image_list){.loop = loop, .runtime = runtime, .on_changed = on_changed, .ctx = ctx};
    list->timer = loop_timer_new(loop, "image list", on_timer, list);
    return list;
}

void image_list_free(struct image_list *list)
{
    if (!list)
        return;
    runtime_call_cancel(list->runtime, list->call);
    loop_timer_free(list->timer);
    arena_free(list->arena);
    free(list);
}

void image_list_refresh(struct image_list *list)
{
    if (list->is_wished)
        return;
    list->is_wished = true;
    if (!list->call)
        loop_timer_start(list->timer, max_i64(list->next_ns - loop_now_mono_ns(list->loop), 0));
}

const struct node_image *image_list_get(const struct image_list *list, size_t *ret_count)
{
    *ret_count = list->count;
    return list->images;
}
