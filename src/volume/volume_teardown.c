/*
 * The teardown job: takes a pod's directory apart by what is on the disk and in the mount table.
 *
 *   1. subPath binds, which hold the volumes below them
 *   2. each volume in volumes/<plugin>/<name>, as its plugin says. One of an unknown plugin
 * (another agent's) is only removed when it is an empty directory with nothing mounted on it.
 *   3. the skeleton of volumes/: directories only. A file there is somebody's data and stops the
 * removal.
 *   4. every other child of the pod's directory, then the directory
 *
 * Before 3 and 4 nothing of the pod may be mounted any more. Removing never follows links and never
 * crosses into another mount, so that a mount the table did not show ends the removal instead of
 * losing data. Any error ends the job; the pod's directory stays and a later teardown begins anew.
 */
#include "volume/volume_jobs.h"

#include "base/fd.h"
#include "base/path.h"
#include "base/time.h"
#include "volume/mounter.h"
#include "volume/mountinfo.h"
#include "volume/subpath.h"
#include "volume/volume_plugin.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define VOLUMES_DIR "volumes"
#define SKELETON_MAX_DIRS 65536

struct teardown {
    struct arena *arena;
    const char *root_dir;
    const char *pod_uid;
    const char *pod_dir; /* without links, as the mount table has it */
    enum volume_teardown what;
    struct volume_teardown_job *job; /* for what was done */
};

struct volume_teardown_job *volume_teardown_job_new(const char *root_dir, const char *pod_uid,
                                                    enum volume_teardown what)
{
    struct volume_teardown_job *job = xcalloc(1, sizeof(*job));
    job->root_dir = xstrdup(root_dir);
    job->pod_uid = xstrdup(pod_uid);
    job->what = what;
    return job;
}

void volume_teardown_job_free(struct volume_teardown_job *job)
{
    if (!job)
        return;
    free(job->root_dir);
    free(job->pod_uid);
    error_free(job->err);
    free(job->volumes);
    free(job);
}

/* --- volumes --- */

/* A volume of a plugin we do not know. Only an empty directory can be removed without knowing more.
 */
static struct error *tear_down_unknown(const struct teardown *teardown, const char *plugin_dir,
                                       const char *path)
{
    bool mounted;
    struct error *err = mounter_is_mount_point_blocking(path, &mounted);
    if (err)
        return err;
    if (mounted)
        return error_new(ERROR_UNIMPLEMENTED,
                         "volume at %s is still mounted and its type \"%s\" is not supported by "
                         "cubelet yet: unmount it first",
                         path, plugin_dir);
    if (rmdir(path) == 0 || errno == ENOENT)
        return NULL;
    return error_from_errno(errno,
                            "orphaned pod \"%s\" found, but failed to rmdir() volume at path %s",
                            teardown->pod_uid, path);
}

static void note_taken_down(struct volume_teardown_job *job, const struct volume_plugin *plugin,
                            int64_t took_ns, bool has_failed)
{
    job->volumes = xrealloc(job->volumes, (job->volume_count + 1) * sizeof(*job->volumes));
    job->volumes[job->volume_count++] =
        (struct volume_taken_down){.plugin = plugin, .took_ns = took_ns, .has_failed = has_failed};
}

static struct error *tear_down_volume(const struct teardown *teardown, const char *plugin_dir,
                                      const char *name)
{
    const struct volume_plugin *plugin = volume_plugin_by_dir(plugin_dir);
    if (!plugin)
        return tear_down_unknown(teardown, plugin_dir,
                                 arena_printf(teardown->arena, "%s/" VOLUMES_DIR "/%s/%s",
                                              teardown->pod_dir, plugin_dir, name));
    const struct volume_place place = {.root_dir = teardown->root_dir,
                                       .pod_uid = teardown->pod_uid,
                                       .name = name,
                                       .arena = teardown->arena};
    int64_t began_ns = time_mono_ns();
    struct error *err = plugin->tear_down_blocking(plugin, &place);
    note_taken_down(teardown->job, plugin, time_mono_ns() - began_ns, err != NULL);
    return error_wrap(err, "UnmountVolume.TearDown failed for volume \"%s\"", name);
}

/* All volumes are tried before the first error is returned: one that is stuck must not hold the
 * others. */
static struct error *tear_down_volumes(const struct teardown *teardown)
{
    const char *top = arena_printf(teardown->arena, "%s/" VOLUMES_DIR, teardown->pod_dir);
    struct dir_names plugins, names;
    struct error *first =
        dir_names_read_blocking(top, DIR_NAMES_DIRECTORIES, teardown->arena, &plugins);
    if (first)
        return first;
    for (size_t i = 0; i < plugins.count; i++) {
        const char *path = arena_printf(teardown->arena, "%s/%s", top, plugins.names[i]);
        struct error *err = dir_names_read_blocking(path, DIR_NAMES_ALL, teardown->arena, &names);
        for (size_t k = 0; !err && k < names.count; k++) {
            struct error *one = tear_down_volume(teardown, plugins.names[i], names.names[k]);
            if (first)
                error_ignore(one, "the first one is reported");
            else
                first = one;
        }
        if (first)
            error_ignore(err, "the first one is reported");
        else
            first = err;
    }
    return first;
}

/* --- directories --- */

static struct error *check_nothing_is_mounted(const struct teardown *teardown)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct mountinfo_table table;
    struct error *err = mountinfo_read_blocking(arena, &table);
    if (err)
        return err;
    const struct mountinfo_entry *entry = mountinfo_find_below(&table, teardown->pod_dir);
    if (!entry)
        return NULL;
    return error_new(ERROR_FAILED_PRECONDITION, "%s (%s) is still mounted", entry->mount_point,
                     entry->fs_type);
}

/* Removes @top if it holds nothing but directories. */
static struct error *remove_skeleton(const char *top, struct arena *arena)
{
    struct stat st;
    if (lstat(top, &st) != 0)
        return errno == ENOENT ? NULL : error_from_errno(errno, "looking at %s", top);
    size_t count = 1, room = 16;
    const char **dirs = arena_calloc(arena, room, sizeof(*dirs));
    dirs[0] = top;
    for (size_t i = 0; i < count; i++) {
        struct dir_names names;
        struct error *err = dir_names_read_blocking(dirs[i], DIR_NAMES_DIRECTORIES, arena, &names);
        if (err)
            return err;
        if (count + names.count > SKELETON_MAX_DIRS)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "more than %d directories below %s",
                             SKELETON_MAX_DIRS, top);
        if (count + names.count > room) {
            room = (count + names.count) * 2;
            const char **larger = arena_calloc(arena, room, sizeof(*larger));
            memcpy(larger, dirs, count * sizeof(*larger));
            dirs = larger;
        }
        for (size_t k = 0; k < names.count; k++)
            dirs[count++] = arena_printf(arena, "%s/%s", dirs[i], names.names[k]);
    }
    /* Parents come before their children in the list. A file makes its directory's rmdir() fail. */
    for (size_t i = count; i > 0; i--) {
        if (rmdir(dirs[i - 1]) != 0 && errno != ENOENT)
            return error_from_errno(errno, "removing %s", dirs[i - 1]);
    }
    return NULL;
}

static struct error *remove_children(const struct teardown *teardown)
{
    struct dir_names names;
    struct error *err =
        dir_names_read_blocking(teardown->pod_dir, DIR_NAMES_ALL, teardown->arena, &names);
    for (size_t i = 0; !err && i < names.count; i++) {
        if (text_eq(names.names[i], VOLUMES_DIR))
            return error_new(ERROR_FAILED_PRECONDITION, "the " VOLUMES_DIR " directory reappeared");
        err = fd_remove_tree_blocking(
            arena_printf(teardown->arena, "%s/%s", teardown->pod_dir, names.names[i]));
    }
    if (!err && rmdir(teardown->pod_dir) != 0 && errno != ENOENT)
        err = error_from_errno(errno, "removing %s", teardown->pod_dir);
    return err;
}

static struct error *run(const struct teardown *teardown)
{
    struct error *err = subpath_clean_blocking(teardown->pod_dir);
    if (!err)
        err = tear_down_volumes(teardown);
    if (!err)
        err = check_nothing_is_mounted(teardown);
    if (err || teardown->what == VOLUME_TEARDOWN_KEEP_DIR)
        return err;
    const char *volumes = arena_printf(teardown->arena, "%s/" VOLUMES_DIR, teardown->pod_dir);
    err = remove_skeleton(volumes, teardown->arena);
    if (err)
        return error_wrap(err,
                          "orphaned pod \"%s\" found, but error occurred when trying to remove the "
                          "volumes dir",
                          teardown->pod_uid);
    return error_wrap(remove_children(teardown), "removing the directory of pod \"%s\"",
                      teardown->pod_uid);
}

void volume_teardown_job_run_blocking(struct volume_teardown_job *job)
{
    if (!volume_name_is_safe(job->pod_uid)) {
        job->err = error_new(ERROR_INVALID_ARGUMENT, "pod uid \"%s\" cannot name a directory",
                             job->pod_uid ? job->pod_uid : "");
        return;
    }
    AUTO(free) char *pods = path_join(job->root_dir, "pods");
    AUTO(free) char *real_pods = realpath(pods, NULL);
    if (!real_pods) {
        job->err = errno == ENOENT ? NULL : error_from_errno(errno, "resolving %s", pods);
        return;
    }
    AUTO(free) char *pod_dir = path_join(real_pods, job->pod_uid);
    struct stat st;
    if (lstat(pod_dir, &st) != 0) {
        job->err = errno == ENOENT ? NULL : error_from_errno(errno, "looking at %s", pod_dir);
        return;
    }
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct teardown teardown = {.arena = arena,
                                      .root_dir = job->root_dir,
                                      .pod_uid = job->pod_uid,
                                      .pod_dir = pod_dir,
                                      .what = job->what,
                                      .job = job};
    job->err = run(&teardown);
}

/* --- listing --- */

struct volume_list_job *volume_list_job_new(const char *root_dir)
{
    struct volume_list_job *job = xcalloc(1, sizeof(*job));
    job->arena = arena_new(0);
    job->root_dir = arena_strdup(job->arena, root_dir);
    return job;
}

void volume_list_job_run_blocking(struct volume_list_job *job)
{
    AUTO(free) char *pods = path_join(job->root_dir, "pods");
    job->err = dir_names_read_blocking(pods, DIR_NAMES_DIRECTORIES, job->arena, &job->uids);
}

void volume_list_job_free(struct volume_list_job *job)
{
    if (!job)
        return;
    error_free(job->err);
    arena_free(job->arena);
    free(job);
}
