#include "volume/ready_marker.h"

#include "base/fd.h"
#include "base/path.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define MARKER_NAME "ready"

bool ready_marker_is_set_blocking(const char *dir)
{
    AUTO(free) char *path = path_join(dir, MARKER_NAME);
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

struct error *ready_marker_set_blocking(const char *dir)
{
    struct error *err = fd_mkdir_all(dir, 0750);
    if (err)
        return err;
    AUTO(free) char *path = path_join(dir, MARKER_NAME);
    AUTO(fd) int fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
    return fd < 0 ? error_from_errno(errno, "making %s", path) : NULL;
}

struct error *ready_marker_remove_blocking(const char *dir)
{
    return fd_remove_tree_blocking(dir);
}
