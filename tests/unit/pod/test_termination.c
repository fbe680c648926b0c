#include "pod/termination.h"
#include "tests/lib/test.h"

TEST_CASE(the_tail_of_a_log_is_its_text_without_time_stamps)
{
    struct buf out;
    buf_init(&out, 64 * KiB);
    termination_tail_of_log(STR_LITERAL("2026-01-01T00:00:00Z stdout F one\n"
                                        "garbage\n"
                                        "2026-01-01T00:00:00Z stderr P tw\n"
                                        "2026-01-01T00:00:00Z stderr F o\n"),
                            &out);
    assert_string_equal(buf_text(&out), "one\ntwo\n");
    buf_done(&out);
}

TEST_CASE(no_more_than_eighty_lines_and_two_kilobytes)
{
    struct buf log, out;
    buf_init(&log, MiB);
    buf_init(&out, 64 * KiB);
    for (int i = 0; i < 200; i++)
        buf_printf(&log, "2026-01-01T00:00:00Z stdout F line %d\n", i);
    termination_tail_of_log(buf_str(&log), &out);
    assert_true(text_has_prefix(buf_text(&out), "line 120\n"));
    assert_true(text_has_suffix(buf_text(&out), "line 199\n"));
    buf_clear(&log);
    buf_clear(&out);
    for (int i = 0; i < 80; i++)
        buf_printf(&log, "2026-01-01T00:00:00Z stdout F %0100d\n", i);
    termination_tail_of_log(buf_str(&log), &out);
    assert_int_equal(out.len, TERMINATION_LOG_MAX_BYTES);
    buf_done(&log);
    buf_done(&out);
}

TEST_MAIN(TEST(the_tail_of_a_log_is_its_text_without_time_stamps),
          TEST(no_more_than_eighty_lines_and_two_kilobytes))
