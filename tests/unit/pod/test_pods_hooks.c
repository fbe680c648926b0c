/* httpGet hooks, and the words of those that fail (spec pods.md §5.10). */
#include "pods_bench.h"
#include "tests/unit/probe/played_server.h"

#define POST_START(handler)                                                                        \
    "containers: [{name: c, image: 'img:1', lifecycle: {postStart: " handler "}}]"

/* The hook's pod, with @handler; %u in it is @port. */
static void begin(struct bench *bench, const char *format, unsigned port)
{
    const char *port_text = arena_printf(bench->arena, "%u", port), *at = strstr(format, "%u");
    const char *spec =
        at ? arena_printf(bench->arena, "%.*s%s%s", (int)(at - format), format, port_text, at + 2)
           : format;
    bench_start(bench);
    bench_want(bench, "web", spec);
    bench_tell(bench);
}

static const char *why_not(const struct bench *bench)
{
    struct bench_look look = bench_look(bench, "u-web");
    for (size_t i = 0; look.found && i < look.view.timeline->count; i++) {
        const struct timeline_entry *entry = timeline_at(look.view.timeline, i);
        if (text_eq(entry->reason, "LifecycleHTTPFallback"))
            return entry->message;
    }
    return NULL;
}

TEST_CASE(whatever_a_server_answers_the_hook_has_run)
{
    struct bench bench;
    bench_init(&bench);
    struct played_server server = {.answers = {"HTTP/1.1 500 no\r\n\r\n"}};
    played_start(&server, bench.loop);
    begin(&bench,
          POST_START("{httpGet: {host: 127.0.0.1, port: %u, path: '/a?b', httpHeaders: [{name: "
                     "X-Own, value: '1'}]}}"),
          server.port);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    const char *request = played_request(&server, 0);
    assert_true(text_has_prefix(request, "GET /a?b HTTP/1.1\r\nHost: 127.0.0.1:"));
    assert_non_null(strstr(request, "\r\nUser-Agent: kube-lifecycle/1.36\r\n"));
    assert_non_null(strstr(request, "\r\nX-Own: 1\r\n"));
    assert_int_equal(bench_events(&bench, "u-web", "FailedPostStartHook"), 0);
    played_stop(&server);
    bench_finish(&bench);
}

TEST_CASE(the_host_is_the_pods_address_as_the_runtime_has_it_now)
{
    struct bench bench;
    bench_init(&bench);
    fake_runtime_set_ip(bench.fake, "127.0.0.1");
    struct played_server server = {.answers = {"HTTP/1.1 200 OK\r\n\r\n"}};
    played_start(&server, bench.loop);
    begin(&bench, POST_START("{httpGet: {port: %u, path: /}}"), server.port);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_int_equal(server.count, 1);
    played_stop(&server);
    bench_finish(&bench);
}

/* The first connection speaks TLS, which the server answers as it answers anything. */
TEST_CASE(a_server_without_tls_is_asked_again_without)
{
    struct bench bench;
    bench_init(&bench);
    struct played_server server = {
        .answers = {"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}};
    played_start(&server, bench.loop);
    begin(&bench,
          POST_START("{httpGet: {scheme: HTTPS, host: 127.0.0.1, port: %u, path: /, httpHeaders: "
                     "[{name: Authorization, value: secret}, {name: X-Own, value: '1'}]}}"),
          server.port);
    bench_until(&bench, server.count == 1 && server.conns[0].in.len > 0);
    played_answer(&server.conns[0]);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_int_equal(server.count, 2);
    assert_null(strstr(played_request(&server, 1), "Authorization"));
    assert_non_null(strstr(played_request(&server, 1), "\r\nX-Own: 1\r\n"));
    assert_string_equal(why_not(&bench),
                        arena_printf(bench.arena,
                                     "request to HTTPS lifecycle hook 127.0.0.1:%u got HTTP "
                                     "response, retry with HTTP succeeded",
                                     server.port));
    assert_float_equal(
        metrics_value(bench.metrics, "kubelet_lifecycle_handler_http_fallbacks_total", ""), 1, 0);
    played_stop(&server);
    bench_finish(&bench);
}

TEST_CASE(https_is_spoken_with_whoever_answers)
{
    struct bench bench;
    bench_init(&bench);
    struct played_server server = {.answers = {"HTTP/1.1 200 OK\r\n\r\n"}, .tls = played_tls(NULL)};
    played_start(&server, bench.loop);
    begin(&bench, POST_START("{httpGet: {scheme: HTTPS, host: 127.0.0.1, port: %u, path: /}}"),
          server.port);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    assert_int_equal(server.count, 1);
    assert_int_equal(bench_events(&bench, "u-web", "LifecycleHTTPFallback"), 0);
    played_stop(&server);
    bench_finish(&bench);
}

/* What the waiting state says while the container is being killed. */
static const char *message_of(const struct bench *bench)
{
    const Core__ContainerStatus *status = bench_container(bench, "u-web", "c");
    return status && status->state && status->state->waiting && status->state->waiting->message
               ? status->state->waiting->message
               : "";
}

TEST_CASE(a_hook_that_fails_says_why)
{
    static const struct {
        const char *name, *spec, *message;
        bool has_no_ip;
    } rows[] = {
        {"exec", POST_START("{exec: {command: [sh, -c, 'exit 5']}}"),
         "Exec lifecycle hook ([sh -c exit 5]) for Container \"c\" in Pod \"web-n_default(u-web)\" "
         "failed - error: command 'sh -c exit 5' exited with 5: , message: \"\"",
         false},
        {"nobody listens", POST_START("{httpGet: {host: 127.0.0.1, port: 1, path: /bye}}"),
         "HTTP lifecycle hook (/bye) for Container \"c\" in Pod \"web-n_default(u-web)\" failed - "
         "error: Get \"http://127.0.0.1:1/bye\": dial tcp 127.0.0.1:1: connect: connection refused",
         false},
        {"no such port", POST_START("{httpGet: {host: 127.0.0.1, port: web, path: /}}"),
         "HTTP lifecycle hook (/) for Container \"c\" in Pod \"web-n_default(u-web)\" failed - "
         "error: strconv.Atoi: parsing \"web\": invalid syntax",
         false},
        {"no address", POST_START("{httpGet: {port: 1, path: /}}"),
         "HTTP lifecycle hook (/) for Container \"c\" in Pod \"web-n_default(u-web)\" failed - "
         "error: failed to find networking container: the runtime shows no address of the pod",
         true},
        {"tcpSocket", POST_START("{tcpSocket: {port: 80}}"),
         "Cannot run handler: invalid handler: &LifecycleHandler{Exec:nil,HTTPGet:nil,TCPSocket:"
         "&TCPSocketAction{Port:{0 80 },Host:,},Sleep:nil,}",
         false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct bench bench;
        bench_init(&bench);
        fake_runtime_script(bench.fake, &(struct fake_script){.name = "c", .hook_exit_code = 5});
        fake_runtime_hold(bench.fake, RUNTIME_START_CONTAINER, true);
        begin(&bench, rows[i].spec, 0);
        bench_until(&bench, fake_runtime_count(bench.fake, RUNTIME_START_CONTAINER) == 1);
        if (rows[i].has_no_ip) /* it had one until now, or it would have been replaced */
            fake_runtime_set_ip(bench.fake, "");
        fake_runtime_hold(bench.fake, RUNTIME_START_CONTAINER, false);
        bench_until(&bench, bench_events(&bench, "u-web", "FailedPostStartHook") > 0);
        bench_until(&bench, message_of(&bench)[0] != '\0');
        if (!text_eq(message_of(&bench), rows[i].message))
            fail_msg("%s: %s", rows[i].name, message_of(&bench));
        bench_finish(&bench);
    }
}

TEST_CASE(a_pre_stop_hook_that_nobody_answers_is_given_up_after_the_grace_period)
{
    struct bench bench;
    bench_init(&bench);
    struct played_server server = {.is_mute = true};
    played_start(&server, bench.loop);
    begin(&bench,
          "terminationGracePeriodSeconds: 1, containers: [{name: c, image: 'img:1', lifecycle: "
          "{preStop: {httpGet: {host: 127.0.0.1, port: %u, path: /bye}}}}]",
          server.port);
    bench_until(&bench, text_eq(bench_state(&bench, "u-web", "c"), "running"));
    bench_rest(&bench);
    fake_runtime_clear_transcript(bench.fake);
    bench_drop(&bench, "u-web");
    bench_tell(&bench);
    bench_until(&bench, server.count == 1);
    bench_until(&bench, !bench_has_pod(&bench, "u-web"));
    assert_true(text_has_prefix(bench_transcript(&bench), "StopContainer web-n.c/0 2\n"));
    played_stop(&server);
    bench_finish(&bench);
}

TEST_CASE(a_hook_under_way_goes_with_the_agent)
{
    struct bench bench;
    bench_init(&bench);
    struct played_server server = {.is_mute = true};
    played_start(&server, bench.loop);
    begin(&bench, POST_START("{httpGet: {host: 127.0.0.1, port: %u, path: /}}"), server.port);
    bench_until(&bench, server.count == 1);
    bench_stop(&bench);
    bench_until(&bench, server.ends + server.cuts == 1);
    played_stop(&server);
    bench_done(&bench);
}

TEST_MAIN(TEST(whatever_a_server_answers_the_hook_has_run),
          TEST(the_host_is_the_pods_address_as_the_runtime_has_it_now),
          TEST(a_server_without_tls_is_asked_again_without),
          TEST(https_is_spoken_with_whoever_answers), TEST(a_hook_that_fails_says_why),
          TEST(a_pre_stop_hook_that_nobody_answers_is_given_up_after_the_grace_period),
          TEST(a_hook_under_way_goes_with_the_agent))
