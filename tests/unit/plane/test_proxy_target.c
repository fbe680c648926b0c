/* Where proxied requests go. */
#include "plane/proxy_internal.h"
#include "tests/unit/plane/rest_bed.h"

struct asking {
    struct rest_bed *bed;
    const char *raw;
    struct proxy_target *target;
    Meta__Status *failure;
    bool is_done;
};

static struct error *run(void *ctx)
{
    struct asking *asking = ctx;
    struct rest_bed *bed = asking->bed;
    const struct rest_env env = {
        .world = &bed->world, .store = bed->store, .arena = bed->arena, .now_wall_ns = bed->now_ns};
    struct http_target target;
    struct route route;
    assert_no_error(http_target_parse(str_from(asking->raw), bed->arena, &target));
    route_parse("GET", &target, &route);
    assert_non_null(route.subresource);
    asking->failure = proxy_prepare(&env, &route, &target, &asking->target);
    return NULL;
}

static void done(void *ctx, const struct error *err)
{
    struct asking *asking = ctx;
    assert_null(err);
    asking->is_done = true;
}

static struct asking ask(struct rest_bed *bed, const char *raw)
{
    static const struct store_task task = {.run = run, .done = done};
    struct asking asking = {.bed = bed, .raw = raw};
    store_submit(bed->store, &task, &asking);
    while (!asking.is_done)
        loop_turn(bed->loop, NS_PER_MS);
    return asking;
}

static void make_pod(struct rest_bed *bed, const char *name, const char *node,
                     const char *containers, const char *ip)
{
    const char *pods = "/api/v1/namespaces/default/pods";
    rest_must(bed, "POST", pods,
              arena_printf(bed->arena,
                           "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\","
                           "\"containers\":[%s],\"initContainers\":[{\"name\":\"init\","
                           "\"image\":\"i\"}]}}",
                           name, node, containers));
    rest_must(bed, "GET", arena_printf(bed->arena, "%s/%s", pods, name), NULL);
    unsigned code = rest_patch_with(
        bed, "merge", arena_printf(bed->arena, "%s/%s/status", pods, name),
        arena_printf(bed->arena, "{\"status\":{\"podIP\":\"%s\",\"podIPs\":[{\"ip\":\"%s\"}]}}", ip,
                     ip));
    assert_int_equal(code, 200);
}

static struct rest_bed *filled_bed(void)
{
    struct rest_bed *bed = rest_bed_new();
    rest_must(bed, "POST", "/api/v1/nodes",
              "{\"metadata\":{\"name\":\"n\"},\"status\":{\"addresses\":["
              "{\"type\":\"Hostname\",\"address\":\"host\"},"
              "{\"type\":\"InternalIP\",\"address\":\"10.0.0.1\"}],"
              "\"daemonEndpoints\":{\"kubeletEndpoint\":{\"Port\":10251}}}}");
    rest_must(bed, "POST", "/api/v1/nodes", "{\"metadata\":{\"name\":\"bare\"}}");
    make_pod(bed, "one", "n",
             "{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":8080}]}", "10.1.0.5");
    make_pod(bed, "two", "n", "{\"name\":\"a\",\"image\":\"i\"},{\"name\":\"b\",\"image\":\"i\"}",
             "fd00::5");
    make_pod(bed, "free", "", "{\"name\":\"c\",\"image\":\"i\"}", "127.0.0.1");
    make_pod(bed, "lost", "gone", "{\"name\":\"c\",\"image\":\"i\"}", "169.254.1.1");
    make_pod(bed, "bare", "bare", "{\"name\":\"c\",\"image\":\"i\"}", "10.1.0.6");
    return bed;
}

#define PODS "/api/v1/namespaces/default/pods/"

TEST_CASE(a_request_goes_to_the_node_or_the_pod)
{
    static const struct {
        const char *raw;
        const char *host;
        unsigned port;
        bool is_tls, is_node, is_log, is_stream;
        const char *target;
    } rows[] = {
        {PODS "one/log", "10.0.0.1", 10251, true, true, true, false,
         "/containerLogs/default/one/c"},
        {PODS "two/log?container=init&follow=true&tailLines=3&x=y", "10.0.0.1", 10251, true, true,
         true, false, "/containerLogs/default/two/init?follow=true&tailLines=3"},
        {PODS "one/log?sinceTime=2026-01-01T00%3A00%3A00%2B01%3A00", "10.0.0.1", 10251, true, true,
         true, false, "/containerLogs/default/one/c?sinceTime=2026-01-01T00%3A00%3A00%2B01%3A00"},
        {PODS "one/exec?command=sh&command=-c&command=a%20%26b&stdin=true&stdout=1&stderr=false"
              "&tty=",
         "10.0.0.1", 10251, true, true, false, true,
         "/exec/default/one/c?input=1&output=1&tty=1&command=sh&command=-c&command=a%20%26b"},
        {PODS "two/attach?container=b&stdout=true&command=no", "10.0.0.1", 10251, true, true, false,
         true, "/attach/default/two/b?output=1"},
        {PODS "two/portforward?ports=80", "10.0.0.1", 10251, true, true, false, true,
         "/portForward/default/two?port=80"},
        {PODS "two/portforward?ports=80,81&ports=82&x=y", "10.0.0.1", 10251, true, true, false,
         true, "/portForward/default/two?port=80%2C81%2C82"},
        /* Nothing of a parameter's name gets into the request. */
        {PODS "two/portforward?a%20HTTP/1.1%0D%0Ab:=c&ports=%0D%0A", "10.0.0.1", 10251, true, true,
         false, true, "/portForward/default/two?port=%0D%0A"},
        {PODS "two/portforward", "10.0.0.1", 10251, true, true, false, true,
         "/portForward/default/two"},
        {PODS "one/proxy", "10.1.0.5", 8080, false, false, false, false, "/"},
        {PODS "one:9/proxy/a%2Fb?c=d", "10.1.0.5", 9, false, false, false, false, "/a%2Fb?c=d"},
        {PODS "https:two/proxy/", "fd00::5", 443, true, false, false, false, "/"},
        {PODS "http:two:/proxy/x", "fd00::5", 80, false, false, false, false, "/x"},
        {"/api/v1/nodes/n/proxy/pods?x", "10.0.0.1", 10251, true, true, false, false, "/pods?x"},
        {"/api/v1/nodes/n:10251/proxy/pods", "10.0.0.1", 10251, true, true, false, false, "/pods"},
        {"/api/v1/nodes/n:9100/proxy/metrics", "10.0.0.1", 9100, false, false, false, false,
         "/metrics"},
        {"/api/v1/nodes/https:n:9100/proxy/", "10.0.0.1", 9100, true, false, false, false, "/"},
    };
    AUTO(rest_bed) struct rest_bed *bed = filled_bed();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].raw);
        const struct asking got = ask(bed, rows[i].raw);
        if (got.failure)
            fail_msg("%s", got.failure->message);
        assert_string_equal(got.target->host, rows[i].host);
        assert_int_equal(got.target->port, rows[i].port);
        assert_int_equal(got.target->is_tls, rows[i].is_tls);
        assert_int_equal(got.target->is_node, rows[i].is_node);
        assert_int_equal(got.target->log_of != NULL, rows[i].is_log);
        assert_int_equal(got.target->is_stream, rows[i].is_stream);
        assert_string_equal(got.target->target, rows[i].target);
    }
}

TEST_CASE(what_leads_nowhere_says_so)
{
    static const struct {
        const char *raw;
        int code;
        const char *message;
    } rows[] = {
        {PODS "none/log", 404, "pods \"none\" not found"},
        {PODS "two/log", 400,
         "a container name must be specified for pod two, choose one of: [init a b]"},
        {PODS "two/exec?container=x", 400, "container x is not valid for pod two"},
        {PODS "free/exec", 400, "pod free does not have a host assigned"},
        {PODS "lost/log", 404, "nodes \"gone\" not found"},
        {PODS "bare/log", 500, "no preferred addresses found; known addresses: []"},
        {PODS "free/proxy/", 400, "address not allowed"},
        {PODS "lost/proxy/", 400, "address not allowed"},
        {PODS "one:x/proxy/", 400, "invalid pod request \"one:x\""},
        {PODS "one:0/proxy/", 400, "invalid pod request \"one:0\""},
        {PODS "https:/proxy/", 400, "invalid pod request \"https:\""},
        {"/api/v1/nodes/none/proxy/", 404, "nodes \"none\" not found"},
        {"/api/v1/namespaces/default/services/s/proxy/", 503,
         "no endpoints available for service \"s\""},
    };
    AUTO(rest_bed) struct rest_bed *bed = filled_bed();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_message("%s\n", rows[i].raw);
        const struct asking got = ask(bed, rows[i].raw);
        assert_non_null(got.failure);
        assert_string_equal(got.failure->message, rows[i].message);
        assert_int_equal(got.failure->code, rows[i].code);
    }
    const struct asking empty = ask(bed, PODS "free/log");
    assert_null(empty.failure);
    assert_null(empty.target);
}

TEST_MAIN(TEST(a_request_goes_to_the_node_or_the_pod), TEST(what_leads_nowhere_says_so))
