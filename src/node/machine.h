/*
 * What this machine says of itself in the Node object: identities, kernel, distribution, capacity.
 * Read once at start; blocking, but only kernel files and a few small ones below /etc. Start-up
 * only. Sources: spec node.md §5.3-§5.4.
 */
#pragma once

#include "config/config.h"
#include "node/facts.h"

struct node_machine {
    const char *machine_id, *system_uuid, *boot_id; /* "" when unknown */
    const char *kernel_version;
    const char *os_image;     /* PRETTY_NAME, "Linux" or "Unknown" */
    const char *architecture; /* as Go calls it: "amd64" */
    const char *hostname;     /* hostname-override, or the host's name in lower case */
    int64_t swap_bytes;       /* 0: none */
    int64_t cpus;
    int64_t memory_bytes;
    int64_t root_fs_bytes; /* of the filesystem that holds the root directory; 0: unknown */
    /** Sizes of huge pages with what is reserved of each, smallest first. */
    struct node_hugepages {
        const char *resource; /* "hugepages-2Mi" */
        int64_t capacity_bytes;
    } hugepages[NODE_MAX_HUGEPAGES];
    size_t n_hugepages;
    bool has_cpu_quota; /* the kernel can limit cpu; taken for granted on cgroup v2 */
    bool has_apparmor;
    unsigned kernel_major, kernel_minor; /* 0.0 when the release tells none */
};

/** Reads it; texts live in @arena. What cannot be read is told by its empty value, never an error.
 */
void node_machine_read(const struct config *config, const struct node_facts *facts,
                       struct arena *arena, struct node_machine *ret);
