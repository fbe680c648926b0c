/*
 * Asking for what volumes with content are made of: ConfigMaps, Secrets and tokens, all at the same
 * time. Loop thread. Inside the volume room only.
 */
#pragma once

#include "volume/content.h"

struct content_gather; /* opaque: a gathering under way */

/**
 * Fills in the sources of @contents (borrowed until the end, as is @pod for the call). NULL:
 * nothing has to be asked for, or nobody is there to be asked. Else @on_done runs once, not before
 * this returns, unless it is cancelled; what could not be got is noted in its source.
 */
struct content_gather *content_gather_start(const struct volume_sources *sources,
                                            const Core__Pod *pod, struct content *const *contents,
                                            size_t count, void (*on_done)(void *ctx), void *ctx);
void content_gather_cancel(struct content_gather *gather); /* silence; NULL is fine */
