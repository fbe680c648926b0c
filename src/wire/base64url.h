/* base64url without padding (RFC 4648 §5), as tokens have it. Pure. Any thread. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

/** Appends the encoding of @bytes. */
void base64url_encode(struct str bytes, struct buf *out);
/** Decodes into @arena. False for padding, white space, any other foreign character, an impossible
 * length, or bits that are left over and not zero: a text has one decoding and bytes one text. */
MUST_CHECK bool base64url_decode(struct str text, struct arena *arena, struct str *ret);
