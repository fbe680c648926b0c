/*
 * This node's CSINode object, without which the node does not become ready (spec node.md §7): found
 * or made once the node is registered. Drivers are registered by whoever serves them. Loop thread.
 */
#pragma once

#include "kube/api_client.h"

struct csi_node; /* opaque */

/** @on_changed runs when csi_node_pending() says something else; it may free the object. Nothing is
 * asked yet. */
struct csi_node *csi_node_new(struct loop *loop, struct api_client *client, const char *node_name,
                              void (*on_changed)(void *ctx), void *ctx);
void csi_node_free(struct csi_node *node); /* NULL is fine */
DEFINE_AUTO(csi_node, struct csi_node *, csi_node_free)

/** Begins; the Node object must exist, so it waits for csi_node_registered(). */
void csi_node_start(struct csi_node *node);
/** The Node object of @uid (copied) is there; nothing when that was known. Another uid than the one
 * before is another Node: it begins again. "" when the uid is not known, which costs a request. */
void csi_node_registered(struct csi_node *node, const char *uid);
/** The Node object is gone, and its CSINode with it: csi_node_registered() begins again. What
 * csi_node_pending() says stays until then. */
void csi_node_gone(struct csi_node *node);

/** Why the node is not ready for it ("CSINode is not yet initialized", "failed to initialize
 * CSINode: …"); NULL: it is. Borrowed until it changes. */
const char *csi_node_pending(const struct csi_node *node);
