#include "plane/usage.h"

#include "base/time.h"
#include "wire/json.h"

struct pod_usage {
    const char *namespace_, *name;
    struct usage_container *containers;
    size_t count;
};

struct node_usage {
    const char *name;
    struct usage_figures figures;
};

struct usage {
    struct arena *arena;
    struct pod_usage *pods; /* sorted by namespace and name */
    size_t pod_count;
    struct node_usage *nodes;
    size_t node_count;
};

struct usage *usage_new(struct arena *arena)
{
    struct usage *usage = arena_calloc(arena, 1, sizeof(*usage));
    usage->arena = arena;
    return usage;
}

/* --- reading --- */

static bool read_figure(const struct doc_node *object, const char *section, const char *key,
                        int64_t *ret)
{
    const struct doc_node *figure = doc_get(doc_get(object, section), key);
    if (!figure || figure->kind != DOC_INTEGER || figure->integer < 0)
        return false;
    *ret = figure->integer;
    return true;
}

/* False when one is missing, as with what has just begun or has ended. */
static bool read_figures(const struct doc_node *object, int64_t window_ns,
                         struct usage_figures *ret)
{
    *ret = (struct usage_figures){.window_ns = window_ns};
    const char *time = doc_get_text(doc_get(object, "cpu"), "time");
    AUTO(error) struct error *err = time_parse_rfc3339(str_from(time), &ret->taken_wall_ns);
    return !err && ret->taken_wall_ns >= 0 &&
           read_figure(object, "cpu", "usageNanoCores", &ret->nano_cores) &&
           read_figure(object, "memory", "workingSetBytes", &ret->bytes);
}

/* False for a pod of which no container is known. */
static bool read_pod(const struct doc_node *node, int64_t window_ns, struct arena *arena,
                     struct pod_usage *ret)
{
    const struct doc_node *reference = doc_get(node, "podRef");
    const struct doc_node *containers = doc_get(node, "containers");
    size_t count = doc_count(containers);
    *ret = (struct pod_usage){
        .namespace_ = arena_strdup(arena, doc_get_text(reference, "namespace")),
        .name = arena_strdup(arena, doc_get_text(reference, "name")),
        .containers = arena_calloc(arena, count + 1, sizeof(*ret->containers)),
    };
    for (size_t i = 0; i < count; i++) {
        const struct doc_node *container = containers->array.items[i];
        struct usage_container *into = &ret->containers[ret->count];
        if (!read_figures(container, window_ns, &into->figures))
            continue;
        into->name = arena_strdup(arena, doc_get_text(container, "name"));
        ret->count++;
    }
    return ret->count > 0;
}

static int compare_pods(const void *left, const void *right)
{
    const struct pod_usage *a = left;
    const struct pod_usage *b = right;
    int order = strcmp(a->namespace_, b->namespace_);
    return order != 0 ? order : strcmp(a->name, b->name);
}

/* Room for @count more, of which those before are kept. */
static void *grown(struct arena *arena, const void *items, size_t before, size_t count, size_t size)
{
    void *room = arena_calloc(arena, before + count, size);
    if (before > 0)
        memcpy(room, items, before * size);
    return room;
}

static void add_pods(struct usage *usage, const struct doc_node *pods, int64_t window_ns)
{
    size_t count = doc_count(pods);
    if (count == 0)
        return;
    usage->pods = grown(usage->arena, usage->pods, usage->pod_count, count, sizeof(*usage->pods));
    for (size_t i = 0; i < count; i++) {
        const struct doc_node *pod = pods->array.items[i];
        if (read_pod(pod, window_ns, usage->arena, &usage->pods[usage->pod_count]))
            usage->pod_count++;
    }
    qsort(usage->pods, usage->pod_count, sizeof(*usage->pods), compare_pods);
}

struct error *usage_add_summary(struct usage *usage, const char *node, struct str text,
                                int64_t window_ns)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = USAGE_SUMMARY_MAX_BYTES};
    const struct doc_node *summary = NULL;
    struct error *err = json_parse(text, &options, scratch, &summary);
    if (err)
        return error_wrap(err, "the summary of node \"%s\"", node);
    const struct doc_node *own = doc_get(summary, "node");
    if (!own || own->kind != DOC_OBJECT)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the summary of node \"%s\": expected an object node, found %s", node,
                         own ? doc_describe(own, scratch) : "nothing");
    struct node_usage entry = {.name = arena_strdup(usage->arena, node)};
    if (read_figures(own, window_ns, &entry.figures)) {
        usage->nodes =
            grown(usage->arena, usage->nodes, usage->node_count, 1, sizeof(*usage->nodes));
        usage->nodes[usage->node_count++] = entry;
    }
    add_pods(usage, doc_get(summary, "pods"), window_ns);
    return NULL;
}

/* --- asking --- */

bool usage_of_node(const struct usage *usage, const char *node, struct usage_figures *ret)
{
    for (size_t i = 0; i < usage->node_count; i++) {
        if (strcmp(usage->nodes[i].name, node) == 0) {
            *ret = usage->nodes[i].figures;
            return true;
        }
    }
    return false;
}

size_t usage_of_pod(const struct usage *usage, const char *namespace_, const char *name,
                    const struct usage_container **ret)
{
    const struct pod_usage key = {.namespace_ = namespace_, .name = name};
    const struct pod_usage *found =
        usage->pod_count == 0
            ? NULL
            : bsearch(&key, usage->pods, usage->pod_count, sizeof(*usage->pods), compare_pods);
    *ret = found ? found->containers : NULL;
    return found ? found->count : 0;
}
