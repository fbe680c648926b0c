#include "stats/fs_totals.h"
#include "tests/lib/test.h"

TEST_CASE(a_file_system_has_totals_that_fit_together)
{
    struct fs_totals totals;
    assert_no_error(fs_totals_read_blocking("/", &totals));
    assert_true(totals.capacity_bytes > 0);
    assert_true(totals.free_bytes <= totals.capacity_bytes);
    assert_true(totals.available_bytes <= totals.free_bytes);
    assert_true(totals.inodes_free <= totals.inodes);
}

TEST_CASE(one_without_blocks_has_none)
{
    struct fs_totals totals = {.capacity_bytes = 1};
    assert_no_error(fs_totals_read_blocking("/proc", &totals));
    assert_int_equal(totals.capacity_bytes, 0);
}

TEST_CASE(what_is_not_there_is_not_found)
{
    struct fs_totals totals = {.capacity_bytes = 1};
    assert_error_code(fs_totals_read_blocking("/nowhere/at/all", &totals), ERROR_NOT_FOUND);
    assert_int_equal(totals.capacity_bytes, 1);
}

TEST_MAIN(TEST(a_file_system_has_totals_that_fit_together), TEST(one_without_blocks_has_none),
          TEST(what_is_not_there_is_not_found))
