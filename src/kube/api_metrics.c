#include "kube/api_metrics.h"

#include "base/time.h"

#include <math.h>
#include <stdio.h>

static const double seconds_bounds[] = {0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60};
static const double bytes_bounds[] = {64,    256,    512,     1024,    4096,    16384,
                                      65536, 262144, 1048576, 4194304, 16777216};
/* 10 minutes to 4 years. */
static const double rotation_bounds[] = {600,     1800,    3600,     14400,    86400,    604800,
                                         2592000, 7776000, 15552000, 31104000, 124416000};

static const struct metric_info infos[] = {
    [API_REQUESTS] =
        {.name = "rest_client_requests_total",
         .help = "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
         .type = METRIC_COUNTER,
         .labels = {"code", "host", "method"}},
    [API_REQUEST_SECONDS] =
        {.name = "rest_client_request_duration_seconds",
         .help = "[ALPHA] Request latency in seconds. Broken down by verb, and host.",
         .type = METRIC_HISTOGRAM,
         .labels = {"host", "verb"},
         METRIC_BOUNDS(seconds_bounds)},
    [API_LIMITER_SECONDS] =
        {.name = "rest_client_rate_limiter_duration_seconds",
         .help =
             "[ALPHA] Client side rate limiter latency in seconds. Broken down by verb, and host.",
         .type = METRIC_HISTOGRAM,
         .labels = {"host", "verb"},
         METRIC_BOUNDS(seconds_bounds)},
    [API_REQUEST_BYTES] = {.name = "rest_client_request_size_bytes",
                           .help = "[ALPHA] Request size in bytes. Broken down by verb and host.",
                           .type = METRIC_HISTOGRAM,
                           .labels = {"host", "verb"},
                           METRIC_BOUNDS(bytes_bounds)},
    [API_RESPONSE_BYTES] = {.name = "rest_client_response_size_bytes",
                            .help = "[ALPHA] Response size in bytes. Broken down by verb and host.",
                            .type = METRIC_HISTOGRAM,
                            .labels = {"host", "verb"},
                            METRIC_BOUNDS(bytes_bounds)},
    [API_RETRIES] = {.name = "rest_client_request_retries_total",
                     .help = "[ALPHA] Number of times a request was tried again, by the status "
                             "code that was the reason, verb, and host.",
                     .type = METRIC_COUNTER,
                     .labels = {"code", "host", "verb"}},
    [API_PLUGIN_TTL] =
        {.name = "rest_client_exec_plugin_ttl_seconds",
         .help = "[ALPHA] Gauge of the shortest TTL (time-to-live) of the client certificate(s) "
                 "managed by the auth exec plugin. The value is in seconds until certificate "
                 "expiry (negative if already expired). If auth exec plugins are unused or manage "
                 "no TLS certificates, the value will be +INF.",
         .type = METRIC_GAUGE},
    [API_PLUGIN_ROTATION] =
        {.name = "rest_client_exec_plugin_certificate_rotation_age",
         .help = "[ALPHA] Histogram of the number of seconds the last auth exec plugin client "
                 "certificate lived before being rotated. If auth exec plugin client certificates "
                 "are unused, histogram will contain no data.",
         .type = METRIC_HISTOGRAM,
         METRIC_BOUNDS(rotation_bounds)},
};
_Static_assert(ARRAY_SIZE(infos) == API_METRIC_COUNT, "describe every family");

void api_metrics_init(struct api_metrics *ret, struct metrics *metrics, const char *origin,
                      bool has_plugin)
{
    const char *scheme_end = strstr(origin, "://");
    ret->host = scheme_end ? scheme_end + strlen("://") : origin;
    metrics_families(metrics, infos, API_METRIC_COUNT, ret->families);
    /* How long a plugin's certificates are good is the plugin's affair. */
    if (!has_plugin)
        metric_set(ret->families[API_PLUGIN_TTL], (double)INFINITY, NULL);
}

/* A status as a label. */
#define CODE_TEXT_SIZE 16
static const char *code_text(unsigned status, char text[static CODE_TEXT_SIZE])
{
    if (status == 0)
        return "<error>";
    (void)snprintf(text, CODE_TEXT_SIZE, "%u", status);
    return text;
}

void api_metrics_answer(const struct api_metrics *metrics, const char *method, unsigned status)
{
    char code[CODE_TEXT_SIZE];
    metric_add(metrics->families[API_REQUESTS], 1, code_text(status, code), metrics->host, method);
}

void api_metrics_retry(const struct api_metrics *metrics, const char *method, unsigned status)
{
    char code[CODE_TEXT_SIZE];
    metric_add(metrics->families[API_RETRIES], 1, code_text(status, code), metrics->host, method);
}

void api_metrics_time(const struct api_metrics *metrics, enum api_metric metric, const char *method,
                      int64_t took_ns)
{
    metric_observe(metrics->families[metric], time_seconds(took_ns), metrics->host, method);
}

void api_metrics_size(const struct api_metrics *metrics, enum api_metric metric, const char *method,
                      size_t bytes)
{
    metric_observe(metrics->families[metric], (double)bytes, metrics->host, method);
}
