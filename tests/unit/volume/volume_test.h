/*
 * For tests of the volume room: a scratch directory, pods built piece by piece in an arena, and a
 * mount namespace of the test's own so that nothing it mounts outlives or leaves it.
 */
#pragma once

#include "base/arena.h"
#include "base/fd.h"
#include "base/path.h"
#include "tests/lib/test.h"

#include "core.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- a scratch directory --- */

struct scratch {
    struct arena *arena;
    char *dir; /* owned, without links */
};

static inline struct scratch *scratch_new(void)
{
    struct scratch *scratch = xcalloc(1, sizeof(*scratch));
    scratch->arena = arena_new(0);
    char template[] = "/tmp/cubelet-test-volume-XXXXXX";
    assert_non_null(mkdtemp(template));
    scratch->dir = realpath(template, NULL);
    assert_non_null(scratch->dir);
    return scratch;
}

static inline void scratch_free(struct scratch *scratch)
{
    assert_no_error(fd_remove_tree_blocking(scratch->dir));
    free(scratch->dir);
    arena_free(scratch->arena);
    free(scratch);
}
DEFINE_AUTO(scratch, struct scratch *, scratch_free)

/** <scratch>/<relative>, in the scratch's arena. */
static inline const char *at(const struct scratch *scratch, const char *relative)
{
    return arena_printf(scratch->arena, "%s/%s", scratch->dir, relative);
}

static inline const char *make_dir_at(const struct scratch *scratch, const char *relative)
{
    const char *path = at(scratch, relative);
    assert_no_error(fd_mkdir_all(path, 0755));
    return path;
}

static inline const char *make_file_at(const struct scratch *scratch, const char *relative,
                                       const char *text)
{
    const char *path = at(scratch, relative);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    return path;
}

static inline const char *make_link_at(const struct scratch *scratch, const char *relative,
                                       const char *destination)
{
    const char *path = at(scratch, relative);
    assert_int_equal(symlink(destination, path), 0);
    return path;
}

static inline bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/** The permission bits with setuid, setgid and sticky. */
static inline mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static inline void assert_content(const char *path, const char *want)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4 * KiB);
    assert_no_error(fd_read_file_blocking(path, &text));
    assert_string_equal(buf_text(&text), want);
}

/** The test goes on in a mount namespace of its own; without the right to that it is skipped. */
static inline void enter_own_mounts(void)
{
    if (unshare(CLONE_NEWNS) != 0) {
        print_message("mounting needs root: %s\n", strerror(errno));
        skip();
    }
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

/* --- pods --- */

static inline Core__Pod *pod_new(struct arena *arena, const char *uid)
{
    Core__Pod *pod = arena_alloc(arena, sizeof(*pod));
    core__pod__init(pod);
    pod->metadata = arena_alloc(arena, sizeof(*pod->metadata));
    meta__object_meta__init(pod->metadata);
    pod->metadata->uid = arena_strdup(arena, uid);
    pod->spec = arena_alloc(arena, sizeof(*pod->spec));
    core__pod_spec__init(pod->spec);
    pod->spec->containers = arena_calloc(arena, 8, sizeof(Core__Container *));
    pod->spec->init_containers = arena_calloc(arena, 8, sizeof(Core__Container *));
    pod->spec->volumes = arena_calloc(arena, 8, sizeof(Core__Volume *));
    return pod;
}

static inline Core__Container *container_new(struct arena *arena, const char *name)
{
    Core__Container *container = arena_alloc(arena, sizeof(*container));
    core__container__init(container);
    container->name = arena_strdup(arena, name);
    container->volume_mounts = arena_calloc(arena, 8, sizeof(Core__VolumeMount *));
    container->resources = arena_alloc(arena, sizeof(*container->resources));
    core__resource_requirements__init(container->resources);
    container->resources->requests =
        arena_calloc(arena, 8, sizeof(Core__ResourceRequirements__RequestsEntry *));
    container->resources->limits =
        arena_calloc(arena, 8, sizeof(Core__ResourceRequirements__LimitsEntry *));
    return container;
}

static inline Core__Container *pod_add_container(struct arena *arena, Core__Pod *pod)
{
    Core__Container *container = container_new(arena, "c");
    pod->spec->containers[pod->spec->n_containers++] = container;
    return container;
}

static inline Meta__Quantity *quantity_new(struct arena *arena, const char *amount)
{
    Meta__Quantity *quantity = arena_alloc(arena, sizeof(*quantity));
    meta__quantity__init(quantity);
    quantity->string = arena_strdup(arena, amount);
    return quantity;
}

static inline void container_request(struct arena *arena, Core__Container *container,
                                     const char *name, const char *amount)
{
    Core__ResourceRequirements__RequestsEntry *entry = arena_alloc(arena, sizeof(*entry));
    core__resource_requirements__requests_entry__init(entry);
    entry->key = arena_strdup(arena, name);
    entry->value = quantity_new(arena, amount);
    container->resources->requests[container->resources->n_requests++] = entry;
}

static inline void container_limit(struct arena *arena, Core__Container *container,
                                   const char *name, const char *amount)
{
    Core__ResourceRequirements__LimitsEntry *entry = arena_alloc(arena, sizeof(*entry));
    core__resource_requirements__limits_entry__init(entry);
    entry->key = arena_strdup(arena, name);
    entry->value = quantity_new(arena, amount);
    container->resources->limits[container->resources->n_limits++] = entry;
}

static inline void container_mount(struct arena *arena, Core__Container *container,
                                   const char *volume)
{
    Core__VolumeMount *mounted = arena_alloc(arena, sizeof(*mounted));
    core__volume_mount__init(mounted);
    mounted->name = arena_strdup(arena, volume);
    container->volume_mounts[container->n_volume_mounts++] = mounted;
}

/** A volume without a source yet. */
static inline Core__VolumeSource *pod_add_volume(struct arena *arena, Core__Pod *pod,
                                                 const char *name)
{
    Core__Volume *volume = arena_alloc(arena, sizeof(*volume));
    core__volume__init(volume);
    volume->name = arena_strdup(arena, name);
    volume->volume_source = arena_alloc(arena, sizeof(*volume->volume_source));
    core__volume_source__init(volume->volume_source);
    pod->spec->volumes[pod->spec->n_volumes++] = volume;
    return volume->volume_source;
}

static inline Core__EmptyDirVolumeSource *pod_add_empty_dir(struct arena *arena, Core__Pod *pod,
                                                            const char *name, const char *medium)
{
    Core__VolumeSource *source = pod_add_volume(arena, pod, name);
    source->empty_dir = arena_alloc(arena, sizeof(*source->empty_dir));
    core__empty_dir_volume_source__init(source->empty_dir);
    source->empty_dir->medium = arena_strdup(arena, medium);
    return source->empty_dir;
}

static inline void pod_add_host_path(struct arena *arena, Core__Pod *pod, const char *name,
                                     const char *path, const char *type)
{
    Core__VolumeSource *source = pod_add_volume(arena, pod, name);
    source->host_path = arena_alloc(arena, sizeof(*source->host_path));
    core__host_path_volume_source__init(source->host_path);
    source->host_path->path = arena_strdup(arena, path);
    source->host_path->type = arena_strdup(arena, type);
}

static inline void pod_set_fs_group(struct arena *arena, Core__Pod *pod, int64_t group)
{
    pod->spec->security_context = arena_alloc(arena, sizeof(*pod->spec->security_context));
    core__pod_security_context__init(pod->spec->security_context);
    pod->spec->security_context->has_fs_group = 1;
    pod->spec->security_context->fs_group = group;
}
