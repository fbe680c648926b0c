/*
 * A summary as the Summary API sends it (spec server.md §4.1): JSON indented by one blank a level,
 * in upstream's order of fields. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"
#include "stats/summary.h"

/**
 * Appends @summary to @out; overflow is seen through buf_error(). What the summary has no figures
 * for is left out, so that one of SUMMARY_CPU_AND_MEMORY comes out as short as it is.
 */
void summary_write_json(const struct summary *summary, struct buf *out);
