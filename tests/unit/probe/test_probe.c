#include "probe/probe.h"

#include "base/fd.h"
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

/* Commands end at the next turn with what the script says; the period is a second at least, so
 * triggers stand in. */
struct world {
    struct probe_exec exec;
    struct loop *loop;
    struct probe *probe;
    const int32_t *exit_codes; /* -1: an error */
    size_t n_codes, runs;
    size_t results;
    bool last_success;
    char event[256];
    size_t events;
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

static void world_init(struct world *world, enum probe_type type, const Core__Probe *spec,
                       const Core__Container *container)
{
    static char *const command[] = {(char *)(uintptr_t) "true"};
    world->exec.vtable = &vtable;
    assert_no_error(loop_new(&world->loop));
    struct probe_options options = {.type = type,
                                    .spec = spec,
                                    .container = container,
                                    .command = command,
                                    .n_command = 1,
                                    .container_id = "c1",
                                    .pod_ip = "127.0.0.1",
                                    .started_wall_ns = loop_now_wall_ns(world->loop),
                                    .exec = &world->exec};
    struct probe_listener listener = {.on_result = on_result, .on_event = on_event, .ctx = world};
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

static int listen_on_loopback(int32_t *ret_port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void turn_to_result(struct world *world)
{
    for (int i = 0; i < 100 && world->results + world->events == 0; i++)
        loop_turn(world->loop, 10 * NS_PER_MS);
}

TEST_CASE(tcp_succeeds_where_somebody_listens_and_fails_where_nobody_does)
{
    int32_t port;
    int fd = listen_on_loopback(&port);
    Meta__IntOrString number = META__INT_OR_STRING__INIT;
    number.has_int_val = true;
    number.int_val = port;
    Core__TCPSocketAction tcp = CORE__TCPSOCKET_ACTION__INIT;
    tcp.port = &number;
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.tcp_socket = &tcp;
    Core__Probe spec = probe_spec(&handler, 1, 1);
    Core__Container container = CORE__CONTAINER__INIT;
    struct world up = {0};
    world_init(&up, PROBE_READINESS, &spec, &container);
    turn_to_result(&up);
    assert_int_equal(up.results, 1);
    assert_true(up.last_success);
    world_done(&up);
    fd_close(&fd);

    struct world down = {0};
    world_init(&down, PROBE_READINESS, &spec, &container);
    turn_to_result(&down);
    AUTO(free)
    char *want = xasprintf("Unhealthy Readiness probe failed: dial tcp 127.0.0.1:%d: connect: "
                           "connection refused",
                           port);
    assert_string_equal(down.event, want);
    world_done(&down);
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
          TEST(tcp_succeeds_where_somebody_listens_and_fails_where_nobody_does),
          TEST(ports_are_numbers_or_names))
