#include "base/fd.h"
#include "cli/cli_internal.h"
#include "cli/command_session.h"
#include "cli/local_client.h"
#include "wire/channels.h"
#include "wire/http.h"

#include <stdio.h>
#include <unistd.h>

#define EARLY_MAX_BYTES (64 * KiB)

/* --- what is asked for --- */

void cli_add_exec_target(const struct cli_options *options, const struct pod_target *target,
                         const struct exec_switches *switches, struct buf *out)
{
    const char *const segments[] = {options->command == CLI_ATTACH ? "attach" : "exec",
                                    target->namespace, target->name, target->container};
    for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
        buf_add_char(out, '/');
        local_client_add_encoded(out, segments[i]);
    }
    buf_printf(out, "?output=1&error=%d&input=%d&tty=%d", !switches->tty, switches->input,
               switches->tty);
    for (size_t i = 0; i < options->word_count; i++) {
        buf_add_text(out, "&command=");
        local_client_add_encoded(out, options->words[i]);
    }
}

/* A terminal without input would be one that nobody can use. */
static struct exec_switches for_exec(const struct cli_options *options)
{
    struct exec_switches switches = {.input = options->input,
                                     .tty = options->tty && options->input};
    if (switches.tty && !isatty(STDIN_FILENO)) {
        (void)fprintf(stderr, "Unable to use a TTY: standard input is no terminal\n");
        switches.tty = false;
    }
    return switches;
}

/* What runs has a terminal and listens, or not, whatever is wished. */
static struct exec_switches for_attach(const struct cli_options *options,
                                       const struct pod_target *target)
{
    if (options->input && !target->has_input)
        (void)fprintf(stderr, "Unable to use standard input: container %s has none\n",
                      target->container);
    if (options->tty && !target->has_tty)
        (void)fprintf(stderr, "Unable to use a TTY: container %s has none\n", target->container);
    return (struct exec_switches){.input = options->input && target->has_input,
                                  .tty = target->has_tty};
}

/* --- joining --- */

static struct error *join(const struct cli_options *options, const struct exec_switches *switches,
                          const char *request, int *ret_code)
{
    AUTO(buf) struct buf early;
    buf_init(&early, EARLY_MAX_BYTES);
    AUTO(fd) int fd = -1;
    struct error *err =
        local_client_upgrade(options->socket_path, request, CHANNELS_PROTOCOL, &fd, &early);
    if (err)
        return err;
    bool is_attach = options->command == CLI_ATTACH;
    bool is_interactive = switches->tty && switches->input && isatty(STDIN_FILENO);
    if (is_attach && is_interactive)
        (void)fprintf(stderr, "If you see no prompt, press enter.\n");
    const struct command_session_options session = {.socket = fd,
                                                    .early = buf_str(&early),
                                                    .has_input = switches->input,
                                                    .is_tty = switches->tty,
                                                    .is_raw = is_interactive,
                                                    .is_redrawn = is_attach};
    err = command_session_run(&session, ret_code);
    if (!err && *ret_code != 0)
        (void)fprintf(stderr, "command terminated with exit code %d\n", *ret_code);
    return err;
}

struct error *cmd_exec(const struct cli_options *options, int *ret_code)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_target target;
    struct error *err = cli_find_container(options, arena, &target);
    if (!err)
        err = pod_target_check_running(&target);
    if (err)
        return err;
    struct exec_switches switches =
        options->command == CLI_ATTACH ? for_attach(options, &target) : for_exec(options);
    AUTO(buf) struct buf request;
    buf_init(&request, HTTP_TARGET_MAX_BYTES);
    cli_add_exec_target(options, &target, &switches, &request);
    err = buf_error(&request, "the command");
    return err ? err : join(options, &switches, buf_text(&request), ret_code);
}
