/*
 * Pods that nobody will end any more: those of a node whose object is gone, a while later (a node
 * that registers anew in time keeps them); and, beyond a number, those that have finished, the
 * oldest first. As upstream's pod garbage collector.
 */
#include "plane/controllers_internal.h"

#include "core.pb-c.h"

/* Upstream's quarantine before the pods of a missing node are deleted. */
#define MISSING_NODE_NS (40 * NS_PER_SEC)
/* How often finished pods are counted at most, and how many of them are deleted in one look. */
#define COUNTING_PERIOD_NS (60 * NS_PER_SEC)
#define BATCH_PODS 500

/* Keys of this concern: "nodes" with the node's name, and "pods" for the counting. */

static void on_pod_created(struct controllers *controllers, const struct store_change *change)
{
    static const struct store_key counting = {.resource = "pods", .namespace_ = "", .name = ""};
    ctl_enqueue_after(controllers, &concern_pods, &counting, COUNTING_PERIOD_NS);
    AUTO(arena) struct arena *scratch = arena_new(16 * KiB);
    const Core__Pod *pod = (const Core__Pod *)ctl_decode(change, change->bytes, scratch);
    const char *node = pod && pod->spec ? pod->spec->node_name : NULL;
    if (!node || !*node)
        return;
    const struct store_key key = {.resource = "nodes", .namespace_ = "", .name = node};
    ctl_enqueue_after(controllers, &concern_pods, &key, MISSING_NODE_NS);
}

static void on_change(struct controllers *controllers, const struct store_change *change)
{
    if (change->type == STORE_CREATED && strcmp(change->key.resource, "pods") == 0)
        on_pod_created(controllers, change);
    if (change->type == STORE_DELETED && strcmp(change->key.resource, "nodes") == 0)
        ctl_enqueue_after(controllers, &concern_pods, &change->key, MISSING_NODE_NS);
}

/* --- of a node that is gone --- */

struct orphans {
    const struct ctl_run *run;
    const char *node;
};

static Meta__Status *delete_orphan(void *ctx, ProtobufCMessage *object)
{
    const struct orphans *orphans = ctx;
    const Core__Pod *pod = (const Core__Pod *)object;
    if (!pod->spec || !text_eq(pod->spec->node_name, orphans->node))
        return NULL;
    return ctl_delete(orphans->run, resource_find("", "v1", "pods"), pod->metadata->namespace_,
                      pod->metadata->name, 0);
}

static Meta__Status *look_at_node(const struct ctl_run *run, const char *name)
{
    ProtobufCMessage *node = NULL;
    Meta__Status *failure = ctl_read(run, "", "nodes", NULL, name, &node);
    if (failure || node)
        return failure;
    struct orphans orphans = {.run = run, .node = name};
    return rest_each_object(run->env, resource_find("", "v1", "pods"), NULL, delete_orphan,
                            &orphans);
}

/* --- finished pods --- */

struct finished {
    const char *namespace_, *name;
    int64_t created_ns;
};

struct counting {
    struct arena *arena;
    size_t count;
    size_t kept; /* of the oldest, those below */
    struct finished oldest[BATCH_PODS];
};

static Meta__Status *count_finished(void *ctx, ProtobufCMessage *object)
{
    struct counting *counting = ctx;
    const Core__Pod *pod = (const Core__Pod *)object;
    const Meta__ObjectMeta *meta = pod->metadata;
    const char *phase = pod->status ? pod->status->phase : NULL;
    if (meta->deletion_timestamp || (!text_eq(phase, "Succeeded") && !text_eq(phase, "Failed")))
        return NULL;
    counting->count++;
    int64_t created_ns = object_time_ns(meta->creation_timestamp);
    size_t at = counting->kept;
    if (at == BATCH_PODS && counting->oldest[at - 1].created_ns <= created_ns)
        return NULL;
    if (at < BATCH_PODS)
        counting->kept++;
    else
        at--;
    for (; at > 0 && counting->oldest[at - 1].created_ns > created_ns; at--)
        counting->oldest[at] = counting->oldest[at - 1];
    counting->oldest[at] =
        (struct finished){.namespace_ = arena_strdup(counting->arena, meta->namespace_),
                          .name = arena_strdup(counting->arena, meta->name),
                          .created_ns = created_ns};
    return NULL;
}

static Meta__Status *trim_finished(struct ctl_run *run)
{
    const struct resource *pods = resource_find("", "v1", "pods");
    struct counting *counting = arena_calloc(run->env->arena, 1, sizeof(*counting));
    counting->arena = run->env->arena;
    Meta__Status *failure = rest_each_object(run->env, pods, NULL, count_finished, counting);
    size_t limit = run->options->finished_pods_max;
    size_t surplus = counting->count > limit ? counting->count - limit : 0;
    for (size_t i = 0; !failure && i < counting->kept && i < surplus; i++)
        failure =
            ctl_delete(run, pods, counting->oldest[i].namespace_, counting->oldest[i].name, 0);
    if (surplus > BATCH_PODS)
        run->again_after_ns = NS_PER_SEC;
    return failure;
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    return strcmp(key->resource, "nodes") == 0 ? look_at_node(run, key->name) : trim_finished(run);
}

const struct concern concern_pods = {
    .name = "pods", .on_change = on_change, .reconcile = reconcile};
