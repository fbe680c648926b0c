/*
 * What a pod takes from the API server while it starts: ConfigMaps, Secrets and services for its
 * environment, pull secrets for its images, the handler of its RuntimeClass; and what its volumes
 * follow while it runs. The server is the test.
 */
#include "kube/codec_base64.h"
#include "kube/object_watch.h"
#include "kube/reflector.h"
#include "pod/api_source.h"
#include "pods_bench.h"
#include "tests/unit/kube/fake_api_client.h"

/* Objects are read each time (strategy Get), so every read is a request. */
struct objects {
    struct bench bench;
    struct api_client *client;
    struct object_watch *config_maps, *secrets;
    struct reflector *services, *classes;
    struct pods_api api;
};

static struct reflector *reflect(const struct objects *it, const char *api_version,
                                 const char *kind)
{
    static const struct reflector_listener silent = {0};
    const struct reflector_options options = {.kind = kube_kind_find(api_version, kind),
                                              .is_streaming_off = true};
    struct reflector *reflector =
        reflector_new(it->bench.loop, it->client, &options, &silent, NULL);
    reflector_start(reflector);
    return reflector;
}

static struct object_watch *watch(const struct objects *it, const char *kind)
{
    return object_watch_new(it->bench.loop, it->client,
                            &(struct object_watch_options){.kind = kube_kind_find("v1", kind),
                                                           .strategy = OBJECT_STRATEGY_GET});
}

/* Once a reflector's list is answered its watch waits; that is no business of these tests. */
static void answer_list(struct objects *it, const char *target, const char *kind_api,
                        const char *kind, const char *yaml)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    const struct kube_kind *of = kube_kind_find(kind_api, kind);
    ProtobufCMessage *message = NULL;
    if (yaml)
        assert_no_error(
            kube_decode_yaml(str_from(yaml), of->type, &options, it->bench.arena, &message));
    const ProtobufCMessage *list[] = {message};
    bench_until(&it->bench, fake_find(it->client, target));
    fake_reply_list(fake_find(it->client, target), list, yaml ? 1 : 0, "5", NULL);
}

#define DB                                                                                         \
    "{metadata: {namespace: d, name: db, uid: s1, resourceVersion: '1'}, spec: {clusterIP: "       \
    "10.0.0.3, ports: [{port: 1}]}}"

static void sync_services(struct objects *it)
{
    answer_list(it, "/api/v1/services?", "v1", "Service", DB);
}

/* Volumes are made of what the test's server has. @reread_ns: as in struct volume_sources. */
static void make_volumes(struct objects *it, int64_t reread_ns)
{
    volume_manager_free(it->bench.volumes);
    const struct volume_options options = {.root_dir = it->bench.node.root_dir,
                                           .sources = {.config_maps = it->config_maps,
                                                       .secrets = it->secrets,
                                                       .reread_ns = reread_ns}};
    it->bench.volumes = volume_manager_new(it->bench.loop, it->bench.pool, &options);
    it->bench.env.volumes = it->bench.volumes;
}

/* Services are synced, RuntimeClasses are not. */
static void objects_init(struct objects *it)
{
    *it = (struct objects){0};
    bench_init(&it->bench);
    /* The node's own logins would count. */
    assert_int_equal(setenv("HOME", it->bench.dir, 1), 0);
    it->client = fake_api_client_new(it->bench.loop);
    it->config_maps = watch(it, "ConfigMap");
    it->secrets = watch(it, "Secret");
    it->services = reflect(it, "v1", "Service");
    it->classes = reflect(it, "node.k8s.io/v1", "RuntimeClass");
    it->api = (struct pods_api){.config_maps = it->config_maps,
                                .secrets = it->secrets,
                                .services = it->services,
                                .runtime_classes = it->classes};
    it->bench.env.api = &it->api;
    it->bench.env.sources = 1U << POD_SOURCE_API;
    make_volumes(it, 0);
}

static void objects_done(struct objects *it)
{
    assert_string_equal(fake_runtime_violations(it->bench.fake), "");
    bench_stop(&it->bench);
    volume_manager_free(TAKE(it->bench.volumes));
    object_watch_free(it->config_maps);
    object_watch_free(it->secrets);
    reflector_free(it->services);
    reflector_free(it->classes);
    assert_int_equal(fake_pending(it->client), 0);
    api_client_free(it->client);
    bench_done(&it->bench);
}

/* Puts pod @name (uid "u-<name>") with one container "c"; both parts in flow text, may be "". */
static void put_named(struct objects *it, const char *name, const char *spec, const char *container)
{
    struct arena *arena = it->bench.arena;
    const char *text = arena_printf(
        arena,
        "{metadata: {name: %s, namespace: d, uid: u-%s}, spec: {%s%scontainers: "
        "[{name: c%s%s%s}]}}",
        name, name, spec, *spec ? ", " : "", strstr(container, "image:") ? "" : ", image: 'img:1'",
        *container ? ", " : "", container);
    Core__Pod *pod = pod_from_yaml(text, arena);
    AUTO(kube_object)
    const struct kube_object *object = kube_object_new(kube_kind_find("v1", "Pod"), &pod->base);
    AUTO(pod_object)
    struct pod_object *wanted = pod_object_from_api(object, loop_now_wall_ns(it->bench.loop));
    pods_put(it->bench.pods, wanted);
}

static void put(struct objects *it, const char *spec, const char *container)
{
    put_named(it, "web", spec, container);
}

static void begin(struct objects *it, const char *spec, const char *container)
{
    bench_start(&it->bench);
    put(it, spec, container);
    pods_source_ready(it->bench.pods, POD_SOURCE_API);
}

static void answer_get(struct objects *it, const char *kind, const char *target, const char *yaml)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_yaml(str_from(yaml), kube_kind_find("v1", kind)->type, &options,
                                     it->bench.arena, &message));
    bench_until(&it->bench, fake_find(it->client, target));
    fake_reply(fake_find(it->client, target), message);
}

static void refuse_get(struct objects *it, const char *target, const char *message)
{
    bench_until(&it->bench, fake_find(it->client, target));
    fake_fail(fake_find(it->client, target), 404, "NotFound", message);
}

#define CM_TARGET "/api/v1/namespaces/d/configmaps/cm"
#define SECRET_TARGET(name) "/api/v1/namespaces/d/secrets/" name
#define REFERS                                                                                     \
    "env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: k}}}], envFrom: [{secretRef: "   \
    "{name: s}}]"

/* "A=1 B=2" of the running container. */
static const char *env_of(const struct objects *it)
{
    const Cri__ContainerConfig *config = fake_runtime_config(it->bench.fake, "web", "c");
    assert_non_null(config);
    const char *all = "";
    for (size_t i = 0; i < config->n_envs; i++)
        all = arena_printf(it->bench.arena, "%s%s%s=%.*s", all, i ? " " : "", config->envs[i]->key,
                           (int)config->envs[i]->value.len,
                           (const char *)config->envs[i]->value.data);
    return all;
}

static const char *waiting_message(const struct objects *it)
{
    const Core__ContainerStatus *status = bench_container(&it->bench, "u-web", "c");
    bool waits = status && status->state && status->state->waiting;
    return waits && status->state->waiting->message ? status->state->waiting->message : "";
}

/* The last message of @reason in the pod's timeline; "" when there is none. */
static const char *event_message(const struct objects *it, const char *reason)
{
    struct bench_look look = bench_look(&it->bench, "u-web");
    const char *message = "";
    for (size_t i = 0; look.found && i < look.view.timeline->count; i++) {
        const struct timeline_entry *entry = timeline_at(look.view.timeline, i);
        if (text_eq(entry->reason, reason))
            message = entry->message;
    }
    return message;
}

#define DB_ENV                                                                                     \
    "DB_SERVICE_HOST=10.0.0.3 DB_SERVICE_PORT=1 DB_PORT=tcp://10.0.0.3:1 "                         \
    "DB_PORT_1_TCP=tcp://10.0.0.3:1 DB_PORT_1_TCP_PROTO=tcp DB_PORT_1_TCP_PORT=1 "                 \
    "DB_PORT_1_TCP_ADDR=10.0.0.3"

/* --- the environment --- */

TEST_CASE(a_container_that_refers_to_nothing_asks_for_nothing)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    size_t asked = fake_started(it.client);
    begin(&it, "", "");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_string_equal(env_of(&it), DB_ENV);
    for (size_t i = asked; i < fake_started(it.client); i++)
        assert_null(strstr(fake_log(it.client, i), "GET"));
    objects_done(&it);
}

TEST_CASE(a_container_waits_for_all_it_refers_to)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "enableServiceLinks: false", REFERS);
    bench_until(&it.bench, fake_find(it.client, CM_TARGET));
    assert_non_null(fake_find(it.client, SECRET_TARGET("s"))); /* both at the same time */
    answer_get(&it, "ConfigMap", CM_TARGET, "{metadata: {name: cm}, data: {k: v}}");
    bench_idle(&it.bench);
    assert_int_equal(fake_runtime_count(it.bench.fake, RUNTIME_CREATE_CONTAINER), 0);
    answer_get(&it, "Secret", SECRET_TARGET("s"), "{metadata: {name: s}, data: {B: Yg==}}");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_string_equal(env_of(&it), "B=b A=v");
    objects_done(&it);
}

TEST_CASE(a_container_with_subpaths_waits_for_all_it_refers_to)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "volumes: [{name: v, emptyDir: {}}]",
          REFERS ", volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(A)}]");
    answer_get(&it, "ConfigMap", CM_TARGET, "{metadata: {name: cm}, data: {k: 'a/../../b'}}");
    answer_get(&it, "Secret", SECRET_TARGET("s"), "{metadata: {name: s}}");
    bench_until(&it.bench,
                text_eq(bench_state(&it.bench, "u-web", "c"), "CreateContainerConfigError"));
    assert_non_null(strstr(waiting_message(&it), ".."));
    objects_done(&it);
}

TEST_CASE(a_missing_object_is_waited_for)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "", REFERS);
    refuse_get(&it, CM_TARGET, "configmaps \"cm\" not found");
    answer_get(&it, "Secret", SECRET_TARGET("s"), "{metadata: {name: s}}");
    bench_until(&it.bench,
                text_eq(bench_state(&it.bench, "u-web", "c"), "CreateContainerConfigError"));
    assert_string_equal(waiting_message(&it), "configmaps \"cm\" not found");
    assert_string_equal(event_message(&it, "Failed"), "Error: configmaps \"cm\" not found");
    answer_get(&it, "ConfigMap", CM_TARGET, "{metadata: {name: cm}, data: {k: v}}");
    answer_get(&it, "Secret", SECRET_TARGET("s"), "{metadata: {name: s}}");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    objects_done(&it);
}

TEST_CASE(a_pod_that_ends_waits_for_nothing)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "imagePullSecrets: [{name: p}]", REFERS);
    bench_until(&it.bench, fake_find(it.client, SECRET_TARGET("p")));
    pods_drop(it.bench.pods, POD_SOURCE_API, "u-web");
    bench_until(&it.bench, !bench_has_pod(&it.bench, "u-web"));
    assert_null(fake_find(it.client, SECRET_TARGET("p")));

    put(&it, "", REFERS);
    bench_until(&it.bench, fake_find(it.client, CM_TARGET));
    pods_drop(it.bench.pods, POD_SOURCE_API, "u-web");
    bench_until(&it.bench, !bench_has_pod(&it.bench, "u-web"));
    assert_null(fake_find(it.client, CM_TARGET));
    objects_done(&it);
}

/* Answers whoever asks until the container runs. */
static void answer_until_it_runs(struct objects *it)
{
    for (size_t i = 0; i < BENCH_TURNS; i++) {
        if (text_eq(bench_state(&it->bench, "u-web", "c"), "running"))
            return;
        if (fake_find(it->client, CM_TARGET))
            answer_get(it, "ConfigMap", CM_TARGET, "{metadata: {name: cm}, data: {k: v}}");
        if (fake_find(it->client, SECRET_TARGET("s")))
            answer_get(it, "Secret", SECRET_TARGET("s"), "{metadata: {name: s}, data: {B: Yg==}}");
        loop_turn(it->bench.loop, BENCH_WAIT_NS);
    }
    fail_msg("it never runs: %s", waiting_message(it));
}

TEST_CASE(a_pod_or_its_objects_may_change_at_any_moment_of_a_start)
{
    for (size_t turns = 0; turns < 30; turns++) {
        struct objects it;
        objects_init(&it);
        sync_services(&it);
        begin(&it, "enableServiceLinks: false", REFERS);
        bench_until(&it.bench, fake_find(it.client, CM_TARGET));
        if (turns > 0)
            answer_get(&it, "ConfigMap", CM_TARGET, "{metadata: {name: cm}, data: {k: v}}");
        if (turns > 1)
            answer_get(&it, "Secret", SECRET_TARGET("s"), "{metadata: {name: s}, data: {B: Yg==}}");
        for (size_t i = 2; i < turns; i++)
            loop_turn(it.bench.loop, 0);
        put(&it, "enableServiceLinks: false, activeDeadlineSeconds: 600", REFERS);
        pods_object_changed(it.bench.pods, true, "d", "s");
        answer_until_it_runs(&it);
        assert_string_equal(env_of(&it), "B=b A=v");
        assert_int_equal(fake_runtime_count(it.bench.fake, RUNTIME_CREATE_CONTAINER), 1);
        assert_int_equal(bench_events(&it.bench, "u-web", "Failed"), 0);
        objects_done(&it);
    }
}

TEST_CASE(services_are_waited_for)
{
    struct objects it;
    objects_init(&it);
    begin(&it, "", "");
    bench_until(&it.bench,
                text_eq(bench_state(&it.bench, "u-web", "c"), "CreateContainerConfigError"));
    assert_string_equal(waiting_message(&it),
                        "services have not yet been read at least once, cannot construct envvars");
    sync_services(&it);
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_string_equal(env_of(&it), DB_ENV);
    objects_done(&it);
}

/* --- images --- */

#define PULLS "image: 'r.example/a:1'"
static const char *login(const struct objects *it, const char *host, const char *user,
                         const char *password)
{
    AUTO(free)
    char *json = xasprintf("{\"auths\": {\"%s\": {\"username\": \"%s\", \"password\": \"%s\"}}}",
                           host, user, password);
    AUTO(free) char *text = base64_encode((const uint8_t *)json, strlen(json));
    return arena_printf(it->bench.arena,
                        "{metadata: {name: x}, type: kubernetes.io/dockerconfigjson, data: "
                        "{.dockerconfigjson: %s}}",
                        text);
}

TEST_CASE(logins_are_tried_in_order)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    bench_write(bench_path(&it.bench, "root/config.json"),
                "{\"auths\": {\"r.example\": {\"username\": \"node\", \"password\": \"p\"}}}");
    begin(&it, "imagePullSecrets: [{name: p}, {}, {name: q}, {name: r}]", PULLS);
    answer_get(&it, "Secret", SECRET_TARGET("q"), login(&it, "r.example", "second", "wrong2"));
    answer_get(&it, "Secret", SECRET_TARGET("p"), login(&it, "r.example", "first", "wrong1"));
    answer_get(&it, "Secret", SECRET_TARGET("r"), login(&it, "other.example", "third", "p"));
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_string_equal(bench_transcript(&it.bench), "RunPodSandbox web/0\n"
                                                     "PullImage r.example/a:1 as first !\n"
                                                     "PullImage r.example/a:1 as second !\n"
                                                     "PullImage r.example/a:1 as node\n"
                                                     "CreateContainer web.c/0\n"
                                                     "StartContainer web.c/0\n");
    assert_int_equal(bench_events(&it.bench, "u-web", "Pulling"), 1);
    assert_string_equal(event_message(&it, "FailedToRetrieveImagePullSecret"), "");
    objects_done(&it);
}

TEST_CASE(every_refusal_is_told)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "imagePullSecrets: [{name: p}, {name: q}, {name: r}]", PULLS);
    answer_get(&it, "Secret", SECRET_TARGET("p"), login(&it, "r.example", "one", "wrong1"));
    answer_get(&it, "Secret", SECRET_TARGET("q"), login(&it, "r.example", "two", "wrong2"));
    answer_get(&it, "Secret", SECRET_TARGET("r"), login(&it, "r.example", "one", "wrong3"));
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "ErrImagePull"));
    assert_string_equal(waiting_message(&it), "[one is refused, two is refused]");
    assert_int_equal(fake_runtime_count(it.bench.fake, IMAGE_PULL_IMAGE), 3);
    objects_done(&it);
}

TEST_CASE(a_missing_pull_secret_is_told_and_done_without)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "imagePullSecrets: [{name: p}, {name: q}]", PULLS);
    refuse_get(&it, SECRET_TARGET("p"), "secrets \"p\" not found");
    refuse_get(&it, SECRET_TARGET("q"), "secrets \"q\" not found");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_string_equal(event_message(&it, "FailedToRetrieveImagePullSecret"),
                        "Unable to retrieve some image pull secrets (p, q); attempting to pull the "
                        "image may not succeed.");
    assert_non_null(strstr(bench_transcript(&it.bench), "PullImage r.example/a:1\n"));
    objects_done(&it);
}

TEST_CASE(a_malformed_pull_secret_fails_the_pull)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "imagePullSecrets: [{name: p}]", PULLS);
    answer_get(&it, "Secret", SECRET_TARGET("p"),
               "{metadata: {name: p}, type: kubernetes.io/dockercfg, data: {.dockercfg: e3M=}}");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"),
                                   "a docker configuration is not JSON"));
    assert_string_equal(event_message(&it, "Failed"), "Error: a docker configuration is not JSON");
    assert_int_equal(fake_runtime_count(it.bench.fake, IMAGE_PULL_IMAGE), 0);
    objects_done(&it);
}

#define PRIVATE "image: 'r.example/private:1', imagePullPolicy: "
#define LOGIN "imagePullSecrets: [{name: p}]"

/* A pull secret with its own uid, of which "p" in namespace d is the first. */
static const char *secret_login(const struct objects *it, const char *name, const char *uid,
                                const char *password)
{
    const char *text = login(it, "r.example", "me", password);
    return arena_printf(it->bench.arena, "{metadata: {namespace: d, name: %s, uid: %s}%s", name,
                        uid, text + strlen("{metadata: {name: x}"));
}

/* Pod "web" has pulled the private image with secret p; anonymously nobody can. */
static void begin_private(struct objects *it)
{
    objects_init(it);
    sync_services(it);
    begin(it, LOGIN, PRIVATE "IfNotPresent");
    answer_get(it, "Secret", SECRET_TARGET("p"), secret_login(it, "p", "u1", "one"));
    bench_until(&it->bench, text_eq(bench_state(&it->bench, "u-web", "c"), "running"));
    assert_int_equal(fake_runtime_count(it->bench.fake, IMAGE_PULL_IMAGE), 1);
}

TEST_CASE(a_pod_without_the_secret_may_not_use_what_another_pulled_with_it)
{
    static const struct {
        const char *policy, *reason;
        size_t pulls;
    } rows[] = {{"IfNotPresent", "ImagePullBackOff", 2}, {"Never", "ErrImageNeverPull", 1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct objects it;
        begin_private(&it);
        put_named(&it, "other", "", arena_printf(it.bench.arena, PRIVATE "%s", rows[i].policy));
        bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-other", "c"), rows[i].reason));
        assert_int_equal(fake_runtime_count(it.bench.fake, IMAGE_PULL_IMAGE), rows[i].pulls);
        assert_true(metrics_value(it.bench.metrics,
                                  "kubelet_imagemanager_image_mustpull_checks_total",
                                  "mustAuthenticate") >= 1);
        assert_true(metrics_value(it.bench.metrics,
                                  "kubelet_image_manager_ensure_image_requests_total",
                                  i == 0 ? "true,ifnotpresent,true" : "true,never,true") >= 1);
        objects_done(&it);
    }
}

TEST_CASE(a_pod_with_the_same_login_uses_what_another_pulled_with_it)
{
    static const struct {
        const char *what, *name, *uid, *password, *policy;
        size_t pulls;
    } rows[] = {{"the same secret", "p", "u1", "one", "Never", 1},
                {"another secret of the same content", "q", "u2", "one", "Never", 1},
                {"the same secret of other content", "p", "u1", "two", "Never", 1},
                {"another secret that does for a pull", "q", "u2", "two", "IfNotPresent", 2}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct objects it;
        begin_private(&it);
        struct arena *arena = it.bench.arena;
        put_named(&it, "other", arena_printf(arena, "imagePullSecrets: [{name: %s}]", rows[i].name),
                  arena_printf(arena, PRIVATE "%s", rows[i].policy));
        answer_get(&it, "Secret", arena_printf(arena, SECRET_TARGET("%s"), rows[i].name),
                   secret_login(&it, rows[i].name, rows[i].uid, rows[i].password));
        bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-other", "c"), "running"));
        if (fake_runtime_count(it.bench.fake, IMAGE_PULL_IMAGE) != rows[i].pulls)
            fail_msg("%s: pulled again", rows[i].what);
        objects_done(&it);
    }
}

TEST_CASE(a_malformed_pull_secret_matters_only_when_access_depends_on_it)
{
    static const struct {
        const char *image, *state;
    } rows[] = {{"img:1", "running"},
                {"r.example/private:1", "a docker configuration is not JSON"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct objects it;
        begin_private(&it);
        struct arena *arena = it.bench.arena;
        put_named(&it, "other", "imagePullSecrets: [{name: q}]",
                  arena_printf(arena, "image: '%s', imagePullPolicy: IfNotPresent", rows[i].image));
        answer_get(&it, "Secret", SECRET_TARGET("q"),
                   "{metadata: {name: q}, type: kubernetes.io/dockercfg, data: {.dockercfg: "
                   "e3M=}}");
        bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-other", "c"), rows[i].state));
        assert_int_equal(fake_runtime_count(it.bench.fake, IMAGE_PULL_IMAGE), 1);
        objects_done(&it);
    }
}

/* --- the runtime's handler --- */

TEST_CASE(a_runtime_class_names_the_handler)
{
    struct objects it;
    objects_init(&it);
    sync_services(&it);
    begin(&it, "runtimeClassName: sandboxed", "");
    bench_until(&it.bench, bench_events(&it.bench, "u-web", "FailedCreatePodSandBox") > 0);
    assert_string_equal(
        event_message(&it, "FailedCreatePodSandBox"),
        "Failed to create pod sandbox: runtimeclass.node.k8s.io \"sandboxed\" not found");
    assert_int_equal(fake_runtime_count(it.bench.fake, RUNTIME_RUN_POD_SANDBOX), 0);
    answer_list(&it, "/runtimeclasses?", "node.k8s.io/v1", "RuntimeClass",
                "{metadata: {name: sandboxed, uid: r1, resourceVersion: '1'}, handler: kata}");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_true(text_has_prefix(bench_transcript(&it.bench), "RunPodSandbox web/0 with kata\n"));
    objects_done(&it);
}

#define READ_ONLY                                                                                  \
    "volumeMounts: [{name: v, mountPath: /v, readOnly: true, recursiveReadOnly: Enabled}]"

TEST_CASE(what_a_handler_can_do_is_its_own)
{
    struct objects it;
    objects_init(&it);
    fake_runtime_add_handler(it.bench.fake, "", false);
    fake_runtime_add_handler(it.bench.fake, "kata", true);
    sync_services(&it);
    answer_list(&it, "/runtimeclasses?", "node.k8s.io/v1", "RuntimeClass",
                "{metadata: {name: sandboxed, uid: r1, resourceVersion: '1'}, handler: kata}");
    begin(&it, "runtimeClassName: sandboxed, volumes: [{name: v, emptyDir: {}}]", READ_ONLY);
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    assert_true(fake_runtime_config(it.bench.fake, "web", "c")->mounts[0]->recursive_read_only);
    objects_done(&it);

    objects_init(&it);
    fake_runtime_add_handler(it.bench.fake, "", false);
    fake_runtime_add_handler(it.bench.fake, "kata", true);
    sync_services(&it);
    begin(&it, "volumes: [{name: v, emptyDir: {}}]", READ_ONLY);
    bench_until(&it.bench,
                text_eq(bench_state(&it.bench, "u-web", "c"), "CreateContainerConfigError"));
    assert_non_null(strstr(waiting_message(&it), "but it is not supported by the runtime"));
    objects_done(&it);
}

TEST_CASE(standalone_a_runtime_class_is_the_default_one)
{
    struct bench bench;
    bench_init(&bench);
    bench_begin(&bench, "web", "runtimeClassName: sandboxed, " BENCH_WEB);
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_true(text_has_prefix(bench_transcript(&bench), "RunPodSandbox web-n/0\n"));
    bench_finish(&bench);
}

/* --- volumes --- */

#define VOLUME "root/pods/u-web/volumes/kubernetes.io~configmap/v"

static void answer_value(struct objects *it, const char *value)
{
    answer_get(it, "ConfigMap", CM_TARGET,
               arena_printf(it->bench.arena, "{metadata: {name: cm}, data: {k: '%s'}}", value));
}

static bool shows(const struct objects *it, const char *value)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 4 * KiB);
    AUTO(error)
    struct error *err = fd_read_file_blocking(bench_path(&it->bench, VOLUME "/k"), &text);
    return !err && text_eq(buf_text(&text), value);
}

static void put_with_volume(struct objects *it, const char *more)
{
    put(it,
        arena_printf(it->bench.arena,
                     "%svolumes: [{name: v, configMap: {name: cm, defaultMode: 420}}]", more),
        "volumeMounts: [{name: v, mountPath: /v}]");
}

/* The container runs, and its volume has value "1". */
static void run_with_volume(struct objects *it)
{
    sync_services(it);
    bench_start(&it->bench);
    put_with_volume(it, "");
    pods_source_ready(it->bench.pods, POD_SOURCE_API);
    answer_value(it, "1");
    bench_until(&it->bench, text_eq(bench_state(&it->bench, "u-web", "c"), "running"));
    bench_rest(&it->bench);
    assert_true(shows(it, "1"));
}

static void change(struct objects *it)
{
    pods_object_changed(it->bench.pods, false, "d", "cm");
}

TEST_CASE(a_volume_follows_its_object_while_the_container_runs)
{
    struct objects it;
    objects_init(&it);
    run_with_volume(&it);
    pods_object_changed(it.bench.pods, true, "d", "cm");
    pods_object_changed(it.bench.pods, false, "other", "cm");
    pods_object_changed(it.bench.pods, false, "d", "other");
    bench_idle(&it.bench);
    assert_null(fake_find(it.client, CM_TARGET));
    change(&it);
    bench_until(&it.bench, fake_find(it.client, CM_TARGET));
    assert_true(shows(&it, "1"));
    change(&it); /* once more while the answer is under way: that may be the older one */
    answer_value(&it, "2");
    bench_until(&it.bench, shows(&it, "2"));
    answer_value(&it, "3");
    bench_until(&it.bench, shows(&it, "3"));
    bench_rest(&it.bench);
    assert_null(fake_find(it.client, CM_TARGET));
    assert_int_equal(fake_runtime_count(it.bench.fake, RUNTIME_CREATE_CONTAINER), 1);
    assert_int_equal(bench_events(&it.bench, "u-web", "FailedMount"), 0);
    objects_done(&it);
}

TEST_CASE(a_refresh_that_fails_keeps_the_content_and_comes_again)
{
    struct objects it;
    objects_init(&it);
    run_with_volume(&it);
    change(&it);
    refuse_get(&it, CM_TARGET, "configmaps \"cm\" not found");
    bench_until(&it.bench, bench_events(&it.bench, "u-web", "FailedMount") == 1);
    assert_string_equal(event_message(&it, "FailedMount"),
                        "MountVolume.SetUp failed for volume \"v\" : configmaps \"cm\" not found");
    bench_idle(&it.bench);
    assert_null(fake_find(it.client, CM_TARGET)); /* not before half a second has passed */
    assert_true(shows(&it, "1"));
    assert_string_equal(bench_state(&it.bench, "u-web", "c"), "running");
    answer_value(&it, "2");
    bench_until(&it.bench, shows(&it, "2"));

    change(&it);
    refuse_get(&it, CM_TARGET, "configmaps \"cm\" not found");
    bench_until(&it.bench, bench_events(&it.bench, "u-web", "FailedMount") == 2);
    change(&it); /* what has come is not waited for */
    bench_idle(&it.bench);
    assert_non_null(fake_find(it.client, CM_TARGET));
    answer_value(&it, "3");
    bench_until(&it.bench, shows(&it, "3"));
    objects_done(&it);
}

TEST_CASE(a_pod_may_end_at_any_moment_of_a_refresh)
{
    /* Asked, answered, and some turns later. */
    for (size_t turns = 0; turns < 6; turns++) {
        struct objects it;
        objects_init(&it);
        run_with_volume(&it);
        change(&it);
        bench_until(&it.bench, fake_find(it.client, CM_TARGET));
        if (turns > 0)
            answer_value(&it, "2");
        for (size_t i = 1; i < turns; i++)
            loop_turn(it.bench.loop, 0);
        pods_drop(it.bench.pods, POD_SOURCE_API, "u-web");
        bench_until(&it.bench, !bench_has_pod(&it.bench, "u-web"));
        assert_null(fake_find(it.client, CM_TARGET));
        assert_false(bench_exists(&it.bench, "root/pods/u-web"));
        objects_done(&it);
    }
}

TEST_CASE(a_pod_may_change_at_any_moment_of_a_refresh)
{
    for (size_t turns = 0; turns < 6; turns++) {
        struct objects it;
        objects_init(&it);
        run_with_volume(&it);
        change(&it);
        bench_until(&it.bench, fake_find(it.client, CM_TARGET));
        if (turns > 0)
            answer_value(&it, "2");
        for (size_t i = 1; i < turns; i++)
            loop_turn(it.bench.loop, 0);
        put_with_volume(&it, "activeDeadlineSeconds: 600, ");
        for (size_t i = 0; i < BENCH_QUIET_TURNS; i++) {
            loop_turn(it.bench.loop, BENCH_WAIT_NS);
            if (fake_find(it.client, CM_TARGET))
                answer_value(&it, "3");
        }
        bench_until(&it.bench, shows(&it, "2") || shows(&it, "3"));
        assert_int_equal(bench_events(&it.bench, "u-web", "FailedMount"), 0);
        objects_done(&it);
    }
}

TEST_CASE(what_nobody_tells_of_is_read_again)
{
    struct objects it;
    objects_init(&it);
    make_volumes(&it, 5 * NS_PER_MS);
    sync_services(&it);
    bench_start(&it.bench);
    put_with_volume(&it, "");
    pods_source_ready(it.bench.pods, POD_SOURCE_API);
    answer_value(&it, "1");
    bench_until(&it.bench, text_eq(bench_state(&it.bench, "u-web", "c"), "running"));
    answer_value(&it, "2");
    bench_until(&it.bench, shows(&it, "2"));
    answer_value(&it, "3");
    bench_until(&it.bench, shows(&it, "3"));
    objects_done(&it);
}

TEST_CASE(a_pod_found_running_still_follows)
{
    struct objects it;
    objects_init(&it);
    run_with_volume(&it);
    bench_stop(&it.bench); /* the agent restarts */
    bench_start(&it.bench);
    put_with_volume(&it, "");
    pods_source_ready(it.bench.pods, POD_SOURCE_API);
    answer_value(&it, "2");
    bench_until(&it.bench, shows(&it, "2"));
    assert_int_equal(fake_runtime_count(it.bench.fake, RUNTIME_CREATE_CONTAINER), 1);
    objects_done(&it);
}

TEST_MAIN(TEST(a_pod_found_running_still_follows),
          TEST(a_container_that_refers_to_nothing_asks_for_nothing),
          TEST(a_container_waits_for_all_it_refers_to),
          TEST(a_container_with_subpaths_waits_for_all_it_refers_to),
          TEST(a_missing_object_is_waited_for), TEST(a_pod_that_ends_waits_for_nothing),
          TEST(a_pod_or_its_objects_may_change_at_any_moment_of_a_start),
          TEST(services_are_waited_for), TEST(logins_are_tried_in_order),
          TEST(every_refusal_is_told), TEST(a_missing_pull_secret_is_told_and_done_without),
          TEST(a_malformed_pull_secret_fails_the_pull),
          TEST(a_pod_without_the_secret_may_not_use_what_another_pulled_with_it),
          TEST(a_pod_with_the_same_login_uses_what_another_pulled_with_it),
          TEST(a_malformed_pull_secret_matters_only_when_access_depends_on_it),
          TEST(a_runtime_class_names_the_handler), TEST(what_a_handler_can_do_is_its_own),
          TEST(standalone_a_runtime_class_is_the_default_one),
          TEST(a_volume_follows_its_object_while_the_container_runs),
          TEST(a_refresh_that_fails_keeps_the_content_and_comes_again),
          TEST(a_pod_may_end_at_any_moment_of_a_refresh),
          TEST(a_pod_may_change_at_any_moment_of_a_refresh),
          TEST(what_nobody_tells_of_is_read_again))
