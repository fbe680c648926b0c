/*
 * Creating and updating: the order in which metadata, admission, defaults and validation come, and
 * the rules on resourceVersion and uid. What is stored is the message without its resourceVersion,
 * which is the row's revision.
 */
#include "plane/rest_internal.h"

#include "kube/codec.h"

/* "kubectl" of "kubectl/v1.32.4 (linux/amd64) kubernetes/59526cd". */
static const char *manager_of(const struct rest_env *env, const struct plane_request *request)
{
    const char *manager = http_target_param(request->target, "fieldManager");
    if (manager && *manager)
        return manager;
    const char *agent = request->user_agent ? request->user_agent : "";
    return arena_strndup(env->arena, agent, strcspn(agent, "/"));
}

struct rest_write rest_write_of(const struct rest_env *env, const struct plane_request *request)
{
    return (struct rest_write){
        .env = env,
        .user = request->user,
        .resource = request->resource,
        .subresource = request->subresource ? request->subresource->name : NULL,
        .manager = manager_of(env, request),
        .is_dry_run = rest_is_dry_run(request),
    };
}

struct strategy_context rest_context(const struct rest_write *write)
{
    return (struct strategy_context){
        .world = write->env->world,
        .user = write->user,
        .store = write->env->store,
        .arena = write->env->arena,
        .now_wall_ns = write->env->now_wall_ns,
        .is_dry_run = write->is_dry_run,
        .subresource = write->subresource,
        .policy = write->env->policy,
        .authn_context = write->env->authn_context,
    };
}

static void set_revision(Meta__ObjectMeta *meta, int64_t revision, struct arena *arena)
{
    meta->resource_version = arena_printf(arena, "%lld", (long long)revision);
}

static Meta__Status *run_validation(const struct rest_write *write, const ProtobufCMessage *object,
                                    const ProtobufCMessage *old)
{
    const struct strategy *strategy = write->resource->strategy;
    if (!strategy || !strategy->validate)
        return NULL;
    struct arena *arena = write->env->arena;
    struct field_errors *errors = arena_calloc(arena, 1, sizeof(*errors));
    errors->arena = arena;
    const struct strategy_context context = rest_context(write);
    strategy->validate(&context, object, old, errors);
    if (errors->count == 0)
        return NULL;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    return failure_invalid(arena, write->resource->kind, meta->name, errors);
}

/* Names are validated by the strategy; where there is none, at least that there is one. */
static Meta__Status *require_name(const struct rest_write *write, const Meta__ObjectMeta *meta)
{
    const struct strategy *strategy = write->resource->strategy;
    if ((meta->name && *meta->name) || (strategy && strategy->validate))
        return NULL;
    struct arena *arena = write->env->arena;
    struct field_errors *errors = arena_calloc(arena, 1, sizeof(*errors));
    errors->arena = arena;
    errors->errors[errors->count++] = (struct field_error){
        .path = "metadata.name", .message = "Required value: name or generateName is required"};
    return failure_invalid(arena, write->resource->kind, "", errors);
}

/* Upstream's words for a name that is in use: was it the client's choice, and for how long yet? */
static Meta__Status *already_exists(const struct rest_write *write, const Meta__ObjectMeta *meta)
{
    struct arena *arena = write->env->arena;
    const struct failure_target target = rest_target(write->resource, meta->name);
    bool is_generated = meta->generate_name && *meta->generate_name;
    Meta__Status *failure = is_generated ? failure_no_unique_name(arena, &target)
                                         : failure_already_exists(arena, &target);
    struct rest_stored there;
    if (!rest_load(write->env, write->resource, meta->namespace_, meta->name, &there) &&
        there.meta->deletion_timestamp)
        failure->message = arena_printf(arena, "object is being deleted: %s", failure->message);
    return failure;
}

static Meta__Status *store_failure(const struct rest_write *write, const Meta__ObjectMeta *meta,
                                   struct error *err)
{
    const struct failure_target target = rest_target(write->resource, meta->name);
    if (error_is(err, ERROR_ALREADY_EXISTS)) {
        error_free(err);
        return already_exists(write, meta);
    }
    if (error_is(err, ERROR_NOT_FOUND)) {
        error_free(err);
        return failure_not_found(write->env->arena, &target);
    }
    return failure_from_error(write->env->arena, err);
}

/* One of the store's three ways to write a row. */
typedef struct error *put_function(struct store *store, const struct store_key *key,
                                   struct str bytes, int64_t *ret_revision);

/* Writes the object's row; the object gets the resourceVersion that this makes. */
static Meta__Status *put_row(const struct rest_write *write, ProtobufCMessage *object,
                             put_function *put)
{
    struct arena *arena = write->env->arena;
    Meta__ObjectMeta *meta = kube_object_meta(object);
    AUTO(buf) struct buf row;
    buf_init(&row, REST_OBJECT_MAX_BYTES);
    rest_encode_row(write->resource, object, arena, &row);
    struct error *err = buf_error(&row, "the object");
    const struct store_key key = rest_key(write->resource, meta);
    int64_t revision = 0;
    if (!err)
        err = put(write->env->store, &key, buf_str(&row), &revision);
    if (err)
        return store_failure(write, meta, err);
    set_revision(meta, revision, arena);
    return NULL;
}

static bool has_version(const Meta__ObjectMeta *meta)
{
    return meta->resource_version && *meta->resource_version &&
           strcmp(meta->resource_version, "0") != 0;
}

struct naming {
    const struct rest_write *write;
    const Meta__ObjectMeta *meta;
};

static bool is_name_taken(void *ctx, const char *name)
{
    const struct naming *naming = ctx;
    struct rest_stored there;
    return !rest_load(naming->write->env, naming->write->resource, naming->meta->namespace_, name,
                      &there);
}

/* A request sees one state, so a name that is free now is free when the object is stored. */
static void make_name(const struct rest_write *write, Meta__ObjectMeta *meta)
{
    struct naming naming = {.write = write, .meta = meta};
    if ((!meta->name || !*meta->name) && meta->generate_name && *meta->generate_name)
        meta->name =
            object_name_pick(meta->generate_name, is_name_taken, &naming, write->env->arena);
}

/* What everybody who creates may change or refuse, in upstream's order. */
static Meta__Status *prepare_create(const struct rest_write *write, ProtobufCMessage *object)
{
    const struct strategy *strategy = write->resource->strategy;
    const struct strategy_context context = rest_context(write);
    if (strategy && strategy->set_defaults)
        strategy->set_defaults(object, write->env->arena);
    Meta__Status *failure = rest_admit(write, REST_ADMIT_CREATE, object, NULL);
    if (!failure && strategy && strategy->prepare_create)
        failure = strategy->prepare_create(&context, object);
    if (!failure)
        failure = run_validation(write, object, NULL);
    return failure ? failure : rest_track_create(write, object);
}

Meta__Status *rest_do_create(const struct rest_write *write, ProtobufCMessage *object)
{
    struct arena *arena = write->env->arena;
    const struct strategy *strategy = write->resource->strategy;
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    bool is_misversioned = has_version(meta) && !write->is_upsert;
    make_name(write, meta);
    object_meta_create(meta, write->env->now_wall_ns, arena);
    if (strategy && strategy->has_new_generation) {
        meta->has_generation = true;
        meta->generation = 1;
    }
    Meta__Status *failure = require_name(write, meta);
    if (!failure)
        failure = prepare_create(write, object);
    if (!failure && is_misversioned)
        failure =
            failure_unknown(arena, "resourceVersion should not be set on objects to be created");
    return failure ? failure : put_row(write, object, store_create);
}

/* --- updating --- */

/* Where upstream keeps an object: it says so in what follows. */
static const char *storage_path(const struct resource *resource, const Meta__ObjectMeta *meta,
                                struct arena *arena)
{
    static const struct {
        const char *resource, *path;
    } rows[] = {
        {"nodes", "minions"},
        {"services", "services/specs"},
        {"endpoints", "services/endpoints"},
    };
    const char *path = resource->kind->resource;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].resource, path) == 0)
            path = rows[i].path;
    }
    if (!resource->kind->is_namespaced)
        return arena_printf(arena, "/registry/%s/%s", path, meta->name);
    return arena_printf(arena, "/registry/%s/%s/%s", path, meta->namespace_, meta->name);
}

Meta__Status *rest_check_uid(const struct rest_env *env, const struct resource *resource,
                             const Meta__ObjectMeta *meta, const char *uid)
{
    if (!meta->uid || !*meta->uid || strcmp(meta->uid, uid) == 0)
        return NULL;
    const struct failure_target target = rest_target(resource, meta->name);
    return failure_conflict(env->arena, &target,
                            arena_printf(env->arena,
                                         "StorageError: invalid object, Code: 4, Key: %s,"
                                         " ResourceVersion: 0, AdditionalErrorMsg: Precondition"
                                         " failed: UID in precondition: %s, UID in object meta: %s",
                                         storage_path(resource, meta, env->arena), meta->uid, uid));
}

/* Upstream says the resource here instead of the kind. */
static Meta__Status *no_version(const struct rest_write *write, const char *name)
{
    struct arena *arena = write->env->arena;
    struct field_errors *errors = arena_calloc(arena, 1, sizeof(*errors));
    errors->errors[errors->count++] =
        (struct field_error){.path = "metadata.resourceVersion",
                             .message = "Invalid value: 0: must be specified for an update"};
    struct kube_kind kind = *write->resource->kind;
    kind.kind = kind.resource;
    return failure_invalid(arena, &kind, name, errors);
}

static Meta__Status *check_preconditions(const struct rest_write *write,
                                         const struct rest_stored *old,
                                         const Meta__ObjectMeta *meta)
{
    const struct strategy *strategy = write->resource->strategy;
    Meta__Status *failure = rest_check_uid(write->env, write->resource, meta, old->meta->uid);
    if (failure)
        return failure;
    if (!has_version(meta))
        return strategy && strategy->requires_resource_version ? no_version(write, meta->name)
                                                               : NULL;
    if (strcmp(meta->resource_version, old->meta->resource_version) == 0)
        return NULL;
    const struct failure_target target = rest_target(write->resource, old->meta->name);
    return failure_conflict(write->env->arena, &target,
                            "the object has been modified; please apply your changes to the latest"
                            " version and try again");
}

/* True when nobody holds the object any more: deleted, its grace over, no finalizer left. */
static bool is_released(const struct rest_write *write, const ProtobufCMessage *object)
{
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    const struct strategy *strategy = write->resource->strategy;
    return meta->deletion_timestamp && meta->n_finalizers == 0 &&
           meta->deletion_grace_period_seconds == 0 &&
           !(strategy && strategy->is_held && strategy->is_held(object));
}

static Meta__Status *save(const struct rest_write *write, const struct rest_stored *old,
                          ProtobufCMessage *object)
{
    Meta__ObjectMeta *meta = kube_object_meta(object);
    meta->resource_version = old->meta->resource_version;
    if (kube_message_eq(object, old->object))
        return NULL;
    return put_row(write, object, store_update);
}

Meta__Status *rest_do_update(const struct rest_write *write, const struct rest_stored *old,
                             ProtobufCMessage *object)
{
    struct arena *arena = write->env->arena;
    const struct strategy *strategy = write->resource->strategy;
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    Meta__Status *failure = check_preconditions(write, old, meta);
    if (failure)
        return failure;
    object_meta_carry_over(meta, old->meta);
    const struct strategy_context context = rest_context(write);
    if (strategy && strategy->set_defaults)
        strategy->set_defaults(object, arena);
    failure = rest_admit(write, REST_ADMIT_UPDATE, object, old->object);
    if (!failure && strategy && strategy->prepare_update)
        failure = strategy->prepare_update(&context, object, old->object);
    if (!failure)
        failure = run_validation(write, object, old->object);
    if (failure)
        return failure;
    if (strategy && strategy->has_new_generation &&
        strategy->has_new_generation(object, old->object)) {
        meta->has_generation = true;
        meta->generation = old->meta->generation + 1;
    }
    if (is_released(write, object))
        return rest_remove(write, object);
    failure = rest_track_update(write, old, object);
    return failure ? failure : save(write, old, object);
}

Meta__Status *rest_remove(const struct rest_write *write, ProtobufCMessage *object)
{
    const struct strategy *strategy = write->resource->strategy;
    if (strategy && strategy->before_removal) {
        const struct strategy_context context = rest_context(write);
        Meta__Status *failure = strategy->before_removal(&context, object);
        if (failure)
            return failure;
    }
    return put_row(write, object, store_delete);
}

/* --- for controllers --- */

Meta__Status *rest_create(const struct rest_env *env, const struct plane_user *user,
                          const struct resource *resource, ProtobufCMessage *object,
                          ProtobufCMessage **ret)
{
    const struct rest_write write = {
        .env = env, .user = user, .resource = resource, .manager = "nodeplane"};
    Meta__Status *failure = rest_do_create(&write, object);
    if (!failure && ret)
        *ret = object;
    return failure;
}

Meta__Status *rest_update(const struct rest_env *env, const struct plane_user *user,
                          const struct resource *resource, const char *subresource,
                          ProtobufCMessage *object, ProtobufCMessage **ret)
{
    const struct rest_write write = {.env = env,
                                     .user = user,
                                     .resource = resource,
                                     .subresource = subresource,
                                     .manager = "nodeplane"};
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    struct rest_stored old;
    Meta__Status *failure = rest_load(env, resource, meta->namespace_, meta->name, &old);
    if (!failure)
        failure = rest_do_update(&write, &old, object);
    if (!failure && ret)
        *ret = object;
    return failure;
}
