/*
 * A node that exists only as data, on virtual time: a runtime whose steps take time and may fail,
 * and an agent that does what src/pod/worker.c does with pod_plan() and status_generate(). Where
 * sim.h carries a plan out at once, here everything lasts: a pod can be deleted while a container
 * starts, a container can end while it is killed, the agent can be restarted in the middle.
 *
 * What happens is told line by line in the transcript; the rules of the spec are watched all the
 * while (pod_rules.h). Nothing is random in here: the world decides.
 *
 *   virtual_node.c     time, the runtime's truth, what befalls the pod
 *   virtual_agent.c    passes, and what is under way
 *   pod_rules.c        what must hold of plans, starts and kills
 *   rest_rules.c      what must hold of a pod at rest
 *   status_rules.c     what must hold of the status
 */
#pragma once

#include "base/buf.h"
#include "pod/plan.h"
#include "pod/status.h"

#define NODE_BEGIN_NS (1000 * NS_PER_SEC) /* the wall clock when the agent first sees the pod */
#define NODE_FOREVER INT64_MAX
#define NODE_RETRY_NS                                                                              \
    (10 * NS_PER_SEC) /* the agent's pause after a failed step, without jitter                     \
                       */
#define NODE_MAX_CONTAINERS 16
#define NODE_MAX_INSTANCES 64
#define NODE_MAX_OPS 64
#define NODE_MAX_EVENTS 16

/* --- the world: what befalls the pod --- */

/** What a start that fails leaves in the runtime. */
enum leftover { LEFT_NOTHING, LEFT_CREATED, LEFT_EXITED };

/** How one start of a container goes, and what becomes of the instance. */
struct behaviour {
    int64_t start_ns;        /* from the action until it runs: pull, create, start */
    const char *start_error; /* NULL: it starts; else the waiting reason */
    enum leftover leftover;
    bool may_abandon; /* the start waits for a pull: it is given up when the pod ends */
    int64_t run_ns;   /* or NODE_FOREVER */
    int32_t exit_code;
    const char *exit_reason; /* "Completed", "Error", "OOMKilled" */
    bool gets_unknown;       /* when run_ns are over the runtime no longer knows its state */
    int64_t pre_stop_ns;     /* how long its preStop hook takes, if it has one */
    int64_t stop_ns;         /* from SIGTERM to its end; beyond the grace period it is killed */
    int32_t stop_code;
    /* when probes have a result, counted from its start; NODE_FOREVER: never */
    int64_t startup_ns, ready_ns, liveness_fails_ns;
    bool startup_fails;
};

enum node_event_kind {
    EVENT_DELETE,        /* through the API; value: grace period in seconds, < 0: the pod's */
    EVENT_EVICT,         /* value: grace period in seconds */
    EVENT_LOSE_SANDBOX,  /* value: 1: its containers die with it */
    EVENT_RESTART_AGENT, /* what the agent only remembers is lost; value: 1: so is what was under
                            way, else the runtime has carried it out */
    EVENT_CHANGE_IMAGE,  /* of container `name`, in the spec */
    EVENT_VANISH,        /* the newest instance of `name` is removed behind the agent's back */
    EVENT_NETWORK,       /* value: 1: ready */
};

struct node_event {
    int64_t at_ns; /* wall */
    enum node_event_kind kind;
    const char *name;
    int64_t value;
};

struct virtual_world {
    void *ctx;
    /** How start number @nth (from 0) of @name goes. */
    void (*start)(void *ctx, const char *name, size_t nth, struct behaviour *ret);
    /** Whether step @kind on @name (or "") fails, and how long it takes. */
    bool (*step)(void *ctx, enum pod_action_kind kind, const char *name, int64_t *ret_takes_ns);
};

/* --- the node --- */

/** The runtime's truth about one instance. */
struct virtual_instance {
    const char *id, *name, *sandbox_id; /* in the node's arena; name: the spec's */
    enum container_state state;
    int32_t restart_count, exit_code;
    uint32_t hash;
    const char *reason;
    int64_t created_ns, started_ns, finished_ns;
    int64_t ends_ns; /* by itself */
    struct behaviour how;
    bool has_started; /* its startup probe has succeeded, or it has none */
    int probes_told;  /* bits 1 << enum virtual_probe */
};

enum virtual_probe { PROBE_STARTUP_TOLD, PROBE_READY_TOLD, PROBE_LIVENESS_TOLD };

struct virtual_op {
    enum pod_action_kind kind;
    const char *target; /* id, container name, or "" */
    const Core__Container *container;
    int64_t ends_ns;
    bool fails, is_cancelled;
    struct behaviour how; /* START */
    int32_t restart_count;
    uint32_t attempt; /* CREATE_SANDBOX */
    bool was_killed;  /* KILL: the grace period will not do */
};

struct virtual_cooldown {
    const char *id;
    int64_t until_ns;
};

/** What the rules remember of one container of the spec. */
struct container_record {
    const Core__Container *container;
    bool is_init, is_sidecar, is_regular; /* none of them: it is ephemeral */
    size_t n_starts;                      /* actions */
    size_t n_instances;                   /* that came to be */
    bool was_started;    /* in the present sandbox: it ran, and its startup probe succeeded */
    bool has_succeeded;  /* in the present sandbox: exited with 0 */
    bool may_start_anew; /* it was killed in order to be started again, or its instance was lost */
    bool lost_sight;     /* its restart count may be ahead of the runtime's */
    bool backs_off;      /* a model of its back-off, made from the spec alone */
    int64_t wait_ns, restarted_ns;
};

struct virtual_node {
    struct arena *arena;
    struct virtual_world world;
    Core__Pod *pod;
    bool is_static;
    int64_t now_ns;
    struct node_event events[NODE_MAX_EVENTS];
    size_t n_events, next_event; /* in order of time */

    /* the runtime */
    struct virtual_instance instances[NODE_MAX_INSTANCES];
    size_t n_instances;
    size_t ids;
    int32_t logs[NODE_MAX_CONTAINERS]; /* highest N of <container>/N.log + 1, per record */
    bool network_ready;

    /* the agent: what it sees, wants and remembers */
    struct pod_desired want;
    struct pod_observed have;
    struct backoff *backoff;
    struct container_note notes[NODE_MAX_CONTAINERS];
    struct start_result results[NODE_MAX_CONTAINERS];
    const char *probed[NODE_MAX_CONTAINERS];
    bool cgroup_ready, volumes_ready, disk_clean, kill_failed;
    int64_t setup_retry_at_ns, cleanup_retry_at_ns;
    struct virtual_cooldown cooldowns[NODE_MAX_OPS];
    size_t n_cooldowns;
    struct virtual_op ops[NODE_MAX_OPS];
    size_t n_ops;
    bool is_evicted;
    int64_t evict_grace_s;
    int64_t agent_started_ns;
    int64_t next_look_ns; /* NODE_FOREVER: none */
    Core__PodStatus *status;
    struct arena *status_arena;
    bool finished; /* nothing is left of the pod */

    /* the rules' memory */
    struct container_record records[NODE_MAX_CONTAINERS];
    size_t n_records;
    bool starts_over;  /* a loss may make it initialise anew, and no regular container ran since */
    size_t idle_looks; /* looks in a row that found nothing to do */
    size_t n_passes;   /* at passes_at_ns */
    int64_t passes_at_ns;
    const char *broken; /* the first rule that did not hold */

    struct buf transcript;
    struct buf shown; /* the last status line */
};

/** Makes a node for the pod in @yaml, decoded strictly and defaulted. Nothing has happened yet. */
void virtual_node_init(struct virtual_node *node, const char *yaml,
                       const struct virtual_world *world);
void virtual_node_done(struct virtual_node *node);
/** Adds what will happen; in any order, before the first run. */
void virtual_node_will(struct virtual_node *node, struct node_event event);
/**
 * Lets time pass until @until_ns (wall), until nothing can happen any more, or until a rule is
 * broken. Returns true when nothing can happen any more.
 */
bool virtual_node_run(struct virtual_node *node, int64_t until_ns);
/** Lets @event happen now. */
void virtual_node_event(struct virtual_node *node, struct node_event event);

/* --- for the parts of the node --- */

/** Adds a line to the transcript. */
void node_tell(struct virtual_node *node, const char *format, ...) PRINTF_LIKE(2, 3);
/** The newest instance of @name that the runtime has, or NULL. */
struct virtual_instance *node_newest(struct virtual_node *node, const char *name);
struct virtual_instance *node_instance(struct virtual_node *node, const char *id);
/** Adds an instance in @state, made by @op. */
struct virtual_instance *node_add_instance(struct virtual_node *node, const struct virtual_op *op,
                                           enum container_state state);
/** Ends a running instance now. */
void node_end_instance(struct virtual_node *node, struct virtual_instance *instance,
                       int32_t exit_code, const char *reason);
void node_remove_instance(struct virtual_node *node, const char *id);
/** Shows sandbox @id as ready or not. */
void node_put_sandbox(struct virtual_node *node, const char *id, bool ready, uint32_t attempt);
size_t node_record_index(const struct virtual_node *node, const char *name);

/** One pass of the agent, and as many more as that asks for. */
void agent_pass(struct virtual_node *node);
/** The operation that is the next to end; NULL: none. */
struct virtual_op *agent_next_op(struct virtual_node *node);
/** Ends @op: what it does is done. */
void agent_end_op(struct virtual_node *node, struct virtual_op *op);
/** A kill ends when its container does. */
void agent_instance_ended(struct virtual_node *node, const char *id);
/** Begins with the end of the pod, as a deletion or a terminal phase asks for. */
void agent_terminate(struct virtual_node *node);
/** Is another process now. */
void agent_restart(struct virtual_node *node, bool carried_out);
/** The next time at which a cooldown is over; NODE_FOREVER: never. */
int64_t agent_next_cooldown(const struct virtual_node *node);
bool agent_is_starting(const struct virtual_node *node, const char *name);
