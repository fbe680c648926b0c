/*
 * The image of a container that starts:
 *
 *   status ──present──────────────────────────────────────────► ready
 *     └─absent, or policy Always─► turn to pull ─► pull ─► user ─► ready
 *
 * A failed pull puts the image into a back-off of its own, by pod and image; until that is over
 * each try ends with ImagePullBackOff and the text of the failure. Waiting for the turn and pulling
 * may take any time, so meanwhile the operation idles.
 */
#include "pod/op_start.h"

#include "base/time.h"
#include "pod/cri_message.h"
#include "pod/cri_request.h"

static bool policy_is(const struct pod_op *op, const char *policy)
{
    return text_eq(op->container->image_pull_policy, policy);
}

/* --- asking --- */

static Cri__ImageSpec *image_spec(struct pod_op *op, const char *image)
{
    const Meta__ObjectMeta *meta = op->object->pod->metadata;
    Cri__ImageSpec *spec = cri_new(op->arena, &cri__image_spec__descriptor);
    spec->image = cri_text(op->arena, image);
    spec->n_annotations = meta->n_annotations;
    if (meta->n_annotations > 0)
        spec->annotations = arena_calloc(op->arena, meta->n_annotations, sizeof(void *));
    for (size_t i = 0; i < meta->n_annotations; i++)
        spec->annotations[i] =
            cri_map_entry(op->arena, &cri__image_spec__annotations_entry__descriptor,
                          meta->annotations[i]->key, meta->annotations[i]->value);
    return spec;
}

static void ask_image(struct pod_op *op, const char *image, bool with_annotations, int step)
{
    Cri__ImageStatusRequest request = CRI__IMAGE_STATUS_REQUEST__INIT;
    Cri__ImageSpec bare = CRI__IMAGE_SPEC__INIT;
    bare.image = cri_borrow(image);
    request.image = with_annotations ? image_spec(op, image) : &bare;
    op->step = step;
    pod_op_call(op, IMAGE_IMAGE_STATUS, &request.base, 0);
}

/* Who the image runs as, and its size. An image that is not there runs as root (spec runtime.md
 * §3.3); of one that could not be looked at nobody knows, see take_user(). */
static void take_image(struct pod_op *op)
{
    struct start *start = op->state;
    const Cri__Image *image = ((const Cri__ImageStatusResponse *)op->reply)->image;
    if (!image)
        return;
    start->image_has_uid = image->uid;
    start->image_uid = image->uid ? image->uid->value : 0;
    start->image_username = arena_strdup(op->arena, image->username);
    start->image_bytes = image->size;
}

/* --- pulling --- */

static const char *image_backoff_key(struct pod_op *op)
{
    return arena_printf(op->arena, "%s_%s", op->worker->uid, op->container->image);
}

static void pull_failed(struct pod_op *op)
{
    static const struct {
        const char *reason, *words;
    } known[] = {
        {"RegistryUnavailable", "the registry is unavailable"},
        {"SignatureValidationFailed", "the signature validation failed"},
    };
    struct pod_worker *worker = op->worker;
    const char *image = op->container->image;
    AUTO(error) struct error *err = TAKE(op->err);
    pod_worker_event(
        worker, TIMELINE_WARNING, "Failed", op->container->name,
        arena_printf(op->arena, "Failed to pull image \"%s\": %s", image, err->message));
    const char *reason = "ErrImagePull", *message = err->message;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (!text_has_prefix(err->message, known[i].reason))
            continue;
        reason = known[i].reason;
        message = arena_printf(op->arena, "image pull failed for %s because %s%s", image,
                               known[i].words, err->message + strlen(known[i].reason));
    }
    int64_t now_ns = pod_op_now(op);
    error_ignore(
        backoff_note_restart(worker->pods->image_backoff, image_backoff_key(op), now_ns, now_ns),
        "a full table only means that this image is tried more often");
    pod_worker_event(worker, TIMELINE_WARNING, "Failed", op->container->name,
                     arena_printf(op->arena, "Error: %s", reason));
    /* The next look is soon and shows the back-off; the pull itself is tried when that is over. */
    pod_worker_set_pull_failure(worker, image, arena_printf(op->arena, "%s: %s", reason, message));
    start_fail_until(op, reason, message,
                     sat_add_i64(now_ns, pods_retry_delay(worker->pods, true)));
}

/* True when the image is in back-off, and the operation has ended with that. */
static bool pull_must_wait(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    const char *image = op->container->image;
    int64_t wait_ns, failed_ns;
    if (!backoff_get(worker->pods->image_backoff, image_backoff_key(op), &wait_ns, &failed_ns))
        return false;
    int64_t until_ns = sat_add_i64(failed_ns, wait_ns);
    if (until_ns <= pod_op_now(op))
        return false;
    const char *message = arena_printf(op->arena, "Back-off pulling image \"%s\"", image);
    pod_worker_event(worker, TIMELINE_NORMAL, "BackOff", op->container->name, message);
    const char *failure = pod_worker_pull_failure(worker, image);
    if (failure)
        message = arena_printf(op->arena, "%s: %s", message, failure);
    pod_worker_event(worker, TIMELINE_WARNING, "Failed", op->container->name,
                     "Error: ImagePullBackOff");
    start_fail_until(op, "ImagePullBackOff", message, until_ns);
    return true;
}

static void pull(struct pod_op *op)
{
    struct start *start = op->state;
    start->pull_began_ns = loop_now_mono_ns(op->worker->pods->env.loop);
    Cri__PullImageRequest request = CRI__PULL_IMAGE_REQUEST__INIT;
    request.image = image_spec(op, start->image);
    request.sandbox_config = start->sandbox_config;
    op->step = START_PULL;
    pod_op_call(op, IMAGE_PULL_IMAGE, &request.base, 0);
    pod_op_idles(op);
}

static void on_pull_turn(void *ctx)
{
    pull(ctx);
}

static void queue_pull(struct pod_op *op)
{
    struct start *start = op->state;
    const struct pods_environment *env = &op->worker->pods->env;
    if (pull_must_wait(op))
        return;
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Pulling", op->container->name,
                     arena_printf(op->arena, "Pulling image \"%s\"", op->container->image));
    start->wait_began_ns = loop_now_mono_ns(env->loop);
    bool may_begin = false;
    op->step = START_PULL_TURN;
    op->err = pull_queue_enter(env->pulls, start->wait_began_ns, on_pull_turn, op, &start->ticket,
                               &may_begin);
    if (op->err)
        pull_failed(op);
    else if (may_begin)
        pull(op);
    else
        pod_op_idles(op);
}

static void pulled(struct pod_op *op)
{
    struct start *start = op->state;
    pull_queue_leave(TAKE(start->ticket));
    if (op->err) {
        pull_failed(op);
        return;
    }
    start->image_ref =
        arena_strdup(op->arena, ((const Cri__PullImageResponse *)op->reply)->image_ref);
    backoff_forget(op->worker->pods->image_backoff, image_backoff_key(op));
    pod_worker_set_pull_failure(op->worker, op->container->image, NULL);
    ask_image(op, op->container->image, false, START_IMAGE_USER);
}

static void tell_pulled(struct pod_op *op)
{
    struct start *start = op->state;
    int64_t now_ns = loop_now_mono_ns(op->worker->pods->env.loop);
    char pull_text[TIME_TEXT_SIZE], total_text[TIME_TEXT_SIZE];
    time_format_duration((now_ns - start->pull_began_ns) / NS_PER_MS * NS_PER_MS, pull_text);
    time_format_duration((now_ns - start->wait_began_ns) / NS_PER_MS * NS_PER_MS, total_text);
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Pulled", op->container->name,
                     arena_printf(op->arena,
                                  "Successfully pulled image \"%s\" in %s (%s including waiting). "
                                  "Image size: %llu bytes.",
                                  op->container->image, pull_text, total_text,
                                  (unsigned long long)start->image_bytes));
}

/* Starting what may be meant to run as somebody else as root is no way out when the look-up fails.
 */
static void take_user(struct pod_op *op)
{
    if (!op->err)
        take_image(op);
    tell_pulled(op);
    if (op->err)
        start_fail_with_error(op, "CreateContainerConfigError");
    else
        start_with_image(op);
}

/* --- the way through --- */

static void take_image_status(struct pod_op *op)
{
    struct start *start = op->state;
    const char *image = op->container->image;
    if (op->err) {
        AUTO(error) struct error *err = TAKE(op->err);
        const char *text =
            arena_printf(op->arena, "Failed to inspect image \"\": %s", err->message);
        pod_worker_event(op->worker, TIMELINE_WARNING, "InspectFailed", op->container->name, text);
        start_fail(op, "ImageInspectError", "ImageInspectError", text);
        return;
    }
    const Cri__Image *found = ((const Cri__ImageStatusResponse *)op->reply)->image;
    if (!found && policy_is(op, "Never")) {
        const char *text = arena_printf(
            op->arena, "Container image \"%s\" is not present with pull policy of Never", image);
        pod_worker_event(op->worker, TIMELINE_WARNING, "ErrImageNeverPull", op->container->name,
                         text);
        start_fail(op, "ErrImageNeverPull", "ErrImageNeverPull", text);
        return;
    }
    if (!found) {
        queue_pull(op);
        return;
    }
    take_image(op);
    start->image_ref = arena_strdup(op->arena, found->id);
    pod_worker_event(
        op->worker, TIMELINE_NORMAL, "Pulled", op->container->name,
        arena_printf(
            op->arena,
            "Container image \"%s\" already present on machine and can be accessed by the pod",
            image));
    start_with_image(op);
}

void start_image(struct pod_op *op)
{
    struct start *start = op->state;
    op->err = image_with_default_tag(op->container->image, op->arena, &start->image);
    if (op->err) {
        AUTO(error) struct error *err = TAKE(op->err);
        const char *text = arena_printf(op->arena, "Failed to apply default image tag \"%s\": %s",
                                        op->container->image, err->message);
        pod_worker_event(op->worker, TIMELINE_WARNING, "InspectFailed", op->container->name, text);
        start_fail(op, "InvalidImageName", "InvalidImageName", text);
        return;
    }
    if (policy_is(op, "Always"))
        queue_pull(op);
    else
        ask_image(op, start->image, true, START_IMAGE_STATUS);
}

void start_image_advance(struct pod_op *op)
{
    switch (op->step) {
    case START_IMAGE_STATUS:
        take_image_status(op);
        return;
    case START_PULL:
        pulled(op);
        return;
    case START_IMAGE_USER:
        take_user(op);
        return;
    }
}

void start_image_release(struct pod_op *op)
{
    struct start *start = op->state;
    pull_queue_leave(TAKE(start->ticket));
}
