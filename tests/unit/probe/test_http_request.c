#include "probe/http_request.h"

#include "tests/lib/test.h"

#define MAX_HEADERS 4

static const struct row {
    const char *name;
    const char *headers[MAX_HEADERS][2];
    const char *want; /* behind the Host field; NULL: see error */
    const char *host;
    const char *error;
} rows[] = {
    {"nothing given",
     {{0}},
     "User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"repeats are kept, in their order",
     {{"x-own", "2"}, {"X-OWN", "1"}, {"A", "z"}},
     "User-Agent: kube-probe/1.36\r\nA: z\r\nAccept: */*\r\nX-Own: 2\r\nX-Own: 1\r\n"
     "Connection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"a host of its own",
     {{"host", "example.org"}},
     "User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n",
     "example.org",
     NULL},
    {"an empty host is none",
     {{"Host", ""}},
     "User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"another agent",
     {{"user-agent", "me"}},
     "User-Agent: me\r\nAccept: */*\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"no agent", {{"User-Agent", ""}}, "Accept: */*\r\nConnection: close\r\n", "10.0.0.5:80", NULL},
    {"another accept",
     {{"Accept", "text/html"}},
     "User-Agent: kube-probe/1.36\r\nAccept: text/html\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"no accept",
     {{"Accept", ""}},
     "User-Agent: kube-probe/1.36\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"blanks are cut",
     {{"A", "  b "}},
     "User-Agent: kube-probe/1.36\r\nA: b\r\nAccept: */*\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"a length is not the spec's to tell",
     {{"Content-Length", "9"}},
     "User-Agent: kube-probe/1.36\r\nAccept: */*\r\nConnection: close\r\n",
     "10.0.0.5:80",
     NULL},
    {"no name", {{"a b", "c"}}, NULL, NULL, "net/http: invalid header field name \"a b\""},
    {"a second line",
     {{"x-a", "b\r\nC: d"}},
     NULL,
     NULL,
     "net/http: invalid header field value for \"X-A\""},
};

TEST_CASE(a_request_has_the_fields_of_a_kubelet_unless_the_spec_has_others)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        Core__HTTPHeader headers[MAX_HEADERS];
        Core__HTTPHeader *pointers[MAX_HEADERS];
        size_t count = 0;
        for (; count < MAX_HEADERS && rows[i].headers[count][0]; count++) {
            core__httpheader__init(&headers[count]);
            headers[count].name = (char *)(uintptr_t)rows[i].headers[count][0];
            headers[count].value = (char *)(uintptr_t)rows[i].headers[count][1];
            pointers[count] = &headers[count];
        }
        struct http_request request;
        AUTO(error)
        struct error *err = http_request_of(pointers, count, "kube-probe/1.36", arena, &request);
        if (rows[i].error) {
            assert_non_null(err);
            assert_string_equal(err->message, rows[i].error);
            continue;
        }
        assert_null(err);
        struct http_url url = http_url_of("http", "10.0.0.5", 80, "/a?b", arena);
        AUTO(buf) struct buf text;
        buf_init(&text, 4 * KiB);
        http_request_format(&request, &url, NULL, arena, &text);
        const char *want = arena_printf(arena, "GET /a?b HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                                        rows[i].host, rows[i].want);
        if (!text_eq(buf_text(&text), want))
            fail_msg("%s: %s", rows[i].name, buf_text(&text));
    }
}

TEST_MAIN(TEST(a_request_has_the_fields_of_a_kubelet_unless_the_spec_has_others))
