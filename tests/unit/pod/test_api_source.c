#include "pod/api_source.h"

#include "base/buf.h"
#include "kube/resources.h"
#include "tests/unit/kube/fake_api_client.h"
#include "tests/unit/kube/fake_loop.h"
#include "tests/unit/kube/pod_yaml.h"

/* A source and all it has told, in short: "+a ~a -u-a m:s m-:s ready ". */
struct bench {
    struct loop *loop;
    struct api_client *client;
    struct api_source *source;
    struct arena *arena;
    struct buf told;
    size_t callbacks, frees_at; /* the how-many-eth callback frees the source; 0: none */
    struct pod_object *last;    /* of on_pod; a reference */
};

static void count_callback(struct bench *bench)
{
    if (++bench->callbacks == bench->frees_at)
        api_source_free(TAKE(bench->source));
}

static void on_pod(void *ctx, struct pod_object *object, bool is_new)
{
    struct bench *bench = ctx;
    buf_printf(&bench->told, "%c%s ", is_new ? '+' : '~', object->pod->metadata->name);
    pod_object_unref(bench->last);
    bench->last = pod_object_ref(object);
    count_callback(bench);
}

static void on_pod_gone(void *ctx, const char *uid)
{
    struct bench *bench = ctx;
    buf_printf(&bench->told, "-%s ", uid);
    count_callback(bench);
}

static void on_mirror(void *ctx, const struct kube_object *mirror)
{
    struct bench *bench = ctx;
    buf_printf(&bench->told, "m:%s ", kube_object_name(mirror));
    count_callback(bench);
}

static void on_mirror_gone(void *ctx, const struct kube_object *mirror)
{
    struct bench *bench = ctx;
    buf_printf(&bench->told, "m-:%s ", kube_object_name(mirror));
    count_callback(bench);
}

static void on_ready(void *ctx)
{
    struct bench *bench = ctx;
    buf_add_text(&bench->told, "ready ");
    count_callback(bench);
}

static const struct api_source_listener listener = {.on_pod = on_pod,
                                                    .on_pod_gone = on_pod_gone,
                                                    .on_mirror = on_mirror,
                                                    .on_mirror_gone = on_mirror_gone,
                                                    .on_ready = on_ready};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    assert_no_error(loop_new(&bench->loop));
    bench->client = fake_api_client_new(bench->loop);
    bench->arena = arena_new(0);
    buf_init(&bench->told, 64 * KiB);
    bench->source = api_source_new(bench->loop, bench->client, "node-a", &listener, bench);
}

static void auto_release_bench(struct bench *bench)
{
    pod_object_unref(bench->last);
    api_source_free(bench->source);
    assert_int_equal(fake_pending(bench->client), 0);
    fake_loop_advance(bench->loop, 0);
    assert_int_equal(fake_loop_live(bench->loop), 0);
    api_client_free(bench->client);
    loop_free(bench->loop);
    arena_free(bench->arena);
    buf_done(&bench->told);
}

#define assert_told(bench, want)                                                                   \
    do {                                                                                           \
        assert_string_equal(buf_text(&(bench)->told), (want));                                     \
        buf_clear(&(bench)->told);                                                                 \
    } while (0)

/* Pod @name of uid u-@name as the server has it; @more: further metadata as flow text. */
static const ProtobufCMessage *pod(struct bench *bench, const char *name, const char *version,
                                   const char *more)
{
    struct pod_text text = {
        .metadata = arena_printf(bench->arena,
                                 "name: %s, namespace: ns, uid: u-%s, resourceVersion: \"%s\"%s%s",
                                 name, name, version, *more ? ", " : "", more)};
    return &pod_build(&text, bench->arena)->base;
}

#define MIRROR "annotations: {kubernetes.io/config.mirror: h}"

/* Begins with @count pods by a stream. */
static struct fake_exchange *sync(struct bench *bench, const ProtobufCMessage *const *pods,
                                  size_t count)
{
    api_source_start(bench->source);
    struct fake_exchange *watch = fake_first(bench->client);
    for (size_t i = 0; i < count; i++)
        watch = fake_send(watch, WATCH_ADDED, pods[i]);
    return fake_send_bookmark(watch, "50", true);
}

TEST_CASE(asks_for_the_pods_of_this_node_alone)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    assert_int_equal(fake_started(bench.client), 0);
    api_source_start(bench.source);
    api_source_start(bench.source);
    assert_int_equal(fake_started(bench.client), 1);
    const char *asked = fake_log(bench.client, 0);
    assert_non_null(strstr(asked, "/api/v1/pods?"));
    assert_non_null(strstr(asked, "fieldSelector=spec.nodeName%3Dnode-a"));
    assert_false(api_source_has_synced(bench.source));
}

TEST_CASE(the_first_set_is_told_in_the_order_of_creation)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const ProtobufCMessage *const pods[] = {
        pod(&bench, "young", "1", "creationTimestamp: \"2026-11-21T03:00:09Z\""),
        pod(&bench, "b", "2", "creationTimestamp: \"2026-11-21T03:00:05Z\""),
        pod(&bench, "s", "3", "creationTimestamp: \"2026-11-21T03:00:07Z\", " MIRROR),
        pod(&bench, "a", "4", "creationTimestamp: \"2026-11-21T03:00:05Z\""),
        pod(&bench, "timeless", "5", ""),
    };
    api_source_start(bench.source);
    struct fake_exchange *watch = fake_first(bench.client);
    for (size_t i = 0; i < ARRAY_SIZE(pods); i++)
        watch = fake_send(watch, WATCH_ADDED, pods[i]);
    assert_told(&bench, "");
    fake_send_bookmark(watch, "50", true);
    assert_told(&bench, "+timeless +a +b m:s +young ready ");
    assert_true(api_source_has_synced(bench.source));
}

/* What happens to a pod after the first set of +a. */
static const struct change_row {
    const char *name;
    enum watch_event_type type;
    const char *pod, *more;
    const char *want;
} change_rows[] = {
    {"a new pod", WATCH_ADDED, "b", "", "+b "},
    {"a change", WATCH_MODIFIED, "a", "labels: {x: z}", "~a "},
    {"the end", WATCH_DELETED, "a", "", "-u-a "},
    {"a pod that is being deleted has only changed", WATCH_MODIFIED, "a",
     "deletionTimestamp: \"2026-11-21T03:00:09Z\", deletionGracePeriodSeconds: 30", "~a "},
    {"a mirror", WATCH_ADDED, "s", MIRROR, "m:s "},
    {"an empty mirror annotation counts", WATCH_ADDED, "s",
     "annotations: {kubernetes.io/config.mirror: \"\"}", "m:s "},
    {"a pod that becomes a mirror goes and comes", WATCH_MODIFIED, "a", MIRROR, "-u-a m:a "},
    {"a pod goes as one even when it ends as a mirror", WATCH_DELETED, "a", MIRROR, "-u-a "},
    {"the end of what was never told", WATCH_DELETED, "b", "", ""},
    {"no uid", WATCH_ADDED, "b", "uid: \"\"", ""},
    {"no namespace", WATCH_ADDED, "b", "namespace: \"\"", ""},
};

/* YAML refuses a key twice, so what a row overrides is set here. */
static const ProtobufCMessage *changed_pod(struct bench *bench, const struct change_row *row)
{
    bool lacks_uid = text_has_prefix(row->more, "uid:");
    bool lacks_namespace = text_has_prefix(row->more, "namespace:");
    const ProtobufCMessage *made =
        pod(bench, row->pod, "9", lacks_uid || lacks_namespace ? "" : row->more);
    Meta__ObjectMeta *meta = kube_object_meta(made);
    if (lacks_uid)
        meta->uid = NULL;
    if (lacks_namespace)
        meta->namespace_ = NULL;
    return made;
}

TEST_CASE(changes_are_told_as_they_come)
{
    for (size_t i = 0; i < ARRAY_SIZE(change_rows); i++) {
        const struct change_row *row = &change_rows[i];
        print_message("%s\n", row->name);
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        const ProtobufCMessage *const first[] = {pod(&bench, "a", "1", "")};
        struct fake_exchange *watch = sync(&bench, first, 1);
        assert_told(&bench, "+a ready ");
        fake_send(watch, row->type, changed_pod(&bench, row));
        assert_told(&bench, row->want);
    }
}

TEST_CASE(a_mirror_goes_as_a_mirror)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const ProtobufCMessage *const first[] = {pod(&bench, "s", "1", MIRROR)};
    struct fake_exchange *watch = sync(&bench, first, 1);
    assert_told(&bench, "m:s ready ");
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "s", "2", MIRROR ", labels: {x: z}"));
    assert_told(&bench, "m:s ");
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "s", "3", ""));
    assert_told(&bench, "m-:s +s ");
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "s", "4", MIRROR));
    assert_told(&bench, "-u-s m:s ");
    fake_send(watch, WATCH_DELETED, pod(&bench, "s", "5", MIRROR));
    assert_told(&bench, "m-:s ");
}

TEST_CASE(a_pod_without_a_spec_is_left_alone_but_its_end_is_told)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const struct kube_kind *kind = kube_kind_find("v1", "Pod");
    const ProtobufCMessage *const first[] = {
        fake_object(kind, "ns", "odd", "u-odd", "1", bench.arena), pod(&bench, "a", "2", "")};
    struct fake_exchange *watch = sync(&bench, first, 2);
    assert_told(&bench, "+a ready ");
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "odd", "3", ""));
    assert_told(&bench, "+odd ");
    watch =
        fake_send(watch, WATCH_MODIFIED, fake_object(kind, "ns", "odd", "u-odd", "4", bench.arena));
    assert_told(&bench, "");
    watch =
        fake_send(watch, WATCH_DELETED, fake_object(kind, "ns", "odd", "u-odd", "5", bench.arena));
    assert_told(&bench, "-u-odd ");
    fake_send(watch, WATCH_ADDED, fake_object(kind, "ns", "x", NULL, "6", bench.arena));
    assert_told(&bench, "");
}

TEST_CASE(a_change_says_when_the_pod_was_first_seen)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const ProtobufCMessage *const first[] = {
        pod(&bench, "a", "1",
            "annotations: {own: kept, kubernetes.io/config.seen: theirs, "
            "kubernetes.io/config.source: file}")};
    struct fake_exchange *watch = sync(&bench, first, 1);
    const char *seen =
        arena_strdup(bench.arena, pod_annotation(bench.last->pod, "kubernetes.io/config.seen"));
    assert_int_equal(strlen(seen), strlen("2026-11-21T03:06:54.529779087Z"));
    assert_string_equal(pod_annotation(bench.last->pod, "kubernetes.io/config.source"), "api");
    assert_string_equal(pod_annotation(bench.last->pod, "own"), "kept");
    assert_int_equal(bench.last->pod->metadata->n_annotations, 3);
    assert_int_equal(bench.last->source, POD_SOURCE_API);
    /* One block: it is there for each pod of the node. */
    assert_true(arena_held(bench.last->arena) < 600);

    fake_loop_advance(bench.loop, 7 * NS_PER_SEC);
    watch = fake_send(watch, WATCH_MODIFIED, pod(&bench, "a", "2", ""));
    assert_string_equal(pod_annotation(bench.last->pod, "kubernetes.io/config.seen"), seen);
    assert_int_equal(bench.last->pod->metadata->n_annotations, 2);
    assert_int_equal(bench.last->api->meta->n_annotations, 0);

    watch = fake_send(watch, WATCH_DELETED, pod(&bench, "a", "3", ""));
    fake_send(watch, WATCH_ADDED, pod(&bench, "a", "4", ""));
    assert_told(&bench, "+a ready ~a -u-a +a ");
    assert_string_not_equal(pod_annotation(bench.last->pod, "kubernetes.io/config.seen"), seen);
}

TEST_CASE(after_410_only_what_has_changed_is_told)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const ProtobufCMessage *const first[] = {pod(&bench, "a", "1", ""), pod(&bench, "b", "2", ""),
                                             pod(&bench, "s", "3", MIRROR)};
    struct fake_exchange *watch = sync(&bench, first, 3);
    assert_told(&bench, "+a +b m:s ready ");
    fake_send_error(watch, 410, "Expired", "too old resource version");
    fake_loop_advance(bench.loop, 60 * NS_PER_SEC);
    assert_told(&bench, "");
    assert_true(api_source_has_synced(bench.source));
    watch = fake_first(bench.client);
    assert_non_null(watch);
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "b", "2", ""));
    watch = fake_send(watch, WATCH_ADDED, pod(&bench, "c", "60", ""));
    assert_told(&bench, "");
    fake_send_bookmark(watch, "70", true);
    assert_told(&bench, "-u-a m-:s +c ");
}

TEST_CASE(another_pod_of_the_same_name_is_another_pod)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    const ProtobufCMessage *const first[] = {pod(&bench, "a", "1", "")};
    struct fake_exchange *watch = sync(&bench, first, 1);
    const ProtobufCMessage *other = pod(&bench, "a", "2", "");
    kube_object_meta(other)->uid = arena_strdup(bench.arena, "u-2");
    fake_send(watch, WATCH_MODIFIED, other);
    assert_told(&bench, "+a ready -u-a +a ");
}

TEST_CASE(an_api_server_that_is_away_is_told_as_an_error)
{
    AUTO(bench) struct bench bench;
    bench_init(&bench);
    api_source_start(bench.source);
    assert_null(api_source_error(bench.source));
    fake_lose(fake_first(bench.client));
    for (int i = 0; i < 3 && fake_first(bench.client); i++)
        fake_lose(fake_first(bench.client));
    assert_non_null(api_source_error(bench.source));
    assert_told(&bench, "");
}

/* Frees the source in each of the callbacks of a run that has them all. */
TEST_CASE(a_listener_may_free_the_source)
{
    for (size_t at = 1; at <= 8; at++) {
        AUTO(bench) struct bench bench;
        bench_init(&bench);
        bench.frees_at = at;
        const ProtobufCMessage *const first[] = {
            pod(&bench, "a", "1", ""), pod(&bench, "b", "2", ""), pod(&bench, "s", "3", MIRROR)};
        const ProtobufCMessage *const later[] = {
            pod(&bench, "a", "4", MIRROR), /* two callbacks: -u-a m:a */
            pod(&bench, "c", "5", ""),
        };
        struct fake_exchange *watch = sync(&bench, first, 3); /* four */
        for (size_t i = 0; watch && i < ARRAY_SIZE(later); i++)
            watch = fake_send(watch, i == 0 ? WATCH_MODIFIED : WATCH_ADDED, later[i]);
        if (watch)
            fake_send(watch, WATCH_DELETED, pod(&bench, "s", "6", MIRROR));
        assert_null(bench.source);
        assert_int_equal(bench.callbacks, at);
    }
}

TEST_MAIN(TEST(asks_for_the_pods_of_this_node_alone),
          TEST(the_first_set_is_told_in_the_order_of_creation), TEST(changes_are_told_as_they_come),
          TEST(a_mirror_goes_as_a_mirror),
          TEST(a_pod_without_a_spec_is_left_alone_but_its_end_is_told),
          TEST(a_change_says_when_the_pod_was_first_seen),
          TEST(after_410_only_what_has_changed_is_told),
          TEST(another_pod_of_the_same_name_is_another_pod),
          TEST(an_api_server_that_is_away_is_told_as_an_error),
          TEST(a_listener_may_free_the_source))
