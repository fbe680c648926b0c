/*
 * File descriptors and whole files. Every descriptor is O_CLOEXEC from birth. Functions ending in
 * _blocking may wait for a disk and belong on a worker, except at start-up. Any thread.
 */
#pragma once

#include "base/base.h"

#include "base/buf.h"

#include <sys/types.h>

/** Closes a descriptor and marks it closed; -1 is fine. Errors of close() are ignored by design. */
void fd_close(int *fd);
static inline UNUSED void auto_release_fd(int *fd)
{
    fd_close(fd);
}

/**
 * Reads all of a regular file (or /proc, /sys file) into @buf (appended), whose maximum is the cap.
 * On error @buf is as it was.
 * Errors: the errno's; RESOURCE_EXHAUSTED beyond the cap; INVALID_ARGUMENT when it is no regular
 * file.
 */
MUST_CHECK struct error *fd_read_file_blocking(const char *path, struct buf *buf);
MUST_CHECK struct error *fd_read_file_at_blocking(int dir_fd, const char *name, struct buf *buf);

/** Reads at most the last @max_bytes of a file into @buf (appended). */
MUST_CHECK struct error *fd_read_tail_blocking(const char *path, size_t max_bytes, struct buf *buf);

/** Writes @data to an existing control file (cgroup, sysctl) with one write(); never creates. */
MUST_CHECK struct error *fd_write_control_file(const char *path, struct str data);

/**
 * Replaces @path by @data: a temporary file beside it, write, fsync, rename, fsync of the
 * directory. Mode is set exactly (no umask). On error the old content stays and no temporary file
 * is left, except when only the last step, the directory's fsync, failed: then the new content is
 * there. A link at @path is replaced.
 */
MUST_CHECK struct error *fd_replace_file_blocking(const char *path, struct str data, mode_t mode);

/** As above without any fsync, for content that is rebuilt after a crash. */
MUST_CHECK struct error *fd_write_file_blocking(const char *path, struct str data, mode_t mode);

/**
 * Opens @relative below @dir_fd with openat2() and RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS (and
 * RESOLVE_NO_SYMLINKS when @no_symlinks). Retries a racing kernel (EAGAIN) a few times.
 * The caller owns *ret_fd.
 */
MUST_CHECK struct error *fd_open_beneath(int dir_fd, const char *relative, int flags, mode_t mode,
                                         bool no_symlinks, int *ret_fd);

/** Makes @path and missing parents with @mode less umask; existing ones keep their mode. */
MUST_CHECK struct error *fd_mkdir_all(const char *path, mode_t mode);

/**
 * Removes what lies at @path recursively without following links and without crossing into another
 * file system (a mount point below, or @path itself being one, is an error, FAILED_PRECONDITION;
 * bind mounts count). Stops at the first error. A missing path is fine. Any depth of nesting takes
 * 16 descriptors.
 */
MUST_CHECK struct error *fd_remove_tree_blocking(const char *path);
