/* The bridge between a client whose frames are written here, and a runtime that reads and writes
 * SPDY with the same code as the bridge: what a real one makes of it, tests/e2e tells. */
#include "server/channel_bridge.h"

#include "server/command_status.h"
#include "tests/lib/test.h"
#include "wire/spdy.h"

#define MASK "\0\0\0\0"
#define V4 "v4.channel.k8s.io"
#define V5 CHANNELS_PROTOCOL
#define SUCCESS "{\"metadata\":{},\"status\":\"Success\"}"
#define OPENED "syn 1 error;syn 3 stdin;syn 5 stdout;syn 7 stderr;"
#define QUEUE_MAX_BYTES (1 * MiB)
/* Streams, as the bridge numbers them when all four are wanted. */
enum { ERROR_ID = 1, STDIN_ID = 3, STDOUT_ID = 5, STDERR_ID = 7, RESIZE_ID = 7 };

static const struct streaming_switches all = {.input = true, .output = true, .error = true};
static const struct streaming_switches terminal = {.input = true, .output = true, .tty = true};

struct scene {
    struct byte_queue to_client, to_runtime;
    struct channel_bridge *bridge;
    struct spdy *reader, *writer; /* the runtime's */
    struct buf seen;              /* what the runtime has been told, in words */
    struct buf heard;             /* and the client */
};

static struct scene *scene_new(const struct streaming_switches *switches)
{
    struct scene *scene = xcalloc(1, sizeof(*scene));
    byte_queue_init(&scene->to_client, QUEUE_MAX_BYTES);
    byte_queue_init(&scene->to_runtime, QUEUE_MAX_BYTES);
    scene->bridge = channel_bridge_new(switches, &scene->to_client, &scene->to_runtime);
    scene->reader = spdy_new();
    scene->writer = spdy_new();
    buf_init(&scene->seen, QUEUE_MAX_BYTES);
    buf_init(&scene->heard, QUEUE_MAX_BYTES);
    return scene;
}

static void scene_free(struct scene *scene)
{
    channel_bridge_free(scene->bridge);
    byte_queue_done(&scene->to_client);
    byte_queue_done(&scene->to_runtime);
    spdy_free(scene->reader);
    spdy_free(scene->writer);
    buf_done(&scene->seen);
    buf_done(&scene->heard);
    free(scene);
}
DEFINE_AUTO(scene, struct scene *, scene_free)

/* What the runtime was told since the last time. */
static const char *runtime_sees(struct scene *scene)
{
    struct str input = byte_queue_front(&scene->to_runtime);
    size_t len = input.len;
    struct spdy_event event = {.frame = SPDY_PING};
    buf_clear(&scene->seen);
    while (event.frame != SPDY_NONE) {
        assert_no_error(spdy_next(scene->reader, &input, &event));
        if (event.frame == SPDY_SYN_STREAM)
            buf_printf(&scene->seen, "syn %u %s;", event.stream,
                       http_fields_get(&event.fields, "streamtype"));
        else if (event.frame == SPDY_DATA)
            buf_printf(&scene->seen, "%u:%.*s%s;", event.stream, STR_ARG(event.bytes),
                       event.is_last ? "$" : "");
        else if (event.frame == SPDY_PING)
            buf_printf(&scene->seen, "ping %u;", event.value);
        else if (event.frame == SPDY_RST_STREAM)
            buf_printf(&scene->seen, "rst %u %u;", event.stream, event.value);
    }
    byte_queue_take(&scene->to_runtime, len);
    return buf_text(&scene->seen);
}

/* What the client was told since: each frame by its kind, small ones only. */
static const char *client_hears(struct scene *scene)
{
    struct str rest = byte_queue_front(&scene->to_client);
    size_t len = rest.len;
    buf_clear(&scene->heard);
    while (rest.len > 0) {
        const unsigned char *head = (const unsigned char *)rest.ptr;
        size_t size = head[1], at = 2;
        if (size == 126) {
            size = (size_t)(head[2] << 8 | head[3]);
            at = 4;
        }
        assert_true(size < 127 || at == 4);
        assert_true(rest.len >= at + size);
        if (head[0] == (0x80 | WEBSOCKET_BINARY))
            buf_printf(&scene->heard, "%u:%.*s;", head[at], (int)size - 1, rest.ptr + at + 1);
        else if (head[0] == (0x80 | WEBSOCKET_CLOSE))
            buf_printf(&scene->heard, "close %u;", (unsigned)(head[at] << 8 | head[at + 1]));
        else
            buf_printf(&scene->heard, "pong %.*s;", (int)size, rest.ptr + at);
        rest = (struct str){.ptr = rest.ptr + at + size, .len = rest.len - at - size};
    }
    byte_queue_take(&scene->to_client, len);
    return buf_text(&scene->heard);
}

/* Returns how much was not taken. */
static size_t client_says(struct scene *scene, struct str bytes)
{
    AUTO(free) char *copy = xcalloc(1, bytes.len + 1);
    memcpy(copy, bytes.ptr, bytes.len);
    struct websocket_input input = {.ptr = copy, .len = bytes.len};
    channel_bridge_hear_client(scene->bridge, &input);
    return input.len;
}

static void runtime_says(struct scene *scene, struct str bytes)
{
    channel_bridge_hear_runtime(scene->bridge, &bytes);
    assert_int_equal(bytes.len, 0);
}

static void runtime_writes(struct scene *scene, uint32_t id, const char *text, bool is_last)
{
    AUTO(buf) struct buf out;
    buf_init(&out, QUEUE_MAX_BYTES);
    spdy_add_data(&out, id, str_from(text), is_last);
    runtime_says(scene, buf_str(&out));
}

static void runtime_controls(struct scene *scene, enum spdy_frame frame, uint32_t first,
                             uint32_t second)
{
    AUTO(buf) struct buf out;
    buf_init(&out, QUEUE_MAX_BYTES);
    spdy_add_control(&out, frame, (const uint32_t[]){first, second}, frame == SPDY_PING ? 1 : 2);
    runtime_says(scene, buf_str(&out));
}

static void runtime_replies(struct scene *scene, uint32_t id)
{
    static const struct http_fields none = {0};
    AUTO(buf) struct buf out;
    buf_init(&out, QUEUE_MAX_BYTES);
    spdy_add_headers(scene->writer, &out, SPDY_SYN_REPLY, id, &none);
    runtime_says(scene, buf_str(&out));
}

/* A session whose streams are all there. */
static struct scene *scene_open(const struct streaming_switches *switches, const char *protocol)
{
    struct scene *scene = scene_new(switches);
    channel_bridge_open(scene->bridge, protocol);
    (void)runtime_sees(scene);
    (void)client_hears(scene);
    for (uint32_t id = 1; !channel_bridge_has_begun(scene->bridge); id += 2)
        runtime_replies(scene, id);
    return scene;
}

TEST_CASE(the_client_is_welcomed_on_its_lowest_channel)
{
    static const struct {
        struct streaming_switches switches;
        const char *want;
    } rows[] = {
        {{.input = true, .output = true, .error = true}, "1:;"},
        {{.input = true, .error = true}, "2:;"},
        {{.input = true}, "3:;"},
        {{.input = true, .tty = true, .error = true}, "3:;"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene) struct scene *scene = scene_new(&rows[i].switches);
        assert_string_equal(client_hears(scene), rows[i].want);
    }
}

TEST_CASE(streams_are_asked_for_in_order)
{
    static const struct {
        struct streaming_switches switches;
        const char *protocol, *want;
    } rows[] = {
        {{.input = true, .output = true, .error = true}, V5, OPENED},
        {{.output = true}, V4, "syn 1 error;syn 3 stdout;"},
        {{.input = true, .output = true, .tty = true},
         V4,
         "syn 1 error;syn 3 stdin;syn 5 stdout;syn 7 resize;"},
        {{.output = true, .tty = true},
         "v3.channel.k8s.io",
         "syn 1 error;syn 3 stdout;syn 5 resize;"},
        {{.output = true, .tty = true}, "v2.channel.k8s.io", "syn 1 error;syn 3 stdout;"},
        {{.output = true, .tty = true}, NULL, "syn 1 error;syn 3 stdout;"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene) struct scene *scene = scene_new(&rows[i].switches);
        channel_bridge_open(scene->bridge, rows[i].protocol);
        assert_string_equal(runtime_sees(scene), rows[i].want);
    }
}

TEST_CASE(the_client_waits_until_the_streams_are_there)
{
    AUTO(scene) struct scene *scene = scene_new(&all);
    struct str hello = STR_LITERAL("\x82\x83" MASK "\0hi");
    assert_int_equal(client_says(scene, hello), hello.len);
    channel_bridge_open(scene->bridge, V4);
    assert_string_equal(runtime_sees(scene), OPENED);
    for (uint32_t id = ERROR_ID; id <= STDERR_ID; id += 2) {
        assert_false(channel_bridge_hears_client(scene->bridge));
        assert_int_equal(client_says(scene, hello), hello.len);
        runtime_replies(scene, id);
    }
    assert_true(channel_bridge_has_begun(scene->bridge));
    assert_int_equal(client_says(scene, hello), 0);
    assert_string_equal(runtime_sees(scene), "3:hi;");
}

TEST_CASE(what_the_client_says_reaches_its_stream)
{
    static const struct {
        const char *name;
        struct str bytes;
        const char *want;
    } rows[] = {
        {"input", STR_LITERAL("\x82\x83" MASK "\0hi"), "3:hi;"},
        {"in pieces", STR_LITERAL("\x02\x80" MASK "\0\x81" MASK "\0\x80\x82" MASK "hi"), "3:hi;"},
        {"empty", STR_LITERAL("\x82\x81" MASK "\0"), ""},
        {"nothing at all", STR_LITERAL("\x82\x80" MASK), ""},
        {"end of input", STR_LITERAL("\x82\x82" MASK "\xff\0"), "3:$;"},
        {"end, in pieces", STR_LITERAL("\x02\x81" MASK "\xff\x80\x81" MASK "\0"), "3:$;"},
        {"input after its end", STR_LITERAL("\x82\x82" MASK "\xff\0\x82\x82" MASK "\0x"), "3:$;"},
        {"end of nothing", STR_LITERAL("\x82\x81" MASK "\xff"), ""},
        {"end of two", STR_LITERAL("\x82\x83" MASK "\xff\0\0"), ""},
        {"end of output", STR_LITERAL("\x82\x82" MASK "\xff\1"), ""},
        {"end of no channel", STR_LITERAL("\x82\x82" MASK "\xff\x09"), ""},
        {"output", STR_LITERAL("\x82\x82" MASK "\1x"), ""},
        {"no channel", STR_LITERAL("\x82\x82" MASK "\x09x"), ""},
        {"a size without a terminal", STR_LITERAL("\x82\x83" MASK "\4{}"), ""},
        {"text is as good", STR_LITERAL("\x81\x83" MASK "\0hi"), "3:hi;"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene) struct scene *scene = scene_open(&all, V4);
        assert_int_equal(client_says(scene, rows[i].bytes), 0);
        const char *got = runtime_sees(scene);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s: %s", rows[i].name, got);
        assert_false(channel_bridge_has_client_left(scene->bridge));
    }
}

TEST_CASE(a_terminal_s_size_is_passed_on)
{
    AUTO(scene) struct scene *scene = scene_open(&terminal, V4);
    (void)client_says(scene, STR_LITERAL("\x82\x97" MASK "\4{\"Width\":9,\"Height\":7}"));
    assert_string_equal(runtime_sees(scene), "7:{\"Width\":9,\"Height\":7};");
}

TEST_CASE(output_reaches_its_channel_and_the_status_is_last)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    runtime_writes(scene, STDOUT_ID, "out", false);
    runtime_writes(scene, STDERR_ID, "err", true);
    runtime_writes(scene, STDIN_ID, "odd", false);
    runtime_writes(scene, 99, "odder", false);
    assert_string_equal(client_hears(scene), "1:out;2:err;");
    runtime_writes(scene, ERROR_ID, "{\"status\":", false);
    runtime_writes(scene, ERROR_ID, "\"Success\"}", true);
    assert_false(channel_bridge_has_finished(scene->bridge));
    assert_string_equal(client_hears(scene), "");
    runtime_writes(scene, STDOUT_ID, "more", true);
    assert_true(channel_bridge_has_finished(scene->bridge));
    assert_int_equal(channel_bridge_tail_bytes(scene->bridge),
                     byte_queue_len(&scene->to_client) - strlen("xx1more"));
    assert_string_equal(client_hears(scene), "1:more;3:" SUCCESS ";close 1000;");
}

/* How a runtime's server really ends: it resets what is open. */
TEST_CASE(a_reset_ends_a_stream_too)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    runtime_writes(scene, ERROR_ID,
                   "{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":"
                   "[{\"reason\":\"ExitCode\",\"message\":\"3\"}]}}",
                   false);
    for (uint32_t id = ERROR_ID; id <= STDERR_ID; id += 2)
        runtime_controls(scene, SPDY_RST_STREAM, id, SPDY_CANCEL);
    assert_true(channel_bridge_has_finished(scene->bridge));
    assert_non_null(strstr(client_hears(scene), "command terminated with exit code 3"));
    (void)client_says(scene, STR_LITERAL("\x82\x83" MASK "\0hi"));
    assert_string_equal(runtime_sees(scene), "");
}

TEST_CASE(a_runtime_that_no_longer_reads_is_told_no_more)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    runtime_writes(scene, STDIN_ID, "", true);
    assert_string_equal(runtime_sees(scene), "3:$;");
    (void)client_says(scene, STR_LITERAL("\x82\x83" MASK "\0hi"));
    assert_string_equal(runtime_sees(scene), "");
    assert_false(channel_bridge_has_finished(scene->bridge));
}

TEST_CASE(a_lost_runtime_is_a_failure_unless_it_has_said_all)
{
    static const struct {
        const char *protocol, *said;
        bool is_open;
        const char *want;
    } rows[] = {
        {V4, NULL, false, "the connection to the runtime was lost"},
        {V4, NULL, true, "the connection to the runtime was lost"},
        {V4, "{\"status\":\"Success\"}", true, SUCCESS},
        {V4, "{\"status\":\"Failure\",\"message\":\"too early\"}", false, "too early"},
        {"v2.channel.k8s.io", NULL, true, SUCCESS},
        {"v2.channel.k8s.io", NULL, false, "the connection to the runtime was lost"},
        {"v2.channel.k8s.io", "it broke", true, "error executing remote command: it broke"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene)
        struct scene *scene =
            rows[i].is_open ? scene_open(&all, rows[i].protocol) : scene_new(&all);
        if (!rows[i].is_open)
            channel_bridge_open(scene->bridge, rows[i].protocol);
        if (rows[i].said)
            runtime_writes(scene, ERROR_ID, rows[i].said, false);
        channel_bridge_lose_runtime(scene->bridge);
        assert_true(channel_bridge_has_finished(scene->bridge));
        const char *heard = client_hears(scene);
        if (!strstr(heard, rows[i].want) || !text_has_suffix(heard, ";close 1000;"))
            fail_msg("%s", heard);
    }
}

TEST_CASE(no_status_at_all_is_no_success)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    runtime_writes(scene, STDOUT_ID, "half", false);
    for (uint32_t id = ERROR_ID; id <= STDERR_ID; id += 2)
        runtime_controls(scene, SPDY_RST_STREAM, id, SPDY_CANCEL);
    assert_non_null(strstr(client_hears(scene), "the runtime broke the error stream off"));

    AUTO(scene) struct scene *early = scene_new(&all);
    channel_bridge_open(early->bridge, V4);
    runtime_replies(early, ERROR_ID);
    runtime_writes(early, ERROR_ID, "", true);
    channel_bridge_lose_runtime(early->bridge);
    assert_non_null(strstr(client_hears(early), "the connection to the runtime was lost"));
}

TEST_CASE(what_goes_wrong_is_told_once)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    runtime_says(scene, STR_LITERAL("\x80\x02\0\x06\0\0\0\x04\0\0\0\x02"));
    assert_non_null(strstr(client_hears(scene), "spdy: not version 3"));
    channel_bridge_fail(scene->bridge, "again");
    channel_bridge_lose_runtime(scene->bridge);
    assert_string_equal(client_hears(scene), "");
}

TEST_CASE(a_stream_that_is_refused_is_told_of)
{
    AUTO(scene) struct scene *scene = scene_new(&all);
    channel_bridge_open(scene->bridge, V4);
    runtime_replies(scene, ERROR_ID);
    runtime_controls(scene, SPDY_RST_STREAM, STDIN_ID, SPDY_REFUSED_STREAM);
    assert_true(channel_bridge_has_finished(scene->bridge));
    assert_non_null(strstr(client_hears(scene), "the runtime refused the stream \\\"stdin\\\""));
}

TEST_CASE(a_status_has_a_limit)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    AUTO(free) char *large = xcalloc(1, 40001);
    memset(large, 'x', 40000);
    for (int i = 0; i < 2; i++)
        runtime_writes(scene, ERROR_ID, large, i == 1);
    runtime_writes(scene, STDOUT_ID, "", true);
    runtime_writes(scene, STDERR_ID, "", true);
    assert_non_null(strstr(client_hears(scene), "the status is too large"));
}

TEST_CASE(a_status_may_grow_on_its_way)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    AUTO(buf) struct buf status;
    buf_init(&status, COMMAND_STATUS_MAX_BYTES);
    buf_add_text(&status, "{\"status\":\"Failure\",\"message\":\"");
    while (status.len < COMMAND_STATUS_MAX_BYTES - 2)
        buf_add_char(&status, '<'); /* six bytes in JSON */
    buf_add_text(&status, "\"}");
    runtime_writes(scene, ERROR_ID, buf_text(&status), true);
    runtime_writes(scene, STDOUT_ID, "", true);
    runtime_writes(scene, STDERR_ID, "", true);
    struct str told = byte_queue_front(&scene->to_client);
    static const char end[] = "\\u003c\"}]},\"code\":500}\x88\x02\x03\xe8";
    assert_true(told.len > sizeof(end));
    assert_memory_equal(told.ptr + told.len - (sizeof(end) - 1), end, sizeof(end) - 1);
}

TEST_CASE(traffic_is_what_channels_carry)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    uint64_t before = channel_bridge_traffic(scene->bridge);
    channel_bridge_ping(scene->bridge);
    runtime_controls(scene, SPDY_PING, 1, 0);
    runtime_controls(scene, SPDY_PING, 2, 0);
    (void)client_says(scene, STR_LITERAL("\x89\x81" MASK "a\x8a\x80" MASK));
    assert_int_equal(channel_bridge_traffic(scene->bridge), before);
    (void)client_says(scene, STR_LITERAL("\x82\x82" MASK "\0x"));
    assert_true(channel_bridge_traffic(scene->bridge) > before);
    before = channel_bridge_traffic(scene->bridge);
    runtime_writes(scene, STDOUT_ID, "y", false);
    assert_true(channel_bridge_traffic(scene->bridge) > before);
}

TEST_CASE(pings_are_answered_each_to_its_own)
{
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    channel_bridge_ping(scene->bridge);
    channel_bridge_ping(scene->bridge); /* the first is still on its way */
    assert_string_equal(runtime_sees(scene), "ping 1;");
    channel_bridge_ping(scene->bridge);
    assert_string_equal(runtime_sees(scene), "ping 3;");
    runtime_controls(scene, SPDY_PING, 1, 0);
    assert_string_equal(runtime_sees(scene), "");
    runtime_controls(scene, SPDY_PING, 2, 0);
    assert_string_equal(runtime_sees(scene), "ping 2;");
    assert_string_equal(client_hears(scene), "");
    (void)client_says(scene, STR_LITERAL("\x89\x81" MASK "a\x89\x82" MASK "bc"));
    assert_string_equal(client_hears(scene), "pong bc;");
    (void)client_says(scene, STR_LITERAL("\x8a\x80" MASK));
    assert_string_equal(client_hears(scene), "");
}

TEST_CASE(a_runtime_opens_no_streams)
{
    static const struct http_fields none = {0};
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    AUTO(buf) struct buf out;
    buf_init(&out, QUEUE_MAX_BYTES);
    spdy_add_headers(scene->writer, &out, SPDY_SYN_STREAM, 2, &none);
    spdy_add_control(&out, SPDY_GOAWAY, (const uint32_t[]){0, 0}, 2);
    spdy_add_control(&out, SPDY_WINDOW_UPDATE, (const uint32_t[]){1, 1}, 2);
    spdy_add_control(&out, SPDY_SETTINGS, (const uint32_t[]){0}, 1);
    runtime_says(scene, buf_str(&out));
    assert_string_equal(runtime_sees(scene), "rst 2 3;");
    assert_false(channel_bridge_has_finished(scene->bridge));
}

TEST_CASE(a_client_may_leave_in_many_ways)
{
    static const struct {
        struct str bytes;
        const char *heard;
    } rows[] = {
        {STR_LITERAL("\x88\x82" MASK "\x03\xe8"), "close 1000;"},
        {STR_LITERAL("\x88\x80" MASK "\x82\x83" MASK "\0hi"), "close 1000;"},
        {STR_LITERAL("\x82\x01"), "close 1002;"},
        {{0}, ""}, /* without a word */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(scene) struct scene *scene = scene_open(&all, V4);
        if (rows[i].bytes.len > 0)
            (void)client_says(scene, rows[i].bytes);
        else
            channel_bridge_lose_client(scene->bridge);
        assert_true(channel_bridge_has_client_left(scene->bridge));
        assert_string_equal(client_hears(scene), rows[i].heard);
        assert_string_equal(runtime_sees(scene), "3:$;");
        runtime_writes(scene, STDOUT_ID, "for nobody", true);
        channel_bridge_lose_runtime(scene->bridge);
        assert_string_equal(client_hears(scene), "");
    }
}

TEST_CASE(who_takes_nothing_holds_the_other_back_but_not_both)
{
    static const char large[20000];
    AUTO(scene) struct scene *scene = scene_open(&all, V4);
    AUTO(buf) struct buf frame;
    buf_init(&frame, QUEUE_MAX_BYTES);
    buf_add(&frame, "\x82\xfe\x4e\x20" MASK, 8);
    buf_add(&frame, large, sizeof(large)); /* the first byte is the channel */
    size_t said = 0;
    while (client_says(scene, buf_str(&frame)) == 0)
        assert_true(++said < 100);
    assert_false(channel_bridge_hears_client(scene->bridge));
    assert_true(channel_bridge_hears_runtime(scene->bridge));
    assert_in_range(byte_queue_len(&scene->to_runtime), CHANNEL_BRIDGE_ROOM_BYTES,
                    CHANNEL_BRIDGE_ROOM_BYTES + 2 * sizeof(large));
    AUTO(buf) struct buf out;
    buf_init(&out, QUEUE_MAX_BYTES);
    spdy_add_data(&out, STDOUT_ID, (struct str){.ptr = large, .len = sizeof(large)}, false);
    for (said = 0; channel_bridge_hears_runtime(scene->bridge); said++) {
        assert_true(said < 100);
        runtime_says(scene, buf_str(&out));
    }
    assert_in_range(byte_queue_len(&scene->to_client), CHANNEL_BRIDGE_ROOM_BYTES,
                    CHANNEL_BRIDGE_ROOM_BYTES + 2 * sizeof(large));
    struct str rest = buf_str(&out);
    channel_bridge_hear_runtime(scene->bridge, &rest);
    assert_int_equal(rest.len, out.len);
}

TEST_MAIN(TEST(the_client_is_welcomed_on_its_lowest_channel), TEST(streams_are_asked_for_in_order),
          TEST(the_client_waits_until_the_streams_are_there),
          TEST(what_the_client_says_reaches_its_stream), TEST(a_terminal_s_size_is_passed_on),
          TEST(output_reaches_its_channel_and_the_status_is_last), TEST(a_reset_ends_a_stream_too),
          TEST(a_runtime_that_no_longer_reads_is_told_no_more),
          TEST(a_lost_runtime_is_a_failure_unless_it_has_said_all),
          TEST(no_status_at_all_is_no_success), TEST(what_goes_wrong_is_told_once),
          TEST(a_stream_that_is_refused_is_told_of), TEST(a_status_has_a_limit),
          TEST(a_status_may_grow_on_its_way), TEST(traffic_is_what_channels_carry),
          TEST(pings_are_answered_each_to_its_own), TEST(a_runtime_opens_no_streams),
          TEST(a_client_may_leave_in_many_ways),
          TEST(who_takes_nothing_holds_the_other_back_but_not_both))
