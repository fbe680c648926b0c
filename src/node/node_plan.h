/*
 * What this node's object needs next: a request to register it, a look at its status, or rest. The
 * rules and numbers are those of the kubelet's registration and status loops (spec node.md §4, §5),
 * but for what its fast loop polls for, which is a wake here. Pure: time and random numbers are
 * arguments. Loop thread.
 *
 *     REGISTERING: CREATE ──ok──────────────────────────────────► KEEPING
 *        ▲           └──exists, forbidden──► READ ──► RECONCILE ─────┤
 *        │           failed: again after 100 ms … 7 s                │
 *        └────────────────── the object is gone ─────────────────────┘
 *
 *     KEEPING: REST ──due──► UPDATE ──failed──► GET ──► UPDATE … 5 tries ──► REST
 *                └──woken──► UPDATE, sent at once when a condition flips
 */
#pragma once

#include "base/base.h"

enum node_action {
    NODE_REST,      /* nothing, for wait_ns; negative: until told */
    NODE_CREATE,    /* the initial object */
    NODE_READ,      /* the existing one, to register it */
    NODE_RECONCILE, /* the existing one, if it differs */
    NODE_GET,       /* for the next try of an update */
    NODE_UPDATE,    /* look at the status; send it if node_plan_sends() says so */
};

enum node_outcome {
    NODE_OK,
    NODE_UNSENT, /* UPDATE, RECONCILE: nothing to send */
    NODE_EXISTS, /* CREATE: AlreadyExists or Forbidden */
    NODE_GONE,   /* GET: NotFound */
    NODE_FAILED, /* anything else */
};

struct node_step {
    enum node_action action;
    int64_t wait_ns;    /* REST */
    bool starts_period; /* UPDATE: because of the time, not of a wake */
};

/** What an answer means beyond the plan. */
struct node_verdict {
    bool is_registered;     /* it is now, and was not */
    bool is_gone;           /* it was, and is not any more */
    bool resets_connection; /* later requests should go over a new one */
    bool is_given_up;       /* an update has failed five times; the next is a period away */
};

/** What a look at the status has found. */
struct node_difference {
    bool is_changed; /* more than the heartbeat */
    bool is_urgent;  /* a condition has another status */
};

struct node_plan {
    int64_t update_period_ns, report_period_ns;
    bool registers; /* registerNode */

    bool is_started, is_registered;
    enum node_action under_way; /* REST: nothing */
    enum node_action next;      /* the request that follows, while more than one belong together */
    int64_t due_ns;             /* mono: the next attempt to register, or periodic update */
    int64_t pause_ns;           /* after the next failure to register; 0: the first */
    int64_t gone_pause_ns;      /* before registering again; 0: none */
    int64_t registered_ns;      /* mono */

    unsigned tries; /* of the update under way; 0: none is */
    bool is_quick;  /* it is because of a wake */
    bool is_woken, is_hurried;
    int64_t look_ns;   /* mono: something urgent waits until then; 0: nothing does */
    int64_t urgent_ns; /* mono: when those sent would all have had their pause, one by one */

    int64_t reported_ns;     /* mono: when the server last took a status; 0: never */
    int64_t report_delay_ns; /* on top of the report period */
};

void node_plan_init(struct node_plan *plan, bool registers, int64_t update_period_ns,
                    int64_t report_period_ns);
/** Nothing is done before. */
void node_plan_start(struct node_plan *plan, int64_t now_ns);
/** Something may have changed; @is_hurried: what has is not to wait for the next period. */
void node_plan_wake(struct node_plan *plan, bool is_hurried);

/* What the watch tells of the object. Each returns true when that makes is_registered another. */
bool node_plan_seen(struct node_plan *plan, int64_t now_ns);
bool node_plan_gone(struct node_plan *plan, int64_t now_ns);

/** What to do now; nothing may be under way. What it gives is under way until node_plan_on_done(),
 * unless it is REST. */
struct node_step node_plan_next(struct node_plan *plan, int64_t now_ns);

/** The UPDATE under way: is what was found to be sent? If not, its outcome is UNSENT. */
bool node_plan_sends(struct node_plan *plan, const struct node_difference *found, int64_t now_ns,
                     uint64_t random);

struct node_verdict node_plan_on_done(struct node_plan *plan, enum node_outcome outcome,
                                      int64_t now_ns, uint64_t random);
