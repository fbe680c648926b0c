/*
 * Shared inside the node's own API: the server, a request on its way, and the handlers by file.
 * Loop thread.
 */
#pragma once

#include "base/buf.h"
#include "loop/loop.h"
#include "server/endpoint.h"
#include "server/node_server.h"
#include "wire/http_server.h"

#define NODE_REPLY_MAX_BYTES (64 * MiB) /* the pods, figures or configuration of one node */

enum node_port { NODE_PORT_MAIN, NODE_PORT_READ_ONLY, NODE_PORT_HEALTHZ, NODE_PORT_COUNT };

struct node_listener {
    struct node_server *server; /* parent */
    enum node_port port;
    enum endpoint_port endpoints;
    const char *type;         /* label server_type; NULL: not counted */
    struct http_server *http; /* NULL: off */
};

struct node_server_metrics {
    struct metric_family *requests, *durations, *in_flight;
    struct metric_family *checks, *check_runs; /* of `slis` */
};

struct node_server {
    struct node_server_parts parts;
    struct node_server_options options;
    struct node_listener listeners[NODE_PORT_COUNT];
    struct loop_timer *healthz_retry;
    struct node_request *waiting; /* those that wait for an answer from elsewhere */
    struct node_server_metrics metrics;
    struct metrics *slis; /* the page /metrics/slis */
    bool is_runtime_ready;
    bool is_runtime_lost;        /* it was ready once, and no longer is */
    int64_t runtime_lost_ns;     /* mono: since when; meaningless else */
    const char *flagz_delimiter; /* one of a few, by chance: nobody shall parse the page */
    struct buf pods_page;        /* node_pods.c: the answer to /pods while nothing changes */
    struct loop_timer *pods_page_end;
};

/** One request; lives in the exchange's arena. */
struct node_request {
    struct node_listener *listener;
    struct http_exchange *exchange;
    struct arena *arena;             /* the exchange's; of a stream's when that has taken over */
    const struct http_request *http; /* as long as the arena, but for its body and peer */
    struct http_fields fields;       /* without credentials */
    struct endpoint_match match;
    const char *bucket;
    int64_t started_ns; /* mono */
    void *wait;         /* what is waited for; cancelled when the client or the server goes */
    void (*cancel)(void *wait);
    struct node_request *prev, *next; /* while it waits */
};

/** Answers @request, now or later. */
typedef void node_handler(struct node_server *server, struct node_request *request);

/** @request waits for @wait: @cancel runs when the client or the server goes away first. NULL: no
 * longer. */
void node_request_wait(struct node_request *request, void *wait, void (*cancel)(void *wait));

/* --- node_handlers.c: what is known at once, and what other rooms answer --- */
extern node_handler *const node_handlers[ENDPOINT_COUNT];

/* --- node_health.c --- */
node_handler node_answer_healthz;
void node_health_init(struct node_server *server);
void node_health_done(struct node_server *server);
/** Forgets the figures of the checks. */
void node_health_forget(struct node_server *server);

/* --- node_pods.c --- */
node_handler node_answer_pods, node_answer_running_pods;
void node_pods_init(struct node_server *server);
void node_pods_done(struct node_server *server);
/** Some pod has changed. */
void node_pods_changed(struct node_server *server);

/* --- node_figures.c: metrics and statistics --- */
node_handler node_answer_metrics, node_answer_cadvisor, node_answer_resource, node_answer_probes,
    node_answer_slis, node_answer_summary;

/* --- node_debug.c --- */
node_handler node_answer_pprof, node_answer_debug_flags, node_answer_configz, node_answer_flagz,
    node_answer_statusz;

/* --- node_checkpoint.c --- */
node_handler node_answer_checkpoint;
