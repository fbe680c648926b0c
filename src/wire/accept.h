/*
 * An Accept field taken apart: what a client wants back, by its own order of preference. Pure. Any
 * thread.
 */
#pragma once

#include "base/base.h"

/* More media types than any client names; what comes behind them is not looked at. */
#define ACCEPT_CLAUSES_MAX 32

/** One media type of the field with its parameters; borrowed from the field. */
struct accept_clause {
    struct str type;
    struct str params; /* "g=apidiscovery.k8s.io;v=v2"; empty when there are none */
    int quality;       /* thousandths; never 0 */
};

struct accept {
    struct accept_clause clauses[ACCEPT_CLAUSES_MAX]; /* the best first */
    size_t count;
};

/** Takes @field (as sent; "" is anything) apart: best quality first, in the order written among
 * equals. What is not wanted at all (q=0) is left out. */
void accept_parse(const char *field, struct accept *ret);
/** True when the clause's type is @type in any case, or a wildcard that matches it. */
bool accept_is(const struct accept_clause *clause, const char *type);
/** The value of parameter @name, empty when it is not there. */
struct str accept_param(const struct accept_clause *clause, const char *name);
