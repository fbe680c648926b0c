/*
 * Containers of all kinds: what they share (name, image, ports, mounts, devices, restart rules),
 * then what only regular or only init containers may have. Ephemeral containers never come here:
 * they are refused at creation.
 */
#include "kube/validate_internal.h"

#include "kube/resources.h"

/* pkg/apis/core/validation: validateContainerRestartPolicy. */
#define RESTART_RULES_MAX 20
#define RESTART_EXIT_CODES_MAX 255
#define PORT_MAX 65535

/* --- ports --- */

static void validate_ports(struct validation *v, const Core__Container *container,
                           const struct field_path *path)
{
    static const char *const protocols[] = {"SCTP", "TCP", "UDP", NULL};
    struct text_map names = {.arena = v->scratch};
    for (size_t i = 0; i < container->n_ports; i++) {
        const Core__ContainerPort *port = container->ports[i];
        const struct field_path *at = FIELD_AT(path, i);
        if (!is_empty(port->name)) {
            struct name_faults faults = {.count = 0};
            name_rule_port_name(str_from(port->name), &faults);
            if (faults.count > 0)
                field_check_name(v, FIELD(at, "name"), port->name, name_rule_port_name);
            else if (!text_map_add(&names, port->name, i))
                field_duplicate(v, FIELD(at, "name"), port->name);
        }
        if (port->container_port == 0)
            field_required(v, FIELD(at, "containerPort"), NULL);
        else
            field_check_range(v, FIELD(at, "containerPort"), port->container_port, 1, PORT_MAX);
        if (port->host_port != 0)
            field_check_range(v, FIELD(at, "hostPort"), port->host_port, 1, PORT_MAX);
        field_check_enum(v, FIELD(at, "protocol"), port->protocol, protocols);
    }
}

/* Adds the container's host ports to @taken and names those already there. */
static void check_host_ports(struct validation *v, const Core__Container *container,
                             struct text_map *taken, const struct field_path *path)
{
    for (size_t i = 0; i < container->n_ports; i++) {
        const Core__ContainerPort *port = container->ports[i];
        if (port->host_port == 0)
            continue;
        const char *key = arena_printf(v->scratch, "%s/%s/%d", or_empty(port->protocol),
                                       or_empty(port->host_ip), port->host_port);
        if (!text_map_add(taken, key, i))
            field_duplicate(v, FIELD(FIELD_AT(FIELD(path, "ports"), i), "hostPort"), key);
    }
}

/* --- mounts and devices --- */

static void validate_propagation(struct validation *v, const Core__VolumeMount *mount,
                                 const Core__SecurityContext *security,
                                 const struct field_path *path)
{
    static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
    if (!mount->mount_propagation)
        return;
    if (!is_one_of(mount->mount_propagation, modes))
        field_not_supported(v, path, mount->mount_propagation, modes);
    bool privileged = security && security->has_privileged && security->privileged;
    if (text_eq(mount->mount_propagation, "Bidirectional") && !privileged)
        field_forbidden(
            v, path, "Bidirectional mount propagation is available only to privileged containers");
}

static void validate_recursive_read_only(struct validation *v, const Core__VolumeMount *mount,
                                         const struct field_path *path)
{
    static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};
    const char *mode = mount->recursive_read_only;
    if (!mode || text_eq(mode, "Disabled"))
        return;
    if (!is_one_of(mode, modes)) {
        field_not_supported(v, path, mode, modes);
        return;
    }
    if (!mount->has_read_only || !mount->read_only)
        field_forbidden(v, path, "may only be specified when readOnly is true");
    if (mount->mount_propagation && !text_eq(mount->mount_propagation, "None"))
        field_forbidden(v, path,
                        "may only be specified when mountPropagation is None or not specified");
}

/* Names and paths of the other list, which this one must not meet. */
struct taken {
    struct text_map names, paths;
};

static void validate_mount_place(struct validation *v, const Core__VolumeMount *mount,
                                 struct text_map *mount_points, const struct taken *devices,
                                 const struct field_path *at)
{
    field_check_present(v, FIELD(at, "name"), mount->name);
    if (!text_map_find(&v->volumes, mount->name, NULL))
        field_not_found(v, FIELD(at, "name"), mount->name, NULL);
    field_check_present(v, FIELD(at, "mountPath"), mount->mount_path);
    if (!text_map_add(mount_points, mount->mount_path, 0))
        field_invalid(v, FIELD(at, "mountPath"), mount->mount_path, "must be unique");
    if (text_map_find(&devices->names, mount->name, NULL))
        field_invalid(v, FIELD(at, "name"), mount->name, "must not already exist in volumeDevices");
    if (text_map_find(&devices->paths, mount->mount_path, NULL))
        field_invalid(v, FIELD(at, "mountPath"), mount->mount_path,
                      "must not already exist as a path in volumeDevices");
}

/* Upstream leaves the index out of the paths of sub-paths and modes; so do we. */
static void validate_volume_mounts(struct validation *v, const Core__Container *container,
                                   const struct taken *devices, const struct field_path *path)
{
    struct text_map mount_points = {.arena = v->scratch};
    for (size_t i = 0; i < container->n_volume_mounts; i++) {
        const Core__VolumeMount *mount = container->volume_mounts[i];
        const struct field_path *at = FIELD_AT(path, i);
        validate_mount_place(v, mount, &mount_points, devices, at);
        if (!is_empty(mount->sub_path))
            field_check_descending_path(v, FIELD(path, "subPath"), mount->sub_path);
        if (!is_empty(mount->sub_path_expr)) {
            if (!is_empty(mount->sub_path))
                field_invalid(v, FIELD(at, "subPathExpr"), mount->sub_path_expr,
                              "subPathExpr and subPath are mutually exclusive");
            field_check_descending_path(v, FIELD(path, "subPathExpr"), mount->sub_path_expr);
        }
        validate_propagation(v, mount, container->security_context,
                             FIELD(path, "mountPropagation"));
        validate_recursive_read_only(v, mount, FIELD(path, "recursiveReadOnly"));
    }
}

static void check_device_volume(struct validation *v, const char *name,
                                const struct field_path *path)
{
    size_t index;
    if (!text_map_find(&v->volumes, name, &index)) {
        field_not_found(v, path, name, NULL);
        return;
    }
    const Core__VolumeSource *source = v->spec->volumes[index]->volume_source;
    if (!source->persistent_volume_claim && !source->ephemeral)
        field_invalid(v, path, name,
                      "can only use volume source type of PersistentVolumeClaim or Ephemeral for "
                      "block mode");
}

static void validate_volume_devices(struct validation *v, const Core__Container *container,
                                    const struct taken *mounts, const struct field_path *path)
{
    struct text_map names = {.arena = v->scratch}, paths = {.arena = v->scratch};
    for (size_t i = 0; i < container->n_volume_devices; i++) {
        const Core__VolumeDevice *device = container->volume_devices[i];
        const struct field_path *at = FIELD_AT(path, i), *name = FIELD(at, "name"),
                                *device_path = FIELD(at, "devicePath");
        field_check_present(v, name, device->name);
        if (text_map_find(&names, device->name, NULL))
            field_invalid(v, name, device->name, "must be unique");
        check_device_volume(v, device->name, name);
        field_check_present(v, device_path, device->device_path);
        if (text_map_find(&paths, device->device_path, NULL))
            field_invalid(v, device_path, device->device_path, "must be unique");
        if (has_backsteps(device->device_path))
            field_invalid(v, device_path, device->device_path, "can not contain backsteps ('..')");
        else
            text_map_add(&paths, device->device_path, i);
        if (text_map_find(&mounts->names, device->name, NULL))
            field_invalid(v, name, device->name, "must not already exist in volumeMounts");
        if (text_map_find(&mounts->paths, device->device_path, NULL))
            field_invalid(v, device_path, device->device_path,
                          "must not already exist as a path in volumeMounts");
        if (!is_empty(device->name))
            text_map_add(&names, device->name, i);
    }
}

static void validate_mounts(struct validation *v, const Core__Container *container,
                            const struct field_path *path)
{
    struct taken mounts = {{.arena = v->scratch}, {.arena = v->scratch}};
    struct taken devices = {{.arena = v->scratch}, {.arena = v->scratch}};
    for (size_t i = 0; i < container->n_volume_mounts; i++) {
        text_map_add(&mounts.names, container->volume_mounts[i]->name, i);
        text_map_add(&mounts.paths, container->volume_mounts[i]->mount_path, i);
    }
    for (size_t i = 0; i < container->n_volume_devices; i++) {
        text_map_add(&devices.names, container->volume_devices[i]->name, i);
        text_map_add(&devices.paths, container->volume_devices[i]->device_path, i);
    }
    validate_volume_mounts(v, container, &devices, FIELD(path, "volumeMounts"));
    validate_volume_devices(v, container, &mounts, FIELD(path, "volumeDevices"));
}

/* --- policies --- */

void validate_pull_policy(struct validation *v, const char *policy, const struct field_path *path)
{
    static const char *const policies[] = {"Always", "IfNotPresent", "Never", NULL};
    field_check_enum(v, path, policy, policies);
}

static void validate_resize_policy(struct validation *v, const Core__Container *container,
                                   const struct field_path *path)
{
    static const char *const resources[] = {RESOURCE_CPU, RESOURCE_MEMORY, NULL};
    static const char *const policies[] = {"NotRequired", "RestartContainer", NULL};
    struct text_map seen = {.arena = v->scratch};
    for (size_t i = 0; i < container->n_resize_policy; i++) {
        const Core__ContainerResizePolicy *policy = container->resize_policy[i];
        if (!text_map_add(&seen, policy->resource_name, i))
            field_duplicate(v, FIELD_AT(path, i), policy->resource_name);
        field_check_enum(v, path, policy->resource_name, resources);
        field_check_enum(v, path, policy->restart_policy, policies);
        if (text_eq(v->spec->restart_policy, "Never") &&
            !text_eq(policy->restart_policy, "NotRequired"))
            field_invalid(v, path, policy->restart_policy,
                          "must be 'NotRequired' when pod `restartPolicy` is 'Never'");
    }
}

/* ContainerRestartRules and RestartAllContainersOnContainerExits, both on. */
static void validate_restart_rule(struct validation *v, const Core__ContainerRestartRule *rule,
                                  const struct field_path *path)
{
    static const char *const actions[] = {"Restart", "RestartAllContainers", NULL};
    static const char *const operators[] = {"In", "NotIn", NULL};
    if (!is_one_of(rule->action, actions))
        field_not_supported(v, FIELD(path, "action"), rule->action, actions);
    const struct field_path *exit_codes = FIELD(path, "exitCodes");
    if (!rule->exit_codes) {
        field_required(v, exit_codes, "must be specified");
        return;
    }
    if (!is_one_of(rule->exit_codes->operator_, operators))
        field_not_supported(v, FIELD(exit_codes, "operator"), rule->exit_codes->operator_,
                            operators);
    if (rule->exit_codes->n_values > RESTART_EXIT_CODES_MAX)
        field_too_many(v, FIELD(exit_codes, "values"), rule->exit_codes->n_values,
                       RESTART_EXIT_CODES_MAX);
}

static void validate_restart_policy(struct validation *v, const Core__Container *container,
                                    const struct field_path *path)
{
    static const char *const policies[] = {"Always", "Never", "OnFailure", NULL};
    const struct field_path *policy = FIELD(path, "restartPolicy"),
                            *rules = FIELD(path, "restartPolicyRules");
    if (!container->restart_policy) {
        if (container->n_restart_policy_rules == 0)
            return;
        field_required(v, policy, "must specify restartPolicy when restart rules are used");
    } else if (!is_one_of(container->restart_policy, policies)) {
        field_not_supported(v, policy, container->restart_policy, policies);
    }
    if (container->n_restart_policy_rules > RESTART_RULES_MAX)
        field_too_many(v, rules, container->n_restart_policy_rules, RESTART_RULES_MAX);
    for (size_t i = 0; i < container->n_restart_policy_rules; i++)
        validate_restart_rule(v, container->restart_policy_rules[i], FIELD_AT(rules, i));
}

/* --- the kinds --- */

static void validate_common(struct validation *v, const Core__Container *container,
                            const struct field_path *path)
{
    static const char *const message_policies[] = {"File", "FallbackToLogsOnError", NULL};
    if (is_empty(container->name))
        field_required(v, FIELD(path, "name"), NULL);
    else
        field_check_name(v, FIELD(path, "name"), container->name, name_rule_dns1123_label);
    field_check_present(v, FIELD(path, "image"), container->image);
    field_check_enum(v, FIELD(path, "terminationMessagePolicy"),
                     container->termination_message_policy, message_policies);
    validate_ports(v, container, FIELD(path, "ports"));
    validate_env(v, container, path);
    validate_mounts(v, container, path);
    validate_pull_policy(v, container->image_pull_policy, FIELD(path, "imagePullPolicy"));
    validate_container_resources(v, container->resources, FIELD(path, "resources"));
    validate_resize_policy(v, container, FIELD(path, "resizePolicy"));
    validate_container_security(v, container->security_context, FIELD(path, "securityContext"));
}

static void validate_regular_containers(struct validation *v, struct text_map *names,
                                        const struct field_path *path)
{
    if (v->spec->n_containers == 0)
        field_required(v, path, NULL);
    for (size_t i = 0; i < v->spec->n_containers; i++) {
        const Core__Container *container = v->spec->containers[i];
        const struct field_path *at = FIELD_AT(path, i);
        validate_common(v, container, at);
        if (!text_map_add(names, container->name, i))
            field_duplicate(v, FIELD(at, "name"), container->name);
        validate_hooks_and_probes(v, container, at);
        validate_restart_policy(v, container, at);
    }
    struct text_map taken = {.arena = v->scratch};
    for (size_t i = 0; i < v->spec->n_containers; i++)
        check_host_ports(v, v->spec->containers[i], &taken, FIELD_AT(path, i));
}

/* A plain init container runs to its end: nothing can ask it whether it is alive. */
static void forbid_hooks_and_probes(struct validation *v, const Core__Container *container,
                                    const struct field_path *path)
{
    static const char *const reason =
        "may not be set for init containers without restartPolicy=Always";
    if (container->lifecycle)
        field_forbidden(v, FIELD(path, "lifecycle"), reason);
    if (container->liveness_probe)
        field_forbidden(v, FIELD(path, "livenessProbe"), reason);
    if (container->readiness_probe)
        field_forbidden(v, FIELD(path, "readinessProbe"), reason);
    if (container->startup_probe)
        field_forbidden(v, FIELD(path, "startupProbe"), reason);
    for (size_t i = 0; i < container->n_resize_policy; i++) {
        if (text_eq(container->resize_policy[i]->restart_policy, "RestartContainer"))
            field_invalid(v, FIELD(FIELD_AT(FIELD(path, "resizePolicy"), i), "restartPolicy"),
                          "RestartContainer",
                          "must not be set to 'RestartContainer' for non-sidecar initContainers");
    }
}

static void validate_init_containers(struct validation *v, struct text_map *names,
                                     const struct field_path *path)
{
    for (size_t i = 0; i < v->spec->n_init_containers; i++) {
        const Core__Container *container = v->spec->init_containers[i];
        const struct field_path *at = FIELD_AT(path, i);
        validate_common(v, container, at);
        validate_restart_policy(v, container, at);
        bool is_new = is_empty(container->name) ? !text_map_find(names, "", NULL)
                                                : text_map_add(names, container->name, i);
        if (!is_new)
            field_duplicate(v, FIELD(at, "name"), container->name);
        /* Init containers run one by one, so each is checked on its own; upstream counts it as the
         * first. */
        struct text_map taken = {.arena = v->scratch};
        check_host_ports(v, container, &taken, FIELD_AT(path, 0));
        if (container_is_sidecar(container))
            validate_hooks_and_probes(v, container, at);
        else
            forbid_hooks_and_probes(v, container, at);
    }
}

void validate_containers(struct validation *v, const struct field_path *spec_path)
{
    struct text_map names = {.arena = v->scratch};
    validate_regular_containers(v, &names, FIELD(spec_path, "containers"));
    validate_init_containers(v, &names, FIELD(spec_path, "initContainers"));
}
