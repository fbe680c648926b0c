/*
 * The downward API: what a container may learn about its own pod through env (spec runtime.md
 * §3.6). Pure. Any thread.
 */
#pragma once

#include "pod/cri_config.h"

/**
 * The value of fieldRef @field. Addresses come from @pod_ips and the node, reduced to one per
 * family, the node's primary family first. INVALID_ARGUMENT with upstream's words for what is not
 * supported.
 */
MUST_CHECK struct error *downward_field(const Core__ObjectFieldSelector *field,
                                        const Core__Pod *pod, const struct node_facts *node,
                                        const char *const *pod_ips, struct arena *arena,
                                        const char **ret);

/**
 * The value of resourceFieldRef @selector seen from @container (NULL: from a volume, and the
 * selector must name one). Limits of cpu, memory and ephemeral storage that are not set are the
 * pod's or what the node can allocate. INVALID_ARGUMENT for an unknown resource or container.
 */
MUST_CHECK struct error *downward_resource(const Core__ResourceFieldSelector *selector,
                                           const Core__Pod *pod, const Core__Container *container,
                                           const struct node_facts *node, struct arena *arena,
                                           const char **ret);
