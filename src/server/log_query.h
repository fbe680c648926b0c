/*
 * What a request for logs asks for, and which instance of a container it means (spec runtime.md
 * §6.4). Pure. Loop thread.
 */
#pragma once

#include "wire/http.h"

#include "core.pb-c.h"

struct log_query {
    bool follow, previous, timestamps;
    const char *stream;    /* "All", "Stdout" or "Stderr"; static */
    int64_t tail_lines;    /* -1: all */
    int64_t limit_bytes;   /* -1: no limit */
    int64_t since_wall_ns; /* INT64_MIN: no limit */
};

/**
 * Reads the parameters of @target: follow, previous, timestamps, tailLines (or the older tail),
 * limitBytes, sinceSeconds (counted back from @now_wall_ns) or sinceTime, stream. First all are
 * decoded, then judged: INVALID_ARGUMENT "Unable to decode query." (HTTP 400), OUT_OF_RANGE
 * "Invalid request." (422).
 */
MUST_CHECK struct error *log_query_parse(const struct http_target *target, int64_t now_wall_ns,
                                         struct log_query *ret);

/** A stream that the runtime need not keep apart, or FAILED_PRECONDITION in upstream's words
 * because the feature @is_split is off. */
MUST_CHECK struct error *log_query_check_stream(const struct log_query *query, bool is_split);

/** NOT_FOUND when @pod has no container @name of any kind. */
MUST_CHECK struct error *log_container_check(const Core__Pod *pod, const char *name);
/** @name, or when it is "" or "-" the pod's first container. Borrowed from @pod or @name. */
const char *log_container_or_first(const Core__Pod *pod, const char *name);

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
