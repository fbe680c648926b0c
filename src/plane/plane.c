/*
 * Start: certificates, keys and kubeconfigs; the database; the server; the controllers. Nothing is
 * served before everything is there, because the first request may be for anything.
 */
#include "plane/plane_internal.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/path.h"
#include "plane/facts.h"

#include <unistd.h>

#define DATABASE_FILE "objects.db"
#define DATA_DIR_MODE 0700
#define PEM_MAX_BYTES (1 * MiB)
/* As kube-apiserver (--max-requests-inflight and friends) allows for a small cluster. */
#define MAX_CONNECTIONS 512
#define ISSUER "https://kubernetes.default.svc.cluster.local"

static void on_request(void *ctx, struct http_exchange *exchange)
{
    plane_serve(ctx, exchange);
}

/* The host of "127.0.0.1:6443", "[::1]:0" or ":6443", in @arena. */
static const char *host_of(const char *address, struct arena *arena)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon ? (size_t)(colon - address) : strlen(address);
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']')
        return arena_strndup(arena, address + 1, len - 2);
    return arena_strndup(arena, address, len);
}

static struct error *open_pki(struct plane *plane, const struct plane_options *options)
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
        .extra_names = {.items = options->extra_names, .count = options->extra_name_count},
        .now_s = loop_now_wall_ns(plane->loop) / NS_PER_SEC,
    };
    struct error *err = pki_open_blocking(options->data_dir, &pki_options, &plane->pki);
    if (!err)
        err = jwt_key_new(pki_token_key_pem(plane->pki), &plane->token_key);
    return err;
}

static struct error *read_pem(struct plane *plane, const char *path, const char **ret)
{
    AUTO(buf) struct buf text;
    buf_init(&text, PEM_MAX_BYTES);
    struct error *err = fd_read_file_blocking(path, &text);
    if (!err)
        *ret = arena_strndup(plane->arena, buf_text(&text), text.len);
    return err;
}

static struct error *make_tls(struct plane *plane, const struct plane_options *options)
{
    const char *cert = pki_server_certificate_pem(plane->pki);
    const char *key = pki_server_key_pem(plane->pki);
    struct error *err = NULL;
    if (options->cert_file)
        err = read_pem(plane, options->cert_file, &cert);
    if (!err && options->key_file)
        err = read_pem(plane, options->key_file, &key);
    if (err)
        return err;
    const struct tls_options server = {
        .ca_pem = pki_ca_pem(plane->pki),
        .cert_pem = cert,
        .key_pem = key,
        .alpn = "h2,http/1.1",
        .client_auth = TLS_CLIENT_AUTH_OPTIONAL,
    };
    err = tls_context_new_server(&server, &plane->server_tls);
    if (err)
        return err;
    const struct tls_options client = {
        .cert_pem = pki_admin_certificate_pem(plane->pki),
        .key_pem = pki_admin_key_pem(plane->pki),
        .alpn = "http/1.1",
        .insecure_skip_verify = true,
    };
    return tls_context_new_client(&client, &plane->node_tls);
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
    if (!err)
        log_info("Serving the Kubernetes API", LOG_STR("address", address),
                 LOG_STR("server", plane->server_url));
    return err;
}

struct error *plane_start_blocking(struct loop *loop, struct work_pool *pool,
                                   const struct plane_options *options, struct plane **ret)
{
    AUTO(plane) struct plane *plane = xcalloc(1, sizeof(*plane));
    plane->loop = loop;
    plane->arena = arena_new(0);
    struct error *err = fd_mkdir_all(options->data_dir, DATA_DIR_MODE);
    if (!err)
        err = open_pki(plane, options);
    if (!err)
        err = make_tls(plane, options);
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
    if (!err)
        err = open_store(plane, pool, options);
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
    controllers_free(plane->controllers);
    watch_house_free(plane->watches);
    node_proxy_free(plane->proxy);
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
