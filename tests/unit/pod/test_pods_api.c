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
    const char *node_text, *node_name;
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
        .node_name = api->node_name};
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
    *api =
        (struct api_bench){.node_text = NODE_TEXT, .node_name = "one", .gate.vtable = &gate_vtable};
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

/* Of two pods that were made long ago one is made of files alone, and not in the host's network. */
TEST_CASE(starts_are_timed_from_the_pod_s_creation)
{
    static const char created[] = "creationTimestamp: '2026-01-01T00:00:00Z'",
                      total[] = "kubelet_pod_start_total_duration_seconds",
                      sli[] = "kubelet_pod_start_sli_duration_seconds",
                      first[] = "kubelet_first_network_pod_start_sli_duration_seconds";
    struct api_bench api;
    api_init(&api);
    put(&api, "host", created, "volumes: [{name: h, hostPath: {path: /}}]", "", "");
    put(&api, "node", created, "hostNetwork: true", "", "");
    ready(&api);
    assert_int_equal(metrics_count(api.bench.metrics, total, ""), 2);
    assert_int_equal(metrics_count(api.bench.metrics, sli, ""), 1);
    assert_float_equal(metrics_value(api.bench.metrics, first, ""), 0, 0);
    put(&api, "web", created, "", "", "");
    bench_rest(&api.bench);
    assert_int_equal(metrics_count(api.bench.metrics, sli, ""), 2);
    assert_true(metrics_value(api.bench.metrics, first, "") > 3600);
    assert_true(metrics_sum(api.bench.metrics, total, "") >
                metrics_sum(api.bench.metrics, sli, ""));
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
    static const char rejections[] = "kubelet_admission_rejections_total";
    assert_float_equal(metrics_value(api.bench.metrics, rejections, "OutOfcpu"), 1, 0);
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
    assert_float_equal(metrics_value(api.bench.metrics, "kubelet_preemptions", "cpu"), 1, 0);
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

TEST_CASE(all_listeners_are_told_until_they_go)
{
    struct api_bench api;
    struct told first = {0}, second = {0};
    api_init(&api);
    struct pods_listener listener = {.on_change = on_change, .on_gone = on_gone, .ctx = &first};
    pods_listen(api.bench.pods, &listener);
    listener.ctx = &second;
    pods_listen(api.bench.pods, &listener);
    put(&api, "web", "", "", "", "");
    ready(&api);
    assert_true(first.changes > 0);
    assert_int_equal(first.changes, second.changes);
    pods_unlisten(api.bench.pods, &first);
    pods_drop(api.bench.pods, POD_SOURCE_API, "u-web");
    bench_rest(&api.bench);
    assert_int_equal(first.gone, 0);
    assert_int_equal(second.gone, 1);
    bench_finish(&api.bench);
}

/* --- pods and their successors --- */

#define DOOR                                                                                       \
    "containers: [{name: c, image: 'img:1', ports: [{containerPort: 80, hostPort: 80}], " FULL "}" \
    "]"

TEST_CASE(a_manifest_that_was_edited_takes_the_room_of_what_it_was)
{
    struct api_bench api;
    api_init(&api);
    api.node_name = "n";
    pods_source_ready(api.bench.pods, POD_SOURCE_API);
    bench_want_uid(&api.bench, "web", "u-1", DOOR);
    bench_tell(&api.bench);
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-1"), "Running");
    bench_drop(&api.bench, "u-1");
    bench_want_uid(&api.bench, "web", "u-2", DOOR);
    bench_tell(&api.bench);
    bench_rest(&api.bench);
    assert_false(bench_has_pod(&api.bench, "u-1"));
    assert_string_equal(bench_phase(&api.bench, "u-2"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(a_static_pod_does_not_wait_for_an_api_pod_of_its_name)
{
    struct api_bench api;
    api_init(&api);
    api.node_name = "n";
    put(&api, "web-n", "", "", "", "");
    ready(&api);
    bench_want_uid(&api.bench, "web, namespace: d", "u-static", BENCH_WEB);
    bench_tell(&api.bench);
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-web-n"), "Running");
    assert_string_equal(bench_phase(&api.bench, "u-static"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(a_running_pod_that_is_refused_after_a_restart_is_ended)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", FULL, "");
    ready(&api);
    bench_stop(&api.bench);
    api.node_text = "metadata: {name: one}\nstatus: {allocatable: {pods: '9', cpu: 500m}}\n";
    bench_start(&api.bench);
    put(&api, "web", "", "", FULL, "phase: Running, startTime: '2026-01-01T00:00:00Z'");
    ready(&api);
    assert_string_equal(status_of(&api, "u-web")->phase, "Failed");
    assert_string_equal(status_of(&api, "u-web")->reason, "OutOfcpu");
    assert_int_equal(status_of(&api, "u-web")->start_time->seconds, 1767225600);
    assert_int_equal(fake_runtime_running(api.bench.fake, "web", NULL), 0);
    assert_true(bench_look(&api.bench, "u-web").view.finished);
    bench_finish(&api.bench);
}

TEST_CASE(who_is_deleted_while_it_waits_for_the_node_makes_nobody_leave)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "vital", "", "priority: 2000000000, nodeSelector: {disk: slow}", FULL, "");
    put(&api, "web", "", "", FULL, "");
    ready(&api);
    assert_int_equal(api.rereads, 1);
    put(&api, "vital", "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 1",
        "priority: 2000000000, nodeSelector: {disk: slow}", FULL, "");
    bench_rest(&api.bench);
    api.node_text = "metadata: {name: one, labels: {disk: slow}}\n"
                    "status: {allocatable: {pods: '9', cpu: '1', memory: 1Gi}}\n";
    api.on_reread(api.on_reread_ctx);
    bench_rest(&api.bench);
    assert_string_equal(bench_phase(&api.bench, "u-web"), "Running");
    assert_int_equal(bench_events(&api.bench, "u-vital", "NodeAffinity"), 0);
    assert_true(bench_look(&api.bench, "u-vital").view.finished);
    bench_finish(&api.bench);
}

TEST_CASE(room_that_is_promised_is_nobody_else_s)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", FULL, "");
    ready(&api);
    fake_runtime_hold(api.bench.fake, RUNTIME_STOP_CONTAINER, true);
    put(&api, "vital", "", "priority: 2000000000", FULL, "");
    bench_until(&api.bench, fake_runtime_count(api.bench.fake, RUNTIME_STOP_CONTAINER) == 1);
    assert_null(bench_look(&api.bench, "u-vital").view.status);
    put(&api, "late", "", "", FULL, "");
    put(&api, "small", "", "", "", "");
    fake_runtime_hold(api.bench.fake, RUNTIME_STOP_CONTAINER, false);
    bench_rest(&api.bench);
    assert_string_equal(status_of(&api, "u-late")->message,
                        "Pod was rejected: Node didn't have enough resource: cpu, requested: "
                        "1000, used: 1000, capacity: 1000");
    assert_string_equal(bench_phase(&api.bench, "u-vital"), "Running");
    assert_string_equal(bench_phase(&api.bench, "u-small"), "Running");
    bench_finish(&api.bench);
}

TEST_CASE(an_orphan_that_was_wanted_for_a_moment_does_not_come_back)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    bench_stop(&api.bench);
    fake_runtime_hold(api.bench.fake, RUNTIME_STOP_CONTAINER, true);
    bench_start(&api.bench);
    pods_source_ready(api.bench.pods, POD_SOURCE_API);
    bench_until(&api.bench, fake_runtime_count(api.bench.fake, RUNTIME_STOP_CONTAINER) == 1);
    put(&api, "web", "", "", "", "");
    pods_drop(api.bench.pods, POD_SOURCE_API, "u-web");
    fake_runtime_hold(api.bench.fake, RUNTIME_STOP_CONTAINER, false);
    bench_rest(&api.bench);
    assert_false(bench_has_pod(&api.bench, "u-web"));
    bench_finish(&api.bench);
}

/* --- ends --- */

TEST_CASE(a_kill_begins_anew_only_when_there_is_less_time)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    bench_fault(&api.bench, RUNTIME_STOP_CONTAINER, FAKE_HUNG);
    const struct pod_kill kill = {.reason = "Evicted", .message = "m"};
    pods_kill(api.bench.pods, "u-web", &kill);
    bench_until(&api.bench, fake_runtime_count(api.bench.fake, RUNTIME_STOP_CONTAINER) == 1);
    put(&api, "web", "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30",
        "", "", "");
    bench_idle(&api.bench);
    assert_int_equal(fake_runtime_count(api.bench.fake, RUNTIME_STOP_CONTAINER), 1);
    put(&api, "web", "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 5", "",
        "", "");
    bench_until(&api.bench, fake_runtime_count(api.bench.fake, RUNTIME_STOP_CONTAINER) == 2);
    bench_rest(&api.bench);
    assert_non_null(strstr(bench_transcript(&api.bench), "StopContainer web.c/0 5"));
    bench_finish(&api.bench);
}

TEST_CASE(a_pod_that_others_declare_over_is_ended)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", "", "");
    ready(&api);
    put(&api, "web", "", "", "", "phase: Failed, reason: Lost, message: m");
    bench_rest(&api.bench);
    assert_string_equal(status_of(&api, "u-web")->phase, "Failed");
    assert_string_equal(status_of(&api, "u-web")->reason, "Lost");
    assert_true(bench_look(&api.bench, "u-web").view.finished);
    assert_int_equal(fake_runtime_running(api.bench.fake, "web", NULL), 0);
    bench_finish(&api.bench);
}

TEST_CASE(what_was_over_in_time_is_not_late)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "done", "", "activeDeadlineSeconds: 1", "",
        "phase: Succeeded, startTime: '2026-01-01T00:00:00Z'");
    put(&api, "late", "", "activeDeadlineSeconds: 1", "",
        "phase: Running, startTime: '2026-01-01T00:00:00Z'");
    ready(&api);
    assert_string_equal(status_of(&api, "u-done")->phase, "Succeeded");
    assert_null(status_of(&api, "u-done")->reason);
    assert_string_equal(status_of(&api, "u-late")->phase, "Failed");
    assert_string_equal(status_of(&api, "u-late")->reason, "DeadlineExceeded");
    assert_int_equal(bench_events(&api.bench, "u-late", "DeadlineExceeded"), 1);
    bench_finish(&api.bench);
}

TEST_CASE(the_mirror_of_before_does_not_end_a_static_pod)
{
    struct api_bench api;
    api_init(&api);
    api.node_name = "n";
    bench_want_uid(&api.bench, "web", "u-1", BENCH_WEB);
    bench_tell(&api.bench);
    const Core__PodStatus *status = (const Core__PodStatus *)parse(
        &api, "phase: Failed\nstartTime: '2026-01-01T00:00:00Z'\n", &core__pod_status__descriptor);
    pods_recover_status(api.bench.pods, "u-1", status);
    ready(&api);
    assert_string_equal(bench_phase(&api.bench, "u-1"), "Running");
    bench_finish(&api.bench);
}

/* --- probes and volumes while objects come and go --- */

#define PROBE "readinessProbe: {exec: {command: [check]}, periodSeconds: 1, timeoutSeconds: 1}"

TEST_CASE(probes_go_on_while_the_object_is_replaced)
{
    struct api_bench api;
    api_init(&api);
    put(&api, "web", "", "", PROBE, "");
    pods_source_ready(api.bench.pods, POD_SOURCE_API);
    bench_until(&api.bench, text_eq(bench_state(&api.bench, "u-web", "c"), "running"));
    put(&api, "web", "", "", PROBE, "phase: Running");
    put(&api, "web", "labels: {a: b}", "", PROBE, "phase: Running");
    bench_until(&api.bench, bench_container(&api.bench, "u-web", "c")->ready);
    size_t probed = fake_runtime_count(api.bench.fake, RUNTIME_EXEC_SYNC);
    put(&api, "web", "labels: {a: b}", "activeDeadlineSeconds: 2000000000", PROBE, "");
    bench_until(&api.bench, fake_runtime_count(api.bench.fake, RUNTIME_EXEC_SYNC) > probed);
    /* A pod that is deleted is ready for as long as its probes say so. */
    fake_runtime_hold(api.bench.fake, RUNTIME_STOP_CONTAINER, true);
    put(&api, "web", "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30",
        "", PROBE, "");
    bench_until(&api.bench, fake_runtime_count(api.bench.fake, RUNTIME_STOP_CONTAINER) == 1);
    bench_idle(&api.bench);
    assert_true(bench_container(&api.bench, "u-web", "c")->ready);
    fake_runtime_hold(api.bench.fake, RUNTIME_STOP_CONTAINER, false);
    bench_rest(&api.bench);
    bench_finish(&api.bench);
}

static struct error *label_a(UNUSED void *ctx, UNUSED const Core__ObjectFieldSelector *field,
                             const Core__Pod *pod, UNUSED struct arena *arena, const char **ret)
{
    const char *value = pod_label(pod, "a");
    *ret = value ? value : "none";
    return NULL;
}

#define WITH_LABEL                                                                                 \
    "volumes: [{name: v, downwardAPI: {defaultMode: 420, items: [{path: a, fieldRef: {fieldPath: " \
    "metadata.labels}}]}}]"
#define MOUNT "volumeMounts: [{name: v, mountPath: /v}]"
#define LABEL_FILE "root/pods/u-web/volumes/kubernetes.io~downward-api/v/a"

static bool reads(const struct api_bench *api, const char *text)
{
    AUTO(buf) struct buf content;
    buf_init(&content, KiB);
    struct error *err = fd_read_file_blocking(bench_path(&api->bench, LABEL_FILE), &content);
    bool is_it = !err && text_eq(buf_text(&content), text);
    error_ignore(err, "it is not there yet");
    return is_it;
}

TEST_CASE(volumes_follow_after_the_spec_has_changed_elsewhere)
{
    struct api_bench api;
    api_init(&api);
    struct volume_options volumes = {.root_dir = bench_path(&api.bench, "root"),
                                     .sources = {.field = label_a}};
    bench_stop(&api.bench);
    volume_manager_free(api.bench.volumes);
    api.bench.volumes = volume_manager_new(api.bench.loop, api.bench.pool, &volumes);
    api.bench.env.volumes = api.bench.volumes;
    bench_start(&api.bench);
    put(&api, "web", "labels: {a: one}", WITH_LABEL, MOUNT, "");
    ready(&api);
    bench_until(&api.bench, reads(&api, "one"));
    put(&api, "web", "labels: {a: one}", "activeDeadlineSeconds: 2000000000, " WITH_LABEL, MOUNT,
        "");
    bench_rest(&api.bench);
    put(&api, "web", "labels: {a: two}", "activeDeadlineSeconds: 2000000000, " WITH_LABEL, MOUNT,
        "");
    bench_until(&api.bench, reads(&api, "two"));
    pods_drop(api.bench.pods, POD_SOURCE_API, "u-web");
    bench_rest(&api.bench);
    bench_finish(&api.bench);
}

TEST_CASE(a_runtime_that_was_never_ready_is_not_down)
{
    struct api_bench api;
    api_init(&api);
    bench_stop(&api.bench);
    fake_runtime_fail(api.bench.fake, &(struct fake_fault){.of_method = true,
                                                           .method = RUNTIME_STATUS,
                                                           .times = SIZE_MAX,
                                                           .effect = FAKE_REFUSED});
    bench_start(&api.bench);
    bench_idle(&api.bench);
    const char *texts[PODS_MAX_NOT_READY];
    assert_int_equal(pods_not_ready(api.bench.pods, texts), 2);
    assert_string_equal(texts[0], "container runtime status check may not have completed yet");
    assert_string_equal(texts[1], "network state unknown");
    bench_finish(&api.bench);
}

/* --- listeners that call back --- */

struct meddler {
    struct api_bench *api;
    bool has_deleted, has_put, was_told_of_removal;
};

static void meddle(void *ctx, const struct pod_view *view)
{
    struct meddler *meddler = ctx;
    meddler->was_told_of_removal = meddler->was_told_of_removal || view->removed;
    if (meddler->has_deleted || !view->status || fake_runtime_sandboxes(meddler->api->bench.fake))
        return;
    meddler->has_deleted = true;
    put(meddler->api, "web",
        "deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 1", "", "", "");
}

static void bring_back(void *ctx, UNUSED const struct pod_view *view)
{
    struct meddler *meddler = ctx;
    if (!meddler->has_put)
        put(meddler->api, "web", "", "", "", "");
    meddler->has_put = true;
}

TEST_CASE(a_listener_may_end_a_pod_and_bring_it_back)
{
    struct api_bench api;
    api_init(&api);
    struct meddler meddler = {.api = &api};
    const struct pods_listener listener = {
        .on_change = meddle, .on_gone = bring_back, .ctx = &meddler};
    pods_listen(api.bench.pods, &listener);
    put(&api, "web", "", "", "", "");
    ready(&api);
    assert_true(meddler.has_deleted);
    assert_true(bench_look(&api.bench, "u-web").view.finished);
    assert_int_equal(fake_runtime_sandboxes(api.bench.fake), 0);
    assert_false(meddler.was_told_of_removal);
    pods_drop(api.bench.pods, POD_SOURCE_API, "u-web");
    bench_rest(&api.bench);
    assert_true(meddler.was_told_of_removal);
    assert_true(meddler.has_put);
    assert_string_equal(bench_phase(&api.bench, "u-web"), "Running");
    bench_finish(&api.bench);
}

TEST_MAIN(TEST(an_admitted_pod_runs), TEST(starts_are_timed_from_the_pod_s_creation),
          TEST(a_refused_pod_fails_and_never_reaches_the_runtime),
          TEST(labels_that_have_just_changed_are_looked_up_once),
          TEST(a_critical_pod_waits_until_its_place_is_free),
          TEST(what_has_ended_or_is_to_end_is_not_asked_about),
          TEST(a_pod_without_a_final_status_is_not_over_while_it_may_run),
          TEST(the_status_of_before_goes_on), TEST(a_status_that_comes_back_disturbs_nothing),
          TEST(another_source_s_set_leaves_api_pods_alone),
          TEST(nobody_is_an_orphan_before_every_source_has_spoken),
          TEST(a_kill_says_why_and_may_be_quick), TEST(changes_are_told_in_a_turn_of_their_own),
          TEST(all_listeners_are_told_until_they_go),
          TEST(a_manifest_that_was_edited_takes_the_room_of_what_it_was),
          TEST(a_static_pod_does_not_wait_for_an_api_pod_of_its_name),
          TEST(a_running_pod_that_is_refused_after_a_restart_is_ended),
          TEST(who_is_deleted_while_it_waits_for_the_node_makes_nobody_leave),
          TEST(room_that_is_promised_is_nobody_else_s),
          TEST(an_orphan_that_was_wanted_for_a_moment_does_not_come_back),
          TEST(a_kill_begins_anew_only_when_there_is_less_time),
          TEST(a_pod_that_others_declare_over_is_ended), TEST(what_was_over_in_time_is_not_late),
          TEST(the_mirror_of_before_does_not_end_a_static_pod),
          TEST(probes_go_on_while_the_object_is_replaced),
          TEST(volumes_follow_after_the_spec_has_changed_elsewhere),
          TEST(a_runtime_that_was_never_ready_is_not_down),
          TEST(a_listener_may_end_a_pod_and_bring_it_back))
