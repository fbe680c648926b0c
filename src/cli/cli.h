/*
 * The client subcommands: cubelet pods, status, logs, events, exec, attach, top. Thin, blocking
 * clients of a running agent's local socket; they run in a process of their own and touch nothing
 * but that socket and the standard streams.
 */
#pragma once

#include "base/base.h"

/** True when @word (argv[1]; NULL is fine) names a client subcommand, or is help. */
bool cli_is_command(const char *word);

/** Runs argv[1] with its arguments. Returns the exit code: 0, 1 after an error, 2 for wrong usage;
 * of exec and attach, that of the command. */
int cli_run(int argc, const char *const *argv);
