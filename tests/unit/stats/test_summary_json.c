#include "stats/summary_json.h"

#include "recorded_summary.h"
#include "tests/lib/test.h"

static void assert_json(const struct summary *summary, const char *want)
{
    AUTO(buf) struct buf out;
    buf_init(&out, MiB);
    summary_write_json(summary, &out);
    assert_string_equal(buf_text(&out), want);
}

TEST_CASE(a_recorded_summary_is_written_as_the_kubelet_wrote_it)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    assert_json(recorded_summary(arena), recorded_http("stats_summary.txt", arena).ptr);
}

TEST_CASE(what_has_no_figures_is_left_out)
{
    const struct summary summary = {.node = {.name = "n"}};
    assert_json(&summary, "{\n"
                          " \"node\": {\n"
                          "  \"nodeName\": \"n\",\n"
                          "  \"startTime\": null\n"
                          " },\n"
                          " \"pods\": []\n"
                          "}");
}

TEST_CASE(a_network_without_eth0_has_an_empty_name_for_it)
{
    const struct summary_interface wlan = {.name = "wlan0", .tx_errors = {true, 3}};
    const struct summary_network network = {.time_ns = NS_PER_SEC, .count = 1, .interfaces = &wlan};
    const struct summary summary = {.node = {.name = "n", .network = &network}};
    assert_json(&summary, "{\n"
                          " \"node\": {\n"
                          "  \"nodeName\": \"n\",\n"
                          "  \"startTime\": null,\n"
                          "  \"network\": {\n"
                          "   \"time\": \"1970-01-01T00:00:01Z\",\n"
                          "   \"name\": \"\",\n"
                          "   \"interfaces\": [\n"
                          "    {\n"
                          "     \"name\": \"wlan0\",\n"
                          "     \"txErrors\": 3\n"
                          "    }\n"
                          "   ]\n"
                          "  }\n"
                          " },\n"
                          " \"pods\": []\n"
                          "}");
}

TEST_CASE(claims_health_and_pressure_are_told)
{
    const struct summary_volume volume = {.name = "data",
                                          .fs = {.used_bytes = {true, UINT64_MAX}},
                                          .claim_namespace = "ns",
                                          .claim_name = "claim",
                                          .abnormal = {true, true}};
    const struct summary_psi psi = {.some = {.total = 12, .avg10 = 0.25, .avg60 = 100}};
    const struct summary_io io = {.time_ns = NS_PER_SEC, .psi = &psi};
    const struct summary_pod pod = {.name = "p",
                                    .namespace = "ns",
                                    .uid = "u",
                                    .start_time_ns = 2 * NS_PER_SEC,
                                    .io = &io,
                                    .volume_count = 1,
                                    .volumes = &volume,
                                    .process_count = {true, 0}};
    const struct summary summary = {.node = {.name = "n"}, .pod_count = 1, .pods = &pod};
    assert_json(
        &summary,
        "{\n \"node\": {\n  \"nodeName\": \"n\",\n  \"startTime\": null\n },\n \"pods\": [\n"
        "  {\n"
        "   \"podRef\": {\n    \"name\": \"p\",\n    \"namespace\": \"ns\",\n"
        "    \"uid\": \"u\"\n   },\n"
        "   \"startTime\": \"1970-01-01T00:00:02Z\",\n"
        "   \"containers\": [],\n"
        "   \"io\": {\n"
        "    \"time\": \"1970-01-01T00:00:01Z\",\n"
        "    \"psi\": {\n"
        "     \"full\": {\n      \"total\": 0,\n      \"avg10\": 0,\n"
        "      \"avg60\": 0,\n      \"avg300\": 0\n     },\n"
        "     \"some\": {\n      \"total\": 12,\n      \"avg10\": 0.25,\n"
        "      \"avg60\": 100,\n      \"avg300\": 0\n     }\n"
        "    }\n"
        "   },\n"
        "   \"volume\": [\n"
        "    {\n"
        "     \"time\": null,\n"
        "     \"usedBytes\": 18446744073709551615,\n"
        "     \"name\": \"data\",\n"
        "     \"pvcRef\": {\n      \"name\": \"claim\",\n      \"namespace\": \"ns\"\n"
        "     },\n"
        "     \"volumeHealthStats\": {\n      \"abnormal\": true\n     }\n"
        "    }\n"
        "   ],\n"
        "   \"process_stats\": {\n    \"process_count\": 0\n   }\n"
        "  }\n ]\n}");
}

TEST_CASE(what_does_not_fit_is_seen)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 16);
    const struct summary summary = {.node = {.name = "n"}};
    summary_write_json(&summary, &out);
    assert_error_code(buf_error(&out, "the summary"), ERROR_RESOURCE_EXHAUSTED);
}

TEST_MAIN(TEST(a_recorded_summary_is_written_as_the_kubelet_wrote_it),
          TEST(what_has_no_figures_is_left_out),
          TEST(a_network_without_eth0_has_an_empty_name_for_it),
          TEST(claims_health_and_pressure_are_told), TEST(what_does_not_fit_is_seen))
