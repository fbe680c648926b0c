#include "cli/cli_internal.h"
#include "cli/local_client.h"

#include <inttypes.h>

#define TARGET_MAX_BYTES (8 * KiB)
#define DEFAULT_NAMESPACE "default"

static void add_number(struct buf *out, const char *key, int64_t value)
{
    buf_printf(out, "&%s=%" PRId64, key, value);
}

void cli_add_logs_target(const struct cli_options *options, const char *pod, struct buf *out)
{
    buf_add_text(out, "/logs/");
    local_client_add_encoded(out, options->namespace ? options->namespace : DEFAULT_NAMESPACE);
    buf_add_char(out, '/');
    local_client_add_encoded(out, pod);
    buf_add_char(out, '/');
    local_client_add_encoded(out, options->container ? options->container : "-");
    buf_printf(out, "?follow=%s&previous=%s&timestamps=%s", options->follow ? "true" : "false",
               options->previous ? "true" : "false", options->timestamps ? "true" : "false");
    if (options->tail_lines >= 0)
        add_number(out, "tailLines", options->tail_lines);
    if (options->since_seconds > 0)
        add_number(out, "sinceSeconds", options->since_seconds);
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
    Core__PodList *pods = NULL;
    struct error *err = cli_get_pods(options, arena, &pods);
    if (err)
        return err;
    const char *namespace = options->namespace ? options->namespace : DEFAULT_NAMESPACE;
    AUTO(buf) struct buf target;
    buf_init(&target, TARGET_MAX_BYTES);
    cli_add_logs_target(options, cli_full_pod_name(pods, namespace, options->pod), &target);
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
