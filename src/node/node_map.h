/*
 * A map of the Node object while it is altered: labels, annotations, capacity, allocatable. All of
 * them are text to text, and sorted by key as Kubernetes writes maps. Belongs to the files that
 * make the object. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "core.pb-c.h"

struct node_pair {
    const char *key;
    const char *value; /* of capacity and allocatable: the text of the quantity */
};

/** Keys and values are borrowed. Start with {.arena = …}. */
struct node_map {
    struct arena *arena;
    struct node_pair *pairs; /* sorted by key, no key twice */
    size_t count;
    size_t room; /* private */
};

/** The value of @key, or NULL. */
const char *node_map_get(const struct node_map *map, const char *key);
/** Sets @key, whether it was there or not. */
void node_map_set(struct node_map *map, const char *key, const char *value);
/** One that is not there is fine. */
void node_map_remove(struct node_map *map, const char *key);

/* What the object has, put into an empty map. The object may be NULL. */
void node_map_load_labels(struct node_map *map, const Meta__ObjectMeta *meta);
void node_map_load_annotations(struct node_map *map, const Meta__ObjectMeta *meta);
void node_map_load_capacity(struct node_map *map, const Core__NodeStatus *status);
void node_map_load_allocatable(struct node_map *map, const Core__NodeStatus *status);

/* The way back: new entries in the map's arena take the place of what the object had. */
void node_map_store_labels(const struct node_map *map, Meta__ObjectMeta *meta);
void node_map_store_annotations(const struct node_map *map, Meta__ObjectMeta *meta);
void node_map_store_capacity(const struct node_map *map, Core__NodeStatus *status);
void node_map_store_allocatable(const struct node_map *map, Core__NodeStatus *status);
