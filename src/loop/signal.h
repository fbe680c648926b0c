/* Signals as loop callbacks (signalfd). Loop thread. */
#pragma once

#include "loop/loop.h"

struct loop_signals; /* opaque */

/** Blocks the signals of @numbers (ended by 0) in the process and delivers them on the loop. Call before threads start. */
MUST_CHECK struct error *loop_signals_new(struct loop *loop, const int *numbers,
                                          void (*on_signal)(void *ctx, int number), void *ctx,
                                          struct loop_signals **ret);
void loop_signals_free(struct loop_signals *signals);
