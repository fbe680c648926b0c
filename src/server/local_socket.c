/*
 * The socket file. One that answers belongs to another agent and is left alone; one that refuses is
 * what a killed agent left behind and is replaced. Access is guarded three times: the directory,
 * the mode of the socket (set before bind, so there is no moment in between), and the peer's
 * credentials.
 */
#include "base/fd.h"
#include "base/path.h"
#include "server/local_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

static int64_t peer_pid(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return 0;
    return peer.pid;
}

static struct error *make_address(const char *path, struct sockaddr_un *ret)
{
    size_t len = strlen(path);
    if (len >= sizeof(ret->sun_path))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "local socket %s: the path is longer than %zu bytes", path,
                         sizeof(ret->sun_path) - 1);
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, path, len);
    return NULL;
}

static struct error *in_use(const char *path, int64_t pid)
{
    return error_new(ERROR_ALREADY_EXISTS,
                     "local socket %s is in use by another cubelet (pid %lld); stop it or give "
                     "--local-socket",
                     path, (long long)pid);
}

/* Makes room for the socket: removes a stale one. */
static struct error *clear_path(const char *path, const struct sockaddr_un *address)
{
    struct stat there;
    if (lstat(path, &there) < 0)
        return errno == ENOENT ? NULL : error_from_errno(errno, "local socket %s", path);
    if (!S_ISSOCK(there.st_mode))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "local socket %s: there is a file that is no socket", path);
    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_from_errno(errno, "making a local socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        return in_use(path, peer_pid(fd));
    if (errno == EAGAIN)
        return in_use(path, 0); /* it listens, but does not accept at the moment */
    if (errno != ECONNREFUSED && errno != ENOENT)
        return error_from_errno(errno, "local socket %s", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_from_errno(errno, "removing the stale local socket %s", path);
    return NULL;
}

struct error *local_socket_listen(const char *path, int *ret_fd, uint64_t *ret_inode)
{
    struct sockaddr_un address;
    struct error *err = make_address(path, &address);
    if (err)
        return err;
    AUTO(free) char *dir = path_dir(path);
    err = fd_mkdir_all(dir, 0700);
    if (!err)
        err = clear_path(path, &address);
    if (err)
        return err;
    AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat made;
    if (fd < 0 || fchmod(fd, 0600) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
        return error_from_errno(errno, "listening on local socket %s", path);
    if (chmod(path, 0600) < 0 || stat(path, &made) < 0)
        return error_from_errno(errno, "local socket %s", path);
    *ret_inode = made.st_ino;
    *ret_fd = fd;
    fd = -1; /* the caller owns it now */
    return NULL;
}

void local_socket_remove(const char *path, uint64_t inode)
{
    struct stat there;
    if (lstat(path, &there) == 0 && there.st_ino == inode)
        (void)unlink(path);
}
