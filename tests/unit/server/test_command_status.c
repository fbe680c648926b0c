#include "server/command_status.h"

#include "tests/lib/test.h"

#define SUCCESS "{\"metadata\":{},\"status\":\"Success\"}"
#define EXIT(code)                                                                                 \
    "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit " \
    "code: command terminated with exit code " code                                                \
    "\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\","         \
    "\"message\":\"" code "\"}]}}"
#define FAILURE(text)                                                                              \
    "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"Internal error occurred: " text         \
    "\",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":\"" text                \
    "\"}]},\"code\":500}"
#define SAID_EXIT(code)                                                                            \
    "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"m\",\"reason\":\"NonZeroExitCode\","    \
    "\"details\":{\"causes\":[{\"reason\":\"Other\",\"message\":\"9\"},{\"reason\":\"ExitCode\","  \
    "\"message\":" code "}]}}"

TEST_CASE(a_runtime_s_status_becomes_the_client_s)
{
    static const struct {
        const char *said, *want;
    } rows[] = {
        {"", SUCCESS},
        {"{\"metadata\":{},\"status\":\"Success\"}", SUCCESS},
        {"{\"kind\":\"Status\",\"status\":\"Success\",\"message\":\"x\"}\n", SUCCESS},
        {SAID_EXIT("\"3\""), EXIT("3")},
        {SAID_EXIT("\"0\""), EXIT("0")},
        {SAID_EXIT("\"255\""), EXIT("255")},
        {SAID_EXIT("\"256\""),
         FAILURE("error stream protocol error: invalid exit code value \\\"256\\\"")},
        {SAID_EXIT("\"-1\""),
         FAILURE("error stream protocol error: invalid exit code value \\\"-1\\\"")},
        {SAID_EXIT("7"), FAILURE("error stream protocol error: invalid exit code value \\\"\\\"")},
        {"{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\"}",
         FAILURE("error stream protocol error: details must be set")},
        {"{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[1]}}",
         FAILURE("error stream protocol error: no ExitCode cause given")},
        {"{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"no <such> "
         "\\\"x\\\"\"}",
         FAILURE("no \\u003csuch\\u003e \\\"x\\\"")},
        {"{\"status\":\"Odd\"}", FAILURE("error stream protocol error: unknown error")},
        {"[]", FAILURE("error stream protocol error: unknown error")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf out;
        buf_init(&out, MiB);
        command_status_add(&out, str_from(rows[i].said), true);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

TEST_CASE(what_is_no_status_is_told_of)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    command_status_add(&out, STR_LITERAL("{\"status\":"), true);
    assert_non_null(strstr(buf_text(&out), "error stream protocol error: "));
    assert_non_null(strstr(buf_text(&out), "in \\\"{\\\\\\\"status\\\\\\\":\\\""));
    assert_non_null(strstr(buf_text(&out), "\"reason\":\"InternalError\""));
}

TEST_CASE(the_older_protocols_tell_a_failure_as_a_text)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    command_status_add(&out, (struct str){0}, false);
    assert_string_equal(buf_text(&out), SUCCESS);
    buf_clear(&out);
    command_status_add(&out, STR_LITERAL("it broke"), false);
    assert_string_equal(buf_text(&out), FAILURE("error executing remote command: it broke"));
}

TEST_CASE(a_failure_of_ours_is_an_internal_error)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    command_status_add_failure(&out, "why");
    assert_string_equal(buf_text(&out), FAILURE("why"));
}

TEST_MAIN(TEST(a_runtime_s_status_becomes_the_client_s), TEST(what_is_no_status_is_told_of),
          TEST(the_older_protocols_tell_a_failure_as_a_text),
          TEST(a_failure_of_ours_is_an_internal_error))
