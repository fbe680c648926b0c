/*
 * From a pod to what the runtime is told: PodSandboxConfig and ContainerConfig, exactly as spec
 * runtime.md §2-§3. Decisions only: everything that must be read from the disk or the machine comes
 * in through the structs below, and what must be done to the disk (hosts file, termination log,
 * subPath binds, log folders) is named in the result for the executor. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "pod/node_facts.h"
#include "pod/runtime_handler.h"
#include "pod/userns.h"

#include "core.pb-c.h"
#include "cri.pb-c.h"

/** The host's resolv.conf, parsed (spec §2.5). */
struct resolv_conf {
    const char *const *servers; /* NULL-terminated */
    const char *const *searches;
    const char *const *options;
};
#define RESOLV_CONF_MAX_BYTES (10 * MiB)
/** Parses the text of a resolv.conf into @arena. Error: "nameserver list is empty " when one is
 * bare. */
MUST_CHECK struct error *resolv_conf_parse(struct str text, struct arena *arena,
                                           struct resolv_conf *ret);

/** Something worth a Warning event on the pod, found while deciding: reason is static, texts live
 * in the arena. */
struct config_notice {
    const char *reason; /* "DNSConfigForming", "MissingClusterDNS" */
    const char *message;
    const char *node_message; /* the same for an event on the node; NULL: none */
};
struct config_notices {
    size_t count;
    struct config_notice items[4];
};

struct sandbox_config_input {
    const Core__Pod *pod;
    const struct node_facts *node;
    const struct resolv_conf *resolv; /* NULL: resolvConf is the empty string */
    struct runtime_handler handler;
    struct userns_range userns;  /* of a pod with a user namespace of its own */
    const int64_t *extra_groups; /* supplemental groups that persistent volumes ask for */
    size_t n_extra_groups;
    uint32_t attempt;
};

/**
 * Builds the PodSandboxConfig in @arena. Errors carry upstream's texts (hostname, FQDN too long,
 * unsupported supplementalGroupsPolicy, user namespaces, …), code INVALID_ARGUMENT.
 */
MUST_CHECK struct error *sandbox_config_build(const struct sandbox_config_input *input,
                                              struct arena *arena, struct config_notices *notices,
                                              Cri__PodSandboxConfig **ret);

/** Hostname and domain as §2.4 (before FQDN), for /etc/hosts and PodSandboxConfig. */
struct pod_hostname {
    const char *hostname;
    const char *domain; /* "" when none */
};
MUST_CHECK struct error *pod_hostname_of(const Core__Pod *pod, const char *cluster_domain,
                                         struct arena *arena, struct pod_hostname *ret);

/** "/kubepods/burstable/pod<uid>" or its systemd form; "" when cgroups per QoS are off. */
const char *pod_cgroup_parent(const Core__Pod *pod, const struct node_facts *node,
                              struct arena *arena);
/** "<podLogsDir>/<namespace>_<name>_<uid>". */
const char *pod_log_dir(const Core__Pod *pod, const struct node_facts *node, struct arena *arena);

/** A volume that is mounted for the pod. */
struct mounted_volume {
    const char *name;       /* the pod's own volume name */
    const char *host_path;  /* what to bind; NULL for an image volume */
    const char *image_ref;  /* image volume: the reference that ensure image resolved; else NULL */
    const char *inner_name; /* for volume-subpaths/: PV name or the pod's volume name */
    bool read_only;
    bool selinux_relabel;
};

/** A ConfigMap or Secret as env and envFrom refer to it. */
struct env_object {
    bool is_secret;
    const char *name;
    const ProtobufCMessage *object; /* Core__ConfigMap or Core__Secret; NULL with err */
    const struct error *err;        /* NOT_FOUND lets optional references pass; others never do */
};

/**
 * Where env comes from beyond the pod itself. Without an API client there are no services to wait
 * for, and ConfigMap and Secret references are refused with upstream's "no kubeClient defined".
 */
struct env_sources {
    /** "services have not yet been read": false refuses API pods; static pods never need it. */
    bool services_ready;
    const Core__Service *const *services; /* all those of the cluster that have a cluster IP */
    size_t n_services;
    const struct env_object *objects; /* one for each that the container refers to */
    size_t n_objects;
};

/** A file that env[].valueFrom.fileKeyRef reads; what it holds was read below its volume,
 * symlink-safe. */
struct env_file {
    const char *volume_name;
    const char *path; /* as in the pod, relative to the volume */
    bool readable;    /* false: it could not be opened or read */
    struct str content;
};

struct container_config_input {
    const Core__Pod *pod;
    const Core__Container *container; /* an ephemeral one: ephemeral_as_container() */
    const struct node_facts *node;
    const struct mounted_volume *volumes;
    size_t n_volumes;
    const char *const *pod_ips; /* NULL-terminated; host network: the node's */
    const char *image_ref;      /* resolved by ensure image */
    struct runtime_handler handler;
    struct userns_range userns; /* as of the sandbox */
    bool image_has_uid;         /* ImageStatus of the spec image string */
    int64_t image_uid;
    const char *image_username; /* NULL or "" when none */
    const char *target_id;      /* ephemeral: the instance whose processes it sees; NULL: none */
    uint32_t restart_count;
    uint64_t random; /* names the termination log file */
    const char *const
        *subpath_targets; /* per volumeMount index: bind target, or NULL where no subPath is used */
    const struct env_sources *env_sources; /* NULL: standalone, no API client */
    const struct env_file *env_files;      /* one for each of container_env_files() */
    size_t n_env_files;
    const int64_t *extra_groups; /* supplemental groups that persistent volumes ask for */
    size_t n_extra_groups;
};

/** What the executor must do on disk before CreateContainer; paths live in the arena. */
struct container_files {
    const char *hosts_path;    /* NULL: not managed; else write hosts_content (mode 0644) there */
    const char *hosts_content; /* NULL with hosts_from_node: header + node's /etc/hosts + aliases */
    bool hosts_from_node; /* host network: splice the node's /etc/hosts between the two parts */
    const char *hosts_prefix, *hosts_suffix;
    const char *termination_dir; /* NULL: none; mkdir -p 0750 */
    const char *termination_log; /* new empty file, chmod 0666, inside termination_dir */
    const char *log_dir;         /* mkdir -p 0755 */
};

/** A file that must be read into env_files before anything below; "" and NULL as in the pod are
 * never listed. */
struct env_file_request {
    const char *volume_name;
    const char *volume_path; /* host path of the volume */
    const char *path;
};

/** Lists the files that fileKeyRef of @input's container names, each once; volumes that are not
 * mounted are left out. */
void container_env_files(const struct container_config_input *input, struct arena *arena,
                         struct env_file_request **ret_requests, size_t *ret_count);

/** A volumeMount with subPath or subPathExpr, which must be prepared (spec §3.8) before the config
 * is built. */
struct subpath_request {
    size_t mount_index; /* index in container->volume_mounts */
    const char *volume_name;
    const char *inner_name;
    const char *volume_path; /* host path of the volume */
    const char *sub_path;    /* expanded, relative, without ".." */
    bool read_only;
};

/**
 * Lists the subPath binds of a container (image volumes need none). Errors are those of
 * container_config_build() up to and including mounts: env, missing volumes, absolute or ".."
 * subpaths, undefined variables.
 */
MUST_CHECK struct error *container_subpaths(const struct container_config_input *input,
                                            struct arena *arena,
                                            struct subpath_request **ret_requests,
                                            size_t *ret_count);

/**
 * Builds the ContainerConfig in @arena, in upstream's order (§3.3), so that the same error surfaces
 * first. Errors' messages are the waiting message of CreateContainerConfigError.
 */
MUST_CHECK struct error *container_config_build(const struct container_config_input *input,
                                                struct arena *arena,
                                                struct container_files *ret_files,
                                                Cri__ContainerConfig **ret);

/** Upstream's container hash (§3.13); annotation text is lower-case hex without leading zeros. */
uint32_t container_hash(const char *image, const char *name);

/**
 * Docker reference normalisation for image calls: "busybox" → "busybox:latest" (never a registry
 * added). INVALID_ARGUMENT with reason InvalidImageName: `couldn't parse image name "<img>": …`.
 */
MUST_CHECK struct error *image_with_default_tag(const char *image, struct arena *arena,
                                                const char **ret);

/** "<name>_<namespace>(<uid>)". */
const char *pod_text(const Core__Pod *pod, struct arena *arena);
