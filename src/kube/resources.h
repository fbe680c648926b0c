/*
 * Resource arithmetic over a PodSpec: QoS class and the scheduler's request/limit aggregation (spec
 * resources.md §1), and the small questions every room asks of a pod. Pure. Any thread.
 *
 * Sums are int64: millis for cpu, whole units (rounded up per container) for everything else; they
 * saturate.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

#define RESOURCE_CPU "cpu"
#define RESOURCE_MEMORY "memory"
#define RESOURCE_EPHEMERAL_STORAGE "ephemeral-storage"
#define RESOURCE_HUGEPAGES_PREFIX "hugepages-"

enum pod_qos { POD_QOS_GUARANTEED, POD_QOS_BURSTABLE, POD_QOS_BESTEFFORT };

/** "Guaranteed", "Burstable", "BestEffort": the value of status.qosClass. */
const char *pod_qos_name(enum pod_qos qos);
/** status.qosClass when set to a known name, else computed from the spec. */
enum pod_qos pod_qos_of(const Core__Pod *pod);

/** A sidecar: an init container with restartPolicy Always. */
bool container_is_sidecar(const Core__Container *container);

/** The containers of @spec one after the other: init containers, then regular ones. NULL: that was
 * the last. */
Core__Container *pod_container_at(const Core__PodSpec *spec, size_t index);
/** The init or regular container called @name, or NULL. */
Core__Container *pod_container_find(const Core__PodSpec *spec, const char *name);
/** The list of @spec that container @name is in, as it is called there: "containers",
 * "initContainers", "ephemeralContainers"; NULL: in none. */
const char *pod_list_of_container(const Core__PodSpec *spec, const char *name);

/** The condition of type @type, or NULL; @status may be NULL. */
Core__PodCondition *pod_condition_find(const Core__PodStatus *status, const char *type);
bool pod_condition_is_true(const Core__PodStatus *status, const char *type);

/** The name of an ephemeral container; "" when it has none. */
const char *ephemeral_container_name(const Core__EphemeralContainer *ephemeral);
/** The same container as what regular ones are: a shallow copy in @arena, which borrows all it
 * refers to from @ephemeral. What only an ephemeral one has, its target, stays behind. */
Core__Container *ephemeral_as_container(const Core__EphemeralContainer *ephemeral,
                                        struct arena *arena);
/** The ephemeral container called @name, or NULL. */
const Core__EphemeralContainer *ephemeral_container_find(const Core__PodSpec *spec,
                                                         const char *name);

/** The quantity under @name in a limits/requests map, or NULL. @resources may be NULL. */
const Meta__Quantity *resource_get_request(const Core__ResourceRequirements *resources,
                                           const char *name);
const Meta__Quantity *resource_get_limit(const Core__ResourceRequirements *resources,
                                         const char *name);

/** Kubernetes' own: without a domain, or below kubernetes.io. */
bool resource_is_native(const char *name);
/** A device of someone's: "vendor.com/gpu", whose name still has room for a quota's prefix. */
bool resource_is_extended(const char *name);
/** "hugepages-2Mi" and its kin. */
bool resource_is_hugepages(const char *name);
/** cpu, memory and hugepages-*: what spec.resources of a pod may name. */
bool resource_is_pod_level(const char *name);
/** True when spec.resources names a supported resource in its requests or limits. */
bool pod_has_pod_level_resources(const Core__Pod *pod);

struct pod_resource_options {
    bool exclude_overhead;
    bool skip_pod_level; /* ignore spec.resources */
    bool skip_container_level;
};
/**
 * The larger of the sum over regular containers + sidecars and the highest init phase; then the pod
 * level's value where it names the resource; then the overhead (limits: only when they are not
 * zero). @options may be NULL for none of them. *ret_present (may be NULL): something that counts
 * named the resource.
 */
int64_t pod_request_milli_cpu(const Core__Pod *pod, const struct pod_resource_options *options,
                              bool *ret_present);
int64_t pod_request_bytes(const Core__Pod *pod, const struct pod_resource_options *options,
                          const char *resource, bool *ret_present);
int64_t pod_limit_milli_cpu(const Core__Pod *pod, const struct pod_resource_options *options,
                            bool *ret_present);
int64_t pod_limit_bytes(const Core__Pod *pod, const struct pod_resource_options *options,
                        const char *resource, bool *ret_present);
/**
 * True when the pod cgroup may be limited in @resource: the pod level has a limit above zero, or
 * every regular and init container has one. A sidecar's limit counts for the init containers after
 * it (spec resources.md §2.8).
 */
bool pod_limits_cover_all(const Core__Pod *pod, const char *resource);

/** A pod of this node's own sources: annotation kubernetes.io/config.source present and not "api".
 */
bool pod_is_static(const Core__Pod *pod);
/** An API server's image of a static pod: annotation kubernetes.io/config.mirror present. */
bool pod_is_mirror(const Core__Pod *pod);
/** Critical: static, mirror, or priority >= 2000000000. */
bool pod_is_critical(const Core__Pod *pod);

/** The value under @key in metadata.labels / annotations, or NULL. */
const char *pod_label(const Core__Pod *pod, const char *key);
const char *pod_annotation(const Core__Pod *pod, const char *key);
