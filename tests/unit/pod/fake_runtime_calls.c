/*
 * What the fake runtime holds and what each method does to it. Names are reserved as containerd
 * does: one attempt of a name exists once. Instances and sandboxes are kept until they are removed.
 */
#include "fake_runtime_internal.h"

#include "kube/codec.h"
#include "pod/cri_message.h"

#include <stdio.h>
#include <unistd.h>

#define LABEL_POD_UID "io.kubernetes.pod.uid"
#define TERMINATION_LOG "/dev/termination-log"

/* --- small things --- */

/* Times are distinct, so that the order of instances is clear. */
static int64_t tick(struct fake_runtime *fake)
{
    fake->last_ns = max_i64(loop_now_wall_ns(fake->loop), fake->last_ns + 1);
    return fake->last_ns;
}

static void violation(struct fake_runtime *fake, const char *format, ...) PRINTF_LIKE(2, 3);
static void violation(struct fake_runtime *fake, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(&fake->violations, format, args);
    va_end(args);
    buf_add_char(&fake->violations, '\n');
}

struct fake_sandbox *fake_find_sandbox(const struct fake_runtime *fake, const char *id)
{
    struct fake_sandbox *sandbox;
    DL_FOREACH(fake->sandboxes, sandbox) {
        if (strcmp(sandbox->id, id) == 0)
            return sandbox;
    }
    return NULL;
}

struct fake_container *fake_find_container(const struct fake_runtime *fake, const char *id)
{
    struct fake_container *container;
    DL_FOREACH(fake->containers, container) {
        if (strcmp(container->id, id) == 0)
            return container;
    }
    return NULL;
}

const char *fake_uid_of(const struct fake_runtime *fake, const struct fake_container *container)
{
    return fake_find_sandbox(fake, container->sandbox_id)->config->metadata->uid;
}

void fake_sandbox_free(struct fake_runtime *fake, struct fake_sandbox *sandbox)
{
    DL_DELETE(fake->sandboxes, sandbox);
    arena_free(sandbox->arena);
}

void fake_container_free(struct fake_runtime *fake, struct fake_container *container)
{
    DL_DELETE(fake->containers, container);
    arena_free(container->arena);
}

struct fake_script *fake_script_of(struct fake_runtime *fake, const char *name)
{
    for (size_t i = 0; i < fake->n_scripts; i++) {
        if (strcmp(fake->scripts[i].name, name) == 0)
            return &fake->scripts[i];
    }
    return NULL;
}

/* --- changes --- */

void fake_add_change(struct fake_runtime *fake, const char *uid, const char *container_id)
{
    struct fake_change *change = xcalloc(1, sizeof(*change));
    change->uid = xstrdup(uid);
    change->container_id = xstrdup(container_id);
    DL_APPEND(fake->changes, change);
    loop_timer_start(fake->timer, 0);
}

void fake_tell_exit(struct fake_runtime *fake, struct fake_container *container)
{
    if (!container->watched)
        return;
    container->watched = false;
    if (!fake->lose_events)
        fake_add_change(fake, fake_uid_of(fake, container), container->id);
}

static void write_message(const struct fake_container *container, const char *text)
{
    for (size_t i = 0; i < container->config->n_mounts; i++) {
        const Cri__Mount *mounted = container->config->mounts[i];
        if (strcmp(mounted->container_path, TERMINATION_LOG) != 0)
            continue;
        FILE *file = fopen(mounted->host_path, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
    }
}

void fake_end_container(struct fake_runtime *fake, struct fake_container *container, int32_t code)
{
    const struct fake_script *script = fake_script_of(fake, container->config->metadata->name);
    if (script && script->message)
        write_message(container, script->message);
    container->state = CRI__CONTAINER_STATE__CONTAINER_EXITED;
    container->exit_code = code;
    container->finished_ns = tick(fake);
    fake_tell_exit(fake, container);
}

void fake_end_sandbox(struct fake_runtime *fake, struct fake_sandbox *sandbox)
{
    sandbox->ready = false;
    struct fake_container *container;
    DL_FOREACH(fake->containers, container) {
        if (strcmp(container->sandbox_id, sandbox->id) == 0 &&
            container->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
            fake_end_container(fake, container, 137);
    }
}

/* --- the calls: each changes the runtime and fills the reply --- */

static void note(const struct fake_exchange *it, const char *format, ...) PRINTF_LIKE(2, 3);
static void note(const struct fake_exchange *it, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(&it->fake->transcript, format, args);
    va_end(args);
    buf_add_char(&it->fake->transcript, '\n');
}

static void note_container(const struct fake_exchange *it, const char *what,
                           const struct fake_container *container)
{
    note(it, "%s %s.%s/%u", what, container->pod, container->config->metadata->name,
         container->config->metadata->attempt);
}

static struct error *do_version(struct fake_exchange *it)
{
    Cri__VersionResponse *reply = (Cri__VersionResponse *)it->reply;
    reply->runtime_name = cri_text(it->arena, "fake");
    return NULL;
}

static struct error *do_status(struct fake_exchange *it)
{
    static const char *const types[] = {"RuntimeReady", "NetworkReady"};
    Cri__StatusResponse *reply = (Cri__StatusResponse *)it->reply;
    reply->status = cri_new(it->arena, &cri__runtime_status__descriptor);
    reply->status->conditions = cri_array(it->arena, ARRAY_SIZE(types));
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        Cri__RuntimeCondition *condition = cri_new(it->arena, &cri__runtime_condition__descriptor);
        condition->type = cri_text(it->arena, types[i]);
        condition->status = i == 0 || it->fake->network_ready;
        condition->reason = cri_text(it->arena, condition->status ? "" : "NetworkPluginNotReady");
        condition->message = cri_text(it->arena, condition->status ? "" : "no network yet");
        reply->status->conditions[reply->status->n_conditions++] = condition;
    }
    reply->runtime_handlers = cri_array(it->arena, FAKE_MAX_HANDLERS);
    for (size_t i = 0; i < it->fake->n_handlers; i++) {
        Cri__RuntimeHandler *handler = cri_new(it->arena, &cri__runtime_handler__descriptor);
        handler->name = cri_text(it->arena, it->fake->handlers[i].name);
        handler->features = cri_new(it->arena, &cri__runtime_handler_features__descriptor);
        handler->features->recursive_read_only_mounts = it->fake->handlers[i].recursive_read_only;
        handler->features->user_namespaces = it->fake->handlers[i].user_namespaces;
        reply->runtime_handlers[reply->n_runtime_handlers++] = handler;
    }
    return NULL;
}

static void check_sandbox_config(struct fake_runtime *fake, const Cri__PodSandboxConfig *config)
{
    const Cri__PodSandboxMetadata *meta = config->metadata;
    const char *label = "";
    for (size_t i = 0; i < config->n_labels; i++) {
        if (strcmp(config->labels[i]->key, LABEL_POD_UID) == 0)
            label = config->labels[i]->value;
    }
    if (strcmp(label, meta->uid) != 0)
        violation(fake, "sandbox of %s has label %s", meta->uid, label);
    if (meta->name[0] == '\0' || meta->namespace_[0] == '\0' || meta->uid[0] == '\0')
        violation(fake, "sandbox without a name, namespace or uid");
    if (access(config->log_directory, F_OK) != 0)
        violation(fake, "log directory %s is missing", config->log_directory);
}

static struct error *do_run_sandbox(struct fake_exchange *it)
{
    struct fake_runtime *fake = it->fake;
    const Cri__RunPodSandboxRequest *request = (const Cri__RunPodSandboxRequest *)it->request;
    const Cri__PodSandboxConfig *config = request->config;
    const Cri__PodSandboxMetadata *meta = config->metadata;
    note(it, "RunPodSandbox %s/%u%s%s", meta->name, meta->attempt,
         *request->runtime_handler ? " with " : "", request->runtime_handler);
    check_sandbox_config(fake, config);
    struct fake_sandbox *other;
    DL_FOREACH(fake->sandboxes, other) {
        if (strcmp(other->config->metadata->uid, meta->uid) != 0)
            continue;
        if (other->config->metadata->attempt == meta->attempt)
            return error_new(ERROR_UNKNOWN, "failed to reserve sandbox name \"%s_%u\"", meta->name,
                             meta->attempt);
        if (other->ready)
            violation(fake, "a second sandbox for %s", meta->name);
    }
    struct arena *arena = arena_new(0);
    struct fake_sandbox *sandbox = arena_alloc(arena, sizeof(*sandbox));
    *sandbox = (struct fake_sandbox){
        .arena = arena,
        .id = arena_printf(arena, "sandbox-%zu", ++fake->ids),
        .config = (const Cri__PodSandboxConfig *)kube_message_dup(&config->base, arena),
        .ready = true,
        .created_ns = tick(fake)};
    DL_APPEND(fake->sandboxes, sandbox);
    ((Cri__RunPodSandboxResponse *)it->reply)->pod_sandbox_id = cri_text(it->arena, sandbox->id);
    return NULL;
}

/* Idempotent, as in containerd: an unknown sandbox is a stopped one. */
static struct error *do_stop_sandbox(struct fake_exchange *it)
{
    const char *id = ((const Cri__StopPodSandboxRequest *)it->request)->pod_sandbox_id;
    struct fake_sandbox *sandbox = fake_find_sandbox(it->fake, id);
    if (!sandbox)
        return NULL;
    note(it, "StopPodSandbox %s/%u", sandbox->config->metadata->name,
         sandbox->config->metadata->attempt);
    if (sandbox->ready)
        fake_end_sandbox(it->fake, sandbox);
    return NULL;
}

static struct error *do_remove_sandbox(struct fake_exchange *it)
{
    const char *id = ((const Cri__RemovePodSandboxRequest *)it->request)->pod_sandbox_id;
    struct fake_sandbox *sandbox = fake_find_sandbox(it->fake, id);
    if (!sandbox)
        return NULL;
    note(it, "RemovePodSandbox %s/%u", sandbox->config->metadata->name,
         sandbox->config->metadata->attempt);
    if (sandbox->ready)
        violation(it->fake, "removing ready sandbox of %s", sandbox->config->metadata->name);
    struct fake_container *container, *next;
    DL_FOREACH_SAFE(it->fake->containers, container, next) {
        if (strcmp(container->sandbox_id, id) == 0)
            fake_container_free(it->fake, container);
    }
    fake_sandbox_free(it->fake, sandbox);
    return NULL;
}

/* What containerd tells of a sandbox that is asked about verbosely, as far as an agent reads it. */
static void tell_info(struct fake_exchange *it)
{
    Cri__PodSandboxStatusResponse *reply = (Cri__PodSandboxStatusResponse *)it->reply;
    Cri__PodSandboxStatusResponse__InfoEntry *entry =
        cri_new(it->arena, &cri__pod_sandbox_status_response__info_entry__descriptor);
    entry->key = cri_text(it->arena, "info");
    entry->value = cri_text(it->arena, "{\"pid\": 7, \"image\": \"pause:test\"}");
    reply->info = arena_calloc(it->arena, 1, sizeof(*reply->info));
    reply->info[0] = entry;
    reply->n_info = 1;
}

static struct error *do_sandbox_status(struct fake_exchange *it)
{
    const Cri__PodSandboxStatusRequest *request = (const Cri__PodSandboxStatusRequest *)it->request;
    const char *id = request->pod_sandbox_id;
    const struct fake_sandbox *sandbox = fake_find_sandbox(it->fake, id);
    if (!sandbox)
        return error_new(ERROR_NOT_FOUND, "an error occurred when try to find sandbox: not found");
    Cri__PodSandboxStatus *status = cri_new(it->arena, &cri__pod_sandbox_status__descriptor);
    ((Cri__PodSandboxStatusResponse *)it->reply)->status = status;
    if (request->verbose)
        tell_info(it);
    const Cri__PodSandboxConfig *config = sandbox->config;
    status->id = cri_text(it->arena, sandbox->id);
    status->metadata =
        (Cri__PodSandboxMetadata *)kube_message_dup(&config->metadata->base, it->arena);
    status->state = sandbox->ready ? CRI__POD_SANDBOX_STATE__SANDBOX_READY
                                   : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
    status->created_at = sandbox->created_ns;
    const Cri__NamespaceOption *options = config->linux && config->linux->security_context
                                              ? config->linux->security_context->namespace_options
                                              : NULL;
    status->linux = cri_new(it->arena, &cri__linux_pod_sandbox_status__descriptor);
    status->linux->namespaces = cri_new(it->arena, &cri__namespace__descriptor);
    status->network = cri_new(it->arena, &cri__pod_sandbox_network_status__descriptor);
    if (!options)
        return NULL;
    status->linux->namespaces->options =
        (Cri__NamespaceOption *)kube_message_dup(&options->base, it->arena);
    if (options->network != CRI__NAMESPACE_MODE__NODE && sandbox->ready)
        status->network->ip = cri_text(it->arena, it->fake->ip ? it->fake->ip : "10.1.0.7");
    return NULL;
}

static struct error *do_list_sandboxes(struct fake_exchange *it)
{
    const Cri__PodSandboxFilter *filter = ((const Cri__ListPodSandboxRequest *)it->request)->filter;
    const char *uid =
        filter && filter->n_label_selector > 0 ? filter->label_selector[0]->value : NULL;
    Cri__ListPodSandboxResponse *reply = (Cri__ListPodSandboxResponse *)it->reply;
    const struct fake_sandbox *sandbox;
    size_t count = 0;
    DL_FOREACH(it->fake->sandboxes, sandbox)
        count++;
    reply->items = cri_array(it->arena, count + 1);
    DL_FOREACH(it->fake->sandboxes, sandbox) {
        if (uid && strcmp(sandbox->config->metadata->uid, uid) != 0)
            continue;
        Cri__PodSandbox *item = cri_new(it->arena, &cri__pod_sandbox__descriptor);
        item->id = cri_text(it->arena, sandbox->id);
        item->metadata = (Cri__PodSandboxMetadata *)kube_message_dup(
            &sandbox->config->metadata->base, it->arena);
        item->state = sandbox->ready ? CRI__POD_SANDBOX_STATE__SANDBOX_READY
                                     : CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY;
        item->created_at = sandbox->created_ns;
        reply->items[reply->n_items++] = item;
    }
    return NULL;
}

bool fake_has_image(const struct fake_runtime *fake, const char *name)
{
    for (size_t i = 0; i < fake->n_images; i++) {
        if (strcmp(fake->images[i], name) == 0)
            return true;
    }
    return false;
}

static struct error *do_create_container(struct fake_exchange *it)
{
    struct fake_runtime *fake = it->fake;
    const Cri__CreateContainerRequest *request = (const Cri__CreateContainerRequest *)it->request;
    const Cri__ContainerMetadata *meta = request->config->metadata;
    const struct fake_sandbox *sandbox = fake_find_sandbox(fake, request->pod_sandbox_id);
    if (!sandbox)
        return error_new(ERROR_NOT_FOUND, "failed to find sandbox id \"%s\"",
                         request->pod_sandbox_id);
    const char *pod = sandbox->config->metadata->name;
    note(it, "CreateContainer %s.%s/%u", pod, meta->name, meta->attempt);
    if (!sandbox->ready)
        return error_new(ERROR_UNKNOWN, "sandbox container \"%s\" is not running", sandbox->id);
    const struct fake_container *other;
    DL_FOREACH(fake->containers, other) {
        if (strcmp(fake_uid_of(fake, other), sandbox->config->metadata->uid) == 0 &&
            strcmp(other->config->metadata->name, meta->name) == 0 &&
            other->config->metadata->attempt == meta->attempt)
            return error_new(ERROR_UNKNOWN, "failed to reserve container name \"%s_%u\"",
                             meta->name, meta->attempt);
    }
    struct arena *arena = arena_new(0);
    struct fake_container *container = arena_alloc(arena, sizeof(*container));
    *container = (struct fake_container){
        .arena = arena,
        .id = arena_printf(arena, "container-%zu", ++fake->ids),
        .sandbox_id = arena_strdup(arena, sandbox->id),
        .pod = arena_strdup(arena, pod),
        .log_path =
            arena_printf(arena, "%s/%s", sandbox->config->log_directory, request->config->log_path),
        .config = (const Cri__ContainerConfig *)kube_message_dup(&request->config->base, arena),
        .state = CRI__CONTAINER_STATE__CONTAINER_CREATED,
        .created_ns = tick(fake)};
    DL_APPEND(fake->containers, container);
    ((Cri__CreateContainerResponse *)it->reply)->container_id = cri_text(it->arena, container->id);
    return NULL;
}

static struct error *do_start_container(struct fake_exchange *it)
{
    struct fake_runtime *fake = it->fake;
    const char *id = ((const Cri__StartContainerRequest *)it->request)->container_id;
    struct fake_container *container = fake_find_container(fake, id);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "an error occurred when try to find container \"%s\"",
                         id);
    note_container(it, "StartContainer", container);
    if (container->state != CRI__CONTAINER_STATE__CONTAINER_CREATED) {
        violation(fake, "%s is started twice", id);
        return error_new(ERROR_UNKNOWN, "container is in state running or exited");
    }
    const char *name = container->config->metadata->name;
    if (!fake_find_sandbox(fake, container->sandbox_id)->ready)
        return error_new(ERROR_UNKNOWN, "sandbox container is not running");
    const struct fake_container *other;
    DL_FOREACH(fake->containers, other) {
        if (other->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING &&
            strcmp(fake_uid_of(fake, other), fake_uid_of(fake, container)) == 0 &&
            strcmp(other->config->metadata->name, name) == 0)
            violation(fake, "%s.%s runs twice", container->pod, name);
    }
    FILE *log = fopen(container->log_path, "ae");
    if (!log)
        violation(fake, "log %s cannot be made", container->log_path);
    else
        assert_int_equal(fclose(log), 0);
    container->state = CRI__CONTAINER_STATE__CONTAINER_RUNNING;
    container->started_ns = tick(fake);
    struct fake_script *script = fake_script_of(fake, name);
    if (script && script->exits > 0) {
        script->exits -= script->exits == SIZE_MAX ? 0 : 1;
        container->ends_soon = true;
        loop_timer_start(fake->timer, 0);
    }
    return NULL;
}

static struct error *do_stop_container(struct fake_exchange *it)
{
    const Cri__StopContainerRequest *request = (const Cri__StopContainerRequest *)it->request;
    struct fake_container *container = fake_find_container(it->fake, request->container_id);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "container \"%s\" not found", request->container_id);
    note(it, "StopContainer %s.%s/%u %lld", container->pod, container->config->metadata->name,
         container->config->metadata->attempt, (long long)request->timeout);
    if (container->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
        fake_end_container(it->fake, container, 143);
    return NULL;
}

static struct error *do_remove_container(struct fake_exchange *it)
{
    const char *id = ((const Cri__RemoveContainerRequest *)it->request)->container_id;
    struct fake_container *container = fake_find_container(it->fake, id);
    if (!container)
        return NULL;
    note_container(it, "RemoveContainer", container);
    if (container->state == CRI__CONTAINER_STATE__CONTAINER_RUNNING)
        violation(it->fake, "removing running container %s", id);
    fake_container_free(it->fake, container);
    return NULL;
}

static struct error *do_reopen_container_log(struct fake_exchange *it)
{
    const char *id = ((const Cri__ReopenContainerLogRequest *)it->request)->container_id;
    const struct fake_container *container = fake_find_container(it->fake, id);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "container \"%s\" not found", id);
    note_container(it, "ReopenContainerLog", container);
    if (container->state != CRI__CONTAINER_STATE__CONTAINER_RUNNING)
        return error_new(ERROR_UNKNOWN, "container is not running");
    FILE *log = fopen(container->log_path, "ae");
    if (!log)
        return error_new(ERROR_UNKNOWN, "log %s cannot be made", container->log_path);
    assert_int_equal(fclose(log), 0);
    return NULL;
}

static struct error *do_list_containers(struct fake_exchange *it)
{
    const Cri__ContainerFilter *filter = ((const Cri__ListContainersRequest *)it->request)->filter;
    const char *uid =
        filter && filter->n_label_selector > 0 ? filter->label_selector[0]->value : NULL;
    Cri__ListContainersResponse *reply = (Cri__ListContainersResponse *)it->reply;
    const struct fake_container *container;
    size_t count = 0;
    DL_FOREACH(it->fake->containers, container)
        count++;
    reply->containers = cri_array(it->arena, count + 1);
    DL_FOREACH(it->fake->containers, container) {
        if (uid && strcmp(fake_uid_of(it->fake, container), uid) != 0)
            continue;
        Cri__Container *item = cri_new(it->arena, &cri__container__descriptor);
        const Cri__ContainerConfig *config = container->config;
        item->id = cri_text(it->arena, container->id);
        item->pod_sandbox_id = cri_text(it->arena, container->sandbox_id);
        item->state = container->state;
        item->created_at = container->created_ns;
        item->labels = cri_array(it->arena, config->n_labels + 1);
        for (size_t i = 0; i < config->n_labels; i++)
            item->labels[item->n_labels++] =
                cri_map_entry(it->arena, &cri__container__labels_entry__descriptor,
                              config->labels[i]->key, config->labels[i]->value);
        reply->containers[reply->n_containers++] = item;
    }
    return NULL;
}

static void fill_maps(const struct fake_exchange *it, const Cri__ContainerConfig *config,
                      Cri__ContainerStatus *status)
{
    status->labels = cri_array(it->arena, config->n_labels + 1);
    for (size_t i = 0; i < config->n_labels; i++)
        status->labels[status->n_labels++] =
            cri_map_entry(it->arena, &cri__container_status__labels_entry__descriptor,
                          config->labels[i]->key, config->labels[i]->value);
    status->annotations = cri_array(it->arena, config->n_annotations + 1);
    for (size_t i = 0; i < config->n_annotations; i++)
        status->annotations[status->n_annotations++] =
            cri_map_entry(it->arena, &cri__container_status__annotations_entry__descriptor,
                          config->annotations[i]->key, config->annotations[i]->value);
    status->mounts = cri_array(it->arena, config->n_mounts + 1);
    for (size_t i = 0; i < config->n_mounts; i++)
        status->mounts[status->n_mounts++] =
            (Cri__Mount *)kube_message_dup(&config->mounts[i]->base, it->arena);
}

static struct error *do_container_status(struct fake_exchange *it)
{
    const char *id = ((const Cri__ContainerStatusRequest *)it->request)->container_id;
    const struct fake_container *container = fake_find_container(it->fake, id);
    if (!container)
        return error_new(ERROR_NOT_FOUND, "an error occurred when try to find container \"%s\"",
                         id);
    Cri__ContainerStatus *status = cri_new(it->arena, &cri__container_status__descriptor);
    ((Cri__ContainerStatusResponse *)it->reply)->status = status;
    const Cri__ContainerConfig *config = container->config;
    status->id = cri_text(it->arena, container->id);
    status->metadata =
        (Cri__ContainerMetadata *)kube_message_dup(&config->metadata->base, it->arena);
    status->state = container->state;
    status->created_at = container->created_ns;
    status->started_at = container->started_ns;
    status->finished_at = container->finished_ns;
    status->exit_code = container->exit_code;
    status->image = cri_new(it->arena, &cri__image_spec__descriptor);
    status->image->image = cri_text(it->arena, config->image ? config->image->image : "");
    status->image_ref = cri_text(it->arena, "sha256:fake");
    if (container->state == CRI__CONTAINER_STATE__CONTAINER_EXITED)
        status->reason = cri_text(it->arena, container->exit_code == 0 ? "Completed" : "Error");
    status->log_path = cri_text(it->arena, container->log_path);
    fill_maps(it, config, status);
    return NULL;
}

static struct error *do_exec_sync(struct fake_exchange *it)
{
    const Cri__ExecSyncRequest *request = (const Cri__ExecSyncRequest *)it->request;
    const struct fake_container *container = fake_find_container(it->fake, request->container_id);
    if (!container || container->state != CRI__CONTAINER_STATE__CONTAINER_RUNNING)
        return error_new(ERROR_UNKNOWN, "container is not running");
    AUTO(buf) struct buf words = {0};
    buf_init(&words, 4 * KiB);
    for (size_t i = 0; i < request->n_cmd; i++)
        buf_printf(&words, " %s", request->cmd[i]);
    note(it, "ExecSync %s.%s/%u%s", container->pod, container->config->metadata->name,
         container->config->metadata->attempt, buf_text(&words));
    const struct fake_script *script = fake_script_of(it->fake, container->config->metadata->name);
    ((Cri__ExecSyncResponse *)it->reply)->exit_code = script ? script->hook_exit_code : 0;
    return NULL;
}

/* Each image is one of its own. */
static char *image_id(struct fake_exchange *it, const char *name)
{
    return cri_text(it->arena, arena_printf(it->arena, "sha256:%s", name));
}

static struct error *do_image_status(struct fake_exchange *it)
{
    const Cri__ImageSpec *spec = ((const Cri__ImageStatusRequest *)it->request)->image;
    if (!fake_has_image(it->fake, spec->image))
        return NULL;
    Cri__Image *image = cri_new(it->arena, &cri__image__descriptor);
    image->id = image_id(it, spec->image);
    image->size = 1000;
    ((Cri__ImageStatusResponse *)it->reply)->image = image;
    return NULL;
}

static struct error *do_pull_image(struct fake_exchange *it)
{
    const Cri__PullImageRequest *request = (const Cri__PullImageRequest *)it->request;
    const char *name = request->image->image;
    const Cri__AuthConfig *auth = request->auth;
    note(it, "PullImage %s%s%s", name, auth ? " as " : "", auth ? auth->username : "");
    if (auth && strstr(auth->password, "wrong"))
        return error_new(ERROR_UNKNOWN, "%s is refused", auth->username);
    if (strstr(name, "private") && !auth)
        return error_new(ERROR_UNKNOWN, "pull access denied");
    if (strstr(name, "absent"))
        return error_new(ERROR_NOT_FOUND, "failed to resolve reference \"%s\": not found", name);
    fake_runtime_add_image(it->fake, name);
    ((Cri__PullImageResponse *)it->reply)->image_ref = image_id(it, name);
    return NULL;
}

/* Replies without a field have no generated message. */
static void empty_init(ProtobufCMessage *message)
{
    *message = (ProtobufCMessage){0};
}

static const ProtobufCIntRange empty_ranges[1] = {{0, 0}};
static const ProtobufCMessageDescriptor empty = {.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
                                                 .name = "Empty",
                                                 .short_name = "Empty",
                                                 .c_name = "Empty",
                                                 .package_name = "",
                                                 .sizeof_message = sizeof(ProtobufCMessage),
                                                 .field_ranges = empty_ranges,
                                                 .message_init = empty_init};
#define EMPTY &empty

const struct fake_method fake_methods[RUNTIME_METHOD_COUNT] = {
    [RUNTIME_VERSION] = {&cri__version_request__descriptor, &cri__version_response__descriptor,
                         do_version},
    [RUNTIME_STATUS] = {&cri__status_request__descriptor, &cri__status_response__descriptor,
                        do_status},
    [RUNTIME_RUN_POD_SANDBOX] = {&cri__run_pod_sandbox_request__descriptor,
                                 &cri__run_pod_sandbox_response__descriptor, do_run_sandbox},
    [RUNTIME_STOP_POD_SANDBOX] = {&cri__stop_pod_sandbox_request__descriptor, EMPTY,
                                  do_stop_sandbox},
    [RUNTIME_REMOVE_POD_SANDBOX] = {&cri__remove_pod_sandbox_request__descriptor, EMPTY,
                                    do_remove_sandbox},
    [RUNTIME_POD_SANDBOX_STATUS] = {&cri__pod_sandbox_status_request__descriptor,
                                    &cri__pod_sandbox_status_response__descriptor,
                                    do_sandbox_status},
    [RUNTIME_LIST_POD_SANDBOX] = {&cri__list_pod_sandbox_request__descriptor,
                                  &cri__list_pod_sandbox_response__descriptor, do_list_sandboxes},
    [RUNTIME_CREATE_CONTAINER] = {&cri__create_container_request__descriptor,
                                  &cri__create_container_response__descriptor, do_create_container},
    [RUNTIME_START_CONTAINER] = {&cri__start_container_request__descriptor, EMPTY,
                                 do_start_container},
    [RUNTIME_STOP_CONTAINER] = {&cri__stop_container_request__descriptor, EMPTY, do_stop_container},
    [RUNTIME_REMOVE_CONTAINER] = {&cri__remove_container_request__descriptor, EMPTY,
                                  do_remove_container},
    [RUNTIME_REOPEN_CONTAINER_LOG] = {&cri__reopen_container_log_request__descriptor, EMPTY,
                                      do_reopen_container_log},
    [RUNTIME_LIST_CONTAINERS] = {&cri__list_containers_request__descriptor,
                                 &cri__list_containers_response__descriptor, do_list_containers},
    [RUNTIME_CONTAINER_STATUS] = {&cri__container_status_request__descriptor,
                                  &cri__container_status_response__descriptor, do_container_status},
    [RUNTIME_EXEC_SYNC] = {&cri__exec_sync_request__descriptor,
                           &cri__exec_sync_response__descriptor, do_exec_sync},
    [IMAGE_IMAGE_STATUS] = {&cri__image_status_request__descriptor,
                            &cri__image_status_response__descriptor, do_image_status},
    [IMAGE_PULL_IMAGE] = {&cri__pull_image_request__descriptor,
                          &cri__pull_image_response__descriptor, do_pull_image},
};
