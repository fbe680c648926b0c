/*
 * The pod's status as the API shows it, computed from the same inputs as the plan (spec pods.md
 * §8). Pure: no clock, no I/O, no memory but the arena. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "pod/observed.h"
#include "pod/plan.h"

#include "core.pb-c.h"

/** The last start attempt of a container that failed, or why it waits: upstream's reason cache
 * (§8.5 step 6). */
struct start_result {
    const char *container;
    const char *reason; /* "CrashLoopBackOff", "ErrImagePull", …; NULL: the last start succeeded */
    const char *message;
};

struct status_input {
    const Core__Pod *pod;
    const struct pod_observed *have;
    const Core__PodStatus
        *old; /* what was generated last (or recovered after a restart); NULL at first */
    const struct start_result *results;
    size_t n_results;
    const struct container_note *notes; /* probe results */
    size_t n_notes;
    const char *runtime_name;    /* "containerd": scheme of container ids */
    const char *const *host_ips; /* NULL-terminated: the node's, primary family first */
    bool primary_ipv6;           /* family of the first node IP */
    int64_t now_ns;              /* wall clock */
    int64_t agent_started_ns; /* wall clock; containers older by 10 s keep ready/started (§7.4) */
    bool is_static;
    bool final;      /* all containers have stopped for good: rule "final status" of §8.2 */
    bool terminated; /* SyncTerminatedPod has run: leftovers become ContainerStatusUnknown (§8.8) */
    const char *forced_reason; /* eviction, deadline, …: phase Failed with this reason and message;
                                  NULL: none */
    const char *forced_message;
    bool recursive_read_only; /* the pod's runtime handler can mount so */
    bool stop_signals;        /* gate ContainerStopSignals: they are shown */
    const char *disruption;   /* message of condition DisruptionTarget; NULL: as it was */
};

/**
 * Computes the whole status. The result lives in @arena and borrows nothing from the input. Neither
 * a terminal phase nor, unless it may be restarted, the end of a container that @old shows is ever
 * taken back (spec §8.7); the messages of ends are UTF-8 and share 12288 bytes (§8.6).
 */
Core__PodStatus *status_generate(const struct status_input *input, struct arena *arena);

/** Whether condition @type is the node's to set; others are left as the API server has them. */
bool status_owns_condition(const char *type);

/** Phase Succeeded or Failed. */
bool status_is_terminal(const Core__PodStatus *status);

/**
 * True when both say the same to a user: everything but condition times, condition
 * observedGeneration (spec §8.7 "Equality").
 */
bool status_eq(const Core__PodStatus *a, const Core__PodStatus *b);

/** activeDeadlineSeconds exceeded at @now_ns? *ret_due_ns is when it will be; false and 0 without a
 * deadline. */
bool status_deadline_exceeded(const Core__Pod *pod, const Core__PodStatus *status, int64_t now_ns,
                              int64_t *ret_due_ns);
