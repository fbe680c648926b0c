#include "volume/dir_names.h"

#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static bool is_wanted(int dir_fd, const struct dirent *entry, enum dir_names_kind kind)
{
    if (text_eq(entry->d_name, ".") || text_eq(entry->d_name, ".."))
        return false;
    /* The type comes with the name on all usual file systems: a dead mount is not touched. */
    if (kind == DIR_NAMES_ALL || entry->d_type == DT_DIR)
        return true;
    struct stat st;
    return entry->d_type == DT_UNKNOWN &&
           fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 &&
           S_ISDIR(st.st_mode);
}

static void add(struct dir_names *names, size_t *room, const char *name, struct arena *arena)
{
    if (names->count == *room) {
        *room = *room ? *room * 2 : 16;
        const char **larger = arena_calloc(arena, *room, sizeof(*larger));
        if (names->count > 0)
            memcpy(larger, names->names, names->count * sizeof(*larger));
        names->names = larger;
    }
    names->names[names->count++] = arena_strdup(arena, name);
}

static int compare(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

struct error *dir_names_read_blocking(const char *path, enum dir_names_kind kind,
                                      struct arena *arena, struct dir_names *ret)
{
    struct dir_names names = {0};
    size_t room = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        *ret = names;
        return NULL;
    }
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        struct error *err = error_from_errno(errno, "listing %s", path);
        fd_close(&fd);
        return err;
    }
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (is_wanted(dirfd(dir), entry, kind))
            add(&names, &room, entry->d_name, arena);
    }
    struct error *err = errno != 0 ? error_from_errno(errno, "listing %s", path) : NULL;
    (void)closedir(dir);
    if (err)
        return err;
    if (names.count > 1)
        qsort(names.names, names.count, sizeof(*names.names), compare);
    *ret = names;
    return NULL;
}
