#include "stats/gzip.h"
#include "tests/lib/test.h"

#include <zlib.h>

#define MAX_BYTES (4 * MiB)

/* As a client reads it, with the largest window there is. */
static void assert_unzips(const struct buf *zipped, size_t skip, struct str want)
{
    AUTO(free) char *text = xcalloc(1, want.len + 1);
    z_stream stream = {.next_in = (Bytef *)zipped->data + skip,
                       .avail_in = (uInt)(zipped->len - skip),
                       .next_out = (Bytef *)text,
                       .avail_out = (uInt)want.len + 1};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, want.len);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    assert_memory_equal(text, want.ptr ? want.ptr : "", want.len);
}

TEST_CASE(what_was_compressed_reads_back)
{
    AUTO(buf) struct buf text;
    buf_init(&text, MAX_BYTES);
    for (unsigned i = 0; text.len < MiB; i++)
        buf_printf(&text, "container_cpu_usage_seconds_total{pod=\"%u\"} %u\n", i * 7919U, i);
    const size_t lengths[] = {0, 1, 100, 8 * KiB, text.len};
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        AUTO(buf) struct buf zipped;
        buf_init(&zipped, MAX_BYTES);
        buf_add_text(&zipped, "before");
        struct str part = {.ptr = text.data, .len = lengths[i]};
        assert_no_error(gzip_add(&zipped, part));
        assert_memory_equal(zipped.data, "before", 6);
        assert_unzips(&zipped, 6, part);
    }
}

TEST_CASE(a_page_shrinks)
{
    AUTO(buf) struct buf text, zipped;
    buf_init(&text, MAX_BYTES);
    buf_init(&zipped, MAX_BYTES);
    for (unsigned i = 0; i < 1000; i++)
        buf_printf(&text, "container_cpu_usage_seconds_total{pod=\"web-%u\"} %u\n", i, i);
    assert_no_error(gzip_add(&zipped, buf_str(&text)));
    assert_true(zipped.len * 8 < text.len);
}

TEST_CASE(bytes_without_pattern_read_back)
{
    static const size_t len = 100000;
    AUTO(free) char *noise = xcalloc(1, len);
    uint32_t state = 1;
    for (size_t i = 0; i < len; i++) {
        state = state * 1664525U + 1013904223U;
        noise[i] = (char)(state >> 24 & 0x7f);
    }
    AUTO(buf) struct buf zipped;
    buf_init(&zipped, MAX_BYTES);
    assert_no_error(gzip_add(&zipped, (struct str){.ptr = noise, .len = len}));
    assert_unzips(&zipped, 0, (struct str){.ptr = noise, .len = len});
}

TEST_CASE(what_does_not_fit_changes_nothing)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 20);
    buf_add_text(&out, "before");
    assert_error_code(gzip_add(&out, str_from("some text that has no room")),
                      ERROR_RESOURCE_EXHAUSTED);
    assert_string_equal(buf_text(&out), "before");
}

TEST_MAIN(TEST(what_was_compressed_reads_back), TEST(a_page_shrinks),
          TEST(bytes_without_pattern_read_back), TEST(what_does_not_fit_changes_nothing))
