#include "pod/stop_signal.h"

#include "tests/lib/test.h"

TEST_CASE(a_signal_has_a_name_in_both_worlds)
{
    static const struct {
        const char *name;
        Cri__Signal signal;
    } rows[] = {
        {"SIGTERM", CRI__SIGNAL__SIGTERM},
        {"SIGUSR1", CRI__SIGNAL__SIGUSR1},
        {"SIGRTMIN", CRI__SIGNAL__SIGRTMIN},
        {"SIGRTMIN+1", CRI__SIGNAL__SIGRTMINPLUS1},
        {"SIGRTMIN+15", CRI__SIGNAL__SIGRTMINPLUS15},
        {"SIGRTMAX", CRI__SIGNAL__SIGRTMAX},
        {"SIGRTMAX-1", CRI__SIGNAL__SIGRTMAXMINUS1},
        {"SIGRTMAX-14", CRI__SIGNAL__SIGRTMAXMINUS14},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(stop_signal_of(rows[i].name), rows[i].signal);
        assert_string_equal(stop_signal_name(rows[i].signal), rows[i].name);
    }
}

TEST_CASE(every_signal_survives_the_way_there_and_back)
{
    for (int number = 1; number <= CRI__SIGNAL__SIGRTMAX; number++) {
        const char *name = stop_signal_name((Cri__Signal)number);
        assert_non_null(name);
        assert_null(strstr(name, "PLUS"));
        assert_null(strstr(name, "MINUS"));
        assert_int_equal(stop_signal_of(name), number);
    }
}

TEST_CASE(what_is_no_signal_leaves_it_to_the_image)
{
    static const char *const names[] = {NULL, "", "TERM", "SIGNOPE", "SIGRTMIN+16", "sigterm"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_int_equal(stop_signal_of(names[i]), CRI__SIGNAL__RUNTIME_DEFAULT);
    assert_null(stop_signal_name(CRI__SIGNAL__RUNTIME_DEFAULT));
    assert_null(stop_signal_name((Cri__Signal)(CRI__SIGNAL__SIGRTMAX + 1)));
}

TEST_MAIN(TEST(a_signal_has_a_name_in_both_worlds),
          TEST(every_signal_survives_the_way_there_and_back),
          TEST(what_is_no_signal_leaves_it_to_the_image))
