#include "base/time.h"
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
    const struct pod_target web = {.namespace = "default", .name = "web-n1", .container = "c"};
    const struct pod_target odd = {.namespace = "a b", .name = "web", .container = "c"};
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    const struct cli_options plain = {.tail_lines = -1};
    cli_add_logs_target(&plain, &web, &out);
    assert_string_equal(buf_text(&out),
                        "/logs/default/web-n1/c?follow=false&previous=false&timestamps=false");
    buf_clear(&out);
    const struct cli_options full = {.follow = true,
                                     .previous = true,
                                     .timestamps = true,
                                     .tail_lines = 0,
                                     .since_seconds = 10,
                                     .limit_bytes = 7};
    cli_add_logs_target(&full, &odd, &out);
    assert_string_equal(buf_text(&out),
                        "/logs/a%20b/web/c?follow=true&previous=true&timestamps=true&"
                        "tailLines=0&sinceSeconds=10&limitBytes=7");
    buf_clear(&out);
    const struct cli_options timed = {.tail_lines = -1, .since_time = "2026-11-21T03:00:00+01:00"};
    cli_add_logs_target(&timed, &web, &out);
    assert_non_null(strstr(buf_text(&out), "&sinceTime=2026-11-21T03%3A00%3A00%2B01%3A00"));
}

TEST_CASE(a_request_for_a_command_says_what_was_asked)
{
    static const char *const words[] = {"sh", "-c", "a & b", ""};
    static const struct {
        struct cli_options options;
        struct exec_switches switches;
        const char *want;
    } rows[] = {
        {{.command = CLI_EXEC, .words = words, .word_count = 1},
         {false, false},
         "/exec/default/web-n1/c?output=1&error=1&input=0&tty=0&command=sh"},
        {{.command = CLI_EXEC, .words = words, .word_count = 4},
         {true, true},
         "/exec/default/web-n1/c?output=1&error=0&input=1&tty=1&command=sh&command=-c&"
         "command=a%20%26%20b&command="},
        {{.command = CLI_ATTACH},
         {true, false},
         "/attach/default/web-n1/c?output=1&error=1&input=1&tty=0"},
    };
    const struct pod_target web = {.namespace = "default", .name = "web-n1", .container = "c"};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf out;
        buf_init(&out, 4 * KiB);
        cli_add_exec_target(&rows[i].options, &web, &rows[i].switches, &out);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

TEST_CASE(top_shows_what_is_used)
{
    static const char json[] =
        "{\"node\":{\"nodeName\":\"n1\",\"cpu\":{\"usageNanoCores\":250000001},"
        "\"memory\":{\"workingSetBytes\":2147483648,\"availableBytes\":6442450944}},"
        "\"pods\":[{\"podRef\":{\"name\":\"web\",\"namespace\":\"b\"},"
        "\"containers\":[{\"name\":\"side\",\"cpu\":{\"usageNanoCores\":0},"
        "\"memory\":{\"workingSetBytes\":1048575,\"availableBytes\":6442450944}},"
        "{\"name\":\"main\",\"cpu\":{\"usageNanoCores\":1},"
        "\"memory\":{\"workingSetBytes\":3145728,\"availableBytes\":6442450944}}],"
        "\"cpu\":{\"usageNanoCores\":1500000},\"memory\":{\"workingSetBytes\":4194304,"
        "\"availableBytes\":6442450944}},{\"podRef\":{\"name\":\"db\",\"namespace\":\"a\"},"
        "\"containers\":[]},{\"podRef\":{\"name\":\"big\",\"namespace\":\"a\"},"
        "\"cpu\":{\"usageNanoCores\":2},\"memory\":{\"workingSetBytes\":104857600,"
        "\"availableBytes\":6442450944}}]}";
    static const struct {
        struct cli_options options;
        const char *want;
    } rows[] = {
        {{0},
         "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)\n"
         "a           big    1m           100Mi\n"
         "a           db     <unknown>    <unknown>\n"
         "b           web    2m           4Mi\n"},
        {{.sort_by = "cpu", .namespace = "b"},
         "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)\n"
         "b           web    2m           4Mi\n"},
        {{.sort_by = "cpu", .namespace = "b", .all_namespaces = true},
         "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)\n"
         "b           web    2m           4Mi\n"
         "a           big    1m           100Mi\n"
         "a           db     <unknown>    <unknown>\n"},
        {{.sort_by = "memory"},
         "NAMESPACE   NAME   CPU(cores)   MEMORY(bytes)\n"
         "a           big    1m           100Mi\n"
         "b           web    2m           4Mi\n"
         "a           db     <unknown>    <unknown>\n"},
        {{.containers = true},
         "NAMESPACE   POD   NAME   CPU(cores)   MEMORY(bytes)\n"
         "b           web   main   1m           3Mi\n"
         "b           web   side   0m           0Mi\n"},
        {{.namespace = "c"}, ""},
        {{.is_node = true},
         "NAME   CPU(cores)   MEMORY(bytes)   MEMORY(%)\n"
         "n1     251m         2048Mi          25%\n"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *summary = NULL;
    assert_no_error(cli_parse_reply(str_from(json), arena, &summary));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf out;
        buf_init(&out, 4 * KiB);
        cli_render_top(summary, &rows[i].options, &out);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

TEST_CASE(why_lists_what_is_waited_for)
{
    static const char json[] =
        "{\"pods\": [{\"namespace\": \"a\", \"name\": \"web\", \"waits\": ["
        "{\"reason\": \"NetworkNotReady\", \"message\": \"network is not ready: x\"},"
        "{\"container\": \"c\", \"reason\": \"CrashLoopBackOff\", \"message\": \"back-off\","
        "\"since\": \"2026-11-21T03:00:00Z\", \"until\": \"2026-11-21T03:01:10Z\"}]},"
        "{\"namespace\": \"a\", \"name\": \"well\", \"waits\": []}]}";
    static const struct {
        bool with_namespace;
        const char *want;
    } rows[] = {
        {true, "NAMESPACE   POD   CONTAINER   REASON             SINCE   NEXT TRY   MESSAGE\n"
               "a           web   -           NetworkNotReady    -       -          network is not "
               "ready: x\n"
               "a           web   c           CrashLoopBackOff   60s     10s        back-off\n"},
        {false, "POD   CONTAINER   REASON             SINCE   NEXT TRY   MESSAGE\n"
                "web   -           NetworkNotReady    -       -          network is not ready: x\n"
                "web   c           CrashLoopBackOff   60s     10s        back-off\n"},
    };
    AUTO(arena) struct arena *arena = arena_new(0);
    const struct doc_node *why = NULL;
    int64_t now_ns = 0;
    assert_no_error(cli_parse_reply(str_from(json), arena, &why));
    assert_no_error(time_parse_rfc3339(str_from("2026-11-21T03:01:00Z"), &now_ns));
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(buf) struct buf out;
        buf_init(&out, 4 * KiB);
        cli_render_why(why, rows[i].with_namespace, now_ns, &out);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

TEST_MAIN(TEST(events_are_listed_oldest_first), TEST(the_status_reads_as_a_few_lines),
          TEST(a_request_for_logs_says_what_was_asked),
          TEST(a_request_for_a_command_says_what_was_asked), TEST(top_shows_what_is_used),
          TEST(why_lists_what_is_waited_for))
