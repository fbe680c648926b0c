/* The command line of the client subcommands. Pure: reads argv, prints nothing. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

#define CLI_DEFAULT_SOCKET "/run/cubelet/cubelet.sock"

enum cli_command {
    CLI_PODS,
    CLI_STATUS,
    CLI_LOGS,
    CLI_EVENTS,
    CLI_EXEC,
    CLI_ATTACH,
    CLI_TOP,
    CLI_WHY,
    CLI_HELP,
};
#define CLI_COMMAND_COUNT (CLI_HELP + 1)

/** Texts are argv's own; NULL when not given. */
struct cli_options {
    enum cli_command command;
    const char *socket_path; /* never NULL */
    const char *namespace;
    const char *output;
    const char *container;
    const char *pod;          /* the one argument that is no option */
    const char *since_time;   /* RFC 3339 */
    const char *sort_by;      /* "cpu", "memory" */
    const char *const *words; /* of the command of exec */
    size_t word_count;
    bool all_namespaces, watch, follow, previous, timestamps, help;
    bool input, tty;          /* exec, attach */
    bool containers, is_node; /* top */
    int64_t tail_lines;       /* -1: all */
    int64_t since_seconds;    /* 0: all */
    int64_t limit_bytes;      /* 0: all */
};

/** The command named @word. False when there is none. */
bool cli_find_command(const char *word, enum cli_command *ret);

/**
 * Reads argv[1] (a command, see cli_find_command()) and what follows. Options may come before and
 * after the argument, as
 * `--x=y`, `--x y`, `-xy`, `-x y`; "--" ends them, and for exec begins the command.
 * INVALID_ARGUMENT tells what is wrong.
 */
MUST_CHECK struct error *cli_parse(int argc, const char *const *argv, struct cli_options *ret);

/** Appends the help of @command; of all commands for CLI_HELP. */
void cli_add_help(enum cli_command command, struct buf *out);
