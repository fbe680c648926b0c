#include "node/node_map.h"

#include "kube/message_map.h"
#include "node/node_status_internal.h"

#define FIRST_ROOM 16

/* Where @key is, or where it belongs. */
static size_t place_of(const struct node_map *map, const char *key, bool *ret_is_there)
{
    size_t low = 0, high = map->count;
    *ret_is_there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(map->pairs[middle].key, key);
        if (order == 0) {
            *ret_is_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const char *node_map_get(const struct node_map *map, const char *key)
{
    bool is_there;
    size_t at = place_of(map, key, &is_there);
    return is_there ? map->pairs[at].value : NULL;
}

static void grow(struct node_map *map)
{
    size_t room = map->room ? map->room * 2 : FIRST_ROOM;
    struct node_pair *pairs = arena_calloc(map->arena, room, sizeof(*pairs));
    if (map->count > 0)
        memcpy(pairs, map->pairs, map->count * sizeof(*pairs));
    map->pairs = pairs;
    map->room = room;
}

void node_map_set(struct node_map *map, const char *key, const char *value)
{
    bool is_there;
    size_t at = place_of(map, key, &is_there);
    if (!is_there) {
        if (map->count == map->room)
            grow(map);
        memmove(map->pairs + at + 1, map->pairs + at, (map->count - at) * sizeof(*map->pairs));
        map->count++;
    }
    map->pairs[at] = (struct node_pair){.key = key, .value = value};
}

void node_map_remove(struct node_map *map, const char *key)
{
    bool is_there;
    size_t at = place_of(map, key, &is_there);
    if (!is_there)
        return;
    map->count--;
    memmove(map->pairs + at, map->pairs + at + 1, (map->count - at) * sizeof(*map->pairs));
}

/* --- to and from the four types protobuf-c makes of the same shape --- */

void node_map_load_labels(struct node_map *map, const Meta__ObjectMeta *meta)
{
    for (size_t i = 0; meta && i < meta->n_labels; i++)
        node_map_set(map, meta->labels[i]->key, meta->labels[i]->value);
}

void node_map_load_annotations(struct node_map *map, const Meta__ObjectMeta *meta)
{
    for (size_t i = 0; meta && i < meta->n_annotations; i++)
        node_map_set(map, meta->annotations[i]->key, meta->annotations[i]->value);
}

static const char *amount_of(const Meta__Quantity *quantity)
{
    return quantity && quantity->string ? quantity->string : "0";
}

void node_map_load_capacity(struct node_map *map, const Core__NodeStatus *status)
{
    for (size_t i = 0; status && i < status->n_capacity; i++)
        node_map_set(map, status->capacity[i]->key, amount_of(status->capacity[i]->value));
}

void node_map_load_allocatable(struct node_map *map, const Core__NodeStatus *status)
{
    for (size_t i = 0; status && i < status->n_allocatable; i++)
        node_map_set(map, status->allocatable[i]->key, amount_of(status->allocatable[i]->value));
}

static void store(const struct node_map *map, ProtobufCMessage *message, const char *field)
{
    for (size_t i = 0; i < map->count; i++)
        message_map_set(message, field, map->pairs[i].key, map->pairs[i].value, map->arena);
}

void node_map_store_labels(const struct node_map *map, Meta__ObjectMeta *meta)
{
    meta->n_labels = 0;
    store(map, &meta->base, "labels");
}

void node_map_store_annotations(const struct node_map *map, Meta__ObjectMeta *meta)
{
    meta->n_annotations = 0;
    store(map, &meta->base, "annotations");
}

void node_map_store_capacity(const struct node_map *map, Core__NodeStatus *status)
{
    status->n_capacity = 0;
    store(map, &status->base, "capacity");
}

void node_map_store_allocatable(const struct node_map *map, Core__NodeStatus *status)
{
    status->n_allocatable = 0;
    store(map, &status->base, "allocatable");
}
