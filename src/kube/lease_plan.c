/*
 * A period: the lease that is known is updated at once, which is nearly always one request. What
 * goes wrong is tried again without a pause, as time is short; after five failures, or without a
 * lease, it is read or made, with pauses and for as long as it takes, and updated anew. When that
 * fails as well the period is given up.
 *
 * A lease without an owner would outlive its node: before it is made or updated the node is asked
 * for its uid. Without a node the lease is not made; that is for the next period.
 */
#include "kube/lease_plan.h"

/* component-helpers' lease controller: maxUpdateRetries, maxBackoff, the jitter of its renewals. */
#define UPDATE_TRIES 5
#define PAUSE_FIRST_NS (200 * NS_PER_MS)
#define PAUSE_MAX_NS (7 * NS_PER_SEC)
#define PERIOD_JITTER_PERMILLE 40

void lease_plan_init(struct lease_plan *plan, int64_t period_ns)
{
    *plan = (struct lease_plan){.period_ns = period_ns};
}

static struct lease_step ask(struct lease_plan *plan, enum lease_action action)
{
    plan->under_way = action;
    return (struct lease_step){.action = action};
}

static struct lease_step rest(struct lease_plan *plan, uint64_t random)
{
    plan->under_way = LEASE_WAIT;
    plan->is_pause = false;
    return (struct lease_step){.action = LEASE_WAIT,
                               .wait_ns =
                                   jitter_above(plan->period_ns, PERIOD_JITTER_PERMILLE, random)};
}

static struct lease_step give_up(struct lease_plan *plan, uint64_t random)
{
    struct lease_step step = rest(plan, random);
    step.is_given_up = true;
    return step;
}

static struct lease_step pause_ensuring(struct lease_plan *plan)
{
    int64_t wait_ns = plan->pause_ns ? plan->pause_ns : PAUSE_FIRST_NS;
    plan->pause_ns = min_i64(wait_ns * 2, PAUSE_MAX_NS);
    plan->under_way = LEASE_WAIT;
    plan->is_pause = true;
    return (struct lease_step){.action = LEASE_WAIT, .wait_ns = wait_ns};
}

static struct lease_step ensure(struct lease_plan *plan)
{
    plan->is_ensuring = true;
    plan->pause_ns = 0;
    return ask(plan, LEASE_GET);
}

static struct lease_step update(struct lease_plan *plan)
{
    plan->is_ensuring = false;
    return ask(plan, plan->has_owner ? LEASE_UPDATE : LEASE_GET_NODE);
}

static struct lease_step on_attempt_failed(struct lease_plan *plan, bool is_conflict,
                                           uint64_t random)
{
    plan->attempts++;
    /* A conflict is an answer: nothing is wrong with the connection. */
    bool resets = plan->attempts > 1 && !is_conflict;
    struct lease_step step;
    if (plan->attempts < UPDATE_TRIES) {
        step = is_conflict ? ensure(plan) : update(plan);
    } else if (!plan->is_last_resort) {
        plan->is_last_resort = true;
        plan->attempts = 0;
        step = ensure(plan);
    } else {
        step = give_up(plan, random);
    }
    step.resets_connection = resets;
    return step;
}

struct lease_step lease_plan_start(struct lease_plan *plan)
{
    plan->attempts = 0;
    plan->is_last_resort = !plan->has_lease;
    return plan->has_lease ? update(plan) : ensure(plan);
}

struct lease_step lease_plan_on_timer(struct lease_plan *plan)
{
    return plan->is_pause ? ask(plan, LEASE_GET) : lease_plan_start(plan);
}

static struct lease_step on_read(struct lease_plan *plan, enum lease_outcome outcome,
                                 bool has_owner)
{
    switch (outcome) {
    case LEASE_OK:
        plan->has_lease = true;
        plan->has_owner = has_owner;
        return update(plan);
    case LEASE_NOT_FOUND:
        plan->has_lease = false;
        return ask(plan, LEASE_GET_NODE);
    case LEASE_CONFLICT:
    case LEASE_FAILED:
        break;
    }
    return pause_ensuring(plan);
}

static struct lease_step on_node(struct lease_plan *plan, enum lease_outcome outcome,
                                 uint64_t random)
{
    if (outcome == LEASE_OK)
        return ask(plan, plan->is_ensuring ? LEASE_CREATE : LEASE_UPDATE);
    if (plan->is_ensuring)
        return give_up(plan, random);
    return on_attempt_failed(plan, false, random);
}

struct lease_step lease_plan_on_done(struct lease_plan *plan, enum lease_outcome outcome,
                                     bool has_owner, uint64_t random)
{
    switch (plan->under_way) {
    case LEASE_GET:
        return on_read(plan, outcome, has_owner);
    case LEASE_GET_NODE:
        return on_node(plan, outcome, random);
    case LEASE_CREATE:
        if (outcome != LEASE_OK)
            return pause_ensuring(plan);
        plan->has_lease = true;
        plan->has_owner = has_owner;
        return rest(plan, random);
    case LEASE_UPDATE:
        if (outcome != LEASE_OK)
            return on_attempt_failed(plan, outcome == LEASE_CONFLICT, random);
        plan->has_owner = has_owner;
        return rest(plan, random);
    case LEASE_WAIT:
        break;
    }
    ASSERT(plan->under_way != LEASE_WAIT); /* nothing can end that was not begun */
    return rest(plan, random);
}
