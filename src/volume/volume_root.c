/*
 * The root directory: its folders and its mount. Volumes that containers mount themselves
 * (Bidirectional propagation, CSI drivers) reach the node and other containers only when the root
 * is on a shared mount.
 */
#include "volume/volume.h"

#include "base/fd.h"
#include "base/path.h"
#include "volume/mounter.h"
#include "volume/mountinfo.h"

#include <errno.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOT_MODE 0750
#define USER_MAP_MAX_BYTES (4 * KiB)

static struct error *make_dirs(const char *root_dir)
{
    static const char *const below[] = {"", "pods", "plugins", "plugins_registry"};
    struct error *err = NULL;
    for (size_t i = 0; !err && i < ARRAY_SIZE(below); i++) {
        AUTO(free) char *path = path_join(root_dir, below[i]);
        err = fd_mkdir_all(path, ROOT_MODE);
    }
    return err;
}

/* A root that is a mount point of its own is made shared where it is; else it gets a bind onto
 * itself. */
static struct error *make_shared(const char *root_dir)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(free) char *real = realpath(root_dir, NULL);
    if (!real)
        return error_from_errno(errno, "resolving %s", root_dir);
    struct mountinfo_table table;
    struct error *err = mountinfo_read_blocking(arena, &table);
    if (err)
        return err;
    const struct mountinfo_entry *entry = mountinfo_find_containing(&table, real);
    if (entry && entry->shared)
        return NULL;
    if ((!entry || !text_eq(entry->mount_point, real)) &&
        mount(real, real, NULL, MS_BIND, NULL) != 0)
        return error_from_errno(errno, "binding %s onto itself", real);
    if (mount(NULL, real, NULL, MS_SHARED | MS_REC, NULL) != 0)
        return error_from_errno(errno, "making the mount at %s shared", real);
    return NULL;
}

struct error *volume_root_prepare_blocking(const char *root_dir)
{
    AUTO(free) char *clean = path_clean(root_dir);
    if (!path_is_absolute(root_dir))
        return error_new(ERROR_INVALID_ARGUMENT, "root directory \"%s\" is not absolute", root_dir);
    if (!text_eq(clean, root_dir))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "rootDirectory not in canonical form: expected %s, was %s", clean,
                         root_dir);
    struct error *err = make_dirs(root_dir);
    if (!err)
        err = make_shared(root_dir);
    return error_wrap(err, "preparing the root directory");
}

/* --- noswap --- */

/* The initial user namespace maps everything onto itself; none other can. */
static bool is_in_user_namespace(void)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, USER_MAP_MAX_BYTES);
    struct error *err = fd_read_file_blocking("/proc/self/uid_map", &text);
    if (err) {
        error_ignore(err, "a kernel without user namespaces has no map");
        return false;
    }
    struct str rest = buf_str(&text), line, piece;
    static const char *const whole[] = {"0", "0", "4294967295"};
    if (!str_split_next(&rest, '\n', &line))
        return false;
    size_t matched = 0;
    while (str_split_next(&line, ' ', &piece)) {
        if (piece.len == 0)
            continue;
        if (matched == ARRAY_SIZE(whole) || !str_eq_c(piece, whole[matched]))
            return true;
        matched++;
    }
    return false;
}

static bool try_noswap(const char *root_dir)
{
    AUTO(free) char *dir = path_join(root_dir, "plugins/tmpfs-noswap-test-XXXXXX");
    if (!mkdtemp(dir))
        return false;
    bool works = mount("tmpfs", dir, "tmpfs", 0, "noswap") == 0;
    if (works)
        error_ignore(mounter_unmount_blocking(dir), "an empty tmpfs does no harm");
    (void)rmdir(dir);
    return works;
}

bool volume_detect_tmpfs_noswap_blocking(const char *root_dir)
{
    if (is_in_user_namespace())
        return false;
    return mounter_kernel_is_at_least(6, 4) || try_noswap(root_dir);
}
