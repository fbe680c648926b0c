/*
 * A lookup goes through the plugins in the order of the configuration:
 *
 *   next plugin ─► service account ─► token ─► cache ──known──────────────► its logins ─► next …
 *                  (only a plugin that             └──► run ─► answer ──┘
 *                   wants a token)
 *
 * and is told what all of them gave.
 */
#include "image/credential_provider_internal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "image/image_match.h"

#include "core.pb-c.h"

static const struct metric_info metric_infos[] = {
    [CREDENTIAL_METRIC_DURATION] =
        {.name = "kubelet_credential_provider_plugin_duration",
         .help = "[ALPHA] Duration of execution in seconds for credential provider "
                 "plugin",
         .type = METRIC_HISTOGRAM,
         .labels = {"plugin_name"},
         METRIC_DEFAULT_BOUNDS},
    [CREDENTIAL_METRIC_ERRORS] = {.name = "kubelet_credential_provider_plugin_errors_total",
                                  .help =
                                      "[ALPHA] Number of errors from credential provider plugin",
                                  .type = METRIC_COUNTER,
                                  .labels = {"plugin_name"}},
    [CREDENTIAL_METRIC_CONFIG] =
        {.name = "kubelet_credential_provider_config_info",
         .help = "[ALPHA] Information about the last applied credential provider "
                 "configuration with hash as label",
         .type = METRIC_GAUGE,
         .labels = {"hash"}},
};
_Static_assert(ARRAY_SIZE(metric_infos) == CREDENTIAL_METRIC_COUNT, "describe every metric");

static void advance(struct credential_lookup *lookup);

/* --- the service account and its token --- */

static const char *annotation_of(const Meta__ObjectMeta *meta, const char *key)
{
    for (size_t i = 0; meta && i < meta->n_annotations; i++) {
        if (text_eq(meta->annotations[i]->key, key))
            return meta->annotations[i]->value ? meta->annotations[i]->value : "";
    }
    return NULL;
}

static void add_annotation(struct credential_lookup *lookup, const char *key, const char *value)
{
    lookup->annotations[lookup->annotation_count++] = (struct credential_annotation){
        .key = arena_strdup(lookup->arena, key), .value = arena_strdup(lookup->arena, value)};
}

static int compare_annotations(const void *a, const void *b)
{
    const struct credential_annotation *left = a, *right = b;
    return strcmp(left->key, right->key);
}

/* False: one that is required is missing, and the plugin is not to be asked. */
static bool take_annotations(struct credential_lookup *lookup, const Meta__ObjectMeta *meta)
{
    const Credentialprovider__ServiceAccountTokenAttributes *tokens = lookup->provider->tokens;
    size_t room = tokens->n_required_service_account_annotation_keys +
                  tokens->n_optional_service_account_annotation_keys;
    lookup->annotations = arena_calloc(lookup->arena, room + 1, sizeof(*lookup->annotations));
    for (size_t i = 0; i < tokens->n_required_service_account_annotation_keys; i++) {
        const char *key = tokens->required_service_account_annotation_keys[i];
        const char *value = annotation_of(meta, key);
        if (!value) {
            log_v(5, "Required annotation not found in the service account",
                  LOG_STR("annotation", key), LOG_STR("namespace", lookup->source.namespace_),
                  LOG_STR("serviceAccount", lookup->source.name));
            return false;
        }
        add_annotation(lookup, key, value);
    }
    for (size_t i = 0; i < tokens->n_optional_service_account_annotation_keys; i++) {
        const char *key = tokens->optional_service_account_annotation_keys[i];
        const char *value = annotation_of(meta, key);
        if (value)
            add_annotation(lookup, key, value);
    }
    if (lookup->annotation_count > 1)
        qsort(lookup->annotations, lookup->annotation_count, sizeof(*lookup->annotations),
              compare_annotations);
    return true;
}

static void on_token(void *ctx, const struct token *token, struct error *err_owned)
{
    struct credential_lookup *lookup = ctx;
    AUTO(error) struct error *err = err_owned;
    lookup->token_get = NULL;
    if (err) {
        log_error("Error getting service account token",
                  LOG_STR("namespace", lookup->source.namespace_),
                  LOG_STR("serviceAccount", lookup->source.name), LOG_ERR(err));
        advance(lookup);
        return;
    }
    lookup->token = xstrdup(token->text);
    credential_run_ask(lookup);
}

static void get_token(struct credential_lookup *lookup)
{
    const char *const audiences[] = {lookup->provider->tokens->service_account_token_audience};
    const struct token_request request = {.namespace_ = lookup->pod.namespace_,
                                          .service_account = lookup->source.name,
                                          .audiences = audiences,
                                          .audience_count = 1,
                                          .pod_name = lookup->pod.name,
                                          .pod_uid = lookup->pod.uid,
                                          .request_uid = lookup->source.uid};
    lookup->token_get =
        token_cache_get(lookup->providers->options.tokens, &request, on_token, lookup);
}

static void on_account(void *ctx, struct api_result *result)
{
    struct credential_lookup *lookup = ctx;
    lookup->account_call = NULL;
    if (result->err) {
        log_error("Failed to get service account", LOG_STR("namespace", lookup->source.namespace_),
                  LOG_STR("serviceAccount", lookup->source.name), LOG_ERR(result->err));
        advance(lookup);
        return;
    }
    const Meta__ObjectMeta *meta = ((const Core__ServiceAccount *)result->object)->metadata;
    lookup->source.uid = arena_strdup(lookup->arena, meta && meta->uid ? meta->uid : "");
    if (take_annotations(lookup, meta))
        get_token(lookup);
    else
        advance(lookup);
}

/* False: without an API server there are no tokens. */
static bool get_account(struct credential_lookup *lookup)
{
    const struct credential_providers_options *options = &lookup->providers->options;
    lookup->has_account = true;
    lookup->source = (struct credential_source){.kind = CREDENTIAL_SOURCE_SERVICE_ACCOUNT,
                                                .uid = "",
                                                .namespace_ = lookup->pod.namespace_,
                                                .name = lookup->pod.service_account};
    if (!options->client || !options->tokens) {
        log_error("Failed to get service account", LOG_STR("namespace", lookup->source.namespace_),
                  LOG_STR("serviceAccount", lookup->source.name),
                  LOG_STR("err", "there is no API server in standalone mode"));
        return false;
    }
    const struct api_request request = {.verb = API_GET,
                                        .kind = lookup->providers->account_kind,
                                        .namespace_ = lookup->source.namespace_,
                                        .name = lookup->source.name};
    lookup->account_call = api_call_start(options->client, &request, on_account, lookup);
    return true;
}

/* --- one plugin after the other --- */

static bool is_for(const struct credential_provider *provider, struct str repository)
{
    for (size_t i = 0; i < provider->config->n_match_images; i++) {
        if (registry_key_matches(provider->patterns[i], repository))
            return true;
    }
    return false;
}

static void forget_provider(struct credential_lookup *lookup)
{
    lookup->provider = NULL;
    lookup->has_account = false;
    lookup->source = (struct credential_source){.uid = "", .namespace_ = "", .name = ""};
    lookup->annotations = NULL;
    lookup->annotation_count = 0;
    if (lookup->token)
        explicit_bzero(lookup->token, strlen(lookup->token));
    free(TAKE(lookup->token));
}

static void lookup_free(struct credential_lookup *lookup)
{
    if (lookup->run)
        credential_run_leave(lookup);
    if (lookup->account_call)
        api_call_cancel(lookup->account_call);
    token_get_cancel(lookup->token_get);
    loop_timer_free(TAKE(lookup->timer));
    forget_provider(lookup);
    arena_free(lookup->arena);
    free(lookup);
}

static void finish(struct credential_lookup *lookup)
{
    const struct image_credential *found;
    size_t count;
    keyring_find(&lookup->keyring, lookup->image, lookup->arena, &found, &count);
    AUTO(arena) struct arena *arena = TAKE(lookup->arena); /* what was found lives there */
    credential_on_found *on_found = lookup->on_found;
    void *ctx = lookup->ctx;
    lookup_free(lookup);
    on_found(ctx, found, count);
}

/* False: the plugin is not asked. */
static bool begin_provider(struct credential_lookup *lookup)
{
    const struct credential_provider *provider = lookup->provider;
    if (!provider->tokens) {
        credential_run_ask(lookup);
        return true;
    }
    bool is_named = lookup->pod.service_account && lookup->pod.service_account[0];
    if (is_named)
        return get_account(lookup);
    if (provider->tokens->require_service_account) {
        log_v(5, "Service account name is empty for pod",
              LOG_POD(lookup->pod.namespace_, lookup->pod.name));
        return false;
    }
    credential_run_ask(lookup);
    return true;
}

static void advance(struct credential_lookup *lookup)
{
    struct credential_providers *providers = lookup->providers;
    while (lookup->next < providers->count) {
        struct credential_provider *provider = &providers->items[lookup->next++];
        forget_provider(lookup);
        lookup->provider = provider;
        if (is_for(provider, lookup->repository) && begin_provider(lookup))
            return;
    }
    finish(lookup);
}

static void on_timer(void *ctx)
{
    advance(ctx);
}

static bool is_for_any(const struct credential_providers *providers, struct str repository)
{
    for (size_t i = 0; i < providers->count; i++) {
        if (is_for(&providers->items[i], repository))
            return true;
    }
    return false;
}

struct credential_lookup *credential_lookup_start(struct credential_providers *providers,
                                                  const char *image,
                                                  const struct credential_pod *pod,
                                                  credential_on_found *on_found, void *ctx)
{
    AUTO(arena) struct arena *arena = arena_new(0);
    struct str repository = image_repository(image, arena);
    if (!is_for_any(providers, repository))
        return NULL;
    struct credential_lookup *lookup = xcalloc(1, sizeof(*lookup));
    *lookup = (struct credential_lookup){
        .providers = providers,
        .image = arena_strndup(arena, repository.ptr, repository.len),
        .pod = {.namespace_ = arena_strdup(arena, pod->namespace_),
                .name = arena_strdup(arena, pod->name),
                .uid = arena_strdup(arena, pod->uid),
                .service_account = arena_strdup(arena, pod->service_account)},
        .on_found = on_found,
        .ctx = ctx};
    lookup->repository = str_from(lookup->image);
    lookup->arena = TAKE(arena);
    lookup->timer = loop_timer_new(providers->options.loop, "credential lookup", on_timer, lookup);
    loop_timer_start(lookup->timer, -1);
    return lookup;
}

void credential_lookup_cancel(struct credential_lookup *lookup)
{
    if (lookup)
        lookup_free(lookup);
}

/* --- all plugins --- */

static void provider_init(struct credential_providers *providers, size_t index)
{
    const struct credential_providers_options *options = &providers->options;
    const Credentialprovider__CredentialProvider *config =
        options->config->message->providers[index];
    struct credential_provider *provider = &providers->items[index];
    *provider = (struct credential_provider){
        .providers = providers,
        .config = config,
        .tokens = config->token_attributes,
        .path = xasprintf("%s/%s", options->bin_dir, config->name),
        .cache = credential_cache_new(loop_now_mono_ns(options->loop))};
    provider->patterns =
        arena_calloc(providers->arena, config->n_match_images + 1, sizeof(*provider->patterns));
    for (size_t i = 0; i < config->n_match_images; i++) {
        provider->patterns[i] =
            image_pattern_key(str_from(config->match_images[i]), providers->arena);
        ASSERT(provider->patterns[i]); /* the configuration was checked */
    }
}

struct credential_providers *credential_providers_new(
    const struct credential_providers_options *options)
{
    struct credential_providers *providers = xcalloc(1, sizeof(*providers));
    providers->options = *options;
    providers->arena = arena_new(0);
    providers->count = options->config->message->n_providers;
    providers->items = xcalloc(providers->count + 1, sizeof(*providers->items));
    providers->account_kind = kube_kind_find("v1", "ServiceAccount");
    metrics_families(options->metrics, metric_infos, CREDENTIAL_METRIC_COUNT, providers->metrics);
    metric_set(providers->metrics[CREDENTIAL_METRIC_CONFIG], 1, options->config->hash);
    for (size_t i = 0; i < providers->count; i++)
        provider_init(providers, i);
    return providers;
}

void credential_providers_free(struct credential_providers *providers)
{
    if (!providers)
        return;
    for (size_t i = 0; i < providers->count; i++) {
        ASSERT(!providers->items[i].runs); /* each ends with the last lookup that waits for it */
        credential_cache_free(providers->items[i].cache);
        free(providers->items[i].path);
    }
    free(providers->items);
    arena_free(providers->arena);
    free(providers);
}
