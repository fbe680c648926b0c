#include "plane/strategy_internal.h"

#include "policy.pb-c.h"

Meta__Status *pod_eviction_create(const struct strategy_context *context, const char *namespace_,
                                  const char *name, ProtobufCMessage *body,
                                  ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind)
{
    const Policy__Eviction *eviction = (const Policy__Eviction *)body;
    if (!eviction->metadata || !text_eq(eviction->metadata->name, name))
        return failure_bad_request(context->arena,
                                   "name in URL does not match name in Eviction object");
    const struct rest_env env = strategy_rest_env(context);
    Meta__Status *failure = rest_delete_with(&env, context->user, resource_find("", "v1", "pods"),
                                             namespace_, name, eviction->delete_options);
    if (failure)
        return failure;
    *ret_reply = strategy_success(context->arena);
    *ret_kind = kube_kind_find("v1", "Status");
    return NULL;
}
