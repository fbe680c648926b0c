#include "plane/pod_condition.h"

#include "kube/resources.h"
#include "plane/object_meta.h"

static Core__PodCondition *add_condition(Core__PodStatus *status, const char *type,
                                         struct arena *arena)
{
    Core__PodCondition **conditions =
        arena_alloc(arena, (status->n_conditions + 1) * sizeof(void *));
    for (size_t i = 0; i < status->n_conditions; i++)
        conditions[i] = status->conditions[i];
    Core__PodCondition *condition =
        (Core__PodCondition *)kube_message_new(&core__pod_condition__descriptor, arena);
    condition->type = arena_strdup(arena, type);
    conditions[status->n_conditions++] = condition;
    status->conditions = conditions;
    return condition;
}

static bool set_text(char **field, const char *want, struct arena *arena)
{
    bool is_same = strcmp(*field ? *field : "", want ? want : "") == 0;
    if (!is_same)
        *field = want ? arena_strdup(arena, want) : NULL;
    return !is_same;
}

bool pod_set_condition(Core__Pod *pod, const struct pod_condition *want, int64_t now_wall_ns,
                       struct arena *arena)
{
    if (!pod->status)
        pod->status = (Core__PodStatus *)kube_message_new(&core__pod_status__descriptor, arena);
    Core__PodCondition *condition = pod_condition_find(pod->status, want->type);
    if (!condition)
        condition = add_condition(pod->status, want->type, arena);
    bool has_changed = set_text(&condition->status, want->status, arena);
    if (has_changed)
        condition->last_transition_time = object_time(now_wall_ns, arena);
    has_changed = set_text(&condition->reason, want->reason, arena) || has_changed;
    return set_text(&condition->message, want->message, arena) || has_changed;
}
