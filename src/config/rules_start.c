/*
 * What upstream finds out while it starts, one thing after the other: values that must parse,
 * policies that must exist, and the instance flags. The first that fails is the error.
 */
#include "config/rules.h"

#include "base/path.h"
#include "base/time.h"
#include "config/option_value.h"
#include "kube/quantity.h"
#include "kube/validate.h"

/* A text field with few values; the message is followed by the value in quotes. */
static const struct choice {
    const char *path;
    const char *says;
    const char *allowed[4];
} choices[] = {
    {"config.authorization.mode", "unknown authorization mode", {"AlwaysAllow", "Webhook"}},
    {"config.cgroup_driver",
     "cgroupDriver (--cgroup-driver) must be cgroupfs or systemd, not",
     {"cgroupfs", "systemd"}},
    {"config.config_map_and_secret_change_detection_strategy",
     "configMapAndSecretChangeDetectionStrategy must be Watch, Cache or Get, not",
     {"Watch", "Cache", "Get"}},
    {"config.cpu_manager_policy", "unknown cpu manager policy:", {"none", "static"}},
    {"config.memory_manager_policy", "unknown memory manager policy:", {"None", "Static"}},
    {"flags.cloud_provider",
     "unsupported value for --cloud-provider, use \"external\" or leave it out:",
     {"", "external"}},
};

static struct error *check_choices(const struct rules_subject *subject)
{
    ProtobufCMessage *root = (ProtobufCMessage *)(uintptr_t)&subject->options->base;
    for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
        struct field field = field_find(root, choices[i].path);
        const char *value = field_text(&field);
        bool is_known = false;
        for (size_t k = 0; k < ARRAY_SIZE(choices[i].allowed); k++)
            is_known = is_known || text_eq(choices[i].allowed[k], value);
        if (!is_known)
            return error_new(ERROR_INVALID_ARGUMENT, "%s \"%s\"", choices[i].says, value);
    }
    return NULL;
}

static int sign_of(const char *quantity)
{
    Meta__Quantity value = META__QUANTITY__INIT, zero = META__QUANTITY__INIT;
    value.string = (char *)(uintptr_t)quantity;
    zero.string = (char *)(uintptr_t) "0";
    return quantity_compare(&value, &zero);
}

static struct error *check_reservation(ProtobufCMessage *config, const char *name,
                                       const char *label)
{
    static const char *const resources[] = {"cpu", "memory", "ephemeral-storage", "pid"};
    struct field map = field_of(config, name);
    for (size_t i = 0; i < field_count(&map); i++) {
        struct field key = field_of(field_message_at(&map, i), "key"),
                     value = field_of(field_message_at(&map, i), "value");
        const char *resource = field_text(&key), *quantity = field_text(&value);
        if (!rules_is_one_of(resource, resources, ARRAY_SIZE(resources)))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "%s: cannot reserve \"%s\" resource; cpu, memory, ephemeral-storage "
                             "and pid can be reserved",
                             label, resource);
        struct error *err = quantity_check(str_from(quantity));
        if (err)
            return error_wrap(err, "%s: failed to parse quantity \"%s\" for \"%s\" resource", label,
                              quantity, resource);
        if (sign_of(quantity) < 0)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "%s: resource quantity for \"%s\" cannot be negative: %s", label,
                             resource, quantity);
    }
    return NULL;
}

/* "12.5%" as thousandths of a percent; -1 when @text is no percentage. */
static int64_t parse_percentage(const char *text)
{
    AUTO(free) char *number = NULL;
    if (!text_has_suffix(text, "%") || strlen(text) < 2)
        return -1;
    number = xstrndup(text, strlen(text) - 1);
    Meta__Quantity value = META__QUANTITY__INIT;
    value.string = number;
    if (strspn(number, "0123456789.+-") != strlen(number))
        return -1;
    AUTO(error) struct error *err = quantity_check(str_from(number));
    return err || sign_of(number) < 0 ? -1 : quantity_milli_value(&value);
}

static const char *const signals[] = {
    "memory.available",      "allocatableMemory.available", "nodefs.available",
    "nodefs.inodesFree",     "imagefs.available",           "imagefs.inodesFree",
    "containerfs.available", "containerfs.inodesFree",      "pid.available",
};

static struct error *check_signal_value(const char *signal, const char *value, bool is_reclaim)
{
    if (!rules_is_one_of(signal, signals, ARRAY_SIZE(signals)))
        return error_new(ERROR_INVALID_ARGUMENT, "unsupported eviction signal %s", signal);
    if (text_has_suffix(value, "%")) {
        int64_t thousandths = parse_percentage(value);
        if (thousandths < 0)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "eviction percentage threshold %s must be >= 0%%: %s", signal, value);
        if (thousandths > INT64_C(100000))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "eviction percentage threshold %s must be <= 100%%: %s", signal,
                             value);
        return NULL;
    }
    struct error *err = quantity_check(str_from(value));
    if (err)
        return error_wrap(err, "eviction signal %s: \"%s\"", signal, value);
    if (is_reclaim && sign_of(value) < 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "negative eviction minimum reclaim specified for %s", signal);
    if (!is_reclaim && sign_of(value) <= 0)
        return error_new(ERROR_INVALID_ARGUMENT, "eviction threshold %s must be positive: %s",
                         signal, value);
    return NULL;
}

static struct error *check_signals(ProtobufCMessage *config, const char *name, bool is_reclaim)
{
    struct field map = field_of(config, name);
    for (size_t i = 0; i < field_count(&map); i++) {
        struct field key = field_of(field_message_at(&map, i), "key"),
                     value = field_of(field_message_at(&map, i), "value");
        struct error *err = check_signal_value(field_text(&key), field_text(&value), is_reclaim);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *check_soft_grace(ProtobufCMessage *config)
{
    struct field soft = field_of(config, "eviction_soft"),
                 grace = field_of(config, "eviction_soft_grace_period");
    for (size_t i = 0; i < field_count(&grace); i++) {
        struct field key = field_of(field_message_at(&grace, i), "key"),
                     value = field_of(field_message_at(&grace, i), "value");
        int64_t grace_ns;
        struct error *err = time_parse_duration(str_from(field_text(&value)), &grace_ns);
        if (err)
            return error_wrap(err, "evictionSoftGracePeriod of %s", field_text(&key));
        if (grace_ns < 0)
            return error_new(
                ERROR_INVALID_ARGUMENT,
                "invalid eviction grace period specified: %s, must be a positive value",
                field_text(&value));
    }
    for (size_t i = 0; i < field_count(&soft); i++) {
        struct field key = field_of(field_message_at(&soft, i), "key");
        if (!field_map_get(&grace, field_text(&key)))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "grace period must be specified for the soft eviction threshold %s",
                             field_text(&key));
    }
    return NULL;
}

/* A name, or a prefix that ends in "*", within a group that has namespaces. */
static bool is_namespaced_sysctl(const char *pattern)
{
    static const char *const groups[] = {"kernel.shm", "kernel.msg", "fs.mqueue.", "net."};
    char name[128];
    size_t len = strlen(pattern);
    if (len == 0 || len >= sizeof(name))
        return false;
    if (strcspn(pattern, "*") < len - 1 ||
        strspn(pattern, "abcdefghijklmnopqrstuvwxyz0123456789-_./*") != len)
        return false;
    memcpy(name, pattern, len + 1);
    for (char *slash = strchr(name, '/'); slash; slash = strchr(slash, '/'))
        *slash = '.';
    if (text_eq(name, "kernel.sem"))
        return true;
    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (text_has_prefix(name, groups[i]))
            return true;
    }
    return false;
}

static struct error *check_sysctls(const Kubeletconfig__KubeletConfiguration *config)
{
    for (size_t i = 0; i < config->n_allowed_unsafe_sysctls; i++) {
        const char *pattern = config->allowed_unsafe_sysctls[i];
        if (!is_namespaced_sysctl(pattern))
            return error_new(ERROR_INVALID_ARGUMENT,
                             "the sysctl \"%s\" of allowedUnsafeSysctls (--allowed-unsafe-sysctls) "
                             "must be a name or a prefix ending in * of a namespaced group: "
                             "kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* or net.*",
                             pattern);
    }
    return NULL;
}

static struct error *check_values(const Kubeletconfig__KubeletConfiguration *config)
{
    if (config->sync_frequency->duration <= 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "syncFrequency (--sync-frequency) must be greater than 0");
    struct error *err = quantity_check(str_from(config->container_log_max_size));
    if (err)
        return error_wrap(err, "containerLogMaxSize (--container-log-max-size) \"%s\"",
                          config->container_log_max_size);
    if (text_eq(config->system_cgroups, "/"))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "systemCgroups (--system-cgroups) cannot be the root cgroup");
    return check_sysctls(config);
}

static struct error *check_root_dir(const Kubeletconfig__KubeletFlags *flags)
{
    if (!path_is_absolute(flags->root_dir) || path_has_dotdot(flags->root_dir))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--root-dir \"%s\" must be an absolute path without \"..\"",
                         flags->root_dir);
    return NULL;
}

static bool is_unspecified(const char *address)
{
    return strspn(address, "0.") == strlen(address) || strspn(address, "0:") == strlen(address);
}

/* One address, or one of each family; what is no address does not count. */
static struct error *check_node_ip(const Kubeletconfig__KubeletFlags *flags)
{
    struct str rest = str_from(flags->node_ip), part;
    int v4 = 0, v6 = 0, unspecified = 0;
    while (rest.len > 0 && str_split_next(&rest, ',', &part)) {
        AUTO(free) char *address = str_dup(str_trim(part));
        if (!option_is_ip(address))
            continue;
        v6 += strchr(address, ':') ? 1 : 0;
        v4 += strchr(address, ':') ? 0 : 1;
        unspecified += is_unspecified(address) ? 1 : 0;
    }
    if (v4 > 1 || v6 > 1)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "bad --node-ip \"%s\": must contain either a single IP or a dual-stack "
                         "pair of IPs",
                         flags->node_ip);
    if (v4 + v6 > 1 && unspecified > 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "bad --node-ip \"%s\": dual-stack node IP cannot include '0.0.0.0' or "
                         "'::'",
                         flags->node_ip);
    return NULL;
}

struct error *rules_check_start(const struct rules_subject *subject)
{
    const Kubeletconfig__KubeletFlags *flags = subject->options->flags;
    Kubeletconfig__KubeletConfiguration *config = subject->options->config;
    struct error *err = check_root_dir(flags);
    err = err ? err : check_node_ip(flags);
    err = err ? err : check_choices(subject);
    err = err ? err
              : check_reservation(&config->base, "kube_reserved", "kubeReserved (--kube-reserved)");
    err = err ? err
              : check_reservation(&config->base, "system_reserved",
                                  "systemReserved (--system-reserved)");
    err = err ? err : check_signals(&config->base, "eviction_hard", false);
    err = err ? err : check_signals(&config->base, "eviction_soft", false);
    err = err ? err : check_signals(&config->base, "eviction_minimum_reclaim", true);
    err = err ? err : check_soft_grace(&config->base);
    err = err ? err : check_values(config);
    return err ? err : rules_check_tls(config);
}
