/*
 * Deleting: an object goes at once, or stays with a deletionTimestamp while somebody still holds
 * it: a grace period (pods) or finalizers. The first deletion sets the time; later ones may only
 * shorten the grace. Who removes the last hold removes the object (rest_do_update()).
 */
#include "plane/rest_internal.h"

#include "kube/validation.h"
#include "plane/route.h"

/* Upstream's finalizers for dependents: handled by the collector of plane/controllers.h. */
#define FINALIZER_ORPHAN "orphan"
#define FINALIZER_FOREGROUND "foregroundDeletion"

/* --- options --- */

static Meta__Status *parse_grace(const struct rest_env *env, const char *text, int64_t *ret)
{
    if (!parse_i64(text, INT64_MIN / NS_PER_SEC, INT64_MAX / NS_PER_SEC, ret))
        return failure_bad_request(env->arena, "gracePeriodSeconds \"%s\" is no number of seconds",
                                   text);
    return NULL;
}

/* What is said in the query, as if it were in a body. */
static Meta__Status *read_query(const struct rest_env *env, const struct plane_request *request,
                                Meta__DeleteOptions *ret)
{
    const char *grace = http_target_param(request->target, "gracePeriodSeconds");
    const char *propagation = http_target_param(request->target, "propagationPolicy");
    ret->has_orphan_dependents = http_target_param(request->target, "orphanDependents") != NULL;
    ret->orphan_dependents = route_param_is_on(request->target, "orphanDependents");
    ret->propagation_policy = propagation ? arena_strdup(env->arena, propagation) : NULL;
    ret->has_grace_period_seconds = grace && *grace;
    return ret->has_grace_period_seconds ? parse_grace(env, grace, &ret->grace_period_seconds)
                                         : NULL;
}

static Meta__Status *read_body(const struct rest_env *env, const struct plane_request *request,
                               Meta__DeleteOptions **ret)
{
    struct plane_reply ignored = {0};
    ProtobufCMessage *message = NULL;
    const struct kube_kind *kind = kube_kind_find("meta.k8s.io/v1", "DeleteOptions");
    Meta__Status *failure = rest_decode_options(env, request, kind, &message, &ignored);
    *ret = (Meta__DeleteOptions *)message;
    return failure;
}

static void check_options(struct validation *v, const Meta__DeleteOptions *options)
{
    static const char *const policies[] = {"Foreground", "Background", "Orphan", "nil", NULL};
    const struct field_path *path = FIELD(NULL, "propagationPolicy");
    const char *policy = options->propagation_policy;
    if (policy && options->has_orphan_dependents)
        field_invalid(v, path, policy,
                      "orphanDependents and deletionPropagation cannot be both set");
    if (policy && strcmp(policy, "Orphan") != 0 && strcmp(policy, "Background") != 0 &&
        strcmp(policy, "Foreground") != 0)
        field_not_supported(v, path, policy, policies);
    for (size_t i = 0; i < options->n_dry_run; i++)
        rest_check_dry_run(v, options->dry_run[i]);
}

static Meta__Status *take_options(const struct rest_env *env, const Meta__DeleteOptions *options,
                                  struct rest_delete_options *ret)
{
    struct field_errors *errors = arena_calloc(env->arena, 1, sizeof(*errors));
    errors->arena = env->arena;
    struct validation v = {.errors = errors, .scratch = env->arena};
    check_options(&v, options);
    if (errors->count > 0)
        return failure_invalid_options(env->arena, "DeleteOptions", errors);
    if (options->has_grace_period_seconds) /* upstream makes 1 of a negative grace */
        ret->grace_s = options->grace_period_seconds < 0 ? 1 : options->grace_period_seconds;
    if (options->preconditions) {
        ret->uid = options->preconditions->uid;
        ret->resource_version = options->preconditions->resource_version;
    }
    ret->propagation = options->propagation_policy;
    if (options->has_orphan_dependents)
        ret->propagation = options->orphan_dependents ? "Orphan" : "Background";
    ret->keeps_no_orphans = options->has_orphan_dependents && !options->orphan_dependents;
    ret->is_dry_run |= options->n_dry_run > 0;
    return NULL;
}

/* A body is all that counts, but for one thing: upstream would delete for real what the query wants
 * only to be tried. */
Meta__Status *rest_read_delete_options(const struct rest_env *env,
                                       const struct plane_request *request,
                                       struct rest_delete_options *ret)
{
    *ret = (struct rest_delete_options){.grace_s = -1};
    Meta__DeleteOptions in_query = META__DELETE_OPTIONS__INIT;
    Meta__DeleteOptions *options = &in_query;
    const char *dry_run = http_target_param(request->target, "dryRun");
    char *dry_runs[] = {dry_run && *dry_run ? arena_strdup(env->arena, dry_run) : NULL};
    Meta__Status *failure = request->body.len > 0 ? read_body(env, request, &options)
                                                  : read_query(env, request, &in_query);
    if (failure)
        return failure;
    if (dry_runs[0] && options->n_dry_run == 0) {
        options->dry_run = dry_runs;
        options->n_dry_run = 1;
    }
    return take_options(env, options, ret);
}

/* --- preconditions and finalizers --- */

static Meta__Status *check_preconditions(const struct rest_write *write,
                                         const struct rest_stored *stored,
                                         const struct rest_delete_options *options)
{
    struct arena *arena = write->env->arena;
    const struct kube_kind *kind = write->resource->kind;
    /* Upstream says the kind here instead of the resource. */
    const struct failure_target target = {
        .group = kind->group, .resource = kind->kind, .name = stored->meta->name};
    if (options->uid && *options->uid && strcmp(options->uid, stored->meta->uid) != 0)
        return failure_conflict(arena, &target,
                                arena_printf(arena,
                                             "the UID in the precondition (%s) does not match the"
                                             " UID in record (%s). The object might have been"
                                             " deleted and then recreated",
                                             options->uid, stored->meta->uid));
    if (options->resource_version && *options->resource_version &&
        strcmp(options->resource_version, stored->meta->resource_version) != 0)
        return failure_conflict(arena, &target,
                                arena_printf(arena,
                                             "the ResourceVersion in the precondition (%s) does not"
                                             " match the ResourceVersion in record (%s). The object"
                                             " might have been modified",
                                             options->resource_version,
                                             stored->meta->resource_version));
    return NULL;
}

static void set_finalizer(struct rest_stored *stored, const char *propagation, struct arena *arena)
{
    if (!propagation)
        return;
    bool is_orphan = strcmp(propagation, "Orphan") == 0;
    bool is_foreground = strcmp(propagation, "Foreground") == 0;
    if (!is_orphan)
        object_remove_finalizer(stored->meta, FINALIZER_ORPHAN);
    if (!is_foreground)
        object_remove_finalizer(stored->meta, FINALIZER_FOREGROUND);
    if (is_orphan)
        object_add_finalizer(stored->meta, FINALIZER_ORPHAN, arena);
    if (is_foreground)
        object_add_finalizer(stored->meta, FINALIZER_FOREGROUND, arena);
}

/* --- grace --- */

/* What a deletion does to an object that may go gracefully. */
struct grace_plan {
    bool is_pending; /* it is going already, and nothing changes */
    int64_t grace_s; /* 0: nothing more is waited for than finalizers */
};

static int64_t grace_left(const Meta__ObjectMeta *meta)
{
    return meta->has_deletion_grace_period_seconds ? meta->deletion_grace_period_seconds : 0;
}

static bool is_graceful(const struct rest_write *write)
{
    return write->resource->strategy && write->resource->strategy->check_delete;
}

/* Who is going already can only be hurried, and only by who says a shorter time. */
static Meta__Status *plan_grace(const struct rest_write *write, const struct rest_stored *stored,
                                int64_t asked_s, struct grace_plan *ret)
{
    *ret = (struct grace_plan){0};
    if (!is_graceful(write))
        return NULL;
    if (!stored->meta->deletion_timestamp) {
        const struct strategy_context context = rest_context(write);
        ret->grace_s = asked_s;
        return write->resource->strategy->check_delete(&context, stored->object, &ret->grace_s);
    }
    int64_t left_s = grace_left(stored->meta);
    if (left_s <= 0)
        return NULL;
    ret->is_pending = asked_s < 0 || asked_s >= left_s;
    ret->grace_s = asked_s;
    return NULL;
}

/* When an object that is going will be over with a shorter grace. The time does not move into the
 * past; whoever is to finish the deletion then has a second left. */
static int64_t hurried_end_ns(const struct rest_write *write, const Meta__ObjectMeta *meta,
                              int64_t *grace_s)
{
    int64_t begun_ns = sat_sub_i64(object_time_ns(meta->deletion_timestamp),
                                   sat_mul_i64(grace_left(meta), NS_PER_SEC));
    int64_t end_ns = sat_add_i64(begun_ns, sat_mul_i64(*grace_s, NS_PER_SEC));
    if (end_ns >= write->env->now_wall_ns)
        return end_ns;
    if (*grace_s > 0)
        *grace_s = 1;
    return write->env->now_wall_ns;
}

/* Marks the object as going, or shortens its grace. */
static void mark(const struct rest_write *write, struct rest_stored *stored, int64_t grace_s)
{
    Meta__ObjectMeta *meta = stored->meta;
    struct arena *arena = write->env->arena;
    if (meta->deletion_timestamp) {
        if (!is_graceful(write) || grace_left(meta) == 0)
            return;
        int64_t end_ns = hurried_end_ns(write, meta, &grace_s);
        meta->deletion_timestamp = object_time(end_ns, arena);
    } else {
        int64_t grace_ns = sat_mul_i64(grace_s, NS_PER_SEC);
        meta->deletion_timestamp =
            object_time(sat_add_i64(write->env->now_wall_ns, grace_ns), arena);
        if (meta->generation > 0)
            meta->generation++;
    }
    meta->has_deletion_grace_period_seconds = true;
    meta->deletion_grace_period_seconds = grace_s;
}

static Meta__Status *save_mark(const struct rest_write *write, struct rest_stored *stored)
{
    struct arena *arena = write->env->arena;
    AUTO(buf) struct buf row;
    buf_init(&row, REST_OBJECT_MAX_BYTES);
    rest_encode_row(write->resource, stored->object, arena, &row);
    if (str_eq(buf_str(&row), stored->bytes))
        return NULL;
    const struct store_key key = rest_key(write->resource, stored->meta);
    int64_t revision = 0;
    struct error *err = buf_error(&row, "the object");
    if (!err)
        err = store_update(write->env->store, &key, buf_str(&row), &revision);
    if (err)
        return failure_from_error(arena, err);
    stored->meta->resource_version = arena_printf(arena, "%lld", (long long)revision);
    return NULL;
}

/* Notes in the object how it goes; true when nothing keeps it. */
static bool let_go(const struct rest_write *write, struct rest_stored *stored, int64_t grace_s,
                   const char *propagation)
{
    const struct strategy *strategy = write->resource->strategy;
    set_finalizer(stored, propagation, write->env->arena);
    bool is_held = strategy && strategy->is_held && strategy->is_held(stored->object);
    bool is_gone = grace_s == 0 && stored->meta->n_finalizers == 0 && !is_held;
    /* What is gone at once is told of as it was. */
    if (!is_gone || is_graceful(write))
        mark(write, stored, grace_s);
    if (!is_gone && strategy && strategy->on_marked)
        strategy->on_marked(stored->object, write->env->arena);
    return is_gone;
}

Meta__Status *rest_do_delete(const struct rest_write *write, struct rest_stored *stored,
                             const struct rest_delete_options *options, bool *ret_is_gone)
{
    struct grace_plan plan;
    Meta__Status *failure = check_preconditions(write, stored, options);
    if (!failure)
        failure = rest_admit(write, REST_ADMIT_DELETE, NULL, stored->object);
    if (!failure)
        failure = plan_grace(write, stored, options->grace_s, &plan);
    if (failure)
        return failure;
    *ret_is_gone = !plan.is_pending && let_go(write, stored, plan.grace_s, options->propagation);
    if (plan.is_pending || options->is_dry_run)
        return NULL;
    return *ret_is_gone ? rest_remove(write, stored->object) : save_mark(write, stored);
}

/* What a client that deleted is told: the object where upstream tells it or where it is still
 * there, else that it went well. */
static Meta__Status *reply_deleted(const struct rest_env *env, const struct plane_request *request,
                                   const struct rest_stored *stored,
                                   const struct rest_delete_options *options, bool is_gone,
                                   struct plane_reply *reply)
{
    const struct resource *resource = request->resource;
    bool is_accepted = !is_gone && options->keeps_no_orphans;
    if (!is_gone || (resource->strategy && resource->strategy->returns_deleted))
        return rest_reply_object(env, request, is_accepted ? 202 : 200, resource->kind,
                                 stored->object, reply);
    Meta__Status *status = (Meta__Status *)kube_message_new(&meta__status__descriptor, env->arena);
    Meta__StatusDetails *details =
        (Meta__StatusDetails *)kube_message_new(&meta__status_details__descriptor, env->arena);
    status->metadata = (Meta__ListMeta *)kube_message_new(&meta__list_meta__descriptor, env->arena);
    status->status = arena_strdup(env->arena, "Success");
    details->name = stored->meta->name;
    details->group =
        *resource->kind->group ? arena_strdup(env->arena, resource->kind->group) : NULL;
    details->kind = arena_strdup(env->arena, resource->kind->resource);
    details->uid = stored->meta->uid;
    status->details = details;
    return rest_reply_status(env, request, 200, status, reply);
}

Meta__Status *rest_delete_request(const struct rest_env *env, const struct plane_request *request,
                                  struct plane_reply *reply)
{
    if (request->subresource)
        return failure_method_not_allowed(env->arena);
    struct rest_delete_options options;
    struct rest_stored stored;
    bool is_gone = false;
    const struct rest_write write = rest_write_of(env, request);
    Meta__Status *failure = rest_read_delete_options(env, request, &options);
    if (!failure)
        failure = rest_load(env, request->resource, request->namespace_, request->name, &stored);
    if (!failure)
        failure = rest_do_delete(&write, &stored, &options, &is_gone);
    return failure ? failure : reply_deleted(env, request, &stored, &options, is_gone, reply);
}

static Meta__Status *delete_stored(const struct rest_write *write, const char *namespace_,
                                   const char *name, const struct rest_delete_options *options,
                                   ProtobufCMessage **ret)
{
    struct rest_stored stored;
    bool is_gone = false;
    Meta__Status *failure = rest_load(write->env, write->resource, namespace_, name, &stored);
    if (!failure)
        failure = rest_do_delete(write, &stored, options, &is_gone);
    if (!failure && ret)
        *ret = stored.object;
    return failure;
}

/* NOLINTNEXTLINE(readability-function-size): as the others for controllers, and the grace */
Meta__Status *rest_delete(const struct rest_env *env, const struct plane_user *user,
                          const struct resource *resource, const char *namespace_, const char *name,
                          int64_t grace_s, ProtobufCMessage **ret)
{
    const struct rest_write write = {
        .env = env, .user = user, .resource = resource, .manager = "nodeplane"};
    const struct rest_delete_options options = {.grace_s = grace_s};
    return delete_stored(&write, namespace_, name, &options, ret);
}

Meta__Status *rest_delete_with(const struct rest_env *env, const struct plane_user *user,
                               const struct resource *resource, const char *namespace_,
                               const char *name, const Meta__DeleteOptions *said)
{
    const struct rest_write write = {
        .env = env, .user = user, .resource = resource, .manager = "nodeplane"};
    struct rest_delete_options options = {.grace_s = -1};
    Meta__Status *failure = said ? take_options(env, said, &options) : NULL;
    return failure ? failure : delete_stored(&write, namespace_, name, &options, NULL);
}
