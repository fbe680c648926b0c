/* Signals as loop callbacks (signalfd). Loop thread. */
#pragma once

#include "loop/loop.h"

struct loop_signals; /* opaque */

/**
 * Blocks the signals of @numbers (ended by 0) in the process and delivers them on the loop. Call
 * before threads start. They stay blocked after the free, and in children unless posix_spawn() is
 * told otherwise. INVALID_ARGUMENT for a number that is no signal. The caller owns *ret.
 */
MUST_CHECK struct error *loop_signals_new(struct loop *loop, const int *numbers,
                                          void (*on_signal)(void *ctx, int number), void *ctx,
                                          struct loop_signals **ret);
/** NULL is fine; may be called from on_signal. */
void loop_signals_free(struct loop_signals *signals);
DEFINE_AUTO(loop_signals, struct loop_signals *, loop_signals_free)
