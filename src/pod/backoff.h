/*
 * Crash-loop back-off: how long a container that keeps exiting waits before its next start. The
 * first restart is immediate, then 10 s, doubling to 5 min, starting over once a run has outlived
 * ten minutes (spec pods.md §5.7). Bookkeeping only: no clock, no I/O, no logging. Loop thread.
 * Times are wall-clock nanoseconds.
 */
#pragma once

#include "base/base.h"

struct backoff; /* opaque: one table per node */

/* pkg/kubelet/kubelet.go: MaxCrashLoopBackOff, backOffPeriod; flowcontrol/backoff.go: 2 x 300 s,
 * not derived. */
#define BACKOFF_INITIAL_NS (10 * NS_PER_SEC)
#define BACKOFF_MAX_NS (300 * NS_PER_SEC)
#define BACKOFF_RESET_NS (600 * NS_PER_SEC)

struct backoff_policy {
    int64_t initial_ns; /* wait after the first restart, > 0; lowered to max_ns when above it */
    int64_t max_ns;     /* ceiling */
    int64_t reset_ns;   /* a run this long proves the container healthy */
    size_t max_entries; /* containers tracked at once */
};

/** Makes an empty table with a copy of @policy; the caller owns it. Never fails. */
struct backoff *backoff_new(const struct backoff_policy *policy);
void backoff_free(struct backoff *table); /* NULL is fine */
DEFINE_AUTO(backoff, struct backoff *, backoff_free)

/**
 * Returns how long @key (borrowed), whose last run ended at @ended_ns, must still wait at @now_ns.
 * 0 means it may start now. Changes nothing.
 */
int64_t backoff_remaining(const struct backoff *table, const char *key, int64_t ended_ns,
                          int64_t now_ns);

/** The whole wait that applies to @key after its last restart; 0 for an unknown key. For messages.
 */
int64_t backoff_wait(const struct backoff *table, const char *key);

/**
 * Notes that @key (copied) starts again at @now_ns: its wait doubles up to the ceiling, or begins
 * anew when the last run outlived the reset time. Error RESOURCE_EXHAUSTED: the table is full,
 * nothing changed.
 */
MUST_CHECK struct error *backoff_note_restart(struct backoff *table, const char *key,
                                              int64_t ended_ns, int64_t now_ns);

/** Restores an entry after a restart of the agent: @key waits @wait_ns after a restart at
 * @restarted_ns. */
void backoff_restore(struct backoff *table, const char *key, int64_t wait_ns, int64_t restarted_ns);
/** Reads one entry back; false when @key is unknown. */
bool backoff_get(const struct backoff *table, const char *key, int64_t *ret_wait_ns,
                 int64_t *ret_restarted_ns);

/** Forgets what has not restarted within the reset time; @on_forgotten (NULL: nobody) is told each
 * key, borrowed for the call. */
void backoff_prune(struct backoff *table, int64_t now_ns,
                   void (*on_forgotten)(void *ctx, const char *key), void *ctx);
