/*
 * The schedule of one probe: a first delay, then one attempt a period; an attempt that errs is
 * tried up to three times at once. Equal consecutive results are counted; at the threshold a
 * changed result is told. Liveness holds after a failure and startup after any result: the
 * container is about to be restarted, or has started.
 */
#include "probe/probe.h"

#include "probe/prober.h"

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
    char *container_id;
    struct probe_exec *exec;
    struct probe_net *net;
    struct probe_listener listener;
    struct loop_timer *timer;
    int64_t not_before_mono_ns; /* the first one */
    int64_t began_mono_ns;      /* of the present attempt */
    unsigned tries;
    struct prober *prober;
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

/* Nothing came out of it; the counters stay as they are. */
static void give_up(struct probe *probe, const char *resulted, const char *output)
{
    tell_outcome(probe, PROBE_OUTCOME_ERROR);
    probe->tries = 0;
    wait_for_next(probe);
    AUTO(free) char *what = xasprintf("errored and resulted in %s state", resulted);
    tell_event(probe, "Unhealthy", what, output);
}

/* @resulted: of an error, the state upstream says it resulted in. */
static void conclude(struct probe *probe, enum probe_outcome outcome, const char *output,
                     const char *resulted)
{
    probe->prober = NULL;
    probe->run = NULL;
    switch (outcome) {
    case PROBE_OUTCOME_ERROR:
        if (++probe->tries < MAX_TRIES)
            loop_timer_start(probe->timer, 0);
        else
            give_up(probe, resulted, output);
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

static void on_net(void *ctx, const struct prober_result *result)
{
    conclude(ctx, result->outcome, result->output, result->resulted);
}

static int64_t timeout_s(const struct probe *probe)
{
    return max_i64(probe->spec->timeout_seconds, 1);
}

static void on_exec(void *ctx, int32_t exit_code, struct str output, struct error *err_owned)
{
    AUTO(error) struct error *err = err_owned;
    if (err) {
        bool timed_out = err->code == ERROR_DEADLINE_EXCEEDED;
        conclude(ctx, timed_out ? PROBE_OUTCOME_FAILURE : PROBE_OUTCOME_ERROR, err->message,
                 "unknown");
        return;
    }
    AUTO(free)
    char *text = xstrndup(output.ptr ? output.ptr : "", min_size(output.len, OUTPUT_MAX_BYTES));
    conclude(ctx, exit_code == 0 ? PROBE_OUTCOME_SUCCESS : PROBE_OUTCOME_FAILURE, text, NULL);
}

/* Another try would read the same spec. */
static void refuse(struct probe *probe, const char *why)
{
    probe->tries = MAX_TRIES;
    conclude(probe, PROBE_OUTCOME_ERROR, why, "unknown");
}

static void attempt_net(struct probe *probe)
{
    const Core__ProbeHandler *handler = probe->spec->handler;
    struct prober_options options = {.net = probe->net,
                                     .handler = handler,
                                     .pod_ip = probe->listener.pod_ip(probe->listener.ctx),
                                     .timeout_ns = timeout_s(probe) * NS_PER_SEC};
    const char *host = handler->http_get     ? handler->http_get->host
                       : handler->tcp_socket ? handler->tcp_socket->host
                                             : NULL;
    if (!options.pod_ip && !(host && host[0] != '\0')) {
        wait_for_next(probe);
        return;
    }
    if (handler->grpc) {
        options.port = handler->grpc->port;
    } else {
        AUTO(error)
        struct error *err = probe_resolve_port(handler->http_get ? handler->http_get->port
                                                                 : handler->tcp_socket->port,
                                               probe->container, &options.port);
        if (err) {
            refuse(probe, err->message);
            return;
        }
    }
    probe->prober = prober_start(&options, on_net, probe);
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
    } else if (handler && (handler->http_get || handler->tcp_socket || handler->grpc)) {
        attempt_net(probe);
    } else {
        refuse(probe, "missing probe handler");
    }
}

static void on_due(void *ctx)
{
    struct probe *probe = ctx;
    if (probe->prober || probe->run)
        return; /* triggered while one is under way */
    if (probe->tries == 0)
        probe->began_mono_ns = loop_now_mono_ns(probe->loop);
    attempt(probe);
}

/* --- life --- */

/* The rest of the initial delay, by the container's own start. */
static int64_t initial_delay_ns(const struct probe *probe, const struct probe_options *options)
{
    int64_t whole_ns = sat_mul_i64(max_i64(probe->spec->initial_delay_seconds, 0), NS_PER_SEC);
    int64_t end_ns = sat_add_i64(options->started_wall_ns, whole_ns);
    return clamp_i64(sat_sub_i64(end_ns, loop_now_wall_ns(probe->loop)), 0, whole_ns);
}

/* An agent that has just come up would otherwise probe all that runs at once, so the first probes
 * are spread over a period (spec §7.1). What starts after it comes one by one anyway, and is ready
 * when it is: unlike upstream it does not wait. */
static int64_t spread_delay_ns(const struct probe *probe, const struct probe_options *options)
{
    int64_t up_ns = sat_sub_i64(loop_now_wall_ns(probe->loop), options->agent_started_wall_ns);
    uint16_t random = 0;
    if (options->started_wall_ns >= options->agent_started_wall_ns || up_ns >= period_ns(probe) ||
        getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
        return 0;
    return period_ns(probe) / UINT16_MAX * random;
}

struct probe *probe_new(struct loop *loop, const struct probe_options *options,
                        const struct probe_listener *listener)
{
    static const enum known initial[] = {[PROBE_LIVENESS] = KNOWN_SUCCESS,
                                         [PROBE_READINESS] = KNOWN_FAILURE,
                                         [PROBE_STARTUP] = KNOWN_NOTHING};
    struct probe *probe = xcalloc(1, sizeof(*probe));
    *probe =
        (struct probe){.loop = loop,
                       .type = options->type,
                       .spec = options->spec,
                       .container = options->container,
                       .command = options->command,
                       .n_command = options->n_command,
                       .container_id = xstrdup(options->container_id),
                       .exec = options->exec,
                       .net = options->net,
                       .listener = *listener,
                       .told = options->has_no_result ? KNOWN_NOTHING : initial[options->type]};
    probe->timer = loop_timer_new(loop, "probe", on_due, probe);
    int64_t delay_ns = max_i64(initial_delay_ns(probe, options), spread_delay_ns(probe, options));
    probe->not_before_mono_ns = sat_add_i64(loop_now_mono_ns(loop), delay_ns);
    loop_timer_start(probe->timer, delay_ns);
    return probe;
}

static void release(void *object)
{
    struct probe *probe = object;
    free(probe->container_id);
    free(probe);
}

void probe_free(struct probe *probe)
{
    if (!probe)
        return;
    prober_cancel(TAKE(probe->prober));
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

bool probe_trigger(struct probe *probe)
{
    bool is_due = loop_now_mono_ns(probe->loop) >= probe->not_before_mono_ns;
    if (probe->type != PROBE_READINESS || probe->prober || probe->run || !is_due)
        return false;
    loop_timer_start(probe->timer, 0);
    return true;
}
