#include "cgroup/cgroup_fs.h"

#include "base/fd.h"

#include <errno.h>
#include <linux/magic.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define PROC_FILE_MAX_BYTES (64 * KiB)
/* A longer line of the mount table is cut by getmntent_r(); those of cgroup mounts are far shorter.
 */
#define MOUNT_LINE_MAX_BYTES 4096

static const char *const controller_names[] = {
    [CGROUP_CPU] = "cpu",
    [CGROUP_CPUACCT] = "cpuacct",
    [CGROUP_CPUSET] = "cpuset",
    [CGROUP_MEMORY] = "memory",
    [CGROUP_PIDS] = "pids",
    [CGROUP_HUGETLB] = "hugetlb",
    [CGROUP_SYSTEMD] = "systemd",
    [CGROUP_BLKIO] = "blkio",
    [CGROUP_DEVICES] = "devices",
    [CGROUP_FREEZER] = "freezer",
    [CGROUP_NET_CLS] = "net_cls",
    [CGROUP_NET_PRIO] = "net_prio",
    [CGROUP_PERF_EVENT] = "perf_event",
    [CGROUP_RDMA] = "rdma",
    [CGROUP_MISC] = "misc",
    [CGROUP_UNIFIED] = "unified",
};
_Static_assert(ARRAY_SIZE(controller_names) == CGROUP_CONTROLLER_COUNT, "name every controller");

const char *cgroup_controller_name(enum cgroup_controller controller)
{
    return controller_names[controller];
}

void cgroup_facts_done(struct cgroup_facts *facts)
{
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        free(facts->mounts[i]);
        facts->mounts[i] = NULL;
    }
    free(facts->own_path);
    facts->own_path = NULL;
}

/* A controller that is mounted several times is used at its shortest mount point (spec §2.1). */
static void note_mount(struct cgroup_facts *facts, size_t controller, const char *mount_point)
{
    char **slot = &facts->mounts[controller];
    if (*slot && strlen(*slot) <= strlen(mount_point))
        return;
    free(*slot);
    *slot = xstrdup(mount_point);
}

static void note_v1_mount(struct cgroup_facts *facts, const struct mntent *mount)
{
    if (text_eq(mount->mnt_type, "cgroup2"))
        note_mount(facts, CGROUP_UNIFIED, mount->mnt_dir);
    if (!text_eq(mount->mnt_type, "cgroup"))
        return;
    struct str rest = str_from(mount->mnt_opts), option;
    while (str_split_next(&rest, ',', &option)) {
        if (str_eq_c(option, "name=systemd"))
            note_mount(facts, CGROUP_SYSTEMD, mount->mnt_dir);
        for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
            if (i != CGROUP_SYSTEMD && i != CGROUP_UNIFIED && str_eq_c(option, controller_names[i]))
                note_mount(facts, i, mount->mnt_dir);
        }
    }
}

static struct error *look_v1(struct cgroup_facts *facts)
{
    FILE *table = setmntent("/proc/self/mounts", "re");
    if (!table)
        return error_from_errno(errno, "reading /proc/self/mounts");
    AUTO(free) char *line = xcalloc(1, MOUNT_LINE_MAX_BYTES);
    struct mntent mount;
    while (getmntent_r(table, &mount, line, MOUNT_LINE_MAX_BYTES))
        note_v1_mount(facts, &mount);
    endmntent(table);
    return NULL;
}

/* The v2 line of /proc/self/cgroup is "0::<path>". */
static struct error *find_own_path(char **ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, PROC_FILE_MAX_BYTES);
    struct error *err = fd_read_file_blocking("/proc/self/cgroup", &text);
    if (err)
        return err;
    struct str rest = buf_str(&text), line;
    while (str_split_next(&rest, '\n', &line)) {
        if (str_has_prefix(line, "0::")) {
            *ret = xstrndup(line.ptr + 3, line.len - 3);
            return NULL;
        }
    }
    return error_new(ERROR_FAILED_PRECONDITION, "/proc/self/cgroup names no unified cgroup");
}

static struct error *kernel_look(UNUSED void *ctx, const char *mount_root, struct cgroup_facts *ret)
{
    struct statfs fs;
    if (statfs(mount_root, &fs) != 0)
        return error_from_errno(errno, "looking at %s", mount_root);
    struct cgroup_facts facts = {.version = CGROUP_V1};
    if ((uint64_t)fs.f_type == CGROUP2_SUPER_MAGIC)
        facts.version = CGROUP_V2;
    struct error *err =
        facts.version == CGROUP_V2 ? find_own_path(&facts.own_path) : look_v1(&facts);
    if (err) {
        cgroup_facts_done(&facts);
        return err;
    }
    *ret = facts;
    return NULL;
}

static int kernel_make_dir(UNUSED void *ctx, const char *path)
{
    return mkdir(path, 0755) == 0 ? 0 : errno;
}

static int kernel_remove_dir(UNUSED void *ctx, const char *path)
{
    return rmdir(path) == 0 ? 0 : errno;
}

static int kernel_kill_process(UNUSED void *ctx, pid_t pid)
{
    return kill(pid, SIGKILL) == 0 ? 0 : errno;
}

const struct cgroup_fs cgroup_fs_kernel = {
    .look = kernel_look,
    .make_dir = kernel_make_dir,
    .remove_dir = kernel_remove_dir,
    .kill_process = kernel_kill_process,
};
