#include "probe/http_url.h"

#include "tests/lib/test.h"

TEST_CASE(what_a_probe_asks_is_its_path_as_a_url)
{
    static const struct {
        const char *name, *scheme, *host, *path, *text, *target;
    } rows[] = {
        {"plain", "http", "10.0.0.5", "/healthz", "http://10.0.0.5:80/healthz", "/healthz"},
        {"no path", "http", "10.0.0.5", "", "http://10.0.0.5:80", "/"},
        {"no slash", "http", "h", "healthz", "http://h:80/healthz", "/healthz"},
        {"query", "https", "h", "/a?b=c&d", "https://h:80/a?b=c&d", "/a?b=c&d"},
        {"empty query", "http", "h", "/a?", "http://h:80/a?", "/a?"},
        {"fragment", "http", "h", "/a#b", "http://h:80/a#b", "/a"},
        {"IPv6", "http", "fd00::1", "/", "http://[fd00::1]:80/", "/"},
        {"a blank", "http", "h", "/a b", "http://h:80/a%20b", "/a%20b"},
        {"escaped", "http", "h", "/a%20b%2Fc", "http://h:80/a%20b%2Fc", "/a%20b%2Fc"},
        {"beyond ASCII", "http", "h", "/\xc3\xa4", "http://h:80/%C3%A4", "/%C3%A4"},
        {"a host in the path is none", "http", "h", "http://x/y?z", "http://h:80/y?z", "/y?z"},
        {"no URL: a broken escape", "http", "h", "/a%zz?b", "http://h:80/a%25zz%3Fb",
         "/a%25zz%3Fb"},
        {"no URL: a line end", "http", "h", "/a\r\nB: c", "http://h:80/a%0D%0AB:%20c",
         "/a%0D%0AB:%20c"},
        {"no URL: a colon first", "http", "h", "a:b/c", "http://h:80/a:b/c", "/a:b/c"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        struct http_url url = http_url_of(rows[i].scheme, rows[i].host, 80, rows[i].path, arena);
        if (!text_eq(http_url_text(&url, arena), rows[i].text) ||
            !text_eq(http_url_target(&url, arena), rows[i].target))
            fail_msg("%s: %s %s", rows[i].name, http_url_text(&url, arena),
                     http_url_target(&url, arena));
    }
}

TEST_CASE(a_location_is_resolved_as_rfc_3986_has_it)
{
    static const struct {
        const char *location, *text, *hostname;
    } rows[] = {
        {"/x?y", "http://10.0.0.5:8080/x?y", "10.0.0.5"},
        {"c", "http://10.0.0.5:8080/a/c", "10.0.0.5"},
        {"../c", "http://10.0.0.5:8080/c", "10.0.0.5"},
        {"../../../c/./d/", "http://10.0.0.5:8080/c/d/", "10.0.0.5"},
        {"?z", "http://10.0.0.5:8080/a/b?z", "10.0.0.5"},
        {"#z", "http://10.0.0.5:8080/a/b?q#z", "10.0.0.5"},
        {".", "http://10.0.0.5:8080/a/", "10.0.0.5"},
        {"https://10.0.0.5/x", "https://10.0.0.5/x", "10.0.0.5"},
        {"HTTP://10.0.0.5:90", "http://10.0.0.5:90", "10.0.0.5"},
        {"http://10.0.0.5:/x", "http://10.0.0.5/x", "10.0.0.5"},
        {"//other/x", "http://other/x", "other"},
        {"http://user:word@other:1/x", "http://other:1/x", "other"},
        {"http://[fd00::1]:90/y", "http://[fd00::1]:90/y", "fd00::1"},
        {"http://[fd00::1]/y", "http://[fd00::1]/y", "fd00::1"},
        {"mailto:x", "mailto://", ""},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_url base = http_url_of("http", "10.0.0.5", 8080, "/a/b?q", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct http_url url;
        assert_no_error(http_url_resolve(&base, rows[i].location, arena, &url));
        if (!text_eq(http_url_text(&url, arena), rows[i].text) ||
            !text_eq(url.hostname, rows[i].hostname))
            fail_msg("%s: %s", rows[i].location, http_url_text(&url, arena));
    }
}

TEST_CASE(what_is_no_url_is_refused_in_the_words_of_go)
{
    static const struct {
        const char *location, *why;
    } rows[] = {
        {"/%zz", "parse \"/%zz\": invalid URL escape \"%zz\""},
        {"/%4", "parse \"/%4\": invalid URL escape \"%4\""},
        {"http://h:x/", "parse \"http://h:x/\": invalid port \":x\" after host"},
        {"http://h:1:2/", "parse \"http://h:1:2/\": invalid port \":1:2\" after host"},
        {"http://[fd00::1", "parse \"http://[fd00::1\": missing ']' in host"},
        {"http://a b/", "parse \"http://a b/\": invalid character \" \" in host name"},
        {":a", "parse \":a\": missing protocol scheme"},
        {"1:a", "parse \"1:a\": first path segment in URL cannot contain colon"},
        {"/a\x01", "parse \"/a\\x01\": net/url: invalid control character in URL"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    struct http_url base = http_url_of("http", "h", 80, "/", arena);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct http_url url;
        AUTO(error) struct error *err = http_url_resolve(&base, rows[i].location, arena, &url);
        assert_non_null(err);
        assert_string_equal(err->message, rows[i].why);
    }
}

TEST_MAIN(TEST(what_a_probe_asks_is_its_path_as_a_url),
          TEST(a_location_is_resolved_as_rfc_3986_has_it),
          TEST(what_is_no_url_is_refused_in_the_words_of_go))
