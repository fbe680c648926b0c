/*
 * Properties: whatever a server does between, once it behaves the reflector holds exactly what the
 * server has, and what the listener was told adds up to the same; no state is told twice; the
 * number of requests is bounded by the number of things that happened.
 *
 * The input is a script: each byte is an action, low bits what, high bits on which object.
 */
#include "base/log.h"
#include "kube/reflector.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/kube/fake_server.h"

#define MAX_SCRIPT 400

/* What the listener knows, by what it was told alone. */
struct model {
    struct fake_server_object objects[FAKE_SERVER_NAMES];
    size_t syncs;
};

static struct fake_server_object *model_of(struct model *model, const struct kube_object *object)
{
    int64_t name = -1;
    ASSERT(parse_i64(kube_object_name(object) + 1, 0, FAKE_SERVER_NAMES - 1, &name));
    return &model->objects[name];
}

static struct fake_server_object state_of(const struct kube_object *object)
{
    uint64_t uid = 0, version = 0;
    ASSERT(parse_u64(kube_object_uid(object), &uid));
    ASSERT(parse_u64(kube_object_version(object), &version));
    return (struct fake_server_object){.exists = true, .uid = (unsigned)uid, .version = version};
}

static void on_added(void *ctx, const struct kube_object *object)
{
    struct fake_server_object *known = model_of(ctx, object);
    ASSERT(!known->exists);
    *known = state_of(object);
}

static void on_updated(void *ctx, const struct kube_object *old, const struct kube_object *object)
{
    struct fake_server_object *known = model_of(ctx, object);
    struct fake_server_object before = state_of(old), after = state_of(object);
    ASSERT(known->exists && known->uid == after.uid && known->version == before.version);
    ASSERT(known->version != after.version);
    *known = after;
}

static void on_deleted(void *ctx, const struct kube_object *object)
{
    struct fake_server_object *known = model_of(ctx, object);
    ASSERT(known->exists);
    known->exists = false;
}

static void on_synced(void *ctx)
{
    ((struct model *)ctx)->syncs++;
}

static const struct reflector_listener listener = {.on_added = on_added,
                                                   .on_updated = on_updated,
                                                   .on_deleted = on_deleted,
                                                   .on_synced = on_synced};

enum action {
    PUT,
    DELETE,
    ANSWER_ONE,
    ANSWER,
    TIME,
    LOSE,
    CLOSE,
    FAIL,
    COMPACT,
    BOOKMARK,
    GARBAGE,
    OFFER,
    PAGES,
    RESTART,
    LONG_TIME,
    DELETE_AND_PUT,
};

static const struct {
    unsigned code;
    const char *reason;
} failures[FAKE_SERVER_NAMES] = {
    {410, "Expired"},       {429, "TooManyRequests"},
    {500, "InternalError"}, {503, "ServiceUnavailable"},
    {403, "Forbidden"},     {404, "NotFound"},
    {422, "Invalid"},       {504, "Timeout"},
};

static void fail_first(struct fake_exchange *first, unsigned which)
{
    if (first->is_open)
        (void)fake_send_error(first, (int32_t)failures[which].code, failures[which].reason, "x");
    else
        fake_fail(first, failures[which].code, failures[which].reason, "x");
}

static void disturb(struct fake_server *server, enum action action, unsigned which)
{
    struct fake_exchange *first = fake_first(server->client);
    if (!first)
        return;
    if (action == LOSE)
        fake_lose(first);
    else if (action == FAIL)
        fail_first(first, which);
    else if (action == CLOSE && first->is_watch && first->is_open)
        fake_close(first);
    else if (action == GARBAGE && first->is_watch)
        (void)fake_send_garbage(first);
}

static void act(struct loop *loop, struct fake_server *server, struct reflector *reflector,
                uint8_t byte)
{
    unsigned which = byte >> 4 & 7;
    enum action action = byte & 15;
    switch (action) {
    case PUT:
        fake_server_put(server, which);
        break;
    case DELETE:
        fake_server_delete(server, which);
        break;
    case DELETE_AND_PUT:
        fake_server_delete(server, which);
        fake_server_put(server, which);
        break;
    case ANSWER_ONE:
        (void)fake_server_answer_one(server);
        break;
    case ANSWER:
        fake_server_answer(server);
        break;
    case TIME:
        fake_loop_advance(loop, (which + 1) * 300 * NS_PER_MS);
        break;
    case LONG_TIME:
        fake_loop_advance(loop, (which + 1) * 40 * NS_PER_SEC);
        break;
    case LOSE:
    case CLOSE:
    case FAIL:
    case GARBAGE:
        disturb(server, action, which);
        break;
    case COMPACT:
        fake_server_compact(server);
        break;
    case BOOKMARK:
        (void)fake_server_bookmark(server);
        break;
    case OFFER:
        server->offers_streams = which % 2;
        break;
    case PAGES:
        server->page_size = which;
        break;
    case RESTART:
        reflector_stop(reflector);
        if (which % 2)
            reflector_start(reflector);
        break;
    }
}

static void check(const struct fake_server *server, const struct reflector *reflector,
                  const struct model *model)
{
    const struct kube_object *object = NULL;
    ASSERT(reflector_has_synced(reflector));
    ASSERT(reflector_count(reflector) == fake_server_count(server));
    while ((object = reflector_next(reflector, object)) != NULL)
        ASSERT(fake_server_has(server, object));
    for (size_t i = 0; i < FAKE_SERVER_NAMES; i++) {
        ASSERT(model->objects[i].exists == server->objects[i].exists);
        ASSERT(!model->objects[i].exists ||
               model->objects[i].version == server->objects[i].version);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loop *loop = NULL;
    struct model model = {0};
    struct fake_server server;
    error_ignore(loop_new(&loop), "the fake has none");
    log_set_fd(-1);
    struct api_client *client = fake_api_client_new(loop);
    fake_server_init(&server, client);
    struct reflector *reflector = reflector_new(
        loop, client, &(struct reflector_options){.kind = kube_kind_find("v1", "Pod")}, &listener,
        &model);
    reflector_start(reflector);
    size_t length = min_size(size, MAX_SCRIPT);
    for (size_t i = 0; i < length; i++)
        act(loop, &server, reflector, data[i]);

    reflector_start(reflector);
    for (int i = 0; i < 4; i++) {
        fake_server_answer(&server);
        fake_loop_advance(loop, 60 * NS_PER_SEC);
    }
    check(&server, reflector, &model);
    ASSERT(fake_loop_armed(loop) == 0);
    /* An act can end one request, which asks for at most two more; time brings one more each. */
    ASSERT(fake_started(client) <= 3 * (length + 5));

    reflector_free(reflector);
    fake_loop_advance(loop, 0);
    fake_server_done(&server);
    api_client_free(client);
    loop_free(loop);
    return 0;
}
