/*
 * What tests of the Node object begin with: the machine, configuration and runtime of the recorded
 * node, as input of node/node_status.h.
 */
#pragma once

#include "tests/unit/kube/doc_text.h"

#include "kube/document.h"
#include "node/node_status.h"

#define BED_NOW_NS (INT64_C(1795230414) * NS_PER_SEC) /* 2026-11-21T03:06:54Z */

struct node_bed {
    struct arena *arena;
    struct config config;
    struct node_facts facts;
    struct node_machine machine;
    struct node_addresses addresses;
    Cri__StatusResponse runtime;
    Cri__RuntimeHandler handlers[2];
    Cri__RuntimeHandler *handler_list[2];
    Cri__RuntimeHandlerFeatures handler_features;
    Cri__RuntimeFeatures features;
    struct node_status_input input;
};

static const struct config_pair bed_eviction_hard[] = {
    {"imagefs.available", "1%"},
    {"memory.available", "100Mi"},
    {"nodefs.available", "1%"},
    {"nodefs.inodesFree", "1%"},
};

static const char *const bed_agnhost[] = {"registry.k8s.io/e2e-test-images/agnhost:2.63.0"};
static const char *const bed_busybox[] = {"docker.io/library/busybox:1.36"};
static const char *const bed_pause[] = {"registry.k8s.io/pause:3.10",
                                        "registry.k8s.io/pause:3.10.2"};
static const struct node_image bed_images[] = {
    {.id = "sha256:1", .names = bed_pause, .n_names = 2, .size_bytes = 768691},
    {.id = "sha256:2", .names = bed_agnhost, .n_names = 1, .size_bytes = 66560713},
    {.id = "sha256:3", .names = bed_busybox, .n_names = 1, .size_bytes = 2130601},
};

static inline UNUSED void bed_runtime(struct node_bed *bed)
{
    static const char *const names[] = {"runc", ""};
    cri__runtime_handler_features__init(&bed->handler_features);
    bed->handler_features.recursive_read_only_mounts = true;
    cri__runtime_features__init(&bed->features);
    bed->features.supplemental_groups_policy = true;
    cri__status_response__init(&bed->runtime);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        cri__runtime_handler__init(&bed->handlers[i]);
        bed->handlers[i].name = (char *)(uintptr_t)names[i];
        bed->handlers[i].features = &bed->handler_features;
        bed->handler_list[i] = &bed->handlers[i];
    }
    bed->runtime.runtime_handlers = bed->handler_list;
    bed->runtime.n_runtime_handlers = ARRAY_SIZE(names);
    bed->runtime.features = &bed->features;
}

static inline UNUSED void bed_machine(struct node_machine *machine)
{
    *machine = (struct node_machine){
        .machine_id = "3d1219c7c4c5404aaa1f6d2a48adfda4",
        .system_uuid = "3d1219c7c4c5404aaa1f6d2a48adfda4",
        .boot_id = "03a250a3-3c3f-40a0-9161-05f36ef54cf2",
        .kernel_version = "6.18.44-fc-v657",
        .os_image = "Debian GNU/Linux 12 (bookworm)",
        .architecture = "amd64",
        .hostname = "node-a",
        .cpus = 2,
        .memory_bytes = INT64_C(24684092) * 1024,
        .root_fs_bytes = INT64_C(264212084) * 1024,
        .hugepages = {{.resource = "hugepages-2Mi"}, {.resource = "hugepages-1Gi"}},
        .n_hugepages = 2,
        .has_cpu_quota = true,
    };
}

static inline UNUSED void bed_init(struct node_bed *bed)
{
    *bed = (struct node_bed){.arena = arena_new(0), .facts = {.node_name = "node-a"}};
    bed->config.max_pods = 250;
    bed->config.local_storage_capacity_isolation = true;
    bed->config.eviction_hard =
        (struct config_map){.count = ARRAY_SIZE(bed_eviction_hard), .pairs = bed_eviction_hard};
    bed->config.cluster.provider_id = "";
    bed->config.cluster.enable_controller_attach_detach = true;
    bed->config.cluster.kubelet_port = 10250;
    bed->config.cluster.node_status_max_images = 50;
    bed_machine(&bed->machine);
    bed_runtime(bed);
    bed->addresses = (struct node_addresses){
        .count = 2, .items = {{"InternalIP", "10.99.1.2"}, {"Hostname", "node-a"}}};
    bed->input = (struct node_status_input){.config = &bed->config,
                                            .facts = &bed->facts,
                                            .machine = &bed->machine,
                                            .addresses = &bed->addresses,
                                            .runtime_name = "containerd",
                                            .runtime_version = "2.1.9+unknown",
                                            .runtime = &bed->runtime,
                                            .images = bed_images,
                                            .n_images = ARRAY_SIZE(bed_images),
                                            .now_ns = BED_NOW_NS};
}

static inline UNUSED void auto_release_bed(struct node_bed *bed)
{
    arena_free(bed->arena);
}

/** The node of @text, JSON in which ' stands for ", as it would come from the server. */
static inline UNUSED Core__Node *bed_node(struct node_bed *bed, const char *text)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *node = NULL;
    assert_no_error(kube_decode_document(doc_parse(text, bed->arena), &core__node__descriptor,
                                         &options, bed->arena, &node));
    return (Core__Node *)node;
}

/** The part of @node at @path ("status.capacity") as text; "absent" when there is none. */
static inline UNUSED const char *bed_part(struct node_bed *bed, const Core__Node *node,
                                          const char *path)
{
    const struct doc_node *at = NULL;
    struct str rest = str_from(path), name;
    assert_no_error(kube_message_to_document(&node->base, NULL, bed->arena, &at));
    while (at && str_split_next(&rest, '.', &name))
        at = doc_get(at, arena_strndup(bed->arena, name.ptr, name.len));
    return at ? doc_print(doc_sorted(at, bed->arena), bed->arena) : "absent";
}

/** The patch from @before to @after, ' for ". */
static inline UNUSED const char *bed_patch(struct node_bed *bed, const Core__Node *before,
                                           const Core__Node *after)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    assert_no_error(node_status_patch(before, after, &out));
    char *text = arena_strdup(bed->arena, buf_text(&out));
    for (char *c = text; *c; c++)
        *c = *c == '"' ? '\'' : *c;
    return text;
}

/** @text with the version of the kubelet that was recorded replaced by ours, which is told on
 * purpose (DESIGN: API servers check it). */
static inline UNUSED const char *bed_own_version(struct node_bed *bed, const char *text)
{
    static const char theirs[] = "\"" CONFIG_KUBERNETES_VERSION "\"";
    const char *at = strstr(text, theirs);
    return at ? arena_printf(bed->arena, "%.*s\"" CONFIG_VERSION "\"%s", (int)(at - text), text,
                             at + strlen(theirs))
              : text;
}

/** Line @index of a recorded file. */
static inline UNUSED const struct doc_node *bed_recorded(struct node_bed *bed, const char *name,
                                                         size_t index)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(free) char *path = xasprintf("%s/recorded/api/%s", data, name);
    AUTO(free) char *line = NULL;
    FILE *file = fopen(path, "re");
    size_t size = 0;
    assert_non_null(file);
    for (size_t i = 0; i <= index; i++)
        assert_true(getline(&line, &size, file) > 0);
    assert_int_equal(fclose(file), 0);
    const struct doc_parse_options options = {.max_bytes = MiB};
    const struct doc_node *node = NULL;
    const char *own = bed_own_version(bed, line);
    assert_no_error(json_parse(str_from(own), &options, bed->arena, &node));
    return node;
}
