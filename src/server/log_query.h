/*
 * What a request for logs asks for, and which instance of a container it means (spec runtime.md
 * §6.4). Pure. Loop thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

struct log_query {
    bool follow, previous, timestamps;
    int64_t tail_lines;    /* -1: all */
    int64_t limit_bytes;   /* -1: no limit */
    int64_t since_wall_ns; /* INT64_MIN: no limit */
};

/**
 * Reads the raw query string (NULL is fine): follow, previous, timestamps, tailLines (or the older
 * tail), limitBytes, sinceSeconds (counted back from @now_wall_ns) or sinceTime. INVALID_ARGUMENT
 * "Unable to decode query." (HTTP 400), OUT_OF_RANGE "Invalid request." (422).
 */
MUST_CHECK struct error *log_query_parse(const char *query, int64_t now_wall_ns,
                                         struct arena *arena, struct log_query *ret);

/**
 * The name of the container meant by @name: itself, or when it is "" or "-" the pod's first
 * container. NOT_FOUND when @pod has no such container of any kind. Borrowed from @pod or @name.
 */
MUST_CHECK struct error *log_container_name(const Core__Pod *pod, const char *name,
                                            const char **ret);

/** The instance whose log is shown. */
struct log_instance {
    bool before_newest;       /* not the newest instance, but the one before */
    bool running;             /* it can still grow */
    const char *container_id; /* "containerd://…"; borrowed from the status, may be "" */
};

/**
 * Chooses by the container's @status (NULL: the pod has none yet). FAILED_PRECONDITION with the
 * texts of the specification when there is nothing to show.
 */
MUST_CHECK struct error *log_choose_instance(const Core__PodStatus *status, const char *pod_name,
                                             const char *container, bool previous,
                                             struct log_instance *ret);

/** The status entry of @container (regular, init, ephemeral), or NULL. */
const Core__ContainerStatus *log_container_status(const Core__PodStatus *status,
                                                  const char *container);
