#include "probe/probe_net.h"

#include "tests/lib/test.h"

static Core__HTTPHeader header(const char *name, const char *value)
{
    Core__HTTPHeader result = CORE__HTTPHEADER__INIT;
    result.name = (char *)(uintptr_t)name;
    result.value = (char *)(uintptr_t)value;
    return result;
}

TEST_CASE(a_request_has_the_headers_of_a_kubelet_unless_the_spec_has_others)
{
    Core__HTTPGetAction http = CORE__HTTPGET_ACTION__INIT;
    struct buf text;
    buf_init(&text, 4 * KiB);
    probe_http_request(&http, "10.0.0.5", 8080, "/healthz?x=1", &text);
    assert_string_equal(buf_text(&text), "GET /healthz?x=1 HTTP/1.1\r\nHost: 10.0.0.5:8080\r\n"
                                         "User-Agent: kube-probe/1.36\r\nAccept: */*\r\n"
                                         "Connection: close\r\n\r\n");
    Core__HTTPHeader host = header("host", "example.org"), accept = header("Accept", ""),
                     own = header("X-Own", "1");
    Core__HTTPHeader *headers[] = {&host, &accept, &own};
    http.n_http_headers = ARRAY_SIZE(headers);
    http.http_headers = headers;
    buf_clear(&text);
    probe_http_request(&http, "fd00::1", 80, "x", &text);
    assert_string_equal(buf_text(&text), "GET /x HTTP/1.1\r\nHost: example.org\r\n"
                                         "User-Agent: kube-probe/1.36\r\nX-Own: 1\r\n"
                                         "Connection: close\r\n\r\n");
    buf_done(&text);
}

TEST_CASE(a_reply_is_judged_by_its_head_as_soon_as_that_is_whole)
{
    static const struct {
        const char *name, *text;
        int status;
        const char *location;
        bool malformed;
    } rows[] = {
        {"nothing yet", "", 0, "", false},
        {"half a head", "HTTP/1.1 200 OK\r\nA: b\r\n", 0, "", false},
        {"no HTTP", "SSH-2.0-x\r\n", 0, "", true},
        {"fine", "HTTP/1.1 200 OK\r\n\r\nbody", 200, "", false},
        {"no reason", "HTTP/1.0 503\r\n\r\n", 503, "", false},
        {"moved", "HTTP/1.1 302 Found\r\nlocation:  /other \r\n\r\n", 302, "/other", false},
        {"odd code", "HTTP/1.1 20x OK\r\n\r\n", 0, "", true},
        {"HTTP/2", "HTTP/2 200\r\n\r\n", 0, "", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct probe_http_reply reply = probe_http_parse(str_from(rows[i].text));
        if (reply.status != rows[i].status || reply.malformed != rows[i].malformed ||
            !str_eq_c(reply.location, rows[i].location))
            fail_msg("%s: %d", rows[i].name, reply.status);
    }
}

TEST_CASE(redirects_are_followed_on_the_same_host_only)
{
    static const struct {
        const char *name, *location, *host, *path;
        int32_t port;
    } rows[] = {
        {"path", "/a?b", "10.0.0.5", "/a?b", 8080},
        {"same host", "http://10.0.0.5/x", "10.0.0.5", "/x", 80},
        {"same host, port", "http://10.0.0.5:90", "10.0.0.5", "/", 90},
        {"IPv6", "http://[fd00::1]:90/y", "fd00::1", "/y", 90},
        {"other host", "http://10.0.0.6/x", "10.0.0.5", NULL, 0},
        {"other scheme", "https://10.0.0.5/x", "10.0.0.5", NULL, 0},
        {"protocol-relative", "//10.0.0.6/x", "10.0.0.5", NULL, 0},
        {"bad port", "http://10.0.0.5:99999/x", "10.0.0.5", NULL, 0},
        {"nothing", "", "10.0.0.5", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int32_t port = 8080;
        AUTO(free) char *path = NULL;
        bool follows = probe_http_redirect(str_from(rows[i].location), rows[i].host, &port, &path);
        if (follows != (rows[i].path != NULL) || !text_eq(path, rows[i].path) ||
            (follows && port != rows[i].port))
            fail_msg("%s: %s", rows[i].name, path ? path : "not followed");
    }
}

TEST_MAIN(TEST(a_request_has_the_headers_of_a_kubelet_unless_the_spec_has_others),
          TEST(a_reply_is_judged_by_its_head_as_soon_as_that_is_whole),
          TEST(redirects_are_followed_on_the_same_host_only))
