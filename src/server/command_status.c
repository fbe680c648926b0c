#include "server/command_status.h"

#include "pod/go_text.h"
#include "wire/json.h"

#define PROTOCOL_ERROR "error stream protocol error: "
#define EXIT_CODE_MAX 255

static void add_success(struct buf *out)
{
    buf_add_text(out, "{\"metadata\":{},\"status\":\"Success\"}");
}

static void add_exit(struct buf *out, int64_t code)
{
    buf_printf(out,
               "{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with "
               "non-zero exit code: command terminated with exit code %lld\",\"reason\":"
               "\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"ExitCode\",\"message\":"
               "\"%lld\"}]}}",
               (long long)code, (long long)code);
}

void command_status_add_failure(struct buf *out, const char *message)
{
    AUTO(free) char *whole = xasprintf("Internal error occurred: %s", message);
    buf_add_text(out, "{\"metadata\":{},\"status\":\"Failure\",\"message\":");
    go_json_add_string(out, str_from(whole));
    buf_add_text(out, ",\"reason\":\"InternalError\",\"details\":{\"causes\":[{\"message\":");
    go_json_add_string(out, str_from(message));
    buf_add_text(out, "}]},\"code\":500}");
}

/* The exit code of a Status with that reason, or why there is none. */
static const char *exit_code(const struct doc_node *status, struct arena *arena, int64_t *ret)
{
    const struct doc_node *details = doc_get(status, "details");
    const struct doc_node *causes = doc_get(details, "causes");
    if (!details || details->kind != DOC_OBJECT)
        return PROTOCOL_ERROR "details must be set";
    for (size_t i = 0; causes && causes->kind == DOC_ARRAY && i < causes->array.count; i++) {
        const struct doc_node *cause = causes->array.items[i];
        const char *code = doc_get_text(cause, "message");
        if (strcmp(doc_get_text(cause, "reason"), "ExitCode") != 0)
            continue;
        if (!parse_i64(code, 0, EXIT_CODE_MAX, ret))
            return arena_printf(arena, PROTOCOL_ERROR "invalid exit code value %s",
                                go_quote(arena, code));
        return NULL;
    }
    return PROTOCOL_ERROR "no ExitCode cause given";
}

static void add_translated(struct buf *out, const struct doc_node *status, struct arena *arena)
{
    const char *outcome = doc_get_text(status, "status"), *problem = NULL;
    int64_t code = 0;
    if (strcmp(outcome, "Success") == 0) {
        add_success(out);
        return;
    }
    if (strcmp(outcome, "Failure") != 0) {
        problem = PROTOCOL_ERROR "unknown error";
    } else if (strcmp(doc_get_text(status, "reason"), "NonZeroExitCode") == 0) {
        problem = exit_code(status, arena, &code);
        if (!problem) {
            add_exit(out, code);
            return;
        }
    } else {
        problem = doc_get_text(status, "message");
    }
    command_status_add_failure(out, problem);
}

void command_status_add(struct buf *out, struct str said, bool is_status)
{
    static const struct doc_parse_options options = {.max_bytes = COMMAND_STATUS_MAX_BYTES};
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *status = NULL;
    if (said.len == 0) {
        add_success(out);
        return;
    }
    const char *text = arena_strndup(arena, said.ptr, said.len);
    if (!is_status) {
        command_status_add_failure(out,
                                   arena_printf(arena, "error executing remote command: %s", text));
        return;
    }
    AUTO(error) struct error *err = json_parse(said, &options, arena, &status);
    if (err)
        command_status_add_failure(out, arena_printf(arena, PROTOCOL_ERROR "%s in %s", err->message,
                                                     go_quote(arena, text)));
    else
        add_translated(out, status, arena);
}
