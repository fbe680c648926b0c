/*
 * The agent as a server: the node's own API with what answers it. Belongs to agent.c, which makes
 * it last, when there is something to serve. Loop thread.
 */
#pragma once

#include "agent_cluster.h"
#include "base/metrics.h"
#include "cgroup/cgroup.h"
#include "server/local_server.h"

struct agent_server; /* opaque */

struct agent_server_options {
    struct loop *loop;
    struct work_pool *pool;
    struct pod_runtime *runtime;
    struct pods *pods;
    const struct cgroup_tree *cgroups;
    struct agent_cluster *cluster; /* NULL: standalone */
    const struct agent_node *node;
    struct metrics *metrics, *probe_metrics;
    int64_t started_wall_ns;
    /** The certificates that are configured are of no use: a reason to give up. */
    void (*on_failed)(void *ctx, const struct error *err);
    void (*on_work)(void *ctx); /* somebody's request has ended */
    void *ctx;
};

/** Listens. Everything is borrowed and outlives it. Errors name the port or the setting. */
MUST_CHECK struct error *agent_server_new(const struct agent_server_options *options,
                                          struct agent_server **ret);
void agent_server_free(struct agent_server *server); /* NULL is fine */

/** Lends @local what answers exec, attach and statistics; @local goes before @server does. */
void agent_server_lend(const struct agent_server *server, struct local_server *local);
/** The Node as the API server has it; its addresses are what a certificate is asked for. NULL: it
 * is gone. @server may be NULL. */
void agent_server_on_node(struct agent_server *server, const Core__Node *node);
