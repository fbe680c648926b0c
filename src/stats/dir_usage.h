/*
 * How much of a disk a directory's content takes, as `du` counts: blocks of every inode once,
 * however many links it has. What lies there is somebody else's and may change meanwhile: links are
 * not followed, other file systems and mounts below are not entered, and neither width nor depth of
 * the tree costs more than a fixed number of descriptors and some hundred kilobytes. On a worker.
 */
#pragma once

#include "base/base.h"

struct dir_usage {
    uint64_t bytes;
    uint64_t inodes; /* the directory itself included */
};

/** Inodes with several links that are remembered; each further link of others counts its share. */
#define DIR_USAGE_MAX_LINKED 8192

/**
 * Counts what is at @path and below it; @path itself may not be a link. Entries that vanish while
 * it is at it are fine. Errors: the errno's; RESOURCE_EXHAUSTED when a path below @path is longer
 * than the kernel takes (PATH_MAX), as upstream, which walks by path.
 */
MUST_CHECK struct error *dir_usage_measure_blocking(const char *path, struct dir_usage *ret);

/**
 * Counts the files that lie directly in @path: no directories, nothing below, not @path itself.
 * Errors: the errno's.
 */
MUST_CHECK struct error *dir_usage_files_blocking(const char *path, struct dir_usage *ret);

/** Counts @path alone, which may not be a link. Errors: the errno's. */
MUST_CHECK struct error *dir_usage_file_blocking(const char *path, struct dir_usage *ret);
