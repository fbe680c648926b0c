/*
 * The agent: builds the rooms, introduces them to each other, runs until a signal says stop.
 * Contains no logic of its own. Containers go on running when it ends.
 */
#pragma once

#include "config/config.h"

/** Runs with @config until SIGTERM or SIGINT (returns NULL), or refuses to start: an error with the
 * remedy. */
MUST_CHECK struct error *agent_run(const struct config *config);
