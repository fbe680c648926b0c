#include "wire/gzip_stream.h"

#include "tests/lib/test.h"

#include <zlib.h>

#define MOST (8 * MiB)

static void unzip(struct str packed, struct buf *out)
{
    z_stream z = {0};
    unsigned char piece[4096];
    int result = Z_OK;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)packed.ptr;
    z.avail_in = (unsigned)packed.len;
    while (result == Z_OK) {
        z.next_out = piece;
        z.avail_out = sizeof(piece);
        result = inflate(&z, Z_NO_FLUSH);
        buf_add(out, piece, sizeof(piece) - z.avail_out);
    }
    assert_int_equal(result, Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(inflateEnd(&z), Z_OK);
}

/* @random: what cannot be compressed. */
static void round_trip(size_t len, size_t step, bool random)
{
    AUTO(buf) struct buf text, packed, back;
    buf_init(&text, MOST);
    buf_init(&packed, MOST);
    buf_init(&back, MOST);
    uint32_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525 + 1013904223;
        buf_add_char(&text, random ? (char)(state >> 24) : (char)('a' + i % 7));
    }
    AUTO(gzip_stream) struct gzip_stream *stream = gzip_stream_new();
    for (size_t at = 0; at < len; at += step) {
        struct str part = {.ptr = buf_text(&text) + at, .len = min_size(step, len - at)};
        size_t before = packed.len;
        gzip_stream_add(stream, part, &packed);
        assert_true(packed.len - before <= gzip_stream_max_output(part.len));
    }
    size_t before = packed.len;
    gzip_stream_finish(stream, &packed);
    assert_true(packed.len - before <= gzip_stream_max_output(0));
    unzip(buf_str(&packed), &back);
    assert_true(str_eq(buf_str(&back), buf_str(&text)));
    if (!random && len > 10 * KiB)
        assert_true(packed.len < len / 10);
}

TEST_CASE(what_goes_in_comes_out_again)
{
    static const size_t rows[][2] = {
        {0, 1}, {1, 1}, {5000, 7}, {200000, 65536}, {3 * MiB, 3 * MiB}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        round_trip(rows[i][0], rows[i][1], false);
        round_trip(rows[i][0], rows[i][1], true);
    }
}

TEST_MAIN(TEST(what_goes_in_comes_out_again))
