/* What a watch has printed of each object, so that only news are printed. The client process only.
 */
#pragma once

#include "base/base.h"

struct seen; /* opaque */

struct seen *seen_new(void);
void seen_free(struct seen *seen); /* NULL is fine */
DEFINE_AUTO(seen, struct seen *, seen_free)

/** Notes that the object @key is in @state (both copied). True when that is news. */
bool seen_note(struct seen *seen, const char *key, const char *state);
/** Ends a round: what was not noted in it is gone, and would be news. */
void seen_end_round(struct seen *seen);
