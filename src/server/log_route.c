#include "base/path.h"
#include "server/local_internal.h"

/* The log's place below the directory of pod logs, or NULL when it lies elsewhere. Borrowed from
 * @path. */
static const char *below(const char *path, const char *root)
{
    size_t len = strlen(root);
    while (len > 0 && root[len - 1] == '/')
        len--;
    if (strncmp(path, root, len) != 0 || path[len] != '/')
        return NULL;
    const char *relative = path + len;
    while (*relative == '/')
        relative++;
    return *relative != '\0' && !path_has_dotdot(relative) ? relative : NULL;
}

struct error *log_route_start(struct local_server *server, struct evhttp_request *request,
                              const char *const params[3], const char *query)
{
    const char *namespace = params[0], *pod_name = params[1], *container;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct log_stream_target target = {0};
    struct error *err =
        log_query_parse(query, loop_now_wall_ns(server->loop), arena, &target.query);
    if (err)
        return err;
    struct pod_view view;
    if (!local_find_pod(server->pods, namespace, pod_name, &view))
        return error_new(ERROR_NOT_FOUND, "pod \"%s\" does not exist", pod_name);
    err = log_container_name(view.pod, params[2], &container);
    if (err)
        return err;
    struct log_instance instance;
    err = log_choose_instance(view.status, pod_name, container, target.query.previous, &instance);
    if (err)
        return err;

    AUTO(free)
    char *path = pods_log_path(server->pods, view.uid, container, instance.before_newest);
    if (!path)
        return error_new(ERROR_FAILED_PRECONDITION, "unable to retrieve container logs for %s",
                         instance.container_id);
    target.path = below(path, server->pod_logs_dir);
    if (!target.path)
        return error_new(ERROR_FAILED_PRECONDITION,
                         "unable to retrieve container logs for %s: %s is not below %s",
                         instance.container_id, path, server->pod_logs_dir);
    target.uid = view.uid;
    target.container = container;
    target.container_id = instance.container_id;
    target.query.follow = target.query.follow && instance.running;
    return log_stream_start(server, request, &target);
}
