/*
 * The images the runtime has, as the Node object shows them. Read when somebody says that they may
 * have changed, never by polling. Loop thread.
 */
#pragma once

#include "loop/loop.h"
#include "node/node_status.h"
#include "pod/runtime.h"

struct image_list; /* opaque */

/** @on_changed runs after the first reading and each that found other images than the one before;
 * it may free the list. */
struct image_list *image_list_new(struct loop *loop, struct pod_runtime *runtime,
                                  void (*on_changed)(void *ctx), void *ctx);
void image_list_free(struct image_list *list); /* NULL is fine */
DEFINE_AUTO(image_list, struct image_list *, image_list_free)

/** Reads them again, soon: at once when the last reading is a second old, else when it will be, for
 * all who wished it meanwhile. A reading that fails is tried again, more and more slowly. */
void image_list_refresh(struct image_list *list);

/** What was read last, by id; borrowed until the next reading. NULL: nothing yet. */
const struct node_image *image_list_get(const struct image_list *list, size_t *ret_count);
