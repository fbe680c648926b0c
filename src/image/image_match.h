/*
 * Which images a registry's name, with or without patterns, stands for. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"

#define DEFAULT_REGISTRY_KEY "index.docker.io" /* defaultRegistryKey */

/** The repository of @image, without tag and digest, its name completed as Docker does: "busybox:1"
 * is of "docker.io/library/busybox". Lives in @arena or is a part of @image. */
struct str image_repository(const char *image, struct arena *arena);
/** isDefaultRegistryMatch(): a first part without a dot or colon is no registry. */
bool image_is_of_default_registry(struct str repository);

/** The key of a registry that a docker configuration names @location, in @arena; NULL when that is
 * no URL. */
const char *registry_key(struct str location, struct arena *arena);
/** The key of a pattern of matchImages, which has no scheme and whose path counts as it is. NULL
 * when it is no URL. */
const char *image_pattern_key(struct str pattern, struct arena *arena);
/** True when images of @repository are those that @key stands for. */
bool registry_key_matches(const char *key, struct str repository);
