/*
 * Strategy Watch: an item has a reflector of its own, until it is immutable or nobody has read it
 * for long. A get waits for the first sync of the reflector, at most a second; the answer is looked
 * up when it is told. While the server is away an object that was known once is as it was:
 * containers go on being started.
 */
#include "kube/object_watch_internal.h"

#include "base/log.h"
#include "kube/validate.h"

/* The kubelet's watch based manager: the wait of a get, its period of looking for idle items, the
 * reflector's minimal watch timeout, and twice as much. */
#define SYNC_WAIT_NS NS_PER_SEC
#define IDLE_CHECK_NS (60 * NS_PER_SEC)
#define MIN_WATCH_NS (1800 * NS_PER_SEC)
#define MAX_WATCH_NS (3600 * NS_PER_SEC)
/* client-go's longest rest: a node has hundreds of these watches, which need not all come back at
 * once. What is wanted meanwhile is hurried. */
#define MAX_UNREACHED_NS (30 * NS_PER_SEC)

/* The selector names one object; a server that sends others is not followed far. */
#define MAX_OBJECTS 4
#define MAX_BYTES (16 * MiB)

/* --- hearing --- */

static void on_synced(void *ctx)
{
    struct object_watch_item *item = ctx;
    const struct object_watch_options *options = &item->watch->options;
    struct object_watch_get *get;
    bool is_owed = item->has_timed_out;
    item->was_synced = true;
    item->has_timed_out = false;
    DL_FOREACH(item->watch->gets, get) {
        if (get->awaited == item)
            object_watch_hurry(get);
    }
    if (is_owed && options->on_changed)
        options->on_changed(options->ctx, item->namespace_, item->name);
}

static void tell_changed(const struct object_watch_item *item, const struct kube_object *object)
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

/* --- starting --- */

static void arm_idle(struct object_watch *watch)
{
    if (!loop_timer_is_armed(watch->idle))
        loop_timer_start(watch->idle, watch->options.idle_ns);
}

/* The server does not check the names that a pod refers to: they can be anything, of any length. */
void object_watch_item_start(struct object_watch_item *item)
{
    struct object_watch *watch = item->watch;
    if (name_check_dns1123_subdomain(str_from(item->name)))
        return;
    AUTO(free) char *selector = xasprintf("metadata.name=%s", item->name);
    const struct reflector_options options = {.kind = watch->options.kind,
                                              .namespace_ = item->namespace_,
                                              .field_selector = selector,
                                              .min_watch_ns = MIN_WATCH_NS,
                                              .max_watch_ns = MAX_WATCH_NS,
                                              .max_unreached_ns = MAX_UNREACHED_NS,
                                              .max_objects = MAX_OBJECTS,
                                              .max_bytes = MAX_BYTES,
                                              .drops_managed_fields = true};
    item->reflector =
        reflector_new(watch->loop, watch->client, &options, &reflector_listener, item);
    item->read_ns = loop_now_mono_ns(watch->loop);
    reflector_start(item->reflector);
    arm_idle(watch);
}

/* --- gets --- */

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

static struct error *not_found(const struct kube_kind *kind, const char *name)
{
    return error_new(ERROR_NOT_FOUND, "%s \"%s\" not found", kind->singular, name);
}

static bool is_server_away(const struct object_watch_item *item)
{
    const struct error *err = reflector_error(item->reflector);
    return error_is(err, ERROR_UNAVAILABLE) || error_is(err, ERROR_DEADLINE_EXCEEDED);
}

void object_watch_answer_watched(struct object_watch_item *item,
                                 const struct kube_object **ret_object, struct error **ret_err)
{
    const struct kube_kind *kind = item->watch->options.kind;
    if (!item->reflector) {
        *ret_err = not_found(kind, item->name);
        return;
    }
    bool has_synced = reflector_has_synced(item->reflector);
    if (!has_synced && !(item->was_synced && is_server_away(item))) {
        item->has_timed_out = true;
        *ret_err = error_new(ERROR_DEADLINE_EXCEEDED,
                             "failed to sync %s cache: timed out waiting for the condition",
                             kind->singular);
        return;
    }
    const struct kube_object *object =
        reflector_find(item->reflector, item->namespace_, item->name);
    if (!object) {
        *ret_err = not_found(kind, item->name);
        return;
    }
    if (has_synced && !item->is_immutable && is_immutable(object)) {
        item->is_immutable = true;
        reflector_stop(item->reflector);
        log_v(4, "Stopped watching for changes, the object is immutable",
              LOG_STR("kind", kind->kind), LOG_STR("namespace", item->namespace_),
              LOG_STR("name", item->name));
    }
    *ret_object = kube_object_ref(object);
}

void object_watch_begin_watched(struct object_watch_get *get, struct object_watch_item *item)
{
    if (!item->reflector) {
        object_watch_hurry(get);
        return;
    }
    item->read_ns = loop_now_mono_ns(get->watch->loop);
    if (!item->is_immutable && !reflector_is_running(item->reflector)) {
        reflector_start(item->reflector);
        arm_idle(get->watch);
    }
    if (reflector_has_synced(item->reflector)) {
        object_watch_hurry(get);
        return;
    }
    reflector_hurry(item->reflector);
    get->awaited = item;
    loop_timer_start(get->timer, SYNC_WAIT_NS);
}

/* --- ending --- */

void object_watch_on_idle(void *ctx)
{
    struct object_watch *watch = ctx;
    int64_t now_ns = loop_now_mono_ns(watch->loop), next_ns = INT64_MAX;
    struct object_watch_item *item, *next;
    HASH_ITER(hh, watch->items, item, next) {
        int64_t due_ns = sat_add_i64(item->read_ns, watch->options.idle_ns);
        bool is_running = item->reflector && reflector_is_running(item->reflector);
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
