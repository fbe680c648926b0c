/*
 * One object of the API as the rooms of an agent share it: decoded, immutable, with its own memory
 * and a count of those who hold it. Loop thread.
 */
#pragma once

#include "kube/kinds.h"

struct kube_object {
    const struct kube_kind *kind;
    const ProtobufCMessage *message;
    const Meta__ObjectMeta *meta; /* never NULL */
    size_t bytes;                 /* of memory it takes */
    struct arena *arena;          /* private */
    size_t references;            /* private */
};

/** A copy of @message, an object of @kind with metadata (made empty when it is missing). The caller
 * owns the one reference. Never fails. */
struct kube_object *kube_object_new(const struct kube_kind *kind, const ProtobufCMessage *message);
/** One more holder, who owes a kube_object_unref(). Returns @object; NULL gives NULL. */
struct kube_object *kube_object_ref(const struct kube_object *object);
/** The last one frees. NULL is fine. */
void kube_object_unref(const struct kube_object *object);
DEFINE_AUTO(kube_object, const struct kube_object *, kube_object_unref)

/* "" where the object has none. */
const char *kube_object_name(const struct kube_object *object);
const char *kube_object_namespace(const struct kube_object *object);
const char *kube_object_uid(const struct kube_object *object);
const char *kube_object_version(const struct kube_object *object); /* resourceVersion */

/** True when both are the same state of the same object: uid and resourceVersion are equal, and
 * there is a resourceVersion. */
bool kube_object_is_same(const struct kube_object *object, const Meta__ObjectMeta *meta);
