/*
 * The marker of a volume that was set up: an empty file `ready` in
 * pods/<uid>/plugins/<plugin>/<name>/, shared with the kubelet (pkg/volume/util IsReady, SetReady).
 * On a worker.
 */
#pragma once

#include "base/base.h"

/** Whether @dir holds the marker. What cannot be looked at counts as absent. */
bool ready_marker_is_set_blocking(const char *dir);
/** Makes @dir (0750) and the marker in it (0644 less umask). Idempotent. */
MUST_CHECK struct error *ready_marker_set_blocking(const char *dir);
/** Removes @dir. A missing one is fine. */
MUST_CHECK struct error *ready_marker_remove_blocking(const char *dir);
