/*
 * How Go's file server answers for a file or a folder (net/http/fs.go): whether it is sent at all,
 * which part of it, and how a listing reads. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "wire/http.h"

/** What is known of a file. */
struct static_file {
    int64_t size;
    int64_t modified_s; /* since 1970; 0 counts as unknown */
};

enum static_outcome {
    STATIC_WHOLE,        /* 200 */
    STATIC_PART,         /* 206 */
    STATIC_NOT_MODIFIED, /* 304 */
    STATIC_FAILED,       /* 412 */
    STATIC_OUT_OF_RANGE, /* 416 */
};

struct static_answer {
    enum static_outcome outcome;
    int64_t from, length; /* WHOLE, PART: what is sent */
    bool has_no_overlap;  /* OUT_OF_RANGE: the range lies behind the end, else it is none */
};

/**
 * Decides by the fields of a GET (If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since,
 * If-Range, Range). Of several ranges the whole is sent, which a server may do.
 */
void static_file_decide(const struct http_fields *fields, const struct static_file *file,
                        struct static_answer *ret);
/** True when a client's copy of a folder, changed at @modified_s, is still good. */
bool static_folder_is_unchanged(const struct http_fields *fields, int64_t modified_s);

/** One entry of a folder. */
struct static_entry {
    const char *name;
    bool is_folder; /* a link to one is none */
};
/** The page for a folder; sorts @entries by their bytes. */
void static_folder_write(struct static_entry *entries, size_t count, struct buf *out);
