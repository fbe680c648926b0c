/*
 * May this pod run here? The handlers a kubelet asks in order when a source adds a pod (spec
 * pods.md §4), with upstream's reasons and messages, and the choice of pods that make room for a
 * critical one. Pure: no clock, no I/O, no memory but the arena. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** What of the node and its configuration decides. Everything borrowed. */
struct admission_node {
    const Core__Node *node; /* newest known: labels, taints, allocatable, features; NULL: unknown */
    const char *node_name;
    bool memory_pressure, disk_pressure, pid_pressure;
    bool is_shutting_down;
    bool has_apparmor;                         /* the kernel enforces it */
    const char *const *allowed_unsafe_sysctls; /* patterns, allowedUnsafeSysctls */
    size_t n_allowed_unsafe_sysctls;
    unsigned kernel_major, kernel_minor; /* which sysctls are safe */
};

struct admission_input {
    const Core__Pod *pod;
    bool is_static;
    const Core__Pod *const *others; /* active pods but this one (spec §3.7) */
    const bool *others_static;      /* same index */
    size_t n_others;
    const struct admission_node *node;
};

enum admission_verdict {
    ADMISSION_ADMITTED,
    ADMISSION_REJECTED,
    /** A critical pod fits once `victims` have been ended (§4.3); then it is admitted. */
    ADMISSION_PREEMPTS,
};

struct admission_result {
    enum admission_verdict verdict;
    const char *reason;  /* REJECTED: "OutOfcpu", "NodeAffinity", … */
    const char *message; /* REJECTED: without "Pod was rejected: " */
    /** REJECTED: the only failures were those of the node's labels, which may just have changed:
     * read the node anew and ask once more (§4.2). */
    bool wants_fresh_node;
    const size_t *victims; /* PREEMPTS: indices into others, in the order of their killing */
    size_t n_victims;
    const char *shortage; /* PREEMPTS: the first resource of which there is too little */
};

/** Decides. Texts and victims live in @arena. */
void admission_decide(const struct admission_input *input, struct arena *arena,
                      struct admission_result *ret);
