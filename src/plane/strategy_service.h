/*
 * What the files about services share: their kinds, and the checks that allocation makes before it
 * gives out anything. Pure. Any thread.
 */
#pragma once

#include "plane/strategy_internal.h"

#define SERVICE_IP_NONE "None"

/** clusterIP None: DNS alone. */
bool service_is_headless(const Core__Service *service);
bool service_has_type(const Core__Service *service, const char *type);
/** NodePort or LoadBalancer. */
bool service_needs_node_ports(const Core__Service *service);
/** A load balancer must find the nodes that have endpoints. */
bool service_needs_health_check(const Core__Service *service);
bool service_is_externally_accessible(const Core__Service *service);
/** "IPv4" or "IPv6". */
const char *service_family_of(const char *ip);

/** Records what does not fit among clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy. */
void service_validate_ips(struct validation *v, const Core__ServiceSpec *spec);
void service_validate(const struct strategy_context *context, const ProtobufCMessage *object,
                      const ProtobufCMessage *old, struct field_errors *errors);
