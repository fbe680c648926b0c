/*
 * What an environment takes from ConfigMaps and Secrets (spec runtime.md §3.5). They were got
 * before (struct env_sources); this finds them, and what a reference may do without. Inside the pod
 * room only. Pure. Any thread.
 */
#pragma once

#include "pod/cri_config.h"

/** How a container refers to an object of its pod's namespace. */
struct env_reference {
    bool is_secret;
    const char *name; /* NULL is "" */
    bool is_optional;
};

/** One key of an object. */
struct env_entry {
    const char *key;
    struct str value; /* of a Secret: not terminated, any bytes */
};

/**
 * The object that @reference names, for the functions below; *ret_object NULL
 * when there is none and none is needed. Errors are waiting messages with upstream's words.
 */
MUST_CHECK struct error *env_source_find(const struct container_config_input *input,
                                         const struct env_reference *reference,
                                         const struct env_object **ret_object);
size_t env_source_count(const struct env_object *object);
struct env_entry env_source_entry(const struct env_object *object, size_t index);

/** The value of @key of the object that @reference names; *ret_found false: there is none and none
 * is needed. */
MUST_CHECK struct error *env_source_value(const struct container_config_input *input,
                                          const struct env_reference *reference, const char *key,
                                          struct str *ret_value, bool *ret_found);
