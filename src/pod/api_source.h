/*
 * Source "api": the pods the API server has assigned to this node, by a reflector (spec pods.md
 * §1.4). It begins once the node is known to be readable. Mirror pods are told apart. Loop thread.
 */
#pragma once

#include "kube/reflector.h"
#include "pod/object.h"

struct api_source; /* opaque */

/**
 * Who hears; all borrowed for the call, references are theirs to take. Never from inside a function
 * of this header; all of those may be called, api_source_free() too, which leaves the rest of a set
 * untold.
 */
struct api_source_listener {
    /** A pod was added or has changed; @is_new: it was not known before. The first ones come in the
     * order of their creation. */
    void (*on_pod)(void *ctx, struct pod_object *object, bool is_new);
    void (*on_pod_gone)(void *ctx, const char *uid);
    void (*on_mirror)(void *ctx, const struct kube_object *mirror);
    void (*on_mirror_gone)(void *ctx, const struct kube_object *mirror);
    /** All there are have been told; once after each start. */
    void (*on_ready)(void *ctx);
};

/** Nothing is asked yet. @source_listener is borrowed for the source's life. */
struct api_source *api_source_new(struct loop *loop, struct api_client *client,
                                  const char *node_name,
                                  const struct api_source_listener *source_listener, void *ctx);
/** Silence. NULL is fine. */
void api_source_free(struct api_source *source);
DEFINE_AUTO(api_source, struct api_source *, api_source_free)
/** Begins to list and watch; nothing when it runs already. */
void api_source_start(struct api_source *source);
/** True once all there are have been told. */
bool api_source_has_synced(const struct api_source *source);
/** Why it cannot list or watch now; NULL while all is well. */
const struct error *api_source_error(const struct api_source *source);

/**
 * The pod as the node uses it: @api with the annotations config.source "api" and config.seen
 * (@seen_ns, wall clock, RFC 3339 with nine digits) beside its own. Holds a reference to @api. The
 * caller owns the one reference.
 */
struct pod_object *pod_object_from_api(const struct kube_object *api, int64_t seen_ns);
