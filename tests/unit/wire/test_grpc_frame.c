#include "wire/grpc_frame.h"

#include "tests/lib/test.h"

#define MAX_BYTES 8

static struct str bytes(const char *ptr, size_t len)
{
    return (struct str){.ptr = ptr, .len = len};
}

TEST_CASE(messages_come_out_whole_however_they_arrive)
{
    static const char stream[] = "\0\0\0\0\3one\0\0\0\0\0\0\0\0\0\5three";
    static const char *const wanted[] = {"one", "", "three"};
    for (size_t piece = 1; piece < sizeof(stream); piece++) {
        struct grpc_frame_parser parser;
        grpc_frame_parser_init(&parser, MAX_BYTES);
        size_t count = 0;
        for (size_t at = 0; at < sizeof(stream) - 1; at += piece) {
            struct str input = bytes(stream + at, min_size(piece, sizeof(stream) - 1 - at));
            while (input.len > 0) {
                struct str message = {0};
                bool is_message = false;
                assert_no_error(grpc_frame_parser_next(&parser, &input, &message, &is_message));
                if (!is_message)
                    continue;
                assert_true(count < ARRAY_SIZE(wanted));
                assert_true(str_eq_c(message, wanted[count]));
                count++;
            }
        }
        assert_int_equal(count, ARRAY_SIZE(wanted));
        assert_false(grpc_frame_parser_is_inside(&parser));
        grpc_frame_parser_done(&parser);
    }
}

TEST_CASE(a_message_that_must_not_be_is_refused_by_its_prefix)
{
    static const struct {
        const char *name, *prefix;
        enum error_code code;
        const char *wanted;
    } cases[] = {
        {"compressed", "\1\0\0\0\1", ERROR_INTERNAL,
         "grpc: compressed flag set with identity or empty encoding"},
        {"odd flags", "\2\0\0\0\1", ERROR_INTERNAL, "grpc: received unexpected payload format 2"},
        {"one byte too large", "\0\0\0\0\x09", ERROR_RESOURCE_EXHAUSTED,
         "grpc: received message larger than max (9 vs. 8)"},
        {"huge", "\0\xff\xff\xff\xff", ERROR_RESOURCE_EXHAUSTED,
         "grpc: received message larger than max (4294967295 vs. 8)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct grpc_frame_parser parser;
        struct str input = bytes(cases[i].prefix, 5), message = {0};
        bool is_message = false;
        grpc_frame_parser_init(&parser, MAX_BYTES);
        AUTO(error)
        struct error *err = grpc_frame_parser_next(&parser, &input, &message, &is_message);
        assert_non_null(err);
        assert_int_equal(err->code, cases[i].code);
        assert_string_equal(err->message, cases[i].wanted);
        assert_false(is_message);
        grpc_frame_parser_done(&parser);
    }
}

TEST_CASE(the_largest_message_passes_and_half_of_one_is_noticed)
{
    struct grpc_frame_parser parser;
    struct str input = bytes("\0\0\0\0\x08"
                             "12345678\0\0",
                             15),
               message = {0};
    bool is_message = false;
    grpc_frame_parser_init(&parser, MAX_BYTES);
    assert_false(grpc_frame_parser_is_inside(&parser));
    assert_no_error(grpc_frame_parser_next(&parser, &input, &message, &is_message));
    assert_true(is_message);
    assert_true(str_eq_c(message, "12345678"));
    assert_no_error(grpc_frame_parser_next(&parser, &input, &message, &is_message));
    assert_false(is_message);
    assert_true(grpc_frame_parser_is_inside(&parser));
    grpc_frame_parser_done(&parser);
}

TEST_CASE(a_prefix_is_read_as_it_was_written)
{
    uint8_t prefix[GRPC_FRAME_PREFIX_SIZE];
    grpc_frame_prefix(0x01020304, prefix);
    static const uint8_t wanted[] = {0, 1, 2, 3, 4};
    assert_memory_equal(prefix, wanted, sizeof(wanted));
}

TEST_MAIN(TEST(messages_come_out_whole_however_they_arrive),
          TEST(a_message_that_must_not_be_is_refused_by_its_prefix),
          TEST(the_largest_message_passes_and_half_of_one_is_noticed),
          TEST(a_prefix_is_read_as_it_was_written))
