#include "kube/jitter.h"

#define PERMILLE 1000

int64_t jitter_between(int64_t low, int64_t high, uint64_t random)
{
    if (high <= low)
        return low;
    uint64_t range = (uint64_t)high - (uint64_t)low;
    return (int64_t)((uint64_t)low + random % range);
}

int64_t jitter_above(int64_t base, int64_t permille, uint64_t random)
{
    int64_t most = sat_mul_i64(base / PERMILLE, permille);
    return sat_add_i64(base, jitter_between(0, most, random));
}

int64_t growing_wait_next(struct growing_wait *wait, const struct growing_wait_policy *policy,
                          int64_t now_ns, uint64_t random)
{
    bool is_rested = policy->reset_ns > 0 && sat_sub_i64(now_ns, wait->used_ns) > policy->reset_ns;
    int64_t wait_ns = wait->next_ns;
    if (wait_ns == 0 || is_rested)
        wait_ns = policy->initial_ns;
    wait->next_ns = min_i64(sat_mul_i64(wait_ns, 2), policy->max_ns);
    wait->used_ns = now_ns;
    return jitter_above(wait_ns, policy->jitter_permille, random);
}
