#include "server/log_decode.h"
#include "tests/lib/test.h"

#define T0 "2026-11-21T03:00:00.5Z "
#define T1 "2026-11-21T03:00:01.123456789+02:00 "
#define T2 "2026-11-21T03:00:02Z "
#define T2_NS (INT64_C(1795230002) * NS_PER_SEC)
#define J(content, stream, time)                                                                   \
    "{\"log\":\"" content "\",\"stream\":\"" stream "\",\"time\":\"" time "\"}\n"
#define D0 "2026-11-21T03:00:00.5Z"
#define D2 "2026-11-21T03:00:02Z"
#define OPEN                                                                                       \
    {                                                                                              \
        .streams = LOG_ALL_STREAMS, .since_wall_ns = INT64_MIN, .max_lines = -1, .limit_bytes = -1 \
    }

static const struct row {
    const char *name;
    struct log_decoder_options options;
    const char *input, *want;
    bool done;
    uint64_t garbage;
} rows[] = {
    {"full lines lose their header", OPEN, T0 "stdout F one\n" T2 "stderr F two\n", "one\ntwo\n",
     false, 0},
    {"partial lines join", OPEN, T0 "stdout P one \n" T0 "stdout P and \n" T0 "stdout F two\n",
     "one and two\n", false, 0},
    {"further tags are ignored", OPEN, T0 "stdout P:x:y a\n" T0 "stdout F:z b\n", "ab\n", false, 0},
    {"an empty line stays", OPEN, T0 "stdout F \n", "\n", false, 0},
    {"blanks in the content stay", OPEN, T0 "stdout F  a  b \n", " a  b \n", false, 0},
    {"a last line without newline is shown", OPEN, T0 "stdout F one\n" T0 "stdout F tw", "one\ntw",
     false, 0},
    {"a last header without newline is not", OPEN, T0 "stdout F one\n" T0 "stdo", "one\n", false,
     0},
    {"garbage is skipped and counted", OPEN,
     "hello\n" T0 "stdout F one\n" T0 "stdin F no\n"
     "yesterday stdout F no\n" T0 "stdout\n\n" T0 "stdout F two\n",
     "one\ntwo\n", false, 5},
    {"times are nine digits and keep their zone",
     {.streams = LOG_ALL_STREAMS,
      .since_wall_ns = INT64_MIN,
      .max_lines = -1,
      .limit_bytes = -1,
      .timestamps = true},
     T0 "stdout F a\n" T1 "stdout F b\n" T2 "stdout F c\n",
     "2026-11-21T03:00:00.500000000Z a\n2026-11-21T03:00:01.123456789+02:00 b\n"
     "2026-11-21T03:00:02.000000000Z c\n",
     false,
     0},
    {"only the first part of a line has a time",
     {.streams = LOG_ALL_STREAMS,
      .since_wall_ns = INT64_MIN,
      .max_lines = -1,
      .limit_bytes = -1,
      .timestamps = true},
     T2 "stdout P a\n" T2 "stdout F b\n" T2 "stdout F c\n",
     "2026-11-21T03:00:02.000000000Z ab\n2026-11-21T03:00:02.000000000Z c\n",
     false,
     0},
    {"lines before since are left out",
     {.streams = LOG_ALL_STREAMS, .since_wall_ns = T2_NS, .max_lines = -1, .limit_bytes = -1},
     T0 "stdout F old\n" T1 "stdout F older\n" T2 "stdout F new\n",
     "new\n",
     false,
     0},
    {"the tail counts raw lines",
     {.streams = LOG_ALL_STREAMS, .since_wall_ns = INT64_MIN, .max_lines = 2, .limit_bytes = -1},
     T0 "stdout P a\n" T0 "stdout F b\n" T0 "stdout F c\n",
     "ab\n",
     true,
     0},
    {"a tail of nothing shows nothing",
     {.streams = LOG_ALL_STREAMS, .since_wall_ns = INT64_MIN, .max_lines = 0, .limit_bytes = -1},
     T0 "stdout F a\n",
     "",
     true,
     0},
    {"old lines count for the tail as well",
     {.streams = LOG_ALL_STREAMS, .since_wall_ns = T2_NS, .max_lines = 1, .limit_bytes = -1},
     T0 "stdout F old\n" T2 "stdout F new\n",
     "",
     true,
     0},
    {"one stream of two",
     {.streams = LOG_STDERR, .since_wall_ns = INT64_MIN, .max_lines = -1, .limit_bytes = 4},
     T0 "stdout F one\n" T0 "stderr F two\n" T0 "stderr F three\n",
     "two\n",
     true,
     0},
    {"docker's lines are JSON", OPEN,
     J("one\\n", "stdout", D0) J("\\u00e9 \\\"two\\\"\\n", "stderr", D2), "one\né \"two\"\n", false,
     0},
    {"docker's parts join",
     {.streams = LOG_ALL_STREAMS,
      .since_wall_ns = INT64_MIN,
      .max_lines = -1,
      .limit_bytes = -1,
      .timestamps = true},
     J("a", "stdout", D0) J("b\\n", "stdout", D2) J("", "stdout", D2) J("c\\n", "stdout", D2),
     "2026-11-21T03:00:00.500000000Z ab\n2026-11-21T03:00:02.000000000Z "
     "2026-11-21T03:00:02.000000000Z c\n",
     false,
     0},
    {"docker's are chosen like others",
     {.streams = LOG_STDOUT, .since_wall_ns = T2_NS, .max_lines = 3, .limit_bytes = -1},
     J("old\\n", "stdout", D0) J("no\\n", "stderr", D2) J("new\\n", "stdout", D2)
         J("newer\\n", "stdout", D2),
     "new\n",
     true,
     0},
    {"docker's may have more fields", OPEN,
     "{\"attrs\":{\"a\":\"b\"},\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"" D0 "\"}\n",
     "x\n", false, 0},
    {"among docker's lines others are garbage", OPEN,
     J("one\\n", "stdout", D0) T0 "stdout F no\n"
                                  "{}\n" J("no\\n", "stdin", D0) J("two\\n", "stdout", D0),
     "one\ntwo\n", false, 3},
    {"among CRI lines docker's are garbage", OPEN, T0 "stdout F one\n" J("no\\n", "stdout", D0),
     "one\n", false, 1},
    {"what is neither does not tell the format", OPEN, "{\n" J("one\\n", "stdout", D0), "one\n",
     false, 1},
    {"the limit cuts a line",
     {.streams = LOG_ALL_STREAMS, .since_wall_ns = INT64_MIN, .max_lines = -1, .limit_bytes = 6},
     T0 "stdout F one\n" T0 "stdout F two\n",
     "one\ntw",
     true,
     0},
    {"the limit counts times",
     {.streams = LOG_ALL_STREAMS,
      .since_wall_ns = INT64_MIN,
      .max_lines = -1,
      .limit_bytes = 33,
      .timestamps = true},
     T2 "stdout F one\n",
     "2026-11-21T03:00:02.000000000Z on",
     true,
     0},
    {"a limit that is just met ends it",
     {.streams = LOG_ALL_STREAMS, .since_wall_ns = INT64_MIN, .max_lines = -1, .limit_bytes = 4},
     T0 "stdout F one\n" T0 "stdout F two\n",
     "one\n",
     true,
     0},
};

static void decode(struct log_decoder *decoder, const char *input, size_t step, struct buf *out)
{
    struct str rest = str_from(input);
    while (rest.len > 0) {
        struct str piece = {.ptr = rest.ptr, .len = min_size(step, rest.len)};
        log_decoder_feed(decoder, piece, out);
        rest.ptr += piece.len;
        rest.len -= piece.len;
    }
}

TEST_CASE(lines_come_out_as_readers_expect_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t step = 1; step < 70; step++) {
            AUTO(log_decoder) struct log_decoder decoder;
            AUTO(buf) struct buf out;
            buf_init(&out, 4 * KiB);
            log_decoder_init(&decoder, &rows[i].options);
            decode(&decoder, rows[i].input, step, &out);
            if (strcmp(buf_text(&out), rows[i].want) != 0)
                fail_msg("%s: in steps of %zu: '%s'", rows[i].name, step, buf_text(&out));
            assert_int_equal(decoder.done, rows[i].done);
            assert_int_equal(decoder.garbage, rows[i].garbage);
            assert_true(out.len <= log_decoder_max_output(strlen(rows[i].input)));
        }
    }
}

TEST_CASE(a_header_that_does_not_end_is_garbage_until_its_newline)
{
    const struct log_decoder_options options = OPEN;
    AUTO(log_decoder) struct log_decoder decoder;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    log_decoder_init(&decoder, &options);
    for (int i = 0; i < 1000; i++)
        log_decoder_feed(&decoder, STR_LITERAL("x"), &out);
    log_decoder_feed(&decoder, STR_LITERAL(" stdout F no\n" T0 "stdout F yes\n"), &out);
    assert_string_equal(buf_text(&out), "yes\n");
    assert_int_equal(decoder.garbage, 1);
    assert_no_error(log_decoder_check_format(&decoder));
}

TEST_CASE(a_line_of_docker_without_newline_is_shown_at_the_end_only)
{
    const struct log_decoder_options options = OPEN;
    AUTO(log_decoder) struct log_decoder decoder;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    log_decoder_init(&decoder, &options);
    static const char line[] = J("one\\n", "stdout", D0);
    log_decoder_feed(&decoder, (struct str){.ptr = line, .len = sizeof(line) - 2}, &out);
    assert_int_equal(out.len, 0);
    log_decoder_end(&decoder, &out);
    assert_string_equal(buf_text(&out), "one\n");
    log_decoder_feed(&decoder, STR_LITERAL("{\"log\":"), &out);
    log_decoder_reopen(&decoder); /* what was begun stays so */
    log_decoder_feed(&decoder, STR_LITERAL(J("two\\n", "stdout", D0)), &out);
    log_decoder_end(&decoder, &out);
    assert_string_equal(buf_text(&out), "one\ntwo\n");
}

TEST_CASE(a_nul_is_content_as_well)
{
    const struct log_decoder_options options = OPEN;
    AUTO(log_decoder) struct log_decoder decoder;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    log_decoder_init(&decoder, &options);
    log_decoder_feed(&decoder, STR_LITERAL(J("a\\u0000b\\n", "stdout", D0)), &out);
    assert_true(str_eq(buf_str(&out), (struct str){.ptr = "a\0b\n", .len = 4}));
}

TEST_CASE(memory_is_bounded_for_lines_of_any_length)
{
    const struct log_decoder_options options = OPEN;
    AUTO(log_decoder) struct log_decoder decoder;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    log_decoder_init(&decoder, &options);
    log_decoder_feed(&decoder, STR_LITERAL("{\"log\":\""), &out);
    AUTO(free) char *much = xcalloc(1, 10 * KiB);
    memset(much, 'x', 10 * KiB);
    for (size_t i = 0; i < 100; i++) {
        log_decoder_feed(&decoder, (struct str){.ptr = much, .len = 10 * KiB}, &out);
        assert_true(decoder.line.capacity <= 2 * LOG_JSON_LINE_MAX_BYTES);
    }
    assert_int_equal(decoder.line.capacity, 0);
    log_decoder_feed(&decoder, STR_LITERAL("\"}\n" J("one\\n", "stdout", D0)), &out);
    assert_string_equal(buf_text(&out), "one\n");
    assert_int_equal(decoder.garbage, 1);
}

TEST_CASE(a_file_of_another_format_is_noticed)
{
    const struct log_decoder_options options = OPEN;
    AUTO(log_decoder) struct log_decoder decoder;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    log_decoder_init(&decoder, &options);
    assert_no_error(log_decoder_check_format(&decoder));
    log_decoder_feed(&decoder, STR_LITERAL("one two three "), &out);
    log_decoder_feed(&decoder, STR_LITERAL("four\"\nfive\n"), &out);
    assert_error_message(log_decoder_check_format(&decoder),
                         "failed to get parse function: unsupported log format: "
                         "\"one two three four\\\"\\n\"");
    assert_int_equal(out.len, 0);
    log_decoder_feed(&decoder, STR_LITERAL(T0 "stdout F one\n"), &out);
    assert_no_error(log_decoder_check_format(&decoder));
}

TEST_CASE(a_new_file_begins_with_a_header)
{
    const struct log_decoder_options options = {.streams = LOG_ALL_STREAMS,
                                                .since_wall_ns = INT64_MIN,
                                                .max_lines = -1,
                                                .limit_bytes = -1,
                                                .timestamps = true};
    AUTO(log_decoder) struct log_decoder decoder;
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    log_decoder_init(&decoder, &options);
    log_decoder_feed(&decoder, STR_LITERAL(T2 "stdout F be"), &out);
    log_decoder_reopen(&decoder);
    log_decoder_feed(&decoder, STR_LITERAL(T2 "stdout F fore\n" T2 "stdo"), &out);
    log_decoder_reopen(&decoder);
    log_decoder_feed(&decoder, STR_LITERAL(T2 "stdout F after\n"), &out);
    assert_string_equal(buf_text(&out), "2026-11-21T03:00:02.000000000Z before\n"
                                        "2026-11-21T03:00:02.000000000Z after\n");
}

TEST_MAIN(TEST(lines_come_out_as_readers_expect_however_they_are_cut),
          TEST(a_header_that_does_not_end_is_garbage_until_its_newline),
          TEST(a_line_of_docker_without_newline_is_shown_at_the_end_only),
          TEST(a_nul_is_content_as_well), TEST(memory_is_bounded_for_lines_of_any_length),
          TEST(a_file_of_another_format_is_noticed), TEST(a_new_file_begins_with_a_header))
