/*
 * What the runtime's images mean to the pull records, once at the start: an agent may have ended
 * while it pulled, and images may have been removed since. Until that is known an intent does what
 * the record it becomes would do.
 */
#include "pod/pods_internal.h"

#include "image/pull_records.h"

struct pods_images {
    struct pull_request *request; /* one of these is pending */
    struct runtime_call *call;
    int64_t asked_ns; /* wall */
};

static void compare(struct pods *pods, const Cri__ListImagesResponse *reply)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pull_image *images = arena_calloc(arena, reply->n_images + 1, sizeof(*images));
    for (size_t i = 0; i < reply->n_images; i++) {
        const Cri__Image *image = reply->images[i];
        const char **names =
            arena_calloc(arena, image->n_repo_digests + image->n_repo_tags + 1, sizeof(*names));
        size_t count = 0;
        for (size_t k = 0; k < image->n_repo_digests; k++)
            names[count++] = image->repo_digests[k];
        for (size_t k = 0; k < image->n_repo_tags; k++)
            names[count++] = image->repo_tags[k];
        images[i] = (struct pull_image){.id = image->id, .names = names, .n_names = count};
    }
    pull_records_reconcile(pods->env.pull_records, images, reply->n_images,
                           pods->images->asked_ns / NS_PER_SEC);
}

static void on_images(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    struct pods *pods = ctx;
    AUTO(error) struct error *err = err_owned;
    pods->images->call = NULL;
    if (err)
        log_error("failed to list images", LOG_ERR(err));
    else
        compare(pods, (const Cri__ListImagesResponse *)(const void *)reply);
    pods_images_cancel(pods);
}

static void on_read(void *ctx, bool has_any)
{
    struct pods *pods = ctx;
    const Cri__ListImagesRequest request = CRI__LIST_IMAGES_REQUEST__INIT;
    pods->images->request = NULL;
    if (!has_any) {
        pods_images_cancel(pods);
        return;
    }
    pods->images->asked_ns = loop_now_wall_ns(pods->env.loop);
    pods->images->call =
        runtime_call_start(pods->env.runtime, IMAGE_LIST_IMAGES, &request.base, 0, on_images, pods);
}

void pods_images_start(struct pods *pods)
{
    if (!pods->env.pull_records)
        return;
    pods->images = xcalloc(1, sizeof(*pods->images));
    pods->images->request = pull_records_when_read(pods->env.pull_records, on_read, pods);
}

void pods_images_cancel(struct pods *pods)
{
    if (!pods->images)
        return;
    pull_request_cancel(pods->images->request);
    runtime_call_cancel(pods->env.runtime, pods->images->call);
    free(pods->images);
    pods->images = NULL;
}
