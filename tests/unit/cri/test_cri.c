/* The whole client, from a call of the pod room to bytes on a socket and back, against grpc_peer.h.
 */
#include "cri/cri_handshake.h"
#include "cri/cri_runtime.h"
#include "tests/lib/metrics_read.h"
#include "tests/lib/test.h"
#include "tests/unit/cri/grpc_peer.h"

#include <stdio.h>

#define TURNS_MAX 2000
#define TURN_NS (5 * NS_PER_MS)
#define RUNTIME_SERVICE "/runtime.v1.RuntimeService/"
#define IMAGE_SERVICE "/runtime.v1.ImageService/"

#define turn_until(node, condition)                                                                \
    do {                                                                                           \
        for (int turns = 0; !(condition) && turns < TURNS_MAX; turns++)                            \
            loop_turn((node)->loop, TURN_NS);                                                      \
        assert_true(condition);                                                                    \
    } while (0)

/* A runtime that can say its name, and has an event stream or not. */
struct node {
    struct loop *loop;
    struct grpc_peer *peer;
    struct metrics *metrics;
    struct cri_runtime *cri;
    struct pod_runtime *runtime;

    const char *api_version;
    int config_status;  /* the answer to RuntimeConfig when not 0 */
    int cgroup_driver;  /* -1: says nothing of it */
    int image_status;   /* the answer to ImageFsInfo when not 0 */
    int events_status;  /* the answer to GetContainerEvents when not 0 */
    size_t event_opens; /* GetContainerEvents received */
    struct grpc_peer_stream *events;

    size_t changed, lost;
    char changed_uid[32], changed_id[32];
    size_t replies;
    bool is_ok;
    enum error_code code;
    char message[400];
    struct cri_handshake handshake;
};

static void answer_version(struct node *node, struct grpc_peer_stream *stream)
{
    char version[16], name[] = "fake", runtime_version[] = "9.1", api[] = "v1";
    (void)snprintf(version, sizeof(version), "%s", node->api_version);
    Cri__VersionResponse reply = CRI__VERSION_RESPONSE__INIT;
    reply.version = version;
    reply.runtime_name = name;
    reply.runtime_version = runtime_version;
    reply.runtime_api_version = api;
    grpc_peer_reply(stream, &reply.base);
}

static void answer_config(struct node *node, struct grpc_peer_stream *stream)
{
    Cri__LinuxRuntimeConfiguration linux_config = CRI__LINUX_RUNTIME_CONFIGURATION__INIT;
    Cri__RuntimeConfigResponse reply = CRI__RUNTIME_CONFIG_RESPONSE__INIT;
    if (node->cgroup_driver >= 0)
        reply.linux = &linux_config;
    linux_config.cgroup_driver = (Cri__CgroupDriver)node->cgroup_driver;
    if (node->config_status != 0)
        grpc_peer_end(stream, node->config_status, "no config");
    else
        grpc_peer_reply(stream, &reply.base);
}

static void answer_events(struct node *node, struct grpc_peer_stream *stream)
{
    node->event_opens++;
    if (node->events_status != 0)
        grpc_peer_end(stream, node->events_status, "unknown method GetContainerEvents");
    else
        node->events = stream;
}

/* Refuses the handler "bad". */
static void answer_sandbox(struct grpc_peer_stream *stream, struct str message)
{
    char id[] = "s1";
    Cri__RunPodSandboxResponse reply = CRI__RUN_POD_SANDBOX_RESPONSE__INIT;
    reply.pod_sandbox_id = id;
    Cri__RunPodSandboxRequest *request =
        cri__run_pod_sandbox_request__unpack(NULL, message.len, (const uint8_t *)message.ptr);
    assert_non_null(request);
    if (text_eq(request->runtime_handler, "bad"))
        grpc_peer_end(stream, 3, "unknown handler");
    else
        grpc_peer_reply(stream, &reply.base);
    cri__run_pod_sandbox_request__free_unpacked(request, NULL);
}

static void on_request(void *ctx, struct grpc_peer_stream *stream, const char *path,
                       struct str message)
{
    struct node *node = ctx;
    Cri__ImageFsInfoResponse fs = CRI__IMAGE_FS_INFO_RESPONSE__INIT;
    Cri__ImageStatusResponse absent = CRI__IMAGE_STATUS_RESPONSE__INIT;
    if (text_eq(path, RUNTIME_SERVICE "Version"))
        answer_version(node, stream);
    else if (text_eq(path, RUNTIME_SERVICE "RuntimeConfig"))
        answer_config(node, stream);
    else if (text_eq(path, RUNTIME_SERVICE "GetContainerEvents"))
        answer_events(node, stream);
    else if (text_eq(path, IMAGE_SERVICE "ImageFsInfo") && node->image_status == 0)
        grpc_peer_reply(stream, &fs.base);
    else if (text_eq(path, IMAGE_SERVICE "ImageStatus"))
        grpc_peer_reply(stream, &absent.base);
    else if (text_eq(path, RUNTIME_SERVICE "StopContainer"))
        grpc_peer_reply(stream, &absent.base); /* an empty message */
    else if (text_eq(path, RUNTIME_SERVICE "RunPodSandbox"))
        answer_sandbox(stream, message);
    else if (text_eq(path, RUNTIME_SERVICE "CreateContainer"))
        grpc_peer_reply(stream, &absent.base); /* lacks its id */
    else
        grpc_peer_end(stream, 12, "unknown method");
}

static void on_changed(void *ctx, const char *pod_uid, const char *container_id)
{
    struct node *node = ctx;
    node->changed++;
    (void)snprintf(node->changed_uid, sizeof(node->changed_uid), "%s", pod_uid);
    (void)snprintf(node->changed_id, sizeof(node->changed_id), "%s",
                   container_id ? container_id : "none");
}

static void on_lost(void *ctx)
{
    ((struct node *)ctx)->lost++;
}

static void node_init(struct node *node)
{
    *node = (struct node){.api_version = "0.1.0", .cgroup_driver = -1};
    assert_no_error(loop_new(&node->loop));
    node->metrics = metrics_new();
    node->peer = grpc_peer_new(node->loop, on_request, node);
    const struct cri_runtime_options options = {.runtime_endpoint = grpc_peer_path(node->peer),
                                                .request_timeout_ns = 60 * NS_PER_SEC,
                                                .metrics = node->metrics};
    assert_no_error(cri_runtime_new(node->loop, &options, &node->cri));
    node->runtime = cri_runtime_as_pod_runtime(node->cri);
}

static void node_listen(struct node *node)
{
    const struct runtime_listener listener = {
        .on_changed = on_changed, .on_lost = on_lost, .ctx = node};
    node->runtime->vtable->listen(node->runtime, &listener);
}

static void node_done(struct node *node)
{
    cri_runtime_free(node->cri);
    metrics_free(node->metrics);
    grpc_peer_free(node->peer);
    loop_free(node->loop);
}

static void note(struct node *node, struct error *err_owned)
{
    node->replies++;
    node->is_ok = !err_owned;
    if (!err_owned)
        return;
    node->code = err_owned->code;
    (void)snprintf(node->message, sizeof(node->message), "%s", err_owned->message);
    error_free(err_owned);
}

static void on_reply(void *ctx, const ProtobufCMessage *reply, struct error *err_owned)
{
    assert_true((reply == NULL) == (err_owned != NULL));
    note(ctx, err_owned);
}

static void on_handshake(void *ctx, const struct cri_handshake *handshake, struct error *err_owned)
{
    struct node *node = ctx;
    if (handshake) {
        assert_string_equal(handshake->runtime_name, "fake");
        assert_string_equal(handshake->runtime_version, "9.1");
        node->handshake = *handshake;
    }
    note(node, err_owned);
}

static void start_handshake(struct node *node)
{
    const struct cri_connect_options options = {.runtime_endpoint = "unix:///run/r.sock",
                                                .image_endpoint = "unix:///run/i.sock"};
    cri_connect_start(node->loop, node->runtime, &options, on_handshake, node);
}

/* --- calls --- */

TEST_CASE(calls_reach_their_service_and_come_back)
{
    char id[] = "c1";
    Cri__StopContainerRequest stop = CRI__STOP_CONTAINER_REQUEST__INIT;
    Cri__ImageStatusRequest image = CRI__IMAGE_STATUS_REQUEST__INIT;
    struct node node;
    node_init(&node);
    stop.container_id = id;
    runtime_call_start(node.runtime, RUNTIME_STOP_CONTAINER, &stop.base, 0, on_reply, &node);
    runtime_call_start(node.runtime, IMAGE_IMAGE_STATUS, &image.base, 0, on_reply, &node);
    turn_until(&node, node.replies == 2);
    assert_true(node.is_ok);
    assert_int_equal(grpc_peer_seen(node.peer)->connections, 2); /* one for each service */
    assert_true(cri_runtime_is_connected(node.cri));
    node_done(&node);
}

TEST_CASE(a_reply_that_lacks_something_is_an_error)
{
    char name[] = "web";
    Cri__ContainerMetadata metadata = CRI__CONTAINER_METADATA__INIT;
    Cri__ContainerConfig config = CRI__CONTAINER_CONFIG__INIT;
    Cri__CreateContainerRequest create = CRI__CREATE_CONTAINER_REQUEST__INIT;
    struct node node;
    node_init(&node);
    metadata.name = name;
    config.metadata = &metadata;
    create.config = &config;
    runtime_call_start(node.runtime, RUNTIME_CREATE_CONTAINER, &create.base, 0, on_reply, &node);
    turn_until(&node, node.replies == 1);
    assert_string_equal(node.message, "ContainerId is not set for container \"web\"");
    node_done(&node);
}

TEST_CASE(a_refused_request_fails_in_the_next_turn)
{
    Cri__CheckpointContainerRequest request = CRI__CHECKPOINT_CONTAINER_REQUEST__INIT;
    struct node node;
    node_init(&node);
    request.timeout = -1;
    runtime_call_start(node.runtime, RUNTIME_CHECKPOINT_CONTAINER, &request.base, 0, on_reply,
                       &node);
    assert_int_equal(node.replies, 0);
    turn_until(&node, node.replies == 1);
    assert_string_equal(node.message, "CheckpointContainer requires the timeout value to be > 0");
    assert_int_equal(grpc_peer_seen(node.peer)->requests, 0);
    runtime_call_cancel(node.runtime, runtime_call_start(node.runtime, RUNTIME_CHECKPOINT_CONTAINER,
                                                         &request.base, 0, on_reply, &node));
    runtime_call_cancel(node.runtime, runtime_call_start(node.runtime, IMAGE_IMAGE_FS_INFO, NULL, 0,
                                                         on_reply, &node));
    runtime_call_cancel(node.runtime, NULL);
    loop_turn(node.loop, TURN_NS);
    assert_int_equal(node.replies, 1);
    node_done(&node);
}

static void run_sandbox(struct node *node, char *handler)
{
    char name[] = "web";
    Cri__PodSandboxMetadata metadata = CRI__POD_SANDBOX_METADATA__INIT;
    Cri__PodSandboxConfig config = CRI__POD_SANDBOX_CONFIG__INIT;
    Cri__RunPodSandboxRequest request = CRI__RUN_POD_SANDBOX_REQUEST__INIT;
    metadata.name = name;
    config.metadata = &metadata;
    request.config = &config;
    request.runtime_handler = handler;
    size_t before = node->replies;
    runtime_call_start(node->runtime, RUNTIME_RUN_POD_SANDBOX, &request.base, 0, on_reply, node);
    turn_until(node, node->replies == before + 1);
}

TEST_CASE(calls_are_counted_by_what_they_do_and_how_they_end)
{
    char none[] = "", bad[] = "bad";
    Cri__ImageStatusRequest image = CRI__IMAGE_STATUS_REQUEST__INIT;
    struct node node;
    node_init(&node);
    run_sandbox(&node, none);
    run_sandbox(&node, bad);
    run_sandbox(&node, none);
    runtime_call_start(node.runtime, IMAGE_IMAGE_STATUS, &image.base, 0, on_reply, &node);
    turn_until(&node, node.replies == 4);
    runtime_call_cancel(node.runtime, runtime_call_start(node.runtime, IMAGE_IMAGE_STATUS,
                                                         &image.base, 0, on_reply, &node));

    static const struct {
        const char *operation;
        double total, errors;
    } cases[] = {{"run_podsandbox", 3, 1}, {"image_status", 1, -1}, {"version", -1, -1}};
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *operation = cases[i].operation;
        assert_float_equal(
            metrics_value(node.metrics, "kubelet_runtime_operations_total", operation),
            cases[i].total, 0);
        assert_float_equal(
            metrics_value(node.metrics, "kubelet_runtime_operations_errors_total", operation),
            cases[i].errors, 0);
        assert_int_equal(
            metrics_count(node.metrics, "kubelet_runtime_operations_duration_seconds", operation),
            (int64_t)cases[i].total);
    }
    static const char took[] = "kubelet_run_podsandbox_duration_seconds",
                      failed[] = "kubelet_run_podsandbox_errors_total";
    assert_int_equal(metrics_count(node.metrics, took, ""), 2);
    assert_int_equal(metrics_count(node.metrics, took, "bad"), 1);
    assert_float_equal(metrics_value(node.metrics, failed, "bad"), 1, 0);
    assert_float_equal(metrics_value(node.metrics, failed, ""), -1, 0);
    assert_true(metrics_sum(node.metrics, took, "") > 0);
    node_done(&node);
}

/* --- handshake --- */

TEST_CASE(a_handshake_learns_who_the_runtime_is)
{
    static const struct {
        const char *name;
        int config_status, driver;
        enum cri_cgroup_driver wanted;
        bool lacks_config;
    } cases[] = {
        {"systemd", 0, 0, CRI_CGROUP_DRIVER_SYSTEMD, false},
        {"cgroupfs", 0, 1, CRI_CGROUP_DRIVER_CGROUPFS, false},
        {"no word of it", 0, -1, CRI_CGROUP_DRIVER_UNSAID, false},
        {"an old runtime", 12, 0, CRI_CGROUP_DRIVER_UNSAID, true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct node node;
        node_init(&node);
        node.config_status = cases[i].config_status;
        node.cgroup_driver = cases[i].driver;
        start_handshake(&node);
        turn_until(&node, node.replies == 1);
        assert_true(node.is_ok);
        assert_int_equal(node.handshake.cgroup_driver, cases[i].wanted);
        assert_int_equal(node.handshake.lacks_runtime_config, cases[i].lacks_config);
        node_done(&node);
    }
}

TEST_CASE(a_failed_handshake_has_the_words_of_kubernetes)
{
    static const struct {
        const char *name, *api_version;
        int image_status, driver;
        const char *wanted;
    } cases[] = {
        {"old API", "0.2.0", 0, 0, "runtime api version is not supported"},
        {"no images", "0.1.0", 12, 0,
         "validate service connection: validate CRI v1 image API for endpoint "
         "\"unix:///run/i.sock\": rpc error: code = Unimplemented desc = unknown method"},
        {"nothing at all", "", 0, 0,
         "validate service connection: validate CRI v1 runtime API for endpoint "
         "\"unix:///run/r.sock\": rpc error: code = Unknown desc = not all fields are set in "
         "VersionResponse (missing Version)"},
        {"odd driver", "0.1.0", 0, 7, "runtime returned an unknown cgroup driver 7"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct node node;
        node_init(&node);
        node.api_version = cases[i].api_version;
        node.image_status = cases[i].image_status;
        node.cgroup_driver = cases[i].driver;
        start_handshake(&node);
        turn_until(&node, node.replies == 1);
        assert_false(node.is_ok);
        assert_string_equal(node.message, cases[i].wanted);
        node_done(&node);
    }
}

TEST_CASE(a_cancelled_handshake_is_silent)
{
    struct node node;
    node_init(&node);
    const struct cri_connect_options options = {.runtime_endpoint = "unix:///run/r.sock"};
    cri_connect_cancel(cri_connect_start(node.loop, node.runtime, &options, on_handshake, &node));
    loop_turn(node.loop, TURN_NS);
    assert_int_equal(node.replies, 0);
    node_done(&node);
}

/* --- events --- */

static void send_event(struct node *node, const char *uid, const char *container_id)
{
    char pod_uid[32], id[32];
    (void)snprintf(pod_uid, sizeof(pod_uid), "%s", uid ? uid : "");
    (void)snprintf(id, sizeof(id), "%s", container_id);
    Cri__PodSandboxMetadata metadata = CRI__POD_SANDBOX_METADATA__INIT;
    Cri__PodSandboxStatus sandbox = CRI__POD_SANDBOX_STATUS__INIT;
    Cri__ContainerEventResponse event = CRI__CONTAINER_EVENT_RESPONSE__INIT;
    metadata.uid = pod_uid;
    sandbox.metadata = &metadata;
    event.pod_sandbox_status = uid ? &sandbox : NULL;
    event.container_id = id;
    event.created_at = 1;
    grpc_peer_send(node->events, &event.base);
}

TEST_CASE(events_name_the_pod_that_changed)
{
    struct node node;
    node_init(&node);
    node_listen(&node);
    turn_until(&node, node.events != NULL);
    send_event(&node, NULL, "of a pod nobody knows");
    send_event(&node, "uid-1", "c1");
    turn_until(&node, node.changed == 1);
    assert_string_equal(node.changed_uid, "uid-1");
    assert_string_equal(node.changed_id, "c1");
    send_event(&node, "uid-2", "");
    turn_until(&node, node.changed == 2);
    assert_string_equal(node.changed_uid, "uid-2");
    assert_string_equal(node.changed_id, "none");
    assert_int_equal(node.lost, 0); /* the first stream of all missed nothing */
    assert_int_equal(
        metrics_count(node.metrics, "kubelet_evented_pleg_connection_latency_seconds", ""), 3);
    node_done(&node);
}

TEST_CASE(a_stream_that_ends_is_opened_again)
{
    struct node node;
    node_init(&node);
    node_listen(&node);
    turn_until(&node, node.events != NULL);
    send_event(&node, "uid-1", "c1");
    turn_until(&node, node.changed == 1);
    grpc_peer_end(TAKE(node.events), 0, "");
    turn_until(&node, node.lost == 1);
    turn_until(&node, node.events != NULL);
    turn_until(&node, node.lost == 2);
    send_event(&node, "uid-1", "c1");
    turn_until(&node, node.changed == 2);
    assert_int_equal(grpc_peer_seen(node.peer)->connections, 1);
    assert_float_equal(
        metrics_value(node.metrics, "kubelet_evented_pleg_connection_success_count", ""), 2, 0);
    assert_float_equal(
        metrics_value(node.metrics, "kubelet_evented_pleg_connection_error_count", ""), 0, 0);
    node_done(&node);
}

TEST_CASE(a_restarted_runtime_is_found_again_unasked)
{
    struct node node;
    node_init(&node);
    node_listen(&node);
    turn_until(&node, node.events != NULL);
    node.events = NULL;
    grpc_peer_drop(node.peer, false);
    turn_until(&node, !cri_runtime_is_connected(node.cri));
    assert_int_equal(node.lost, 0);
    grpc_peer_listen(node.peer);
    turn_until(&node, node.events != NULL);
    assert_int_equal(node.lost, 1);
    send_event(&node, "uid-1", "c1");
    turn_until(&node, node.changed == 1);
    node_done(&node);
}

TEST_CASE(a_runtime_without_events_is_asked_once_a_connection)
{
    struct node node;
    node_init(&node);
    node.events_status = 12;
    node_listen(&node);
    turn_until(&node, node.event_opens == 1);
    int64_t over_ns = loop_now_mono_ns(node.loop) + 150 * NS_PER_MS;
    turn_until(&node, loop_now_mono_ns(node.loop) >= over_ns);
    assert_int_equal(node.event_opens, 1);
    assert_int_equal(node.lost, 0);
    grpc_peer_drop(node.peer, true);
    turn_until(&node, node.event_opens == 2);
    turn_until(&node, node.lost == 1);
    turn_until(&node,
               metrics_value(node.metrics, "kubelet_evented_pleg_connection_error_count", "") == 2);
    node_done(&node);
}

TEST_CASE(listening_late_opens_the_stream_of_the_connection_that_is_there)
{
    struct node node;
    node_init(&node);
    start_handshake(&node);
    turn_until(&node, node.replies == 1);
    node_listen(&node);
    turn_until(&node, node.events != NULL);
    node_done(&node);
}

TEST_MAIN(TEST(calls_reach_their_service_and_come_back),
          TEST(a_reply_that_lacks_something_is_an_error),
          TEST(a_refused_request_fails_in_the_next_turn),
          TEST(calls_are_counted_by_what_they_do_and_how_they_end),
          TEST(a_handshake_learns_who_the_runtime_is),
          TEST(a_failed_handshake_has_the_words_of_kubernetes),
          TEST(a_cancelled_handshake_is_silent), TEST(events_name_the_pod_that_changed),
          TEST(a_stream_that_ends_is_opened_again),
          TEST(a_restarted_runtime_is_found_again_unasked),
          TEST(a_runtime_without_events_is_asked_once_a_connection),
          TEST(listening_late_opens_the_stream_of_the_connection_that_is_there))
