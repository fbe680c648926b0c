#include "tests/unit/pod/random_pod.h"

#include "tests/unit/pod/pod_rules.h"

#define LIFE_S 7200
#define END_S 3600
#define SEED_STEP UINT64_C(0x9e3779b97f4a7c15)

/* --- chance --- */

static uint32_t next_random(struct random_pod *pod)
{
    uint64_t z = pod->state += SEED_STEP;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

static uint32_t below(struct random_pod *pod, uint32_t limit)
{
    return next_random(pod) % limit;
}

static bool one_in(struct random_pod *pod, uint32_t count)
{
    return below(pod, count) == 0;
}

/* Up to @most_s seconds in tenths; every third time none at all, so that things coincide. */
static int64_t some_time(struct random_pod *pod, uint32_t most_s)
{
    if (one_in(pod, 3))
        return 0;
    if (one_in(pod, 2))
        return (int64_t)below(pod, most_s + 1) * NS_PER_SEC;
    return (int64_t)below(pod, most_s * 10 + 1) * (NS_PER_SEC / 10);
}

/* --- the pod --- */

static const char *some_policy(struct random_pod *pod)
{
    static const char *const policies[] = {"Always", "OnFailure", "Never"};
    return policies[below(pod, 3)];
}

static void add_rules(struct random_pod *pod)
{
    buf_add_text(&pod->yaml, ", restartPolicyRules: [");
    for (uint32_t count = 1 + below(pod, 2); count > 0; count--)
        buf_printf(&pod->yaml, "{action: Restart, exitCodes: {operator: %s, values: [%u, %u]}}%s",
                   one_in(pod, 3) ? "NotIn" : "In", below(pod, 4), 10 + below(pod, 3),
                   count > 1 ? ", " : "");
    buf_add_text(&pod->yaml, "]");
}

static void add_probe(struct random_pod *pod, const char *name, uint32_t one_in_many)
{
    if (one_in(pod, one_in_many))
        buf_printf(&pod->yaml, ", %s: {exec: {command: [check]}}", name);
}

static void add_container(struct random_pod *pod, const char *name, bool is_init)
{
    bool is_sidecar = is_init && one_in(pod, 2);
    buf_printf(&pod->yaml, "  - {name: %s, image: %s", name, name);
    if (is_sidecar) {
        buf_add_text(&pod->yaml, ", restartPolicy: Always");
    } else if (one_in(pod, 4)) {
        const char *policy = some_policy(pod);
        if (is_init && text_eq(policy, "Always"))
            policy = "OnFailure"; /* it would be a sidecar */
        buf_printf(&pod->yaml, ", restartPolicy: %s", policy);
        if (one_in(pod, 2))
            add_rules(pod);
    }
    if (!is_init || is_sidecar) {
        add_probe(pod, "startupProbe", 4);
        add_probe(pod, "livenessProbe", 5);
        add_probe(pod, "readinessProbe", 5);
        if (one_in(pod, 4))
            buf_add_text(&pod->yaml, ", lifecycle: {preStop: {exec: {command: [stop]}}}");
    }
    buf_add_text(&pod->yaml, "}\n");
}

static void make_yaml(struct random_pod *pod)
{
    static const char *const init_names[] = {"init0", "init1", "init2"};
    static const char *const names[] = {"c0", "c1", "c2", "c3"};
    buf_printf(&pod->yaml,
               "metadata: {name: p, namespace: default}\nspec:\n  restartPolicy: %s\n"
               "  terminationGracePeriodSeconds: %u\n",
               some_policy(pod), one_in(pod, 6) ? 0 : below(pod, 60));
    if (one_in(pod, 6))
        buf_printf(&pod->yaml, "  activeDeadlineSeconds: %u\n", 1 + below(pod, 400));
    uint32_t inits = below(pod, 4), regular = 1 + below(pod, 4);
    if (inits > 0)
        buf_add_text(&pod->yaml, "  initContainers:\n");
    for (uint32_t i = 0; i < inits; i++)
        add_container(pod, init_names[i], true);
    buf_add_text(&pod->yaml, "  containers:\n");
    for (uint32_t i = 0; i < regular; i++)
        add_container(pod, names[i], false);
    uint32_t ephemeral = one_in(pod, 4) ? 1 + below(pod, 2) : 0;
    if (ephemeral > 0)
        buf_add_text(&pod->yaml, "  ephemeralContainers:\n");
    for (uint32_t i = 0; i < ephemeral; i++)
        buf_printf(&pod->yaml, "  - {name: e%u, image: e}\n", i);
}

/* --- what its containers do --- */

static void decide_start(struct random_pod *pod, struct behaviour *ret)
{
    static const struct {
        const char *reason;
        enum leftover leftover;
    } errors[] = {{"ErrImagePull", LEFT_NOTHING},
                  {"ErrImageNeverPull", LEFT_NOTHING},
                  {"CreateContainerConfigError", LEFT_NOTHING},
                  {"CreateContainerError", LEFT_NOTHING},
                  {"CreateContainerError", LEFT_CREATED},
                  {"RunContainerError", LEFT_EXITED}};
    ret->start_ns = some_time(pod, one_in(pod, 8) ? 60 : 3);
    ret->may_abandon = one_in(pod, 2);
    if (!one_in(pod, 10))
        return;
    uint32_t which = below(pod, ARRAY_SIZE(errors));
    ret->start_error = errors[which].reason;
    ret->leftover = errors[which].leftover;
}

static void decide_probes(struct random_pod *pod, struct behaviour *ret)
{
    ret->startup_ns = one_in(pod, 20) ? NODE_FOREVER : some_time(pod, 20);
    ret->startup_fails = one_in(pod, 5);
    ret->ready_ns = one_in(pod, 10) ? NODE_FOREVER : some_time(pod, 20);
    ret->liveness_fails_ns = one_in(pod, 3) ? some_time(pod, 300) : NODE_FOREVER;
}

/* Init containers and jobs come to an end, others run for long; whoever has failed often enough
 * does better, so that most pods come to rest. */
static void decide_run(struct random_pod *pod, bool is_init, size_t nth, struct behaviour *ret)
{
    static const int32_t codes[] = {1, 2, 3, 10, 11, 137};
    bool is_grown_up = nth > 9;
    ret->run_ns = some_time(pod, 30);
    if (one_in(pod, 8))
        ret->run_ns = some_time(pod, 1500);
    if (!is_init && one_in(pod, is_grown_up ? 2 : 4))
        ret->run_ns = NODE_FOREVER;
    if (!one_in(pod, is_grown_up ? 5 : 2)) {
        ret->exit_code = 0;
        ret->exit_reason = "Completed";
    } else {
        ret->exit_code = codes[below(pod, ARRAY_SIZE(codes))];
        ret->exit_reason = "Error";
    }
    if (one_in(pod, 16))
        ret->exit_reason = "OOMKilled";
    ret->gets_unknown = one_in(pod, 30);
    ret->pre_stop_ns = some_time(pod, 20);
    ret->stop_ns = one_in(pod, 6) ? NODE_FOREVER : some_time(pod, 12);
    ret->stop_code = one_in(pod, 2) ? 0 : 143;
}

static void on_start(void *ctx, const char *name, size_t nth, struct behaviour *ret)
{
    struct random_pod *pod = ctx;
    *ret = (struct behaviour){0};
    decide_start(pod, ret);
    decide_probes(pod, ret);
    decide_run(pod, text_has_prefix(name, "init"), nth, ret);
}

static bool on_step(void *ctx, UNUSED enum pod_action_kind kind, UNUSED const char *name,
                    int64_t *ret_takes_ns)
{
    struct random_pod *pod = ctx;
    *ret_takes_ns = one_in(pod, 2) ? 0 : some_time(pod, 2);
    return one_in(pod, 25);
}

/* --- what befalls it --- */

static void will(struct random_pod *pod, int64_t after_ns, enum node_event_kind kind, int64_t value)
{
    virtual_node_will(
        &pod->node,
        (struct node_event){.at_ns = NODE_BEGIN_NS + after_ns, .kind = kind, .value = value});
}

static void will_to_some(struct random_pod *pod, enum node_event_kind kind)
{
    struct virtual_node *node = &pod->node;
    const Core__PodSpec *spec = node->pod->spec; /* ephemeral ones are never changed */
    uint32_t count = (uint32_t)(spec->n_init_containers + spec->n_containers);
    const struct container_record *record = &node->records[below(pod, count)];
    virtual_node_will(node, (struct node_event){.at_ns = NODE_BEGIN_NS + some_time(pod, 600),
                                                .kind = kind,
                                                .name = record->container->name});
}

static void decide_fate(struct random_pod *pod)
{
    for (uint32_t losses = below(pod, 3); losses > 0; losses--)
        will(pod, some_time(pod, 400), EVENT_LOSE_SANDBOX, below(pod, 2));
    for (uint32_t restarts = below(pod, 3); restarts > 0; restarts--)
        will(pod, some_time(pod, 400), EVENT_RESTART_AGENT, below(pod, 2));
    if (one_in(pod, 4))
        will_to_some(pod, EVENT_CHANGE_IMAGE);
    if (one_in(pod, 8))
        will_to_some(pod, EVENT_VANISH);
    if (one_in(pod, 8)) {
        int64_t from_ns = some_time(pod, 200);
        will(pod, from_ns, EVENT_NETWORK, 0);
        will(pod, from_ns + some_time(pod, 200), EVENT_NETWORK, 1);
    }
    if (one_in(pod, 8))
        will(pod, some_time(pod, 600), EVENT_EVICT, below(pod, 10));
    if (!one_in(pod, 2))
        return;
    int64_t end_ns = some_time(pod, one_in(pod, 2) ? 60 : 1200);
    will(pod, end_ns, EVENT_DELETE, one_in(pod, 2) ? -1 : (int64_t)below(pod, 40));
    if (one_in(pod, 3))
        will(pod, end_ns + some_time(pod, 30), EVENT_DELETE, below(pod, 10));
}

void random_pod_init(struct random_pod *pod, uint32_t seed)
{
    *pod = (struct random_pod){.state = seed * SEED_STEP};
    buf_init(&pod->yaml, 64 * KiB);
    make_yaml(pod);
    struct virtual_world world = {.ctx = pod, .start = on_start, .step = on_step};
    virtual_node_init(&pod->node, buf_text(&pod->yaml), &world);
    pod->node.is_static = one_in(pod, 6);
    decide_fate(pod);
}

void random_pod_done(struct random_pod *pod)
{
    virtual_node_done(&pod->node);
    buf_done(&pod->yaml);
}

void random_pod_live(struct random_pod *pod)
{
    struct virtual_node *node = &pod->node;
    virtual_node_run(node, NODE_BEGIN_NS + LIFE_S * NS_PER_SEC);
    if (node->finished || node->broken)
        return;
    node->network_ready = true;
    virtual_node_event(node, (struct node_event){.kind = EVENT_DELETE, .value = -1});
    node->next_look_ns = node->now_ns;
    virtual_node_run(node, node->now_ns + END_S * NS_PER_SEC);
    rule_check(node, node->finished, "a pod that is deleted comes to its end");
}
