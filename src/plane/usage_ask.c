/*
 * The first reading of a node only makes it take note of its counters; the second one tells the
 * means since then.
 */
#include "plane/usage_ask.h"

#include "base/log.h"
#include "plane/proxy_internal.h"
#include "wire/http_client.h"

#define SUMMARY_TARGET "/stats/summary?only_cpu_and_memory=true"
#define READING_MAX_NS (5 * NS_PER_SEC)

struct asked_node {
    struct usage_asking *asking;
    const char *name;
    struct proxy_target target;
    struct http_client *client; /* NULL: it cannot be asked */
    unsigned status;
    struct buf body;
    int64_t read_ns; /* of the first reading's end; 0: it failed */
};

struct usage_asking {
    struct arena *arena;
    struct asked_node *nodes;
    size_t count, capacity;
    struct loop *loop;
    struct loop_timer *pause; /* between the readings; NULL before it is begun */
    int64_t pause_ns;
    size_t under_way; /* readings */
    bool is_second;
    struct usage *usage;
    void (*done)(void *ctx, const struct usage *usage);
    void *ctx;
};

/* --- whom to ask --- */

struct finding {
    const struct rest_env *env;
    struct usage_asking *asking;
};

static Meta__Status *add_node(void *ctx, ProtobufCMessage *object)
{
    const struct finding *finding = ctx;
    struct usage_asking *asking = finding->asking;
    struct arena *arena = asking->arena;
    struct proxy_target target = {.target = SUMMARY_TARGET};
    if (!proxy_target_of_node((const Core__Node *)object, &target))
        return NULL;
    if (asking->count == asking->capacity) {
        size_t capacity = asking->capacity * 2 + 1;
        struct asked_node *nodes = arena_calloc(arena, capacity, sizeof(*nodes));
        if (asking->count > 0)
            memcpy(nodes, asking->nodes, asking->count * sizeof(*nodes));
        asking->nodes = nodes;
        asking->capacity = capacity;
    }
    target.host = arena_strdup(arena, target.host);
    asking->nodes[asking->count++] = (struct asked_node){
        .asking = asking,
        .name = arena_strdup(arena, kube_object_meta(object)->name),
        .target = target,
    };
    return NULL;
}

Meta__Status *usage_prepare(const struct rest_env *env, struct usage_asking **ret)
{
    struct usage_asking *asking = arena_calloc(env->arena, 1, sizeof(*asking));
    asking->arena = env->arena;
    asking->usage = usage_new(env->arena);
    struct finding finding = {.env = env, .asking = asking};
    Meta__Status *failure =
        rest_each_object(env, resource_find("", "v1", "nodes"), NULL, add_node, &finding);
    if (!failure)
        *ret = asking;
    return failure;
}

/* --- asking --- */

static void begin_reading(struct usage_asking *asking);

static void on_pause_over(void *ctx)
{
    struct usage_asking *asking = ctx;
    if (asking->is_second) {
        usage_asking_end(asking);
        asking->done(asking->ctx, asking->usage);
        return;
    }
    asking->is_second = true;
    begin_reading(asking);
}

/* The pause after the last reading is none: it only gets out of the client's callback. */
static void end_one(struct usage_asking *asking)
{
    if (--asking->under_way == 0)
        loop_timer_start(asking->pause, asking->is_second ? 0 : asking->pause_ns);
}

static void on_response(void *ctx, unsigned status, const struct http_fields *fields)
{
    struct asked_node *node = ctx;
    (void)fields;
    node->status = status;
}

static void on_data(void *ctx, struct str bytes)
{
    struct asked_node *node = ctx;
    buf_add_str(&node->body, bytes);
}

static struct error *take_reading(struct asked_node *node, const struct http_call_end *end)
{
    if (end->err)
        return error_dup(end->err);
    if (node->status != 200)
        return error_new(ERROR_UNAVAILABLE, "the node answers %u to %s", node->status,
                         SUMMARY_TARGET);
    struct error *err = buf_error(&node->body, "the node's summary");
    if (err)
        return err;
    int64_t now_ns = loop_now_mono_ns(node->asking->loop);
    if (!node->asking->is_second) {
        node->read_ns = now_ns;
        return NULL;
    }
    return usage_add_summary(node->asking->usage, node->name, buf_str(&node->body),
                             now_ns - node->read_ns);
}

static void on_end(void *ctx, const struct http_call_end *end)
{
    struct asked_node *node = ctx;
    AUTO(error) struct error *err = take_reading(node, end);
    if (err)
        log_warning("Failed to learn what is used on a node", LOG_STR("node", node->name),
                    LOG_ERR(err));
    end_one(node->asking);
}

static void read_node(struct asked_node *node)
{
    static const struct http_call_events events = {
        .on_response = on_response, .on_data = on_data, .on_end = on_end};
    const struct http_call_options options = {
        .method = "GET", .target = node->target.target, .deadline_ns = READING_MAX_NS};
    buf_clear(&node->body);
    node->status = 0;
    node->asking->under_way++;
    (void)http_call_start(node->client, &options, &events, node);
}

/* A node that failed at first is not asked again: it would have no mean to tell. */
static void begin_reading(struct usage_asking *asking)
{
    for (size_t i = 0; i < asking->count; i++) {
        struct asked_node *node = &asking->nodes[i];
        if (node->client && (!asking->is_second || node->read_ns > 0))
            read_node(node);
    }
    if (asking->under_way == 0) {
        asking->is_second = true;
        loop_timer_start(asking->pause, 0);
    }
}

void usage_ask(struct usage_asking *asking, struct node_proxy *proxy, int64_t pause_ns,
               void (*done)(void *ctx, const struct usage *usage), void *ctx)
{
    asking->loop = proxy_loop(proxy);
    asking->pause = loop_timer_new(asking->loop, "usage", on_pause_over, asking);
    asking->pause_ns = pause_ns;
    asking->done = done;
    asking->ctx = ctx;
    for (size_t i = 0; i < asking->count; i++) {
        struct asked_node *node = &asking->nodes[i];
        AUTO(error)
        struct error *err = proxy_client_new(proxy, &node->target, &node->client);
        buf_init(&node->body, USAGE_SUMMARY_MAX_BYTES);
        if (err)
            log_warning("Failed to ask a node what is used on it", LOG_STR("node", node->name),
                        LOG_ERR(err));
    }
    begin_reading(asking);
}

void usage_asking_end(struct usage_asking *asking)
{
    for (size_t i = 0; i < asking->count; i++) {
        http_client_free(asking->nodes[i].client);
        buf_done(&asking->nodes[i].body);
    }
    loop_timer_free(asking->pause);
}
