/*
 * What the files of the manager of ConfigMaps and Secrets share: its records, and strategy Watch.
 * Room-private. Loop thread.
 */
#pragma once

#include "base/hash.h"
#include "kube/object_watch.h"
#include "kube/reflector.h"

/* An object that some pod refers to. */
struct object_watch_item {
    UT_hash_handle hh;
    struct object_watch *watch;
    char *namespace_, *name;
    size_t references; /* of pods */
    char *key;         /* "namespace/name" */
    /* The rounds of object_watch_register() that found it among a pod's old and new objects. */
    uint64_t held_round, named_round;

    /* WATCH */
    struct reflector *reflector; /* NULL: no object can have this name */
    int64_t read_ns;             /* mono; when a get asked for it last */
    bool is_immutable, was_synced;
    bool has_timed_out; /* a get, since it was synced last */

    /* CACHE */
    const struct kube_object *object; /* a reference; NULL: none known */
    struct error *missing;            /* what the server said when it was not there */
    int64_t fetched_ns;               /* mono */
    struct api_call *call;
};

struct object_watch_pod {
    UT_hash_handle hh;
    struct object_watch_item **items; /* owned array; a reference to each */
    size_t count;
    char uid[];
};

struct object_watch_get {
    struct object_watch_get *prev, *next;
    struct object_watch *watch;
    char *namespace_, *name;
    struct loop_timer *timer;
    struct object_watch_item *awaited; /* WATCH: its sync, CACHE: its call; NULL: nothing more */
    struct api_call *call;             /* GET */
    bool is_settled;                   /* … with the next two; else looked up when told */
    const struct kube_object *object;
    struct error *error;
    object_watch_on_got *on_got;
    void *ctx;
};

struct object_watch {
    struct loop *loop;
    struct api_client *client;
    struct object_watch_options options;
    struct object_watch_item *items; /* hash head; owns every item */
    struct object_watch_pod *pods;   /* hash head; owns every pod */
    struct object_watch_get *gets;
    uint64_t round;
    struct loop_timer *idle; /* WATCH: armed while an item is being watched */
};

/** Tells in the next turn. */
void object_watch_hurry(struct object_watch_get *get);

/* --- strategy Watch --- */

/** Begins to watch a new item. */
void object_watch_item_start(struct object_watch_item *item);
/** A get of @item: told now or when it is synced, in a second at the latest. */
void object_watch_begin_watched(struct object_watch_get *get, struct object_watch_item *item);
/** What there is to tell: a reference in *ret_object, or *ret_err. */
void object_watch_answer_watched(struct object_watch_item *item,
                                 const struct kube_object **ret_object, struct error **ret_err);
/** The timer `idle`; @ctx is the manager. */
void object_watch_on_idle(void *ctx);
