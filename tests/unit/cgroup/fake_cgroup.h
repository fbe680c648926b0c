/*
 * A folder that behaves like a cgroup mount: making a directory makes its control files, removing
 * one removes them, and killing only takes a note. For tests of the cgroup room.
 */
#pragma once

#include "base/fd.h"
#include "base/path.h"
#include "cgroup/cgroup_fs.h"
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define V2_CONTROLLERS "cpuset cpu io memory hugetlb pids"

struct fake_cgroup {
    char *root; /* owned */
    enum cgroup_version version;
    struct cgroup_fs fs;
    unsigned missing; /* v1: bits of controllers that are not mounted */
    size_t n_killed;
    pid_t killed[32];
    pid_t unkillable;       /* EPERM */
    size_t busy;            /* this many removals fail with EBUSY first */
    const char *refuse_dir; /* making a directory of this name fails with ENOSPC */
};

static inline void fake_write(const char *dir, const char *file, const char *text)
{
    AUTO(free) char *path = path_join(dir, file);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static inline void fake_fill_v1(const char *dir, struct str hierarchy)
{
    fake_write(dir, "cgroup.procs", "");
    if (str_eq_c(hierarchy, "cpu")) {
        fake_write(dir, "cpu.shares", "1024\n");
        fake_write(dir, "cpu.cfs_period_us", "100000\n");
        fake_write(dir, "cpu.cfs_quota_us", "-1\n");
    } else if (str_eq_c(hierarchy, "cpuset")) {
        fake_write(dir, "cpuset.cpus", "\n");
        fake_write(dir, "cpuset.mems", "\n");
    } else if (str_eq_c(hierarchy, "memory")) {
        fake_write(dir, "memory.limit_in_bytes", "9223372036854771712\n");
        fake_write(dir, "memory.usage_in_bytes", "4096\n");
    } else if (str_eq_c(hierarchy, "pids")) {
        fake_write(dir, "pids.max", "max\n");
    }
}

static inline void fake_fill_v2(const char *dir)
{
    fake_write(dir, "cgroup.procs", "");
    fake_write(dir, "cgroup.type", "domain\n");
    fake_write(dir, "cgroup.controllers", V2_CONTROLLERS "\n");
    fake_write(dir, "cgroup.subtree_control", "");
    fake_write(dir, "cpu.weight", "100\n");
    fake_write(dir, "cpu.max", "max 100000\n");
    fake_write(dir, "memory.max", "max\n");
    fake_write(dir, "pids.max", "max\n");
}

static inline void fake_fill(const struct fake_cgroup *fake, const char *dir)
{
    if (fake->version == CGROUP_V2) {
        fake_fill_v2(dir);
        return;
    }
    struct str rest = str_from(dir + strlen(fake->root) + 1), hierarchy;
    if (str_split_next(&rest, '/', &hierarchy))
        fake_fill_v1(dir, hierarchy);
}

static inline int fake_make_dir(void *ctx, const char *path)
{
    struct fake_cgroup *fake = ctx;
    if (fake->refuse_dir && text_eq(path_base(path), fake->refuse_dir))
        return ENOSPC;
    if (mkdir(path, 0755) != 0)
        return errno;
    fake_fill(fake, path);
    return 0;
}

static inline int fake_remove_dir(void *ctx, const char *path)
{
    struct fake_cgroup *fake = ctx;
    if (fake->busy > 0) {
        fake->busy--;
        return EBUSY;
    }
    DIR *dir = opendir(path);
    if (!dir)
        return errno;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_type == DT_REG)
            (void)!unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
    return rmdir(path) == 0 ? 0 : errno;
}

/* ESRCH: gone already. Its line stays, as that of a process that is still dying would. */
static inline int fake_kill_process(void *ctx, pid_t pid)
{
    struct fake_cgroup *fake = ctx;
    assert_true(fake->n_killed < ARRAY_SIZE(fake->killed));
    fake->killed[fake->n_killed++] = pid;
    return pid == fake->unkillable ? EPERM : ESRCH;
}

static inline struct error *fake_look(void *ctx, const char *mount_root, struct cgroup_facts *ret)
{
    const struct fake_cgroup *fake = ctx;
    *ret = (struct cgroup_facts){.version = fake->version};
    if (fake->version == CGROUP_V2) {
        ret->own_path = xstrdup("/system.slice/cubelet.service");
        return NULL;
    }
    static const enum cgroup_controller mounted[] = {CGROUP_CPU,    CGROUP_CPUACCT, CGROUP_CPUSET,
                                                     CGROUP_MEMORY, CGROUP_PIDS,    CGROUP_SYSTEMD,
                                                     CGROUP_DEVICES};
    for (size_t i = 0; i < ARRAY_SIZE(mounted); i++) {
        if (!(fake->missing & (1u << mounted[i])))
            ret->mounts[mounted[i]] = path_join(mount_root, cgroup_controller_name(mounted[i]));
    }
    return NULL;
}

static inline struct fake_cgroup *fake_cgroup_new(enum cgroup_version version)
{
    struct fake_cgroup *fake = xcalloc(1, sizeof(*fake));
    fake->root = xstrdup("/tmp/cubelet-test-cgroup-XXXXXX");
    assert_non_null(mkdtemp(fake->root));
    fake->version = version;
    fake->fs = (struct cgroup_fs){.ctx = fake,
                                  .look = fake_look,
                                  .make_dir = fake_make_dir,
                                  .remove_dir = fake_remove_dir,
                                  .kill_process = fake_kill_process};
    if (version == CGROUP_V2) {
        fake_fill(fake, fake->root);
        return fake;
    }
    struct cgroup_facts facts;
    assert_no_error(fake_look(fake, fake->root, &facts));
    for (size_t i = 0; i < CGROUP_CONTROLLER_COUNT; i++) {
        if (facts.mounts[i])
            assert_int_equal(fake_make_dir(fake, facts.mounts[i]), 0);
    }
    cgroup_facts_done(&facts);
    AUTO(free) char *cpuset = path_join(fake->root, "cpuset");
    fake_write(cpuset, "cpuset.cpus", "0-3\n");
    fake_write(cpuset, "cpuset.mems", "0\n");
    return fake;
}

static inline void fake_cgroup_free(struct fake_cgroup *fake)
{
    assert_no_error(fd_remove_tree_blocking(fake->root));
    free(fake->root);
    free(fake);
}
DEFINE_AUTO(fake_cgroup, struct fake_cgroup *, fake_cgroup_free)

/** Content of a control file without its newline; "" while missing. Owned. */
static inline char *fake_read(const struct fake_cgroup *fake, const char *path)
{
    AUTO(free) char *full = path_join(fake->root, path);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, 4 * KiB);
    error_ignore(fd_read_file_blocking(full, &text), "missing reads as empty");
    return str_dup(str_trim(buf_str(&text)));
}

static inline void assert_control(const struct fake_cgroup *fake, const char *path,
                                  const char *want)
{
    AUTO(free) char *have = fake_read(fake, path);
    if (!text_eq(have, want))
        fail_msg("%s holds \"%s\", not \"%s\"", path, have, want);
}

static inline bool fake_exists(const struct fake_cgroup *fake, const char *path)
{
    AUTO(free) char *full = path_join(fake->root, path);
    return access(full, F_OK) == 0;
}

static inline struct cgroup_tree *fake_tree(const struct fake_cgroup *fake,
                                            const struct cgroup_options *changes)
{
    struct cgroup_options options = {.mount_root = fake->root,
                                     .cgroup_root = "/",
                                     .cgroups_per_qos = true,
                                     .cpu_cfs_quota = true,
                                     .cpu_cfs_period_us = 100000,
                                     .fs = &fake->fs};
    if (changes) {
        options.cgroup_root = changes->cgroup_root ? changes->cgroup_root : "/";
        options.pids_limit = changes->pids_limit;
        options.cpu_cfs_quota = changes->cpu_cfs_quota;
        options.cgroups_per_qos = changes->cgroups_per_qos;
    }
    struct cgroup_tree *tree = NULL;
    assert_no_error(cgroup_tree_new(&options, &tree));
    return tree;
}

/* --- pods --- */

/** A pod of one container in the caller's memory; NULL amounts are left out. */
struct test_pod {
    Core__Pod pod;
    Meta__ObjectMeta metadata;
    Core__PodSpec spec;
    Core__Container container, *containers[1];
    Core__ResourceRequirements resources;
    Meta__Quantity quantities[4];
    Core__ResourceRequirements__RequestsEntry requests[2], *request_list[2];
    Core__ResourceRequirements__LimitsEntry limits[2], *limit_list[2];
};

struct test_amounts {
    const char *cpu_request, *memory_request, *cpu_limit, *memory_limit;
};

static inline void test_pod_add_request(struct test_pod *it, const char *name, const char *amount)
{
    if (!amount)
        return;
    size_t i = it->resources.n_requests++;
    meta__quantity__init(&it->quantities[i]);
    it->quantities[i].string = (char *)(uintptr_t)amount;
    core__resource_requirements__requests_entry__init(&it->requests[i]);
    it->requests[i].key = (char *)(uintptr_t)name;
    it->requests[i].value = &it->quantities[i];
    it->request_list[i] = &it->requests[i];
}

static inline void test_pod_add_limit(struct test_pod *it, const char *name, const char *amount)
{
    if (!amount)
        return;
    size_t i = it->resources.n_limits++;
    meta__quantity__init(&it->quantities[2 + i]);
    it->quantities[2 + i].string = (char *)(uintptr_t)amount;
    core__resource_requirements__limits_entry__init(&it->limits[i]);
    it->limits[i].key = (char *)(uintptr_t)name;
    it->limits[i].value = &it->quantities[2 + i];
    it->limit_list[i] = &it->limits[i];
}

static inline const Core__Pod *test_pod_init(struct test_pod *it, const char *uid,
                                             const struct test_amounts *amounts)
{
    core__pod__init(&it->pod);
    meta__object_meta__init(&it->metadata);
    core__pod_spec__init(&it->spec);
    core__container__init(&it->container);
    core__resource_requirements__init(&it->resources);
    it->metadata.uid = (char *)(uintptr_t)uid;
    it->resources.requests = it->request_list;
    it->resources.limits = it->limit_list;
    test_pod_add_request(it, "cpu", amounts->cpu_request);
    test_pod_add_request(it, "memory", amounts->memory_request);
    test_pod_add_limit(it, "cpu", amounts->cpu_limit);
    test_pod_add_limit(it, "memory", amounts->memory_limit);
    it->container.name = (char *)(uintptr_t) "c";
    it->container.resources = &it->resources;
    it->containers[0] = &it->container;
    it->spec.containers = it->containers;
    it->spec.n_containers = 1;
    it->pod.metadata = &it->metadata;
    it->pod.spec = &it->spec;
    return &it->pod;
}
