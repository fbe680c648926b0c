/*
 * Mirror pods: what the API server shows of static pods. One is created for each static pod, again
 * when it was deleted, anew when the manifest changed; one without a static pod is deleted (spec
 * pods.md §2). Loop thread.
 *
 * What is told here is looked at in the next turn of the loop. Requests are made, and on_mirror is
 * called, then or when an answer comes, never from inside a function of this header.
 */
#pragma once

#include "kube/api_client.h"
#include "kube/object.h"
#include "pod/object.h"

struct mirror_manager; /* opaque */

struct mirror_options {
    struct loop *loop;
    struct api_client *client;
    /** The uid of this node's Node object; NULL: not known, or it is being deleted: nothing is
     * created then. */
    const char *(*node_uid)(void *ctx);
    /** A mirror has come, changed or gone (NULL): whoever sends statuses wants to know. @static_uid
     * is that of the static pod. It is what mirror_of() says, and may call all of this header. */
    void (*on_mirror)(void *ctx, const char *static_uid, const struct kube_object *mirror);
    void *ctx;
    const char *node_name; /* copied */
    /* The longest pause after a failure, which grow from 1 s on, and as long a created mirror may
     * take to be seen; 0: 10 s (the pod's own retry upstream). */
    int64_t retry_ns;
};

struct mirror_manager *mirror_manager_new(const struct mirror_options *options);
/** Cancels what is under way. NULL is fine. */
void mirror_manager_free(struct mirror_manager *manager);
DEFINE_AUTO(mirror_manager, struct mirror_manager *, mirror_manager_free)

/** The static pod @object (a reference is taken; full name after suffixing, annotation config.hash
 * set) is wanted, or has changed. Cheap when it is the object known already. */
void mirror_want(struct mirror_manager *manager, struct pod_object *object);
/** No static pod of this uid is wanted any more. @terminating: it still ends, its mirror stays
 * until mirror_gone(). An unknown one is fine. */
void mirror_unwant(struct mirror_manager *manager, const char *static_uid, bool terminating);
/** The static pod has ended altogether. An unknown one is fine. */
void mirror_gone(struct mirror_manager *manager, const char *static_uid);

/** The API source saw mirror @object (added or changed; a reference is taken), or saw it go. */
void mirror_seen(struct mirror_manager *manager, const struct kube_object *object);
void mirror_vanished(struct mirror_manager *manager, const struct kube_object *object);
/** The API source has told all mirrors there are, and every other source its pods: from now on a
 * static pod without a mirror lacks one, and a mirror without a static pod is an orphan. */
void mirror_ready(struct mirror_manager *manager);
/** The node may have another uid: when it has, whatever waits is tried at once. Cheap otherwise. */
void mirror_node_changed(struct mirror_manager *manager);

/** The mirror of the static pod, borrowed; NULL when there is none, or only one of an earlier
 * manifest or one that has been deleted. */
const struct kube_object *mirror_of(const struct mirror_manager *manager, const char *static_uid);
