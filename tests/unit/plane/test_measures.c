/* metrics.k8s.io through REST, on what was measured beforehand. */
#include "plane/usage.h"
#include "tests/unit/plane/rest_bed.h"
#include "wire/json.h"

#define METRICS "/apis/metrics.k8s.io/v1beta1"
#define TIME "2026-11-21T09:59:58Z"
#define FIGURES(cpu, memory)                                                                       \
    "\"cpu\":{\"time\":\"" TIME "\",\"usageNanoCores\":" #cpu                                      \
    "},\"memory\":{\"workingSetBytes\":" #memory "}"
#define POD(name, containers)                                                                      \
    "{\"podRef\":{\"name\":\"" name "\",\"namespace\":\"default\"},\"containers\":[" containers "]}"

static const char summary[] = "{\"node\":{" FIGURES(1500000000, 1073741824) "},\"pods\":[" POD(
    "web", "{\"name\":\"c\"," FIGURES(1234567, 2048) "},{\"name\":\"d\"," FIGURES(
               2000000, 1000) "}") "," POD("done",
                                           "{\"name\":\"c\"," FIGURES(
                                               0, 4096) "}") "," POD("gone",
                                                                     "{\"name\":\"c\"," FIGURES(
                                                                         1, 4096) "}") "]}";

static void make_pod(struct rest_bed *bed, const char *name, const char *phase)
{
    const char *pod = "/api/v1/namespaces/default/pods";
    rest_must(bed, "POST", pod,
              arena_printf(bed->arena,
                           "{\"metadata\":{\"name\":\"%s\",\"labels\":{\"app\":\"%s\"}},"
                           "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}",
                           name, name));
    unsigned code =
        rest_patch_with(bed, "merge", arena_printf(bed->arena, "%s/%s/status", pod, name),
                        arena_printf(bed->arena, "{\"status\":{\"phase\":\"%s\"}}", phase));
    assert_int_equal(code, 200);
}

/* Two nodes, one of which has told what it uses: "web" runs there, and "done" did. */
static struct rest_bed *bed_new(void)
{
    struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", "/api/v1/nodes",
              "{\"metadata\":{\"name\":\"n\",\"labels\":{\"zone\":\"z\"}}}");
    rest_must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"silent\"}}");
    make_pod(bed, "done", "Succeeded");
    make_pod(bed, "silent", "Running");
    make_pod(bed, "web", "Running");
    struct usage *usage = usage_new(bed->arena);
    assert_no_error(usage_add_summary(usage, "n", str_from(summary), 1250 * NS_PER_MS));
    bed->usage = usage;
    return bed;
}

TEST_CASE(a_node_is_shown_with_what_it_uses)
{
    AUTO(rest_bed) struct rest_bed *bed = bed_new();
    assert_int_equal(rest_ask(bed, "GET", METRICS "/nodes/n", NULL), 200);
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"kind", "NodeMetrics"}, {"apiVersion", "metrics.k8s.io/v1beta1"},
        {"metadata name", "n"},  {"metadata labels zone", "z"},
        {"metadata uid", ""},    {"metadata resourceVersion", ""},
        {"timestamp", TIME},     {"metadata creationTimestamp", TIME},
        {"window", "1.25s"},     {"usage cpu", "1500m"},
        {"usage memory", "1Gi"}, {"usage", "{\"cpu\":\"1500m\",\"memory\":\"1Gi\"}"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(rest_field(bed, rows[i].path), rows[i].text);
}

TEST_CASE(a_pod_is_shown_with_what_its_containers_use)
{
    AUTO(rest_bed) struct rest_bed *bed = bed_new();
    assert_int_equal(rest_ask(bed, "GET", METRICS "/namespaces/default/pods/web", NULL), 200);
    static const struct {
        const char *path, *text;
    } rows[] = {
        {"kind", "PodMetrics"},
        {"metadata namespace", "default"},
        {"metadata labels app", "web"},
        {"timestamp", TIME},
        {"window", "1.25s"},
        {"containers 0 name", "c"},
        {"containers 0 usage cpu", "1234567n"},
        {"containers 0 usage memory", "2Ki"},
        {"containers 1 usage cpu", "2m"},
        {"containers 1 usage memory", "1k"},
        {"containers 2", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(rest_field(bed, rows[i].path), rows[i].text);
}

TEST_CASE(what_was_not_measured_is_not_there)
{
    static const struct {
        const char *path, *message;
    } rows[] = {
        {"/nodes/silent", "nodes.metrics.k8s.io \"silent\" not found"},
        {"/nodes/none", "nodes.metrics.k8s.io \"none\" not found"},
        {"/namespaces/default/pods/silent", "pods.metrics.k8s.io \"silent\" not found"},
        /* Its node still tells of it. */
        {"/namespaces/default/pods/done", "pods.metrics.k8s.io \"done\" not found"},
        /* The node tells of what the API no longer has. */
        {"/namespaces/default/pods/gone", "pods.metrics.k8s.io \"gone\" not found"},
        {"/namespaces/kube-system/pods/web", "pods.metrics.k8s.io \"web\" not found"},
    };
    AUTO(rest_bed) struct rest_bed *bed = bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *target = arena_printf(bed->arena, METRICS "%s", rows[i].path);
        rest_expect(bed, rest_ask(bed, "GET", target, NULL), 404, rows[i].message);
    }
    bed->usage = NULL;
    rest_expect(bed, rest_ask(bed, "GET", METRICS "/nodes/n", NULL), 404,
                "nodes.metrics.k8s.io \"n\" not found");
}

TEST_CASE(lists_have_what_was_measured_and_is_chosen)
{
    static const struct {
        const char *path, *first, *second;
    } rows[] = {
        {"/nodes", "n", ""},
        {"/nodes?labelSelector=zone%3Dz", "n", ""},
        {"/nodes?labelSelector=zone%3Dy", "", ""},
        {"/pods", "web", ""},
        {"/pods?limit=1", "web", ""},
        {"/namespaces/default/pods", "web", ""},
        {"/namespaces/default/pods?fieldSelector=metadata.name%3Dweb", "web", ""},
        {"/namespaces/default/pods?fieldSelector=metadata.name%3Ddone", "", ""},
        {"/namespaces/default/pods?labelSelector=app%3Ddone", "", ""},
        {"/namespaces/kube-system/pods", "", ""},
    };
    AUTO(rest_bed) struct rest_bed *bed = bed_new();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].path);
        rest_must(bed, "GET", arena_printf(bed->arena, METRICS "%s", rows[i].path), NULL);
        assert_string_equal(rest_field(bed, "items 0 metadata name"), rows[i].first);
        assert_string_equal(rest_field(bed, "items 1 metadata name"), rows[i].second);
        assert_string_equal(rest_field(bed, "metadata continue"), "");
    }
    assert_string_equal(rest_field(bed, "kind"), "PodMetricsList");
}

TEST_CASE(tables_sum_up)
{
    AUTO(rest_bed) struct rest_bed *bed = bed_new();
    bed->accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    rest_must(bed, "GET", METRICS "/pods", NULL);
    assert_string_equal(rest_field(bed, "rows 0 cells"), "[\"web\",\"4m\",\"3048\",\"1.25s\"]");
    assert_string_equal(rest_field(bed, "rows 1"), "");
    rest_must(bed, "GET", METRICS "/nodes/n", NULL);
    assert_string_equal(rest_field(bed, "rows 0 cells"), "[\"n\",\"1500m\",\"1Gi\",\"1.25s\"]");
}

/* Numbers and field numbers are those of the contract, also in protobuf. */
TEST_CASE(protobuf_is_spoken_too)
{
    AUTO(rest_bed) struct rest_bed *bed = bed_new();
    bed->accept = "application/vnd.kubernetes.protobuf";
    rest_must(bed, "GET", METRICS "/pods", NULL);
    const struct buf *body = &bed->reply.body;
    assert_memory_equal(buf_text(body), "k8s\0", 4);
    assert_non_null(memmem(buf_text(body), body->len, "PodMetricsList", 14));
    assert_non_null(memmem(buf_text(body), body->len, "1234567n", 8));
}

TEST_MAIN(TEST(a_node_is_shown_with_what_it_uses),
          TEST(a_pod_is_shown_with_what_its_containers_use),
          TEST(what_was_not_measured_is_not_there),
          TEST(lists_have_what_was_measured_and_is_chosen), TEST(tables_sum_up),
          TEST(protobuf_is_spoken_too))
