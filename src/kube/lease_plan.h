/*
 * The node's heartbeat, step by step: which request about the lease is due. A pure step function;
 * time and random numbers are arguments. Loop thread.
 *
 *     RENEWING: (owner?) PUT ×5 ──ok──► RESTING ──► …
 *        │ conflict, or all failed
 *        ▼
 *     ENSURING: GET ──404──► (owner?) POST ──► RESTING      failed: again after 200 ms … 7 s
 *                └──found──► RENEWING
 *
 * The rules and numbers are those of component-helpers' lease controller.
 */
#pragma once

#include "kube/jitter.h"

enum lease_action {
    LEASE_WAIT,
    LEASE_GET,
    LEASE_GET_NODE, /* for the owner reference */
    LEASE_CREATE,
    LEASE_UPDATE,
};

enum lease_outcome {
    LEASE_OK,
    LEASE_NOT_FOUND,
    LEASE_CONFLICT,
    LEASE_FAILED, /* anything else */
};

struct lease_step {
    enum lease_action action;
    int64_t wait_ns;        /* WAIT */
    bool resets_connection; /* later requests should go over a new one */
    bool is_given_up;       /* the renewal has failed; the next attempt is one period away */
};

struct lease_plan {
    int64_t period_ns; /* set at the start */

    enum lease_action under_way; /* WAIT: nothing */
    bool is_ensuring;            /* GET … CREATE, else updates */
    bool is_pause;               /* WAIT: before another GET, not before the next period */
    bool has_lease;              /* one is known, and may be updated */
    bool has_owner;              /* … and it has owner references */
    bool is_last_resort;         /* the updates of this period have failed or were not possible */
    unsigned attempts;           /* updates tried since the lease was last read */
    int64_t pause_ns;            /* the next one; 0: the first */
};

void lease_plan_init(struct lease_plan *plan, int64_t period_ns);
/** The first step, of a plan that was just made. */
struct lease_step lease_plan_start(struct lease_plan *plan);
/** The wait is over. */
struct lease_step lease_plan_on_timer(struct lease_plan *plan);
/**
 * The request under way ended with @outcome. @has_owner: after GET, CREATE or UPDATE with OK,
 * whether the lease has an owner; after GET_NODE it is the one to be had.
 */
struct lease_step lease_plan_on_done(struct lease_plan *plan, enum lease_outcome outcome,
                                     bool has_owner, uint64_t random);
