/*
 * Getting the ConfigMaps and Secrets that a step of a pod needs, all at the same time. Takes as
 * long as the slowest get of kube/object_watch.h. Inside the pod room; loop thread.
 */
#pragma once

#include "pod/cri_config.h"

#include "kube/pod_references.h"

struct pods_api;     /* pod/pods.h */
struct object_fetch; /* opaque: gets under way, then their results */

/**
 * Begins to get what @references names in @namespace_ (the names, borrowed, must outlive the
 * fetch).
 * @on_done runs once, not before this returns, unless the fetch is freed. NULL: there is nothing to
 * get and @on_done does not run. The caller owns the fetch.
 */
struct object_fetch *object_fetch_start(const struct pods_api *api, const char *namespace_,
                                        const struct pod_references *references,
                                        void (*on_done)(void *ctx), void *ctx);
/** Lets go of the results; silence when they have not come yet. NULL is fine. */
void object_fetch_free(struct object_fetch *fetch);

/** What was got, in the order of @references with the ConfigMaps first; borrowed from the fetch,
 * each either with its object or with its error. 0 for NULL. */
const struct env_object *object_fetch_results(const struct object_fetch *fetch, size_t *ret_count);
