#include "probe/probe_net.h"

struct probe_net {
    struct loop *loop;
    struct work_pool *pool;
    struct tls_context *tls; /* NULL: not needed yet */
};

struct probe_net *probe_net_new(struct loop *loop, struct work_pool *pool)
{
    struct probe_net *net = xcalloc(1, sizeof(*net));
    net->loop = loop;
    net->pool = pool;
    return net;
}

void probe_net_free(struct probe_net *net)
{
    if (!net)
        return;
    tls_context_unref(net->tls);
    free(net);
}

struct loop *probe_net_loop(const struct probe_net *net)
{
    return net->loop;
}

struct dial *probe_net_dial(struct probe_net *net, const char *host, int32_t port,
                            int64_t timeout_ns, dial_on_done *on_done, void *ctx)
{
    const struct dial_options options = {
        .host = host, .port = (uint16_t)port, .timeout_ns = timeout_ns, .resets_on_close = true};
    return dial_start(net->loop, net->pool, &options, on_done, ctx);
}

struct error *probe_net_tls(struct probe_net *net, struct tls_context **ret)
{
    if (!net->tls) {
        const struct tls_options options = {.alpn = "h2,http/1.1", .insecure_skip_verify = true};
        struct error *err = tls_context_new_client(&options, &net->tls);
        if (err)
            return err;
    }
    *ret = net->tls;
    return NULL;
}
