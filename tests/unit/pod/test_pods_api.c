/* Pods that come from an API server: admitted or not, ended with the grace they name, taken up
 * again with the status the server remembers. */
#include "pod/api_source.h"

#include "kube/codec.h"
#include "kube/defaults.h"
#include "pod/status.h"
#include "pods_bench.h"

#define NODE_TEXT                                                                                  \
    "metadata: {name: one, labels: {disk: fast}}\n"                                                \
    "status: {allocatable: {pods: '9', cpu: '1', memory: 1Gi}}\n"
#define FULL "resources: {requests: {cpu: '1'}, limits: {cpu: '1'}}"
#define SEEN_NS (1700000000 * NS_PER_SEC)

/* --- an API server's pods --- */

struct api_bench {
    struct bench bench;
    struct pods_gate gate;
    const char *node_text;
    size_t rereads;
    void (*on_reread)(void *ctx);
    void *on_reread_ctx;
};

static ProtobufCMessage *parse(const struct api_bench *api, const char *text,
                               const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = NULL;
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT, .file = "test"};
    assert_no_error(kube_decode_text(str_from(text), type, &options, api->bench.arena, &message));
    return message;
}

static void gate_node(struct pods_gate *self, struct admission_node *ret)
{
    const struct api_bench *api = CONTAINER_OF(self, struct api_bench, gate);
    *ret = (struct admission_node){
        .node = (const Core__Node *)parse(api, api->node_text, &core__node__descriptor),
        .node_name = "one"};
}

static void gate_reread(struct pods_gate *self, void (*on_done)(void *ctx), void *ctx)
{
    struct api_bench *api = CONTAINER_OF(self, struct api_bench, gate);
    api->rereads++;
    api->on_reread = on_done;
    api->on_reread_ctx = ctx;
}

static const struct pods_gate_vtable gate_vtable = {.node = gate_node, .reread = gate_reread};

static void api_init(struct api_bench *api)
{
    *api = (struct api_bench){.node_text = NODE_TEXT, .gate.vtable = &gate_vtable};
    bench_init(&api->bench);
    api->bench.env.gate = &api->gate;
    api->bench.env.sources = 1U << POD_SOURCE_API;
    bench_start(&api->bench);
}

/** Puts pod "u-<name>"; @meta, @spec and @container in YAML flow text, @status a flow map or "". */
static void put(struct api_bench *api, const char *name, const char *meta, const char *spec,
                const char *container, const char *status)
{
    const char *text = arena_printf(
        api->bench.arena,
        "metadata: {name: %s, namespace: d, uid: u-%s%s%s}\n"
        "spec: {%s%scontainers: [{name: c, image: 'img:1', imagePullPolicy: IfNotPresent%s%s}]}\n"
        "status: {%s}\n",
        name, name, *meta ? ", " : "", meta, spec, *spec ? ", " : "", *container ? ", " : "",
        container, status);
    ProtobufCMessage *message = parse(api, text, &core__pod__descriptor);
    pod_set_defaults((Core__Pod *)message, api->bench.arena); /* as the server does */
    AUTO(kube_object)
    const struct kube_object *object = kube_object_new(kube_kind_find("v1", "Pod"), message);
    AUTO(pod_object) struct pod_object *pod = pod_object_from_api(object, SEEN_NS);
    pods_put(api->bench.pods, pod);
}

static void ready(struct api_bench *api)
{
    pods_source_ready(api->bench.pods, POD_SOURCE_API);
    bench_rest(&api->bench);
}

static const Core__PodStatus *status_of(const struct api_bench *api, const char *uid)
{
    struct bench_look look = bench_look(&api->bench, uid);
    assert_true(look.found);
    assert_non_null(look.view.status);
    return look.view.status;
}

/* --- admission --- */

TEST_CASE(an_admitted_pod_runs)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    assert_string_equal(bench_phase(&api.bench, "u-web"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(a_refused_pod_fails_and_never_reaches_the_runtime)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "big", "generation: 3", "", "resources: {requests: {cpu: '2'}}", "");
    ready(&api);
    const Core__PodStatus *status = status_of(&api, "u-big");
    assert_string_equal(status->phase, "Failed");
    assert_string_equal(status->reason, "OutOfcpu");
    assert_string_equal(status->message, "Pod was rejected: Node didn't have enough resource: cpu, "
                                         "requested: 2000, used: 0, capacity: 1000");
    assert_int_equal(status->n_conditions, 0);
    assert_int_equal(status->n_container_statuses, 0);
    assert_int_equal(status->observed_generation, 3);
    assert_non_null(status->start_time);
    assert_int_equal(bench_events(&api.bench, "u-big", "OutOfcpu"), 1);
    assert_true(bench_look(&api.bench, "u-big").view.finished);
    assert_int_equal(fake_runtime_sandboxes(api.bench.fake), 0);
    /* It makes room for nobody and takes none. */
    put(&api, "web", "", "", FULL, "");
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-web"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(labels_that_have_just_changed_are_looked_up_once)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "slow", "", "nodeSelector: {disk: slow}", "", "");
    put(&api, "fast", "", "nodeSelector: {disk: fastest}", "", "");
    pods_source_ready(api.bench.pods, POD_SOURCE_API);
    bench_idle(&api.bench);
    assert_int_equal(api.rereads, 1);
    assert_int_equal(fake_runtime_sandboxes(api.bench.fake), 0);
    api.node_text = "metadata: {name: one, labels: {disk: slow}}\n"
                    "status: {allocatable: {pods: '9', cpu: '1', memory: 1Gi}}\n";
    api.on_reread(api.on_reread_ctx);
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-slow"), "Running");
    assert_string_equal(status_of(&api, "u-fast")->reason, "NodeAffinity");
    assert_int_equal(api.rereads, 1);
    bench_finish(&api.bench);
}

TEST_CASE(a_critical_pod_waits_until_its_place_is_free)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", FULL, "");
    ready(&api);
    put(&api, "vital", "", "priority: 2000000000", FULL, "");
    assert_int_equal(fake_runtime_running(api.bench.fake, "vital", NULL), 0);
    bench_rest(&api.bench);
    const Core__PodStatus *ended = status_of(&api, "u-web");
    assert_string_equal(ended->phase, "Failed");
    assert_string_equal(ended->reason, "Preempting");
    assert_string_equal(ended->message, "Preempted in order to admit critical pod");
    assert_string_equal(ended->conditions[0]->type, "DisruptionTarget");
    assert_string_equal(ended->conditions[0]->reason, "TerminationByKubelet");
    assert_int_equal(bench_events(&api.bench, "u-web", "Preempting"), 1);
    assert_int_equal(fake_runtime_running(api.bench.fake, "web", NULL), 0);
    assert_string_equal(bench_phase(&api.bench, "u-vital"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(what_has_ended_or_is_to_end_is_not_asked_about)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "done", "", "", "resources: {requests: {cpu: '9'}}",
        "phase: Failed, reason: Evicted, message: m, startTime: '2026-01-01T00:00:00Z'");
    put(&api, "going", "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 1",
        "", "resources: {requests: {cpu: '9'}}", "");
    ready(&api);
    assert_string_equal(status_of(&api, "u-done")->reason, "Evicted");
    assert_true(bench_look(&api.bench, "u-done").view.finished);
    assert_int_equal(bench_events(&api.bench, "u-going", "OutOfcpu"), 0);
    assert_true(bench_look(&api.bench, "u-going").view.finished);
    assert_int_equal(fake_runtime_sandboxes(api.bench.fake), 0);
    bench_finish(&api.bench);
}

/* --- lives --- */

TEST_CASE(a_pod_without_a_final_status_is_not_over_while_it_may_run)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    assert_true(bench_look(&api.bench, "u-web").view.could_run);
    assert_false(bench_look(&api.bench, "u-web").view.finished);
    put(&api, "web", "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 1", "",
        "", "");
    bench_rest(&api.bench);
    struct bench_look look = bench_look(&api.bench, "u-web");
    assert_true(look.view.terminating);
    assert_false(look.view.could_run);
    assert_true(look.view.finished);
    assert_true(status_is_terminal(look.view.status));
    /* The server lets go of it. */
    pods_drop(api.bench.pods, POD_SOURCE_API, "u-web");
    bench_rest(&api.bench);
    assert_false(bench_has_pod(&api.bench, "u-web"));
    assert_int_equal(fake_runtime_sandboxes(api.bench.fake), 0);
    bench_finish(&api.bench);
}

TEST_CASE(the_status_of_before_goes_on)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "readinessGates: [{conditionType: example.com/g}]", "",
        "phase: Running, startTime: '2026-01-01T00:00:00Z', conditions: ["
        "{type: example.com/g, status: 'True'}, "
        "{type: PodScheduled, status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z'}]");
    ready(&api);
    const Core__PodStatus *status = status_of(&api, "u-web");
    assert_int_equal(status->start_time->seconds, 1767225600);
    assert_string_equal(status->conditions[0]->type, "example.com/g");
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "PodScheduled"))
            assert_int_equal(status->conditions[i]->last_transition_time->seconds, 1767225600);
        assert_string_equal(status->conditions[i]->status, "True");
    }
    /* A gate that closes is seen without anything else having changed. */
    put(&api, "web", "", "readinessGates: [{conditionType: example.com/g}]", "",
        "phase: Running, conditions: [{type: example.com/g, status: 'False'}]");
    bench_rest(&api.bench);
    status = status_of(&api, "u-web");
    for (size_t i = 0; i < status->n_conditions; i++) {
        if (text_eq(status->conditions[i]->type, "Ready"))
            assert_string_equal(status->conditions[i]->reason, "ReadinessGatesNotReady");
    }
    bench_finish(&api.bench);
}

TEST_CASE(a_status_that_comes_back_disturbs_nothing)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "resourceVersion: '1'", "", "", "");
    ready(&api);
    size_t calls = fake_runtime_calls(api.bench.fake);
    put(&api, "web", "resourceVersion: '2'", "", "", "phase: Running");
    bench_rest(&api.bench);
    assert_int_equal(fake_runtime_calls(api.bench.fake), calls);
    assert_string_equal(
        bench_look(&api.bench, "u-web").view.object->pod->metadata->resource_version, "2");
    bench_finish(&api.bench);
}

TEST_CASE(another_source_s_set_leaves_api_pods_alone)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    pods_set_desired(api.bench.pods, POD_SOURCE_FILE, NULL, 0);
    pods_drop(api.bench.pods, POD_SOURCE_FILE, "u-web");
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-web"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(nobody_is_an_orphan_before_every_source_has_spoken)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    bench_stop(&api.bench);
    api.bench.env.sources = 1U << POD_SOURCE_API | 1U << POD_SOURCE_FILE;
    bench_start(&api.bench);
    pods_set_desired(api.bench.pods, POD_SOURCE_FILE, NULL, 0);
    bench_idle(&api.bench);
    assert_false(pods_sources_are_ready(api.bench.pods));
    assert_int_equal(fake_runtime_running(api.bench.fake, "web", NULL), 1);
    pods_source_ready(api.bench.pods, POD_SOURCE_API);
    bench_rest(&api.bench);
    assert_int_equal(fake_runtime_running(api.bench.fake, "web", NULL), 0);
    bench_finish(&api.bench);
}

TEST_CASE(a_kill_says_why_and_may_be_quick)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    const struct pod_kill kill = {
        .has_grace = true, .grace_s = 1, .reason = "Evicted", .message = "low on memory"};
    pods_kill(api.bench.pods, "u-web", &kill);
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-web"), "Failed");
    assert_string_equal(status_of(&api, "u-web")->reason, "Evicted");
    assert_string_equal(status_of(&api, "u-web")->message, "low on memory");
    bench_finish(&api.bench);
}

/* --- who is told --- */

struct told {
    size_t changes, gone;
};

static void on_change(void *ctx, const struct pod_view *view)
{
    assert_string_equal(view->uid, "u-web");
    ((struct told *)ctx)->changes++;
}

static void on_gone(void *ctx, const struct pod_view *view)
{
    assert_string_equal(view->uid, "u-web");
    ((struct told *)ctx)->gone++;
}

TEST_CASE(changes_are_told_in_a_turn_of_their_own)
{
    struct api_bench api;
    struct told told = {0};
    api_init(&api);
    const struct pods_listener listener = {
        .on_change = on_change, .on_gone = on_gone, .ctx = &told};
    pods_listen(api.bench.pods, &listener);
    put(&api, "web", "", "", "", "");
    assert_int_equal(told.changes, 0);
    ready(&api);
    assert_true(told.changes >= 2);
    size_t before = told.changes;
    bench_idle(&api.bench);
    assert_int_equal(told.changes, before);
    pods_drop(api.bench.pods, POD_SOURCE_API, "u-web");
    assert_int_equal(told.gone, 0);
    bench_rest(&api.bench);
    assert_int_equal(told.gone, 1);
    bench_finish(&api.bench);
}

TEST_MAIN(TEST(an_admitted_pod_runs), TEST(a_refused_pod_fails_and_never_reaches_the_runtime),
          TEST(labels_that_have_just_changed_are_looked_up_once),
          TEST(a_critical_pod_waits_until_its_place_is_free),
          TEST(what_has_ended_or_is_to_end_is_not_asked_about),
          TEST(a_pod_without_a_final_status_is_not_over_while_it_may_run),
          TEST(the_status_of_before_goes_on), TEST(a_status_that_comes_back_disturbs_nothing),
          TEST(another_source_s_set_leaves_api_pods_alone),
          TEST(nobody_is_an_orphan_before_every_source_has_spoken),
          TEST(a_kill_says_why_and_may_be_quick), TEST(changes_are_told_in_a_turn_of_their_own))
