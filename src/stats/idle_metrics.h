/*
 * Families of what a kubelet does and this agent does not: processors and memory pinned to
 * containers, image volumes, resizing in place, shutting down in good order, and so on. It did none
 * of it, so 0 is the truth, and who looks for the series finds it. Whoever does one of these takes
 * its row over. Loop thread.
 */
#pragma once

#include "base/metrics.h"

/** Adds the families to @metrics, all at 0. */
void idle_metrics_add(struct metrics *metrics);
