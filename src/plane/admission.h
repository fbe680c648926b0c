/*
 * Admission: what kube-apiserver's plugins say about a write after it was authorized, as pure
 * functions over the request and facts from a vtable. Some change the object (which must be the
 * caller's to change), all return NULL or the failure to answer, in upstream's words:
 *
 *     NamespaceLifecycle, NodeRestriction, CertificateSubjectRestriction    any resource
 *     ServiceAccount, Priority, DefaultTolerationSeconds                    pods
 *
 * in this order. Left out: default storage classes, and the deprecated annotation
 * kubernetes.io/enforce-mountable-secrets. No clock, no I/O. Any thread.
 */
#pragma once

#include "plane/authn.h"

#include "core.pb-c.h"

enum admission_operation {
    ADMISSION_CREATE,
    ADMISSION_UPDATE,
    ADMISSION_DELETE,
    ADMISSION_CONNECT
};

enum admission_object {
    ADMISSION_POD,             /* Core__Pod */
    ADMISSION_NODE,            /* Core__Node */
    ADMISSION_NAMESPACE,       /* Core__Namespace */
    ADMISSION_SERVICE_ACCOUNT, /* Core__ServiceAccount */
    ADMISSION_CLAIM,           /* Core__PersistentVolumeClaim */
    ADMISSION_VOLUME,          /* Core__PersistentVolume */
    ADMISSION_CSI_DRIVER,      /* Storage__CSIDriver */
};

struct admission_facts {
    /** The stored object, of the message type above, or NULL when there is none. Borrowed for the
     * call. @namespace_ is NULL for what has none. */
    const ProtobufCMessage *(*get)(void *ctx, enum admission_object kind, const char *namespace_,
                                   const char *name);
};

/** A write. Texts may be NULL for ""; all borrowed. */
struct admission_request {
    const struct plane_user *user;
    enum admission_operation operation; /* a patch is an update */
    const char *group, *resource, *subresource;
    const char *namespace_;
    const char *name;               /* of the path; at creation may be NULL */
    const ProtobufCMessage *object; /* as it would be written, or a subresource's body; NULL for a
                                       delete */
    const ProtobufCMessage *old;    /* NULL at creation */
    const struct admission_facts *facts;
    void *facts_ctx;
    uint64_t random;     /* of which generated names are made */
    struct arena *arena; /* for failures, and for what is added to @object */
};

/** 403 about the request's object: `pods "web" is forbidden: …`. A nameless object is called by its
 * generateName, or Unknown!. */
Meta__Status *admission_forbidden(const struct admission_request *request, const char *format, ...)
    PRINTF_LIKE(2, 3);

/** No namespace, no objects in it; none that are new while it is terminating (with the cause
 * NamespaceTerminating); and default, kube-system and kube-public stay. */
MUST_CHECK Meta__Status *admission_namespace_lifecycle(const struct admission_request *request);

/** Holds a node to its own objects; passes everybody else. */
MUST_CHECK Meta__Status *admission_node_restriction(const struct admission_request *request);

/** No client certificate may name system:masters. For certificatesigningrequests. */
MUST_CHECK Meta__Status *admission_certificate_subject(const struct admission_request *request);

/**
 * Gives @pod (request->object, to be changed) a service account, its image pull secrets and the
 * kube-api-access volume; holds mirror pods to naming none. Acts at creation of pods only.
 */
MUST_CHECK Meta__Status *admission_service_account(const struct admission_request *request,
                                                   Core__Pod *pod);

/** Resolves spec.priorityClassName of a new @pod to spec.priority and preemptionPolicy. Only the
 * two classes of the system exist here. */
MUST_CHECK Meta__Status *admission_priority(const struct admission_request *request,
                                            Core__Pod *pod);

/** Adds the tolerations of 300 s for node.kubernetes.io/not-ready and unreachable, unless @pod has
 * them. At creation and update of pods. */
void admission_default_tolerations(Core__Pod *pod, struct arena *arena);

/** All of the above for a pod, or what concerns any other object, in the order given. @pod is
 * request->object when that is a pod being created or updated, else NULL. */
MUST_CHECK Meta__Status *admission_run(const struct admission_request *request, Core__Pod *pod);
