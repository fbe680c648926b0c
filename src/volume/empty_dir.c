/*
 * emptyDir: a directory of the pod's own, on the node's disk or on a tmpfs or hugetlbfs mounted for
 * it.
 *
 * Setting up: make the directory (0777), mount on it if the medium asks for that, give it to
 * fsGroup, set the marker. Later calls see the marker and stop there; the content is the pod's and
 * stays untouched. A marker without what it promises (the machine rebooted and lost the tmpfs,
 * somebody removed the directory) means starting over.
 *
 * Taking down looks at the disk, not at the pod: the marker goes first, so that an interrupted
 * teardown is not taken for a volume that is ready; then whatever is mounted on the directory; then
 * the directory. Something mounted deeper inside is not ours to unmount and stops the removal.
 *
 * Volumes that are filled with files (configMap and its kin) are emptyDirs with another name around
 * them.
 */
#include "volume/empty_dir.h"

#include "base/fd.h"
#include "kube/quantity.h"
#include "kube/resources.h"
#include "volume/mounter.h"
#include "volume/mountinfo.h"
#include "volume/ownership.h"
#include "volume/ready_marker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define DIR_MODE 0777
#define PLUGIN_NAME "kubernetes.io/empty-dir"
#define HUGE_PAGES_PREFIX "HugePages"
#define WRAPPED_PREFIX                                                                             \
    "wrapped_" /* upstream's name for the emptyDir inside a configMap and its kin */

enum medium { MEDIUM_DEFAULT, MEDIUM_MEMORY, MEDIUM_HUGE_PAGES };

struct input {
    enum medium medium;
    int64_t tmpfs_bytes;   /* MEDIUM_MEMORY; 0: the kernel's default */
    const char *page_size; /* MEDIUM_HUGE_PAGES: "2Mi" */
    int64_t page_bytes;
};

/* --- planning --- */

static bool can_handle(const Core__VolumeSource *source)
{
    return source->empty_dir != NULL;
}

/* The smallest of what the node has, what the pod may use and what the volume asks for (spec §3.2).
 */
static int64_t tmpfs_bytes(const struct volume_plan_env *env, const Core__Pod *pod,
                           const Meta__Quantity *size_limit)
{
    int64_t bytes = env->allocatable_memory_bytes > 0 ? env->allocatable_memory_bytes : INT64_MAX;
    if (pod_limits_cover_all(pod, RESOURCE_MEMORY)) {
        int64_t pod_bytes = pod_limit_bytes(pod, NULL, RESOURCE_MEMORY, NULL);
        if (pod_bytes > 0)
            bytes = min_i64(bytes, pod_bytes);
    }
    int64_t asked = quantity_value(size_limit);
    if (asked > 0)
        bytes = min_i64(bytes, asked);
    return bytes == INT64_MAX ? 0 : bytes;
}

int64_t empty_dir_tmpfs_bytes(const struct volume_plan_env *env, const Core__Pod *pod)
{
    return tmpfs_bytes(env, pod, NULL);
}

struct page_search {
    const char *wanted; /* size named by the medium, or NULL: whichever is requested */
    const char *found;
    bool several;
};

static bool quantity_is_invalid(const char *text)
{
    AUTO(error) struct error *err = quantity_check(str_from(text));
    return err != NULL;
}

static void note_request(struct page_search *search, const char *resource)
{
    if (!resource || !resource_is_hugepages(resource))
        return;
    const char *size = resource + strlen(RESOURCE_HUGEPAGES_PREFIX);
    if (quantity_is_invalid(size))
        return;
    Meta__Quantity requested = META__QUANTITY__INIT, other = META__QUANTITY__INIT;
    requested.string = (char *)(uintptr_t)size;
    other.string = (char *)(uintptr_t)(search->wanted ? search->wanted : search->found);
    bool equal = other.string && quantity_compare(&requested, &other) == 0;
    if (search->wanted && !equal)
        return;
    if (!search->wanted && search->found && !equal)
        search->several = true;
    if (!search->found)
        search->found = size;
}

static void note_requests(struct page_search *search, const Core__ResourceRequirements *resources)
{
    for (size_t i = 0; resources && i < resources->n_requests; i++)
        note_request(search, resources->requests[i]->key);
}

static struct error *plan_huge_pages(const Core__Pod *pod, const char *medium, struct arena *arena,
                                     struct input *input)
{
    const char *size = medium + strlen(HUGE_PAGES_PREFIX);
    struct page_search search = {.wanted = *size == '-' ? size + 1 : NULL};
    const Core__PodSpec *spec = pod->spec;
    note_requests(&search, spec->resources);
    for (size_t i = 0; i < spec->n_containers; i++)
        note_requests(&search, spec->containers[i]->resources);
    for (size_t i = 0; i < spec->n_init_containers; i++)
        note_requests(&search, spec->init_containers[i]->resources);
    if (search.several)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "medium: %s can't be used if container requests multiple huge page sizes",
                         medium);
    if (!search.found)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "medium %s: hugePages storage requested, but there is no resource request "
                         "for huge pages",
                         medium);
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = arena_strdup(arena, search.found);
    input->medium = MEDIUM_HUGE_PAGES;
    input->page_size = quantity_canonical(search.found, arena);
    input->page_bytes = quantity_value(&quantity);
    return NULL;
}

static struct error *plan(const struct volume_plan_env *env, const Core__Pod *pod,
                          const Core__Volume *volume, struct arena *arena, const void **ret_input)
{
    const Core__EmptyDirVolumeSource *source = volume->volume_source->empty_dir;
    const char *medium = source->medium ? source->medium : "";
    struct input *input = arena_alloc(arena, sizeof(*input));
    struct error *err = NULL;
    if (text_eq(medium, "Memory")) {
        input->medium = MEDIUM_MEMORY;
        input->tmpfs_bytes = tmpfs_bytes(env, pod, source->size_limit);
    } else if (text_eq(medium, HUGE_PAGES_PREFIX) ||
               text_has_prefix(medium, HUGE_PAGES_PREFIX "-")) {
        err = plan_huge_pages(pod, medium, arena, input);
    } else if (!text_eq(medium, "")) {
        err = error_new(ERROR_INVALID_ARGUMENT, "unknown storage medium \"%s\"", medium);
    }
    if (!err)
        *ret_input = input;
    return err;
}

/* --- setting up --- */

static const char *marker_dir(const struct volume_place *place, const char *prefix)
{
    return arena_printf(place->arena, "%s/plugins/%s/%s%s", volume_place_pod_dir(place),
                        volume_plugin_dir_name(&volume_plugin_empty_dir, place->arena), prefix,
                        place->name);
}

/* A missing directory is no mount point. */
static struct error *is_mounted(const char *dir, bool *ret)
{
    struct error *err = mounter_is_mount_point_blocking(dir, ret);
    if (!error_is(err, ERROR_NOT_FOUND))
        return err;
    error_ignore(err, "not there, so not mounted");
    *ret = false;
    return NULL;
}

/* The mode is forced, since mkdir() is subject to the umask. Mounted or not, it must be a real
 * directory. */
static struct error *make_dir(const char *dir)
{
    struct error *err = fd_mkdir_all(dir, DIR_MODE);
    if (err)
        return err;
    AUTO(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return error_from_errno(errno, "opening %s", dir);
    if ((st.st_mode & DIR_MODE) != DIR_MODE && fchmod(fd, DIR_MODE) != 0)
        return error_from_errno(errno, "setting the mode of %s", dir);
    return NULL;
}

static struct error *has_magic(const char *dir, uint64_t magic, bool *ret)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return error_from_errno(errno, "looking at the file system of %s", dir);
    *ret = (uint64_t)fs.f_type == magic;
    return NULL;
}

/* *ret: a file system of the right kind is mounted on @dir already. */
static struct error *is_mounted_as(const char *dir, uint64_t magic, bool *ret)
{
    bool mounted = false;
    *ret = false;
    struct error *err = is_mounted(dir, &mounted);
    if (!err && mounted)
        err = has_magic(dir, magic, ret);
    return err;
}

static struct error *set_up_memory(const struct volume_set_up *set_up, const struct input *input,
                                   const char *dir)
{
    bool done;
    struct error *err = is_mounted_as(dir, TMPFS_MAGIC, &done);
    if (err || done)
        return err;
    struct arena *arena = set_up->place.arena;
    const char *size =
        input->tmpfs_bytes > 0 ? arena_printf(arena, "size=%" PRId64, input->tmpfs_bytes) : "";
    const char *noswap = !set_up->tmpfs_noswap ? "" : *size ? ",noswap" : "noswap";
    return mounter_mount_blocking("tmpfs", NULL, dir, arena_printf(arena, "%s%s", size, noswap));
}

/* The kernel prints a page size in whole K or M: "pagesize=2M". */
static int64_t page_bytes_of_option(struct str value)
{
    AUTO(free) char *digits = str_dup(value);
    size_t len = value.len;
    int64_t unit = 1, number;
    if (len > 0 && digits[len - 1] == 'K')
        unit = (int64_t)KiB;
    if (len > 0 && digits[len - 1] == 'M')
        unit = (int64_t)MiB;
    if (len > 0 && digits[len - 1] == 'G')
        unit = (int64_t)GiB;
    if (unit > 1)
        digits[len - 1] = '\0';
    return parse_i64(digits, 0, INT64_MAX, &number) ? sat_mul_i64(number, unit) : 0;
}

static struct error *check_page_size(const struct volume_set_up *set_up, const struct input *input,
                                     const char *dir)
{
    struct mountinfo_table table;
    struct error *err = mountinfo_read_blocking(set_up->place.arena, &table);
    if (err)
        return err;
    AUTO(free) char *real = realpath(dir, NULL);
    const struct mountinfo_entry *entry = mountinfo_find(&table, real);
    struct str value = {0};
    if (entry)
        (void)mountinfo_option(entry->super_options, "pagesize", &value);
    if (page_bytes_of_option(value) == input->page_bytes)
        return NULL;
    return error_new(ERROR_FAILED_PRECONDITION,
                     "pod %s: mounted dir %s pagesize '%.*s' and requested medium size '%s' differ",
                     set_up->place.pod_uid, dir, STR_ARG(value), input->page_size);
}

static struct error *set_up_huge_pages(const struct volume_set_up *set_up,
                                       const struct input *input, const char *dir)
{
    bool done;
    struct error *err = is_mounted_as(dir, HUGETLBFS_MAGIC, &done);
    if (err)
        return err;
    if (done)
        return check_page_size(set_up, input, dir);
    return mounter_mount_blocking(
        "hugetlbfs", "nodev", dir,
        arena_printf(set_up->place.arena, "pagesize=%s", input->page_size));
}

static struct error *set_up_medium(const struct volume_set_up *set_up, const struct input *input,
                                   const char *dir)
{
    struct error *err = make_dir(dir);
    if (err)
        return err;
    switch (input->medium) {
    case MEDIUM_DEFAULT:
        return NULL;
    case MEDIUM_MEMORY:
        return set_up_memory(set_up, input, dir);
    case MEDIUM_HUGE_PAGES:
        return set_up_huge_pages(set_up, input, dir);
    }
    return NULL;
}

/* Whether the marker is there and tells the truth; a lying one is removed. */
static struct error *is_ready(enum medium medium, const char *dir, const char *marker, bool *ret)
{
    bool mounted;
    struct stat st;
    *ret = false;
    if (!ready_marker_is_set_blocking(marker))
        return NULL;
    struct error *err = is_mounted(dir, &mounted);
    if (err)
        return err;
    switch (medium) {
    case MEDIUM_DEFAULT:
        *ret = lstat(dir, &st) == 0 && S_ISDIR(st.st_mode);
        return *ret ? NULL : ready_marker_remove_blocking(marker);
    case MEDIUM_MEMORY:
        *ret = mounted;
        return NULL;
    case MEDIUM_HUGE_PAGES:
        return NULL; /* its page size is compared each time */
    }
    return NULL;
}

static struct error *set_up_at(const struct volume_set_up *set_up, const struct input *input,
                               const char *dir, const char *marker)
{
    bool ready;
    struct error *err = is_ready(input->medium, dir, marker, &ready);
    if (err || ready)
        return err;
    err = set_up_medium(set_up, input, dir);
    if (err)
        return err;
    if (set_up->has_fs_group) {
        const struct volume_ownership ownership = {.fs_group = set_up->fs_group};
        error_ignore(volume_ownership_apply_blocking(dir, &ownership),
                     "upstream ignores it too: the volume works, if not for the group");
    }
    return ready_marker_set_blocking(marker);
}

static struct error *set_up_blocking(const struct volume_set_up *set_up, const char **ret_host_path)
{
    const char *dir = volume_place_dir(&volume_plugin_empty_dir, &set_up->place);
    struct error *err = set_up_at(set_up, set_up->input, dir, marker_dir(&set_up->place, ""));
    if (!err)
        *ret_host_path = dir;
    return err;
}

struct error *empty_dir_set_up_wrapped_blocking(const struct volume_plugin *plugin,
                                                const struct volume_set_up *set_up,
                                                const struct empty_dir_wrapped *wrapped,
                                                const char **ret_dir)
{
    const struct input input = {.medium = wrapped->in_memory ? MEDIUM_MEMORY : MEDIUM_DEFAULT,
                                .tmpfs_bytes = wrapped->tmpfs_bytes};
    const char *dir = volume_place_dir(plugin, &set_up->place);
    struct error *err = set_up_at(set_up, &input, dir, marker_dir(&set_up->place, WRAPPED_PREFIX));
    if (!err)
        *ret_dir = dir;
    return err;
}

/* --- taking down --- */

static struct error *take_down(const struct volume_plugin *plugin, const struct volume_place *place,
                               const char *marker)
{
    const char *dir = volume_place_dir(plugin, place);
    bool mounted;
    struct error *err = ready_marker_remove_blocking(marker);
    if (!err)
        err = is_mounted(dir, &mounted);
    /* Whatever it is, deleting through it is never right: take it off first. */
    if (!err && mounted)
        err = mounter_unmount_blocking(dir);
    return err ? err : fd_remove_tree_blocking(dir);
}

static struct error *tear_down_blocking(const struct volume_plugin *plugin,
                                        const struct volume_place *place)
{
    return take_down(plugin, place, marker_dir(place, ""));
}

struct error *empty_dir_tear_down_wrapped_blocking(const struct volume_plugin *plugin,
                                                   const struct volume_place *place)
{
    return take_down(plugin, place, marker_dir(place, WRAPPED_PREFIX));
}

const struct volume_plugin volume_plugin_empty_dir = {
    .name = PLUGIN_NAME,
    .selinux_relabel = true,
    .measure = VOLUME_MEASURE_WALK,
    .can_handle = can_handle,
    .plan = plan,
    .set_up_blocking = set_up_blocking,
    .tear_down_blocking = tear_down_blocking,
};
