/*
 * loop/work.h without threads, linked instead of the real one: a job runs when the test says so,
 * and is delivered when the test says so.
 */
#pragma once

#include "loop/work.h"

/** Jobs that were started and not delivered or released yet. */
size_t fake_work_count(void);
/** Runs the oldest job that has not been run. */
void fake_work_run(void);
/** Delivers the oldest job that has been run; a cancelled one is only released. */
void fake_work_deliver(void);
