/*
 * The shapes that values of a configuration have beside numbers and texts. Constant data, in the
 * arena of the configuration.
 */
#pragma once

#include "base/base.h"

struct config_list {
    size_t count;
    const char *const *items;
};

struct config_pair {
    const char *key;
    const char *value;
};

/** Sorted by key, keys are unique. */
struct config_map {
    size_t count;
    const struct config_pair *pairs;
};
