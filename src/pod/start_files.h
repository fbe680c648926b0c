/*
 * The disk's side of starting a container, as jobs: env files, subPath binds, /etc/hosts, the
 * termination log file, the log folder, the /var/log/containers link; and deleting logs with their
 * container. Inside the pod room; loop thread.
 */
#pragma once

#include "pod/op.h"

/** Reads the files that the environment takes values of; start_env_files_result() in the next
 * advance(). */
void start_env_files(struct pod_op *op, const struct env_file_request *requests, size_t count);
/** What was read, one for each request, in the arena of @op; names are those of the requests. */
const struct env_file *start_env_files_result(struct pod_op *op, size_t *ret_count);

/** Prepares the subPath binds of @op; targets are read with start_subpath_targets() in the next
 * advance(). */
void start_subpaths(struct pod_op *op, const struct subpath_request *requests, size_t count,
                    const char *container);
/** Per volumeMount index (@n_mounts of them) the bind target, NULL elsewhere; in the arena of @op.
 */
MUST_CHECK struct error *start_subpath_targets(struct pod_op *op, size_t n_mounts,
                                               const char *const **ret_targets);

/** Writes what @files names. Failing to make the termination log is no failure (spec runtime.md
 * §3.10). */
void start_files(struct pod_op *op, const struct container_files *files);
/** The error of the finished job, owned by the caller. *ret_has_termination_log: the file that
 * @files named is there; set in any case. */
MUST_CHECK struct error *start_files_result(struct pod_op *op, bool *ret_has_termination_log);

/** Links @link → @log_path unless the log file does not exist. Errors are of no consequence. */
void start_link(struct pod_op *op, const char *log_path, const char *link);

/** Deletes @log_path and its rotated files, unless logs are kept, and then the link of container
 * @id. */
void start_delete_logs(struct pod_op *op, const char *log_path, const char *id);
/** The error of the finished job, owned by the caller: the logs are not all deleted. */
MUST_CHECK struct error *start_delete_logs_result(struct pod_op *op);

/** Removes the links in @dir that are pod @namespace/@name's and lead below @log_dir. Blocking. */
void container_links_remove_blocking(const char *dir, const char *namespace, const char *name,
                                     const char *log_dir);

/** "<dir>/<pod>_<namespace>_<container>-<id>.log", the name before ".log" cut to 251 bytes; in
 * @arena. */
const char *container_link_path(const char *dir, const struct pod_worker *worker,
                                const char *container, const char *id, struct arena *arena);
