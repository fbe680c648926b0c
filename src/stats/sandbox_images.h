/*
 * The images sandboxes were made from, which only the verbose status of a sandbox tells. Each is
 * asked for once and kept until the sandbox is no longer wanted; a failed question is asked again
 * when it is wanted next. Loop thread.
 */
#pragma once

#include "pod/runtime.h"

struct sandbox_images; /* opaque */

/** @on_settled runs when the last question under way has ended, never from inside a function of
 * this header. @runtime NULL: no image is ever known. */
struct sandbox_images *sandbox_images_new(struct pod_runtime *runtime,
                                          void (*on_settled)(void *ctx), void *ctx);
void sandbox_images_free(struct sandbox_images *images); /* silence; NULL is fine */
DEFINE_AUTO(sandbox_images, struct sandbox_images *, sandbox_images_free)

/** Sandbox @id is wanted: its image is asked for unless it is known or being asked. */
void sandbox_images_want(struct sandbox_images *images, const char *id);
/** What was not wanted since the last call is forgotten. */
void sandbox_images_forget_unwanted(struct sandbox_images *images);
/** Borrowed until it is forgotten; "" while it is not known. */
const char *sandbox_images_get(const struct sandbox_images *images, const char *id);
bool sandbox_images_is_settled(const struct sandbox_images *images);

/** The image in the verbose part "info" of a sandbox's status, owned; NULL: it names none. Pure. */
char *sandbox_images_parse(const char *info_json);
