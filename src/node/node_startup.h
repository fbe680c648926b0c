/*
 * How long this machine took to become a ready node, in its steps (spec server.md §5.2): told once,
 * and only of a node that was registered for the first time. Times are mono, which counts from the
 * machine's start. Loop thread.
 */
#pragma once

#include "base/metrics.h"

enum node_startup_metric {
    STARTUP_PRE_KUBELET,
    STARTUP_PRE_REGISTRATION,
    STARTUP_REGISTRATION,
    STARTUP_POST_REGISTRATION,
    STARTUP_TOTAL,
    STARTUP_METRIC_COUNT
};

struct node_startup {
    struct metric_family *families[STARTUP_METRIC_COUNT];
    int64_t process_ns, attempt_ns, registered_ns; /* 0: not yet, or not known */
    bool is_told;
};

/** The process was started at @process_ns. */
void node_startup_init(struct node_startup *startup, struct metrics *metrics, int64_t process_ns);
/** The node is being registered; later times do not count. */
void node_startup_attempt(struct node_startup *startup, int64_t now_ns);
/** It was not there before and is now. */
void node_startup_registered(struct node_startup *startup, int64_t now_ns);
/** The server was told that it is ready. */
void node_startup_ready(struct node_startup *startup, int64_t now_ns);
