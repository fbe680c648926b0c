/*
 * Leftovers of pods that nobody knows any more: folders below <root>/pods and <podLogsDir>, pod
 * cgroups, and links in /var/log/containers to logs that are gone (spec runtime.md §7.3). Each pod
 * left over becomes a worker without a pod that has only its clean-up to do.
 *
 * Looked for when all sources and the runtime were heard; later every pod cleans up after itself.
 * Only what was found left over, and containers that somebody else has removed, may leave links:
 * then it is looked again with the next audit.
 */
#include "pod/start_files.h"

#include "base/fd.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINK_SUFFIX ".log"
#define MAX_LINKS 1024 /* judged in one sweep; the next one goes on */

struct pods_sweep {
    struct volume_op *volumes;
    struct work *work;
    bool found; /* something that is not done with yet */
};

void pods_sweep_again(struct pods *pods)
{
    pods->swept = false;
}

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
    pods->sweep->found = true;
    pod_worker_wake(worker);
}

/* --- the two folders of logs, on a worker --- */

struct name_list {
    char **names;
    size_t count;
};

static void list_add(struct name_list *list, const char *name)
{
    list->names = xrealloc(list->names, (list->count + 1) * sizeof(*list->names));
    list->names[list->count++] = xstrdup(name);
}

static void list_clear(struct name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct name_list){0};
}

struct log_list {
    char *dir, *links_dir;
    struct name_list folders; /* "<namespace>_<name>_<uid>" */
    struct name_list links;   /* that lead nowhere */
    struct error *err;        /* the first folder cannot be read */
};

static bool leads_nowhere(int dir_fd, const char *name)
{
    struct stat info;
    return text_has_suffix(name, LINK_SUFFIX) && fstatat(dir_fd, name, &info, 0) < 0 &&
           errno == ENOENT;
}

static void list_links(struct log_list *list)
{
    DIR *entries = opendir(list->links_dir);
    if (!entries)
        return; /* none were made then */
    const struct dirent *entry;
    while (list->links.count < MAX_LINKS &&
           (entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (leads_nowhere(dirfd(entries), entry->d_name))
            list_add(&list->links, entry->d_name);
    }
    closedir(entries);
}

static void log_list_run(void *ctx)
{
    struct log_list *list = ctx;
    list_links(list);
    DIR *entries = opendir(list->dir);
    if (!entries) {
        list->err = error_from_errno(errno, "failed to read podLogsDirectory \"%s\"", list->dir);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(entries))) { /* NOLINT(concurrency-mt-unsafe): own stream */
        if (entry->d_name[0] != '.')
            list_add(&list->folders, entry->d_name);
    }
    closedir(entries);
}

static void log_list_release(void *ctx)
{
    struct log_list *list = ctx;
    list_clear(&list->folders);
    list_clear(&list->links);
    error_free(list->err);
    free(list->links_dir);
    free(list->dir);
    free(list);
}

static void unlink_run(void *ctx)
{
    const struct log_list *list = ctx;
    AUTO(fd) int dir_fd = open(list->links_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; dir_fd >= 0 && i < list->links.count; i++) {
        if (leads_nowhere(dir_fd, list->links.names[i]))
            unlinkat(dir_fd, list->links.names[i], 0);
    }
}

/* --- what nobody knows --- */

/* True for a link that begins with "<pod>_<namespace>_". */
static bool is_link_of(const struct pod_worker *worker, const char *link)
{
    size_t len = strlen(worker->name);
    if (!text_has_prefix(link, worker->name) || link[len] != '_')
        return false;
    const char *rest = link + len + 1;
    return text_has_prefix(rest, worker->namespace) && rest[strlen(worker->namespace)] == '_';
}

/* The log of a container that may run is gone for a moment while it is rotated: its link stays. */
static bool is_dangling(const struct pods *pods, const char *link)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct pod_worker *worker, *next;
    HASH_ITER(hh, pods->workers, worker, next) {
        if (!is_link_of(worker, link))
            continue;
        if (!worker->observed) {
            pods->sweep->found = true; /* nobody can tell yet */
            return false;
        }
        for (const struct container_observed *c = worker->have.containers; c; c = c->next) {
            const char *path = container_link_path("", worker, c->name, c->id, arena);
            if (c->state != CONTAINER_EXITED && strcmp(path_base(path), link) == 0)
                return false;
        }
    }
    return true;
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
    if (pods->sweep->found)
        pods_sweep_again(pods);
    free(TAKE(pods->sweep));
}

static void list_pod_folders(struct pods *pods)
{
    pods->sweep->volumes = volume_list_pods_start(pods->env.volumes, on_pod_folders, pods);
}

static void on_unlinked(void *ctx, UNUSED void *job)
{
    struct pods *pods = ctx;
    pods->sweep->work = NULL;
    list_pod_folders(pods);
}

static const struct work_vtable unlink_vtable = {.name = "dangling links",
                                                 .class = WORK_NORMAL,
                                                 .run_blocking = unlink_run,
                                                 .on_done = on_unlinked,
                                                 .release = log_list_release};

static struct log_list *log_list_new(const struct pods *pods)
{
    struct log_list *list = xcalloc(1, sizeof(*list));
    list->dir = xstrdup(pods->env.node->pod_logs_dir);
    list->links_dir = xstrdup(pods->env.container_links);
    return list;
}

/* Log folders know the names as well, so they come before what knows uids only. */
static void on_log_list(void *ctx, void *job)
{
    struct pods *pods = ctx;
    const struct log_list *list = job;
    pods->sweep->work = NULL;
    if (list->err) {
        log_error("Could not look for log folders", LOG_ERR(list->err));
        pods_tell_gc_failed(pods, list->err->message);
    }
    for (size_t i = 0; i < list->folders.count; i++)
        add_log_folder(pods, list->folders.names[i]);
    pods->sweep->found = pods->sweep->found || list->links.count == MAX_LINKS;
    struct log_list *dangling = log_list_new(pods);
    for (size_t i = 0; i < list->links.count; i++) {
        if (is_dangling(pods, list->links.names[i]))
            list_add(&dangling->links, list->links.names[i]);
    }
    pods->sweep->work = work_start(pods->env.pool, &unlink_vtable, dangling, pods);
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
    pods->sweep->work = work_start(pods->env.pool, &log_list_vtable, log_list_new(pods), pods);
}
