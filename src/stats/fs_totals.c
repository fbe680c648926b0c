#include "stats/fs_totals.h"

#include <errno.h>
#include <sys/statvfs.h>

struct error *fs_totals_read_blocking(const char *path, struct fs_totals *ret)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0)
        return error_from_errno(errno, "looking at the file system of %s", path);
    *ret = (struct fs_totals){.capacity_bytes = (uint64_t)fs.f_blocks * fs.f_frsize,
                              .free_bytes = (uint64_t)fs.f_bfree * fs.f_frsize,
                              .available_bytes = (uint64_t)fs.f_bavail * fs.f_frsize,
                              .inodes = fs.f_files,
                              .inodes_free = fs.f_ffree};
    return NULL;
}
