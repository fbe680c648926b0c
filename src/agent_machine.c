#include "agent_machine.h"

#include "base/fd.h"
#include "base/log.h"
#include "node/facts.h"
#include "volume/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define POD_LOGS_DIR_MODE 0750 /* spec runtime.md §9.1 */
#define CONTAINER_LINKS_MODE 0755

/* openat2() is what keeps work below a pod's directory from being led out of it. */
static struct error *check_kernel(void)
{
    AUTO(fd) int fd = -1;
    struct error *err =
        fd_open_beneath(AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, false, &fd);
    if (!err || err->os_errno != ENOSYS) {
        error_ignore(err, "only whether the call exists is asked");
        return NULL;
    }
    error_free(err);
    return error_new(ERROR_FAILED_PRECONDITION,
                     "cubelet needs Linux 5.6 or newer: this kernel has no openat2()");
}

struct error *agent_machine_check(const struct config *config)
{
    if (geteuid() != 0)
        return error_new(ERROR_PERMISSION_DENIED,
                         "cubelet must run as root: it mounts volumes and writes cgroups (running "
                         "as uid %d)",
                         (int)geteuid());
    if (config->fail_swap_on && node_has_swap())
        return error_new(ERROR_FAILED_PRECONDITION,
                         "running with swap on is not supported, please disable swap or set "
                         "--fail-swap-on flag to false");
    struct error *err = check_kernel();
    if (err)
        return err;
    struct config_host host = {.cgroup_v1 = node_has_cgroup_v1()};
    return config_check_host(config, &host);
}

/* Like the kubelet, the agent asks the kernel to end it last; a container without that right goes
 * on without. */
static void set_oom_score(const struct config *config)
{
    AUTO(free) char *score = xasprintf("%d", config->oom_score_adj);
    AUTO(error)
    struct error *err = fd_write_control_file("/proc/self/oom_score_adj", str_from(score));
    if (err)
        log_warning("Could not set the agent's own oom_score_adj",
                    LOG_INT("value", config->oom_score_adj), LOG_ERR(err));
}

/* Each running container costs a descriptor. What the machine does not allow is not fatal: exits
 * are noticed later then. */
static void set_open_files(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    rlim_t wanted = (rlim_t)config->max_open_files;
    const struct rlimit full = {.rlim_cur = wanted,
                                .rlim_max = limit.rlim_max < wanted ? wanted : limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &full) == 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("Could not raise the limit of open files", LOG_INT("value", wanted));
    else
        log_warning("The machine allows fewer open files than maxOpenFiles",
                    LOG_INT("maxOpenFiles", wanted), LOG_INT("allowed", limit.rlim_max));
}

void agent_machine_claim(const struct config *config)
{
    set_oom_score(config);
    set_open_files(config);
}

struct error *agent_machine_make_folders_blocking(const struct config *config)
{
    /* Below the root, in the kubelet's layout, so that either can take over from the other. */
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {{"pod-resources", 0750},
                   {"checkpoints", 0700},
                   {"image_manager", 0700},
                   {"image_manager/pulling", 0700},
                   {"image_manager/pulled", 0700}};
    struct error *err = volume_root_prepare_blocking(config->root_dir);
    for (size_t i = 0; !err && i < ARRAY_SIZE(folders); i++) {
        AUTO(free) char *path = xasprintf("%s/%s", config->root_dir, folders[i].name);
        err = fd_mkdir_all(path, folders[i].mode);
    }
    if (!err)
        err = fd_mkdir_all(config->pod_logs_dir, POD_LOGS_DIR_MODE);
    if (!err)
        err = fd_mkdir_all(AGENT_CONTAINER_LINKS_DIR, CONTAINER_LINKS_MODE);
    return error_wrap(err, "preparing folders");
}
