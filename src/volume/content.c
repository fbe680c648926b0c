/*
 * The four plugins with content. What differs between them is how their sources are listed and
 * which medium they lie on; all else is shared.
 *
 * Publishing (spec volumes.md §3.6): the emptyDir, directories for mounts inside the volume, the
 * files. A volume that could not be published for the first time is taken down again; one that
 * containers may be reading keeps what it has.
 */
#include "volume/content.h"

#include "base/fd.h"
#include "base/path.h"
#include "volume/atomic_writer.h"
#include "volume/dir_beneath.h"
#include "volume/ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define NESTED_DIR_MODE 0755

/* --- what a volume is made of --- */

static const char *name_of(const Core__LocalObjectReference *reference)
{
    return reference && reference->name ? reference->name : "";
}

static struct content_source from_config_map(const Core__LocalObjectReference *reference,
                                             Core__KeyToPath **items, size_t item_count,
                                             bool optional)
{
    return (struct content_source){
        .kind = CONTENT_CONFIG_MAP,
        .name = name_of(reference),
        .keys = {.items = items, .item_count = item_count, .optional = optional}};
}

static struct content_source from_secret(const char *name, Core__KeyToPath **items,
                                         size_t item_count, bool optional)
{
    return (struct content_source){
        .kind = CONTENT_SECRET,
        .name = name ? name : "",
        .keys = {.items = items, .item_count = item_count, .optional = optional}};
}

static struct content_source from_files(Core__DownwardAPIVolumeFile **files, size_t count)
{
    return (struct content_source){
        .kind = CONTENT_DOWNWARD_API, .files = files, .file_count = count};
}

/* False: the projection is empty, which upstream passes over. */
static bool from_projection(const Core__VolumeProjection *from, struct content_source *ret)
{
    if (from->secret)
        *ret = from_secret(name_of(from->secret->local_object_reference), from->secret->items,
                           from->secret->n_items,
                           from->secret->has_optional && from->secret->optional);
    else if (from->config_map)
        *ret = from_config_map(from->config_map->local_object_reference, from->config_map->items,
                               from->config_map->n_items,
                               from->config_map->has_optional && from->config_map->optional);
    else if (from->downward_api)
        *ret = from_files(from->downward_api->items, from->downward_api->n_items);
    else if (from->service_account_token)
        *ret = (struct content_source){.kind = CONTENT_TOKEN, .token = from->service_account_token};
    else if (from->cluster_trust_bundle)
        *ret = (struct content_source){.kind = CONTENT_REFUSED, .name = "clusterTrustBundle"};
    else if (from->pod_certificate)
        *ret = (struct content_source){.kind = CONTENT_REFUSED, .name = "podCertificate"};
    else
        return false;
    return true;
}

static void list_sources(struct content *content, const Core__VolumeSource *source,
                         struct arena *arena)
{
    size_t room = source->projected ? source->projected->n_sources : 1;
    content->sources = arena_calloc(arena, room + 1, sizeof(*content->sources));
    struct content_source *first = &content->sources[0];
    content->source_count = 1;
    if (source->config_map) {
        const Core__ConfigMapVolumeSource *from = source->config_map;
        *first = from_config_map(from->local_object_reference, from->items, from->n_items,
                                 from->has_optional && from->optional);
        content->has_default_mode = from->has_default_mode;
        content->default_mode = from->default_mode;
    } else if (source->secret) {
        const Core__SecretVolumeSource *from = source->secret;
        *first = from_secret(from->secret_name, from->items, from->n_items,
                             from->has_optional && from->optional);
        content->has_default_mode = from->has_default_mode;
        content->default_mode = from->default_mode;
    } else if (source->downward_api) {
        const Core__DownwardAPIVolumeSource *from = source->downward_api;
        *first = from_files(from->items, from->n_items);
        content->has_default_mode = from->has_default_mode;
        content->default_mode = from->default_mode;
    } else if (source->projected) {
        const Core__ProjectedVolumeSource *from = source->projected;
        content->is_projected = true;
        content->has_default_mode = from->has_default_mode;
        content->default_mode = from->default_mode;
        content->source_count = 0;
        for (size_t i = 0; i < from->n_sources; i++) {
            if (from_projection(from->sources[i], &content->sources[content->source_count]))
                content->source_count++;
        }
    }
}

/* --- who all containers run as --- */

struct fs_user {
    bool is_known, is_mixed;
    int64_t user;
};

static void note_user(struct fs_user *all, const Core__PodSecurityContext *pod,
                      const Core__SecurityContext *own)
{
    int64_t user = 0;
    if (own && own->has_run_as_user)
        user = own->run_as_user;
    else if (pod && pod->has_run_as_user)
        user = pod->run_as_user;
    else
        all->is_mixed = true;
    if (all->is_known && all->user != user)
        all->is_mixed = true;
    all->is_known = true;
    all->user = user;
}

static void set_fs_user(struct content *content, const Core__PodSpec *spec)
{
    const Core__PodSecurityContext *pod = spec->security_context;
    struct fs_user all = {0};
    for (size_t i = 0; i < spec->n_init_containers; i++)
        note_user(&all, pod, spec->init_containers[i]->security_context);
    for (size_t i = 0; i < spec->n_containers; i++)
        note_user(&all, pod, spec->containers[i]->security_context);
    for (size_t i = 0; i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        note_user(&all, pod, common ? common->security_context : NULL);
    }
    content->has_fs_user =
        all.is_known && !all.is_mixed && all.user >= 0 && all.user < (int64_t)UINT32_MAX;
    content->fs_user = content->has_fs_user ? (uid_t)all.user : 0;
    content->has_fs_group = pod && pod->has_fs_group;
}

/* --- mounts inside the volume --- */

struct nested {
    struct arena *arena;
    const char *volume;
    const char **paths;
    size_t count, room;
};

static void add_nested(struct nested *nested, const char *path)
{
    if (nested->count + 1 >= nested->room) {
        nested->room = nested->room ? nested->room * 2 : 4;
        const char **larger = arena_calloc(nested->arena, nested->room, sizeof(*larger));
        if (nested->count > 0)
            memcpy(larger, nested->paths, nested->count * sizeof(*larger));
        nested->paths = larger;
    }
    nested->paths[nested->count++] = path;
}

static bool is_strictly_below(const char *path, const char *parent)
{
    size_t len = strlen(parent);
    return strncmp(path, parent, len) == 0 && path[len] == '/';
}

/* The outermost of @paths (sorted) below @parent: what lies deeper is mounted in one of those. */
static void add_outermost(struct nested *nested, const char *parent, const char *const *paths,
                          size_t count)
{
    const char *before = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_strictly_below(paths[i], parent) || (before && is_strictly_below(paths[i], before)))
            continue;
        before = paths[i];
        add_nested(nested, paths[i] + strlen(parent) + 1);
    }
}

static struct error *visit_mounts(struct nested *nested, Core__VolumeMount *const *mounts,
                                  size_t count)
{
    const char **paths = arena_calloc(nested->arena, count + 1, sizeof(*paths));
    for (size_t i = 0; i < count; i++) {
        AUTO(free) char *clean = path_clean(mounts[i]->mount_path ? mounts[i]->mount_path : "");
        paths[i] = arena_strdup(nested->arena, clean);
    }
    const char **sorted = arena_calloc(nested->arena, count + 1, sizeof(*sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = paths[i];
    if (count > 1)
        qsort(sorted, count, sizeof(*sorted), text_compare);
    for (size_t i = 0; i < count; i++) {
        if (!text_eq(mounts[i]->name, nested->volume))
            continue;
        if (text_has_prefix(paths[i], "../"))
            return error_new(ERROR_INVALID_ARGUMENT, "invalid container mount point %s", paths[i]);
        add_outermost(nested, paths[i], sorted, count);
    }
    return NULL;
}

static struct error *find_nested(struct content *content, const Core__PodSpec *spec,
                                 struct arena *arena)
{
    struct nested nested = {.arena = arena, .volume = content->volume};
    struct error *err = NULL;
    for (size_t i = 0; !err && i < spec->n_init_containers; i++)
        err = visit_mounts(&nested, spec->init_containers[i]->volume_mounts,
                           spec->init_containers[i]->n_volume_mounts);
    for (size_t i = 0; !err && i < spec->n_containers; i++)
        err = visit_mounts(&nested, spec->containers[i]->volume_mounts,
                           spec->containers[i]->n_volume_mounts);
    for (size_t i = 0; !err && i < spec->n_ephemeral_containers; i++) {
        const Core__EphemeralContainerCommon *common =
            spec->ephemeral_containers[i]->ephemeral_container_common;
        if (common)
            err = visit_mounts(&nested, common->volume_mounts, common->n_volume_mounts);
    }
    add_nested(&nested, NULL);
    content->nested = nested.paths;
    return err;
}

static struct error *plan(const struct volume_plan_env *env, const Core__Pod *pod,
                          const Core__Volume *volume, struct arena *arena, const void **ret_input)
{
    const Core__VolumeSource *source = volume->volume_source;
    struct content *content = arena_alloc(arena, sizeof(*content));
    content->volume = arena_strdup(arena, volume->name);
    content->wrapped.in_memory = !source->config_map;
    if (content->wrapped.in_memory)
        content->wrapped.tmpfs_bytes = empty_dir_tmpfs_bytes(env, pod);
    list_sources(content, source, arena);
    set_fs_user(content, pod->spec);
    struct error *err = find_nested(content, pod->spec, arena);
    if (!err)
        *ret_input = content;
    return err;
}

/* --- publishing --- */

/* Links are not followed: what is published is not for other mounts. */
static struct error *make_all_nested(const char *dir, const struct content *content)
{
    if (!content->nested[0])
        return NULL;
    AUTO(fd) int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return error_from_errno(errno, "opening %s", dir);
    struct error *err = NULL;
    for (size_t i = 0; !err && content->nested[i]; i++) {
        AUTO(fd) int fd = -1;
        err = dir_make_beneath_blocking(dir_fd, content->nested[i], NESTED_DIR_MODE, &fd);
    }
    return error_wrap(err, "unable to create nested volume mountpoints");
}

struct publication {
    const struct volume_set_up *set_up;
    const char *dir;
};

/* The links beside the files are new, too, so the whole volume is given to the group. */
static struct error *give_to_group(void *ctx)
{
    const struct publication *publication = ctx;
    if (!publication->set_up->has_fs_group)
        return NULL;
    const struct volume_ownership ownership = {.fs_group = publication->set_up->fs_group,
                                               .read_only = true};
    return volume_ownership_apply_blocking(publication->dir, &ownership);
}

static struct error *set_up_as(const struct volume_plugin *plugin,
                               const struct volume_set_up *set_up, const char **ret_host_path)
{
    const struct content *content = set_up->input;
    const char *dir;
    struct error *err = empty_dir_set_up_wrapped_blocking(plugin, set_up, &content->wrapped, &dir);
    if (!err)
        err = make_all_nested(dir, content);
    if (err)
        return err;
    struct publication publication = {.set_up = set_up, .dir = dir};
    const struct atomic_write write = {.dir = dir,
                                       .payload = &content->payload,
                                       .now_ns = set_up->now_ns,
                                       .before_publish = give_to_group,
                                       .ctx = &publication};
    err = atomic_write_blocking(&write);
    if (!err) {
        *ret_host_path = dir;
        return NULL;
    }
    /* Upstream takes a volume down even below running containers, whose mount then shows the old
     * content for ever. */
    if (!atomic_is_published_blocking(dir))
        error_ignore(plugin->tear_down_blocking(plugin, &set_up->place),
                     "the next attempt meets what is left, and the first error is the one to tell");
    return err;
}

/* --- the plugins --- */

static bool is_config_map(const Core__VolumeSource *source)
{
    return source->config_map != NULL;
}
static bool is_secret(const Core__VolumeSource *source)
{
    return source->secret != NULL;
}
static bool is_downward_api(const Core__VolumeSource *source)
{
    return source->downward_api != NULL;
}
static bool is_projected(const Core__VolumeSource *source)
{
    return source->projected != NULL;
}

static struct error *set_up_config_map(const struct volume_set_up *set_up, const char **ret)
{
    return set_up_as(&volume_plugin_config_map, set_up, ret);
}
static struct error *set_up_secret(const struct volume_set_up *set_up, const char **ret)
{
    return set_up_as(&volume_plugin_secret, set_up, ret);
}
static struct error *set_up_downward_api(const struct volume_set_up *set_up, const char **ret)
{
    return set_up_as(&volume_plugin_downward_api, set_up, ret);
}
static struct error *set_up_projected(const struct volume_set_up *set_up, const char **ret)
{
    return set_up_as(&volume_plugin_projected, set_up, ret);
}

#define CONTENT_PLUGIN(plugin_name, handles, sets_up)                                              \
    {                                                                                              \
        .name = (plugin_name), .selinux_relabel = true, .read_only = true, .has_content = true,    \
        .measure = VOLUME_MEASURE_WALK_ONCE, .can_handle = (handles), .plan = plan,                \
        .set_up_blocking = (sets_up), .tear_down_blocking = empty_dir_tear_down_wrapped_blocking,  \
    }

const struct volume_plugin volume_plugin_config_map =
    CONTENT_PLUGIN("kubernetes.io/configmap", is_config_map, set_up_config_map);
const struct volume_plugin volume_plugin_secret =
    CONTENT_PLUGIN("kubernetes.io/secret", is_secret, set_up_secret);
const struct volume_plugin volume_plugin_downward_api =
    CONTENT_PLUGIN("kubernetes.io/downward-api", is_downward_api, set_up_downward_api);
const struct volume_plugin volume_plugin_projected =
    CONTENT_PLUGIN("kubernetes.io/projected", is_projected, set_up_projected);
