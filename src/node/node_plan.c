#include "node/node_plan.h"

#include "kube/jitter.h"

/* The kubelet's registration: sleeps of 100 ms, doubled, 7 s at most. It sleeps before the first
 * attempt too, we do not. */
#define REGISTER_PAUSE_NS (100 * NS_PER_MS)
#define REGISTER_PAUSE_MAX_NS (7 * NS_PER_SEC)
/* Ours: who deletes the object again and again meets these pauses, not one for each deletion. */
#define REGISTERED_FOR_GOOD_NS (60 * NS_PER_SEC)
/* Ours: the configuration may say less, even less than nothing, which would keep the loop busy. */
#define UPDATE_PERIOD_MIN_NS (100 * NS_PER_MS)
#define UPDATE_TRIES 5 /* nodeStatusUpdateRetry */
#define PERIOD_JITTER_PERMILLE 40
/* Ours: a node that flips is told of no more than this often, after a few that are told at once: a
 * start has several. The last state is always told. */
#define URGENT_PAUSE_NS NS_PER_SEC
#define URGENT_BURST 3

void node_plan_init(struct node_plan *plan, bool registers, int64_t update_period_ns,
                    int64_t report_period_ns)
{
    *plan = (struct node_plan){.update_period_ns = max_i64(update_period_ns, UPDATE_PERIOD_MIN_NS),
                               .report_period_ns = report_period_ns,
                               .registers = registers,
                               .next = NODE_CREATE};
}

void node_plan_start(struct node_plan *plan, int64_t now_ns)
{
    plan->is_started = true;
    plan->due_ns = now_ns;
}

void node_plan_wake(struct node_plan *plan, bool is_hurried)
{
    plan->is_woken = true;
    plan->is_hurried = plan->is_hurried || is_hurried;
}

/* --- the object comes and goes --- */

static void set_registered(struct node_plan *plan, int64_t now_ns)
{
    plan->is_registered = true;
    plan->registered_ns = now_ns;
    plan->pause_ns = 0;
    plan->due_ns = now_ns;
    plan->tries = 0;
    plan->look_ns = 0;
    plan->reported_ns = 0;
}

static int64_t next_pause(int64_t *pause_ns)
{
    int64_t pause = *pause_ns ? *pause_ns : REGISTER_PAUSE_NS;
    *pause_ns = min_i64(sat_mul_i64(pause, 2), REGISTER_PAUSE_MAX_NS);
    return pause;
}

static void set_gone(struct node_plan *plan, int64_t now_ns)
{
    bool was_for_good = sat_sub_i64(now_ns, plan->registered_ns) >= REGISTERED_FOR_GOOD_NS;
    plan->is_registered = false;
    plan->next = NODE_CREATE;
    plan->tries = 0;
    plan->due_ns = now_ns;
    if (was_for_good)
        plan->gone_pause_ns = 0;
    else
        plan->due_ns = sat_add_i64(now_ns, next_pause(&plan->gone_pause_ns));
}

bool node_plan_seen(struct node_plan *plan, int64_t now_ns)
{
    if (plan->registers || plan->is_registered)
        return false;
    set_registered(plan, now_ns);
    return true;
}

bool node_plan_gone(struct node_plan *plan, int64_t now_ns)
{
    if (!plan->is_registered)
        return false;
    set_gone(plan, now_ns);
    return true;
}

/* --- what next --- */

static struct node_step begin(struct node_plan *plan, enum node_action action)
{
    plan->under_way = action;
    return (struct node_step){.action = action,
                              .starts_period =
                                  action == NODE_UPDATE && plan->tries == 1 && !plan->is_quick};
}

static struct node_step rest(int64_t until_ns, int64_t now_ns)
{
    return (struct node_step){.action = NODE_REST, .wait_ns = max_i64(until_ns - now_ns, 0)};
}

static struct node_step begin_update(struct node_plan *plan, bool is_quick)
{
    plan->tries = 1;
    plan->is_quick = is_quick;
    plan->is_woken = false;
    plan->look_ns = 0;
    return begin(plan, NODE_UPDATE);
}

struct node_step node_plan_next(struct node_plan *plan, int64_t now_ns)
{
    ASSERT(plan->under_way == NODE_REST);
    if (!plan->is_started || (!plan->is_registered && !plan->registers))
        return (struct node_step){.action = NODE_REST, .wait_ns = -1};
    if (!plan->is_registered)
        return now_ns < plan->due_ns ? rest(plan->due_ns, now_ns) : begin(plan, plan->next);
    if (plan->tries > 0)
        return begin(plan, plan->next == NODE_GET ? NODE_GET : NODE_UPDATE);
    if (now_ns >= plan->due_ns)
        return begin_update(plan, false);
    if (plan->is_woken || (plan->look_ns > 0 && now_ns >= plan->look_ns))
        return begin_update(plan, true);
    return rest(plan->look_ns > 0 ? min_i64(plan->due_ns, plan->look_ns) : plan->due_ns, now_ns);
}

/* --- what is sent --- */

static bool is_report_due(const struct node_plan *plan, int64_t now_ns)
{
    int64_t period_ns = sat_add_i64(plan->report_period_ns, plan->report_delay_ns);
    return plan->reported_ns == 0 || sat_sub_i64(now_ns, plan->reported_ns) >= period_ns;
}

/* A status that waits for its turn because too many flips were told just now. */
static bool has_to_wait(struct node_plan *plan, int64_t now_ns)
{
    int64_t free_ns = sat_sub_i64(plan->urgent_ns, (URGENT_BURST - 1) * URGENT_PAUSE_NS);
    if (now_ns >= free_ns)
        return false;
    plan->look_ns = free_ns;
    return true;
}

/* Changes come to many nodes at once; their next reports are scattered over a period. */
static int64_t scatter(const struct node_plan *plan, uint64_t random)
{
    int64_t half_ns = plan->report_period_ns / 2;
    return jitter_between(-half_ns, half_ns, random);
}

bool node_plan_sends(struct node_plan *plan, const struct node_difference *found, int64_t now_ns,
                     uint64_t random)
{
    bool is_urgent = found->is_changed && (found->is_urgent || plan->is_hurried);
    if (plan->is_quick && plan->tries == 1) {
        if (is_urgent && has_to_wait(plan, now_ns))
            return false;
        plan->is_hurried = false;
        if (!is_urgent)
            return false;
    } else if (!found->is_changed && !is_report_due(plan, now_ns)) {
        return false;
    }
    bool is_scattered = found->is_changed || plan->reported_ns == 0;
    plan->report_delay_ns = is_scattered ? scatter(plan, random) : 0;
    plan->is_hurried = false;
    if (is_urgent)
        plan->urgent_ns = sat_add_i64(max_i64(plan->urgent_ns, now_ns), URGENT_PAUSE_NS);
    return true;
}

/* --- answers --- */

static int64_t next_period(const struct node_plan *plan, int64_t now_ns, uint64_t random)
{
    return sat_add_i64(now_ns,
                       jitter_above(plan->update_period_ns, PERIOD_JITTER_PERMILLE, random));
}

static struct node_verdict register_done(struct node_plan *plan, enum node_action action,
                                         enum node_outcome outcome, int64_t now_ns, uint64_t random)
{
    bool is_ok = outcome == NODE_OK || outcome == NODE_UNSENT;
    if (action == NODE_READ ? is_ok : action == NODE_CREATE && outcome == NODE_EXISTS) {
        plan->next = action == NODE_READ ? NODE_RECONCILE : NODE_READ;
        return (struct node_verdict){0};
    }
    plan->next = NODE_CREATE;
    if (!is_ok) {
        plan->due_ns = sat_add_i64(now_ns, next_pause(&plan->pause_ns));
        return (struct node_verdict){0};
    }
    set_registered(plan, now_ns);
    if (action == NODE_CREATE) {
        /* The status came with it: what has changed meanwhile is all there is to be told. */
        plan->reported_ns = now_ns;
        plan->report_delay_ns = scatter(plan, random);
        plan->due_ns = next_period(plan, now_ns, random);
        plan->is_woken = true;
    }
    return (struct node_verdict){.is_registered = true};
}

static void end_update(struct node_plan *plan, int64_t now_ns, uint64_t random)
{
    bool is_period = !plan->is_quick || plan->tries > 1;
    plan->tries = 0;
    plan->next = NODE_CREATE;
    if (is_period)
        plan->due_ns = next_period(plan, now_ns, random);
}

static struct node_verdict update_failed(struct node_plan *plan, int64_t now_ns, uint64_t random)
{
    struct node_verdict verdict = {.resets_connection = plan->tries >= 2};
    verdict.is_given_up = plan->tries == UPDATE_TRIES;
    if (verdict.is_given_up) {
        end_update(plan, now_ns, random);
    } else {
        plan->tries++;
        plan->next = NODE_GET;
    }
    return verdict;
}

struct node_verdict node_plan_on_done(struct node_plan *plan, enum node_outcome outcome,
                                      int64_t now_ns, uint64_t random)
{
    enum node_action action = plan->under_way;
    ASSERT(action != NODE_REST);
    plan->under_way = NODE_REST;
    switch (action) {
    case NODE_CREATE:
    case NODE_READ:
    case NODE_RECONCILE:
        return register_done(plan, action, outcome, now_ns, random);
    case NODE_GET:
    case NODE_UPDATE:
    case NODE_REST:
        break;
    }
    if (!plan->is_registered) /* gone meanwhile, says the watch */
        return (struct node_verdict){0};
    if (outcome == NODE_GONE) {
        set_gone(plan, now_ns);
        return (struct node_verdict){.is_gone = true};
    }
    if (outcome == NODE_FAILED)
        return update_failed(plan, now_ns, random);
    if (action == NODE_GET) {
        plan->next = NODE_UPDATE;
        return (struct node_verdict){0};
    }
    if (outcome == NODE_OK)
        plan->reported_ns = now_ns;
    end_update(plan, now_ns, random);
    return (struct node_verdict){0};
}
