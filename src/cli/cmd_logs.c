#include "cli/cli_internal.h"
#include "cli/local_client.h"

#include <inttypes.h>

#define TARGET_MAX_BYTES (8 * KiB)

static void add_number(struct buf *out, const char *key, int64_t value)
{
    buf_printf(out, "&%s=%" PRId64, key, value);
}

void cli_add_logs_target(const struct cli_options *options, const struct pod_target *target,
                         struct buf *out)
{
    buf_add_text(out, "/logs/");
    local_client_add_encoded(out, target->namespace);
    buf_add_char(out, '/');
    local_client_add_encoded(out, target->name);
    buf_add_char(out, '/');
    local_client_add_encoded(out, target->container);
    buf_printf(out, "?follow=%s&previous=%s&timestamps=%s", options->follow ? "true" : "false",
               options->previous ? "true" : "false", options->timestamps ? "true" : "false");
    if (options->tail_lines >= 0)
        add_number(out, "tailLines", options->tail_lines);
    if (options->since_seconds > 0)
        add_number(out, "sinceSeconds", options->since_seconds);
    if (options->since_time) {
        buf_add_text(out, "&sinceTime=");
        local_client_add_encoded(out, options->since_time);
    }
    if (options->limit_bytes > 0)
        add_number(out, "limitBytes", options->limit_bytes);
}

static bool print_piece(void *ctx, struct str piece)
{
    struct error **ret_err = ctx;
    *ret_err = cli_print(piece);
    return !*ret_err;
}

struct error *cmd_logs(const struct cli_options *options)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct pod_target pod;
    struct error *err = cli_find_container(options, arena, &pod);
    if (err)
        return err;
    AUTO(buf) struct buf target;
    buf_init(&target, TARGET_MAX_BYTES);
    cli_add_logs_target(options, &pod, &target);
    err = buf_error(&target, "the request");
    if (err)
        return err;
    struct error *print_err = NULL;
    err = local_client_stream(options->socket_path, buf_text(&target), print_piece, &print_err);
    if (print_err) {
        error_free(err);
        return print_err;
    }
    return err;
}
