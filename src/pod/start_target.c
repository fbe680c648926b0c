/* The container that an ephemeral one is aimed at: whose processes it is to see. */
#include "pod/op_start.h"

bool start_find_target(struct pod_op *op)
{
    struct start *start = op->state;
    if (!start->target_name || start->target_name[0] == '\0')
        return true;
    const struct container_observed *target =
        pod_observed_newest(&op->worker->have, start->target_name);
    if (target) {
        start->target_id = arena_strdup(op->arena, target->id);
        return true;
    }
    const char *text =
        arena_printf(op->arena, "unable to find target container %s", start->target_name);
    start_fail(op, "CreateContainerConfigError", text, text);
    return false;
}
