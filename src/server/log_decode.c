/*
 * One pass over the bytes with four states. HEADER collects bytes up to the third blank, then
 * judges them: a CRI line continues in CONTENT, anything else in GARBAGE until its newline. CONTENT
 * copies. JSON collects until the newline and then judges the whole; a line goes there when it can
 * be no CRI line, or when the file is known to be Docker's. A newline leads back to HEADER.
 *
 * A line that does not end yet (the runtime is still writing it, or the file was cut) is simply a
 * state that lasts.
 */
#include "server/log_decode.h"

#include "base/time.h"
#include "pod/go_text.h"
#include "wire/json.h"

/* "2026-11-21T03:24:00": what precedes the fraction. */
#define SECONDS_LEN 19
#define FRACTION_DIGITS 9
/* "2026-11-21T03:24:00.000000000+00:00 " */
#define PREFIX_MAX_LEN 36
/* "2026-11-21T03:24:00Z stdout F \n": no line is shorter. */
#define LINE_MIN_LEN 31

void log_decoder_init(struct log_decoder *decoder, const struct log_decoder_options *options)
{
    *decoder = (struct log_decoder){.options = *options,
                                    .done = options->limit_bytes == 0 || options->max_lines == 0};
    buf_init(&decoder->line, LOG_JSON_LINE_MAX_BYTES);
}

void log_decoder_done(struct log_decoder *decoder)
{
    buf_done(&decoder->line);
}

size_t log_decoder_max_output(size_t piece_len)
{
    return LOG_JSON_LINE_MAX_BYTES + piece_len + (piece_len / LINE_MIN_LEN + 2) * PREFIX_MAX_LEN;
}

/* --- lines that are none --- */

static void sample(struct log_decoder *decoder, struct str text)
{
    size_t len = min_size(text.len, LOG_HEADER_MAX_BYTES - decoder->sample_len);
    if (decoder->is_sampling && len > 0) {
        memcpy(decoder->sample + decoder->sample_len, text.ptr, len);
        decoder->sample_len += len;
    }
}

/* A line that begins with @start is none; unless @is_whole more of it follows. */
static void note_garbage(struct log_decoder *decoder, struct str start, bool is_whole)
{
    decoder->garbage++;
    decoder->is_sampling = decoder->format == LOG_FORMAT_UNKNOWN && decoder->sample_len == 0;
    sample(decoder, start);
    if (is_whole) {
        sample(decoder, STR_LITERAL("\n"));
        decoder->is_sampling = false;
    }
}

struct error *log_decoder_check_format(const struct log_decoder *decoder)
{
    if (decoder->lines > 0 || decoder->garbage == 0)
        return NULL;
    AUTO(arena) struct arena *arena = arena_new(0);
    return error_new(ERROR_INTERNAL, "failed to get parse function: unsupported log format: %s",
                     go_quote(arena, decoder->sample));
}

/* --- lines --- */

static void emit(struct log_decoder *decoder, struct str text, struct buf *out)
{
    if (decoder->options.limit_bytes >= 0) {
        text.len = (size_t)min_i64((int64_t)text.len, decoder->options.limit_bytes);
        decoder->options.limit_bytes -= (int64_t)text.len;
        decoder->done = decoder->done || decoder->options.limit_bytes == 0;
    }
    buf_add_str(out, text);
}

/* Go's "2006-01-02T15:04:05.000000000Z07:00" of @time, which is known to be RFC 3339; its zone is
 * kept. */
static void emit_time(struct log_decoder *decoder, struct str time, struct buf *out)
{
    char text[PREFIX_MAX_LEN];
    size_t len = SECONDS_LEN, at = SECONDS_LEN, digits = 0;
    memcpy(text, time.ptr, SECONDS_LEN);
    text[len++] = '.';
    if (time.ptr[at] == '.' || time.ptr[at] == ',') {
        for (at++; at < time.len && time.ptr[at] >= '0' && time.ptr[at] <= '9'; at++) {
            if (digits < FRACTION_DIGITS) {
                text[len++] = time.ptr[at];
                digits++;
            }
        }
    }
    for (; digits < FRACTION_DIGITS; digits++)
        text[len++] = '0';
    struct str zone = {.ptr = time.ptr + at, .len = time.len - at};
    if (zone.len > 6 || str_eq_c(zone, "z") || str_eq_c(zone, "+00:00") || str_eq_c(zone, "-00:00"))
        zone = STR_LITERAL("Z");
    memcpy(text + len, zone.ptr, zone.len);
    len += zone.len;
    text[len++] = ' ';
    emit(decoder, (struct str){.ptr = text, .len = len}, out);
}

static unsigned stream_of(struct str name)
{
    if (str_eq_c(name, "stdout"))
        return LOG_STDOUT;
    return str_eq_c(name, "stderr") ? LOG_STDERR : 0;
}

/* A raw line of @stream, written at @time, begins. False: it has no valid time or stream. */
static bool open_line(struct log_decoder *decoder, struct str time, struct str stream,
                      struct buf *out)
{
    int64_t wall_ns = 0;
    unsigned stream_bit = stream_of(stream);
    struct error *err = stream_bit ? time_parse_rfc3339(time, &wall_ns) : NULL;
    if (err || !stream_bit) {
        error_ignore(err, "no log line: skipped and counted");
        return false;
    }
    decoder->lines++;
    decoder->omitted =
        wall_ns < decoder->options.since_wall_ns || !(decoder->options.streams & stream_bit);
    if (decoder->options.timestamps && !decoder->after_partial && !decoder->omitted)
        emit_time(decoder, time, out);
    return true;
}

static void close_line(struct log_decoder *decoder, bool is_partial)
{
    decoder->state = LOG_IN_HEADER;
    decoder->after_partial = is_partial;
    if (decoder->options.max_lines >= 0 && decoder->lines >= (uint64_t)decoder->options.max_lines)
        decoder->done = true;
}

/* --- CRI --- */

/* The header is complete with its three blanks. False: no CRI line. */
static bool begin_line(struct log_decoder *decoder, struct buf *out)
{
    struct str rest = {.ptr = decoder->header, .len = decoder->header_len};
    struct str time, stream, tags, tag;
    if (!str_split_next(&rest, ' ', &time) || !str_split_next(&rest, ' ', &stream) ||
        !str_split_next(&rest, ' ', &tags))
        return false;
    if (!open_line(decoder, time, stream, out))
        return false;
    decoder->format = LOG_FORMAT_CRI;
    decoder->partial = str_split_next(&tags, ':', &tag) && str_eq_c(tag, "P");
    decoder->has_content = false;
    return true;
}

static struct str header_of(const struct log_decoder *decoder)
{
    return (struct str){.ptr = decoder->header, .len = decoder->header_len};
}

/* Returns how many bytes of @piece it took. */
static size_t take_header(struct log_decoder *decoder, struct str piece, struct buf *out)
{
    for (size_t i = 0; i < piece.len; i++) {
        char c = piece.ptr[i];
        if (c == '\n') {
            note_garbage(decoder, header_of(decoder), true);
            decoder->header_len = decoder->spaces = 0;
            return i + 1;
        }
        decoder->header[decoder->header_len++] = c;
        decoder->spaces += c == ' ';
        bool full = decoder->header_len == sizeof(decoder->header);
        if (decoder->spaces < 3 && !full)
            continue;
        bool is_line = decoder->spaces == 3 && begin_line(decoder, out);
        if (!is_line)
            note_garbage(decoder, header_of(decoder), false);
        decoder->state = is_line ? LOG_IN_CONTENT : LOG_IN_GARBAGE;
        decoder->header_len = decoder->spaces = 0;
        return i + 1;
    }
    return piece.len;
}

static size_t take_content(struct log_decoder *decoder, struct str piece, struct buf *out)
{
    size_t end = str_find(piece, '\n');
    bool ends = end < piece.len;
    bool shown = ends && !decoder->partial;
    if (!decoder->omitted)
        emit(decoder, (struct str){.ptr = piece.ptr, .len = end + shown}, out);
    decoder->has_content = decoder->has_content || end > 0;
    if (!ends)
        return piece.len;
    close_line(decoder, decoder->partial && decoder->has_content);
    return end + 1;
}

/* --- Docker --- */

static struct str text_of(const struct doc_node *line, const char *key)
{
    const struct doc_node *node = doc_get(line, key);
    return node && node->kind == DOC_STRING ? node->string : STR_LITERAL("");
}

/* @line is whole, without its newline. False: it is none of Docker's. */
static bool show_json(struct log_decoder *decoder, struct str line, struct buf *out)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = LOG_JSON_LINE_MAX_BYTES,
                                              .allow_nul = true};
    const struct doc_node *parsed = NULL;
    struct error *err = json_parse(line, &options, arena, &parsed);
    if (err) {
        error_ignore(err, "no log line: skipped and counted");
        return false;
    }
    if (!open_line(decoder, text_of(parsed, "time"), text_of(parsed, "stream"), out))
        return false;
    decoder->format = LOG_FORMAT_DOCKER;
    struct str content = text_of(parsed, "log");
    if (!decoder->omitted)
        emit(decoder, content, out);
    close_line(decoder, content.len > 0 && content.ptr[content.len - 1] != '\n');
    return true;
}

static void judge_json(struct log_decoder *decoder, struct str line, struct buf *out)
{
    decoder->state = LOG_IN_HEADER;
    if (!show_json(decoder, line, out))
        note_garbage(decoder, line, true);
}

static size_t take_json(struct log_decoder *decoder, struct str piece, struct buf *out)
{
    size_t end = str_find(piece, '\n');
    bool ends = end < piece.len;
    struct str part = {.ptr = piece.ptr, .len = end};
    if (decoder->line.len == 0 && ends && end <= LOG_JSON_LINE_MAX_BYTES) {
        judge_json(decoder, part, out);
        return end + 1;
    }
    struct str room = {.ptr = part.ptr,
                       .len = min_size(part.len, LOG_JSON_LINE_MAX_BYTES - decoder->line.len)};
    buf_add_str(&decoder->line, room);
    if (room.len < part.len) {
        note_garbage(decoder, buf_str(&decoder->line), false);
        buf_done(&decoder->line);
        decoder->state = LOG_IN_GARBAGE;
        return room.len;
    }
    if (!ends)
        return piece.len;
    judge_json(decoder, buf_str(&decoder->line), out);
    buf_done(&decoder->line);
    return end + 1;
}

/* --- all --- */

static bool begins_json(const struct log_decoder *decoder, char first)
{
    return decoder->format == LOG_FORMAT_DOCKER ||
           (decoder->format == LOG_FORMAT_UNKNOWN && first == '{');
}

static size_t take_garbage(struct log_decoder *decoder, struct str piece)
{
    size_t end = str_find(piece, '\n');
    bool ends = end < piece.len;
    sample(decoder, (struct str){.ptr = piece.ptr, .len = end + ends});
    if (!ends)
        return piece.len;
    decoder->is_sampling = false;
    decoder->state = LOG_IN_HEADER;
    return end + 1;
}

void log_decoder_feed(struct log_decoder *decoder, struct str piece, struct buf *out)
{
    while (piece.len > 0 && !decoder->done) {
        size_t taken = 0;
        if (decoder->state == LOG_IN_HEADER && decoder->header_len == 0 &&
            begins_json(decoder, piece.ptr[0]))
            decoder->state = LOG_IN_JSON;
        switch (decoder->state) {
        case LOG_IN_HEADER:
            taken = take_header(decoder, piece, out);
            break;
        case LOG_IN_CONTENT:
            taken = take_content(decoder, piece, out);
            break;
        case LOG_IN_JSON:
            taken = take_json(decoder, piece, out);
            break;
        case LOG_IN_GARBAGE:
            taken = take_garbage(decoder, piece);
            break;
        }
        piece.ptr += taken;
        piece.len -= taken;
    }
}

void log_decoder_reopen(struct log_decoder *decoder)
{
    if (decoder->state == LOG_IN_CONTENT)
        decoder->after_partial = decoder->has_content;
    decoder->state = LOG_IN_HEADER;
    decoder->header_len = decoder->spaces = 0;
    decoder->is_sampling = false;
    buf_done(&decoder->line);
}

void log_decoder_end(struct log_decoder *decoder, struct buf *out)
{
    if (decoder->state != LOG_IN_JSON || decoder->done)
        return;
    judge_json(decoder, buf_str(&decoder->line), out);
    buf_done(&decoder->line);
}
