#include "wire/grpc_status.h"

#include "base/buf.h"
#include "wire/http2.h"

#include <stdio.h>

char *grpc_message_decode(const char *text)
{
    char *decoded = xstrdup(text);
    char *out = decoded;
    const char *at = text;
    while (*at) {
        int high = at[0] == '%' ? hex_digit_value(at[1]) : -1;
        int low = high >= 0 ? hex_digit_value(at[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *out++ = (char)(high * 16 + low);
            at += 3;
        } else {
            *out++ = *at++;
        }
    }
    *out = '\0';
    return decoded;
}

struct error *grpc_status_to_error(const char *status, const char *message)
{
    int64_t number = 0;
    if (!parse_i64(status, INT32_MIN, INT32_MAX, &number))
        return error_new(ERROR_INTERNAL, "transport: malformed grpc-status: \"%s\"", status);
    if (number == 0)
        return NULL;
    AUTO(free) char *decoded = grpc_message_decode(message ? message : "");
    bool is_known = number > 0 && number <= ERROR_CODE_MAX;
    return error_new(is_known ? (enum error_code)number : ERROR_UNKNOWN, "%s", decoded);
}

static const struct {
    const char *status;
    const char *text;
    enum error_code code;
} http_statuses[] = {
    {"400", "Bad Request", ERROR_INTERNAL},
    {"401", "Unauthorized", ERROR_UNAUTHENTICATED},
    {"403", "Forbidden", ERROR_PERMISSION_DENIED},
    {"404", "Not Found", ERROR_UNIMPLEMENTED},
    {"429", "Too Many Requests", ERROR_UNAVAILABLE},
    {"502", "Bad Gateway", ERROR_UNAVAILABLE},
    {"503", "Service Unavailable", ERROR_UNAVAILABLE},
    {"504", "Gateway Timeout", ERROR_UNAVAILABLE},
};

struct error *grpc_error_from_http_status(const char *http_status)
{
    if (text_eq(http_status, "200"))
        return error_new(ERROR_INTERNAL, "server closed the stream without sending trailers");
    for (size_t i = 0; i < ARRAY_SIZE(http_statuses); i++) {
        if (text_eq(http_statuses[i].status, http_status))
            return error_new(http_statuses[i].code,
                             "unexpected HTTP status code received from server: %s (%s)",
                             http_status, http_statuses[i].text);
    }
    return error_new(ERROR_UNKNOWN, "unexpected HTTP status code received from server: %s",
                     http_status ? http_status : "none");
}

/* RFC 9113 §7 and the table "Errors" of gRPC's protocol description; the index is HTTP/2's number.
 */
static const struct {
    const char *name;
    enum error_code code;
} resets[] = {
    {"NO_ERROR", ERROR_INTERNAL},
    {"PROTOCOL_ERROR", ERROR_INTERNAL},
    {"INTERNAL_ERROR", ERROR_INTERNAL},
    {"FLOW_CONTROL_ERROR", ERROR_INTERNAL},
    {"SETTINGS_TIMEOUT", ERROR_INTERNAL},
    {"STREAM_CLOSED", ERROR_INTERNAL},
    {"FRAME_SIZE_ERROR", ERROR_INTERNAL},
    {"REFUSED_STREAM", ERROR_UNAVAILABLE},
    {"CANCEL", ERROR_CANCELLED},
    {"COMPRESSION_ERROR", ERROR_INTERNAL},
    {"CONNECT_ERROR", ERROR_INTERNAL},
    {"ENHANCE_YOUR_CALM", ERROR_RESOURCE_EXHAUSTED},
    {"INADEQUATE_SECURITY", ERROR_PERMISSION_DENIED},
    {"HTTP_1_1_REQUIRED", ERROR_INTERNAL},
};
_Static_assert(ARRAY_SIZE(resets) == HTTP2_INADEQUATE_SECURITY + 2, "one row a number");

struct error *grpc_error_from_reset(uint32_t error_code)
{
    if (error_code >= ARRAY_SIZE(resets))
        return error_new(ERROR_UNKNOWN, "stream terminated by RST_STREAM with error code: %u",
                         error_code);
    return error_new(resets[error_code].code, "stream terminated by RST_STREAM with error code: %s",
                     resets[error_code].name);
}

char *grpc_timeout_format(int64_t timeout_ns, char text[static GRPC_TIMEOUT_SIZE])
{
    static const struct {
        char unit;
        int64_t ns;
    } units[] = {{'n', 1},          {'u', NS_PER_US},       {'m', NS_PER_MS},
                 {'S', NS_PER_SEC}, {'M', 60 * NS_PER_SEC}, {'H', 3600 * NS_PER_SEC}};
    const int64_t max_value = 99999999; /* eight digits */
    int64_t left_ns = max_i64(timeout_ns, 0);
    size_t i = 0;
    while (i + 1 < ARRAY_SIZE(units) && left_ns / units[i].ns >= max_value)
        i++;
    int64_t value = left_ns / units[i].ns + (left_ns % units[i].ns != 0 ? 1 : 0);
    (void)snprintf(text, GRPC_TIMEOUT_SIZE, "%lld%c", (long long)clamp_i64(value, 0, max_value),
                   units[i].unit);
    return text;
}

int64_t grpc_backoff_delay(unsigned failures, uint32_t random)
{
    int64_t delay_ns = GRPC_BACKOFF_BASE_NS;
    for (unsigned i = 0; i < failures && delay_ns < GRPC_BACKOFF_MAX_NS; i++)
        delay_ns = delay_ns / 5 * 8; /* × 1.6 */
    delay_ns = min_i64(delay_ns, GRPC_BACKOFF_MAX_NS);
    /* ± 20 %: from 0.8 to 1.2 of it, in thousandths. */
    return delay_ns / 1000 * (800 + (int64_t)(random % 401));
}
