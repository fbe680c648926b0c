/*
 * An item is an object that some pod refers to. By strategy it has a reflector of its own (Watch)
 * or what was read last (Cache); with Get there are no items, only gets.
 *
 * A get is settled when its answer is known and told by its own timer, in the next turn: a callback
 * finds the manager in a quiet state and may do with it what it likes. With Watch it waits for the
 * first sync of the reflector, at most a second; the answer is looked up when it is told.
 */
#include "kube/object_watch.h"

#include "base/hash.h"
#include "base/log.h"
#include "kube/reflector.h"

/* The kubelet's watch based manager: the wait of a get, its period of looking for idle items, the
 * reflector's minimal watch timeout, and twice as much. */
#define SYNC_WAIT_NS NS_PER_SEC
#define IDLE_CHECK_NS (60 * NS_PER_SEC)
#define DEFAULT_IDLE_NS (300 * NS_PER_SEC)
#define MIN_WATCH_NS (1800 * NS_PER_SEC)
#define MAX_WATCH_NS (3600 * NS_PER_SEC)
/* The kubelet's defaultTTL. */
#define DEFAULT_TTL_NS (60 * NS_PER_SEC)

/* The selector names one object; a server that sends others is not followed far. */
#define MAX_OBJECTS 4
#define MAX_BYTES (16 * MiB)

struct item {
    UT_hash_handle hh;
    struct object_watch *watch;
    char *namespace_, *name;
    size_t references; /* of pods */
    char *key;         /* "namespace/name" */

    /* WATCH */
    struct reflector *reflector;
    int64_t read_ns; /* mono; when a get asked for it last */
    bool is_immutable, was_synced;

    /* CACHE */
    const struct kube_object *object; /* a reference; NULL: none known */
    struct error *missing;            /* what the server said when it was not there */
    int64_t fetched_ns;               /* mono */
    struct api_call *call;
};

struct pod {
    UT_hash_handle hh;
    struct item **items; /* owned array; a reference to each */
    size_t count;
    char uid[];
};

struct object_watch_get {
    struct object_watch_get *prev, *next;
    struct object_watch *watch;
    char *namespace_, *name;
    struct loop_timer *timer;
    struct item *awaited;  /* WATCH: its sync, CACHE: its call; NULL: nothing more */
    struct api_call *call; /* GET */
    bool is_settled;       /* … with the next two; else looked up when told */
    const struct kube_object *object;
    struct error *error;
    object_watch_on_got *on_got;
    void *ctx;
};

struct object_watch {
    struct loop *loop;
    struct api_client *client;
    struct object_watch_options options;
    struct item *items; /* hash head; owns every item */
    struct pod *pods;   /* hash head; owns every pod */
    struct object_watch_get *gets;
    struct loop_timer *idle; /* WATCH: armed while an item is being watched */
};

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

/* Tells in the next turn. */
static void hurry(struct object_watch_get *get)
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
    hurry(get);
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

static struct item *find(const struct object_watch *watch, const char *namespace_, const char *name)
{
    AUTO(free) char *key = key_of(namespace_, name);
    struct item *item;
    HASH_FIND_STR(watch->items, key, item);
    return item;
}

static void fetch(struct item *item);
static const struct reflector_listener reflector_listener;

static void arm_idle(struct object_watch *watch)
{
    if (!loop_timer_is_armed(watch->idle))
        loop_timer_start(watch->idle, max_i64(watch->options.idle_ns, IDLE_CHECK_NS));
}

static void watch_item(struct item *item)
{
    struct object_watch *watch = item->watch;
    AUTO(free) char *selector = xasprintf("metadata.name=%s", item->name);
    const struct reflector_options options = {.kind = watch->options.kind,
                                              .namespace_ = item->namespace_,
                                              .field_selector = selector,
                                              .min_watch_ns = MIN_WATCH_NS,
                                              .max_watch_ns = MAX_WATCH_NS,
                                              .max_objects = MAX_OBJECTS,
                                              .max_bytes = MAX_BYTES,
                                              .drops_managed_fields = true};
    item->reflector =
        reflector_new(watch->loop, watch->client, &options, &reflector_listener, item);
    item->read_ns = loop_now_mono_ns(watch->loop);
    reflector_start(item->reflector);
    arm_idle(watch);
}

static struct item *item_new(struct object_watch *watch, const char *namespace_, const char *name)
{
    struct item *item = xcalloc(1, sizeof(*item));
    *item = (struct item){.watch = watch,
                          .namespace_ = xstrdup(namespace_),
                          .name = xstrdup(name),
                          .key = key_of(namespace_, name)};
    HASH_ADD_KEYPTR(hh, watch->items, item->key, strlen(item->key), item);
    if (watch->options.strategy == OBJECT_STRATEGY_WATCH)
        watch_item(item);
    return item;
}

/* What was read may be older than the pod that refers to it now: the next get reads anew. */
static void invalidate(struct item *item)
{
    kube_object_unref(TAKE(item->object));
    error_free(TAKE(item->missing));
    if (item->call) {
        api_call_cancel(TAKE(item->call));
        fetch(item);
    }
}

static void item_free(struct item *item)
{
    struct object_watch *watch = item->watch;
    struct object_watch_get *get;
    HASH_DEL(watch->items, item);
    DL_FOREACH(watch->gets, get) {
        if (get->awaited == item)
            hurry(get); /* finds that nobody is registered */
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

static void item_unref(struct item *item)
{
    if (--item->references == 0)
        item_free(item);
}

/* --- pods --- */

static bool holds(struct item *const *items, size_t count, const struct item *item)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] == item)
            return true;
    }
    return false;
}

static struct pod *find_pod(const struct object_watch *watch, const char *pod_uid)
{
    struct pod *pod;
    HASH_FIND_STR(watch->pods, pod_uid, pod);
    return pod;
}

static struct pod *pod_new(struct object_watch *watch, const char *pod_uid)
{
    size_t len = strlen(pod_uid);
    struct pod *pod = xcalloc(1, sizeof(*pod) + len + 1);
    memcpy(pod->uid, pod_uid, len);
    HASH_ADD_KEYPTR(hh, watch->pods, pod->uid, len, pod);
    return pod;
}

static void unref_items(struct item **items_owned, size_t count)
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
    struct pod *pod = find_pod(watch, pod_uid);
    if (!pod && count == 0)
        return;
    if (!pod)
        pod = pod_new(watch, pod_uid);
    struct item **items = xcalloc(count ? count : 1, sizeof(struct item *));
    size_t filled = 0;
    /* The new ones first: what both lists name goes on being watched. */
    for (size_t i = 0; i < count; i++) {
        struct item *item = find(watch, namespace_, names[i]);
        if (!item)
            item = item_new(watch, namespace_, names[i]);
        else if (holds(items, filled, item))
            continue;
        else if (!holds(pod->items, pod->count, item))
            invalidate(item);
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
    struct pod *pod = find_pod(watch, pod_uid);
    if (!pod)
        return;
    HASH_DEL(watch->pods, pod);
    unref_items(pod->items, pod->count);
    free(pod);
}

/* --- strategy Watch --- */

static void on_synced(void *ctx)
{
    struct item *item = ctx;
    struct object_watch_get *get;
    item->was_synced = true;
    DL_FOREACH(item->watch->gets, get) {
        if (get->awaited == item)
            hurry(get);
    }
}

static void tell_changed(const struct item *item, const struct kube_object *object)
{
    const struct object_watch_options *options = &item->watch->options;
    bool is_ours = text_eq(kube_object_name(object), item->name);
    if (item->was_synced && is_ours && options->on_changed)
        options->on_changed(options->ctx, item->namespace_, item->name);
}

static void on_added_or_deleted(void *ctx, const struct kube_object *object)
{
    tell_changed(ctx, object);
}

static void on_updated(void *ctx, UNUSED const struct kube_object *old,
                       const struct kube_object *object)
{
    tell_changed(ctx, object);
}

static const struct reflector_listener reflector_listener = {
    .on_added = on_added_or_deleted,
    .on_updated = on_updated,
    .on_deleted = on_added_or_deleted,
    .on_synced = on_synced,
};

/* The two kinds there are; the others are never immutable. */
static bool is_immutable(const struct kube_object *object)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(object->kind->type, "immutable");
    protobuf_c_boolean value = 0;
    if (!field || field->type != PROTOBUF_C_TYPE_BOOL)
        return false;
    /* Absent is false: protobuf-c zeroes what it does not set. */
    memcpy(&value, (const char *)object->message + field->offset, sizeof(value));
    return value != 0;
}

static void answer_watched(const struct object_watch *watch, const struct object_watch_get *get,
                           const struct kube_object **ret_object, struct error **ret_err)
{
    const struct kube_kind *kind = watch->options.kind;
    struct item *item = find(watch, get->namespace_, get->name);
    if (!item) {
        *ret_err = not_registered(get->namespace_, get->name);
        return;
    }
    if (!reflector_has_synced(item->reflector)) {
        *ret_err = error_new(ERROR_DEADLINE_EXCEEDED,
                             "failed to sync %s cache: timed out waiting for the condition",
                             kind->singular);
        return;
    }
    const struct kube_object *object =
        reflector_find(item->reflector, item->namespace_, item->name);
    if (!object) {
        *ret_err = error_new(ERROR_NOT_FOUND, "%s \"%s\" not found", kind->singular, item->name);
        return;
    }
    if (!item->is_immutable && is_immutable(object)) {
        item->is_immutable = true;
        reflector_stop(item->reflector);
        log_v(4, "Stopped watching for changes, the object is immutable",
              LOG_STR("kind", kind->kind), LOG_STR("namespace", item->namespace_),
              LOG_STR("name", item->name));
    }
    *ret_object = kube_object_ref(object);
}

static void begin_watched(struct object_watch_get *get, struct item *item)
{
    item->read_ns = loop_now_mono_ns(get->watch->loop);
    if (!item->is_immutable && !reflector_is_running(item->reflector)) {
        reflector_start(item->reflector);
        arm_idle(get->watch);
    }
    if (reflector_has_synced(item->reflector)) {
        hurry(get);
        return;
    }
    get->awaited = item;
    loop_timer_start(get->timer, SYNC_WAIT_NS);
}

static void on_idle(void *ctx)
{
    struct object_watch *watch = ctx;
    int64_t now_ns = loop_now_mono_ns(watch->loop), next_ns = INT64_MAX;
    struct item *item, *next;
    HASH_ITER(hh, watch->items, item, next) {
        int64_t due_ns = sat_add_i64(item->read_ns, watch->options.idle_ns);
        bool is_running = reflector_is_running(item->reflector);
        /* One that has not synced may be at great pains to do so: it is not made to start over. */
        if (is_running && reflector_has_synced(item->reflector) && now_ns > due_ns) {
            reflector_stop(item->reflector);
            log_v(4, "Not acquired for long time, stopped watching for changes",
                  LOG_STR("namespace", item->namespace_), LOG_STR("name", item->name));
        } else if (is_running) {
            next_ns = min_i64(next_ns, due_ns);
        }
    }
    if (next_ns < INT64_MAX)
        loop_timer_start(watch->idle, max_i64(sat_sub_i64(next_ns, now_ns) + 1, IDLE_CHECK_NS));
}

/* --- strategy Cache --- */

static bool is_fresh(const struct item *item)
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

static void note_missing(struct item *item, const struct error *err)
{
    kube_object_unref(TAKE(item->object));
    error_free(item->missing);
    item->missing = error_dup(err);
}

static void on_fetched(void *ctx, struct api_result *result)
{
    struct item *item = ctx;
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

static void fetch(struct item *item)
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

static void begin_cached(struct object_watch_get *get, struct item *item)
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
        if (get->watch->options.strategy == OBJECT_STRATEGY_WATCH)
            answer_watched(get->watch, get, &object, &err);
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
    struct item *item = find(watch, namespace_, name);
    if (!item)
        hurry(get);
    else if (watch->options.strategy == OBJECT_STRATEGY_WATCH)
        begin_watched(get, item);
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
    if (watch->options.ttl_ns == 0)
        watch->options.ttl_ns = DEFAULT_TTL_NS;
    watch->idle = loop_timer_new(loop, "idle object watches", on_idle, watch);
    return watch;
}

void object_watch_free(struct object_watch *watch)
{
    if (!watch)
        return;
    while (watch->gets)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): utlist unlinks it, unseen */
        get_free(watch->gets);
    struct pod *pod, *next;
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
    const struct item *item = find(watch, namespace_, name);
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
    for (const struct item *item = watch->items; item; item = item->hh.next)
        count += item->reflector && reflector_is_running(item->reflector);
    return count;
}
