/*
 * Defaulting: what the API server would fill in on create (pkg/apis/core/v1/defaults.go). Applied
 * to pods from files and URLs; pods from the API server are never touched. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

/**
 * Fills absent fields of @pod in place and writes quantities in their canonical form, rounded up to
 * thousandths in resource maps. Quantities that do not parse stay as they are, for validation to
 * name. A pod without metadata or spec gets empty ones. Applying it twice changes nothing more. New
 * memory comes from @arena, which must be the pod's.
 */
void pod_set_defaults(Core__Pod *pod, struct arena *arena);

/**
 * The imagePullPolicy of an image that names none: "Always" when the tag is "latest" or when there
 * is neither tag nor digest, else "IfNotPresent", also for text that is no image reference. Static
 * text.
 */
const char *image_default_pull_policy(const char *image);
