#include "base/error.h"

#include "tests/lib/test.h"

#include <errno.h>

TEST_CASE(an_error_carries_code_and_message)
{
    AUTO(error) struct error *err = error_new(ERROR_NOT_FOUND, "pod %s", "default/web");
    assert_int_equal(err->code, ERROR_NOT_FOUND);
    assert_int_equal(err->os_errno, 0);
    assert_null(err->reason);
    assert_string_equal(err->message, "pod default/web");
}

TEST_CASE(an_errno_becomes_code_and_text)
{
    AUTO(error) struct error *err = error_from_errno(ENOENT, "opening %s", "/x");
    assert_int_equal(err->code, ERROR_NOT_FOUND);
    assert_int_equal(err->os_errno, ENOENT);
    assert_string_equal(err->message, "opening /x: No such file or directory");
    assert_error_message(error_from_errno(99999, "x"), "x: Unknown error 99999");
}

TEST_CASE(wrapping_prefixes_and_keeps_everything_else)
{
    AUTO(error) struct error *err = error_from_errno(EACCES, "opening a");
    struct error *same = error_wrap(error_with_reason(err, "FailedMount"), "pod %d", 7);
    assert_ptr_equal(same, err);
    assert_string_equal(err->message, "pod 7: opening a: Permission denied");
    assert_string_equal(err->reason, "FailedMount");
    assert_int_equal(err->os_errno, EACCES);
    assert_int_equal(err->code, ERROR_PERMISSION_DENIED);
}

TEST_CASE(success_passes_through_everything)
{
    assert_null(error_wrap(NULL, "x"));
    assert_null(error_with_reason(NULL, "X"));
    assert_null(error_dup(NULL));
    assert_false(error_is(NULL, ERROR_UNKNOWN));
    error_free(NULL);
    error_ignore(NULL, "nothing to ignore");
}

TEST_CASE(a_copy_is_independent)
{
    struct error *err = error_with_reason(error_from_errno(EIO, "reading"), "Why");
    AUTO(error) struct error *copy = error_dup(err);
    error_ignore(err, "the copy is what is tested");
    assert_string_equal(copy->message, "reading: Input/output error");
    assert_string_equal(copy->reason, "Why");
    assert_int_equal(copy->os_errno, EIO);
    assert_true(error_is(copy, ERROR_DATA_LOSS));
    assert_false(error_is(copy, ERROR_UNKNOWN));
}

TEST_CASE(code_names_are_those_of_grpc)
{
    assert_string_equal(error_code_name(ERROR_CANCELLED), "Canceled");
    assert_string_equal(error_code_name(ERROR_NOT_FOUND), "NotFound");
    assert_string_equal(error_code_name(ERROR_DEADLINE_EXCEEDED), "DeadlineExceeded");
    assert_string_equal(error_code_name(ERROR_UNAUTHENTICATED), "Unauthenticated");
    assert_string_equal(error_code_name((enum error_code)99), "Unknown");
    for (enum error_code code = ERROR_CANCELLED; code <= ERROR_CODE_MAX; code++)
        assert_non_null(error_code_name(code));
}

TEST_CASE(errnos_map_to_what_a_caller_may_branch_on)
{
    static const struct {
        int os_errno;
        enum error_code code;
    } rows[] = {{ENOENT, ERROR_NOT_FOUND},
                {ESRCH, ERROR_NOT_FOUND},
                {EEXIST, ERROR_ALREADY_EXISTS},
                {EPERM, ERROR_PERMISSION_DENIED},
                {ENOSPC, ERROR_RESOURCE_EXHAUSTED},
                {EBUSY, ERROR_FAILED_PRECONDITION},
                {EXDEV, ERROR_FAILED_PRECONDITION},
                {ETIMEDOUT, ERROR_DEADLINE_EXCEEDED},
                {ECONNREFUSED, ERROR_UNAVAILABLE},
                {EWOULDBLOCK, ERROR_UNAVAILABLE},
                {ENOSYS, ERROR_UNIMPLEMENTED},
                {EINVAL, ERROR_INVALID_ARGUMENT},
                {0, ERROR_UNKNOWN},
                {-1, ERROR_UNKNOWN},
                {12345, ERROR_UNKNOWN}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(error_code_from_errno(rows[i].os_errno), rows[i].code);
}

TEST_MAIN(TEST(an_error_carries_code_and_message), TEST(an_errno_becomes_code_and_text),
          TEST(wrapping_prefixes_and_keeps_everything_else),
          TEST(success_passes_through_everything), TEST(a_copy_is_independent),
          TEST(code_names_are_those_of_grpc), TEST(errnos_map_to_what_a_caller_may_branch_on))
