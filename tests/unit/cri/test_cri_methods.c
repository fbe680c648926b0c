#include "cri/cri_methods.h"

#include "cri/cri_runtime.h"
#include "tests/lib/test.h"

#define T (120 * NS_PER_SEC)
#define S NS_PER_SEC

TEST_CASE(deadlines_are_those_of_the_method)
{
    static const struct {
        const char *name;
        enum runtime_method method;
        int64_t extra_ns, requested_s, wanted_ns;
    } cases[] = {
        {"plain", RUNTIME_STATUS, 0, 0, T},
        {"sandbox creation has twice the time", RUNTIME_RUN_POD_SANDBOX, 0, 0, 2 * T},
        {"the grace period comes on top", RUNTIME_STOP_CONTAINER, 30 * S, 0, T + 30 * S},
        {"a pull has no deadline", IMAGE_PULL_IMAGE, 0, 0, GRPC_NO_TIMEOUT},
        {"nor has an exec without a timeout", RUNTIME_EXEC_SYNC, 0, 0, GRPC_NO_TIMEOUT},
        {"an exec with one has it on top", RUNTIME_EXEC_SYNC, 5 * S, 0, T + 5 * S},
        {"a checkpoint has at least T", RUNTIME_CHECKPOINT_CONTAINER, 0, 60, T},
        {"and more when asked", RUNTIME_CHECKPOINT_CONTAINER, 0, 600, 600 * S},
        {"whichever way", RUNTIME_CHECKPOINT_CONTAINER, 700 * S, 600, 700 * S},
        {"image calls are like others", IMAGE_LIST_IMAGES, 0, 0, T},
        {"no overflow", RUNTIME_STOP_CONTAINER, INT64_MAX, 0, INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        Cri__CheckpointContainerRequest request = CRI__CHECKPOINT_CONTAINER_REQUEST__INIT;
        request.timeout = cases[i].requested_s;
        if (cri_method_timeout_ns(cases[i].method, &request.base, T, cases[i].extra_ns) !=
            cases[i].wanted_ns)
            fail_msg("%s", cases[i].name);
    }
}

TEST_CASE(every_method_has_a_path_of_its_own)
{
    for (int i = 0; i < RUNTIME_METHOD_COUNT; i++) {
        const struct cri_method *method = cri_method((enum runtime_method)i);
        const char *prefix = method->service == CRI_SERVICE_RUNTIME ? "/runtime.v1.RuntimeService/"
                                                                    : "/runtime.v1.ImageService/";
        assert_true(text_has_prefix(method->grpc.path, prefix));
        assert_non_null(method->grpc.reply);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(method->grpc.path,
                                    cri_method((enum runtime_method)k)->grpc.path);
    }
}

/* --- checks --- */

static char empty[] = "", some[] = "x";

static void assert_check(enum runtime_method method, const ProtobufCMessage *reply,
                         const char *wanted)
{
    AUTO(error) struct error *err = cri_method(method)->check(reply, "subject");
    if (!wanted) {
        assert_null(err);
        return;
    }
    assert_non_null(err);
    assert_string_equal(err->message, wanted);
    assert_int_equal(err->code, ERROR_UNKNOWN);
}

TEST_CASE(a_version_names_everything_it_lacks)
{
    Cri__VersionResponse reply = CRI__VERSION_RESPONSE__INIT;
    reply.version = reply.runtime_name = reply.runtime_version = reply.runtime_api_version = some;
    assert_check(RUNTIME_VERSION, &reply.base, NULL);
    reply.version = reply.runtime_version = empty;
    assert_check(RUNTIME_VERSION, &reply.base,
                 "not all fields are set in VersionResponse (missing Version, RuntimeVersion)");
}

TEST_CASE(a_status_has_two_conditions)
{
    static const char wanted[] = "RuntimeReady or NetworkReady condition are not set";
    Cri__RuntimeStatus status = CRI__RUNTIME_STATUS__INIT;
    Cri__StatusResponse reply = CRI__STATUS_RESPONSE__INIT;
    assert_check(RUNTIME_STATUS, &reply.base, wanted);
    reply.status = &status;
    status.n_conditions = 1;
    assert_check(RUNTIME_STATUS, &reply.base, wanted);
    status.n_conditions = 2;
    assert_check(RUNTIME_STATUS, &reply.base, NULL);
}

TEST_CASE(a_sandbox_status_is_complete)
{
    Cri__PodSandboxMetadata metadata = CRI__POD_SANDBOX_METADATA__INIT;
    Cri__PodSandboxStatus status = CRI__POD_SANDBOX_STATUS__INIT;
    Cri__PodSandboxStatusResponse reply = CRI__POD_SANDBOX_STATUS_RESPONSE__INIT;
    const enum runtime_method method = RUNTIME_POD_SANDBOX_STATUS;
    assert_check(method, &reply.base, "pod sandbox status is nil");
    reply.status = &status;
    assert_check(method, &reply.base, "status.Id is not set");
    status.id = some;
    assert_check(method, &reply.base, "status.Metadata is not set");
    status.metadata = &metadata;
    metadata.name = metadata.namespace_ = some;
    assert_check(method, &reply.base,
                 "metadata.Name, metadata.Namespace or metadata.Uid is not in metadata of sandbox "
                 "\"x\"");
    metadata.uid = some;
    assert_check(method, &reply.base, "status.CreatedAt is not set");
    status.created_at = 1;
    assert_check(method, &reply.base, NULL);
}

TEST_CASE(a_container_status_is_complete)
{
    Cri__ContainerMetadata metadata = CRI__CONTAINER_METADATA__INIT;
    Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
    Cri__ContainerStatus status = CRI__CONTAINER_STATUS__INIT;
    Cri__ContainerStatusResponse reply = CRI__CONTAINER_STATUS_RESPONSE__INIT;
    const enum runtime_method method = RUNTIME_CONTAINER_STATUS;
    assert_check(method, &reply.base, "container status is nil");
    reply.status = &status;
    assert_check(method, &reply.base, "status.Id is not set");
    status.id = some;
    assert_check(method, &reply.base, "status.Metadata is not set");
    status.metadata = &metadata;
    assert_check(method, &reply.base, "metadata.Name is not in metadata of container \"x\"");
    metadata.name = some;
    assert_check(method, &reply.base, "status.CreatedAt is not set");
    status.created_at = 1;
    assert_check(method, &reply.base, "status.Image is not set");
    status.image = &image;
    assert_check(method, &reply.base, "status.Image is not set");
    image.image = some;
    assert_check(method, &reply.base, "status.ImageRef is not set");
    status.image_ref = some;
    assert_check(method, &reply.base, NULL);
}

TEST_CASE(ids_urls_and_references_are_not_empty)
{
    Cri__RunPodSandboxResponse sandbox = CRI__RUN_POD_SANDBOX_RESPONSE__INIT;
    Cri__CreateContainerResponse container = CRI__CREATE_CONTAINER_RESPONSE__INIT;
    Cri__PullImageResponse pull = CRI__PULL_IMAGE_RESPONSE__INIT;
    Cri__ExecResponse exec = CRI__EXEC_RESPONSE__INIT;
    Cri__AttachResponse attach = CRI__ATTACH_RESPONSE__INIT;
    Cri__PortForwardResponse forward = CRI__PORT_FORWARD_RESPONSE__INIT;
    const struct {
        enum runtime_method method;
        const ProtobufCMessage *reply;
        char **field;
        const char *wanted;
    } cases[] = {
        {RUNTIME_RUN_POD_SANDBOX, &sandbox.base, &sandbox.pod_sandbox_id,
         "PodSandboxId is not set for sandbox \"subject\""},
        {RUNTIME_CREATE_CONTAINER, &container.base, &container.container_id,
         "ContainerId is not set for container \"subject\""},
        {IMAGE_PULL_IMAGE, &pull.base, &pull.image_ref, "imageRef of image \"subject\" is not set"},
        {RUNTIME_EXEC, &exec.base, &exec.url, "URL is not set"},
        {RUNTIME_ATTACH, &attach.base, &attach.url, "URL is not set"},
        {RUNTIME_PORT_FORWARD, &forward.base, &forward.url, "URL is not set"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_check(cases[i].method, cases[i].reply, cases[i].wanted);
        *cases[i].field = some;
        assert_check(cases[i].method, cases[i].reply, NULL);
    }
}

TEST_CASE(an_image_status_is_complete_or_absent)
{
    static const char wanted[] = "Id or size of image \"subject\" is not set";
    Cri__Image image = CRI__IMAGE__INIT;
    Cri__ImageStatusResponse reply = CRI__IMAGE_STATUS_RESPONSE__INIT;
    assert_check(IMAGE_IMAGE_STATUS, &reply.base, NULL);
    reply.image = &image;
    image.size = 1;
    assert_check(IMAGE_IMAGE_STATUS, &reply.base, wanted);
    image.id = some;
    assert_check(IMAGE_IMAGE_STATUS, &reply.base, NULL);
    image.size = 0;
    assert_check(IMAGE_IMAGE_STATUS, &reply.base, wanted);
}

/* --- words --- */

TEST_CASE(a_timed_out_exec_says_which_command_and_how_long)
{
    char sleep[] = "sleep", time[] = "60";
    char *cmd[] = {sleep, time};
    Cri__ExecSyncRequest request = CRI__EXEC_SYNC_REQUEST__INIT;
    request.n_cmd = 2;
    request.cmd = cmd;
    AUTO(free) char *subject = cri_method(RUNTIME_EXEC_SYNC)->subject(&request.base);
    assert_error_message(
        cri_method_error(RUNTIME_EXEC_SYNC, subject, 90 * S,
                         error_new(ERROR_DEADLINE_EXCEEDED, "context deadline exceeded")),
        "command timed out: \"sleep 60\" timed out after 1m30s");
    assert_error_message(
        cri_method_error(RUNTIME_STATUS, "", 0, error_new(ERROR_DEADLINE_EXCEEDED, "as it was")),
        "as it was");
    assert_null(cri_method_error(RUNTIME_EXEC_SYNC, "", 0, NULL));
}

TEST_CASE(a_subject_is_found_or_absent)
{
    Cri__ImageSpec image = CRI__IMAGE_SPEC__INIT;
    Cri__PullImageRequest request = CRI__PULL_IMAGE_REQUEST__INIT;
    assert_null(cri_method(IMAGE_PULL_IMAGE)->subject(&request.base));
    image.image = some;
    request.image = &image;
    AUTO(free) char *subject = cri_method(IMAGE_PULL_IMAGE)->subject(&request.base);
    assert_string_equal(subject, "x");
}

TEST_CASE(a_checkpoint_with_a_negative_timeout_is_refused)
{
    Cri__CheckpointContainerRequest request = CRI__CHECKPOINT_CONTAINER_REQUEST__INIT;
    assert_no_error(cri_request_check(RUNTIME_CHECKPOINT_CONTAINER, &request.base));
    request.timeout = -1;
    assert_error_message(cri_request_check(RUNTIME_CHECKPOINT_CONTAINER, &request.base),
                         "CheckpointContainer requires the timeout value to be > 0");
    assert_no_error(cri_request_check(RUNTIME_STATUS, NULL));
}

TEST_CASE(only_unix_socket_endpoints_are_taken)
{
    static const struct {
        const char *endpoint, *path; /* NULL: refused */
    } cases[] = {
        {"unix:///run/containerd/containerd.sock", "/run/containerd/containerd.sock"},
        {"unix:/run/x.sock", "/run/x.sock"},
        {"/run/x.sock", "/run/x.sock"},
        {"tcp://127.0.0.1:3735", NULL},
        {"npipe:////./pipe/x", NULL},
        {"http://localhost/", NULL},
        {"unix://relative/x.sock", NULL},
        {"x.sock", NULL},
        {"unix://", NULL},
        {"/", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(free) char *path = NULL;
        struct error *err = cri_endpoint_path(cases[i].endpoint, &path);
        if (cases[i].path) {
            assert_no_error(err);
            assert_string_equal(path, cases[i].path);
        } else {
            assert_error_message(err, "only support unix socket endpoint");
        }
    }
}

TEST_MAIN(TEST(deadlines_are_those_of_the_method), TEST(every_method_has_a_path_of_its_own),
          TEST(a_version_names_everything_it_lacks), TEST(a_status_has_two_conditions),
          TEST(a_sandbox_status_is_complete), TEST(a_container_status_is_complete),
          TEST(ids_urls_and_references_are_not_empty), TEST(an_image_status_is_complete_or_absent),
          TEST(a_timed_out_exec_says_which_command_and_how_long),
          TEST(a_subject_is_found_or_absent), TEST(a_checkpoint_with_a_negative_timeout_is_refused),
          TEST(only_unix_socket_endpoints_are_taken))
