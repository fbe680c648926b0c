/*
 * Joins this process's standard streams with a command's channels, up to the command's end.
 * Blocking. The client process only.
 */
#pragma once

#include "base/buf.h"

struct command_session_options {
    int socket;       /* borrowed; the channels' WebSocket, after its handshake */
    struct str early; /* what the agent has said behind the handshake */
    bool has_input;   /* the command listens to standard input */
    bool is_tty;      /* the command has a terminal, of the size of this one */
    bool is_raw;      /* it is this one */
    bool is_redrawn;  /* a program that runs already is made to draw anew by a change of size */
};

/**
 * Returns the exit code of the command through @ret_code, or what went wrong instead, as
 * channel_client_result(). CANCELLED when nobody reads the output any more. The terminal is as
 * before in every case; signals that end a process do so while it is raw, too, when it has been
 * restored.
 */
MUST_CHECK struct error *command_session_run(const struct command_session_options *options,
                                             int *ret_code);
