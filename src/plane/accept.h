/*
 * An Accept field taken apart, for the endpoints that offer other types than objects do. Pure. Any
 * thread.
 */
#pragma once

#include "base/base.h"

/** One media type of the field with its parameters; borrowed. */
struct accept_clause {
    struct str type;
    struct str params; /* "g=apidiscovery.k8s.io;v=v2"; empty when there are none */
};

/** Takes the next clause off the front of *rest (start with the whole field), in the order written;
 * false at the end. */
bool accept_next(struct str *rest, struct accept_clause *ret);
/** True when the clause's type is @type in any case, or a wildcard that matches it. */
bool accept_is(const struct accept_clause *clause, const char *type);
/** The value of parameter @name, empty when it is not there. */
struct str accept_param(const struct accept_clause *clause, const char *name);
