/*
 * Volumes of a pod on this node: mounting what its containers refer to and taking it down again.
 * One file per plugin (empty_dir.c, host_path.c, …) behind volume_plugin.h; a type without a plugin
 * is refused by name. Everything that touches the disk runs as a job on the worker pool. Loop
 * thread, but for the functions that end in _blocking, which belong on a worker or at start-up.
 *
 * The operations of one pod follow each other in the order of their starts and never overlap on the
 * disk, also when one of them was cancelled while a worker was at it.
 */
#pragma once

#include "base/arena.h"
#include "loop/work.h"

#include "core.pb-c.h"

struct volume_manager; /* opaque: one per node */
struct volume_op;      /* opaque: a mount, teardown or listing under way */

struct object_watch; /* kube/object_watch.h */
struct token_cache;  /* kube/token_cache.h */

/** What volumes with content are made of; all borrowed and outliving the manager. */
struct volume_sources {
    struct object_watch *config_maps, *secrets; /* NULL: standalone, no API client */
    struct token_cache *tokens;                 /* NULL: the same */
    /* ConfigMaps and Secrets are read again after once to one and a half times as long, as by the
     * kubelet's sync of each pod; 0: never, every change is told. Nobody tells with the strategies
     * Cache and Get; with Watch an object that is not read is not watched any more in the end. */
    int64_t reread_ns;
    /** The downward API, whose values another room knows (pod/downward.h). Errors are upstream's.
     */
    struct error *(*field)(void *ctx, const Core__ObjectFieldSelector *field, const Core__Pod *pod,
                           struct arena *arena, const char **ret);
    struct error *(*resource)(void *ctx, const Core__ResourceFieldSelector *resource,
                              const Core__Pod *pod, struct arena *arena, const char **ret);
    void *ctx;
};

struct metrics; /* base/metrics.h */

struct volume_options {
    struct volume_sources sources; /* copied */
    const char *root_dir;          /* copied; e.g. /var/lib/kubelet */
    bool tmpfs_noswap;    /* the kernel takes -o noswap: volume_detect_tmpfs_noswap_blocking() */
    bool selinux_enabled; /* the host enforces labels; else selinux_relabel is never set */
    int64_t allocatable_memory_bytes; /* the ceiling of a tmpfs; 0: unknown, no ceiling */
    struct metrics *metrics;          /* borrowed, outlives the manager; NULL: nothing is counted */
};

/** Makes a manager; @loop and @pool must outlive it. The caller owns it. Never fails. */
struct volume_manager *volume_manager_new(struct loop *loop, struct work_pool *pool,
                                          const struct volume_options *options);
void volume_manager_free(
    struct volume_manager *manager); /* cancels what is under way; NULL is fine */
DEFINE_AUTO(volume_manager, struct volume_manager *, volume_manager_free)

/**
 * Makes @root_dir, pods, plugins and plugins_registry (0750) and puts @root_dir on a shared mount,
 * so that mounts below it propagate (spec runtime.md §9.1): a bind mount of it onto itself, unless
 * its mount is shared already. Idempotent. INVALID_ARGUMENT `rootDirectory not in canonical form:
 * …` when @root_dir is not clean.
 */
MUST_CHECK struct error *volume_root_prepare_blocking(const char *root_dir);
/**
 * Whether a tmpfs can be told not to swap: never in a user namespace, always since Linux 6.4, else
 * found out by mounting one below @root_dir/plugins. What cannot be found out is a no.
 */
bool volume_detect_tmpfs_noswap_blocking(const char *root_dir);

/** One volume ready for use. */
struct volume_mounted {
    char *name; /* the pod's volume name */
    char *host_path;
    char *inner_name; /* names its directories: the PV's name, or @name */
    bool read_only;
    bool selinux_relabel;
};
struct volume_set {
    size_t count;
    struct volume_mounted *volumes; /* owned by the set */
    int64_t refresh_at_ns; /* wall clock: its content wants to be mounted anew then; 0: never */
};
void volume_set_free(struct volume_set *set); /* NULL is fine */
DEFINE_AUTO(volume_set, struct volume_set *, volume_set_free)

/** Calls @each for every volume of @pod that some container mounts and a plugin serves: its name
 * and the plugin's ("kubernetes.io/empty-dir"). */
void volume_each_wanted(const Core__Pod *pod,
                        void (*each)(void *ctx, const char *name, const char *plugin), void *ctx);

/** Something that keeps the volumes from being ready: an event for the pod's author. */
struct volume_failure {
    const char *reason; /* FailedMount, or Failed for the pod's own directories */
    const char *message;
};

/** How a mount ends. */
struct volume_mount_result {
    struct volume_set *set_owned;          /* NULL: not all are ready, and there are failures */
    const struct volume_failure *failures; /* borrowed until the callback returns */
    size_t failure_count;
    int64_t retry_delay_ns; /* with failures: 0.5 s, twice as long each time in a row, at most
                               2 m 2 s; a mount that succeeds and a teardown start over */
};
typedef void volume_on_mounted(void *ctx, const struct volume_mount_result *result);

/**
 * Makes <root>/pods/<uid>, volumes and plugins (0750), then every volume that some container of
 * @pod mounts (unreferenced ones are left out, spec volumes.md §1.4). Idempotent: mounting what is
 * mounted is cheap and changes nothing, but for content (ConfigMaps, Secrets, the downward API,
 * tokens) that is another by now: that is published atomically, which is how it follows its source
 * (spec volumes.md §3.5). What cannot be got leaves the content that is there as it is. fsGroup
 * ownership is applied as spec volumes.md §5 says. @pod is borrowed until the end.
 *
 * The failures are upstream's events:
 *     MountVolume.SetUp failed for volume "v" : …          for each volume
 *     Unable to attach or mount volumes: unmounted volumes=[a b], unattached volumes=[], failed to
 *         process volumes=[b]: <causes, joined by "; ">     for all whose type has no plugin
 *     error making pod data directories: …                  reason Failed
 */
struct volume_op *volume_mount_start(struct volume_manager *manager, const Core__Pod *pod,
                                     volume_on_mounted *on_done, void *ctx);

enum volume_teardown {
    VOLUME_TEARDOWN_KEEP_DIR, /* the pod ended but is still wanted: its hosts file and messages stay
                               */
    VOLUME_TEARDOWN_REMOVE_DIR /* nothing wants the pod any more */
};

/**
 * Unmounts subPath binds and volumes of pod @uid, removes their content as each plugin says, then
 * (@what) the pod's directory (spec runtime.md §9.3 removal rules). Works from the disk and the
 * mount table alone, so also for a pod that nobody remembers. A pod without a directory is fine. On
 * an error everything that could still be in use is left where it is; call again later.
 */
struct volume_op *volume_teardown_start(struct volume_manager *manager, const char *uid,
                                        enum volume_teardown what,
                                        void (*on_done)(void *ctx, struct error *err_owned),
                                        void *ctx);

/**
 * Lists the uids that have a directory below <root>/pods. The array and the texts are borrowed
 * until @on_done returns; no pods directory means no uids.
 */
struct volume_op *volume_list_pods_start(struct volume_manager *manager,
                                         void (*on_done)(void *ctx, const char *const *uids,
                                                         size_t count, struct error *err_owned),
                                         void *ctx);

/** Silence: on_done will not run. What the worker has begun it finishes unheard. NULL is fine. */
void volume_op_cancel(struct volume_op *op);

/** How it is found out what a volume takes (spec server.md §4.6). */
enum volume_measure {
    VOLUME_MEASURE_NONE,     /* it has no figures of its own */
    VOLUME_MEASURE_WALK,     /* what lies in its directory */
    VOLUME_MEASURE_WALK_ONCE /* the same, and it stays as it was first seen */
};
struct volume_measurable {
    const char *name; /* the pod's volume name */
    const char *path; /* its directory on the host */
    enum volume_measure measure;
    bool is_local_ephemeral; /* counts as the pod's ephemeral storage */
};
/**
 * The volumes of @pod that its containers mount and that can be measured, in the pod's order; all
 * in @arena. Pure: whether they are mounted by now is not looked at. Returns their number.
 */
size_t volume_measurables(const char *root_dir, const Core__Pod *pod, struct arena *arena,
                          const struct volume_measurable **ret);

/** Input of one subPath bind (spec runtime.md §3.8). Borrowed for the call. */
struct volume_subpath {
    const char *pod_uid;
    const char *volume_path;
    const char *inner_name;
    const char *container;
    size_t mount_index;
    const char *sub_path;
};
/**
 * Prepares subPath @request safely (openat2, no symlink escapes) and binds it; *ret_target is the
 * host path to hand to the runtime (owned). A bind that is there already is reused, unless its
 * source was replaced. Blocking: call it from a worker. Errors carry upstream's deliberately vague
 * text, since a pod's author sees it; the details are logged: failed to create subPath directory
 * for volumeMount "<inner name>" of container "<container>" failed to prepare subPath for
 * volumeMount "<inner name>" of container "<container>" INVALID_ARGUMENT: @sub_path is absolute or
 * has "..", or a name cannot be a file name.
 */
MUST_CHECK struct error *volume_subpath_prepare_blocking(const char *root_dir,
                                                         const struct volume_subpath *request,
                                                         char **ret_target);
