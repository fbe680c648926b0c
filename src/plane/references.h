/*
 * What a pod refers to: the edges of the Node authorizer's graph that start at pods. Whoever
 * supplies the facts of plane/authz.h asks this of every pod bound to the node. Pure. Any thread.
 */
#pragma once

#include "plane/authz.h"

#include "core.pb-c.h"

/**
 * True when @pod, by itself, gives its node access to the object of @kind called @name in the pod's
 * namespace: a secret or config map used by volumes, environment or image pulls, a claim (also the
 * one made for an ephemeral volume), a resource claim, the service account. A mirror pod gives
 * access to nothing. Kinds that pods do not refer to (volumes, attachments, slices) are false;
 * AUTHZ_POD compares the pod's own name.
 */
bool pod_refers_to(const Core__Pod *pod, enum authz_object kind, const char *name);

/** True when @volume's driver or plugin takes the secret @name in @namespace_ to the node. */
bool volume_refers_to_secret(const Core__PersistentVolume *volume, const char *namespace_,
                             const char *name);
