/*
 * Two things change: the TLS material (CA, certificate, key: from files, data, or a plugin) and the
 * header fields (token: from the config, a file or a plugin). Whatever changes them counts the
 * generation up, which tells a refused request whether trying again makes sense.
 *
 * Each kind of source has its own freshness:
 *   files of certificates   read again in the background when a request comes after
 * files_reread_ns; nobody waits. What is no use (a pair half replaced) is left alone, the old
 * material stays, and the next look comes sooner. token file              read again before a
 * request that comes after token_reread_ns; requests wait for the reading. When it cannot be read
 * the old token stays. plugin                  run before the first request, and when its
 * credential has expired or was refused; requests wait for it. After a failure they fail with its
 *                           error for plugin_pause_ns; after a refusal it is not run for as long.
 */
#include "kube/api_auth.h"

#include "base/hash.h"
#include "base/log.h"
#include "kube/api_auth_files.h"
#include "kube/codec_base64.h"
#include "kube/exec_credential.h"

#include <ctype.h>

#define ALPN "h2,http/1.1"

/* PEM texts, owned; NULL where there is none. */
struct material {
    char *pem[AUTH_FILE_KEY + 1]; /* by enum auth_file */
};

struct api_auth {
    struct loop *loop;
    struct work_pool *pool;
    struct arena *arena; /* of config and impersonation fields */
    const struct kubeconfig *config;
    const struct api_auth_timing *timing;
    void (*on_tls_changed)(void *ctx, struct tls_context *tls);
    void *ctx;
    bool is_tls;
    uint64_t generation;

    struct material material; /* from data and files; a plugin's pair is in `plugin` */
    struct tls_context *tls;
    struct work *files_job;
    int64_t files_due_ns; /* mono; INT64_MAX: there are none */

    char *authorization; /* "Bearer …", "Basic …" or NULL */
    struct http_field *fields;
    struct http_fields field_list; /* of `fields` */
    struct work *token_job;
    int64_t token_due_ns; /* mono; INT64_MAX: no token file */

    struct exec_run *run;
    struct exec_credential plugin; /* what it gave last */
    bool has_plugin_credential;
    struct error *plugin_failure;  /* of the last run */
    bool is_refresh;               /* it runs because the server refused what it gave */
    int64_t plugin_rests_until_ns; /* mono; after a failure or a refresh */

    struct api_auth_waiter *waiting, *telling;
};

/* --- waiters --- */

static void wait_for(struct api_auth *auth, struct api_auth_waiter *waiter)
{
    ASSERT(!waiter->list);
    waiter->list = &auth->waiting;
    DL_APPEND(auth->waiting, waiter);
}

void api_auth_cancel(struct api_auth_waiter *waiter)
{
    if (!waiter->list)
        return;
    DL_DELETE(*waiter->list, waiter);
    waiter->list = NULL;
}

/* Who begins to wait while the others are told belongs to the next round. The last callback may
 * have freed @auth: its memory stays until the end of the turn, with empty lists. */
static void tell_waiters(struct api_auth *auth, const struct error *err)
{
    struct api_auth_waiter *waiter;
    ASSERT(!auth->telling);
    auth->telling = TAKE(auth->waiting);
    DL_FOREACH(auth->telling, waiter)
        waiter->list = &auth->telling;
    while (auth->telling) {
        waiter = auth->telling;
        api_auth_cancel(waiter);
        waiter->on_ready(waiter->ctx, err);
    }
}

/* --- TLS --- */

static struct error *make_tls(const struct api_auth *auth, const struct material *material,
                              struct tls_context **ret)
{
    bool has_plugin_pair = auth->plugin.cert_pem != NULL;
    const struct tls_options options = {
        .ca_pem = material->pem[AUTH_FILE_CA],
        .cert_pem = has_plugin_pair ? auth->plugin.cert_pem : material->pem[AUTH_FILE_CERT],
        .key_pem = has_plugin_pair ? auth->plugin.key_pem : material->pem[AUTH_FILE_KEY],
        .alpn = ALPN,
        .insecure_skip_verify = auth->config->insecure_skip_tls_verify,
    };
    struct error *err = tls_context_new_client(&options, ret);
    const struct kubeconfig *config = auth->config;
    if (err && (config->ca_file || config->cert_file))
        return error_wrap(err, "unable to load TLS material (%s %s, %s %s)",
                          auth_file_field(AUTH_FILE_CA),
                          config->ca_data || !config->ca_file ? "data" : config->ca_file,
                          auth_file_field(AUTH_FILE_CERT),
                          config->cert_data || !config->cert_file ? "data" : config->cert_file);
    return error_wrap(err, "unable to load TLS material");
}

/* Makes what @auth knows now the context of new connections. The old one stays on failure. */
static struct error *renew_tls(struct api_auth *auth, const struct material *material)
{
    if (!auth->is_tls)
        return NULL;
    struct tls_context *tls = NULL;
    struct error *err = make_tls(auth, material, &tls);
    if (err)
        return err;
    bool is_first = auth->tls == NULL;
    tls_context_unref(auth->tls);
    auth->tls = tls;
    auth->generation++;
    if (!is_first)
        auth->on_tls_changed(auth->ctx, tls);
    return NULL;
}

static void material_done(struct material *material)
{
    for (size_t i = 0; i < ARRAY_SIZE(material->pem); i++)
        auth_wipe_text(TAKE(material->pem[i]));
}

/* Data from the config, or what @job has read. */
static struct material material_of(const struct kubeconfig *config, const struct auth_file_job *job)
{
    const char *const data[] = {[AUTH_FILE_CA] = config->ca_data,
                                [AUTH_FILE_CERT] = config->cert_data,
                                [AUTH_FILE_KEY] = config->key_data};
    struct material material = {0};
    for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
        if (data[i])
            material.pem[i] = xstrdup(data[i]);
        else if (job->path[i])
            material.pem[i] = xstrdup(buf_text(&job->content[i]));
    }
    return material;
}

static bool material_eq(const struct material *a, const struct material *b)
{
    for (size_t i = 0; i < ARRAY_SIZE(a->pem); i++) {
        if (!text_eq(a->pem[i], b->pem[i]))
            return false;
    }
    return true;
}

static bool has_certificate_files(const struct kubeconfig *config)
{
    return (config->ca_file && !config->ca_data) || (config->cert_file && !config->cert_data) ||
           (config->key_file && !config->key_data);
}

static void on_files_read(void *ctx, void *job_memory)
{
    struct api_auth *auth = ctx;
    struct auth_file_job *job = job_memory;
    auth->files_job = NULL;
    struct error *err = TAKE(job->err);
    struct material material = err ? (struct material){0} : material_of(auth->config, job);
    bool has_changed = !err && !material_eq(&material, &auth->material);
    if (has_changed)
        err = renew_tls(auth, &material);
    int64_t pause_ns = err ? auth->timing->token_reread_ns : auth->timing->files_reread_ns;
    auth->files_due_ns = sat_add_i64(loop_now_mono_ns(auth->loop), pause_ns);
    if (err) {
        log_warning("Keeping the old client credentials", LOG_ERR(err));
    } else if (has_changed) {
        log_info("Client credentials have changed on disk, connecting anew",
                 LOG_STR("server", auth->config->server));
        struct material old = auth->material;
        auth->material = material;
        material = old;
    }
    material_done(&material);
    error_free(err);
}

static const struct work_vtable files_vtable = {.name = "reading client certificates",
                                                .class = WORK_NORMAL,
                                                .run_blocking = auth_file_job_read_blocking,
                                                .on_done = on_files_read,
                                                .release = auth_file_job_free};

/* --- header fields --- */

static void set_authorization(struct api_auth *auth, const char *scheme, const char *value)
{
    auth_wipe_text(TAKE(auth->authorization));
    auth->authorization = value ? xasprintf("%s %s", scheme, value) : NULL;
    auth->field_list.items = auth->authorization ? auth->fields : auth->fields + 1;
    /* The first place is the authorization's. */
    auth->fields[0] = (struct http_field){"authorization", auth->authorization};
}

static void change_token(struct api_auth *auth, const char *token)
{
    bool had = auth->authorization != NULL;
    if (!had && !token)
        return;
    if (had && token && text_has_prefix(auth->authorization, "Bearer ") &&
        text_eq(auth->authorization + strlen("Bearer "), token))
        return;
    auth->field_list.count -= had ? 1 : 0;
    set_authorization(auth, "Bearer", token);
    auth->field_list.count += token ? 1 : 0;
    auth->generation++;
}

/* Header values are one line; control characters would be a way to smuggle another in. */
static bool is_field_value(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return false;
    }
    return true;
}

/* client-go's escape for the key of an extra: what may not stand in a field's name. */
static const char *extra_name(struct arena *arena, const char *key)
{
    AUTO(buf) struct buf name;
    buf_init(&name, KUBECONFIG_MAX_BYTES * 4);
    buf_add_text(&name, "impersonate-extra-");
    for (; *key; key++) {
        unsigned char c = (unsigned char)*key;
        if (isalnum(c) || strchr("!#$&'*+-.^_`|~", c))
            buf_add_char(&name, (char)tolower(c));
        else
            buf_printf(&name, "%%%02x", (unsigned)c);
    }
    return arena_strdup(arena, buf_text(&name));
}

static void add_field(struct api_auth *auth, const char *name, const char *value)
{
    if (value)
        auth->fields[1 + auth->field_list.count++] = (struct http_field){name, value};
}

static void build_fields(struct api_auth *auth)
{
    const struct kubeconfig *config = auth->config;
    size_t max = 3 + config->impersonate_group_count;
    for (size_t i = 0; i < config->impersonate_extra_count; i++)
        max += config->impersonate_extra[i].value_count;
    auth->fields = arena_calloc(auth->arena, max, sizeof(*auth->fields));
    add_field(auth, "impersonate-user", config->impersonate_user);
    add_field(auth, "impersonate-uid", config->impersonate_uid);
    for (size_t i = 0; i < config->impersonate_group_count; i++)
        add_field(auth, "impersonate-group", config->impersonate_groups[i]);
    for (size_t i = 0; i < config->impersonate_extra_count; i++) {
        const struct kubeconfig_extra *extra = &config->impersonate_extra[i];
        for (size_t k = 0; k < extra->value_count; k++)
            add_field(auth, extra_name(auth->arena, extra->key), extra->values[k]);
    }
    set_authorization(auth, "", NULL);
}

static struct error *check_fields(const struct api_auth *auth)
{
    for (size_t i = 0; i < auth->field_list.count; i++) {
        if (!is_field_value(auth->field_list.items[i].value))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the value for the request header %s holds control characters",
                             auth->field_list.items[i].name);
    }
    return NULL;
}

/* --- token --- */

static struct error *take_token_file(struct api_auth *auth, struct auth_file_job *job)
{
    if (job->err)
        return TAKE(job->err);
    struct str text = str_trim(buf_str(&job->content[AUTH_FILE_TOKEN]));
    AUTO(free) char *token = str_dup(text);
    struct error *err = NULL;
    if (text.len == 0)
        err = error_new(ERROR_INVALID_ARGUMENT, "read empty token from file \"%s\"",
                        job->path[AUTH_FILE_TOKEN]);
    else if (strlen(token) != text.len || !is_field_value(token))
        err = error_new(ERROR_INVALID_ARGUMENT, "file \"%s\" holds no token",
                        job->path[AUTH_FILE_TOKEN]);
    else
        change_token(auth, token);
    explicit_bzero(token, text.len);
    return err;
}

static void on_token_read(void *ctx, void *job)
{
    struct api_auth *auth = ctx;
    auth->token_job = NULL;
    struct error *err = take_token_file(auth, job);
    if (err)
        log_warning("Keeping the old token", LOG_ERR(err));
    error_free(err);
    auth->token_due_ns = sat_add_i64(loop_now_mono_ns(auth->loop), auth->timing->token_reread_ns);
    tell_waiters(auth, NULL);
}

static const struct work_vtable token_vtable = {.name = "reading a token",
                                                .class = WORK_NORMAL,
                                                .run_blocking = auth_file_job_read_blocking,
                                                .on_done = on_token_read,
                                                .release = auth_file_job_free};

static void read_token(struct api_auth *auth)
{
    if (!auth->token_job)
        auth->token_job =
            work_start(auth->pool, &token_vtable, auth_file_job_new_token(auth->config), auth);
}

static struct error *set_first_token(struct api_auth *auth)
{
    const struct kubeconfig *config = auth->config;
    if (config->token_file) {
        AUTO(auth_file_job) struct auth_file_job *job = auth_file_job_new_token(config);
        auth_file_job_read_blocking(job);
        auth->token_due_ns =
            sat_add_i64(loop_now_mono_ns(auth->loop), auth->timing->token_reread_ns);
        return take_token_file(auth, job);
    }
    if (config->token) {
        change_token(auth, config->token);
    } else if (config->username || config->password) {
        AUTO(free)
        char *pair = xasprintf("%s:%s", config->username ? config->username : "",
                               config->password ? config->password : "");
        AUTO(free) char *encoded = base64_encode((const uint8_t *)pair, strlen(pair));
        set_authorization(auth, "Basic", encoded);
        auth->field_list.count++;
    }
    return NULL;
}

/* --- plugin --- */

/* Takes over what the plugin gave. */
static struct error *adopt_credential(struct api_auth *auth, struct exec_credential *credential)
{
    if (credential->token && !is_field_value(credential->token))
        return error_new(ERROR_UNAUTHENTICATED,
                         "getting credentials: exec: the token holds control characters");
    bool is_same_pair = text_eq(auth->plugin.cert_pem, credential->cert_pem) &&
                        text_eq(auth->plugin.key_pem, credential->key_pem);
    struct exec_credential old = auth->plugin;
    auth->plugin = *credential;
    struct error *err = is_same_pair ? NULL : renew_tls(auth, &auth->material);
    if (err) {
        auth->plugin = old;
        return err;
    }
    *credential = old; /* released by who gave it */
    auth->has_plugin_credential = true;
    /* A credential replaces the one before as a whole, but not what the config says. */
    if (auth->plugin.token || old.token)
        change_token(auth, auth->plugin.token);
    return NULL;
}

static void on_plugin_done(void *ctx, struct exec_credential *credential, const struct error *err)
{
    struct api_auth *auth = ctx;
    auth->run = NULL;
    error_free(TAKE(auth->plugin_failure));
    auth->plugin_failure = err ? error_dup(err) : adopt_credential(auth, credential);
    if (auth->plugin_failure || auth->is_refresh)
        auth->plugin_rests_until_ns =
            sat_add_i64(loop_now_mono_ns(auth->loop), auth->timing->plugin_pause_ns);
    if (auth->plugin_failure)
        log_error("Getting client credentials failed", LOG_ERR(auth->plugin_failure));
    /* A copy: a waiter may free us. */
    AUTO(error) struct error *failure = error_dup(auth->plugin_failure);
    tell_waiters(auth, failure);
}

static void run_plugin(struct api_auth *auth, bool is_refresh)
{
    if (auth->run)
        return;
    auth->is_refresh = is_refresh;
    const struct exec_options options = {.loop = auth->loop,
                                         .pool = auth->pool,
                                         .config = auth->config,
                                         .ca_pem = auth->material.pem[AUTH_FILE_CA],
                                         .timeout_ns = auth->timing->plugin_limit_ns};
    auth->run = exec_run_start(&options, on_plugin_done, auth);
}

static bool does_plugin_rest(const struct api_auth *auth)
{
    return !auth->run && loop_now_mono_ns(auth->loop) < auth->plugin_rests_until_ns;
}

static bool is_plugin_credential_good(const struct api_auth *auth)
{
    return auth->has_plugin_credential &&
           (!auth->plugin.has_expiry ||
            loop_now_wall_ns(auth->loop) < auth->plugin.expires_wall_ns);
}

/* --- the door --- */

static struct error *set_up(struct api_auth *auth)
{
    AUTO(auth_file_job) struct auth_file_job *job = auth_file_job_new_certificates(auth->config);
    if (auth->is_tls) {
        auth_file_job_read_blocking(job);
        if (job->err)
            return TAKE(job->err);
        auth->material = material_of(auth->config, job);
        if (has_certificate_files(auth->config))
            auth->files_due_ns =
                sat_add_i64(loop_now_mono_ns(auth->loop), auth->timing->files_reread_ns);
    }
    struct error *err = renew_tls(auth, &auth->material);
    if (!err)
        err = set_first_token(auth);
    return err ? err : check_fields(auth);
}

struct error *api_auth_new(const struct api_auth_options *options, struct api_auth **ret)
{
    AUTO(api_auth) struct api_auth *auth = xcalloc(1, sizeof(*auth));
    *auth = (struct api_auth){.loop = options->loop,
                              .pool = options->pool,
                              .arena = arena_new(0),
                              .timing = options->timing,
                              .on_tls_changed = options->on_tls_changed,
                              .ctx = options->ctx,
                              .is_tls = options->is_tls,
                              .files_due_ns = INT64_MAX,
                              .token_due_ns = INT64_MAX};
    auth->config = kubeconfig_copy(options->config, auth->arena);
    build_fields(auth);
    struct error *err = set_up(auth);
    if (!err)
        *ret = TAKE(auth);
    return err;
}

static void auth_release(void *memory)
{
    free(memory);
}

void api_auth_free(struct api_auth *auth)
{
    if (!auth)
        return;
    ASSERT(!auth->waiting && !auth->telling);
    work_cancel(TAKE(auth->files_job));
    work_cancel(TAKE(auth->token_job));
    exec_run_cancel(TAKE(auth->run));
    exec_credential_done(&auth->plugin);
    error_free(TAKE(auth->plugin_failure));
    material_done(&auth->material);
    tls_context_unref(TAKE(auth->tls));
    auth_wipe_text(TAKE(auth->authorization));
    arena_free(TAKE(auth->arena));
    loop_defer_free(auth->loop, auth_release, auth); /* tell_waiters() may be below us */
}

struct tls_context *api_auth_tls(const struct api_auth *auth)
{
    return auth->tls;
}

const struct http_fields *api_auth_fields(const struct api_auth *auth)
{
    return &auth->field_list;
}

uint64_t api_auth_generation(const struct api_auth *auth)
{
    return auth->generation;
}

bool api_auth_prepare(struct api_auth *auth, struct api_auth_waiter *waiter,
                      const struct error **ret_err)
{
    int64_t now_ns = loop_now_mono_ns(auth->loop);
    *ret_err = NULL;
    if (now_ns >= auth->files_due_ns && !auth->files_job)
        auth->files_job = work_start(auth->pool, &files_vtable,
                                     auth_file_job_new_certificates(auth->config), auth);
    if (auth->config->exec) {
        if (!auth->run && is_plugin_credential_good(auth))
            return false;
        *ret_err = does_plugin_rest(auth) ? auth->plugin_failure : NULL;
        if (*ret_err)
            return false;
        run_plugin(auth, false);
    } else if (auth->token_job || now_ns >= auth->token_due_ns) {
        read_token(auth);
    } else {
        return false;
    }
    wait_for(auth, waiter);
    return true;
}

bool api_auth_refresh(struct api_auth *auth, uint64_t generation, struct api_auth_waiter *waiter)
{
    if (auth->generation != generation)
        return false;
    if (auth->config->exec) {
        if (does_plugin_rest(auth))
            return false;
        run_plugin(auth, true);
    } else if (auth->config->token_file) {
        read_token(auth);
    } else {
        return false;
    }
    wait_for(auth, waiter);
    return true;
}
