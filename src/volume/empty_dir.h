/*
 * The emptyDir inside other volume types: configMap and its kin keep their files in one, with the
 * directory of their own plugin and a marker called wrapped_<name>, as the kubelet does. Inside the
 * volume room only.
 */
#pragma once

#include "volume/volume_plugin.h"

/** Its medium: the node's disk, or a tmpfs. */
struct empty_dir_wrapped {
    bool in_memory;
    int64_t tmpfs_bytes; /* 0: the kernel's default */
};

/** The size of a tmpfs of @pod that sets no limit of its own (spec volumes.md §3.2). Pure. */
int64_t empty_dir_tmpfs_bytes(const struct volume_plan_env *env, const Core__Pod *pod);

/** Makes the directory of @plugin's volume ready, as an emptyDir's set_up_blocking() would;
 * *ret_dir lives in the place's arena. On a worker. */
MUST_CHECK struct error *empty_dir_set_up_wrapped_blocking(const struct volume_plugin *plugin,
                                                           const struct volume_set_up *set_up,
                                                           const struct empty_dir_wrapped *wrapped,
                                                           const char **ret_dir);
/** A volume_plugin's tear_down_blocking(). */
MUST_CHECK struct error *empty_dir_tear_down_wrapped_blocking(const struct volume_plugin *plugin,
                                                              const struct volume_place *place);
