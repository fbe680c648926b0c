/*
 * Starting one container.
 *
 *   prepare → image (start_image.c) → objects → env files → subPaths → files
 *           → create → start → link → postStart hook → status
 *
 * Objects are the ConfigMaps and Secrets that the environment refers to, env files what it reads in
 * volumes; they, like subPaths, are a step only for a container that has any.
 *
 * Each step may fail; the failure becomes the container's waiting reason and message (spec pods.md
 * §5.6, §6.3), an event, and a pause before the next try. What a failed step left behind (a created
 * but not started container) is found by the plan, which looks at the runtime and not at this
 * operation.
 */
#include "pod/op_start.h"

#include "kube/reflector.h"
#include "kube/resources.h"
#include "pod/cri_request.h"
#include "pod/hook.h"
#include "pod/prepare.h"
#include "pod/service_env.h"
#include "pod/start_files.h"
#include "pod/termination.h"

#include <sys/random.h>

/* --- failing --- */

void start_fail_until(struct pod_op *op, const char *reason, const char *message,
                      int64_t retry_at_ns)
{
    struct pod_worker *worker = op->worker;
    pod_metrics_start_failed(worker, op->container->name, reason);
    pod_worker_set_result(worker, op->container->name, reason, message);
    worker->inspect_again =
        true; /* perhaps the sandbox is what failed: the next plan must see it as it is */
    struct container_note *note = pod_worker_note(worker, op->container->name);
    if (note)
        note->retry_at_ns = retry_at_ns;
    pod_op_end(op);
}

void start_fail(struct pod_op *op, const char *reason, const char *event_text, const char *message)
{
    pod_worker_event(op->worker, TIMELINE_WARNING, "Failed", op->container->name,
                     arena_printf(op->arena, "Error: %s", event_text));
    start_fail_until(op, reason, message,
                     sat_add_i64(pod_op_now(op), pods_retry_delay(op->worker->pods, false)));
}

void start_fail_with_error(struct pod_op *op, const char *reason)
{
    AUTO(error) struct error *err = TAKE(op->err);
    start_fail(op, reason, err->message, err->message);
}

/* --- what comes from the API --- */

/* Standalone a pod cannot take anything from the API. */
static bool has_api(const struct pod_op *op)
{
    const struct pods_api *api = op->worker->pods->env.api;
    return api && api->config_maps && api->secrets;
}

static void on_fetched(void *ctx)
{
    struct pod_op *op = ctx;
    op->may_abandon = false;
    op->advance(op);
}

struct object_fetch *start_fetch(struct pod_op *op, const struct pod_references *references)
{
    if (!has_api(op))
        return NULL;
    struct object_fetch *fetch = object_fetch_start(
        op->worker->pods->env.api, op->worker->namespace, references, on_fetched, op);
    op->may_abandon = fetch;
    return fetch;
}

/* The services that this container is told of; borrowed, for this turn only. */
static const Core__Service **find_services(struct pod_op *op, size_t *ret_count)
{
    const struct service_audience audience = {.namespace_ = op->worker->namespace,
                                              .has_links =
                                                  op->object->pod->spec->enable_service_links};
    const Core__Service **told = NULL;
    size_t count = 0, capacity = 0;
    const struct kube_object *object = NULL;
    while ((object = reflector_next(op->worker->pods->env.api->services, object))) {
        const Core__Service *service = (const Core__Service *)object->message;
        if (!service_env_tells(&audience, service))
            continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 8;
            const Core__Service **more =
                arena_calloc(op->arena, capacity, sizeof(const Core__Service *));
            if (count > 0)
                memcpy(more, told, count * sizeof(const Core__Service *));
            told = more;
        }
        told[count++] = service;
    }
    *ret_count = count;
    return told;
}

/* NULL: standalone. For this turn only. */
static const struct env_sources *env_sources_of(struct pod_op *op)
{
    if (!has_api(op))
        return NULL;
    const struct start *start = op->state;
    const struct reflector *services = op->worker->pods->env.api->services;
    struct env_sources *sources = arena_alloc(op->arena, sizeof(*sources));
    sources->services_ready = !services || reflector_has_synced(services);
    if (services)
        sources->services = find_services(op, &sources->n_services);
    sources->objects = object_fetch_results(start->objects, &sources->n_objects);
    return sources;
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
        random = (uint64_t)pod_op_now(op);
    return (struct container_config_input){.pod = op->object->pod,
                                           .container = op->container,
                                           .node = worker->pods->env.node,
                                           .volumes = volumes,
                                           .n_volumes = set ? set->count : 0,
                                           .pod_ips = start->pod_ips,
                                           .image_ref = start->image_ref,
                                           .handler = start->handler,
                                           .userns =
                                               userns_find(worker->pods->env.userns, worker->uid),
                                           .image_has_uid = start->image_has_uid,
                                           .image_uid = start->image_uid,
                                           .image_username = start->image_username,
                                           .target_id = start->target_id,
                                           .restart_count = start->restart_count,
                                           .random = random,
                                           .subpath_targets = start->subpath_targets,
                                           .env_sources = env_sources_of(op),
                                           .env_files = start->env_files,
                                           .n_env_files = start->n_env_files};
}

static void build_config(struct pod_op *op)
{
    struct start *start = op->state;
    struct container_config_input input = config_input(op);
    op->err = container_config_build(&input, op->arena, &start->files, &start->config);
    if (op->err) {
        start_fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    op->step = START_FILES;
    start_files(op, &start->files);
}

/* The config's own errors come in the same order, with subPaths or without. */
static bool has_subpaths(const Core__Container *container)
{
    for (size_t i = 0; i < container->n_volume_mounts; i++) {
        const Core__VolumeMount *mount = container->volume_mounts[i];
        if ((mount->sub_path && *mount->sub_path) ||
            (mount->sub_path_expr && *mount->sub_path_expr))
            return true;
    }
    return false;
}

static void find_subpaths(struct pod_op *op)
{
    if (!has_subpaths(op->container)) {
        build_config(op);
        return;
    }
    struct container_config_input input = config_input(op);
    struct subpath_request *requests = NULL;
    size_t count = 0;
    op->err = container_subpaths(&input, op->arena, &requests, &count);
    if (op->err) {
        start_fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    if (count == 0) {
        build_config(op);
        return;
    }
    op->step = START_SUBPATHS;
    start_subpaths(op, requests, count, op->container->name);
}

static bool has_env_files(const Core__Container *container)
{
    for (size_t i = 0; i < container->n_env; i++) {
        if (container->env[i]->value_from && container->env[i]->value_from->file_key_ref)
            return true;
    }
    return false;
}

static void find_env_files(struct pod_op *op)
{
    struct env_file_request *requests = NULL;
    size_t count = 0;
    if (has_env_files(op->container)) {
        struct container_config_input input = config_input(op);
        container_env_files(&input, op->arena, &requests, &count);
    }
    if (count == 0) {
        find_subpaths(op);
        return;
    }
    op->step = START_ENV_FILES;
    start_env_files(op, requests, count);
}

static void env_files_ready(struct pod_op *op)
{
    struct start *start = op->state;
    start->env_files = start_env_files_result(op, &start->n_env_files);
    find_subpaths(op);
}

void start_with_image(struct pod_op *op)
{
    struct start *start = op->state;
    if (!start_find_target(op))
        return;
    struct pod_references references;
    container_references_of(op->container, op->arena, &references);
    op->step = START_OBJECTS;
    start->objects = start_fetch(op, &references);
    if (!start->objects)
        find_env_files(op);
}

/* The sandbox config is made anew for every container, as the host's resolv.conf may have changed.
 */
static void prepared(struct pod_op *op)
{
    struct start *start = op->state;
    const struct prepare_job *job = prepare_result(op);
    const struct sandbox_observed *sandbox =
        pod_observed_sandbox(&op->worker->have, start->sandbox_id);
    struct sandbox_setup setup = {0};
    if (job->err)
        op->err = error_dup(job->err);
    else
        op->err = prepare_sandbox(op, job, sandbox ? sandbox->attempt : 0, &setup);
    if (op->err) {
        start_fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    start->handler = setup.handler;
    start->sandbox_config = setup.config;
    if (job->container_name)
        start->restart_count = job->restart_count;

    start_image(op);
}

/* --- create, start, look --- */

/* A runtime refuses to bind what is not there. */
static void drop_mount(Cri__ContainerConfig *config, const char *host_path)
{
    size_t kept = 0;
    for (size_t i = 0; i < config->n_mounts; i++) {
        if (!text_eq(config->mounts[i]->host_path, host_path))
            config->mounts[kept++] = config->mounts[i];
    }
    config->n_mounts = kept;
}

static void create(struct pod_op *op)
{
    struct start *start = op->state;
    bool has_termination_log = false;
    op->err = start_files_result(op, &has_termination_log);
    if (op->err) {
        start_fail_with_error(op, "CreateContainerConfigError");
        return;
    }
    if (start->files.termination_log && !has_termination_log)
        drop_mount(start->config, start->files.termination_log);
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
        start_fail_with_error(op, "CreateContainerError");
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
    link_log(op);
}

/* @text with the name of the container wherever it has its id: events are told apart by their text,
 * and each try has an id of its own. */
static const char *with_name_for_id(struct pod_op *op, const char *text)
{
    const char *id = ((const struct start *)op->state)->id;
    const char *all = "";
    for (const char *at; *id && (at = strstr(text, id)); text = at + strlen(id))
        all = arena_printf(op->arena, "%s%.*s%s", all, (int)(at - text), text, op->container->name);
    return arena_printf(op->arena, "%s%s", all, text);
}

static void started(struct pod_op *op)
{
    struct pod_worker *worker = op->worker;
    const char *name = op->container->name;
    if (op->err) {
        ((struct start *)op->state)->is_doubtful = true;
        AUTO(error) struct error *err = TAKE(op->err);
        pod_worker_event(worker, TIMELINE_WARNING, "Failed", name,
                         arena_printf(op->arena, "Error: %s", with_name_for_id(op, err->message)));
        pod_metrics_start_failed(worker, name, "RunContainerError");
        pod_worker_set_result(worker, name, "RunContainerError", err->message);
        int64_t delay_ns = pods_retry_delay(worker->pods, false);
        struct container_note *failed = pod_worker_note(worker, name);
        if (failed)
            failed->retry_at_ns = sat_add_i64(pod_op_now(op), delay_ns);
        /* It may start yet: the next try looks first. */
        worker->inspect_again = true;
        pod_worker_cool_down(worker, "", delay_ns);
        ask_status(op);
        return;
    }
    is_started(op);
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
    if (instance->state == CONTAINER_EXITED)
        pod_metrics_exited(worker, instance);
    struct pod_runtime *runtime = worker->pods->env.runtime;
    if (instance->state == CONTAINER_RUNNING)
        runtime->vtable->watch_exit(runtime, worker->uid, instance->id);
    op->step = START_MESSAGE;
    if (!termination_start(op, instance))
        pod_op_end(op);
}

static void subpaths_ready(struct pod_op *op)
{
    struct start *start = op->state;
    op->err = start_subpath_targets(op, op->container->n_volume_mounts, &start->subpath_targets);
    if (op->err)
        start_fail_with_error(op, "CreateContainerConfigError");
    else
        build_config(op);
}

static void start_release(struct pod_op *op)
{
    struct start *start = op->state;
    object_fetch_free(TAKE(start->objects));
    start_image_release(op);
}

static void start_advance(struct pod_op *op)
{
    switch (op->step) {
    case START_PREPARE:
        prepared(op);
        return;
    case START_PULL_SECRETS:
    case START_IMAGE_STATUS:
    case START_NODE_LOGINS:
    case START_PLUGIN_LOGINS:
    case START_PULL:
    case START_IMAGE_USER:
        start_image_advance(op);
        return;
    case START_OBJECTS:
        find_env_files(op);
        return;
    case START_ENV_FILES:
        env_files_ready(op);
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
        pod_op_end(op);
        return;
    case START_LINK:
        run_hook(op);
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
    struct error *err =
        backoff_note_restart(pods->backoff, key, newest->finished_ns, pod_op_now(op));
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
    pod_metrics_starting(worker, action->container->name);
    op->state = start;
    op->container = action->container; /* lives as long as op->object */
    if (action->ephemeral) {
        op->container = ephemeral_as_container(action->ephemeral, op->arena);
        start->target_name = action->ephemeral->target_container_name;
    }
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
