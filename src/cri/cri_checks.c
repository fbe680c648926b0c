#include "cri/cri_checks.h"

#include "base/buf.h"

/* Longest command line worth repeating in an error message. */
#define COMMAND_TEXT_MAX (4 * KiB)

static bool is_empty(const char *text)
{
    return !text || !*text;
}

static struct error *missing(const char *what)
{
    return error_new(ERROR_UNKNOWN, "%s is not set", what);
}

/* --- replies --- */

struct error *cri_check_version(const ProtobufCMessage *reply, UNUSED const char *subject)
{
    const Cri__VersionResponse *version = (const Cri__VersionResponse *)(const void *)reply;
    const struct {
        const char *name, *value;
    } fields[] = {
        {"Version", version->version},
        {"RuntimeName", version->runtime_name},
        {"RuntimeVersion", version->runtime_version},
        {"RuntimeApiVersion", version->runtime_api_version},
    };
    struct buf names __attribute__((cleanup(auto_release_buf)));
    buf_init(&names, KiB);
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (is_empty(fields[i].value))
            buf_printf(&names, "%s%s", names.len > 0 ? ", " : "", fields[i].name);
    }
    if (names.len == 0)
        return NULL;
    return error_new(ERROR_UNKNOWN, "not all fields are set in VersionResponse (missing %s)",
                     buf_text(&names));
}

struct error *cri_check_status(const ProtobufCMessage *reply, UNUSED const char *subject)
{
    const Cri__StatusResponse *status = (const Cri__StatusResponse *)(const void *)reply;
    if (status->status && status->status->n_conditions >= 2)
        return NULL;
    return error_new(ERROR_UNKNOWN, "RuntimeReady or NetworkReady condition are not set");
}

struct error *cri_check_run_pod_sandbox(const ProtobufCMessage *reply, const char *subject)
{
    const Cri__RunPodSandboxResponse *run = (const Cri__RunPodSandboxResponse *)(const void *)reply;
    if (!is_empty(run->pod_sandbox_id))
        return NULL;
    return error_new(ERROR_UNKNOWN, "PodSandboxId is not set for sandbox \"%s\"", subject);
}

struct error *cri_check_pod_sandbox_status(const ProtobufCMessage *reply,
                                           UNUSED const char *subject)
{
    const Cri__PodSandboxStatus *status =
        ((const Cri__PodSandboxStatusResponse *)(const void *)reply)->status;
    if (!status)
        return error_new(ERROR_UNKNOWN, "pod sandbox status is nil");
    if (is_empty(status->id))
        return missing("status.Id");
    const Cri__PodSandboxMetadata *metadata = status->metadata;
    if (!metadata)
        return missing("status.Metadata");
    if (is_empty(metadata->name) || is_empty(metadata->namespace_) || is_empty(metadata->uid))
        return error_new(ERROR_UNKNOWN,
                         "metadata.Name, metadata.Namespace or metadata.Uid is not in metadata of "
                         "sandbox \"%s\"",
                         status->id);
    return status->created_at == 0 ? missing("status.CreatedAt") : NULL;
}

struct error *cri_check_create_container(const ProtobufCMessage *reply, const char *subject)
{
    const Cri__CreateContainerResponse *create =
        (const Cri__CreateContainerResponse *)(const void *)reply;
    if (!is_empty(create->container_id))
        return NULL;
    return error_new(ERROR_UNKNOWN, "ContainerId is not set for container \"%s\"", subject);
}

struct error *cri_check_container_status(const ProtobufCMessage *reply, UNUSED const char *subject)
{
    const Cri__ContainerStatus *status =
        ((const Cri__ContainerStatusResponse *)(const void *)reply)->status;
    if (!status)
        return error_new(ERROR_UNKNOWN, "container status is nil");
    if (is_empty(status->id))
        return missing("status.Id");
    if (!status->metadata)
        return missing("status.Metadata");
    if (is_empty(status->metadata->name))
        return error_new(ERROR_UNKNOWN, "metadata.Name is not in metadata of container \"%s\"",
                         status->id);
    if (status->created_at == 0)
        return missing("status.CreatedAt");
    if (!status->image || is_empty(status->image->image))
        return missing("status.Image");
    return is_empty(status->image_ref) ? missing("status.ImageRef") : NULL;
}

static struct error *check_url(const char *url)
{
    return is_empty(url) ? missing("URL") : NULL;
}

struct error *cri_check_exec(const ProtobufCMessage *reply, UNUSED const char *subject)
{
    return check_url(((const Cri__ExecResponse *)(const void *)reply)->url);
}

struct error *cri_check_attach(const ProtobufCMessage *reply, UNUSED const char *subject)
{
    return check_url(((const Cri__AttachResponse *)(const void *)reply)->url);
}

struct error *cri_check_port_forward(const ProtobufCMessage *reply, UNUSED const char *subject)
{
    return check_url(((const Cri__PortForwardResponse *)(const void *)reply)->url);
}

/* An absent image is an answer: the image is not there. */
struct error *cri_check_image_status(const ProtobufCMessage *reply, const char *subject)
{
    const Cri__Image *image = ((const Cri__ImageStatusResponse *)(const void *)reply)->image;
    if (!image || (!is_empty(image->id) && image->size != 0))
        return NULL;
    return error_new(ERROR_UNKNOWN, "Id or size of image \"%s\" is not set", subject);
}

struct error *cri_check_pull_image(const ProtobufCMessage *reply, const char *subject)
{
    const Cri__PullImageResponse *pull = (const Cri__PullImageResponse *)(const void *)reply;
    if (!is_empty(pull->image_ref))
        return NULL;
    return error_new(ERROR_UNKNOWN, "imageRef of image \"%s\" is not set", subject);
}

/* --- requests --- */

char *cri_subject_run_pod_sandbox(const ProtobufCMessage *request)
{
    const Cri__PodSandboxConfig *config =
        ((const Cri__RunPodSandboxRequest *)(const void *)request)->config;
    return config && config->metadata ? xstrdup(config->metadata->name) : NULL;
}

char *cri_subject_create_container(const ProtobufCMessage *request)
{
    const Cri__ContainerConfig *config =
        ((const Cri__CreateContainerRequest *)(const void *)request)->config;
    return config && config->metadata ? xstrdup(config->metadata->name) : NULL;
}

char *cri_subject_image_status(const ProtobufCMessage *request)
{
    const Cri__ImageSpec *image = ((const Cri__ImageStatusRequest *)(const void *)request)->image;
    return image ? xstrdup(image->image) : NULL;
}

char *cri_subject_pull_image(const ProtobufCMessage *request)
{
    const Cri__ImageSpec *image = ((const Cri__PullImageRequest *)(const void *)request)->image;
    return image ? xstrdup(image->image) : NULL;
}

char *cri_subject_exec_sync(const ProtobufCMessage *request)
{
    const Cri__ExecSyncRequest *exec = (const Cri__ExecSyncRequest *)(const void *)request;
    struct buf text __attribute__((cleanup(auto_release_buf)));
    buf_init(&text, COMMAND_TEXT_MAX);
    for (size_t i = 0; i < exec->n_cmd && !text.overflowed; i++)
        buf_printf(&text, "%s%s", i > 0 ? " " : "", exec->cmd[i]);
    return buf_take(&text);
}
