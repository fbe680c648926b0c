/* Pods as a client names them. Loop thread. */
#pragma once

#include "pod/pods.h"

/**
 * Finds a pod that is wanted by name, borrowed until the next turn of the loop; of two with one
 * name the one that stays, not the one that still ends. False: there is none.
 */
bool pod_lookup(const struct pods *pods, const char *namespace, const char *name,
                struct pod_view *ret);
