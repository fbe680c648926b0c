/* A pod as one line of a table, by the rules of kubectl get pods. Pure. Any thread. */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** Texts live in the arena or in the pod. */
struct pod_row {
    const char *namespace, *name;
    const char *ready;    /* "1/2" */
    const char *status;   /* "Running", "Init:0/1", "CrashLoopBackOff", … */
    const char *restarts; /* "3 (48s ago)" */
    const char *age;
    const char *ip, *node; /* "<none>" when there is none */
    int64_t restart_count;
};

struct pod_row pod_row_make(const Core__Pod *pod, int64_t now_wall_ns, struct arena *arena);
