/*
 * hostPath: a path of the node, used as it is. Who may write such a pod is trusted with the node,
 * so links are followed, as the contract says; nothing here gets an fsGroup or is ever removed.
 */
#include "volume/volume_plugin.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

enum host_path_type {
    HOST_PATH_UNSET,
    HOST_PATH_DIRECTORY_OR_CREATE,
    HOST_PATH_DIRECTORY,
    HOST_PATH_FILE_OR_CREATE,
    HOST_PATH_FILE,
    HOST_PATH_SOCKET,
    HOST_PATH_CHAR_DEVICE,
    HOST_PATH_BLOCK_DEVICE,
    HOST_PATH_TYPE_COUNT,
};

static const struct {
    const char *name;
    mode_t format;        /* S_IFMT value it must have; 0: any */
    const char *mismatch; /* "%s is not …" */
} types[] = {
    [HOST_PATH_UNSET] = {"", 0, NULL},
    [HOST_PATH_DIRECTORY_OR_CREATE] = {"DirectoryOrCreate", S_IFDIR, "a directory"},
    [HOST_PATH_DIRECTORY] = {"Directory", S_IFDIR, "a directory"},
    [HOST_PATH_FILE_OR_CREATE] = {"FileOrCreate", S_IFREG, "a file"},
    [HOST_PATH_FILE] = {"File", S_IFREG, "a file"},
    [HOST_PATH_SOCKET] = {"Socket", S_IFSOCK, "a socket file"},
    [HOST_PATH_CHAR_DEVICE] = {"CharDevice", S_IFCHR, "a character device"},
    [HOST_PATH_BLOCK_DEVICE] = {"BlockDevice", S_IFBLK, "a block device"},
};
_Static_assert(ARRAY_SIZE(types) == HOST_PATH_TYPE_COUNT, "describe every type");

struct input {
    const char *path;
    enum host_path_type type;
};

static bool can_handle(const Core__VolumeSource *source)
{
    return source->host_path != NULL;
}

static struct error *plan(UNUSED const struct volume_plan_env *env, UNUSED const Core__Pod *pod,
                          const Core__Volume *volume, struct arena *arena, const void **ret_input)
{
    const Core__HostPathVolumeSource *source = volume->volume_source->host_path;
    const char *path = source->path ? source->path : "";
    const char *type = source->type ? source->type : "";
    if (path_has_dotdot(path))
        return error_new(ERROR_INVALID_ARGUMENT, "invalid HostPath `%s`: must not contain '..'",
                         path);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (!text_eq(types[i].name, type))
            continue;
        struct input *input = arena_alloc(arena, sizeof(*input));
        *input = (struct input){.path = arena_strdup(arena, path), .type = (enum host_path_type)i};
        *ret_input = input;
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "%s is an invalid volume type", type);
}

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 || errno != ENOENT;
}

static struct error *make_file(const char *path)
{
    AUTO(fd) int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0644);
    return fd < 0 ? error_from_errno(errno, "making %s", path) : NULL;
}

static struct error *make_if_missing(const struct input *input)
{
    switch (input->type) {
    case HOST_PATH_DIRECTORY_OR_CREATE:
        return exists(input->path) ? NULL : fd_mkdir_all(input->path, 0755);
    case HOST_PATH_FILE_OR_CREATE:
        return exists(input->path) ? NULL : make_file(input->path);
    case HOST_PATH_UNSET:
    case HOST_PATH_DIRECTORY:
    case HOST_PATH_FILE:
    case HOST_PATH_SOCKET:
    case HOST_PATH_CHAR_DEVICE:
    case HOST_PATH_BLOCK_DEVICE:
    case HOST_PATH_TYPE_COUNT:
        break;
    }
    return NULL;
}

static struct error *set_up_blocking(const struct volume_set_up *set_up, const char **ret_host_path)
{
    const struct input *input = set_up->input;
    struct error *err = make_if_missing(input);
    if (err)
        return err;
    mode_t format = types[input->type].format;
    struct stat st;
    if (format != 0 && (stat(input->path, &st) != 0 || (st.st_mode & S_IFMT) != format))
        return error_new(ERROR_FAILED_PRECONDITION, "hostPath type check failed: %s is not %s",
                         input->path, types[input->type].mismatch);
    *ret_host_path = input->path;
    return NULL;
}

static struct error *tear_down_blocking(UNUSED const struct volume_plugin *plugin,
                                        UNUSED const struct volume_place *place)
{
    return NULL;
}

const struct volume_plugin volume_plugin_host_path = {
    .name = "kubernetes.io/host-path",
    .may_hang = true,
    .can_handle = can_handle,
    .plan = plan,
    .set_up_blocking = set_up_blocking,
    .tear_down_blocking = tear_down_blocking,
};
