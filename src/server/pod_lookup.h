/* Pods and containers as a client names them. Loop thread. */
#pragma once

#include "pod/pods.h"

/**
 * Finds a pod that is wanted by name, borrowed until the next turn of the loop; of two with one
 * name the one that stays, not the one that still ends. False: there is none.
 */
bool pod_lookup(const struct pods *pods, const char *namespace, const char *name,
                struct pod_view *ret);

/** Whether there is a container of any kind that is called @name; *ret_tty (NULL is fine) tells
 * whether it has a terminal. */
bool container_lookup(const Core__PodSpec *spec, const char *name, bool *ret_tty);
