/*
 * Which ConfigMaps and Secrets a pod refers to: what a kubelet registers with its caches, and what
 * a node may read. Pure. Any thread.
 *
 * Counted are, as upstream's pkg/api/pod does (VisitPodSecretNames, VisitPodConfigmapNames):
 * imagePullSecrets, env and envFrom of every container, volumes of every type with their projected
 * sources.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/** Calls @visit for each mention of a name that is not empty; false from it ends the visit. Returns
 * false when it was ended. */
bool pod_references_visit(const Core__PodSpec *spec,
                          bool (*visit)(void *ctx, bool is_secret, const char *name), void *ctx);

/** Names in the pod's own namespace, each once, in the order of their first mention. */
struct pod_references {
    const char *const *config_maps;
    size_t config_map_count;
    const char *const *secrets;
    size_t secret_count;
};

/** All references of @pod. @ret borrows from @pod and @arena. */
void pod_references_of(const Core__Pod *pod, struct arena *arena, struct pod_references *ret);

/** Those of one container's env and envFrom. */
void container_references_of(const Core__Container *container, struct arena *arena,
                             struct pod_references *ret);
