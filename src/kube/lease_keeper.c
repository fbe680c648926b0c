#include "kube/lease_keeper.h"

#include "base/log.h"
#include "kube/lease_plan.h"

#include "coordination.pb-c.h"

#define LEASE_NAMESPACE "kube-node-lease"
#define DEFAULT_DURATION_S 40
#define PERIOD_DIVISOR 4 /* the kubelet's nodeLeaseRenewIntervalFraction, 0.25 */

struct lease_keeper {
    struct loop *loop;
    struct api_client *client;
    struct api_transport *transport;
    const struct kube_kind *lease_kind, *node_kind;
    char *node_name;
    int32_t duration_s;

    struct lease_plan plan;
    bool is_started;
    struct api_call *call;
    struct loop_timer *timer;
    Coordination__Lease *lease; /* as the server has it; NULL: not known */
    struct arena *lease_arena;  /* of it */
    char *node_uid;             /* of the last GET_NODE */
    int64_t renewed_ns;
    struct error *error;
};

static void carry_out(struct lease_keeper *keeper, const struct lease_step *step);

static void on_timer(void *ctx)
{
    struct lease_keeper *keeper = ctx;
    struct lease_step step = lease_plan_on_timer(&keeper->plan);
    carry_out(keeper, &step);
}

struct lease_keeper *lease_keeper_new(struct loop *loop, struct api_client *client,
                                      struct api_transport *transport,
                                      const struct lease_keeper_options *options)
{
    struct lease_keeper *keeper = xcalloc(1, sizeof(*keeper));
    int64_t duration_s = options->duration_s ? options->duration_s : DEFAULT_DURATION_S;
    *keeper = (struct lease_keeper){.loop = loop,
                                    .client = client,
                                    .transport = transport,
                                    .lease_kind = kube_kind_find("coordination.k8s.io/v1", "Lease"),
                                    .node_kind = kube_kind_find("v1", "Node"),
                                    .node_name = xstrdup(options->node_name),
                                    .duration_s = (int32_t)clamp_i64(duration_s, 1, INT32_MAX)};
    lease_plan_init(&keeper->plan, keeper->duration_s * NS_PER_SEC / PERIOD_DIVISOR);
    keeper->timer = loop_timer_new(loop, "node lease", on_timer, keeper);
    return keeper;
}

void lease_keeper_free(struct lease_keeper *keeper)
{
    if (!keeper)
        return;
    api_call_cancel(keeper->call);
    loop_timer_free(keeper->timer);
    arena_free(keeper->lease_arena);
    error_free(keeper->error);
    free(keeper->node_name);
    free(keeper->node_uid);
    free(keeper);
}

void lease_keeper_start(struct lease_keeper *keeper)
{
    if (keeper->is_started)
        return;
    keeper->is_started = true;
    struct lease_step step = lease_plan_start(&keeper->plan);
    carry_out(keeper, &step);
}

/* --- the lease to send --- */

static Meta__OwnerReference *owner_new(const struct lease_keeper *keeper, struct arena *arena)
{
    Meta__OwnerReference *owner =
        (Meta__OwnerReference *)kube_message_new(&meta__owner_reference__descriptor, arena);
    owner->api_version = arena_strdup(arena, keeper->node_kind->api_version);
    owner->kind = arena_strdup(arena, keeper->node_kind->kind);
    owner->name = arena_strdup(arena, keeper->node_name);
    owner->uid = arena_strdup(arena, keeper->node_uid);
    return owner;
}

static void add_owner(const struct lease_keeper *keeper, Meta__ObjectMeta *meta,
                      struct arena *arena)
{
    meta->n_owner_references = 1;
    meta->owner_references = arena_alloc(arena, sizeof(Meta__OwnerReference *));
    meta->owner_references[0] = owner_new(keeper, arena);
}

/* The lease that is known, or a new one, renewed now. The holder of one that exists is left alone.
 */
static Coordination__Lease *lease_now(const struct lease_keeper *keeper, bool is_new,
                                      struct arena *arena)
{
    const ProtobufCMessageDescriptor *type = keeper->lease_kind->type;
    Coordination__Lease *lease =
        (Coordination__Lease *)(is_new ? kube_message_new(type, arena)
                                       : kube_message_dup(&keeper->lease->base, arena));
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&lease->base, arena);
    if (!lease->spec)
        lease->spec = (Coordination__LeaseSpec *)kube_message_new(
            &coordination__lease_spec__descriptor, arena);
    if (is_new) {
        meta->name = arena_strdup(arena, keeper->node_name);
        meta->namespace_ = arena_strdup(arena, LEASE_NAMESPACE);
        lease->spec->holder_identity = arena_strdup(arena, keeper->node_name);
    }
    if (meta->n_owner_references == 0)
        add_owner(keeper, meta, arena);
    int64_t now_ns = loop_now_wall_ns(keeper->loop);
    Meta__MicroTime *renewed =
        (Meta__MicroTime *)kube_message_new(&meta__micro_time__descriptor, arena);
    renewed->has_seconds = true;
    renewed->seconds = now_ns / NS_PER_SEC;
    renewed->has_nanos = true;
    renewed->nanos = (int32_t)(now_ns % NS_PER_SEC / NS_PER_US * NS_PER_US);
    lease->spec->renew_time = renewed;
    lease->spec->has_lease_duration_seconds = true;
    lease->spec->lease_duration_seconds = keeper->duration_s;
    return lease;
}

/* --- answers --- */

static enum lease_outcome outcome_of(const struct api_result *result)
{
    if (!result->err)
        return LEASE_OK;
    if (error_is(result->err, ERROR_NOT_FOUND))
        return LEASE_NOT_FOUND;
    return error_is(result->err, ERROR_ABORTED) ? LEASE_CONFLICT : LEASE_FAILED;
}

static void keep_lease(struct lease_keeper *keeper, struct api_result *result)
{
    arena_free(keeper->lease_arena);
    keeper->lease = (Coordination__Lease *)result->object;
    keeper->lease_arena = api_result_take_arena(result);
}

static bool keep_node(struct lease_keeper *keeper, const struct api_result *result)
{
    const Meta__ObjectMeta *meta = kube_object_meta(result->object);
    free(keeper->node_uid);
    keeper->node_uid = xstrdup(meta ? meta->uid : NULL);
    return keeper->node_uid && *keeper->node_uid;
}

static void note_error(struct lease_keeper *keeper, struct error *err_owned)
{
    error_free(keeper->error);
    keeper->error = err_owned;
}

static const char *doing(enum lease_action action)
{
    switch (action) {
    case LEASE_GET:
        return "reading the node lease";
    case LEASE_GET_NODE:
        return "reading the node that owns the lease";
    case LEASE_CREATE:
        return "creating the node lease";
    case LEASE_UPDATE:
        return "updating the node lease";
    case LEASE_WAIT:
        break;
    }
    return "waiting";
}

static void on_done(void *ctx, struct api_result *result)
{
    struct lease_keeper *keeper = ctx;
    enum lease_action action = keeper->plan.under_way;
    enum lease_outcome outcome = outcome_of(result);
    bool is_lease = action != LEASE_GET_NODE && outcome == LEASE_OK;
    keeper->call = NULL;
    note_error(keeper, error_wrap(error_dup(result->err), "%s", doing(action)));
    if (keeper->error && !(action == LEASE_GET && outcome == LEASE_NOT_FOUND))
        log_error("Failed to renew the node lease", LOG_STR("node", keeper->node_name),
                  LOG_ERR(keeper->error));
    if (is_lease)
        keep_lease(keeper, result);
    else if (outcome == LEASE_OK && !keep_node(keeper, result))
        outcome = LEASE_FAILED;
    if (is_lease && action != LEASE_GET)
        keeper->renewed_ns = loop_now_wall_ns(keeper->loop);
    const Meta__ObjectMeta *meta = is_lease ? kube_object_meta(&keeper->lease->base) : NULL;
    struct lease_step step = lease_plan_on_done(
        &keeper->plan, outcome, meta && meta->n_owner_references > 0, jitter_draw());
    carry_out(keeper, &step);
}

/* --- requests --- */

static void send(struct lease_keeper *keeper, enum api_verb verb, const ProtobufCMessage *body)
{
    keeper->call =
        api_call_start(keeper->client,
                       &(struct api_request){.verb = verb,
                                             .kind = keeper->lease_kind,
                                             .namespace_ = LEASE_NAMESPACE,
                                             .name = verb == API_CREATE ? NULL : keeper->node_name,
                                             .body = body},
                       on_done, keeper);
}

static void send_lease(struct lease_keeper *keeper, bool is_new)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Coordination__Lease *lease = lease_now(keeper, is_new, arena);
    send(keeper, is_new ? API_CREATE : API_UPDATE, &lease->base);
}

static void carry_out(struct lease_keeper *keeper, const struct lease_step *step)
{
    if (step->is_given_up)
        log_error("Failed to renew the node lease, will retry later",
                  LOG_STR("node", keeper->node_name),
                  LOG_INT("waitMilliseconds", step->wait_ns / NS_PER_MS));
    if (step->resets_connection)
        api_transport_reset(keeper->transport);
    switch (step->action) {
    case LEASE_WAIT:
        loop_timer_start(keeper->timer, step->wait_ns);
        break;
    case LEASE_GET:
        send(keeper, API_GET, NULL);
        break;
    case LEASE_GET_NODE:
        keeper->call = api_call_start(keeper->client,
                                      &(struct api_request){.verb = API_GET,
                                                            .kind = keeper->node_kind,
                                                            .name = keeper->node_name},
                                      on_done, keeper);
        break;
    case LEASE_CREATE:
        send_lease(keeper, true);
        break;
    case LEASE_UPDATE:
        send_lease(keeper, false);
        break;
    }
}

int64_t lease_keeper_renewed_ns(const struct lease_keeper *keeper)
{
    return keeper->renewed_ns;
}

const struct error *lease_keeper_error(const struct lease_keeper *keeper)
{
    return keeper->error;
}
