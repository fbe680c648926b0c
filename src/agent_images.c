#include "agent_images.h"

/* pkg/kubelet/kubelet.go: what the caches of pull records hold at most, however many pods. */
#define MAX_PULL_INTENTS 1024
#define MAX_PULL_RECORDS 2000

static size_t parallel_pulls(const struct config *config)
{
    return config->has_max_parallel_image_pulls && config->max_parallel_image_pulls > 0
               ? (size_t)config->max_parallel_image_pulls
               : 0;
}

static struct pull_records *open_records(const struct config *config, struct work_pool *pool,
                                         struct metrics *metrics)
{
    if (!gate_is_enabled(&config->gates, GATE_KubeletEnsureSecretPulledImages))
        return NULL;
    const struct config_list *list = &config->preloaded_images_verification_allowlist;
    size_t parallel = parallel_pulls(config);
    size_t max_pods = config->max_pods > 0 ? (size_t)config->max_pods : 1;
    size_t intents = 2 * (parallel > max_pods ? parallel : max_pods);
    const struct pull_records_options options = {
        .pool = pool,
        .root_dir = config->root_dir,
        .policy = {.kind = config->image_pull_credentials_verification_policy,
                   .allowlist = list->items,
                   .n_allowlist = list->count},
        .max_intents = min_size(intents, MAX_PULL_INTENTS),
        .max_records = min_size(5 * max_pods, MAX_PULL_RECORDS),
        .metrics = metrics};
    return pull_records_new(&options);
}

static struct error *open_plugins(const struct agent_images_options *options,
                                  struct credential_providers **ret)
{
    const struct config *config = options->config;
    const char *path = config->image_credential_provider_config;
    const char *bin_dir = config->image_credential_provider_bin_dir;
    if (!path[0] && !bin_dir[0])
        return NULL;
    struct credential_provider_config *plugins = arena_alloc(options->arena, sizeof(*plugins));
    bool has_tokens =
        gate_is_enabled(&config->gates, GATE_KubeletServiceAccountTokenForCredentialProviders);
    struct error *err = credential_provider_config_load_blocking(path, bin_dir, has_tokens,
                                                                 options->arena, plugins);
    if (err)
        return error_wrap(err, "Failed to register CRI auth plugins");
    const struct agent_cluster *cluster = options->cluster;
    const struct credential_providers_options providers = {
        .loop = options->loop,
        .pool = options->pool,
        .config = plugins,
        .bin_dir = bin_dir,
        .client = cluster ? agent_cluster_client(cluster) : NULL,
        .tokens = cluster ? agent_cluster_api(cluster)->tokens : NULL,
        .metrics = options->metrics,
        .timeout_ns = CREDENTIAL_EXEC_TIMEOUT_NS};
    *ret = credential_providers_new(&providers);
    return NULL;
}

struct error *agent_images_open_blocking(const struct agent_images_options *options,
                                         struct agent_images *ret)
{
    const struct config *config = options->config;
    const struct pull_queue_options pulls = {
        .max_parallel = config->serialize_image_pulls ? 1 : parallel_pulls(config),
        .qps = config->registry_pull_qps,
        .burst = config->registry_burst};
    *ret = (struct agent_images){.pulls = pull_queue_new(&pulls),
                                 .records = open_records(config, options->pool, options->metrics)};
    return open_plugins(options, &ret->credentials);
}

void agent_images_close(struct agent_images *images)
{
    credential_providers_free(images->credentials);
    pull_queue_free(images->pulls);
    pull_records_free(images->records);
}
