/*
 * What a request to the node's own API wants to do with the Node, in the words in which rights are
 * given: a verb, and the subresources of which one must be allowed. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

#define ACCESS_MAX_SUBRESOURCES 2
#define ACCESS_RESOURCE "nodes"

struct access {
    const char *verb; /* "" for methods that rights have no word for: only a rule for * has it */
    const char *subresources[ACCESS_MAX_SUBRESOURCES]; /* in the order in which they are tried */
    size_t count;
};

/** What @method (as sent) for @path (decoded) wants. Texts are static. */
struct access access_of(const char *method, const char *path);
