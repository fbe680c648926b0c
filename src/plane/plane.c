/*
 * Start: the database, which nobody else may have open then; certificates, keys and kubeconfigs;
 * the server; the controllers. Nothing is served before everything is there, because the first
 * request may be for anything.
 */
#include "plane/plane_internal.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "plane/facts.h"

#include <unistd.h>

#define DATABASE_FILE "objects.db"
#define DATA_DIR_MODE 0700
/* As kube-apiserver (--max-requests-inflight and friends) allows for a small cluster. */
#define MAX_CONNECTIONS 512
#define ISSUER "https://kubernetes.default.svc.cluster.local"

static void on_request(void *ctx, struct http_exchange *exchange)
{
    plane_serve(ctx, exchange);
}

/* The host of "127.0.0.1:6443", "[::1]:0", ":6443" or "https://plane.example/", in @arena. */
static const char *host_of(const char *address, struct arena *arena)
{
    static const char scheme[] = "https://";
    if (text_has_prefix(address, scheme))
        address += strlen(scheme);
    if (address[0] == '[')
        return arena_strndup(arena, address + 1, strcspn(address + 1, "]"));
    return arena_strndup(arena, address, strcspn(address, ":/"));
}

/* Those asked for, and the one that kubeconfigs point to. */
static struct text_list extra_names(const struct plane_options *options, struct arena *arena)
{
    size_t count = options->extra_name_count;
    const char **names = arena_calloc(arena, count + 1, sizeof(*names));
    for (size_t i = 0; i < count; i++)
        names[i] = options->extra_names[i];
    if (options->advertise)
        names[count++] = host_of(options->advertise, arena);
    return (struct text_list){.items = names, .count = count};
}

static struct error *make_server_tls(struct plane *plane, struct tls_context **ret)
{
    const struct tls_options options = {
        .ca_pem = pki_ca_pem(plane->pki),
        .cert_pem = renewal_server_certificate_pem(plane->renewal),
        .key_pem = renewal_server_key_pem(plane->renewal),
        .alpn = "h2,http/1.1",
        .client_auth = TLS_CLIENT_AUTH_OPTIONAL,
    };
    return tls_context_new_server(&options, ret);
}

static struct error *make_node_tls(struct plane *plane, struct tls_context **ret)
{
    const struct tls_options options = {
        .cert_pem = pki_admin_certificate_pem(plane->pki),
        .key_pem = pki_admin_key_pem(plane->pki),
        .alpn = "http/1.1",
        .insecure_skip_verify = true,
    };
    return tls_context_new_client(&options, ret);
}

/* Connections that there are keep what they were made with. One side's trouble, a pair of files
 * that does not fit together, is not the other's. */
static void on_renewed(void *ctx)
{
    struct plane *plane = ctx;
    AUTO(tls_context) struct tls_context *server_tls = NULL;
    AUTO(tls_context) struct tls_context *node_tls = NULL;
    AUTO(error) struct error *server_err = make_server_tls(plane, &server_tls);
    AUTO(error) struct error *node_err = make_node_tls(plane, &node_tls);
    if (server_err)
        log_error("Failed to take the new serving certificate; the old one stays",
                  LOG_ERR(server_err));
    else
        http_server_set_tls(plane->server, server_tls);
    if (node_err)
        log_error("Failed to take the new client certificate; the old one stays",
                  LOG_ERR(node_err));
    else
        node_proxy_set_tls(plane->proxy, node_tls);
}

static struct error *open_pki(struct plane *plane, struct work_pool *pool,
                              const struct plane_options *options)
{
    char host_name[256] = "";
    /* A machine without a name only lacks it in the certificate. */
    if (gethostname(host_name, sizeof(host_name) - 1) < 0)
        host_name[0] = '\0';
    const struct pki_options pki_options = {
        .node_name = options->node_name,
        .listen_host = host_of(options->listen, plane->arena),
        .host_name = host_name,
        .service_range = options->service_range,
        .extra_names = extra_names(options, plane->arena),
        .now_s = loop_now_wall_ns(plane->loop) / NS_PER_SEC,
    };
    struct error *err = pki_open_blocking(options->data_dir, &pki_options, &plane->pki);
    if (!err)
        err = jwt_key_new(pki_token_key_pem(plane->pki), &plane->token_key);
    if (err)
        return err;
    const struct renewal_options renewal_options = {
        .data_dir = options->data_dir,
        .pki = &pki_options,
        .cert_file = options->cert_file,
        .key_file = options->key_file,
        .on_changed = on_renewed,
        .ctx = plane,
    };
    return renewal_new_blocking(plane->loop, pool, &renewal_options, plane->pki, &plane->renewal);
}

static struct error *open_authn(struct plane *plane, const struct plane_options *options)
{
    const struct authn_options authn_options = {
        .token_file = options->token_file,
        .key = plane->token_key,
        .issuer = ISSUER,
        .audiences = plane->world.audiences,
        .objects = &plane_authn_objects,
    };
    return authn_new_blocking(&authn_options, &plane->authn);
}

static struct error *open_store(struct plane *plane, struct work_pool *pool,
                                const struct plane_options *options)
{
    AUTO(free) char *path = path_join(options->data_dir, DATABASE_FILE);
    const struct store_options store_options = {.path = path, .is_unsynced = options->is_unsynced};
    return store_open(plane->loop, pool, &store_options, &plane->store);
}

/* Nobody can be asked to go to "every address"; that includes the machine's own. */
static const char *url_of(const char *address, struct arena *arena)
{
    const char *host = host_of(address, arena);
    const char *port = strrchr(address, ':');
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
        return arena_printf(arena, "https://127.0.0.1%s", port ? port : "");
    return arena_printf(arena, "https://%s", address);
}

static struct error *serve(struct plane *plane, const struct plane_options *options)
{
    const struct http_server_options server_options = {.max_connections = MAX_CONNECTIONS};
    const char *address = NULL;
    plane->server = http_server_new(plane->loop, &server_options, on_request, plane);
    struct error *err = http_server_listen(plane->server, options->listen, plane->server_tls,
                                           plane->arena, &address);
    if (err)
        return err;
    plane->server_url = options->advertise ? arena_strdup(plane->arena, options->advertise)
                                           : url_of(address, plane->arena);
    err = pki_write_kubeconfigs_blocking(plane->pki, plane->server_url);
    if (err)
        return err;
    renewal_start(plane->renewal, plane->server_url);
    log_info("Serving the Kubernetes API", LOG_STR("address", address),
             LOG_STR("server", plane->server_url));
    return NULL;
}

struct error *plane_start_blocking(struct loop *loop, struct work_pool *pool,
                                   const struct plane_options *options, struct plane **ret)
{
    AUTO(plane) struct plane *plane = xcalloc(1, sizeof(*plane));
    plane->loop = loop;
    plane->arena = arena_new(0);
    struct error *err = fd_mkdir_all(options->data_dir, DATA_DIR_MODE);
    if (!err)
        err = open_store(plane, pool, options);
    if (!err)
        err = open_pki(plane, pool, options);
    if (!err)
        err = make_server_tls(plane, &plane->server_tls);
    if (!err)
        err = make_node_tls(plane, &plane->node_tls);
    if (err)
        return err;
    const char **audiences = arena_alloc(plane->arena, sizeof(*audiences));
    audiences[0] = ISSUER;
    plane->world = (struct plane_world){
        .node_name = arena_strdup(plane->arena, options->node_name),
        .service_range = arena_strdup(plane->arena, options->service_range),
        .ca_pem = pki_ca_pem(plane->pki),
        .issuer = ISSUER,
        .token_key = plane->token_key,
        .audiences = {.items = audiences, .count = 1},
    };
    err = open_authn(plane, options);
    plane->world.authn = plane->authn;
    if (err)
        return err;
    plane->watches = watch_house_new(loop, plane->store);
    plane->proxy = node_proxy_new(loop, pool, plane->node_tls);
    const struct controllers_options controllers_options = {.world = &plane->world,
                                                            .pki = plane->pki};
    plane->controllers = controllers_new(loop, plane->store, &controllers_options);
    err = serve(plane, options);
    if (!err)
        *ret = TAKE(plane);
    return err;
}

void plane_stop(struct plane *plane)
{
    plane->is_stopping = true;
    renewal_free(TAKE(plane->renewal));
    watch_house_free(TAKE(plane->watches));
    http_server_drain(plane->server);
}

bool plane_is_idle(const struct plane *plane)
{
    return !plane->servings;
}

void plane_free(struct plane *plane)
{
    if (!plane)
        return;
    renewal_free(plane->renewal);
    controllers_free(plane->controllers);
    watch_house_free(plane->watches);
    node_proxy_free(plane->proxy);
    plane_serve_end_asking(plane);
    http_server_free(plane->server);
    store_close(plane->store);
    plane_serve_free_all(plane);
    authn_free(plane->authn);
    tls_context_unref(plane->server_tls);
    tls_context_unref(plane->node_tls);
    jwt_key_free(plane->token_key);
    pki_free(plane->pki);
    arena_free(plane->arena);
    free(plane);
}
