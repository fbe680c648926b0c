/*
 * Rows of the three lists lie in the arena, found by id through two hash tables: a sandbox knows
 * its containers, a container its figures. Joining goes over the sandboxes in their order by name,
 * so that those which stand for one pod are neighbours.
 */
#include "stats/summary_listing.h"

#include "base/hash.h"

/* What the runtime says of one container. */
struct figures {
    const char *id;
    struct listed_container container; /* without created_ns */
    UT_hash_handle hh;
};

struct container_row {
    const char *id, *sandbox_id, *name;
    int64_t created_ns;
    struct container_row *next; /* of the builder's list */
};

struct sandbox_row {
    const char *id, *uid, *namespace, *name;
    int64_t created_ns;
    bool ready;
    size_t container_count; /* that have figures */
    struct listed_container *containers;
    UT_hash_handle hh;
};

struct listing_builder {
    struct arena *arena;
    struct sandbox_row *sandboxes;    /* hash head */
    struct figures *figures;          /* hash head */
    struct container_row *containers; /* list */
    struct summary_listing listing;
    const char **mounts;
    size_t mount_room;
};

struct listing_builder *listing_builder_new(struct arena *arena)
{
    struct listing_builder *builder = arena_alloc(arena, sizeof(*builder));
    builder->arena = arena;
    builder->listing.image_mount = LISTING_NO_MOUNT;
    return builder;
}

void listing_builder_drop(struct listing_builder *builder)
{
    HASH_CLEAR(hh, builder->sandboxes);
    HASH_CLEAR(hh, builder->figures);
}

static bool is_text(const char *text)
{
    return text && *text != '\0';
}

static const char *copy(const struct listing_builder *builder, const char *text)
{
    return arena_strdup(builder->arena, text ? text : "");
}

/* --- what comes in --- */

void listing_builder_sandboxes(struct listing_builder *builder,
                               const Cri__ListPodSandboxResponse *reply)
{
    for (size_t i = 0; i < reply->n_items; i++) {
        const Cri__PodSandbox *item = reply->items[i];
        struct sandbox_row *row;
        if (!is_text(item->id) || !item->metadata || !is_text(item->metadata->uid))
            continue;
        HASH_FIND_STR(builder->sandboxes, item->id, row);
        if (row)
            continue;
        row = arena_alloc(builder->arena, sizeof(*row));
        row->id = copy(builder, item->id);
        row->uid = copy(builder, item->metadata->uid);
        row->namespace = copy(builder, item->metadata->namespace_);
        row->name = copy(builder, item->metadata->name);
        row->created_ns = item->created_at;
        row->ready = item->state == CRI__POD_SANDBOX_STATE__SANDBOX_READY;
        HASH_ADD_KEYPTR(hh, builder->sandboxes, row->id, strlen(row->id), row);
    }
}

void listing_builder_containers(struct listing_builder *builder,
                                const Cri__ListContainersResponse *reply)
{
    for (size_t i = 0; i < reply->n_containers; i++) {
        const Cri__Container *item = reply->containers[i];
        if (!is_text(item->id) || !is_text(item->pod_sandbox_id) ||
            item->state != CRI__CONTAINER_STATE__CONTAINER_RUNNING)
            continue;
        struct container_row *row = arena_alloc(builder->arena, sizeof(*row));
        row->id = copy(builder, item->id);
        row->sandbox_id = copy(builder, item->pod_sandbox_id);
        row->name = copy(builder, item->metadata ? item->metadata->name : "");
        row->created_ns = item->created_at;
        LL_PREPEND(builder->containers, row);
    }
}

static struct summary_figure figure(const Cri__UInt64Value *value)
{
    return value ? summary_known(value->value) : (struct summary_figure){0};
}

static struct summary_psi_line psi_line(const Cri__PsiData *line)
{
    if (!line)
        return (struct summary_psi_line){0};
    return (struct summary_psi_line){
        .total = line->total, .avg10 = line->avg10, .avg60 = line->avg60, .avg300 = line->avg300};
}

static const struct summary_psi *psi(struct arena *arena, const Cri__PsiStats *from)
{
    if (!from)
        return NULL;
    const struct summary_psi both = {.full = psi_line(from->full), .some = psi_line(from->some)};
    return arena_memdup(arena, &both, sizeof(both));
}

static const struct summary_cpu *cpu(struct arena *arena, const Cri__CpuUsage *from, int64_t now_ns)
{
    struct summary_cpu *to = arena_alloc(arena, sizeof(*to));
    *to = from ? (struct summary_cpu){.time_ns = from->timestamp,
                                      .usage_nano_cores = figure(from->usage_nano_cores),
                                      .usage_core_nanos = figure(from->usage_core_nano_seconds),
                                      .psi = psi(arena, from->psi)}
               : (struct summary_cpu){.time_ns = now_ns,
                                      .usage_nano_cores = summary_known(0),
                                      .usage_core_nanos = summary_known(0)};
    return to;
}

static const struct summary_memory *memory(struct arena *arena, const Cri__MemoryUsage *from,
                                           int64_t now_ns)
{
    struct summary_memory *to = arena_alloc(arena, sizeof(*to));
    *to = from ? (struct summary_memory){.time_ns = from->timestamp,
                                         .available_bytes = figure(from->available_bytes),
                                         .usage_bytes = figure(from->usage_bytes),
                                         .working_set_bytes = figure(from->working_set_bytes),
                                         .rss_bytes = figure(from->rss_bytes),
                                         .page_faults = figure(from->page_faults),
                                         .major_page_faults = figure(from->major_page_faults),
                                         .psi = psi(arena, from->psi)}
               : (struct summary_memory){.time_ns = now_ns,
                                         .usage_bytes = summary_known(0),
                                         .working_set_bytes = summary_known(0),
                                         .rss_bytes = summary_known(0)};
    return to;
}

static const struct summary_io *io(struct arena *arena, const Cri__IoUsage *from, int64_t now_ns)
{
    struct summary_io *to = arena_alloc(arena, sizeof(*to));
    to->time_ns = from ? from->timestamp : now_ns;
    to->psi = from ? psi(arena, from->psi) : NULL;
    return to;
}

static const struct summary_swap *swap(struct arena *arena, const Cri__SwapUsage *from,
                                       int64_t now_ns)
{
    struct summary_swap *to = arena_alloc(arena, sizeof(*to));
    *to = from ? (struct summary_swap){.time_ns = from->timestamp,
                                       .available_bytes = figure(from->swap_available_bytes),
                                       .usage_bytes = figure(from->swap_usage_bytes)}
               : (struct summary_swap){.time_ns = now_ns,
                                       .available_bytes = summary_known(0),
                                       .usage_bytes = summary_known(0)};
    return to;
}

/* The index of @mount_point among those seen so far, where it is put when it is new. */
static size_t mount_index(struct listing_builder *builder, const char *mount_point)
{
    struct summary_listing *listing = &builder->listing;
    for (size_t i = 0; i < listing->mount_count; i++) {
        if (text_eq(builder->mounts[i], mount_point))
            return i;
    }
    if (listing->mount_count == builder->mount_room) {
        builder->mount_room = builder->mount_room ? builder->mount_room * 2 : 4;
        const char **larger = arena_calloc(builder->arena, builder->mount_room, sizeof(*larger));
        if (listing->mount_count > 0)
            memcpy(larger, builder->mounts, listing->mount_count * sizeof(*larger));
        builder->mounts = larger;
    }
    builder->mounts[listing->mount_count] = copy(builder, mount_point);
    return listing->mount_count++;
}

static size_t mount_of(struct listing_builder *builder, const Cri__FilesystemUsage *from)
{
    if (!from || !from->fs_id || !is_text(from->fs_id->mountpoint))
        return LISTING_NO_MOUNT;
    return mount_index(builder, from->fs_id->mountpoint);
}

static struct summary_fs layer(const Cri__FilesystemUsage *from)
{
    if (!from)
        return (struct summary_fs){0};
    return (struct summary_fs){.time_ns = from->timestamp,
                               .used_bytes = figure(from->used_bytes),
                               .inodes_used = figure(from->inodes_used)};
}

void listing_builder_stats(struct listing_builder *builder,
                           const Cri__ListContainerStatsResponse *reply, int64_t now_ns)
{
    struct arena *arena = builder->arena;
    for (size_t i = 0; i < reply->n_stats; i++) {
        const Cri__ContainerStats *item = reply->stats[i];
        const Cri__ContainerAttributes *attributes = item->attributes;
        struct figures *row;
        if (!attributes || !is_text(attributes->id))
            continue;
        HASH_FIND_STR(builder->figures, attributes->id, row);
        if (row)
            continue;
        row = arena_alloc(arena, sizeof(*row));
        row->id = copy(builder, attributes->id);
        const struct summary_fs rootfs = layer(item->writable_layer);
        row->container = (struct listed_container){
            .id = row->id,
            .name = copy(builder, attributes->metadata ? attributes->metadata->name : ""),
            .cpu = cpu(arena, item->cpu, now_ns),
            .memory = memory(arena, item->memory, now_ns),
            .io = io(arena, item->io, now_ns),
            .swap = swap(arena, item->swap, now_ns),
            .rootfs = arena_memdup(arena, &rootfs, sizeof(rootfs)),
            .mount = mount_of(builder, item->writable_layer)};
        HASH_ADD_KEYPTR(hh, builder->figures, row->id, strlen(row->id), row);
    }
}

void listing_builder_image_fs(struct listing_builder *builder,
                              const Cri__ImageFsInfoResponse *reply)
{
    struct summary_listing *listing = &builder->listing;
    listing->has_image_fs = reply->n_image_filesystems > 0;
    if (!listing->has_image_fs)
        return;
    listing->image_fs = layer(reply->image_filesystems[0]);
    listing->image_mount = mount_of(builder, reply->image_filesystems[0]);
}

/* --- joining --- */

static int compare_texts(const char *a, const char *b, const char *c, const char *d)
{
    int order = strcmp(a, b);
    return order != 0 ? order : strcmp(c, d);
}

/* By namespace and name, then the ready ones, then the youngest. */
static int compare_sandboxes(const void *a, const void *b)
{
    const struct sandbox_row *left = *(struct sandbox_row *const *)a;
    const struct sandbox_row *right = *(struct sandbox_row *const *)b;
    int order = compare_texts(left->namespace, right->namespace, left->name, right->name);
    if (order == 0 && left->ready != right->ready)
        order = left->ready ? -1 : 1;
    if (order == 0 && left->created_ns != right->created_ns)
        order = left->created_ns > right->created_ns ? -1 : 1;
    return order != 0 ? order : strcmp(left->id, right->id);
}

static bool is_same_pod(const struct sandbox_row *a, const struct sandbox_row *b)
{
    return text_eq(a->namespace, b->namespace) && text_eq(a->name, b->name);
}

/* By sandbox, then by name, then the youngest first. */
static int compare_rows(struct container_row *a, struct container_row *b)
{
    int order = compare_texts(a->sandbox_id, b->sandbox_id, a->name, b->name);
    if (order == 0 && a->created_ns != b->created_ns)
        order = a->created_ns > b->created_ns ? -1 : 1;
    return order != 0 ? order : strcmp(a->id, b->id);
}

static int compare_containers(const void *a, const void *b)
{
    const struct listed_container *left = a, *right = b;
    if (left->created_ns != right->created_ns)
        return left->created_ns < right->created_ns ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* The row's container where it has figures and @before is not a younger one of the same name. */
static const struct figures *figures_of(const struct listing_builder *builder,
                                        const struct container_row *row,
                                        const struct container_row *before)
{
    struct figures *found;
    HASH_FIND_STR(builder->figures, row->id, found);
    bool is_stale =
        before && text_eq(before->sandbox_id, row->sandbox_id) && text_eq(before->name, row->name);
    return is_stale ? NULL : found;
}

/* Gives each sandbox its containers, whose rows are sorted, so each sandbox's are neighbours. */
static void assign_containers(struct listing_builder *builder)
{
    LL_SORT(builder->containers, compare_rows);
    size_t room = 0;
    for (const struct container_row *row = builder->containers; row; row = row->next)
        room++;
    struct listed_container *next = arena_calloc(builder->arena, room + 1, sizeof(*next));
    const struct container_row *before = NULL;
    for (const struct container_row *row = builder->containers; row;
         before = row, row = row->next) {
        const struct figures *figures = figures_of(builder, row, before);
        struct sandbox_row *sandbox;
        HASH_FIND_STR(builder->sandboxes, row->sandbox_id, sandbox);
        if (!figures || !sandbox)
            continue;
        if (sandbox->container_count++ == 0)
            sandbox->containers = next;
        *next = figures->container;
        next->created_ns = row->created_ns;
        next++;
    }
}

static const struct listed_pod *join(struct listing_builder *builder, size_t *ret_count)
{
    size_t count = HASH_COUNT(builder->sandboxes), used = 0;
    struct sandbox_row **rows =
        arena_calloc(builder->arena, count + 1, sizeof(struct sandbox_row *));
    struct listed_pod *pods = arena_calloc(builder->arena, count + 1, sizeof(*pods));
    size_t at = 0;
    for (struct sandbox_row *row = builder->sandboxes; row; row = row->hh.next)
        rows[at++] = row;
    if (count > 1)
        qsort(rows, count, sizeof(struct sandbox_row *), compare_sandboxes);
    for (size_t i = 0; i < count; i++) {
        const struct sandbox_row *row = rows[i];
        bool is_stale = !row->ready && i > 0 && is_same_pod(row, rows[i - 1]);
        if (is_stale || row->container_count == 0)
            continue;
        if (row->container_count > 1)
            qsort(row->containers, row->container_count, sizeof(*row->containers),
                  compare_containers);
        pods[used++] = (struct listed_pod){.sandbox_id = row->id,
                                           .uid = row->uid,
                                           .namespace = row->namespace,
                                           .name = row->name,
                                           .created_ns = row->created_ns,
                                           .container_count = row->container_count,
                                           .containers = row->containers};
    }
    *ret_count = used;
    return pods;
}

const struct summary_listing *listing_builder_finish(struct listing_builder *builder)
{
    struct summary_listing *listing = &builder->listing;
    assign_containers(builder);
    listing->pods = join(builder, &listing->pod_count);
    listing->mounts = builder->mounts;
    listing_builder_drop(builder);
    return listing;
}
