/*
 * Leftovers of pods that nobody knows any more: folders below <root>/pods and <podLogsDir>, and pod
 * cgroups. Looked for once, when all sources and the runtime were heard; later every pod cleans up
 * after itself. Each leftover becomes a worker without a pod that has only its clean-up to do.
 */
#include "pod/pods_internal.h"

#include <dirent.h>

struct pods_sweep {
    struct volume_op *volumes;
    struct work *work;
};

void pods_sweep_cancel(struct pods *pods)
{
    if (!pods->sweep)
        return;
    volume_op_cancel(pods->sweep->volumes);
    work_cancel(pods->sweep->work);
    free(TAKE(pods->sweep));
}

static void add_leftover(struct pods *pods, const char *uid, const char *namespace,
                         const char *name)
{
    if (uid[0] == '\0' || pods_find(pods, uid))
        return;
    struct pod_worker *worker = pod_worker_new(pods, uid, namespace, name);
    worker->observed = true; /* the runtime's list was read and does not name it */
    worker->want.life = POD_LIFE_TERMINATED;
    worker->want.removed = true;
    log_info("Cleaning up after a pod that is gone", LOG_STR("podUID", uid),
             LOG_POD(namespace, name));
    pod_worker_wake(worker);
}

/* "<namespace>_<name>_<uid>" folders; one blocking readdir on a worker. */
struct log_list {
    char *dir;
    char **names;
    size_t count;
};

static void log_list_run(void *ctx)
{
    struct log_list *list = ctx;
    DIR *entries = opendir(list->dir);
    if (!entries)
        return;
    const struct dirent *entry;
    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry->d_name[0] == '.')
            continue;
        list->names = xrealloc(list->names, (list->count + 1) * sizeof(*list->names));
        list->names[list->count++] = xstrdup(entry->d_name);
    }
    closedir(entries);
}

static void log_list_release(void *ctx)
{
    struct log_list *list = ctx;
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    free(list->dir);
    free(list);
}

/* Names with other than two underscores were not made by a kubelet and stay. */
static void add_log_folder(struct pods *pods, const char *folder)
{
    struct str rest = str_from(folder), namespace, name, uid, more;
    if (!str_split_next(&rest, '_', &namespace) || !str_split_next(&rest, '_', &name) ||
        !str_split_next(&rest, '_', &uid) || str_split_next(&rest, '_', &more))
        return;
    AUTO(free) char *uid_text = str_dup(uid);
    AUTO(free) char *namespace_text = str_dup(namespace);
    AUTO(free) char *name_text = str_dup(name);
    add_leftover(pods, uid_text, namespace_text, name_text);
}

static void sweep_cgroups(struct pods *pods)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const char **uids = NULL;
    size_t count = 0;
    AUTO(error) struct error *err = cgroup_list_pods(pods->env.cgroups, arena, &uids, &count);
    if (err)
        log_error("Could not list pod cgroups", LOG_ERR(err));
    for (size_t i = 0; !err && i < count; i++)
        add_leftover(pods, uids[i], "", "");
}

static void on_pod_folders(void *ctx, const char *const *uids, size_t count,
                           struct error *err_owned)
{
    struct pods *pods = ctx;
    AUTO(error) struct error *err = err_owned;
    pods->sweep->volumes = NULL;
    if (err)
        log_error("Could not list pod folders", LOG_ERR(err));
    for (size_t i = 0; i < count; i++)
        add_leftover(pods, uids[i], "", "");
    sweep_cgroups(pods);
    free(TAKE(pods->sweep));
}

/* Log folders know the names as well, so they come before what knows uids only. */
static void on_log_list(void *ctx, void *job)
{
    struct pods *pods = ctx;
    const struct log_list *list = job;
    pods->sweep->work = NULL;
    for (size_t i = 0; i < list->count; i++)
        add_log_folder(pods, list->names[i]);
    pods->sweep->volumes = volume_list_pods_start(pods->env.volumes, on_pod_folders, pods);
}

static const struct work_vtable log_list_vtable = {.name = "list pod logs",
                                                   .class = WORK_NORMAL,
                                                   .run_blocking = log_list_run,
                                                   .on_done = on_log_list,
                                                   .release = log_list_release};

void pods_sweep_start(struct pods *pods)
{
    if (pods->swept || pods->sweep)
        return;
    pods->swept = true;
    pods->sweep = xcalloc(1, sizeof(*pods->sweep));
    struct log_list *list = xcalloc(1, sizeof(*list));
    list->dir = xstrdup(pods->env.node->pod_logs_dir);
    pods->sweep->work = work_start(pods->env.pool, &log_list_vtable, list, pods);
}
