/*
 * What the runtime was seen to hold for one pod: its sandboxes and container instances, newest
 * first. Filled from CRI replies by the executor, read by pod_plan() and status_generate().
 * Bookkeeping only: no calls, no clock. Loop thread. Times are wall-clock nanoseconds; 0 is a real
 * time (1970), presence is told by the state.
 */
#pragma once

#include "base/base.h"

#include "cri.pb-c.h"

enum container_state { CONTAINER_CREATED, CONTAINER_RUNNING, CONTAINER_EXITED, CONTAINER_UNKNOWN };

const char *container_state_name(enum container_state state); /* "created", … */

/** One instance of a container. All texts are owned by the instance and never NULL unless said. */
struct container_observed {
    struct container_observed *next; /* created later first, then by id */
    const char *id;                  /* as the runtime knows it, without scheme */
    const char *name;                /* label io.kubernetes.container.name */
    const char *sandbox_id;
    const char *image;     /* image.image */
    const char *image_ref; /* the API's imageID */
    const char *image_id;
    const char *log_path;
    const char *reason;           /* EXITED only */
    const char *message;          /* EXITED only, with the termination message once that was read */
    const char *termination_path; /* host file that holds the termination message, or NULL */
    bool termination_from_logs;   /* policy FallbackToLogsOnError */
    bool message_is_final;        /* the termination message was read into `message` */
    bool stop_begun; /* the agent has told of its end and has begun with its preStop hook */
    enum container_state state;
    int32_t restart_count;
    int32_t exit_code;
    uint32_t hash; /* annotation io.kubernetes.container.hash; 0 when absent */
    int64_t created_ns;
    int64_t started_ns;  /* 0 while CREATED */
    int64_t finished_ns; /* EXITED only */
    bool has_grace; /* annotation io.kubernetes.pod.terminationGracePeriod or deletionGracePeriod */
    int64_t grace_s;
    Cri__Signal stop_signal; /* RUNTIME_DEFAULT: not told */
    bool has_user;
    int64_t uid, gid;
    size_t n_groups;
    const int64_t *groups;
    bool has_resources; /* what the runtime reports */
    int64_t cpu_shares, cpu_quota, cpu_period, memory_limit_bytes;
};

/** One sandbox. */
struct sandbox_observed {
    struct sandbox_observed *next; /* higher attempt first, then created later first, then by id */
    const char *id;
    bool ready;
    uint32_t attempt;
    int64_t created_ns;
    int64_t
        seen_ns; /* annotation kubernetes.io/config.seen: when the pod was first seen; 0: absent */
    bool host_network;
    bool has_network; /* the reply had a network section */
    size_t n_ips;     /* primary, then additional; 0 when none or when one does not parse */
    const char *const *ips;
};

struct pod_observed {
    struct sandbox_observed *sandboxes;
    struct container_observed *containers;
};

/** Releases everything and leaves an empty observation. */
void pod_observed_clear(struct pod_observed *have);

/** Adds or replaces a sandbox from @status (borrowed; must have an id). Returns it. */
struct sandbox_observed *pod_observed_put_sandbox(struct pod_observed *have,
                                                  const Cri__PodSandboxStatus *status);
/**
 * Adds or replaces a container instance from @status (borrowed; must have an id). What the agent
 * had added to it (that its stop has begun; while it is still EXITED, its final message) is kept. A
 * status that was overtaken (CREATED of one that was seen running, RUNNING of one that has exited)
 * changes nothing. Returns the instance.
 */
struct container_observed *pod_observed_put_container(struct pod_observed *have,
                                                      const char *sandbox_id,
                                                      const Cri__ContainerStatus *status);
/** Forgets an instance that the runtime no longer has; an unknown id is fine. */
void pod_observed_drop_sandbox(struct pod_observed *have, const char *id);
void pod_observed_drop_container(struct pod_observed *have, const char *id);

/** Sets the final message of an exited instance: the runtime's own, then ": ", then @text (may be
 * empty). */
void container_observed_set_termination(struct container_observed *instance, const char *text);

struct sandbox_observed *pod_observed_sandbox(const struct pod_observed *have, const char *id);
struct container_observed *pod_observed_container(const struct pod_observed *have, const char *id);
/** The newest instance of container @name, or NULL; and the one before it. */
const struct container_observed *pod_observed_newest(const struct pod_observed *have,
                                                     const char *name);
const struct container_observed *pod_observed_previous(const struct pod_observed *have,
                                                       const char *name);
/** True when some instance is RUNNING, or some sandbox READY. */
bool pod_observed_is_running(const struct pod_observed *have);
/** The newest sandbox when it is READY, else NULL. */
const struct sandbox_observed *pod_observed_active_sandbox(const struct pod_observed *have);
