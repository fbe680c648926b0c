/*
 * The Pod that stands for a static pod in the API (spec pods.md §2). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** The mirror of @pod to create: the same with annotation config.mirror and the node as its one
 * owner. Lives in @arena and borrows from @pod. */
const Core__Pod *mirror_pod_of(const Core__Pod *pod, const char *node_name, const char *node_uid,
                               struct arena *arena);

/** Whether @mirror is that of this state of the static pod @pod: annotations config.mirror and
 * config.hash are there and equal. Name and namespace are not looked at. */
bool mirror_pod_is_of(const Core__Pod *mirror, const Core__Pod *pod);
