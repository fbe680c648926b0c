/*
 * Tokens of service accounts (TokenRequest): what may be asked for, to which object the token is
 * bound, and how long it lives.
 */
#include "plane/strategy_internal.h"

#include "base/buf.h"
#include "plane/jwt.h"

#include "authentication.pb-c.h"

/* pkg/apis/authentication/validation, and pkg/apis/authentication/v1/defaults.go */
#define EXPIRATION_DEFAULT_S INT64_C(3600)
#define EXPIRATION_MIN_S INT64_C(600)
#define EXPIRATION_MAX_S (INT64_C(1) << 32)
/* pkg/serviceaccount: what kubelets ask for on behalf of clients that may not yet read tokens
 * anew. Such a token lives a year, and after the time asked for its use is only warned of. */
#define EXPIRATION_EXTENDED_FROM_S INT64_C(3607)
#define EXPIRATION_EXTENDED_TO_S (INT64_C(365) * 24 * 3600)

typedef Authentication__TokenRequest token_request;
typedef Authentication__BoundObjectReference bound_ref;

static Meta__Status *invalid(const struct strategy_context *context, const token_request *request,
                             const char *path, const char *message)
{
    const struct field_error error = {.path = path, .message = message};
    return strategy_invalid(context, "authentication.k8s.io/v1", &request->base, &error);
}

static Meta__Status *check_request(const struct strategy_context *context,
                                   const token_request *request, const char *namespace_,
                                   const char *name)
{
    const Meta__ObjectMeta *meta = request->metadata;
    int64_t expiration_s = request->spec->expiration_seconds;
    if (meta && !is_empty(meta->name) && !text_eq(meta->name, name))
        return invalid(context, request, "metadata.name",
                       arena_printf(context->arena,
                                    "Invalid value: \"%s\": must match the service account name "
                                    "if specified",
                                    meta->name));
    if (meta && !is_empty(meta->namespace_) && !text_eq(meta->namespace_, namespace_))
        return invalid(context, request, "metadata.namespace",
                       arena_printf(context->arena,
                                    "Invalid value: \"%s\": must match the service account "
                                    "namespace if specified",
                                    meta->namespace_));
    if (expiration_s < EXPIRATION_MIN_S)
        return invalid(context, request, "spec.expirationSeconds",
                       arena_printf(context->arena,
                                    "Invalid value: %lld: may not specify a duration less than 10 "
                                    "minutes",
                                    (long long)expiration_s));
    if (expiration_s > EXPIRATION_MAX_S)
        return invalid(context, request, "spec.expirationSeconds",
                       arena_printf(context->arena,
                                    "Invalid value: %lld: may not specify a duration larger than "
                                    "2^32 seconds",
                                    (long long)expiration_s));
    return NULL;
}

/* --- what the token is bound to --- */

static Meta__Status *check_uid(const struct strategy_context *context, const bound_ref *ref,
                               const char *uid)
{
    if (is_empty(ref->uid) || text_eq(ref->uid, uid))
        return NULL;
    const struct failure_target target = {.group = "", .resource = ref->kind, .name = ref->name};
    return failure_conflict(context->arena, &target,
                            arena_printf(context->arena,
                                         "the UID in the bound object reference (%s) does not "
                                         "match the UID in record. The object might have been "
                                         "deleted and then recreated",
                                         ref->uid));
}

/* A token of a pod also says on which node the pod is. */
static void note_node(const struct rest_env *env, const Core__Pod *pod, struct jwt_claims *claims)
{
    if (!pod->spec || is_empty(pod->spec->node_name))
        return;
    ProtobufCMessage *node = NULL;
    claims->node.name = pod->spec->node_name;
    if (!rest_read(env, resource_find("", "v1", "nodes"), NULL, pod->spec->node_name, &node))
        claims->node.uid = kube_object_meta(node)->uid;
}

static Meta__Status *bind_to_pod(const struct strategy_context *context, const bound_ref *ref,
                                 struct jwt_claims *claims)
{
    const struct rest_env env = strategy_rest_env(context);
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = rest_read(&env, resource_find("", "v1", "pods"), claims->namespace_,
                                      or_empty(ref->name), &object);
    if (failure)
        return failure;
    const Core__Pod *pod = (const Core__Pod *)object;
    const char *account = pod->spec ? or_empty(pod->spec->service_account_name) : "";
    if (!text_eq(account, claims->service_account.name))
        return failure_bad_request(context->arena,
                                   "cannot bind token for serviceaccount \"%s\" to pod running "
                                   "with different serviceaccount name.",
                                   claims->service_account.name);
    claims->pod = (struct jwt_ref){.name = pod->metadata->name, .uid = pod->metadata->uid};
    note_node(&env, pod, claims);
    return check_uid(context, ref, pod->metadata->uid);
}

static Meta__Status *bind_to_named(const struct strategy_context *context, const bound_ref *ref,
                                   struct jwt_claims *claims)
{
    bool is_node = text_eq(ref->kind, "Node");
    const struct rest_env env = strategy_rest_env(context);
    const struct resource *resource = resource_find("", "v1", is_node ? "nodes" : "secrets");
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = rest_read(&env, resource, is_node ? NULL : claims->namespace_,
                                      or_empty(ref->name), &object);
    if (failure)
        return failure;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    *(is_node ? &claims->node : &claims->secret) =
        (struct jwt_ref){.name = meta->name, .uid = meta->uid};
    return check_uid(context, ref, meta->uid);
}

static Meta__Status *bind_token(const struct strategy_context *context, const bound_ref *ref,
                                struct jwt_claims *claims)
{
    if (!ref)
        return NULL;
    bool is_core = text_eq(ref->api_version, "v1");
    if (is_core && text_eq(ref->kind, "Pod"))
        return bind_to_pod(context, ref, claims);
    if (is_core && (text_eq(ref->kind, "Secret") || text_eq(ref->kind, "Node")))
        return bind_to_named(context, ref, claims);
    return failure_bad_request(context->arena, "cannot bind token to object of type %s, Kind=%s",
                               or_empty(ref->api_version), or_empty(ref->kind));
}

/* --- the token --- */

static bool is_for_server(const struct strategy_context *context, const token_request *request)
{
    for (size_t i = 0; i < request->spec->n_audiences; i++) {
        if (!text_list_has(&context->world->audiences, request->spec->audiences[i]))
            return false;
    }
    return true;
}

static void set_times(const struct strategy_context *context, const token_request *request,
                      struct jwt_claims *claims)
{
    int64_t now_s = context->now_wall_ns / NS_PER_SEC;
    int64_t lifetime_s = request->spec->expiration_seconds;
    claims->issued_s = now_s;
    claims->not_before_s = now_s;
    if (lifetime_s == EXPIRATION_EXTENDED_FROM_S && is_for_server(context, request)) {
        claims->has_warn_after = true;
        claims->warn_after_s = now_s + lifetime_s;
        lifetime_s = EXPIRATION_EXTENDED_TO_S;
    }
    claims->expires_s = now_s + lifetime_s;
}

static Meta__Status *sign(const struct strategy_context *context, const struct jwt_claims *claims,
                          char **ret)
{
    AUTO(buf) struct buf token;
    buf_init(&token, JWT_MAX_BYTES);
    struct error *err = context->world->token_key
                            ? jwt_sign(context->world->token_key, claims, &token)
                            : error_new(ERROR_INTERNAL, "there is no key for tokens");
    if (!err)
        err = buf_error(&token, "the token");
    if (err)
        return failure_from_error(context->arena, error_wrap(err, "failed to generate token"));
    *ret = arena_strndup(context->arena, buf_text(&token), token.len);
    return NULL;
}

static void set_audiences(const struct strategy_context *context, token_request *request)
{
    const struct text_list *own = &context->world->audiences;
    if (request->spec->n_audiences > 0)
        return;
    request->spec->audiences = arena_calloc(context->arena, own->count, sizeof(char *));
    for (size_t i = 0; i < own->count; i++)
        request->spec->audiences[request->spec->n_audiences++] =
            arena_strdup(context->arena, own->items[i]);
}

static void set_defaults(token_request *request, struct arena *arena)
{
    if (!request->spec)
        request->spec = NEW_MESSAGE(arena, Authentication__TokenRequestSpec,
                                    authentication__token_request_spec);
    if (request->spec->has_expiration_seconds)
        return;
    request->spec->has_expiration_seconds = true;
    request->spec->expiration_seconds = EXPIRATION_DEFAULT_S;
}

/* The answer is the request with its status; it is an object of this moment. */
static void answer(const struct strategy_context *context, token_request *request,
                   const Meta__ObjectMeta *account, char *token)
{
    struct arena *arena = context->arena;
    Meta__ObjectMeta *meta = kube_object_ensure_meta(&request->base, arena);
    meta->name = account->name;
    meta->namespace_ = account->namespace_;
    meta->creation_timestamp = object_time(context->now_wall_ns, arena);
    request->status = NEW_MESSAGE(arena, Authentication__TokenRequestStatus,
                                  authentication__token_request_status);
    request->status->token = token;
    int64_t lifetime_ns = sat_mul_i64(request->spec->expiration_seconds, NS_PER_SEC);
    request->status->expiration_timestamp =
        object_time(sat_add_i64(context->now_wall_ns, lifetime_ns), arena);
}

Meta__Status *service_account_token_create(const struct strategy_context *context,
                                           const char *namespace_, const char *name,
                                           ProtobufCMessage *body, ProtobufCMessage **ret_reply,
                                           const struct kube_kind **ret_kind)
{
    token_request *request = (token_request *)body;
    const struct rest_env env = strategy_rest_env(context);
    ProtobufCMessage *object = NULL;
    set_defaults(request, context->arena);
    Meta__Status *failure = check_request(context, request, namespace_, name);
    if (!failure)
        failure =
            rest_read(&env, resource_find("", "v1", "serviceaccounts"), namespace_, name, &object);
    if (failure)
        return failure;
    const Meta__ObjectMeta *account = kube_object_meta(object);
    set_audiences(context, request);
    struct jwt_claims claims = {
        .issuer = context->world->issuer,
        .subject = arena_printf(context->arena, "system:serviceaccount:%s:%s", namespace_, name),
        .audiences = {.items = (const char *const *)request->spec->audiences,
                      .count = request->spec->n_audiences},
        .id = object_uid_new(context->arena),
        .namespace_ = namespace_,
        .service_account = {.name = account->name, .uid = account->uid},
    };
    char *token = NULL;
    failure = bind_token(context, request->spec->bound_object_ref, &claims);
    if (failure)
        return failure;
    set_times(context, request, &claims);
    failure = sign(context, &claims, &token);
    if (failure)
        return failure;
    answer(context, request, account, token);
    *ret_reply = body;
    *ret_kind = kube_kind_find("authentication.k8s.io/v1", "TokenRequest");
    return NULL;
}
