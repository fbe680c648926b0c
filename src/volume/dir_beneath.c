#include "volume/dir_beneath.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct error *dir_make_beneath_blocking(int dir_fd, const char *relative, mode_t mode, int *ret_fd)
{
    AUTO(free) char *names = xstrdup(relative);
    AUTO(fd) int fd = -1; /* the innermost so far */
    for (char *name = names, *end; name; name = end) {
        int next_fd = -1, parent_fd = fd < 0 ? dir_fd : fd;
        end = strchr(name, '/');
        if (end)
            *end++ = '\0';
        /* mkdir() does not follow a link in the last place, and there is no other place here. */
        if (mkdirat(parent_fd, name, mode) != 0 && errno != EEXIST)
            return error_from_errno(errno, "making directory %s", name);
        struct error *err =
            fd_open_beneath(parent_fd, name, O_PATH | O_DIRECTORY, 0, true, &next_fd);
        if (err)
            return err;
        fd_close(&fd);
        fd = next_fd;
    }
    *ret_fd = fd;
    fd = -1;
    return NULL;
}
