/*
 * An item is an object that some pod refers to. By strategy it has a reflector of its own (Watch)
 * or what was read last (Cache); with Get there are no items, only gets.
 *
 * A get is settled when its answer is known and told by its own timer, in the next turn: a callback
 * finds the manager in a quiet state and may do with it what it likes. Strategy Watch is in
 * object_watch_reflector.c.
 */
#include "kube/object_watch_internal.h"

/* The kubelet's watch based manager: five times its default syncFrequency, and minIdleTime. */
#define DEFAULT_IDLE_NS (300 * NS_PER_SEC)
#define MIN_IDLE_NS (60 * NS_PER_SEC)
/* The kubelet's defaultTTL. */
#define DEFAULT_TTL_NS (60 * NS_PER_SEC)

/* --- gets --- */

static void get_free(struct object_watch_get *get)
{
    DL_DELETE(get->watch->gets, get);
    loop_timer_free(get->timer);
    api_call_cancel(get->call);
    kube_object_unref(get->object);
    error_free(get->error);
    free(get->namespace_);
    free(get->name);
    free(get);
}

void object_watch_get_cancel(struct object_watch_get *get)
{
    if (get)
        get_free(get);
}

void object_watch_hurry(struct object_watch_get *get)
{
    get->awaited = NULL;
    loop_timer_start(get->timer, 0);
}

static void settle(struct object_watch_get *get, const struct kube_object *object,
                   const struct error *err)
{
    get->is_settled = true;
    get->object = kube_object_ref(object);
    get->error = error_dup(err);
    object_watch_hurry(get);
}

static struct error *not_registered(const char *namespace_, const char *name)
{
    return error_new(ERROR_FAILED_PRECONDITION, "object \"%s\"/\"%s\" not registered", namespace_,
                     name);
}

/* --- items --- */

static char *key_of(const char *namespace_, const char *name)
{
    return xasprintf("%s/%s", namespace_, name);
}

static struct object_watch_item *find(const struct object_watch *watch, const char *namespace_,
                                      const char *name)
{
    AUTO(free) char *key = key_of(namespace_, name);
    struct object_watch_item *item;
    HASH_FIND_STR(watch->items, key, item);
    return item;
}

static void fetch(struct object_watch_item *item);

static struct object_watch_item *item_new(struct object_watch *watch, const char *namespace_,
                                          const char *name)
{
    struct object_watch_item *item = xcalloc(1, sizeof(*item));
    *item = (struct object_watch_item){.watch = watch,
                                       .namespace_ = xstrdup(namespace_),
                                       .name = xstrdup(name),
                                       .key = key_of(namespace_, name)};
    HASH_ADD_KEYPTR(hh, watch->items, item->key, strlen(item->key), item);
    if (watch->options.strategy == OBJECT_STRATEGY_WATCH)
        object_watch_item_start(item);
    return item;
}

/* What was read may be older than the pod that refers to it now: the next get reads anew. */
static void invalidate(struct object_watch_item *item)
{
    kube_object_unref(TAKE(item->object));
    error_free(TAKE(item->missing));
    if (item->call) {
        api_call_cancel(TAKE(item->call));
        fetch(item);
    }
}

static void item_free(struct object_watch_item *item)
{
    struct object_watch *watch = item->watch;
    struct object_watch_get *get;
    HASH_DEL(watch->items, item);
    DL_FOREACH(watch->gets, get) {
        if (get->awaited == item)
            object_watch_hurry(get); /* finds that nobody is registered */
    }
    reflector_free(item->reflector);
    api_call_cancel(item->call);
    kube_object_unref(item->object);
    error_free(item->missing);
    free(item->namespace_);
    free(item->name);
    free(item->key);
    free(item);
}

static void item_unref(struct object_watch_item *item)
{
    if (--item->references == 0)
        item_free(item);
}

/* --- pods --- */

static struct object_watch_pod *find_pod(const struct object_watch *watch, const char *pod_uid)
{
    struct object_watch_pod *pod;
    HASH_FIND_STR(watch->pods, pod_uid, pod);
    return pod;
}

static struct object_watch_pod *pod_new(struct object_watch *watch, const char *pod_uid)
{
    size_t len = strlen(pod_uid);
    struct object_watch_pod *pod = xcalloc(1, sizeof(*pod) + len + 1);
    memcpy(pod->uid, pod_uid, len);
    HASH_ADD_KEYPTR(hh, watch->pods, pod->uid, len, pod);
    return pod;
}

static void unref_items(struct object_watch_item **items_owned, size_t count)
{
    for (size_t i = 0; i < count; i++)
        item_unref(items_owned[i]);
    free(items_owned);
}

void object_watch_register(struct object_watch *watch, const char *pod_uid, const char *namespace_,
                           const char *const *names, size_t count)
{
    if (watch->options.strategy == OBJECT_STRATEGY_GET)
        return;
    struct object_watch_pod *pod = find_pod(watch, pod_uid);
    if (!pod && count == 0)
        return;
    if (!pod)
        pod = pod_new(watch, pod_uid);
    struct object_watch_item **items =
        xcalloc(count ? count : 1, sizeof(struct object_watch_item *));
    size_t filled = 0;
    uint64_t round = ++watch->round;
    for (size_t i = 0; i < pod->count; i++)
        pod->items[i]->held_round = round;
    /* The new ones first: what both lists name goes on being watched. */
    for (size_t i = 0; i < count; i++) {
        struct object_watch_item *item = find(watch, namespace_, names[i]);
        if (!item)
            item = item_new(watch, namespace_, names[i]);
        else if (item->named_round == round)
            continue;
        else if (item->held_round != round)
            invalidate(item);
        item->named_round = round;
        item->references++;
        items[filled++] = item;
    }
    unref_items(pod->items, pod->count);
    pod->items = items;
    pod->count = filled;
    if (filled == 0)
        object_watch_unregister(watch, pod_uid);
}

void object_watch_unregister(struct object_watch *watch, const char *pod_uid)
{
    struct object_watch_pod *pod = find_pod(watch, pod_uid);
    if (!pod)
        return;
    HASH_DEL(watch->pods, pod);
    unref_items(pod->items, pod->count);
    free(pod);
}

/* --- strategy Cache --- */

static bool is_fresh(const struct object_watch_item *item)
{
    const struct object_watch_options *options = &item->watch->options;
    int64_t ttl_ns = options->ttl_ns, of_node_ns;
    if (!item->object)
        return false;
    if (options->ttl_of_node && options->ttl_of_node(options->ctx, &of_node_ns))
        ttl_ns = of_node_ns;
    return loop_now_mono_ns(item->watch->loop) < sat_add_i64(item->fetched_ns, ttl_ns);
}

/* A server's cache may be behind what was read before. */
static bool is_older(const struct kube_object *old, const ProtobufCMessage *message)
{
    const Meta__ObjectMeta *meta = kube_object_meta(message);
    uint64_t old_version, new_version;
    return old && meta && meta->resource_version &&
           parse_u64(kube_object_version(old), &old_version) &&
           parse_u64(meta->resource_version, &new_version) && new_version < old_version;
}

static void note_missing(struct object_watch_item *item, const struct error *err)
{
    kube_object_unref(TAKE(item->object));
    error_free(item->missing);
    item->missing = error_dup(err);
}

static void on_fetched(void *ctx, struct api_result *result)
{
    struct object_watch_item *item = ctx;
    struct object_watch_get *get;
    const struct error *err = result->err;
    item->call = NULL;
    if (!err && !is_older(item->object, result->object)) {
        kube_object_unref(item->object);
        item->object = kube_object_new(result->kind, result->object);
        error_free(TAKE(item->missing));
    } else if (error_is(err, ERROR_NOT_FOUND)) {
        note_missing(item, err);
    }
    bool is_known = item->object || item->missing;
    if (!err || error_is(err, ERROR_NOT_FOUND))
        item->fetched_ns = loop_now_mono_ns(item->watch->loop);
    DL_FOREACH(item->watch->gets, get) {
        if (get->awaited == item)
            settle(get, item->object, is_known ? item->missing : err);
    }
}

static void fetch(struct object_watch_item *item)
{
    item->call = api_call_start(item->watch->client,
                                &(struct api_request){
                                    .verb = API_GET,
                                    .kind = item->watch->options.kind,
                                    .namespace_ = item->namespace_,
                                    .name = item->name,
                                    .query = item->object ? "resourceVersion=0" : NULL,
                                },
                                on_fetched, item);
}

static void begin_cached(struct object_watch_get *get, struct object_watch_item *item)
{
    if (is_fresh(item)) {
        settle(get, item->object, NULL);
        return;
    }
    get->awaited = item;
    if (!item->call)
        fetch(item);
}

/* --- strategy Get --- */

static void on_read(void *ctx, struct api_result *result)
{
    struct object_watch_get *get = ctx;
    get->call = NULL;
    if (result->err) {
        settle(get, NULL, result->err);
        return;
    }
    AUTO(kube_object)
    const struct kube_object *object = kube_object_new(result->kind, result->object);
    settle(get, object, NULL);
}

/* --- the door --- */

static void on_get_due(void *ctx)
{
    struct object_watch_get *get = ctx;
    object_watch_on_got *on_got = get->on_got;
    void *get_ctx = get->ctx;
    AUTO(kube_object) const struct kube_object *object = TAKE(get->object);
    struct error *err = TAKE(get->error);
    if (!get->is_settled) {
        struct object_watch_item *item = find(get->watch, get->namespace_, get->name);
        if (item && item->watch->options.strategy == OBJECT_STRATEGY_WATCH)
            object_watch_answer_watched(item, &object, &err);
        else
            err = not_registered(get->namespace_, get->name);
    }
    get_free(get);
    on_got(get_ctx, object, err);
}

struct object_watch_get *object_watch_get(struct object_watch *watch, const char *namespace_,
                                          const char *name, object_watch_on_got *on_got, void *ctx)
{
    struct object_watch_get *get = xcalloc(1, sizeof(*get));
    *get = (struct object_watch_get){.watch = watch,
                                     .namespace_ = xstrdup(namespace_),
                                     .name = xstrdup(name),
                                     .on_got = on_got,
                                     .ctx = ctx};
    get->timer = loop_timer_new(watch->loop, "get of a referenced object", on_get_due, get);
    DL_APPEND(watch->gets, get);
    if (watch->options.strategy == OBJECT_STRATEGY_GET) {
        get->call = api_call_start(watch->client,
                                   &(struct api_request){.verb = API_GET,
                                                         .kind = watch->options.kind,
                                                         .namespace_ = namespace_,
                                                         .name = name},
                                   on_read, get);
        return get;
    }
    struct object_watch_item *item = find(watch, namespace_, name);
    if (!item)
        object_watch_hurry(get);
    else if (watch->options.strategy == OBJECT_STRATEGY_WATCH)
        object_watch_begin_watched(get, item);
    else
        begin_cached(get, item);
    return get;
}

struct object_watch *object_watch_new(struct loop *loop, struct api_client *client,
                                      const struct object_watch_options *options)
{
    struct object_watch *watch = xcalloc(1, sizeof(*watch));
    *watch = (struct object_watch){.loop = loop, .client = client, .options = *options};
    if (watch->options.idle_ns == 0)
        watch->options.idle_ns = DEFAULT_IDLE_NS;
    watch->options.idle_ns = max_i64(watch->options.idle_ns, MIN_IDLE_NS);
    if (watch->options.ttl_ns == 0)
        watch->options.ttl_ns = DEFAULT_TTL_NS;
    watch->idle = loop_timer_new(loop, "idle object watches", object_watch_on_idle, watch);
    return watch;
}

void object_watch_free(struct object_watch *watch)
{
    if (!watch)
        return;
    while (watch->gets)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist unlinks it, unseen */
        get_free(watch->gets);
    struct object_watch_pod *pod, *next;
    HASH_ITER(hh, watch->pods, pod, next) {
        object_watch_unregister(watch, pod->uid);
    }
    ASSERT(!watch->items);
    loop_timer_free(watch->idle);
    free(watch);
}

const struct kube_object *object_watch_peek(const struct object_watch *watch,
                                            const char *namespace_, const char *name)
{
    const struct object_watch_item *item = find(watch, namespace_, name);
    if (!item)
        return NULL;
    return item->reflector ? reflector_find(item->reflector, namespace_, name) : item->object;
}

size_t object_watch_count(const struct object_watch *watch)
{
    return HASH_COUNT(watch->items);
}

size_t object_watch_running(const struct object_watch *watch)
{
    size_t count = 0;
    for (const struct object_watch_item *item = watch->items; item; item = item->hh.next)
        count += item->reflector && reflector_is_running(item->reflector);
    return count;
}
