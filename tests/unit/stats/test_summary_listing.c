#include "stats/summary_listing.h"

#include "base/buf.h"
#include "tests/lib/test.h"

#define NOW_NS (100 * NS_PER_SEC)
#define MAX_ROWS 8

/* Rows of the three lists, as a case has them; a row without an id ends its list. */
struct sandbox {
    const char *id, *uid, *namespace, *name;
    int64_t created_ns;
    bool not_ready;
};
struct container {
    const char *id, *sandbox, *name;
    int64_t created_ns;
    Cri__ContainerState state;
};

#define RUNNING CRI__CONTAINER_STATE__CONTAINER_RUNNING
#define EXITED CRI__CONTAINER_STATE__CONTAINER_EXITED

static char *text(const char *constant)
{
    return (char *)(uintptr_t)constant;
}

static void add_sandboxes(struct listing_builder *builder, const struct sandbox *rows)
{
    Cri__PodSandbox items[MAX_ROWS], *list[MAX_ROWS];
    Cri__PodSandboxMetadata metas[MAX_ROWS];
    Cri__ListPodSandboxResponse reply = CRI__LIST_POD_SANDBOX_RESPONSE__INIT;
    for (size_t i = 0; rows[i].id; i++) {
        cri__pod_sandbox_metadata__init(&metas[i]);
        metas[i].uid = text(rows[i].uid);
        metas[i].namespace_ = text(rows[i].namespace);
        metas[i].name = text(rows[i].name);
        cri__pod_sandbox__init(&items[i]);
        items[i].id = text(rows[i].id);
        items[i].metadata = &metas[i];
        items[i].created_at = rows[i].created_ns;
        items[i].state = rows[i].not_ready ? CRI__POD_SANDBOX_STATE__SANDBOX_NOTREADY
                                           : CRI__POD_SANDBOX_STATE__SANDBOX_READY;
        list[reply.n_items++] = &items[i];
    }
    reply.items = list;
    listing_builder_sandboxes(builder, &reply);
}

static void add_containers(struct listing_builder *builder, const struct container *rows)
{
    Cri__Container items[MAX_ROWS], *list[MAX_ROWS];
    Cri__ContainerMetadata metas[MAX_ROWS];
    Cri__ListContainersResponse reply = CRI__LIST_CONTAINERS_RESPONSE__INIT;
    for (size_t i = 0; rows[i].id; i++) {
        cri__container_metadata__init(&metas[i]);
        metas[i].name = text(rows[i].name);
        cri__container__init(&items[i]);
        items[i].id = text(rows[i].id);
        items[i].pod_sandbox_id = text(rows[i].sandbox);
        items[i].metadata = &metas[i];
        items[i].created_at = rows[i].created_ns;
        items[i].state = rows[i].state;
        list[reply.n_containers++] = &items[i];
    }
    reply.containers = list;
    listing_builder_containers(builder, &reply);
}

/* Figures without any group for each of @ids, which NULL ends. */
static void add_stats(struct listing_builder *builder, const char *const *ids)
{
    Cri__ContainerStats items[MAX_ROWS], *list[MAX_ROWS];
    Cri__ContainerAttributes attributes[MAX_ROWS];
    Cri__ContainerMetadata metas[MAX_ROWS];
    Cri__ListContainerStatsResponse reply = CRI__LIST_CONTAINER_STATS_RESPONSE__INIT;
    for (size_t i = 0; ids[i]; i++) {
        cri__container_metadata__init(&metas[i]);
        metas[i].name = text(ids[i]);
        cri__container_attributes__init(&attributes[i]);
        attributes[i].id = text(ids[i]);
        attributes[i].metadata = &metas[i];
        cri__container_stats__init(&items[i]);
        items[i].attributes = &attributes[i];
        list[reply.n_stats++] = &items[i];
    }
    reply.stats = list;
    listing_builder_stats(builder, &reply, NOW_NS);
}

/* "ns/name@sandbox(container container) …" */
static const char *describe(const struct summary_listing *listing, struct arena *arena)
{
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    for (size_t i = 0; i < listing->pod_count; i++) {
        const struct listed_pod *pod = &listing->pods[i];
        buf_printf(&out, "%s%s/%s@%s(", i > 0 ? " " : "", pod->namespace, pod->name,
                   pod->sandbox_id);
        for (size_t k = 0; k < pod->container_count; k++)
            buf_printf(&out, "%s%s", k > 0 ? " " : "", pod->containers[k].id);
        buf_add_char(&out, ')');
    }
    return arena_strdup(arena, buf_text(&out));
}

TEST_CASE(upstreams_rules_decide_who_is_listed)
{
    static const struct {
        const char *name;
        struct sandbox sandboxes[MAX_ROWS];
        struct container containers[MAX_ROWS];
        const char *stats[MAX_ROWS];
        const char *want;
    } rows[] = {
        {.name = "nothing", .want = ""},
        {.name = "pods by namespace and name, containers by age",
         .sandboxes = {{"s1", "u1", "b", "x", 1, false},
                       {"s2", "u2", "a", "z", 2, false},
                       {"s3", "u3", "a", "y", 3, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING},
                        {"c2", "s2", "late", 9, RUNNING},
                        {"c3", "s2", "soon", 4, RUNNING},
                        {"c4", "s3", "c", 1, RUNNING}},
         .stats = {"c4", "c3", "c2", "c1"},
         .want = "a/y@s3(c4) a/z@s2(c3 c2) b/x@s1(c1)"},
        {.name = "a pod without figures is left out",
         .sandboxes = {{"s1", "u1", "a", "x", 1, false}, {"s2", "u2", "a", "y", 1, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING}, {"c2", "s2", "c", 1, RUNNING}},
         .stats = {"c2"},
         .want = "a/y@s2(c2)"},
        {.name = "only running containers count",
         .sandboxes = {{"s1", "u1", "a", "x", 1, false}},
         .containers = {{"c1", "s1", "c", 2, EXITED}, {"c2", "s1", "d", 1, RUNNING}},
         .stats = {"c1", "c2"},
         .want = "a/x@s1(c2)"},
        {.name = "the youngest of a name counts",
         .sandboxes = {{"s1", "u1", "a", "x", 1, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING},
                        {"c2", "s1", "c", 3, RUNNING},
                        {"c3", "s1", "c", 2, RUNNING}},
         .stats = {"c1", "c2", "c3"},
         .want = "a/x@s1(c2)"},
        {.name = "figures of what is not listed are dropped",
         .sandboxes = {{"s1", "u1", "a", "x", 1, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING}, {"c2", "gone", "c", 1, RUNNING}},
         .stats = {"c1", "c2", "c3"},
         .want = "a/x@s1(c1)"},
        {.name = "a ready sandbox stands for the pod",
         .sandboxes = {{"s1", "u1", "a", "x", 5, true}, {"s2", "u1", "a", "x", 1, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING}, {"c2", "s2", "c", 1, RUNNING}},
         .stats = {"c1", "c2"},
         .want = "a/x@s2(c2)"},
        {.name = "all ready ones do, the youngest first",
         .sandboxes = {{"s1", "u1", "a", "x", 1, false}, {"s2", "u2", "a", "x", 2, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING}, {"c2", "s2", "c", 1, RUNNING}},
         .stats = {"c1", "c2"},
         .want = "a/x@s2(c2) a/x@s1(c1)"},
        {.name = "the youngest where none is ready",
         .sandboxes = {{"s1", "u1", "a", "x", 1, true}, {"s2", "u1", "a", "x", 2, true}},
         .containers = {{"c1", "s1", "c", 1, RUNNING}, {"c2", "s2", "c", 1, RUNNING}},
         .stats = {"c1", "c2"},
         .want = "a/x@s2(c2)"},
        {.name = "rows without an id or uid are passed over",
         .sandboxes = {{"s1", "", "a", "x", 1, false}, {"s2", "u2", "a", "y", 1, false}},
         .containers = {{"c1", "s1", "c", 1, RUNNING}, {"", "s2", "c", 1, RUNNING}},
         .stats = {"c1", ""},
         .want = ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct listing_builder *builder = listing_builder_new(arena);
        /* In any order. */
        add_stats(builder, rows[i].stats);
        add_containers(builder, rows[i].containers);
        add_sandboxes(builder, rows[i].sandboxes);
        const char *got = describe(listing_builder_finish(builder), arena);
        if (!text_eq(got, rows[i].want))
            fail_msg("%s: %s, wanted %s", rows[i].name, got, rows[i].want);
    }
}

static const struct listed_container *only_container(struct listing_builder *builder)
{
    static const struct sandbox sandboxes[] = {{"s", "u", "ns", "p", 7, false}, {0}};
    static const struct container containers[] = {{"c", "s", "c", 8, RUNNING}, {0}};
    add_sandboxes(builder, sandboxes);
    add_containers(builder, containers);
    const struct summary_listing *listing = listing_builder_finish(builder);
    assert_int_equal(listing->pod_count, 1);
    assert_int_equal(listing->pods[0].created_ns, 7);
    assert_string_equal(listing->pods[0].uid, "u");
    return &listing->pods[0].containers[0];
}

TEST_CASE(groups_that_are_missing_are_zero_and_of_now)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct listing_builder *builder = listing_builder_new(arena);
    add_stats(builder, (const char *const[]){"c", NULL});
    const struct listed_container *container = only_container(builder);
    assert_int_equal(container->created_ns, 8);
    assert_int_equal(container->cpu->time_ns, NOW_NS);
    assert_true(container->cpu->usage_nano_cores.known && container->cpu->usage_core_nanos.known);
    assert_null(container->cpu->psi);
    assert_true(container->memory->working_set_bytes.known && container->memory->rss_bytes.known);
    assert_true(container->memory->usage_bytes.known);
    assert_false(container->memory->available_bytes.known || container->memory->page_faults.known);
    assert_true(container->swap->available_bytes.known && container->swap->usage_bytes.known);
    assert_int_equal(container->io->time_ns, NOW_NS);
    assert_null(container->io->psi);
    assert_int_equal(container->rootfs->time_ns, 0);
    assert_false(container->rootfs->used_bytes.known);
    assert_int_equal(container->mount, LISTING_NO_MOUNT);
}

TEST_CASE(what_the_runtime_tells_is_taken_as_it_is)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct listing_builder *builder = listing_builder_new(arena);
    Cri__UInt64Value one = CRI__UINT64_VALUE__INIT, two = CRI__UINT64_VALUE__INIT;
    one.value = 1;
    two.value = 2;
    Cri__PsiData some = CRI__PSI_DATA__INIT;
    some.total = 5;
    some.avg10 = 0.5;
    Cri__PsiStats psi = CRI__PSI_STATS__INIT;
    psi.some = &some;
    Cri__CpuUsage cpu = CRI__CPU_USAGE__INIT;
    cpu.timestamp = 3;
    cpu.usage_core_nano_seconds = &one;
    cpu.psi = &psi;
    Cri__MemoryUsage memory = CRI__MEMORY_USAGE__INIT;
    memory.timestamp = 4;
    memory.available_bytes = &two;
    Cri__FilesystemIdentifier id = CRI__FILESYSTEM_IDENTIFIER__INIT;
    id.mountpoint = text("/var/lib/images");
    Cri__FilesystemUsage layer = CRI__FILESYSTEM_USAGE__INIT;
    layer.timestamp = 5;
    layer.fs_id = &id;
    layer.used_bytes = &two;
    layer.inodes_used = &one;
    Cri__ContainerAttributes attributes = CRI__CONTAINER_ATTRIBUTES__INIT;
    attributes.id = text("c");
    Cri__ContainerStats item = CRI__CONTAINER_STATS__INIT;
    item.attributes = &attributes;
    item.cpu = &cpu;
    item.memory = &memory;
    item.writable_layer = &layer;
    Cri__ContainerStats *list[] = {&item};
    Cri__ListContainerStatsResponse reply = CRI__LIST_CONTAINER_STATS_RESPONSE__INIT;
    reply.n_stats = 1;
    reply.stats = list;
    listing_builder_stats(builder, &reply, NOW_NS);

    Cri__FilesystemUsage *filesystems[] = {&layer, &layer};
    Cri__ImageFsInfoResponse images = CRI__IMAGE_FS_INFO_RESPONSE__INIT;
    images.n_image_filesystems = 2;
    images.image_filesystems = filesystems;
    listing_builder_image_fs(builder, &images);

    static const struct sandbox sandboxes[] = {{"s", "u", "ns", "p", 7, false}, {0}};
    static const struct container containers[] = {{"c", "s", "c", 8, RUNNING}, {0}};
    add_sandboxes(builder, sandboxes);
    add_containers(builder, containers);
    const struct summary_listing *listing = listing_builder_finish(builder);
    const struct listed_container *container = &listing->pods[0].containers[0];
    assert_int_equal(container->cpu->time_ns, 3);
    assert_int_equal(container->cpu->usage_core_nanos.value, 1);
    assert_false(container->cpu->usage_nano_cores.known);
    assert_int_equal(container->cpu->psi->some.total, 5);
    assert_true(container->cpu->psi->some.avg10 == 0.5);
    assert_int_equal(container->cpu->psi->full.total, 0);
    assert_int_equal(container->memory->available_bytes.value, 2);
    assert_false(container->memory->rss_bytes.known);
    assert_int_equal(container->rootfs->used_bytes.value, 2);
    assert_int_equal(container->rootfs->inodes_used.value, 1);
    assert_int_equal(container->rootfs->time_ns, 5);
    /* One mount point, however many lie on it. */
    assert_int_equal(listing->mount_count, 1);
    assert_string_equal(listing->mounts[0], "/var/lib/images");
    assert_int_equal(container->mount, 0);
    assert_true(listing->has_image_fs);
    assert_int_equal(listing->image_mount, 0);
    assert_int_equal(listing->image_fs.used_bytes.value, 2);
}

TEST_CASE(a_listing_without_an_image_file_system_says_so)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct listing_builder *builder = listing_builder_new(arena);
    const Cri__ImageFsInfoResponse reply = CRI__IMAGE_FS_INFO_RESPONSE__INIT;
    listing_builder_image_fs(builder, &reply);
    const struct summary_listing *listing = listing_builder_finish(builder);
    assert_false(listing->has_image_fs);
    assert_int_equal(listing->image_mount, LISTING_NO_MOUNT);
    assert_int_equal(listing->mount_count, 0);
}

TEST_MAIN(TEST(upstreams_rules_decide_who_is_listed),
          TEST(groups_that_are_missing_are_zero_and_of_now),
          TEST(what_the_runtime_tells_is_taken_as_it_is),
          TEST(a_listing_without_an_image_file_system_says_so))
