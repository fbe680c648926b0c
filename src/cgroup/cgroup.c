#include "cgroup/cgroup_internal.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "cgroup/cgroup_parse.h"
#include "kube/resources.h"

#include <unistd.h>

#define CONTROLLERS_MAX_BYTES (4 * KiB)
#define OWN_CGROUP_MAX_BYTES (64 * KiB)
#define UID_MAX_BYTES 250 /* "pod" + uid must be a file name */

/* A v1 node without one of these is refused (spec §2.1). */
static const enum cgroup_controller required_v1[] = {CGROUP_CPU, CGROUP_CPUACCT, CGROUP_CPUSET,
                                                     CGROUP_MEMORY};

/* --- looking at the machine --- */

static struct error *check_options(const struct cgroup_options *options)
{
    switch (options->driver) {
    case CGROUP_DRIVER_CGROUPFS:
        break;
    case CGROUP_DRIVER_SYSTEMD:
        return error_new(ERROR_FAILED_PRECONDITION,
                         "cgroup driver \"systemd\" is not supported by cubelet yet: set "
                         "cgroupDriver: cgroupfs here and in the container runtime");
    }
    const char *root = options->cgroup_root ? options->cgroup_root : "";
    if (*root == '\0') {
        if (!options->cgroups_per_qos)
            return NULL;
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "invalid configuration: cgroups-per-qos was specified and cgroup-root was not "
            "specified. To enable the QoS cgroup hierarchy you need to specify a valid "
            "cgroup-root");
    }
    if (!path_is_absolute(root) || path_has_dotdot(root))
        return error_new(
            ERROR_INVALID_ARGUMENT,
            "invalid configuration: cgroup root \"%s\" is no absolute path without \"..\"", root);
    return NULL;
}

static struct error *check_v1_mounts(const struct cgroup_tree *tree)
{
    AUTO(buf) struct buf missing = {0};
    buf_init(&missing, CONTROLLERS_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(required_v1); i++) {
        if (!tree->facts.mounts[required_v1[i]])
            buf_printf(&missing, "%s%s", missing.len > 0 ? " " : "",
                       cgroup_controller_name(required_v1[i]));
    }
    if (missing.len == 0)
        return NULL;
    return error_new(
        ERROR_FAILED_PRECONDITION,
        "system validation failed - Following Cgroup subsystem not mounted: [%s] (mount "
        "them below %s, or boot with cgroup v2)",
        buf_text(&missing), tree->mount_root);
}

static struct error *read_v2_controllers(struct cgroup_tree *tree)
{
    AUTO(free) char *path = path_join(tree->mount_root, "cgroup.controllers");
    AUTO(buf) struct buf text = {0};
    buf_init(&text, CONTROLLERS_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    if (err)
        return error_wrap(err, "could not read controllers of the root cgroup");
    tree->v2_controllers = str_dup(str_trim(buf_str(&text)));
    return NULL;
}

/* The root cgroup has no memory.swap.max, so v2 is asked where this process lives. */
static bool find_swap(const struct cgroup_tree *tree)
{
    const char *memory = tree->facts.mounts[CGROUP_MEMORY];
    AUTO(free)
    char *path =
        tree->facts.version == CGROUP_V2
            ? path_join_all(tree->mount_root, tree->facts.own_path ? tree->facts.own_path : "/",
                            "memory.swap.max", NULL)
            : path_join(memory, "memory.memsw.limit_in_bytes");
    return access(path, F_OK) == 0;
}

static struct error *look_at_machine(struct cgroup_tree *tree, const char *cgroup_root)
{
    struct error *err = tree->fs->look(tree->fs->ctx, tree->mount_root, &tree->facts);
    if (!err && tree->facts.version == CGROUP_V1)
        err = check_v1_mounts(tree);
    if (!err && tree->facts.version == CGROUP_V2)
        err = read_v2_controllers(tree);
    if (err)
        return err;
    tree->has_swap = find_swap(tree);
    if (!tree->cgroups_per_qos)
        return NULL;
    /* The root cgroup passes everything on by definition; any other must be there and complete. */
    if (text_eq(cgroup_root, "/"))
        return NULL;
    return error_wrap(cgroup_dir_check(tree, cgroup_root), "invalid configuration");
}

struct error *cgroup_tree_new(const struct cgroup_options *options, struct cgroup_tree **ret)
{
    struct error *err = check_options(options);
    if (err)
        return err;
    AUTO(cgroup_tree) struct cgroup_tree *tree = xcalloc(1, sizeof(*tree));
    tree->fs = options->fs ? options->fs : &cgroup_fs_kernel;
    tree->mount_root = path_clean(options->mount_root);
    tree->cgroups_per_qos = options->cgroups_per_qos;
    tree->cpu_cfs_quota = options->cpu_cfs_quota;
    tree->cpu_cfs_period_us = options->cpu_cfs_period_us;
    tree->pids_limit = options->pids_limit;

    AUTO(free) char *root = path_join("/", options->cgroup_root ? options->cgroup_root : "");
    tree->tiers[POD_QOS_GUARANTEED] = path_join(root, "kubepods");
    tree->tiers[POD_QOS_BURSTABLE] = path_join(root, "kubepods/burstable");
    tree->tiers[POD_QOS_BESTEFFORT] = path_join(root, "kubepods/besteffort");
    err = look_at_machine(tree, root);
    if (err)
        return err;
    *ret = TAKE(tree);
    return NULL;
}

void cgroup_tree_free(struct cgroup_tree *tree)
{
    if (!tree)
        return;
    for (size_t i = 0; i < CGROUP_TIER_COUNT; i++)
        free(tree->tiers[i]);
    cgroup_facts_done(&tree->facts);
    free(tree->v2_controllers);
    free(tree->mount_root);
    free(tree);
}

enum cgroup_version cgroup_tree_version(const struct cgroup_tree *tree)
{
    return tree->facts.version;
}

bool cgroup_tree_has_swap(const struct cgroup_tree *tree)
{
    return tree->has_swap;
}

struct error *cgroup_own_path(const struct cgroup_tree *tree, struct arena *arena, const char **ret)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, OWN_CGROUP_MAX_BYTES);
    struct error *err = fd_read_file_blocking("/proc/self/cgroup", &text);
    if (!err)
        err = cgroup_parse_own_path(buf_str(&text), tree->facts.version, arena, ret);
    return error_wrap(err, "finding the agent's own cgroup");
}

/* --- the tiers --- */

struct error *cgroup_setup_node(struct cgroup_tree *tree, const struct cgroup_node_limits *limits)
{
    if (!tree->cgroups_per_qos)
        return NULL;
    for (size_t i = 0; i < CGROUP_TIER_COUNT; i++) {
        struct error *err = cgroup_dir_make(tree, tree->tiers[i]);
        if (err)
            return error_wrap(err, "making the cgroups of the QoS tiers");
    }
    /* Burstable keeps what it has until the first cgroup_update_qos(): its pods may be running. */
    const struct cgroup_values besteffort = {.cpu_shares = cgroup_shares_from_millis(0)};
    struct error *err = cgroup_values_apply(tree, tree->tiers[POD_QOS_BESTEFFORT], &besteffort);
    if (err)
        return error_wrap(err, "setting up the BestEffort tier");

    const struct cgroup_values node = {
        .memory_bytes = limits->memory_bytes,
        .cpu_shares = limits->cpu_millis > 0 ? cgroup_shares_from_millis(limits->cpu_millis) : 0,
        .pids = limits->pids,
    };
    err = cgroup_values_apply(tree, tree->tiers[POD_QOS_GUARANTEED], &node);
    if (!err)
        return NULL;
    AUTO(free) char *name = cgroup_name_text(tree->tiers[POD_QOS_GUARANTEED]);
    return error_with_reason(error_wrap(err, "Failed to update Node Allocatable Limits %s", name),
                             "FailedNodeAllocatableEnforcement");
}

struct error *cgroup_update_qos(struct cgroup_tree *tree, int64_t burstable_request_millis)
{
    if (!tree->cgroups_per_qos)
        return NULL;
    const struct cgroup_values burstable = {
        .cpu_shares = cgroup_shares_from_millis(burstable_request_millis)};
    const struct cgroup_values besteffort = {.cpu_shares = cgroup_shares_from_millis(0)};
    struct error *err = cgroup_values_apply(tree, tree->tiers[POD_QOS_BURSTABLE], &burstable);
    if (!err)
        err = cgroup_values_apply(tree, tree->tiers[POD_QOS_BESTEFFORT], &besteffort);
    return error_wrap(err, "updating the cgroups of the QoS tiers");
}

/* --- pods --- */

static struct error *check_uid(const char *uid)
{
    /* '_' is upstream's rule: the systemd driver maps it to '-' and could not map it back. */
    if (!uid || *uid == '\0' || strlen(uid) > UID_MAX_BYTES || strchr(uid, '/') || strchr(uid, '_'))
        return error_new(ERROR_INVALID_ARGUMENT, "pod uid \"%s\" cannot name a cgroup",
                         uid ? uid : "");
    return NULL;
}

static const char *uid_of(const Core__Pod *pod)
{
    return pod->metadata ? pod->metadata->uid : NULL;
}

static char *pod_cgroup(const struct cgroup_tree *tree, size_t tier, const char *uid)
{
    return xasprintf("%s/pod%s", tree->tiers[tier], uid);
}

const char *cgroup_tier_path(const struct cgroup_tree *tree, enum pod_qos tier)
{
    return tree->cgroups_per_qos ? tree->tiers[tier] : NULL;
}

const char *cgroup_pod_path(const struct cgroup_tree *tree, enum pod_qos tier, const char *uid,
                            struct arena *arena)
{
    AUTO(error) struct error *err = check_uid(uid);
    if (err || !tree->cgroups_per_qos)
        return NULL;
    return arena_printf(arena, "%s/pod%s", tree->tiers[tier], uid);
}

struct error *cgroup_pod_create(struct cgroup_tree *tree, const Core__Pod *pod, bool *ret_created)
{
    *ret_created = false;
    if (!tree->cgroups_per_qos)
        return NULL;
    struct error *err = check_uid(uid_of(pod));
    if (err)
        return err;
    AUTO(free) char *cgroup = pod_cgroup(tree, pod_qos_of(pod), uid_of(pod));
    AUTO(error) struct error *missing = cgroup_dir_check(tree, cgroup);
    if (!missing)
        return NULL;
    err = cgroup_dir_make(tree, cgroup);
    if (err)
        return err;
    *ret_created = true;
    const struct cgroup_values values = cgroup_values_of_pod(tree, pod);
    AUTO(error) struct error *refused = cgroup_values_apply(tree, cgroup, &values);
    if (refused)
        log_error("Failed to set limits of the pod's cgroup", LOG_STR("podUID", uid_of(pod)),
                  LOG_STR("cgroup", cgroup), LOG_ERR(refused));
    return NULL;
}

bool cgroup_pod_exists(struct cgroup_tree *tree, const Core__Pod *pod)
{
    if (!tree->cgroups_per_qos)
        return true;
    AUTO(error) struct error *err = check_uid(uid_of(pod));
    if (err)
        return false;
    AUTO(free) char *cgroup = pod_cgroup(tree, pod_qos_of(pod), uid_of(pod));
    err = cgroup_dir_check(tree, cgroup);
    return !err;
}

struct error *cgroup_pod_destroy_blocking(const struct cgroup_tree *tree, const char *uid)
{
    if (!tree->cgroups_per_qos)
        return NULL;
    struct error *err = check_uid(uid);
    for (size_t tier = 0; !err && tier < CGROUP_TIER_COUNT; tier++) {
        AUTO(free) char *cgroup = pod_cgroup(tree, tier, uid);
        err = cgroup_dir_destroy_blocking(tree, cgroup);
    }
    return err;
}

/* A pod is in several hierarchies, and may be in two tiers by accident; it counts once. */
static size_t sort_and_unite(const char **texts, size_t count)
{
    if (count < 2)
        return count;
    qsort(texts, count, sizeof(*texts), text_compare);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (!text_eq(texts[i], texts[kept - 1]))
            texts[kept++] = texts[i];
    }
    return kept;
}

/* Appends the uids of the pod cgroups in directory @path; @uids is kept in @arena. */
static struct error *add_uids_in(const char *path, struct arena *arena, const char ***uids,
                                 size_t *count)
{
    const char **names;
    size_t n_names;
    struct error *err = cgroup_dir_children(path, arena, &names, &n_names);
    if (err || n_names == 0)
        return err;
    const char **all = arena_calloc(arena, *count + n_names, sizeof(*all));
    size_t n_all = *count;
    if (n_all > 0)
        memcpy(all, *uids, n_all * sizeof(*all));
    for (size_t i = 0; i < n_names; i++) {
        if (text_has_prefix(names[i], "pod") && names[i][3] != '\0')
            all[n_all++] = names[i] + 3;
    }
    *count = sort_and_unite(all, n_all);
    *uids = all;
    return NULL;
}

struct error *cgroup_list_pods(struct cgroup_tree *tree, struct arena *arena,
                               const char ***ret_uids, size_t *ret_count)
{
    const char **uids = NULL;
    size_t count = 0, cursor = 0;
    const char *mount;
    while (tree->cgroups_per_qos && (mount = cgroup_next_mount(tree, &cursor)) != NULL) {
        for (size_t tier = 0; tier < CGROUP_TIER_COUNT; tier++) {
            AUTO(free) char *path = path_join(mount, tree->tiers[tier]);
            struct error *err = add_uids_in(path, arena, &uids, &count);
            if (err)
                return err;
        }
    }
    *ret_uids = uids;
    *ret_count = count;
    return NULL;
}
