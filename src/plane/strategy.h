/*
 * What is peculiar to each kind, and what the creations on subresources and the reviews do: the
 * functions behind the rows of plane/resource.c. Objects come and go through plane/rest.h. Only
 * inside a store task's run(). Loop thread.
 */
#pragma once

#include "plane/resource.h"

/* core */
extern const struct strategy strategy_config_map;
extern const struct strategy strategy_endpoints;
extern const struct strategy strategy_event;
extern const struct strategy strategy_namespace;
extern const struct strategy strategy_node;
extern const struct strategy strategy_persistent_volume;
extern const struct strategy strategy_persistent_volume_claim;
extern const struct strategy strategy_pod;
extern const struct strategy strategy_secret;
extern const struct strategy strategy_service;
extern const struct strategy strategy_service_account;
/* the other groups */
extern const struct strategy strategy_certificate_signing_request;
extern const struct strategy strategy_csi_driver;
extern const struct strategy strategy_csi_node;
extern const struct strategy strategy_endpoint_slice;
extern const struct strategy strategy_event_v1; /* events.k8s.io */
extern const struct strategy strategy_lease;
extern const struct strategy strategy_runtime_class;
extern const struct strategy strategy_storage_class;
extern const struct strategy strategy_volume_attachment;

/** events.k8s.io's events are stored as core's. */
extern const struct resource_storage event_v1_storage;
/** metrics.k8s.io's nodes and pods are core's, measured. */
extern const struct resource_storage node_measures, pod_measures;

/* CREATE on a subresource; see struct subresource. */

/** pods/binding: assigns the pod to the node the body names. Answered with a Status. */
Meta__Status *pod_binding_create(const struct strategy_context *context, const char *namespace_,
                                 const char *name, ProtobufCMessage *body,
                                 ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
/** pods/eviction: deletes the pod with its grace. There are no disruption budgets here. */
Meta__Status *pod_eviction_create(const struct strategy_context *context, const char *namespace_,
                                  const char *name, ProtobufCMessage *body,
                                  ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
/** serviceaccounts/token: a token of the account, bound to an object when the body asks so. */
Meta__Status *service_account_token_create(const struct strategy_context *context,
                                           const char *namespace_, const char *name,
                                           ProtobufCMessage *body, ProtobufCMessage **ret_reply,
                                           const struct kube_kind **ret_kind);

/* Resources that are answered and not stored; see struct resource. */

/** bindings: as pods/binding, with the pod's name in the body. */
Meta__Status *review_binding(const struct strategy_context *context, ProtobufCMessage *object,
                             ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
Meta__Status *review_token(const struct strategy_context *context, ProtobufCMessage *object,
                           ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
Meta__Status *review_self(const struct strategy_context *context, ProtobufCMessage *object,
                          ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
Meta__Status *review_access(const struct strategy_context *context, ProtobufCMessage *object,
                            ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
Meta__Status *review_local_access(const struct strategy_context *context, ProtobufCMessage *object,
                                  ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
Meta__Status *review_self_access(const struct strategy_context *context, ProtobufCMessage *object,
                                 ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
Meta__Status *review_self_rules(const struct strategy_context *context, ProtobufCMessage *object,
                                ProtobufCMessage **ret_reply, const struct kube_kind **ret_kind);
