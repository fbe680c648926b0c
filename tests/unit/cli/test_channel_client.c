/* The client's side of a command's channels: what it says is read as a server reads it, what it
 * hears is written here. */
#include "cli/channel_client.h"

#include "tests/lib/test.h"

#define MAX_BYTES (1 * MiB)

/* What @bytes say, offered @piece at a time, in one line; pieces of one stream together. */
static void listen_to(struct channel_client *client, struct str bytes, size_t piece,
                      struct buf *out, struct buf *story)
{
    enum channel_event_kind last = CHANNEL_EVENT_NONE;
    for (size_t at = 0; at < bytes.len; at += piece) {
        AUTO(free)
        char *copy =
            str_dup((struct str){.ptr = bytes.ptr + at, .len = min_size(piece, bytes.len - at)});
        struct websocket_input input = {.ptr = copy, .len = min_size(piece, bytes.len - at)};
        struct channel_event event = {.kind = CHANNEL_EVENT_END};
        while (event.kind != CHANNEL_EVENT_NONE) {
            AUTO(error) struct error *err = channel_client_next(client, &input, out, &event);
            if (err) {
                buf_printf(story, "! %s", err->message);
                return;
            }
            if (event.kind == CHANNEL_EVENT_END)
                buf_add_text(story, "|end");
            else if (event.kind != CHANNEL_EVENT_NONE)
                buf_printf(story, "%s%.*s",
                           event.kind == last                   ? ""
                           : event.kind == CHANNEL_EVENT_OUTPUT ? "|out "
                                                                : "|err ",
                           STR_ARG(event.bytes));
            if (event.kind != CHANNEL_EVENT_NONE)
                last = event.kind;
            if (event.kind == CHANNEL_EVENT_END)
                return;
        }
    }
}

struct row {
    const char *name;
    struct str bytes;
    const char *want;
};
#define ROW(name, bytes, want)                                                                     \
    {                                                                                              \
        name, STR_LITERAL(bytes), want                                                             \
    }

TEST_CASE(streams_are_told_apart_however_they_are_cut)
{
    static const struct row rows[] = {
        ROW("output",
            "\x82\x03\x01"
            "ab"
            "\x82\x03\x01"
            "cd",
            "|out abcd"),
        ROW("both",
            "\x82\x02\x01"
            "a"
            "\x82\x02\x02"
            "b"
            "\x82\x02\x01"
            "c",
            "|out a|err b|out c"),
        ROW("the first word is empty",
            "\x82\x01\x01"
            "\x82\x02\x01"
            "a",
            "|out a"),
        ROW("in fragments",
            "\x02\x02\x01"
            "a"
            "\x80\x01"
            "b",
            "|out ab"),
        ROW("an empty message",
            "\x82\x00"
            "\x82\x02\x02"
            "b",
            "|err b"),
        ROW("channels nobody knows",
            "\x82\x02\x07"
            "x"
            "\x82\x02\x01"
            "a",
            "|out a"),
        ROW("its end",
            "\x82\x02\x03{"
            "\x88\x02\x03\xe8",
            "|end"),
        ROW("no such protocol", "HTTP",
            "! the node agent's answer: websocket: a reserved bit is set"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].bytes.len; piece++) {
            AUTO(channel_client) struct channel_client client;
            AUTO(buf) struct buf out, story;
            channel_client_init(&client);
            buf_init(&out, MAX_BYTES);
            buf_init(&story, MAX_BYTES);
            listen_to(&client, rows[i].bytes, piece, &out, &story);
            if (strcmp(buf_text(&story), rows[i].want) != 0)
                fail_msg("%s in %zu: %s", rows[i].name, piece, buf_text(&story));
        }
    }
}

/* What the agent would hear, in one line. */
static void assert_said(struct buf *out, const char *want)
{
    AUTO(buf) struct buf story;
    buf_init(&story, MAX_BYTES);
    struct websocket_parser parser = {0};
    struct websocket_input input = {.ptr = out->data, .len = out->len};
    struct websocket_event event = {.kind = WEBSOCKET_EVENT_PONG};
    while (event.kind != WEBSOCKET_EVENT_NONE) {
        assert_no_error(websocket_next(&parser, &input, &event));
        if (event.kind == WEBSOCKET_EVENT_PIECE) {
            assert_true(event.is_first && event.is_last && !event.is_text && event.bytes.len > 0);
            buf_printf(&story, "%u:", (unsigned)(unsigned char)event.bytes.ptr[0]);
            for (size_t i = 1; i < event.bytes.len; i++)
                buf_printf(&story, event.bytes.ptr[i] == 0 ? "\\0" : "%c", event.bytes.ptr[i]);
            buf_add_char(&story, ';');
        } else if (event.kind == WEBSOCKET_EVENT_PONG) {
            buf_printf(&story, "pong %.*s;", STR_ARG(event.bytes));
        } else if (event.kind == WEBSOCKET_EVENT_CLOSE) {
            buf_printf(&story, "close %u;", event.status);
        }
    }
    assert_string_equal(buf_text(&story), want);
    buf_clear(out);
}

TEST_CASE(what_is_said_is_on_its_channel)
{
    AUTO(buf) struct buf out, story;
    buf_init(&out, MAX_BYTES);
    buf_init(&story, MAX_BYTES);
    channel_client_add_size(&out, (struct terminal_size){.columns = 101, .rows = 33});
    channel_client_add_input(&out, STR_LITERAL("ls\n"));
    channel_client_add_input(&out, STR_LITERAL("\0x"));
    channel_client_end_input(&out);
    assert_said(&out, "4:{\"Width\":101,\"Height\":33};0:ls\n;0:\\0x;255:\\0;");

    AUTO(channel_client) struct channel_client client;
    channel_client_init(&client);
    listen_to(&client,
              STR_LITERAL("\x89\x02hi\x82\x02\x01"
                          "a\x88\x02\x03\xe8"),
              64, &out, &story);
    assert_string_equal(buf_text(&story), "|out a|end");
    assert_said(&out, "pong hi;close 1000;");
}

#define EXIT(code)                                                                                 \
    "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"message\":\"it ended with " code     \
    "\",\"details\":{\"causes\":[{\"reason\":\"Other\",\"message\":\"1\"},{\"reason\":"            \
    "\"ExitCode\",\"message\":\"" code "\"}]}}"

TEST_CASE(the_end_of_a_command_is_its_code_or_an_error)
{
    static const struct {
        const char *status;
        int code;
        const char *err;
    } rows[] = {
        {"{\"metadata\":{},\"status\":\"Success\"}", 0, NULL},
        {EXIT("3"), 3, NULL},
        {EXIT("255"), 255, NULL},
        {EXIT("256"), 0, "it ended with 256"},
        {"{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"no shell\"}", 0,
         "no shell"},
        {"{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"message\":\"no details\"}", 0,
         "no details"},
        {"", 0, "the connection to the node agent ended before the command did"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(channel_client) struct channel_client client;
        AUTO(buf) struct buf out, bytes, story;
        int code = 0;
        channel_client_init(&client);
        buf_init(&out, MAX_BYTES);
        buf_init(&bytes, MAX_BYTES);
        buf_init(&story, MAX_BYTES);
        websocket_add_head(&bytes, WEBSOCKET_BINARY, strlen(rows[i].status) + 1);
        buf_add_char(&bytes, 3);
        buf_add_text(&bytes, rows[i].status);
        listen_to(&client, buf_str(&bytes), 7, &out, &story);
        AUTO(error) struct error *err = channel_client_result(&client, &code);
        if (rows[i].err) {
            assert_non_null(err);
            assert_string_equal(err->message, rows[i].err);
        } else {
            assert_no_error(TAKE(err));
            assert_int_equal(code, rows[i].code);
        }
    }
}

TEST_MAIN(TEST(streams_are_told_apart_however_they_are_cut), TEST(what_is_said_is_on_its_channel),
          TEST(the_end_of_a_command_is_its_code_or_an_error))
