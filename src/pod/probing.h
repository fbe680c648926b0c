/*
 * The probes of a pod's running containers: made when an instance runs, gone with it, their results
 * written into the container notes that plan and status read. Inside the pod room; loop thread.
 */
#pragma once

#include "pod/pods_internal.h"
#include "probe/probe.h"
#include "probe/probe_net.h"

/** How exec probes run: ExecSync of @pods' runtime. One per set; free() it with pods_exec_free().
 */
struct probe_exec *pods_exec_new(struct pods *pods);
void pods_exec_free(struct probe_exec *exec);

/** Makes the probes match what runs. Cheap when they do. */
void probing_sync(struct pod_worker *worker);
/** Before the pod of @worker becomes @pod: probes that are to be the same go on, else all end. */
void probing_prepare(struct pod_worker *worker, const Core__Pod *pod);
/** Once it has become that pod and the notes are those of its containers. */
void probing_follow(struct pod_worker *worker);
/** Ends all probes of @worker. */
void probing_stop(struct pod_worker *worker);
