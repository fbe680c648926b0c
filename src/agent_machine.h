/*
 * What the agent needs of the machine it starts on. Belongs to agent.c; at start-up, before the
 * loop turns.
 */
#pragma once

#include "config/config.h"

#define AGENT_CONTAINER_LINKS_DIR "/var/log/containers"

/** FAILED_PRECONDITION or PERMISSION_DENIED says what is missing: root, a kernel that is new
 * enough, no swap where none is wanted, what the configuration asks of a host. */
MUST_CHECK struct error *agent_machine_check(const struct config *config);
/** Takes what the process is to have, its place among those the kernel ends and its descriptors; of
 * what the machine does not allow the log tells. */
void agent_machine_claim(const struct config *config);
/** Makes the folders in the kubelet's layout that are there before any pod. The errno's code. */
MUST_CHECK struct error *agent_machine_make_folders_blocking(const struct config *config);
