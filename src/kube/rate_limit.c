#include "kube/rate_limit.h"

/* Slower than one request in ten years is this. */
#define MAX_INTERVAL_NS (INT64_C(10) * 365 * 86400 * NS_PER_SEC)

void rate_limit_init(struct rate_limit *limit, double qps, unsigned burst)
{
    ASSERT(qps > 0);
    double interval_ns = (double)NS_PER_SEC / qps;
    *limit = (struct rate_limit){.full_ns = INT64_MIN};
    limit->interval_ns =
        interval_ns < (double)MAX_INTERVAL_NS ? max_i64((int64_t)interval_ns, 1) : MAX_INTERVAL_NS;
    limit->depth_ns = burst > 1 ? sat_mul_i64(limit->interval_ns, (int64_t)burst - 1) : 0;
}

bool rate_limit_take(struct rate_limit *limit, int64_t now_ns, int64_t *ret_wait_ns)
{
    int64_t full_ns = max_i64(limit->full_ns, now_ns);
    int64_t missing_ns = sat_sub_i64(full_ns, now_ns);
    if (missing_ns > limit->depth_ns) {
        *ret_wait_ns = missing_ns - limit->depth_ns;
        return false;
    }
    limit->full_ns = sat_add_i64(full_ns, limit->interval_ns);
    return true;
}
