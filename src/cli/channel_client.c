#include "cli/channel_client.h"

#include "base/arena.h"
#include "wire/channels.h"
#include "wire/json.h"

#define STATUS_MAX_BYTES (1 * MiB)
#define EXIT_CODE_MAX 255

void channel_client_init(struct channel_client *client)
{
    *client = (struct channel_client){.parser.is_client = true};
    buf_init(&client->status, STATUS_MAX_BYTES);
}

void channel_client_done(struct channel_client *client)
{
    buf_done(&client->status);
}

/* --- what is said --- */

static void add_message(struct buf *out, enum channel channel, struct str bytes)
{
    websocket_add_client_head(out, WEBSOCKET_BINARY, bytes.len + 1);
    buf_add_char(out, (char)channel);
    buf_add_str(out, bytes);
}

void channel_client_add_input(struct buf *out, struct str bytes)
{
    add_message(out, CHANNEL_STDIN, bytes);
}

void channel_client_end_input(struct buf *out)
{
    const char closed = CHANNEL_STDIN;
    add_message(out, CHANNEL_CLOSE, (struct str){.ptr = &closed, .len = 1});
}

void channel_client_add_size(struct buf *out, struct terminal_size size)
{
    AUTO(free)
    char *text =
        xasprintf("{\"Width\":%u,\"Height\":%u}", (unsigned)size.columns, (unsigned)size.rows);
    add_message(out, CHANNEL_RESIZE, str_from(text));
}

static void add_control(struct buf *out, enum websocket_opcode opcode, struct str bytes)
{
    websocket_add_client_head(out, opcode, bytes.len);
    buf_add_str(out, bytes);
}

/* --- what is heard --- */

/* A piece of a message: its first byte says what the rest is about. */
static struct channel_event take_piece(struct channel_client *client,
                                       const struct websocket_event *event)
{
    struct str bytes = event->bytes;
    if (!client->has_channel && bytes.len > 0) {
        client->has_channel = true;
        client->channel = (unsigned char)bytes.ptr[0];
        bytes = (struct str){.ptr = bytes.ptr + 1, .len = bytes.len - 1};
    }
    bool is_about = client->has_channel && bytes.len > 0;
    if (event->is_last)
        client->has_channel = false;
    if (is_about && client->channel == CHANNEL_STDOUT)
        return (struct channel_event){.kind = CHANNEL_EVENT_OUTPUT, .bytes = bytes};
    if (is_about && client->channel == CHANNEL_STDERR)
        return (struct channel_event){.kind = CHANNEL_EVENT_ERRORS, .bytes = bytes};
    if (is_about && client->channel == CHANNEL_STATUS)
        buf_add_str(&client->status, bytes);
    return (struct channel_event){.kind = CHANNEL_EVENT_NONE};
}

static struct channel_event take(struct channel_client *client, const struct websocket_event *event,
                                 struct buf *out)
{
    static const char goodbye[] = {(char)(WEBSOCKET_NORMAL >> 8), (char)(WEBSOCKET_NORMAL & 0xff)};
    switch (event->kind) {
    case WEBSOCKET_EVENT_NONE:
    case WEBSOCKET_EVENT_PONG:
        break;
    case WEBSOCKET_EVENT_PIECE:
        return take_piece(client, event);
    case WEBSOCKET_EVENT_PING:
        add_control(out, WEBSOCKET_PONG, event->bytes);
        break;
    case WEBSOCKET_EVENT_CLOSE:
        add_control(out, WEBSOCKET_CLOSE, (struct str){.ptr = goodbye, .len = sizeof(goodbye)});
        return (struct channel_event){.kind = CHANNEL_EVENT_END};
    }
    return (struct channel_event){.kind = CHANNEL_EVENT_NONE};
}

struct error *channel_client_next(struct channel_client *client, struct websocket_input *input,
                                  struct buf *out, struct channel_event *ret)
{
    struct channel_event found = {.kind = CHANNEL_EVENT_NONE};
    struct websocket_event event = {.kind = WEBSOCKET_EVENT_PONG};
    while (found.kind == CHANNEL_EVENT_NONE && event.kind != WEBSOCKET_EVENT_NONE) {
        struct error *err = websocket_next(&client->parser, input, &event);
        if (err)
            return error_wrap(err, "the node agent's answer");
        found = take(client, &event, out);
    }
    *ret = found;
    return NULL;
}

/* --- the end --- */

/* The exit code among the causes of a failure. */
static bool find_exit_code(const struct doc_node *status, int64_t *ret)
{
    const struct doc_node *causes = doc_get(doc_get(status, "details"), "causes");
    for (size_t i = 0; causes && causes->kind == DOC_ARRAY && i < causes->array.count; i++) {
        const struct doc_node *cause = causes->array.items[i];
        if (strcmp(doc_get_text(cause, "reason"), "ExitCode") == 0)
            return parse_i64(doc_get_text(cause, "message"), 0, EXIT_CODE_MAX, ret);
    }
    return false;
}

struct error *channel_client_result(const struct channel_client *client, int *ret_code)
{
    if (client->status.len == 0)
        return error_new(ERROR_UNAVAILABLE,
                         "the connection to the node agent ended before the command did");
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_parse_options options = {.max_bytes = STATUS_MAX_BYTES};
    const struct doc_node *status = NULL;
    struct error *err = json_parse(buf_str(&client->status), &options, arena, &status);
    if (err)
        return error_wrap(err, "how the command ended");
    int64_t code = 0;
    if (strcmp(doc_get_text(status, "status"), "Success") != 0 &&
        (strcmp(doc_get_text(status, "reason"), "NonZeroExitCode") != 0 ||
         !find_exit_code(status, &code)))
        return error_new(ERROR_INTERNAL, "%s", doc_get_text(status, "message"));
    *ret_code = (int)code;
    return NULL;
}
