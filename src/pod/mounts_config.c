/*
 * The volumeMounts of a container as CRI mounts (spec runtime.md §3.7), in the pod's order, so that
 * the first error in the pod is the one that surfaces.
 */
#include "pod/cri_config_internal.h"

#include "pod/cri_message.h"
#include "pod/expand.h"
#include "pod/go_text.h"

#include "base/path.h"

const struct mounted_volume *mounted_volume_find(const struct container_config_input *input,
                                                 const char *name)
{
    for (size_t i = 0; i < input->n_volumes; i++) {
        if (text_eq(input->volumes[i].name, name))
            return &input->volumes[i];
    }
    return NULL;
}

/* --- subPath --- */

#define SUB_PATH_EXPR_MAX (64 * KiB) /* sixteen times the longest path Linux knows */

/* Which variables a subPathExpr names that have no value. */
struct missing_names {
    const struct environment *environment;
    struct arena *arena;
    const char **names; /* each once; room for one per '$' of the text */
    size_t *count;      /* behind a pointer, because a look-up changes nothing it is given */
};

static const char *lookup_noting_missing(const void *ctx, struct str name)
{
    const struct missing_names *missing = ctx;
    const char *value = environment_lookup(missing->environment, name);
    if (value && *value)
        return value;
    for (size_t i = 0; i < *missing->count; i++) {
        if (str_eq_c(name, missing->names[i]))
            return value;
    }
    missing->names[(*missing->count)++] = arena_strndup(missing->arena, name.ptr, name.len);
    return value;
}

static struct error *expand_sub_path(const char *text, const struct environment *environment,
                                     struct arena *arena, const char **ret)
{
    size_t count = 0;
    if (strlen(text) > SUB_PATH_EXPR_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "a subPathExpr is larger than %zu bytes",
                         SUB_PATH_EXPR_MAX);
    struct missing_names missing = {
        .environment = environment,
        .arena = arena,
        .names = arena_calloc(arena, strlen(text) + 1, sizeof(const char *)),
        .count = &count,
    };
    struct error *err = expand(text, lookup_noting_missing, &missing, arena, ret);
    if (err || count == 0)
        return err;
    qsort(missing.names, count, sizeof(*missing.names), text_compare);
    const char *list = missing.names[0];
    for (size_t i = 1; i < count; i++)
        list = arena_printf(arena, "%s, %s", list, missing.names[i]);
    return error_new(ERROR_INVALID_ARGUMENT, "missing value for %s", list);
}

/* The subPath of @mount, expanded and safe to append to a volume; "" when there is none. */
static struct error *sub_path_of(const Core__VolumeMount *mount,
                                 const struct environment *environment, struct arena *arena,
                                 const char **ret)
{
    const char *sub_path = mount->sub_path ? mount->sub_path : "";
    if (mount->sub_path_expr && *mount->sub_path_expr) {
        struct error *err = expand_sub_path(mount->sub_path_expr, environment, arena, &sub_path);
        if (err)
            return err;
    }
    if (path_is_absolute(sub_path))
        return error_new(ERROR_INVALID_ARGUMENT, "error SubPath `%s` must not be an absolute path",
                         sub_path);
    if (path_has_dotdot(sub_path))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "unable to provision SubPath `%s`: must not contain '..'", sub_path);
    *ret = sub_path;
    return NULL;
}

/* --- modes --- */

static struct error *propagation_of(const Core__VolumeMount *mount, struct arena *arena,
                                    Cri__MountPropagation *ret)
{
    static const struct {
        const char *name;
        Cri__MountPropagation propagation;
    } modes[] = {
        {"None", CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE},
        {"HostToContainer", CRI__MOUNT_PROPAGATION__PROPAGATION_HOST_TO_CONTAINER},
        {"Bidirectional", CRI__MOUNT_PROPAGATION__PROPAGATION_BIDIRECTIONAL},
    };
    *ret = CRI__MOUNT_PROPAGATION__PROPAGATION_PRIVATE;
    if (!mount->mount_propagation)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (text_eq(mount->mount_propagation, modes[i].name)) {
            *ret = modes[i].propagation;
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "invalid MountPropagation mode: %s",
                     go_quote(arena, mount->mount_propagation));
}

static struct error *recursive_read_only_of(const Core__VolumeMount *mount, bool supported,
                                            struct arena *arena, bool *ret)
{
    const char *mode = mount->recursive_read_only;
    *ret = false;
    if (!mode || text_eq(mode, "Disabled"))
        return NULL;
    const char *volume = go_quote(arena, mount->name);
    if (!mount->read_only)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "volume %s requested recursive read-only mode, but it is not read-only",
                         volume);
    if (mount->mount_propagation && !text_eq(mount->mount_propagation, "None"))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "volume %s requested recursive read-only mode, but it is not compatible "
                         "with propagation "
                         "%s",
                         volume, go_quote(arena, mount->mount_propagation));
    bool required = text_eq(mode, "Enabled");
    if (!required && !text_eq(mode, "IfPossible"))
        return error_new(ERROR_INVALID_ARGUMENT, "unknown recursive read-only mode %s",
                         go_quote(arena, mode));
    if (required && !supported)
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "volume %s requested recursive read-only mode, but it is not supported by the runtime",
            volume);
    *ret = supported;
    return NULL;
}

/* --- mounts --- */

static const char *image_reference(const Core__PodSpec *spec, const char *volume_name)
{
    for (size_t i = 0; i < spec->n_volumes; i++) {
        const Core__VolumeSource *source = spec->volumes[i]->volume_source;
        if (text_eq(spec->volumes[i]->name, volume_name) && source && source->image)
            return source->image->reference;
    }
    return NULL;
}

/* An image volume is named to the runtime, which mounts it; nothing of it is on the host. The
 * handler is not said: that is for the gate RuntimeClassInImageCriApi, alpha. */
static Cri__ImageSpec *image_spec(const struct container_config_input *input,
                                  const struct mounted_volume *volume, struct arena *arena)
{
    const Meta__ObjectMeta *meta = input->pod->metadata;
    Cri__ImageSpec *spec = cri_new(arena, &cri__image_spec__descriptor);
    spec->image = cri_text(arena, volume->image_ref);
    spec->user_specified_image = cri_text(arena, image_reference(input->pod->spec, volume->name));
    spec->annotations = cri_array(arena, meta->n_annotations);
    for (size_t i = 0; i < meta->n_annotations; i++)
        spec->annotations[i] =
            cri_map_entry(arena, &cri__image_spec__annotations_entry__descriptor,
                          meta->annotations[i]->key, meta->annotations[i]->value);
    spec->n_annotations = meta->n_annotations;
    return spec;
}

static void add_subpath(struct volume_mounts *mounts, const struct mounted_volume *volume,
                        const char *sub_path)
{
    mounts->subpaths[mounts->n_subpaths++] = (struct subpath_request){
        .mount_index = mounts->count,
        .volume_name = volume->name,
        .inner_name = volume->inner_name,
        .volume_path = volume->host_path,
        .sub_path = sub_path,
        .read_only = volume->read_only,
    };
}

static struct error *add_mount(const struct container_config_input *input,
                               const Core__VolumeMount *from, const struct environment *environment,
                               struct arena *arena, struct volume_mounts *mounts)
{
    const struct mounted_volume *volume = mounted_volume_find(input, from->name);
    if (!volume)
        return error_new(ERROR_INVALID_ARGUMENT, "cannot find volume %s to mount into container %s",
                         go_quote(arena, from->name), go_quote(arena, input->container->name));
    const char *sub_path = "";
    struct error *err = sub_path_of(from, environment, arena, &sub_path);
    if (err)
        return err;
    Cri__Mount *mount = cri_new(arena, &cri__mount__descriptor);
    err = propagation_of(from, arena, &mount->propagation);
    if (err)
        return err;
    bool recursive;
    err = recursive_read_only_of(from, input->handler.recursive_read_only, arena, &recursive);
    if (err)
        return error_wrap(err, "failed to resolve recursive read-only mode");

    const char *path = from->mount_path ? from->mount_path : "";
    mount->container_path =
        path_is_absolute(path) ? cri_text(arena, path) : arena_printf(arena, "/%s", path);
    mount->readonly = from->read_only || volume->read_only;
    mount->recursive_read_only = recursive;
    mount->selinux_relabel = volume->selinux_relabel && input->node->selinux_enabled;
    if (!volume->host_path) {
        mount->image = image_spec(input, volume, arena);
        mount->image_sub_path = cri_text(arena, sub_path);
    } else if (*sub_path) {
        add_subpath(mounts, volume, sub_path);
    } else {
        mount->host_path = cri_text(arena, volume->host_path);
    }
    mounts->mounts[mounts->count++] = mount;
    return NULL;
}

struct error *volume_mounts_build(const struct container_config_input *input,
                                  const struct environment *environment, struct arena *arena,
                                  struct volume_mounts *ret)
{
    const Core__Container *container = input->container;
    struct volume_mounts mounts = {
        .mounts = cri_array(arena, container->n_volume_mounts + 1),
        .subpaths =
            arena_calloc(arena, container->n_volume_mounts + 1, sizeof(struct subpath_request)),
    };
    for (size_t i = 0; i < container->n_volume_mounts; i++) {
        struct error *err =
            add_mount(input, container->volume_mounts[i], environment, arena, &mounts);
        if (err)
            return err;
    }
    *ret = mounts;
    return NULL;
}
