/*
 * Field names: our .proto files say pod_ips, JSON says podIPs. One rule and a table of Kubernetes'
 * acronyms lead from the first to the second. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

#define FIELD_NAME_SIZE 96 /* the longest field name has 48 characters */

/** Writes the JSON name of @proto_name ("pod_ips" → "podIPs"). Returns its length. */
size_t field_name_to_json(const char *proto_name, char json_name[static FIELD_NAME_SIZE]);
