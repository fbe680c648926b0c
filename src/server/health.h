/*
 * /healthz: the checks by name and the answer to who asks for them (spec server.md §2.1, §7.1).
 * Pure. Loop thread.
 */
#pragma once

#include "base/buf.h"
#include "wire/http.h"

/** What the checks look at. */
struct health_facts {
    bool is_ping_only; /* as on the health port: no other check is made, or known */
    int64_t now_ns;
    bool is_runtime_lost;      /* it was ready once, and no longer is */
    int64_t runtime_lost_ns;   /* since when; same clock as now_ns */
    int64_t sync_frequency_ns; /* syncFrequency */
};

#define HEALTH_MAX_CHECKS 3

/** What came of one check. */
struct health_result {
    const char *name;
    const char *failure; /* NULL: it passed */
    bool is_excluded;    /* by the request; then it was not made */
};

struct health_report {
    unsigned status;
    bool is_plain_error; /* the body goes out as an error of a plain handler */
    size_t count;        /* of results; 0 when a single check was asked for */
    struct health_result results[HEALTH_MAX_CHECKS];
};

/**
 * Answers the request @target for @check ("": all; else one of the names, "ping", "log",
 * "syncloop"): writes the body to @out, without the newline that an error gets.
 */
void health_answer(const struct health_facts *facts, const char *check,
                   const struct http_target *target, struct buf *out, struct health_report *ret);
