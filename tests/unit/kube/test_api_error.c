#include "kube/api_error.h"

#include "tests/lib/test.h"

TEST_CASE(a_status_becomes_an_error_by_its_reason_then_by_its_code)
{
    static const struct {
        const char *name, *reason;
        unsigned http_status;
        enum error_code code;
        const char *want_reason;
    } rows[] = {
        {"not found", "NotFound", 404, ERROR_NOT_FOUND, "NotFound"},
        {"conflict", "Conflict", 409, ERROR_ABORTED, "Conflict"},
        {"already there", "AlreadyExists", 409, ERROR_ALREADY_EXISTS, "AlreadyExists"},
        {"409 without a reason", NULL, 409, ERROR_ABORTED, NULL},
        {"expired", "Expired", 410, ERROR_OUT_OF_RANGE, "Expired"},
        {"gone", "Gone", 410, ERROR_OUT_OF_RANGE, "Gone"},
        {"busy", "TooManyRequests", 429, ERROR_RESOURCE_EXHAUSTED, "TooManyRequests"},
        {"unavailable", "ServiceUnavailable", 503, ERROR_UNAVAILABLE, "ServiceUnavailable"},
        {"timeout", "Timeout", 504, ERROR_DEADLINE_EXCEEDED, "Timeout"},
        {"server timeout", "ServerTimeout", 500, ERROR_DEADLINE_EXCEEDED, "ServerTimeout"},
        {"forbidden", "Forbidden", 403, ERROR_PERMISSION_DENIED, "Forbidden"},
        {"unauthorized", "Unauthorized", 401, ERROR_UNAUTHENTICATED, "Unauthorized"},
        {"invalid", "Invalid", 422, ERROR_INVALID_ARGUMENT, "Invalid"},
        {"an unknown reason", "Teapot", 404, ERROR_NOT_FOUND, NULL},
        {"an unknown status", "", 418, ERROR_UNKNOWN, NULL},
        {"an unknown server error", "", 599, ERROR_INTERNAL, NULL},
        {"a gateway", "", 502, ERROR_UNAVAILABLE, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char reason[32] = "", message[] = "said the server";
        (void)snprintf(reason, sizeof(reason), "%s", rows[i].reason ? rows[i].reason : "");
        Meta__Status status = META__STATUS__INIT;
        status.message = message;
        status.reason = rows[i].reason ? reason : NULL;
        AUTO(error) struct error *err = api_error_from_status(&status, rows[i].http_status);
        if (err->code != rows[i].code || !text_eq(err->reason, rows[i].want_reason))
            fail_msg("%s: code %d, reason %s", rows[i].name, (int)err->code, err->reason);
        assert_string_equal(err->message, "said the server");
        assert_ptr_not_equal(err->reason, reason); /* it outlives the Status */

        status.has_code = true;
        status.code = (int32_t)rows[i].http_status;
        AUTO(error) struct error *same = api_error_from_status(&status, 0);
        assert_int_equal(same->code, rows[i].code);
    }
}

TEST_CASE(a_silent_status_still_says_something)
{
    Meta__Status status = META__STATUS__INIT;
    assert_error_message(api_error_from_status(&status, 404),
                         "the server responded with the status code 404 but did not return more "
                         "information");
    char reason[] = "Expired";
    status.reason = reason;
    assert_error_message(api_error_from_status(&status, 410), "Expired");
}

TEST_CASE(answers_of_others_get_client_go_s_words)
{
    static const struct {
        unsigned http_status;
        const char *method, *resource, *name, *text, *want, *reason;
        enum error_code code;
    } rows[] = {
        {404, "GET", "pods", "web", "404 page not found",
         "the server could not find the requested resource (get pods web)", "NotFound",
         ERROR_NOT_FOUND},
        {404, "GET", "leases.coordination.k8s.io", NULL, "",
         "the server could not find the requested resource (get leases.coordination.k8s.io)",
         "NotFound", ERROR_NOT_FOUND},
        {409, "POST", "pods", NULL, "", "the server reported a conflict (post pods)",
         "AlreadyExists", ERROR_ALREADY_EXISTS},
        {409, "PUT", "pods", "web", "", "the server reported a conflict (put pods web)", "Conflict",
         ERROR_ABORTED},
        {403, "GET", "nodes", "a", "  the proxy\r\n says  no ", "the proxy says no (get nodes a)",
         "Forbidden", ERROR_PERMISSION_DENIED},
        {502, "PATCH", "pods", "web", "<html>\n<h1>Bad \"Gateway\"</h1>",
         "an error on the server (\"<html> <h1>Bad 'Gateway'</h1>\") has prevented the request "
         "from succeeding (patch pods web)",
         "InternalError", ERROR_UNAVAILABLE},
        {500, "GET", NULL, NULL, "",
         "an error on the server (\"unknown\") has prevented the request from succeeding",
         "InternalError", ERROR_INTERNAL},
        {503, "GET", "pods", NULL, "",
         "the server is currently unable to handle the request (get "
         "pods)",
         "ServiceUnavailable", ERROR_UNAVAILABLE},
        {429, "GET", "pods", NULL, "",
         "the server has received too many requests and has asked us to try again later (get pods)",
         "TooManyRequests", ERROR_RESOURCE_EXHAUSTED},
        {302, "GET", "pods", NULL, "",
         "the server responded with the status code 302 but did not return more information (get "
         "pods)",
         NULL, ERROR_UNKNOWN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct api_failure failure = {.http_status = rows[i].http_status,
                                            .method = rows[i].method,
                                            .resource = rows[i].resource,
                                            .name = rows[i].name,
                                            .text = str_from(rows[i].text)};
        AUTO(error) struct error *err = api_error_from_failure(&failure);
        assert_string_equal(err->message, rows[i].want);
        assert_int_equal(err->code, rows[i].code);
        if (!text_eq(err->reason, rows[i].reason))
            fail_msg("%s: reason %s", rows[i].want, err->reason);
    }
}

TEST_CASE(a_long_page_is_cut_between_characters)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    char page[2000];
    memset(page, 'x', sizeof(page));
    memcpy(page + 511, "ä", 2);
    const char *excerpt = api_error_excerpt((struct str){page, sizeof(page)}, arena);
    assert_int_equal(strlen(excerpt), 511 + strlen("…"));
    assert_string_equal(excerpt + 511, "…");
    assert_string_equal(api_error_excerpt((struct str){NULL, 0}, arena), "");
    assert_string_equal(api_error_excerpt(STR_LITERAL("a\0\x7f"), arena), "a '");
}

TEST_MAIN(TEST(a_status_becomes_an_error_by_its_reason_then_by_its_code),
          TEST(a_silent_status_still_says_something), TEST(answers_of_others_get_client_go_s_words),
          TEST(a_long_page_is_cut_between_characters))
