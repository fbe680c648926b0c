/*
 * One look at the static pod path: which manifests are there, which have changed, and what they
 * say. A scan is a job of its own, made and read on the loop thread and run on a worker; it shares
 * nothing with the source that asked for it. For file_source.c only.
 */
#pragma once

#include "pod/object.h"

/**
 * What tells a changed file: without reading it where nothing was heard of it, and by its content
 * after an event, since file times are coarser than writes are fast.
 */
struct file_mark {
    int64_t mtime_ns;
    int64_t size; /* FILE_MARK_UNREAD: the file must be read */
    uint64_t inode;
    bool has_content;
    uint64_t content_high, content_low; /* FNV-1a of the bytes that were read last */
};
#define FILE_MARK_UNREAD (-1)

struct scanned_file {
    char *name;            /* in the folder; "" for a single file */
    struct file_mark mark; /* in: as known; out: as found */
    bool unchanged;
    bool gone; /* not there, or no regular file */
    struct pod_object *object;
    struct error *err; /* why the file cannot be used */
};

struct file_scan {
    char *path, *node_name;
    int64_t now_ns; /* wall clock */
    bool all;       /* in: the whole folder, beside the files that are named */
    bool missing;   /* out: the path itself is not there */
    struct error *err;
    struct scanned_file *files;
    size_t count;
};

/** A scan of @path for pods of @node_name (both copied) that looks at no file yet. */
struct file_scan *file_scan_new(const char *path, const char *node_name, int64_t now_ns);
/** Frees it with its results; a void pointer as for any job. */
void file_scan_free(void *scan);

/** Has file @name (copied) looked at, of which @mark is known; NULL: nothing is. One that is in the
 * scan already stays as it is. */
void file_scan_add(struct file_scan *scan, const char *name, const struct file_mark *mark);

/**
 * Looks. On a worker. What concerns one file is in its `err`; scan->err: the path could not be
 * looked at, and the files say nothing.
 */
void file_scan_run_blocking(void *scan);
