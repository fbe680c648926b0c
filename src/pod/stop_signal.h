/*
 * Signals as a pod names them ("SIGTERM", "SIGRTMIN+3") and as CRI numbers them. Pure. Any thread.
 */
#pragma once

#include "base/base.h"

#include "cri.pb-c.h"

/** The signal called @name; RUNTIME_DEFAULT when NULL or unknown: the image decides. */
Cri__Signal stop_signal_of(const char *name);
/** What a pod calls @signal, static; NULL for RUNTIME_DEFAULT and for what a newer runtime may
 * invent. */
const char *stop_signal_name(Cri__Signal signal);
