#include "server/content_type.h"

#include "tests/lib/test.h"

TEST_CASE(a_name_tells_the_type_by_its_extension)
{
    static const struct {
        const char *name, *type;
    } rows[] = {
        {"a.html", "text/html; charset=utf-8"},
        {"A.JSON", "application/json"},
        {"x.tar.xml", "text/xml; charset=utf-8"},
        {".png", "image/png"},
        {"syslog", NULL},
        {"a.log", NULL},
        {"a.html/syslog", NULL},
        {"json", NULL},
        {"a.", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *type = content_type_by_name(rows[i].name);
        if (!text_eq(type, rows[i].type))
            fail_msg("%s: %s", rows[i].name, type);
    }
}

TEST_CASE(the_first_bytes_tell_it_otherwise)
{
    static const struct {
        struct str bytes;
        const char *type;
    } rows[] = {
        {STR_LITERAL(""), "text/plain; charset=utf-8"},
        {STR_LITERAL("Nov 21 03:00:00 node kubelet\x1b[0m\n"), "text/plain; charset=utf-8"},
        {STR_LITERAL("\xff\xfe"), "text/plain; charset=utf-8"},
        {STR_LITERAL("\xff\xfe\0a"), "text/plain; charset=utf-16le"},
        {STR_LITERAL("\xfe\xff\0a"), "text/plain; charset=utf-16be"},
        {STR_LITERAL("\xef\xbb\xbfx"), "text/plain; charset=utf-8"},
        {STR_LITERAL("ab\0c"), "application/octet-stream"},
        {STR_LITERAL("  <!doctype html>\n"), "text/html; charset=utf-8"},
        {STR_LITERAL("<p >"), "text/html; charset=utf-8"},
        {STR_LITERAL("<pre>"), "text/plain; charset=utf-8"},
        {STR_LITERAL("<b"), "text/plain; charset=utf-8"},
        {STR_LITERAL("\n<?xml version"), "text/xml; charset=utf-8"},
        {STR_LITERAL("\x1f\x8b\x08\0"), "application/x-gzip"},
        {STR_LITERAL("RIFF1234WAVE"), "audio/wave"},
        {STR_LITERAL("RIFF1234WAV"), "text/plain; charset=utf-8"},
        {STR_LITERAL("\0\0\0\x18"
                     "ftypisom\0\0\0\0isommp42"),
         "video/mp4"},
        {STR_LITERAL("\0\0\0\x18"
                     "ftypisom\0mp4isomiso2"),
         "application/octet-stream"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *type = content_type_sniff(rows[i].bytes);
        if (!text_eq(type, rows[i].type))
            fail_msg("row %zu: %s", i, type);
    }
    char late[CONTENT_SNIFF_BYTES + 1];
    memset(late, 'a', sizeof(late));
    late[CONTENT_SNIFF_BYTES] = '\0';
    assert_string_equal(content_type_sniff((struct str){.ptr = late, .len = sizeof(late)}),
                        "text/plain; charset=utf-8");
}

TEST_MAIN(TEST(a_name_tells_the_type_by_its_extension), TEST(the_first_bytes_tell_it_otherwise))
