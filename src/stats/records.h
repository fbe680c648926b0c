/*
 * What the node's cgroups were using at one moment: a record for the root, for the slices the agent
 * knows (kubepods and its tiers, the kubelet's, the runtime's and the system's cgroups), for every
 * pod, sandbox and container. Immutable and shared by reference count; the summary and
 * /metrics/cadvisor are made from it. Loop thread, but that rendering may happen anywhere while a
 * reference is held.
 */
#pragma once

#include "cgroup/cgroup_figures.h"

enum stats_kind { STATS_ROOT, STATS_SLICE, STATS_POD, STATS_SANDBOX, STATS_CONTAINER };
#define STATS_KIND_COUNT (STATS_CONTAINER + 1)

/** What a root or slice is for; one cgroup may be several. */
enum stats_role {
    STATS_ROLE_KUBELET, /* kubeletCgroups, or where the agent runs */
    STATS_ROLE_RUNTIME, /* runtimeCgroups */
    STATS_ROLE_MISC,    /* systemCgroups */
    STATS_ROLE_PODS,    /* the root of all pods */
};
#define STATS_ROLE_COUNT (STATS_ROLE_PODS + 1)
/** The name of the summary's system container: "kubelet", "runtime", "misc", "pods". */
const char *stats_role_name(enum stats_role role);

/** One line of /proc/<pid>/net/dev; lo, veth*, docker* and nerdctl* are left out. */
struct stats_interface {
    const char *name;
    uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
    uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
};

/** A block device: one line of /proc/diskstats. */
struct stats_disk {
    uint64_t major, minor;
    const char *name; /* "nvme0n1p2" */
    uint64_t reads, reads_merged, sectors_read, read_ms;
    uint64_t writes, writes_merged, sectors_written, write_ms;
    uint64_t io_in_flight, io_ms, io_weighted_ms;
};

/** A mounted file system of the host; the root record's only. */
struct stats_filesystem {
    const char *device;            /* "/dev/vda"; for a tmpfs its mount point */
    const struct stats_disk *disk; /* NULL: it is on none */
    uint64_t capacity_bytes, free_bytes, available_bytes; /* available: to users without rights */
    uint64_t inodes, inodes_free;
};

/** Texts are "" where there is nothing, never NULL. */
struct stats_record {
    enum stats_kind kind;
    unsigned roles;      /* bits 1 << enum stats_role */
    const char *path;    /* the cgroup as it is shown: "/", "/kubepods/burstable/pod…/<id>" */
    const char *id;      /* of the sandbox or container; "" for others */
    const char *pod_uid; /* POD, SANDBOX, CONTAINER; so the next two */
    const char *pod;     /* name */
    const char *namespace;
    const char *container;  /* CONTAINER: its name in the pod */
    const char *image;      /* SANDBOX, CONTAINER; "" while not known */
    const char *name;       /* the label: the id as the runtime's cgroup has it; else "" */
    int64_t sample_ns;      /* when it was read, wall clock */
    uint64_t cpu_nanocores; /* mean since the sample before; 0 while there is none */
    uint64_t oom_kills;     /* seen in the kernel's log since the agent's start */
    struct cgroup_figures figures;
    bool has_network; /* ROOT and SANDBOX, when it could be read */
    size_t n_interfaces;
    const struct stats_interface *interfaces; /* in the kernel's order */
    size_t n_filesystems;
    const struct stats_filesystem *filesystems; /* ROOT: by device */
};

/** The machine at that moment; texts as given to the collector. */
struct stats_machine {
    const char *machine_id, *system_uuid, *boot_id;
    const char *kernel_version, *os_version;
    uint64_t cpu_cores, cpu_physical_cores, cpu_sockets;
    uint64_t memory_bytes, swap_bytes;
};

struct stats_records {
    int64_t taken_ns; /* wall clock, when the pass began */
    struct stats_machine machine;
    bool has_pressure; /* the kernel measures it (v2) */
    size_t n_disks;
    const struct stats_disk *disks;
    size_t count;
    const struct stats_record *items; /* the root first, then by path */
};

/** One more holder; release with stats_records_unref(). Loop thread. */
struct stats_records *stats_records_ref(const struct stats_records *records);
void stats_records_unref(struct stats_records *records); /* NULL is fine */
DEFINE_AUTO(stats_records, struct stats_records *, stats_records_unref)

/** Each borrowed from @records; NULL: there is none. */
const struct stats_record *stats_records_root(const struct stats_records *records);
const struct stats_record *stats_records_role(const struct stats_records *records,
                                              enum stats_role role);
/** The cgroup of pod @uid. */
const struct stats_record *stats_records_pod(const struct stats_records *records, const char *uid);
/** The sandbox or container @id (as the runtime knows it). */
const struct stats_record *stats_records_by_id(const struct stats_records *records, const char *id);
