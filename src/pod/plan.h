/*
 * The heart: pod_plan() compares what is wanted of a pod with what is seen of it and returns the
 * next steps. It is level-triggered: nothing acts on an event, an event only wakes the pod, which
 * is then planned anew. Pure: no clock, no I/O, no logging, no memory but the output's arena. Any
 * thread. Times are wall-clock nanoseconds. Rules: spec runtime.md §A, pods.md §5.
 */
#pragma once

#include "base/arena.h"
#include "pod/backoff.h"
#include "pod/observed.h"

#include "core.pb-c.h"

/* --- what is wanted --- */

/** Where a pod stands in its life; it only moves forward. */
enum pod_life {
    POD_LIFE_SYNC,        /* make it run as its spec says */
    POD_LIFE_TERMINATING, /* stop everything */
    POD_LIFE_TERMINATED,  /* everything stopped: take volumes and cgroup down */
};

struct pod_desired {
    const Core__Pod *pod; /* NULL: an orphan, known from the runtime or the disk alone */
    const char *uid;
    enum pod_life life;
    bool removed; /* no source wants it: once terminated, containers, logs and sandboxes go too */
    bool evicted; /* once terminated, containers, logs and sandboxes go, too */
    int64_t terminating_since_ns; /* from TERMINATING on */
    bool has_grace; /* effective grace period for the kill, see pod_effective_grace() */
    int64_t grace_s;
};

/* --- the environment of a decision --- */

enum probe_result { PROBE_UNKNOWN, PROBE_SUCCESS, PROBE_FAILURE };

/** What the agent remembers about one container of the pod. */
struct container_note {
    const char *name;
    int64_t retry_at_ns; /* a start failed: not before this; 0: none */
    bool restart_wanted; /* killed in order to be started again, whatever the restart policy says */
    bool has_liveness, has_readiness, has_startup; /* a probe of that type is being run */
    enum probe_result liveness, readiness, startup;
};

struct pod_plan_env {
    int64_t now_ns;
    const struct backoff *backoff;
    const struct container_note *notes;
    size_t n_notes;
    bool volumes_ready;
    bool cgroup_ready;
    bool network_ready;          /* of the runtime; host-network pods do not wait for it */
    int64_t setup_retry_at_ns;   /* volumes, cgroup or sandbox failed: not before this; 0: none */
    bool kill_failed;            /* a container would not die: stop its sandbox all the same */
    bool disk_clean;             /* volumes, cgroup (and for a removed pod its folders) are gone */
    int64_t cleanup_retry_at_ns; /* a clean-up step failed: not before this; 0: none */
    int32_t max_dead_per_container; /* exited instances kept per name, >= 0 (flag default 1) */
    bool is_starting;               /* a container is being started: that has to end first */
    const Core__PodStatus *status;  /* what was told last of the pod; NULL: nothing */
};

/* --- the plan --- */

enum pod_action_kind {
    /* The chain: one at a time per pod, in the order listed. */
    POD_ACTION_ENSURE_CGROUP,
    POD_ACTION_ENSURE_VOLUMES,
    POD_ACTION_CREATE_SANDBOX,
    POD_ACTION_START_CONTAINER,
    POD_ACTION_CLEAN_DISK, /* volumes down, cgroup gone; removed: logs and the pod's folder too */
    POD_ACTION_FINISH,     /* nothing is left of a removed pod: forget it */
    /* Beside the chain, in parallel. */
    POD_ACTION_BEGIN_STOP, /* tell of a sidecar's end and run its preStop hook, before its turn */
    POD_ACTION_KILL_CONTAINER,
    POD_ACTION_STOP_SANDBOX,
    POD_ACTION_REMOVE_CONTAINER,
    POD_ACTION_REMOVE_SANDBOX,
    POD_ACTION_KIND_COUNT
};

const char *pod_action_name(enum pod_action_kind kind); /* "CreateSandbox", … */
static inline bool pod_action_is_chained(enum pod_action_kind kind)
{
    return kind <= POD_ACTION_FINISH;
}

struct pod_action {
    enum pod_action_kind kind;
    const Core__Container *container;          /* START: borrowed from the spec, or as below */
    const Core__EphemeralContainer *ephemeral; /* START: set, `container` lives in the arena */
    const char *id;       /* instance or sandbox concerned; borrowed from the observation */
    uint32_t attempt;     /* CREATE_SANDBOX */
    int64_t grace_s;      /* KILL: whole seconds, >= 2 (CRI floor) */
    const char *message;  /* KILL: of the Killing event; NULL: "Stopping container <name>" */
    bool restart;         /* KILL: the container is to be started again whatever its policy */
    int64_t hook_grace_s; /* BEGIN_STOP, KILL: so long preStop may take; 0: it does not run */
    bool keeps_logs;      /* REMOVE_CONTAINER */
};

/** A container that should start but must wait: shown in its status. */
struct pod_waiting {
    const Core__Container *container;
    int64_t backoff_ns; /* the whole back-off, for the message */
    int64_t until_ns;
};

struct pod_plan {
    struct arena *arena; /* the caller's */
    struct pod_action *actions;
    size_t n_actions;
    struct pod_waiting *waiting;
    size_t n_waiting;
    bool has_next_look;
    int64_t next_look_ns; /* when time alone may change the plan */
    bool waits_for_network;
    bool sandbox_changed; /* an old sandbox is being replaced (event SandboxChanged) */
    bool stopped;         /* TERMINATING: nothing runs any more, go on to TERMINATED */
    bool done;            /* nothing to do until something changes */
};

/** Decides the next steps for one pod. Reads only its arguments, writes only @out (memory from
 * @arena). */
void pod_plan(const struct pod_desired *want, const struct pod_observed *have,
              const struct pod_plan_env *env, struct arena *arena, struct pod_plan *out);

/* --- single rules, used by the status generator too --- */

/** Whether a sandbox must be made, spec runtime.md §2.1. */
struct sandbox_decision {
    bool create;
    uint32_t attempt;
    const char *old_id; /* sandbox it replaces, or NULL */
};
struct sandbox_decision pod_sandbox_decide(const Core__Pod *pod, const struct pod_observed *have);

/** Spec pods.md §5.4: should @container, whose newest instance is @newest (or NULL), be started
 * (again)? */
bool container_should_start(const Core__Pod *pod, const Core__Container *container,
                            const struct container_observed *newest);
/** The policy that counts for @container: its own, else the pod's. */
bool container_policy_is(const Core__Pod *pod, const Core__Container *container,
                         const char *policy);

/** The first rule of @container that matches an exit with @exit_code; NULL: none, or the container
 * has no policy of its own, beside which alone rules count. */
const Core__ContainerRestartRule *container_deciding_rule(const Core__Container *container,
                                                          int32_t exit_code);

/** In a rule. */
#define ACTION_RESTART_ALL_CONTAINERS "RestartAllContainers"

/** Condition, and reason of containers, while all are taken away to begin anew (spec pods.md §5.8).
 */
#define CONDITION_ALL_RESTARTING "AllContainersRestarting"
#define REASON_RESTARTING_ALL "RestartingAllContainers"
/** Whether a rule of some container has the action RestartAllContainers. */
bool pod_has_restart_all_rule(const Core__Pod *pod);
/** Whether @status (or NULL) says that all containers are being restarted. */
bool pod_told_restarting_all(const Core__PodStatus *status);
/** Whether that was asked for and something is left to be taken away. @status: what was told last,
 * or NULL. */
bool pod_restarts_all(const Core__Pod *pod, const struct pod_observed *have,
                      const Core__PodStatus *status);

/** Key of @container in the back-off table: pod, container, image and resources (spec pods.md
 * §5.7). */
const char *container_backoff_key(const Core__Pod *pod, const Core__Container *container,
                                  struct arena *arena);

/** spec.terminationGracePeriodSeconds, deletionGracePeriodSeconds first; floor 1 (spec pods.md
 * §3.3). */
int64_t pod_effective_grace(const Core__Pod *pod);

/** The note of container @name, or an empty one. */
const struct container_note *pod_plan_note(const struct pod_plan_env *env, const char *name);
