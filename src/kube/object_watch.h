/*
 * The ConfigMaps or Secrets that pods refer to, one manager for each kind: only what a registered
 * pod names is read and kept. Three strategies, those of the kubelet's field
 * configMapAndSecretChangeDetectionStrategy. Loop thread.
 */
#pragma once

#include "kube/api_client.h"
#include "kube/object.h"

enum object_strategy {
    OBJECT_STRATEGY_WATCH, /* a watch for each object that is referred to */
    OBJECT_STRATEGY_CACHE, /* read when older than a time to live */
    OBJECT_STRATEGY_GET,   /* read each time; who is registered does not matter */
};

struct object_watch;     /* opaque: the manager */
struct object_watch_get; /* opaque: a get under way */

struct object_watch_options {
    const struct kube_kind *kind; /* namespaced; upstream's messages are for ConfigMap and Secret */
    enum object_strategy strategy;
    int64_t idle_ns; /* WATCH: not read for so long, an object is no longer watched (5 ×
                        syncFrequency); less than a minute is a minute; 0: 5 minutes */
    int64_t ttl_ns;  /* CACHE; 0: a minute */
    /** CACHE, may be NULL: the node's annotation node.alpha.kubernetes.io/ttl; false when it has
     * none. */
    bool (*ttl_of_node)(void *ctx, int64_t *ret_ttl_ns);
    /** WATCH, may be NULL: an object has come, changed or gone after it had been synced, or it has
     * been synced after a get for it had timed out. Objects by object_watch_peek(). */
    void (*on_changed)(void *ctx, const char *namespace_, const char *name);
    void *ctx;
};

/** @options is copied, @kind borrowed for ever. */
struct object_watch *object_watch_new(struct loop *loop, struct api_client *client,
                                      const struct object_watch_options *options);
/** Cancels gets under way. NULL is fine. */
void object_watch_free(struct object_watch *watch);
DEFINE_AUTO(object_watch, struct object_watch *, object_watch_free)

/** The objects pod @pod_uid refers to are @names (copied, each counts once) in @namespace_, and no
 * others it may have named before. Watches begin for new ones and end for those nobody names. */
void object_watch_register(struct object_watch *watch, const char *pod_uid, const char *namespace_,
                           const char *const *names, size_t count);
/** The pod refers to nothing. An unknown one is fine. */
void object_watch_unregister(struct object_watch *watch, const char *pod_uid);

/**
 * How a get ends: @object (borrowed) or an error.
 *
 *     object "ns"/"name" not registered
 *     failed to sync configmap cache: timed out waiting for the condition    (a second has passed)
 *     configmap "name" not found                                             NOT_FOUND
 *
 * or the API server's. While nobody answers, what was known before is the answer, if need be after
 * the second.
 */
typedef void object_watch_on_got(void *ctx, const struct kube_object *object,
                                 struct error *err_owned);

/** Gets an object; @on_got runs once, not before this returns, unless it is cancelled. */
struct object_watch_get *object_watch_get(struct object_watch *watch, const char *namespace_,
                                          const char *name, object_watch_on_got *on_got, void *ctx);
void object_watch_get_cancel(struct object_watch_get *get); /* silence; NULL is fine */

/** What is known of an object without asking anybody; NULL when nothing is. Does not count as
 * reading it. */
const struct kube_object *object_watch_peek(const struct object_watch *watch,
                                            const char *namespace_, const char *name);
/** Objects that pods refer to, and those of them that are being watched. */
size_t object_watch_count(const struct object_watch *watch);
size_t object_watch_running(const struct object_watch *watch);
