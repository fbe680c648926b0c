/* Shared by the files of the node's logs. Loop thread. */
#pragma once

#include "server/node_log_query.h"
#include "server/node_logs.h"

/* Not taken by the client yet; reading goes on below half of it. */
#define NODE_LOGS_BACKLOG_BYTES (128 * KiB)
/* pkg/kubelet/server/server.go: the write timeout of the node's own API. */
#define NODE_LOGS_PATIENCE_NS (INT64_C(4) * 3600 * NS_PER_SEC)
#define NODE_LOGS_MAX_QUERIES 4

struct node_transfer; /* a file on its way; node_file.c */
struct journal_run;   /* a query's answer on its way; node_journal.c */

struct node_logs {
    struct loop *loop; /* these two borrowed */
    struct work_pool *pool;
    char *root, *journalctl;
    bool has_query;
    int64_t query_timeout_ns;
    size_t max_transfers;
    struct node_transfer *transfers; /* lists */
    struct journal_run *runs;
    size_t n_transfers, n_runs; /* a run counts as both */
};

/* --- node_file.c --- */

/** Serves the file or folder at @path (below the root; begins with '/') as Go's file server does.
 */
void node_file_serve(struct node_logs *logs, struct http_exchange *exchange, const char *path);
void node_file_abort_all(struct node_logs *logs);

/* --- node_journal.c --- */

/** Checks @query, whose memory is the exchange's, and answers it. */
void node_journal_serve(struct node_logs *logs, struct http_exchange *exchange,
                        const struct node_log_query *query);
void node_journal_abort_all(struct node_logs *logs);

/* --- node_logs.c --- */

/**
 * Opens what is to be read below @root without leaving it through links. NOT_FOUND also for what
 * lies outside. @flags as for open(2).
 */
MUST_CHECK struct error *node_logs_open_blocking(const char *root, const char *path, int flags,
                                                 int *ret_fd);
