#include "pod/gc.h"

static int compare_i64(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b ? 1 : 0;
}

/* By container, of each the newest first. */
static int by_group(const void *a_item, const void *b_item)
{
    const struct gc_container *a = a_item, *b = b_item;
    int order = strcmp(a->pod_uid, b->pod_uid);
    if (order == 0)
        order = strcmp(a->name, b->name);
    if (order == 0)
        order = compare_i64(b->created_ns, a->created_ns);
    return order ? order : strcmp(a->id, b->id);
}

static int by_age(const void *a_item, const void *b_item)
{
    const struct gc_container *a = a_item, *b = b_item;
    int order = compare_i64(a->created_ns, b->created_ns);
    return order ? order : strcmp(a->id, b->id);
}

static bool is_candidate(const struct gc_container *container, const struct gc_policy *policy)
{
    return sat_sub_i64(policy->now_ns, container->created_ns) >= policy->min_age_ns;
}

/* Keeps the newest @most of each group; sorted by group. Returns how many stay, and of how many
 * groups. */
static size_t limit_groups(struct gc_container *dead, size_t count, const struct gc_policy *policy,
                           int64_t most, size_t *ret_groups)
{
    size_t left = 0;
    int64_t rank = 0;
    const struct gc_container *before = NULL;
    *ret_groups = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_candidate(&dead[i], policy))
            continue;
        bool same = before && strcmp(before->pod_uid, dead[i].pod_uid) == 0 &&
                    strcmp(before->name, dead[i].name) == 0;
        rank = same ? rank + 1 : 0;
        *ret_groups += same ? 0 : 1;
        before = &dead[i];
        dead[i].is_surplus = dead[i].is_surplus || (rank >= most && !dead[i].is_needed);
        left += dead[i].is_surplus ? 0 : 1;
    }
    return left;
}

static void limit_all(struct gc_container *dead, size_t count, const struct gc_policy *policy,
                      size_t left)
{
    qsort(dead, count, sizeof(*dead), by_age);
    for (size_t i = 0; i < count && left > (size_t)policy->max_containers; i++) {
        if (!is_candidate(&dead[i], policy) || dead[i].is_surplus || dead[i].is_needed)
            continue;
        dead[i].is_surplus = true;
        left--;
    }
}

void gc_plan(struct gc_container *dead, size_t count, const struct gc_policy *policy)
{
    if (count == 0)
        return;
    qsort(dead, count, sizeof(*dead), by_group);
    size_t groups;
    int64_t per_container = policy->max_per_container < 0 ? INT64_MAX : policy->max_per_container;
    size_t left = limit_groups(dead, count, policy, per_container, &groups);
    if (policy->max_containers < 0 || left <= (size_t)policy->max_containers)
        return;
    int64_t evenly = max_i64(policy->max_containers / (int64_t)groups, 1);
    left = limit_groups(dead, count, policy, evenly, &groups);
    limit_all(dead, count, policy, left);
}
