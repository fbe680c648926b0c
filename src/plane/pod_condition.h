/*
 * The conditions in a pod's status that the server's side sets. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

struct pod_condition {
    const char *type, *status;
    const char *reason, *message; /* NULL: none */
};

/** Sets the condition; its time moves only with its status. @pod gets a status when it has none.
 * True when that changed something. */
bool pod_set_condition(Core__Pod *pod, const struct pod_condition *want, int64_t now_wall_ns,
                       struct arena *arena);
