/*
 * One container's configuration for tests: an input with everything that a plain container needs.
 */
#pragma once

#include "pod_fixture.h"

/** Pod addresses and an image without a user; @node and @pod are borrowed, the container is the
 * pod's first. */
static inline UNUSED struct container_config_input container_input(const Core__Pod *pod,
                                                                   const struct node_facts *node)
{
    static const char *const ips[] = {"10.1.0.5", "2001:db8::5", NULL};
    return (struct container_config_input){
        .pod = pod,
        .container = pod->spec->containers[0],
        .node = node,
        .pod_ips = ips,
        .image_ref = "sha256:abc",
        .random = 0x100000abc,
    };
}

/** The configuration of @input; fails the test with the error's message when there is none. */
static inline UNUSED Cri__ContainerConfig *container_built(
    const struct container_config_input *input, struct arena *arena)
{
    struct container_files files;
    Cri__ContainerConfig *config = NULL;
    assert_no_error(container_config_build(input, arena, &files, &config));
    return config;
}

/** The message of the error that building @input ends with, in @arena; fails the test when it
 * succeeds. */
static inline UNUSED const char *container_refusal(const struct container_config_input *input,
                                                   struct arena *arena)
{
    struct container_files files;
    Cri__ContainerConfig *config = NULL;
    AUTO(error) struct error *err = container_config_build(input, arena, &files, &config);
    assert_non_null(err);
    return arena_strdup(arena, err->message);
}
