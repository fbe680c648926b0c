#include "pod/go_text.h"
#include "tests/lib/test.h"

TEST_CASE(json_strings_are_escaped_as_go_does)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"<a> & b", "\"\\u003ca\\u003e \\u0026 b\""},
        {"\b\f\n\r\t\v\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u000b\\u0001\\u001f\x7f\""},
        {"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"h\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
        {"bad \xff\xc3 end", "\"bad \\ufffd\\ufffd end\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* a surrogate */
        {"\xc0\x80", "\"\\ufffd\\ufffd\""},            /* an overlong form */
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf buf;
        buf_init(&buf, 1000);
        go_json_add_string(&buf, str_from(rows[i].text));
        assert_string_equal(buf_text(&buf), rows[i].want);
    }
}

TEST_CASE(quoted_texts_are_those_of_percent_q)
{
    static const struct {
        const char *text, *want;
    } rows[] = {
        {NULL, "\"\""},
        {"a b", "\"a b\""},
        {"<&>", "\"<&>\""},
        {"a\"b\\", "\"a\\\"b\\\\\""},
        {"\a\b\t\n\v\f\r", "\"\\a\\b\\t\\n\\v\\f\\r\""},
        {"\x01\x7f", "\"\\x01\\x7f\""},
        {"\xff", "\"\\xff\""},
        {"\xc3\xa9", "\"\xc3\xa9\""},
        {"\xc2\xa0\xc2\x85", "\"\\u00a0\\u0085\""},
        {"\xe2\x80\x8b", "\"\\u200b\""},
        {"\xf3\xa0\x80\x81", "\"\\U000e0001\""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_string_equal(go_quote(arena, rows[i].text), rows[i].want);
}

static const char *handler_json(const Core__LifecycleHandler *handler, struct arena *arena)
{
    AUTO(buf) struct buf buf;
    buf_init(&buf, 1000);
    go_json_add_handler(&buf, handler);
    return arena_strdup(arena, buf_text(&buf));
}

TEST_CASE(handlers_leave_out_what_is_empty)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    Core__LifecycleHandler handler = CORE__LIFECYCLE_HANDLER__INIT;
    assert_string_equal(handler_json(&handler, arena), "{}");

    char *command[] = {(char *)"sh", (char *)"-c", (char *)"a && b"};
    Core__ExecAction exec = CORE__EXEC_ACTION__INIT;
    handler.exec = &exec;
    assert_string_equal(handler_json(&handler, arena), "{\"exec\":{}}");
    exec.command = command;
    exec.n_command = ARRAY_SIZE(command);
    assert_string_equal(handler_json(&handler, arena),
                        "{\"exec\":{\"command\":[\"sh\",\"-c\",\"a \\u0026\\u0026 b\"]}}");

    Core__HTTPGetAction get = CORE__HTTPGET_ACTION__INIT;
    handler = (Core__LifecycleHandler)CORE__LIFECYCLE_HANDLER__INIT;
    handler.http_get = &get;
    assert_string_equal(handler_json(&handler, arena), "{\"httpGet\":{\"port\":0}}");
    Meta__IntOrString port = META__INT_OR_STRING__INIT;
    port.has_type = 1;
    port.type = 1;
    port.str_val = (char *)"http";
    Core__HTTPHeader header = CORE__HTTPHEADER__INIT, *headers[] = {&header};
    header.name = (char *)"X-A";
    get.path = (char *)"/stop";
    get.port = &port;
    get.host = (char *)"";
    get.scheme = (char *)"HTTP";
    get.http_headers = headers;
    get.n_http_headers = 1;
    assert_string_equal(handler_json(&handler, arena),
                        "{\"httpGet\":{\"path\":\"/stop\",\"port\":\"http\",\"scheme\":\"HTTP\","
                        "\"httpHeaders\":[{\"name\":\"X-A\",\"value\":\"\"}]}}");

    Core__SleepAction nap = CORE__SLEEP_ACTION__INIT;
    handler = (Core__LifecycleHandler)CORE__LIFECYCLE_HANDLER__INIT;
    handler.sleep = &nap;
    assert_string_equal(handler_json(&handler, arena), "{\"sleep\":{\"seconds\":0}}");

    Core__TCPSocketAction tcp = CORE__TCPSOCKET_ACTION__INIT;
    Meta__IntOrString number = META__INT_OR_STRING__INIT;
    number.int_val = 80;
    tcp.port = &number;
    handler = (Core__LifecycleHandler)CORE__LIFECYCLE_HANDLER__INIT;
    handler.tcp_socket = &tcp;
    assert_string_equal(handler_json(&handler, arena), "{\"tcpSocket\":{\"port\":80}}");
}

TEST_CASE(ports_leave_out_zero_but_the_container_port)
{
    Core__ContainerPort bare = CORE__CONTAINER_PORT__INIT, full = CORE__CONTAINER_PORT__INIT;
    full.name = (char *)"http";
    full.has_host_port = full.has_container_port = 1;
    full.host_port = 18080;
    full.container_port = 80;
    full.protocol = (char *)"TCP";
    full.host_ip = (char *)"::1";
    /* the API server's protobuf says zero and "" out loud */
    bare.has_host_port = 1;
    bare.name = (char *)"";
    Core__ContainerPort *ports[] = {&full, &bare};
    AUTO(buf) struct buf buf;
    buf_init(&buf, 1000);
    go_json_add_ports(&buf, ports, ARRAY_SIZE(ports));
    assert_string_equal(
        buf_text(&buf),
        "[{\"name\":\"http\",\"hostPort\":18080,\"containerPort\":80,\"protocol\":\"TCP\","
        "\"hostIP\":\"::1\"},{\"containerPort\":0}]");
}

TEST_MAIN(TEST(json_strings_are_escaped_as_go_does), TEST(quoted_texts_are_those_of_percent_q),
          TEST(handlers_leave_out_what_is_empty), TEST(ports_leave_out_zero_but_the_container_port))
