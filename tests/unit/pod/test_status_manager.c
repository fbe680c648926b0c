#include "pod/status_manager.h"

#include "kube/patch.h"
#include "tests/lib/metrics_read.h"
#include "tests/unit/kube/doc_text.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"

#include <stdio.h>

#define MAX_PODS 48
#define POD_TARGET "/api/v1/namespaces/default/pods/"

/* A pod as the node has it, and the server's memory of it. */
struct pod {
    char uid[16], name[16];
    Core__PodStatus *status; /* in the bench's arena */
    bool exists, is_static, is_critical, could_run, finished;
    const struct kube_object *watched; /* what the watch has told */
    Core__Pod *stored;                 /* what the server has; NULL: nothing */
};

struct bench {
    struct loop *loop;
    struct metrics *metrics;
    struct api_client *client;
    struct status_manager *manager;
    struct arena *arena;
    struct pod pods[MAX_PODS];
    unsigned version;
    bool is_dull; /* the server takes no status */
};

static bool report(void *ctx, const char *uid, struct status_report *ret)
{
    struct bench *bench = ctx;
    for (size_t i = 0; i < MAX_PODS; i++) {
        const struct pod *pod = &bench->pods[i];
        if (!pod->exists || !text_eq(pod->uid, uid))
            continue;
        *ret = (struct status_report){.namespace_ = "default",
                                      .name = pod->name,
                                      .status = pod->status,
                                      .api = pod->watched,
                                      .is_static = pod->is_static,
                                      .is_critical = pod->is_critical,
                                      .could_run = pod->could_run,
                                      .finished = pod->finished};
        return true;
    }
    return false;
}

static void bench_init_parallel(struct bench *bench, size_t max_parallel)
{
    *bench = (struct bench){.arena = arena_new(0)};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->metrics = metrics_new();
    const struct status_manager_options options = {.loop = bench->loop,
                                                   .client = bench->client,
                                                   .report = report,
                                                   .ctx = bench,
                                                   .max_parallel = max_parallel,
                                                   .metrics = bench->metrics};
    bench->manager = status_manager_new(&options);
}

static void bench_init(struct bench *bench)
{
    bench_init_parallel(bench, 0);
}

static void auto_release_bench(struct bench *bench)
{
    status_manager_free(bench->manager);
    metrics_free(bench->metrics);
    assert_int_equal(fake_pending(bench->client), 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    for (size_t i = 0; i < MAX_PODS; i++)
        kube_object_unref(bench->pods[i].watched);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
}

/* --- the server --- */

static void bump(struct bench *bench, struct pod *pod)
{
    pod->stored->metadata->resource_version = arena_printf(bench->arena, "%u", ++bench->version);
}

/* The watch tells what the server has of @pod. */
static void deliver(struct bench *bench, struct pod *pod)
{
    kube_object_unref(TAKE(pod->watched));
    if (pod->stored)
        pod->watched = kube_object_new(kube_kind_find("v1", "Pod"), &pod->stored->base);
    status_manager_wake(bench->manager, pod->uid);
}

static void store(struct bench *bench, struct pod *pod, const char *api_uid)
{
    pod->stored = (Core__Pod *)fake_object(kube_kind_find("v1", "Pod"), "default", pod->name,
                                           api_uid, "0", bench->arena);
    pod->stored->status =
        (Core__PodStatus *)kube_message_new(&core__pod_status__descriptor, bench->arena);
    pod->stored->status->phase = arena_strdup(bench->arena, "Pending");
    bump(bench, pod);
}

static void mark_deleted(struct bench *bench, struct pod *pod)
{
    pod->stored->metadata->deletion_timestamp =
        (Meta__Time *)kube_message_new(&meta__time__descriptor, bench->arena);
    pod->stored->metadata->deletion_timestamp->has_seconds = true;
    pod->stored->metadata->deletion_timestamp->seconds = 1800000000;
    bump(bench, pod);
}

static struct pod *pod_of(struct bench *bench, const struct fake_exchange *request)
{
    const char *name = strstr(request->target, "/pods/") + strlen("/pods/");
    size_t len = strcspn(name, "/?");
    for (size_t i = 0; i < MAX_PODS; i++) {
        if (strlen(bench->pods[i].name) == len && memcmp(bench->pods[i].name, name, len) == 0)
            return &bench->pods[i];
    }
    fail_msg("no pod for %s", request->target);
    return NULL;
}

static void apply(struct bench *bench, struct pod *pod, const char *body)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    const struct doc_node *before = NULL, *after = NULL;
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_message_to_document(&pod->stored->base, NULL, bench->arena, &before));
    assert_no_error(kube_patch_strategic(before, doc_parse(body, bench->arena),
                                         &core__pod__descriptor, bench->arena, &after));
    assert_no_error(
        kube_decode_document(after, &core__pod__descriptor, &options, bench->arena, &message));
    pod->stored = (Core__Pod *)message;
    bump(bench, pod);
}

static bool precondition_holds(const struct pod *pod, const char *uid)
{
    return text_eq(pod->stored->metadata->uid, uid);
}

/* As kube-apiserver answers; nothing of it is told by the watch yet. */
static void answer(struct bench *bench, struct fake_exchange *request)
{
    struct pod *pod = pod_of(bench, request);
    const char *uid = NULL;
    if (!pod->stored) {
        fake_fail(request, 404, "NotFound", "pods \"web\" not found");
        return;
    }
    if (request->verb == API_PATCH_STRATEGIC)
        uid = doc_get(doc_get(doc_parse(request->patch, bench->arena), "metadata"), "uid")
                  ->string.ptr;
    else if (request->verb == API_DELETE)
        uid = ((const Meta__DeleteOptions *)request->body)->preconditions->uid;
    if (uid && !precondition_holds(pod, uid)) {
        fake_fail(request, 409, "Conflict", "the UID in the precondition does not match");
        return;
    }
    if (request->verb == API_PATCH_STRATEGIC && !bench->is_dull)
        apply(bench, pod, request->patch);
    Core__Pod *stored = pod->stored;
    if (request->verb == API_DELETE)
        pod->stored = NULL;
    fake_reply(request, &stored->base);
}

static void turn(struct bench *bench)
{
    fake_loop_advance(bench->loop, 0);
}

/* Everything is answered and told by the watch until nobody asks any more. */
static void settle(struct bench *bench)
{
    turn(bench);
    for (unsigned i = 0; fake_pending(bench->client); i++) {
        assert_in_range(i, 0, 1000);
        struct pod *pod = pod_of(bench, fake_first(bench->client));
        answer(bench, fake_first(bench->client));
        deliver(bench, pod);
        turn(bench);
    }
}

/* --- the node --- */

static void set_status(struct bench *bench, struct pod *pod, const char *yaml)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_yaml(str_from(yaml), &core__pod_status__descriptor, &options,
                                     bench->arena, &message));
    pod->status = (Core__PodStatus *)message;
    status_manager_wake(bench->manager, pod->uid);
}

static struct pod *add_pod(struct bench *bench, size_t index)
{
    struct pod *pod = &bench->pods[index];
    snprintf(pod->uid, sizeof(pod->uid), "u%zu", index);
    snprintf(pod->name, sizeof(pod->name), "p%zu", index);
    pod->exists = true;
    pod->could_run = true;
    store(bench, pod, pod->uid);
    deliver(bench, pod);
    return pod;
}

static const char *last_request(const struct bench *bench)
{
    return fake_log(bench->client, fake_started(bench->client) - 1);
}

static bool server_has_phase(const struct pod *pod, const char *phase)
{
    return text_eq(pod->stored->status->phase, phase);
}

/* --- sending --- */

TEST_CASE(a_change_is_sent_in_the_next_turn)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running, podIP: 10.0.0.1}");
    assert_int_equal(fake_started(bench.client), 0);
    assert_int_equal(fake_loop_next(bench.loop), 0);
    turn(&bench);
    assert_int_equal(fake_started(bench.client), 1);
    assert_string_equal(last_request(&bench), "PATCH " POD_TARGET "p0/status");
    assert_string_equal(fake_first(bench.client)->patch,
                        "{\"metadata\":{\"uid\":\"u0\"},\"status\":{\"phase\":\"Running\","
                        "\"podIP\":\"10.0.0.1\"}}");
    assert_int_equal(status_manager_pending(bench.manager), 1);
    settle(&bench);
    assert_int_equal(fake_started(bench.client), 1);
    assert_int_equal(status_manager_pending(bench.manager), 0);
    assert_null(status_manager_error(bench.manager));
    static const char took[] = "kubelet_pod_status_sync_duration_seconds";
    assert_int_equal(metrics_count(bench.metrics, took, ""), 1);
    assert_float_equal(metrics_sum(bench.metrics, took, ""), 0, 1e-6); /* no time has passed */
}

TEST_CASE(nothing_is_sent_at_rest)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < 10; i++)
        set_status(&bench, add_pod(&bench, i), "{phase: Running}");
    settle(&bench);
    size_t before = fake_started(bench.client);
    for (size_t i = 0; i < 10; i++)
        status_manager_wake(bench.manager, bench.pods[i].uid);
    fake_loop_advance(bench.loop, 3600 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), before);
    assert_int_equal(fake_loop_armed(bench.loop), 0);
    assert_int_equal(status_manager_pending(bench.manager), 0);
}

TEST_CASE(changes_during_a_request_go_together_afterwards)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    for (unsigned i = 1; i <= 50; i++) {
        set_status(&bench, pod, arena_printf(bench.arena, "{phase: Running, podIP: 10.0.0.%u}", i));
        turn(&bench);
    }
    assert_int_equal(fake_started(bench.client), 1);
    answer(&bench, fake_first(bench.client));
    turn(&bench);
    assert_int_equal(fake_started(bench.client), 2);
    /* Against the answer, which the watch has not told yet. */
    assert_string_equal(fake_first(bench.client)->patch,
                        "{\"metadata\":{\"uid\":\"u0\"},\"status\":{\"podIP\":\"10.0.0.50\"}}");
    settle(&bench);
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(an_old_watch_event_does_not_undo_an_answer)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    struct kube_object *old = kube_object_ref(pod->watched);
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    answer(&bench, fake_first(bench.client));
    kube_object_unref(pod->watched);
    pod->watched = old;
    status_manager_wake(bench.manager, pod->uid);
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 1);
    assert_int_equal(status_manager_pending(bench.manager), 0);
}

TEST_CASE(a_newer_watch_event_counts_more_than_an_answer)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    answer(&bench, fake_first(bench.client));
    turn(&bench);
    pod->stored->status->phase = arena_strdup(bench.arena, "Unknown");
    pod->stored->status->message = arena_strdup(bench.arena, "meddled");
    bump(&bench, pod);
    deliver(&bench, pod);
    turn(&bench);
    assert_string_equal(
        fake_first(bench.client)->patch,
        "{\"metadata\":{\"uid\":\"u0\"},\"status\":{\"message\":null,\"phase\":\"Running\"}}");
    settle(&bench);
    assert_true(server_has_phase(pod, "Running"));
}

TEST_CASE(the_number_of_requests_under_way_is_limited)
{
    AUTO(bench) struct bench bench;
    bench_init_parallel(&bench, 3);
    for (size_t i = 0; i < 10; i++)
        set_status(&bench, add_pod(&bench, i), "{phase: Running}");
    turn(&bench);
    assert_int_equal(fake_pending(bench.client), 3);
    assert_int_equal(status_manager_pending(bench.manager), 10);
    answer(&bench, fake_first(bench.client));
    turn(&bench);
    assert_int_equal(fake_pending(bench.client), 3);
    settle(&bench);
    assert_int_equal(fake_started(bench.client), 10);
}

TEST_CASE(a_pod_without_a_status_or_an_object_waits_for_them)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    turn(&bench);
    assert_int_equal(status_manager_pending(bench.manager), 0);
    kube_object_unref(TAKE(pod->watched));
    pod->is_static = true;
    set_status(&bench, pod, "{phase: Running}");
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 0);
    assert_int_equal(status_manager_pending(bench.manager), 0);
    store(&bench, pod, "mirror-1");
    deliver(&bench, pod);
    turn(&bench);
    assert_string_equal(fake_first(bench.client)->patch,
                        "{\"metadata\":{\"uid\":\"mirror-1\"},\"status\":{\"phase\":\"Running\"}}");
    settle(&bench);
}

/* --- importance --- */

TEST_CASE(what_matters_most_goes_first)
{
    AUTO(bench) struct bench bench;
    bench_init_parallel(&bench, 1);
    struct pod *first = add_pod(&bench, 0);
    set_status(&bench, first, "{phase: Running}");
    turn(&bench); /* takes the only place */
    for (size_t i = 1; i <= 5; i++) {
        add_pod(&bench, i);
        fake_loop_advance(bench.loop, NS_PER_SEC);
    }
    set_status(&bench, &bench.pods[1], "{phase: Running}");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    set_status(&bench, &bench.pods[2], "{phase: Running}");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    bench.pods[3].is_critical = true;
    set_status(&bench, &bench.pods[3], "{phase: Running}");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    bench.pods[4].could_run = false;
    set_status(&bench, &bench.pods[4], "{phase: Failed}");
    fake_loop_advance(bench.loop, NS_PER_SEC);
    struct pod *deleted = &bench.pods[5];
    deleted->stored->status->phase = arena_strdup(bench.arena, "Failed");
    mark_deleted(&bench, deleted);
    deleted->could_run = false;
    deleted->finished = true;
    deliver(&bench, deleted);
    settle(&bench);
    const char *const want[] = {"PATCH " POD_TARGET "p0/status", "DELETE " POD_TARGET "p5",
                                "PATCH " POD_TARGET "p4/status", "PATCH " POD_TARGET "p3/status",
                                "PATCH " POD_TARGET "p1/status", "PATCH " POD_TARGET "p2/status"};
    assert_int_equal(fake_started(bench.client), ARRAY_SIZE(want));
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        assert_string_equal(fake_log(bench.client, i), want[i]);
}

/* --- the end of a pod --- */

TEST_CASE(a_pod_that_ended_is_deleted_for_good)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    settle(&bench);
    mark_deleted(&bench, pod);
    deliver(&bench, pod);
    set_status(&bench, pod, "{phase: Succeeded}");
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 1); /* withheld: containers may run */
    pod->could_run = false;
    status_manager_wake(bench.manager, pod->uid);
    settle(&bench);
    assert_true(server_has_phase(pod, "Succeeded"));
    assert_int_equal(fake_started(bench.client), 2); /* not finished yet */
    pod->finished = true;
    status_manager_wake(bench.manager, pod->uid);
    turn(&bench);
    assert_string_equal(last_request(&bench), "DELETE " POD_TARGET "p0");
    const Meta__DeleteOptions *options =
        (const Meta__DeleteOptions *)fake_first(bench.client)->body;
    assert_true(options->has_grace_period_seconds);
    assert_int_equal(options->grace_period_seconds, 0);
    assert_string_equal(options->preconditions->uid, "u0");
    answer(&bench, fake_first(bench.client));
    status_manager_wake(bench.manager, pod->uid);
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 3);
    assert_int_equal(status_manager_pending(bench.manager), 0);
}

TEST_CASE(the_last_status_goes_before_the_final_delete)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    mark_deleted(&bench, pod);
    pod->could_run = false;
    pod->finished = true;
    deliver(&bench, pod);
    set_status(&bench, pod, "{phase: Failed}");
    turn(&bench);
    assert_string_equal(last_request(&bench), "PATCH " POD_TARGET "p0/status");
    answer(&bench, fake_first(bench.client)); /* the answer alone leads to the delete */
    turn(&bench);
    assert_string_equal(last_request(&bench), "DELETE " POD_TARGET "p0");
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(a_finalizer_may_keep_the_object)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    mark_deleted(&bench, pod);
    pod->stored->status->phase = arena_strdup(bench.arena, "Failed");
    pod->could_run = false;
    pod->finished = true;
    deliver(&bench, pod);
    turn(&bench);
    fake_reply(fake_first(bench.client), &pod->stored->base);
    for (unsigned i = 0; i < 3; i++) {
        bump(&bench, pod);
        deliver(&bench, pod);
        fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    }
    assert_int_equal(fake_started(bench.client), 1);
}

TEST_CASE(who_may_not_be_deleted_is_not)
{
    static const struct {
        const char *name;
        bool is_static, is_mirror, finished, deleted;
        const char *phase;
    } table[] = {
        {"a static pod", .is_static = true, .finished = true, .deleted = true, .phase = "Failed"},
        {"a mirror", .is_mirror = true, .finished = true, .deleted = true, .phase = "Failed"},
        {"one that is not finished", .deleted = true, .phase = "Failed"},
        {"one nobody deleted", .finished = true, .phase = "Failed"},
        {"one the server shows running", .finished = true, .deleted = true, .phase = "Running"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        struct pod *pod = add_pod(&bench, 0);
        pod->could_run = false;
        pod->finished = table[i].finished;
        pod->is_static = table[i].is_static;
        pod->stored->status->phase = arena_strdup(bench.arena, table[i].phase);
        Meta__ObjectMeta__AnnotationsEntry mirror = META__OBJECT_META__ANNOTATIONS_ENTRY__INIT;
        Meta__ObjectMeta__AnnotationsEntry *annotations[] = {&mirror};
        char key[] = "kubernetes.io/config.mirror", value[] = "x";
        mirror.key = key;
        mirror.value = value;
        if (table[i].is_mirror) {
            pod->stored->metadata->n_annotations = 1;
            pod->stored->metadata->annotations = annotations;
        }
        if (table[i].deleted)
            mark_deleted(&bench, pod);
        deliver(&bench, pod);
        fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
        if (fake_started(bench.client) != 0)
            fail_msg("%s: %s", table[i].name, last_request(&bench));
    }
}

/* --- refusals --- */

TEST_CASE(a_conflict_is_read_and_tried_once_more)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running, podIP: 10.0.0.1}");
    turn(&bench);
    pod->stored->status->phase = arena_strdup(bench.arena, "Running");
    bump(&bench, pod); /* which the watch has not told */
    fake_fail(fake_first(bench.client), 409, "Conflict", "the object has been modified");
    assert_string_equal(status_manager_error(bench.manager)->message,
                        "the object has been modified");
    turn(&bench);
    assert_string_equal(last_request(&bench), "GET " POD_TARGET "p0");
    answer(&bench, fake_first(bench.client));
    turn(&bench);
    assert_string_equal(fake_first(bench.client)->patch,
                        "{\"metadata\":{\"uid\":\"u0\"},\"status\":{\"podIP\":\"10.0.0.1\"}}");
    settle(&bench);
    assert_int_equal(fake_started(bench.client), 3);
    assert_null(status_manager_error(bench.manager));
}

TEST_CASE(a_refused_status_is_not_asked_in_a_circle)
{
    static const unsigned codes[] = {400, 403, 409, 422, 500};
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        struct pod *pod = add_pod(&bench, 0);
        set_status(&bench, pod, "{phase: Running}");
        for (unsigned second = 0; second < 60; second++) {
            for (unsigned n = 0; n < 5; n++) {
                status_manager_wake(bench.manager, pod->uid);
                turn(&bench);
                struct fake_exchange *request = fake_first(bench.client);
                if (request && request->verb == API_GET)
                    answer(&bench, request);
                else if (request)
                    fake_fail(request, codes[i], "Invalid", "no");
            }
            fake_loop_advance(bench.loop, NS_PER_SEC);
        }
        assert_int_equal(status_manager_pending(bench.manager), 1);
        assert_in_range(fake_started(bench.client), 6, 14);
        fake_loop_advance(bench.loop, 10 * NS_PER_SEC);
        settle(&bench);
        assert_true(server_has_phase(pod, "Running"));
        assert_int_equal(status_manager_pending(bench.manager), 0);
    }
}

TEST_CASE(another_status_after_a_refusal_goes_at_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    fake_fail(fake_first(bench.client), 403, "Forbidden", "no");
    turn(&bench);
    assert_int_equal(fake_pending(bench.client), 0);
    set_status(&bench, pod, "{phase: Running, message: m}");
    turn(&bench);
    assert_int_equal(fake_pending(bench.client), 1);
    settle(&bench);
}

TEST_CASE(a_pod_the_server_does_not_have_is_left_alone)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    pod->stored = NULL; /* which the watch has not told */
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    answer(&bench, fake_first(bench.client));
    set_status(&bench, pod, "{phase: Running, message: m}");
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 1);
    assert_int_equal(status_manager_pending(bench.manager), 0);
    assert_null(status_manager_error(bench.manager));
    /* Should the watch have it after all, in another state. */
    bench.version = 10;
    store(&bench, pod, "u0");
    deliver(&bench, pod);
    settle(&bench);
    assert_true(server_has_phase(pod, "Running"));
}

TEST_CASE(a_bare_404_is_not_believed)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    fake_fail_bare(fake_first(bench.client), 404);
    fake_loop_advance(bench.loop, 10 * NS_PER_SEC);
    settle(&bench);
    assert_true(server_has_phase(pod, "Running"));
}

TEST_CASE(a_pod_made_anew_under_the_name_is_another_one)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    store(&bench, pod, "other");
    turn(&bench);
    answer(&bench, fake_first(bench.client)); /* 409 */
    turn(&bench);
    answer(&bench, fake_first(bench.client)); /* GET */
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 2);
    assert_int_equal(status_manager_pending(bench.manager), 0);
    assert_true(server_has_phase(pod, "Pending"));
}

TEST_CASE(a_new_mirror_gets_the_status_though_the_old_one_was_gone)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    pod->is_static = true;
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    store(&bench, pod, "mirror-2");
    deliver(&bench, pod); /* while the request for the old one is under way */
    fake_fail(fake_first(bench.client), 404, "NotFound", "gone");
    settle(&bench);
    assert_true(server_has_phase(pod, "Running"));
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(a_server_that_drops_a_field_is_asked_every_ten_seconds)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    bench.is_dull = true;
    set_status(&bench, pod, "{phase: Running}");
    for (unsigned second = 0; second < 35; second++) {
        settle(&bench);
        fake_loop_advance(bench.loop, NS_PER_SEC);
    }
    assert_int_equal(fake_started(bench.client), 4);
    assert_int_equal(status_manager_pending(bench.manager), 1);
}

/* --- a server that is away --- */

TEST_CASE(an_outage_is_probed_by_one_request_at_a_time)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    for (size_t i = 0; i < 40; i++)
        set_status(&bench, add_pod(&bench, i), "{phase: Running}");
    turn(&bench);
    assert_int_equal(fake_pending(bench.client), 32);
    while (fake_pending(bench.client))
        fake_lose(fake_first(bench.client));
    /* 0.2 s doubling to 4 s. */
    static const int64_t waits_ms[] = {200, 400, 800, 1600, 3200, 4000, 4000};
    for (size_t i = 0; i < ARRAY_SIZE(waits_ms); i++) {
        turn(&bench);
        assert_int_equal(fake_loop_next(bench.loop), waits_ms[i] * NS_PER_MS);
        for (size_t pod = 0; pod < 40; pod++)
            status_manager_wake(bench.manager, bench.pods[pod].uid);
        fake_loop_advance(bench.loop, waits_ms[i] * NS_PER_MS - 1);
        assert_int_equal(fake_pending(bench.client), 0);
        fake_loop_advance(bench.loop, 1);
        assert_int_equal(fake_pending(bench.client), 1);
        fake_lose(fake_first(bench.client));
    }
    assert_int_equal(status_manager_pending(bench.manager), 40);
    assert_non_null(status_manager_error(bench.manager));
    fake_loop_advance(bench.loop, 4 * NS_PER_SEC);
    assert_int_equal(fake_pending(bench.client), 1);
    answer(&bench, fake_first(bench.client));
    turn(&bench);
    assert_int_equal(fake_pending(bench.client), 32);
    settle(&bench);
    assert_int_equal(status_manager_pending(bench.manager), 0);
    assert_null(status_manager_error(bench.manager));
    for (size_t i = 0; i < 40; i++)
        assert_true(server_has_phase(&bench.pods[i], "Running"));
}

TEST_CASE(the_longest_wait_is_below_five_seconds)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    fake_random_set(UINT64_MAX);
    set_status(&bench, add_pod(&bench, 0), "{phase: Running}");
    turn(&bench);
    for (unsigned i = 0; i < 20; i++) {
        fake_lose(fake_first(bench.client));
        turn(&bench);
        assert_in_range(fake_loop_next(bench.loop), 200 * NS_PER_MS, 5 * NS_PER_SEC - 1);
        fake_loop_advance(bench.loop, 5 * NS_PER_SEC);
    }
}

TEST_CASE(what_changed_during_an_outage_is_sent_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    struct pod *pod = add_pod(&bench, 0);
    set_status(&bench, pod, "{phase: Running}");
    turn(&bench);
    fake_lose(fake_first(bench.client));
    for (unsigned i = 0; i < 100; i++)
        set_status(&bench, pod, arena_printf(bench.arena, "{phase: Running, podIP: 10.0.0.%u}", i));
    fake_loop_advance(bench.loop, NS_PER_SEC);
    assert_int_equal(fake_started(bench.client), 2);
    assert_string_equal(fake_first(bench.client)->patch,
                        "{\"metadata\":{\"uid\":\"u0\"},\"status\":{\"phase\":\"Running\","
                        "\"podIP\":\"10.0.0.99\"}}");
    settle(&bench);
    assert_int_equal(fake_started(bench.client), 2);
}

TEST_CASE(a_pod_that_makes_the_server_unwell_does_not_hold_up_the_others)
{
    AUTO(bench) struct bench bench;
    bench_init_parallel(&bench, 1);
    for (size_t i = 0; i < 5; i++)
        set_status(&bench, add_pod(&bench, i), "{phase: Running}");
    bench.pods[0].is_critical = true; /* the first in every queue */
    turn(&bench);
    for (unsigned i = 0; i < 40; i++) {
        struct fake_exchange *request = fake_first(bench.client);
        if (request && pod_of(&bench, request) == &bench.pods[0])
            fake_fail_bare(request, 503);
        else if (request)
            answer(&bench, request);
        fake_loop_advance(bench.loop, 200 * NS_PER_MS);
    }
    for (size_t i = 1; i < 5; i++)
        assert_true(server_has_phase(&bench.pods[i], "Running"));
    assert_false(server_has_phase(&bench.pods[0], "Running"));
    assert_int_equal(status_manager_pending(bench.manager), 1);
}

/* --- forgetting --- */

TEST_CASE(a_pod_may_go_at_any_point)
{
    for (unsigned point = 0; point < 6; point++) {
        AUTO(bench) struct bench bench;
        bench_init_parallel(&bench, 1);
        struct pod *other = add_pod(&bench, 1);
        struct pod *pod = add_pod(&bench, 0);
        set_status(&bench, pod, "{phase: Running}");
        if (point >= 1)
            turn(&bench); /* under way */
        if (point == 2)
            answer(&bench, fake_first(bench.client));
        if (point >= 3)
            fake_lose(fake_first(bench.client)); /* woken, then … */
        if (point >= 4)
            turn(&bench); /* … queued behind the gate, then … */
        if (point >= 5)
            fake_loop_advance(bench.loop, NS_PER_SEC); /* … the probe */
        pod->exists = false;
        status_manager_forget(bench.manager, pod->uid);
        status_manager_forget(bench.manager, pod->uid);
        assert_int_equal(fake_pending(bench.client), 0);
        set_status(&bench, other, "{phase: Running}");
        fake_loop_advance(bench.loop, NS_PER_SEC);
        settle(&bench);
        assert_true(server_has_phase(other, "Running"));
        assert_int_equal(status_manager_pending(bench.manager), 0);
    }
}

TEST_CASE(a_pod_that_is_no_longer_reported_is_forgotten)
{
    for (unsigned point = 0; point < 3; point++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        struct pod *pod = add_pod(&bench, 0);
        set_status(&bench, pod, "{phase: Running}");
        if (point >= 1)
            turn(&bench);
        pod->exists = false;
        if (point == 1)
            answer(&bench, fake_first(bench.client));
        if (point == 2)
            fake_lose(fake_first(bench.client));
        fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
        assert_int_equal(status_manager_pending(bench.manager), 0);
        assert_int_equal(fake_pending(bench.client), 0);
    }
    status_manager_free(NULL);
}

/* --- whatever happens --- */

struct random {
    uint64_t state;
};

static unsigned pick(struct random *random, unsigned below)
{
    random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random->state >> 33) % below;
}

static void change_node(struct bench *bench, struct random *random, struct pod *pod)
{
    static const char *const states[] = {
        "{phase: Pending}", "{phase: Running, podIP: 10.0.0.1}",
        "{phase: Running, podIP: 10.0.0.2, conditions: [{type: Ready, status: 'True'}]}",
        "{phase: Running, conditions: [{type: Ready, status: 'False', reason: r}]}"};
    if (pod->could_run && pick(random, 12) == 0)
        pod->could_run = false;
    if (!pod->could_run && pick(random, 2) == 0)
        pod->finished = true;
    set_status(bench, pod, pod->could_run ? states[pick(random, 4)] : "{phase: Failed}");
}

static void change_server(struct bench *bench, struct random *random, struct pod *pod)
{
    if (!pod->stored)
        return;
    if (pick(random, 4) == 0 && !pod->stored->metadata->deletion_timestamp)
        mark_deleted(bench, pod);
    else
        pod->stored->status->message = arena_strdup(bench->arena, "meddled");
    bump(bench, pod);
}

static void answer_somehow(struct bench *bench, struct random *random)
{
    struct fake_exchange *request = fake_first(bench->client);
    if (!request)
        return;
    switch (pick(random, 8)) {
    case 0:
        fake_lose(request);
        break;
    case 1:
        fake_fail_bare(request, 503);
        break;
    case 2:
        fake_fail(request, 409, "Conflict", "conflict");
        break;
    case 3:
        fake_fail(request, 422, "Invalid", "invalid");
        break;
    default:
        answer(bench, request);
        break;
    }
}

static void step(struct bench *bench, struct random *random)
{
    struct pod *pod = &bench->pods[pick(random, 6)];
    switch (pick(random, 5)) {
    case 0:
        change_node(bench, random, pod);
        break;
    case 1:
        change_server(bench, random, pod);
        break;
    case 2:
        if (pod->stored)
            deliver(bench, pod);
        break;
    default:
        answer_somehow(bench, random);
        break;
    }
    fake_loop_advance(bench->loop, pick(random, 3) * 100 * NS_PER_MS);
}

/* Of a pod that is deleted for good the watch may have told less than the answers. */
static void assert_told(const struct pod *pod, uint64_t seed)
{
    bool is_deletable = pod->finished && pod->stored && pod->stored->metadata->deletion_timestamp;
    if (is_deletable || (!pod->stored && !pod->finished))
        fail_msg("seed %llu: %s is %s", (unsigned long long)seed, pod->name,
                 is_deletable ? "not deleted" : "deleted");
    if (pod->stored && pod->status && !text_eq(pod->stored->status->phase, pod->status->phase))
        fail_msg("seed %llu: %s is %s, not %s", (unsigned long long)seed, pod->name,
                 pod->stored->status->phase, pod->status->phase);
}

TEST_CASE(in_the_end_the_server_knows)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        AUTO(bench) struct bench bench;
        struct random random = {.state = seed};
        bench_init_parallel(&bench, 2);
        for (size_t i = 0; i < 6; i++)
            add_pod(&bench, i);
        for (unsigned i = 0; i < 80; i++)
            step(&bench, &random);
        /* The server is well again, and the watch catches up. */
        for (size_t i = 0; i < 6; i++) {
            if (bench.pods[i].stored)
                deliver(&bench, &bench.pods[i]);
        }
        for (unsigned i = 0; i < 40; i++) {
            settle(&bench);
            fake_loop_advance(bench.loop, NS_PER_SEC);
        }
        assert_int_equal(status_manager_pending(bench.manager), 0);
        assert_int_equal(fake_loop_armed(bench.loop), 0);
        for (size_t i = 0; i < 6; i++)
            assert_told(&bench.pods[i], seed);
    }
}

TEST_MAIN(TEST(a_change_is_sent_in_the_next_turn), TEST(nothing_is_sent_at_rest),
          TEST(changes_during_a_request_go_together_afterwards),
          TEST(an_old_watch_event_does_not_undo_an_answer),
          TEST(a_newer_watch_event_counts_more_than_an_answer),
          TEST(the_number_of_requests_under_way_is_limited),
          TEST(a_pod_without_a_status_or_an_object_waits_for_them),
          TEST(what_matters_most_goes_first), TEST(a_pod_that_ended_is_deleted_for_good),
          TEST(the_last_status_goes_before_the_final_delete), TEST(a_finalizer_may_keep_the_object),
          TEST(who_may_not_be_deleted_is_not), TEST(a_conflict_is_read_and_tried_once_more),
          TEST(a_refused_status_is_not_asked_in_a_circle),
          TEST(another_status_after_a_refusal_goes_at_once),
          TEST(a_pod_the_server_does_not_have_is_left_alone), TEST(a_bare_404_is_not_believed),
          TEST(a_pod_made_anew_under_the_name_is_another_one),
          TEST(a_new_mirror_gets_the_status_though_the_old_one_was_gone),
          TEST(a_server_that_drops_a_field_is_asked_every_ten_seconds),
          TEST(an_outage_is_probed_by_one_request_at_a_time),
          TEST(the_longest_wait_is_below_five_seconds),
          TEST(what_changed_during_an_outage_is_sent_once),
          TEST(a_pod_that_makes_the_server_unwell_does_not_hold_up_the_others),
          TEST(a_pod_may_go_at_any_point), TEST(a_pod_that_is_no_longer_reported_is_forgotten),
          TEST(in_the_end_the_server_knows))
