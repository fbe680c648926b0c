/*
 * kubectl's tables: meta.k8s.io/v1 Table with the columns people know from kube-apiserver. The
 * columns and cells are per resource (struct table_cells, plane/resource.h). Pure. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "plane/resource.h"

enum table_include { TABLE_INCLUDE_NONE, TABLE_INCLUDE_METADATA, TABLE_INCLUDE_OBJECT };

/** A table under way: begin, a row for each object, end. */
struct table_writer;

/** Appends the beginning of a Table as JSON to @out: metadata (of the list, may be NULL) and column
 * definitions. @with_header false leaves the definitions out, as in later events of a watch. The
 * writer lives in @arena. */
struct table_writer *table_begin(const struct resource *resource, const Meta__ListMeta *meta,
                                 bool with_header, enum table_include include, int64_t now_wall_ns,
                                 struct arena *arena, struct buf *out);
void table_add_row(struct table_writer *writer, const ProtobufCMessage *object);
void table_end(struct table_writer *writer);

/** "5m", "3d4h": the age of @since at @now as kubectl shows it; "<unknown>" when 0. In @arena. */
const char *table_age(int64_t since_wall_ns, int64_t now_wall_ns, struct arena *arena);

/** The cells of each kind that has its own; defined in table_cells_*.c. */
extern const struct table_cells table_pods, table_nodes, table_events, table_services,
    table_configmaps, table_secrets, table_namespaces, table_leases, table_serviceaccounts,
    table_persistentvolumes, table_persistentvolumeclaims, table_endpoints, table_csrs,
    table_runtimeclasses, table_storageclasses, table_csidrivers, table_csinodes,
    table_volumeattachments, table_endpointslices, table_node_metrics, table_pod_metrics;
