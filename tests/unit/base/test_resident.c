#include "base/resident.h"

#include "base/buf.h"
#include "base/fd.h"
#include "tests/lib/test.h"

#include <stdio.h>

static long resident_pages(void)
{
    AUTO(buf) struct buf text;
    buf_init(&text, 1024);
    assert_no_error(fd_read_file_blocking("/proc/self/statm", &text));
    struct str rest = buf_str(&text), size, resident;
    assert_true(str_split_next(&rest, ' ', &size) && str_split_next(&rest, ' ', &resident));
    AUTO(free) char *number = str_dup(resident);
    int64_t pages = 0;
    assert_true(parse_i64(number, 0, INT64_MAX, &pages));
    return (long)pages;
}

TEST_CASE(what_is_let_go_comes_back_when_it_is_used)
{
    static const char expected[] = "still 42 here";
    char text[sizeof(expected)];
    snprintf(text, sizeof(text), "still %d here", 42);
    long before = resident_pages();
    resident_trim();
    assert_true(resident_pages() < before);
    snprintf(text, sizeof(text), "still %d here", 42);
    assert_string_equal(text, expected);
    resident_trim(); /* any number of times */
}

TEST_MAIN(TEST(what_is_let_go_comes_back_when_it_is_used))
