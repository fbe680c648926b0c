/* The plugins are shell scripts that count their runs in files; the API server is played. */
#include "image/credential_provider.h"

#include "image/credential_provider_cache.h"
#include "tests/lib/metrics_read.h"
#include "tests/lib/tempdir.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/fake_api_client.h"

#include "authentication.pb-c.h"
#include "core.pb-c.h"

#define LONG_NS (20 * NS_PER_SEC) /* how long a hang takes to be seen */
#define V1 "credentialprovider.kubelet.k8s.io/v1"
#define HEAD "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n"
/* What matches, how long an answer is kept, and more of a provider. */
#define PROVIDER(name, image, duration, rest)                                                      \
    "- name: " name "\n  matchImages: ['" image "']\n  defaultCacheDuration: " duration            \
    "\n  apiVersion: " V1 "\n" rest
#define TOKENS(type, required, rest)                                                               \
    "  tokenAttributes:\n    serviceAccountTokenAudience: registry\n    cacheType: " type          \
    "\n    requireServiceAccount: " required "\n" rest
/* A plugin that answers with @auth. */
#define ANSWER(rest, auth)                                                                         \
    "echo '{\"kind\":\"CredentialProviderResponse\",\"apiVersion\":\"" V1 "\"," rest               \
    ",\"auth\":" auth "}'"

struct world {
    struct loop *loop;
    struct work_pool *pool;
    struct api_client *client;
    struct token_cache *tokens;
    struct metrics *metrics;
    struct arena *arena;
    char *dir;
    struct credential_provider_config config;
    struct credential_providers *providers;
};

struct lookup {
    struct credential_lookup *lookup;
    struct arena *arena;
    unsigned ends;
    const char *logins; /* "user:password@location …", with the source's name where there is one */
};

static void on_found(void *ctx, const struct image_credential *found, size_t count)
{
    struct lookup *lookup = ctx;
    lookup->ends++;
    lookup->lookup = NULL;
    lookup->logins = "";
    for (size_t i = 0; i < count; i++) {
        const struct credential_source *source = &found[i].source;
        bool is_account = source->kind == CREDENTIAL_SOURCE_SERVICE_ACCOUNT;
        assert_int_equal(is_account, source->uid[0] != '\0');
        lookup->logins =
            arena_printf(lookup->arena, "%s%s%s:%s%s%s%s%s", lookup->logins, i ? " " : "",
                         found[i].username, found[i].password, is_account ? "@" : "",
                         source->namespace_, is_account ? "/" : "", source->name);
    }
}

static int setup(void **state)
{
    struct world *world = xcalloc(1, sizeof(*world));
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 0);
    world->client = fake_api_client_new(world->loop);
    world->tokens = token_cache_new(world->loop, world->client);
    world->metrics = metrics_new();
    world->arena = arena_new(0);
    world->dir = tempdir_new();
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    credential_providers_free(world->providers);
    token_cache_free(world->tokens);
    api_client_free(world->client);
    loop_turn(world->loop, 0); /* reaps what was cancelled */
    work_pool_free(world->pool, LONG_NS);
    loop_free(world->loop);
    metrics_free(world->metrics);
    arena_free(world->arena);
    tempdir_free(world->dir);
    free(world);
    return 0;
}

static void add_plugin(struct world *world, const char *name, const char *script)
{
    const char *path = arena_printf(world->arena, "%s/%s", world->dir, name);
    const char *text =
        arena_printf(world->arena, "#!/bin/sh\nR=$(cat | tr -d '\"')\necho \"$R\" >>%s.runs\n%s\n",
                     path, script);
    assert_no_error(fd_write_file_blocking(path, str_from(text), 0755));
}

/* What plugin @name was asked, a line a run. */
static const char *runs(struct world *world, const char *name)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 64 * KiB);
    AUTO(error)
    struct error *err =
        fd_read_file_blocking(arena_printf(world->arena, "%s/%s.runs", world->dir, name), &text);
    assert_true(!err || error_is(err, ERROR_NOT_FOUND));
    return arena_strdup(world->arena, buf_text(&text));
}

static size_t run_count(struct world *world, const char *name)
{
    size_t count = 0;
    for (const char *at = runs(world, name); (at = strchr(at, '\n')); at++)
        count++;
    return count;
}

static void configure(struct world *world, const char *providers, bool is_standalone)
{
    const char *text = arena_printf(world->arena, HEAD "%s", providers);
    assert_no_error(credential_provider_config_decode(str_from(text), "f", world->arena,
                                                      &world->config.message));
    assert_no_error(credential_provider_config_check(world->config.message, true));
    memcpy(world->config.hash, "sha256:00", 10);
    const struct credential_providers_options options = {
        .loop = world->loop,
        .pool = world->pool,
        .config = &world->config,
        .bin_dir = world->dir,
        .client = is_standalone ? NULL : world->client,
        .tokens = is_standalone ? NULL : world->tokens,
        .metrics = world->metrics,
        .timeout_ns = LONG_NS};
    world->providers = credential_providers_new(&options);
}

static bool start(struct world *world, const char *image, const char *pod_name, const char *account,
                  struct lookup *ret)
{
    const struct credential_pod pod = {.namespace_ = "team",
                                       .name = pod_name,
                                       .uid = arena_printf(world->arena, "uid-%s", pod_name),
                                       .service_account = account};
    *ret = (struct lookup){.arena = world->arena};
    ret->lookup = credential_lookup_start(world->providers, image, &pod, on_found, ret);
    assert_int_equal(ret->ends, 0);
    return ret->lookup;
}

static const char *finish(struct world *world, struct lookup *lookup)
{
    while (lookup->ends == 0)
        loop_turn(world->loop, LONG_NS);
    assert_int_equal(lookup->ends, 1);
    return lookup->logins;
}

/* The logins for @image without anybody's account. */
static const char *find(struct world *world, const char *image)
{
    struct lookup lookup;
    return start(world, image, "web", NULL, &lookup) ? finish(world, &lookup) : NULL;
}

#define U_P "{\"r.example\":{\"username\":\"u\",\"password\":\"p\"}}"

static void plugins_are_asked_for_their_images_only(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
    configure(world, PROVIDER("a", "r.example/team", "0s", ""), false);
    assert_null(find(world, "s.example/team/app"));
    assert_null(find(world, "r.example/other/app:1"));
    assert_string_equal(find(world, "r.example/team/app:1@sha256:00"), "u:p");
    assert_string_equal(runs(world, "a"), "{kind:CredentialProviderRequest,apiVersion:" V1
                                          ",image:r.example/team/app}\n");
}

static void an_answer_is_kept_as_its_key_and_duration_say(void **state)
{
    static const struct {
        const char *answer, *duration;
        size_t runs; /* of app, app again, other of the same registry, of another registry */
    } rows[] = {
        {ANSWER("\"cacheKeyType\":\"Image\"", U_P), "1h", 3},
        {ANSWER("\"cacheKeyType\":\"Registry\"", U_P), "1h", 2},
        {ANSWER("\"cacheKeyType\":\"Global\"", U_P), "1h", 1},
        {ANSWER("\"cacheKeyType\":\"Global\"", U_P), "0s", 4},
        {ANSWER("\"cacheKeyType\":\"Global\",\"cacheDuration\":\"0s\"", U_P), "1h", 4},
        {ANSWER("\"cacheKeyType\":\"Global\",\"cacheDuration\":\"-1s\"", U_P), "1h", 4},
        {ANSWER("\"cacheKeyType\":\"Global\",\"cacheDuration\":\"1h\"", U_P), "0s", 1},
        {ANSWER("\"cacheKeyType\":\"Global\"", "null"), "1h", 1}, /* no logins are an answer too */
    };
    static const char *const images[] = {"r.example/app:1", "r.example/app:2", "r.example/other",
                                         "s.example/app"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(i > 0 ? teardown(state) + setup(state) : 0, 0);
        struct world *world = *state;
        add_plugin(world, "a", rows[i].answer);
        configure(
            world,
            arena_printf(world->arena, PROVIDER("a", "*.example", "%s", ""), rows[i].duration),
            false);
        for (size_t k = 0; k < ARRAY_SIZE(images); k++)
            (void)find(world, images[k]);
        assert_int_equal(run_count(world, "a"), rows[i].runs);
    }
}

static void identical_questions_share_a_run(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
    configure(world, PROVIDER("a", "*.example", "0s", ""), false);
    struct lookup lookups[4];
    assert_true(start(world, "r.example/app:1", "a", NULL, &lookups[0]));
    assert_true(start(world, "r.example/app:2", "b", "sa", &lookups[1]));
    assert_true(start(world, "r.example/other", "c", NULL, &lookups[2]));
    assert_true(start(world, "r.example/app", "d", NULL, &lookups[3]));
    loop_turn(world->loop, 0); /* all of them wait now */
    credential_lookup_cancel(lookups[3].lookup);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(finish(world, &lookups[i]), "u:p");
    assert_int_equal(run_count(world, "a"), 2);
    assert_int_equal(lookups[3].ends, 0);
}

static void all_plugins_for_an_image_contribute_in_order(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a",
               ANSWER("\"cacheKeyType\":\"Image\"",
                      "{\"r.example\":{\"username\":\"a\"},\"x.example\":{}}"));
    add_plugin(world, "b", "echo no; exit 1");
    add_plugin(world, "c",
               ANSWER("\"cacheKeyType\":\"Image\"",
                      "{\"r.example\":{\"username\":\"c\"},\"r.example/team\":{\"username\":"
                      "\"longer\"}}"));
    add_plugin(world, "d", "exit 1");
    configure(world,
              PROVIDER("a", "r.example", "0s", "") PROVIDER("b", "r.example", "0s", "")
                  PROVIDER("c", "*.example", "0s", "") PROVIDER("d", "d.example", "0s", ""),
              false);
    assert_string_equal(find(world, "r.example/team/app"), "longer: a: c:");
    assert_int_equal(run_count(world, "d"), 0);
    assert_true(
        metrics_value(world->metrics, "kubelet_credential_provider_plugin_errors_total", "b") == 1);
    assert_true(
        metrics_value(world->metrics, "kubelet_credential_provider_plugin_errors_total", "a") < 0);
    assert_int_equal(
        metrics_count(world->metrics, "kubelet_credential_provider_plugin_duration", "b"), 1);
    assert_int_equal(
        metrics_count(world->metrics, "kubelet_credential_provider_plugin_duration", "d"), -1);
    assert_true(
        metrics_value(world->metrics, "kubelet_credential_provider_config_info", "sha256:00") == 1);
}

static void the_last_who_waits_ends_the_run(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", "exec sleep 100");
    configure(world, PROVIDER("a", "*.example", "0s", ""), false);
    struct lookup lookup;
    assert_true(start(world, "r.example/app", "a", NULL, &lookup));
    while (run_count(world, "a") == 0)
        loop_turn(world->loop, NS_PER_MS);
    credential_lookup_cancel(lookup.lookup);
    credential_lookup_cancel(NULL);
    assert_int_equal(lookup.ends, 0);
}

/* --- tokens --- */

/* Turns until a request waits whose target ends with @text. */
static struct fake_exchange *wait_for(struct world *world, const char *text)
{
    struct fake_exchange *found;
    while (!(found = fake_find(world->client, text)))
        loop_turn(world->loop, LONG_NS);
    return found;
}

static void answer_account(struct world *world, const char *name, const char *annotations)
{
    struct fake_exchange *call =
        wait_for(world, arena_printf(world->arena, "/namespaces/team/serviceaccounts/%s", name));
    assert_string_equal(call->method, "GET");
    ProtobufCMessage *account = NULL;
    const char *text =
        arena_printf(world->arena, "{\"metadata\":{\"uid\":\"uid-of-%s\",\"annotations\":%s}}",
                     name, annotations);
    assert_no_error(kube_decode_json(str_from(text), &core__service_account__descriptor,
                                     &(struct kube_decode_options){0}, world->arena, &account));
    fake_reply(call, account);
}

static const char *answer_token(struct world *world, const char *token)
{
    struct fake_exchange *call = wait_for(world, "/token");
    Authentication__TokenRequest *message =
        (Authentication__TokenRequest *)kube_message_dup(call->body, world->arena);
    AUTO(buf) struct buf asked;
    buf_init(&asked, 64 * KiB);
    kube_encode_json(&message->base, NULL, &asked);
    const char *text = arena_strdup(world->arena, buf_text(&asked));
    Authentication__TokenRequestStatus status = AUTHENTICATION__TOKEN_REQUEST_STATUS__INIT;
    Meta__Time expires = META__TIME__INIT;
    expires.has_seconds = true;
    expires.seconds = loop_now_wall_ns(world->loop) / NS_PER_SEC + 3600;
    status.token = arena_strdup(world->arena, token);
    status.expiration_timestamp = &expires;
    message->status = &status;
    fake_reply(call, &message->base);
    return text;
}

#define TOKEN_LOGIN(user) "{\"r.example\":{\"username\":\"" user "\",\"password\":\"p\"}}"

static void a_plugin_may_be_told_of_the_pods_account(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
    configure(world,
              PROVIDER("a", "*.example", "1h",
                       TOKENS("ServiceAccount", "true",
                              "    requiredServiceAccountAnnotationKeys: [role]\n"
                              "    optionalServiceAccountAnnotationKeys: [area, more]\n")),
              false);
    struct lookup lookup;
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    answer_account(world, "sa", "{\"role\":\"r1\",\"area\":\"\",\"unasked\":\"x\"}");
    assert_string_equal(
        answer_token(world, "t0ken"),
        "{\"metadata\":{\"uid\":\"uid-of-sa\"},\"spec\":{\"audiences\":[\"registry\"],"
        "\"boundObjectRef\":{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"name\":\"web\",\"uid\":"
        "\"uid-web\"}}}");
    assert_string_equal(finish(world, &lookup), "u:p@team/sa");
    assert_string_equal(runs(world, "a"), "{kind:CredentialProviderRequest,apiVersion:" V1
                                          ",image:r.example/app,serviceAccountToken:t0ken,"
                                          "serviceAccountAnnotations:{area:,role:r1}}\n");
}

/* Another pod of the same account gets another token. */
static void the_cache_type_says_what_pods_of_an_account_share(void **state)
{
    static const struct {
        const char *type, *annotations; /* of the account when the second pod comes */
        size_t runs;
    } rows[] = {
        {"ServiceAccount", "{\"role\":\"r1\"}", 1},
        {"ServiceAccount", "{\"role\":\"r2\"}", 2},
        {"Token", "{\"role\":\"r1\"}", 2},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(i > 0 ? teardown(state) + setup(state) : 0, 0);
        struct world *world = *state;
        add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Global\"", U_P));
        configure(world,
                  arena_printf(world->arena,
                               PROVIDER("a", "*.example", "1h",
                                        TOKENS("%s", "true",
                                               "    optionalServiceAccountAnnotationKeys: "
                                               "[role]\n")),
                               rows[i].type),
                  false);
        struct lookup one, two, again;
        assert_true(start(world, "r.example/app", "one", "sa", &one));
        answer_account(world, "sa", "{\"role\":\"r1\"}");
        (void)answer_token(world, "t1");
        assert_string_equal(finish(world, &one), "u:p@team/sa");
        assert_true(start(world, "r.example/other", "two", "sa", &two));
        answer_account(world, "sa", rows[i].annotations);
        (void)answer_token(world, "t2");
        assert_string_equal(finish(world, &two), "u:p@team/sa");
        assert_int_equal(run_count(world, "a"), rows[i].runs);
        /* The first one has its token still, and so what is kept for it. */
        assert_true(start(world, "r.example/app", "one", "sa", &again));
        answer_account(world, "sa", "{\"role\":\"r1\"}");
        assert_string_equal(finish(world, &again), "u:p@team/sa");
        assert_int_equal(run_count(world, "a"), rows[i].runs);
    }
}

static void a_plugin_is_skipped_for_who_lacks_what_it_requires(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
    add_plugin(world, "b", ANSWER("\"cacheKeyType\":\"Image\"", TOKEN_LOGIN("b")));
    configure(
        world,
        PROVIDER("a", "*.example", "1h",
                 TOKENS("Token", "true", "    requiredServiceAccountAnnotationKeys: [role]\n"))
            PROVIDER("b", "*.example", "0s", TOKENS("ServiceAccount", "false", "")),
        false);
    /* a pod without an account: one is skipped, the other asked without a token */
    assert_string_equal(find(world, "r.example/app"), "b:p");
    assert_int_equal(fake_started(world->client), 0);
    assert_string_equal(runs(world, "b"),
                        "{kind:CredentialProviderRequest,apiVersion:" V1 ",image:r.example/app}\n");
    /* without the annotation */
    struct lookup lookup;
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    answer_account(world, "sa", "{\"other\":\"x\"}");
    answer_account(world, "sa", "{}"); /* of the second plugin */
    (void)answer_token(world, "t0ken");
    assert_string_equal(finish(world, &lookup), "b:p@team/sa");
    assert_int_equal(run_count(world, "a"), 0);
}

static void a_server_that_refuses_gives_no_logins(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
    configure(world, PROVIDER("a", "*.example", "1h", TOKENS("Token", "true", "")), false);
    struct lookup lookup;
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    fake_fail(wait_for(world, "/serviceaccounts/sa"), 403, "Forbidden", "no");
    assert_string_equal(finish(world, &lookup), "");
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    answer_account(world, "sa", "{}");
    fake_fail(wait_for(world, "/token"), 403, "Forbidden", "no");
    assert_string_equal(finish(world, &lookup), "");
    assert_int_equal(run_count(world, "a"), 0);

    /* Given up while the server thinks. */
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    (void)wait_for(world, "/serviceaccounts/sa");
    credential_lookup_cancel(lookup.lookup);
    assert_int_equal(fake_pending(world->client), 0);
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    answer_account(world, "sa", "{}");
    (void)wait_for(world, "/token");
    credential_lookup_cancel(lookup.lookup);
    assert_int_equal(lookup.ends, 0);
}

static void standalone_there_are_no_tokens(void **state)
{
    struct world *world = *state;
    add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
    configure(world, PROVIDER("a", "*.example", "0s", TOKENS("Token", "false", "")), true);
    struct lookup lookup;
    assert_true(start(world, "r.example/app", "web", "sa", &lookup));
    assert_string_equal(finish(world, &lookup), "");
    assert_int_equal(run_count(world, "a"), 0);
    assert_string_equal(find(world, "r.example/app"), "u:p");
}

static void a_token_is_no_password_for_a_whole_account(void **state)
{
    static const struct {
        const char *type, *token, *want;
    } rows[] = {
        {"ServiceAccount", "p", ""},
        {"ServiceAccount", "other", "u:p@team/sa"},
        {"Token", "p", "u:p@team/sa"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(i > 0 ? teardown(state) + setup(state) : 0, 0);
        struct world *world = *state;
        add_plugin(world, "a", ANSWER("\"cacheKeyType\":\"Image\"", U_P));
        configure(world,
                  arena_printf(world->arena,
                               PROVIDER("a", "*.example", "1h", TOKENS("%s", "true", "")),
                               rows[i].type),
                  false);
        struct lookup lookup;
        assert_true(start(world, "r.example/app", "web", "sa", &lookup));
        answer_account(world, "sa", "{}");
        (void)answer_token(world, rows[i].token);
        assert_string_equal(finish(world, &lookup), rows[i].want);
    }
}

#define IN_WORLD(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(plugins_are_asked_for_their_images_only),
        IN_WORLD(an_answer_is_kept_as_its_key_and_duration_say),
        IN_WORLD(identical_questions_share_a_run),
        IN_WORLD(all_plugins_for_an_image_contribute_in_order),
        IN_WORLD(the_last_who_waits_ends_the_run),
        IN_WORLD(a_plugin_may_be_told_of_the_pods_account),
        IN_WORLD(the_cache_type_says_what_pods_of_an_account_share),
        IN_WORLD(a_plugin_is_skipped_for_who_lacks_what_it_requires),
        IN_WORLD(a_server_that_refuses_gives_no_logins),
        IN_WORLD(standalone_there_are_no_tokens),
        IN_WORLD(a_token_is_no_password_for_a_whole_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
