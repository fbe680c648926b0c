#include "config/gates.h"
#include "tests/lib/test.h"

TEST_CASE(names_are_in_order_and_unique)
{
    for (int i = 1; i < GATE_COUNT; i++)
        assert_true(strcmp(gate_info((enum feature_gate)(i - 1))->name,
                           gate_info((enum feature_gate)i)->name) < 0);
}

TEST_CASE(without_settings_every_gate_has_its_default)
{
    struct gate_set set;
    assert_no_error(gate_set_make(NULL, 0, &set));
    for (int i = 0; i < GATE_COUNT; i++)
        assert_int_equal(gate_is_enabled(&set, (enum feature_gate)i),
                         gate_info((enum feature_gate)i)->by_default);
}

TEST_CASE(groups_move_only_what_nobody_names)
{
    static const struct gate_setting settings[] = {
        {"MemoryQoS", false}, {"AllAlpha", true}, {"PodLevelResources", true}};
    struct gate_set set;
    assert_no_error(gate_set_make(settings, ARRAY_SIZE(settings), &set));
    assert_false(gate_is_enabled(&set, GATE_MemoryQoS));
    assert_true(gate_is_enabled(&set, GATE_EventedPLEG));
    assert_true(gate_is_enabled(&set, GATE_PodLevelResources));
    assert_false(gate_is_enabled(&set, GATE_SELinuxMount));
}

TEST_CASE(refusals_use_upstreams_words)
{
    static const struct {
        struct gate_setting setting;
        const char *want;
    } rows[] = {
        {{"Foo", true}, "unrecognized feature gate: Foo"},
        {{"MinimumKubeletVersion", true}, "unrecognized feature gate: MinimumKubeletVersion"},
        {{"NodeSwap", false},
         "cannot set feature gate NodeSwap to false, feature is locked to true"},
        {{"GitRepoVolumeDriver", true},
         "cannot set feature gate GitRepoVolumeDriver to true, feature is locked to false"},
        {{"GracefulNodeShutdown", false},
         "GracefulNodeShutdownBasedOnPodPriority is enabled, but depends on features that are "
         "disabled: [GracefulNodeShutdown]"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct gate_set set;
        assert_error_message(gate_set_make(&rows[i].setting, 1, &set), rows[i].want);
    }
}

TEST_CASE(a_locked_gate_may_be_set_to_its_own_value)
{
    static const struct gate_setting setting = {"NodeSwap", true};
    struct gate_set set;
    assert_no_error(gate_set_make(&setting, 1, &set));
    assert_true(gate_setting_is_obsolete(&setting));
    assert_false(gate_setting_is_obsolete(&(struct gate_setting){"EventedPLEG", true}));
}

TEST_MAIN(TEST(names_are_in_order_and_unique), TEST(without_settings_every_gate_has_its_default),
          TEST(groups_move_only_what_nobody_names), TEST(refusals_use_upstreams_words),
          TEST(a_locked_gate_may_be_set_to_its_own_value))
