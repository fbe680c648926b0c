/*
 * subPath: one file or directory inside a volume, handed to a container as a mount of its own.
 *
 * The volume's content belongs to the pod, which may run and rename while we look. So the path is
 * resolved once by the kernel (openat2 with RESOLVE_BENEATH), below a descriptor of the volume, and
 * what counts afterwards is the descriptor that came out, not the path: it is bound, through
 * /proc/self/fd, onto a place that only root can write, and the runtime is given that place.
 *
 * Links inside the volume are part of the contract as long as they end inside it. Relative ones are
 * resolved by the kernel. An absolute one leaves the volume by RESOLVE_BENEATH's rule though it may
 * point back into it, so then the path is resolved as text, checked, and the result opened again
 * with no links allowed at all: if the pod swaps a link in between, the opening fails.
 *
 * Missing directories are made one by one below the longest prefix that exists, each opened without
 * following links before the next is made in it.
 */
#include "volume/subpath.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "volume/dir_names.h"
#include "volume/mounter.h"
#include "volume/volume.h"
#include "volume/volume_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUBPATHS_DIR "volume-subpaths"
#define PARENT_MODE 0750
#define TARGET_DIR_MODE 0750
#define TARGET_FILE_MODE 0640
#define MODE_BITS 07777

/* --- finding the source --- */

static struct error *open_volume(const char *volume_path, int *ret_fd)
{
    /* The volume itself may be reached through a link: its path is the administrator's, not the
     * pod's. */
    int fd = open(volume_path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(errno, "opening volume %s", volume_path);
    *ret_fd = fd;
    return NULL;
}

/* For paths that leave the volume by an absolute link: allowed if they come back into it. */
static struct error *open_resolved(int volume_fd, const char *volume_path, const char *sub_path,
                                   int *ret_fd)
{
    AUTO(free) char *joined = path_join(volume_path, sub_path);
    AUTO(free) char *real_volume = realpath(volume_path, NULL);
    AUTO(free) char *real = real_volume ? realpath(joined, NULL) : NULL;
    if (!real)
        return error_from_errno(errno, "resolving %s", joined);
    if (!path_is_below(real, real_volume))
        return error_new(ERROR_PERMISSION_DENIED, "subpath \"%s\" not within volume path \"%s\"",
                         real, real_volume);
    const char *inside = real + strlen(real_volume);
    while (*inside == '/')
        inside++;
    return fd_open_beneath(volume_fd, *inside ? inside : ".", O_PATH, 0, true, ret_fd);
}

static struct error *open_existing(int volume_fd, const char *volume_path, const char *sub_path,
                                   int *ret_fd)
{
    struct error *err = fd_open_beneath(volume_fd, sub_path, O_PATH, 0, false, ret_fd);
    if (!err || err->os_errno != EXDEV)
        return err;
    error_ignore(err, "a link leads out of the volume; it may lead back");
    return open_resolved(volume_fd, volume_path, sub_path, ret_fd);
}

/* Makes @name in directory *dir_fd and moves *dir_fd there. The mode is the volume's, whatever the
 * umask. */
static struct error *make_and_enter(int *dir_fd, const char *name, mode_t mode)
{
    bool made = mkdirat(*dir_fd, name, mode & 0777) == 0;
    if (!made && errno != EEXIST)
        return error_from_errno(errno, "making directory %s", name);
    int fd = openat(*dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_from_errno(errno, "opening directory %s", name);
    if (made && fchmod(fd, mode & MODE_BITS) != 0) {
        struct error *err = error_from_errno(errno, "setting the mode of %s", name);
        fd_close(&fd);
        return err;
    }
    fd_close(dir_fd);
    *dir_fd = fd;
    return NULL;
}

/* Opens the longest prefix of @sub_path that exists; *ret_rest is what is missing behind it. */
static struct error *open_prefix(int volume_fd, const char *volume_path, const char *sub_path,
                                 int *ret_fd, const char **ret_rest)
{
    AUTO(free) char *prefix = xstrdup(sub_path);
    for (;;) {
        char *slash = strrchr(prefix, '/');
        const char *rest = slash ? sub_path + (slash - prefix) + 1 : sub_path;
        if (slash)
            *slash = '\0';
        struct error *err = open_existing(volume_fd, volume_path, slash ? prefix : ".", ret_fd);
        if (!error_is(err, ERROR_NOT_FOUND) || !slash) {
            *ret_rest = rest;
            return err;
        }
        error_ignore(err, "look for a shorter prefix");
    }
}

static struct error *make_missing(int volume_fd, const struct volume_subpath *request,
                                  const char *sub_path)
{
    struct stat st;
    if (fstat(volume_fd, &st) != 0)
        return error_from_errno(errno, "looking at volume %s", request->volume_path);
    AUTO(fd) int dir_fd = -1;
    const char *missing;
    struct error *err = open_prefix(volume_fd, request->volume_path, sub_path, &dir_fd, &missing);
    struct str rest = str_from(missing), element;
    while (!err && str_split_next(&rest, '/', &element)) {
        AUTO(free) char *name = str_dup(element);
        err = make_and_enter(&dir_fd, name, st.st_mode);
    }
    return err;
}

static bool is_missing(int volume_fd, const struct volume_subpath *request, const char *sub_path)
{
    AUTO(fd) int fd = -1;
    AUTO(error)
    struct error *err = open_existing(volume_fd, request->volume_path, sub_path, &fd);
    return error_is(err, ERROR_NOT_FOUND);
}

/* --- binding it --- */

static bool is_same_object(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* *ret: @target is a mount of the very object @source. A mount of anything else is taken off. */
static struct error *is_bound(const struct stat *source, const char *target, bool *ret)
{
    bool mounted;
    struct stat st;
    *ret = false;
    struct error *err = mounter_is_mount_point_blocking(target, &mounted);
    if (error_is(err, ERROR_NOT_FOUND)) {
        error_ignore(err, "not made yet");
        return NULL;
    }
    if (err || !mounted)
        return err;
    if (lstat(target, &st) == 0 && is_same_object(source, &st)) {
        *ret = true;
        return NULL;
    }
    return mounter_unmount_blocking(target);
}

/* A directory is bound onto a directory, anything else onto an empty file; the wrong one is
 * replaced. */
static struct error *make_target(const struct stat *source, const char *target)
{
    struct stat st;
    bool wants_dir = S_ISDIR(source->st_mode);
    if (lstat(target, &st) == 0) {
        if (wants_dir ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode))
            return NULL;
        if ((S_ISDIR(st.st_mode) ? rmdir(target) : unlink(target)) != 0)
            return error_from_errno(errno, "replacing %s", target);
    }
    if (wants_dir)
        return fd_mkdir_all(target, TARGET_DIR_MODE);
    AUTO(fd)
    int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, TARGET_FILE_MODE);
    return fd < 0 ? error_from_errno(errno, "making %s", target) : NULL;
}

/* Removes the target and those of its parents that are empty, up to the pod's directory. */
static void undo_target(const char *target, const char *pod_dir)
{
    (void)!unlink(target);
    AUTO(free) char *path = xstrdup(target);
    while (path_is_below(path, pod_dir) && !text_eq(path, pod_dir)) {
        if (rmdir(path) != 0 && errno != ENOENT)
            return;
        char *parent = path_dir(path);
        free(path);
        path = parent;
    }
}

static struct error *bind_source(int source_fd, const char *target, const char *pod_dir)
{
    struct stat source;
    bool bound;
    if (fstat(source_fd, &source) != 0)
        return error_from_errno(errno, "looking at the source of %s", target);
    struct error *err = is_bound(&source, target, &bound);
    if (err || bound)
        return err;
    AUTO(free) char *parent = path_dir(target);
    err = fd_mkdir_all(parent, PARENT_MODE);
    if (!err)
        err = make_target(&source, target);
    if (!err)
        err = mounter_bind_fd_blocking(source_fd, target);
    if (err)
        undo_target(target, pod_dir);
    return err;
}

/* --- the door --- */

static struct error *check_request(const struct volume_subpath *request)
{
    if (path_is_absolute(request->sub_path))
        return error_new(ERROR_INVALID_ARGUMENT, "error SubPath `%s` must not be an absolute path",
                         request->sub_path);
    if (path_has_dotdot(request->sub_path))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "unable to provision SubPath `%s`: must not contain '..'",
                         request->sub_path);
    if (!volume_name_is_safe(request->pod_uid) || !volume_name_is_safe(request->inner_name) ||
        !volume_name_is_safe(request->container))
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "subPath of volume \"%s\" in container \"%s\" of pod \"%s\": these cannot be "
            "names of directories",
            request->inner_name, request->container, request->pod_uid);
    return NULL;
}

/* The pod's author sees the error; paths of the node stay in the log. */
static struct error *vague(struct error *err_owned, const char *what,
                           const struct volume_subpath *request)
{
    struct error *shown =
        error_new(err_owned->code, "failed to %s for volumeMount \"%s\" of container \"%s\"", what,
                  request->inner_name, request->container);
    log_error("Failed to provide a subPath", LOG_STR("podUID", request->pod_uid),
              LOG_STR("volume", request->inner_name), LOG_STR("containerName", request->container),
              LOG_STR("subPath", request->sub_path), LOG_ERR(err_owned));
    error_free(err_owned);
    return shown;
}

struct error *volume_subpath_prepare_blocking(const char *root_dir,
                                              const struct volume_subpath *request,
                                              char **ret_target)
{
    struct error *err = check_request(request);
    if (err)
        return err;
    AUTO(free) char *sub_path = path_clean(request->sub_path);
    AUTO(free) char *pod_dir = path_join_all(root_dir, "pods", request->pod_uid, NULL);
    AUTO(free)
    char *target = xasprintf("%s/" SUBPATHS_DIR "/%s/%s/%zu", pod_dir, request->inner_name,
                             request->container, request->mount_index);
    AUTO(fd) int volume_fd = -1;
    AUTO(fd) int source_fd = -1;
    err = open_volume(request->volume_path, &volume_fd);
    if (!err && is_missing(volume_fd, request, sub_path)) {
        err = make_missing(volume_fd, request, sub_path);
        if (err)
            return vague(err, "create subPath directory", request);
    }
    if (!err)
        err = open_existing(volume_fd, request->volume_path, sub_path, &source_fd);
    if (!err)
        err = bind_source(source_fd, target, pod_dir);
    if (err)
        return vague(err, "prepare subPath", request);
    *ret_target = TAKE(target);
    return NULL;
}

/* --- taking down --- */

static struct error *remove_target(const char *path)
{
    struct error *err = mounter_unmount_blocking(path);
    if (err)
        return err;
    if (unlink(path) == 0 || errno == ENOENT)
        return NULL;
    /* Linux says EISDIR for a directory, POSIX allows EPERM. */
    if ((errno == EISDIR || errno == EPERM) && (rmdir(path) == 0 || errno == ENOENT))
        return NULL;
    return error_from_errno(errno, "removing %s", path);
}

static struct error *remove_empty(const char *path)
{
    if (rmdir(path) == 0 || errno == ENOENT)
        return NULL;
    return error_from_errno(errno, "removing %s", path);
}

/* Removes the binds of one container. */
static struct error *clean_container(const char *path, struct arena *arena)
{
    struct dir_names targets;
    struct error *err = dir_names_read_blocking(path, DIR_NAMES_ALL, arena, &targets);
    for (size_t i = 0; !err && i < targets.count; i++)
        err = remove_target(arena_printf(arena, "%s/%s", path, targets.names[i]));
    return err ? err : remove_empty(path);
}

static struct error *clean_volume(const char *path, struct arena *arena)
{
    struct dir_names containers;
    struct error *err = dir_names_read_blocking(path, DIR_NAMES_ALL, arena, &containers);
    for (size_t i = 0; !err && i < containers.count; i++)
        err = clean_container(arena_printf(arena, "%s/%s", path, containers.names[i]), arena);
    return err ? err : remove_empty(path);
}

struct error *subpath_clean_blocking(const char *pod_dir)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free) char *top = path_join(pod_dir, SUBPATHS_DIR);
    struct dir_names volumes;
    struct error *err = dir_names_read_blocking(top, DIR_NAMES_ALL, arena, &volumes);
    for (size_t i = 0; !err && i < volumes.count; i++)
        err = clean_volume(arena_printf(arena, "%s/%s", top, volumes.names[i]), arena);
    if (!err)
        err = remove_empty(top);
    return error_wrap(err, "error cleaning subPath mounts");
}
