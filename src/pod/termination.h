/*
 * The termination message of a container that has exited (spec pods.md §8.6): the tail of its
 * message file, or of its log. Reading happens on a worker. Inside the pod room only; loop thread.
 */
#pragma once

#include "base/buf.h"
#include "pod/op.h"

/* pkg/kubelet/container/runtime.go */
#define TERMINATION_FILE_MAX_BYTES 4096
#define TERMINATION_LOG_MAX_BYTES 2048
#define TERMINATION_LOG_MAX_LINES 80

/**
 * When @instance has exited and its message was not read yet, starts a job of @op that reads it and
 * returns true: the next advance() must call termination_finish(). False: nothing to do.
 */
bool termination_start(struct pod_op *op, struct container_observed *instance);
/** Stores what the job of @op read in instance @id (which may be gone by now). */
void termination_finish(struct pod_op *op, const char *id);

/**
 * The last lines of a CRI log text, at most the constants above, without time stamps: what
 * "FallbackToLogsOnError" shows. Pure; appends to @out.
 */
void termination_tail_of_log(struct str text, struct buf *out);
