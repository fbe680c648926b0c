/*
 * The jobs behind the door's operations. Each is a struct of its own: made on the loop with
 * everything it needs copied in, run on a worker, read and freed on the loop. Inside the volume
 * room only.
 */
#pragma once

#include "base/arena.h"
#include "volume/dir_names.h"
#include "volume/volume.h"

struct content;
struct volume_plugin;
struct volume_lane; /* volume.c: what keeps the operations of one pod apart */

/** One volume to set up. Everything in the job's arena, but the error. */
struct volume_mount_item {
    const char *name;
    const struct volume_plugin *plugin; /* NULL: no plugin serves it */
    const void *input;
    struct content *content; /* the input of a plugin with content, else NULL */
    struct error *failure;   /* from planning, or from setting up; owned by the job */
    const char *host_path;   /* when there is no failure */
    int64_t took_ns;         /* to set it up; 0: that was not tried */
};

struct volume_mount_job {
    struct volume_lane *lane; /* the door's own */
    struct arena *arena;      /* owned */
    const char *root_dir;
    const char *pod_uid;
    int64_t now_ns; /* wall; when it was begun */
    bool tmpfs_noswap, selinux_enabled;
    bool has_fs_group;
    int64_t fs_group;
    bool may_hang; /* some plugin's set-up can wait for a network */
    size_t count;
    struct volume_mount_item *items;

    struct volume_set *set;          /* the result, owned until taken; NULL with failures */
    struct volume_failure *failures; /* in the arena */
    size_t failure_count;
};

/** Plans what @pod's containers mount. Loop thread; never fails: what is wrong shows when the job
 * has run. */
struct volume_mount_job *volume_mount_job_new(const struct volume_options *options,
                                              const Core__Pod *pod);
/** The volumes of the job that have content to be gathered; the array is in its arena. */
struct content **volume_mount_job_contents(struct volume_mount_job *job, size_t *ret_count);
/** All is gathered: makes the payloads and lets go of what they are made of. Loop thread. */
void volume_mount_job_build(struct volume_mount_job *job, const struct volume_sources *sources,
                            const Core__Pod *pod, int64_t now_ns);
void volume_mount_job_run_blocking(struct volume_mount_job *job);
void volume_mount_job_free(struct volume_mount_job *job);

/** Whether some container of the pod mounts volume @name: only such volumes count (spec volumes.md
 * §1.4). */
bool volume_is_used(const Core__PodSpec *spec, const char *name);

/** One volume that was taken down, or could not be. */
struct volume_taken_down {
    const struct volume_plugin *plugin;
    int64_t took_ns;
    bool has_failed;
};

struct volume_teardown_job {
    struct volume_lane *lane; /* the door's own */
    char *root_dir;           /* owned */
    char *pod_uid;            /* owned */
    enum volume_teardown what;
    struct error *err;                 /* the result */
    struct volume_taken_down *volumes; /* owned */
    size_t volume_count;
};
struct volume_teardown_job *volume_teardown_job_new(const char *root_dir, const char *pod_uid,
                                                    enum volume_teardown what);
void volume_teardown_job_run_blocking(struct volume_teardown_job *job);
void volume_teardown_job_free(struct volume_teardown_job *job);

struct volume_list_job {
    struct arena *arena; /* owned */
    const char *root_dir;
    struct dir_names uids; /* the result */
    struct error *err;
};
struct volume_list_job *volume_list_job_new(const char *root_dir);
void volume_list_job_run_blocking(struct volume_list_job *job);
void volume_list_job_free(struct volume_list_job *job);
