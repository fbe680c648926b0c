#include "records_fixture.h"

TEST_CASE(records_are_found_by_what_they_are_about)
{
    struct records_fixture fixture;
    records_fixture_init(&fixture);
    AUTO(stats_records) struct stats_records *records = records_fixture_build(&fixture);
    assert_string_equal(stats_records_root(records)->path, "/");
    assert_string_equal(stats_records_role(records, STATS_ROLE_PODS)->path, "/kubepods");
    assert_null(stats_records_role(records, STATS_ROLE_KUBELET));
    assert_string_equal(stats_records_pod(records, "1")->path, FIXTURE_POD);
    assert_null(stats_records_pod(records, "2"));
    assert_null(stats_records_pod(records, ""));
    assert_string_equal(stats_records_by_id(records, "c1")->path, FIXTURE_CONTAINER);
    assert_string_equal(stats_records_by_id(records, "s1")->path, FIXTURE_SANDBOX);
    assert_null(stats_records_by_id(records, "x"));
    assert_null(stats_records_by_id(records, ""));
    for (size_t i = 1; i < records->count; i++)
        assert_true(strcmp(records->items[i - 1].path, records->items[i].path) < 0);
}

TEST_CASE(no_records_are_found_in_an_empty_snapshot)
{
    const struct stats_records nothing = {0};
    AUTO(stats_records)
    struct stats_records *records = stats_records_build(&nothing, NULL, arena_new(0));
    assert_null(stats_records_root(records));
    assert_null(stats_records_pod(records, "1"));
    assert_null(stats_records_by_id(records, "c1"));
}

TEST_CASE(a_snapshot_lives_as_long_as_somebody_holds_it)
{
    struct records_fixture fixture;
    records_fixture_init(&fixture);
    struct stats_records *records = records_fixture_build(&fixture);
    struct stats_records *second = stats_records_ref(records);
    stats_records_unref(records);
    assert_string_equal(stats_records_root(second)->path, "/"); /* the sanitizer watches */
    stats_records_unref(second);
    stats_records_unref(NULL);
}

TEST_CASE(roles_have_the_summarys_names)
{
    assert_string_equal(stats_role_name(STATS_ROLE_KUBELET), "kubelet");
    assert_string_equal(stats_role_name(STATS_ROLE_RUNTIME), "runtime");
    assert_string_equal(stats_role_name(STATS_ROLE_MISC), "misc");
    assert_string_equal(stats_role_name(STATS_ROLE_PODS), "pods");
}

TEST_MAIN(TEST(records_are_found_by_what_they_are_about),
          TEST(no_records_are_found_in_an_empty_snapshot),
          TEST(a_snapshot_lives_as_long_as_somebody_holds_it), TEST(roles_have_the_summarys_names))
