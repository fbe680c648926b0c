/*
 * The node's own API on a bench: the pod engine over its fake runtime, logs and streams as they
 * are, and around them a guard, a runtime for checkpoints and streams, and collectors of figures
 * that are played here: they write down what they are asked and answer when the case says so.
 * Requests come over socket pairs, to the port that the case names.
 */
#pragma once

#include "server/guard.h"
#include "server/node_server_internal.h"
#include "stats/collector.h"
#include "stats/summary_collector.h"
#include "tests/lib/metrics_text.h"
#include "tests/unit/pod/pods_bench.h"

#define NODE_BENCH_TURNS 20000
#define NODE_BENCH_STARTED_S 1700000000

/* --- the played parts --- */

/** Judges at once, or when node_bench_judge() is called. */
struct guard {
    struct loop *loop;
    unsigned status; /* of the verdict; 0: go on */
    const char *text;
    bool is_slow;
    struct guard_call *call; /* waits; NULL: nobody does */
    size_t asked, cancelled;
    char *wish; /* of the last one asked about: "get pods proxy" */
};

/** Waits for node_bench_summary(). */
struct summary_collector {
    struct summary_request *request; /* NULL: nobody waits */
    enum summary_scope scope;        /* of the last one who asked */
    size_t asked, cancelled;
};

/** Waits for node_bench_records(). */
struct stats_collector {
    struct stats_ask *ask; /* NULL: nobody waits */
    size_t asked, cancelled;
};

/** Takes one call at a time, for node_bench_runtime(). */
struct played_runtime {
    struct pod_runtime base;
    struct runtime_call *call; /* NULL: none */
    char *asked;               /* the last one in a line, when it was for a checkpoint */
    size_t cancelled;
};

/* --- the bench --- */

struct node_bench {
    struct bench pods;
    struct guard guard;
    struct summary_collector summaries;
    struct stats_collector records;
    struct played_runtime runtime;
    struct metrics *metrics, *probe_metrics;
    struct streaming *streaming;
    struct log_server *logs;
    struct node_logs *node_logs;
    struct config_server config; /* changed before node_bench_start() */
    struct node_server_options options;
    struct node_server *server;
};

/** Everything is there but the server; the pods run, none is wanted. */
struct node_bench *node_bench_new(void);
/** The server listens on ports of the kernel's choice. */
void node_bench_start(struct node_bench *bench);
void node_bench_free(struct node_bench *bench);
DEFINE_AUTO(node_bench, struct node_bench *, node_bench_free)

/** Sends a request: @line without the version, @rest the fields (each ends in CRLF), then, behind
 * an empty line, the body. The connection; closed by the caller. */
int node_bench_send(struct node_bench *bench, enum node_port port, const char *line,
                    const char *rest);
/** Turns until nothing moves. */
void node_bench_settle(struct node_bench *bench);
/** All that comes on @fd_owned until the server closes it; in the bench's arena. */
const char *node_bench_take(struct node_bench *bench, int fd_owned);

struct node_reply {
    unsigned status;
    const char *head, *body;
};
/** Takes a reply apart. */
struct node_reply node_bench_reply(struct node_bench *bench, int fd_owned);
/** Asks and waits for the answer. */
struct node_reply node_bench_ask(struct node_bench *bench, enum node_port port, const char *line,
                                 const char *rest);
/** The field @name (lower case) of @reply, or NULL. */
const char *node_reply_field(struct node_bench *bench, const struct node_reply *reply,
                             const char *name);

/* What the played parts answer. */
void node_bench_judge(struct node_bench *bench);
void node_bench_summary(struct node_bench *bench, const struct summary *summary,
                        struct error *err_owned);
void node_bench_records(struct node_bench *bench, struct error *err_owned);
/** A checkpoint has no reply. */
void node_bench_runtime(struct node_bench *bench, const ProtobufCMessage *reply,
                        struct error *err_owned);
