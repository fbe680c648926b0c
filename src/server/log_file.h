/*
 * Reading a log file piece by piece, below the directory of pod logs and without following links
 * out of it. A piece is a job of the worker pool: its descriptor travels with it. Functions ending
 * in _blocking run on a worker.
 */
#pragma once

#include "base/base.h"

#define LOG_PIECE_BYTES (64 * KiB)

/** One piece. Inputs are copied in by log_piece_new(), the rest is the reader's position and the
 * result. */
struct log_piece {
    char *root, *path;  /* owned; @path is relative to @root */
    int64_t tail_lines; /* where to begin when the file is opened; -1: at its start */
    bool reopens;       /* look for a new file under the same name at the end of this one; that one
                           may be missing for a while, the first may not */
    int fd;             /* owned; -1: not open yet */
    int64_t offset;     /* of the next read */

    struct error *err; /* owned; why nothing could be read */
    bool reopened;     /* this piece is the first of a new file under the same name */
    size_t len;        /* 0: at the end of the file */
    char *data;        /* owned; LOG_PIECE_BYTES, or NULL while nothing was read since
                          log_piece_drop_data() */
};

/** @root and @path are copied. The caller owns it. */
struct log_piece *log_piece_new(const char *root, const char *path, int64_t tail_lines);
void log_piece_free(struct log_piece *piece); /* NULL is fine; closes the file */
DEFINE_AUTO(log_piece, struct log_piece *, log_piece_free)

/** Releases the bytes: whoever waits for a file to grow holds no buffer. */
void log_piece_drop_data(struct log_piece *piece);

/** Reads the next piece: opens the file first where needed. A file that was cut is read from its
 * start again. */
void log_piece_read_blocking(struct log_piece *piece);

/**
 * The offset at which the last @lines lines of @fd begin. A last line without newline is not
 * counted, but included.
 */
MUST_CHECK struct error *log_tail_start_blocking(int fd, int64_t lines, int64_t *ret_offset);
