#include "config/gates.h"

static const struct gate_info gates[] = {
#define GATE(gate_name, gate_stage, default_value, is_locked)                                      \
    [GATE_##gate_name] = {.name = #gate_name,                                                      \
                          .stage = (gate_stage),                                                   \
                          .by_default = (default_value),                                           \
                          .locked = (is_locked)},
#include "config/gate_list.h"
#undef GATE
};
_Static_assert(ARRAY_SIZE(gates) == GATE_COUNT, "describe every gate");

static const char *const stage_names[] = {
    [GATE_STAGE_ALPHA] = "ALPHA",
    [GATE_STAGE_BETA] = "BETA",
    [GATE_STAGE_GA] = "",
    [GATE_STAGE_DEPRECATED] = "DEPRECATED",
};

/* A gate and one it needs; spec: the pairs that matter to the node agent. */
static const struct {
    enum feature_gate gate;
    enum feature_gate needs;
} dependencies[] = {
    {GATE_GracefulNodeShutdownBasedOnPodPriority, GATE_GracefulNodeShutdown},
    {GATE_ClusterTrustBundleProjection, GATE_ClusterTrustBundle},
    {GATE_ExtendWebSocketsToKubelet, GATE_NodeDeclaredFeatures},
    {GATE_InPlacePodLevelResourcesVerticalScaling, GATE_InPlacePodVerticalScaling},
    {GATE_InPlacePodLevelResourcesVerticalScaling, GATE_PodLevelResources},
    {GATE_InPlacePodLevelResourcesVerticalScaling, GATE_NodeDeclaredFeatures},
    {GATE_InPlacePodVerticalScalingInitContainers, GATE_InPlacePodVerticalScaling},
    {GATE_InPlacePodVerticalScalingInitContainers, GATE_NodeDeclaredFeatures},
    {GATE_InPlacePodVerticalScalingExclusiveCPUs, GATE_InPlacePodVerticalScaling},
    {GATE_InPlacePodVerticalScalingExclusiveMemory, GATE_InPlacePodVerticalScaling},
    {GATE_ImageVolumeWithDigest, GATE_ImageVolume},
    {GATE_DRAAdminAccess, GATE_DynamicResourceAllocation},
    {GATE_DRAConsumableCapacity, GATE_DynamicResourceAllocation},
    {GATE_DRADeviceBindingConditions, GATE_DynamicResourceAllocation},
    {GATE_DRADeviceTaintRules, GATE_DynamicResourceAllocation},
    {GATE_DRADeviceTaints, GATE_DynamicResourceAllocation},
    {GATE_DRAExtendedResource, GATE_DynamicResourceAllocation},
    {GATE_DRAPartitionableDevices, GATE_DynamicResourceAllocation},
    {GATE_DRAPrioritizedList, GATE_DynamicResourceAllocation},
    {GATE_DRAResourceClaimDeviceStatus, GATE_DynamicResourceAllocation},
};

const struct gate_info *gate_info(enum feature_gate gate)
{
    return &gates[gate];
}

const char *gate_stage_name(enum gate_stage stage)
{
    return stage_names[stage];
}

/* GATE_COUNT when there is none of that name. */
static size_t find_gate(const char *name)
{
    size_t i = 0;
    while (i < GATE_COUNT && !text_eq(gates[i].name, name))
        i++;
    return i;
}

static bool is_group(const char *name)
{
    return text_eq(name, "AllAlpha") || text_eq(name, "AllBeta");
}

bool gate_setting_is_obsolete(const struct gate_setting *setting)
{
    size_t i = find_gate(setting->name);
    return i < GATE_COUNT &&
           (gates[i].stage == GATE_STAGE_GA || gates[i].stage == GATE_STAGE_DEPRECATED);
}

/* AllAlpha or AllBeta: moves the gates of that stage that nobody names and that are not locked. */
static void apply_group(const struct gate_setting *setting, const bool *is_named,
                        struct gate_set *set)
{
    enum gate_stage stage = text_eq(setting->name, "AllAlpha") ? GATE_STAGE_ALPHA : GATE_STAGE_BETA;
    for (size_t i = 0; i < GATE_COUNT; i++) {
        if (gates[i].stage == stage && !gates[i].locked && !is_named[i])
            set->enabled[i] = setting->value;
    }
}

static struct error *check_dependencies(const struct gate_set *set)
{
    for (size_t i = 0; i < ARRAY_SIZE(dependencies); i++) {
        if (set->enabled[dependencies[i].gate] && !set->enabled[dependencies[i].needs])
            return error_new(ERROR_INVALID_ARGUMENT,
                             "%s is enabled, but depends on features that are disabled: [%s]",
                             gates[dependencies[i].gate].name, gates[dependencies[i].needs].name);
    }
    return NULL;
}

struct error *gate_set_make(const struct gate_setting *settings, size_t count, struct gate_set *ret)
{
    struct gate_set set;
    bool is_named[GATE_COUNT] = {false};
    for (size_t i = 0; i < GATE_COUNT; i++)
        set.enabled[i] = gates[i].by_default;
    for (size_t i = 0; i < count; i++) {
        size_t gate = find_gate(settings[i].name);
        if (is_group(settings[i].name))
            continue;
        if (gate == GATE_COUNT)
            return error_new(ERROR_INVALID_ARGUMENT, "unrecognized feature gate: %s",
                             settings[i].name);
        if (gates[gate].locked && gates[gate].by_default != settings[i].value)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "cannot set feature gate %s to %s, feature is locked to %s",
                             gates[gate].name, settings[i].value ? "true" : "false",
                             gates[gate].by_default ? "true" : "false");
        set.enabled[gate] = settings[i].value;
        is_named[gate] = true;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_group(settings[i].name))
            apply_group(&settings[i], is_named, &set);
    }
    struct error *err = check_dependencies(&set);
    if (!err)
        *ret = set;
    return err;
}
