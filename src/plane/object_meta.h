/*
 * The metadata that the server keeps: identity, times, generation. What a client says of these is
 * overwritten. Pure but for randomness. Any thread.
 */
#pragma once

#include "kube/kinds.h"

/** A random (version 4) UUID, in @arena. */
char *object_uid_new(struct arena *arena);
/** @prefix (cut to 58 bytes) with five random letters and digits, as generateName makes them. */
char *object_name_generate(const char *prefix, struct arena *arena);
/** True when there is an object of this name already. */
typedef bool object_name_taken(void *ctx, const char *name);
/** A generated name that is not taken; when upstream's number of attempts (8) does not find one,
 * the last that was tried. */
char *object_name_pick(const char *prefix, object_name_taken *is_taken, void *ctx,
                       struct arena *arena);

/** @wall_ns as a Time, in @arena; whole seconds, as Kubernetes keeps them. */
Meta__Time *object_time(int64_t wall_ns, struct arena *arena);
/** 0 when @time is NULL. */
int64_t object_time_ns(const Meta__Time *time);

/** Makes the metadata of a new object: uid, creation time, and nothing a client may not say. */
void object_meta_create(Meta__ObjectMeta *meta, int64_t now_wall_ns, struct arena *arena);
/** Takes over from @old what an update may not change. Memory is shared with @old. */
void object_meta_carry_over(Meta__ObjectMeta *meta, const Meta__ObjectMeta *old);

bool object_has_finalizer(const Meta__ObjectMeta *meta, const char *finalizer);
/** Adds @finalizer when it is not there. */
void object_add_finalizer(Meta__ObjectMeta *meta, const char *finalizer, struct arena *arena);
void object_remove_finalizer(Meta__ObjectMeta *meta, const char *finalizer);
