#include "server/streaming_request.h"

#include "tests/lib/test.h"

static struct http_target target_of(const char *text, struct arena *arena)
{
    struct http_target target;
    assert_no_error(http_target_parse(str_from(text), arena, &target));
    return target;
}

TEST_CASE(switches_are_on_for_exactly_1)
{
    static const struct {
        const char *query, *want; /* NULL: refused */
    } rows[] = {
        {"input=1&output=1&error=1", "ioe-"},
        {"output=1", "-o--"},
        {"error=1", "--e-"},
        {"error=1&tty=1&output=1", "-o-t"},
        {"error=1&tty=1", NULL},
        {"tty=1", NULL},
        {"", NULL},
        {"input=true&output=yes&error=", NULL},
        {"output=0&output=1", NULL},
        {"stdout=1", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct http_target target = target_of(arena_printf(arena, "/e?%s", rows[i].query), arena);
        struct streaming_switches got;
        AUTO(error) struct error *err = streaming_parse_switches(&target, &got);
        assert_int_equal(err == NULL, rows[i].want != NULL);
        if (!err)
            assert_string_equal(arena_printf(arena, "%s%s%s%s", got.input ? "i" : "-",
                                             got.output ? "o" : "-", got.error ? "e" : "-",
                                             got.tty ? "t" : "-"),
                                rows[i].want);
    }
}

TEST_CASE(ports_are_numbers_and_several_at_once)
{
    static const struct {
        const char *query, *want, *error;
    } rows[] = {
        {"port=80", " 80", NULL},
        {"port=1,65535&x=1&port=2", " 1 65535 2", NULL},
        {"", NULL, "query parameter \"port\" is required"},
        {"ports=80", NULL, "query parameter \"port\" is required"},
        {"port=", NULL, "query parameter \"port\" cannot be empty"},
        {"port=80&port=", NULL, "query parameter \"port\" cannot be empty"},
        {"port=80,x", NULL,
         "unable to parse \"80,x\" as a port: strconv.ParseUint: parsing \"x\": invalid syntax"},
        {"port=80,", NULL,
         "unable to parse \"80,\" as a port: strconv.ParseUint: parsing \"\": invalid syntax"},
        {"port=-1", NULL,
         "unable to parse \"-1\" as a port: strconv.ParseUint: parsing \"-1\": invalid syntax"},
        {"port=65536", NULL,
         "unable to parse \"65536\" as a port: strconv.ParseUint: parsing \"65536\": value out of "
         "range"},
        {"port=99999999999999999999999", NULL,
         "unable to parse \"99999999999999999999999\" as a port: strconv.ParseUint: parsing "
         "\"99999999999999999999999\": value out of range"},
        {"port=80,0", NULL, "port \"80,0\" must be > 0"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct http_target target = target_of(arena_printf(arena, "/p?%s", rows[i].query), arena);
        struct streaming_ports ports;
        struct error *err = streaming_parse_ports(&target, arena, &ports);
        if (rows[i].error) {
            assert_error_message(err, rows[i].error);
            continue;
        }
        assert_no_error(err);
        const char *got = "";
        for (size_t p = 0; p < ports.count; p++)
            got = arena_printf(arena, "%s %d", got, ports.items[p]);
        assert_string_equal(got, rows[i].want);
    }
}

TEST_CASE(a_client_s_protocols_choose_the_manner)
{
    static const struct {
        const char *upgrade, *protocols, *more;
        enum streaming_manner command, forward;
    } rows[] = {
        {"SPDY/3.1", NULL, NULL, STREAMING_PASSED_ON, STREAMING_PASSED_ON},
        {"SPDY/3.1", "v5.channel.k8s.io", NULL, STREAMING_PASSED_ON, STREAMING_PASSED_ON},
        {"websocket", "v4.channel.k8s.io", NULL, STREAMING_PASSED_ON, STREAMING_PASSED_ON},
        {"WebSocket", "v5.channel.k8s.io", NULL, STREAMING_CHANNELS, STREAMING_PASSED_ON},
        {"websocket", "v4.channel.k8s.io, v5.channel.k8s.io", NULL, STREAMING_CHANNELS,
         STREAMING_PASSED_ON},
        {"websocket", "v4.channel.k8s.io", "v5.channel.k8s.io", STREAMING_CHANNELS,
         STREAMING_PASSED_ON},
        {"websocket", "x,SPDY/3.1+portforward.k8s.io", NULL, STREAMING_PASSED_ON, STREAMING_TUNNEL},
        {"websocket", "xv5.channel.k8s.io", "SPDY/3.0+a", STREAMING_PASSED_ON, STREAMING_PASSED_ON},
        {NULL, "v5.channel.k8s.io", NULL, STREAMING_PASSED_ON, STREAMING_PASSED_ON},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct http_field items[4] = {{"connection", "keep-alive, Upgrade"}};
        struct http_fields fields = {.items = items, .count = 1};
        if (rows[i].upgrade)
            items[fields.count++] = (struct http_field){"upgrade", rows[i].upgrade};
        if (rows[i].protocols)
            items[fields.count++] =
                (struct http_field){"sec-websocket-protocol", rows[i].protocols};
        if (rows[i].more)
            items[fields.count++] = (struct http_field){"sec-websocket-protocol", rows[i].more};
        assert_int_equal(streaming_manner_of(&fields, false), rows[i].command);
        assert_int_equal(streaming_manner_of(&fields, true), rows[i].forward);
    }
}

TEST_CASE(what_may_be_spoken_in_a_tunnel)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct http_field items[] = {
        {"sec-websocket-protocol", "v4.channel.k8s.io, SPDY/3.1+b ,SPDY/3.1+"},
        {"x", "SPDY/3.1+c"},
        {"sec-websocket-protocol", "SPDY/3.1+a"}};
    const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    struct streaming_protocols got;
    streaming_tunnel_protocols(&fields, arena, &got);
    assert_int_equal(got.count, 2);
    assert_string_equal(got.names[0], "b");
    assert_string_equal(got.names[1], "a");
}

TEST_CASE(the_runtime_s_url_is_taken_apart)
{
    static const struct {
        const char *url, *want; /* NULL: refused */
    } rows[] = {
        {"http://127.0.0.1:34567/exec/Tok_en", "127.0.0.1 34567 0 /exec/Tok_en"},
        {"https://[::1]:1/a?b=c#d", "::1 1 1 /a?b=c"},
        {"https://node/", "node 443 1 /"},
        {"http://node", "node 80 0 /"},
        {"http://node?x", "node 80 0 /?x"},
        {"127.0.0.1:80/exec", "127.0.0.1 80 0 /exec"},
        {"//127.0.0.1:80/exec", NULL},
        {"/exec/x", NULL},
        {"", NULL},
        {"http:///exec", NULL},
        {"ftp://node/", NULL},
        {"http://user@node/", NULL},
        {"http://node:0/", NULL},
        {"http://node:99999/", NULL},
        {"http://node:/", NULL},
        {"http://[::1/", NULL},
        {"http://[::1]x/", NULL},
        {"http://:80/", NULL},
        {"http://node/a b", NULL},
        {"http://node/\r\nx: y", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct streaming_url url;
        AUTO(error) struct error *err = streaming_url_parse(rows[i].url, arena, &url);
        if ((err == NULL) != (rows[i].want != NULL))
            fail_msg("%s: %s", rows[i].url, err ? err->message : url.target);
        if (!err)
            assert_string_equal(arena_printf(arena, "%s %u %d %s", url.host, (unsigned)url.port,
                                             url.is_tls, url.target),
                                rows[i].want);
    }
}

TEST_CASE(where_a_request_comes_from_is_told_in_order)
{
    static const struct {
        const char *address, *before, *want; /* NULL: nothing */
    } rows[] = {
        {"10.0.0.1:4711", NULL, "x-forwarded-for: 10.0.0.1\r\n"},
        {"[fe80::1]:80", "10.0.0.2, 10.0.0.3", "x-forwarded-for: 10.0.0.2, 10.0.0.3, fe80::1\r\n"},
        {"@", "10.0.0.2", "x-forwarded-for: 10.0.0.2\r\n"},
        {"@", NULL, NULL},
    };
    static const struct streaming_url url = {.authority = "rt:1", .target = "/t"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const struct http_field items[] = {
            {"transfer-encoding", "chunked"}, {"a", "1"}, {"x-forwarded-for", rows[i].before}};
        const struct http_fields fields = {.items = items, .count = rows[i].before ? 3 : 2};
        AUTO(buf) struct buf out;
        buf_init(&out, KiB);
        streaming_write_passed_head(&out, "GET", &fields, &url, rows[i].address);
        assert_string_equal(buf_text(&out),
                            arena_printf(arena, "GET /t HTTP/1.1\r\nhost: rt:1\r\na: 1\r\n%s\r\n",
                                         rows[i].want ? rows[i].want : ""));
    }
}

TEST_CASE(a_tunnel_s_request_is_one_for_spdy)
{
    static const struct http_field items[] = {{"host", "node:10250"},
                                              {"connection", "Upgrade"},
                                              {"upgrade", "websocket"},
                                              {"sec-websocket-key", "k"},
                                              {"sec-websocket-version", "13"},
                                              {"sec-websocket-protocol", "SPDY/3.1+a"},
                                              {"user-agent", "me"}};
    static const struct http_fields fields = {.items = items, .count = ARRAY_SIZE(items)};
    static const struct streaming_url url = {.authority = "rt:1", .target = "/t"};
    const char *names[] = {"a", "b"};
    const struct streaming_protocols protocols = {.names = names, .count = 2};
    AUTO(buf) struct buf out;
    buf_init(&out, KiB);
    streaming_write_tunnel_head(&out, &fields, &protocols, &url, "10.0.0.1:4711");
    assert_string_equal(buf_text(&out),
                        "POST /t HTTP/1.1\r\nhost: node:10250\r\nuser-agent: me\r\n"
                        "connection: Upgrade\r\nupgrade: SPDY/3.1\r\n"
                        "x-stream-protocol-version: a\r\nx-stream-protocol-version: b\r\n"
                        "x-forwarded-for: 10.0.0.1\r\n\r\n");
}

TEST_MAIN(TEST(switches_are_on_for_exactly_1), TEST(ports_are_numbers_and_several_at_once),
          TEST(a_client_s_protocols_choose_the_manner), TEST(what_may_be_spoken_in_a_tunnel),
          TEST(the_runtime_s_url_is_taken_apart), TEST(where_a_request_comes_from_is_told_in_order),
          TEST(a_tunnel_s_request_is_one_for_spdy))
