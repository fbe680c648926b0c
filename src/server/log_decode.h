/*
 * The log lines of a container, turned into what a reader of `logs` sees (spec runtime.md §6.2,
 * §6.4). A CRI runtime writes <RFC 3339 time> <stdout|stderr> <P|F>[:<tag>…] <content>\n, and the
 * content passes through as it comes, so memory does not grow with the length of a line. Docker
 * writes a JSON object a line, with the time behind the content: such a line is held until it is
 * whole, up to a limit. The first line that is one of both tells which the file has. Pure: the same
 * bytes give the same output however they are cut. Any thread, one at a time.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/* Time, stream and tags of one line; a longer header is no CRI line. */
#define LOG_HEADER_MAX_BYTES 256
/* Docker cuts its messages at 16 KiB, which may be six times as much in JSON. A longer line is
 * skipped. */
#define LOG_JSON_LINE_MAX_BYTES (128 * KiB)

enum log_streams { LOG_STDOUT = 1, LOG_STDERR = 2, LOG_ALL_STREAMS = LOG_STDOUT | LOG_STDERR };

struct log_decoder_options {
    unsigned streams;      /* enum log_streams: lines of others are left out */
    int64_t since_wall_ns; /* lines before it are left out; INT64_MIN: none */
    int64_t max_lines;     /* raw lines (P and F alike) until done; -1: no limit */
    int64_t limit_bytes;   /* of output, times included; -1: no limit */
    bool timestamps;       /* a logical line begins with its time, nine digits of fraction */
};

enum log_decoder_state { LOG_IN_HEADER, LOG_IN_CONTENT, LOG_IN_JSON, LOG_IN_GARBAGE };
enum log_format { LOG_FORMAT_UNKNOWN, LOG_FORMAT_CRI, LOG_FORMAT_DOCKER };

/** In the caller's memory; fields are the decoder's own, but for the counters at the end. */
struct log_decoder {
    struct log_decoder_options options;
    enum log_decoder_state state;
    enum log_format format;
    char header[LOG_HEADER_MAX_BYTES];
    size_t header_len;
    struct buf line;    /* of Docker, as far as it has come; holds memory only then */
    unsigned spaces;    /* in the header so far */
    bool partial;       /* the current line is tagged P: its newline is dropped */
    bool omitted;       /* the current line is not asked for */
    bool has_content;   /* of the current line */
    bool after_partial; /* the logical line goes on: no time before the next raw line */
    bool done;          /* a limit was reached: nothing more comes out */
    char sample[LOG_HEADER_MAX_BYTES + 1]; /* how the first line began that is neither */
    size_t sample_len;
    bool is_sampling;        /* that line has not ended */
    uint64_t lines, garbage; /* raw lines understood; lines skipped because they are none */
};

void log_decoder_init(struct log_decoder *decoder, const struct log_decoder_options *options);
void log_decoder_done(struct log_decoder *decoder);
static inline UNUSED void auto_release_log_decoder(struct log_decoder *decoder)
{
    log_decoder_done(decoder);
}

/** Decodes the next piece of the file and appends what is to be shown to @out. Ignores the rest
 * once done. */
void log_decoder_feed(struct log_decoder *decoder, struct str piece, struct buf *out);
/** The file begins anew (it was rotated): an unfinished line stays unfinished. */
void log_decoder_reopen(struct log_decoder *decoder);
/** The file has ended and will not grow: what a last line without newline still has to give. */
void log_decoder_end(struct log_decoder *decoder, struct buf *out);
/** INTERNAL, in upstream's words, when there were lines and none was understood: the file has
 * another format. */
MUST_CHECK struct error *log_decoder_check_format(const struct log_decoder *decoder);

/** What a feed of @piece_len bytes, or an end, can at most append. */
size_t log_decoder_max_output(size_t piece_len);
