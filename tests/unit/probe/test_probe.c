#include "probe/probe.h"

#include "base/fd.h"
#include "played_grpc.h"
#include "played_server.h"
#include "probe/probe_net.h"

#include <stdio.h>

/* Commands end at the next turn with what the script says; the period is a second at least, so
 * triggers stand in. */
struct world {
    struct probe_exec exec;
    struct loop *loop;
    struct work_pool *pool;
    struct probe_net *net;
    struct probe *probe;
    const char *pod_ip; /* NULL: not known */
    bool has_survived, has_no_result;
    const int32_t *exit_codes; /* -1: an error */
    size_t n_codes, runs;
    size_t results;
    bool last_success;
    char event[512];
    size_t events, outcomes;
};

struct probe_exec_run {
    struct world *world;
    struct loop_timer *timer;
    int32_t exit_code;
    void (*on_done)(void *ctx, int32_t exit_code, struct str output, struct error *err_owned);
    void *ctx;
};

static void run_free(void *object)
{
    free(object);
}

static void run_cancel(UNUSED struct probe_exec *self, struct probe_exec_run *run)
{
    if (!run)
        return;
    loop_timer_free(run->timer);
    loop_defer_free(run->world->loop, run_free, run);
}

static void run_ends(void *ctx)
{
    struct probe_exec_run *run = ctx;
    struct probe_exec_run ended = *run;
    run_cancel(NULL, run);
    struct error *err =
        ended.exit_code < 0 ? error_new(ERROR_UNAVAILABLE, "the runtime is away") : NULL;
    ended.on_done(ended.ctx, ended.exit_code, STR_LITERAL("out"), err);
}

static struct probe_exec_run *run_start(struct probe_exec *self,
                                        UNUSED const struct probe_command *command,
                                        void (*on_done)(void *ctx, int32_t exit_code,
                                                        struct str output, struct error *err_owned),
                                        void *ctx)
{
    struct world *world = CONTAINER_OF(self, struct world, exec);
    struct probe_exec_run *run = xcalloc(1, sizeof(*run));
    size_t at = min_size(world->runs++, world->n_codes - 1);
    *run = (struct probe_exec_run){
        .world = world, .exit_code = world->exit_codes[at], .on_done = on_done, .ctx = ctx};
    run->timer = loop_timer_new(world->loop, "run", run_ends, run);
    loop_timer_start(run->timer, 0);
    return run;
}

static const struct probe_exec_vtable vtable = {.run = run_start, .cancel = run_cancel};

static void on_result(void *ctx, UNUSED struct probe *probe, bool success)
{
    struct world *world = ctx;
    world->results++;
    world->last_success = success;
}

static void on_event(void *ctx, UNUSED struct probe *probe, const char *reason, const char *message)
{
    struct world *world = ctx;
    world->events++;
    snprintf(world->event, sizeof(world->event), "%s %s", reason, message);
}

static const char *pod_ip(void *ctx)
{
    return ((const struct world *)ctx)->pod_ip;
}

static void on_outcome(void *ctx, UNUSED struct probe *probe, UNUSED enum probe_outcome outcome,
                       UNUSED int64_t took_ns)
{
    ((struct world *)ctx)->outcomes++;
}

/* Up to the loop's own; the container is as old as the agent unless it has survived. */
static void world_init(struct world *world, enum probe_type type, const Core__Probe *spec,
                       const Core__Container *container)
{
    static char *const command[] = {(char *)(uintptr_t) "true"};
    world->exec.vtable = &vtable;
    assert_no_error(loop_new(&world->loop));
    world->pool = work_pool_new(world->loop, 0);
    world->net = probe_net_new(world->loop, world->pool);
    int64_t now_ns = loop_now_wall_ns(world->loop);
    struct probe_options options = {.type = type,
                                    .spec = spec,
                                    .container = container,
                                    .command = command,
                                    .n_command = 1,
                                    .container_id = "c1",
                                    .started_wall_ns =
                                        now_ns - (world->has_survived ? 60 * NS_PER_SEC : 0),
                                    .agent_started_wall_ns = now_ns,
                                    .has_no_result = world->has_no_result,
                                    .exec = &world->exec,
                                    .net = world->net};
    struct probe_listener listener = {.pod_ip = pod_ip,
                                      .on_result = on_result,
                                      .on_event = on_event,
                                      .on_outcome = on_outcome,
                                      .ctx = world};
    world->probe = probe_new(world->loop, &options, &listener);
}

static void turn(struct world *world, size_t runs)
{
    for (int i = 0; i < 200 && world->runs < runs; i++)
        loop_turn(world->loop, 10 * NS_PER_MS);
    for (int i = 0; i < 4; i++)
        loop_turn(world->loop, 0);
}

static void world_done(struct world *world)
{
    probe_free(world->probe);
    probe_net_free(world->net);
    work_pool_free(world->pool, 0);
    loop_free(world->loop);
}

static Core__Probe probe_spec(Core__ProbeHandler *handler, int32_t success, int32_t failure)
{
    Core__Probe spec = CORE__PROBE__INIT;
    spec.handler = handler;
    spec.has_period_seconds = spec.has_timeout_seconds = true;
    spec.period_seconds = spec.timeout_seconds = 1;
    spec.has_success_threshold = spec.has_failure_threshold = true;
    spec.success_threshold = success;
    spec.failure_threshold = failure;
    return spec;
}

TEST_CASE(readiness_counts_to_its_thresholds)
{
    static const int32_t codes[] = {0, 0, 1, 1, 0};
    Core__ExecAction exec = CORE__EXEC_ACTION__INIT;
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.exec = &exec;
    Core__Probe spec = probe_spec(&handler, 2, 2);
    Core__Container container = CORE__CONTAINER__INIT;
    struct world world = {.exit_codes = codes, .n_codes = ARRAY_SIZE(codes)};
    world_init(&world, PROBE_READINESS, &spec, &container);
    turn(&world, 1);
    assert_int_equal(world.results, 0); /* one success of two */
    probe_trigger(world.probe);
    turn(&world, 2);
    assert_int_equal(world.results, 1);
    assert_true(world.last_success);
    probe_trigger(world.probe);
    turn(&world, 3);
    assert_int_equal(world.results, 1);
    assert_string_equal(world.event, "Unhealthy Readiness probe failed: out");
    probe_trigger(world.probe);
    turn(&world, 4);
    assert_int_equal(world.results, 2);
    assert_false(world.last_success);
    world_done(&world);
}

TEST_CASE(liveness_holds_after_it_failed)
{
    static const int32_t codes[] = {1};
    Core__ExecAction exec = CORE__EXEC_ACTION__INIT;
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.exec = &exec;
    Core__Probe spec = probe_spec(&handler, 1, 1);
    Core__Container container = CORE__CONTAINER__INIT;
    struct world world = {.exit_codes = codes, .n_codes = 1};
    world_init(&world, PROBE_LIVENESS, &spec, &container);
    turn(&world, 1);
    assert_int_equal(world.results, 1);
    assert_false(world.last_success);
    for (int i = 0; i < 120; i++)
        loop_turn(world.loop, 10 * NS_PER_MS);
    assert_int_equal(world.runs, 1);
    world_done(&world);
}

TEST_CASE(an_error_is_tried_three_times_and_changes_nothing)
{
    static const int32_t codes[] = {-1};
    Core__ExecAction exec = CORE__EXEC_ACTION__INIT;
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.exec = &exec;
    Core__Probe spec = probe_spec(&handler, 1, 1);
    Core__Container container = CORE__CONTAINER__INIT;
    struct world world = {.exit_codes = codes, .n_codes = 1};
    world_init(&world, PROBE_LIVENESS, &spec, &container);
    turn(&world, 3);
    assert_int_equal(world.runs, 3);
    assert_int_equal(world.results, 0);
    assert_int_equal(world.events, 1);
    assert_string_equal(world.event, "Unhealthy Liveness probe errored and resulted in unknown "
                                     "state: the runtime is away");
    world_done(&world);
}

/* --- the first attempt --- */

static const Core__Container no_container = CORE__CONTAINER__INIT;

TEST_CASE(the_first_attempt_comes_at_once_unless_the_agent_has_just_come_up)
{
    static const int32_t codes[] = {0};
    static const struct {
        const char *name;
        bool has_survived;
        int32_t initial_delay_s, period_s;
        size_t runs;
    } rows[] = {
        {"a new container", false, 0, 3600, 1},
        {"an initial delay", false, 3600, 3600, 0},
        {"a container from before waits a part of its period", true, 0, 3600, 0},
        {"its initial delay is over", true, 30, 1, 1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__ExecAction exec = CORE__EXEC_ACTION__INIT;
        Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
        handler.exec = &exec;
        Core__Probe spec = probe_spec(&handler, 1, 1);
        spec.period_seconds = rows[i].period_s;
        spec.has_initial_delay_seconds = true;
        spec.initial_delay_seconds = rows[i].initial_delay_s;
        struct world world = {
            .exit_codes = codes, .n_codes = 1, .has_survived = rows[i].has_survived};
        world_init(&world, PROBE_READINESS, &spec, &no_container);
        probe_trigger(world.probe); /* does not make it come sooner */
        for (int n = 0; n < 200 && world.runs < rows[i].runs; n++)
            loop_turn(world.loop, 10 * NS_PER_MS);
        for (int n = 0; n < 4; n++)
            loop_turn(world.loop, 0);
        if (world.runs != rows[i].runs)
            fail_msg("%s: %zu", rows[i].name, world.runs);
        world_done(&world);
    }
}

TEST_CASE(the_first_result_is_told_where_none_is_known)
{
    static const int32_t codes[] = {1};
    static const struct {
        enum probe_type type;
        bool has_no_result;
        size_t results;
    } rows[] = {{PROBE_READINESS, false, 0}, {PROBE_READINESS, true, 1}, {PROBE_STARTUP, false, 1}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__ExecAction exec = CORE__EXEC_ACTION__INIT;
        Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
        handler.exec = &exec;
        Core__Probe spec = probe_spec(&handler, 1, 1);
        struct world world = {
            .exit_codes = codes, .n_codes = 1, .has_no_result = rows[i].has_no_result};
        world_init(&world, rows[i].type, &spec, &no_container);
        turn(&world, 1);
        assert_int_equal(world.results, rows[i].results);
        assert_int_equal(world.events, 1);
        world_done(&world);
    }
}

/* --- over the network --- */

static void turn_to_result(struct world *world)
{
    for (int i = 0; i < 300 && world->outcomes == 0; i++)
        loop_turn(world->loop, 10 * NS_PER_MS);
    loop_turn(world->loop, 0);
}

static Meta__IntOrString port_of(uint16_t port)
{
    Meta__IntOrString number = META__INT_OR_STRING__INIT;
    number.has_int_val = true;
    number.int_val = port;
    return number;
}

TEST_CASE(tcp_succeeds_where_somebody_listens_and_fails_where_nobody_does)
{
    uint16_t number;
    int fd = loopback_listen(1, &number);
    Meta__IntOrString port = port_of(number);
    Core__TCPSocketAction tcp = CORE__TCPSOCKET_ACTION__INIT;
    tcp.port = &port;
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.tcp_socket = &tcp;
    Core__Probe spec = probe_spec(&handler, 1, 1);
    struct world up = {.pod_ip = "127.0.0.1"};
    world_init(&up, PROBE_READINESS, &spec, &no_container);
    turn_to_result(&up);
    assert_int_equal(up.results, 1);
    assert_true(up.last_success);
    world_done(&up);
    fd_close(&fd);

    struct world down = {.pod_ip = "127.0.0.1"};
    world_init(&down, PROBE_READINESS, &spec, &no_container);
    turn_to_result(&down);
    AUTO(free)
    char *want = xasprintf("Unhealthy Readiness probe failed: dial tcp 127.0.0.1:%d: connect: "
                           "connection refused",
                           number);
    assert_string_equal(down.event, want);
    world_done(&down);
}

TEST_CASE(an_http_answer_is_a_result_and_an_event)
{
    static const struct {
        const char *name, *answer;
        size_t results;
        const char *event;
        size_t requests;
    } rows[] = {
        {"fine", "HTTP/1.1 200 OK\r\n\r\nx", 1, "", 1},
        {"the last that is", "HTTP/1.1 399 x\r\n\r\nx", 1,
         "ProbeWarning Readiness probe warning: Probe terminated redirects, Response body: x", 1},
        {"the first that is not", "HTTP/1.1 400 x\r\n\r\nx", 0,
         "Unhealthy Readiness probe failed: HTTP probe failed with statuscode: 400", 1},
        {"another host", "HTTP/1.1 302 x\r\nLocation: http://10.1.2.3/\r\n\r\nmoved", 1,
         "ProbeWarning Readiness probe warning: Probe terminated redirects, Response body: moved",
         1},
        {"a body that breaks off is an error, tried three times",
         "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", 0,
         "Unhealthy Readiness probe errored and resulted in failure state: unexpected EOF", 3},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__HTTPGetAction http = CORE__HTTPGET_ACTION__INIT;
        Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
        handler.http_get = &http;
        Core__Probe spec = probe_spec(&handler, 1, 1);
        struct world world = {.pod_ip = "127.0.0.1"};
        world_init(&world, PROBE_READINESS, &spec, &no_container);
        struct played_server server = {.answers = {rows[i].answer}};
        played_start(&server, world.loop);
        Meta__IntOrString port = port_of(server.port);
        http.port = &port;
        http.path = (char *)(uintptr_t) "/";
        turn_to_result(&world);
        if (world.results != rows[i].results || !text_eq(world.event, rows[i].event) ||
            server.count != rows[i].requests)
            fail_msg("%s: %zu %zu %s", rows[i].name, world.results, server.count, world.event);
        assert_non_null(strstr(played_request(&server, 0), "\r\nUser-Agent: kube-probe/1.36\r\n"));
        played_stop(&server);
        world_done(&world);
    }
}

TEST_CASE(https_is_asked_where_the_spec_says_so)
{
    Core__HTTPGetAction http = CORE__HTTPGET_ACTION__INIT;
    http.scheme = (char *)(uintptr_t) "HTTPS";
    http.host = (char *)(uintptr_t) "127.0.0.1";
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.http_get = &http;
    Core__Probe spec = probe_spec(&handler, 1, 1);
    struct world world = {.pod_ip = NULL}; /* the host is the spec's */
    world_init(&world, PROBE_READINESS, &spec, &no_container);
    struct played_server server = {.answers = {"HTTP/1.1 200 OK\r\n\r\n"}, .tls = played_tls(NULL)};
    played_start(&server, world.loop);
    Meta__IntOrString port = port_of(server.port);
    http.port = &port;
    turn_to_result(&world);
    assert_int_equal(world.results, 1);
    assert_true(world.last_success);
    played_stop(&server);
    world_done(&world);
}

TEST_CASE(grpc_is_asked_at_the_pods_address)
{
    static const struct {
        int reply;
        size_t results;
        const char *event;
    } rows[] = {
        {1, 1, ""},
        {2, 0,
         "Unhealthy Readiness probe failed: service unhealthy (responded with \"NOT_SERVING\")"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Core__GRPCAction grpc = CORE__GRPCACTION__INIT;
        Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
        handler.grpc = &grpc;
        Core__Probe spec = probe_spec(&handler, 1, 1);
        struct world world = {.pod_ip = "127.0.0.1"};
        world_init(&world, PROBE_READINESS, &spec, &no_container);
        struct played_grpc server = {.status = "0", .reply = rows[i].reply};
        played_grpc_start(&server, world.loop);
        grpc.has_port = true;
        grpc.port = server.port;
        grpc.service = (char *)(uintptr_t) "web";
        turn_to_result(&world);
        assert_int_equal(world.results, rows[i].results);
        assert_string_equal(world.event, rows[i].event);
        assert_memory_equal(server.request, "\0\0\0\0\5\n\3web", 10);
        played_grpc_stop(&server);
        world_done(&world);
    }
}

TEST_CASE(while_the_pods_address_is_not_known_nothing_is_told)
{
    Meta__IntOrString port = port_of(1);
    Core__TCPSocketAction tcp = CORE__TCPSOCKET_ACTION__INIT;
    tcp.port = &port;
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.tcp_socket = &tcp;
    Core__Probe spec = probe_spec(&handler, 1, 1);
    struct world world = {.pod_ip = NULL};
    world_init(&world, PROBE_LIVENESS, &spec, &no_container);
    for (int i = 0; i < 4; i++)
        loop_turn(world.loop, NS_PER_MS);
    assert_int_equal(world.outcomes + world.events, 0);
    world.pod_ip = "127.0.0.1"; /* by its next period it is */
    turn_to_result(&world);
    assert_int_equal(world.events, 1);
    world_done(&world);
}

TEST_CASE(ports_are_numbers_or_names)
{
    Core__ContainerPort web = CORE__CONTAINER_PORT__INIT;
    web.name = (char *)(uintptr_t) "web";
    web.has_container_port = true;
    web.container_port = 8080;
    Core__ContainerPort *ports[] = {&web};
    Core__Container container = CORE__CONTAINER__INIT;
    container.n_ports = 1;
    container.ports = ports;
    static const struct {
        const char *text;
        int32_t want;
        const char *error;
    } rows[] = {{"web", 8080, NULL},
                {"81", 81, NULL},
                {"none", 0, "strconv.Atoi: parsing \"none\": invalid syntax"},
                {"0", 0, "invalid port number: 0"},
                {"70000", 0, "invalid port number: 70000"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        Meta__IntOrString port = META__INT_OR_STRING__INIT;
        port.has_type = true;
        port.type = 1;
        port.str_val = (char *)(uintptr_t)rows[i].text;
        int32_t got = 0;
        AUTO(error) struct error *err = probe_resolve_port(&port, &container, &got);
        assert_int_equal(got, rows[i].want);
        if (rows[i].error)
            assert_string_equal(err->message, rows[i].error);
    }
}

TEST_MAIN(TEST(readiness_counts_to_its_thresholds), TEST(liveness_holds_after_it_failed),
          TEST(an_error_is_tried_three_times_and_changes_nothing),
          TEST(the_first_attempt_comes_at_once_unless_the_agent_has_just_come_up),
          TEST(the_first_result_is_told_where_none_is_known),
          TEST(an_http_answer_is_a_result_and_an_event),
          TEST(https_is_asked_where_the_spec_says_so), TEST(grpc_is_asked_at_the_pods_address),
          TEST(while_the_pods_address_is_not_known_nothing_is_told),
          TEST(tcp_succeeds_where_somebody_listens_and_fails_where_nobody_does),
          TEST(ports_are_numbers_or_names))
