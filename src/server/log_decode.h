/*
 * The log lines a CRI runtime writes, turned into what a reader of `logs` sees (spec runtime.md
 * §6.2, §6.4). A line is <RFC 3339 time> <stdout|stderr> <P|F>[:<tag>…] <content>\n and content
 * passes through as it comes, so memory does not grow with the length of a line. Pure: the same
 * bytes give the same output however they are cut. Any thread, one at a time.
 */
#pragma once

#include "base/buf.h"

#define LOG_HEADER_MAX_BYTES                                                                       \
    256 /* time, stream and tags of one line; a longer header is no CRI line */

struct log_decoder_options {
    int64_t since_wall_ns; /* lines before it are left out; INT64_MIN: none */
    int64_t max_lines;     /* raw lines (P and F alike) until done; -1: no limit */
    int64_t limit_bytes;   /* of output, times included; -1: no limit */
    bool timestamps;       /* a logical line begins with its time, nine digits of fraction */
};

enum log_decoder_state { LOG_IN_HEADER, LOG_IN_CONTENT, LOG_IN_GARBAGE };

/** In the caller's memory; fields are the decoder's own, but for the counters at the end. */
struct log_decoder {
    struct log_decoder_options options;
    enum log_decoder_state state;
    char header[LOG_HEADER_MAX_BYTES];
    size_t header_len;
    unsigned spaces;         /* in the header so far */
    bool partial;            /* the current line is tagged P: its newline is dropped */
    bool omitted;            /* the current line is older than since */
    bool has_content;        /* of the current line */
    bool after_partial;      /* the logical line goes on: no time before the next raw line */
    bool done;               /* a limit was reached: nothing more comes out */
    uint64_t lines, garbage; /* raw lines understood; lines skipped because they are no CRI lines */
};

void log_decoder_init(struct log_decoder *decoder, const struct log_decoder_options *options);
/** Decodes the next piece of the file and appends what is to be shown to @out. Ignores the rest
 * once done. */
void log_decoder_feed(struct log_decoder *decoder, struct str piece, struct buf *out);
/** The file begins anew (it was rotated): an unfinished line stays unfinished. */
void log_decoder_reopen(struct log_decoder *decoder);
/** True when there were lines and none was a CRI line: the file has another format. */
bool log_decoder_is_unsupported(const struct log_decoder *decoder);

/** What a feed of @piece_len bytes can at most append. */
size_t log_decoder_max_output(size_t piece_len);
