/*
 * The plugins that the agent starts with: those that give credentials for images. Belongs to
 * agent.c. Loop thread.
 */
#pragma once

#include "agent_cluster.h"
#include "image/credential_provider.h"

struct agent_plugins_options {
    const struct config *config;
    struct loop *loop;
    struct work_pool *pool;
    struct metrics *metrics;
    const struct agent_cluster *cluster; /* NULL: standalone; outlives the plugins */
    struct arena *arena;                 /* of the configuration, which outlives them too */
};

/**
 * Reads the configuration and looks for the programs, as the flags --image-credential-provider-*
 * say; *ret is NULL when neither is given. Errors name the flag, file, field or program and are
 * fatal.
 */
MUST_CHECK struct error *agent_plugins_new_blocking(const struct agent_plugins_options *options,
                                                    struct credential_providers **ret);
