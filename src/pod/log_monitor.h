/*
 * Looks after the sizes of the logs of running containers (spec runtime.md §6.3): every
 * containerLogMonitorInterval one job looks at all of them; those that are too large are rotated,
 * containerLogMaxWorkers at a time, and of those that are missing the runtime is asked to open a
 * new one. Nothing else is read or asked. For the pod room only; loop thread.
 */
#pragma once

#include "pod/pods.h"

struct log_monitor; /* opaque */

/** Begins to look; NULL when the policy of @pods says that nothing is rotated. */
struct log_monitor *log_monitor_new(struct pods *pods);
/** A log that is being rotated may stay without its name; whoever looks next has the runtime open a
 * new one. NULL is fine. */
void log_monitor_free(struct log_monitor *monitor);
