/*
 * The dispatch of verbs, and what all of them share: from rows to objects, from bodies to objects,
 * from objects to replies.
 */
#include "plane/rest_internal.h"

#include "kube/codec.h"
#include "kube/document.h"
#include "plane/authz.h"
#include "plane/table.h"

#include "runtime.pb-c.h"

#define SCRATCH_BLOCK_BYTES (16 * KiB)

/* --- rows --- */

struct failure_target rest_target(const struct resource *resource, const char *name)
{
    return (struct failure_target){
        .group = resource->kind->group, .resource = resource->kind->resource, .name = name};
}

struct store_key rest_key(const struct resource *resource, const Meta__ObjectMeta *meta)
{
    return (struct store_key){
        .resource = resource->key,
        .namespace_ = meta->namespace_ ? meta->namespace_ : "",
        .name = meta->name ? meta->name : "",
    };
}

struct error *rest_decode_item(const struct resource *resource, const struct store_item *item,
                               struct arena *arena, ProtobufCMessage **ret)
{
    const struct resource_storage *storage = resource->storage;
    const ProtobufCMessageDescriptor *type = storage ? storage->type : resource->kind->type;
    ProtobufCMessage *object = NULL;
    struct error *err = kube_decode_protobuf(item->bytes, type, arena, &object);
    if (err) {
        AUTO(error) struct error *cause = err;
        return error_new(ERROR_DATA_LOSS, "the stored %s %s/%s does not decode: %s",
                         resource->kind->kind, item->key.namespace_, item->key.name,
                         cause->message);
    }
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    meta->resource_version = arena_printf(arena, "%lld", (long long)item->revision);
    *ret = storage && storage->from_stored ? storage->from_stored(object, arena) : object;
    return NULL;
}

struct error *rest_decode_shown(const struct rest_env *env, const struct resource *resource,
                                const struct store_item *item, struct arena *arena,
                                ProtobufCMessage **ret)
{
    struct error *err = rest_decode_item(resource, item, arena, ret);
    if (!err && resource_is_measured(resource))
        *ret = env->usage ? resource->storage->measured(*ret, env->usage, arena) : NULL;
    return err;
}

void rest_encode_row(const struct resource *resource, ProtobufCMessage *object, struct arena *arena,
                     struct buf *out)
{
    Meta__ObjectMeta *meta = kube_object_meta(object);
    char *resource_version = meta->resource_version;
    meta->resource_version = NULL;
    kube_encode_protobuf(resource->storage ? resource->storage->to_stored(object, arena) : object,
                         out);
    meta->resource_version = resource_version;
}

Meta__Status *rest_load(const struct rest_env *env, const struct resource *resource,
                        const char *namespace_, const char *name, struct rest_stored *ret)
{
    const struct store_key key = {
        .resource = resource->key, .namespace_ = namespace_ ? namespace_ : "", .name = name};
    struct store_item item;
    *ret = (struct rest_stored){0};
    struct error *err = store_get(env->store, &key, env->arena, &item);
    bool is_missing = error_is(err, ERROR_NOT_FOUND);
    if (!err)
        err = rest_decode_shown(env, resource, &item, env->arena, &ret->object);
    if (err && !is_missing)
        return failure_from_error(env->arena, err);
    error_free(err);
    if (!ret->object) {
        const struct failure_target target = rest_target(resource, name);
        return failure_not_found(env->arena, &target);
    }
    ret->meta = kube_object_meta(ret->object);
    ret->bytes = item.bytes;
    return NULL;
}

Meta__Status *rest_read(const struct rest_env *env, const struct resource *resource,
                        const char *namespace_, const char *name, ProtobufCMessage **ret)
{
    struct rest_stored stored;
    Meta__Status *failure = rest_load(env, resource, namespace_, name, &stored);
    if (!failure)
        *ret = stored.object;
    return failure;
}

struct each_object {
    const struct resource *resource;
    rest_each *each;
    void *ctx;
    Meta__Status *failure;
};

static struct error *each_row(void *ctx, const struct store_item *item)
{
    struct each_object *each = ctx;
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    ProtobufCMessage *object = NULL;
    struct error *err = rest_decode_item(each->resource, item, scratch, &object);
    if (err)
        return err;
    each->failure = each->each(each->ctx, object);
    return each->failure ? error_new(ERROR_CANCELLED, "the caller has seen enough") : NULL;
}

Meta__Status *rest_each_object(const struct rest_env *env, const struct resource *resource,
                               const char *namespace_, rest_each *each, void *ctx)
{
    struct each_object walk = {.resource = resource, .each = each, .ctx = ctx};
    const struct store_range range = {.resource = resource->key, .namespace_ = namespace_};
    struct error *err = store_list(env->store, &range, each_row, &walk);
    if (walk.failure) {
        error_ignore(err, "it only ended the walk");
        return walk.failure;
    }
    return err ? failure_from_error(env->arena, err) : NULL;
}

/* --- bodies --- */

enum unknown_fields { UNKNOWN_IGNORED, UNKNOWN_WARNED, UNKNOWN_REFUSED };

static enum unknown_fields unknown_fields(const struct plane_request *request)
{
    const char *validation = http_target_param(request->target, "fieldValidation");
    if (validation && strcmp(validation, "Strict") == 0)
        return UNKNOWN_REFUSED;
    return validation && strcmp(validation, "Ignore") == 0 ? UNKNOWN_IGNORED : UNKNOWN_WARNED;
}

Meta__Status *rest_cannot_be_handled(const struct rest_env *env, const struct kube_kind *kind,
                                     const char *why)
{
    return failure_bad_request(env->arena, "%s in version \"%s\" cannot be handled as a %s: %s",
                               kind->kind, kind->version, kind->kind, why);
}

/* Upstream names the version first when that is what differs. */
static Meta__Status *check_type(const struct rest_env *env, const struct kube_kind *want,
                                const struct kube_type_meta *said)
{
    if (*said->api_version && strcmp(said->api_version, want->api_version) != 0)
        return failure_bad_request(env->arena,
                                   "the API version in the data (%s) does not match the expected"
                                   " API version (%s)",
                                   said->api_version, want->api_version);
    if (*said->kind && strcmp(said->kind, want->kind) != 0)
        return failure_bad_request(env->arena,
                                   "the object provided is unrecognized (must be of type %s): kind"
                                   " \"%s\" does not match",
                                   want->kind, said->kind);
    return NULL;
}

const char *rest_decode_document(const struct rest_env *env, const struct plane_request *request,
                                 const struct doc_node *document, const struct kube_kind *kind,
                                 ProtobufCMessage **ret, struct plane_reply *reply)
{
    struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    AUTO(error)
    struct error *err = kube_decode_document(document, kind->type, &options, env->arena, ret);
    if (err)
        return arena_strdup(env->arena, err->message);
    enum unknown_fields wish = unknown_fields(request);
    if (wish == UNKNOWN_IGNORED)
        return NULL;
    options.unknown = KUBE_UNKNOWN_STRICT;
    ProtobufCMessage *strict = NULL;
    AUTO(error)
    struct error *found = kube_decode_document(document, kind->type, &options, env->arena, &strict);
    if (!found)
        return NULL;
    if (wish == UNKNOWN_REFUSED)
        return arena_printf(env->arena, "strict decoding error: %s", found->message);
    reply->warning = arena_strdup(env->arena, found->message);
    return NULL;
}

static Meta__Status *decode_protobuf(const struct rest_env *env,
                                     const struct plane_request *request,
                                     const struct kube_kind *kind, bool checks_type,
                                     ProtobufCMessage **ret)
{
    struct kube_type_meta said;
    struct str raw;
    struct error *err = kube_decode_envelope(request->body, env->arena, &said, &raw);
    if (!err) {
        Meta__Status *failure = checks_type ? check_type(env, kind, &said) : NULL;
        if (failure)
            return failure;
        err = kube_decode_protobuf(raw, kind->type, env->arena, ret);
    }
    if (!err)
        return NULL;
    AUTO(error) struct error *cause = err;
    return rest_cannot_be_handled(env, kind, cause->message);
}

static Meta__Status *decode_body(const struct rest_env *env, const struct plane_request *request,
                                 const struct kube_kind *kind, bool checks_type,
                                 ProtobufCMessage **ret, struct plane_reply *reply)
{
    enum kube_encoding encoding;
    Meta__Status *failure = negotiate_body(request->content_type, env->arena, &encoding);
    if (failure)
        return failure;
    if (encoding == KUBE_PROTOBUF)
        return decode_protobuf(env, request, kind, checks_type, ret);

    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    const struct doc_node *document = NULL;
    struct kube_type_meta said = {.api_version = "", .kind = ""};
    AUTO(error)
    struct error *err = kube_parse_text(request->body, &options, env->arena, &document);
    if (!err)
        err = kube_document_type_meta(document, &options, env->arena, &said);
    if (err)
        return failure_bad_request(env->arena, "couldn't get version/kind; json parse error: %s",
                                   err->message);
    failure = checks_type ? check_type(env, kind, &said) : NULL;
    if (failure)
        return failure;
    const char *why = rest_decode_document(env, request, document, kind, ret, reply);
    return why ? rest_cannot_be_handled(env, kind, why) : NULL;
}

Meta__Status *rest_decode_body(const struct rest_env *env, const struct plane_request *request,
                               const struct kube_kind *kind, ProtobufCMessage **ret,
                               struct plane_reply *reply)
{
    return decode_body(env, request, kind, true, ret, reply);
}

Meta__Status *rest_decode_options(const struct rest_env *env, const struct plane_request *request,
                                  const struct kube_kind *kind, ProtobufCMessage **ret,
                                  struct plane_reply *reply)
{
    return decode_body(env, request, kind, false, ret, reply);
}

Meta__Status *rest_check_place(const struct rest_env *env, const struct plane_request *request,
                               ProtobufCMessage *object)
{
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, env->arena);
    if (!meta)
        return NULL;
    if (request->name) {
        if (!meta->name || !*meta->name)
            meta->name = arena_strdup(env->arena, request->name);
        else if (strcmp(meta->name, request->name) != 0)
            return failure_bad_request(
                env->arena, "the name of the object (%s) does not match the name on the URL (%s)",
                meta->name, request->name);
    }
    if (!request->resource->kind->is_namespaced) {
        meta->namespace_ = NULL;
    } else if (!meta->namespace_ || !*meta->namespace_) {
        meta->namespace_ = arena_strdup(env->arena, request->namespace_);
    } else if (!request->namespace_ || strcmp(meta->namespace_, request->namespace_) != 0) {
        return failure_bad_request(env->arena,
                                   "the namespace of the provided object does not match the"
                                   " namespace sent on the request");
    }
    return NULL;
}

/* --- replies --- */

void rest_reply_failure(const struct plane_request *request, const Meta__Status *failure,
                        struct plane_reply *reply)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct negotiated how = {.encoding = KUBE_JSON, .content_type = "application/json"};
    if (negotiate(request->accept, request->target, request->user_agent, arena, &how))
        how = (struct negotiated){.encoding = KUBE_JSON, .content_type = "application/json"};
    reply->code = (unsigned)failure->code;
    reply->content_type = how.content_type;
    buf_clear(&reply->body);
    kube_encode_any(&failure->base, kube_kind_find("v1", "Status"), how.encoding, &reply->body);
}

static void encode_with_kind(const struct negotiated *how, const struct kube_kind *kind,
                             const ProtobufCMessage *object, struct buf *out)
{
    if (!how->is_pretty) {
        kube_encode_any(object, kind, how->encoding, out);
        return;
    }
    const struct kube_type_meta type = kube_kind_meta(kind);
    kube_encode_json_pretty(object, &type, out);
    buf_add_char(out, '\n');
}

static void encode_partial(const struct negotiated *how, const ProtobufCMessage *object,
                           struct buf *out)
{
    Meta__PartialObjectMetadata partial = META__PARTIAL_OBJECT_METADATA__INIT;
    partial.metadata = kube_object_meta(object);
    encode_with_kind(how, kube_kind_find("meta.k8s.io/v1", "PartialObjectMetadata"), &partial.base,
                     out);
}

Meta__Status *rest_encode_object(const struct rest_env *env, const struct negotiated *how,
                                 const struct resource *resource, const struct kube_kind *kind,
                                 const ProtobufCMessage *object, struct buf *out)
{
    /* Answers that are no object of the resource (a Status, a token) are never tables. */
    bool is_own = resource && kind == resource->kind;
    if (is_own && how->form == REPLY_TABLE) {
        Meta__ListMeta meta = META__LIST_META__INIT;
        meta.resource_version = kube_object_meta(object)->resource_version;
        struct table_writer *table =
            table_begin(resource, &meta, true, how->include, env->now_wall_ns, env->arena, out);
        table_add_row(table, object);
        table_end(table);
    } else if (is_own && how->form == REPLY_PARTIAL) {
        encode_partial(how, object, out);
    } else {
        encode_with_kind(how, kind, object, out);
    }
    struct error *err = buf_error(out, "the reply");
    return err ? failure_from_error(env->arena, err) : NULL;
}

Meta__Status *rest_reply_object(const struct rest_env *env, const struct plane_request *request,
                                unsigned code, const struct kube_kind *kind,
                                const ProtobufCMessage *object, struct plane_reply *reply)
{
    struct negotiated how;
    Meta__Status *failure =
        negotiate(request->accept, request->target, request->user_agent, env->arena, &how);
    if (failure)
        return failure;
    reply->code = code;
    reply->content_type = how.content_type;
    return rest_encode_object(env, &how, request->resource, kind, object, &reply->body);
}

Meta__Status *rest_reply_status(const struct rest_env *env, const struct plane_request *request,
                                unsigned code, const Meta__Status *status,
                                struct plane_reply *reply)
{
    return rest_reply_object(env, request, code, kube_kind_find("v1", "Status"), &status->base,
                             reply);
}

/* --- verbs --- */

static Meta__Status *get(const struct rest_env *env, const struct plane_request *request,
                         struct plane_reply *reply)
{
    ProtobufCMessage *object = NULL;
    int64_t version = 0;
    Meta__Status *failure = rest_read_version(env, request, &version);
    if (!failure)
        failure = rest_read(env, request->resource, request->namespace_, request->name, &object);
    return failure ? failure
                   : rest_reply_object(env, request, 200, request->resource->kind, object, reply);
}

static Meta__Status *create_object(const struct rest_write *write,
                                   const struct plane_request *request, ProtobufCMessage *object,
                                   struct plane_reply *reply)
{
    const struct rest_env *env = write->env;
    const struct kube_kind *kind = request->resource->kind;
    Meta__Status *failure = rest_check_place(env, request, object);
    if (failure)
        return failure;
    if (request->resource->review) {
        const struct strategy_context context = rest_context(write);
        failure = rest_admit(write, REST_ADMIT_CREATE, object, NULL);
        if (!failure)
            failure = request->resource->review(&context, object, &object, &kind);
    } else {
        failure = rest_do_create(write, object);
    }
    return failure ? failure : rest_reply_object(env, request, 201, kind, object, reply);
}

/* The body of a part is about the object of the path, whose name and namespace it may repeat. */
static Meta__Status *check_part_place(const struct rest_env *env,
                                      const struct plane_request *request, ProtobufCMessage *body)
{
    const Meta__ObjectMeta *meta = kube_object_meta(body);
    if (!request->resource->kind->is_namespaced || !meta || !meta->namespace_ ||
        !*meta->namespace_ || text_eq(meta->namespace_, request->namespace_))
        return NULL;
    return failure_bad_request(env->arena, "the namespace of the provided object does not match"
                                           " the namespace sent on the request");
}

static Meta__Status *create_subresource(const struct rest_env *env,
                                        const struct plane_request *request,
                                        struct plane_reply *reply)
{
    const struct subresource *sub = request->subresource;
    if (!sub->create)
        return failure_method_not_allowed(env->arena);
    const struct kube_kind *kind = sub->kind ? sub->kind : request->resource->kind;
    ProtobufCMessage *body = NULL;
    Meta__Status *failure = rest_decode_body(env, request, kind, &body, reply);
    if (!failure)
        failure = check_part_place(env, request, body);
    if (failure)
        return failure;
    const struct rest_write write = rest_write_of(env, request);
    const struct strategy_context context = rest_context(&write);
    failure = rest_admit_part(&write, request, body);
    if (failure)
        return failure;
    const struct kube_kind *answer_kind = kind;
    ProtobufCMessage *answer = NULL;
    failure =
        sub->create(&context, request->namespace_, request->name, body, &answer, &answer_kind);
    return failure ? failure : rest_reply_object(env, request, 201, answer_kind, answer, reply);
}

static Meta__Status *create(const struct rest_env *env, const struct plane_request *request,
                            struct plane_reply *reply)
{
    if (request->subresource)
        return create_subresource(env, request, reply);
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = rest_decode_body(env, request, request->resource->kind, &object, reply);
    const struct rest_write write = rest_write_of(env, request);
    return failure ? failure : create_object(&write, request, object, reply);
}

Meta__Status *rest_may_create(const struct rest_env *env, const struct plane_request *request)
{
    const struct kube_kind *kind = request->resource->kind;
    const struct authz_attributes attributes = {
        .user = request->user,
        .verb = "create",
        .is_resource = true,
        .group = kind->group,
        .version = kind->version,
        .resource = kind->resource,
        .namespace_ = request->namespace_,
        .name = request->name,
    };
    return authz_check(&attributes, env->policy, env->arena);
}

/* An update of what is not there, for the kinds that this creates. The uid is a precondition even
 * then; the resourceVersion is none. */
static Meta__Status *create_by_update(const struct rest_env *env,
                                      const struct plane_request *request, ProtobufCMessage *object,
                                      struct plane_reply *reply)
{
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    Meta__Status *failure = rest_check_uid(env, request->resource, meta, "");
    if (!failure)
        failure = rest_may_create(env, request);
    struct rest_write write = rest_write_of(env, request);
    write.is_upsert = true;
    return failure ? failure : create_object(&write, request, object, reply);
}

static Meta__Status *update(const struct rest_env *env, const struct plane_request *request,
                            struct plane_reply *reply)
{
    const struct resource *resource = request->resource;
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = rest_decode_body(env, request, resource->kind, &object, reply);
    if (!failure)
        failure = rest_check_place(env, request, object);
    if (failure)
        return failure;
    struct rest_stored old;
    failure = rest_load(env, resource, request->namespace_, request->name, &old);
    bool creates = resource->strategy && resource->strategy->creates_on_update;
    if (failure && failure->code == 404 && creates && !request->subresource)
        return create_by_update(env, request, object, reply);
    if (failure)
        return failure;
    const struct rest_write write = rest_write_of(env, request);
    failure = rest_do_update(&write, &old, object);
    return failure ? failure : rest_reply_object(env, request, 200, resource->kind, object, reply);
}

static bool allows(const struct plane_request *request)
{
    unsigned verbs = request->subresource ? request->subresource->verbs : request->resource->verbs;
    return (verbs & request->verb) != 0;
}

Meta__Status *rest_handle(const struct rest_env *env, const struct plane_request *request,
                          struct plane_reply *reply)
{
    if (!allows(request))
        return failure_method_not_allowed(env->arena);
    Meta__Status *failure = rest_check_options(env, request);
    if (failure)
        return failure;
    switch (request->verb) {
    case VERB_GET:
        return get(env, request, reply);
    case VERB_LIST:
        return rest_list(env, request, reply);
    case VERB_CREATE:
        return create(env, request, reply);
    case VERB_UPDATE:
        return update(env, request, reply);
    case VERB_PATCH:
        return rest_patch(env, request, reply);
    case VERB_DELETE:
        return rest_delete_request(env, request, reply);
    case VERB_DELETE_COLLECTION:
        return rest_delete_collection(env, request, reply);
    case VERB_WATCH:
        break; /* plane/watch.h */
    }
    return failure_method_not_allowed(env->arena);
}
