/*
 * Probes of one container instance: when to run them, how to count results, and the probers
 * themselves (spec pods.md §7). Exec goes through whoever owns the runtime; HTTP, HTTPS, TCP and
 * gRPC are done here. Loop thread.
 */
#pragma once

#include "loop/loop.h"

#include "core.pb-c.h"

enum probe_type { PROBE_LIVENESS, PROBE_READINESS, PROBE_STARTUP };
const char *probe_type_name(enum probe_type type); /* "Liveness", … */

enum probe_outcome {
    PROBE_OUTCOME_SUCCESS,
    PROBE_OUTCOME_FAILURE,
    PROBE_OUTCOME_WARNING,
    PROBE_OUTCOME_ERROR
};

struct probe;          /* opaque: one probe of one instance */
struct probe_net;      /* probe/probe_net.h */
struct probe_exec;     /* an implementation's object */
struct probe_exec_run; /* opaque: a command under way */

/** What an exec probe runs; borrowed for the call. */
struct probe_command {
    const char *container_id;
    char *const *words;
    size_t count;
    int64_t timeout_s;
};

/** How exec probes reach the runtime; src/pod implements it. */
struct probe_exec_vtable {
    /**
     * Runs @command. Ends with @on_done exactly once, never from inside
     * this: exit code and output (borrowed), or an error; code DEADLINE_EXCEEDED means that the
     * command timed out.
     */
    struct probe_exec_run *(*run)(struct probe_exec *self, const struct probe_command *command,
                                  void (*on_done)(void *ctx, int32_t exit_code, struct str output,
                                                  struct error *err_owned),
                                  void *ctx);
    void (*cancel)(struct probe_exec *self, struct probe_exec_run *run); /* silence; NULL is fine */
};
struct probe_exec {
    const struct probe_exec_vtable *vtable;
};

struct probe_options {
    enum probe_type type;
    const Core__Probe *spec;          /* defaulted; borrowed until probe_free() */
    const Core__Container *container; /* for port names; borrowed likewise */
    char *const *command;             /* of an exec probe, variables expanded; borrowed likewise */
    size_t n_command;
    const char *container_id;      /* copied */
    int64_t started_wall_ns;       /* of the instance: initialDelaySeconds count from here */
    int64_t agent_started_wall_ns; /* soon after it the agent spreads the first probes of
                                      containers that ran before over a period */
    /* The result others know at first is not that of a new container (success for liveness,
     * failure for readiness) but none: whatever comes out is told. */
    bool has_no_result;
    struct probe_exec *exec; /* borrowed */
    struct probe_net *net;   /* borrowed */
};

/** What is told: the counted result after it changed, and what is worth an event. And what is
 * asked. */
struct probe_listener {
    /** The pod's address, borrowed: the host probed unless the spec names one. NULL: not known yet,
     * so the attempt is put off for a period. */
    const char *(*pod_ip)(void *ctx);
    /** The threshold was reached: @success is the new result. */
    void (*on_result)(void *ctx, struct probe *probe, bool success);
    /** reason "Unhealthy" or "ProbeWarning"; texts as spec §7.3. Borrowed. */
    void (*on_event)(void *ctx, struct probe *probe, const char *reason, const char *message);
    /** An attempt has ended, after its retries, @took_ns since it began. May be NULL. Must not free
     * the probe. */
    void (*on_outcome)(void *ctx, struct probe *probe, enum probe_outcome outcome, int64_t took_ns);
    void *ctx;
};

/** Begins probing. The caller owns it. */
struct probe *probe_new(struct loop *loop, const struct probe_options *options,
                        const struct probe_listener *listener);
void probe_free(struct probe *probe); /* cancels; NULL is fine; may be called from the listener */
DEFINE_AUTO(probe, struct probe *, probe_free)

enum probe_type probe_type_of(const struct probe *probe);
const char *probe_container_id(const struct probe *probe);
/** Runs a readiness probe at once and starts its period anew. False: it is another one, or under
 * way, or has not been due for the first time; nothing changed. */
bool probe_trigger(struct probe *probe);

/** The port meant by @port of @container: a number, a port name, or a number as text.
 * INVALID_ARGUMENT with upstream's words. */
MUST_CHECK struct error *probe_resolve_port(const Meta__IntOrString *port,
                                            const Core__Container *container, int32_t *ret);
