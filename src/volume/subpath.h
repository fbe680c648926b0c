/*
 * Taking subPath binds down; setting one up is volume_subpath_prepare_blocking() in the door. On a
 * worker.
 */
#pragma once

#include "base/base.h"

/**
 * Unmounts and removes everything in <pod dir>/volume-subpaths, and the directory. Never looks into
 * or stats what is mounted there: its server may be dead. A missing directory is fine.
 */
MUST_CHECK struct error *subpath_clean_blocking(const char *pod_dir);
