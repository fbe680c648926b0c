#include "node/node_startup.h"

#include "tests/lib/metrics_read.h"
#include "tests/lib/test.h"

static void assert_figures(struct metrics *metrics, const double *want)
{
    static const char *const names[] = {
        "kubelet_node_startup_pre_kubelet_duration_seconds",
        "kubelet_node_startup_pre_registration_duration_seconds",
        "kubelet_node_startup_registration_duration_seconds",
        "kubelet_node_startup_post_registration_duration_seconds",
        "kubelet_node_startup_duration_seconds",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        assert_float_equal(metrics_value(metrics, names[i], ""), want[i], 1e-6);
}

TEST_CASE(a_new_node_tells_its_steps_once)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct node_startup startup;
    node_startup_init(&startup, metrics, 30 * NS_PER_SEC);
    assert_figures(metrics, (const double[]){0, 0, 0, 0, 0});
    node_startup_attempt(&startup, 31 * NS_PER_SEC);
    node_startup_attempt(&startup, 32 * NS_PER_SEC);
    node_startup_registered(&startup, 35 * NS_PER_SEC);
    assert_figures(metrics, (const double[]){0, 0, 0, 0, 0});
    node_startup_ready(&startup, 42 * NS_PER_SEC);
    assert_figures(metrics, (const double[]){30, 1, 4, 7, 42});
    node_startup_registered(&startup, 50 * NS_PER_SEC);
    node_startup_ready(&startup, 60 * NS_PER_SEC);
    assert_figures(metrics, (const double[]){30, 1, 4, 7, 42});
}

TEST_CASE(a_node_that_was_there_before_tells_nothing)
{
    AUTO(metrics) struct metrics *metrics = metrics_new();
    struct node_startup startup;
    node_startup_init(&startup, metrics, 30 * NS_PER_SEC);
    node_startup_attempt(&startup, 31 * NS_PER_SEC);
    node_startup_ready(&startup, 42 * NS_PER_SEC);
    assert_figures(metrics, (const double[]){0, 0, 0, 0, 0});
}

TEST_MAIN(TEST(a_new_node_tells_its_steps_once), TEST(a_node_that_was_there_before_tells_nothing))
