/*
 * The frame of a unit test: cmocka with one word for a case and one for the list.
 *
 *     TEST_CASE(wait_doubles_up_to_the_ceiling) { … assert_int_equal(…); }
 *     TEST_MAIN(TEST(wait_doubles_up_to_the_ceiling))
 *
 * A case that is not listed is an unused function, which the build refuses.
 */
#pragma once

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TEST_CASE(name) static void name(UNUSED void **test_state)
#define TEST(name) cmocka_unit_test(name)
#define TEST_MAIN(...)                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

/** Fails with the error's message when @expr returned one; frees it. */
#define assert_no_error(expr)                                                                      \
    do {                                                                                           \
        struct error *test_err = (expr);                                                           \
        if (test_err)                                                                              \
            fail_msg("%s: %s", #expr, test_err->message);                                          \
    } while (0)

/** Fails unless @expr returns an error of @want_code; frees it. */
#define assert_error_code(expr, want_code)                                                         \
    do {                                                                                           \
        AUTO(error) struct error *test_err = (expr);                                               \
        assert_non_null(test_err);                                                                 \
        assert_int_equal(test_err->code, (want_code));                                             \
    } while (0)

/** Fails unless @expr returns an error whose message is @want; frees it. */
#define assert_error_message(expr, want)                                                           \
    do {                                                                                           \
        AUTO(error) struct error *test_err = (expr);                                               \
        assert_non_null(test_err);                                                                 \
        assert_string_equal(test_err->message, (want));                                            \
    } while (0)
