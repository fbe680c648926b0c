/*
 * The endpoints of the node's own API as a table, and the way from a request to one of them: which
 * paths there are on which port, which methods, what is said of the others (spec server.md §1.2,
 * §1.4). Pure. Any thread.
 */
#pragma once

#include "wire/http_server.h"

/** What answers; the parameters of its path stand behind it. */
enum endpoint {
    ENDPOINT_HEALTHZ, /* the check, or "" for all */
    ENDPOINT_METRICS,
    ENDPOINT_METRICS_CADVISOR,
    ENDPOINT_METRICS_RESOURCE,
    ENDPOINT_METRICS_PROBES,
    ENDPOINT_METRICS_SLIS,
    ENDPOINT_PODS,
    ENDPOINT_STATS_SUMMARY,
    ENDPOINT_RUN, /* namespace, pod, container, uid or NULL; so the next three */
    ENDPOINT_EXEC,
    ENDPOINT_ATTACH,
    ENDPOINT_PORT_FORWARD,   /* namespace, pod, NULL, uid or NULL */
    ENDPOINT_CONTAINER_LOGS, /* namespace, pod, container */
    ENDPOINT_CHECKPOINT,     /* namespace, pod, container */
    ENDPOINT_RUNNING_PODS,
    ENDPOINT_LOGS,  /* what follows "/logs/", as sent */
    ENDPOINT_PPROF, /* what follows "/debug/pprof/", as sent: not "", as upstream has no index */
    ENDPOINT_DEBUG_FLAGS,
    ENDPOINT_CONFIGZ,
    ENDPOINT_FLAGZ,
    ENDPOINT_STATUSZ,
    ENDPOINT_DISABLED, /* debug endpoints are off */
    ENDPOINT_COUNT
};

/** The ports by what they offer. */
enum endpoint_port {
    ENDPOINT_PORT_MAIN,          /* 10250 with enableDebuggingHandlers */
    ENDPOINT_PORT_MAIN_NO_DEBUG, /* 10250 without, and the read-only port */
    ENDPOINT_PORT_HEALTHZ,       /* 10248 */
};

enum endpoint_outcome {
    ENDPOINT_FOUND,
    ENDPOINT_REDIRECT,       /* to `location`; before authentication */
    ENDPOINT_UNKNOWN,        /* 404 before authentication */
    ENDPOINT_NO_ROUTE,       /* 404 after it */
    ENDPOINT_NO_METHOD,      /* 405 after it, with `allow` */
    ENDPOINT_NOT_ACCEPTABLE, /* 406 after it: the client does not want JSON */
};

#define ENDPOINT_MAX_PARAMS 4

struct endpoint_match {
    enum endpoint_outcome outcome;
    enum endpoint endpoint;                  /* FOUND */
    const char *params[ENDPOINT_MAX_PARAMS]; /* FOUND: decoded, in the order named above */
    const char *location;                    /* REDIRECT */
    const char *allow;                       /* NO_METHOD: "GET, POST" */
};

/** Finds what answers @request on @port. Texts live in @arena. */
void endpoint_find(enum endpoint_port port, const struct http_request *request, struct arena *arena,
                   struct endpoint_match *ret);

/** The name under which requests for @path (decoded) are counted: its first segment when that is
 * one of the known, two of them below /metrics, else "other". Static. */
const char *endpoint_bucket(enum endpoint_port port, const char *path);
/** True for the buckets whose requests may last. */
bool endpoint_is_long_running(const char *bucket);

/** The distinct first segments of the plain patterns of @port, sorted, as /statusz lists them (it
 * does not list itself); NULL-terminated, static. */
const char *const *endpoint_plain_roots(enum endpoint_port port);
