/* What of the node's logs a request means: a query or a path. */
#include "server/node_logs_internal.h"

#include "base/fd.h"
#include "base/path.h"
#include "server/reply.h"

#include <errno.h>
#include <fcntl.h>

#define PREFIX "/logs/"
#define DEFAULT_QUERY_TIMEOUT_NS (30 * NS_PER_SEC) /* pkg/kubelet/kubelet_server_journal.go */
#define DEFAULT_MAX_TRANSFERS 64

struct node_logs *node_logs_new(struct loop *loop, struct work_pool *pool,
                                const struct node_logs_options *options)
{
    struct node_logs *logs = xcalloc(1, sizeof(*logs));
    *logs = (struct node_logs){
        .loop = loop,
        .pool = pool,
        .root = xstrdup(options->root),
        .journalctl = xstrdup(options->journalctl),
        .has_query = options->has_query,
        .query_timeout_ns =
            options->query_timeout_ns ? options->query_timeout_ns : DEFAULT_QUERY_TIMEOUT_NS,
        .max_transfers = options->max_transfers ? options->max_transfers : DEFAULT_MAX_TRANSFERS,
    };
    return logs;
}

void node_logs_free(struct node_logs *logs)
{
    if (!logs)
        return;
    node_file_abort_all(logs);
    node_journal_abort_all(logs);
    free(logs->root);
    free(logs->journalctl);
    free(logs);
}

size_t node_logs_transfer_count(const struct node_logs *logs)
{
    return logs->n_transfers;
}

struct error *node_logs_open_blocking(const char *root, const char *path, int flags, int *ret_fd)
{
    AUTO(fd) int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return error_from_errno(errno, "open %s", root);
    /* Cleaned below a root of its own, so that no ".." is left that leads out. */
    AUTO(free) char *rooted = xasprintf("/%s", path);
    AUTO(free) char *clean = path_clean(rooted);
    const char *relative = clean[1] == '\0' ? "." : clean + 1;
    /* With O_PATH nothing is opened, and openat2() takes no flag that says how. */
    flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK);
    struct error *err = fd_open_beneath(dir, relative, flags, 0, /* no_symlinks= */ false, ret_fd);
    int os_errno = err ? err->os_errno : 0;
    if (os_errno == EXDEV || os_errno == ENOTDIR)
        err->code = ERROR_NOT_FOUND;
    return err;
}

static void serve_query(struct node_logs *logs, struct http_exchange *exchange,
                        const struct node_log_query *query, const char *path)
{
    if (path[0] != '\0' && strcmp(path, "/") != 0)
        reply_plain_error(exchange, 406, "path not allowed in query mode");
    else if (logs->n_runs >= NODE_LOGS_MAX_QUERIES)
        reply_error(exchange,
                    error_new(ERROR_RESOURCE_EXHAUSTED, "%d log queries are being answered already",
                              NODE_LOGS_MAX_QUERIES));
    else
        node_journal_serve(logs, exchange, query);
}

void node_logs_serve(struct node_logs *logs, struct http_exchange *exchange)
{
    const struct http_target *target = &http_exchange_request(exchange)->target;
    struct arena *arena = http_exchange_arena(exchange);
    const char *path = target->path;
    if (text_has_prefix(path, PREFIX))
        path += strlen(PREFIX);
    if (logs->n_transfers >= logs->max_transfers) {
        reply_error(exchange, error_new(ERROR_RESOURCE_EXHAUSTED, "%zu logs are being read already",
                                        logs->max_transfers));
        return;
    }
    struct node_log_query query;
    const char *problem = NULL;
    enum node_log_kind kind =
        logs->has_query ? node_log_query_parse(target, arena, &query, &problem) : NODE_LOG_PLAIN;
    switch (kind) {
    case NODE_LOG_MALFORMED:
        reply_plain_error(exchange, 400, problem);
        break;
    case NODE_LOG_QUERY:
        serve_query(logs, exchange, &query, path);
        break;
    case NODE_LOG_PLAIN:
        node_file_serve(logs, exchange, path[0] == '/' ? path : arena_printf(arena, "/%s", path));
        break;
    }
}
