/*
 * Pods that nobody will end any more: those of a node whose object is gone, a while later (a node
 * that registers anew in time keeps them); and, beyond a number, those that have finished, the
 * oldest first. As upstream's pod garbage collector.
 *
 * A node that is found missing is in quarantine first; only when it is still missing at the end of
 * that are its pods deleted.
 */
#include "plane/controllers_internal.h"

/* Upstream's gcCheckPeriod: how soon after a pod's creation its node is looked for. */
#define LOOKING_NS (20 * NS_PER_SEC)
/* Upstream's quarantine before the pods of a missing node are deleted. */
#define QUARANTINE_NS (40 * NS_PER_SEC)
/* How often finished pods are counted at most, and how many of them are deleted in one look. */
#define COUNTING_PERIOD_NS (60 * NS_PER_SEC)
#define BATCH_PODS 500

/* Keys of this concern: "nodes" with the name of a node to look for, the same as "quarantine", and
 * "pods" for the counting. */
#define QUARANTINE "quarantine"

static struct store_key node_key(const char *resource, const char *node)
{
    return (struct store_key){.resource = resource, .namespace_ = "", .name = node};
}

static const char *node_of(const ProtobufCMessage *object)
{
    const Core__Pod *pod = (const Core__Pod *)object;
    return pod && pod->spec && pod->spec->node_name ? pod->spec->node_name : "";
}

static void on_pod(struct controllers *controllers, struct ctl_change *change)
{
    static const struct store_key counting = {.resource = "pods", .namespace_ = "", .name = ""};
    if (change->row->type == STORE_CREATED)
        ctl_enqueue_after(controllers, &concern_pods, &counting, COUNTING_PERIOD_NS);
    const char *node = node_of(ctl_object(change));
    const struct store_key key = node_key("nodes", node);
    if (*node && strcmp(node_of(ctl_before(change)), node) != 0)
        ctl_enqueue_after(controllers, &concern_pods, &key, LOOKING_NS);
}

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    if (change->row->type != STORE_DELETED && ctl_is_about(change, "pods"))
        on_pod(controllers, change);
    const struct store_key key = node_key(QUARANTINE, change->row->key.name);
    if (change->row->type == STORE_DELETED && ctl_is_about(change, "nodes"))
        ctl_enqueue_after(controllers, &concern_pods, &key, QUARANTINE_NS);
}

/* --- of a node that is gone --- */

static Meta__Status *delete_orphan(void *ctx, ProtobufCMessage *object)
{
    const struct ctl_run *run = ctx;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    return ctl_delete(run, resource_find("", "v1", "pods"), meta->namespace_, meta->name, 0);
}

static Meta__Status *look_for_node(struct ctl_run *run, const struct store_key *key)
{
    ProtobufCMessage *node = NULL;
    Meta__Status *failure = ctl_read(run, "", "nodes", NULL, key->name, &node);
    if (failure || node)
        return failure;
    if (strcmp(key->resource, QUARANTINE) == 0)
        return ctl_each_pod_on(run, key->name, delete_orphan, run);
    const struct store_key quarantine = node_key(QUARANTINE, key->name);
    ctl_enqueue_after(run->controllers, &concern_pods, &quarantine, QUARANTINE_NS);
    return NULL;
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
    return strcmp(key->resource, "pods") == 0 ? trim_finished(run) : look_for_node(run, key);
}

const struct concern concern_pods = {
    .name = "pods", .on_change = on_change, .reconcile = reconcile};
