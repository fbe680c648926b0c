/*
 * A manifest through decoding, defaulting and validation. Properties: defaulting twice is
 * defaulting once, validation changes nothing and keeps within its cap, and every error has a path
 * and a message.
 */
#include "base/buf.h"
#include "kube/codec.h"
#include "kube/defaults.h"
#include "kube/resources.h"
#include "kube/validate.h"

#include "core.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_pod(Core__Pod *pod, struct arena *arena)
{
    AUTO(buf) struct buf once, twice;
    buf_init(&once, 16 * MiB);
    buf_init(&twice, 16 * MiB);
    pod_set_defaults(pod, arena);
    kube_encode_json(&pod->base, NULL, &once);
    pod_set_defaults(pod, arena);

    struct field_errors *errors = arena_alloc(arena, sizeof(*errors));
    errors->arena = arena;
    pod_validate_create(pod, errors);
    ASSERT(errors->count <= FIELD_ERRORS_MAX);
    for (size_t i = 0; i < errors->count; i++)
        ASSERT(errors->errors[i].path && *errors->errors[i].path && errors->errors[i].message);
    ASSERT((field_errors_text(errors, arena) == NULL) == (errors->count == 0));

    const char *reference = pod_static_reference_error(pod);
    ASSERT(!reference || text_has_prefix(reference, "static pods may not reference "));
    (void)pod_request_milli_cpu(pod, NULL, NULL);
    (void)pod_limits_cover_all(pod, RESOURCE_MEMORY);
    ASSERT(pod_qos_of(pod) <= POD_QOS_BESTEFFORT);

    kube_encode_json(&pod->base, NULL, &twice);
    ASSERT(str_eq(buf_str(&once), buf_str(&twice)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    struct str text = {.ptr = (const char *)data, .len = size};
    ProtobufCMessage *message = NULL;
    struct error *err = kube_decode_text(text, &core__pod__descriptor, &options, arena, &message);
    if (err) {
        error_ignore(err, "most inputs are no manifests");
        return 0;
    }
    check_pod((Core__Pod *)message, arena);
    return 0;
}
