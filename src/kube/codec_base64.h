/* Base64 as Go's standard encoding has it: padded, line ends ignored when reading. Pure. Any
 * thread. */
#pragma once

#include "base/arena.h"

/** Decodes @text into new memory of @arena; false when it is no base64. */
MUST_CHECK bool base64_decode(struct str text, struct arena *arena, uint8_t **ret_bytes,
                              size_t *ret_len);

/** The terminated text of @bytes; owned by the caller. */
char *base64_encode(const uint8_t *bytes, size_t len);
