/*
 * One queue of keys for all concerns. A change wakes the concerns that care, which queue keys; each
 * key becomes a task of the store of its own, so that a concern that fails takes nobody's work
 * back. A key that is queued is not queued twice, and what changes while it waits is seen when its
 * turn comes.
 */
#include "plane/controllers_internal.h"

#include "base/hash.h"
#include "base/log.h"

#define RETRY_FIRST_NS (1 * NS_PER_SEC)
#define RETRY_MAX_NS (60 * NS_PER_SEC)

/* Of what one change wakes, what comes first here runs first: taints have followed their node
 * before pods are placed on it. */
static const struct concern *const concerns[] = {
    &concern_namespaces, &concern_nodes, &concern_taints,  &concern_evictions, &concern_scheduling,
    &concern_dependents, &concern_pods,  &concern_signing, &concern_expiry,
};

enum item_state { ITEM_WAITING, ITEM_SUBMITTED, ITEM_RUN };

struct item {
    struct controllers *controllers;
    const struct concern *concern;
    struct store_key key; /* in memory[] behind the id */
    enum item_state state;
    struct loop_timer *timer; /* ITEM_WAITING */
    int64_t due_ns;           /* mono */
    int64_t retry_ns;         /* the wait after the next failure */
    int64_t again_after_ns;
    bool is_wanted_again;    /* asked for while it ran */
    int64_t wanted_after_ns; /* when: 0 at once */
    struct arena *arena;     /* of a run */
    Meta__Status *failure;
    UT_hash_handle hh;
    char id[]; /* "<concern>|<resource>|<namespace>|<name>" */
};

struct controllers {
    struct loop *loop;
    struct store *store;
    struct controllers_options options;
    struct store_watch *changes;
    struct item *items; /* hash by id */
    struct dependents *dependents;
    int64_t begin_revision;
};

/* --- items --- */

static void item_free(struct item *item)
{
    HASH_DEL(item->controllers->items, item);
    loop_timer_free(item->timer);
    arena_free(item->arena);
    free(item);
}

static char *make_id(const struct concern *concern, const struct store_key *key)
{
    return xasprintf("%s|%s|%s|%s", concern->name, key->resource, key->namespace_, key->name);
}

static const char *split(char **at)
{
    char *start = *at;
    *at = start + strlen(start) + 1;
    return start;
}

static struct item *item_new(struct controllers *controllers, const struct concern *concern,
                             const struct store_key *key, const char *id)
{
    size_t id_size = strlen(id) + 1;
    struct item *item = xcalloc(1, sizeof(*item) + 2 * id_size);
    item->controllers = controllers;
    item->concern = concern;
    item->retry_ns = RETRY_FIRST_NS;
    memcpy(item->id, id, id_size);
    /* The key's texts live behind the id, NULs instead of bars. */
    char *at = item->id + id_size;
    size_t sizes[] = {strlen(key->resource) + 1, strlen(key->namespace_) + 1,
                      strlen(key->name) + 1};
    const char *const texts[] = {key->resource, key->namespace_, key->name};
    char *to = at;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        memcpy(to, texts[i], sizes[i]);
        to += sizes[i];
    }
    item->key.resource = split(&at);
    item->key.namespace_ = split(&at);
    item->key.name = split(&at);
    HASH_ADD_STR(controllers->items, id, item);
    return item;
}

static void submit(struct item *item);

static void on_due(void *ctx)
{
    struct item *item = ctx;
    loop_timer_free(TAKE(item->timer));
    submit(item);
}

static void wait_for(struct item *item, int64_t delay_ns)
{
    item->state = ITEM_WAITING;
    item->due_ns = sat_add_i64(loop_now_mono_ns(item->controllers->loop), delay_ns);
    if (!item->timer)
        item->timer = loop_timer_new(item->controllers->loop, item->concern->name, on_due, item);
    loop_timer_start(item->timer, delay_ns);
}

/* --- a run --- */

static const struct plane_user *own_user(void)
{
    static const char *const groups[] = {GROUP_MASTERS, GROUP_AUTHENTICATED};
    static const struct plane_user user = {
        .name = "system:nodeplane", .uid = "", .groups = {.items = groups, .count = 2}};
    return &user;
}

static struct error *run_item(void *ctx)
{
    struct item *item = ctx;
    struct controllers *controllers = item->controllers;
    item->state = ITEM_RUN;
    item->arena = arena_new(0);
    const struct rest_env env = {
        .world = controllers->options.world,
        .store = controllers->store,
        .arena = item->arena,
        .now_wall_ns = loop_now_wall_ns(controllers->loop),
    };
    struct ctl_run run = {
        .controllers = controllers,
        .env = &env,
        .user = own_user(),
        .options = &controllers->options,
    };
    item->failure = item->concern->reconcile(&run, &item->key);
    item->again_after_ns = run.again_after_ns;
    if (!item->failure)
        return NULL;
    return error_new(ERROR_ABORTED, "%s", item->failure->message);
}

static void item_done(void *ctx, const struct error *err)
{
    struct item *item = ctx;
    arena_free(TAKE(item->arena));
    item->failure = NULL;
    if (err) {
        log_warning(
            "Could not set this right, will try again", LOG_STR("concern", item->concern->name),
            LOG_STR("resource", item->key.resource), LOG_STR("namespace", item->key.namespace_),
            LOG_STR("name", item->key.name), LOG_ERR(err));
        wait_for(item, item->retry_ns);
        item->retry_ns = min_i64(item->retry_ns * 2, RETRY_MAX_NS);
        return;
    }
    item->retry_ns = RETRY_FIRST_NS;
    bool is_wanted_again = item->is_wanted_again;
    int64_t after_ns = item->again_after_ns;
    if (is_wanted_again)
        after_ns = after_ns > 0 ? min_i64(after_ns, item->wanted_after_ns) : item->wanted_after_ns;
    item->is_wanted_again = false;
    if (after_ns > 0)
        wait_for(item, after_ns);
    else if (is_wanted_again)
        submit(item);
    else
        item_free(item);
}

static void submit(struct item *item)
{
    static const struct store_task task = {.run = run_item, .done = item_done};
    item->state = ITEM_SUBMITTED;
    store_submit(item->controllers->store, &task, item);
}

/* --- what concerns use --- */

void ctl_enqueue_after(struct controllers *controllers, const struct concern *concern,
                       const struct store_key *key, int64_t delay_ns)
{
    AUTO(free) char *id = make_id(concern, key);
    struct item *item = NULL;
    HASH_FIND_STR(controllers->items, id, item);
    if (!item) {
        item = item_new(controllers, concern, key, id);
        if (delay_ns <= 0)
            submit(item);
        else
            wait_for(item, delay_ns);
        return;
    }
    switch (item->state) {
    case ITEM_SUBMITTED:
        return;
    case ITEM_RUN:
        delay_ns = max_i64(delay_ns, 0);
        item->wanted_after_ns =
            item->is_wanted_again ? min_i64(item->wanted_after_ns, delay_ns) : delay_ns;
        item->is_wanted_again = true;
        return;
    case ITEM_WAITING:
        break;
    }
    int64_t now_ns = loop_now_mono_ns(controllers->loop);
    if (delay_ns <= 0) {
        loop_timer_free(TAKE(item->timer));
        submit(item);
    } else if (sat_add_i64(now_ns, delay_ns) < item->due_ns) {
        wait_for(item, delay_ns);
    }
}

void ctl_enqueue(struct controllers *controllers, const struct concern *concern,
                 const struct store_key *key)
{
    ctl_enqueue_after(controllers, concern, key, 0);
}

void ctl_hurry(struct controllers *controllers, const struct concern *concern,
               const struct store_key *key)
{
    AUTO(free) char *id = make_id(concern, key);
    struct item *item = NULL;
    HASH_FIND_STR(controllers->items, id, item);
    if (item)
        ctl_enqueue(controllers, concern, key);
}

Meta__Status *ctl_read(const struct ctl_run *run, const char *group, const char *resource,
                       const char *namespace_, const char *name, ProtobufCMessage **ret)
{
    *ret = NULL;
    Meta__Status *failure =
        rest_read(run->env, resource_find(group, "v1", resource), namespace_, name, ret);
    return failure && failure->code == 404 ? NULL : failure;
}

void ctl_name(ProtobufCMessage *object, const char *namespace_, const char *name,
              struct arena *arena)
{
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    meta->namespace_ = arena_strdup(arena, namespace_);
    meta->name = arena_strdup(arena, name);
}

Meta__Status *ctl_ensure(const struct ctl_run *run, const char *group, const char *resource,
                         ProtobufCMessage *object)
{
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    ProtobufCMessage *there = NULL;
    Meta__Status *failure = ctl_read(run, group, resource, meta->namespace_, meta->name, &there);
    if (failure || there)
        return failure;
    return rest_create(run->env, run->user, resource_find(group, "v1", resource), object, NULL);
}

struct pods_on {
    const char *node;
    rest_each *each;
    void *ctx;
};

static Meta__Status *if_on_node(void *ctx, ProtobufCMessage *object)
{
    const struct pods_on *pods = ctx;
    const Core__Pod *pod = (const Core__Pod *)object;
    return pod->spec && text_eq(pod->spec->node_name, pods->node) ? pods->each(pods->ctx, object)
                                                                  : NULL;
}

Meta__Status *ctl_each_pod_on(const struct ctl_run *run, const char *node, rest_each *each,
                              void *ctx)
{
    struct pods_on pods = {.node = node, .each = each, .ctx = ctx};
    return rest_each_object(run->env, resource_find("", "v1", "pods"), NULL, if_on_node, &pods);
}

Meta__Status *ctl_update(const struct ctl_run *run, const char *resource, const char *subresource,
                         ProtobufCMessage *object)
{
    return rest_update(run->env, run->user, resource_find("", "v1", resource), subresource, object,
                       NULL);
}

Meta__Status *ctl_delete(const struct ctl_run *run, const struct resource *resource,
                         const char *namespace_, const char *name, int64_t grace_s)
{
    Meta__Status *failure =
        rest_delete(run->env, run->user, resource, namespace_, name, grace_s, NULL);
    return failure && failure->code == 404 ? NULL : failure;
}

struct dependents *ctl_dependents(struct controllers *controllers)
{
    return controllers->dependents;
}

/* --- changes --- */

static ProtobufCMessage *decode(struct ctl_change *change, struct str bytes)
{
    const struct resource *resource = resource_by_key(change->row->key.resource);
    const struct store_item item = {
        .key = change->row->key, .revision = change->row->revision, .bytes = bytes};
    ProtobufCMessage *object = NULL;
    if (!resource || bytes.len == 0)
        return NULL;
    if (!change->scratch)
        change->scratch = arena_new(16 * KiB);
    AUTO(error) struct error *err = rest_decode_item(resource, &item, change->scratch, &object);
    return err ? NULL : object;
}

ProtobufCMessage *ctl_object(struct ctl_change *change)
{
    if (!change->is_object_decoded)
        change->object = decode(change, change->row->bytes);
    change->is_object_decoded = true;
    return change->object;
}

ProtobufCMessage *ctl_before(struct ctl_change *change)
{
    if (!change->is_before_decoded)
        change->before = decode(change, change->row->before);
    change->is_before_decoded = true;
    return change->before;
}

bool ctl_is_about(const struct ctl_change *change, const char *resource)
{
    return strcmp(change->row->key.resource, resource) == 0;
}

static void on_change(void *ctx, const struct store_change *row)
{
    struct ctl_change change = {.row = row};
    for (size_t i = 0; i < ARRAY_SIZE(concerns); i++)
        concerns[i]->on_change(ctx, &change);
    arena_free(change.scratch);
}

/* --- the beginning: everything there is counts as just created --- */

static struct error *begin_row(void *ctx, const struct store_item *item)
{
    const struct store_change change = {.type = STORE_CREATED,
                                        .key = item->key,
                                        .revision = item->revision,
                                        .bytes = item->bytes,
                                        .before = {.ptr = ""}};
    on_change(ctx, &change);
    return NULL;
}

static struct error *begin(void *ctx)
{
    struct controllers *controllers = ctx;
    size_t count = 0;
    const struct resource *table = resource_table(&count);
    controllers->begin_revision = store_revision(controllers->store);
    struct error *err = NULL;
    for (size_t i = 0; !err && i < count; i++) {
        const struct store_range range = {.resource = table[i].key};
        err = store_list(controllers->store, &range, begin_row, controllers);
    }
    return err;
}

static void begun(void *ctx, const struct error *err)
{
    struct controllers *controllers = ctx;
    AUTO(error) struct error *failed = err ? error_dup(err) : NULL;
    if (!failed)
        failed = store_watch_start(controllers->store, NULL, controllers->begin_revision, on_change,
                                   controllers, &controllers->changes);
    if (failed)
        log_error("Could not read the objects there are; nothing will be set right by itself",
                  LOG_ERR(failed));
    static const char *const namespaces[] = {"default", "kube-node-lease", "kube-public",
                                             "kube-system"};
    for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
        const struct store_key key = {
            .resource = "namespaces", .namespace_ = "", .name = namespaces[i]};
        ctl_enqueue(controllers, &concern_namespaces, &key);
    }
}

struct controllers *controllers_new(struct loop *loop, struct store *store,
                                    const struct controllers_options *options)
{
    static const struct store_task task = {.run = begin, .done = begun};
    struct controllers *controllers = xcalloc(1, sizeof(*controllers));
    controllers->loop = loop;
    controllers->store = store;
    controllers->options = *options;
    controllers->dependents = dependents_new();
    if (controllers->options.event_ttl_ns == 0)
        controllers->options.event_ttl_ns = 3600 * NS_PER_SEC;
    if (controllers->options.node_grace_ns == 0)
        controllers->options.node_grace_ns = 50 * NS_PER_SEC;
    if (controllers->options.finished_pods_max == 0)
        controllers->options.finished_pods_max = 12500;
    store_submit(store, &task, controllers);
    return controllers;
}

void controllers_free(struct controllers *controllers)
{
    if (!controllers)
        return;
    store_watch_stop(controllers->changes);
    store_withdraw(controllers->store, controllers);
    struct item *item, *next;
    HASH_ITER(hh, controllers->items, item, next) {
        store_withdraw(controllers->store, item);
        item_free(item);
    }
    dependents_free(controllers->dependents);
    free(controllers);
}
