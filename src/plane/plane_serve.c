/*
 * One request, from connection to answer. Everything that is decided about it (who asks, whether
 * they may, what happens) is decided inside one task of the store, on one state; the answer leaves
 * when that batch has been committed. A client that goes away before its task has run takes the
 * task with it; afterwards the task runs to its end and answers nobody.
 *
 * A dry run is a task that fails on purpose at its end, so that nothing of it stays.
 */
#include "plane/plane_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "kube/selector.h"
#include "plane/discovery.h"
#include "plane/facts.h"
#include "plane/openapi.h"
#include "plane/rest_internal.h"
#include "plane/usage_ask.h"

#define WARNING_MAX_BYTES (4 * KiB)

struct serving {
    struct plane *plane;
    struct http_exchange *exchange; /* NULL: the client has gone, and its arena with it */
    struct arena *arena;            /* the exchange's */
    struct route route;
    struct plane_user user;
    struct plane_request request;
    struct plane_reply reply;
    struct watch_start *watch;   /* it is a watch that may begin */
    struct proxy_target *proxy;  /* it is to be passed on */
    struct usage_asking *asking; /* the nodes must be asked, and a second task goes after that */
    bool is_asking;              /* that is under way */
    const struct usage *usage;   /* what they said */
    bool is_taken_back; /* the task failed by itself; the reply says why, or it was a dry run */
    struct serving *prev, *next;
};

static void free_serving(struct serving *serving)
{
    DL_DELETE(serving->plane->servings, serving);
    watch_start_free(serving->watch);
    buf_done(&serving->reply.body);
    free(serving);
}

void plane_serve_end_asking(struct plane *plane)
{
    struct serving *serving;
    DL_FOREACH(plane->servings, serving) {
        if (serving->is_asking)
            usage_asking_end(serving->asking);
        serving->is_asking = false;
    }
}

void plane_serve_free_all(struct plane *plane)
{
    while (plane->servings)
        /* NOLINTNEXTLINE(clang-analyzer-*): utlist unlinks it, unseen */
        free_serving(plane->servings);
}

/* --- inside the task --- */

/* A reply that is no object. */
static Meta__Status *reply_text(struct serving *serving, const char *content_type, const char *text)
{
    serving->reply.code = 200;
    serving->reply.content_type = content_type;
    buf_add_text(&serving->reply.body, text);
    return NULL;
}

static Meta__Status *reply_health(struct serving *serving)
{
    /* The store has just been read, and it is all there is to be healthy. */
    const struct http_target *target = serving->request.target;
    bool is_known = target->segment_count == 1 ||
                    (target->segment_count == 2 && strcmp(target->segments[1], "ping") == 0);
    if (!is_known)
        return failure_no_such_resource(serving->arena);
    if (!http_target_param(target, "verbose") || target->segment_count == 2)
        return reply_text(serving, "text/plain; charset=utf-8", "ok");
    return reply_text(serving, "text/plain; charset=utf-8",
                      arena_printf(serving->arena, "[+]ping ok\n[+]store ok\n%s check passed\n",
                                   target->segments[0]));
}

static Meta__Status *reply_oidc(struct serving *serving)
{
    const struct plane *plane = serving->plane;
    serving->reply.code = 200;
    if (strcmp(serving->request.target->segments[0], "openid") == 0) {
        serving->reply.content_type = "application/jwk-set+json";
        jwt_write_jwks(plane->token_key, &serving->reply.body);
        return NULL;
    }
    serving->reply.content_type = "application/json";
    jwt_write_discovery(plane->world.issuer,
                        arena_printf(serving->arena, "%s/openid/v1/jwks", plane->server_url),
                        &serving->reply.body);
    return NULL;
}

static void take_reply(struct serving *serving, struct discovery_reply *from)
{
    serving->reply.code = from->code;
    serving->reply.content_type = from->content_type;
    buf_add_str(&serving->reply.body, buf_str(&from->body));
    buf_done(&from->body);
}

static Meta__Status *reply_discovery(struct serving *serving)
{
    struct discovery_reply reply = {0};
    buf_init(&reply.body, REST_REPLY_MAX_BYTES);
    Meta__Status *failure =
        serving->route.kind == ROUTE_OPENAPI
            ? openapi_reply(serving->request.target, serving->request.accept, serving->arena,
                            &reply)
            : discovery_reply(serving->request.target, serving->request.accept,
                              serving->plane->server_url, serving->arena, &reply);
    take_reply(serving, &reply);
    return failure;
}

static Meta__Status *reply_written(struct serving *serving, void (*write)(struct buf *out))
{
    serving->reply.code = 200;
    serving->reply.content_type = "application/json";
    write(&serving->reply.body);
    return NULL;
}

/* Whether there is such a path, and the method goes with it. */
static Meta__Status *check_route(const struct route *route, struct arena *arena)
{
    if (!route->resource || (route->subresource_name && !route->subresource))
        return failure_no_such_resource(arena);
    bool is_namespaced = route->resource->kind->is_namespaced;
    if (is_namespaced ? route->name && !route->namespace_ : route->namespace_ != NULL)
        return failure_no_such_resource(arena);
    unsigned verbs = route->subresource ? route->subresource->verbs : route->resource->verbs;
    if (route->resource->review)
        verbs |= VERB_CREATE;
    bool is_everywhere = is_namespaced && !route->namespace_;
    if (is_everywhere || !route->name)
        verbs &= ~(unsigned)(VERB_GET | VERB_UPDATE | VERB_PATCH | VERB_DELETE);
    if (is_everywhere || (route->name && !route->subresource))
        verbs &= ~(unsigned)(VERB_CREATE | VERB_DELETE_COLLECTION);
    return (verbs & route->verb) != 0 ? NULL : failure_method_not_allowed(arena);
}

/* The log of a pod that has no node yet is empty; everything else needs one. */
static Meta__Status *handle_proxied(struct serving *serving, const struct rest_env *env)
{
    Meta__Status *failure =
        proxy_prepare(env, &serving->route, serving->request.target, &serving->proxy);
    if (!failure && !serving->proxy)
        serving->reply.code = 204;
    return failure;
}

static Meta__Status *handle_resource(struct serving *serving, const struct rest_env *env)
{
    const struct route *route = &serving->route;
    Meta__Status *failure = check_route(route, serving->arena);
    if (failure)
        return failure;
    if (route->subresource && route->subresource->is_proxied)
        return handle_proxied(serving, env);
    if (resource_is_measured(route->resource) && !serving->usage)
        return usage_prepare(env, &serving->asking);
    if (route->verb == VERB_WATCH)
        return watch_prepare(env, &serving->request, &serving->watch);
    return rest_handle(env, &serving->request, &serving->reply);
}

static Meta__Status *handle(struct serving *serving, const struct rest_env *env)
{
    switch (serving->route.kind) {
    case ROUTE_RESOURCE:
        return handle_resource(serving, env);
    case ROUTE_DISCOVERY:
    case ROUTE_OPENAPI:
        return reply_discovery(serving);
    case ROUTE_VERSION:
        return reply_written(serving, discovery_version);
    case ROUTE_ROOT:
        return reply_written(serving, discovery_paths);
    case ROUTE_HEALTH:
        return reply_health(serving);
    case ROUTE_OIDC:
        return reply_oidc(serving);
    case ROUTE_UNKNOWN:
        break;
    }
    return failure_no_such_resource(serving->arena);
}

/* The `field=value` requirements that authorization looks at. */
static void add_requirement(struct authz_attributes *attributes, struct serving *serving,
                            const char *field)
{
    const char *text = http_target_param(serving->request.target, "fieldSelector");
    const struct field_selector *selector = NULL;
    AUTO(error)
    struct error *err = field_selector_parse(text ? text : "", serving->arena, &selector);
    const char *value = err ? NULL : field_selector_exact(selector, field);
    if (!value)
        return;
    struct authz_requirement *fields =
        arena_alloc(serving->arena, (attributes->field_count + 1) * sizeof(*fields));
    for (size_t i = 0; i < attributes->field_count; i++)
        fields[i] = attributes->fields[i];
    fields[attributes->field_count++] = (struct authz_requirement){.field = field, .value = value};
    attributes->fields = fields;
}

static const char *lower_case(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    return copy;
}

static struct authz_attributes attributes_of(struct serving *serving)
{
    const struct http_request *http = http_exchange_request(serving->exchange);
    const struct route *route = &serving->route;
    struct authz_attributes attributes = {.user = &serving->user};
    if (route->kind != ROUTE_RESOURCE) {
        attributes.verb = lower_case(serving->arena, http->method);
        attributes.path = serving->request.target->path;
        return attributes;
    }
    attributes.is_resource = true;
    attributes.verb = plane_verb_text(route->verb);
    attributes.group = route->group;
    attributes.version = route->version;
    attributes.resource = route->resource_name;
    attributes.subresource = route->subresource_name;
    attributes.namespace_ = route->namespace_;
    attributes.name = route->name;
    if (route->verb == VERB_LIST || route->verb == VERB_WATCH ||
        route->verb == VERB_DELETE_COLLECTION) {
        add_requirement(&attributes, serving, "metadata.name");
        if (attributes.field_count == 1)
            attributes.name = attributes.fields[0].value;
        add_requirement(&attributes, serving, "spec.nodeName");
    }
    /* A namespace is its own namespace, as upstream has it. */
    if (text_eq(route->resource_name, "namespaces") && route->name)
        attributes.namespace_ = route->name;
    return attributes;
}

struct impersonation {
    const struct authz_policy *policy;
    struct arena *arena;
};

static Meta__Status *may_impersonate(void *ctx, const struct authz_attributes *attributes)
{
    const struct impersonation *impersonation = ctx;
    return authz_check(attributes, impersonation->policy, impersonation->arena);
}

static Meta__Status *identify(struct serving *serving, const struct rest_env *env)
{
    const struct http_request *http = http_exchange_request(serving->exchange);
    struct plane_user user;
    AUTO(error)
    struct error *err =
        authn_request(serving->plane->authn, http, env->authn_context, serving->arena, &user);
    if (err) {
        log_v(2, "Unable to authenticate the request", LOG_STR("path", http->target.path),
              LOG_STR("remoteAddress", http->remote_address), LOG_ERR(err));
        return failure_new(serving->arena, 401, "Unauthorized");
    }
    struct impersonation impersonation = {.policy = env->policy, .arena = serving->arena};
    return authn_impersonate(http, &user, serving->arena, may_impersonate, &impersonation,
                             &serving->user);
}

static struct error *run(void *ctx)
{
    struct serving *serving = ctx;
    struct plane *plane = serving->plane;
    int64_t now_ns = loop_now_wall_ns(plane->loop);
    struct rest_env env = {
        .world = &plane->world,
        .store = plane->store,
        .arena = serving->arena,
        .now_wall_ns = now_ns,
        .usage = serving->usage,
    };
    const struct authn_context authn_context = {.objects_ctx = &env, .now_s = now_ns / NS_PER_SEC};
    const struct authz_policy policy = {.facts = &plane_authz_facts, .facts_ctx = &env};
    env.authn_context = &authn_context;
    env.policy = &policy;

    Meta__Status *failure = identify(serving, &env);
    if (!failure) {
        const struct authz_attributes attributes = attributes_of(serving);
        failure = authz_check(&attributes, &policy, serving->arena);
    }
    if (!failure)
        failure = handle(serving, &env);
    if (failure)
        rest_reply_failure(&serving->request, failure, &serving->reply);
    serving->is_taken_back = failure || rest_is_dry_run(&serving->request);
    return serving->is_taken_back ? error_new(ERROR_ABORTED, "taken back") : NULL;
}

/* --- after the task --- */

/* A warning as a field (RFC 7234 §5.5): its text is a quoted string. */
static const char *warning_field(struct serving *serving)
{
    AUTO(buf) struct buf text;
    buf_init(&text, WARNING_MAX_BYTES);
    buf_add_text(&text, "299 - \"");
    for (const char *at = serving->reply.warning; *at; at++) {
        bool is_control = (*at > 0 && *at < ' ') || *at == 0x7f;
        if (*at == '"' || *at == '\\')
            buf_add_char(&text, '\\');
        if (is_control)
            buf_add_char(&text, ' ');
        else
            buf_add_char(&text, *at);
    }
    buf_add_char(&text, '"');
    return text.overflowed ? "299 - \"too many warnings\""
                           : arena_strndup(serving->arena, buf_text(&text), text.len);
}

static void send_reply(struct serving *serving)
{
    struct http_field fields[3] = {
        {.name = "cache-control", .value = "no-cache, private"},
    };
    size_t count = 1;
    if (serving->reply.content_type)
        fields[count++] =
            (struct http_field){.name = "content-type", .value = serving->reply.content_type};
    if (serving->reply.warning)
        fields[count++] = (struct http_field){.name = "warning", .value = warning_field(serving)};
    http_exchange_reply(serving->exchange, serving->reply.code,
                        &(const struct http_fields){.items = fields, .count = count},
                        buf_str(&serving->reply.body));
}

static void answer(struct serving *serving, const struct error *err)
{
    struct plane *plane = serving->plane;
    bool is_long = !err && (serving->watch || serving->proxy || serving->asking);
    Meta__Status *failure = NULL;
    if (err && !serving->is_taken_back)
        failure = failure_from_error(serving->arena, error_dup(err));
    else if (is_long && plane->is_stopping)
        failure = failure_new(serving->arena, 503, "the server is ending");
    if (failure) {
        rest_reply_failure(&serving->request, failure, &serving->reply);
        send_reply(serving);
    } else if (is_long && serving->watch) {
        watch_begin(plane->watches, TAKE(serving->watch), serving->exchange);
    } else if (is_long) {
        proxy_begin(plane->proxy, serving->proxy, serving->exchange);
    } else {
        send_reply(serving);
    }
}

static void on_usage(void *ctx, const struct usage *usage);

static void done(void *ctx, const struct error *err)
{
    struct serving *serving = ctx;
    struct plane *plane = serving->plane;
    if (serving->exchange && !err && serving->asking && !plane->is_stopping) {
        serving->is_asking = true;
        usage_ask(serving->asking, plane->proxy, USAGE_PAUSE_NS, on_usage, serving);
        return;
    }
    if (serving->exchange) {
        http_exchange_on_gone(serving->exchange, NULL, NULL);
        answer(serving, err);
    }
    free_serving(serving);
}

static const struct store_task task = {.run = run, .done = done};

/* The request begins anew, on the state there is now. */
static void on_usage(void *ctx, const struct usage *usage)
{
    struct serving *serving = ctx;
    serving->asking = NULL;
    serving->is_asking = false;
    serving->usage = usage;
    store_submit(serving->plane->store, &task, serving);
}

static void on_gone(void *ctx)
{
    struct serving *serving = ctx;
    serving->exchange = NULL;
    if (serving->is_asking)
        usage_asking_end(serving->asking);
    if (serving->is_asking || store_withdraw(serving->plane->store, serving))
        free_serving(serving);
}

void plane_serve(struct plane *plane, struct http_exchange *exchange)
{
    const struct http_request *http = http_exchange_request(exchange);
    struct serving *serving = xcalloc(1, sizeof(*serving));
    const char *accept = http_fields_get(&http->fields, "accept");
    const char *content_type = http_fields_get(&http->fields, "content-type");
    const char *user_agent = http_fields_get(&http->fields, "user-agent");
    serving->plane = plane;
    serving->exchange = exchange;
    serving->arena = http_exchange_arena(exchange);
    route_parse(http->method, &http->target, &serving->route);
    serving->request = (struct plane_request){
        .verb = serving->route.verb,
        .resource = serving->route.resource,
        .subresource = serving->route.subresource,
        .namespace_ = serving->route.namespace_,
        .name = serving->route.name,
        .target = &http->target,
        .content_type = content_type ? content_type : "",
        .accept = accept ? accept : "",
        .body = http->body,
        .user = &serving->user,
        .user_agent = user_agent ? user_agent : "",
    };
    buf_init(&serving->reply.body, REST_REPLY_MAX_BYTES);
    log_v(3, "Request", LOG_STR("method", http->method), LOG_STR("path", http->target.raw_path),
          LOG_STR("query", http->target.raw_query),
          LOG_STR("userAgent", serving->request.user_agent),
          LOG_STR("remoteAddress", http->remote_address));
    DL_APPEND(plane->servings, serving);
    http_exchange_on_gone(exchange, on_gone, serving);
    store_submit(plane->store, &task, serving);
}
