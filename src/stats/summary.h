/*
 * The Summary API's answer (spec server.md §4.1) as plain data: what the node, its pods and their
 * containers use. Made by stats/summary_build.h, immutable afterwards; everything it refers to
 * lives in one arena. Sections that are NULL are left out of every rendering. Pure data; any
 * thread.
 */
#pragma once

#include "base/base.h"

/** A figure that may be missing, which is not 0. */
struct summary_figure {
    bool known;
    uint64_t value;
};

static inline struct summary_figure summary_known(uint64_t value)
{
    return (struct summary_figure){.known = true, .value = value};
}

/** 0 for a missing one. */
static inline uint64_t summary_value(struct summary_figure figure)
{
    return figure.known ? figure.value : 0;
}

/* Times are wall-clock nanoseconds; 0 is no time. */

struct summary_psi_line {
    uint64_t total; /* microseconds, as the kernel tells them */
    double avg10, avg60, avg300;
};

struct summary_psi {
    struct summary_psi_line full, some;
};

struct summary_cpu {
    int64_t time_ns;
    struct summary_figure usage_nano_cores;
    struct summary_figure usage_core_nanos; /* since its start */
    const struct summary_psi *psi;
};

struct summary_memory {
    int64_t time_ns;
    struct summary_figure available_bytes, usage_bytes, working_set_bytes, rss_bytes;
    struct summary_figure page_faults, major_page_faults;
    const struct summary_psi *psi;
};

struct summary_io {
    int64_t time_ns;
    const struct summary_psi *psi;
};

struct summary_swap {
    int64_t time_ns;
    struct summary_figure available_bytes, usage_bytes;
};

struct summary_interface {
    const char *name;
    struct summary_figure rx_bytes, rx_errors, tx_bytes, tx_errors;
};

struct summary_network {
    int64_t time_ns;
    const struct summary_interface *default_interface; /* eth0; NULL: there is none */
    size_t count;
    const struct summary_interface *interfaces;
};

struct summary_fs {
    int64_t time_ns;
    struct summary_figure available_bytes, capacity_bytes, used_bytes;
    struct summary_figure inodes_free, inodes, inodes_used;
};

struct summary_volume {
    const char *name;
    struct summary_fs fs;
    const char *claim_namespace, *claim_name; /* NULL: it has no claim */
    struct {
        bool known, value;
    } abnormal;
};

struct summary_container {
    const char *name;
    int64_t start_time_ns;
    const struct summary_cpu *cpu;
    const struct summary_memory *memory;
    const struct summary_io *io;
    const struct summary_fs *rootfs, *logs;
    const struct summary_swap *swap;
};

struct summary_pod {
    const char *name, *namespace, *uid;
    int64_t start_time_ns;
    size_t container_count;
    const struct summary_container *containers;
    const struct summary_cpu *cpu;
    const struct summary_memory *memory;
    const struct summary_io *io;
    const struct summary_network *network;
    size_t volume_count;
    const struct summary_volume *volumes;
    const struct summary_fs *ephemeral_storage;
    struct summary_figure process_count;
    const struct summary_swap *swap;
};

struct summary_rlimit {
    int64_t time_ns;
    int64_t max_pid, current_processes;
};

struct summary_node {
    const char *name;
    size_t system_container_count;
    const struct summary_container *system_containers;
    int64_t start_time_ns;
    const struct summary_cpu *cpu;
    const struct summary_memory *memory;
    const struct summary_io *io;
    const struct summary_network *network;
    const struct summary_fs *fs;
    const struct summary_fs *image_fs, *container_fs; /* `runtime` in the reply; both or none */
    const struct summary_rlimit *rlimit;
    const struct summary_swap *swap;
};

/** What is asked for. */
enum summary_scope {
    SUMMARY_FULL,
    SUMMARY_CPU_AND_MEMORY /* cpu, memory and swap only */
};

struct summary {
    struct summary_node node;
    size_t pod_count;
    const struct summary_pod *pods; /* by namespace and name */
};
