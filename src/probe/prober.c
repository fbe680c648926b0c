/* pkg/probe/http, pkg/probe/tcp and pkg/probe/grpc: what an answer, or none, says of a container.
 */
#include "probe/prober.h"

#include "base/buf.h"
#include "probe/grpc_check.h"
#include "probe/http_get.h"

/* pkg/probe: the version of the release whose behaviour is offered */
#define USER_AGENT "kube-probe/1.36"

struct prober {
    struct probe_net *net;
    prober_on_done *on_done;
    void *ctx;
    struct http_get *get; /* one of the three is under way */
    struct dial *dial;
    struct grpc_check *check;
};

void prober_cancel(struct prober *prober)
{
    if (!prober)
        return;
    http_get_cancel(prober->get);
    dial_cancel(prober->dial);
    grpc_check_cancel(prober->check);
    free(prober);
}

static void finish(struct prober *prober, enum probe_outcome outcome, const char *output,
                   const char *resulted)
{
    prober_on_done *on_done = prober->on_done;
    void *ctx = prober->ctx;
    free(prober);
    on_done(ctx, &(struct prober_result){outcome, output ? output : "", resulted});
}

/* --- HTTP --- */

static void on_got(void *ctx, const struct http_get_end *end)
{
    struct prober *prober = ctx;
    AUTO(free) char *text = NULL;
    if (end->error && end->status == 0) {
        finish(prober, PROBE_OUTCOME_FAILURE, end->error, NULL);
    } else if (end->error) {
        finish(prober, PROBE_OUTCOME_ERROR, end->error, "failure");
    } else if (end->status < 200 || end->status >= 400) {
        text = xasprintf("HTTP probe failed with statuscode: %u", end->status);
        finish(prober, PROBE_OUTCOME_FAILURE, text, NULL);
    } else if (end->status >= 300) {
        text = xasprintf("Probe terminated redirects, Response body: %.*s", STR_ARG(end->body));
        finish(prober, PROBE_OUTCOME_WARNING, text, NULL);
    } else {
        finish(prober, PROBE_OUTCOME_SUCCESS, NULL, NULL);
    }
}

static const char *host_or(const char *host, const char *pod_ip)
{
    return host && host[0] != '\0' ? host : pod_ip;
}

static void start_http(struct prober *prober, const struct prober_options *options)
{
    const Core__HTTPGetAction *http = options->handler->http_get;
    const struct http_get_options get = {
        .scheme = text_eq(http->scheme, "HTTPS") ? "https" : "http",
        .host = host_or(http->host, options->pod_ip),
        .port = options->port,
        .path = http->path,
        .headers = http->http_headers,
        .n_headers = http->n_http_headers,
        .user_agent = USER_AGENT,
        .timeout_ns = options->timeout_ns,
    };
    prober->get = http_get_start(prober->net, &get, on_got, prober);
}

/* --- TCP --- */

static void on_dialled(void *ctx, struct byte_stream *stream_owned, struct error *err_owned)
{
    struct prober *prober = ctx;
    AUTO(error) struct error *err = err_owned;
    byte_stream_free(stream_owned);
    finish(prober, err ? PROBE_OUTCOME_FAILURE : PROBE_OUTCOME_SUCCESS, err ? err->message : NULL,
           NULL);
}

/* --- gRPC --- */

static void on_checked(void *ctx, const char *failure)
{
    finish(ctx, failure ? PROBE_OUTCOME_FAILURE : PROBE_OUTCOME_SUCCESS, failure, NULL);
}

static void start_grpc(struct prober *prober, const struct prober_options *options)
{
    const char *service = options->handler->grpc->service;
    const struct grpc_check_options check = {.host = options->pod_ip,
                                             .port = options->port,
                                             .service = service ? service : "",
                                             .user_agent = USER_AGENT,
                                             .timeout_ns = options->timeout_ns};
    prober->check = grpc_check_start(prober->net, &check, on_checked, prober);
}

struct prober *prober_start(const struct prober_options *options, prober_on_done *on_done,
                            void *ctx)
{
    struct prober *prober = xcalloc(1, sizeof(*prober));
    const Core__ProbeHandler *handler = options->handler;
    *prober = (struct prober){.net = options->net, .on_done = on_done, .ctx = ctx};
    if (handler->http_get)
        start_http(prober, options);
    else if (handler->tcp_socket)
        prober->dial =
            probe_net_dial(prober->net, host_or(handler->tcp_socket->host, options->pod_ip),
                           options->port, options->timeout_ns, on_dialled, prober);
    else
        start_grpc(prober, options);
    return prober;
}
