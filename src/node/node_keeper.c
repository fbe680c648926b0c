/*
 * Carries out the plan of node/node_plan.h: one request at a time, about the object as it is known
 * best. What the server answers may be newer than what the watch has told, so both are kept until
 * the watch has caught up.
 *
 * The addresses may need the resolver, which blocks: they are looked up on the pool, when the
 * machine's own have changed by the start of a period, and now and then. Where the resolver has a
 * choice the first look-up is waited for, but not for long: until it ends, what the machine knows
 * by itself has to do. A result that differs is a reason to tell at once.
 *
 * Unlike the kubelet, which does so only when it starts, the node registers again when its object
 * has been deleted: the watch shows it gone, or a read for an update does not find it.
 */
#include "node/node_keeper.h"

#include "base/log.h"
#include "kube/jitter.h"
#include "node/address_lookup.h"
#include "node/node_news.h"
#include "node/node_plan.h"
#include "node/node_startup.h"

/* Ours: how long the registration waits for the resolver, before it goes on with the address of the
 * default route. Where nobody answers DNS that would be seconds. */
#define FIRST_ADDRESSES_NS (50 * NS_PER_MS)
#define CIDRS_MAX_BYTES (4 * KiB)

struct reread {
    struct reread *next;
    void (*on_reread)(void *ctx);
    void *ctx;
};

struct node_keeper {
    struct node_keeper_options options;
    const struct kube_kind *kind;
    const char *name; /* borrowed from the facts */
    struct reflector *reflector;
    struct node_plan plan;
    struct loop_timer *timer; /* the plan's rest, or the wait for the first addresses */
    bool is_started;

    struct api_call *call;
    struct kube_object *answer; /* the server's last word, until the watch has it; owned */

    struct node_news news;
    struct node_startup startup;
    struct address_lookup *addresses;
    char *cidrs; /* the last ones told; NULL: none */

    struct api_call *reread_call;
    struct reread *rereads;

    int64_t reported_ns;
    struct error *error;
};

/* --- what is known of the object --- */

static const Core__Node *node_of(const struct kube_object *object)
{
    return object ? (const Core__Node *)(const void *)object->message : NULL;
}

/* resourceVersions grow, whatever object they are of. */
static bool is_newer(const struct kube_object *a, const struct kube_object *b)
{
    uint64_t version_a = 0, version_b = 0;
    return parse_u64(kube_object_version(a), &version_a) &&
           parse_u64(kube_object_version(b), &version_b) && version_a > version_b;
}

static const struct kube_object *known(const struct node_keeper *keeper)
{
    const struct kube_object *watched = node_keeper_node(keeper);
    if (!watched || !keeper->answer)
        return watched ? watched : keeper->answer;
    return is_newer(keeper->answer, watched) ? keeper->answer : watched;
}

static void forget_answer(struct node_keeper *keeper)
{
    kube_object_unref(TAKE(keeper->answer));
}

/* A copy without managedFields, half of the object. */
static struct kube_object *copy_of(const struct node_keeper *keeper,
                                   const struct api_result *result)
{
    Meta__ObjectMeta *meta = kube_object_meta(result->object);
    if (meta)
        meta->n_managed_fields = 0;
    return kube_object_new(keeper->kind, result->object);
}

static void keep_answer(struct node_keeper *keeper, const struct api_result *result)
{
    AUTO(kube_object) const struct kube_object *watched = kube_object_ref(node_keeper_node(keeper));
    struct kube_object *answer = copy_of(keeper, result);
    forget_answer(keeper);
    if (watched && !is_newer(answer, watched))
        kube_object_unref(answer);
    else
        keeper->answer = answer;
}

/* --- what it should be --- */

static struct node_status_input input_now(const struct node_keeper *keeper)
{
    const struct node_keeper_options *options = &keeper->options;
    struct node_status_input input = {.now_ns = loop_now_wall_ns(options->loop)};
    options->fill(options->fill_ctx, &input);
    input.config = options->config;
    input.facts = options->facts;
    input.machine = options->machine;
    input.addresses = address_lookup_get(keeper->addresses);
    return input;
}

static const char *status_of(const Core__Node *node, const char *type)
{
    for (size_t i = 0; node->status && i < node->status->n_conditions; i++) {
        if (text_eq(node->status->conditions[i]->type, type))
            return node->status->conditions[i]->status;
    }
    return NULL;
}

static bool has_flipped(const Core__Node *before, const Core__Node *after)
{
    bool has_flipped = false;
    for (size_t i = 0; after->status && !has_flipped && i < after->status->n_conditions; i++) {
        const Core__NodeCondition *condition = after->status->conditions[i];
        const char *status = status_of(before, condition->type);
        has_flipped = !status || !text_eq(status, condition->status);
    }
    return has_flipped;
}

/* --- answers --- */

static const char *doing(enum node_action action)
{
    switch (action) {
    case NODE_CREATE:
        return "registering the node";
    case NODE_READ:
        return "reading the node that exists";
    case NODE_RECONCILE:
        return "reconciling the node that exists";
    case NODE_GET:
        return "reading the node";
    case NODE_UPDATE:
        return "updating the status of the node";
    case NODE_REST:
        break;
    }
    return "waiting";
}

static enum node_outcome outcome_of(enum node_action action, const struct error *err)
{
    if (!err)
        return NODE_OK;
    /* Who may not create it may still find it there. */
    if (action == NODE_CREATE &&
        (error_is(err, ERROR_ALREADY_EXISTS) || error_is(err, ERROR_PERMISSION_DENIED)))
        return NODE_EXISTS;
    return action == NODE_GET && error_is(err, ERROR_NOT_FOUND) ? NODE_GONE : NODE_FAILED;
}

static void note_error(struct node_keeper *keeper, struct error *err_owned)
{
    error_free(keeper->error);
    keeper->error = err_owned;
}

static void note_gone(struct node_keeper *keeper)
{
    forget_answer(keeper);
    node_news_gone(&keeper->news);
    log_warning("The Node object is gone", LOG_STR("node", keeper->name),
                LOG_BOOL("registerAgain", keeper->plan.registers));
}

/* The action under way ended with @outcome; @err NULL with those that are no failure. */
static void conclude(struct node_keeper *keeper, enum node_outcome outcome, struct error *err_owned)
{
    enum node_action action = keeper->plan.under_way;
    note_error(keeper, error_wrap(err_owned, "%s", doing(action)));
    if (outcome == NODE_FAILED && action != NODE_GET && action != NODE_UPDATE)
        log_error("Unable to register node with API server", LOG_STR("node", keeper->name),
                  LOG_ERR(keeper->error));
    else if (outcome == NODE_FAILED)
        log_error("Error updating node status, will retry", LOG_STR("node", keeper->name),
                  LOG_ERR(keeper->error));
    struct node_verdict verdict = node_plan_on_done(
        &keeper->plan, outcome, loop_now_mono_ns(keeper->options.loop), jitter_draw());
    if (verdict.is_given_up)
        log_error("Unable to update node status", LOG_STR("node", keeper->name),
                  LOG_STR("err", "update node status exceeds retry count"));
    if (verdict.resets_connection)
        api_transport_reset(keeper->options.transport);
    if (verdict.is_gone)
        note_gone(keeper);
    if (verdict.is_registered)
        log_info(action == NODE_CREATE ? "Successfully registered node"
                                       : "Node was previously registered",
                 LOG_STR("node", keeper->name));
}

/* The object that the server has just shown may say that the node is ready. */
static void note_startup(struct node_keeper *keeper, enum node_action action)
{
    int64_t now_ns = loop_now_mono_ns(keeper->options.loop);
    const Core__Node *node = node_of(known(keeper));
    if (action == NODE_CREATE)
        node_startup_registered(&keeper->startup, now_ns);
    if (node && text_eq(status_of(node, "Ready"), "True"))
        node_startup_ready(&keeper->startup, now_ns);
}

static void take_result(struct node_keeper *keeper, const struct api_result *result)
{
    enum node_action action = keeper->plan.under_way;
    bool is_update = action == NODE_UPDATE || action == NODE_GET;
    if (!is_update || keeper->plan.is_registered) /* else: gone meanwhile, says the watch */
        keep_answer(keeper, result);
    if (action == NODE_CREATE || action == NODE_UPDATE)
        keeper->reported_ns = loop_now_wall_ns(keeper->options.loop);
    if (action == NODE_UPDATE)
        node_news_taken(&keeper->news);
    note_startup(keeper, action);
}

static void advance(struct node_keeper *keeper);

static void on_done(void *ctx, struct api_result *result)
{
    struct node_keeper *keeper = ctx;
    enum node_action action = keeper->plan.under_way;
    enum node_outcome outcome = outcome_of(action, result->err);
    keeper->call = NULL;
    if (outcome == NODE_OK)
        take_result(keeper, result);
    conclude(keeper, outcome, outcome == NODE_FAILED ? error_dup(result->err) : NULL);
    advance(keeper);
}

/* --- requests: each says whether one is under way, or what came of it without --- */

/* What an action has come to. */
struct deed {
    bool is_under_way;
    enum node_outcome outcome; /* else */
    struct error *error;       /* with FAILED; owned */
};

static struct deed send(struct node_keeper *keeper, struct api_client *client,
                        const struct api_request *request)
{
    struct api_request sent = *request;
    sent.kind = keeper->kind;
    sent.name = request->verb == API_CREATE ? NULL : keeper->name;
    keeper->call = api_call_start(client, &sent, on_done, keeper);
    return (struct deed){.is_under_way = true};
}

static struct deed send_status(struct node_keeper *keeper, struct api_client *client,
                               const struct buf *patch)
{
    return send(keeper, client,
                &(struct api_request){
                    .verb = API_PATCH_STRATEGIC, .subresource = "status", .patch = buf_str(patch)});
}

static struct deed unknown_node(const struct node_keeper *keeper)
{
    return (struct deed){.outcome = NODE_FAILED,
                         .error =
                             error_new(ERROR_NOT_FOUND, "node \"%s\" not found", keeper->name)};
}

static struct deed create(struct node_keeper *keeper)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_status_input input = input_now(keeper);
    const Core__Node *initial = node_object_initial(&input, arena);
    node_news_registering(&keeper->news, initial);
    return send(keeper, keeper->options.client,
                &(struct api_request){.verb = API_CREATE, .body = &initial->base});
}

static struct deed reconcile(struct node_keeper *keeper)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf patch;
    const Core__Node *existing = node_of(known(keeper));
    if (!existing)
        return unknown_node(keeper);
    buf_init(&patch, KUBE_OBJECT_MAX_BYTES);
    struct node_status_input input = input_now(keeper);
    const Core__Node *wanted = node_object_reconcile(&input, existing, arena);
    struct error *err = node_status_patch(existing, wanted, &patch);
    if (err)
        return (struct deed){.outcome = NODE_FAILED, .error = err};
    if (str_eq_c(buf_str(&patch), "{}"))
        return (struct deed){.outcome = NODE_UNSENT};
    return send_status(keeper, keeper->options.client, &patch);
}

static struct deed update(struct node_keeper *keeper)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf patch;
    const Core__Node *before = node_of(known(keeper));
    if (!before)
        return unknown_node(keeper);
    buf_init(&patch, KUBE_OBJECT_MAX_BYTES);
    struct node_status_input input = input_now(keeper);
    const Core__Node *after = node_status_update(&input, before, arena);
    const struct node_difference found = {.is_changed = node_status_has_changed(before, after),
                                          .is_urgent = has_flipped(before, after)};
    if (!node_plan_sends(&keeper->plan, &found, loop_now_mono_ns(keeper->options.loop),
                         jitter_draw()))
        return (struct deed){.outcome = NODE_UNSENT};
    struct error *err = node_status_patch(before, after, &patch);
    if (err)
        return (struct deed){.outcome = NODE_FAILED, .error = err};
    node_news_sending(&keeper->news, before, after);
    return send_status(keeper, keeper->options.heartbeat, &patch);
}

static struct deed carry_out(struct node_keeper *keeper, const struct node_step *step)
{
    if (step->starts_period)
        address_lookup_refresh(keeper->addresses, loop_now_mono_ns(keeper->options.loop));
    switch (step->action) {
    case NODE_CREATE:
        return create(keeper);
    case NODE_READ:
        return send(keeper, keeper->options.client, &(struct api_request){.verb = API_GET});
    case NODE_RECONCILE:
        return reconcile(keeper);
    case NODE_GET:
        return send(keeper, keeper->options.heartbeat, &(struct api_request){.verb = API_GET});
    case NODE_UPDATE:
        return update(keeper);
    case NODE_REST:
        break;
    }
    return (struct deed){.is_under_way = true};
}

static void advance(struct node_keeper *keeper)
{
    struct loop *loop = keeper->options.loop;
    loop_timer_cancel(keeper->timer);
    while (!keeper->call) {
        struct node_step step = node_plan_next(&keeper->plan, loop_now_mono_ns(loop));
        if (step.action == NODE_REST) {
            if (step.wait_ns >= 0)
                loop_timer_start(keeper->timer, step.wait_ns);
            return;
        }
        struct deed deed = carry_out(keeper, &step);
        if (!deed.is_under_way)
            conclude(keeper, deed.outcome, deed.error);
    }
}

/* --- when --- */

static void begin(struct node_keeper *keeper)
{
    node_plan_start(&keeper->plan, loop_now_mono_ns(keeper->options.loop));
    node_startup_attempt(&keeper->startup, loop_now_mono_ns(keeper->options.loop));
    if (keeper->plan.registers)
        log_info("Attempting to register node", LOG_STR("node", keeper->name));
    advance(keeper);
}

static void on_addresses(void *ctx, bool is_other)
{
    struct node_keeper *keeper = ctx;
    if (is_other)
        node_plan_wake(&keeper->plan, true);
    if (is_other && keeper->options.on_addresses)
        keeper->options.on_addresses(keeper->options.ctx, address_lookup_get(keeper->addresses));
    if (!keeper->plan.is_started)
        begin(keeper);
    else if (!keeper->call)
        advance(keeper);
}

static void on_timer(void *ctx)
{
    struct node_keeper *keeper = ctx;
    if (keeper->plan.is_started)
        advance(keeper);
    else
        begin(keeper);
}

/* --- the watch --- */

static void tell_cidrs(struct node_keeper *keeper, const Core__NodeSpec *spec)
{
    AUTO(buf) struct buf text;
    buf_init(&text, CIDRS_MAX_BYTES);
    for (size_t i = 0; spec && i < spec->n_pod_cidrs; i++)
        buf_printf(&text, "%s%s", i > 0 ? "," : "", spec->pod_cidrs[i]);
    AUTO(error) struct error *err = buf_error(&text, "spec.podCIDRs");
    if (err || buf_str(&text).len == 0 || text_eq(buf_text(&text), keeper->cidrs))
        return;
    free(keeper->cidrs);
    keeper->cidrs = xstrdup(buf_text(&text));
    if (keeper->options.on_pod_cidr)
        keeper->options.on_pod_cidr(keeper->options.ctx, keeper->cidrs);
}

static void on_seen(void *ctx, const struct kube_object *object)
{
    struct node_keeper *keeper = ctx;
    const Core__Node *node = node_of(object);
    if (keeper->answer && !is_newer(keeper->answer, object))
        forget_answer(keeper);
    node_news_seen(&keeper->news, node);
    tell_cidrs(keeper, node->spec);
    if (keeper->options.on_node)
        keeper->options.on_node(keeper->options.ctx, object);
    bool is_new = node_plan_seen(&keeper->plan, loop_now_mono_ns(keeper->options.loop));
    if (is_new && !keeper->call && keeper->plan.is_started)
        advance(keeper);
}

static void on_deleted(void *ctx, const struct kube_object *object)
{
    struct node_keeper *keeper = ctx;
    /* The watch may be behind: what has been made since is another object. */
    bool is_former =
        keeper->answer && !text_eq(kube_object_uid(keeper->answer), kube_object_uid(object));
    if (keeper->options.on_node)
        keeper->options.on_node(keeper->options.ctx, NULL);
    if (is_former || !node_plan_gone(&keeper->plan, loop_now_mono_ns(keeper->options.loop)))
        return;
    note_gone(keeper);
    if (!keeper->call && keeper->plan.is_started)
        advance(keeper);
}

static void on_updated(void *ctx, const struct kube_object *old, const struct kube_object *object)
{
    /* Deleted and made anew while the watch was away: what belonged to the old one is gone. */
    if (!text_eq(kube_object_uid(old), kube_object_uid(object)))
        on_deleted(ctx, old);
    on_seen(ctx, object);
}

static void on_synced(void *ctx)
{
    const struct node_keeper *keeper = ctx;
    if (keeper->options.on_synced)
        keeper->options.on_synced(keeper->options.ctx);
}

/* --- the door --- */

static const struct reflector_listener listener = {.on_added = on_seen,
                                                   .on_updated = on_updated,
                                                   .on_deleted = on_deleted,
                                                   .on_synced = on_synced};

struct node_keeper *node_keeper_new(const struct node_keeper_options *options)
{
    struct node_keeper *keeper = xcalloc(1, sizeof(*keeper));
    const struct config_cluster *cluster = &options->config->cluster;
    *keeper = (struct node_keeper){.options = *options,
                                   .kind = kube_kind_find("v1", "Node"),
                                   .name = options->facts->node_name};
    AUTO(free) char *selector = xasprintf("metadata.name=%s", keeper->name);
    const struct reflector_options watch = {
        .kind = keeper->kind, .field_selector = selector, .drops_managed_fields = true};
    keeper->reflector = reflector_new(options->loop, options->client, &watch, &listener, keeper);
    node_plan_init(&keeper->plan, cluster->register_node, cluster->node_status_update_frequency_ns,
                   cluster->node_status_report_frequency_ns);
    node_news_init(&keeper->news, options->events, keeper->name, options->machine->boot_id);
    keeper->addresses = address_lookup_new(options->pool, options->config, keeper->name,
                                           options->machine->hostname, on_addresses, keeper);
    node_startup_init(&keeper->startup, options->metrics, options->process_began_ns);
    keeper->timer = loop_timer_new(options->loop, "node status", on_timer, keeper);
    return keeper;
}

void node_keeper_free(struct node_keeper *keeper)
{
    if (!keeper)
        return;
    reflector_free(keeper->reflector);
    api_call_cancel(keeper->call);
    api_call_cancel(keeper->reread_call);
    address_lookup_free(keeper->addresses);
    loop_timer_free(keeper->timer);
    while (keeper->rereads) {
        struct reread *first = keeper->rereads;
        keeper->rereads = first->next;
        free(first);
    }
    forget_answer(keeper);
    error_free(keeper->error);
    free(keeper->cidrs);
    free(keeper);
}

void node_keeper_start(struct node_keeper *keeper)
{
    if (keeper->is_started)
        return;
    keeper->is_started = true;
    node_news_starting(&keeper->news);
    reflector_start(keeper->reflector);
    if (address_lookup_is_certain(keeper->addresses)) {
        loop_timer_start(keeper->timer, 0);
        return;
    }
    loop_timer_start(keeper->timer, FIRST_ADDRESSES_NS);
    address_lookup_start(keeper->addresses, loop_now_mono_ns(keeper->options.loop));
}

void node_keeper_wake(struct node_keeper *keeper)
{
    node_plan_wake(&keeper->plan, false);
    if (keeper->plan.is_started && !keeper->call)
        loop_timer_start(keeper->timer, 0);
}

const struct kube_object *node_keeper_node(const struct node_keeper *keeper)
{
    return reflector_find(keeper->reflector, NULL, keeper->name);
}

bool node_keeper_has_synced(const struct node_keeper *keeper)
{
    return reflector_has_synced(keeper->reflector);
}

static void release_arena(void *arena)
{
    arena_free(arena);
}

const Core__Node *node_keeper_best(struct node_keeper *keeper)
{
    const Core__Node *node = node_of(known(keeper));
    if (node)
        return node;
    struct arena *arena = arena_new(0);
    struct node_status_input input = input_now(keeper);
    loop_defer_free(keeper->options.loop, release_arena, arena);
    return node_object_initial(&input, arena);
}

static void on_read_again(void *ctx, struct api_result *result)
{
    struct node_keeper *keeper = ctx;
    struct reread *rereads = TAKE(keeper->rereads);
    keeper->reread_call = NULL;
    if (!result->err)
        keep_answer(keeper, result);
    while (rereads) {
        struct reread *first = rereads;
        rereads = first->next;
        first->on_reread(first->ctx);
        free(first);
    }
}

void node_keeper_reread(struct node_keeper *keeper, void (*on_reread)(void *ctx), void *ctx)
{
    struct reread *reread = xcalloc(1, sizeof(*reread));
    *reread = (struct reread){.next = keeper->rereads, .on_reread = on_reread, .ctx = ctx};
    keeper->rereads = reread;
    if (!keeper->reread_call)
        keeper->reread_call = api_call_start(
            keeper->options.client,
            &(struct api_request){.verb = API_GET, .kind = keeper->kind, .name = keeper->name},
            on_read_again, keeper);
}

bool node_keeper_is_registered(const struct node_keeper *keeper)
{
    return keeper->plan.is_registered;
}

int64_t node_keeper_reported_ns(const struct node_keeper *keeper)
{
    return keeper->reported_ns;
}

const struct error *node_keeper_error(const struct node_keeper *keeper)
{
    return keeper->error;
}
