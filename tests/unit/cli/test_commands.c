#include "cli/cli_internal.h"
#include "kube/codec.h"
#include "tests/lib/test.h"

#define NOW_NS (INT64_C(1795230000) * NS_PER_SEC) /* 2026-11-21T03:00:00Z */

TEST_CASE(events_are_listed_oldest_first)
{
    static const char json[] =
        "{\"kind\":\"EventList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":["
        "{\"metadata\":{\"name\":\"web.1\",\"namespace\":\"a\"},\"involvedObject\":{\"kind\":"
        "\"Pod\",\"namespace\":"
        "\"a\",\"name\":\"web\"},\"reason\":\"BackOff\",\"message\":\"Back-off\\nagain\",\"type\":"
        "\"Warning\","
        "\"count\":4,\"firstTimestamp\":\"2026-11-21T02:50:00Z\",\"lastTimestamp\":\"2026-11-21T02:"
        "59:30Z\"},"
        "{\"metadata\":{\"name\":\"web.2\",\"namespace\":\"a\"},\"involvedObject\":{\"kind\":"
        "\"Pod\",\"namespace\":"
        "\"a\",\"name\":\"web\"},\"reason\":\"Started\",\"message\":\"Started "
        "container\",\"type\":\"Normal\","
        "\"count\":1,\"firstTimestamp\":\"2026-11-21T02:49:00Z\",\"lastTimestamp\":\"2026-11-21T02:"
        "49:00Z\"}]}";
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    ProtobufCMessage *message = NULL;
    assert_no_error(
        kube_decode_json(str_from(json), &core__event_list__descriptor, &options, arena, &message));
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    cli_render_events((const Core__EventList *)message, false, NOW_NS, &out);
    assert_string_equal(buf_text(&out),
                        "LAST SEEN           TYPE      REASON    OBJECT    MESSAGE\n"
                        "11m                 Normal    Started   pod/web   Started container\n"
                        "30s (x4 over 10m)   Warning   BackOff   pod/web   Back-off again\n");
}

TEST_CASE(the_status_reads_as_a_few_lines)
{
    static const char json[] =
        "{\"nodeName\":\"n1\",\"version\":\"v1.36.2+cubelet.0.1.0\",\"pid\":42,\"uptimeSeconds\":"
        "3720,"
        "\"runtime\":{\"name\":\"containerd\",\"version\":\"2.1\",\"ready\":true,\"networkReady\":"
        "false,"
        "\"message\":\"no "
        "CNI\"},\"pods\":{\"desired\":3,\"running\":2,\"orphans\":1},\"settled\":false,"
        "\"missedChanges\":1,\"manifestProblems\":[{\"file\":\"/m/a.yaml\",\"message\":\"/m/"
        "a.yaml:3: bad\"},"
        "{\"file\":\"/m/b.yaml\",\"message\":\"too "
        "large\"}],\"conditions\":[{\"type\":\"Ready\",\"status\":"
        "\"False\",\"reason\":\"KubeletNotReady\",\"message\":\"no "
        "CNI\"}],\"memory\":{\"rssBytes\":8388608}}";
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *status = NULL;
    assert_no_error(cli_parse_reply(str_from(json), arena, &status));
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    cli_render_status(status, &out);
    assert_string_equal(buf_text(&out),
                        "Node:       n1\n"
                        "Agent:      v1.36.2+cubelet.0.1.0, pid 42, up 62m, 8.0 MiB resident\n"
                        "Runtime:    containerd 2.1, ready, network not ready\n"
                        "            no CNI\n"
                        "Ready:      False (KubeletNotReady: no CNI)\n"
                        "Pods:       3 desired, 2 running, 1 orphans; work is under way\n"
                        "Missed:     1 changes were found by the audit alone\n"
                        "Manifests that cannot be used:\n"
                        "  /m/a.yaml:3: bad\n"
                        "  /m/b.yaml: too large\n");
}

TEST_CASE(a_request_for_logs_says_what_was_asked)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    const struct cli_options plain = {.tail_lines = -1};
    cli_add_logs_target(&plain, "web-n1", &out);
    assert_string_equal(buf_text(&out),
                        "/logs/default/web-n1/-?follow=false&previous=false&timestamps=false");
    buf_clear(&out);
    const struct cli_options full = {.namespace = "a b",
                                     .container = "c",
                                     .follow = true,
                                     .previous = true,
                                     .timestamps = true,
                                     .tail_lines = 0,
                                     .since_seconds = 10,
                                     .limit_bytes = 7};
    cli_add_logs_target(&full, "web", &out);
    assert_string_equal(buf_text(&out),
                        "/logs/a%20b/web/c?follow=true&previous=true&timestamps=true&"
                        "tailLines=0&sinceSeconds=10&limitBytes=7");
}

TEST_MAIN(TEST(events_are_listed_oldest_first), TEST(the_status_reads_as_a_few_lines),
          TEST(a_request_for_logs_says_what_was_asked))
