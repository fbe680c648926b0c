/*
 * What a process keeps in memory without needing it. Any thread.
 */
#pragma once

#include "base/base.h"

/**
 * Lets go of memory that only what has been done so far needed: free heap, and the mapped pages of
 * program text, which come back from the page cache when they are used again. For a program whose
 * start runs much code that its later life does not. Reads /proc/self/maps; failures change
 * nothing.
 */
void resident_trim(void);
/** The free heap only, after a rush that is over. */
void resident_trim_heap(void);
