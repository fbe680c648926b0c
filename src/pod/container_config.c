/*
 * ContainerConfig, built in upstream's order (spec runtime.md §3.3): hostname, environment, mounts,
 * user check, command, security and resources. The order decides which of several errors a pod
 * shows.
 */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"
#include "pod/expand.h"
#include "pod/go_text.h"
#include "pod/labels.h"
#include "pod/stop_signal.h"

#include <inttypes.h>

#define ANNOTATION_MAX_BYTES (64 * MiB) /* out of reach: a pod has 10 MiB at most */

/* --- labels and annotations --- */

static void set_labels(const struct container_config_input *input, struct arena *arena,
                       Cri__ContainerConfig *config)
{
    const Meta__ObjectMeta *meta = input->pod->metadata;
    const char *const labels[][2] = {
        {LABEL_POD_NAME, meta->name},
        {LABEL_POD_NAMESPACE, meta->namespace_},
        {LABEL_POD_UID, meta->uid},
        {LABEL_CONTAINER_NAME, input->container->name},
    };
    config->labels = cri_array(arena, ARRAY_SIZE(labels));
    for (size_t i = 0; i < ARRAY_SIZE(labels); i++)
        config->labels[config->n_labels++] = cri_map_entry(
            arena, &cri__container_config__labels_entry__descriptor, labels[i][0], labels[i][1]);
}

#define ANNOTATIONS_MAX 8 /* the rows of spec runtime.md §3.12 */

static void annotate(Cri__ContainerConfig *config, struct arena *arena, const char *key,
                     const char *value)
{
    ASSERT(config->n_annotations < ANNOTATIONS_MAX);
    config->annotations[config->n_annotations++] =
        cri_map_entry(arena, &cri__container_config__annotations_entry__descriptor, key, value);
}

static void annotate_int(Cri__ContainerConfig *config, struct arena *arena, const char *key,
                         int64_t value)
{
    annotate(config, arena, key, arena_printf(arena, "%" PRId64, value));
}

/* What a container is killed by when its pod is no longer known. */
static void annotate_for_killing(const struct container_config_input *input, struct arena *arena,
                                 Cri__ContainerConfig *config)
{
    const Core__Container *container = input->container;
    AUTO(buf) struct buf json;
    buf_init(&json, ANNOTATION_MAX_BYTES);
    if (input->pod->metadata->has_deletion_grace_period_seconds)
        annotate_int(config, arena, ANNOTATION_DELETION_GRACE,
                     input->pod->metadata->deletion_grace_period_seconds);
    if (input->pod->spec->has_termination_grace_period_seconds)
        annotate_int(config, arena, ANNOTATION_TERMINATION_GRACE,
                     input->pod->spec->termination_grace_period_seconds);
    if (container->lifecycle && container->lifecycle->pre_stop) {
        go_json_add_handler(&json, container->lifecycle->pre_stop);
        annotate(config, arena, ANNOTATION_PRE_STOP, buf_text(&json));
        buf_clear(&json);
    }
    if (container->n_ports > 0) {
        go_json_add_ports(&json, container->ports, container->n_ports);
        annotate(config, arena, ANNOTATION_PORTS, buf_text(&json));
    }
}

static void set_annotations(const struct container_config_input *input, struct arena *arena,
                            Cri__ContainerConfig *config)
{
    const Core__Container *container = input->container;
    config->annotations = cri_array(arena, ANNOTATIONS_MAX);
    annotate(config, arena, ANNOTATION_HASH,
             arena_printf(arena, "%" PRIx32, container_hash(container->image, container->name)));
    annotate_int(config, arena, ANNOTATION_RESTART_COUNT, input->restart_count);
    annotate(config, arena, ANNOTATION_MESSAGE_PATH, container->termination_message_path);
    annotate(config, arena, ANNOTATION_MESSAGE_POLICY, container->termination_message_policy);
    annotate_for_killing(input, arena, config);
}

/* --- command --- */

static struct error *expand_all(char *const *texts, size_t count,
                                const struct environment *environment, struct arena *arena,
                                char ***ret)
{
    *ret = NULL;
    if (count == 0)
        return NULL;
    char **expanded = cri_array(arena, count);
    for (size_t i = 0; i < count; i++) {
        const char *text;
        struct error *err = expand(texts[i], environment_lookup, environment, arena, &text);
        if (err)
            return err;
        expanded[i] = cri_text(arena, text);
    }
    *ret = expanded;
    return NULL;
}

static struct error *set_command(const Core__Container *container,
                                 const struct environment *environment, struct arena *arena,
                                 Cri__ContainerConfig *config)
{
    struct error *err =
        expand_all(container->command, container->n_command, environment, arena, &config->command);
    if (err)
        return err;
    config->n_command = container->n_command;
    err = expand_all(container->args, container->n_args, environment, arena, &config->args);
    if (err)
        return err;
    config->n_args = container->n_args;
    return NULL;
}

/* --- mounts and files --- */

static void plan_files(const struct container_config_input *input, const struct pod_hostname *name,
                       struct arena *arena, struct container_files *files)
{
    const Core__Container *container = input->container;
    *files = (struct container_files){0};
    files->log_dir =
        arena_printf(arena, "%s/%s", pod_log_dir(input->pod, input->node, arena), container->name);
    hosts_file_plan(input, name, arena, files);
    if (container->termination_message_path && *container->termination_message_path) {
        files->termination_dir =
            arena_printf(arena, "%s/pods/%s/containers/%s", input->node->root_dir,
                         input->pod->metadata->uid, container->name);
        files->termination_log = arena_printf(arena, "%s/%08" PRIx32, files->termination_dir,
                                              (uint32_t)(input->random & UINT32_MAX));
    }
}

static Cri__Mount *file_mount(struct arena *arena, const char *container_path,
                              const char *host_path, bool relabel)
{
    Cri__Mount *mount = cri_new(arena, &cri__mount__descriptor);
    mount->container_path = cri_text(arena, container_path);
    mount->host_path = cri_text(arena, host_path);
    mount->selinux_relabel = relabel;
    return mount;
}

/* Puts the prepared binds where subPaths are asked for. */
static struct error *bind_subpaths(const struct container_config_input *input,
                                   struct volume_mounts *mounts, struct arena *arena)
{
    for (size_t i = 0; i < mounts->n_subpaths; i++) {
        size_t at = mounts->subpaths[i].mount_index;
        const char *target = input->subpath_targets ? input->subpath_targets[at] : NULL;
        if (!target)
            return error_new(ERROR_INTERNAL,
                             "failed to prepare subPath for volumeMount %s of container %s",
                             go_quote(arena, mounts->subpaths[i].volume_name),
                             go_quote(arena, input->container->name));
        mounts->mounts[at]->host_path = cri_text(arena, target);
    }
    return NULL;
}

#define OWN_MOUNTS_MAX 2 /* /etc/hosts and the termination log */

static struct error *set_mounts(const struct container_config_input *input,
                                struct volume_mounts *volumes, const struct container_files *files,
                                struct arena *arena, Cri__ContainerConfig *config)
{
    struct error *err = bind_subpaths(input, volumes, arena);
    if (err)
        return err;
    bool relabel = input->node->selinux_enabled;
    config->mounts = cri_array(arena, volumes->count + OWN_MOUNTS_MAX);
    for (size_t i = 0; i < volumes->count; i++)
        config->mounts[config->n_mounts++] = volumes->mounts[i];
    if (files->hosts_path)
        config->mounts[config->n_mounts++] =
            file_mount(arena, "/etc/hosts", files->hosts_path, relabel);
    if (files->termination_log)
        config->mounts[config->n_mounts++] = file_mount(
            arena, input->container->termination_message_path, files->termination_log, relabel);
    return NULL;
}

/* In a user namespace what is mounted belongs to the pod's ids. */
static void map_mounts(Cri__ContainerConfig *config)
{
    const Cri__UserNamespace *ids =
        config->linux->security_context->namespace_options->userns_options;
    for (size_t i = 0; i < config->n_mounts; i++) {
        config->mounts[i]->uidmappings = ids->uids;
        config->mounts[i]->n_uidmappings = ids->n_uids;
        config->mounts[i]->gidmappings = ids->gids;
        config->mounts[i]->n_gidmappings = ids->n_gids;
    }
}

/* --- the whole --- */

/* What is decided before anything is read from disk; the environment belongs to the caller. */
struct run_options {
    struct pod_hostname hostname;
    struct environment *environment;
    struct volume_mounts mounts;
};

static struct error *run_options_build(const struct container_config_input *input,
                                       struct arena *arena, struct run_options *ret)
{
    struct error *err =
        pod_hostname_of(input->pod, input->node->cluster_domain, arena, &ret->hostname);
    if (err)
        return err;
    const char *unused_kernel_name; /* only its length matters here */
    err = pod_kernel_hostname(input->pod, &ret->hostname, arena, &unused_kernel_name);
    if (err)
        return err;
    if (input->container->n_volume_devices > 0)
        return error_new(ERROR_UNIMPLEMENTED,
                         "cubelet does not support raw block volumes (volumeDevices) yet");
    AUTO(environment) struct environment *environment = NULL;
    err = environment_build(input, arena, &environment);
    if (err)
        return err;
    err = volume_mounts_build(input, environment, arena, &ret->mounts);
    if (err)
        return err;
    ret->environment = TAKE(environment);
    return NULL;
}

struct error *container_subpaths(const struct container_config_input *input, struct arena *arena,
                                 struct subpath_request **ret_requests, size_t *ret_count)
{
    struct run_options options = {0};
    struct error *err = run_options_build(input, arena, &options);
    if (err)
        return err;
    environment_free(options.environment);
    *ret_requests = options.mounts.subpaths;
    *ret_count = options.mounts.n_subpaths;
    return NULL;
}

static void set_identity(const struct container_config_input *input, struct arena *arena,
                         Cri__ContainerConfig *config)
{
    const Core__Container *container = input->container;
    config->metadata = cri_new(arena, &cri__container_metadata__descriptor);
    config->metadata->name = cri_text(arena, container->name);
    config->metadata->attempt = input->restart_count;
    config->image = cri_new(arena, &cri__image_spec__descriptor);
    config->image->image = cri_text(arena, input->image_ref);
    config->image->user_specified_image = cri_text(arena, container->image);
    config->working_dir = cri_text(arena, container->working_dir);
    config->log_path =
        arena_printf(arena, "%s/%" PRIu32 ".log", container->name, input->restart_count);
    config->stdin = container->stdin;
    config->stdin_once = container->stdin_once;
    config->tty = container->tty;
    if (input->node->stop_signals && container->lifecycle)
        config->stop_signal = stop_signal_of(container->lifecycle->stop_signal);
    set_labels(input, arena, config);
    set_annotations(input, arena, config);
}

static struct error *linux_build(const struct container_config_input *input, struct arena *arena,
                                 Cri__LinuxContainerConfig **ret)
{
    Cri__LinuxContainerConfig *linux_config =
        cri_new(arena, &cri__linux_container_config__descriptor);
    struct error *err = container_security_build(input, arena, &linux_config->security_context);
    if (err)
        return err;
    linux_config->resources =
        container_resources_build(input->pod, input->container, input->node, arena);
    *ret = linux_config;
    return NULL;
}

struct error *container_config_build(const struct container_config_input *input,
                                     struct arena *arena, struct container_files *ret_files,
                                     Cri__ContainerConfig **ret)
{
    struct run_options options = {0};
    struct error *err = run_options_build(input, arena, &options);
    if (err)
        return err;
    AUTO(environment) struct environment *environment = options.environment;
    Cri__ContainerConfig *config = cri_new(arena, &cri__container_config__descriptor);
    struct container_files files;
    plan_files(input, &options.hostname, arena, &files);
    err = set_mounts(input, &options.mounts, &files, arena, config);
    if (err)
        return err;
    err = container_check_non_root(input, arena);
    if (err)
        return err;
    set_identity(input, arena, config);
    err = set_command(input->container, environment, arena, config);
    if (err)
        return err;
    config->envs = environment_to_cri(environment, arena, &config->n_envs);
    err = linux_build(input, arena, &config->linux);
    if (err)
        return err;
    map_mounts(config);
    *ret_files = files;
    *ret = config;
    return NULL;
}
