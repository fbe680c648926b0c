#include "volume/mounter.h"

#include "base/arena.h"
#include "base/path.h"
#include "volume/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define STACKED_MOUNTS_MAX                                                                         \
    64 /* mounts on top of each other at one path; more is somebody's loop                         \
        */
#define RELEASE_PART_MAX 8

struct error *mounter_mount_blocking(const char *fs_type, const char *source, const char *path,
                                     const char *options)
{
    if (mount(source ? source : fs_type, path, fs_type, 0, options) != 0)
        return error_from_errno(errno, "mounting %s on %s with options \"%s\"", fs_type, path,
                                options);
    return NULL;
}

struct error *mounter_bind_fd_blocking(int source_fd, const char *target)
{
    /* The magic link names the very object that was checked, whatever its path says by now. */
    AUTO(free) char *source = xasprintf("/proc/self/fd/%d", source_fd);
    if (mount(source, target, NULL, MS_BIND, NULL) != 0)
        return error_from_errno(errno, "binding onto %s", target);
    return NULL;
}

struct error *mounter_unmount_blocking(const char *path)
{
    for (size_t i = 0; i < STACKED_MOUNTS_MAX; i++) {
        if (umount2(path, UMOUNT_NOFOLLOW) == 0)
            continue;
        /* EINVAL: not a mount point (any more). */
        if (errno == EINVAL || errno == ENOENT)
            return NULL;
        return error_from_errno(errno, "unmounting %s", path);
    }
    return error_new(ERROR_RESOURCE_EXHAUSTED, "unmounting %s: more than %d mounts on one place",
                     path, STACKED_MOUNTS_MAX);
}

struct error *mounter_is_mount_point_blocking(const char *path, bool *ret)
{
    struct statx stx;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
              STATX_TYPE, &stx) != 0)
        return error_from_errno(errno, "looking at %s", path);
    if (stx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) {
        *ret = (stx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
        return NULL;
    }
    /* Before Linux 5.8 only the table knows. */
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free) char *clean = path_clean(path);
    struct mountinfo_table table;
    struct error *err = mountinfo_read_blocking(arena, &table);
    if (!err)
        *ret = mountinfo_find(&table, clean) != NULL;
    return err;
}

/* The number at the start of @text; what stops it is left in *ret_rest. */
static bool leading_number(struct str text, int64_t *ret, struct str *ret_rest)
{
    char digits[RELEASE_PART_MAX + 1] = "";
    size_t len = 0;
    while (len < text.len && len < RELEASE_PART_MAX && text.ptr[len] >= '0' &&
           text.ptr[len] <= '9') {
        digits[len] = text.ptr[len];
        len++;
    }
    *ret_rest = (struct str){.ptr = text.ptr + len, .len = text.len - len};
    return parse_i64(digits, 0, INT32_MAX, ret);
}

bool mounter_kernel_is_at_least(int64_t major, int64_t minor)
{
    struct utsname name;
    struct str rest;
    int64_t have_major, have_minor;
    if (uname(&name) != 0 || !leading_number(str_from(name.release), &have_major, &rest) ||
        rest.len == 0 || rest.ptr[0] != '.')
        return false;
    rest = (struct str){.ptr = rest.ptr + 1, .len = rest.len - 1};
    if (!leading_number(rest, &have_minor, &rest))
        return false;
    return have_major > major || (have_major == major && have_minor >= minor);
}
