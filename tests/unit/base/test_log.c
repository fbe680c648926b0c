#include "base/log.h"

#include "base/fd.h"
#include "base/time.h"
#include "tests/lib/test.h"

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Where the log of a case goes; read back through its /proc name. */
struct sink {
    int fd;
    struct buf text;
};

static void sink_open(struct sink *sink)
{
    sink->fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(sink->fd >= 0);
    buf_init(&sink->text, 1 * MiB);
    log_set_fd(sink->fd);
}

static const char *sink_text(struct sink *sink)
{
    AUTO(free) char *path = xasprintf("/proc/self/fd/%d", sink->fd);
    buf_clear(&sink->text);
    assert_no_error(fd_read_file_blocking(path, &sink->text));
    return buf_text(&sink->text);
}

static void sink_close(struct sink *sink)
{
    log_set_fd(STDERR_FILENO);
    fd_close(&sink->fd);
    buf_done(&sink->text);
}

static bool matches(const char *text, const char *pattern)
{
    regex_t regex;
    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

/* What follows "] ", without the line end. */
static char *logged_body(const char *text)
{
    const char *body = strstr(text, "] ");
    assert_non_null(body);
    assert_int_equal(text[strlen(text) - 1], '\n');
    return xstrndup(body + 2, strlen(body + 2) - 1);
}

TEST_CASE(a_line_has_the_form_of_klog)
{
    struct sink sink;
    sink_open(&sink);
    log_write(LOG_SEVERITY_INFO, "../src/pod/worker.c", 214, "Container started",
              (const struct log_field[]){LOG_POD("default", "web-0"),
                                         LOG_STR("containerName", "web"),
                                         LOG_INT("attempt", 3),
                                         LOG_BOOL("ready", true),
                                         {.key = NULL}});
    const char *text = sink_text(&sink);
    assert_true(matches(text, "^I[01][0-9][0-3][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6} +[0-9]+ "
                              "worker\\.c:214\\] \"Container started\" pod=\"default/web-0\" "
                              "containerName=\"web\" attempt=3 ready=true\n$"));
    char pid[32];
    (void)snprintf(pid, sizeof(pid), " %7d worker.c", (int)getpid());
    assert_non_null(strstr(text, pid));
    sink_close(&sink);
}

TEST_CASE(severities_have_their_letters)
{
    struct sink sink;
    sink_open(&sink);
    log_info("a");
    log_warning("b");
    log_error("c", LOG_INT("n", -1));
    log_write(LOG_SEVERITY_FATAL, "x.c", 1, "d", (const struct log_field[]){{.key = NULL}});
    assert_true(
        matches(sink_text(&sink), "^I.* \"a\"\nW.* \"b\"\nE.* \"c\" n=-1\nF.* x.c:1\\] \"d\"\n$"));
    sink_close(&sink);
}

TEST_CASE(verbose_lines_appear_at_their_level)
{
    struct sink sink;
    sink_open(&sink);
    log_set_verbosity(2);
    log_v(2, "seen");
    log_v(3, "unseen");
    assert_true(log_is_verbose(0) && log_is_verbose(2) && !log_is_verbose(3));
    assert_non_null(strstr(sink_text(&sink), "\"seen\""));
    assert_null(strstr(sink_text(&sink), "unseen"));
    log_set_verbosity(0);
    sink_close(&sink);
}

TEST_CASE(values_are_quoted_as_go_quotes_them)
{
    static const struct {
        const char *value, *want;
    } rows[] = {
        {"plain", "k=\"plain\""},
        {NULL, "k=\"\""},
        {"", "k=\"\""},
        {"say \"hi\"", "k=\"say \\\"hi\\\"\""},
        {"a\\b", "k=\"a\\\\b\""},
        {"\a\b\f\n\r\t\v", "k=\"\\a\\b\\f\\n\\r\\t\\v\""},
        {"\x01\x1b[0m\x7f", "k=\"\\x01\\x1b[0m\\x7f\""},
        {"gr\xc3\xbc\xc3\x9f", "k=\"gr\xc3\xbc\xc3\x9f\""},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "k=\"\xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"\xff\xc3", "k=\"\\xff\\xc3\""},
        {"\xc0\x80", "k=\"\\xc0\\x80\""},
        {"\xed\xa0\x80", "k=\"\\xed\\xa0\\x80\""},
        {"\xf4\x90\x80\x80", "k=\"\\xf4\\x90\\x80\\x80\""},
        {"\xc2\x9b", "k=\"\\u009b\""},
        {"\xe2\x80\xae", "k=\"\\u202e\""},
        {"\xf3\xa0\x80\x81", "k=\"\\U000e0001\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sink sink;
        sink_open(&sink);
        log_info("m", LOG_STR("k", rows[i].value));
        AUTO(free) char *body = logged_body(sink_text(&sink));
        AUTO(free) char *want = xasprintf("\"m\" %s", rows[i].want);
        assert_string_equal(body, want);
        sink_close(&sink);
    }
}

TEST_CASE(pods_and_errors_have_fields_of_their_own)
{
    struct sink sink;
    sink_open(&sink);
    AUTO(error) struct error *err = error_new(ERROR_UNKNOWN, "no \"luck\"");
    log_error("m", LOG_POD(NULL, "web"), LOG_ERR(err));
    AUTO(free) char *body = logged_body(sink_text(&sink));
    assert_string_equal(body, "\"m\" pod=\"web\" err=\"no \\\"luck\\\"\"");
    sink_close(&sink);
}

TEST_CASE(too_long_a_value_or_line_is_cut_and_stays_a_line)
{
    struct sink sink;
    sink_open(&sink);
    AUTO(free) char *value = xcalloc(1, 100001);
    memset(value, 'x', 100000);
    log_info("m", LOG_STR("k", value), LOG_INT("after", 1));
    AUTO(free) char *body = logged_body(sink_text(&sink));
    assert_non_null(strstr(body, "xxx...\" after=1"));
    assert_true(strlen(body) < 9000);
    sink_close(&sink);

    sink_open(&sink);
    memset(value, '\x01', 100000);
    log_info("m", LOG_STR("a", value), LOG_STR("b", value), LOG_STR("c", value));
    const char *text = sink_text(&sink);
    assert_in_range(strlen(text), 64 * KiB - 4, 64 * KiB);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    sink_close(&sink);
}

TEST_MAIN(TEST(a_line_has_the_form_of_klog), TEST(severities_have_their_letters),
          TEST(verbose_lines_appear_at_their_level), TEST(values_are_quoted_as_go_quotes_them),
          TEST(pods_and_errors_have_fields_of_their_own),
          TEST(too_long_a_value_or_line_is_cut_and_stays_a_line))
