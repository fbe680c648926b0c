/*
 * The loop: one thread that owns all state. Timers, descriptors, deferred frees and posts from
 * other threads. Everything here is loop-thread only except loop_post(). Built on libevent
 * (event_core). One `now` per turn: read it with loop_now_*(), pass it down, never read the clock
 * mid-decision.
 */
#pragma once

#include "base/base.h"

struct loop;       /* opaque */
struct loop_timer; /* opaque: one-shot timer */
struct loop_io;    /* opaque: readiness of one descriptor */
struct event_base; /* libevent's, for wire/http1 only */

/** Makes a loop. INTERNAL when the kernel refuses epoll or eventfd. The caller owns it. */
MUST_CHECK struct error *loop_new(struct loop **ret_loop);
/** Runs what was deferred, then frees. All timers, ios and signals must have been freed before. */
void loop_free(struct loop *loop);
DEFINE_AUTO(loop, struct loop *, loop_free)

/** Turns until loop_stop(). Logs and counts callbacks that hold it longer than 50 ms (STYLE §2.7).
 */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
/** One turn: runs what is ready, waits at most @wait_ns for something. For tests and shutdown. */
void loop_turn(struct loop *loop, int64_t wait_ns);

int64_t loop_now_wall_ns(const struct loop *loop);
int64_t loop_now_mono_ns(const struct loop *loop);
/** Callbacks that ran longer than 50 ms since the start. */
uint64_t loop_slow_callbacks(const struct loop *loop);
struct event_base *loop_event_base(struct loop *loop);

/** Calls @release(@object) at the end of this turn, outside every callback's stack frame. */
void loop_defer_free(struct loop *loop, void (*release)(void *object), void *object);

/** Calls @run(@ctx) once on the loop, in order of posting. Any thread. Undelivered posts at
 * loop_free() are dropped. */
void loop_post(struct loop *loop, void (*run)(void *ctx), void *ctx);

/* --- timers: one-shot, monotonic, deadlines saturate --- */

/** @name (static) shows in slow-callback logs. Not armed yet. The caller owns it. */
struct loop_timer *loop_timer_new(struct loop *loop, const char *name, void (*on_due)(void *ctx),
                                  void *ctx);
/** Cancels first. NULL is fine; may be called from on_due. */
void loop_timer_free(struct loop_timer *timer);
DEFINE_AUTO(loop_timer, struct loop_timer *, loop_timer_free)
/** Arms for @delay_ns from now (negative: next turn); replaces what was armed. */
void loop_timer_start(struct loop_timer *timer, int64_t delay_ns);
void loop_timer_cancel(struct loop_timer *timer);
bool loop_timer_is_armed(const struct loop_timer *timer);

/* --- descriptors --- */

enum loop_io_events { LOOP_IO_READ = 1, LOOP_IO_WRITE = 2 };

/** Watches @fd (borrowed, open until loop_io_free()), level-triggered. The caller owns it. */
struct loop_io *loop_io_new(struct loop *loop, const char *name, int fd,
                            void (*on_ready)(void *ctx, unsigned events), void *ctx);
void loop_io_free(struct loop_io *io); /* NULL is fine; may be called from on_ready */
DEFINE_AUTO(loop_io, struct loop_io *, loop_io_free)
/** Replaces the set of events (enum loop_io_events) waited for; 0 pauses. */
void loop_io_want(struct loop_io *io, unsigned events);
