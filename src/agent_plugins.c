#include "agent_plugins.h"

struct error *agent_plugins_new_blocking(const struct agent_plugins_options *options,
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
