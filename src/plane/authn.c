/*
 * The chain of kube-apiserver: a verified client certificate, else a bearer token, else anonymous.
 * A bearer token is looked for among the static ones and then, when it is a JWT of our issuer,
 * verified as a service account's. A token that nobody knows makes the request fail: it does not
 * fall through to anonymous.
 */
#include "plane/authn.h"

#include "plane/authn_tokens.h"

#include <strings.h>

#define NODE_PREFIX "system:node:"
#define EXTRA_MAX 5

struct authn {
    struct authn_tokens *tokens; /* NULL: no file */
    const struct jwt_key *key;   /* NULL: no service accounts */
    const struct authn_objects *objects;
    bool refuses_anonymous;
    struct arena *arena; /* of what follows */
    const char *issuer;
    struct text_list audiences;
};

/* --- users --- */

bool plane_user_has_group(const struct plane_user *user, const char *group)
{
    return text_list_has(&user->groups, group);
}

const char *plane_user_node(const struct plane_user *user)
{
    if (!text_has_prefix(user->name, NODE_PREFIX) || !plane_user_has_group(user, GROUP_NODES))
        return NULL;
    return user->name + strlen(NODE_PREFIX);
}

/* Copies @user into @arena, with system:authenticated unless it is already one or the other. */
static struct plane_user authenticated(const struct plane_user *user, struct arena *arena)
{
    bool is_complete = plane_user_has_group(user, GROUP_AUTHENTICATED) ||
                       plane_user_has_group(user, GROUP_UNAUTHENTICATED) ||
                       text_eq(user->name, USER_ANONYMOUS);
    size_t count = user->groups.count;
    const char **groups = arena_calloc(arena, count + 2, sizeof(*groups));
    for (size_t i = 0; i < count; i++)
        groups[i] = arena_strdup(arena, user->groups.items[i]);
    if (!is_complete)
        groups[count++] = GROUP_AUTHENTICATED;
    return (struct plane_user){
        .name = arena_strdup(arena, user->name),
        .uid = user->uid ? arena_strdup(arena, user->uid) : "",
        .groups = {groups, count},
        .extra = user->extra,
        .extra_count = user->extra_count,
    };
}

/* --- making one --- */

struct error *authn_new_blocking(const struct authn_options *options, struct authn **ret)
{
    ASSERT(!options->key || (options->objects && options->issuer));
    AUTO(authn) struct authn *authn = xcalloc(1, sizeof(*authn));
    authn->key = options->key;
    authn->objects = options->objects;
    authn->refuses_anonymous = options->refuses_anonymous;
    authn->arena = arena_new(0);
    authn->issuer = arena_strdup(authn->arena, options->issuer);
    size_t count = options->audiences.count;
    const char **audiences = arena_calloc(authn->arena, count + 1, sizeof(*audiences));
    for (size_t i = 0; i < count; i++)
        audiences[i] = arena_strdup(authn->arena, options->audiences.items[i]);
    if (count == 0 && authn->issuer)
        audiences[count++] = authn->issuer;
    authn->audiences = (struct text_list){audiences, count};
    if (options->token_file) {
        struct error *err = authn_tokens_read_blocking(options->token_file, &authn->tokens);
        if (err)
            return err;
    }
    *ret = TAKE(authn);
    return NULL;
}

void authn_free(struct authn *authn)
{
    if (!authn)
        return;
    authn_tokens_free(authn->tokens);
    arena_free(authn->arena);
    free(authn);
}

/* --- service accounts --- */

static struct error *refuse(const char *why)
{
    return error_new(ERROR_UNAUTHENTICATED, "%s", why);
}

struct look_up {
    const struct authn *authn;
    const struct authn_context *context;
    const char *namespace_;
};

/* False when there is none, or it was deleted longer ago than clocks may differ. */
static bool find(const struct look_up *look_up, enum authn_object_kind kind, const char *name,
                 struct authn_object *ret)
{
    const char *namespace_ = kind == AUTHN_NODE ? NULL : look_up->namespace_;
    struct authn_object object = {0};
    if (!look_up->authn->objects->find(look_up->context->objects_ctx, kind, namespace_, name,
                                       &object))
        return false;
    if (object.is_deleting &&
        object.deletion_s < sat_sub_i64(look_up->context->now_s, JWT_LEEWAY_S))
        return false;
    *ret = object;
    return true;
}

static struct error *check_bound(const struct look_up *look_up, enum authn_object_kind kind,
                                 const struct jwt_ref *ref)
{
    static const char *const names[][2] = {
        [AUTHN_SERVICE_ACCOUNT] = {"service account", ""},
        [AUTHN_POD] = {"pod", "service account pod ref "},
        [AUTHN_SECRET] = {"secret", "service account secret ref "},
        [AUTHN_NODE] = {"node", "service account node ref "},
    };
    struct authn_object object;
    if (!ref->name)
        return NULL;
    if (!find(look_up, kind, ref->name, &object))
        return refuse("service account token has been invalidated");
    if (text_eq(object.uid, ref->uid))
        return NULL;
    return error_new(ERROR_UNAUTHENTICATED, "%s UID (%s) does not match %sclaim (%s)",
                     names[kind][0], object.uid ? object.uid : "", names[kind][1], ref->uid);
}

static struct error *check_objects(const struct look_up *look_up, const struct jwt_claims *claims)
{
    struct authn_object account;
    const struct jwt_ref *ref = &claims->service_account;
    if (!find(look_up, AUTHN_SERVICE_ACCOUNT, ref->name, &account))
        return error_new(ERROR_UNAUTHENTICATED, "service account %s/%s has been deleted",
                         claims->namespace_, ref->name);
    struct error *err = check_bound(look_up, AUTHN_SERVICE_ACCOUNT, ref);
    if (!err)
        err = check_bound(look_up, AUTHN_SECRET, &claims->secret);
    if (!err)
        err = check_bound(look_up, AUTHN_POD, &claims->pod);
    /* A pod's token carries its node for information; the pod is what it is bound to. */
    if (!err && !claims->pod.name)
        err = check_bound(look_up, AUTHN_NODE, &claims->node);
    return err;
}

static void add_extra(struct plane_user *user, struct plane_extra *extra, const char *key,
                      const char *value, struct arena *arena)
{
    if (!value || !value[0])
        return;
    const char **values = arena_calloc(arena, 1, sizeof(*values));
    values[0] = arena_strdup(arena, value);
    extra[user->extra_count++] = (struct plane_extra){.key = key, .values = {values, 1}};
}

static struct plane_user service_account_user(const struct jwt_claims *claims, struct arena *arena)
{
    const char **groups = arena_calloc(arena, 3, sizeof(*groups));
    groups[0] = GROUP_SERVICE_ACCOUNTS;
    groups[1] = arena_printf(arena, GROUP_SERVICE_ACCOUNTS ":%s", claims->namespace_);
    groups[2] = GROUP_AUTHENTICATED;
    struct plane_extra *extra = arena_calloc(arena, EXTRA_MAX, sizeof(*extra));
    struct plane_user user = {
        .name = claims->subject,
        .uid = claims->service_account.uid,
        .groups = {groups, 3},
        .extra = extra,
    };
    if (claims->id)
        add_extra(&user, extra, "authentication.kubernetes.io/credential-id",
                  arena_printf(arena, "JTI=%s", claims->id), arena);
    add_extra(&user, extra, "authentication.kubernetes.io/node-name", claims->node.name, arena);
    add_extra(&user, extra, "authentication.kubernetes.io/node-uid", claims->node.uid, arena);
    add_extra(&user, extra, "authentication.kubernetes.io/pod-name", claims->pod.name, arena);
    add_extra(&user, extra, "authentication.kubernetes.io/pod-uid", claims->pod.uid, arena);
    return user;
}

/* --- tokens --- */

/* Those of @wanted that are in @have. */
static struct text_list intersection(const struct text_list *wanted, const struct text_list *have,
                                     struct arena *arena)
{
    const char **items = arena_calloc(arena, wanted->count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        if (text_list_has(have, wanted->items[i]))
            items[count++] = wanted->items[i];
    }
    return (struct text_list){items, count};
}

struct token_user {
    struct plane_user user;
    struct text_list audiences;
};

static struct error *service_account_token(const struct authn *authn,
                                           const struct authn_context *context, struct str token,
                                           const struct text_list *audiences, struct arena *arena,
                                           struct token_user *ret)
{
    const struct jwt_expectations expectations = {
        .issuer = authn->issuer, .now_s = context->now_s, .audiences = *audiences};
    struct jwt_claims claims;
    struct error *err = jwt_verify(authn->key, token, &expectations, arena, &claims);
    if (err)
        return err;
    const struct look_up look_up = {
        .authn = authn, .context = context, .namespace_ = claims.namespace_};
    err = check_objects(&look_up, &claims);
    if (err)
        return err;
    ret->user = service_account_user(&claims, arena);
    ret->audiences = intersection(audiences, &claims.audiences, arena);
    return NULL;
}

static struct error *static_token(const struct authn *authn, const struct plane_user *user,
                                  const struct text_list *audiences, struct arena *arena,
                                  struct token_user *ret)
{
    struct text_list both = intersection(audiences, &authn->audiences, arena);
    if (audiences->count > 0 && both.count == 0)
        return refuse("the token is not for the audiences asked for");
    ret->user = authenticated(user, arena);
    ret->audiences = both;
    return NULL;
}

struct error *authn_review_token(const struct authn *authn, const struct authn_token *token,
                                 const struct authn_context *context, struct arena *arena,
                                 struct plane_user *ret, struct text_list *ret_audiences)
{
    const struct text_list *audiences =
        token->audiences.count > 0 ? &token->audiences : &authn->audiences;
    const struct plane_user *known =
        authn->tokens ? authn_tokens_find(authn->tokens, token->text) : NULL;
    struct token_user found = {0};
    struct error *err = NULL;
    if (known)
        err = static_token(authn, known, audiences, arena, &found);
    else if (authn->key && text_eq(jwt_peek_issuer(token->text, arena), authn->issuer))
        err = service_account_token(authn, context, token->text, audiences, arena, &found);
    else
        err = refuse("invalid bearer token");
    if (err)
        return err;
    *ret = found.user;
    if (ret_audiences)
        *ret_audiences = found.audiences;
    return NULL;
}

/* --- requests --- */

/* The token of `Authorization: Bearer TOKEN`; empty when there is none. The scheme is compared
 * without case, and what follows a second blank is dropped, as upstream does. */
static struct str bearer_token(const struct http_request *request)
{
    const char *value = http_fields_get(&request->fields, "authorization");
    struct str rest = str_trim(str_from(value ? value : "")), scheme, token = {0};
    if (!str_split_next(&rest, ' ', &scheme) || scheme.len != strlen("bearer") ||
        strncasecmp(scheme.ptr, "bearer", scheme.len) != 0 || !rest.ptr)
        return token;
    return str_split_next(&rest, ' ', &token) ? token : (struct str){0};
}

static struct plane_user certificate_user(const struct tls_peer *peer, struct arena *arena)
{
    const struct plane_user user = {
        .name = peer->common_name,
        .groups = {peer->organizations, peer->organization_count},
    };
    return authenticated(&user, arena);
}

static struct plane_user anonymous_user(void)
{
    static const char *const groups[] = {GROUP_UNAUTHENTICATED};
    return (struct plane_user){.name = USER_ANONYMOUS, .uid = "", .groups = {groups, 1}};
}

struct error *authn_request(const struct authn *authn, const struct http_request *request,
                            const struct authn_context *context, struct arena *arena,
                            struct plane_user *ret)
{
    const struct tls_peer *peer = request->peer;
    bool has_certificate = peer && peer->common_name && peer->common_name[0];
    /* The handshake looked at the time once; a connection may live longer than its certificate. */
    bool is_over = has_certificate && peer->not_after_s < context->now_s;
    if (has_certificate && !is_over) {
        *ret = certificate_user(peer, arena);
        return NULL;
    }
    struct str token = bearer_token(request);
    if (token.len > 0) {
        const struct authn_token asked = {.text = token};
        return authn_review_token(authn, &asked, context, arena, ret, NULL);
    }
    if (is_over)
        return refuse("the client certificate has expired");
    if (authn->refuses_anonymous)
        return refuse("no credentials were shown and anonymous requests are refused");
    *ret = anonymous_user();
    return NULL;
}
