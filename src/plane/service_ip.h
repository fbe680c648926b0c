/*
 * Addresses and ports of services: which family a service has, its cluster IPs, its node ports. The
 * stored services are the only record of what is taken: they are looked through inside the batch
 * that stores the new one, so two can never get the same. Loop thread.
 */
#pragma once

#include "plane/resource.h"

/* kube-apiserver's --service-node-port-range. */
#define SERVICE_NODE_PORT_MIN 30000
#define SERVICE_NODE_PORT_MAX 32767

/**
 * Fills the families, cluster IPs, node ports and the health check's port that @service (with
 * defaults) is to have and does not name; keeps those it had (@old, NULL at creation). Failures:
 * 422 for what is taken, out of range or contradictory; 500 when nothing is left to give.
 */
MUST_CHECK Meta__Status *service_ip_assign(const struct strategy_context *context,
                                           Core__Service *service, const Core__Service *old);
