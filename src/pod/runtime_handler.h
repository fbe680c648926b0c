/*
 * The runtime handler that a pod runs with, and what the runtime says of it (CRI Status). A plain
 * value. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

#include "cri.pb-c.h"

struct runtime_handler {
    const char *name; /* NULL or "": the default one */
    bool user_namespaces, recursive_read_only;
    bool is_unknown; /* the runtime names its handlers, and this is none of them */
};

/** The handler called @name (borrowed, NULL is "") as @status tells of it; one that tells of no
 * handlers, or NULL, leaves it without features. */
struct runtime_handler runtime_handler_of(const Cri__StatusResponse *status, const char *name);
