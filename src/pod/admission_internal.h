/*
 * Shared by the files of admission only. Pure.
 *
 *   admission.c          the handlers, in upstream's order
 *   admission_sysctl.c   which sysctls a pod may set
 *   admission_fit.c      resources, labels, name, ports, taints
 *   admission_preempt.c  which pods make room for a critical one
 */
#pragma once

#include "kube/node_match.h"
#include "pod/admission.h"

/** A refusal; reason NULL: none. */
struct refusal {
    const char *reason, *message;
};

/** The sysctl handler. */
struct refusal admission_sysctls(const struct admission_input *input, struct arena *arena);

/** A resource of which there is too little. */
struct shortage {
    const char *name; /* "cpu", "pods", … */
    int64_t requested, used, capacity;
};

struct fit {
    struct shortage *shortages; /* in the order in which they are told */
    size_t n_shortages;
    /* Failures that no preemption helps, in the order in which they are told; NULL: none. */
    const char *reasons[4];
    const char *messages[4];
    size_t n_failures;
    bool only_labels; /* the one failure is nodeSelector or node affinity */
};

/** Compares the pod with the node as it is, other pods on it. */
void admission_fit(const struct admission_input *input, struct arena *arena, struct fit *ret);

/**
 * Chooses pods whose end makes up for @fit's shortages. False: there are none, and @ret_message
 * says so; *ret_victims are indices into input->others.
 */
bool admission_choose_victims(const struct admission_input *input, const struct fit *fit,
                              struct arena *arena, const size_t **ret_victims, size_t *ret_count,
                              const char **ret_message);
