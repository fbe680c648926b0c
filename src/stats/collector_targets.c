#include "stats/collector_targets.h"

#include "base/path.h"

#define MAX_SLICES (1 + STATS_ROLE_COUNT + 2) /* the root, a slice a role, two tiers */

struct gathering {
    struct arena *arena;
    const struct cgroup_tree *cgroups;
    const char *(*image)(void *ctx, const char *id);
    void *ctx;
    struct stats_target *targets;
    size_t count, capacity;
};

static const char *text_in(struct arena *arena, const char *text)
{
    return text ? arena_strdup(arena, text) : "";
}

/* --- the root and the slices --- */

static struct stats_target *slice_at(struct gathering *gathering, const char *path)
{
    for (size_t i = 0; i < gathering->count; i++) {
        if (text_eq(gathering->targets[i].paths[0], path))
            return &gathering->targets[i];
    }
    ASSERT(gathering->count < gathering->capacity);
    struct stats_target *target = &gathering->targets[gathering->count++];
    *target = (struct stats_target){.kind = text_eq(path, "/") ? STATS_ROOT : STATS_SLICE,
                                    .n_paths = 1,
                                    .pod_uid = "",
                                    .pod = "",
                                    .namespace = ""};
    target->paths[0] = path;
    return target;
}

static void add_slice(struct gathering *gathering, const char *path, unsigned roles)
{
    if (!path || path[0] == '\0')
        return;
    AUTO(free) char *clean = path_join("/", path);
    if (path_has_dotdot(clean))
        return;
    slice_at(gathering, arena_strdup(gathering->arena, clean))->roles |= roles;
}

static void add_slices(struct gathering *gathering, const struct stats_slices *slices)
{
    add_slice(gathering, "/", 0);
    for (size_t i = 0; i < STATS_ROLE_COUNT; i++)
        add_slice(gathering, slices->paths[i], 1U << i);
    const struct cgroup_tree *cgroups = gathering->cgroups;
    add_slice(gathering, cgroup_tier_path(cgroups, POD_QOS_GUARANTEED), 1U << STATS_ROLE_PODS);
    add_slice(gathering, cgroup_tier_path(cgroups, POD_QOS_BURSTABLE), 0);
    add_slice(gathering, cgroup_tier_path(cgroups, POD_QOS_BESTEFFORT), 0);
}

/* --- pods --- */

static void count_pod(void *ctx, UNUSED const struct pod_view *view)
{
    struct gathering *gathering = ctx;
    gathering->capacity++;
}

static void add_path(struct gathering *gathering, struct stats_target *target, enum pod_qos tier,
                     const char *uid)
{
    const char *path = cgroup_pod_path(gathering->cgroups, tier, uid, gathering->arena);
    if (path)
        target->paths[target->n_paths++] = path;
}

static size_t count_members(const struct pod_observed *have)
{
    size_t count = 0;
    for (const struct sandbox_observed *s = have->sandboxes; s; s = s->next)
        count++;
    for (const struct container_observed *c = have->containers; c; c = c->next)
        count++;
    return count;
}

/* What has exited has no cgroup any more. */
static void add_members(struct gathering *gathering, struct stats_target *target,
                        const struct pod_observed *have)
{
    struct arena *arena = gathering->arena;
    struct stats_member *members = arena_calloc(arena, count_members(have), sizeof(*members));
    size_t count = 0;
    for (const struct sandbox_observed *s = have->sandboxes; s; s = s->next) {
        if (!s->ready)
            continue;
        members[count++] =
            (struct stats_member){.is_sandbox = true,
                                  .id = arena_strdup(arena, s->id),
                                  .container = "",
                                  .image = text_in(arena, gathering->image(gathering->ctx, s->id)),
                                  .attempt = s->attempt};
    }
    for (const struct container_observed *c = have->containers; c; c = c->next) {
        if (c->state == CONTAINER_EXITED)
            continue;
        members[count++] = (struct stats_member){.id = arena_strdup(arena, c->id),
                                                 .container = text_in(arena, c->name),
                                                 .image = text_in(arena, c->image),
                                                 .attempt = (uint32_t)max_i64(c->restart_count, 0)};
    }
    target->members = members;
    target->n_members = count;
}

static void add_pod(void *ctx, const struct pod_view *view)
{
    struct gathering *gathering = ctx;
    struct arena *arena = gathering->arena;
    struct stats_target target = {.kind = STATS_POD,
                                  .pod_uid = text_in(arena, view->uid),
                                  .pod = text_in(arena, view->name),
                                  .namespace = text_in(arena, view->namespace)};
    if (view->pod) {
        add_path(gathering, &target, pod_qos_of(view->pod), view->uid);
    } else { /* an orphan's tier is not known */
        add_path(gathering, &target, POD_QOS_GUARANTEED, view->uid);
        add_path(gathering, &target, POD_QOS_BURSTABLE, view->uid);
        add_path(gathering, &target, POD_QOS_BESTEFFORT, view->uid);
    }
    if (target.n_paths == 0 || view->finished)
        return;
    add_members(gathering, &target, view->observed);
    ASSERT(gathering->count < gathering->capacity);
    gathering->targets[gathering->count++] = target;
}

void stats_targets_gather(struct stats_pass *pass, const struct pods *pods,
                          const struct cgroup_tree *cgroups, const struct stats_slices *slices,
                          const char *(*image)(void *ctx, const char *id), void *ctx)
{
    struct gathering gathering = {.arena = pass->arena,
                                  .cgroups = cgroups,
                                  .image = image,
                                  .ctx = ctx,
                                  .capacity = MAX_SLICES};
    pods_visit(pods, count_pod, &gathering);
    gathering.targets = arena_calloc(pass->arena, gathering.capacity, sizeof(*gathering.targets));
    add_slices(&gathering, slices);
    pods_visit(pods, add_pod, &gathering);
    pass->targets = gathering.targets;
    pass->n_targets = gathering.count;
}
