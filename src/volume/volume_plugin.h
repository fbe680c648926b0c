/*
 * What a volume type is to this room: a table of functions, one file per plugin. Planning happens
 * on the loop and copies what is needed out of the pod; setting up and tearing down happen on a
 * worker and see nothing else. Inside the volume room only.
 */
#pragma once

#include "base/arena.h"
#include "volume/volume.h"

#include "core.pb-c.h"

#include <sys/types.h>

/** Where a volume of a pod lives; everything borrowed. */
struct volume_place {
    const char *root_dir;
    const char *pod_uid;
    const char *name;    /* inner name */
    struct arena *arena; /* scratch for paths */
};

/** What planning may know besides the pod. */
struct volume_plan_env {
    int64_t allocatable_memory_bytes; /* 0: unknown */
};

/** What setting up is given. */
struct volume_set_up {
    struct volume_place place;
    const void *input; /* from the plugin's plan() */
    int64_t now_ns;    /* wall */
    bool tmpfs_noswap;
    bool has_fs_group;
    int64_t fs_group;
};

struct volume_plugin {
    const char *name;     /* "kubernetes.io/empty-dir" */
    bool selinux_relabel; /* the runtime should label its content on SELinux hosts */
    bool may_hang;        /* setting up can wait for a network: a slow job */
    bool read_only;       /* containers may not write to it */
    bool has_content;     /* its input is a struct content, which is gathered first: content.h */
    enum volume_measure measure;

    /** Whether it serves volumes of this source; NULL: it only takes down what another agent has
     * set up. */
    bool (*can_handle)(const Core__VolumeSource *source);
    /**
     * Copies what set_up_blocking() needs from @volume and @pod into @arena. Pure. An error is the
     * volume's cause of failure, as set_up_blocking()'s would be.
     */
    MUST_CHECK struct error *(*plan)(const struct volume_plan_env *env, const Core__Pod *pod,
                                     const Core__Volume *volume, struct arena *arena,
                                     const void **ret_input);
    /** Makes the volume ready; idempotent. *ret_host_path lives in the place's arena. On a worker.
     */
    MUST_CHECK struct error *(*set_up_blocking)(const struct volume_set_up *set_up,
                                                const char **ret_host_path);
    /** Undoes it by looking at the disk only; idempotent. On a worker. */
    MUST_CHECK struct error *(*tear_down_blocking)(const struct volume_plugin *plugin,
                                                   const struct volume_place *place);
};

extern const struct volume_plugin volume_plugin_empty_dir;
extern const struct volume_plugin volume_plugin_host_path;
/* An emptyDir filled with files: content.c. */
extern const struct volume_plugin volume_plugin_config_map;
extern const struct volume_plugin volume_plugin_secret;
extern const struct volume_plugin volume_plugin_downward_api;
extern const struct volume_plugin volume_plugin_projected;

/** The plugin that serves @source, or NULL. */
const struct volume_plugin *volume_plugin_for(const Core__VolumeSource *source);
/** The plugin whose directories are called @dir_name ("kubernetes.io~empty-dir"), or NULL. */
const struct volume_plugin *volume_plugin_by_dir(const char *dir_name);

/** "kubernetes.io/empty-dir" → "kubernetes.io~empty-dir". In @arena. */
const char *volume_plugin_dir_name(const struct volume_plugin *plugin, struct arena *arena);
/** <root>/pods/<uid>/volumes/<plugin>/<name>. In the place's arena. */
const char *volume_place_dir(const struct volume_plugin *plugin, const struct volume_place *place);
/** <root>/pods/<uid>. In the place's arena. */
const char *volume_place_pod_dir(const struct volume_place *place);

/** Whether @name can be one element of a path: not empty, no '/', not "." or "..". */
bool volume_name_is_safe(const char *name);
