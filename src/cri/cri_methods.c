#include "cri/cri_methods.h"

#include "base/time.h"
#include "cri/cri_checks.h"

/* Several messages of the CRI have no fields, and proto/cri.proto leaves those out: they are all
 * this one. */
static void empty_init(ProtobufCMessage *message)
{
    *message = (ProtobufCMessage){0};
}

static const ProtobufCIntRange empty_ranges[1] = {{0, 0}};
static const ProtobufCMessageDescriptor empty_descriptor = {
    .magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
    .name = "empty message",
    .short_name = "Empty",
    .c_name = "Empty",
    .package_name = "",
    .sizeof_message = sizeof(ProtobufCMessage),
    .n_field_ranges = 0,
    .field_ranges = empty_ranges,
    .message_init = empty_init,
};

#define RUNTIME_SERVICE "/runtime.v1.RuntimeService/"
#define IMAGE_SERVICE "/runtime.v1.ImageService/"

#define RUNTIME(name, request_type, reply_type)                                                    \
    .grpc = {.path = RUNTIME_SERVICE name, .request = (request_type), .reply = (reply_type)},      \
    .service = CRI_SERVICE_RUNTIME
#define IMAGE(name, request_type, reply_type)                                                      \
    .grpc = {.path = IMAGE_SERVICE name, .request = (request_type), .reply = (reply_type)},        \
    .service = CRI_SERVICE_IMAGE
#define MESSAGE(name) &cri__##name##__descriptor
#define NO_FIELDS NULL
#define EMPTY &empty_descriptor

static const struct cri_method methods[] = {
    [RUNTIME_VERSION] = {RUNTIME("Version", MESSAGE(version_request), MESSAGE(version_response)),
                         .check = cri_check_version},
    [RUNTIME_RUNTIME_CONFIG] = {RUNTIME("RuntimeConfig", NO_FIELDS,
                                        MESSAGE(runtime_config_response))},
    [RUNTIME_STATUS] = {RUNTIME("Status", MESSAGE(status_request), MESSAGE(status_response)),
                        .check = cri_check_status},
    [RUNTIME_UPDATE_RUNTIME_CONFIG] = {RUNTIME("UpdateRuntimeConfig",
                                               MESSAGE(update_runtime_config_request), EMPTY)},
    [RUNTIME_RUN_POD_SANDBOX] = {RUNTIME("RunPodSandbox", MESSAGE(run_pod_sandbox_request),
                                         MESSAGE(run_pod_sandbox_response)),
                                 .deadline = CRI_DEADLINE_2T, .check = cri_check_run_pod_sandbox,
                                 .subject = cri_subject_run_pod_sandbox},
    [RUNTIME_STOP_POD_SANDBOX] = {RUNTIME("StopPodSandbox", MESSAGE(stop_pod_sandbox_request),
                                          EMPTY)},
    [RUNTIME_REMOVE_POD_SANDBOX] = {RUNTIME("RemovePodSandbox", MESSAGE(remove_pod_sandbox_request),
                                            EMPTY)},
    [RUNTIME_POD_SANDBOX_STATUS] = {RUNTIME("PodSandboxStatus", MESSAGE(pod_sandbox_status_request),
                                            MESSAGE(pod_sandbox_status_response)),
                                    .check = cri_check_pod_sandbox_status},
    [RUNTIME_LIST_POD_SANDBOX] = {RUNTIME("ListPodSandbox", MESSAGE(list_pod_sandbox_request),
                                          MESSAGE(list_pod_sandbox_response))},
    [RUNTIME_CREATE_CONTAINER] = {RUNTIME("CreateContainer", MESSAGE(create_container_request),
                                          MESSAGE(create_container_response)),
                                  .check = cri_check_create_container,
                                  .subject = cri_subject_create_container},
    [RUNTIME_START_CONTAINER] = {RUNTIME("StartContainer", MESSAGE(start_container_request),
                                         EMPTY)},
    [RUNTIME_STOP_CONTAINER] = {RUNTIME("StopContainer", MESSAGE(stop_container_request), EMPTY)},
    [RUNTIME_REMOVE_CONTAINER] = {RUNTIME("RemoveContainer", MESSAGE(remove_container_request),
                                          EMPTY)},
    [RUNTIME_LIST_CONTAINERS] = {RUNTIME("ListContainers", MESSAGE(list_containers_request),
                                         MESSAGE(list_containers_response))},
    [RUNTIME_CONTAINER_STATUS] = {RUNTIME("ContainerStatus", MESSAGE(container_status_request),
                                          MESSAGE(container_status_response)),
                                  .check = cri_check_container_status},
    [RUNTIME_UPDATE_CONTAINER_RESOURCES] = {RUNTIME(
        "UpdateContainerResources", MESSAGE(update_container_resources_request), EMPTY)},
    [RUNTIME_UPDATE_POD_SANDBOX_RESOURCES] = {RUNTIME(
        "UpdatePodSandboxResources", MESSAGE(update_pod_sandbox_resources_request), EMPTY)},
    [RUNTIME_REOPEN_CONTAINER_LOG] = {RUNTIME("ReopenContainerLog",
                                              MESSAGE(reopen_container_log_request), EMPTY)},
    [RUNTIME_EXEC_SYNC] = {RUNTIME("ExecSync", MESSAGE(exec_sync_request),
                                   MESSAGE(exec_sync_response)),
                           .deadline = CRI_DEADLINE_EXEC, .subject = cri_subject_exec_sync},
    [RUNTIME_EXEC] = {RUNTIME("Exec", MESSAGE(exec_request), MESSAGE(exec_response)),
                      .check = cri_check_exec},
    [RUNTIME_ATTACH] = {RUNTIME("Attach", MESSAGE(attach_request), MESSAGE(attach_response)),
                        .check = cri_check_attach},
    [RUNTIME_PORT_FORWARD] = {RUNTIME("PortForward", MESSAGE(port_forward_request),
                                      MESSAGE(port_forward_response)),
                              .check = cri_check_port_forward},
    [RUNTIME_CONTAINER_STATS] = {RUNTIME("ContainerStats", MESSAGE(container_stats_request),
                                         MESSAGE(container_stats_response))},
    [RUNTIME_LIST_CONTAINER_STATS] = {RUNTIME("ListContainerStats",
                                              MESSAGE(list_container_stats_request),
                                              MESSAGE(list_container_stats_response))},
    [RUNTIME_POD_SANDBOX_STATS] = {RUNTIME("PodSandboxStats", MESSAGE(pod_sandbox_stats_request),
                                           MESSAGE(pod_sandbox_stats_response))},
    [RUNTIME_LIST_POD_SANDBOX_STATS] = {RUNTIME("ListPodSandboxStats",
                                                MESSAGE(list_pod_sandbox_stats_request),
                                                MESSAGE(list_pod_sandbox_stats_response))},
    [RUNTIME_LIST_METRIC_DESCRIPTORS] = {RUNTIME("ListMetricDescriptors", NO_FIELDS,
                                                 MESSAGE(list_metric_descriptors_response))},
    [RUNTIME_LIST_POD_SANDBOX_METRICS] = {RUNTIME("ListPodSandboxMetrics", NO_FIELDS,
                                                  MESSAGE(list_pod_sandbox_metrics_response))},
    [RUNTIME_CHECKPOINT_CONTAINER] = {RUNTIME("CheckpointContainer",
                                              MESSAGE(checkpoint_container_request), EMPTY),
                                      .deadline = CRI_DEADLINE_CHECKPOINT},
    [IMAGE_LIST_IMAGES] = {IMAGE("ListImages", MESSAGE(list_images_request),
                                 MESSAGE(list_images_response))},
    [IMAGE_IMAGE_STATUS] = {IMAGE("ImageStatus", MESSAGE(image_status_request),
                                  MESSAGE(image_status_response)),
                            .check = cri_check_image_status, .subject = cri_subject_image_status},
    [IMAGE_PULL_IMAGE] = {IMAGE("PullImage", MESSAGE(pull_image_request),
                                MESSAGE(pull_image_response)),
                          .deadline = CRI_DEADLINE_NONE, .check = cri_check_pull_image,
                          .subject = cri_subject_pull_image},
    [IMAGE_REMOVE_IMAGE] = {IMAGE("RemoveImage", MESSAGE(remove_image_request), EMPTY)},
    [IMAGE_IMAGE_FS_INFO] = {IMAGE("ImageFsInfo", NO_FIELDS, MESSAGE(image_fs_info_response))},
};
_Static_assert(ARRAY_SIZE(methods) == RUNTIME_METHOD_COUNT, "describe every method");
_Static_assert(CRI_DEADLINE_T == 0, "a row that names no deadline has T");

const struct grpc_method cri_get_container_events = {
    .path = RUNTIME_SERVICE "GetContainerEvents",
    .request = NO_FIELDS,
    .reply = MESSAGE(container_event_response),
};

const struct cri_method *cri_method(enum runtime_method method)
{
    ASSERT((size_t)method < ARRAY_SIZE(methods));
    return &methods[method];
}

static const Cri__CheckpointContainerRequest *as_checkpoint(const ProtobufCMessage *request)
{
    return (const Cri__CheckpointContainerRequest *)(const void *)request;
}

int64_t cri_method_timeout_ns(enum runtime_method method, const ProtobufCMessage *request,
                              int64_t request_timeout_ns, int64_t extra_ns)
{
    switch (cri_method(method)->deadline) {
    case CRI_DEADLINE_T:
        return sat_add_i64(request_timeout_ns, extra_ns);
    case CRI_DEADLINE_2T:
        return sat_add_i64(sat_mul_i64(request_timeout_ns, 2), extra_ns);
    case CRI_DEADLINE_NONE:
        return GRPC_NO_TIMEOUT;
    case CRI_DEADLINE_EXEC:
        return extra_ns == 0 ? GRPC_NO_TIMEOUT : sat_add_i64(request_timeout_ns, extra_ns);
    case CRI_DEADLINE_CHECKPOINT:
        return max_i64(max_i64(request_timeout_ns, extra_ns),
                       sat_mul_i64(as_checkpoint(request)->timeout, NS_PER_SEC));
    }
    return request_timeout_ns;
}

struct error *cri_request_check(enum runtime_method method, const ProtobufCMessage *request)
{
    if (method != RUNTIME_CHECKPOINT_CONTAINER)
        return NULL;
    if (as_checkpoint(request)->timeout >= 0)
        return NULL;
    return error_new(ERROR_UNKNOWN, "CheckpointContainer requires the timeout value to be > 0");
}

struct error *cri_method_error(enum runtime_method method, const char *subject, int64_t extra_ns,
                               struct error *err_owned)
{
    if (method != RUNTIME_EXEC_SYNC || !error_is(err_owned, ERROR_DEADLINE_EXCEEDED))
        return err_owned;
    char duration[TIME_TEXT_SIZE];
    error_free(err_owned);
    return error_new(ERROR_DEADLINE_EXCEEDED, "command timed out: \"%s\" timed out after %s",
                     subject, time_format_duration(extra_ns, duration));
}

struct error *cri_error_as_rpc(struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    struct error *as_rpc = error_new(err->code, "rpc error: code = %s desc = %s",
                                     error_code_name(err->code), err->message);
    as_rpc->os_errno = err->os_errno;
    return as_rpc;
}
