#include "plane/taints.h"

#include "plane/object_meta.h"

#include "kube/node_match.h"
#include "kube/resources.h"

#define NO_SCHEDULE "NoSchedule"
#define NO_EXECUTE "NoExecute"

/* --- tolerations --- */

const Core__Taint *taint_in_the_way(const Core__NodeSpec *node, const Core__PodSpec *spec)
{
    for (size_t i = 0; node && i < node->n_taints; i++) {
        const Core__Taint *taint = node->taints[i];
        bool repels = text_eq(taint->effect, NO_SCHEDULE) || text_eq(taint->effect, NO_EXECUTE);
        if (repels && !pod_toleration_of(spec, taint))
            return taint;
    }
    return NULL;
}

bool pod_tolerates_cordon(const Core__PodSpec *spec)
{
    Core__Taint cordon = CORE__TAINT__INIT;
    char key[] = TAINT_UNSCHEDULABLE, effect[] = NO_SCHEDULE;
    cordon.key = key;
    cordon.effect = effect;
    return pod_toleration_of(spec, &cordon) != NULL;
}

/* --- a node's list --- */

struct taint_name {
    const char *key;
    const char *effect;
};

static bool is_named(const Core__Taint *taint, const struct taint_name *name)
{
    return text_eq(taint->key, name->key) && text_eq(taint->effect, name->effect);
}

static bool has_taint(const Core__NodeSpec *spec, const struct taint_name *name)
{
    for (size_t i = 0; i < spec->n_taints; i++) {
        if (is_named(spec->taints[i], name))
            return true;
    }
    return false;
}

static void add_taint(Core__NodeSpec *spec, const struct taint_name *name, Meta__Time *time_added,
                      struct arena *arena)
{
    Core__Taint *taint = (Core__Taint *)kube_message_new(&core__taint__descriptor, arena);
    taint->key = arena_strdup(arena, name->key);
    taint->effect = arena_strdup(arena, name->effect);
    taint->time_added = time_added;
    Core__Taint **taints = arena_alloc(arena, (spec->n_taints + 1) * sizeof(void *));
    for (size_t i = 0; i < spec->n_taints; i++)
        taints[i] = spec->taints[i];
    taints[spec->n_taints++] = taint;
    spec->taints = taints;
}

static void remove_taint(Core__NodeSpec *spec, const struct taint_name *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < spec->n_taints; i++) {
        if (!is_named(spec->taints[i], name))
            spec->taints[kept++] = spec->taints[i];
    }
    spec->n_taints = kept;
}

static Core__NodeSpec *ensure_spec(Core__Node *node, struct arena *arena)
{
    if (!node->spec)
        node->spec = (Core__NodeSpec *)kube_message_new(&core__node_spec__descriptor, arena);
    return node->spec;
}

void taint_new_node(Core__Node *node, struct arena *arena)
{
    static const struct taint_name not_ready = {TAINT_NOT_READY, NO_SCHEDULE};
    Core__NodeSpec *spec = ensure_spec(node, arena);
    if (!has_taint(spec, &not_ready))
        add_taint(spec, &not_ready, NULL, arena);
}

/* --- conditions --- */

static const char *condition_status(const Core__Node *node, const char *type)
{
    for (size_t i = 0; node->status && i < node->status->n_conditions; i++) {
        if (text_eq(node->status->conditions[i]->type, type))
            return node->status->conditions[i]->status;
    }
    return NULL;
}

bool node_is_ready(const Core__Node *node)
{
    return text_eq(condition_status(node, "Ready"), "True");
}

/* A taint that a condition of this type and status brings. */
struct rule {
    const char *type;
    const char *status;
    struct taint_name taint;
};

static const struct rule rules[] = {
    {"Ready", "False", {TAINT_NOT_READY, NO_SCHEDULE}},
    {"Ready", "Unknown", {TAINT_UNREACHABLE, NO_SCHEDULE}},
    {"MemoryPressure", "True", {"node.kubernetes.io/memory-pressure", NO_SCHEDULE}},
    {"DiskPressure", "True", {"node.kubernetes.io/disk-pressure", NO_SCHEDULE}},
    {"NetworkUnavailable", "True", {"node.kubernetes.io/network-unavailable", NO_SCHEDULE}},
    {"PIDPressure", "True", {"node.kubernetes.io/pid-pressure", NO_SCHEDULE}},
    {"Ready", "False", {TAINT_NOT_READY, NO_EXECUTE}},
    {"Ready", "Unknown", {TAINT_UNREACHABLE, NO_EXECUTE}},
};

static bool put_in_order(Core__NodeSpec *spec, const struct taint_name *name, bool is_wanted,
                         const struct taint_env *env, struct arena *arena)
{
    if (has_taint(spec, name) == is_wanted)
        return false;
    if (is_wanted)
        add_taint(spec, name, object_time(env->now_wall_ns, arena), arena);
    else
        remove_taint(spec, name);
    return true;
}

static bool date_taints(Core__NodeSpec *spec, const struct taint_env *env, struct arena *arena)
{
    bool has_changed = false;
    for (size_t i = 0; i < spec->n_taints; i++) {
        if (!text_eq(spec->taints[i]->effect, NO_EXECUTE) || spec->taints[i]->time_added)
            continue;
        spec->taints[i]->time_added = object_time(env->now_wall_ns, arena);
        has_changed = true;
    }
    return has_changed;
}

bool taint_by_conditions(Core__Node *node, const struct taint_env *env, struct arena *arena)
{
    static const struct taint_name cordon = {TAINT_UNSCHEDULABLE, NO_SCHEDULE};
    Core__NodeSpec *spec = ensure_spec(node, arena);
    bool has_changed = put_in_order(spec, &cordon, spec->unschedulable, env, arena);
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
        bool is_wanted = text_eq(condition_status(node, rules[i].type), rules[i].status);
        if (env->is_disrupted && strcmp(rules[i].taint.effect, NO_EXECUTE) == 0)
            is_wanted = false;
        has_changed = put_in_order(spec, &rules[i].taint, is_wanted, env, arena) || has_changed;
    }
    return date_taints(spec, env, arena) || has_changed;
}

/* --- eviction --- */

/* Since when the pod is on its node. */
static int64_t bound_ns(const Core__Pod *pod)
{
    for (size_t i = 0; pod->status && i < pod->status->n_conditions; i++) {
        const Core__PodCondition *condition = pod->status->conditions[i];
        if (text_eq(condition->type, "PodScheduled") && condition->last_transition_time)
            return object_time_ns(condition->last_transition_time);
    }
    return pod->metadata ? object_time_ns(pod->metadata->creation_timestamp) : 0;
}

static int64_t driven_away_ns(const Core__Taint *taint, const Core__Pod *pod)
{
    const Core__Toleration *toleration = pod_toleration_of(pod->spec, taint);
    if (toleration && !toleration->has_toleration_seconds)
        return INT64_MAX;
    int64_t begun_ns = max_i64(object_time_ns(taint->time_added), bound_ns(pod));
    int64_t tolerated_s = toleration ? max_i64(toleration->toleration_seconds, 0) : 0;
    return sat_add_i64(begun_ns, sat_mul_i64(tolerated_s, NS_PER_SEC));
}

int64_t taint_eviction_ns(const Core__Node *node, const Core__Pod *pod)
{
    int64_t evicted_ns = INT64_MAX;
    /* The node itself puts a static pod back at once: to delete its mirror would be only noise. */
    if (!pod->spec || pod_is_mirror(pod))
        return evicted_ns;
    for (size_t i = 0; node->spec && i < node->spec->n_taints; i++) {
        const Core__Taint *taint = node->spec->taints[i];
        if (text_eq(taint->effect, NO_EXECUTE) && taint->time_added)
            evicted_ns = min_i64(evicted_ns, driven_away_ns(taint, pod));
    }
    return evicted_ns;
}
