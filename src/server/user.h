/*
 * Who asks the node's own API: a user as TokenReview and SubjectAccessReview know it. Plain data
 * that lives in the arena it was made in. Any thread.
 */
#pragma once

#include "base/base.h"

struct server_user_extra {
    const char *key;
    const char *const *values;
    size_t value_count;
};

struct server_user {
    const char *name;
    const char *uid; /* "": none */
    const char *const *groups;
    size_t group_count;
    const struct server_user_extra *extra;
    size_t extra_count;
};
