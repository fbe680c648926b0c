/*
 * What the node has and what of it pods may have (spec node.md §5.4). Amounts of resources that
 * are not the agent's own, e.g. those somebody advertises by a patch, are kept; pods may have all
 * of them. A difference keeps the format of the capacity: "24581692Ki", or plain bytes when it is
 * no multiple of 1024.
 */
#include "node/node_status_internal.h"

#include "kube/quantity.h"
#include "kube/resources.h"
#include "node/facts_parse.h"
#include "node/node_map.h"

#define RESOURCE_PODS "pods"
#define MILLIS 1000

static int64_t bytes_of(const char *text)
{
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = node_text(text);
    return quantity_value(&quantity);
}

static int64_t millis_of(const char *text)
{
    Meta__Quantity quantity = META__QUANTITY__INIT;
    quantity.string = node_text(text);
    return quantity_milli_value(&quantity);
}

static int compare_amounts(const char *a, const char *b)
{
    Meta__Quantity left = META__QUANTITY__INIT, right = META__QUANTITY__INIT;
    left.string = node_text(a);
    right.string = node_text(b);
    return quantity_compare(&left, &right);
}

static const char *config_text(const struct config_map *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (strcmp(map->pairs[i].key, key) == 0)
            return map->pairs[i].value;
    }
    return NULL;
}

/* --- capacity --- */

static int64_t pods_of(const struct config *config, int64_t cpus)
{
    return config->pods_per_core > 0
               ? min_i64(sat_mul_i64(cpus, config->pods_per_core), config->max_pods)
               : config->max_pods;
}

static void fill_capacity(const struct node_status_input *input, struct node_map *capacity)
{
    const struct node_machine *machine = input->machine;
    struct arena *arena = capacity->arena;
    node_map_set(capacity, RESOURCE_CPU,
                 quantity_from_milli(sat_mul_i64(machine->cpus, MILLIS), arena));
    node_map_set(capacity, RESOURCE_MEMORY,
                 quantity_from_value(machine->memory_bytes, true, arena));
    for (size_t i = 0; i < machine->n_hugepages; i++)
        node_map_set(capacity, machine->hugepages[i].resource,
                     quantity_from_value(machine->hugepages[i].capacity_bytes, true, arena));
    if (input->config->local_storage_capacity_isolation && machine->root_fs_bytes > 0)
        node_map_set(capacity, RESOURCE_EPHEMERAL_STORAGE,
                     quantity_from_value(machine->root_fs_bytes, true, arena));
    node_map_set(capacity, RESOURCE_PODS,
                 quantity_from_value(pods_of(input->config, machine->cpus), false, arena));
}

/* --- allocatable --- */

static const char *less_millis(const struct config *config, const char *capacity,
                               struct arena *arena)
{
    int64_t reserved = sat_add_i64(millis_of(config_text(&config->system_reserved, RESOURCE_CPU)),
                                   millis_of(config_text(&config->kube_reserved, RESOURCE_CPU)));
    return quantity_from_milli(facts_allocatable(millis_of(capacity), reserved, 0), arena);
}

/* @signal: the eviction signal that reserves as well; NULL when there is none. */
static const char *less_bytes(const struct config *config, const struct node_pair *item,
                              const char *signal, struct arena *arena)
{
    int64_t capacity = bytes_of(item->value);
    int64_t reserved = sat_add_i64(bytes_of(config_text(&config->system_reserved, item->key)),
                                   bytes_of(config_text(&config->kube_reserved, item->key)));
    int64_t threshold = signal && !config->allocatable_ignores_eviction
                            ? facts_threshold(config_text(&config->eviction_hard, signal), capacity)
                            : 0;
    return quantity_from_value(facts_allocatable(capacity, reserved, threshold), true, arena);
}

static const char *allocatable_of(const struct config *config, const struct node_pair *item,
                                  struct arena *arena)
{
    if (strcmp(item->key, RESOURCE_CPU) == 0)
        return less_millis(config, item->value, arena);
    if (strcmp(item->key, RESOURCE_MEMORY) == 0)
        return less_bytes(config, item, "memory.available", arena);
    if (strcmp(item->key, RESOURCE_EPHEMERAL_STORAGE) == 0)
        return less_bytes(config, item, "nodefs.available", arena);
    if (resource_is_hugepages(item->key))
        return less_bytes(config, item, NULL, arena);
    return compare_amounts(item->value, "0") < 0 ? "0" : item->value;
}

static void drop_without_capacity(const struct node_map *capacity, struct node_map *allocatable)
{
    for (size_t i = allocatable->count; i > 0; i--) {
        const char *name = allocatable->pairs[i - 1].key;
        if (!node_map_get(capacity, name) && resource_is_extended(name))
            node_map_remove(allocatable, name);
    }
}

/* Huge pages are memory that nobody can have as memory. */
static void take_hugepages_off_memory(const struct node_map *capacity, struct node_map *allocatable)
{
    int64_t pages = 0;
    for (size_t i = 0; i < capacity->count; i++) {
        if (resource_is_hugepages(capacity->pairs[i].key))
            pages = sat_add_i64(pages, max_i64(bytes_of(capacity->pairs[i].value), 0));
    }
    int64_t memory = bytes_of(node_map_get(allocatable, RESOURCE_MEMORY));
    node_map_set(
        allocatable, RESOURCE_MEMORY,
        quantity_from_value(facts_allocatable(memory, pages, 0), true, allocatable->arena));
}

void node_capacity_update(const struct node_status_input *input, Core__NodeStatus *status,
                          struct arena *arena)
{
    struct node_map capacity = {.arena = arena}, allocatable = {.arena = arena};
    node_map_load_capacity(&capacity, status);
    node_map_load_allocatable(&allocatable, status);
    fill_capacity(input, &capacity);
    drop_without_capacity(&capacity, &allocatable);
    for (size_t i = 0; i < capacity.count; i++)
        node_map_set(&allocatable, capacity.pairs[i].key,
                     allocatable_of(input->config, &capacity.pairs[i], arena));
    take_hugepages_off_memory(&capacity, &allocatable);
    node_map_store_capacity(&capacity, status);
    node_map_store_allocatable(&allocatable, status);
}

/* --- a node that is there already --- */

/*
 * No plugin of this agent has registered a device yet, so none can be given to a pod; what a former
 * agent told must not attract any. Upstream does so when it finds no checkpoint of its device
 * manager, and there is none here.
 */
static void zero_extended(struct node_map *capacity, struct node_map *allocatable)
{
    for (size_t i = 0; i < capacity->count; i++) {
        const char *name = capacity->pairs[i].key;
        if (!resource_is_extended(name))
            continue;
        node_map_set(capacity, name, "0");
        node_map_set(allocatable, name, "0");
    }
}

static void set_hugepages(const struct node_map *now, const struct node_map *now_allocatable,
                          struct node_map *capacity, struct node_map *allocatable)
{
    for (size_t i = capacity->count; i > 0; i--) {
        const char *name = capacity->pairs[i - 1].key;
        if (resource_is_hugepages(name) && !node_map_get(now, name)) {
            node_map_remove(capacity, name);
            node_map_remove(allocatable, name);
        }
    }
    for (size_t i = 0; i < now->count; i++) {
        const char *name = now->pairs[i].key, *amount = node_map_get(now_allocatable, name);
        if (!resource_is_hugepages(name))
            continue;
        node_map_set(capacity, name, now->pairs[i].value);
        node_map_set(allocatable, name, amount ? amount : "0");
    }
}

void node_capacity_reconcile(const Core__NodeStatus *initial, Core__NodeStatus *status,
                             struct arena *arena)
{
    struct node_map now = {.arena = arena}, now_allocatable = {.arena = arena};
    struct node_map capacity = {.arena = arena}, allocatable = {.arena = arena};
    node_map_load_capacity(&now, initial);
    node_map_load_allocatable(&now_allocatable, initial);
    node_map_load_capacity(&capacity, status->n_capacity > 0 ? status : initial);
    node_map_load_allocatable(&allocatable, status->n_allocatable > 0 ? status : initial);
    zero_extended(&capacity, &allocatable);
    set_hugepages(&now, &now_allocatable, &capacity, &allocatable);
    node_map_store_capacity(&capacity, status);
    node_map_store_allocatable(&allocatable, status);
}
