/*
 * Shared by plane/admission*.c. Pure. Any thread.
 */
#pragma once

#include "plane/admission.h"

/** Upstream's MirrorPodAnnotationKey: the annotation that makes a pod a mirror pod. */
#define ADMISSION_MIRROR_ANNOTATION "kubernetes.io/config.mirror"

/** @text, or "". */
const char *admission_text(const char *text);
bool admission_is_for(const struct admission_request *request, const char *group,
                      const char *resource);
/** What the object is called in messages. */
const char *admission_object_name(const struct admission_request *request);
/** 404 about an object of the core group. */
Meta__Status *admission_not_found(const struct admission_request *request, const char *resource,
                                  const char *name);
/** The request's facts. */
const ProtobufCMessage *admission_get(const struct admission_request *request,
                                      enum admission_object kind, const char *namespace_,
                                      const char *name);
bool admission_is_mirror(const Core__Pod *pod);

/* --- NodeRestriction --- */

/** A node's write. */
struct node_write {
    const struct admission_request *request;
    const char *node;
};

/** True for that subresource; "" is the object itself. */
bool node_write_is_for(const struct node_write *write, const char *subresource);
/** The node @pod is bound to, or "". */
const char *node_write_pod_node(const Core__Pod *pod);
/** A stored pod of the request's namespace, or NULL. */
const Core__Pod *node_write_pod(const struct node_write *write, const char *name);
/** The name the write is about: at creation that of the object. */
const char *node_write_name(const struct node_write *write);

Meta__Status *admission_check_node(const struct node_write *write);
Meta__Status *admission_check_token(const struct node_write *write);
