#include "config/configz.h"

#include "base/path.h"

#define CERT_FILE "kubelet.crt"
#define KEY_FILE "kubelet.key"

#define DROP_ZERO(message, field)                                                                  \
    ((message)->has_##field = (message)->has_##field && (message)->field != 0)

static void drop_zeros_of_output(Kubeletconfig__LoggingOutputOptions *output)
{
    if (output)
        DROP_ZERO(output, split_stream);
}

static void drop_zeros(Kubeletconfig__KubeletConfiguration *config)
{
    DROP_ZERO(config, port);
    DROP_ZERO(config, read_only_port);
    DROP_ZERO(config, rotate_certificates);
    DROP_ZERO(config, server_tls_bootstrap);
    DROP_ZERO(config, registry_burst);
    DROP_ZERO(config, event_burst);
    DROP_ZERO(config, enable_contention_profiling);
    DROP_ZERO(config, node_lease_duration_seconds);
    DROP_ZERO(config, max_pods);
    DROP_ZERO(config, run_once);
    DROP_ZERO(config, max_open_files);
    DROP_ZERO(config, kube_api_burst);
    DROP_ZERO(config, eviction_max_pod_grace_period);
    DROP_ZERO(config, pods_per_core);
    DROP_ZERO(config, protect_kernel_defaults);
    DROP_ZERO(config, kernel_memcg_notification);
    if (config->logging && config->logging->options) {
        drop_zeros_of_output(config->logging->options->text);
        drop_zeros_of_output(config->logging->options->json);
    }
}

static bool is_set(const char *text)
{
    return text && text[0] != '\0';
}

static char *below(const char *dir, const char *name, struct arena *arena)
{
    AUTO(free) char *path = path_join(dir, name);
    return arena_strdup(arena, path);
}

void configz_prepare(Kubeletconfig__KubeletConfiguration *config, const char *cert_dir,
                     struct arena *arena)
{
    bool is_asked_for = config->has_server_tls_bootstrap && config->server_tls_bootstrap;
    if (!is_asked_for && !is_set(config->tls_cert_file) && !is_set(config->tls_private_key_file)) {
        config->tls_cert_file = below(cert_dir, CERT_FILE, arena);
        config->tls_private_key_file = below(cert_dir, KEY_FILE, arena);
    }
    drop_zeros(config);
}
