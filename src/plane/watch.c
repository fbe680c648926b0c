/*
 * A watch goes through three stages, never back: the rows it begins with, the end mark of those
 * (sendInitialEvents), and the changes since. Whenever the client has more than BACKLOG_MAX_BYTES
 * to read, producing stops; for changes this means leaving the store's queue with the last revision
 * in mind and asking for what came after it once the client has caught up. When the history has
 * moved on by then, the client is told 410 and lists again. So a slow client costs no memory but
 * the rows of its own beginning.
 */
#include "plane/watch.h"

#include "base/hash.h"
#include "kube/message_map.h"
#include "kube/watch_frame.h"
#include "plane/rest_internal.h"
#include "plane/route.h"
#include "plane/table.h"

#include <sys/random.h>

#define BACKLOG_MAX_BYTES (256 * KiB)
#define SCRATCH_BLOCK_BYTES (16 * KiB)
/* Upstream's: a watch without timeoutSeconds lives 30 to 60 minutes, bookmarks come about each
 * minute. */
#define TIMEOUT_MIN_S 1800
#define TIMEOUT_MAX_S 86400
#define BOOKMARK_PERIOD_NS (60 * NS_PER_SEC)

#define INITIAL_EVENTS_END "k8s.io/initial-events-end"

struct watch_start {
    const struct resource *resource;
    struct rest_selection selection;
    struct negotiated how;
    struct arena *arena; /* of the rows; gone as soon as they have been told */
    struct store_item *rows;
    size_t row_count;
    size_t row_capacity;
    bool has_end_mark;
    bool has_bookmarks;
    int64_t since; /* changes after this revision follow */
    int64_t timeout_s;
};

struct plane_watch {
    struct watch_house *house;
    struct http_exchange *exchange;
    struct watch_start *start;
    struct store_watch *changes; /* NULL: not yet, or held back */
    struct loop_timer *timeout;
    struct loop_timer *bookmark;
    size_t next_row;
    bool has_told_end;
    bool has_header;  /* of tables: the columns have been told */
    int64_t revision; /* of the last change that was told or passed over */
    struct plane_watch *prev, *next;
};

struct watch_house {
    struct loop *loop;
    struct store *store;
    struct plane_watch *watches;
    size_t count;
};

struct watch_house *watch_house_new(struct loop *loop, struct store *store)
{
    struct watch_house *house = xcalloc(1, sizeof(*house));
    house->loop = loop;
    house->store = store;
    return house;
}

size_t watch_house_count(const struct watch_house *house)
{
    return house->count;
}

/* --- preparing --- */

void watch_start_free(struct watch_start *start)
{
    if (!start)
        return;
    arena_free(start->arena);
    free(start);
}

static struct error *collect_row(void *ctx, const struct store_item *item)
{
    struct watch_start *start = ctx;
    struct arena *arena = start->arena;
    if (!rest_selects_key(&start->selection, &item->key))
        return NULL;
    if (!start->selection.is_all) {
        AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
        ProtobufCMessage *object = NULL;
        struct error *err = rest_decode_item(start->resource, item, scratch, &object);
        if (err)
            return err;
        if (!rest_selects(&start->selection, object))
            return NULL;
    }
    if (start->row_count == start->row_capacity) {
        size_t capacity = start->row_capacity ? start->row_capacity * 2 : 16;
        struct store_item *rows = arena_alloc(arena, capacity * sizeof(*rows));
        if (start->row_count > 0)
            memcpy(rows, start->rows, start->row_count * sizeof(*rows));
        start->rows = rows;
        start->row_capacity = capacity;
    }
    start->rows[start->row_count++] = (struct store_item){
        .key = {.resource = start->resource->key,
                .namespace_ = arena_strdup(arena, item->key.namespace_),
                .name = arena_strdup(arena, item->key.name)},
        .revision = item->revision,
        .bytes = {.ptr = arena_memdup(arena, item->bytes.ptr, item->bytes.len),
                  .len = item->bytes.len},
    };
    return NULL;
}

static int64_t read_timeout_s(const struct plane_request *request)
{
    const char *text = http_target_param(request->target, "timeoutSeconds");
    int64_t timeout_s = 0;
    if (text && parse_i64(text, 1, INT64_MAX, &timeout_s))
        return min_i64(timeout_s, TIMEOUT_MAX_S);
    uint16_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        base_die("the kernel gives no random numbers");
    return TIMEOUT_MIN_S + random % TIMEOUT_MIN_S;
}

static Meta__Status *collect_rows(const struct rest_env *env, const struct plane_request *request,
                                  struct watch_start *start)
{
    const struct store_range range = {.resource = request->resource->key,
                                      .namespace_ = request->namespace_};
    start->arena = arena_new(SCRATCH_BLOCK_BYTES);
    struct error *err = store_list(env->store, &range, collect_row, start);
    return err ? failure_from_error(env->arena, err) : NULL;
}

Meta__Status *watch_prepare(const struct rest_env *env, const struct plane_request *request,
                            struct watch_start **ret)
{
    AUTO(watch_start) struct watch_start *start = xcalloc(1, sizeof(*start));
    int64_t version = 0;
    start->resource = request->resource;
    Meta__Status *failure = rest_check_options(env, request);
    if (!failure)
        failure = negotiate(request->accept, request->target, request->user_agent, env->arena,
                            &start->how);
    if (!failure)
        failure = rest_select(env, request, &start->selection);
    if (!failure)
        failure = rest_read_version(env, request, &version);
    if (failure)
        return failure;
    bool sends_rows = route_param_is_on(request->target, "sendInitialEvents");
    bool with_rows =
        http_target_param(request->target, "sendInitialEvents") ? sends_rows : version == 0;
    start->has_bookmarks = route_param_is_on(request->target, "allowWatchBookmarks");
    start->has_end_mark = start->has_bookmarks && sends_rows;
    start->timeout_s = read_timeout_s(request);
    start->since = with_rows || version == 0 ? store_revision(env->store) : version;
    failure = with_rows ? collect_rows(env, request, start) : NULL;
    if (!failure)
        *ret = TAKE(start);
    return failure;
}

/* --- telling --- */

static void free_watch(struct plane_watch *watch)
{
    DL_DELETE(watch->house->watches, watch);
    watch->house->count--;
    store_watch_stop(watch->changes);
    loop_timer_free(watch->timeout);
    loop_timer_free(watch->bookmark);
    watch_start_free(watch->start);
    free(watch);
}

/* The start borrows from the exchange and so goes first. */
static void finish(struct plane_watch *watch)
{
    struct http_exchange *exchange = watch->exchange;
    free_watch(watch);
    http_exchange_finish(exchange);
}

/* A table of one row, as upstream makes it of each object; of none for a bookmark. Its version is
 * the object's. */
static void write_table(struct plane_watch *watch, const struct watch_event *event,
                        struct arena *scratch, struct buf *out)
{
    const Meta__ObjectMeta *object = kube_object_meta(event->object);
    Meta__ListMeta meta = META__LIST_META__INIT;
    meta.resource_version = object ? object->resource_version : NULL;
    buf_printf(out, "{\"type\":\"%s\",\"object\":", watch_event_type_text(event->type));
    struct table_writer *table =
        table_begin(watch->start->resource, &meta, !watch->has_header, watch->start->how.include,
                    loop_now_wall_ns(watch->house->loop), scratch, out);
    if (event->type != WATCH_BOOKMARK)
        table_add_row(table, event->object);
    table_end(table);
    buf_add_text(out, "}\n");
    watch->has_header = true;
}

static void send_event(struct plane_watch *watch, enum watch_event_type type,
                       const struct kube_kind *kind, ProtobufCMessage *object,
                       struct arena *scratch)
{
    const struct negotiated *how = &watch->start->how;
    bool is_own = kind == watch->start->resource->kind;
    AUTO(buf) struct buf frame;
    /* No object that fits into the store comes near to this, whatever JSON makes of it: a frame
     * that was cut would end the stream for the client. */
    buf_init(&frame, REST_REPLY_MAX_BYTES);
    Meta__PartialObjectMetadata partial = META__PARTIAL_OBJECT_METADATA__INIT;
    struct watch_event event = {.type = type, .kind = kind, .object = object};
    if (is_own && how->form == REPLY_TABLE) {
        write_table(watch, &event, scratch, &frame);
    } else {
        if (is_own && how->form == REPLY_PARTIAL) {
            partial.metadata = kube_object_meta(object);
            event.kind = kube_kind_find("meta.k8s.io/v1", "PartialObjectMetadata");
            event.object = &partial.base;
        }
        watch_frame_encode(&event, how->encoding == KUBE_PROTOBUF ? KUBE_PROTOBUF : KUBE_JSON,
                           &frame);
    }
    http_exchange_write(watch->exchange, buf_str(&frame));
}

/* An empty object of the kind that says how far the watch is. */
static void send_bookmark(struct plane_watch *watch, bool is_end_of_initial)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct kube_kind *kind = watch->start->resource->kind;
    ProtobufCMessage *object = kube_message_new(kind->type, scratch);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, scratch);
    meta->resource_version = arena_printf(scratch, "%lld", (long long)watch->revision);
    if (is_end_of_initial)
        message_map_set(&meta->base, "annotations", INITIAL_EVENTS_END, "true", scratch);
    send_event(watch, WATCH_BOOKMARK, kind, object, scratch);
}

static void send_failure(struct plane_watch *watch, Meta__Status *failure, struct arena *scratch)
{
    send_event(watch, WATCH_ERROR, kube_kind_find("v1", "Status"), &failure->base, scratch);
}

/* What a change means for this client: the object came into sight, changed there, or left. */
static bool classify(bool was, bool is, enum watch_event_type *ret)
{
    if (!was && !is)
        return false;
    *ret = was && is ? WATCH_MODIFIED : is ? WATCH_ADDED : WATCH_DELETED;
    return true;
}

struct sides {
    ProtobufCMessage *before; /* NULL: out of sight or not there */
    ProtobufCMessage *after;
};

static struct error *look_at(const struct plane_watch *watch, const struct store_change *change,
                             struct str bytes, struct arena *scratch, ProtobufCMessage **ret)
{
    const struct store_item item = {
        .key = change->key, .revision = change->revision, .bytes = bytes};
    ProtobufCMessage *object = NULL;
    struct error *err = rest_decode_item(watch->start->resource, &item, scratch, &object);
    if (!err && rest_selects(&watch->start->selection, object))
        *ret = object;
    return err;
}

static struct error *tell_change(struct plane_watch *watch, const struct store_change *change)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    bool is_all = watch->start->selection.is_all;
    struct sides sides = {0};
    struct error *err = NULL;
    /* Without selectors the change itself says what it was; the old state need not be read. */
    bool was = change->type != STORE_CREATED;
    if (was && !is_all) {
        err = look_at(watch, change, change->before, scratch, &sides.before);
        was = sides.before != NULL;
    }
    if (!err)
        err = look_at(watch, change, change->bytes, scratch, &sides.after);
    if (err)
        return err;
    bool is = sides.after && change->type != STORE_DELETED;
    enum watch_event_type type;
    if (!classify(was, is, &type))
        return NULL;
    ProtobufCMessage *object = sides.after ? sides.after : sides.before;
    send_event(watch, type, watch->start->resource->kind, object, scratch);
    return NULL;
}

static bool is_full(const struct plane_watch *watch)
{
    return http_exchange_backlog(watch->exchange) > BACKLOG_MAX_BYTES;
}

static void on_change(void *ctx, const struct store_change *change)
{
    struct plane_watch *watch = ctx;
    watch->revision = change->revision;
    if (!rest_selects_key(&watch->start->selection, &change->key))
        return;
    struct error *err = tell_change(watch, change);
    if (err) {
        AUTO(arena) struct arena *scratch = arena_new(0);
        send_failure(watch, failure_from_error(scratch, err), scratch);
        finish(watch);
        return;
    }
    if (is_full(watch))
        store_watch_stop(TAKE(watch->changes));
}

/* False when a row did not decode and the watch is over. */
static bool tell_rows(struct plane_watch *watch)
{
    struct watch_start *start = watch->start;
    while (watch->next_row < start->row_count && !is_full(watch)) {
        AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
        ProtobufCMessage *object = NULL;
        struct error *err =
            rest_decode_item(start->resource, &start->rows[watch->next_row++], scratch, &object);
        if (err) {
            send_failure(watch, failure_from_error(scratch, err), scratch);
            finish(watch);
            return false;
        }
        send_event(watch, WATCH_ADDED, start->resource->kind, object, scratch);
    }
    if (watch->next_row == start->row_count)
        arena_free(TAKE(start->arena));
    return true;
}

static void follow(struct plane_watch *watch)
{
    struct error *err = store_watch_start(watch->house->store, watch->start->resource->key,
                                          watch->revision, on_change, watch, &watch->changes);
    if (!err)
        return;
    AUTO(arena) struct arena *scratch = arena_new(0);
    send_failure(watch, failure_from_error(scratch, err), scratch);
    finish(watch);
}

/* Does what can be done now; called at the start and whenever the client has read. */
static void advance(struct plane_watch *watch)
{
    if (!tell_rows(watch) || watch->next_row < watch->start->row_count)
        return;
    if (watch->start->has_end_mark && !watch->has_told_end) {
        watch->has_told_end = true;
        send_bookmark(watch, true);
    }
    if (!watch->changes && !is_full(watch))
        follow(watch);
}

static void on_drain(void *ctx)
{
    advance(ctx);
}

static void on_gone(void *ctx)
{
    free_watch(ctx);
}

static void on_bookmark(void *ctx)
{
    struct plane_watch *watch = ctx;
    loop_timer_start(watch->bookmark, BOOKMARK_PERIOD_NS);
    if (!watch->changes || !store_watch_is_current(watch->changes) || is_full(watch))
        return;
    watch->revision = store_committed_revision(watch->house->store);
    send_bookmark(watch, false);
}

static void on_timeout(void *ctx)
{
    struct plane_watch *watch = ctx;
    if (watch->start->has_bookmarks && watch->changes && store_watch_is_current(watch->changes)) {
        watch->revision = store_committed_revision(watch->house->store);
        send_bookmark(watch, false);
    }
    finish(watch);
}

void watch_begin(struct watch_house *house, struct watch_start *start_owned,
                 struct http_exchange *exchange)
{
    struct watch_start *start = start_owned;
    struct plane_watch *watch = xcalloc(1, sizeof(*watch));
    watch->house = house;
    watch->exchange = exchange;
    watch->start = start;
    watch->revision = start->since;
    watch->timeout = loop_timer_new(house->loop, "watch timeout", on_timeout, watch);
    loop_timer_start(watch->timeout, start->timeout_s * NS_PER_SEC);
    if (start->has_bookmarks) {
        watch->bookmark = loop_timer_new(house->loop, "watch bookmark", on_bookmark, watch);
        loop_timer_start(watch->bookmark, BOOKMARK_PERIOD_NS);
    }
    DL_APPEND(house->watches, watch);
    house->count++;
    const struct http_field field = {.name = "content-type",
                                     .value = start->how.watch_content_type};
    http_exchange_on_gone(exchange, on_gone, watch);
    http_exchange_on_drain(exchange, BACKLOG_MAX_BYTES, on_drain, watch);
    http_exchange_begin(exchange, 200, &(const struct http_fields){.items = &field, .count = 1});
    advance(watch);
}

void watch_house_free(struct watch_house *house)
{
    if (!house)
        return;
    while (house->watches)
        /* NOLINTNEXTLINE(clang-analyzer-*): utlist unlinks it, unseen */
        finish(house->watches);
    free(house);
}
