/*
 * What is counted of requests to the API server, as client-go does (spec server.md §5.1). A request
 * is counted each time it is sent; its duration is that of the whole call with waits and retries.
 * Room-private, but for its test. Loop thread.
 */
#pragma once

#include "base/metrics.h"

enum api_metric {
    API_REQUESTS,
    API_REQUEST_SECONDS,
    API_LIMITER_SECONDS,
    API_REQUEST_BYTES,
    API_RESPONSE_BYTES,
    API_RETRIES,
    API_PLUGIN_TTL,
    API_PLUGIN_ROTATION,
    API_METRIC_COUNT
};

struct api_metrics {
    const char *host;                                 /* "10.0.0.1:6443"; borrowed */
    struct metric_family *families[API_METRIC_COUNT]; /* all NULL: nothing is counted */
};

/** For the server at @origin ("https://10.0.0.1:6443", borrowed for as long as @ret is used);
 * @has_plugin: its credentials come from a plugin. */
void api_metrics_init(struct api_metrics *ret, struct metrics *metrics, const char *origin,
                      bool has_plugin);
/** A request was answered, or was not (@status 0). */
void api_metrics_answer(const struct api_metrics *metrics, const char *method, unsigned status);
/** A request will be sent again because of that. */
void api_metrics_retry(const struct api_metrics *metrics, const char *method, unsigned status);
/** API_REQUEST_SECONDS or API_LIMITER_SECONDS. */
void api_metrics_time(const struct api_metrics *metrics, enum api_metric metric, const char *method,
                      int64_t took_ns);
/** API_REQUEST_BYTES or API_RESPONSE_BYTES. */
void api_metrics_size(const struct api_metrics *metrics, enum api_metric metric, const char *method,
                      size_t bytes);
