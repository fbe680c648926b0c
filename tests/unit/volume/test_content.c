/* Gathering and making the payload, with real caches over a client without a server. */
#include "volume/content_gather.h"

#include "base/buf.h"
#include "kube/object_watch.h"
#include "kube/token_cache.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/kube/pod_yaml.h"
#include "volume_test.h"

#include "authentication.pb-c.h"

struct bench {
    struct loop *loop;
    struct api_client *client;
    struct volume_sources sources;
    struct arena *arena;
    Core__Pod *pod;
    struct content *content;
    struct content_gather *gather;
    size_t n_done;
};

static struct error *field(UNUSED void *ctx, const Core__ObjectFieldSelector *selector,
                           UNUSED const Core__Pod *pod, UNUSED struct arena *arena,
                           const char **ret)
{
    if (text_eq(selector->field_path, "metadata.uid"))
        return error_new(ERROR_INVALID_ARGUMENT, "no uid today");
    *ret = selector->field_path;
    return NULL;
}

static struct error *resource(UNUSED void *ctx, const Core__ResourceFieldSelector *selector,
                              UNUSED const Core__Pod *pod, UNUSED struct arena *arena,
                              const char **ret)
{
    *ret = selector->resource;
    return NULL;
}

static struct object_watch *watch_new(struct bench *bench, const char *kind)
{
    return object_watch_new(bench->loop, bench->client,
                            &(struct object_watch_options){.kind = kube_kind_find("v1", kind),
                                                           .strategy = OBJECT_STRATEGY_GET});
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){.arena = arena_new(0)};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->sources = (struct volume_sources){.config_maps = watch_new(bench, "ConfigMap"),
                                             .secrets = watch_new(bench, "Secret"),
                                             .tokens = token_cache_new(bench->loop, bench->client),
                                             .field = field,
                                             .resource = resource};
}

static void auto_release_bench(struct bench *bench)
{
    content_gather_cancel(bench->gather);
    if (bench->content)
        content_release(bench->content);
    object_watch_free(bench->sources.config_maps);
    object_watch_free(bench->sources.secrets);
    token_cache_free(bench->sources.tokens);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
}

static void on_gathered(void *ctx)
{
    struct bench *bench = ctx;
    bench->gather = NULL;
    bench->n_done++;
}

/* Plans and asks for volume `v`, "<type>: {…}" in YAML, of a pod with the other lines of its spec.
 */
static void gather(struct bench *bench, const char *volume, const char *spec)
{
    AUTO(free)
    char *yaml = xasprintf("metadata: {name: web, namespace: ns, uid: u1}\n"
                           "spec: {%s serviceAccountName: sa, volumes: [{name: v, %s}]}\n",
                           spec, volume);
    bench->pod = pod_parse(yaml, bench->arena);
    const Core__Volume *from = bench->pod->spec->volumes[0];
    const struct volume_plan_env env = {0};
    const void *input = NULL;
    const struct volume_plugin *plugin = volume_plugin_for(from->volume_source);
    assert_non_null(plugin);
    assert_true(plugin->has_content && plugin->read_only);
    assert_no_error(plugin->plan(&env, bench->pod, from, bench->arena, &input));
    bench->content = (struct content *)(uintptr_t)input;
    bench->gather =
        content_gather_start(&bench->sources, bench->pod, &bench->content, 1, on_gathered, bench);
}

static const char *shown(const struct content *content)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    for (size_t i = 0; i < content->payload.count; i++) {
        const struct volume_file *file = &content->payload.files[i];
        buf_printf(&out, "%s=%.*s:%o", file->path, (int)file->len, (const char *)file->bytes,
                   file->mode);
        if (file->has_owner)
            buf_printf(&out, ":%u", file->owner);
        buf_add_char(&out, ' ');
    }
    return arena_strdup(content->payload.arena, buf_text(&out));
}

/* The files, or "!" and the error. */
static const char *built(struct bench *bench)
{
    fake_loop_advance(bench->loop, 0);
    assert_null(bench->gather);
    AUTO(error)
    struct error *err = content_build(bench->content, &bench->sources, bench->pod,
                                      loop_now_wall_ns(bench->loop), bench->arena);
    content_release(bench->content);
    return err ? arena_printf(bench->arena, "!%s", err->message) : shown(bench->content);
}

static void reply_config_map(struct bench *bench, const char *name, const char *key,
                             const char *value)
{
    Core__ConfigMap *object = (Core__ConfigMap *)fake_object(kube_kind_find("v1", "ConfigMap"),
                                                             "ns", name, "u", "1", bench->arena);
    Core__ConfigMap__DataEntry entry = CORE__CONFIG_MAP__DATA_ENTRY__INIT, *list[] = {&entry};
    entry.key = (char *)(uintptr_t)key;
    entry.value = (char *)(uintptr_t)value;
    object->n_data = 1;
    object->data = list;
    fake_reply(fake_find(bench->client, arena_printf(bench->arena, "/configmaps/%s", name)),
               &object->base);
}

static void reply_secret(struct bench *bench, const char *name, const char *key, const char *value)
{
    Core__Secret *object = (Core__Secret *)fake_object(kube_kind_find("v1", "Secret"), "ns", name,
                                                       "u", "1", bench->arena);
    Core__Secret__DataEntry entry = CORE__SECRET__DATA_ENTRY__INIT, *list[] = {&entry};
    entry.key = (char *)(uintptr_t)key;
    entry.has_value = true;
    entry.value.data = (uint8_t *)(uintptr_t)value;
    entry.value.len = strlen(value);
    object->n_data = 1;
    object->data = list;
    fake_reply(fake_find(bench->client, arena_printf(bench->arena, "/secrets/%s", name)),
               &object->base);
}

static void reply_missing(struct bench *bench, const char *target)
{
    fake_fail(fake_find(bench->client, target), 404, "NotFound", "it is not found");
}

static void reply_token(struct bench *bench, const char *text)
{
    struct fake_exchange *call = fake_find(bench->client, "/token");
    assert_non_null(call);
    Authentication__TokenRequest *message =
        (Authentication__TokenRequest *)kube_message_dup(call->body, bench->arena);
    Authentication__TokenRequestStatus status = AUTHENTICATION__TOKEN_REQUEST_STATUS__INIT;
    Meta__Time expires = META__TIME__INIT;
    expires.has_seconds = true;
    expires.seconds =
        loop_now_wall_ns(bench->loop) / NS_PER_SEC + message->spec->expiration_seconds;
    status.token = (char *)(uintptr_t)text;
    status.expiration_timestamp = &expires;
    message->status = &status;
    fake_reply(call, &message->base);
}

TEST_CASE(a_config_map_is_waited_for)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    gather(&bench, "configMap: {name: cm, defaultMode: 0640}", "");
    assert_non_null(bench.gather);
    fake_loop_advance(bench.loop, 0);
    assert_int_equal(bench.n_done, 0);
    reply_config_map(&bench, "cm", "greeting", "hello");
    assert_string_equal(built(&bench), "greeting=hello:640 ");
    assert_int_equal(bench.n_done, 1);
    assert_false(bench.content->wrapped.in_memory);
    assert_int_equal(bench.content->refresh_at_ns, 0);
}

TEST_CASE(objects_nobody_tells_of_are_read_again_in_time)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    bench.sources.reread_ns = 60 * NS_PER_SEC;
    gather(&bench, "configMap: {name: cm, defaultMode: 0640}", "");
    reply_config_map(&bench, "cm", "greeting", "hello");
    int64_t now_ns = loop_now_wall_ns(bench.loop);
    assert_string_equal(built(&bench), "greeting=hello:640 ");
    assert_in_range(bench.content->refresh_at_ns - now_ns, 60 * NS_PER_SEC, 91 * NS_PER_SEC);
}

TEST_CASE(what_is_missing_is_told_in_upstreams_words)
{
    static const struct {
        const char *volume, *target, *want;
    } rows[] = {
        {"configMap: {name: cm, defaultMode: 420}", "/configmaps/cm", "!it is not found"},
        {"configMap: {name: cm, defaultMode: 420, optional: true}", "/configmaps/cm", ""},
        {"secret: {secretName: s, defaultMode: 420}", "/secrets/s", "!it is not found"},
        {"secret: {secretName: s, defaultMode: 420, optional: true, items: [{key: k, path: p}]}",
         "/secrets/s", ""},
        {"secret: {secretName: s}", "/secrets/s",
         "!no defaultMode used, not even the default value for it"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        gather(&bench, rows[i].volume, "");
        fake_loop_advance(bench.loop, 0);
        reply_missing(&bench, rows[i].target);
        assert_string_equal(built(&bench), rows[i].want);
    }
}

TEST_CASE(the_downward_api_needs_nobody)
{
    static const struct {
        const char *items, *want;
    } rows[] = {
        {"{path: labels, fieldRef: {apiVersion: v1, fieldPath: metadata.labels}}, "
         "{path: d/cpu, mode: 0400, resourceFieldRef: {containerName: c, resource: limits.cpu}}",
         "d/cpu=limits.cpu:400 labels=metadata.labels:644 "},
        {"{path: one, fieldRef: {fieldPath: \"metadata.labels['a']\"}}",
         "one=metadata.labels['a']:644 "},
        {"{path: ip, fieldRef: {fieldPath: status.podIP}}", "!unsupported fieldPath: status.podIP"},
        {"{path: ip, fieldRef: {fieldPath: status.podIP}}, {path: u, fieldRef: {fieldPath: "
         "metadata.uid}}, {path: i2, fieldRef: {fieldPath: status.podIP}}",
         "![unsupported fieldPath: status.podIP, no uid today]"},
        {"{path: ../x, fieldRef: {fieldPath: metadata.name}}",
         "!invalid path: must not contain '..': ../x"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        gather(&bench,
               arena_printf(bench.arena, "downwardAPI: {defaultMode: 420, items: [%s]}",
                            rows[i].items),
               "");
        assert_null(bench.gather);
        assert_string_equal(built(&bench), rows[i].want);
        assert_true(bench.content->wrapped.in_memory);
    }
}

#define ALL_KINDS                                                                                  \
    "projected: {defaultMode: 420, sources: [{configMap: {name: cm, items: [{key: k, path: "       \
    "sub/k}]}}, {secret: {name: s}}, {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: "   \
    "metadata.name}}]}}, {serviceAccountToken: {path: token, expirationSeconds: 3607}}, {}]}"

TEST_CASE(a_projected_volume_asks_for_everything_at_once)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    gather(&bench, ALL_KINDS, "");
    assert_int_equal(fake_pending(bench.client), 3);
    reply_token(&bench, "tok");
    reply_secret(&bench, "s", "password", "p");
    reply_config_map(&bench, "cm", "k", "v");
    int64_t now_ns = loop_now_wall_ns(bench.loop);
    assert_string_equal(built(&bench),
                        "name=metadata.name:644 password=p:644 sub/k=v:644 token=tok:644 ");
    /* A fifth of 3607 s before the end, and a second. */
    assert_int_equal(bench.content->refresh_at_ns - now_ns,
                     3607 * NS_PER_SEC - 3607 * NS_PER_SEC / 5 + NS_PER_SEC);
}

TEST_CASE(later_sources_win_and_all_failures_are_told)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    gather(&bench,
           "projected: {defaultMode: 420, sources: [{configMap: {name: a}}, {configMap: {name: "
           "b}}]}",
           "");
    reply_config_map(&bench, "b", "k", "later");
    reply_config_map(&bench, "a", "k", "sooner");
    assert_string_equal(built(&bench), "k=later:644 ");

    gather(&bench, ALL_KINDS, "");
    reply_missing(&bench, "/secrets/s");
    reply_config_map(&bench, "cm", "other", "v");
    fake_fail_bare(fake_find(bench.client, "/token"), 500);
    const char *why = built(&bench);
    assert_true(text_has_prefix(
        why, "![configmap references non-existent config key: k, it is not found, failed to fetch "
             "token: "));
}

TEST_CASE(sources_nobody_makes_are_refused)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    gather(&bench,
           "projected: {defaultMode: 420, sources: [{clusterTrustBundle: {name: b, path: p}}, "
           "{podCertificate: {signerName: s, keyType: ED25519}}]}",
           "");
    assert_null(bench.gather);
    assert_string_equal(
        built(&bench),
        "![projected source \"clusterTrustBundle\" is not supported by cubelet yet, projected "
        "source \"podCertificate\" is not supported by cubelet yet]");
}

TEST_CASE(without_an_api_server_only_the_downward_api_is_there)
{
    static const struct {
        const char *volume, *want;
    } rows[] = {
        {"configMap: {name: cm, defaultMode: 420, optional: true}",
         "!not supported due to running kubelet in standalone mode"},
        {ALL_KINDS, "!cannot setup projected volume v because kube client is not configured"},
        {"projected: {defaultMode: 420, sources: [{downwardAPI: {items: [{path: name, fieldRef: "
         "{fieldPath: metadata.name}}]}}]}",
         "name=metadata.name:644 "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        struct volume_sources sources = bench.sources;
        bench.sources = (struct volume_sources){.field = field};
        gather(&bench, rows[i].volume, "");
        assert_null(bench.gather);
        assert_string_equal(built(&bench), rows[i].want);
        bench.sources = sources;
    }
}

#define TOKEN                                                                                      \
    "projected: {defaultMode: 420, sources: [{serviceAccountToken: {path: token, audience: "       \
    "vault, "                                                                                      \
    "expirationSeconds: 600}}]}"

TEST_CASE(a_tokens_mode_and_owner_follow_who_reads_it)
{
    static const struct {
        const char *spec, *want;
    } rows[] = {
        {"containers: [{name: a}],", "token=t:644 "},
        {"securityContext: {fsGroup: 5}, containers: [{name: a}],", "token=t:600 "},
        {"securityContext: {runAsUser: 7}, containers: [{name: a}, {name: b}],", "token=t:600:7 "},
        {"securityContext: {runAsUser: 7}, containers: [{name: a, securityContext: {runAsUser: "
         "8}}, {name: b}],",
         "token=t:644 "},
        {"initContainers: [{name: i}], containers: [{name: a, securityContext: {runAsUser: 8}}],",
         "token=t:644 "},
        {"initContainers: [{name: i, securityContext: {runAsUser: 0}}], containers: [{name: a, "
         "securityContext: {runAsUser: 0}}],",
         "token=t:600:0 "},
        {"securityContext: {runAsUser: 8}, containers: [{name: a}], ephemeralContainers: [{name: "
         "e, securityContext: {runAsUser: 9}}],",
         "token=t:644 "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        gather(&bench, TOKEN, rows[i].spec);
        assert_string_equal(fake_log(bench.client, 0),
                            "POST /api/v1/namespaces/ns/serviceaccounts/sa/token");
        const Authentication__TokenRequestSpec *asked =
            ((Authentication__TokenRequest *)fake_first(bench.client)->body)->spec;
        assert_int_equal(asked->n_audiences, 1);
        assert_string_equal(asked->audiences[0], "vault");
        assert_string_equal(asked->bound_object_ref->uid, "u1");
        reply_token(&bench, "t");
        assert_string_equal(built(&bench), rows[i].want);
    }
}

TEST_CASE(a_cancelled_gathering_is_silent)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    gather(&bench, ALL_KINDS, "");
    reply_config_map(&bench, "cm", "k", "v");
    fake_loop_advance(bench.loop, 0);
    content_gather_cancel(TAKE(bench.gather));
    fake_loop_advance(bench.loop, NS_PER_SEC);
    assert_int_equal(bench.n_done, 0);
}

TEST_CASE(mounts_inside_a_volume_are_found)
{
    static const struct {
        const char *mounts, *want;
    } rows[] = {
        {"{name: v, mountPath: /cfg}", ""},
        {"{name: v, mountPath: /cfg/}, {name: w, mountPath: /cfg/x/y}, {name: w, mountPath: "
         "/cfg/x/y/z}, {name: w, mountPath: /cfgs}, {name: w, mountPath: /cfg/a}",
         "a x/y "},
        {"{name: w, mountPath: /cfg/a}", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        gather(&bench, "downwardAPI: {defaultMode: 420}",
               arena_printf(bench.arena, "containers: [{name: c, volumeMounts: [%s]}],",
                            rows[i].mounts));
        AUTO(buf) struct buf out;
        buf_init(&out, 4 * KiB);
        for (size_t k = 0; bench.content->nested[k]; k++)
            buf_printf(&out, "%s ", bench.content->nested[k]);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

TEST_CASE(a_tokens_renewal_is_always_to_come)
{
    static const struct {
        const char *name;
        int64_t left_s, requested_s, want_s;
    } rows[] = {
        {"fresh", 3600, 3600, 2881},
        {"half way", 1800, 3600, 1081},
        {"late, since the server gives none", 500, 3600, 100},
        {"very late", 100, 3600, 60},
        {"expired", -100, 3600, 60},
        {"shorter than asked for", 3600, 86400, 720},
        {"for ever", INT64_C(100) * 86400, INT64_C(100) * 86400, 86401},
        {"a cached one of yesterday", INT64_C(100) * 86400 - 80000, INT64_C(100) * 86400, 6401},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].name);
        int64_t now_ns = INT64_C(1800000000) * NS_PER_SEC;
        assert_int_equal(content_token_refresh_ns(now_ns, now_ns + rows[i].left_s * NS_PER_SEC,
                                                  rows[i].requested_s) -
                             now_ns,
                         rows[i].want_s * NS_PER_SEC);
    }
}

TEST_MAIN(TEST(a_config_map_is_waited_for), TEST(objects_nobody_tells_of_are_read_again_in_time),
          TEST(what_is_missing_is_told_in_upstreams_words), TEST(the_downward_api_needs_nobody),
          TEST(a_projected_volume_asks_for_everything_at_once),
          TEST(later_sources_win_and_all_failures_are_told), TEST(sources_nobody_makes_are_refused),
          TEST(without_an_api_server_only_the_downward_api_is_there),
          TEST(a_tokens_mode_and_owner_follow_who_reads_it), TEST(a_cancelled_gathering_is_silent),
          TEST(mounts_inside_a_volume_are_found), TEST(a_tokens_renewal_is_always_to_come))
