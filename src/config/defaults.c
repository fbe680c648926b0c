#include "config/defaults.h"

#include "config/gates.h"
#include "config/option_value.h"

#define MEMORY_THROTTLING_FACTOR 0.9
#define CRASH_LOOP_MAX "5m"                    /* maxContainerRestartPeriod, also its upper bound */
#define REPORT_FREQUENCY_NS (300 * NS_PER_SEC) /* of a status that did not change */
#define TRACING_ENDPOINT "localhost:4317"

/* pkg/kubelet/eviction/defaults_linux.go */
static const struct {
    const char *signal;
    const char *value;
} default_eviction_hard[] = {
    {"memory.available", "100Mi"}, {"nodefs.available", "10%"},  {"nodefs.inodesFree", "5%"},
    {"imagefs.available", "15%"},  {"imagefs.inodesFree", "5%"},
};

/* Spec: what a kubelet without a configuration file keeps from the time before there was one. */
static const struct {
    const char *path;
    const char *value;
} without_file[] = {
    {"config.authentication.anonymous.enabled", "true"},
    {"config.authentication.webhook.enabled", "false"},
    {"config.authorization.mode", "AlwaysAllow"},
    {"config.read_only_port", "10255"},
};

static void set_text(Kubeletconfig__Options *options, const char *path, const char *value,
                     struct arena *arena)
{
    const struct option *option = option_find_path(path);
    ASSERT(option);
    struct error *err = option_value_set(&options->base, option, value, true, arena);
    if (err)
        base_die("the default of %s does not fit its type: %s", path, err->message);
}

static void set_rows(Kubeletconfig__Options *options, bool of_config, struct arena *arena)
{
    for (size_t i = 0; i < option_count; i++) {
        const struct option *option = &option_table[i];
        if (option_is_config(option) == of_config && !option_value_is_given(&options->base, option))
            option_value_set_default(&options->base, option, arena);
    }
}

/* The value of a gate by default and by the configuration itself; other errors surface later. */
static bool is_gate_on(const Kubeletconfig__KubeletConfiguration *config, enum feature_gate gate)
{
    bool value = gate_info(gate)->by_default;
    for (size_t i = 0; i < config->n_feature_gates; i++) {
        if (text_eq(config->feature_gates[i]->key, gate_info(gate)->name))
            value = config->feature_gates[i]->value;
    }
    return value;
}

void defaults_set_flags(Kubeletconfig__Options *options, struct arena *arena)
{
    set_rows(options, false, arena);
}

static bool is_given(Kubeletconfig__Options *options, const char *path)
{
    return option_value_is_given(&options->base, option_find_path(path));
}

/* Defaults that depend on other fields; they look at what was given, so they come first. */
static void set_dependent(Kubeletconfig__Options *options, struct arena *arena)
{
    Kubeletconfig__KubeletConfiguration *config = options->config;
    if (!is_given(options, "config.node_status_report_frequency")) {
        int64_t report_ns = REPORT_FREQUENCY_NS;
        if (is_given(options, "config.node_status_update_frequency"))
            report_ns = config->node_status_update_frequency->duration;
        struct field field =
            field_make(&options->base, "config.node_status_report_frequency", arena);
        field_set_duration(&field, report_ns, arena);
    }
    if (!config->has_serialize_image_pulls && config->has_max_parallel_image_pulls &&
        config->max_parallel_image_pulls > 1)
        set_text(options, "config.serialize_image_pulls", "false", arena);
    if (!is_given(options, "config.crash_loop_back_off.max_container_restart_period") &&
        is_gate_on(config, GATE_KubeletCrashLoopBackOffMax))
        set_text(options, "config.crash_loop_back_off.max_container_restart_period", CRASH_LOOP_MAX,
                 arena);
    if (!is_given(options, "config.image_pull_credentials_verification_policy") &&
        is_gate_on(config, GATE_KubeletEnsureSecretPulledImages))
        set_text(options, "config.image_pull_credentials_verification_policy",
                 "NeverVerifyPreloadedImages", arena);
    if (config->tracing && !config->tracing->endpoint)
        set_text(options, "config.tracing.endpoint", TRACING_ENDPOINT, arena);
    if (!config->has_memory_throttling_factor) {
        config->has_memory_throttling_factor = 1;
        config->memory_throttling_factor = MEMORY_THROTTLING_FACTOR;
    }
    if (!config->memory_swap)
        config->memory_swap =
            (void *)field_new_message(&kubeletconfig__memory_swap_configuration__descriptor, arena);
}

void defaults_set_config(Kubeletconfig__Options *options, struct arena *arena)
{
    if (!options->config)
        options->config =
            (void *)field_new_message(&kubeletconfig__kubelet_configuration__descriptor, arena);
    set_dependent(options, arena);
    set_rows(options, true, arena);
    if (options->config->pod_pids_limit < 0)
        options->config->pod_pids_limit = -1;
}

void defaults_set_without_file(Kubeletconfig__Options *options, struct arena *arena)
{
    for (size_t i = 0; i < ARRAY_SIZE(without_file); i++)
        set_text(options, without_file[i].path, without_file[i].value, arena);
}

void defaults_set_eviction(Kubeletconfig__KubeletConfiguration *config, bool given,
                           struct arena *arena)
{
    if (given &&
        !(config->has_merge_default_eviction_settings && config->merge_default_eviction_settings))
        return;
    struct field map = field_of(&config->base, "eviction_hard");
    for (size_t i = 0; i < ARRAY_SIZE(default_eviction_hard); i++) {
        if (field_map_get(&map, default_eviction_hard[i].signal))
            continue;
        struct field value =
            field_of(field_map_make(&map, default_eviction_hard[i].signal, arena), "value");
        field_set_text(&value, default_eviction_hard[i].value, arena);
    }
}
