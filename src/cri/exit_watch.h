/*
 * Noticing that containers exit without asking: a pidfd for each, whose pid the runtime tells in
 * the verbose status of a container. Works with any runtime, event stream or not. Loop thread.
 */
#pragma once

#include "pod/runtime.h"

#include "loop/loop.h"

struct exit_watcher; /* opaque: the table of watched containers */

/** Who is told; the same as runtime_listener.on_changed. May watch and unwatch. */
typedef void exit_watcher_on_exit(void *ctx, const char *pod_uid, const char *container_id);

/** Asks @runtime (borrowed) for statuses. The caller owns the result. */
struct exit_watcher *exit_watcher_new(struct loop *loop, struct pod_runtime *runtime,
                                      exit_watcher_on_exit *on_exit, void *ctx);
void exit_watcher_free(struct exit_watcher *watcher); /* NULL is fine; cancels what is under way */

/**
 * Watches @container_id of @pod_uid (copied): @on_exit is called once, when the runtime's status
 * says that it has exited or that there is no such container, never from inside this. One that is
 * watched already stays so. A container that was not started, or whose runtime tells no pid, is
 * dropped in silence.
 */
void exit_watcher_watch(struct exit_watcher *watcher, const char *pod_uid,
                        const char *container_id);
void exit_watcher_unwatch(struct exit_watcher *watcher, const char *container_id);

/** The runtime is back: asks at once about those it could not tell of. */
void exit_watcher_reconnected(struct exit_watcher *watcher);

/** Containers in the table. */
size_t exit_watcher_count(const struct exit_watcher *watcher);

/** The number under key "pid" of the JSON object @info_json, when it is a process id; else 0. */
int64_t exit_watch_parse_pid(const char *info_json);
