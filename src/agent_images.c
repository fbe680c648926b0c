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

void agent_images_open(const struct config *config, struct work_pool *pool, struct metrics *metrics,
                       struct agent_images *ret)
{
    const struct pull_queue_options pulls = {
        .max_parallel = config->serialize_image_pulls ? 1 : parallel_pulls(config),
        .qps = config->registry_pull_qps,
        .burst = config->registry_burst};
    *ret = (struct agent_images){.pulls = pull_queue_new(&pulls),
                                 .records = open_records(config, pool, metrics)};
}

void agent_images_close(struct agent_images *images)
{
    pull_queue_free(images->pulls);
    pull_records_free(images->records);
}
