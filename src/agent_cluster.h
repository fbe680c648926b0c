/*
 * The agent as a member of a cluster: the clients of its API server, the caches the pods use, and
 * those who keep the server and the node in step. Belongs to agent.c, which makes it when a
 * kubeconfig is given. Loop thread.
 *
 * It goes in two steps: agent_cluster_halt() ends all that acts on the pods, then the pods may be
 * freed, then agent_cluster_free() ends what the pods have used.
 */
#pragma once

#include "agent_node.h"
#include "base/metrics.h"
#include "volume/volume.h"

struct agent_cluster; /* opaque */

struct agent_cluster_options {
    struct loop *loop;
    struct work_pool *pool;
    struct pod_runtime *runtime;
    struct metrics *metrics;
    /** The Node as the server has it has changed; NULL: it is gone. */
    void (*on_node)(void *ctx, const Core__Node *node);
    /** The node's addresses are not those of before. */
    void (*on_addresses)(void *ctx, const struct node_addresses *addresses);
    void *ctx;
    struct agent_node *node; /* config, facts, machine and runtime are there; its members for a
                                cluster are filled in */
};

/** Reads the kubeconfig and is ready to connect; nothing is sent. Errors name the file. */
MUST_CHECK struct error *agent_cluster_new(const struct agent_cluster_options *options,
                                           struct agent_cluster **ret);
void agent_cluster_halt(struct agent_cluster *cluster); /* NULL is fine */
void agent_cluster_free(struct agent_cluster *cluster); /* NULL is fine */

/** What pods and volumes use. */
const struct pods_api *agent_cluster_api(const struct agent_cluster *cluster);
void agent_cluster_give_sources(const struct agent_cluster *cluster, struct volume_sources *ret);

/** The client for requests that are nobody's own. */
struct api_client *agent_cluster_client(const struct agent_cluster *cluster);
/** The UID by which the server knows static pod @uid, its mirror's; NULL: there is none. Borrowed
 * until the next turn. */
const char *agent_cluster_mirror_uid(const struct agent_cluster *cluster, const char *uid);

/** Begins: the node registers, pods come. @pods outlive agent_cluster_halt(). */
void agent_cluster_start(struct agent_cluster *cluster, struct pods *pods);
/** Static pods are known now. */
void agent_cluster_on_static_pods(struct agent_cluster *cluster);
