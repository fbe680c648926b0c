/*
 * The image of a container that starts:
 *
 *   pull secrets ─► status ──present─► access ──allowed──────────────────────────────────► ready
 *                     │                  └─refused─┐
 *                     └─absent, or policy Always───┴► intent ─► logins ─► turn ─► pull
 *                                                                     next login └◄┤
 *                                                      ready ◄─ user ◄─ record ◄───┘
 *
 * Pull secrets are a step only for a pod that names some. The other logins are looked for once,
 * also where access depends on them: the node's own, which are read from its disk, and those of
 * plugins, if one is for the image. All that match the image are tried, those of the secrets first
 * and those of plugins last; when there are none the pull is anonymous. Secrets and logins are
 * start_logins.c's; access, intent and record are start_access.c's.
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

static void count_request(const struct pod_op *op, const char *present_locally,
                          const char *pull_required)
{
    const char *policy = policy_is(op, "Always")  ? "always"
                         : policy_is(op, "Never") ? "never"
                                                  : "ifnotpresent";
    metric_add(op->worker->pods->metrics.families[POD_METRIC_IMAGE_REQUESTS], 1, present_locally,
               policy, pull_required);
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

/* With the next login that was not tried yet, if there is any. */
static void pull(struct pod_op *op)
{
    struct start *start = op->state;
    if (start->n_tried == 0)
        start->pull_began_ns = loop_now_mono_ns(op->worker->pods->env.loop);
    Cri__AuthConfig auth = CRI__AUTH_CONFIG__INIT;
    Cri__PullImageRequest request = CRI__PULL_IMAGE_REQUEST__INIT;
    request.image = image_spec(op, start->image);
    request.sandbox_config = start->sandbox_config;
    if (start->n_tried < start->n_logins) {
        auth.username = cri_borrow(start->logins[start->n_tried].username);
        auth.password = cri_borrow(start->logins[start->n_tried].password);
        request.auth = &auth;
    }
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

/* As Go's aggregate of errors: each text once, in brackets when there are several. */
static const char *refusals_text(struct pod_op *op)
{
    const struct start *start = op->state;
    const char *all = "";
    bool is_list = false;
    for (size_t i = 0; i < start->n_tried; i++) {
        bool is_known = false;
        for (size_t k = 0; k < i; k++)
            is_known = is_known || text_eq(start->refusals[k], start->refusals[i]);
        if (is_known)
            continue;
        is_list = i > 0;
        all = arena_printf(op->arena, "%s%s%s", all, is_list ? ", " : "", start->refusals[i]);
    }
    return is_list ? arena_printf(op->arena, "[%s]", all) : all;
}

/* A login was refused, or the pull went wrong with it. True: the next one is being tried. */
static bool try_next_login(struct pod_op *op)
{
    struct start *start = op->state;
    if (start->n_tried == start->n_logins)
        return false; /* it was anonymous */
    start->refusals[start->n_tried++] = arena_strdup(op->arena, op->err->message);
    if (start->n_tried < start->n_logins) {
        pull(op);
        return true;
    }
    struct error *last = op->err;
    op->err = error_new(last->code, "%s", refusals_text(op));
    error_free(last);
    return false;
}

static void pulled(struct pod_op *op)
{
    struct start *start = op->state;
    /* remote_image.go: "we can strip the code from unknown status errors since they add no value"
     */
    if (op->err && !error_is(op->err, ERROR_UNKNOWN))
        pod_op_error_as_rpc(op);
    if (op->err && try_next_login(op))
        return;
    start->pull_ended_ns = loop_now_mono_ns(op->worker->pods->env.loop);
    pull_queue_leave(TAKE(start->ticket));
    if (op->err) {
        pull_failed(op);
        return;
    }
    start->image_ref =
        arena_strdup(op->arena, ((const Cri__PullImageResponse *)op->reply)->image_ref);
    /* A success is none of the back-off's business, but upstream takes the occasion. */
    backoff_prune(op->worker->pods->image_backoff, pod_op_now(op), NULL, NULL);
    pod_worker_set_pull_failure(op->worker, op->container->image, NULL);
    start_access_pulled(op);
}

void start_image_recorded(struct pod_op *op)
{
    ask_image(op, op->container->image, false, START_IMAGE_USER);
}

static void tell_pulled(struct pod_op *op)
{
    struct start *start = op->state;
    int64_t now_ns = loop_now_mono_ns(op->worker->pods->env.loop);
    char pull_text[TIME_TEXT_SIZE], total_text[TIME_TEXT_SIZE];
    time_format_duration((start->pull_ended_ns - start->pull_began_ns) / NS_PER_MS * NS_PER_MS,
                         pull_text);
    time_format_duration((now_ns - start->wait_began_ns) / NS_PER_MS * NS_PER_MS, total_text);
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Pulled", op->container->name,
                     arena_printf(op->arena,
                                  "Successfully pulled image \"%s\" in %s (%s including waiting). "
                                  "Image size: %llu bytes.",
                                  op->container->image, pull_text, total_text,
                                  (unsigned long long)start->image_bytes));
    pod_metrics_pulled(op->worker, start->pull_began_ns, start->image_bytes);
    pods_tell_image(op->worker->pods);
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

/* --- with logins --- */

void start_image_find_logins(struct pod_op *op)
{
    struct start *start = op->state;
    start->is_checking = true;
    if (start_secrets_read(op))
        start_logins_find(op);
    else
        count_request(op, "true", "unknown");
}

/* The image is to be pulled, if that may be tried now. */
static void begin_pull(struct pod_op *op)
{
    if (!start_secrets_read(op))
        return;
    start_access_enter(op);
    if (!pull_must_wait(op))
        start_access_intend(op);
}

void start_image_intended(struct pod_op *op)
{
    const struct start *start = op->state;
    if (start->has_logins)
        queue_pull(op);
    else
        start_logins_find(op);
}

void start_image_logins_found(struct pod_op *op)
{
    struct start *start = op->state;
    start->has_logins = true;
    if (start->is_checking)
        start_access_check(op);
    else
        queue_pull(op);
}

/* --- the way through --- */

static void never_pull(struct pod_op *op)
{
    const char *text =
        arena_printf(op->arena, "Container image \"%s\" is not present with pull policy of Never",
                     op->container->image);
    pod_worker_event(op->worker, TIMELINE_WARNING, "ErrImageNeverPull", op->container->name, text);
    start_fail(op, "ErrImageNeverPull", "ErrImageNeverPull", text);
}

void start_image_allowed(struct pod_op *op)
{
    const char *end = op->worker->pods->env.pull_records ? " and can be accessed by the pod" : "";
    count_request(op, "true", "false");
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Pulled", op->container->name,
                     arena_printf(op->arena, "Container image \"%s\" already present on machine%s",
                                  op->container->image, end));
    start_with_image(op);
}

void start_image_refused(struct pod_op *op)
{
    struct start *start = op->state;
    start->is_checking = false;
    count_request(op, "true", "true");
    if (policy_is(op, "Never"))
        never_pull(op);
    else
        begin_pull(op);
}

static void take_image_status(struct pod_op *op)
{
    struct start *start = op->state;
    if (op->err) {
        pod_op_error_as_rpc(op);
        AUTO(error) struct error *err = TAKE(op->err);
        const char *text =
            arena_printf(op->arena, "Failed to inspect image \"\": %s", err->message);
        pod_worker_event(op->worker, TIMELINE_WARNING, "InspectFailed", op->container->name, text);
        start_fail(op, "ImageInspectError", "ImageInspectError", text);
        return;
    }
    const Cri__Image *found = ((const Cri__ImageStatusResponse *)op->reply)->image;
    bool is_never = policy_is(op, "Never");
    if (found) {
        take_image(op);
        start->image_ref = arena_strdup(op->arena, found->id);
        start_access_check(op);
        return;
    }
    count_request(op, "false", is_never ? "unknown" : "true");
    if (is_never)
        never_pull(op);
    else
        begin_pull(op);
}

static void look_for_image(struct pod_op *op)
{
    const struct start *start = op->state;
    if (policy_is(op, "Always")) {
        count_request(op, "unknown", "true"); /* it is not looked for */
        begin_pull(op);
    } else {
        ask_image(op, start->image, true, START_IMAGE_STATUS);
    }
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
    if (!start_secrets_fetch(op))
        look_for_image(op);
}

void start_image_advance(struct pod_op *op)
{
    switch (op->step) {
    case START_PULL_SECRETS:
        start_secrets_fetched(op);
        look_for_image(op);
        return;
    case START_IMAGE_STATUS:
        take_image_status(op);
        return;
    case START_NODE_LOGINS:
    case START_PLUGIN_LOGINS:
        start_logins_advance(op);
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
    start_logins_release(op);
    start_access_release(op);
}
