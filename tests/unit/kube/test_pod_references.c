#include "kube/pod_references.h"

#include "base/buf.h"
#include "tests/lib/test.h"
#include "tests/unit/kube/pod_yaml.h"

static void add_names(struct buf *out, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%s", i ? " " : "", names[i]);
}

/* "config maps | secrets" */
static const char *text_of(const struct pod_references *references, struct arena *arena)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    add_names(&out, references->config_maps, references->config_map_count);
    buf_add_text(&out, " | ");
    add_names(&out, references->secrets, references->secret_count);
    return arena_strdup(arena, buf_text(&out));
}

#define ENV_REFS                                                                                   \
    "env: [{name: A, valueFrom: {configMapKeyRef: {name: cm, key: k}}}, {name: B, valueFrom: "     \
    "{secretKeyRef: {name: s, key: k}}}, {name: C, value: c}, {name: D, valueFrom: {fieldRef: "    \
    "{fieldPath: metadata.name}}}], envFrom: [{configMapRef: {name: whole}}, {secretRef: {name: "  \
    "ws}}, {secretRef: {name: s}}]"

TEST_CASE(every_place_that_names_an_object_counts)
{
    static const struct {
        const char *name, *spec, *want;
    } rows[] = {
        {"nothing", "containers: [{name: c}]", " | "},
        {"pull secrets", "imagePullSecrets: [{name: a}, {}, {name: b}, {name: a}]", " | a b"},
        {"env and envFrom", "containers: [{name: c, " ENV_REFS "}]", "cm whole | s ws"},
        {"init containers", "initContainers: [{name: c, " ENV_REFS "}]", "cm whole | s ws"},
        {"ephemeral containers", "ephemeralContainers: [{name: c, " ENV_REFS "}]",
         "cm whole | s ws"},
        {"volumes",
         "volumes: [{name: a, configMap: {name: cm}}, {name: b, secret: {secretName: s}}, {name: "
         "c, emptyDir: {}}, {name: d}]",
         "cm | s"},
        {"projected volumes",
         "volumes: [{name: a, projected: {sources: [{configMap: {name: cm}}, {secret: {name: s}}, "
         "{downwardAPI: {}}, {serviceAccountToken: {path: t}}]}}]",
         "cm | s"},
        {"volumes of drivers",
         "volumes: [{name: a, azureFile: {secretName: az, shareName: x}}, {name: b, cephfs: "
         "{secretRef: {name: ceph}}}, {name: c, cinder: {volumeID: x, secretRef: {name: cin}}}, "
         "{name: d, flexVolume: {driver: x/y, secretRef: {name: flex}}}, {name: e, rbd: {image: x, "
         "secretRef: {name: rbd}}}, {name: f, scaleIO: {gateway: x, system: z, secretRef: {name: "
         "sio}}}, {name: g, iscsi: {targetPortal: x, iqn: z, secretRef: {name: iscsi}}}, {name: h, "
         "storageos: {secretRef: {name: sos}}}, {name: i, csi: {driver: x, nodePublishSecretRef: "
         "{name: csi}}}]",
         " | az ceph cin flex rbd sio iscsi sos csi"},
        {"names that are empty or missing",
         "containers: [{name: c, envFrom: [{configMapRef: {}}, {secretRef: {name: ''}}]}], "
         "volumes: [{name: a, configMap: {}}, {name: b, secret: {}}]",
         " | "},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const Core__Pod *pod = pod_parse(
            arena_printf(arena, "{metadata: {name: web}, spec: {%s}}", rows[i].spec), arena);
        struct pod_references references;
        pod_references_of(pod, arena, &references);
        const char *got = text_of(&references, arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: got %s, want %s", rows[i].name, got, rows[i].want);
    }
}

TEST_CASE(many_names_are_kept_in_their_order)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *list = "";
    for (int i = 0; i < 50; i++)
        list = arena_printf(arena, "%s{name: s%d}, ", list, i % 40);
    const Core__Pod *pod = pod_parse(
        arena_printf(arena, "{metadata: {name: web}, spec: {imagePullSecrets: [%s]}}", list),
        arena);
    struct pod_references references;
    pod_references_of(pod, arena, &references);
    assert_int_equal(references.secret_count, 40);
    for (size_t i = 0; i < 40; i++)
        assert_string_equal(references.secrets[i], arena_printf(arena, "s%zu", i));
}

TEST_CASE(a_container_refers_to_less_than_its_pod)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod =
        pod_parse("{metadata: {name: web}, spec: {imagePullSecrets: [{name: p}], containers: "
                  "[{name: c, " ENV_REFS "}, {name: d, env: [{name: A, value: a}]}]}}",
                  arena);
    struct pod_references references;
    container_references_of(pod->spec->containers[0], arena, &references);
    assert_string_equal(text_of(&references, arena), "cm whole | s ws");
    container_references_of(pod->spec->containers[1], arena, &references);
    assert_string_equal(text_of(&references, arena), " | ");
}

static bool stop_at_two(void *ctx, UNUSED bool is_secret, UNUSED const char *name)
{
    int *count = ctx;
    return ++*count < 2;
}

TEST_CASE(a_visit_ends_when_it_is_told_to)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod *pod =
        pod_parse("{metadata: {name: web}, spec: {imagePullSecrets: [{name: p}], containers: "
                  "[{name: c, " ENV_REFS "}]}}",
                  arena);
    int count = 0;
    assert_false(pod_references_visit(pod->spec, stop_at_two, &count));
    assert_int_equal(count, 2);
    count = -100;
    assert_true(pod_references_visit(pod->spec, stop_at_two, &count));
}

TEST_MAIN(TEST(every_place_that_names_an_object_counts), TEST(many_names_are_kept_in_their_order),
          TEST(a_container_refers_to_less_than_its_pod), TEST(a_visit_ends_when_it_is_told_to))
