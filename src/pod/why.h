/*
 * What keeps a pod from being as it is wanted: what is being done for it and what it waits for, in
 * plain words, since when, and when it is tried again. Computed when somebody asks, from what the
 * pod's worker knows anyway; nothing is kept for it. Loop thread. Times are wall-clock nanoseconds.
 */
#pragma once

#include "base/arena.h"
#include "pod/pods.h"

/** Texts live in the arena of pods_why(), or as long as the view of the pod. */
struct pod_wait {
    const char *container; /* NULL: the pod as a whole */
    const char *reason;    /* the API's word where it has one ("CrashLoopBackOff"), else that of the
                              action ("StartContainer") or of the thing waited for */
    const char *message;
    int64_t since_ns; /* 0: not known */
    int64_t until_ns; /* when it is tried again; 0: when something changes */
};

/**
 * What pod @uid waits for, that which concerns the pod as a whole first; none when it is as wanted
 * or not known. The array lives in @arena.
 */
size_t pods_why(const struct pods *pods, const char *uid, struct arena *arena,
                struct pod_wait **ret);
