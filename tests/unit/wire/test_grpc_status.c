#include "wire/grpc_status.h"

#include "tests/lib/test.h"

TEST_CASE(messages_are_percent_decoded)
{
    static const struct {
        const char *name, *text, *wanted;
    } cases[] = {
        {"plain", "no such container", "no such container"},
        {"encoded", "a%20b%0Ac%25", "a b\nc%"},
        {"UTF-8", "caf%c3%A9", "caf\xc3\xa9"},
        {"cut short", "50%", "50%"},
        {"cut shorter", "50%2", "50%2"},
        {"not hexadecimal", "%zz%2g%", "%zz%2g%"},
        {"percent before an escape", "%%41", "%A"},
        {"a NUL stays text", "a%00b", "a%00b"},
        {"empty", "", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(free) char *decoded = grpc_message_decode(cases[i].text);
        assert_string_equal(decoded, cases[i].wanted);
    }
}

TEST_CASE(a_status_becomes_an_error)
{
    static const struct {
        const char *status, *message;
        enum error_code code;
        const char *wanted;
    } cases[] = {
        {"1", "c", ERROR_CANCELLED, "c"},
        {"5", "a%20b", ERROR_NOT_FOUND, "a b"},
        {"16", NULL, ERROR_UNAUTHENTICATED, ""},
        {"17", "new", ERROR_UNKNOWN, "new"},
        {"-1", "odd", ERROR_UNKNOWN, "odd"},
        {"five", "x", ERROR_INTERNAL, "transport: malformed grpc-status: \"five\""},
        {"", "x", ERROR_INTERNAL, "transport: malformed grpc-status: \"\""},
    };
    assert_no_error(grpc_status_to_error("0", "ignored"));
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(error)
        struct error *err = grpc_status_to_error(cases[i].status, cases[i].message);
        assert_non_null(err);
        assert_int_equal(err->code, cases[i].code);
        assert_string_equal(err->message, cases[i].wanted);
    }
}

TEST_CASE(an_http_status_stands_for_a_code)
{
    static const struct {
        const char *status;
        enum error_code code;
    } cases[] = {{"400", ERROR_INTERNAL},          {"401", ERROR_UNAUTHENTICATED},
                 {"403", ERROR_PERMISSION_DENIED}, {"404", ERROR_UNIMPLEMENTED},
                 {"429", ERROR_UNAVAILABLE},       {"502", ERROR_UNAVAILABLE},
                 {"503", ERROR_UNAVAILABLE},       {"504", ERROR_UNAVAILABLE},
                 {"418", ERROR_UNKNOWN},           {"500", ERROR_UNKNOWN},
                 {"200", ERROR_INTERNAL},          {NULL, ERROR_UNKNOWN}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_error_code(grpc_error_from_http_status(cases[i].status), cases[i].code);
}

TEST_CASE(a_reset_stands_for_a_code)
{
    static const enum error_code wanted[] = {
        ERROR_INTERNAL,          ERROR_INTERNAL, ERROR_INTERNAL, ERROR_INTERNAL,
        ERROR_INTERNAL,          ERROR_INTERNAL, ERROR_INTERNAL, ERROR_UNAVAILABLE,
        ERROR_CANCELLED,         ERROR_INTERNAL, ERROR_INTERNAL, ERROR_RESOURCE_EXHAUSTED,
        ERROR_PERMISSION_DENIED, ERROR_INTERNAL, ERROR_UNKNOWN};
    for (uint32_t i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_error_code(grpc_error_from_reset(i), wanted[i]);
    assert_error_code(grpc_error_from_reset(UINT32_MAX), ERROR_UNKNOWN);
}

TEST_CASE(a_timeout_has_at_most_eight_digits)
{
    static const struct {
        int64_t ns;
        const char *wanted;
    } cases[] = {
        {-5, "0n"},
        {0, "0n"},
        {1, "1n"},
        {99999998, "99999998n"},
        {100000000, "100000u"},
        {100000001, "100001u"}, /* never less than asked for */
        {120 * NS_PER_SEC, "120000m"},
        {INT64_C(3600) * 24 * 30 * NS_PER_SEC, "2592000S"},
        {INT64_MAX, "2562048H"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[GRPC_TIMEOUT_SIZE];
        assert_string_equal(grpc_timeout_format(cases[i].ns, text), cases[i].wanted);
    }
}

TEST_CASE(back_off_grows_to_three_seconds_with_a_fifth_of_jitter)
{
    static const int64_t wanted_ms[] = {100, 160, 256, 409, 655, 1048, 1677, 2684, 3000, 3000};
    for (unsigned i = 0; i < ARRAY_SIZE(wanted_ms); i++) {
        int64_t middle_ns = grpc_backoff_delay(i, 200);
        assert_int_equal(middle_ns / NS_PER_MS, wanted_ms[i]);
        assert_int_equal(grpc_backoff_delay(i, 0), middle_ns / 10 * 8);
        assert_int_equal(grpc_backoff_delay(i, 400), middle_ns / 10 * 12);
        assert_in_range(grpc_backoff_delay(i, UINT32_MAX), middle_ns / 10 * 8, middle_ns / 10 * 12);
    }
    assert_int_equal(grpc_backoff_delay(UINT32_MAX, 200), 3 * NS_PER_SEC);
}

TEST_MAIN(TEST(messages_are_percent_decoded), TEST(a_status_becomes_an_error),
          TEST(an_http_status_stands_for_a_code), TEST(a_reset_stands_for_a_code),
          TEST(a_timeout_has_at_most_eight_digits),
          TEST(back_off_grows_to_three_seconds_with_a_fifth_of_jitter))
