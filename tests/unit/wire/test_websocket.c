#include "wire/websocket.h"

#include "tests/lib/test.h"

#define HELLO "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" /* RFC 6455 §5.7 */
#define MASK "\0\0\0\0"
#define MAX_BYTES (256 * KiB)

/* What comes of @bytes, offered @piece at a time, in one line; pieces of a message together. */
static void events_of(struct str bytes, size_t piece, bool is_client, struct buf *out)
{
    static const char *const names[] = {"none", "piece", "ping", "pong", "close"};
    struct websocket_parser parser = {.is_client = is_client};
    AUTO(free) char *copy = xcalloc(1, bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    struct websocket_input input = {.ptr = copy};
    for (size_t offered = 0; offered < bytes.len;) {
        size_t more = min_size(piece, bytes.len - offered);
        offered += more;
        input.len += more;
        struct websocket_event event = {.kind = WEBSOCKET_EVENT_PING};
        while (event.kind != WEBSOCKET_EVENT_NONE) {
            AUTO(error) struct error *err = websocket_next(&parser, &input, &event);
            if (err) {
                buf_printf(out, "! %s", err->message);
                return;
            }
            if (event.kind == WEBSOCKET_EVENT_CLOSE)
                buf_printf(out, "close %u;", event.status);
            else if (event.kind == WEBSOCKET_EVENT_PIECE)
                buf_printf(out, "%s%.*s%s",
                           event.is_first ? event.is_text ? "text " : "binary " : "",
                           STR_ARG(event.bytes), event.is_last ? ";" : "");
            else if (event.kind != WEBSOCKET_EVENT_NONE)
                buf_printf(out, "%s %.*s;", names[event.kind], STR_ARG(event.bytes));
        }
        assert_int_equal(input.len, 0);
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

static const struct row rows[] = {
    ROW("text", HELLO, "text Hello;"),
    ROW("two", HELLO HELLO, "text Hello;text Hello;"),
    ROW("binary", "\x82\x81\x01\x02\x03\x04\x60", "binary a;"),
    ROW("mask goes round",
        "\x82\x86\x01\x02\x03\x04"
        "`````"
        "`",
        "binary abcdab;"),
    ROW("empty", "\x82\x80" MASK, "binary ;"),
    ROW("fragments", "\x02\x82" MASK "ab\x00\x80" MASK "\x00\x81" MASK "c\x80\x81" MASK "d",
        "binary abcd;"),
    ROW("empty end", "\x02\x81" MASK "a\x80\x80" MASK, "binary a;"),
    ROW("empty start", "\x02\x80" MASK "\x80\x81" MASK "a", "binary a;"),
    ROW("nothing in pieces", "\x02\x80" MASK "\x80\x80" MASK, "binary ;"),
    ROW("16 bits of length", "\x82\xfe\x00\x03" MASK "abc", "binary abc;"),
    ROW("64 bits of length", "\x82\xff\0\0\0\0\0\0\0\x03" MASK "abc", "binary abc;"),
    ROW("ping", "\x89\x82" MASK "hi", "ping hi;"),
    ROW("empty ping", "\x89\x80" MASK, "ping ;"),
    ROW("pong", "\x8a\x81" MASK "x", "pong x;"),
    ROW("ping inside of a message", "\x02\x81" MASK "a\x89\x81" MASK "!\x80\x81" MASK "b",
        "binary aping !;b;"),
    ROW("close", "\x88\x82" MASK "\x03\xe8", "close 1000;"),
    ROW("close with a reason",
        "\x88\x85" MASK "\x0f\xa0"
        "bye",
        "close 4000;"),
    ROW("close without a status", "\x88\x80" MASK, "close 0;"),
    ROW("after a close", "\x88\x80" MASK HELLO, "close 0;"),
    ROW("not whole", "\x82\x83" MASK "ab", "binary ab"),
    ROW("unmasked",
        "\x82\x01"
        "a",
        "! websocket: a client must mask its frames"),
    ROW("reserved bit", "\xc2\x81" MASK "a", "! websocket: a reserved bit is set"),
    ROW("reserved kind", "\x83\x80" MASK, "! websocket: an unknown kind of frame"),
    ROW("reserved control", "\x8b\x80" MASK, "! websocket: an unknown kind of frame"),
    ROW("control in pieces", "\x09\x80" MASK,
        "! websocket: a control frame is in pieces or too long"),
    ROW("long control", "\x89\xfe\x00\x7e" MASK,
        "! websocket: a control frame is in pieces or too long"),
    ROW("continuation first", "\x80\x80" MASK, "! websocket: a continuation of nothing"),
    ROW("continuation after", HELLO "\x80\x80" MASK,
        "text Hello;! websocket: a continuation of nothing"),
    ROW("message inside", "\x02\x80" MASK "\x82\x80" MASK,
        "! websocket: a message within a message"),
    ROW("too long", "\x82\xff\x80\0\0\0\0\0\0\0" MASK, "! websocket: a frame is too long"),
    ROW("half a status", "\x88\x81" MASK "\x03", "! websocket: a close with half a status"),
    ROW("no status", "\x88\x82" MASK "\x03\xed", "! websocket: a close with an impossible status"),
    ROW("low status", "\x88\x82" MASK "\x00\x01", "! websocket: a close with an impossible status"),
};

static void assert_row(const struct row *row, bool is_client)
{
    for (size_t piece = 1; piece <= row->bytes.len; piece++) {
        AUTO(buf) struct buf out;
        buf_init(&out, MAX_BYTES);
        events_of(row->bytes, piece, is_client, &out);
        if (strcmp(buf_text(&out), row->want) != 0)
            fail_msg("%s in %zu: %s", row->name, piece, buf_text(&out));
    }
}

TEST_CASE(frames_become_messages_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_row(&rows[i], false);
}

TEST_CASE(a_client_hears_frames_without_masks)
{
    static const struct row heard[] = {
        ROW("text", "\x81\x05Hello", "text Hello;"),
        ROW("binary",
            "\x82\x03"
            "abc"
            "\x82\x00",
            "binary abc;binary ;"),
        ROW("fragments",
            "\x02\x02"
            "ab"
            "\x80\x01"
            "c",
            "binary abc;"),
        ROW("16 bits of length",
            "\x82\x7e\x00\x03"
            "abc",
            "binary abc;"),
        ROW("64 bits of length",
            "\x82\x7f\0\0\0\0\0\0\0\x03"
            "abc",
            "binary abc;"),
        ROW("ping", "\x89\x02hi", "ping hi;"),
        ROW("close", "\x88\x02\x03\xe8", "close 1000;"),
        ROW("masked", "\x82\x81" MASK "a", "! websocket: a server must not mask its frames"),
    };
    for (size_t i = 0; i < ARRAY_SIZE(heard); i++)
        assert_row(&heard[i], true);
}

TEST_CASE(what_a_client_writes_a_server_reads)
{
    static const size_t lengths[] = {0, 1, 125, 126, 65535, 65536};
    for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
        AUTO(buf) struct buf out, want, have;
        buf_init(&out, MAX_BYTES);
        buf_init(&want, MAX_BYTES);
        buf_init(&have, MAX_BYTES);
        websocket_add_client_head(&out, WEBSOCKET_BINARY, lengths[i]);
        buf_add_text(&want, "binary ");
        for (size_t k = 0; k < lengths[i]; k++) {
            buf_add_char(&out, (char)('a' + k % 26));
            buf_add_char(&want, (char)('a' + k % 26));
        }
        buf_add_char(&want, ';');
        events_of(buf_str(&out), out.len, false, &have);
        assert_string_equal(buf_text(&have), buf_text(&want));
    }
}

TEST_CASE(what_is_written_has_the_shortest_head)
{
    static const struct {
        size_t len;
        struct str head;
    } heads[] = {
        {0, STR_LITERAL("\x82\x00")},
        {125, STR_LITERAL("\x82\x7d")},
        {126, STR_LITERAL("\x82\x7e\x00\x7e")},
        {65535, STR_LITERAL("\x82\x7e\xff\xff")},
        {65536, STR_LITERAL("\x82\x7f\0\0\0\0\0\x01\0\0")},
    };
    for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
        AUTO(buf) struct buf out;
        buf_init(&out, MAX_BYTES);
        websocket_add_head(&out, WEBSOCKET_BINARY, heads[i].len);
        assert_int_equal(out.len, heads[i].head.len);
        assert_memory_equal(out.data, heads[i].head.ptr, out.len);
    }
    AUTO(buf) struct buf out;
    buf_init(&out, MAX_BYTES);
    websocket_add_frame(&out, WEBSOCKET_PONG, STR_LITERAL("hi"));
    websocket_add_close(&out, WEBSOCKET_NORMAL);
    assert_true(str_eq(buf_str(&out), STR_LITERAL("\x8a\x02hi\x88\x02\x03\xe8")));
}

TEST_CASE(the_protocol_is_asked_for_with_two_fields)
{
    static const struct {
        const char *upgrade, *connection;
        bool want;
    } cases[] = {
        {"websocket", "Upgrade", true}, {"WebSocket", "keep-alive, upgrade", true},
        {"SPDY/3.1", "Upgrade", false}, {"websocket", "keep-alive", false},
        {"websocket", NULL, false},     {NULL, "Upgrade", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_field items[2];
        struct http_fields fields = {.items = items};
        if (cases[i].upgrade)
            items[fields.count++] = (struct http_field){"upgrade", cases[i].upgrade};
        if (cases[i].connection)
            items[fields.count++] = (struct http_field){"connection", cases[i].connection};
        assert_int_equal(websocket_is_asked_for(&fields), cases[i].want);
    }
}

TEST_CASE(a_handshake_has_a_version_and_a_key)
{
    static const struct {
        const char *version, *key, *error;
    } cases[] = {
        {"13", "dGhlIHNhbXBsZSBub25jZQ==", NULL},
        {"8", "dGhlIHNhbXBsZSBub25jZQ==", "missing or bad WebSocket version: only 13 is spoken"},
        {NULL, "dGhlIHNhbXBsZSBub25jZQ==", "missing or bad WebSocket version: only 13 is spoken"},
        {"13", NULL, "missing or bad Sec-WebSocket-Key"},
        {"13", "", "missing or bad Sec-WebSocket-Key"},
        {"13", "dGhlIHNhbXBsZSBub25jZQ", "missing or bad Sec-WebSocket-Key"},
        {"13", "dGhlIHNhbXBsZSBub25jZTEy", "missing or bad Sec-WebSocket-Key"},
        {"13", "dGhlIHNhbXBsZSBub25jZ===", "missing or bad Sec-WebSocket-Key"},
        {"13", "dGhlIHNhbXBsZ\tBub25jZQ==", "missing or bad Sec-WebSocket-Key"},
        {"13",
         "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==", "missing or bad Sec-WebSocket-Key"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_field items[2];
        struct http_fields fields = {.items = items};
        if (cases[i].version)
            items[fields.count++] = (struct http_field){"sec-websocket-version", cases[i].version};
        if (cases[i].key)
            items[fields.count++] = (struct http_field){"sec-websocket-key", cases[i].key};
        const char *key = NULL;
        struct error *err = websocket_check_request(&fields, &key);
        if (cases[i].error) {
            assert_error_message(err, cases[i].error);
            continue;
        }
        assert_no_error(err);
        assert_string_equal(key, cases[i].key);
    }
}

/* As recorded/http/errors.txt has it. */
TEST_CASE(the_answer_to_a_handshake_is_a_kubelet_s)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MAX_BYTES);
    websocket_add_agreement(&out, "dGhlIHNhbXBsZSBub25jZQ==", "v5.channel.k8s.io");
    assert_string_equal(buf_text(&out), "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                        "Connection: Upgrade\r\n"
                                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                        "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n");
}

TEST_MAIN(TEST(frames_become_messages_however_they_are_cut),
          TEST(a_client_hears_frames_without_masks), TEST(what_a_client_writes_a_server_reads),
          TEST(what_is_written_has_the_shortest_head),
          TEST(the_protocol_is_asked_for_with_two_fields),
          TEST(a_handshake_has_a_version_and_a_key), TEST(the_answer_to_a_handshake_is_a_kubelet_s))
