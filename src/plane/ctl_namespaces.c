/*
 * Namespaces: the four that always are; in each a default service account and the authority's
 * certificate; and one that is going is emptied, and goes when nothing is left in it. In "default"
 * the service by which pods find the API server, as kube-apiserver makes it itself.
 */
#include "plane/controllers_internal.h"

#include "kube/message_map.h"
#include "plane/ip_text.h"

#include "core.pb-c.h"

/* Pods take their time: how long until a namespace that is not empty is looked at unasked. */
#define EMPTYING_PERIOD_NS (5 * NS_PER_SEC)

static void enqueue_namespace(struct controllers *controllers, const char *name)
{
    const struct store_key key = {.resource = "namespaces", .namespace_ = "", .name = name};
    ctl_enqueue(controllers, &concern_namespaces, &key);
}

static void on_change(struct controllers *controllers, struct ctl_change *change)
{
    const struct store_key *key = &change->row->key;
    if (strcmp(key->resource, "namespaces") == 0) {
        enqueue_namespace(controllers, key->name);
        return;
    }
    bool is_kept_there =
        (strcmp(key->resource, "serviceaccounts") == 0 && strcmp(key->name, "default") == 0) ||
        (strcmp(key->resource, "configmaps") == 0 && strcmp(key->name, "kube-root-ca.crt") == 0);
    if (*key->namespace_ && (change->row->type == STORE_DELETED || is_kept_there))
        enqueue_namespace(controllers, key->namespace_);
}

static bool is_always_there(const char *name)
{
    static const char *const names[] = {"default", "kube-node-lease", "kube-public", "kube-system"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

/* --- what belongs into each --- */

static Meta__Status *ensure_service_account(const struct ctl_run *run, const char *namespace_)
{
    ProtobufCMessage *account =
        kube_message_new(&core__service_account__descriptor, run->env->arena);
    ctl_name(account, namespace_, "default", run->env->arena);
    return ctl_ensure(run, "", "serviceaccounts", account);
}

static Meta__Status *ensure_authority(const struct ctl_run *run, const char *namespace_)
{
    struct arena *arena = run->env->arena;
    ProtobufCMessage *there = NULL;
    Meta__Status *failure = ctl_read(run, "", "configmaps", namespace_, "kube-root-ca.crt", &there);
    if (failure)
        return failure;
    Core__ConfigMap *map = (Core__ConfigMap *)there;
    if (map && map->n_data == 1 && strcmp(map->data[0]->key, "ca.crt") == 0 &&
        text_eq(map->data[0]->value, run->env->world->ca_pem))
        return NULL;
    if (!map) {
        map = (Core__ConfigMap *)kube_message_new(&core__config_map__descriptor, arena);
        ctl_name(&map->base, namespace_, "kube-root-ca.crt", arena);
    }
    map->n_data = 0;
    message_map_set(&map->base, "data", "ca.crt", run->env->world->ca_pem, arena);
    message_map_set(&map->metadata->base, "annotations", "kubernetes.io/description",
                    "Contains a CA bundle that can be used to verify the kube-apiserver when using"
                    " internal endpoints such as the internal service IP or kubernetes.default.svc."
                    " No other usage is guaranteed across distributions of Kubernetes clusters.",
                    arena);
    const struct resource *resource = resource_find("", "v1", "configmaps");
    return there ? rest_update(run->env, run->user, resource, NULL, &map->base, NULL)
                 : rest_create(run->env, run->user, resource, &map->base, NULL);
}

/* Its address is the first of the range, as pods and their certificates expect. */
static char *first_address(const struct ctl_run *run)
{
    const char *ranges = run->env->world->service_range;
    struct ip_range range;
    if (!ip_range_parse(str_trim((struct str){.ptr = ranges, .len = strcspn(ranges, ",")}), &range))
        return NULL; /* whatever the strategy makes of it */
    const struct ip first = ip_add(&range.base, 1);
    return arena_strdup(run->env->arena, ip_text(&first, run->env->arena));
}

static Meta__Status *ensure_kubernetes_service(const struct ctl_run *run)
{
    static const char text[] =
        "{\"metadata\":{\"namespace\":\"default\",\"name\":\"kubernetes\","
        "\"labels\":{\"component\":\"apiserver\",\"provider\":\"kubernetes\"}},"
        "\"spec\":{\"type\":\"ClusterIP\",\"sessionAffinity\":\"None\","
        "\"ports\":[{\"name\":\"https\",\"protocol\":\"TCP\",\"port\":443,\"targetPort\":6443}]}}";
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *service = NULL;
    struct error *err = kube_decode_json(STR_LITERAL(text), &core__service__descriptor, &options,
                                         run->env->arena, &service);
    if (err)
        return failure_from_error(run->env->arena, err);
    ((Core__Service *)service)->spec->cluster_ip = first_address(run);
    return ctl_ensure(run, "", "services", service);
}

static Meta__Status *furnish(const struct ctl_run *run, const char *name)
{
    Meta__Status *failure = ensure_service_account(run, name);
    if (!failure)
        failure = ensure_authority(run, name);
    if (!failure && strcmp(name, "default") == 0)
        failure = ensure_kubernetes_service(run);
    return failure;
}

/* --- emptying --- */

struct emptying {
    const struct ctl_run *run;
    const struct resource *resource;
    size_t remaining;
};

static Meta__Status *empty_one(void *ctx, ProtobufCMessage *object)
{
    struct emptying *emptying = ctx;
    const Meta__ObjectMeta *meta = kube_object_meta(object);
    emptying->remaining++;
    if (meta->deletion_timestamp)
        return NULL;
    return ctl_delete(emptying->run, emptying->resource, meta->namespace_, meta->name, -1);
}

static Meta__Status *count_one(void *ctx, ProtobufCMessage *object)
{
    struct emptying *emptying = ctx;
    (void)object;
    emptying->remaining++;
    return NULL;
}

static Meta__Status *for_all_in(struct emptying *emptying, const char *namespace_, rest_each *each)
{
    size_t count = 0;
    const struct resource *table = resource_table(&count);
    for (size_t i = 0; i < count; i++) {
        bool is_stored = (table[i].verbs & VERB_DELETE) != 0;
        if (!table[i].kind->is_namespaced || !is_stored)
            continue;
        emptying->resource = &table[i];
        Meta__Status *failure =
            rest_each_object(emptying->run->env, &table[i], namespace_, each, emptying);
        if (failure)
            return failure;
    }
    return NULL;
}

/* Ours is "kubernetes": it says that the namespace is not yet empty. */
static bool drop_finalizer(Core__NamespaceSpec *spec)
{
    size_t kept = 0, count = spec ? spec->n_finalizers : 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(spec->finalizers[i], "kubernetes") != 0)
            spec->finalizers[kept++] = spec->finalizers[i];
    }
    if (spec)
        spec->n_finalizers = kept;
    return kept < count;
}

static Meta__Status *empty(struct ctl_run *run, Core__Namespace *namespace_)
{
    const char *name = namespace_->metadata->name;
    struct emptying emptying = {.run = run};
    Meta__Status *failure = for_all_in(&emptying, name, empty_one);
    if (failure)
        return failure;
    if (emptying.remaining > 0) { /* most are gone now; the others have finalizers or a grace */
        emptying.remaining = 0;
        failure = for_all_in(&emptying, name, count_one);
    }
    if (failure)
        return failure;
    if (emptying.remaining > 0) {
        run->again_after_ns = EMPTYING_PERIOD_NS;
        return NULL;
    }
    if (!drop_finalizer(namespace_->spec))
        return NULL; /* somebody else's hold it */
    return rest_update(run->env, run->user, resource_find("", "v1", "namespaces"), "finalize",
                       &namespace_->base, NULL);
}

static Meta__Status *reconcile(struct ctl_run *run, const struct store_key *key)
{
    ProtobufCMessage *object = NULL;
    Meta__Status *failure = ctl_read(run, "", "namespaces", NULL, key->name, &object);
    if (failure)
        return failure;
    if (!object && is_always_there(key->name)) {
        object = kube_message_new(&core__namespace__descriptor, run->env->arena);
        ctl_name(object, NULL, key->name, run->env->arena);
        failure = ctl_ensure(run, "", "namespaces", object);
    }
    if (failure || !object)
        return failure;
    Core__Namespace *namespace_ = (Core__Namespace *)object;
    return namespace_->metadata->deletion_timestamp ? empty(run, namespace_)
                                                    : furnish(run, key->name);
}

const struct concern concern_namespaces = {
    .name = "namespaces", .on_change = on_change, .reconcile = reconcile};
