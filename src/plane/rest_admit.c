/*
 * Admission's view of a write: who asks, what about, and the stored objects it wants to look at.
 */
#include "plane/rest_internal.h"

#include "plane/admission.h"

#include <sys/random.h>

struct facts {
    const struct rest_env *env;
};

static const ProtobufCMessage *get_fact(void *ctx, enum admission_object kind,
                                        const char *namespace_, const char *name)
{
    static const struct {
        const char *group, *resource;
    } rows[] = {
        [ADMISSION_POD] = {"", "pods"},
        [ADMISSION_NODE] = {"", "nodes"},
        [ADMISSION_NAMESPACE] = {"", "namespaces"},
        [ADMISSION_SERVICE_ACCOUNT] = {"", "serviceaccounts"},
        [ADMISSION_CLAIM] = {"", "persistentvolumeclaims"},
        [ADMISSION_VOLUME] = {"", "persistentvolumes"},
        [ADMISSION_CSI_DRIVER] = {"storage.k8s.io", "csidrivers"},
    };
    const struct facts *facts = ctx;
    const struct resource *resource = resource_find(rows[kind].group, "v1", rows[kind].resource);
    ProtobufCMessage *object = NULL;
    if (!resource || rest_read(facts->env, resource, namespace_, name, &object))
        return NULL;
    return object;
}

static struct admission_request request_of(const struct rest_write *write, struct facts *facts)
{
    static const struct admission_facts facts_vtable = {.get = get_fact};
    const struct kube_kind *kind = write->resource->kind;
    struct admission_request request = {
        .user = write->user,
        .operation = ADMISSION_CREATE,
        .group = kind->group,
        .resource = kind->resource,
        .subresource = write->subresource,
        .facts = &facts_vtable,
        .facts_ctx = facts,
        .arena = write->env->arena,
    };
    if (getrandom(&request.random, sizeof(request.random), 0) != sizeof(request.random))
        base_die("the kernel gives no random numbers");
    return request;
}

Meta__Status *rest_admit(const struct rest_write *write, enum rest_admission operation,
                         ProtobufCMessage *object, const ProtobufCMessage *old)
{
    static const enum admission_operation operations[] = {
        [REST_ADMIT_CREATE] = ADMISSION_CREATE,
        [REST_ADMIT_UPDATE] = ADMISSION_UPDATE,
        [REST_ADMIT_DELETE] = ADMISSION_DELETE,
    };
    const Meta__ObjectMeta *meta = kube_object_meta(object ? object : old);
    struct facts facts = {.env = write->env};
    struct admission_request request = request_of(write, &facts);
    request.operation = operations[operation];
    request.namespace_ = meta->namespace_;
    request.name = meta->name;
    request.object = operation == REST_ADMIT_DELETE ? NULL : object;
    request.old = old;
    bool is_pod = request.object && write->resource->kind->type == &core__pod__descriptor;
    return admission_run(&request, is_pod ? (Core__Pod *)object : NULL);
}

Meta__Status *rest_admit_part(const struct rest_write *write, const struct plane_request *request,
                              ProtobufCMessage *body)
{
    struct facts facts = {.env = write->env};
    struct admission_request asked = request_of(write, &facts);
    asked.namespace_ = request->namespace_;
    asked.name = request->name;
    asked.object = body;
    return admission_run(&asked, NULL);
}
