#include "plane/authn.h"

#include "plane/authn_tokens.h"
#include "plane/authz.h"
#include "tests/lib/test.h"
#include "wire/crypto.h"

#define NOW INT64_C(1700000000)
#define ISSUER "https://kubernetes.default.svc.cluster.local"

/* --- what exists --- */

struct world {
    struct authn_object account, pod, secret, node;
    bool has_account, has_pod, has_secret, has_node;
};

static bool find(void *ctx, enum authn_object_kind kind, const char *namespace_, const char *name,
                 struct authn_object *ret)
{
    const struct world *world = ctx;
    assert_true(kind == AUTHN_NODE ? !namespace_ : text_eq(namespace_, "default"));
    assert_true(text_eq(name, kind == AUTHN_SERVICE_ACCOUNT ? "web"
                              : kind == AUTHN_POD           ? "web-0"
                              : kind == AUTHN_SECRET        ? "web-token"
                                                            : "node-a"));
    switch (kind) {
    case AUTHN_SERVICE_ACCOUNT:
        *ret = world->account;
        return world->has_account;
    case AUTHN_POD:
        *ret = world->pod;
        return world->has_pod;
    case AUTHN_SECRET:
        *ret = world->secret;
        return world->has_secret;
    case AUTHN_NODE:
        *ret = world->node;
        return world->has_node;
    }
    return false;
}

static const struct authn_objects objects = {.find = find};

static struct world whole_world(void)
{
    return (struct world){
        .account = {.uid = "sa-uid"},
        .pod = {.uid = "pod-uid"},
        .secret = {.uid = "secret-uid"},
        .node = {.uid = "node-uid"},
        .has_account = true,
        .has_pod = true,
        .has_secret = true,
        .has_node = true,
    };
}

static const char *const own_audience[] = {ISSUER};
static const struct jwt_claims pod_claims = {
    .issuer = ISSUER,
    .subject = "system:serviceaccount:default:web",
    .audiences = {own_audience, 1},
    .expires_s = NOW + 3600,
    .issued_s = NOW,
    .not_before_s = NOW,
    .id = "an-id",
    .namespace_ = "default",
    .service_account = {"web", "sa-uid"},
    .pod = {"web-0", "pod-uid"},
    .node = {"node-a", "node-uid"},
};

/* --- the house --- */

struct house {
    struct arena *arena;
    struct jwt_key *key;
    struct authn *authn;
};

static void house_open(struct house *house, bool refuses_anonymous)
{
    AUTO(pkey) struct evp_pkey_st *pkey = NULL;
    AUTO(buf) struct buf pem = {0};
    buf_init(&pem, 4 * KiB);
    *house = (struct house){.arena = arena_new(0)};
    assert_no_error(crypto_new_key(&pkey));
    assert_no_error(crypto_write_key(pkey, &pem));
    assert_no_error(jwt_key_new(buf_text(&pem), &house->key));
    const struct authn_options options = {.key = house->key,
                                          .issuer = ISSUER,
                                          .objects = &objects,
                                          .refuses_anonymous = refuses_anonymous};
    assert_no_error(authn_new_blocking(&options, &house->authn));
}

static void auto_release_house(struct house *house)
{
    authn_free(house->authn);
    jwt_key_free(house->key);
    arena_free(house->arena);
}

static const char *make_token(const struct house *house, const struct jwt_claims *claims)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, JWT_MAX_BYTES);
    assert_no_error(jwt_sign(house->key, claims, &out));
    return arena_strdup(house->arena, buf_text(&out));
}

static struct error *ask(const struct house *house, struct world *world, const char *authorization,
                         const struct tls_peer *peer, struct plane_user *ret)
{
    const struct http_field field = {.name = "authorization", .value = authorization};
    const struct http_request request = {
        .method = "GET", .fields = {&field, authorization ? 1 : 0}, .peer = peer};
    const struct authn_context context = {.objects_ctx = world, .now_s = NOW};
    return authn_request(house->authn, &request, &context, house->arena, ret);
}

static const char *groups_of(const struct plane_user *user, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < user->groups.count; i++)
        text = arena_printf(arena, "%s%s%s", text, i > 0 ? "," : "", user->groups.items[i]);
    return text;
}

static const char *extra_of(const struct plane_user *user, struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < user->extra_count; i++) {
        text = arena_printf(arena, "%s%s%s=", text, i > 0 ? ";" : "", user->extra[i].key);
        for (size_t k = 0; k < user->extra[i].values.count; k++)
            text = arena_printf(arena, "%s%s%s", text, k > 0 ? "," : "",
                                user->extra[i].values.items[k]);
    }
    return text;
}

/* --- requests --- */

TEST_CASE(a_certificate_says_user_and_groups)
{
    static const char *const organizations[] = {"system:nodes", "more"};
    AUTO(house) struct house house;
    house_open(&house, true);
    const struct tls_peer peer = {.common_name = "system:node:node-a",
                                  .organizations = organizations,
                                  .organization_count = 2,
                                  .not_after_s = NOW};
    struct plane_user user;
    assert_no_error(ask(&house, NULL, NULL, &peer, &user));
    assert_string_equal(user.name, "system:node:node-a");
    assert_string_equal(user.uid, "");
    assert_string_equal(groups_of(&user, house.arena), "system:nodes,more,system:authenticated");
    assert_string_equal(plane_user_node(&user), "node-a");
    /* It comes before any token, good or bad. */
    assert_no_error(ask(&house, NULL, "Bearer rubbish", &peer, &user));
    assert_string_equal(user.name, "system:node:node-a");
}

TEST_CASE(a_certificate_ends_while_its_connection_goes_on)
{
    static const char *const masters[] = {"system:masters"};
    AUTO(house) struct house house;
    house_open(&house, false);
    struct world world = whole_world();
    const struct tls_peer peer = {.common_name = "kubernetes-admin",
                                  .organizations = masters,
                                  .organization_count = 1,
                                  .not_after_s = NOW - 1};
    const char *good = arena_printf(house.arena, "Bearer %s", make_token(&house, &pod_claims));
    struct plane_user user;
    assert_error_message(ask(&house, &world, NULL, &peer, &user),
                         "the client certificate has expired");
    assert_error_message(ask(&house, &world, "Bearer rubbish", &peer, &user),
                         "invalid bearer token");
    assert_no_error(ask(&house, &world, good, &peer, &user));
    assert_string_equal(user.name, "system:serviceaccount:default:web");
}

TEST_CASE(who_shows_nothing_is_anonymous_or_refused)
{
    static const char *const nothing[] = {NULL, "", "Bearer", "Bearer ", "Basic YTpi", "Bearerx y"};
    AUTO(house) struct house open, closed;
    house_open(&open, false);
    house_open(&closed, true);
    const struct tls_peer nameless = {0};
    for (size_t i = 0; i < ARRAY_SIZE(nothing); i++) {
        struct plane_user user;
        assert_no_error(ask(&open, NULL, nothing[i], &nameless, &user));
        assert_string_equal(user.name, "system:anonymous");
        assert_string_equal(groups_of(&user, open.arena), "system:unauthenticated");
        assert_error_code(ask(&closed, NULL, nothing[i], NULL, &user), ERROR_UNAUTHENTICATED);
    }
}

TEST_CASE(a_wrong_token_is_refused_and_not_anonymous)
{
    static const char *const bad[] = {"Bearer x", "bearer a.b.c", "BEARER x y"};
    AUTO(house) struct house house;
    house_open(&house, false);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct plane_user user;
        assert_error_message(ask(&house, NULL, bad[i], NULL, &user), "invalid bearer token");
    }
}

TEST_CASE(a_pod_s_token_is_its_service_account)
{
    AUTO(house) struct house house;
    house_open(&house, false);
    struct world world = whole_world();
    world.has_node = false; /* the node is only mentioned */
    struct plane_user user;
    const char *bearer = arena_printf(house.arena, "bEaReR %s", make_token(&house, &pod_claims));
    assert_no_error(ask(&house, &world, bearer, NULL, &user));
    assert_string_equal(user.name, "system:serviceaccount:default:web");
    assert_string_equal(user.uid, "sa-uid");
    assert_string_equal(
        groups_of(&user, house.arena),
        "system:serviceaccounts,system:serviceaccounts:default,system:authenticated");
    assert_string_equal(extra_of(&user, house.arena),
                        "authentication.kubernetes.io/credential-id=JTI=an-id;"
                        "authentication.kubernetes.io/node-name=node-a;"
                        "authentication.kubernetes.io/node-uid=node-uid;"
                        "authentication.kubernetes.io/pod-name=web-0;"
                        "authentication.kubernetes.io/pod-uid=pod-uid");
}

/* The node of a pod may have no object: not registered yet, or deleted. */
TEST_CASE(a_pod_s_token_outlives_the_node_s_object)
{
    AUTO(house) struct house house;
    house_open(&house, false);
    struct world world = whole_world();
    world.has_node = false;
    struct jwt_claims claims = pod_claims;
    claims.node.uid = NULL;
    struct plane_user user;
    const char *bearer = arena_printf(house.arena, "Bearer %s", make_token(&house, &claims));
    assert_no_error(ask(&house, &world, bearer, NULL, &user));
    assert_string_equal(extra_of(&user, house.arena),
                        "authentication.kubernetes.io/credential-id=JTI=an-id;"
                        "authentication.kubernetes.io/node-name=node-a;"
                        "authentication.kubernetes.io/pod-name=web-0;"
                        "authentication.kubernetes.io/pod-uid=pod-uid");
    /* Where the uid binds, none is a wrong one. */
    claims.pod.uid = NULL;
    bearer = arena_printf(house.arena, "Bearer %s", make_token(&house, &claims));
    assert_error_message(ask(&house, &world, bearer, NULL, &user),
                         "pod UID (pod-uid) does not match service account pod ref claim ()");
    claims.pod = (struct jwt_ref){0};
    world.has_node = true;
    bearer = arena_printf(house.arena, "Bearer %s", make_token(&house, &claims));
    assert_error_message(ask(&house, &world, bearer, NULL, &user),
                         "node UID (node-uid) does not match service account node ref claim ()");
}

TEST_CASE(a_token_ends_with_what_it_is_bound_to)
{
    static const struct jwt_ref none = {0}, secret = {"web-token", "secret-uid"};
    AUTO(house) struct house house;
    house_open(&house, false);
    struct jwt_claims of_secret = pod_claims, of_node = pod_claims;
    of_secret.pod = none;
    of_secret.node = none;
    of_secret.secret = secret;
    of_node.pod = none;
    const char *pod_token = arena_printf(house.arena, "Bearer %s", make_token(&house, &pod_claims));
    const char *secret_token =
        arena_printf(house.arena, "Bearer %s", make_token(&house, &of_secret));
    const char *node_token = arena_printf(house.arena, "Bearer %s", make_token(&house, &of_node));
    const struct authn_object other = {.uid = "other"};
    const struct authn_object leaving = {
        .uid = "pod-uid", .is_deleting = true, .deletion_s = NOW - 60};
    const struct authn_object gone = {
        .uid = "pod-uid", .is_deleting = true, .deletion_s = NOW - 61};
    const struct world all = whole_world();
    struct world no_account = all, other_account = all, no_pod = all, other_pod = all,
                 leaving_pod = all, gone_pod = all, no_secret = all, other_secret = all,
                 no_node = all, other_node = all;
    no_account.has_account = false;
    other_account.account = other;
    no_pod.has_pod = false;
    other_pod.pod = other;
    leaving_pod.pod = leaving;
    gone_pod.pod = gone;
    no_secret.has_secret = false;
    other_secret.secret = other;
    no_node.has_node = false;
    other_node.node = other;
    const struct {
        const char *name;
        const char *token;
        struct world world;
        const char *want;
    } cases[] = {
        {"a pod's", pod_token, all, NULL},
        {"a secret's", secret_token, all, NULL},
        {"a node's", node_token, all, NULL},
        {"no account", pod_token, no_account, "service account default/web has been deleted"},
        {"another account of that name", pod_token, other_account,
         "service account UID (other) does not match claim (sa-uid)"},
        {"no pod", pod_token, no_pod, "service account token has been invalidated"},
        {"another pod", pod_token, other_pod,
         "pod UID (other) does not match service account pod ref claim (pod-uid)"},
        {"a pod just leaving", pod_token, leaving_pod, NULL},
        {"a pod that has left", pod_token, gone_pod, "service account token has been invalidated"},
        {"no secret", secret_token, no_secret, "service account token has been invalidated"},
        {"another secret", secret_token, other_secret,
         "secret UID (other) does not match service account secret ref claim (secret-uid)"},
        {"no node", node_token, no_node, "service account token has been invalidated"},
        {"another node", node_token, other_node,
         "node UID (other) does not match service account node ref claim (node-uid)"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct world world = cases[i].world;
        struct plane_user user;
        AUTO(error) struct error *err = ask(&house, &world, cases[i].token, NULL, &user);
        if (!text_eq(err ? err->message : NULL, cases[i].want))
            fail_msg("%s: %s", cases[i].name, err ? err->message : "was taken");
    }
}

TEST_CASE(a_review_names_the_audiences_that_fit)
{
    static const char *const both[] = {"vault", ISSUER}, *const wanted[] = {"other", "vault"},
                             *const strange[] = {"other"};
    AUTO(house) struct house house;
    house_open(&house, false);
    struct world world = whole_world();
    struct jwt_claims claims = pod_claims;
    claims.audiences = (struct text_list){both, 2};
    const char *text = make_token(&house, &claims);
    const struct authn_context context = {.objects_ctx = &world, .now_s = NOW};
    struct plane_user user;
    struct text_list audiences;
    struct authn_token token = {.text = str_from(text), .audiences = {wanted, 2}};
    assert_no_error(
        authn_review_token(house.authn, &token, &context, house.arena, &user, &audiences));
    assert_int_equal(audiences.count, 1);
    assert_string_equal(audiences.items[0], "vault");
    token.audiences = (struct text_list){0};
    assert_no_error(
        authn_review_token(house.authn, &token, &context, house.arena, &user, &audiences));
    assert_string_equal(audiences.items[0], ISSUER);
    token.audiences = (struct text_list){strange, 1};
    assert_error_code(
        authn_review_token(house.authn, &token, &context, house.arena, &user, &audiences),
        ERROR_UNAUTHENTICATED);
    /* A token for somebody else does not open the API server. */
    claims.audiences = (struct text_list){both, 1};
    assert_error_code(ask(&house, &world,
                          arena_printf(house.arena, "Bearer %s", make_token(&house, &claims)), NULL,
                          &user),
                      ERROR_UNAUTHENTICATED);
}

/* --- the token file --- */

static struct error *parse(const char *text, struct authn_tokens **ret)
{
    return authn_tokens_parse(str_from(text), "tokens.csv", ret);
}

TEST_CASE(the_token_file_is_read_as_kube_apiserver_reads_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(authn_tokens) struct authn_tokens *tokens = NULL;
    assert_no_error(parse("t1,jane,1\r\n"
                          "\n"
                          "t2,joe,2,\"dev,ops\"\n"
                          "\"t,3\",\"a \"\"b\"\"\",3,one,dropped,\"too\nlong\"\n"
                          ",nobody,4\n"
                          "t1,jane-again,5,g",
                          &tokens));
    static const struct {
        const char *token;
        const char *name; /* NULL: nobody */
        const char *uid;
        const char *groups;
    } rows[] = {
        {"t1", "jane-again", "5", "g"}, {"t2", "joe", "2", "dev,ops"},
        {"t,3", "a \"b\"", "3", "one"}, {"", NULL, NULL, NULL},
        {"t", NULL, NULL, NULL},        {"t11", NULL, NULL, NULL},
        {"T1", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct plane_user *user = authn_tokens_find(tokens, str_from(rows[i].token));
        if (!rows[i].name) {
            assert_null(user);
            continue;
        }
        assert_non_null(user);
        assert_string_equal(user->name, rows[i].name);
        assert_string_equal(user->uid, rows[i].uid);
        assert_string_equal(groups_of(user, arena), rows[i].groups);
    }
}

TEST_CASE(a_broken_token_file_is_an_error_with_its_line)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"a,b,c\na,b\n", "tokens.csv:2: token file must have at least 3 columns (token, user name, "
                         "user uid), found 2"},
        {"a\n", "tokens.csv:1: token file must have at least 3 columns (token, user name, user "
                "uid), found 1"},
        {"\"a,b,c\n", "tokens.csv:2: a quoted field does not end"},
        {"\"a\"b,c,d\n", "tokens.csv:1: text behind a quoted field"},
        {"\n\na\"b,c,d\n", "tokens.csv:3: a quote inside a field that is not quoted"},
        {"\"", "tokens.csv:1: a quoted field does not end"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct authn_tokens *tokens = NULL;
        assert_error_message(parse(rows[i].text, &tokens), rows[i].want);
        assert_null(tokens);
    }
}

TEST_CASE(an_empty_token_file_knows_nobody)
{
    AUTO(authn_tokens) struct authn_tokens *tokens = NULL;
    assert_no_error(parse("", &tokens));
    assert_null(authn_tokens_find(tokens, str_from("")));
}

/* --- impersonation --- */

struct judge {
    const char *asked;  /* everything asked for, ';' between */
    const char *denied; /* the resource that is refused */
    struct arena *arena;
};

static Meta__Status *judge(void *ctx, const struct authz_attributes *attributes)
{
    struct judge *self = ctx;
    assert_string_equal(attributes->verb, "impersonate");
    assert_string_equal(attributes->user->name, "admin");
    self->asked =
        arena_printf(self->arena, "%s%s%s%s%s/%s:%s", self->asked, self->asked[0] ? ";" : "",
                     attributes->namespace_ ? attributes->namespace_ : "",
                     attributes->namespace_ ? "/" : "", attributes->resource,
                     attributes->subresource ? attributes->subresource : "", attributes->name);
    return text_eq(attributes->resource, self->denied)
               ? failure_new(self->arena, 403, "forbidden: no")
               : NULL;
}

TEST_CASE(impersonation_asks_for_each_thing_it_wants_to_be)
{
    static const struct {
        const char *name;
        struct http_field fields[6];
        const char *denied;
        const char *asked;
        const char *user; /* NULL: a failure */
        const char *uid;
        const char *groups;
        const char *extra;
    } rows[] = {
        {"nobody", {{0}}, NULL, "", "admin", "", "system:masters", ""},
        {"a user",
         {{"impersonate-user", "jane"}},
         NULL,
         "users/:jane",
         "jane",
         "",
         "system:authenticated",
         ""},
        {"with groups and uid",
         {{"impersonate-user", "jane"},
          {"impersonate-group", "dev"},
          {"impersonate-group", "ops"},
          {"impersonate-uid", "7"}},
         NULL,
         "users/:jane;groups/:dev;groups/:ops;uids/:7",
         "jane",
         "7",
         "dev,ops,system:authenticated",
         ""},
        {"a service account",
         {{"impersonate-user", "system:serviceaccount:default:web"}},
         NULL,
         "default/serviceaccounts/:web",
         "system:serviceaccount:default:web",
         "",
         "system:serviceaccounts,system:serviceaccounts:default,system:authenticated",
         ""},
        {"a service account with other groups",
         {{"impersonate-user", "system:serviceaccount:default:web"}, {"impersonate-group", "g"}},
         NULL,
         "default/serviceaccounts/:web;groups/:g",
         "system:serviceaccount:default:web",
         "",
         "g,system:authenticated",
         ""},
        {"anonymous",
         {{"impersonate-user", "system:anonymous"}},
         NULL,
         "users/:system:anonymous",
         "system:anonymous",
         "",
         "system:unauthenticated",
         ""},
        {"extra values",
         {{"impersonate-user", "jane"},
          {"impersonate-extra-scopes", "view"},
          {"impersonate-extra-acme.com%2fproject", "x"},
          {"impersonate-extra-scopes", "edit"}},
         NULL,
         "users/:jane;userextras/scopes:view;userextras/acme.com/project:x;userextras/scopes:edit",
         "jane",
         "",
         "system:authenticated",
         "scopes=view,edit;acme.com/project=x"},
        {"a user that may not be",
         {{"impersonate-user", "jane"}, {"impersonate-group", "g"}},
         "users",
         "users/:jane",
         NULL,
         NULL,
         NULL,
         NULL},
        {"a group that may not be",
         {{"impersonate-user", "jane"}, {"impersonate-group", "system:masters"}},
         "groups",
         "users/:jane;groups/:system:masters",
         NULL,
         NULL,
         NULL,
         NULL},
        {"a group without a user", {{"impersonate-group", "g"}}, NULL, "", NULL, NULL, NULL, NULL},
        {"a uid without a user", {{"impersonate-uid", "g"}}, NULL, "", NULL, NULL, NULL, NULL},
    };
    static const char *const masters[] = {"system:masters"};
    const struct plane_user admin = {.name = "admin", .uid = "", .groups = {masters, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct http_request request = {.fields = {rows[i].fields, 0}};
        while (rows[i].fields[request.fields.count].name)
            request.fields.count++;
        struct judge self = {.asked = "", .denied = rows[i].denied, .arena = arena};
        struct plane_user user;
        const Meta__Status *failure =
            authn_impersonate(&request, &admin, arena, judge, &self, &user);
        if (strcmp(self.asked, rows[i].asked) != 0)
            fail_msg("%s: asked %s", rows[i].name, self.asked);
        if ((failure != NULL) != !rows[i].user)
            fail_msg("%s: %s", rows[i].name, failure ? failure->message : "no failure");
        if (failure)
            continue;
        assert_string_equal(user.name, rows[i].user);
        assert_string_equal(user.uid, rows[i].uid);
        assert_string_equal(groups_of(&user, arena), rows[i].groups);
        assert_string_equal(extra_of(&user, arena), rows[i].extra);
    }
}

TEST_CASE(a_node_is_known_by_group_and_name_together)
{
    static const char *const nodes[] = {"system:nodes"}, *const others[] = {"dev"};
    const struct plane_user node = {.name = "system:node:n", .groups = {nodes, 1}};
    const struct plane_user nameless = {.name = "system:node:", .groups = {nodes, 1}};
    const struct plane_user no_prefix = {.name = "n", .groups = {nodes, 1}};
    const struct plane_user no_group = {.name = "system:node:n", .groups = {others, 1}};
    assert_string_equal(plane_user_node(&node), "n");
    assert_string_equal(plane_user_node(&nameless), "");
    assert_null(plane_user_node(&no_prefix));
    assert_null(plane_user_node(&no_group));
}

TEST_MAIN(
    TEST(a_certificate_says_user_and_groups), TEST(a_certificate_ends_while_its_connection_goes_on),
    TEST(a_pod_s_token_outlives_the_node_s_object), TEST(who_shows_nothing_is_anonymous_or_refused),
    TEST(a_wrong_token_is_refused_and_not_anonymous), TEST(a_pod_s_token_is_its_service_account),
    TEST(a_token_ends_with_what_it_is_bound_to), TEST(a_review_names_the_audiences_that_fit),
    TEST(the_token_file_is_read_as_kube_apiserver_reads_it),
    TEST(a_broken_token_file_is_an_error_with_its_line), TEST(an_empty_token_file_knows_nobody),
    TEST(impersonation_asks_for_each_thing_it_wants_to_be),
    TEST(a_node_is_known_by_group_and_name_together))
