/*
 * Rotating the log of one container, and deleting its logs (spec runtime.md §6.3): what is to
 * become of the files beside it, and what is done to them. A folder of logs may be mounted by pods,
 * so nothing in it is trusted: it is entered below the pod logs directory without following links,
 * and what is no regular file is left alone. Any thread; _blocking belongs on a worker.
 */
#pragma once

#include "base/base.h"

/** What is to become of one rotated file. */
enum log_fate { LOG_STAYS, LOG_IS_DELETED, LOG_IS_COMPRESSED };

struct log_file {
    const char *name; /* "<log>.<something>" */
    enum log_fate fate;
};

/**
 * Sorts @files, all that lie beside a log that is about to be rotated, by name, which is by age,
 * and sets their fates: unfinished ones (.tmp) and those that were compressed already go, the
 * oldest go until @max_files less the log and its successor are left, and of these each is
 * compressed. Pure.
 */
void log_rotation_plan(struct log_file *files, size_t count, int32_t max_files);

/** True when @name, or it compressed, is among the @files that do not go. Pure. */
bool log_rotation_is_taken(const struct log_file *files, size_t count, const char *name);

/** "<log>.<YYYYMMDD-HHMMSS>" of local time. Owned. */
char *log_rotation_name(const char *log, int64_t now_wall_ns);

/**
 * How large the log is.
 * Errors: NOT_FOUND: it is missing; FAILED_PRECONDITION: it is no regular file; the errno's.
 */
MUST_CHECK struct error *log_size_blocking(const char *logs_dir, const char *log_path,
                                           int64_t *ret_bytes);

/**
 * Puts the rotated files of @log_path (absolute) in order and renames the log itself: what remains
 * is to have the runtime open a new one. *ret_name: its name now, in the same folder; owned. On
 * error the log has its name; some of the others may be gone or compressed.
 * Errors: the errno's; FAILED_PRECONDITION: the log is no regular file; ALREADY_EXISTS: there is a
 * rotated log of this second; RESOURCE_EXHAUSTED: more files than anybody rotates.
 */
MUST_CHECK struct error *log_rotate_blocking(const char *logs_dir, const char *log_path,
                                             int32_t max_files, int64_t now_wall_ns,
                                             char **ret_name);

/** Gives the log its name back. When there is a new log by now, both stay as they are. */
MUST_CHECK struct error *log_rotate_back_blocking(const char *logs_dir, const char *log_path,
                                                  const char *name);

/**
 * Deletes everything whose path begins with @log_path: the log and its rotated files. The first
 * failure ends it. What is missing is fine, directories stay.
 * Errors: the errno's; INVALID_ARGUMENT: @log_path is empty or relative.
 */
MUST_CHECK struct error *log_delete_blocking(const char *logs_dir, const char *log_path);
