#include "base/fd.h"
#include "base/path.h"
#include "base/time.h"
#include "cli/cli_internal.h"
#include "cli/local_client.h"
#include "cli/pod_row.h"
#include "kube/codec.h"
#include "tests/lib/test.h"

static ProtobufCMessage *decode(struct str json, const ProtobufCMessageDescriptor *type,
                                struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_TOLERANT};
    ProtobufCMessage *message = NULL;
    assert_no_error(kube_decode_json(json, type, &options, arena, &message));
    return message;
}

static void read_recorded(const char *name, struct buf *ret)
{
    const char *data = getenv("CUBELET_TEST_DATA");
    assert_non_null(data);
    AUTO(free) char *path = path_join_all(data, "recorded", name, NULL);
    assert_no_error(fd_read_file_blocking(path, ret));
}

/* The recorded table has two columns more, which end every line in the same way. */
static char *without_last_columns(const char *table)
{
    AUTO(buf) struct buf out;
    buf_init(&out, 64 * KiB);
    struct str rest = str_from(table), line;
    while (str_split_next(&rest, '\n', &line) && line.len > 0) {
        const char *tail = memmem(line.ptr, line.len, "   NOMINATED", 12);
        if (!tail)
            tail = memmem(line.ptr, line.len, "   <none>           <none>", 26);
        assert_non_null(tail);
        buf_add_str(&out,
                    str_trim((struct str){.ptr = line.ptr, .len = (size_t)(tail - line.ptr)}));
        buf_add_char(&out, '\n');
    }
    return buf_take(&out);
}

TEST_CASE(the_recorded_pods_look_as_kubectl_shows_them)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    AUTO(buf) struct buf json, want, have;
    buf_init(&json, 4 * MiB);
    buf_init(&want, 64 * KiB);
    buf_init(&have, 64 * KiB);
    read_recorded("api/pods.json", &json);
    read_recorded("kubectl/get-pods.txt", &want);
    const Core__PodList *list =
        (const Core__PodList *)decode(buf_str(&json), &core__pod_list__descriptor, arena);
    int64_t now_ns;
    assert_no_error(time_parse_rfc3339(STR_LITERAL("2026-11-21T03:08:07Z"), &now_ns));
    cli_render_pods(list, NULL, true, now_ns, &have);
    AUTO(free) char *table = without_last_columns(buf_text(&want));
    assert_string_equal(buf_text(&have), table);
}

#define NOW_NS (INT64_C(1795230000) * NS_PER_SEC) /* 2026-11-21T03:00:00Z */
#define TWO "\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}]"
#define INITS "\"initContainers\":[{\"name\":\"i\"},{\"name\":\"s\",\"restartPolicy\":\"Always\"}],"
#define WAITS(reason) "\"state\":{\"waiting\":{\"reason\":\"" reason "\"}}"
#define EXITED(code, more) "\"state\":{\"terminated\":{\"exitCode\":" #code more "}}"
#define RUNS "\"ready\":true,\"started\":true,\"state\":{\"running\":{}}"
#define BEFORE(n, time)                                                                            \
    ",\"restartCount\":" #n ",\"lastState\":{\"terminated\":{\"finishedAt\":\"" time "\"}}"

static const struct {
    const char *name;
    const char *metadata, *spec, *status; /* members of each */
    const char *ready, *word, *restarts;
} rows[] = {
    {"a pod without status", "", TWO, "", "0/2", "Unknown", "0"},
    {"pending", "", TWO, "\"phase\":\"Pending\"", "0/2", "Pending", "0"},
    {"the pod's reason", "", TWO, "\"phase\":\"Failed\",\"reason\":\"Evicted\"", "0/2", "Evicted",
     "0"},
    {"gated", "", TWO,
     "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"False\","
     "\"reason\":"
     "\"SchedulingGated\"}]",
     "0/2", "SchedulingGated", "0"},
    {"creating", "", TWO,
     "\"phase\":\"Pending\",\"containerStatuses\":[{\"name\":\"a\"," WAITS(
         "ContainerCreating") "}]",
     "0/2", "ContainerCreating", "0"},
    {"the first that fails counts", "", TWO,
     "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\"," WAITS("CrashLoopBackOff")
         BEFORE(3, "2026-11-21T02:59:48Z") "},{\"name\":\"b\"," EXITED(
             1, ",\"reason\":\"Error\"") "}]",
     "0/2", "CrashLoopBackOff", "3 (12s ago)"},
    {"half ready", "", TWO,
     "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\"," RUNS
     "},{\"name\":\"b\",\"state\":{"
     "\"running\":{}}}]",
     "1/2", "Running", "0"},
    {"completed beside a running one, not ready", "", TWO,
     "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\"," EXITED(
         0, ",\"reason\":\"Completed\"") "},{\"name\":\"b\"," RUNS "}]",
     "1/2", "NotReady", "0"},
    {"completed beside a running one, ready", "", TWO,
     "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"}],"
     "\"containerStatuses\":"
     "[{\"name\":\"a\"," EXITED(0, ",\"reason\":\"Completed\"") "},{\"name\":\"b\"," RUNS "}]",
     "1/2", "Running", "0"},
    {"an exit without a reason", "", TWO,
     "\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"a\"," EXITED(3, "") "}]", "0/2",
     "ExitCode:3", "0"},
    {"a signal without a reason", "", TWO,
     "\"phase\":\"Failed\",\"containerStatuses\":[{\"name\":\"a\"," EXITED(137,
                                                                           ",\"signal\":9") "}]",
     "0/2", "Signal:9", "0"},
    {"init has begun", "", INITS TWO,
     "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\",\"state\":{\"running\":{}}},"
     "{\"name\":"
     "\"s\"," WAITS("PodInitializing") "}]",
     "0/3", "Init:0/2", "0"},
    {"the second init waits", "", INITS TWO,
     "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(
         0, "") "},{\"name\":\"s\"," WAITS("PodInitializing") "}]",
     "0/3", "Init:1/2", "0"},
    {"init crashes", "", INITS TWO,
     "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\"," WAITS("CrashLoopBackOff")
         BEFORE(2, "2026-11-21T02:58:00Z") "}]",
     "0/3", "Init:CrashLoopBackOff", "2 (2m ago)"},
    {"init fails", "", INITS TWO,
     "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(7, "") "}]", "0/3",
     "Init:ExitCode:7", "0"},
    {"sidecars count as ready, inits' restarts are forgotten", "", INITS TWO,
     "\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(0, "")
         BEFORE(5, "2026-11-21T02:00:00Z") "},{\"name\":\"s\"," RUNS BEFORE(
             1, "2026-11-21T02:59:00Z") "}],"
                                        "\"containerStatuses\":[{\"name\":\"a\"," RUNS
                                        "},{\"name\":\"b\"," RUNS "}]",
     "3/3", "Running", "1 (60s ago)"},
    {"terminating", "\"deletionTimestamp\":\"2026-11-21T02:59:59Z\"", TWO, "\"phase\":\"Running\"",
     "0/2", "Terminating", "0"},
    {"ended before it was deleted", "\"deletionTimestamp\":\"2026-11-21T02:59:59Z\"", TWO,
     "\"phase\":\"Succeeded\"", "0/2", "Succeeded", "0"},
    {"failed before it was deleted", "\"deletionTimestamp\":\"2026-11-21T02:59:59Z\"", TWO,
     "\"phase\":\"Failed\",\"reason\":\"Evicted\"", "0/2", "Evicted", "0"},
    {"deleted on a node that was lost", "\"deletionTimestamp\":\"2026-11-21T02:59:59Z\"", TWO,
     "\"phase\":\"Running\",\"reason\":\"NodeLost\"", "0/2", "Unknown", "0"},
    {"on a node that was lost, not deleted", "", TWO,
     "\"phase\":\"Running\",\"reason\":\"NodeLost\"", "0/2", "NodeLost", "0"},
    {"restarts at unknown times", "", TWO,
     "\"phase\":\"Running\",\"containerStatuses\":[{\"name\":\"a\",\"restartCount\":2," RUNS
     "},{\"name\":\"b\",\"restartCount\":1,\"lastState\":{\"terminated\":{}}," RUNS "}]",
     "2/2", "Running", "3"},
    {"a sidecar that runs but is not ready", "", INITS TWO,
     "\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(
         0, "") "},{\"name\":\"s\",\"ready\":false,\"started\":true,\"state\":{\"running\":{}}}],"
                "\"containerStatuses\":[{\"name\":\"a\"," RUNS "},{\"name\":\"b\"," RUNS "}]",
     "2/3", "Running", "0"},
    {"a sidecar that has not started", "", INITS TWO,
     "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(
         0, "") "},{\"name\":\"s\",\"started\":false,\"state\":{\"running\":{}}}]",
     "0/3", "Init:1/2", "0"},
    {"a sidecar crashes beside containers that run", "", INITS TWO,
     "\"phase\":\"Running\",\"conditions\":[{\"type\":\"Initialized\",\"status\":\"True\"}],"
     "\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(0, "") "},{\"name\":\"s\"," WAITS(
         "CrashLoopBackOff")
         BEFORE(4, "2026-11-21T02:59:00Z") "}],\"containerStatuses\":[{\"name\":"
                                           "\"a\"," RUNS "},{\"name\":\"b\"," RUNS "}]",
     "2/3", "Init:CrashLoopBackOff", "4 (60s ago)"},
    {"a sidecar crashes before initialization is over", "", INITS TWO,
     "\"phase\":\"Pending\",\"conditions\":[{\"type\":\"Initialized\",\"status\":\"False\"}],"
     "\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(0, "") "},{\"name\":\"s\"," WAITS(
         "CrashLoopBackOff") "}],\"containerStatuses\":[{\"name\":\"a\"," RUNS "}]",
     "0/3", "Init:CrashLoopBackOff", "0"},
    {"an init container that the spec does not know", "", TWO,
     "\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"x\"," RUNS "}]", "0/2",
     "Init:0/0", "0"},
    {"states without a word", "", INITS TWO,
     "\"phase\":\"Running\",\"initContainerStatuses\":[{\"name\":\"i\"," EXITED(
         0, "") "},{\"name\":\"s\"," RUNS
                "}],\"containerStatuses\":[{\"name\":\"a\",\"ready\":true},"
                "{\"name\":\"b\",\"ready\":true,\"state\":{\"waiting\":{}}}]",
     "1/3", "Running", "0"},
    {"an init container without a state", "", INITS TWO,
     "\"phase\":\"Pending\",\"initContainerStatuses\":[{\"name\":\"i\"}]", "0/3", "Init:0/2", "0"},
};

TEST_CASE(one_word_tells_how_a_pod_is)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        AUTO(arena) struct arena *arena = arena_new(0);
        const char *json = arena_printf(arena, "{\"metadata\":{%s},\"spec\":{%s},\"status\":{%s}}",
                                        rows[i].metadata, rows[i].spec, rows[i].status);
        const Core__Pod *pod =
            (const Core__Pod *)decode(str_from(json), &core__pod__descriptor, arena);
        struct pod_row row = pod_row_make(pod, NOW_NS, arena);
        if (strcmp(row.ready, rows[i].ready) != 0 || strcmp(row.status, rows[i].word) != 0 ||
            strcmp(row.restarts, rows[i].restarts) != 0)
            fail_msg("%s: %s %s %s", rows[i].name, row.ready, row.status, row.restarts);
    }
}

TEST_CASE(a_pod_of_which_nothing_is_known_has_a_row)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__Pod pod = CORE__POD__INIT;
    struct pod_row row = pod_row_make(&pod, NOW_NS, arena);
    assert_string_equal(row.namespace, "<none>");
    assert_string_equal(row.name, "<none>");
    assert_string_equal(row.ready, "0/0");
    assert_string_equal(row.status, "Unknown");
    assert_string_equal(row.restarts, "0");
    assert_string_equal(row.age, "<unknown>");
    assert_string_equal(row.ip, "<none>");
    assert_string_equal(row.node, "<none>");
}

static const char two_pods[] =
    "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{},\"items\":["
    "{\"metadata\":{\"name\":\"web-n1\",\"namespace\":\"default\"},\"spec\":{\"nodeName\":\"n1\"},"
    "\"status\":{"
    "\"startTime\":\"2026-11-21T02:59:00Z\"}},"
    "{\"metadata\":{\"name\":\"web\",\"namespace\":\"other\"},\"spec\":{\"nodeName\":\"n1\"}}]}";

TEST_CASE(tables_can_be_of_one_namespace)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    const Core__PodList *list =
        (const Core__PodList *)decode(str_from(two_pods), &core__pod_list__descriptor, arena);
    AUTO(buf) struct buf out;
    buf_init(&out, 4 * KiB);
    cli_render_pods(list, "default", false, NOW_NS, &out);
    assert_string_equal(buf_text(&out), "NAMESPACE   NAME     READY   STATUS    RESTARTS   AGE\n"
                                        "default     web-n1   0/0     Unknown   0          60s\n");
    buf_clear(&out);
    cli_render_pod_names(list, NULL, &out);
    assert_string_equal(buf_text(&out), "pod/web-n1\npod/web\n");
}

TEST_MAIN(TEST(the_recorded_pods_look_as_kubectl_shows_them), TEST(one_word_tells_how_a_pod_is),
          TEST(a_pod_of_which_nothing_is_known_has_a_row), TEST(tables_can_be_of_one_namespace))
