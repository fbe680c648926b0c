#include "wire/spdy.h"

#include "tests/lib/test.h"

#include <zlib.h>

#define MAX_BYTES (1 * MiB)

/* Made with Python's zlib and the dictionary of tests/lib/stream_wire.py: `streamtype: error` and
 * `x` with the two values 1 and 2; then a reply with no headers, the last on its stream. */
#define SYN_STREAM_1                                                                               \
    "\x80\x03\x00\x01\x00\x00\x00\x30\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x78\xbb\xe3\xc6\xa7" \
    "\xc2\x02\xe5\x0e\x70\x3a\x2b\x29\x4a\x4d\xcc\x85\x16\x25\xac\xa9\xa0\x80\x06\x32\x18\x2b\x40" \
    "\x89\xd2\x90\xc1\x08\x00\x00\x00\xff\xff"
#define SYN_REPLY_1                                                                                \
    "\x80\x03\x00\x02\x01\x00\x00\x0d\x00\x00\x00\x01\x02\x52\x0c\x00\x00\x00\x00\xff\xff"

static void note(const struct spdy_event *event, struct buf *out)
{
    switch (event->frame) {
    case SPDY_NONE:
        return;
    case SPDY_SYN_STREAM:
        buf_add_text(out, "syn");
        break;
    case SPDY_SYN_REPLY:
        buf_add_text(out, "reply");
        break;
    case SPDY_RST_STREAM:
        buf_printf(out, "rst(%u)", event->value);
        break;
    case SPDY_SETTINGS:
        buf_add_text(out, "settings");
        break;
    case SPDY_PING:
        buf_printf(out, "ping(%u)", event->value);
        break;
    case SPDY_GOAWAY:
        buf_printf(out, "goaway(%u)", event->value);
        break;
    case SPDY_HEADERS:
        buf_add_text(out, "headers");
        break;
    case SPDY_WINDOW_UPDATE:
        buf_printf(out, "window(%u)", event->value);
        break;
    case SPDY_DATA:
        buf_printf(out, "%.*s%s", STR_ARG(event->bytes), event->is_last ? "$" : "");
        return;
    }
    buf_printf(out, " %u%s", event->stream, event->is_last ? "$" : "");
    for (size_t i = 0; i < event->fields.count; i++)
        buf_printf(out, " %s=%s", event->fields.items[i].name, event->fields.items[i].value);
    buf_add_char(out, ';');
}

/* What comes of @bytes, offered @piece at a time. */
static void events_of(struct str bytes, size_t piece, struct buf *out)
{
    AUTO(spdy) struct spdy *spdy = spdy_new();
    struct str input = {.ptr = bytes.ptr};
    for (size_t offered = 0; offered < bytes.len;) {
        size_t more = min_size(piece, bytes.len - offered);
        offered += more;
        input.len += more;
        struct spdy_event event = {.frame = SPDY_PING};
        while (event.frame != SPDY_NONE) {
            AUTO(error) struct error *err = spdy_next(spdy, &input, &event);
            if (err) {
                buf_printf(out, "! %s", err->message);
                assert_error_message(spdy_next(spdy, &input, &event),
                                     "spdy: the connection is broken");
                return;
            }
            note(&event, out);
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
    ROW("streams", SYN_STREAM_1 SYN_REPLY_1, "syn 1 streamtype=error x=1 x=2;reply 1$;"),
    ROW("data",
        "\0\0\0\x05\0\0\0\x03"
        "abc",
        "abc"),
    ROW("data and the end",
        "\0\0\0\x05\0\0\0\x03"
        "abc"
        "\0\0\0\x05\x01\0\0\x01"
        "d",
        "abcd$"),
    ROW("only the end", "\0\0\0\x05\x01\0\0\0", "$"),
    ROW("nothing", "\0\0\0\x05\0\0\0\0", ""),
    ROW("reset", "\x80\x03\0\x03\0\0\0\x08\0\0\0\x07\0\0\0\x05", "rst(5) 7;"),
    ROW("ping", "\x80\x03\0\x06\0\0\0\x04\0\0\0\x02", "ping(2) 0;"),
    ROW("goaway", "\x80\x03\0\x07\0\0\0\x08\0\0\0\x09\0\0\0\x01", "goaway(1) 0;"),
    ROW("window", "\x80\x03\0\x09\0\0\0\x08\0\0\0\x01\0\0\x10\0", "window(4096) 1;"),
    ROW("no settings", "\x80\x03\0\x04\0\0\0\x04\0\0\0\0", "settings 0;"),
    ROW("a setting", "\x80\x03\0\x04\0\0\0\x0c\0\0\0\x01\0\0\0\x07\0\x01\0\0", "settings 0;"),
    ROW("unknown frame",
        "\x80\x03\0\x20\0\0\0\x03"
        "abc"
        "\x80\x03\0\x06\0\0\0\x04\0\0\0\x02",
        "ping(2) 0;"),
    ROW("version 2", "\x80\x02\0\x06\0\0\0\x04\0\0\0\x02", "! spdy: not version 3"),
    ROW("data on stream 0",
        "\0\0\0\0\0\0\0\x03"
        "abc",
        "! spdy: data without a stream"),
    ROW("short ping", "\x80\x03\0\x06\0\0\0\x03\0\0\0", "! spdy: a control frame has a wrong size"),
    ROW("empty reset", "\x80\x03\0\x03\0\0\0\0", "! spdy: a control frame has a wrong size"),
    ROW("settings that are not there", "\x80\x03\0\x04\0\0\0\x04\0\0\0\x01",
        "! spdy: a control frame has a wrong size"),
    ROW("settings that wrap", "\x80\x03\0\x04\0\0\0\x04\x20\0\0\0",
        "! spdy: a control frame has a wrong size"),
    ROW("short headers", "\x80\x03\0\x01\0\0\0\x04\0\0\0\x01",
        "! spdy: a control frame has a wrong size"),
    ROW("large control frame", "\x80\x03\0\x01\0\x02\0\0", "! spdy: a control frame is too large"),
    ROW("headers that are none", "\x80\x03\0\x02\0\0\0\x06\0\0\0\x01\x12\x34",
        "! spdy: headers do not inflate"),
    ROW("headers on stream 0", "\x80\x03\0\x02\0\0\0\x04\0\0\0\0",
        "! spdy: headers without a stream"),
    ROW("no headers at all", "\x80\x03\0\x02\0\0\0\x04\0\0\0\x01", "! spdy: headers are cut short"),
};

TEST_CASE(frames_are_the_same_however_they_are_cut)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        for (size_t piece = 1; piece <= rows[i].bytes.len; piece++) {
            AUTO(buf) struct buf out;
            buf_init(&out, MAX_BYTES);
            events_of(rows[i].bytes, piece, &out);
            if (strcmp(buf_text(&out), rows[i].want) != 0)
                fail_msg("%s in %zu: %s", rows[i].name, piece, buf_text(&out));
        }
    }
}

/* One direction of a connection: what one side writes, the other reads. */
struct wire {
    struct spdy *writer;
    struct buf bytes;
};

static void wire_init(struct wire *wire)
{
    wire->writer = spdy_new();
    buf_init(&wire->bytes, MAX_BYTES);
}

static void wire_check(struct wire *wire, const char *want)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MAX_BYTES);
    events_of(buf_str(&wire->bytes), wire->bytes.len, &out);
    if (strcmp(buf_text(&out), want) != 0)
        fail_msg("%s", buf_text(&out));
    spdy_free(wire->writer);
    buf_done(&wire->bytes);
}

TEST_CASE(what_is_written_can_be_read)
{
    static const struct http_field items[] = {{"streamtype", "stdin"}, {"port", "80"}, {"e", ""}};
    static const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    static const struct http_fields none = {0};
    struct wire wire;
    wire_init(&wire);
    struct buf *out = &wire.bytes;
    spdy_add_headers(wire.writer, out, SPDY_SYN_STREAM, 3, &fields);
    spdy_add_headers(wire.writer, out, SPDY_SYN_STREAM, 5, &fields);
    spdy_add_headers(wire.writer, out, SPDY_SYN_REPLY, 3, &none);
    spdy_add_headers(wire.writer, out, SPDY_HEADERS, 3, &fields);
    spdy_add_data(out, 3, STR_LITERAL("abc"), false);
    spdy_add_data(out, 3, STR_LITERAL(""), true);
    spdy_add_control(out, SPDY_PING, (const uint32_t[]){1}, 1);
    spdy_add_control(out, SPDY_RST_STREAM, (const uint32_t[]){5, SPDY_REFUSED_STREAM}, 2);
    spdy_add_control(out, SPDY_WINDOW_UPDATE, (const uint32_t[]){3, 9}, 2);
    spdy_add_control(out, SPDY_GOAWAY, (const uint32_t[]){5, 0}, 2);
    spdy_add_control(out, SPDY_SETTINGS, (const uint32_t[]){0}, 1);
    wire_check(&wire, "syn 3 streamtype=stdin port=80 e=;syn 5 streamtype=stdin port=80 e=;"
                      "reply 3;headers 3 streamtype=stdin port=80 e=;abc$ping(1) 0;rst(3) 5;"
                      "window(9) 3;goaway(0) 0;settings 0;");
}

/* The number in front of compressed text names the dictionary: SPDY/3's is e3c6a7c2. */
TEST_CASE(the_dictionary_is_that_of_the_protocol)
{
    static const struct http_fields none = {0};
    AUTO(spdy) struct spdy *spdy = spdy_new();
    AUTO(buf) struct buf out;
    buf_init(&out, MAX_BYTES);
    spdy_add_headers(spdy, &out, SPDY_SYN_REPLY, 1, &none);
    assert_true(out.len > 18);
    assert_memory_equal(out.data + 12 + 2, "\xe3\xc6\xa7\xc2", 4);
}

TEST_CASE(headers_have_a_limit)
{
    static const struct {
        size_t len, count;
        const char *want; /* NULL: fine */
    } cases[] = {
        {60000, 1, NULL},
        {70000, 1, "! spdy: headers are cut short"}, /* our own writer cuts them */
        {1, 256, NULL},
        {1, 257, "! spdy: a header is malformed, or there are too many"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(free) char *value = xcalloc(1, cases[i].len + 1);
        memset(value, 'v', cases[i].len);
        AUTO(free) struct http_field *items = xcalloc(cases[i].count, sizeof(*items));
        for (size_t f = 0; f < cases[i].count; f++)
            items[f] = (struct http_field){"n", value};
        struct wire wire;
        wire_init(&wire);
        spdy_add_headers(wire.writer, &wire.bytes, SPDY_SYN_REPLY, 1,
                         &(struct http_fields){.items = items, .count = cases[i].count});
        AUTO(buf) struct buf out;
        buf_init(&out, MAX_BYTES);
        events_of(buf_str(&wire.bytes), wire.bytes.len, &out);
        if (cases[i].want)
            assert_string_equal(buf_text(&out), cases[i].want);
        else
            assert_true(text_has_prefix(buf_text(&out), "reply 1 n=v"));
        spdy_free(wire.writer);
        buf_done(&wire.bytes);
    }
}

TEST_CASE(headers_that_swell_are_refused)
{
    enum { PLAIN_BYTES = 100000 };
    AUTO(free) unsigned char *plain = xcalloc(1, PLAIN_BYTES);
    unsigned char block[2048];
    unsigned long len = sizeof(block);
    assert_int_equal(compress(block, &len, plain, PLAIN_BYTES), Z_OK);
    const unsigned char head[] = {
        0x80, 3, 0, 2, 0, 0, (unsigned char)((len + 4) >> 8), (unsigned char)(len + 4), 0, 0, 0, 1};
    AUTO(buf) struct buf bytes;
    AUTO(buf) struct buf out;
    buf_init(&bytes, MAX_BYTES);
    buf_init(&out, MAX_BYTES);
    buf_add(&bytes, head, sizeof(head));
    buf_add(&bytes, block, len);
    events_of(buf_str(&bytes), bytes.len, &out);
    assert_string_equal(buf_text(&out), "! spdy: headers are too large");
}

TEST_CASE(names_are_lower_case)
{
    static const char *const names[] = {"Stream", "", "a b", "a\x7f"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct http_field item = {names[i], "v"};
        struct wire wire;
        wire_init(&wire);
        spdy_add_headers(wire.writer, &wire.bytes, SPDY_SYN_REPLY, 1,
                         &(struct http_fields){.items = &item, .count = 1});
        wire_check(&wire, "! spdy: a header is malformed, or there are too many");
    }
}

TEST_MAIN(TEST(frames_are_the_same_however_they_are_cut), TEST(what_is_written_can_be_read),
          TEST(the_dictionary_is_that_of_the_protocol), TEST(headers_have_a_limit),
          TEST(headers_that_swell_are_refused), TEST(names_are_lower_case))
