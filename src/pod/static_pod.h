/*
 * From a manifest's text to a static pod (spec pods.md §1.5-§1.7): decode, default, name, uid,
 * annotations, validation. Pure. Any thread. Differences to upstream, both on purpose: unknown
 * fields are errors, and more than one document in a file is one, too, instead of being dropped
 * silently.
 */
#pragma once

#include "pod/labels.h"
#include "pod/object.h"

struct static_pod_input {
    struct str text;
    const char *path; /* of the manifest, absolute: part of the uid, and names it in errors */
    const char *node_name;
    int64_t seen_ns; /* wall clock, for the annotation config.seen */
};

/**
 * Makes the pod; the caller owns the one reference. INVALID_ARGUMENT with one line that names file,
 * line where known, field and rule.
 */
MUST_CHECK struct error *static_pod_read(const struct static_pod_input *input,
                                         struct pod_object **ret);
