#include "config/convert.h"

#include "base/path.h"
#include "config/field.h"
#include "config/option_value.h"
#include "config/rules.h"
#include "kube/quantity.h"

#include <ctype.h>

#define TEXT_LIST_MIN_CAPACITY 8
#define IDS_PER_POD_DEFAULT 65536

void text_list_add(struct text_list *list, const char *text)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : TEXT_LIST_MIN_CAPACITY;
        const char **grown = arena_calloc(list->arena, capacity, sizeof(char *));
        if (list->count)
            memcpy(grown, list->items, list->count * sizeof(char *));
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = text;
}

struct config_list text_list_view(const struct text_list *list)
{
    return (struct config_list){.count = list->count, .items = list->items};
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static int compare_pairs(const void *a, const void *b)
{
    return strcmp(((const struct config_pair *)a)->key, ((const struct config_pair *)b)->key);
}

static struct config_map to_map(ProtobufCMessage *config, const char *name, struct arena *arena)
{
    struct field map = field_of(config, name);
    size_t count = field_count(&map);
    struct config_pair *pairs = arena_calloc(arena, count + 1, sizeof(*pairs));
    for (size_t i = 0; i < count; i++) {
        struct field key = field_of(field_message_at(&map, i), "key"),
                     value = field_of(field_message_at(&map, i), "value");
        pairs[i] = (struct config_pair){.key = field_text(&key), .value = field_text(&value)};
    }
    qsort(pairs, count, sizeof(*pairs), compare_pairs);
    return (struct config_map){.count = count, .pairs = pairs};
}

/* Every element trimmed; empty ones are left out. */
static struct config_list split_list(const char *text, struct arena *arena)
{
    struct text_list list = {.arena = arena};
    struct str rest = str_from(text_or_empty(text)), part;
    while (str_split_next(&rest, ',', &part)) {
        part = str_trim(part);
        if (part.len > 0)
            text_list_add(&list, arena_strndup(arena, part.ptr, part.len));
    }
    return text_list_view(&list);
}

static struct config_list parsed_ips(const char *text, struct arena *arena)
{
    struct config_list all = split_list(text, arena);
    struct text_list parsed = {.arena = arena};
    for (size_t i = 0; i < all.count; i++) {
        if (option_is_ip(all.items[i]))
            text_list_add(&parsed, all.items[i]);
    }
    return text_list_view(&parsed);
}

const char *convert_ignored_node_ips(const Kubeletconfig__KubeletFlags *flags, struct arena *arena)
{
    struct config_list all = split_list(flags->node_ip, arena);
    const char *ignored = "";
    for (size_t i = 0; i < all.count; i++) {
        if (!option_is_ip(all.items[i]))
            ignored = arena_printf(arena, "%s%s%s", ignored, ignored[0] ? "," : "", all.items[i]);
    }
    return ignored;
}

static const char *lower_trimmed(const char *text, struct arena *arena)
{
    struct str trimmed = str_trim(str_from(text_or_empty(text)));
    char *lower = arena_strndup(arena, trimmed.len ? trimmed.ptr : "", trimmed.len);
    for (char *at = lower; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return lower;
}

static const char *clean_path(const char *path, struct arena *arena)
{
    if (!path || !path[0])
        return "";
    AUTO(free) char *clean = path_clean(path);
    return arena_strdup(arena, clean);
}

static enum config_pull_policy to_pull_policy(const char *text)
{
    if (text_eq(text, "NeverVerify"))
        return CONFIG_PULL_NEVER_VERIFY;
    if (text_eq(text, "NeverVerifyAllowlistedImages"))
        return CONFIG_PULL_NEVER_VERIFY_ALLOWLISTED_IMAGES;
    if (text_eq(text, "AlwaysVerify"))
        return CONFIG_PULL_ALWAYS_VERIFY;
    return CONFIG_PULL_NEVER_VERIFY_PRELOADED_IMAGES;
}

static unsigned to_enforce(const Kubeletconfig__KubeletConfiguration *config)
{
    static const struct {
        const char *name;
        enum config_enforce bit;
    } names[] = {
        {"pods", CONFIG_ENFORCE_PODS},
        {"system-reserved", CONFIG_ENFORCE_SYSTEM_RESERVED},
        {"system-reserved-compressible", CONFIG_ENFORCE_SYSTEM_RESERVED_COMPRESSIBLE},
        {"kube-reserved", CONFIG_ENFORCE_KUBE_RESERVED},
        {"kube-reserved-compressible", CONFIG_ENFORCE_KUBE_RESERVED_COMPRESSIBLE},
    };
    unsigned bits = 0;
    for (size_t i = 0; i < config->n_enforce_node_allocatable; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
            if (text_eq(config->enforce_node_allocatable[i], names[k].name))
                bits |= (unsigned)names[k].bit;
        }
    }
    return bits;
}

static int64_t to_bytes(const char *quantity)
{
    Meta__Quantity value = META__QUANTITY__INIT;
    value.string = (char *)(uintptr_t)quantity;
    return quantity_value(&value);
}

/* reservedSystemCPUs takes the place of every other reservation of CPU. */
static void reserve_cpus(struct config *ret, struct arena *arena)
{
    int64_t count = 0;
    if (!ret->reserved_system_cpus[0] || !rules_parse_cpus(ret->reserved_system_cpus, &count))
        return;
    struct config_map *maps[] = {&ret->system_reserved, &ret->kube_reserved};
    for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
        struct config_pair *pairs = arena_calloc(arena, maps[i]->count + 1, sizeof(*pairs));
        size_t kept = 0;
        for (size_t k = 0; k < maps[i]->count; k++) {
            if (!text_eq(maps[i]->pairs[k].key, "cpu"))
                pairs[kept++] = maps[i]->pairs[k];
        }
        if (maps[i] == &ret->system_reserved)
            pairs[kept++] = (struct config_pair){
                .key = "cpu", .value = arena_printf(arena, "%lld", (long long)count)};
        qsort(pairs, kept, sizeof(*pairs), compare_pairs);
        *maps[i] = (struct config_map){.count = kept, .pairs = pairs};
    }
}

static void convert_flags(const Kubeletconfig__KubeletFlags *flags, struct arena *arena,
                          struct config *ret)
{
    ret->config_dir = text_or_empty(flags->config_dir);
    ret->hostname_override = lower_trimmed(flags->hostname_override, arena);
    ret->node_ips = parsed_ips(flags->node_ip, arena);
    ret->root_dir = clean_path(flags->root_dir, arena);
    ret->cert_dir = clean_path(flags->cert_dir, arena);
    ret->image_credential_provider_config = text_or_empty(flags->image_credential_provider_config);
    ret->image_credential_provider_bin_dir =
        text_or_empty(flags->image_credential_provider_bin_dir);
    ret->local_socket_path = text_or_empty(flags->local_socket);
    ret->minimum_container_ttl_ns = flags->minimum_container_ttl_duration->duration;
    ret->maximum_dead_containers_per_container = flags->maximum_dead_containers_per_container;
    ret->maximum_dead_containers = flags->maximum_dead_containers;
    ret->allocatable_ignores_eviction = flags->experimental_allocatable_ignore_eviction;
    ret->housekeeping_interval_ns = flags->housekeeping_interval->duration;
    ret->boot_id_files = split_list(flags->boot_id_file, arena);
    ret->machine_id_files = split_list(flags->machine_id_file, arena);
}

static void convert_runtime(const Kubeletconfig__KubeletConfiguration *config, struct config *ret)
{
    ret->runtime_endpoint = config->container_runtime_endpoint;
    ret->image_endpoint = config->image_service_endpoint && config->image_service_endpoint[0]
                              ? config->image_service_endpoint
                              : config->container_runtime_endpoint;
    ret->runtime_request_timeout_ns = config->runtime_request_timeout->duration;
    ret->serialize_image_pulls = config->serialize_image_pulls;
    ret->has_max_parallel_image_pulls = config->has_max_parallel_image_pulls;
    ret->max_parallel_image_pulls = config->max_parallel_image_pulls;
    ret->registry_pull_qps = config->registry_pull_qps;
    ret->registry_burst = config->registry_burst;
    ret->image_pull_credentials_verification_policy =
        to_pull_policy(config->image_pull_credentials_verification_policy);
    ret->preloaded_images_verification_allowlist = (struct config_list){
        .count = config->n_preloaded_images_verification_allowlist,
        .items = (const char *const *)config->preloaded_images_verification_allowlist};
    ret->image_minimum_gc_age_ns = config->image_minimum_gc_age->duration;
    ret->image_maximum_gc_age_ns = config->image_maximum_gc_age->duration;
    ret->image_gc_high_threshold_percent = config->image_gc_high_threshold_percent;
    ret->image_gc_low_threshold_percent = config->image_gc_low_threshold_percent;
    ret->container_log_max_size_bytes = to_bytes(config->container_log_max_size);
    ret->container_log_max_files = config->container_log_max_files;
    ret->container_log_max_workers = config->container_log_max_workers;
    ret->container_log_monitor_interval_ns = config->container_log_monitor_interval->duration;
    const Kubeletconfig__CrashLoopBackOffConfig *crash_loop = config->crash_loop_back_off;
    ret->crash_loop_max_ns = crash_loop && crash_loop->max_container_restart_period
                                 ? crash_loop->max_container_restart_period->duration
                                 : 300 * NS_PER_SEC;
}

static void convert_resources(Kubeletconfig__KubeletConfiguration *config, struct arena *arena,
                              struct config *ret)
{
    ret->cgroup_driver = text_eq(config->cgroup_driver, "systemd") ? CONFIG_CGROUP_DRIVER_SYSTEMD
                                                                   : CONFIG_CGROUP_DRIVER_CGROUPFS;
    ret->cgroups_per_qos = config->cgroups_per_qos;
    ret->cgroup_root = text_or_empty(config->cgroup_root);
    if (ret->cgroups_per_qos && !ret->cgroup_root[0])
        ret->cgroup_root = "/";
    ret->cpu_cfs_quota = config->cpu_cfs_quota;
    ret->cpu_cfs_quota_period_us = config->cpu_cfs_quota_period->duration / NS_PER_US;
    ret->pod_pids_limit = config->pod_pids_limit < 0 ? -1 : config->pod_pids_limit;
    ret->fail_cgroup_v1 = config->fail_cgroup_v1;
    ret->fail_swap_on = config->fail_swap_on;
    ret->memory_swap_behavior = text_eq(config->memory_swap->swap_behavior, "LimitedSwap")
                                    ? CONFIG_SWAP_LIMITED_SWAP
                                    : CONFIG_SWAP_NO_SWAP;
    ret->has_single_process_oom_kill = config->has_single_process_oom_kill;
    ret->single_process_oom_kill = config->single_process_oom_kill;
    ret->oom_score_adj = config->oom_score_adj;
    ret->max_open_files = config->max_open_files;
    ret->max_pods = config->max_pods;
    ret->pods_per_core = config->pods_per_core;
    ret->system_reserved = to_map(&config->base, "system_reserved", arena);
    ret->kube_reserved = to_map(&config->base, "kube_reserved", arena);
    ret->system_reserved_cgroup = text_or_empty(config->system_reserved_cgroup);
    ret->kube_reserved_cgroup = text_or_empty(config->kube_reserved_cgroup);
    ret->reserved_system_cpus = text_or_empty(config->reserved_system_cpus);
    reserve_cpus(ret, arena);
    ret->enforce_node_allocatable = to_enforce(config);
    ret->eviction_hard = to_map(&config->base, "eviction_hard", arena);
    ret->allowed_unsafe_sysctls =
        (struct config_list){.count = config->n_allowed_unsafe_sysctls,
                             .items = (const char *const *)config->allowed_unsafe_sysctls};
    ret->protect_kernel_defaults = config->protect_kernel_defaults;
    ret->local_storage_capacity_isolation = config->local_storage_capacity_isolation;
    ret->volume_stats_agg_period_ns = config->volume_stats_agg_period->duration;
    ret->user_namespace_ids_per_pod =
        config->user_namespaces && config->user_namespaces->has_ids_per_pod
            ? config->user_namespaces->ids_per_pod
            : IDS_PER_POD_DEFAULT;
}

static enum config_object_strategy to_strategy(const char *text)
{
    if (text_eq(text, "Cache"))
        return CONFIG_OBJECTS_CACHE;
    return text_eq(text, "Get") ? CONFIG_OBJECTS_GET : CONFIG_OBJECTS_WATCH;
}

static void convert_cluster(const Kubeletconfig__Options *options, struct arena *arena,
                            struct config_cluster *ret)
{
    const Kubeletconfig__KubeletConfiguration *config = options->config;
    Kubeletconfig__KubeletFlags *flags = options->flags;
    *ret = (struct config_cluster){
        .kubeconfig = clean_path(flags->kubeconfig, arena),
        .is_cloud_external = text_eq(flags->cloud_provider, "external"),
        .register_node = config->register_node,
        .register_with_taints = config->register_with_taints,
        .n_register_with_taints = config->n_register_with_taints,
        .node_labels = to_map(&flags->base, "node_labels", arena),
        .provider_id = text_or_empty(config->provider_id),
        .enable_controller_attach_detach = config->enable_controller_attach_detach,
        .kubelet_port = config->port,
        .node_status_update_frequency_ns = config->node_status_update_frequency->duration,
        .node_status_report_frequency_ns = config->node_status_report_frequency->duration,
        .node_lease_duration_s = config->node_lease_duration_seconds,
        .node_status_max_images = config->node_status_max_images,
        .kube_api_qps = config->kube_api_qps,
        .kube_api_burst = config->kube_api_burst,
        .event_record_qps = config->event_record_qps,
        .event_burst = config->event_burst,
        .is_json = text_eq(config->content_type, "application/json"),
        .object_strategy = to_strategy(config->config_map_and_secret_change_detection_strategy),
    };
}

static enum config_tls_version to_tls_version(const char *text)
{
    static const char *const names[] = {[CONFIG_TLS_1_0] = "VersionTLS10",
                                        [CONFIG_TLS_1_1] = "VersionTLS11",
                                        [CONFIG_TLS_1_2] = "VersionTLS12",
                                        [CONFIG_TLS_1_3] = "VersionTLS13"};
    for (size_t i = CONFIG_TLS_1_0; i < ARRAY_SIZE(names); i++) {
        if (text_eq(text, names[i]))
            return (enum config_tls_version)i;
    }
    return CONFIG_TLS_DEFAULT;
}

static void convert_access(const Kubeletconfig__KubeletConfiguration *config,
                           struct config_server *ret)
{
    const Kubeletconfig__KubeletAuthentication *authentication = config->authentication;
    const Kubeletconfig__KubeletAuthorization *authorization = config->authorization;
    ret->client_ca_file =
        authentication->x509 ? text_or_empty(authentication->x509->client_ca_file) : "";
    ret->is_anonymous_allowed = authentication->anonymous->enabled;
    ret->is_token_webhook = authentication->webhook->enabled;
    ret->token_cache_ttl_ns = authentication->webhook->cache_ttl->duration;
    ret->is_authorization_webhook = text_eq(authorization->mode, "Webhook");
    ret->authorized_cache_ttl_ns = authorization->webhook->cache_authorized_ttl->duration;
    ret->unauthorized_cache_ttl_ns = authorization->webhook->cache_unauthorized_ttl->duration;
}

static void convert_server(const Kubeletconfig__Options *options, struct config_server *ret)
{
    const Kubeletconfig__KubeletConfiguration *config = options->config;
    *ret = (struct config_server){
        .enable_server = config->enable_server,
        .address = config->address,
        .port = config->port,
        .read_only_port = config->read_only_port,
        .healthz_bind_address = config->healthz_bind_address,
        .healthz_port = config->healthz_port,
        .enable_debugging_handlers = config->enable_debugging_handlers,
        .enable_system_log_handler = config->enable_system_log_handler,
        .enable_system_log_query = config->enable_system_log_query,
        .enable_profiling_handler = config->enable_profiling_handler,
        .enable_debug_flags_handler = config->enable_debug_flags_handler,
        .tls_cert_file = text_or_empty(config->tls_cert_file),
        .tls_private_key_file = text_or_empty(config->tls_private_key_file),
        .tls_cipher_suites = {.count = config->n_tls_cipher_suites,
                              .items = (const char *const *)config->tls_cipher_suites},
        .tls_curve_preferences = {.count = config->n_tls_curve_preferences,
                                  .ids = config->tls_curve_preferences},
        .tls_min_version = to_tls_version(config->tls_min_version),
        .server_tls_bootstrap = config->server_tls_bootstrap,
        .kubelet_cgroups = text_or_empty(config->kubelet_cgroups),
        .system_cgroups = text_or_empty(config->system_cgroups),
        .runtime_cgroups = text_or_empty(options->flags->runtime_cgroups),
    };
    convert_access(config, ret);
}

void convert_options(const Kubeletconfig__Options *options, struct arena *arena, struct config *ret)
{
    Kubeletconfig__KubeletConfiguration *config = options->config;
    convert_flags(options->flags, arena, ret);
    convert_runtime(config, ret);
    convert_resources(config, arena, ret);
    convert_cluster(options, arena, &ret->cluster);
    convert_server(options, &ret->server);
    ret->seccomp_default = options->flags->seccomp_default || config->seccomp_default;
    ret->pod_logs_dir = config->pod_logs_dir;
    ret->static_pod_path = text_or_empty(config->static_pod_path);
    ret->file_check_frequency_ns = config->file_check_frequency->duration;
    ret->static_pod_url = text_or_empty(config->static_pod_url);
    ret->http_check_frequency_ns = config->http_check_frequency->duration;
    ret->sync_frequency_ns = config->sync_frequency->duration;
    ret->cluster_domain = text_or_empty(config->cluster_domain);
    ret->cluster_dns = (struct config_list){.count = config->n_cluster_dns,
                                            .items = (const char *const *)config->cluster_dns};
    ret->resolv_conf = text_or_empty(config->resolv_conf);
    ret->log_verbosity = (int)config->logging->verbosity;
    ret->log_format = text_eq(config->logging->format, "json") ? CONFIG_LOG_JSON : CONFIG_LOG_TEXT;
    ret->kubelet_configuration = &config->base;
}
