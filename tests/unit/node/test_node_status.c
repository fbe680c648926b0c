#include "tests/unit/node/node_bed.h"

TEST_CASE(the_largest_images_are_told)
{
    static const char *const names[] = {"a@1", "b@1", "a:1", "a:2", "a:3", "a:4"};
    static const struct node_image images[] = {
        {.id = "sha256:a", .names = names, .n_names = 1, .size_bytes = 5},
        {.id = "sha256:c", .names = names + 1, .n_names = 1, .size_bytes = 5},
        {.id = "sha256:b", .names = names, .n_names = 6, .size_bytes = 9},
        {.id = "sha256:d", .names = names, .n_names = 0, .size_bytes = 0},
    };
    static const struct {
        int32_t max;
        const char *want;
    } rows[] = {
        {2, "[{'names':['a@1','b@1','a:1','a:2','a:3'],'sizeBytes':9},{'names':['b@1'],'sizeBytes':"
            "5}]"},
        {-1, "[{'names':['a@1','b@1','a:1','a:2','a:3'],'sizeBytes':9},{'names':['b@1'],"
             "'sizeBytes':5},{'names':['a@1'],'sizeBytes':5},{}]"},
        {0, "absent"},
    };
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    bed.input.images = images;
    bed.input.n_images = ARRAY_SIZE(images);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        bed.config.cluster.node_status_max_images = rows[i].max;
        const Core__Node *node = node_object_initial(&bed.input, bed.arena);
        assert_string_equal(bed_part(&bed, node, "status.images"), rows[i].want);
    }
}

/* A node with something in every field that has a source of its own. */
static const char full[] =
    "{'metadata':{'name':'node-a','labels':{'kubernetes.io/os':'linux','kubernetes.io/arch':'amd64'"
    "}},'status':{'phase':'Running','addresses':[{'type':'InternalIP','address':'10.1.1.1'}],"
    "'images':[{'names':['old']}],'runtimeHandlers':[{'name':'old'}],"
    "'features':{'supplementalGroupsPolicy':false},'volumesInUse':['v'],"
    "'volumesAttached':[{'name':'v','devicePath':'d'}],'declaredFeatures':['A','B']}}";

static void forget_sources(struct node_bed *bed)
{
    bed->input.addresses = NULL;
    bed->input.runtime = NULL;
    bed->input.images = NULL;
    bed->input.n_images = 0;
}

static const struct field_row {
    const char *name;
    bool is_unknown; /* the sources are not known */
    const char *path;
    const char *want;
} field_rows[] = {
    {"addresses", false, "status.addresses",
     "[{'address':'10.99.1.2','type':'InternalIP'},{'address':'node-a','type':'Hostname'}]"},
    {"no addresses", true, "status.addresses", "[{'address':'10.1.1.1','type':'InternalIP'}]"},
    {"no images", true, "status.images", "[{'names':['old']}]"},
    {"handlers", false, "status.runtimeHandlers",
     "[{'features':{'recursiveReadOnlyMounts':true,'userNamespaces':false},'name':''},{'features':{"
     "'"
     "recursiveReadOnlyMounts':true,'userNamespaces':false},'name':'runc'}]"},
    {"no handlers", true, "status.runtimeHandlers", "[{'name':'old'}]"},
    {"features", false, "status.features", "{'supplementalGroupsPolicy':true}"},
    {"no features", true, "status.features", "{'supplementalGroupsPolicy':false}"},
    {"volumes in use are not ours to alter", false, "status.volumesInUse", "['v']"},
    {"nor those attached", false, "status.volumesAttached", "[{'devicePath':'d','name':'v'}]"},
    {"nor the phase", false, "status.phase", "'Running'"},
    {"the port", false, "status.daemonEndpoints", "{'kubeletEndpoint':{'Port':10250}}"},
};

TEST_CASE(what_is_not_known_stays_as_it_was)
{
    for (size_t i = 0; i < ARRAY_SIZE(field_rows); i++) {
        const struct field_row *row = &field_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        if (row->is_unknown)
            forget_sources(&bed);
        const Core__Node *node = node_status_update(&bed.input, bed_node(&bed, full), bed.arena);
        const char *got = bed_part(&bed, node, row->path);
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got\n%s\nwant\n%s", row->name, got, row->want);
    }
}

TEST_CASE(a_runtime_without_features_tells_none)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    bed.runtime.features = NULL;
    bed.handlers[0].features = NULL;
    bed.runtime.n_runtime_handlers = 1;
    const Core__Node *node = node_status_update(&bed.input, bed_node(&bed, full), bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.features"),
                        "{'supplementalGroupsPolicy':false}");
    assert_string_equal(
        bed_part(&bed, node, "status.runtimeHandlers"),
        "[{'features':{'recursiveReadOnlyMounts':false,'userNamespaces':false},'name':'runc'}]");
}

TEST_CASE(only_what_is_implemented_is_declared)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const Core__Node *before = bed_node(&bed, full);
    const Core__Node *node = node_status_update(&bed.input, before, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.declaredFeatures"), "['A','B']");
    bed.config.gates.enabled[GATE_NodeDeclaredFeatures] = true;
    node = node_status_update(&bed.input, before, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.declaredFeatures"), "absent");
    bed.config.gates.enabled[GATE_ExtendWebSocketsToKubelet] = true;
    node = node_status_update(&bed.input, before, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.declaredFeatures"),
                        "['ExtendWebSocketsToKubelet']");
    bed.config.gates.enabled[GATE_RestartAllContainersOnContainerExits] = true;
    node = node_status_update(&bed.input, before, bed.arena);
    assert_string_equal(bed_part(&bed, node, "status.declaredFeatures"),
                        "['ExtendWebSocketsToKubelet','RestartAllContainersOnContainerExits']");
}

static const struct cloud_row {
    const char *name;
    const char *node_ips[2];
    bool is_cloud, is_unknown;
    const char *before; /* the node */
    const char *annotation;
    const char *addresses;
} cloud_rows[] = {
    {"the cloud's addresses stay",
     {"10.99.1.2"},
     true,
     false,
     "{'status':{'addresses':[{'type':'ExternalIP','address':'1.1.1.1'}]}}",
     "'10.99.1.2'",
     "[{'address':'1.1.1.1','type':'ExternalIP'}]"},
    {"two addresses",
     {"10.99.1.2", "fd00::2"},
     true,
     false,
     "{}",
     "'10.99.1.2,fd00::2'",
     "[{'address':'10.99.1.2','type':'InternalIP'},{'address':'fd00::2','type':'InternalIP'},{"
     "'address':'node-a','type':'Hostname'}]"},
    {"a bad address leaves all as it was",
     {"10.99.1.2"},
     true,
     true,
     "{'metadata':{'annotations':{'alpha.kubernetes.io/provided-node-ip':'1.2.3.4'}}}",
     "'1.2.3.4'",
     "absent"},
    {"no node ip needs no address",
     {NULL},
     true,
     true,
     "{'metadata':{'annotations':{'alpha.kubernetes.io/provided-node-ip':'1.2.3.4'}}}",
     "absent",
     "[{'address':'node-a','type':'Hostname'}]"},
    {"no cloud any more",
     {"10.99.1.2"},
     false,
     false,
     "{'metadata':{'annotations':{'alpha.kubernetes.io/provided-node-ip':'1.2.3.4'}}}",
     "absent",
     "[{'address':'10.99.1.2','type':'InternalIP'},{'address':'node-a','type':'Hostname'}]"},
    {"only a family",
     {"0.0.0.0"},
     true,
     false,
     "{'metadata':{'annotations':{'alpha.kubernetes.io/provided-node-ip':'1.2.3.4'}}}",
     "absent",
     "[{'address':'10.99.1.2','type':'InternalIP'},{'address':'node-a','type':'Hostname'}]"},
};

static void apply_cloud(struct node_bed *bed, const struct cloud_row *row)
{
    bed->config.cluster.is_cloud_external = row->is_cloud;
    bed->config.node_ips =
        (struct config_list){.count = (row->node_ips[0] ? 1U : 0U) + (row->node_ips[1] ? 1U : 0U),
                             .items = row->node_ips};
    if (row->node_ips[1])
        bed->addresses = (struct node_addresses){.count = 3,
                                                 .items = {{"InternalIP", "10.99.1.2"},
                                                           {"InternalIP", "fd00::2"},
                                                           {"Hostname", "node-a"}}};
    if (row->is_unknown)
        bed->input.addresses = NULL;
}

TEST_CASE(a_cloud_has_a_say_in_addresses)
{
    for (size_t i = 0; i < ARRAY_SIZE(cloud_rows); i++) {
        const struct cloud_row *row = &cloud_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        apply_cloud(&bed, row);
        const Core__Node *node =
            node_status_update(&bed.input, bed_node(&bed, row->before), bed.arena);
        const struct doc_node *tree = NULL;
        assert_no_error(kube_message_to_document(&node->base, NULL, bed.arena, &tree));
        const struct doc_node *annotation =
            doc_get(doc_get(doc_get(tree, "metadata"), "annotations"),
                    "alpha.kubernetes.io/provided-node-ip");
        const char *got = annotation ? doc_print(annotation, bed.arena) : "absent";
        const char *addresses = bed_part(&bed, node, "status.addresses");
        if (strcmp(got, row->annotation) != 0 || strcmp(addresses, row->addresses) != 0)
            fail_msg("%s: got\n%s %s", row->name, got, addresses);
    }
}

TEST_CASE(system_labels_are_set_right_and_no_others)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    const Core__Node *before = bed_node(
        &bed, "{'metadata':{'labels':{'kubernetes.io/os':'plan9','kubernetes.io/hostname':'x'}}}");
    const Core__Node *node = node_status_update(&bed.input, before, bed.arena);
    assert_string_equal(bed_part(&bed, node, "metadata.labels"),
                        "{'kubernetes.io/arch':'amd64','kubernetes.io/hostname':'x','kubernetes.io/"
                        "os':'linux'}");
}

TEST_MAIN(TEST(the_largest_images_are_told), TEST(what_is_not_known_stays_as_it_was),
          TEST(a_runtime_without_features_tells_none), TEST(only_what_is_implemented_is_declared),
          TEST(a_cloud_has_a_say_in_addresses), TEST(system_labels_are_set_right_and_no_others))
