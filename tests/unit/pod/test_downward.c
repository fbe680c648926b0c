#include "container_fixture.h"

#include "pod/downward.h"

static const char *field(const char *path, const struct container_config_input *input,
                         struct arena *arena)
{
    Core__ObjectFieldSelector selector = CORE__OBJECT_FIELD_SELECTOR__INIT;
    selector.api_version = arena_strdup(arena, "v1");
    selector.field_path = arena_strdup(arena, path);
    const char *value = NULL;
    assert_no_error(
        downward_field(&selector, input->pod, input->node, input->pod_ips, arena, &value));
    return value;
}

TEST_CASE(fields_are_read_from_pod_and_node)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        {"metadata.name", "web"},
        {"metadata.namespace", "default"},
        {"metadata.uid", "u-1"},
        {"metadata.labels", "a=\"1\"\nb=\"two \\\"2\\\"\""},
        {"metadata.annotations", "Key.x/N=\"<v>\\n\""},
        {"metadata.labels['b']", "two \"2\""},
        {"metadata.labels['none']", ""},
        {"metadata.annotations['Key.x/N']", "<v>\n"},
        {"spec.nodeName", "node-a"},
        {"spec.host", "node-a"},
        {"spec.serviceAccountName", "sa"},
        {"status.hostIP", "192.0.2.1"},
        {"status.hostIPs", "192.0.2.1,2001:db8::1"},
        {"status.podIP", "10.1.0.5"},
        {"status.podIPs", "10.1.0.5,2001:db8::5"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod =
        pod_with("labels: {b: 'two \"2\"', a: '1'}, annotations: {Key.x/N: \"<v>\\n\"}",
                 "nodeName: node-a, serviceAccountName: sa", "", arena);
    struct container_config_input input = container_input(pod, &node);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(field(rows[i].path, &input, arena), rows[i].want);
    assert_string_equal(field("metadata.labels",
                              &(struct container_config_input){.pod = pod_with("", "", "", arena)},
                              arena),
                        "");
}

TEST_CASE(addresses_are_one_per_family_and_canonical)
{
    static const struct {
        const char *node_ip;
        const char *ips[4];
        const char *first, *all;
    } rows[] = {
        {"192.0.2.1",
         {"2001:DB8:0::5", "10.0.0.1", "10.0.0.2"},
         "10.0.0.1",
         "10.0.0.1,2001:db8::5"},
        {"2001:db8::1", {"10.0.0.1", "2001:db8::5"}, "2001:db8::5", "2001:db8::5,10.0.0.1"},
        {"192.0.2.1", {"2001:db8::5"}, "2001:db8::5", "2001:db8::5"},
        {"192.0.2.1", {"010.000.00.01", "odd"}, "10.0.0.1", "10.0.0.1"},
        {NULL, {NULL}, "", ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    Core__Pod *pod = pod_with("", "", "", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *const node_ips[] = {rows[i].node_ip, NULL};
        node.node_ips = node_ips;
        struct container_config_input input = container_input(pod, &node);
        input.pod_ips = rows[i].ips;
        assert_string_equal(field("status.podIP", &input, arena), rows[i].first);
        assert_string_equal(field("status.podIPs", &input, arena), rows[i].all);
    }
}

TEST_CASE(paths_that_are_not_offered_are_named)
{
    static const struct {
        const char *version, *path, *want;
    } rows[] = {
        {"v2", "metadata.name", "unsupported pod version: v2"},
        {"v1", "spec.restartPolicy", "unsupported fieldPath: spec.restartPolicy"},
        {"v1", "status.phase", "unsupported fieldPath: status.phase"},
        {"v1", "spec.containers", "field label not supported: spec.containers"},
        {"v1", "", "field label not supported: "},
        {"v1", "spec.x['y']", "field label does not support subscript: spec.x['y']"},
        {"v1", "['y']", "field label not supported: ['y']"},
        {"v1", "status.hostIP", "host IP unknown; known addresses: []"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct node_facts node = node_for_tests();
    node.node_ips = NULL;
    Core__Pod *pod = pod_with("", "", "", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__ObjectFieldSelector selector = CORE__OBJECT_FIELD_SELECTOR__INIT;
        selector.api_version = arena_strdup(arena, rows[i].version);
        selector.field_path = arena_strdup(arena, rows[i].path);
        const char *value;
        assert_error_message(downward_field(&selector, pod, &node, NULL, arena, &value),
                             rows[i].want);
    }
    Core__ObjectFieldSelector selector = CORE__OBJECT_FIELD_SELECTOR__INIT;
    selector.api_version = arena_strdup(arena, "v1");
    selector.field_path = arena_strdup(arena, "metadata.labels['-x']");
    const char *value;
    AUTO(error) struct error *err = downward_field(&selector, pod, &node, NULL, arena, &value);
    assert_non_null(err);
    assert_true(text_has_prefix(err->message, "invalid key subscript in metadata.labels['-x']: "));
}

static const char *resource(const Core__Pod *pod, const char *container, const char *name,
                            const char *divisor, struct arena *arena)
{
    struct node_facts node = node_for_tests();
    Core__ResourceFieldSelector selector = CORE__RESOURCE_FIELD_SELECTOR__INIT;
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = arena_strdup(arena, divisor);
    selector.container_name = arena_strdup(arena, container);
    selector.resource = arena_strdup(arena, name);
    selector.divisor = *divisor ? &quantity : NULL;
    const char *value = NULL;
    AUTO(error)
    struct error *err =
        downward_resource(&selector, pod, pod->spec->containers[0], &node, arena, &value);
    return err ? arena_strdup(arena, err->message) : value;
}

TEST_CASE(resources_are_divided_and_rounded_up)
{
    static const struct {
        const char *container, *name, *divisor, *want;
    } rows[] = {
        {"", "requests.cpu", "", "1"},
        {"", "requests.cpu", "1m", "250"},
        {"", "requests.cpu", "0", "1"},
        {"", "limits.cpu", "1m", "1500"},
        {"", "limits.cpu", "", "2"},
        {"", "requests.memory", "", "67108864"},
        {"", "requests.memory", "1Mi", "64"},
        {"", "requests.memory", "1Gi", "1"},
        {"", "limits.memory", "1Mi", "900"},          /* the node's */
        {"", "limits.ephemeral-storage", "", "5000"}, /* the node's */
        {"", "requests.ephemeral-storage", "", "0"},  /* requests have no default */
        {"", "limits.hugepages-2Mi", "1Mi", "4"},
        {"", "limits.hugepages-1Gi", "", "0"},
        {"c", "limits.memory", "1Mi", "900"},
        {"i", "limits.memory", "1Mi", "0"}, /* an init container by name has none either */
        {"i", "requests.cpu", "1m", "10"},
        {"nope", "limits.cpu", "", "container nope not found"},
        {"", "limits.gpu", "", "unsupported container resource : limits.gpu"},
        {"", "cpu", "", "unsupported container resource : cpu"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__Pod *pod =
        pod_with("", "initContainers: [{name: i, image: x, resources: {requests: {cpu: 10m}}}]",
                 "resources: {requests: {cpu: 250m, memory: 64Mi}, limits: {cpu: 1500m, "
                 "hugepages-2Mi: 4Mi}}",
                 arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(resource(pod, rows[i].container, rows[i].name, rows[i].divisor, arena),
                            rows[i].want);

    pod = pod_with("", "resources: {limits: {cpu: 700m, memory: 10Mi}}", "", arena);
    assert_string_equal(resource(pod, "", "limits.cpu", "1m", arena), "700");
    assert_string_equal(resource(pod, "", "limits.memory", "1Mi", arena), "10");
}

TEST_MAIN(TEST(fields_are_read_from_pod_and_node), TEST(addresses_are_one_per_family_and_canonical),
          TEST(paths_that_are_not_offered_are_named), TEST(resources_are_divided_and_rounded_up))
