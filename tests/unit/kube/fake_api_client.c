#include "tests/unit/kube/fake_api_client.h"

#include "base/hash.h"
#include "base/time.h"
#include "kube/api_error.h"
#include "kube/api_request.h"

#include <errno.h>

struct api_transport {
    unsigned resets;
};

struct api_client {
    struct loop *loop;
    struct api_transport transport;
    struct fake_exchange *exchanges;
    char **log;
    size_t log_len;
};

struct api_client *fake_api_client_new(struct loop *loop)
{
    struct api_client *client = xcalloc(1, sizeof(*client));
    client->loop = loop;
    return client;
}

static void exchange_free(struct fake_exchange *exchange)
{
    DL_DELETE(exchange->client->exchanges, exchange);
    free(exchange->method);
    free(exchange->target);
    free(exchange->patch);
    arena_free(exchange->arena);
    free(exchange);
}

void api_client_free(struct api_client *client)
{
    if (!client)
        return;
    while (client->exchanges)
        exchange_free(client->exchanges);
    for (size_t i = 0; i < client->log_len; i++)
        free(client->log[i]);
    free(client->log);
    free(client);
}

struct api_transport *fake_transport(struct api_client *client)
{
    return &client->transport;
}

void api_transport_reset(struct api_transport *transport)
{
    transport->resets++;
}

unsigned fake_resets(const struct api_client *client)
{
    return client->transport.resets;
}

/* --- what is asked --- */

static struct fake_exchange *exchange_new(struct api_client *client,
                                          const struct api_request *request, bool is_watch,
                                          int64_t timeout_ns)
{
    struct fake_exchange *exchange = xcalloc(1, sizeof(*exchange));
    char timeout[TIME_TEXT_SIZE];
    const char *path = NULL;
    *exchange = (struct fake_exchange){.client = client,
                                       .serial = client->log_len,
                                       .is_watch = is_watch,
                                       .verb = request->verb,
                                       .kind = request->kind,
                                       .arena = arena_new(0)};
    struct error *err = api_request_path(request, exchange->arena, &path);
    if (err)
        base_die("%s", err->message);
    int64_t seconds = timeout_ns / NS_PER_SEC;
    const struct api_param params[] = {
        {"timeout", seconds > 0 ? time_format_duration(seconds * NS_PER_SEC, timeout) : NULL},
        {"timeoutSeconds", seconds > 0 && is_watch
                               ? arena_printf(exchange->arena, "%lld", (long long)seconds)
                               : NULL},
        {"watch", is_watch ? "true" : NULL}};
    exchange->method = xstrdup(is_watch ? "WATCH" : api_verb_method(request->verb));
    exchange->target =
        xstrdup(api_target(path, request->query, params, ARRAY_SIZE(params), exchange->arena));
    exchange->patch = request->patch.len ? str_dup(request->patch) : NULL;
    if (request->body)
        exchange->body = kube_message_dup(request->body, exchange->arena);
    DL_APPEND(client->exchanges, exchange);
    client->log = xrealloc(client->log, (client->log_len + 1) * sizeof(char *));
    client->log[client->log_len++] = xasprintf("%s %s", exchange->method, exchange->target);
    return exchange;
}

struct api_call *api_call_start(struct api_client *client, const struct api_request *request,
                                api_on_done *on_done, void *ctx)
{
    struct fake_exchange *exchange = exchange_new(client, request, false, request->timeout_ns);
    exchange->on_done = on_done;
    exchange->ctx = ctx;
    return (struct api_call *)exchange;
}

void api_call_cancel(struct api_call *call)
{
    if (call)
        exchange_free((struct fake_exchange *)call);
}

struct api_watch *api_watch_start(struct api_client *client,
                                  const struct api_watch_request *request,
                                  const struct api_watch_events *events, void *ctx)
{
    const struct api_request list = {.verb = API_LIST,
                                     .kind = request->kind,
                                     .namespace_ = request->namespace_,
                                     .query = request->query};
    struct fake_exchange *exchange = exchange_new(client, &list, true, request->timeout_ns);
    exchange->events = events;
    exchange->ctx = ctx;
    return (struct api_watch *)exchange;
}

void api_watch_cancel(struct api_watch *watch)
{
    if (watch)
        exchange_free((struct fake_exchange *)watch);
}

struct arena *api_result_take_arena(struct api_result *result)
{
    return TAKE(result->arena);
}

size_t fake_pending(const struct api_client *client)
{
    size_t count = 0;
    const struct fake_exchange *exchange;
    DL_COUNT(client->exchanges, exchange, count);
    return count;
}

struct fake_exchange *fake_first(const struct api_client *client)
{
    return client->exchanges;
}

struct fake_exchange *fake_find(const struct api_client *client, const char *text)
{
    struct fake_exchange *exchange;
    DL_FOREACH(client->exchanges, exchange) {
        if (strstr(exchange->target, text))
            return exchange;
    }
    return NULL;
}

size_t fake_started(const struct api_client *client)
{
    return client->log_len;
}

const char *fake_log(const struct api_client *client, size_t index)
{
    return client->log[index];
}

/* --- answers --- */

/* Tells the end; the exchange is gone before its owner hears, as with the real client. */
static void finish(struct fake_exchange *exchange, struct api_result *result)
{
    struct fake_exchange ended = *exchange;
    exchange_free(exchange);
    if (ended.is_watch)
        ended.events->on_end(ended.ctx, result);
    else
        ended.on_done(ended.ctx, result);
    arena_free(result->arena);
}

void fake_reply(struct fake_exchange *call, const ProtobufCMessage *object)
{
    ASSERT(!call->is_watch);
    struct arena *arena = arena_new(0);
    struct api_result result = {.http_status = 200,
                                .kind = call->kind,
                                .object = kube_message_dup(object, arena),
                                .arena = arena};
    finish(call, &result);
}

/* The generated list types all have metadata first, then the items. */
void fake_reply_list(struct fake_exchange *call, const ProtobufCMessage *const *objects,
                     size_t count, const char *version, const char *next_page)
{
    ASSERT(!call->is_watch && call->verb == API_LIST);
    struct arena *arena = arena_new(0);
    const struct kube_kind *kind = kube_kind_list(call->kind);
    ProtobufCMessage *list = kube_message_new(kind->type, arena);
    Meta__ListMeta *meta = (Meta__ListMeta *)kube_message_new(&meta__list_meta__descriptor, arena);
    meta->resource_version = arena_strdup(arena, version);
    meta->continue_ = arena_strdup(arena, next_page);
    ProtobufCMessage **items = arena_calloc(arena, count + 1, sizeof(*items));
    for (size_t i = 0; i < count; i++)
        items[i] = kube_message_dup(objects[i], arena);
    for (unsigned i = 0; i < kind->type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &kind->type->fields[i];
        char *place = (char *)list + field->offset;
        if (text_eq(field->name, "metadata")) {
            memcpy(place, &meta, sizeof(void *));
        } else if (text_eq(field->name, "items")) {
            memcpy(place, &items, sizeof(void *));
            memcpy((char *)list + field->quantifier_offset, &count, sizeof(count));
        }
    }
    struct api_result result = {.http_status = 200, .kind = kind, .object = list, .arena = arena};
    finish(call, &result);
}

static Meta__Status *status_new(unsigned code, const char *reason, const char *message,
                                struct arena *arena)
{
    Meta__Status *status = (Meta__Status *)kube_message_new(&meta__status__descriptor, arena);
    status->status = arena_strdup(arena, "Failure");
    status->reason = arena_strdup(arena, reason);
    status->message = arena_strdup(arena, message);
    status->has_code = true;
    status->code = (int32_t)code;
    return status;
}

void fake_fail(struct fake_exchange *exchange, unsigned http_status, const char *reason,
               const char *message)
{
    ASSERT(!exchange->is_open);
    struct arena *arena = arena_new(0);
    const Meta__Status *status = status_new(http_status, reason, message, arena);
    AUTO(error) struct error *err = api_error_from_status(status, http_status);
    struct api_result result = {
        .err = err, .http_status = http_status, .status = status, .arena = arena};
    finish(exchange, &result);
}

void fake_fail_bare(struct fake_exchange *exchange, unsigned http_status)
{
    const struct api_failure failure = {.http_status = http_status, .method = exchange->method};
    AUTO(error) struct error *err = api_error_from_failure(&failure);
    struct api_result result = {.err = err, .http_status = http_status, .arena = arena_new(0)};
    finish(exchange, &result);
}

void fake_lose(struct fake_exchange *exchange)
{
    AUTO(error)
    struct error *err =
        error_new(ERROR_UNAVAILABLE, "dial tcp 10.0.0.1:6443: connect: connection refused");
    struct api_result result = {
        .err = err, .http_status = exchange->is_open ? 200 : 0, .arena = arena_new(0)};
    finish(exchange, &result);
}

void fake_reset(struct fake_exchange *call)
{
    AUTO(error)
    struct error *err =
        error_wrap(error_from_errno(ECONNRESET, "read tcp 10.0.0.1:6443"), "Post \"https://…\"");
    struct api_result result = {.err = err, .arena = arena_new(0)};
    finish(call, &result);
}

void fake_lose_as(struct fake_exchange *exchange, enum error_code code)
{
    AUTO(error) struct error *err = error_new(code, "not sent");
    struct api_result result = {.err = err, .arena = arena_new(0)};
    finish(exchange, &result);
}

/* --- watches --- */

static bool is_alive(const struct api_client *client, const struct fake_exchange *watch)
{
    const struct fake_exchange *exchange;
    DL_FOREACH(client->exchanges, exchange) {
        if (exchange == watch)
            return true;
    }
    return false;
}

struct fake_exchange *fake_open(struct fake_exchange *watch)
{
    struct api_client *client = watch->client;
    ASSERT(watch->is_watch && !watch->is_open);
    watch->is_open = true;
    if (watch->events->on_open)
        watch->events->on_open(watch->ctx);
    return is_alive(client, watch) ? watch : NULL;
}

static struct fake_exchange *send(struct fake_exchange *watch, const struct watch_event *event,
                                  const struct error *err)
{
    struct api_client *client = watch->client;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct watch_event copy = {0};
    if (!watch->is_open)
        watch = fake_open(watch);
    if (!watch)
        return NULL;
    if (event) {
        copy = *event;
        copy.object = kube_message_dup(event->object, arena);
    }
    watch->events->on_event(watch->ctx, event ? &copy : NULL, err, arena);
    return is_alive(client, watch) ? watch : NULL;
}

struct fake_exchange *fake_send(struct fake_exchange *watch, enum watch_event_type type,
                                const ProtobufCMessage *object)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct watch_event event = {
        .type = type, .kind = watch->kind, .object = kube_message_dup(object, arena)};
    return send(watch, &event, NULL);
}

struct fake_exchange *fake_send_bookmark(struct fake_exchange *watch, const char *version,
                                         bool ends_initial)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    ProtobufCMessage *object = kube_message_new(watch->kind->type, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    meta->resource_version = arena_strdup(arena, version);
    if (ends_initial) {
        Meta__ObjectMeta__AnnotationsEntry *entry =
            (Meta__ObjectMeta__AnnotationsEntry *)kube_message_new(
                &meta__object_meta__annotations_entry__descriptor, arena);
        entry->key = arena_strdup(arena, "k8s.io/initial-events-end");
        entry->value = arena_strdup(arena, "true");
        meta->annotations = arena_calloc(arena, 1, sizeof(*meta->annotations));
        meta->annotations[0] = entry;
        meta->n_annotations = 1;
    }
    return fake_send(watch, WATCH_BOOKMARK, object);
}

struct fake_exchange *fake_send_error(struct fake_exchange *watch, int32_t code, const char *reason,
                                      const char *message)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct watch_event event = {
        .type = WATCH_ERROR,
        .kind = kube_kind_find("v1", "Status"),
        .object = &status_new((unsigned)code, reason, message, arena)->base};
    return send(watch, &event, NULL);
}

struct fake_exchange *fake_send_garbage(struct fake_exchange *watch)
{
    AUTO(error)
    struct error *err = error_new(ERROR_INVALID_ARGUMENT, "the frame does not decode");
    return send(watch, NULL, err);
}

void fake_close(struct fake_exchange *watch)
{
    struct api_result result = {.http_status = 200, .arena = arena_new(0)};
    ASSERT(watch->is_watch && watch->is_open);
    finish(watch, &result);
}

ProtobufCMessage *fake_object(const struct kube_kind *kind, const char *namespace_,
                              const char *name, const char *uid, const char *version,
                              struct arena *arena)
{
    ProtobufCMessage *object = kube_message_new(kind->type, arena);
    Meta__ObjectMeta *meta = kube_object_ensure_meta(object, arena);
    meta->namespace_ = arena_strdup(arena, namespace_);
    meta->name = arena_strdup(arena, name);
    meta->uid = arena_strdup(arena, uid);
    meta->resource_version = arena_strdup(arena, version);
    return object;
}
