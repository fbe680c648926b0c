/*
 * Which pods and containers a summary is about, and what the runtime itself says they use: four
 * replies of the CRI, reduced to what matters and joined by upstream's rules (spec server.md §4.3).
 * Nothing of the replies is kept, which at 250 pods are large. Pure. Loop thread.
 */
#pragma once

#include "base/arena.h"
#include "stats/summary.h"

#include "cri.pb-c.h"

#define LISTING_NO_MOUNT SIZE_MAX

/** A running container that the runtime has figures of. */
struct listed_container {
    const char *id, *name;
    int64_t created_ns;
    /* As the runtime has them; never NULL. */
    const struct summary_cpu *cpu;
    const struct summary_memory *memory;
    const struct summary_io *io;
    const struct summary_swap *swap;
    const struct summary_fs *rootfs; /* used_bytes and inodes_used of the writable layer */
    size_t mount;                    /* where that lies: index in the listing's, or none */
};

/** A sandbox with at least one such container. */
struct listed_pod {
    const char *sandbox_id, *uid, *namespace, *name;
    int64_t created_ns;
    size_t container_count;
    const struct listed_container *containers; /* the oldest first */
};

struct summary_listing {
    size_t pod_count;
    const struct listed_pod *pods; /* by namespace and name, of equal ones the youngest first */
    bool has_image_fs;
    struct summary_fs image_fs; /* used_bytes and inodes_used */
    size_t image_mount;
    size_t mount_count;
    const char *const *mounts; /* each mount point once */
};

struct listing_builder; /* opaque; lives in its arena */

/** Begins a listing in @arena. listing_builder_finish() or _drop() must follow. */
struct listing_builder *listing_builder_new(struct arena *arena);

/*
 * The replies, in any order, each once; borrowed for the call. Rows without an id are passed over.
 * @now_ns (wall) is the time of figures that the runtime does not give.
 */
void listing_builder_sandboxes(struct listing_builder *builder,
                               const Cri__ListPodSandboxResponse *reply);
void listing_builder_containers(struct listing_builder *builder,
                                const Cri__ListContainersResponse *reply);
void listing_builder_stats(struct listing_builder *builder,
                           const Cri__ListContainerStatsResponse *reply, int64_t now_ns);
void listing_builder_image_fs(struct listing_builder *builder,
                              const Cri__ImageFsInfoResponse *reply);

/**
 * Joins what came. Of sandboxes with one namespace and name, the ready ones count, or the youngest
 * where none is; of a sandbox's running containers with one name, the youngest.
 */
const struct summary_listing *listing_builder_finish(struct listing_builder *builder);
/** Ends it without a result. */
void listing_builder_drop(struct listing_builder *builder);
