/* Life cycles of pods on virtual time, each told in a file of its own: tests/data/transcripts/. */
#include "tests/lib/test.h"
#include "tests/unit/pod/scenario.h"

#include <dirent.h>
#include <stdlib.h>

/* A line a scenario: the file's name, which is the rule that it proves. */
#define SCENARIOS(X)                                                                               \
    X(a_pod_gets_its_ground_then_its_sandbox_then_its_containers)                                  \
    X(init_containers_run_one_after_another)                                                       \
    X(a_sidecar_starts_between_its_neighbours_and_stays)                                           \
    X(a_sidecar_holds_back_the_next_until_its_startup_probe_succeeds)                              \
    X(a_sidecar_whose_startup_probe_fails_is_started_again)                                        \
    X(a_sidecar_restarts_whatever_its_exit_code)                                                   \
    X(sidecars_end_in_reverse_after_the_main_container)                                            \
    X(a_sidecar_has_what_is_left_of_the_grace_period)                                              \
    X(sidecars_end_when_the_last_regular_container_has_completed)                                  \
    X(a_failed_init_container_under_Never_fails_the_pod)                                           \
    X(a_failed_init_container_under_OnFailure_is_tried_again)                                      \
    X(an_init_container_that_was_OOMKilled_has_failed)                                             \
    X(a_crashing_container_waits_ever_longer)                                                      \
    X(a_run_of_more_than_ten_minutes_starts_the_back_off_anew)                                     \
    X(under_Never_nothing_restarts)                                                                \
    X(under_OnFailure_only_failures_restart)                                                       \
    X(a_restart_rule_goes_before_the_policy_of_its_container)                                      \
    X(a_lost_sandbox_restarts_init_containers)                                                     \
    X(a_lost_sandbox_under_Never_is_not_replaced)                                                  \
    X(a_lost_sandbox_under_OnFailure_leaves_out_what_has_succeeded)                                \
    X(a_failed_liveness_probe_restarts_the_container)                                              \
    X(a_failed_liveness_probe_under_Never_only_kills)                                              \
    X(a_pod_is_ready_once_all_its_containers_are)                                                  \
    X(a_changed_image_restarts_the_container)                                                      \
    X(a_container_in_unknown_state_is_killed_before_it_restarts)                                   \
    X(a_preStop_hook_takes_from_the_grace_period)                                                  \
    X(a_second_deletion_can_only_shorten_the_grace_period)                                         \
    X(nothing_starts_after_deletion)                                                               \
    X(a_pod_fails_when_its_deadline_is_over)                                                       \
    X(an_image_that_cannot_be_pulled_keeps_the_pod_pending)                                        \
    X(a_restarted_agent_leaves_running_containers_alone)                                           \
    X(a_container_that_vanished_is_counted_and_started_again)                                      \
    X(a_kill_that_fails_is_tried_again)                                                            \
    X(a_pod_waits_for_the_network_before_its_sandbox)                                              \
    X(a_static_pod_ends_with_its_manifest)                                                         \
    X(what_was_only_created_in_a_lost_sandbox_proves_no_initialisation)                            \
    X(dead_instances_go_also_when_there_will_be_no_new_sandbox)                                    \
    X(a_container_that_is_created_twice_and_never_started_keeps_its_last_end)                      \
    X(a_container_in_unknown_state_stays_lost_until_it_has_ended)                                  \
    X(an_evicted_pod_has_the_grace_period_of_its_eviction)

#define PLAY(name)                                                                                 \
    TEST_CASE(name)                                                                                \
    {                                                                                              \
        scenario_play(#name);                                                                      \
    }
SCENARIOS(PLAY)

#define COUNT(name) +1

TEST_CASE(every_scenario_in_the_folder_is_played)
{
    AUTO(free) char *path = xasprintf("%s/transcripts", getenv("CUBELET_TEST_DATA"));
    DIR *dir = opendir(path);
    assert_non_null(dir);
    size_t files = 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        files += text_has_suffix(entry->d_name, ".txt") ? 1 : 0;
    closedir(dir);
    assert_int_equal(files, 0 SCENARIOS(COUNT));
}

#define LIST(name) TEST(name),

TEST_MAIN(SCENARIOS(LIST) TEST(every_scenario_in_the_folder_is_played))
