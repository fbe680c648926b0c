/*
 * gzip, for pages whose reader takes it. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"

/**
 * Appends @text, compressed, to @out. RESOURCE_EXHAUSTED when that does not fit; @out is as it was
 * then.
 */
MUST_CHECK struct error *gzip_add(struct buf *out, struct str text);
