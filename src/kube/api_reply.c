/*
 * What an answer says. A good one holds an object of the expected kind, a bad one a Status; what a
 * proxy on the way has written is neither and becomes an error that shows how it begins.
 */
#include "kube/api_error.h"
#include "kube/api_internal.h"

static const struct {
    const char *media_type;
    enum kube_encoding encoding;
} media_types[] = {
    {"application/vnd.kubernetes.protobuf", KUBE_PROTOBUF},
    {"application/json", KUBE_JSON},
};

/* Before the parameters: "application/json" of "application/json;stream=watch". */
static struct str media_type_of(const char *content_type)
{
    struct str text = str_from(content_type);
    text.len = str_find(text, ';');
    return str_trim(text);
}

static bool is_text(const char *content_type)
{
    return content_type[0] == '\0' || text_has_prefix(content_type, "text/");
}

bool api_encoding_of(const char *content_type, struct str body, enum kube_encoding *ret)
{
    struct str type = media_type_of(content_type);
    for (size_t i = 0; i < ARRAY_SIZE(media_types); i++) {
        if (str_eq_c(type, media_types[i].media_type)) {
            *ret = media_types[i].encoding;
            return true;
        }
    }
    if (type.len > 0)
        return false;
    if (str_has_prefix(body, "k8s")) {
        *ret = KUBE_PROTOBUF;
        return true;
    }
    *ret = KUBE_JSON;
    return str_has_prefix(str_trim(body), "{");
}

static struct error *decode(const struct api_outcome *outcome, struct arena *arena,
                            const struct kube_kind **ret_kind, ProtobufCMessage **ret_object)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT,
                                                .max_bytes = API_REPLY_MAX_BYTES};
    enum kube_encoding encoding;
    if (outcome->body.len == 0)
        return error_new(ERROR_INTERNAL, "the answer is empty");
    if (!api_encoding_of(outcome->content_type, outcome->body, &encoding))
        return error_new(ERROR_INTERNAL,
                         "the answer is of type \"%s\", not a Kubernetes object: "
                         "\"%s\"",
                         outcome->content_type,
                         is_text(outcome->content_type) ? api_error_excerpt(outcome->body, arena)
                                                        : "");
    struct error *err =
        kube_decode_any(outcome->body, encoding, &options, arena, ret_kind, ret_object);
    if (error_is(err, ERROR_INVALID_ARGUMENT))
        err->code = ERROR_INTERNAL; /* nothing is wrong with the request: that would be a 422 */
    return error_wrap(err, "decoding the answer");
}

static bool is_status(const struct kube_kind *kind)
{
    return kind->type == &meta__status__descriptor;
}

static bool is_expected(const struct api_expectation *expected, const struct kube_kind *kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(expected->kinds) && expected->kinds[i]; i++) {
        if (expected->kinds[i] == kind)
            return true;
    }
    return false;
}

static struct error *read_good(const struct api_outcome *outcome,
                               const struct api_expectation *expected, struct api_result *result)
{
    const struct kube_kind *kind = NULL;
    ProtobufCMessage *object = NULL;
    struct error *err = decode(outcome, result->arena, &kind, &object);
    if (err)
        return err;
    ASSERT(kind && object);
    if (is_status(kind)) {
        const Meta__Status *status = (const Meta__Status *)object;
        if (text_eq(status->status, "Failure")) {
            result->status = status;
            return api_error_from_status(status, outcome->http_status);
        }
    }
    if (!is_expected(expected, kind) && !(expected->may_be_status && is_status(kind)))
        return error_new(ERROR_INTERNAL, "the server answered with a %s of %s instead of a %s",
                         kind->kind, kind->api_version, expected->kinds[0]->kind);
    result->kind = kind;
    result->object = object;
    return NULL;
}

static struct error *read_bad(const struct api_outcome *outcome,
                              const struct api_expectation *expected, struct api_result *result)
{
    const struct kube_kind *kind = NULL;
    ProtobufCMessage *object = NULL;
    struct error *err = decode(outcome, result->arena, &kind, &object);
    if (!err && kind && is_status(kind)) {
        const Meta__Status *status = (const Meta__Status *)object;
        result->status = status;
        if (status->details && status->details->has_retry_after_seconds &&
            status->details->retry_after_seconds > 0 && result->retry_after_ns == 0)
            result->retry_after_ns = status->details->retry_after_seconds * NS_PER_SEC;
        return api_error_from_status(status, outcome->http_status);
    }
    error_ignore(err, "what can be said without a Status is said below");
    bool is_readable = is_text(outcome->content_type);
    const struct api_failure failure = {
        .http_status = outcome->http_status,
        .method = expected->method,
        .resource =
            expected->kind->resource ? api_qualified_resource(expected->kind, result->arena) : NULL,
        .name = expected->name,
        .text = is_readable ? outcome->body : (struct str){0},
    };
    return api_error_from_failure(&failure);
}

void api_result_read(const struct api_outcome *outcome, const struct api_expectation *expected,
                     struct api_result *result, struct error **ret_err)
{
    *result = (struct api_result){.http_status = outcome->http_status,
                                  .retry_after_ns = outcome->retry_after_ns,
                                  .arena = arena_new(0)};
    bool is_good = outcome->http_status >= 200 && outcome->http_status < 300;
    *ret_err = is_good ? read_good(outcome, expected, result) : read_bad(outcome, expected, result);
    result->err = *ret_err;
}

struct arena *api_result_take_arena(struct api_result *result)
{
    return TAKE(result->arena);
}
