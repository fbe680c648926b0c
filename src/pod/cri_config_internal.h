/*
 * The pieces behind cri_config.h, one .c file a concept; for the pod room only. Pure. Any thread.
 * Messages are made in the arena given; nothing is kept.
 */
#pragma once

#include "pod/cri_config.h"
#include "pod/env.h"

/* hostname.c */

/**
 * The name a sandbox's kernel gets: the hostname, or the FQDN where the pod asks for it.
 * INVALID_ARGUMENT when that is beyond the kernel's 64 bytes.
 */
MUST_CHECK struct error *pod_kernel_hostname(const Core__Pod *pod, const struct pod_hostname *name,
                                             struct arena *arena, const char **ret);

/* dns_config.c */

/** Servers, searches and options of the pod, within Kubernetes' limits; what was cut goes to
 * @notices. */
Cri__DNSConfig *dns_config_build(const struct sandbox_config_input *input, struct arena *arena,
                                 struct config_notices *notices);

/* resources_config.c */

/** Aggregate of the pod's containers, without overhead. */
Cri__LinuxContainerResources *sandbox_resources_build(const Core__Pod *pod,
                                                      const struct node_facts *node,
                                                      struct arena *arena);
/** spec.overhead in the same form; an empty message when there is none. */
Cri__LinuxContainerResources *sandbox_overhead_build(const Core__Pod *pod,
                                                     const struct node_facts *node,
                                                     struct arena *arena);
Cri__LinuxContainerResources *container_resources_build(const Core__Pod *pod,
                                                        const Core__Container *container,
                                                        const struct node_facts *node,
                                                        struct arena *arena);

/* oom_score.c */

/** oom_score_adj of a container (spec runtime.md §3.15). */
int64_t container_oom_score_adj(const Core__Pod *pod, const Core__Container *container,
                                int64_t memory_capacity_bytes);

/* security_config.c */

MUST_CHECK struct error *sandbox_security_build(const struct sandbox_config_input *input,
                                                struct arena *arena,
                                                Cri__LinuxSandboxSecurityContext **ret);
MUST_CHECK struct error *container_security_build(const struct container_config_input *input,
                                                  struct arena *arena,
                                                  Cri__LinuxContainerSecurityContext **ret);
/** Refuses a container that must not run as root and would, or might. */
MUST_CHECK struct error *container_check_non_root(const struct container_config_input *input,
                                                  struct arena *arena);

/* seccomp_apparmor.c */

MUST_CHECK struct error *seccomp_profile_build(const struct container_config_input *input,
                                               struct arena *arena, Cri__SecurityProfile **ret);
/** Sets apparmor and apparmor_profile of @security, or leaves both unset. */
MUST_CHECK struct error *apparmor_profile_set(const struct container_config_input *input,
                                              struct arena *arena,
                                              Cri__LinuxContainerSecurityContext *security);

/* mounts_config.c */

/** What the volumeMounts of a container become; subPath binds are asked for, not made. */
struct volume_mounts {
    Cri__Mount **mounts; /* one per volumeMount; host_path "" where a subPath bind goes */
    size_t count;
    struct subpath_request *subpaths;
    size_t n_subpaths;
};
MUST_CHECK struct error *volume_mounts_build(const struct container_config_input *input,
                                             const struct environment *environment,
                                             struct arena *arena, struct volume_mounts *ret);
/** The volume mounted under @name, or NULL. */
const struct mounted_volume *mounted_volume_find(const struct container_config_input *input,
                                                 const char *name);

/* hosts_file.c */

/** Fills the hosts members of @files; leaves them NULL when /etc/hosts is not managed for this
 * container. */
void hosts_file_plan(const struct container_config_input *input, const struct pod_hostname *name,
                     struct arena *arena, struct container_files *files);
