/*
 * Starting one container.
 *
 *   prepare → image status → (turn to pull → pull → image user) → subPaths → files
 *           → create → start → postStart hook → status → link
 *
 * Each step may fail; the failure becomes the container's waiting reason and message (spec pods.md
 * §5.6, §6.3), an event, and a pause before the next try. What a failed step left behind (a created
 * but not started container) is found by the plan, which looks at the runtime and not at this
 * operation.
 */
#include "pod/cri_message.h"
#include "pod/cri_request.h"
#include "pod/hook.h"
#include "pod/prepare.h"
#include "pod/start_files.h"
#include "pod/termination.h"

#include "base/time.h"

#include <sys/random.h>

enum {
    START_PREPARE,
    START_IMAGE_STATUS,
    START_PULL_TURN,
    START_PULL,
    START_IMAGE_USER,
    START_SUBPATHS,
    START_FILES,
    START_CREATE,
    START_START,
    START_STATUS,
    START_STATUS_PAUSE,
    START_MESSAGE,
    START_LINK,
    START_HOOK,
    START_HOOK_KILL,
};

struct start {
    const char *sandbox_id;
    const char *const *pod_ips;
    Cri__PodSandboxConfig *sandbox_config;
    Cri__ContainerConfig *config;
    const char *image; /* with a tag */
    const char *image_ref;
    bool image_has_uid;
    int64_t image_uid;
    const char *image_username;
    uint32_t restart_count;
    const char *const *subpath_targets;
    struct container_files files;
    const char *id; /* of the new instance */
    struct pull_ticket *ticket;
    int64_t wait_began_ns, pull_began_ns;
    uint64_t image_bytes;
    bool is_doubtful; /* StartContainer failed: its effect is not known */
};

static void start_release(struct pod_op *op)
{
    struct start *start = op->state;
    pull_queue_leave(TAKE(start->ticket));
}

static int64_t now_wall(const struct pod_op *op)
{
    return loop_now_wall_ns(op->worker->pods->env.loop);
}

/* --- failing --- */

static void fail_until(struct pod_op *op, const char *reason, const char *message,
                       int64_t retry_at_ns)
{
    struct pod_worker *worker = op->worker;
    pod_worker_set_result(worker, op->container->name, reason, message);
    worker->inspect_again =
        true; /* perhaps the sandbox is what failed: the next plan must see it as it is */
    struct container_note *note = pod_worker_note(worker, op->container->name);
    if (note)
        note->retry_at_ns = retry_at_ns;
    pod_op_end(op);
}

/* A failed step of the table in spec runtime.md §3.1: event "Error: <text>", waiting reason and
 * message. */
static void fail(struct pod_op *op, const char *reason, const char *event_text, const char *message)
{
    pod_worker_event(op->worker, TIMELINE_WARNING, "Failed", op->container->name,
                     arena_printf(op->arena, "Error: %s", event_text));
    fail_until(op, reason, message,
               sat_add_i64(now_wall(op), pods_retry_delay(op->worker->pods, false)));
}

static void fail_with_error(struct pod_op *op, const char *reason)
{
    AUTO(error) struct error *err = TAKE(op->err);
    fail(op, reason, err->message, err->message);
}

/* --- the image --- */

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
 * §3.3). */
static void take_image(struct pod_op *op)
{
    struct start *start = op->state;
    const Cri__Image *image =
        op->reply ? ((const Cri__ImageStatusResponse *)op->reply)->image : NULL;
    if (!image)
        return;
    start->image_has_uid = image->uid;
    start->image_uid = image->uid ? image->uid->value : 0;
    start->image_username = arena_strdup(op->arena, image->username);
    start->image_bytes = image->size;
}

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
    int64_t now_ns = now_wall(op);
    error_ignore(
        backoff_note_restart(worker->pods->image_backoff, image_backoff_key(op), now_ns, now_ns),
        "a full table only means that this image is tried more often");
    pod_worker_event(worker, TIMELINE_WARNING, "Failed", op->container->name,
                     arena_printf(op->arena, "Error: %s", reason));
    /* The next look is soon and shows the back-off; the pull itself is tried when that is over. */
    fail_until(op, reason, message, sat_add_i64(now_ns, pods_retry_delay(worker->pods, true)));
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
    if (until_ns <= now_wall(op))
        return false;
    const char *message = arena_printf(op->arena, "Back-off pulling image \"%s\"", image);
    pod_worker_event(worker, TIMELINE_NORMAL, "BackOff", op->container->name, message);
    for (size_t i = 0; i < worker->n_notes; i++) {
        const struct start_result *last = &worker->results[i];
        if (!text_eq(last->container, op->container->name) || !last->reason)
            continue;
        bool is_backoff = strcmp(last->reason, "ImagePullBackOff") == 0;
        message = is_backoff
                      ? arena_strdup(op->arena, last->message)
                      : arena_printf(op->arena, "%s: %s: %s", message, last->reason, last->message);
    }
    pod_worker_event(worker, TIMELINE_WARNING, "Failed", op->container->name,
                     "Error: ImagePullBackOff");
    fail_until(op, "ImagePullBackOff", message, until_ns);
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

static bool policy_is(const struct pod_op *op, const char *policy)
{
    return text_eq(op->container->image_pull_policy, policy);
}

/* --- the configuration --- */

static struct container_config_input config_input(struct pod_op *op)
{
    struct start *start = op->state;
    const struct pod_worker *worker = op->worker;
    const struct volume_set *set = worker->volumes;
    struct mounted_volume *volumes =
        arena_calloc(op->arena, (set ? set->count : 0) + 1, sizeof(*volumes));
    for (size_t i = 0; set && i < set->count; i++)
        volumes[i] = (struct mounted_volume){.name = set->volumes[i].name,
                                             .host_path = set->volumes[i].host_path,
                                             .inner_name = set->volumes[i].inner_name,
                                             .read_only = set->volumes[i].read_only,
                                             .selinux_relabel = set->volumes[i].selinux_relabel};
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)now_wall(op);
    return (struct container_config_input){.pod = op->object->pod,
                                           .container = op->container,
                                           .node = worker->pods->env.node,
                                           .volumes = volumes,
                                           .n_volumes = set ? set->count : 0,
                                           .pod_ips = start->pod_ips,
                                           .image_ref = start->image_ref,
                                           .runtime_handler = "",
                                           .image_has_uid = start->image_has_uid,
                                           .image_uid = start->image_uid,
                                           .image_username = start->image_username,
                                           .restart_count = start->restart_count,
                                           .random = random,
                                           .subpath_targets = start->subpath_targets};
}

static void build_config(struct pod_op *op)
{
    struct start *start = op->state;
    struct container_config_input input = config_input(op);
    op->err = container_config_build(&input, op->arena, &start->files, &start->config);
    if (op->err) {
        fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    op->step = START_FILES;
    start_files(op, &start->files);
}

static void image_is_ready(struct pod_op *op)
{
    struct start *start = op->state;
    struct container_config_input input = config_input(op);
    struct subpath_request *requests = NULL;
    size_t count = 0;
    op->err = container_subpaths(&input, op->arena, &requests, &count);
    if (op->err) {
        fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    const char **none = arena_calloc(op->arena, op->container->n_volume_mounts + 1, sizeof(*none));
    start->subpath_targets = none;
    if (count == 0) {
        build_config(op);
        return;
    }
    op->step = START_SUBPATHS;
    start_subpaths(op, requests, count, op->container->name);
}

static void take_image_status(struct pod_op *op)
{
    struct start *start = op->state;
    const char *image = op->container->image;
    if (op->err) {
        AUTO(error) struct error *err = TAKE(op->err);
        const char *text =
            arena_printf(op->arena, "Failed to inspect image \"\": %s", err->message);
        pod_worker_event(op->worker, TIMELINE_WARNING, "InspectFailed", op->container->name, text);
        fail(op, "ImageInspectError", "ImageInspectError", text);
        return;
    }
    const Cri__Image *found = ((const Cri__ImageStatusResponse *)op->reply)->image;
    if (!found && policy_is(op, "Never")) {
        const char *text = arena_printf(
            op->arena, "Container image \"%s\" is not present with pull policy of Never", image);
        pod_worker_event(op->worker, TIMELINE_WARNING, "ErrImageNeverPull", op->container->name,
                         text);
        fail(op, "ErrImageNeverPull", "ErrImageNeverPull", text);
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
    image_is_ready(op);
}

/* The sandbox config is made anew for every container, as the host's resolv.conf may have changed.
 */
static void prepared(struct pod_op *op)
{
    struct start *start = op->state;
    const struct prepare_job *job = prepare_result(op);
    const struct sandbox_observed *sandbox =
        pod_observed_sandbox(&op->worker->have, start->sandbox_id);
    if (job->err)
        op->err = error_dup(job->err);
    else
        op->err =
            prepare_sandbox_config(op, job, sandbox ? sandbox->attempt : 0, &start->sandbox_config);
    if (op->err) {
        fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    if (job->container_name)
        start->restart_count = job->restart_count;

    op->err = image_with_default_tag(op->container->image, op->arena, &start->image);
    if (op->err) {
        AUTO(error) struct error *err = TAKE(op->err);
        const char *text = arena_printf(op->arena, "Failed to apply default image tag \"%s\": %s",
                                        op->container->image, err->message);
        pod_worker_event(op->worker, TIMELINE_WARNING, "InspectFailed", op->container->name, text);
        fail(op, "InvalidImageName", "InvalidImageName", text);
        return;
    }
    if (policy_is(op, "Always"))
        queue_pull(op);
    else
        ask_image(op, start->image, true, START_IMAGE_STATUS);
}

/* --- create, start, look --- */

static void create(struct pod_op *op)
{
    struct start *start = op->state;
    op->err = start_files_result(op);
    if (op->err) {
        fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    Cri__CreateContainerRequest request = CRI__CREATE_CONTAINER_REQUEST__INIT;
    request.pod_sandbox_id = cri_borrow(start->sandbox_id);
    request.config = start->config;
    request.sandbox_config = start->sandbox_config;
    op->step = START_CREATE;
    pod_op_call(op, RUNTIME_CREATE_CONTAINER, &request.base, 0);
}

static void created(struct pod_op *op)
{
    struct start *start = op->state;
    if (op->err) {
        fail_with_error(op, "CreateContainerError");
        return;
    }
    start->id =
        arena_strdup(op->arena, ((const Cri__CreateContainerResponse *)op->reply)->container_id);
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Created", op->container->name,
                     "Container created");
    Cri__StartContainerRequest request = CRI__START_CONTAINER_REQUEST__INIT;
    request.container_id = cri_borrow(start->id);
    op->step = START_START;
    pod_op_call(op, RUNTIME_START_CONTAINER, &request.base, 0);
}

static void ask_status(struct pod_op *op)
{
    const struct start *start = op->state;
    Cri__ContainerStatusRequest request = CRI__CONTAINER_STATUS_REQUEST__INIT;
    request.container_id = cri_borrow(start->id);
    op->step = START_STATUS;
    pod_op_call(op, RUNTIME_CONTAINER_STATUS, &request.base, 0);
}

/* --- the postStart hook: until it has ended the container does not show as running --- */

static void run_hook(struct pod_op *op)
{
    const struct start *start = op->state;
    const Core__LifecycleHandler *handler =
        op->container->lifecycle ? op->container->lifecycle->post_start : NULL;
    if (!handler) {
        ask_status(op);
        return;
    }
    op->step = START_HOOK;
    hook_start(op, handler, start->id, 0);
    pod_op_idles(op);
}

static void hook_ended(struct pod_op *op)
{
    const struct start *start = op->state;
    AUTO(error) struct error *err = hook_result(op);
    if (!err) {
        ask_status(op);
        return;
    }
    pod_worker_event(op->worker, TIMELINE_WARNING, "FailedPostStartHook", op->container->name,
                     "PostStartHook failed");
    pod_worker_set_result(op->worker, op->container->name, "PostStartHookError", err->message);
    pod_worker_event(op->worker, TIMELINE_NORMAL, "Killing", op->container->name,
                     "FailedPostStartHook");
    int64_t grace_s = max_i64(pod_effective_grace(op->object->pod), 2);
    Cri__StopContainerRequest request = CRI__STOP_CONTAINER_REQUEST__INIT;
    request.container_id = cri_borrow(start->id);
    request.timeout = grace_s;
    op->step = START_HOOK_KILL;
    pod_op_call(op, RUNTIME_STOP_CONTAINER, &request.base, sat_mul_i64(grace_s, NS_PER_SEC));
}

static void is_started(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    const char *name = op->container->name;
    pod_worker_event(worker, TIMELINE_NORMAL, "Started", name, "Container started");
    pod_worker_set_result(worker, name, NULL, NULL);
    struct container_note *note = pod_worker_note(worker, name);
    if (note) {
        note->retry_at_ns = 0;
        note->restart_wanted = false;
    }
    run_hook(op);
}

static void started(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    const char *name = op->container->name;
    if (op->err) {
        ((struct start *)op->state)->is_doubtful = true;
        AUTO(error) struct error *err = TAKE(op->err);
        pod_worker_event(worker, TIMELINE_WARNING, "Failed", name,
                         arena_printf(op->arena, "Error: %s", err->message));
        pod_worker_set_result(worker, name, "RunContainerError", err->message);
        int64_t delay_ns = pods_retry_delay(worker->pods, false);
        struct container_note *failed = pod_worker_note(worker, name);
        if (failed)
            failed->retry_at_ns = sat_add_i64(now_wall(op), delay_ns);
        /* It may start yet: the next try looks first. */
        worker->inspect_again = true;
        pod_worker_cool_down(worker, "", delay_ns);
        ask_status(op);
        return;
    }
    is_started(op);
}

static void link_log(struct pod_op *op)
{
    const struct start *start = op->state;
    const struct pods_environment *env = &op->worker->pods->env;
    const char *log =
        arena_printf(op->arena, "%s/%s", pod_log_dir(op->object->pod, env->node, op->arena),
                     start->config->log_path);
    op->step = START_LINK;
    start_link(op, log,
               container_link_path(env->container_links, op->worker, op->container->name, start->id,
                                   op->arena));
}

/* A container that was started must be seen before the plan goes on; a pod that ends looks for
 * itself. */
static void status_failed(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    if (op->err->code == ERROR_NOT_FOUND || worker->want.life != POD_LIFE_SYNC) {
        worker->inspect_again = true;
        pod_op_end(op);
        return;
    }
    op->step = START_STATUS_PAUSE;
    pod_op_wait(op, pods_retry_delay(worker->pods, true));
}

static void take_status(struct pod_op *op)
{
    struct start *start = op->state;
    struct pod_worker *worker = op->worker;
    if (op->err) {
        status_failed(op);
        return;
    }
    const Cri__ContainerStatus *status = ((const Cri__ContainerStatusResponse *)op->reply)->status;
    if (start->is_doubtful && status->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING) {
        start->is_doubtful = false;
        is_started(op);
        return;
    }
    struct container_observed *instance =
        pod_observed_put_container(&worker->have, start->sandbox_id, status);
    struct pod_runtime *runtime = worker->pods->env.runtime;
    if (instance->state == CONTAINER_RUNNING)
        runtime->vtable->watch_exit(runtime, worker->uid, instance->id);
    op->step = START_MESSAGE;
    if (!termination_start(op, instance))
        link_log(op);
}

static void subpaths_ready(struct pod_op *op)
{
    struct start *start = op->state;
    op->err = start_subpath_targets(op, op->container->n_volume_mounts, &start->subpath_targets);
    if (op->err)
        fail_with_error(op, "CreateContainerConfigError");
    else
        build_config(op);
}

static void start_advance(struct pod_op *op)
{
    switch (op->step) {
    case START_PREPARE:
        prepared(op);
        return;
    case START_IMAGE_STATUS:
        take_image_status(op);
        return;
    case START_PULL:
        pulled(op);
        return;
    case START_IMAGE_USER:
        take_image(op);
        tell_pulled(op);
        image_is_ready(op);
        return;
    case START_SUBPATHS:
        subpaths_ready(op);
        return;
    case START_FILES:
        create(op);
        return;
    case START_CREATE:
        created(op);
        return;
    case START_START:
        started(op);
        return;
    case START_STATUS:
        take_status(op);
        return;
    case START_STATUS_PAUSE:
        ask_status(op);
        return;
    case START_MESSAGE:
        termination_finish(op, ((struct start *)op->state)->id);
        link_log(op);
        return;
    case START_LINK:
        pod_op_end(op);
        return;
    case START_HOOK:
        hook_ended(op);
        return;
    case START_HOOK_KILL: /* killed or not: its status tells */
        ask_status(op);
        return;
    }
}

/* The first restart is immediate and each start is noted, so that the next one waits (spec pods.md
 * §5.7). */
static void note_backoff(struct pod_op *op, const struct container_observed *newest)
{
    struct pods *pods = op->worker->pods;
    const char *key = container_backoff_key(op->object->pod, op->container, op->arena);
    AUTO(error)
    struct error *err = backoff_note_restart(pods->backoff, key, newest->finished_ns, now_wall(op));
    if (err)
        log_warning("Crash-loop back-off is not kept",
                    LOG_POD(op->worker->namespace, op->worker->name),
                    LOG_STR("containerName", op->container->name), LOG_ERR(err));
    int64_t wait_ns, restarted_ns;
    if (pods->env.journal && backoff_get(pods->backoff, key, &wait_ns, &restarted_ns))
        pods->env.journal->vtable->note_backoff(pods->env.journal, key, wait_ns, restarted_ns);
}

void op_start_container_start(struct pod_worker *worker, const struct pod_action *action)
{
    struct pod_op *op = pod_op_new(worker, POD_ACTION_START_CONTAINER, action->container->name);
    const struct pods_environment *env = &worker->pods->env;
    struct start *start = arena_alloc(op->arena, sizeof(*start));
    op->state = start;
    op->container = action->container; /* lives as long as op->object */
    op->advance = start_advance;
    op->release = start_release;
    op->step = START_PREPARE;

    const struct sandbox_observed *sandbox = pod_observed_active_sandbox(&worker->have);
    ASSERT(sandbox); /* the plan starts containers in a ready sandbox only */
    start->sandbox_id = arena_strdup(op->arena, sandbox->id);
    const char **ips = arena_calloc(op->arena, sandbox->n_ips + 1, sizeof(*ips));
    for (size_t i = 0; i < sandbox->n_ips; i++)
        ips[i] = arena_strdup(op->arena, sandbox->ips[i]);
    start->pod_ips = sandbox->host_network ? env->host_ips : ips;

    const struct container_observed *newest =
        pod_observed_newest(&worker->have, action->container->name);
    if (newest)
        start->restart_count = (uint32_t)newest->restart_count + 1;
    if (newest && newest->state == CONTAINER_EXITED)
        note_backoff(op, newest);
    prepare_start(op, newest ? NULL : action->container->name);
}
