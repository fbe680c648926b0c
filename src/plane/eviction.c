#include "plane/strategy_internal.h"

#include "plane/pod_condition.h"

#include "policy.pb-c.h"

static bool is_dry_run(const struct strategy_context *context, const Meta__DeleteOptions *options)
{
    return context->is_dry_run || (options && options->n_dry_run > 0);
}

static const char *asked_version(const Meta__DeleteOptions *options)
{
    return options && options->preconditions ? or_empty(options->preconditions->resource_version)
                                             : "";
}

/* Says in the pod why it goes. What the client made depend on the pod's resourceVersion depends on
 * the one that this makes, then. */
static Meta__Status *say_why(const struct strategy_context *context, ProtobufCMessage *object,
                             Meta__DeleteOptions *options)
{
    static const struct pod_condition disruption = {.type = "DisruptionTarget",
                                                    .status = "True",
                                                    .reason = "EvictionByEvictionAPI",
                                                    .message = "Eviction API: evicting"};
    const struct rest_env env = strategy_rest_env(context);
    Core__Pod *pod = (Core__Pod *)object;
    const char *asked = asked_version(options);
    bool is_met = !*asked || text_eq(asked, pod->metadata->resource_version);
    if (!is_met || !pod_set_condition(pod, &disruption, context->now_wall_ns, context->arena))
        return NULL;
    ProtobufCMessage *stored = NULL;
    Meta__Status *failure = rest_update(&env, context->user, resource_find("", "v1", "pods"),
                                        "status", object, &stored);
    if (!failure && *asked)
        options->preconditions->resource_version = kube_object_meta(stored)->resource_version;
    return failure;
}

Meta__Status *pod_eviction_create(const struct strategy_context *context, const char *namespace_,
                                  const char *name, ProtobufCMessage *body,
                                  ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    const Policy__Eviction *eviction = (const Policy__Eviction *)body;
    if (!eviction->metadata || !text_eq(eviction->metadata->name, name))
        return failure_bad_request(context->arena,
                                   "name in URL does not match name in Eviction object");
    const struct rest_env env = strategy_rest_env(context);
    const struct resource *pods = resource_find("", "v1", "pods");
    ProtobufCMessage *pod = NULL;
    Meta__Status *failure = rest_read(&env, pods, namespace_, name, &pod);
    if (!failure && !is_dry_run(context, eviction->delete_options))
        failure = say_why(context, pod, eviction->delete_options);
    if (!failure)
        failure =
            rest_delete_with(&env, context->user, pods, namespace_, name, eviction->delete_options);
    if (failure)
        return failure;
    *ret_reply = strategy_success(context->arena);
    *ret_kind = kube_kind_find("v1", "Status");
    return NULL;
}
