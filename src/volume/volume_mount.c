/*
 * The mount job. On the loop it notes which volumes of the pod count and lets each one's plugin
 * plan, then makes the content of those that have some; on a worker it makes the pod's directories
 * and sets every volume up. One that fails does not keep the others from being set up, so that the
 * next attempt has less to do and the error names all causes at once.
 */
#include "volume/volume_jobs.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/time.h"
#include "kube/codec.h"
#include "volume/content.h"
#include "volume/volume_plugin.h"

#define POD_DIR_MODE 0750
#define MESSAGE_MAX_BYTES (16 * KiB)

/* --- planning, on the loop --- */

struct uses {
    size_t n_mounts, n_devices;
    Core__VolumeMount **mounts;
    Core__VolumeDevice **devices;
};

static bool names_volume(const struct uses *uses, const char *name)
{
    for (size_t i = 0; i < uses->n_mounts; i++) {
        if (text_eq(uses->mounts[i]->name, name))
            return true;
    }
    for (size_t i = 0; i < uses->n_devices; i++) {
        if (text_eq(uses->devices[i]->name, name))
            return true;
    }
    return false;
}

static bool container_uses(const Core__Container *container, const char *name)
{
    const struct uses uses = {container->n_volume_mounts, container->n_volume_devices,
                              container->volume_mounts, container->volume_devices};
    return names_volume(&uses, name);
}

static bool ephemeral_uses(const Core__EphemeralContainer *container, const char *name)
{
    const Core__EphemeralContainerCommon *common = container->ephemeral_container_common;
    if (!common)
        return false;
    const struct uses uses = {common->n_volume_mounts, common->n_volume_devices,
                              common->volume_mounts, common->volume_devices};
    return names_volume(&uses, name);
}

bool volume_is_used(const Core__PodSpec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_init_containers; i++) {
        if (container_uses(spec->init_containers[i], name))
            return true;
    }
    for (size_t i = 0; i < spec->n_containers; i++) {
        if (container_uses(spec->containers[i], name))
            return true;
    }
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        if (ephemeral_uses(spec->ephemeral_containers[i], name))
            return true;
    }
    return false;
}

/* The JSON name of the source that is set, such as "persistentVolumeClaim"; NULL when none is. */
static const char *source_type(const Core__VolumeSource *source, struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = &core__volume_source__descriptor;
    for (unsigned i = 0; source && i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const void *member;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || field->label == PROTOBUF_C_LABEL_REPEATED)
            continue;
        memcpy(&member, (const char *)source + field->offset, sizeof(member));
        if (member)
            return kube_json_name(field->name, arena);
    }
    return NULL;
}

static struct error *plan_item(struct volume_mount_job *job, const struct volume_plan_env *env,
                               const Core__Pod *pod, const Core__Volume *volume,
                               struct volume_mount_item *item)
{
    if (!volume_name_is_safe(item->name))
        return error_new(ERROR_INVALID_ARGUMENT, "volume name \"%s\" cannot name a directory",
                         item->name);
    item->plugin = volume_plugin_for(volume->volume_source);
    if (item->plugin) {
        job->may_hang = job->may_hang || item->plugin->may_hang;
        struct error *err = item->plugin->plan(env, pod, volume, job->arena, &item->input);
        if (!err && item->plugin->has_content)
            item->content = (struct content *)(uintptr_t)item->input;
        return err;
    }
    const char *type = source_type(volume->volume_source, job->arena);
    if (!type)
        return error_new(ERROR_INVALID_ARGUMENT, "volume \"%s\" has no type", item->name);
    return error_new(ERROR_UNIMPLEMENTED,
                     "volume type \"%s\" of volume \"%s\" is not supported by cubelet yet", type,
                     item->name);
}

static void plan_items(struct volume_mount_job *job, const struct volume_plan_env *env,
                       const Core__Pod *pod)
{
    const Core__PodSpec *spec = pod->spec;
    job->items = arena_calloc(job->arena, spec->n_volumes, sizeof(*job->items));
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const char *name = spec->volumes[i]->name ? spec->volumes[i]->name : "";
        if (!volume_is_used(spec, name))
            continue;
        struct volume_mount_item *item = &job->items[job->count++];
        item->name = arena_strdup(job->arena, name);
        item->failure = plan_item(job, env, pod, spec->volumes[i], item);
    }
}

void volume_each_wanted(const Core__Pod *pod,
                        void (*each)(void *ctx, const char *name, const char *plugin), void *ctx)
{
    const Core__PodSpec *spec = pod->spec;
    for (size_t i = 0; spec && i < spec->n_volumes; i++) {
        const Core__Volume *volume = spec->volumes[i];
        const struct volume_plugin *plugin = volume_plugin_for(volume->volume_source);
        if (plugin && volume->name && volume_is_used(spec, volume->name))
            each(ctx, volume->name, plugin->name);
    }
}

struct volume_mount_job *volume_mount_job_new(const struct volume_options *options,
                                              const Core__Pod *pod)
{
    struct volume_mount_job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->root_dir = arena_strdup(job->arena, options->root_dir);
    const char *uid = pod->metadata ? pod->metadata->uid : NULL;
    job->pod_uid = arena_strdup(job->arena, uid ? uid : "");
    job->tmpfs_noswap = options->tmpfs_noswap;
    job->selinux_enabled = options->selinux_enabled;
    if (!pod->spec)
        return job;
    const Core__PodSecurityContext *security = pod->spec->security_context;
    if (security && security->has_fs_group) {
        job->has_fs_group = true;
        job->fs_group = security->fs_group;
    }
    const struct volume_plan_env env = {.allocatable_memory_bytes =
                                            options->allocatable_memory_bytes};
    plan_items(job, &env, pod);
    return job;
}

struct content **volume_mount_job_contents(struct volume_mount_job *job, size_t *ret_count)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    struct content **contents = arena_calloc(job->arena, job->count + 1, sizeof(*contents));
    *ret_count = 0;
    for (size_t i = 0; i < job->count; i++) {
        if (job->items[i].content)
            contents[(*ret_count)++] = job->items[i].content;
    }
    return contents;
}

void volume_mount_job_build(struct volume_mount_job *job, const struct volume_sources *sources,
                            const Core__Pod *pod, int64_t now_ns)
{
    job->now_ns = now_ns;
    for (size_t i = 0; i < job->count; i++) {
        struct volume_mount_item *item = &job->items[i];
        if (!item->content)
            continue;
        item->failure = content_build(item->content, sources, pod, now_ns, job->arena);
        content_release(item->content);
    }
}

/* --- setting up, on a worker --- */

static struct error *make_pod_dirs(const struct volume_mount_job *job)
{
    static const char *const below[] = {"", "volumes", "plugins"};
    struct error *err = NULL;
    if (!volume_name_is_safe(job->pod_uid))
        err = error_new(ERROR_INVALID_ARGUMENT, "pod uid \"%s\" cannot name a directory",
                        job->pod_uid);
    for (size_t i = 0; !err && i < ARRAY_SIZE(below); i++) {
        AUTO(free) char *path = path_join_all(job->root_dir, "pods", job->pod_uid, below[i], NULL);
        err = fd_mkdir_all(path, POD_DIR_MODE);
    }
    return error_wrap(err, "error making pod data directories");
}

static void set_up_item(const struct volume_mount_job *job, struct volume_mount_item *item)
{
    const struct volume_set_up set_up = {
        .place = {.root_dir = job->root_dir,
                  .pod_uid = job->pod_uid,
                  .name = item->name,
                  .arena = job->arena},
        .input = item->input,
        .now_ns = job->now_ns,
        .tmpfs_noswap = job->tmpfs_noswap,
        .has_fs_group = job->has_fs_group,
        .fs_group = job->fs_group,
    };
    int64_t began_ns = time_mono_ns();
    item->failure = item->plugin->set_up_blocking(&set_up, &item->host_path);
    item->took_ns = max_i64(time_mono_ns() - began_ns, 1);
}

static int compare_items(const void *a, const void *b)
{
    const struct volume_mount_item *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static void add_name(struct buf *list, const char *name)
{
    buf_printf(list, "%s%s", list->len > 0 ? " " : "", name);
}

static void add_failure(struct volume_mount_job *job, const char *reason, const char *message)
{
    job->failures[job->failure_count++] =
        (struct volume_failure){.reason = reason, .message = message};
}

/* Upstream's text for what no plugin serves: it was never "processed" (spec §1.14). */
static void add_unprocessed(struct volume_mount_job *job)
{
    AUTO(buf) struct buf unmounted = {0}, unprocessed = {0}, causes = {0};
    buf_init(&unmounted, MESSAGE_MAX_BYTES);
    buf_init(&unprocessed, MESSAGE_MAX_BYTES);
    buf_init(&causes, MESSAGE_MAX_BYTES);
    for (size_t i = 0; i < job->count; i++) {
        const struct volume_mount_item *item = &job->items[i];
        if (item->failure)
            add_name(&unmounted, item->name);
        if (!item->failure || item->plugin)
            continue;
        add_name(&unprocessed, item->name);
        buf_printf(&causes, "%s%s", causes.len > 0 ? "; " : "", item->failure->message);
    }
    if (unprocessed.len > 0)
        add_failure(job, "FailedMount",
                    arena_printf(job->arena,
                                 "Unable to attach or mount volumes: unmounted volumes=[%s], "
                                 "unattached volumes=[], failed to process volumes=[%s]: %s",
                                 buf_text(&unmounted), buf_text(&unprocessed), buf_text(&causes)));
}

static void describe_failures(struct volume_mount_job *job)
{
    bool failed = false;
    for (size_t i = 0; i < job->count; i++)
        failed = failed || job->items[i].failure;
    if (!failed)
        return;
    job->failures = arena_calloc(job->arena, job->count + 1, sizeof(*job->failures));
    if (job->count > 1)
        qsort(job->items, job->count, sizeof(*job->items), compare_items);
    for (size_t i = 0; i < job->count; i++) {
        const struct volume_mount_item *item = &job->items[i];
        if (item->failure && item->plugin)
            add_failure(job, "FailedMount",
                        arena_printf(job->arena, "MountVolume.SetUp failed for volume \"%s\" : %s",
                                     item->name, item->failure->message));
    }
    add_unprocessed(job);
}

static struct volume_set *collect(const struct volume_mount_job *job)
{
    struct volume_set *set = xcalloc(1, sizeof(*set));
    set->volumes = xcalloc(job->count + 1, sizeof(*set->volumes));
    for (size_t i = 0; i < job->count; i++) {
        const struct volume_mount_item *item = &job->items[i];
        set->volumes[set->count++] = (struct volume_mounted){
            .name = xstrdup(item->name),
            .host_path = xstrdup(item->host_path),
            .inner_name = xstrdup(item->name),
            .read_only = item->plugin->read_only,
            .selinux_relabel = job->selinux_enabled && item->plugin->selinux_relabel,
        };
        int64_t at_ns = item->content ? item->content->refresh_at_ns : 0;
        if (at_ns > 0 && (set->refresh_at_ns == 0 || at_ns < set->refresh_at_ns))
            set->refresh_at_ns = at_ns;
    }
    return set;
}

void volume_mount_job_run_blocking(struct volume_mount_job *job)
{
    AUTO(error) struct error *err = make_pod_dirs(job);
    if (err) {
        job->failures = arena_alloc(job->arena, sizeof(*job->failures));
        add_failure(job, "Failed", arena_strdup(job->arena, err->message));
        return;
    }
    for (size_t i = 0; i < job->count; i++) {
        if (!job->items[i].failure)
            set_up_item(job, &job->items[i]);
    }
    describe_failures(job);
    if (job->failure_count == 0)
        job->set = collect(job);
}

void volume_mount_job_free(struct volume_mount_job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->count; i++) {
        error_free(job->items[i].failure);
        if (job->items[i].content)
            content_release(job->items[i].content);
    }
    volume_set_free(job->set);
    arena_free(job->arena);
    free(job);
}
