#include "pods_bench.h"

#define WEB "containers: [{name: c, image: 'img:1'}]"

TEST_CASE(a_wanted_pod_comes_to_run_and_says_so)
{
    struct bench bench;
    bench_init(&bench);
    bench_start(&bench);
    bench_want(&bench, "web", WEB);
    bench_tell(&bench);
    bench_rest(&bench);
    assert_string_equal(fake_runtime_transcript(bench.fake), "RunPodSandbox web-n/0\n"
                                                             "CreateContainer web-n.c/0\n"
                                                             "StartContainer web-n.c/0\n");
    assert_string_equal(bench_phase(&bench, "u-web"), "Running");
    assert_string_equal(bench_state(&bench, "u-web", "c"), "running");
    assert_string_equal(bench_look(&bench, "u-web").view.status->pod_ip, "10.1.0.7");
    assert_string_equal(fake_runtime_violations(bench.fake), "");
    bench_done(&bench);
}

TEST_MAIN(TEST(a_wanted_pod_comes_to_run_and_says_so))
