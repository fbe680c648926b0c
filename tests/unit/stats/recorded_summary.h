/*
 * The Summary API's answer of a real kubelet (recorded/http/stats_summary.txt) as the struct that
 * ours is made from, so that what renders it can be compared with what was recorded.
 */
#pragma once

#include "base/arena.h"
#include "stats/summary.h"
#include "wire/doc.h"

/** The text of recorded/http/@name, in @arena. */
struct str recorded_http(const char *name, struct arena *arena);
/** The recorded answer as a tree. */
const struct doc_node *recorded_summary_tree(struct arena *arena);
/** The recorded answer; all of it lives in @arena. */
const struct summary *recorded_summary(struct arena *arena);
