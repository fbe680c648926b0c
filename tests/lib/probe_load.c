/*
 * Many HTTP probes on one loop, each as the agent has it, once a second; or the server they ask.
 * tools/bench-probes uses both.
 *
 * usage: probe_load serve           listens at 127.0.0.1, prints the port, answers until it is
 * killed probe_load PORT COUNT SECONDS prints one JSON object: attempts, failures, seconds,
 * cpu_seconds, sockets (open at the end)
 */
#include "base/fd.h"
#include "probe/probe.h"
#include "probe/probe_net.h"
#include "wire/http_server.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

struct load {
    struct loop *loop;
    struct probe_exec exec;
    size_t attempts, failures;
};

static void on_request(UNUSED void *ctx, struct http_exchange *exchange)
{
    const struct http_fields none = {0};
    http_exchange_reply(exchange, 200, &none, STR_LITERAL("ok"));
}

static int serve(void)
{
    struct loop *loop = NULL;
    const struct http_server_options options = {.max_connections = 4096};
    AUTO(arena) struct arena *arena = arena_new(0);
    const char *address = "";
    AUTO(error) struct error *err = loop_new(&loop);
    struct http_server *server = err ? NULL : http_server_new(loop, &options, on_request, NULL);
    if (!err)
        err = http_server_listen(server, "127.0.0.1:0", NULL, arena, &address);
    if (err) {
        (void)fprintf(stderr, "probe_load: %s\n", err->message);
        return 1;
    }
    printf("%s\n", strrchr(address, ':') + 1);
    (void)fflush(stdout);
    loop_run(loop);
    return 0;
}

static const char *pod_ip(UNUSED void *ctx)
{
    return "127.0.0.1";
}

static void on_result(UNUSED void *ctx, UNUSED struct probe *probe, UNUSED bool success)
{
    /* Outcomes are counted. */
}

static void on_event(UNUSED void *ctx, UNUSED struct probe *probe, const char *reason,
                     const char *message)
{
    (void)fprintf(stderr, "%s %s\n", reason, message);
}

static void on_outcome(void *ctx, UNUSED struct probe *probe, enum probe_outcome outcome,
                       UNUSED int64_t took_ns)
{
    struct load *load = ctx;
    load->attempts++;
    load->failures += outcome != PROBE_OUTCOME_SUCCESS;
}

static void on_end(void *ctx)
{
    loop_stop(((struct load *)ctx)->loop);
}

static void exec_cancel(UNUSED struct probe_exec *self, UNUSED struct probe_exec_run *run)
{
    /* There are no such probes here. */
}

static double cpu_seconds(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return 0;
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static size_t open_sockets(void)
{
    size_t count = 0;
    char name[64], target[64];
    for (int fd = 0; fd < 4096; fd++) {
        (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(name, target, sizeof(target));
        count += len > 7 && memcmp(target, "socket:", 7) == 0;
    }
    return count;
}

static int ask(uint16_t port, size_t count, int64_t seconds)
{
    static const struct probe_exec_vtable no_exec = {.cancel = exec_cancel};
    struct load load = {.exec = {.vtable = &no_exec}};
    AUTO(error) struct error *err = loop_new(&load.loop);
    if (err) {
        (void)fprintf(stderr, "probe_load: %s\n", err->message);
        return 1;
    }
    struct work_pool *pool = work_pool_new(load.loop, 1);
    struct probe_net *net = probe_net_new(load.loop, pool);
    Meta__IntOrString number = META__INT_OR_STRING__INIT;
    number.has_int_val = true;
    number.int_val = port;
    Core__HTTPGetAction http = CORE__HTTPGET_ACTION__INIT;
    http.port = &number;
    http.path = (char *)(uintptr_t) "/healthz";
    Core__ProbeHandler handler = CORE__PROBE_HANDLER__INIT;
    handler.http_get = &http;
    Core__Probe spec = CORE__PROBE__INIT;
    spec.handler = &handler;
    spec.period_seconds = spec.timeout_seconds = spec.success_threshold = 1;
    spec.failure_threshold = 3;
    Core__Container container = CORE__CONTAINER__INIT;
    /* As after the agent's start: their first attempts are spread over the period. */
    const struct probe_options options = {.type = PROBE_READINESS,
                                          .spec = &spec,
                                          .container = &container,
                                          .container_id = "c",
                                          .agent_started_wall_ns = loop_now_wall_ns(load.loop),
                                          .exec = &load.exec,
                                          .net = net};
    const struct probe_listener listener = {.pod_ip = pod_ip,
                                            .on_result = on_result,
                                            .on_event = on_event,
                                            .on_outcome = on_outcome,
                                            .ctx = &load};
    struct probe **probes = xcalloc(count, sizeof(struct probe *));
    for (size_t i = 0; i < count; i++)
        probes[i] = probe_new(load.loop, &options, &listener);
    struct loop_timer *end = loop_timer_new(load.loop, "end", on_end, &load);
    loop_timer_start(end, seconds * NS_PER_SEC);
    double before = cpu_seconds();
    loop_run(load.loop);
    double used = cpu_seconds() - before;
    for (size_t i = 0; i < count; i++)
        probe_free(probes[i]);
    free(probes);
    loop_turn(load.loop, 0);
    printf("{\"attempts\": %zu, \"failures\": %zu, \"seconds\": %lld, \"cpu_seconds\": %.3f, "
           "\"sockets\": %zu}\n",
           load.attempts, load.failures, (long long)seconds, used, open_sockets());
    loop_timer_free(end);
    probe_net_free(net);
    work_pool_free(pool, NS_PER_SEC);
    loop_free(load.loop);
    return 0;
}

int main(int argc, char **argv)
{
    int64_t port = 0, count = 0, seconds = 0;
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc == 4 && parse_i64(argv[1], 1, UINT16_MAX, &port) &&
        parse_i64(argv[2], 1, 100000, &count) && parse_i64(argv[3], 1, 3600, &seconds))
        return ask((uint16_t)port, (size_t)count, seconds);
    (void)fprintf(stderr, "usage: probe_load serve | probe_load PORT COUNT SECONDS\n");
    return 2;
}
