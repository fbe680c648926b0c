/*
 * A client is a queue before the transport: calls that are rate limited wait in order for a token,
 * and so does every retry, behind those that came before it. A client without a limit has no queue.
 */
#include "kube/api_internal.h"

#include "base/hash.h"
#include "base/log.h"

/* client-go's rest package: DefaultQPS, DefaultBurst. */
#define DEFAULT_QPS 5
#define DEFAULT_BURST 10
/* client-go tells of longer waits at verbosity 3. */
#define TOLD_WAIT_NS (50 * NS_PER_MS)

/* Sends whom there are tokens for, and sets the timer for the next one. */
static void pump(struct api_client *client)
{
    int64_t now_ns = loop_now_mono_ns(client->transport->loop), wait_ns;
    while (client->queue) {
        struct api_call *call = client->queue;
        if (!rate_limit_take(&client->limit, now_ns, &wait_ns)) {
            loop_timer_start(client->timer, wait_ns);
            return;
        }
        api_client_withdraw(client, call);
        int64_t waited_ns = now_ns - call->queued_ns;
        api_metrics_time(&client->transport->metrics, API_LIMITER_SECONDS, call->request.method,
                         waited_ns);
        if (waited_ns > TOLD_WAIT_NS)
            log_v(3, "Waited before sending request because of client-side throttling",
                  LOG_INT("delayMilliseconds", waited_ns / NS_PER_MS),
                  LOG_STR("verb", call->request.method), LOG_STR("target", call->request.target));
        api_call_send(call);
    }
    loop_timer_cancel(client->timer);
}

static void on_token(void *ctx)
{
    pump(ctx);
}

void api_client_submit(struct api_client *client, struct api_call *call)
{
    call->queued_ns = loop_now_mono_ns(client->transport->loop);
    if (!client->timer) {
        api_call_send(call);
        return;
    }
    call->state = API_CALL_QUEUED;
    DL_APPEND2(client->queue, call, queue_prev, queue_next);
    pump(client);
}

void api_client_withdraw(struct api_client *client, struct api_call *call)
{
    DL_DELETE2(client->queue, call, queue_prev, queue_next);
}

const char *api_client_accept(const struct api_client *client)
{
    return client->options.is_json ? "application/json, */*"
                                   : "application/vnd.kubernetes.protobuf,application/json";
}

struct api_client *api_client_new(struct api_transport *transport,
                                  const struct api_client_options *options)
{
    struct api_client *client = xcalloc(1, sizeof(*client));
    *client = (struct api_client){.transport = transport, .options = *options};
    transport->client_count++;
    double qps = options->qps != 0 ? options->qps : DEFAULT_QPS;
    if (options->is_unlimited || qps < 0)
        return client;
    rate_limit_init(&client->limit, qps, options->burst > 0 ? options->burst : DEFAULT_BURST);
    client->timer = loop_timer_new(transport->loop, "API rate limit", on_token, client);
    return client;
}

void api_client_free(struct api_client *client)
{
    if (!client)
        return;
    while (client->calls)
        api_call_cancel(client->calls);
    while (client->watches)
        api_watch_cancel(client->watches);
    loop_timer_free(TAKE(client->timer));
    client->transport->client_count--;
    free(client);
}
