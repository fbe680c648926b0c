/*
 * The transport: the server's place, one HTTP client, the credentials, and a gate. The gate closes
 * when a connection could not be made, or broke before any answer: after the first failure it stays
 * open (a connection that has gone stale is simply replaced), after each further one it closes for
 * a random time up to a limit that doubles. All requests wait at the same gate, so a server that is
 * away sees one connection at a time, and after a common failure nodes come back at different
 * times.
 */
#include "kube/api_internal.h"

#include <sys/random.h>

#define MAX_DOUBLINGS 30 /* far beyond the longest pause */
/* Where the server has no HTTP/2, each watch holds one; a node watches each Secret and ConfigMap of
 * its pods. */
#define MAX_HTTP1_CONNECTIONS 1000

const struct api_timing api_timing_default = {
    /* Twice the time kube-apiserver gives a request that is no watch. */
    .attempt_limit_ns = 120 * NS_PER_SEC,
    .watch_grace_ns = 30 * NS_PER_SEC,
    /* client-go's rest package: a lost connection counts as "Retry-After: 1". */
    .lost_pause_ns = NS_PER_SEC,
    .retry_after_max_ns = 120 * NS_PER_SEC,
    .unsent_limit_ns = 3 * NS_PER_SEC,
    .reconnect_base_ns = 250 * NS_PER_MS,
    .reconnect_max_ns = NS_PER_SEC,
    .auth =
        {
            .files_reread_ns = 300 * NS_PER_SEC, /* client-go's CertCallbackRefreshDuration */
            .token_reread_ns = 50 * NS_PER_SEC,  /* a minute, less client-go's leeway of 10 s */
            .plugin_limit_ns = 60 * NS_PER_SEC,
            .plugin_pause_ns = 5 * NS_PER_SEC,
        },
};

/* --- the gate --- */

/* Uniform in [0, 1). */
static double random_unit(void)
{
    uint32_t random = UINT32_MAX / 2; /* should the kernel have nothing better */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = UINT32_MAX / 2;
    return (double)random / ((double)UINT32_MAX + 1);
}

int64_t api_transport_pause(const struct api_transport *transport)
{
    return max_i64(transport->closed_until_ns - loop_now_mono_ns(transport->loop), 0);
}

void api_transport_note_reached(struct api_transport *transport)
{
    transport->failures = 0;
    transport->closed_until_ns = 0;
}

void api_transport_note_failure(struct api_transport *transport, uint64_t sent_after)
{
    /* One failure is told to every request that waited for the connection. */
    if (sent_after != transport->all_failures)
        return;
    transport->all_failures++;
    unsigned doublings = transport->failures;
    transport->failures += transport->failures < MAX_DOUBLINGS ? 1 : 0;
    if (doublings == 0)
        return;
    int64_t limit_ns =
        clamp_i64(sat_mul_i64(transport->timing->reconnect_base_ns, INT64_C(1) << (doublings - 1)),
                  0, transport->timing->reconnect_max_ns);
    transport->closed_until_ns =
        loop_now_mono_ns(transport->loop) + (int64_t)((double)limit_ns * random_unit());
}

/* --- the door --- */

static void on_tls_changed(void *ctx, struct tls_context *tls)
{
    struct api_transport *transport = ctx;
    if (!transport->http)
        return;
    http_client_set_tls(transport->http, tls);
    transport->closed_until_ns = 0;
    api_attempt_end_streams(transport);
}

static struct error *connect_client(struct api_transport *transport, struct work_pool *pool,
                                    const struct kubeconfig *config)
{
    const struct http_client_options options = {
        .host = transport->origin.host,
        .port = transport->origin.port,
        .tls = api_auth_tls(transport->auth),
        .server_name = config->tls_server_name,
        .proxy_url = config->proxy_url,
        .max_http1_connections = MAX_HTTP1_CONNECTIONS,
    };
    return http_client_new(transport->loop, pool, &options, &transport->http);
}

struct error *api_transport_new_timed(struct loop *loop, struct work_pool *pool,
                                      const struct kubeconfig *config, const char *user_agent,
                                      const struct api_timing *timing, struct api_transport **ret)
{
    AUTO(api_transport) struct api_transport *transport = xcalloc(1, sizeof(*transport));
    transport->loop = loop;
    transport->timing = timing;
    transport->arena = arena_new(0);
    transport->server = arena_strdup(transport->arena, config->server);
    transport->user_agent = arena_strdup(transport->arena, user_agent);
    transport->has_plugin = config->exec != NULL;
    bool prefers_tls = config->ca_file || config->ca_data || config->cert_file ||
                       config->cert_data || config->insecure_skip_tls_verify;
    struct error *err =
        api_origin_parse(config->server, prefers_tls, transport->arena, &transport->origin);
    if (err)
        return err;
    const struct api_auth_options options = {.loop = loop,
                                             .pool = pool,
                                             .config = config,
                                             .is_tls = transport->origin.is_tls,
                                             .timing = &timing->auth,
                                             .on_tls_changed = on_tls_changed,
                                             .ctx = transport};
    err = api_auth_new(&options, &transport->auth);
    if (!err)
        err = connect_client(transport, pool, config);
    if (!err)
        *ret = TAKE(transport);
    return err;
}

struct error *api_transport_new(struct loop *loop, struct work_pool *pool,
                                const struct kubeconfig *config, const char *user_agent,
                                struct api_transport **ret)
{
    return api_transport_new_timed(loop, pool, config, user_agent, &api_timing_default, ret);
}

void api_transport_count(struct api_transport *transport, struct metrics *metrics)
{
    api_metrics_init(&transport->metrics, metrics, transport->origin.text, transport->has_plugin);
}

void api_transport_free(struct api_transport *transport)
{
    if (!transport)
        return;
    ASSERT(transport->client_count == 0);
    http_client_free(TAKE(transport->http));
    api_auth_free(TAKE(transport->auth));
    arena_free(TAKE(transport->arena));
    free(transport);
}

void api_transport_reset(struct api_transport *transport)
{
    transport->closed_until_ns = 0;
    http_client_reset(transport->http);
}

const char *api_transport_server(const struct api_transport *transport)
{
    return transport->server;
}
