/*
 * Mounting and unmounting by system call, and asking whether something is mounted. No helper
 * programs: tmpfs, hugetlbfs and bind mounts need none. Every function may wait for a disk and
 * belongs on a worker.
 */
#pragma once

#include "base/base.h"

/** Mounts a fresh file system of @fs_type (also its source name unless @source) on directory @path.
 */
MUST_CHECK struct error *mounter_mount_blocking(const char *fs_type, const char *source,
                                                const char *path, const char *options);
/**
 * Binds what descriptor @source_fd refers to onto @target. The bind has the mount flags (ro,
 * nosuid, …) of the mount it comes from: the kernel copies them, so no second mount call is needed
 * to add them.
 */
MUST_CHECK struct error *mounter_bind_fd_blocking(int source_fd, const char *target);
/** Takes everything off that is mounted at @path itself, never following a link. Nothing mounted is
 * fine. */
MUST_CHECK struct error *mounter_unmount_blocking(const char *path);

/**
 * *ret: whether @path itself (no link is followed) is a mount point, bind mounts included.
 * NOT_FOUND when it does not exist.
 */
MUST_CHECK struct error *mounter_is_mount_point_blocking(const char *path, bool *ret);

/** Whether the running kernel is at least @major.@minor. */
bool mounter_kernel_is_at_least(int64_t major, int64_t minor);
