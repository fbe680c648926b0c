/* What there is for people who look for a fault: configuration, flags, versions, verbosity,
 * profiles. */
#include "node_bench.h"

#define PLAIN "text/plain; charset=utf-8"

static struct node_bench *start(void)
{
    struct node_bench *bench = node_bench_new();
    node_bench_start(bench);
    return bench;
}

TEST_CASE(the_configuration_is_one_object_under_one_key)
{
    AUTO(node_bench) struct node_bench *bench = start();
    static const char *const methods[] = {"GET", "POST", "DELETE"};
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        const char *line = arena_printf(bench->pods.arena, "%s /configz", methods[i]);
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, line, "");
        assert_int_equal(reply.status, 200);
        assert_string_equal(node_reply_field(bench, &reply, "content-type"), "application/json");
        assert_string_equal(node_reply_field(bench, &reply, "x-content-type-options"), "nosniff");
        assert_true(text_has_prefix(reply.body,
                                    "{\"kubeletconfig\":{\"kind\":\"KubeletConfiguration\","
                                    "\"apiVersion\":\"kubelet.config.k8s.io/v1beta1\""));
        assert_string_equal(reply.body + strlen(reply.body) - 2, "}}");
    }
}

/* --- /flagz and /statusz --- */

TEST_CASE(flags_and_status_are_text_unless_a_form_is_named)
{
    static const struct {
        const char *line, *accept, *type, *warning, *part;
        unsigned status;
    } rows[] = {
        {"GET /flagz", "", PLAIN, NULL, "\nkubelet flagz\nWarning: This endpoint", 200},
        {"GET /flagz", "accept: */*\r\n", PLAIN, NULL, "\nnode-ip", 200},
        {"POST /flagz", "accept: text/plain\r\n", PLAIN, NULL, "2\n", 200},
        {"GET /flagz", "accept: application/json;g=config.k8s.io;v=v1beta1;as=Flagz\r\n",
         "application/json", NULL, "\"flags\":{\"node-ip\":\"\",\"v\":\"2\"}", 200},
        {"GET /flagz", "accept: application/json;g=config.k8s.io;v=v1alpha1;as=Flagz\r\n",
         "application/json",
         "299 - \"config.k8s.io/v1alpha1 Flagz is deprecated, use config.k8s.io/v1beta1 Flagz\"",
         "\"apiVersion\":\"config.k8s.io/v1alpha1\"", 200},
        {"GET /flagz", "accept: application/json\r\n", PLAIN, NULL, "as=Flagz", 406},
        {"GET /flagz", "accept: application/json;g=config.k8s.io;v=v1beta1;as=Statusz\r\n", PLAIN,
         NULL, "only the following media types are accepted", 406},
        {"GET /statusz", "", PLAIN, NULL, "\nkubelet statusz\n", 200},
        {"GET /statusz", "", PLAIN, NULL, "/configz /debug /flagz /healthz /metrics\n", 200},
        {"GET /statusz", "accept: application/yaml;g=config.k8s.io;v=v1beta1;as=Statusz\r\n",
         "application/yaml", NULL, "emulationVersion: \"1.36\"", 200},
        {"GET /statusz", "accept: application/json;g=config.k8s.io;v=v1beta1;as=Statusz\r\n",
         "application/json", NULL, "\"binaryVersion\":\"1.36.2+cubelet.0.1.0\"", 200},
        {"GET /statusz", "accept: text/html\r\n", PLAIN, NULL, "as=Statusz", 406},
    };
    AUTO(node_bench) struct node_bench *bench = start();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply =
            node_bench_ask(bench, NODE_PORT_MAIN, rows[i].line, rows[i].accept);
        const char *warning = node_reply_field(bench, &reply, "warning");
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(node_reply_field(bench, &reply, "content-type"), rows[i].type);
        assert_true(text_eq(warning ? warning : "", rows[i].warning ? rows[i].warning : ""));
        if (!strstr(reply.body, rows[i].part))
            fail_msg("%s %s: %s", rows[i].line, rows[i].accept, reply.body);
    }
}

/* --- /debug/flags/v --- */

TEST_CASE(the_verbosity_is_put)
{
    static const struct {
        const char *line, *body;
        unsigned status;
        const char *want;
        int level; /* from then on */
    } rows[] = {
        {"PUT", "4", 200, "successfully set klog.logging.verbosity to 4\n", 4},
        {"PUT", "7\n", 200, "successfully set klog.logging.verbosity to 7\n", 7},
        {"PUT", "x", 400, "failed set klog.logging.verbosity x: not a number from 0 to 1000\n", 7},
        {"PUT", "", 400, "failed set klog.logging.verbosity : not a number from 0 to 1000\n", 7},
        {"PUT", "-1", 400, "failed set klog.logging.verbosity -1: not a number from 0 to 1000\n",
         7},
        {"GET", "", 406, "unsupported http method\n", 7},
        {"POST", "1", 406, "unsupported http method\n", 7},
        {"PUT", "0", 200, "successfully set klog.logging.verbosity to 0\n", 0},
    };
    AUTO(node_bench) struct node_bench *bench = start();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *line = arena_printf(bench->pods.arena, "%s /debug/flags/v", rows[i].line);
        const char *rest = arena_printf(bench->pods.arena, "x-a: b\r\n\r\n%s", rows[i].body);
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, line, rest);
        assert_int_equal(reply.status, rows[i].status);
        assert_string_equal(reply.body, rows[i].want);
        assert_string_equal(node_reply_field(bench, &reply, "content-type"), PLAIN);
        assert_string_equal(node_reply_field(bench, &reply, "x-content-type-options"), "nosniff");
        assert_true(rows[i].level == 0 || log_is_verbose(rows[i].level));
        assert_false(log_is_verbose(rows[i].level + 1));
    }
}

/* --- /debug/pprof --- */

TEST_CASE(profiles_are_refused_by_name)
{
    static const struct {
        const char *line;
        unsigned status;
        const char *body;
    } rows[] = {
        {"GET /debug/pprof/", 404, "404: Page Not Found"}, /* so it is upstream */
        {"GET /debug/pprof/profile?seconds=1", 501, "This agent is written in C"},
        {"GET /debug/pprof/heap", 501, "This agent is written in C"},
        {"GET /debug/pprof/none", 404, "Unknown profile\n"},
        {"GET /debug/pprof/heap/x", 404, "Unknown profile\n"},
    };
    AUTO(node_bench) struct node_bench *bench = start();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, rows[i].line, "");
        if (reply.status != rows[i].status || !text_has_prefix(reply.body, rows[i].body))
            fail_msg("%s: %u %s", rows[i].line, reply.status, reply.body);
    }
}

TEST_CASE(the_command_line_is_what_the_kernel_has)
{
    AUTO(node_bench) struct node_bench *bench = start();
    AUTO(buf) struct buf have;
    buf_init(&have, MiB);
    assert_no_error(fd_read_file_blocking("/proc/self/cmdline", &have));
    const struct node_reply reply =
        node_bench_ask(bench, NODE_PORT_MAIN, "GET /debug/pprof/cmdline", "");
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.body, buf_text(&have)); /* up to the end of the first argument */
    assert_string_equal(node_reply_field(bench, &reply, "content-length"),
                        arena_printf(bench->pods.arena, "%zu", have.len - 1));
    assert_string_equal(node_reply_field(bench, &reply, "content-type"), PLAIN);
}

/* --- switches --- */

TEST_CASE(each_handler_that_is_switched_off_says_so)
{
    AUTO(node_bench) struct node_bench *bench = node_bench_new();
    bench->config.enable_system_log_handler = false;
    bench->config.enable_profiling_handler = false;
    bench->config.enable_debug_flags_handler = false;
    node_bench_start(bench);
    static const struct {
        const char *line, *body;
    } rows[] = {{"GET /logs/", "logs endpoint is disabled.\n"},
                {"GET /logs/dmesg?query=a", "logs endpoint is disabled.\n"},
                {"GET /debug/pprof/heap", "profiling endpoint is disabled.\n"},
                {"GET /debug/pprof/cmdline", "profiling endpoint is disabled.\n"},
                {"PUT /debug/flags/v", "flags endpoint is disabled.\n"},
                {"GET /debug/flags/v", "flags endpoint is disabled.\n"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct node_reply reply = node_bench_ask(bench, NODE_PORT_MAIN, rows[i].line, "");
        assert_int_equal(reply.status, 405);
        assert_string_equal(reply.body, rows[i].body);
        assert_string_equal(node_reply_field(bench, &reply, "x-content-type-options"), "nosniff");
    }
}

TEST_MAIN(TEST(the_configuration_is_one_object_under_one_key),
          TEST(flags_and_status_are_text_unless_a_form_is_named), TEST(the_verbosity_is_put),
          TEST(profiles_are_refused_by_name), TEST(the_command_line_is_what_the_kernel_has),
          TEST(each_handler_that_is_switched_off_says_so))
