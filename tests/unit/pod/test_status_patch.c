#include "pod/status_patch.h"

#include "base/time.h"
#include "kube/patch.h"
#include "tests/unit/kube/doc_text.h"

#include <stdio.h>

#define T0 "lastTransitionTime: '2026-11-21T03:00:00Z'"
#define T1 "lastTransitionTime: '2026-11-21T03:30:00Z'"
#define J_NOW "'lastTransitionTime':'2026-11-21T04:00:00Z'"
#define J_ADDED "'lastProbeTime':null," /* of a condition that is added, written whole */
#define J_T1 "'lastTransitionTime':'2026-11-21T03:30:00Z'"

static ProtobufCMessage *decode(const char *yaml, const ProtobufCMessageDescriptor *type,
                                struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    AUTO(error)
    struct error *err = kube_decode_yaml(str_from(yaml), type, &options, arena, &message);
    if (err)
        fail_msg("%s\nin: %s", err->message, yaml);
    return message;
}

static int64_t now_ns(void)
{
    int64_t ns = 0;
    assert_no_error(time_parse_rfc3339(str_from("2026-11-21T04:00:00Z"), &ns));
    return ns;
}

struct row {
    const char *name;
    const char *api;  /* the pod's status as the server has it */
    const char *node; /* … as the node has it */
    const char *want; /* status of the patch; "": nothing to send */
    bool could_run, is_mirror;
};

static const struct row rows[] = {
    {.name = "nothing new",
     "{phase: Running, podIP: 10.0.0.1}",
     "{phase: Running, podIP: 10.0.0.1}",
     ""},
    {.name = "a phase", "{phase: Pending}", "{phase: Running}", "{'phase':'Running'}"},
    {.name = "a pod without a status", "", "{phase: Pending}", "{'phase':'Pending'}"},
    {.name = "what the node no longer has goes",
     "{phase: Failed, reason: A, message: b}",
     "{phase: Failed}",
     "{'message':null,'reason':null}"},
    {.name = "the start stays",
     "{startTime: '2026-11-21T01:00:00Z'}",
     "{startTime: '2026-11-21T02:00:00Z'}",
     ""},
    {.name = "the start is told once",
     "{}",
     "{startTime: '2026-11-21T02:00:00Z'}",
     "{'startTime':'2026-11-21T02:00:00Z'}"},
    {.name = "the class stays", "{qosClass: Burstable}", "{qosClass: BestEffort}", ""},
    {.name = "the observed generation grows",
     "{observedGeneration: 2}",
     "{observedGeneration: 3}",
     "{'observedGeneration':3}"},
    {.name = "the observed generation does not shrink",
     "{observedGeneration: 3}",
     "{observedGeneration: 2}",
     ""},
    {.name = "an absent generation does not shrink it", "{observedGeneration: 3}", "{}", ""},
    {.name = "claim statuses are others'",
     "{resourceClaimStatuses: [{name: a, resourceClaimName: b}], extendedResourceClaimStatus: "
     "{resourceClaimName: c, requestMappings: []}}",
     "{resourceClaimStatuses: [{name: x}]}",
     ""},
    {.name = "foreign conditions are the server's",
     "{conditions: [{type: example.com/gate, status: 'True', " T0 "}]}",
     "{conditions: [{type: example.com/gate, status: 'False', " T1 "}, {type: example.com/old, "
     "status: 'True'}]}",
     ""},
    {.name = "foreign conditions come first",
     "{conditions: [{type: g, status: 'True'}]}",
     "{conditions: [{type: Ready, status: 'False', " T1 "}]}",
     "{'$setElementOrder/conditions':[{'type':'g'},{'type':'Ready'}],'conditions':[{" J_ADDED J_T1
     ",'status':'False','type':'Ready'}]}"},
    {.name = "an own condition goes when the node drops it",
     "{conditions: [{type: PodResizePending, status: 'True', " T0 "}]}",
     "{conditions: []}",
     "{'conditions':null}"},
    {.name = "a time does not move without the status",
     "{conditions: [{type: Ready, status: 'True', " T0 "}]}",
     "{conditions: [{type: Ready, status: 'True', " T1 "}]}",
     ""},
    {.name = "a reason does not move the time",
     "{conditions: [{type: Ready, status: 'False', reason: A, " T0 "}]}",
     "{conditions: [{type: Ready, status: 'False', reason: B, " T1 "}]}",
     "{'$setElementOrder/conditions':[{'type':'Ready'}],'conditions':[{'reason':'B','type':"
     "'Ready'}]}"},
    {.name = "a status moves the time",
     "{conditions: [{type: Ready, status: 'False', " T0 "}]}",
     "{conditions: [{type: Ready, status: 'True', " T1 "}]}",
     "{'$setElementOrder/conditions':[{'type':'Ready'}],'conditions':[{" J_T1
     ",'status':'True','type':'Ready'}]}"},
    {.name = "the reason of a resize moves its time",
     "{conditions: [{type: PodResizePending, status: 'True', reason: Deferred, " T0 "}]}",
     "{conditions: [{type: PodResizePending, status: 'True', reason: Infeasible, " T1 "}]}",
     "{'$setElementOrder/conditions':[{'type':'PodResizePending'}],'conditions':[{" J_T1
     ",'reason':'Infeasible','type':'PodResizePending'}]}"},
    {.name = "a condition without a time gets one",
     "{}",
     "{conditions: [{type: PodScheduled, status: 'True'}]}",
     "{'conditions':[{" J_ADDED J_NOW ",'status':'True','type':'PodScheduled'}]}"},
    {.name = "a condition's generation does not shrink",
     "{conditions: [{type: Ready, status: 'True', observedGeneration: 4, " T0 "}]}",
     "{conditions: [{type: Ready, status: 'True', observedGeneration: 3, " T0 "}]}",
     ""},
    {.name = "a condition's generation grows alone",
     "{conditions: [{type: Ready, status: 'True', observedGeneration: 4, " T0 "}]}",
     "{conditions: [{type: Ready, status: 'True', observedGeneration: 5, " T1 "}]}",
     "{'$setElementOrder/conditions':[{'type':'Ready'}],'conditions':[{'observedGeneration':5,"
     "'type':'Ready'}]}"},
    {.name = "a terminal phase is withheld while containers may run",
     "{phase: Running, reason: r, message: m}",
     "{phase: Failed, reason: Evicted, message: e}",
     "",
     .could_run = true},
    {.name = "other parts are told meanwhile",
     "{phase: Running}",
     "{phase: Succeeded, podIP: 10.0.0.1, reason: x}",
     "{'podIP':'10.0.0.1'}",
     .could_run = true},
    {.name = "a terminal phase",
     "{phase: Running}",
     "{phase: Failed, reason: Evicted, message: e}",
     "{'message':'e','phase':'Failed','reason':'Evicted'}"},
    {.name = "a terminal phase stays",
     "{phase: Failed, reason: Lost, message: m}",
     "{phase: Running, podIP: 10.0.0.1}",
     "{'podIP':'10.0.0.1'}"},
    {.name = "a terminal phase does not become the other",
     "{phase: Failed}",
     "{phase: Succeeded}",
     ""},
    {.name = "a mirror begins anew",
     "{phase: Failed}",
     "{phase: Running}",
     "{'phase':'Running'}",
     .is_mirror = true},
    {.name = "a terminal phase that is told may be told on",
     "{phase: Failed, reason: A}",
     "{phase: Failed, reason: B}",
     "{'reason':'B'}",
     .could_run = true},
    {.name = "no disruption while containers may run",
     "{phase: Running}",
     "{phase: Failed, conditions: [{type: DisruptionTarget, status: 'True', " T1 "}]}",
     "",
     .could_run = true},
    {.name = "no disruption without an end",
     "{phase: Running}",
     "{phase: Running, conditions: [{type: DisruptionTarget, status: 'True', " T1 "}]}",
     ""},
    {.name = "no disruption after the end",
     "{phase: Failed}",
     "{phase: Failed, conditions: [{type: DisruptionTarget, status: 'True', " T1 "}]}",
     ""},
    {.name = "a disruption comes with the end, as of now",
     "{phase: Running}",
     "{phase: Failed, conditions: [{type: DisruptionTarget, status: 'True', reason: "
     "TerminationByKubelet, " T1 "}]}",
     "{'conditions':[{" J_ADDED J_NOW ",'reason':'TerminationByKubelet','status':'True','type':"
     "'DisruptionTarget'}],'phase':'Failed'}"},
    {.name = "another's disruption stays",
     "{phase: Running, conditions: [{type: DisruptionTarget, status: 'True', reason: Eviction, " T0
     "}]}",
     "{phase: Running, conditions: []}",
     ""},
    {.name = "another's disruption is replaced in its place",
     "{phase: Running, conditions: [{type: DisruptionTarget, status: 'True', reason: Eviction, " T0
     "}, {type: g, status: 'True'}]}",
     "{phase: Failed, conditions: [{type: DisruptionTarget, status: 'True', reason: K, " T1 "}]}",
     "{'$setElementOrder/conditions':[{'type':'DisruptionTarget'},{'type':'g'}],'conditions':[{"
     "'reason':'K','type':'DisruptionTarget'}],'phase':'Failed'}"},
    {.name = "a failed pod is not ready",
     "{phase: Running, conditions: [{type: Ready, status: 'True', " T0
     "}, {type: ContainersReady, status: 'True', " T0 "}]}",
     "{phase: Failed, conditions: [{type: Ready, status: 'True', message: m, " T0
     "}, {type: ContainersReady, status: 'True', " T0 "}]}",
     "{'$setElementOrder/"
     "conditions':[{'type':'Ready'},{'type':'ContainersReady'}],'conditions':[{" J_NOW
     ",'reason':'PodFailed','status':'False','type':'Ready'},{" J_NOW
     ",'reason':'PodFailed','status':'False','type':'ContainersReady'}],'phase':'Failed'}"},
    {.name = "both are told when one of them is missing",
     "{phase: Running}",
     "{phase: Succeeded, observedGeneration: 2, conditions: [{type: Ready, status: 'True', " T0
     "}]}",
     "{'conditions':[{" J_ADDED J_NOW
     ",'reason':'PodCompleted','status':'False','type':'Ready'},{" J_ADDED J_NOW
     ",'observedGeneration':2,'reason':'PodCompleted','status':'False','type':'ContainersReady'}],"
     "'observedGeneration':2,'phase':'Succeeded'}"},
    {.name = "one that is false already keeps its time",
     "{phase: Running}",
     "{phase: Failed, conditions: [{type: Ready, status: 'False', reason: x, " T1
     "}, {type: ContainersReady, status: 'True', " T1 "}]}",
     "{'conditions':[{" J_ADDED J_T1
     ",'reason':'PodFailed','status':'False','type':'Ready'},{" J_ADDED J_NOW
     ",'reason':'PodFailed','status':'False','type':'ContainersReady'}],'phase':'Failed'}"},
    {.name = "readiness stays while the end is withheld",
     "{phase: Running, conditions: [{type: Ready, status: 'True', " T0 "}]}",
     "{phase: Failed, conditions: [{type: Ready, status: 'True', " T0 "}]}",
     "",
     .could_run = true},
    {.name = "addresses",
     "{podIPs: [{ip: 10.0.0.1}]}",
     "{podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}",
     "{'$setElementOrder/podIPs':[{'ip':'10.0.0.1'},{'ip':'fd00::1'}],'podIPs':[{'ip':"
     "'fd00::1'}]}"},
};

static Core__Pod *api_pod(const struct row *row, struct arena *arena)
{
    const char *mirror = row->is_mirror ? ", annotations: {kubernetes.io/config.mirror: x}" : "";
    const char *yaml = arena_printf(arena, "{metadata: {name: web, uid: u-1%s}%s%s}", mirror,
                                    *row->api ? ", status: " : "", row->api);
    return (Core__Pod *)decode(yaml, &core__pod__descriptor, arena);
}

static struct status_patch_input input_of(const struct row *row, struct arena *arena)
{
    return (struct status_patch_input){
        .api = api_pod(row, arena),
        .status = (Core__PodStatus *)decode(row->node, &core__pod_status__descriptor, arena),
        .could_run = row->could_run,
        .now_ns = now_ns()};
}

/* The body, or NULL when there is nothing to send. */
static const struct doc_node *patch_of(const char *name, const struct status_patch_input *input,
                                       struct arena *arena)
{
    const struct doc_parse_options options = {.max_bytes = MiB};
    const struct doc_node *patch = NULL;
    bool is_empty = false;
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    AUTO(error) struct error *err = status_patch(input, &out, &is_empty);
    if (err)
        fail_msg("%s: %s", name, err->message);
    assert_int_equal(is_empty, out.len == 0);
    if (is_empty)
        return NULL;
    assert_no_error(json_parse(buf_str(&out), &options, arena, &patch));
    return patch;
}

/* What an API server makes of it. */
static Core__Pod *patched(const Core__Pod *api, const struct doc_node *patch, struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    const struct doc_node *before = NULL, *after = NULL;
    ProtobufCMessage *pod = NULL;
    assert_no_error(kube_message_to_document(&api->base, NULL, arena, &before));
    assert_no_error(kube_patch_strategic(before, patch, &core__pod__descriptor, arena, &after));
    assert_no_error(kube_decode_document(after, &core__pod__descriptor, &options, arena, &pod));
    return (Core__Pod *)pod;
}

/* Once it is sent the server has all of what was merged, and nothing is left to send. */
static void assert_settles(const char *name, const struct status_patch_input *input,
                           const struct doc_node *patch, struct arena *arena)
{
    struct status_patch_input again = *input;
    const Core__PodStatus *merged = status_merge(input, arena);
    const struct doc_node *want = NULL, *got = NULL;
    again.api = patched(input->api, patch, arena);
    again.now_ns += 3600 * NS_PER_SEC;
    assert_no_error(kube_message_to_document(&merged->base, NULL, arena, &want));
    assert_no_error(kube_message_to_document(&again.api->status->base, NULL, arena, &got));
    if (!doc_equal(got, want))
        fail_msg("%s: the server has something else than what was merged", name);
    patch = patch_of(name, &again, arena);
    if (patch)
        fail_msg("%s: sent again: %s", name, doc_print(patch, arena));
}

TEST_CASE(a_patch_says_what_the_server_lacks)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct status_patch_input input = input_of(&rows[i], arena);
        const struct doc_node *patch = patch_of(rows[i].name, &input, arena);
        if (!patch && *rows[i].want)
            fail_msg("%s: nothing to send", rows[i].name);
        if (!patch)
            continue;
        assert_doc(rows[i].name, doc_get(patch, "status"), rows[i].want, arena);
        assert_doc(rows[i].name, doc_get(patch, "metadata"), "{'uid':'u-1'}", arena);
        assert_int_equal(patch->object.count, 2);
        assert_settles(rows[i].name, &input, patch, arena);
    }
}

TEST_CASE(the_merge_leaves_its_input_as_it_was)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct status_patch_input input = input_of(&rows[i], arena);
        const struct status_patch_input same = input_of(&rows[i], arena);
        (void)status_merge(&input, arena);
        assert_true(kube_message_eq(&input.api->base, &same.api->base));
        assert_true(kube_message_eq(&input.status->base, &same.status->base));
    }
}

TEST_CASE(a_patch_beyond_its_buffer_is_an_error)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct status_patch_input input = input_of(&rows[1], arena);
    bool is_empty = true;
    AUTO(buf) struct buf out;
    buf_init(&out, 20);
    assert_error_message(status_patch(&input, &out, &is_empty),
                         "the status patch is larger than 20 bytes");
    assert_true(is_empty);
}

static Core__PodStatus *recorded_status(const struct doc_node *record, const char *key,
                                        struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *status = NULL;
    assert_no_error(kube_decode_document(doc_get(record, key), &core__pod_status__descriptor,
                                         &options, arena, &status));
    return (Core__PodStatus *)status;
}

static void check_record(const struct doc_node *record, struct arena *arena)
{
    const struct doc_node *want = doc_get(record, "patch");
    const char *name = doc_get(record, "name")->string.ptr;
    Meta__ObjectMeta meta = META__OBJECT_META__INIT;
    Core__Pod api = CORE__POD__INIT;
    meta.uid = arena_strdup(arena, doc_get(doc_get(want, "metadata"), "uid")->string.ptr);
    api.metadata = &meta;
    api.status = recorded_status(record, "before", arena);
    const struct status_patch_input input = {
        .api = &api, .status = recorded_status(record, "after", arena), .now_ns = now_ns()};
    const struct doc_node *patch = patch_of(name, &input, arena);
    assert_non_null(patch);
    assert_doc(name, patch, doc_print(want, arena), arena);
    assert_settles(name, &input, patch, arena);
}

TEST_CASE(bodies_are_those_a_real_kubelet_sent)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(free) char *path = xasprintf("%s/recorded/api/status-patches.jsonl", data);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *line = NULL;
    size_t size = 0, count = 0;
    while (getline(&line, &size, file) > 0) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct doc_parse_options options = {.max_bytes = MiB};
        const struct doc_node *record = NULL;
        assert_no_error(json_parse(str_from(line), &options, arena, &record));
        check_record(record, arena);
        count++;
    }
    free(line);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(count, 41);
}

TEST_MAIN(TEST(a_patch_says_what_the_server_lacks), TEST(the_merge_leaves_its_input_as_it_was),
          TEST(a_patch_beyond_its_buffer_is_an_error), TEST(bodies_are_those_a_real_kubelet_sent))
