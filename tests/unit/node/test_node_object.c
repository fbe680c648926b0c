#include "tests/unit/node/node_bed.h"

static const struct doc_node *without(const struct doc_node *object, const char *outer,
                                      const char *inner, const char *key, struct arena *arena)
{
    const struct doc_node *part = doc_get(object, outer);
    const struct doc_node *less =
        inner ? doc_with_member(part, inner, doc_without_member(doc_get(part, inner), key, arena),
                                arena)
              : doc_without_member(part, key, arena);
    return doc_with_member(object, outer, less, arena);
}

/* Apart from the device of a plugin that had been there before, and from what we do not declare. */
TEST_CASE(a_node_registers_as_a_real_kubelet_did)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    bed.input.not_ready = (const char *const[]){"CSINode is not yet initialized"};
    bed.input.n_not_ready = 1;
    const Core__Node *node = node_object_initial(&bed.input, bed.arena);
    static const char device[] = "test.device/device-plugin-failures-5433";
    const struct kube_type_meta type = {.api_version = "v1", .kind = "Node"};
    const struct doc_node *got = NULL;
    const struct doc_node *want = bed_recorded(&bed, "node-create.json", 0);
    want = without(want, "status", "capacity", device, bed.arena);
    want = without(want, "status", "allocatable", device, bed.arena);
    want = without(want, "status", NULL, "declaredFeatures", bed.arena);
    assert_no_error(kube_message_to_document(&node->base, &type, bed.arena, &got));
    assert_doc("node", doc_sorted(got, bed.arena),
               doc_print(doc_sorted(want, bed.arena), bed.arena), bed.arena);
}

#define LABELS_BEFORE "{'beta.kubernetes.io/arch':'amd64','beta.kubernetes.io/os':'linux',"
#define LABELS_OWN                                                                                 \
    "'kubernetes.io/arch':'amd64','kubernetes.io/hostname':'node-a','kubernetes.io/os':'linux'"
#define LABELS_DEFAULT LABELS_BEFORE LABELS_OWN "}"

struct given {
    const struct config_pair *labels;
    size_t n_labels;
    bool is_cloud, has_taint, no_annotation;
    const char *provider_id, *node_ip, *hostname;
};

static const struct config_pair extra_labels[] = {{"beta.kubernetes.io/os", "mine"}, {"zone", "a"}};

static const struct initial_row {
    const char *name;
    struct given given;
    const char *path;
    const char *want;
} initial_rows[] = {
    {"labels", {0}, "metadata.labels", LABELS_DEFAULT},
    {"--node-labels win",
     {.labels = extra_labels, .n_labels = 2},
     "metadata.labels",
     "{'beta.kubernetes.io/arch':'amd64','beta.kubernetes.io/os':'mine'," LABELS_OWN
     ",'zone':'a'}"},
    {"the hostname is no node name",
     {.hostname = "host.example"},
     "metadata.labels",
     LABELS_BEFORE "'kubernetes.io/arch':'amd64','kubernetes.io/hostname':'host.example',"
                   "'kubernetes.io/os':'linux'}"},
    {"name", {.hostname = "host.example"}, "metadata.name", "'node-a'"},
    {"no spec of its own", {0}, "spec", "{}"},
    {"the attach-detach controller",
     {0},
     "metadata.annotations",
     "{'volumes.kubernetes.io/controller-managed-attach-detach':'true'}"},
    {"no attach-detach controller", {.no_annotation = true}, "metadata.annotations", "absent"},
    {"provider id", {.provider_id = "x://1"}, "spec", "{'providerID':'x://1'}"},
    {"taints",
     {.has_taint = true},
     "spec",
     "{'taints':[{'effect':'NoExecute','key':'k','value':'v'}]}"},
    {"taints with a cloud",
     {.has_taint = true, .is_cloud = true},
     "spec",
     "{'taints':[{'effect':'NoExecute','key':'k','value':'v'},{'effect':'NoSchedule','key':'node."
     "cloudprovider.kubernetes.io/uninitialized','value':'true'}]}"},
    {"a cloud and an address",
     {.is_cloud = true, .node_ip = "10.99.1.2", .no_annotation = true},
     "metadata.annotations",
     "{'alpha.kubernetes.io/provided-node-ip':'10.99.1.2'}"},
    {"a cloud and an address: until the cloud tells",
     {.is_cloud = true, .node_ip = "10.99.1.2"},
     "status.addresses",
     "[{'address':'10.99.1.2','type':'InternalIP'},{'address':'node-a','type':'Hostname'}]"},
    {"a cloud and a family",
     {.is_cloud = true, .node_ip = "::", .no_annotation = true},
     "metadata.annotations",
     "absent"},
    {"a cloud and no address",
     {.is_cloud = true},
     "status.addresses",
     "[{'address':'node-a','type':'Hostname'}]"},
    {"an address without a cloud",
     {.node_ip = "10.99.1.2", .no_annotation = true},
     "metadata.annotations",
     "absent"},
};

static void apply_given(struct node_bed *bed, const struct given *given)
{
    static Core__Taint taint = CORE__TAINT__INIT;
    static Core__Taint *const taints[] = {&taint};
    struct config_cluster *cluster = &bed->config.cluster;
    taint.key = (char *)(uintptr_t) "k";
    taint.value = (char *)(uintptr_t) "v";
    taint.effect = (char *)(uintptr_t) "NoExecute";
    cluster->node_labels = (struct config_map){.count = given->n_labels, .pairs = given->labels};
    cluster->is_cloud_external = given->is_cloud;
    cluster->provider_id = given->provider_id ? given->provider_id : "";
    cluster->register_with_taints = taints;
    cluster->n_register_with_taints = given->has_taint ? 1 : 0;
    cluster->enable_controller_attach_detach = !given->no_annotation;
    bed->config.node_ips =
        (struct config_list){.count = given->node_ip ? 1 : 0, .items = &given->node_ip};
    if (given->hostname)
        bed->machine.hostname = given->hostname;
}

TEST_CASE(what_is_configured_shows_in_the_object)
{
    for (size_t i = 0; i < ARRAY_SIZE(initial_rows); i++) {
        const struct initial_row *row = &initial_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        apply_given(&bed, &row->given);
        const char *got = bed_part(&bed, node_object_initial(&bed.input, bed.arena), row->path);
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got\n%s\nwant\n%s", row->name, got, row->want);
    }
}

TEST_CASE(the_object_borrows_nothing)
{
    AUTO(bed) struct node_bed bed;
    bed_init(&bed);
    AUTO(arena) struct arena *kept = arena_new(0);
    char *name = xstrdup("node-b");
    bed.facts.node_name = name;
    const Core__Node *node = node_object_initial(&bed.input, kept);
    free(name);
    assert_string_equal(node->metadata->name, "node-b");
}

#define CAPACITY                                                                                   \
    "'capacity':{'cpu':'2','ephemeral-storage':'1Gi','hugepages-1Gi':'0','hugepages-2Mi':'0','"    \
    "memory':'1Gi','pods':'9'"
#define ALLOCATABLE                                                                                \
    "'allocatable':{'cpu':'2','hugepages-1Gi':'0','hugepages-2Mi':'0','memory':'1Gi','pods':'9'"
#define OWN_ANNOTATION "'volumes.kubernetes.io/controller-managed-attach-detach':'true'"
#define NODE(labels, annotations, status)                                                          \
    "{'metadata':{'name':'node-a','labels':" labels ",'annotations':{" annotations                 \
    "}},'status':{" status "}}"
#define AMOUNTS CAPACITY "}," ALLOCATABLE "}"

static const struct reconcile_row {
    const char *name;
    const char *existing;
    const char *want; /* the patch */
    bool no_annotation;
} reconcile_rows[] = {
    {"nothing to do", NODE(LABELS_DEFAULT, OWN_ANNOTATION, AMOUNTS), "{}", false},
    {"default labels are overwritten",
     NODE(LABELS_BEFORE "'kubernetes.io/arch':'arm64','kubernetes.io/hostname':'x',"
                        "'kubernetes.io/os':'linux','mine':'1'}",
          OWN_ANNOTATION, AMOUNTS),
     "{'metadata':{'labels':{'kubernetes.io/arch':'amd64','kubernetes.io/hostname':'node-a'}}}",
     false},
    {"so are those of --node-labels, if they are default ones",
     NODE("{'topology.kubernetes.io/zone':'old','other':'old'," LABELS_OWN
          ",'beta.kubernetes.io/arch':'amd64','beta.kubernetes.io/os':'linux',"
          "'topology.kubernetes.io/region':'r'}",
          OWN_ANNOTATION, AMOUNTS),
     "{'metadata':{'labels':{'topology.kubernetes.io/region':null,'topology.kubernetes.io/zone':"
     "'new'}}}",
     false},
    {"labels on a node without",
     "{'metadata':{'name':'node-a','annotations':{" OWN_ANNOTATION "}},'status':{" AMOUNTS "}}",
     "{'metadata':{'labels':" LABELS_DEFAULT "}}", false},
    {"the annotation is set", NODE(LABELS_DEFAULT, "'a':'1'", AMOUNTS),
     "{'metadata':{'annotations':{" OWN_ANNOTATION "}}}", false},
    {"the annotation is taken off", NODE(LABELS_DEFAULT, OWN_ANNOTATION, AMOUNTS),
     "{'metadata':{'annotations':null}}", true},
    {"taints and provider id are left alone",
     "{'metadata':{'name':'node-a','labels':" LABELS_DEFAULT ",'annotations':{" OWN_ANNOTATION
     "}},'spec':{'taints':[{'key':'x','effect':'NoSchedule'}],'providerID':'y'},'status':{" AMOUNTS
     "}}",
     "{}", false},
    {"extended resources are zeroed",
     NODE(LABELS_DEFAULT, OWN_ANNOTATION,
          CAPACITY ",'vendor.com/gpu':'4'}," ALLOCATABLE ",'vendor.com/gpu':'3'}"),
     "{'status':{'allocatable':{'vendor.com/gpu':'0'},'capacity':{'vendor.com/gpu':'0'}}}", false},
    {"others are not",
     NODE(LABELS_DEFAULT, OWN_ANNOTATION,
          CAPACITY ",'example':'4','x.kubernetes.io/y':'2','requests.z/a':'1'}," ALLOCATABLE "}"),
     "{}", false},
    {"huge pages are those of now",
     NODE(LABELS_DEFAULT, OWN_ANNOTATION,
          "'capacity':{'cpu':'2','hugepages-64Ki':'128Ki','hugepages-2Mi':'4Mi'},'allocatable':{'"
          "cpu':'2','hugepages-64Ki':'128Ki','hugepages-2Mi':'4Mi'}"),
     "{'status':{'allocatable':{'hugepages-1Gi':'0','hugepages-2Mi':'0','hugepages-64Ki':null},"
     "'capacity':{'hugepages-1Gi':'0','hugepages-2Mi':'0','hugepages-64Ki':null}}}",
     false},
    {"amounts on a node without",
     "{'metadata':{'name':'node-a','labels':" LABELS_DEFAULT ",'annotations':{" OWN_ANNOTATION
     "}}}",
     "{'status':{'allocatable':{'cpu':'2','ephemeral-storage':'267847642337','hugepages-1Gi':'0','"
     "hugepages-2Mi':'0','memory':'24581692Ki','pods':'250'},'capacity':{'cpu':'2','ephemeral-"
     "storage':'264212084Ki','hugepages-1Gi':'0','hugepages-2Mi':'0','memory':'24684092Ki','pods':"
     "'250'}}}",
     false},
};

static const struct config_pair node_labels[] = {{"topology.kubernetes.io/region", ""},
                                                 {"topology.kubernetes.io/zone", "new"},
                                                 {"other", "new"}};

TEST_CASE(a_node_that_is_there_is_reconciled)
{
    for (size_t i = 0; i < ARRAY_SIZE(reconcile_rows); i++) {
        const struct reconcile_row *row = &reconcile_rows[i];
        AUTO(bed) struct node_bed bed;
        bed_init(&bed);
        bed.config.cluster.enable_controller_attach_detach = !row->no_annotation;
        if (strstr(row->existing, "topology"))
            bed.config.cluster.node_labels =
                (struct config_map){.count = ARRAY_SIZE(node_labels), .pairs = node_labels};
        const Core__Node *existing = bed_node(&bed, row->existing);
        const Core__Node *node = node_object_reconcile(&bed.input, existing, bed.arena);
        const char *got = bed_patch(&bed, existing, node);
        if (strcmp(got, row->want) != 0)
            fail_msg("%s: got\n%s\nwant\n%s", row->name, got, row->want);
        assert_int_equal(node_status_has_changed(existing, node), strcmp(row->want, "{}") != 0);
    }
}

TEST_MAIN(TEST(a_node_registers_as_a_real_kubelet_did),
          TEST(what_is_configured_shows_in_the_object), TEST(the_object_borrows_nothing),
          TEST(a_node_that_is_there_is_reconciled))
