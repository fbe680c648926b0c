/*
 * The node's own logs over HTTP, `/logs/` of its API (spec server.md §2.10): the files below
 * /var/log as Go's file server gives them, and, where that is switched on, queries for the journal
 * or a file (`?query=kubelet`). Who may ask is the caller's affair. Loop thread; files are read on
 * the worker pool, the journal by journalctl.
 */
#pragma once

#include "loop/work.h"
#include "wire/http_server.h"

struct node_logs; /* opaque */

struct node_logs_options {
    const char *root;         /* "/var/log"; links in it are followed wherever they lead */
    bool has_query;           /* enableSystemLogQuery */
    const char *journalctl;   /* the program; looked for in PATH unless it holds a slash */
    int64_t query_timeout_ns; /* for a whole query, then as long for a slow client. 0: 30 s */
    size_t max_transfers;     /* at once; beyond it 429. 0: 64. Of them, 4 may be queries */
};

/** @loop and @pool are borrowed and must outlive it; texts are copied. Never fails. */
struct node_logs *node_logs_new(struct loop *loop, struct work_pool *pool,
                                const struct node_logs_options *options);
/** What is being served breaks off, journalctl is killed. NULL is fine; not from inside a request.
 * Comes before, or in the same turn as, the end of the HTTP servers whose exchanges it serves. */
void node_logs_free(struct node_logs *logs);
DEFINE_AUTO(node_logs, struct node_logs *, node_logs_free)

/** Answers @exchange, whose path begins with "/logs/", now or in the course of time, and ends it.
 * For GET, and HEAD of a file. */
void node_logs_serve(struct node_logs *logs, struct http_exchange *exchange);

/** Answers under way. */
size_t node_logs_transfer_count(const struct node_logs *logs);
