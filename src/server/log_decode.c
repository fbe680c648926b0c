/*
 * One pass over the bytes with three states. HEADER collects bytes up to the third blank, then
 * judges them: a CRI line continues in CONTENT, anything else in GARBAGE until its newline. CONTENT
 * copies. A newline leads back to HEADER.
 *
 * A line that does not end yet (the runtime is still writing it, or the file was cut) is simply a
 * state that lasts.
 */
#include "server/log_decode.h"

#include "base/time.h"

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
}

size_t log_decoder_max_output(size_t piece_len)
{
    return piece_len + (piece_len / LINE_MIN_LEN + 2) * PREFIX_MAX_LEN;
}

bool log_decoder_is_unsupported(const struct log_decoder *decoder)
{
    return decoder->lines == 0 && decoder->garbage > 0;
}

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

/* The header is complete with its three blanks. False: no CRI line. */
static bool begin_line(struct log_decoder *decoder, struct buf *out)
{
    struct str rest = {.ptr = decoder->header, .len = decoder->header_len};
    struct str time, stream, tags, tag;
    if (!str_split_next(&rest, ' ', &time) || !str_split_next(&rest, ' ', &stream) ||
        !str_split_next(&rest, ' ', &tags))
        return false;
    if (!str_eq_c(stream, "stdout") && !str_eq_c(stream, "stderr"))
        return false;
    int64_t wall_ns = 0;
    struct error *err = time_parse_rfc3339(time, &wall_ns);
    if (err) {
        error_ignore(err, "not a CRI line: skipped and counted");
        return false;
    }
    decoder->lines++;
    decoder->partial = str_split_next(&tags, ':', &tag) && str_eq_c(tag, "P");
    decoder->omitted = wall_ns < decoder->options.since_wall_ns;
    decoder->has_content = false;
    if (decoder->options.timestamps && !decoder->after_partial && !decoder->omitted)
        emit_time(decoder, time, out);
    return true;
}

/* Returns how many bytes of @piece it took. */
static size_t take_header(struct log_decoder *decoder, struct str piece, struct buf *out)
{
    for (size_t i = 0; i < piece.len; i++) {
        char c = piece.ptr[i];
        if (c == '\n') {
            decoder->garbage++;
            decoder->header_len = decoder->spaces = 0;
            return i + 1;
        }
        decoder->header[decoder->header_len++] = c;
        decoder->spaces += c == ' ';
        bool full = decoder->header_len == sizeof(decoder->header);
        if (decoder->spaces < 3 && !full)
            continue;
        bool is_line = decoder->spaces == 3 && begin_line(decoder, out);
        decoder->garbage += !is_line;
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
    decoder->state = LOG_IN_HEADER;
    decoder->after_partial = decoder->partial && decoder->has_content;
    if (decoder->options.max_lines >= 0 && decoder->lines >= (uint64_t)decoder->options.max_lines)
        decoder->done = true;
    return end + 1;
}

void log_decoder_feed(struct log_decoder *decoder, struct str piece, struct buf *out)
{
    while (piece.len > 0 && !decoder->done) {
        size_t taken = 0;
        switch (decoder->state) {
        case LOG_IN_HEADER:
            taken = take_header(decoder, piece, out);
            break;
        case LOG_IN_CONTENT:
            taken = take_content(decoder, piece, out);
            break;
        case LOG_IN_GARBAGE:
            taken = str_find(piece, '\n');
            if (taken < piece.len) {
                decoder->state = LOG_IN_HEADER;
                taken++;
            }
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
}
