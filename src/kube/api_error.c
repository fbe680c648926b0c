#include "kube/api_error.h"

#include <ctype.h>

#define EXCERPT_MAX_BYTES 512

/* apimachinery's StatusReasons, with the HTTP status each comes with. The first row of a status is
 * the one that stands for it. */
static const struct {
    const char *reason;
    unsigned http_status;
    enum error_code code;
} reasons[] = {
    {"BadRequest", 400, ERROR_INVALID_ARGUMENT},
    {"Unauthorized", 401, ERROR_UNAUTHENTICATED},
    {"Forbidden", 403, ERROR_PERMISSION_DENIED},
    {"NotFound", 404, ERROR_NOT_FOUND},
    {"MethodNotAllowed", 405, ERROR_UNIMPLEMENTED},
    {"NotAcceptable", 406, ERROR_UNIMPLEMENTED},
    {"Conflict", 409, ERROR_ABORTED},
    {"AlreadyExists", 409, ERROR_ALREADY_EXISTS},
    {"Expired", 410, ERROR_OUT_OF_RANGE},
    {"Gone", 410, ERROR_OUT_OF_RANGE},
    {"RequestEntityTooLarge", 413, ERROR_INVALID_ARGUMENT},
    {"UnsupportedMediaType", 415, ERROR_UNIMPLEMENTED},
    {"Invalid", 422, ERROR_INVALID_ARGUMENT},
    {"TooManyRequests", 429, ERROR_RESOURCE_EXHAUSTED},
    {"InternalError", 500, ERROR_INTERNAL},
    {"StoreReadError", 500, ERROR_INTERNAL},
    {"ServerTimeout", 500, ERROR_DEADLINE_EXCEEDED},
    {"ServiceUnavailable", 503, ERROR_UNAVAILABLE},
    {"Timeout", 504, ERROR_DEADLINE_EXCEEDED},
};

/* HTTP statuses that no reason stands for. */
static const struct {
    unsigned http_status;
    enum error_code code;
} plain_statuses[] = {
    {408, ERROR_DEADLINE_EXCEEDED},
    {412, ERROR_FAILED_PRECONDITION},
    {501, ERROR_UNIMPLEMENTED},
    {502, ERROR_UNAVAILABLE},
};

const char *api_error_reason(const char *reason)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (text_eq(reasons[i].reason, reason))
            return reasons[i].reason;
    }
    return NULL;
}

enum error_code api_error_code(unsigned http_status, const char *reason)
{
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reason && text_eq(reasons[i].reason, reason))
            return reasons[i].code;
    }
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].http_status == http_status)
            return reasons[i].code;
    }
    for (size_t i = 0; i < ARRAY_SIZE(plain_statuses); i++) {
        if (plain_statuses[i].http_status == http_status)
            return plain_statuses[i].code;
    }
    return http_status >= 500 ? ERROR_INTERNAL : ERROR_UNKNOWN;
}

struct error *api_error_from_status(const Meta__Status *status, unsigned http_status)
{
    unsigned code = status->has_code && status->code > 0 ? (unsigned)status->code : http_status;
    const char *message = status->message && *status->message ? status->message : status->reason;
    struct error *err =
        message && *message
            ? error_new(api_error_code(code, status->reason), "%s", message)
            : error_new(api_error_code(code, status->reason),
                        "the server responded with the status code %u but did not return more "
                        "information",
                        code);
    return error_with_reason(err, api_error_reason(status->reason));
}

/* --- answers without a Status --- */

static const char *generic_message(const struct api_failure *failure, const char *text,
                                   struct arena *arena)
{
    static const struct {
        unsigned http_status;
        const char *message;
    } messages[] = {
        {400, "the server rejected our request for an unknown reason"},
        {401, "the server has asked for the client to provide credentials"},
        {404, "the server could not find the requested resource"},
        {405, "the server does not allow this method on the requested resource"},
        {409, "the server reported a conflict"},
        {422, "the server rejected our request due to an error in our request"},
        {429, "the server has received too many requests and has asked us to try again later"},
        {503, "the server is currently unable to handle the request"},
        {504, "the server was unable to return a response in the time allotted, but may still be "
              "processing the request"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
        if (messages[i].http_status == failure->http_status)
            return messages[i].message;
    }
    bool is_telling =
        failure->http_status == 403 || failure->http_status == 406 || failure->http_status == 415;
    if (is_telling && *text)
        return text;
    if (failure->http_status >= 500)
        return arena_printf(arena,
                            "an error on the server (\"%s\") has prevented the request from "
                            "succeeding",
                            *text ? text : "unknown");
    return arena_printf(arena,
                        "the server responded with the status code %u but did not return more "
                        "information",
                        failure->http_status);
}

static const char *generic_reason(const struct api_failure *failure)
{
    if (failure->http_status == 409 && text_eq(failure->method, "POST"))
        return api_error_reason("AlreadyExists");
    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
        if (reasons[i].http_status == failure->http_status)
            return reasons[i].reason;
    }
    return failure->http_status > 500 ? api_error_reason("InternalError") : NULL;
}

struct error *api_error_from_failure(const struct api_failure *failure)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *text = api_error_excerpt(failure->text, arena);
    const char *message = generic_message(failure, text, arena);
    const char *reason = generic_reason(failure);
    bool is_status_known =
        failure->http_status < 500 || failure->http_status == 503 || failure->http_status == 504;
    enum error_code code = api_error_code(failure->http_status, is_status_known ? reason : NULL);
    char *verb = arena_strdup(arena, failure->method);
    for (char *c = verb; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    struct error *err =
        failure->resource && failure->name
            ? error_new(code, "%s (%s %s %s)", message, verb, failure->resource, failure->name)
        : failure->resource ? error_new(code, "%s (%s %s)", message, verb, failure->resource)
                            : error_new(code, "%s", message);
    return error_with_reason(err, reason);
}

const char *api_error_excerpt(struct str text, struct arena *arena)
{
    text = str_trim(text);
    size_t len = min_size(text.len, EXCERPT_MAX_BYTES), out = 0;
    char *excerpt = arena_alloc(arena, len + sizeof("…"));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_space = c <= ' ';
        if (is_space && out > 0 && excerpt[out - 1] == ' ')
            continue;
        excerpt[out++] = (char)(is_space ? ' ' : c == 0x7f || c == '"' ? '\'' : c);
    }
    if (len == text.len)
        return excerpt;
    while (out > 0 && ((unsigned char)excerpt[out - 1] & 0xc0U) == 0x80U)
        out--; /* a character that was cut in two */
    if (out > 0 && (unsigned char)excerpt[out - 1] >= 0xc0U)
        out--;
    memcpy(excerpt + out, "…", sizeof("…"));
    return excerpt;
}
