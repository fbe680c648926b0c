/*
 * The schedule of one probe: a first delay, then one attempt a period; an attempt that errs is
 * tried up to three times at once. Equal consecutive results are counted; at the threshold a
 * changed result is told. Liveness holds after a failure and startup after any result: the
 * container is about to be restarted, or has started.
 */
#include "probe/probe.h"

#include "probe/probe_net.h"

#include <sys/random.h>

#define MAX_TRIES 3 /* pkg/kubelet/prober/prober.go: maxProbeRetries */
#define OUTPUT_MAX_BYTES (10 * KiB)

enum known { KNOWN_NOTHING, KNOWN_SUCCESS, KNOWN_FAILURE };

struct probe {
    struct loop *loop;
    enum probe_type type;
    const Core__Probe *spec;
    const Core__Container *container;
    char *const *command;
    size_t n_command;
    char *container_id, *pod_ip;
    struct probe_exec *exec;
    struct probe_listener listener;
    struct loop_timer *timer;
    int64_t began_mono_ns; /* of the present attempt */
    unsigned tries;
    struct probe_net *net;
    struct probe_exec_run *run;
    enum known told; /* the result others know */
    enum known last; /* of the newest attempt */
    int32_t streak;  /* attempts in a row with that result */
    bool on_hold;
};

const char *probe_type_name(enum probe_type type)
{
    static const char *const names[] = {[PROBE_LIVENESS] = "Liveness",
                                        [PROBE_READINESS] = "Readiness",
                                        [PROBE_STARTUP] = "Startup"};
    return names[type];
}

static bool named_port(const Core__Container *container, const char *name, int64_t *ret)
{
    for (size_t i = 0; i < container->n_ports; i++) {
        if (text_eq(container->ports[i]->name, name)) {
            *ret = container->ports[i]->container_port;
            return true;
        }
    }
    return false;
}

struct error *probe_resolve_port(const Meta__IntOrString *port, const Core__Container *container,
                                 int32_t *ret)
{
    int64_t number = port && port->has_int_val ? port->int_val : 0;
    bool is_text = port && port->has_type && port->type == 1;
    const char *text = is_text && port->str_val ? port->str_val : "";
    if (is_text && !named_port(container, text, &number) &&
        !parse_i64(text, INT32_MIN, INT32_MAX, &number))
        return error_new(ERROR_INVALID_ARGUMENT, "strconv.Atoi: parsing \"%s\": invalid syntax",
                         text);
    if (number < 1 || number > UINT16_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "invalid port number: %lld", (long long)number);
    *ret = (int32_t)number;
    return NULL;
}

/* --- results --- */

static void tell_event(struct probe *probe, const char *reason, const char *what, const char *text)
{
    AUTO(free)
    char *message = xasprintf("%s probe %s: %s", probe_type_name(probe->type), what, text);
    probe->listener.on_event(probe->listener.ctx, probe, reason, message);
}

static int64_t period_ns(const struct probe *probe)
{
    return max_i64(probe->spec->period_seconds, 1) * NS_PER_SEC;
}

static void wait_for_next(struct probe *probe)
{
    if (probe->on_hold)
        return;
    int64_t spent_ns = loop_now_mono_ns(probe->loop) - probe->began_mono_ns;
    loop_timer_start(probe->timer, max_i64(period_ns(probe) - spent_ns, 0));
}

static void count(struct probe *probe, bool success)
{
    enum known now = success ? KNOWN_SUCCESS : KNOWN_FAILURE;
    probe->streak = probe->last == now ? probe->streak + 1 : 1;
    probe->last = now;
    int32_t threshold = success ? probe->spec->success_threshold : probe->spec->failure_threshold;
    if (probe->streak < threshold)
        return;
    if ((probe->type == PROBE_LIVENESS && !success) || probe->type == PROBE_STARTUP) {
        probe->on_hold = true;
        probe->streak = 0;
    }
    if (probe->told == now)
        return;
    probe->told = now;
    probe->listener.on_result(probe->listener.ctx, probe, success);
}

static void tell_outcome(struct probe *probe, enum probe_outcome outcome)
{
    if (probe->listener.on_outcome)
        probe->listener.on_outcome(probe->listener.ctx, probe, outcome,
                                   loop_now_mono_ns(probe->loop) - probe->began_mono_ns);
}

static void conclude(struct probe *probe, enum probe_outcome outcome, const char *output)
{
    probe->net = NULL;
    probe->run = NULL;
    switch (outcome) {
    case PROBE_OUTCOME_ERROR:
        if (++probe->tries < MAX_TRIES) {
            loop_timer_start(probe->timer, 0);
            return;
        }
        tell_outcome(probe, outcome);
        probe->tries = 0;
        wait_for_next(probe);
        tell_event(probe, "Unhealthy", "errored and resulted in unknown state", output);
        return;
    case PROBE_OUTCOME_FAILURE:
        tell_event(probe, "Unhealthy", "failed", output);
        break;
    case PROBE_OUTCOME_WARNING:
        tell_event(probe, "ProbeWarning", "warning", output);
        break;
    case PROBE_OUTCOME_SUCCESS:
        break;
    }
    tell_outcome(probe, outcome);
    probe->tries = 0;
    wait_for_next(probe); /* before telling: the listener may free the probe */
    count(probe, outcome != PROBE_OUTCOME_FAILURE);
    if (probe->on_hold)
        loop_timer_cancel(probe->timer);
}

/* --- attempts --- */

static void on_net(void *ctx, enum probe_outcome outcome, const char *output)
{
    conclude(ctx, outcome, output);
}

static void on_exec(void *ctx, int32_t exit_code, struct str output, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    if (err) {
        bool timed_out = err->code == ERROR_DEADLINE_EXCEEDED;
        conclude(ctx, timed_out ? PROBE_OUTCOME_FAILURE : PROBE_OUTCOME_ERROR, err->message);
        return;
    }
    AUTO(free)
    char *text = xstrndup(output.ptr ? output.ptr : "", min_size(output.len, OUTPUT_MAX_BYTES));
    conclude(ctx, exit_code == 0 ? PROBE_OUTCOME_SUCCESS : PROBE_OUTCOME_FAILURE, text);
}

static int64_t timeout_s(const struct probe *probe)
{
    return max_i64(probe->spec->timeout_seconds, 1);
}

static void attempt_net(struct probe *probe, const char *host, const Meta__IntOrString *port,
                        const Core__HTTPGetAction *http)
{
    struct probe_net_options options = {.host = host && host[0] != '\0' ? host : probe->pod_ip,
                                        .http = http,
                                        .timeout_ns = timeout_s(probe) * NS_PER_SEC};
    AUTO(error) struct error *err = probe_resolve_port(port, probe->container, &options.port);
    if (err) {
        probe->tries = MAX_TRIES; /* another try reads the same spec */
        conclude(probe, PROBE_OUTCOME_ERROR, err->message);
        return;
    }
    probe->net = probe_net_start(probe->loop, &options, on_net, probe);
}

static void attempt(struct probe *probe)
{
    const Core__ProbeHandler *handler = probe->spec->handler;
    if (handler && handler->exec) {
        struct probe_command command = {.container_id = probe->container_id,
                                        .words = probe->command,
                                        .count = probe->n_command,
                                        .timeout_s = timeout_s(probe)};
        probe->run = probe->exec->vtable->run(probe->exec, &command, on_exec, probe);
    } else if (handler && handler->http_get && !text_eq(handler->http_get->scheme, "HTTPS")) {
        attempt_net(probe, handler->http_get->host, handler->http_get->port, handler->http_get);
    } else if (handler && handler->tcp_socket) {
        attempt_net(probe, handler->tcp_socket->host, handler->tcp_socket->port, NULL);
    } else {
        probe->tries = MAX_TRIES;
        conclude(probe, PROBE_OUTCOME_ERROR,
                 handler && handler->grpc ? "cubelet cannot run grpc probes yet"
                                          : "cubelet cannot run HTTPS probes yet");
    }
}

static void on_due(void *ctx)
{
    struct probe *probe = ctx;
    if (probe->net || probe->run)
        return; /* triggered while one is under way */
    if (probe->tries == 0)
        probe->began_mono_ns = loop_now_mono_ns(probe->loop);
    attempt(probe);
}

/* --- life --- */

/* Soon after the agent's start first probes are spread over a period (spec §7.1). */
static int64_t first_delay_ns(const struct probe *probe, const struct probe_options *options)
{
    int64_t now_ns = loop_now_wall_ns(probe->loop);
    int64_t delay_ns = sat_sub_i64(
        sat_add_i64(options->started_wall_ns, probe->spec->initial_delay_seconds * NS_PER_SEC),
        now_ns);
    delay_ns = clamp_i64(delay_ns, 0, probe->spec->initial_delay_seconds * NS_PER_SEC);
    bool old_container = sat_sub_i64(options->agent_started_wall_ns, options->started_wall_ns) > 0;
    if (old_container && sat_sub_i64(now_ns, options->agent_started_wall_ns) < period_ns(probe)) {
        uint16_t random = 0;
        if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
            random = 0;
        delay_ns = max_i64(delay_ns, period_ns(probe) / UINT16_MAX * random);
    }
    return delay_ns;
}

struct probe *probe_new(struct loop *loop, const struct probe_options *options,
                        const struct probe_listener *listener)
{
    static const enum known initial[] = {[PROBE_LIVENESS] = KNOWN_SUCCESS,
                                         [PROBE_READINESS] = KNOWN_FAILURE,
                                         [PROBE_STARTUP] = KNOWN_NOTHING};
    struct probe *probe = xcalloc(1, sizeof(*probe));
    *probe = (struct probe){.loop = loop,
                            .type = options->type,
                            .spec = options->spec,
                            .container = options->container,
                            .command = options->command,
                            .n_command = options->n_command,
                            .container_id = xstrdup(options->container_id),
                            .pod_ip = xstrdup(options->pod_ip ? options->pod_ip : ""),
                            .exec = options->exec,
                            .listener = *listener,
                            .told = initial[options->type]};
    probe->timer = loop_timer_new(loop, "probe", on_due, probe);
    loop_timer_start(probe->timer, first_delay_ns(probe, options));
    return probe;
}

static void release(void *object)
{
    struct probe *probe = object;
    free(probe->container_id);
    free(probe->pod_ip);
    free(probe);
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    probe_net_cancel(TAKE(probe->net));
    probe->exec->vtable->cancel(probe->exec, TAKE(probe->run));
    loop_timer_free(TAKE(probe->timer));
    loop_defer_free(probe->loop, release, probe);
}

enum probe_type probe_type_of(const struct probe *probe)
{
    return probe->type;
}

const char *probe_container_id(const struct probe *probe)
{
    return probe->container_id;
}

void probe_trigger(struct probe *probe)
{
    if (probe->type == PROBE_READINESS && !probe->net && !probe->run)
        loop_timer_start(probe->timer, 0);
}
