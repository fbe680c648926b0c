/*
 * Making CRI messages in an arena: proto3 texts are never NULL, map entries are messages of their
 * own. Inside the pod room only. Pure. Any thread.
 */
#pragma once

#include "base/arena.h"

#include "cri.pb-c.h"

/** An empty message of @type in @arena; assign it to a pointer of the message's struct. */
void *cri_new(struct arena *arena, const ProtobufCMessageDescriptor *type);

/** Room for @count pointers, all NULL: a repeated field of messages or texts. */
void *cri_array(struct arena *arena, size_t count);

/** A copy of @text; NULL gives "". */
char *cri_text(struct arena *arena, const char *text);

/** Copies of @count texts; NULL when there are none. */
char **cri_texts(struct arena *arena, char *const *texts, size_t count);

/** The same for a NULL-terminated list, whose length goes to @ret_count. @texts may be NULL. */
char **cri_text_list(struct arena *arena, const char *const *texts, size_t *ret_count);

/** An entry of a map<string, string>: any message with the texts 1 (key) and 2 (value). */
void *cri_map_entry(struct arena *arena, const ProtobufCMessageDescriptor *type, const char *key,
                    const char *value);
