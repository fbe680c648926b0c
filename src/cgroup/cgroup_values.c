/*
 * Control files: which of them a set of values touches, in which order and form (spec resources.md
 * §2.6), and the formulas (§2.7, §2.8).
 */
#include "cgroup/cgroup_internal.h"

#include "base/fd.h"
#include "base/path.h"
#include "kube/resources.h"

#include <errno.h>
#include <inttypes.h>

#define SHARES_MIN 2      /* kernel: smallest cpu.shares */
#define SHARES_MAX 262144 /* kernel: largest cpu.shares */
#define SHARES_PER_CPU 1024
#define MILLIS_PER_CPU 1000
#define QUOTA_MIN_US 1000 /* kernel: smallest cpu.cfs_quota_us */
#define PERIOD_DEFAULT_US 100000
#define WEIGHT_MAX 10000 /* kernel: largest cpu.weight */

#define VALUE_MAX_BYTES 64

int64_t cgroup_shares_from_millis(int64_t millis)
{
    if (millis <= 0)
        return SHARES_MIN;
    return clamp_i64(sat_mul_i64(millis, SHARES_PER_CPU) / MILLIS_PER_CPU, SHARES_MIN, SHARES_MAX);
}

int64_t cgroup_quota_from_millis(int64_t millis, int64_t period_us)
{
    if (millis <= 0)
        return 0;
    return max_i64(sat_mul_i64(millis, period_us) / MILLIS_PER_CPU, QUOTA_MIN_US);
}

int64_t cgroup_weight_from_shares(int64_t shares)
{
    if (shares >= SHARES_MAX)
        return WEIGHT_MAX;
    int64_t above = max_i64(shares, SHARES_MIN) - SHARES_MIN;
    return 1 + above * (WEIGHT_MAX - 1) / (SHARES_MAX - SHARES_MIN);
}

/* --- writing --- */

static char *control_path(const struct cgroup_tree *tree, enum cgroup_controller controller,
                          const char *cgroup, const char *file)
{
    return path_join_all(cgroup_mount_of(tree, controller), cgroup, file, NULL);
}

static struct error *write_text(const struct cgroup_tree *tree, enum cgroup_controller controller,
                                const char *cgroup, const char *file, const char *value)
{
    if (!cgroup_mount_of(tree, controller))
        return error_new(ERROR_FAILED_PRECONDITION,
                         "cannot write %s of cgroup %s: cgroup "
                         "controller \"%s\" is not mounted",
                         file, cgroup, cgroup_controller_name(controller));
    AUTO(free) char *path = control_path(tree, controller, cgroup, file);
    return error_wrap(fd_write_control_file(path, str_from(value)), "setting \"%s\"", value);
}

static struct error *write_number(const struct cgroup_tree *tree, enum cgroup_controller controller,
                                  const char *cgroup, const char *file, int64_t value)
{
    AUTO(free) char *text = xasprintf("%" PRId64, value);
    return write_text(tree, controller, cgroup, file, text);
}

static struct error *read_number(const struct cgroup_tree *tree, enum cgroup_controller controller,
                                 const char *cgroup, const char *file, int64_t *ret)
{
    AUTO(free) char *path = control_path(tree, controller, cgroup, file);
    AUTO(buf) struct buf text = {0};
    buf_init(&text, VALUE_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    if (err)
        return err;
    AUTO(free) char *number = str_dup(str_trim(buf_str(&text)));
    if (!parse_i64(number, INT64_MIN, INT64_MAX, ret))
        return error_new(ERROR_INTERNAL, "%s holds no number: \"%s\"", path, number);
    return NULL;
}

static struct error *write_memory(const struct cgroup_tree *tree, const char *cgroup,
                                  int64_t limit_bytes)
{
    if (limit_bytes == 0)
        return NULL;
    bool v2 = tree->facts.version == CGROUP_V2;
    const char *file = v2 ? "memory.max" : "memory.limit_in_bytes";
    if (v2 && limit_bytes < 0)
        return write_text(tree, CGROUP_MEMORY, cgroup, file, "max");
    struct error *err = write_number(tree, CGROUP_MEMORY, cgroup, file, max_i64(limit_bytes, -1));
    if (!err || err->os_errno != EBUSY)
        return err;
    /* v1 cannot shrink below what is in use; say how much that is. */
    int64_t usage;
    struct error *unknown =
        read_number(tree, CGROUP_MEMORY, cgroup, "memory.usage_in_bytes", &usage);
    if (unknown) {
        error_ignore(unknown, "the limit's error is the one to report");
        return err;
    }
    return error_wrap(err, "unable to set memory limit to %" PRId64 " (current usage: %" PRId64 ")",
                      limit_bytes, usage);
}

/* v1 takes shares beyond its range silently and clamps them: what was asked for must be what is
 * set. */
static struct error *write_shares_v1(const struct cgroup_tree *tree, const char *cgroup,
                                     int64_t shares)
{
    struct error *err = write_number(tree, CGROUP_CPU, cgroup, "cpu.shares", shares);
    int64_t set = shares;
    if (!err)
        err = read_number(tree, CGROUP_CPU, cgroup, "cpu.shares", &set);
    if (!err && set != shares)
        err = error_new(ERROR_OUT_OF_RANGE,
                        "the %s allowed cpu-shares is %" PRId64 ", asked for %" PRId64,
                        shares > set ? "maximum" : "minimum", set, shares);
    return err;
}

static struct error *write_quota_v1(const struct cgroup_tree *tree, const char *cgroup,
                                    int64_t quota_us, int64_t period_us)
{
    bool again = false;
    struct error *err = NULL;
    if (period_us != 0) {
        err = write_number(tree, CGROUP_CPU, cgroup, "cpu.cfs_period_us", period_us);
        /* The old quota may be too large for the new period: then the quota goes first. */
        if (err && err->os_errno == EINVAL && quota_us != 0) {
            error_ignore(err, "tried again below");
            err = NULL;
            again = true;
        }
    }
    if (!err && quota_us != 0)
        err = write_number(tree, CGROUP_CPU, cgroup, "cpu.cfs_quota_us", max_i64(quota_us, -1));
    if (!err && again)
        err = write_number(tree, CGROUP_CPU, cgroup, "cpu.cfs_period_us", period_us);
    return err;
}

static struct error *write_cpu_v1(const struct cgroup_tree *tree, const char *cgroup,
                                  const struct cgroup_values *values)
{
    struct error *err = NULL;
    if (values->cpu_shares != 0)
        err = write_shares_v1(tree, cgroup, values->cpu_shares);
    if (!err)
        err = write_quota_v1(tree, cgroup, values->cpu_quota_us, values->cpu_period_us);
    return err;
}

static struct error *write_cpu_v2(const struct cgroup_tree *tree, const char *cgroup,
                                  const struct cgroup_values *values)
{
    struct error *err = NULL;
    if (values->cpu_shares != 0)
        err = write_number(tree, CGROUP_CPU, cgroup, "cpu.weight",
                           cgroup_weight_from_shares(values->cpu_shares));
    if (err || (values->cpu_quota_us == 0 && values->cpu_period_us == 0))
        return err;
    int64_t period_us = values->cpu_period_us > 0 ? values->cpu_period_us : PERIOD_DEFAULT_US;
    AUTO(free)
    char *max = values->cpu_quota_us > 0
                    ? xasprintf("%" PRId64 " %" PRId64, values->cpu_quota_us, period_us)
                    : xasprintf("max %" PRId64, period_us);
    return write_text(tree, CGROUP_CPU, cgroup, "cpu.max", max);
}

static struct error *write_pids(const struct cgroup_tree *tree, const char *cgroup, int64_t pids)
{
    return pids > 0 ? write_number(tree, CGROUP_PIDS, cgroup, "pids.max", pids) : NULL;
}

struct error *cgroup_values_apply(const struct cgroup_tree *tree, const char *cgroup,
                                  const struct cgroup_values *values)
{
    struct error *err;
    if (tree->facts.version == CGROUP_V2) {
        err = write_pids(tree, cgroup, values->pids);
        if (!err)
            err = write_memory(tree, cgroup, values->memory_bytes);
        if (!err)
            err = write_cpu_v2(tree, cgroup, values);
        return err;
    }
    err = write_memory(tree, cgroup, values->memory_bytes);
    if (!err)
        err = write_cpu_v1(tree, cgroup, values);
    if (!err)
        err = write_pids(tree, cgroup, values->pids);
    return err;
}

/* --- what a pod gets --- */

struct cgroup_values cgroup_values_of_pod(const struct cgroup_tree *tree, const Core__Pod *pod)
{
    enum pod_qos qos = pod_qos_of(pod);
    struct cgroup_values values = {.cpu_shares = SHARES_MIN, .pids = max_i64(tree->pids_limit, 0)};
    if (qos == POD_QOS_BESTEFFORT)
        return values;

    values.cpu_shares = cgroup_shares_from_millis(pod_request_milli_cpu(pod, NULL, NULL));
    /* One container without a limit may use what the node has, so its pod cannot be limited either.
     */
    if (qos == POD_QOS_GUARANTEED || pod_limits_cover_all(pod, RESOURCE_CPU)) {
        int64_t limit_millis = pod_limit_milli_cpu(pod, NULL, NULL);
        values.cpu_period_us = tree->cpu_cfs_period_us;
        values.cpu_quota_us = tree->cpu_cfs_quota
                                  ? cgroup_quota_from_millis(limit_millis, tree->cpu_cfs_period_us)
                                  : CGROUP_UNLIMITED;
    }
    if (qos == POD_QOS_GUARANTEED || pod_limits_cover_all(pod, RESOURCE_MEMORY))
        values.memory_bytes = pod_limit_bytes(pod, NULL, RESOURCE_MEMORY, NULL);
    return values;
}
