/*
 * What the files of the plan share: a pass over one pod, what it may add to the plan, and the walk
 * over the init containers (plan_init.c). For plan*.c only. Pure, as pod_plan(). Any thread.
 */
#pragma once

#include "pod/plan.h"

/** The arguments of a pass, and its output. */
struct plan_pass {
    const struct pod_desired *want;
    const struct pod_observed *have;
    const struct pod_plan_env *env;
    struct pod_plan *out;
};

/* --- plan.c --- */

/**
 * The grace period of a kill of @instance that nothing shortens, in seconds (spec pods.md §5.9).
 * @probe: the one that failed and is why; NULL: another reason.
 */
int64_t plan_grace(const struct plan_pass *pass, const struct container_observed *instance,
                   const Core__Probe *probe);
/**
 * Adds a kill of @instance: @grace_s for its hook, and at least the floor for its end. @message as
 * in struct pod_action;
 * @restart: it starts again whatever its policy says.
 */
void plan_kill(struct plan_pass *pass, const struct container_observed *instance, int64_t grace_s,
               const char *message, bool restart);
/** @format with @name for its one "%s", in the plan's arena. */
const char *plan_text(struct plan_pass *pass, const char *format, const char *name);
/** True when @instance was made from another definition of @container. */
bool plan_has_changed(const Core__Container *container, const struct container_observed *instance);

/** Takes @instance away, so that its container begins anew: it is killed at once, without a hook,
 * and removed when it has ended; its logs stay, as they count the restarts. */
void plan_take_away(struct plan_pass *pass, const struct container_observed *instance);

/* --- plan_restart_all.c --- */

/** Takes away those instances that go first among all that have to. */
void plan_restart_all(struct plan_pass *pass);

/* --- plan_init.c --- */

struct plan_init {
    bool *starts;     /* per init container */
    bool initialised; /* regular containers may run */
    bool kill_pod;    /* an init container failed for good */
};

/** Says which init containers start and adds the kills of those that must be restarted. */
struct plan_init plan_walk_init(struct plan_pass *pass);
