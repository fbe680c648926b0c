/*
 * A run belongs to its plugin; lookups with the same question wait for it. Its answer is copied to
 * each of them, which go on in a turn of their own: so nobody is called while the list of those who
 * wait is being walked.
 */
#include "image/credential_provider_internal.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"

#include <openssl/evp.h>

/* --- who may share --- */

/* SHA-256 fails for want of memory only. */
static void check(int result)
{
    ASSERT(result == 1);
}

static void digest_part(EVP_MD_CTX *hash, const char *text)
{
    uint64_t len = strlen(text); /* ours alone: the order of its bytes does not matter */
    check(EVP_DigestUpdate(hash, &len, sizeof(len)));
    check(EVP_DigestUpdate(hash, text, len));
}

/* For whom the answer is: the account, what the plugin learns of it and, if @token is not NULL, the
 * token it gets. */
static void digest_account(const struct credential_lookup *lookup, const char *token,
                           uint8_t ret[static CREDENTIAL_DIGEST_BYTES])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    ASSERT(hash);
    check(EVP_DigestInit_ex(hash, EVP_sha256(), NULL));
    digest_part(hash, lookup->source.namespace_);
    digest_part(hash, lookup->source.name);
    digest_part(hash, lookup->source.uid);
    uint64_t count = lookup->annotation_count;
    check(EVP_DigestUpdate(hash, &count, sizeof(count)));
    for (size_t i = 0; i < lookup->annotation_count; i++) {
        digest_part(hash, lookup->annotations[i].key);
        digest_part(hash, lookup->annotations[i].value);
    }
    if (token)
        digest_part(hash, token);
    unsigned len = 0;
    check(EVP_DigestFinal_ex(hash, ret, &len));
    ASSERT(len == CREDENTIAL_DIGEST_BYTES);
    EVP_MD_CTX_free(hash);
}

/* --- answers --- */

static void take_set(struct credential_lookup *lookup, const struct credential_set *set)
{
    AUTO(error)
    struct error *err = keyring_add_logins(&lookup->keyring, set->logins, set->count,
                                           &lookup->source, lookup->arena);
    if (err)
        log_error("A credential provider's logins are left out", LOG_STR("image", lookup->image),
                  LOG_STR("plugin", lookup->provider->config->name), LOG_ERR(err));
}

static struct error *read_answer(const struct credential_run *run, struct str output,
                                 struct credential_response *ret)
{
    const struct credential_provider *provider = run->provider;
    struct error *err = credential_response_decode(output, provider->config->api_version, ret);
    bool is_kept = run->token && text_eq(provider->tokens->cache_type, CREDENTIAL_CACHE_ACCOUNT);
    for (size_t i = 0; !err && is_kept && i < ret->set.count; i++) {
        if (text_eq(ret->set.logins[i].password, run->token))
            err = error_new(ERROR_INVALID_ARGUMENT,
                            "the plugin gave the service account token itself as a password, which "
                            "cacheType " CREDENTIAL_CACHE_ACCOUNT " does not allow");
    }
    if (err)
        credential_set_done(&ret->set);
    return err;
}

/* Remembers it as long as the plugin, or else the configuration, says. */
static void keep_answer(const struct credential_run *run, struct credential_response *response)
{
    int64_t duration_ns = response->has_cache_duration
                              ? response->cache_duration_ns
                              : run->provider->config->default_cache_duration->duration;
    if (duration_ns <= 0)
        return;
    int64_t now_ns = loop_now_mono_ns(run->provider->providers->options.loop);
    credential_cache_put(run->provider->cache, run->image, run->account, response,
                         sat_add_i64(now_ns, duration_ns));
}

static void run_free(struct credential_run *run)
{
    DL_DELETE(run->provider->runs, run);
    credential_exec_cancel(TAKE(run->exec));
    if (run->token)
        explicit_bzero(run->token, strlen(run->token));
    free(run->token);
    free(run->image);
    free(run);
}

/* Those who wait go on, with what there is of it. */
static void release_waiting(struct credential_run *run, const struct credential_set *set)
{
    struct credential_lookup *lookup;
    while ((lookup = run->waiting)) {
        DL_DELETE2(run->waiting, lookup, run_prev, run_next);
        lookup->run = NULL;
        take_set(lookup, set);
        loop_timer_start(lookup->timer, -1);
    }
}

static void on_answer(void *ctx, struct str output, struct error *err_owned)
{
    struct credential_run *run = ctx;
    struct credential_providers *providers = run->provider->providers;
    const char *name = run->provider->config->name;
    run->exec = NULL;
    double seconds =
        (double)(loop_now_mono_ns(providers->options.loop) - run->started_ns) / (double)NS_PER_SEC;
    metric_observe(providers->metrics[CREDENTIAL_METRIC_DURATION], seconds, name);
    if (err_owned)
        metric_add(providers->metrics[CREDENTIAL_METRIC_ERRORS], 1, name);
    struct credential_response response = {0};
    AUTO(error)
    struct error *err = err_owned ? err_owned : read_answer(run, output, &response);
    if (err)
        log_error("Failed getting credential from external registry credential provider",
                  LOG_STR("plugin", name), LOG_STR("image", run->image), LOG_ERR(err));
    release_waiting(run, &response.set);
    if (!err)
        keep_answer(run, &response);
    credential_set_done(&response.set);
    run_free(run);
}

/* --- asking --- */

static void start_exec(struct credential_run *run, const struct credential_lookup *lookup)
{
    const struct credential_providers *providers = run->provider->providers;
    AUTO(buf) struct buf text;
    buf_init(&text, CREDENTIAL_REQUEST_MAX_BYTES);
    const struct credential_request request = {.api_version = run->provider->config->api_version,
                                               .image = run->image,
                                               .token = run->token,
                                               .annotations = lookup->annotations,
                                               .annotation_count = lookup->annotation_count};
    credential_request_encode(&request, &text);
    const struct credential_exec_options exec = {.loop = providers->options.loop,
                                                 .pool = providers->options.pool,
                                                 .provider = run->provider->config,
                                                 .path = run->provider->path,
                                                 .image = run->image,
                                                 .secret = run->token,
                                                 .request = buf_str(&text),
                                                 .timeout_ns = providers->options.timeout_ns};
    log_v(5, "Getting image credentials from external exec plugin", LOG_STR("image", run->image),
          LOG_STR("plugin", run->provider->config->name));
    run->exec = credential_exec_start(&exec, on_answer, run);
    if (text.data)
        explicit_bzero(text.data, text.len);
}

/* Joins the run that asks the same, or starts it. */
static void wait_for_run(struct credential_lookup *lookup,
                         const uint8_t digests[2][CREDENTIAL_DIGEST_BYTES])
{
    struct credential_provider *provider = lookup->provider;
    struct credential_run *run;
    DL_FOREACH(provider->runs, run) {
        if (text_eq(run->image, lookup->image) && !run->token == !lookup->token &&
            memcmp(run->digests[1], digests[1], CREDENTIAL_DIGEST_BYTES) == 0)
            break;
    }
    bool is_new = !run;
    if (is_new) {
        run = xcalloc(1, sizeof(*run));
        run->provider = provider;
        run->image = xstrdup(lookup->image);
        run->token = xstrdup(lookup->token);
        memcpy(run->digests, digests, sizeof(run->digests));
        run->account = (struct str){.ptr = (const char *)run->digests[0],
                                    .len = lookup->has_account ? CREDENTIAL_DIGEST_BYTES : 0};
        run->started_ns = loop_now_mono_ns(lookup->providers->options.loop);
        DL_APPEND(provider->runs, run);
        start_exec(run, lookup);
    }
    lookup->run = run;
    DL_APPEND2(run->waiting, lookup, run_prev, run_next);
}

void credential_run_ask(struct credential_lookup *lookup)
{
    struct credential_provider *provider = lookup->provider;
    uint8_t digests[2][CREDENTIAL_DIGEST_BYTES] = {{0}};
    if (lookup->has_account) {
        bool by_token = text_eq(provider->tokens->cache_type, CREDENTIAL_CACHE_TOKEN);
        digest_account(lookup, by_token ? lookup->token : NULL, digests[0]);
        digest_account(lookup, lookup->token, digests[1]);
    }
    const struct str account = {.ptr = (const char *)digests[0],
                                .len = lookup->has_account ? CREDENTIAL_DIGEST_BYTES : 0};
    const struct credential_set *known = credential_cache_find(
        provider->cache, lookup->image, account, loop_now_mono_ns(lookup->providers->options.loop));
    if (!known) {
        wait_for_run(lookup, digests);
        return;
    }
    take_set(lookup, known);
    loop_timer_start(lookup->timer, -1);
}

void credential_run_leave(struct credential_lookup *lookup)
{
    struct credential_run *run = lookup->run;
    lookup->run = NULL;
    DL_DELETE2(run->waiting, lookup, run_prev, run_next);
    if (!run->waiting)
        run_free(run);
}
