/*
 * Probes and lifecycle hooks: one handler each, and numbers that make sense for it.
 */
#include "kube/validate_internal.h"

#include <inttypes.h>

#define PORT_MAX 65535

/* intstr.Type of the wire. */
enum { INTSTR_INT = 0, INTSTR_STRING = 1 };

/* A probe's or a hook's handler: the union of both messages. */
struct handler {
    const Core__ExecAction *exec;
    const Core__HTTPGetAction *http_get;
    const Core__TCPSocketAction *tcp_socket;
    const Core__GRPCAction *grpc;
    const Core__SleepAction *sleep;
};

static void check_port(struct validation *v, const Meta__IntOrString *port,
                       const struct field_path *path)
{
    if (port && port->type == INTSTR_STRING)
        field_check_name(v, path, port->str_val, name_rule_port_name);
    else
        field_check_range(v, path, port ? port->int_val : 0, 1, PORT_MAX);
}

static void validate_exec(struct validation *v, const struct handler *handler,
                          const struct field_path *path)
{
    if (handler->exec->n_command == 0)
        field_required(v, FIELD(path, "command"), NULL);
}

static void validate_http_get(struct validation *v, const struct handler *handler,
                              const struct field_path *path)
{
    static const char *const schemes[] = {"HTTP", "HTTPS", NULL};
    const Core__HTTPGetAction *http = handler->http_get;
    field_check_present(v, FIELD(path, "path"), http->path);
    check_port(v, http->port, FIELD(path, "port"));
    if (!is_one_of(http->scheme, schemes))
        field_not_supported(v, FIELD(path, "scheme"), http->scheme, schemes);
    for (size_t i = 0; i < http->n_http_headers; i++)
        field_check_name(v, FIELD(path, "httpHeaders"), http->http_headers[i]->name,
                         name_rule_http_header);
}

static void validate_tcp_socket(struct validation *v, const struct handler *handler,
                                const struct field_path *path)
{
    check_port(v, handler->tcp_socket->port, FIELD(path, "port"));
}

static void validate_grpc(struct validation *v, const struct handler *handler,
                          const struct field_path *path)
{
    field_check_range(v, FIELD(path, "port"), handler->grpc->port, 1, PORT_MAX);
}

/* PodLifecycleSleepActionAllowZero, GA: zero seconds are fine. */
static void validate_sleep(struct validation *v, const struct handler *handler,
                           const struct field_path *path)
{
    int64_t seconds = handler->sleep->seconds;
    int64_t grace = v->spec->termination_grace_period_seconds;
    if (!v->spec->has_termination_grace_period_seconds || (seconds >= 0 && seconds <= grace))
        return;
    field_invalid_number(v, path, seconds,
                         arena_printf(v->scratch,
                                      "must be non-negative and less than "
                                      "terminationGracePeriodSeconds (%" PRId64 ")",
                                      grace));
}

static void validate_handler(struct validation *v, const struct handler *handler,
                             const struct field_path *path)
{
    const struct {
        const char *name;
        bool present;
        void (*validate)(struct validation *, const struct handler *, const struct field_path *);
    } kinds[] = {{"exec", handler->exec != NULL, validate_exec},
                 {"httpGet", handler->http_get != NULL, validate_http_get},
                 {"tcpSocket", handler->tcp_socket != NULL, validate_tcp_socket},
                 {"grpc", handler->grpc != NULL, validate_grpc},
                 {"sleep", handler->sleep != NULL, validate_sleep}};
    bool found = false;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!kinds[i].present)
            continue;
        if (found)
            field_forbidden(v, FIELD(path, kinds[i].name),
                            "may not specify more than 1 handler type");
        else
            kinds[i].validate(v, handler, FIELD(path, kinds[i].name));
        found = true;
    }
    if (!found)
        field_required(v, path, "must specify a handler type");
}

static void validate_hook(struct validation *v, const Core__LifecycleHandler *hook,
                          const struct field_path *path)
{
    if (!hook)
        return;
    const struct handler handler = {.exec = hook->exec,
                                    .http_get = hook->http_get,
                                    .tcp_socket = hook->tcp_socket,
                                    .sleep = hook->sleep};
    validate_handler(v, &handler, path);
}

static void validate_stop_signal(struct validation *v, const char *signal,
                                 const struct field_path *path)
{
    static const char *const windows[] = {"SIGKILL", "SIGTERM", NULL};
    /* Sorted by byte, as upstream lists them. */
    static const char *const linux_signals[] = {
        "SIGABRT",     "SIGALRM",     "SIGBUS",      "SIGCHLD",     "SIGCLD",      "SIGCONT",
        "SIGFPE",      "SIGHUP",      "SIGILL",      "SIGINT",      "SIGIO",       "SIGIOT",
        "SIGKILL",     "SIGPIPE",     "SIGPOLL",     "SIGPROF",     "SIGPWR",      "SIGQUIT",
        "SIGRTMAX",    "SIGRTMAX-1",  "SIGRTMAX-10", "SIGRTMAX-11", "SIGRTMAX-12", "SIGRTMAX-13",
        "SIGRTMAX-14", "SIGRTMAX-2",  "SIGRTMAX-3",  "SIGRTMAX-4",  "SIGRTMAX-5",  "SIGRTMAX-6",
        "SIGRTMAX-7",  "SIGRTMAX-8",  "SIGRTMAX-9",  "SIGRTMIN",    "SIGRTMIN+1",  "SIGRTMIN+10",
        "SIGRTMIN+11", "SIGRTMIN+12", "SIGRTMIN+13", "SIGRTMIN+14", "SIGRTMIN+15", "SIGRTMIN+2",
        "SIGRTMIN+3",  "SIGRTMIN+4",  "SIGRTMIN+5",  "SIGRTMIN+6",  "SIGRTMIN+7",  "SIGRTMIN+8",
        "SIGRTMIN+9",  "SIGSEGV",     "SIGSTKFLT",   "SIGSTOP",     "SIGSYS",      "SIGTERM",
        "SIGTRAP",     "SIGTSTP",     "SIGTTIN",     "SIGTTOU",     "SIGURG",      "SIGUSR1",
        "SIGUSR2",     "SIGVTALRM",   "SIGWINCH",    "SIGXCPU",     "SIGXFSZ",     NULL};
    if (!v->os)
        field_forbidden(v, path, "may not be set for containers with empty `spec.os.name`");
    else if (text_eq(v->os, "windows") && !is_one_of(signal, windows))
        field_not_supported(v, path, signal, windows);
    else if (text_eq(v->os, "linux") && !is_one_of(signal, linux_signals))
        field_not_supported(v, path, signal, linux_signals);
}

static void validate_probe(struct validation *v, const Core__Probe *probe,
                           const struct field_path *path)
{
    static const Core__ProbeHandler empty = CORE__PROBE_HANDLER__INIT;
    const Core__ProbeHandler *given = probe->handler ? probe->handler : &empty;
    const struct handler handler = {.exec = given->exec,
                                    .http_get = given->http_get,
                                    .tcp_socket = given->tcp_socket,
                                    .grpc = given->grpc};
    validate_handler(v, &handler, path);
    field_check_nonnegative(v, FIELD(path, "initialDelaySeconds"), probe->initial_delay_seconds);
    field_check_nonnegative(v, FIELD(path, "timeoutSeconds"), probe->timeout_seconds);
    field_check_nonnegative(v, FIELD(path, "periodSeconds"), probe->period_seconds);
    field_check_nonnegative(v, FIELD(path, "successThreshold"), probe->success_threshold);
    field_check_nonnegative(v, FIELD(path, "failureThreshold"), probe->failure_threshold);
    if (probe->has_termination_grace_period_seconds && probe->termination_grace_period_seconds <= 0)
        field_invalid_number(v, FIELD(path, "terminationGracePeriodSeconds"),
                             probe->termination_grace_period_seconds, "must be greater than 0");
}

/* Liveness and startup: one success is enough, more would mean nothing. */
static void validate_single_success(struct validation *v, const Core__Probe *probe,
                                    const struct field_path *path)
{
    if (!probe)
        return;
    validate_probe(v, probe, path);
    if (probe->success_threshold != 1)
        field_invalid_number(v, FIELD(path, "successThreshold"), probe->success_threshold,
                             "must be 1");
}

void validate_hooks_and_probes(struct validation *v, const Core__Container *container,
                               const struct field_path *path)
{
    const Core__Lifecycle *lifecycle = container->lifecycle;
    if (lifecycle) {
        const struct field_path *at = FIELD(path, "lifecycle");
        validate_hook(v, lifecycle->post_start, FIELD(at, "postStart"));
        validate_hook(v, lifecycle->pre_stop, FIELD(at, "preStop"));
        if (lifecycle->stop_signal)
            validate_stop_signal(v, lifecycle->stop_signal, FIELD(at, "stopSignal"));
    }
    validate_single_success(v, container->liveness_probe, FIELD(path, "livenessProbe"));
    const Core__Probe *readiness = container->readiness_probe;
    if (readiness) {
        const struct field_path *at = FIELD(path, "readinessProbe");
        validate_probe(v, readiness, at);
        if (readiness->has_termination_grace_period_seconds)
            field_invalid_number(v, FIELD(at, "terminationGracePeriodSeconds"),
                                 readiness->termination_grace_period_seconds,
                                 "must not be set for readinessProbes");
    }
    validate_single_success(v, container->startup_probe, FIELD(path, "startupProbe"));
}
