/*
 * PATCH: the object becomes a document, the patch makes another one of it, and that is written as
 * an update. Server-side apply makes the object when it is not there.
 */
#include "plane/rest_internal.h"

#include "kube/document.h"
#include "kube/patch.h"
#include "wire/json.h"

enum patch_type { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };

static Meta__Status *read_patch_type(const struct rest_env *env,
                                     const struct plane_request *request, enum patch_type *ret)
{
    static const struct {
        const char *type;
        enum patch_type patch;
    } rows[] = {
        {"application/json-patch+json", PATCH_JSON},
        {"application/merge-patch+json", PATCH_MERGE},
        {"application/strategic-merge-patch+json", PATCH_STRATEGIC},
        {REST_APPLY_TYPE, PATCH_APPLY},
    };
    const char *type = media_type(request->content_type, env->arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(type, rows[i].type) == 0) {
            *ret = rows[i].patch;
            return NULL;
        }
    }
    return failure_new(env->arena, 415,
                       "the body of the request was in an unknown format - accepted media types"
                       " include: application/json-patch+json, application/merge-patch+json,"
                       " application/strategic-merge-patch+json, " REST_APPLY_TYPE);
}

/* The patch room says by its reason what the answer is. */
static Meta__Status *patch_failure(const struct rest_env *env, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    if (text_eq(err->reason, "Invalid"))
        return failure_rejected(env->arena);
    if (text_eq(err->reason, "InternalError"))
        return failure_new(env->arena, 500, "%s", err->message);
    if (text_eq(err->reason, "RequestEntityTooLarge"))
        return failure_new(env->arena, 413, "%s", err->message);
    return failure_bad_request(env->arena, "%s", err->message);
}

static struct error *run_patch(enum patch_type type, const struct doc_node *document,
                               const struct doc_node *patch, const struct kube_kind *kind,
                               struct arena *arena, const struct doc_node **ret)
{
    switch (type) {
    case PATCH_JSON:
        return kube_patch_json(document, patch, arena, ret);
    case PATCH_MERGE:
        return kube_patch_merge(document, patch, arena, ret);
    case PATCH_STRATEGIC:
        return kube_patch_strategic(document, patch, kind->type, arena, ret);
    case PATCH_APPLY:
        break; /* rest_apply() */
    }
    return error_new(ERROR_INTERNAL, "apply is no patch of this kind");
}

static Meta__Status *parse_patch(const struct rest_env *env, const struct plane_request *request,
                                 const struct doc_node **ret)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    AUTO(error)
    struct error *err = kube_parse_text(request->body, &options, env->arena, ret);
    return err ? failure_bad_request(env->arena, "error decoding patch: %s", err->message) : NULL;
}

/* What a patch has made is refused in words of its own. */
static Meta__Status *decode_patched(const struct rest_env *env, const struct plane_request *request,
                                    const struct doc_node *patched, ProtobufCMessage **ret,
                                    struct plane_reply *reply)
{
    const struct kube_kind *kind = request->resource->kind;
    const char *why = rest_decode_document(env, request, patched, kind, ret, reply);
    if (!why)
        return NULL;
    AUTO(buf) struct buf text;
    struct json_writer writer;
    buf_init(&text, REST_REPLY_MAX_BYTES);
    json_writer_init(&writer, &text, false);
    doc_write_node(&writer.base, patched);
    return failure_invalid_patch(env->arena, buf_text(&text), why);
}

static Meta__Status *patch_stored(const struct rest_env *env, const struct plane_request *request,
                                  enum patch_type type, const struct rest_stored *old,
                                  struct plane_reply *reply)
{
    const struct kube_kind *kind = request->resource->kind;
    const struct kube_type_meta meta = kube_kind_meta(kind);
    const struct doc_node *patch = NULL, *document = NULL, *patched = NULL;
    Meta__Status *failure = parse_patch(env, request, &patch);
    if (failure)
        return failure;
    struct error *err = kube_message_to_document(old->object, &meta, env->arena, &document);
    if (!err)
        err = run_patch(type, document, patch, kind, env->arena, &patched);
    if (err)
        return patch_failure(env, err);
    ProtobufCMessage *object = NULL;
    failure = decode_patched(env, request, patched, &object, reply);
    if (!failure)
        failure = rest_check_place(env, request, object);
    const struct rest_write write = rest_write_of(env, request);
    if (!failure)
        failure = rest_do_update(&write, old, object);
    return failure ? failure : rest_reply_object(env, request, 200, kind, object, reply);
}

Meta__Status *rest_patch(const struct rest_env *env, const struct plane_request *request,
                         struct plane_reply *reply)
{
    enum patch_type type = PATCH_JSON;
    struct rest_stored old;
    Meta__Status *failure = read_patch_type(env, request, &type);
    if (failure)
        return failure;
    failure = rest_load(env, request->resource, request->namespace_, request->name, &old);
    bool is_missing = failure && failure->code == 404;
    bool is_creation = type == PATCH_APPLY && is_missing && !request->subresource;
    if (type == PATCH_APPLY && (!failure || is_creation))
        return rest_apply(env, request, is_creation ? NULL : &old, reply);
    return failure ? failure : patch_stored(env, request, type, &old, reply);
}
