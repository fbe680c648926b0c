/*
 * A container writes what it likes into its log. Property: the output does not depend on how the
 * file is cut into pieces, stays within the promised size and within the limits asked for. The
 * first bytes choose the options and the cut.
 */
#include "server/log_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(const struct log_decoder_options *options, struct str first, struct str second,
                   struct log_decoder *decoder, struct buf *out)
{
    log_decoder_init(decoder, options);
    log_decoder_feed(decoder, first, out);
    log_decoder_feed(decoder, second, out);
    log_decoder_end(decoder, out);
    log_decoder_done(decoder);
    error_free(log_decoder_check_format(decoder));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    const struct log_decoder_options options = {
        .streams = data[0] & 16 ? LOG_STDERR : LOG_ALL_STREAMS,
        .timestamps = data[0] & 1,
        .since_wall_ns = data[0] & 2 ? INT64_C(1795230001) * NS_PER_SEC : INT64_MIN,
        .max_lines = data[0] & 4 ? data[1] : -1,
        .limit_bytes = data[0] & 8 ? data[2] : -1,
    };
    struct str text = {.ptr = (const char *)data + 4, .len = size - 4};
    size_t cut = text.len * data[3] / UINT8_MAX;
    struct log_decoder whole_decoder, cut_decoder;
    AUTO(buf) struct buf whole, pieces;
    buf_init(&whole, log_decoder_max_output(text.len));
    buf_init(&pieces, log_decoder_max_output(text.len));

    decode(&options, text, (struct str){.ptr = NULL, .len = 0}, &whole_decoder, &whole);
    decode(&options, (struct str){.ptr = text.ptr, .len = cut},
           (struct str){.ptr = text.ptr + cut, .len = text.len - cut}, &cut_decoder, &pieces);
    ASSERT(!whole.overflowed && !pieces.overflowed);
    ASSERT(str_eq(buf_str(&whole), buf_str(&pieces)));
    ASSERT(whole_decoder.lines == cut_decoder.lines);
    ASSERT(whole_decoder.garbage == cut_decoder.garbage);
    ASSERT(whole_decoder.done == cut_decoder.done);
    ASSERT(whole_decoder.format == cut_decoder.format);
    ASSERT(whole_decoder.sample_len == cut_decoder.sample_len);
    ASSERT(options.limit_bytes < 0 || whole.len <= (size_t)options.limit_bytes);
    ASSERT(options.max_lines < 0 || whole_decoder.lines <= (uint64_t)options.max_lines);
    return 0;
}
