/*
 * Who manages which field: metadata.managedFields is kept for every write (kube/apply.h), and
 * server-side apply merges what a manager applies with what the others own.
 */
#include "plane/rest_internal.h"

#include "kube/apply.h"
#include "plane/route.h"

/* What an endpoint resets on each write is nobody's: the status through the object itself, and the
 * spec through its status. */
static const struct field_set *ignored_fields(const struct rest_write *write)
{
    bool has_status = resource_subresource(write->resource, "status") != NULL;
    bool is_status = text_eq(write->subresource, "status");
    if (!has_status)
        return NULL;
    struct arena *arena = write->env->arena;
    struct field_set_builder builder = {0};
    const struct field_element element = {.kind = FIELD_NAME,
                                          .name = str_from(is_status ? "spec" : "status")};
    field_set_add(&builder, &element, true, NULL);
    return field_set_finish(&builder, arena);
}

static struct kube_apply_request request_of(const struct rest_write *write)
{
    return (struct kube_apply_request){
        .type = write->resource->kind->type,
        .api_version = write->resource->kind->api_version,
        .subresource = write->subresource,
        .manager = write->manager,
        .ignored = ignored_fields(write),
        .now_s = write->env->now_wall_ns / NS_PER_SEC,
    };
}

static struct error *document_of(const struct rest_write *write, const ProtobufCMessage *object,
                                 const struct doc_node **ret)
{
    const struct kube_type_meta type = kube_kind_meta(write->resource->kind);
    return kube_message_to_document(object, &type, write->env->arena, ret);
}

/* Only the list of managers is taken back into the message; the rest of the document is it. */
static struct error *take_managers(struct arena *arena, const struct doc_node *document,
                                   ProtobufCMessage *object)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    const struct doc_node *managers = doc_get(doc_get(document, "metadata"), "managedFields");
    Meta__ObjectMeta *meta = kube_object_meta(object);
    meta->n_managed_fields = 0;
    if (!managers)
        return NULL;
    const struct doc_node *holder = doc_with_member(NULL, "managedFields", managers, arena);
    ProtobufCMessage *read = NULL;
    struct error *err =
        kube_decode_document(holder, &meta__object_meta__descriptor, &options, arena, &read);
    if (err)
        return err;
    meta->managed_fields = ((Meta__ObjectMeta *)read)->managed_fields;
    meta->n_managed_fields = ((Meta__ObjectMeta *)read)->n_managed_fields;
    return NULL;
}

static Meta__Status *track(const struct rest_write *write, const ProtobufCMessage *old,
                           ProtobufCMessage *object)
{
    struct arena *arena = write->env->arena;
    struct kube_apply_request request = request_of(write);
    const struct doc_node *tracked = NULL;
    struct error *err = old ? document_of(write, old, &request.live) : NULL;
    if (!err)
        err = document_of(write, object, &request.object);
    if (!err)
        err = kube_update_managers(&request, arena, &tracked);
    if (!err)
        err = take_managers(arena, tracked, object);
    return err ? failure_from_error(arena, err) : NULL;
}

Meta__Status *rest_track_create(const struct rest_write *write, ProtobufCMessage *object)
{
    return write->is_tracked ? NULL : track(write, NULL, object);
}

Meta__Status *rest_track_update(const struct rest_write *write, const struct rest_stored *old,
                                ProtobufCMessage *object)
{
    return write->is_tracked ? NULL : track(write, old->object, object);
}

/* --- apply --- */

static Meta__Status *conflict_failure(const struct rest_env *env, const struct error *err,
                                      const struct kube_apply_result *result)
{
    Meta__Status *failure = failure_new(env->arena, 409, "%s", err->message);
    Meta__StatusDetails *details =
        (Meta__StatusDetails *)kube_message_new(&meta__status_details__descriptor, env->arena);
    details->causes = arena_calloc(env->arena, result->conflict_count, sizeof(void *));
    for (size_t i = 0; i < result->conflict_count; i++) {
        Meta__StatusCause *cause =
            (Meta__StatusCause *)kube_message_new(&meta__status_cause__descriptor, env->arena);
        cause->reason = arena_strdup(env->arena, "FieldManagerConflict");
        cause->message = arena_printf(env->arena, "conflict with %s", result->conflicts[i].manager);
        cause->field = arena_strdup(env->arena, result->conflicts[i].path);
        details->causes[details->n_causes++] = cause;
    }
    failure->details = details;
    return failure;
}

static Meta__Status *apply_failure(const struct rest_env *env, struct error *err_owned,
                                   const struct kube_apply_result *result)
{
    if (!error_is(err_owned, ERROR_ABORTED))
        return failure_from_error(env->arena, err_owned);
    AUTO(error) struct error *err = err_owned;
    return conflict_failure(env, err, result);
}

static Meta__Status *read_configuration(const struct rest_env *env,
                                        const struct plane_request *request,
                                        struct plane_reply *reply, const struct doc_node **ret)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    AUTO(error)
    struct error *err = kube_parse_text(request->body, &options, env->arena, ret);
    if (err)
        return failure_bad_request(env->arena, "error decoding YAML: %s", err->message);
    /* Read once for what it is: the client's wish for unknown fields is about its own text. */
    ProtobufCMessage *ignored = NULL;
    const struct kube_kind *kind = request->resource->kind;
    const char *why = rest_decode_document(env, request, *ret, kind, &ignored, reply);
    return why ? rest_cannot_be_handled(env, kind, why) : NULL;
}

/* A configuration that knows the object's uid is not for one that is to be made. */
static Meta__Status *check_creation(const struct rest_env *env, const struct plane_request *request,
                                    const Meta__ObjectMeta *meta)
{
    if (!meta->uid || !*meta->uid)
        return rest_may_create(env, request);
    const struct failure_target target = rest_target(request->resource, request->name);
    return failure_conflict(env->arena, &target,
                            arena_printf(env->arena,
                                         "uid mismatch: the provided object specified uid %s, and"
                                         " no existing object was found",
                                         meta->uid));
}

Meta__Status *rest_apply(const struct rest_env *env, const struct plane_request *request,
                         const struct rest_stored *old, struct plane_reply *reply)
{
    const struct kube_kind *kind = request->resource->kind;
    struct rest_write write = rest_write_of(env, request);
    struct kube_apply_request apply = request_of(&write);
    struct kube_apply_result result = {0};
    apply.is_forced = route_param_is_on(request->target, "force");
    Meta__Status *failure = read_configuration(env, request, reply, &apply.object);
    if (failure)
        return failure;
    struct error *err = old ? document_of(&write, old->object, &apply.live) : NULL;
    if (!err)
        err = kube_apply(&apply, env->arena, &result);
    if (err)
        return apply_failure(env, err, &result);

    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    ProtobufCMessage *object = NULL;
    err = kube_decode_document(result.object, kind->type, &options, env->arena, &object);
    if (err)
        return failure_from_error(env->arena, err);
    failure = rest_check_place(env, request, object);
    write.is_tracked = true;
    write.is_upsert = !old;
    if (!failure && !old)
        failure = check_creation(env, request, kube_object_meta(object));
    if (!failure)
        failure = old ? rest_do_update(&write, old, object) : rest_do_create(&write, object);
    return failure ? failure
                   : rest_reply_object(env, request, old ? 200 : 201, kind, object, reply);
}
