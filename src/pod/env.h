/*
 * The environment of a container (spec runtime.md §3.5): literals with $(VAR) references, the
 * downward API, files in volumes, ConfigMaps and Secrets, services. Objects and services need an
 * API client (input->env_sources): references are refused and services absent without one.
 * Variables keep the order in which they were first set, those of services come last. Pure. Any
 * thread.
 */
#pragma once

#include "pod/cri_config.h"

/* Names and values together; what is beyond could not be handed to the runtime in one message
 * anyway. */
#define ENVIRONMENT_MAX_BYTES (8 * MiB)

struct environment; /* opaque; its texts live in the arena it was built with */

/**
 * Builds the environment of @input's container; the caller owns it. Errors are waiting messages
 * with upstream's words; RESOURCE_EXHAUSTED beyond ENVIRONMENT_MAX_BYTES.
 */
MUST_CHECK struct error *environment_build(const struct container_config_input *input,
                                           struct arena *arena, struct environment **ret);
void environment_free(struct environment *environment); /* NULL is fine */
DEFINE_AUTO(environment, struct environment *, environment_free)

/** The value of @name, or NULL. Has the form of expand_lookup: @environment is a struct
 * environment. */
const char *environment_lookup(const void *environment, struct str name);

/** The variables as CRI messages in @arena. */
Cri__KeyValue **environment_to_cri(const struct environment *environment, struct arena *arena,
                                   size_t *ret_count);
