/*
 * The status generator's parts: containers, then phase, then conditions, each from what the one
 * before made. Inside the pod room only. Pure.
 */
#pragma once

#include "kube/codec.h"
#include "pod/status.h"

#define STATUS_NEW(arena, type, descriptor)                                                        \
    ((type *)(void *)kube_message_new(&(descriptor), (arena)))

/* A condition that whoever ends the pod may set as well as the node. */
#define DISRUPTION_TARGET "DisruptionTarget"

/* status_containers.c */

/** Fills container_statuses and ephemeral_container_statuses (by name) and init_container_statuses
 * (spec order), with started and ready. */
void status_fill_containers(const struct status_input *input, Core__PodStatus *status,
                            struct arena *arena);
/** The entry of container @name in a list, or NULL. */
Core__ContainerStatus *status_find(Core__ContainerStatus *const *list, size_t count,
                                   const char *name);
/** The end of what was lost from sight: ContainerStatusUnknown with @message (copied). */
Core__ContainerState *status_lost_state(struct arena *arena, const char *message);
Meta__Time *status_time(int64_t wall_ns, struct arena *arena);
bool status_is_terminated(const Core__ContainerStatus *entry);
bool status_is_running(const Core__ContainerStatus *entry);

/* status_details.c; all lives in @arena */

/** Sets resources and allocatedResources: what the spec says and, of a running instance, the
 * runtime reports. */
void status_fill_resources(Core__ContainerStatus *entry, const Core__Container *container,
                           const struct container_observed *instance, struct arena *arena);
/** Sets the user when the runtime tells. */
void status_fill_user(Core__ContainerStatus *entry, const struct container_observed *instance,
                      struct arena *arena);
/** Sets volumeMounts, as the spec has them and the runtime can do them. */
void status_fill_mounts(const struct status_input *input, Core__ContainerStatus *entry,
                        const Core__Container *container, struct arena *arena);

/* status_end.c */

/** What spec §8.8 asks of a pod that has been terminated: nothing may look as if it still ran.
 */
void status_end_containers(const struct status_input *input, Core__PodStatus *status,
                           struct arena *arena);
/** Puts back what @input->old shows of each container that had ended for good, should @status have
 * it otherwise than ended (spec §8.7). The phase is that of what is really there: it must have been
 * made before. */
void status_keep_ended(const struct status_input *input, Core__PodStatus *status,
                       struct arena *arena);

/* status_phase.c */

/** "Pending", "Running", "Succeeded" or "Failed" from the container entries of @status (spec §8.2).
 */
const char *status_phase(const struct status_input *input, const Core__PodStatus *status);

/* status_conditions.c */

/** Fills conditions from phase and container entries (spec §8.4). */
void status_fill_conditions(const struct status_input *input, Core__PodStatus *status,
                            struct arena *arena);
