/*
 * Whom a serving certificate is to be for: the node's user, and the names and addresses of its
 * status (spec node.md §2.6). Pure. Any thread.
 */
#pragma once

#include "base/arena.h"
#include "wire/x509.h"

#include "core.pb-c.h"

/**
 * The subject for @node of the name @node_name, in @arena: Hostname, InternalDNS and ExternalDNS
 * are DNS names, InternalIP and ExternalIP addresses, as is a Hostname that is one; sorted, each
 * once. False when there is too little to ask a certificate for: no address, or, when
 * @is_dns_name_enough, neither an address nor a name.
 */
bool serving_names(const Core__Node *node, const char *node_name, bool is_dns_name_enough,
                   struct arena *arena, struct x509_subject *ret);
