/*
 * The stream of container events, for runtimes that have one: opened whenever the runtime is
 * connected, opened again with back-off when it ends, and never again on a connection whose runtime
 * does not know the RPC. Loop thread.
 */
#pragma once

#include "cri/cri_metrics.h"
#include "pod/runtime.h"
#include "wire/grpc.h"

struct cri_events; /* opaque */

/** @listener is copied, its members may be NULL. Opens nothing yet. @channel and @metrics are
 * borrowed and must outlive it. */
struct cri_events *cri_events_new(struct loop *loop, struct grpc_channel *channel,
                                  const struct runtime_listener *listener,
                                  const struct cri_metrics *metrics);
void cri_events_free(struct cri_events *events); /* NULL is fine */

/** The channel is connected: opens the stream. From the second time on everything may have changed
 * (on_lost). */
void cri_events_connected(struct cri_events *events);
/** The channel's connection is lost: waits for cri_events_connected(). */
void cri_events_disconnected(struct cri_events *events);
