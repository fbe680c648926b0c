#include "plane/admission.h"

#include "plane/admission_internal.h"
#include "plane/csr.h"

#include "certificates.pb-c.h"

const char *admission_text(const char *text)
{
    return text ? text : "";
}

bool admission_is_for(const struct admission_request *request, const char *group,
                      const char *resource)
{
    return text_eq(admission_text(request->group), group) && text_eq(request->resource, resource);
}

const char *admission_object_name(const struct admission_request *request)
{
    if (admission_text(request->name)[0])
        return request->name;
    const Meta__ObjectMeta *meta = request->object ? kube_object_meta(request->object) : NULL;
    if (meta && admission_text(meta->name)[0])
        return meta->name;
    return meta && admission_text(meta->generate_name)[0] ? meta->generate_name : "Unknown!";
}

Meta__Status *admission_forbidden(const struct admission_request *request, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *why = arena_vprintf(request->arena, format, args);
    va_end(args);
    const struct failure_target target = {
        .group = admission_text(request->group),
        .resource = request->resource,
        .name = admission_object_name(request),
    };
    return failure_forbidden(request->arena, &target, why);
}

Meta__Status *admission_not_found(const struct admission_request *request, const char *resource,
                                  const char *name)
{
    const struct failure_target target = {.group = "", .resource = resource, .name = name};
    return failure_not_found(request->arena, &target);
}

const ProtobufCMessage *admission_get(const struct admission_request *request,
                                      enum admission_object kind, const char *namespace_,
                                      const char *name)
{
    return request->facts->get(request->facts_ctx, kind, namespace_, name);
}

/* --- NamespaceLifecycle --- */

static Meta__Status *check_namespace_write(const struct admission_request *request)
{
    static const char *const immortal[] = {"default", "kube-system", "kube-public"};
    for (size_t i = 0; request->operation == ADMISSION_DELETE && i < ARRAY_SIZE(immortal); i++) {
        if (text_eq(request->name, immortal[i]))
            return admission_forbidden(request, "this namespace may not be deleted");
    }
    return NULL;
}

static void add_terminating_cause(const struct admission_request *request, Meta__Status *failure)
{
    if (!failure->details)
        return;
    Meta__StatusCause *cause = arena_alloc(request->arena, sizeof(Meta__StatusCause));
    meta__status_cause__init(cause);
    cause->reason = arena_strdup(request->arena, "NamespaceTerminating");
    cause->message =
        arena_printf(request->arena, "namespace %s is being terminated", request->namespace_);
    cause->field = arena_strdup(request->arena, "metadata.namespace");
    failure->details->causes = arena_calloc(request->arena, 1, sizeof(Meta__StatusCause *));
    failure->details->causes[0] = cause;
    failure->details->n_causes = 1;
}

Meta__Status *admission_namespace_lifecycle(const struct admission_request *request)
{
    if (admission_is_for(request, "", "namespaces"))
        return check_namespace_write(request);
    /* A review must not tell whether a namespace exists. */
    if (!admission_text(request->namespace_)[0] || request->operation == ADMISSION_DELETE ||
        request->operation == ADMISSION_CONNECT ||
        admission_is_for(request, "authorization.k8s.io", "localsubjectaccessreviews"))
        return NULL;
    const Core__Namespace *found = (const Core__Namespace *)admission_get(
        request, ADMISSION_NAMESPACE, NULL, request->namespace_);
    if (!found)
        return admission_not_found(request, "namespaces", request->namespace_);
    if (request->operation != ADMISSION_CREATE || !found->status ||
        !text_eq(found->status->phase, "Terminating"))
        return NULL;
    Meta__Status *failure = admission_forbidden(
        request, "unable to create new content in namespace %s because it is being terminated",
        request->namespace_);
    add_terminating_cause(request, failure);
    return failure;
}

/* --- CertificateSubjectRestriction --- */

Meta__Status *admission_certificate_subject(const struct admission_request *request)
{
    if (!admission_is_for(request, "certificates.k8s.io", "certificatesigningrequests") ||
        request->operation != ADMISSION_CREATE || admission_text(request->subresource)[0] ||
        !request->object)
        return NULL;
    const Certificates__CertificateSigningRequest *object =
        (const Certificates__CertificateSigningRequest *)request->object;
    enum csr_signer signer;
    if (!object->spec || !csr_signer_from_name(object->spec->signer_name, &signer) ||
        signer != CSR_SIGNER_CLIENT)
        return NULL;
    const struct str pem = {.ptr = (const char *)object->spec->request.data,
                            .len = object->spec->request.len};
    struct csr csr;
    struct error *err = csr_read(pem, request->arena, &csr);
    if (err) {
        Meta__Status *failure =
            admission_forbidden(request, "failed to parse CSR: %s", err->message);
        error_free(err);
        return failure;
    }
    const char *why = csr_subject_restriction(signer, &csr);
    return why ? admission_forbidden(request, "%s", why) : NULL;
}

/* --- all --- */

Meta__Status *admission_run(const struct admission_request *request, Core__Pod *pod)
{
    Meta__Status *failure = admission_namespace_lifecycle(request);
    if (!failure)
        failure = admission_node_restriction(request);
    if (!failure)
        failure = admission_certificate_subject(request);
    bool is_pod =
        pod && admission_is_for(request, "", "pods") && !admission_text(request->subresource)[0];
    if (failure || !is_pod)
        return failure;
    failure = admission_service_account(request, pod);
    if (!failure)
        failure = admission_priority(request, pod);
    if (!failure &&
        (request->operation == ADMISSION_CREATE || request->operation == ADMISSION_UPDATE))
        admission_default_tolerations(pod, request->arena);
    return failure;
}
