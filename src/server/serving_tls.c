/*
 * Two things make a context: the pair and the client's authorities. Each comes from a source of its
 * own, at the start and later; whatever comes is tried in a new context together with what is in
 * use of the other, and taken when that can be made. While one of the two is still missing the
 * context is one without certificate.
 */
#include "server/serving_tls.h"

#include "base/log.h"
#include "base/path.h"
#include "kube/certificate_manager.h"
#include "server/file_reload.h"
#include "server/self_signed.h"
#include "server/serving_names.h"
#include "wire/tls_settings.h"

#include <math.h>

#define FILE_MAX_BYTES (1 * MiB) /* of each file */
#define TLS_1_3 0x0304

static const int versions[] = {
    [CONFIG_TLS_DEFAULT] = 0,  [CONFIG_TLS_1_0] = 0x0301,  [CONFIG_TLS_1_1] = 0x0302,
    [CONFIG_TLS_1_2] = 0x0303, [CONFIG_TLS_1_3] = TLS_1_3,
};

static const char *const usages[] = {"digital signature", "server auth"};

/* --- metrics: there while certificates are asked for, as upstream has them --- */

static const double rotation_bounds[] = {60,      3600,    14400,    86400,    604800,
                                         2592000, 7776000, 15552000, 31104000, 124416000};
static const struct metric_info ttl_info = {
    .name = "kubelet_certificate_manager_server_ttl_seconds",
    .help = "[ALPHA] Seconds until the serving certificate expires; +Inf while there is none.",
    .type = METRIC_GAUGE};
static const struct metric_info rotation_info = {
    .name = "kubelet_certificate_manager_server_rotation_seconds",
    .help = "[ALPHA] How old serving certificates were, in seconds, when they were replaced.",
    .type = METRIC_HISTOGRAM,
    .bounds = rotation_bounds,
    .bound_count = ARRAY_SIZE(rotation_bounds)};
static const struct metric_info errors_info = {
    .name = "kubelet_server_expiration_renew_errors",
    .help = "[ALPHA] Failures to get a new serving certificate.",
    .type = METRIC_COUNTER};

struct serving_tls {
    struct loop *loop;
    struct work_pool *pool;
    struct metrics *metrics;
    const struct serving_tls_listener *listener;
    void *ctx;
    struct arena *arena;         /* of texts */
    struct tls_options settings; /* what every context has; texts in the arena */
    const char *node_name, *cert_file, *key_file, *cert_dir;
    bool is_dns_name_enough, reloads_pair, reloads_ca, needs_ca;

    struct tls_context *context; /* in use */
    char *cert_pem, *key_pem;    /* in use; NULL: there is none */
    char *ca_pem;                /* in use; NULL: none, or not read yet */
    bool is_pair_known;          /* its source has spoken, if only to say that there is none yet */
    bool has_failed;             /* told */

    struct file_reload *pair, *ca;
    struct work *work; /* making a pair of our own */
    struct certificate_manager *manager;
};

/* --- contexts --- */

/* What a new context is made of; borrowed. */
struct parts {
    const char *cert_pem, *key_pem, *ca_pem;
};

static void wipe(char **text)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static struct error *make_context(const struct serving_tls *serving, const struct parts *parts,
                                  struct tls_context **ret)
{
    struct tls_options options = serving->settings;
    options.ca_pem = parts->ca_pem;
    options.cert_pem = parts->cert_pem;
    options.key_pem = parts->key_pem;
    options.is_certificate_pending = !parts->cert_pem || (serving->needs_ca && !parts->ca_pem);
    return tls_context_new_server(&options, ret);
}

/* Takes @parts when they can be used; on error everything is as it was. */
static struct error *use(struct serving_tls *serving, const struct parts *parts)
{
    struct tls_context *context = NULL;
    struct error *err = make_context(serving, parts, &context);
    if (err)
        return err;
    bool has_other_ca = parts->ca_pem && !text_eq(parts->ca_pem, serving->ca_pem);
    char *cert_pem = xstrdup(parts->cert_pem), *key_pem = xstrdup(parts->key_pem);
    char *ca_pem = xstrdup(parts->ca_pem); /* copied first: parts may be our own */
    wipe(&serving->cert_pem);              /* one from the cluster has its key in the same text */
    wipe(&serving->key_pem);
    free(serving->ca_pem);
    serving->cert_pem = cert_pem;
    serving->key_pem = key_pem;
    serving->ca_pem = ca_pem;
    tls_context_unref(serving->context);
    serving->context = context;
    bool is_complete = serving->is_pair_known && (!serving->needs_ca || serving->ca_pem);
    if (has_other_ca && serving->listener->on_client_ca)
        serving->listener->on_client_ca(serving->ctx, serving->ca_pem);
    if (is_complete && serving->listener->on_context)
        serving->listener->on_context(serving->ctx, serving->context);
    return NULL;
}

static void fail(struct serving_tls *serving, const struct error *err)
{
    if (serving->has_failed)
        return;
    serving->has_failed = true;
    if (serving->listener->on_failed)
        serving->listener->on_failed(serving->ctx, err);
}

/* What the other source gave stays. */
static struct error *use_pair(struct serving_tls *serving, const char *cert_pem,
                              const char *key_pem)
{
    serving->is_pair_known = true;
    return use(serving, &(struct parts){cert_pem, key_pem, serving->ca_pem});
}

static struct error *use_ca(struct serving_tls *serving, const char *ca_pem)
{
    return use(serving, &(struct parts){serving->cert_pem, serving->key_pem, ca_pem});
}

/* --- files --- */

static void on_pair_read(void *ctx, const struct str *contents, const struct error *read_err)
{
    struct serving_tls *serving = ctx;
    AUTO(error) struct error *err = error_dup(read_err);
    char *cert_pem = contents ? str_dup(contents[0]) : NULL;
    char *key_pem = contents ? str_dup(contents[1]) : NULL;
    bool is_first = !serving->cert_pem;
    if (!err)
        err = use_pair(serving, cert_pem, key_pem);
    free(cert_pem);
    wipe(&key_pem);
    if (err) {
        err = error_wrap(TAKE(err), "invalid certificate and key pair from file (%s, %s)",
                         serving->cert_file, serving->key_file);
        log_error("The serving certificate cannot be used", LOG_BOOL("keepsOld", !is_first),
                  LOG_ERR(err));
        if (is_first)
            fail(serving, err);
    } else if (!is_first) {
        log_info("The serving certificate has changed", LOG_STR("file", serving->cert_file));
    }
    if (!serving->reloads_pair)
        file_reload_free(TAKE(serving->pair));
}

static void on_ca_read(void *ctx, const struct str *contents, const struct error *read_err)
{
    struct serving_tls *serving = ctx;
    AUTO(error) struct error *err = error_dup(read_err);
    AUTO(free) char *ca_pem = contents ? str_dup(contents[0]) : NULL;
    bool is_first = !serving->ca_pem;
    if (!err)
        err = use_ca(serving, ca_pem);
    if (err) {
        err = error_wrap(TAKE(err), "unable to load client CA file");
        log_error("The client CA file cannot be used", LOG_BOOL("keepsOld", !is_first),
                  LOG_ERR(err));
        if (is_first)
            fail(serving, err);
    } else if (!is_first) {
        log_info("The client CA file has changed");
    }
    if (!serving->reloads_ca)
        file_reload_free(TAKE(serving->ca));
}

static void watch_pair(struct serving_tls *serving)
{
    const struct file_reload_options options = {
        .paths = {serving->cert_file, serving->key_file}, .count = 2, .max_bytes = FILE_MAX_BYTES};
    serving->pair = file_reload_new(serving->loop, serving->pool, &options, on_pair_read, serving);
}

static void watch_ca(struct serving_tls *serving, const char *path)
{
    const struct file_reload_options options = {
        .paths = {path}, .count = 1, .max_bytes = FILE_MAX_BYTES};
    serving->ca = file_reload_new(serving->loop, serving->pool, &options, on_ca_read, serving);
}

/* --- a pair of our own --- */

struct self_signed_job {
    char *dir, *host;
    int64_t now_s;
    enum self_signed_outcome outcome;
    struct error *err;
};

static void self_signed_run_blocking(void *object)
{
    struct self_signed_job *job = object;
    const struct self_signed_options options = {
        .dir = job->dir, .host = job->host, .now_s = job->now_s};
    job->err = self_signed_ensure_blocking(&options, &job->outcome);
}

static void self_signed_release(void *object)
{
    struct self_signed_job *job = object;
    free(job->dir);
    free(job->host);
    error_free(job->err);
    free(job);
}

static void on_self_signed(void *ctx, void *object)
{
    struct serving_tls *serving = ctx;
    const struct self_signed_job *job = object;
    serving->work = NULL;
    if (job->err) {
        AUTO(error)
        struct error *err = error_wrap(error_dup(job->err), "unable to generate self signed cert");
        log_error("There is no serving certificate", LOG_ERR(err));
        fail(serving, err);
        return;
    }
    if (job->outcome == SELF_SIGNED_MADE)
        log_info("Made a self-signed serving certificate", LOG_STR("file", serving->cert_file));
    if (job->outcome == SELF_SIGNED_REPLACED)
        log_warning("The serving certificate was damaged: it was set aside as *.damaged, and a "
                    "new one made",
                    LOG_STR("file", serving->cert_file));
    watch_pair(serving);
}

static void start_self_signed(struct serving_tls *serving)
{
    static const struct work_vtable vtable = {.name = "self-signed certificate",
                                              .class = WORK_NORMAL,
                                              .run_blocking = self_signed_run_blocking,
                                              .on_done = on_self_signed,
                                              .release = self_signed_release};
    struct self_signed_job *job = xcalloc(1, sizeof(*job));
    job->dir = xstrdup(serving->cert_dir);
    job->host = xstrdup(serving->node_name);
    job->now_s = loop_now_wall_ns(serving->loop) / NS_PER_SEC;
    serving->work = work_start(serving->pool, &vtable, job, serving);
}

/* --- asked of the cluster --- */

static void on_certificate(void *ctx, const char *pem)
{
    struct serving_tls *serving = ctx;
    AUTO(error) struct error *err = use_pair(serving, pem, pem);
    if (err)
        log_error("The serving certificate cannot be used", LOG_ERR(err));
    else if (!pem)
        log_info("There is no serving certificate: handshakes fail until there is one");
}

static void on_rotated(void *ctx, int64_t age_ns)
{
    const struct serving_tls *serving = ctx;
    metric_observe(metrics_family(serving->metrics, &rotation_info),
                   (double)age_ns / (double)NS_PER_SEC, NULL);
}

static void on_renew_failed(void *ctx)
{
    const struct serving_tls *serving = ctx;
    metric_add(metrics_family(serving->metrics, &errors_info), 1, NULL);
}

static const struct certificate_listener manager_listener = {
    .on_certificate = on_certificate, .on_rotated = on_rotated, .on_renew_failed = on_renew_failed};

static void collect(void *ctx, struct metrics *metrics)
{
    const struct serving_tls *serving = ctx;
    int64_t end_s = certificate_manager_end_s(serving->manager);
    int64_t now_s = loop_now_wall_ns(serving->loop) / NS_PER_SEC;
    metric_set(metrics_family(metrics, &ttl_info),
               end_s == INT64_MAX ? INFINITY : (double)sat_sub_i64(end_s, now_s), NULL);
}

static void start_bootstrap(struct serving_tls *serving, struct api_client *client)
{
    const struct certificate_manager_options options = {
        .loop = serving->loop,
        .pool = serving->pool,
        .client = client,
        .place = {.dir = serving->cert_dir,
                  .prefix = "kubelet-server",
                  .cert_file = serving->cert_file,
                  .key_file = serving->key_file},
        .signer_name = "kubernetes.io/kubelet-serving",
        .usages = usages,
        .usage_count = ARRAY_SIZE(usages),
    };
    if (!client)
        log_warning("serverTLSBootstrap without an API server: only a certificate that is on disk "
                    "can be served");
    serving->manager = certificate_manager_new(&options, &manager_listener, serving);
    if (!serving->metrics)
        return;
    metrics_add_collector(serving->metrics, collect, serving);
    (void)metrics_family(serving->metrics, &rotation_info); /* shown from the start */
    (void)metrics_family(serving->metrics, &errors_info);
}

void serving_tls_node(struct serving_tls *serving, const Core__Node *node)
{
    if (!serving->manager || !node)
        return;
    AUTO(arena) struct arena *arena = arena_new(0);
    struct x509_subject subject;
    bool is_enough =
        serving_names(node, serving->node_name, serving->is_dns_name_enough, arena, &subject);
    certificate_manager_want(serving->manager, is_enough ? &subject : NULL);
}

/* --- settings --- */

static void warn_of(const char *message, const struct text_list *suites)
{
    for (size_t i = 0; i < suites->count; i++)
        log_warning(message, LOG_STR("cipherSuite", suites->items[i]));
}

static struct error *set_suites(struct serving_tls *serving, const struct config_server *config)
{
    const struct text_list names = {config->tls_cipher_suites.items,
                                    config->tls_cipher_suites.count};
    struct tls_suites suites = {0};
    struct error *err = tls_suites_choose(&names, serving->arena, &suites);
    if (err)
        return error_wrap(err, "tlsCipherSuites");
    if (names.count > 0 && config->tls_min_version == CONFIG_TLS_1_3) {
        log_warning("tlsCipherSuites has no effect: TLS 1.3 does not let its suites be chosen");
        return NULL;
    }
    warn_of("An insecure cipher suite is in use", &suites.insecure);
    warn_of("A cipher suite is left out: OpenSSL does not have it", &suites.missing);
    serving->settings.ciphers = suites.ciphers;
    if (names.count > 0 && !suites.ciphers) {
        log_warning("Of tlsCipherSuites none is for TLS 1.2 or older: only TLS 1.3 is offered");
        serving->settings.min_version = TLS_1_3;
    }
    return NULL;
}

static struct error *set_settings(struct serving_tls *serving, const struct config_server *config)
{
    /* No ALPN: a kubelet with a client CA file negotiates none, which leaves HTTP/1.1, the only
     * one that can be upgraded. */
    serving->settings.min_version = versions[config->tls_min_version];
    struct error *err = set_suites(serving, config);
    if (err)
        return err;
    return error_wrap(tls_groups_choose(config->tls_curve_preferences.ids,
                                        config->tls_curve_preferences.count, serving->arena,
                                        &serving->settings.groups),
                      "tlsCurvePreferences");
}

static void set_files(struct serving_tls *serving, const struct config *config, bool has_files)
{
    struct arena *arena = serving->arena;
    AUTO(free) char *cert_file = path_join(config->cert_dir, SELF_SIGNED_CERT);
    AUTO(free) char *key_file = path_join(config->cert_dir, SELF_SIGNED_KEY);
    serving->cert_dir = arena_strdup(arena, config->cert_dir);
    serving->cert_file = arena_strdup(arena, has_files ? config->server.tls_cert_file : cert_file);
    serving->key_file =
        arena_strdup(arena, has_files ? config->server.tls_private_key_file : key_file);
}

/* --- life --- */

static void start(struct serving_tls *serving, const struct serving_tls_options *options)
{
    const struct config *config = options->config;
    bool is_bootstrap = config->server.server_tls_bootstrap &&
                        gate_is_enabled(&config->gates, GATE_RotateKubeletServerCertificate);
    bool has_files = config->server.tls_cert_file[0] || config->server.tls_private_key_file[0];
    set_files(serving, config, has_files || is_bootstrap);
    if (serving->needs_ca)
        watch_ca(serving, config->server.client_ca_file);
    if (is_bootstrap)
        start_bootstrap(serving, options->client);
    else if (has_files)
        watch_pair(serving);
    else
        start_self_signed(serving);
}

struct error *serving_tls_new(const struct serving_tls_options *options,
                              const struct serving_tls_listener *listener, void *ctx,
                              struct serving_tls **ret)
{
    const struct config *config = options->config;
    AUTO(serving_tls) struct serving_tls *serving = xcalloc(1, sizeof(*serving));
    *serving = (struct serving_tls){
        .loop = options->loop,
        .pool = options->pool,
        .metrics = options->metrics,
        .listener = listener,
        .ctx = ctx,
        .arena = arena_new(0),
        .needs_ca = config->server.client_ca_file[0] != '\0',
        .is_dns_name_enough = gate_is_enabled(&config->gates, GATE_AllowDNSOnlyNodeCSR),
        .reloads_pair = gate_is_enabled(&config->gates, GATE_ReloadKubeletServerCertificateFile),
        .reloads_ca = gate_is_enabled(&config->gates, GATE_ReloadKubeletClientCAFile),
    };
    serving->node_name = arena_strdup(serving->arena, options->node_name);
    serving->settings.client_auth = serving->needs_ca ? options->client_auth : TLS_CLIENT_AUTH_NONE;
    struct error *err = set_settings(serving, &config->server);
    if (!err)
        err = make_context(serving, &(struct parts){0}, &serving->context);
    if (err)
        return err;
    start(serving, options);
    *ret = TAKE(serving);
    return NULL;
}

void serving_tls_free(struct serving_tls *serving)
{
    if (!serving)
        return;
    if (serving->manager && serving->metrics)
        metrics_remove_collector(serving->metrics, serving);
    certificate_manager_free(serving->manager);
    work_cancel(serving->work);
    file_reload_free(serving->pair);
    file_reload_free(serving->ca);
    tls_context_unref(serving->context);
    wipe(&serving->cert_pem);
    wipe(&serving->key_pem);
    free(serving->ca_pem);
    arena_free(serving->arena);
    free(serving);
}

struct tls_context *serving_tls_context(const struct serving_tls *serving)
{
    return serving->context;
}
