/*
 * How a command's end is told (spec server.md §2.7): the JSON Status that the runtime writes to the
 * error stream, and the one that a client gets. Pure. Any thread.
 */
#pragma once

#include "base/buf.h"

#define COMMAND_STATUS_MAX_BYTES (64 * KiB) /* a longer one is not read */
/* What it may become: its text stands there twice, each byte escaped as six. */
#define COMMAND_STATUS_ANSWER_MAX_BYTES (13 * COMMAND_STATUS_MAX_BYTES)

/**
 * Appends the Status for the client. @said is what the runtime wrote: a Status if @is_status, else
 * (before v4.channel.k8s.io) a text about a failure; empty is success.
 */
void command_status_add(struct buf *out, struct str said, bool is_status);
/** Appends the one for a failure of ours. */
void command_status_add_failure(struct buf *out, const char *message);
