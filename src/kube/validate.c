/*
 * The entry of validation and the parts of a Pod that belong to no larger concept. The order of the
 * checks is upstream's (ValidatePodCreate), so that the first message a user sees is the same one.
 */
#include "kube/validate_internal.h"

#include "kube/resources.h"

/* The kernel's own limit of a host name. */
#define HOSTNAME_OVERRIDE_MAX_BYTES 64

bool container_at(const Core__PodSpec *spec, size_t i, struct container_place *ret)
{
    bool init = i < spec->n_init_containers;
    size_t index = init ? i : i - spec->n_init_containers;
    if (!init && index >= spec->n_containers)
        return false;
    *ret = (struct container_place){.container = init ? spec->init_containers[index]
                                                      : spec->containers[index],
                                    .list = init ? "initContainers" : "containers",
                                    .index = index};
    return true;
}

/* --- metadata --- */

/* strconv.ParseInt with the forms refused that would read back as another text: "+1", "007". */
static bool is_deletion_cost(const char *text)
{
    int64_t value;
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] == '0' && digits[1] != '\0')
        return false;
    return parse_i64(text, INT32_MIN, INT32_MAX, &value);
}

static void validate_pod_annotations(struct validation *v, const struct field_path *path)
{
    static const char mirror[] = "kubernetes.io/config.mirror";
    static const char cost[] = "controller.kubernetes.io/pod-deletion-cost";
    if (pod_is_mirror(v->pod) && is_empty(v->spec->node_name))
        field_invalid(v, FIELD_KEY(path, mirror), pod_annotation(v->pod, mirror),
                      "must set spec.nodeName if mirror pod annotation is set");
    const char *value = pod_annotation(v->pod, cost);
    if (value && !is_deletion_cost(value))
        field_invalid(v, FIELD_KEY(path, cost), value, "must be a 32bit integer");
    validate_security_annotations(v, path);
}

void validate_metadata(struct validation *v, const struct field_path *path)
{
    const Meta__ObjectMeta *meta = v->pod->metadata;
    if (!is_empty(meta->generate_name))
        field_check_name(v, FIELD(path, "generateName"), meta->generate_name,
                         name_rule_dns1123_subdomain_prefix);
    if (is_empty(meta->name))
        field_required(v, FIELD(path, "name"), "name or generateName is required");
    else
        field_check_name(v, FIELD(path, "name"), meta->name, name_rule_dns1123_subdomain);
    if (is_empty(meta->namespace_))
        field_required(v, FIELD(path, "namespace"), NULL);
    else
        field_check_name(v, FIELD(path, "namespace"), meta->namespace_, name_rule_dns1123_label);
    field_check_nonnegative(v, FIELD(path, "generation"), meta->generation);
    validate_common_metadata(v, meta, path);
    validate_pod_annotations(v, FIELD(path, "annotations"));
}

/* --- the smaller parts of the spec --- */

static void validate_resource_claims(struct validation *v, const struct field_path *path)
{
    struct text_map seen = {.arena = v->scratch};
    for (size_t i = 0; i < v->spec->n_resource_claims; i++) {
        const Core__PodResourceClaim *claim = v->spec->resource_claims[i];
        const struct field_path *at = FIELD_AT(path, i);
        if (is_empty(claim->name)) {
            field_required(v, FIELD(at, "name"), NULL);
        } else if (!text_map_add(&seen, claim->name, i)) {
            field_duplicate(v, FIELD(at, "name"), claim->name);
        } else {
            field_check_name(v, FIELD(at, "name"), claim->name, name_rule_dns1123_label);
            text_map_add(&v->claims, claim->name, i);
        }
        if (claim->resource_claim_name && claim->resource_claim_template_name)
            field_invalid_message(v, at, &claim->base,
                                  "at most one of `resourceClaimName` or "
                                  "`resourceClaimTemplateName` may be specified");
        if (!claim->resource_claim_name && !claim->resource_claim_template_name)
            field_invalid_message(v, at, &claim->base,
                                  "must specify one of: `resourceClaimName`, "
                                  "`resourceClaimTemplateName`");
        if (claim->resource_claim_name)
            field_check_name(v, FIELD(at, "resourceClaimName"), claim->resource_claim_name,
                             name_rule_dns1123_subdomain);
        if (claim->resource_claim_template_name)
            field_check_name(v, FIELD(at, "resourceClaimTemplateName"),
                             claim->resource_claim_template_name, name_rule_dns1123_subdomain);
    }
}

static void validate_host_network_ports(struct validation *v, const struct field_path *path)
{
    for (size_t i = 0; v->host_network && i < v->spec->n_containers; i++) {
        const Core__Container *container = v->spec->containers[i];
        for (size_t j = 0; j < container->n_ports; j++) {
            const Core__ContainerPort *port = container->ports[j];
            if (port->host_port == port->container_port)
                continue;
            const struct field_path *ports = FIELD(FIELD_AT(FIELD(path, "containers"), i), "ports");
            field_invalid_number(v, FIELD(FIELD_AT(ports, j), "hostPort"), port->host_port,
                                 "must match `containerPort` when `hostNetwork` is true");
        }
    }
}

static void validate_policies(struct validation *v, const struct field_path *path)
{
    static const char *const restart[] = {"Always", "OnFailure", "Never", NULL};
    static const char *const dns[] = {"ClusterFirstWithHostNet", "ClusterFirst", "Default", "None",
                                      NULL};
    field_check_enum(v, FIELD(path, "restartPolicy"), v->spec->restart_policy, restart);
    field_check_enum(v, FIELD(path, "dnsPolicy"), v->spec->dns_policy, dns);
}

static void validate_node_selector(struct validation *v, const struct field_path *path)
{
    for (size_t i = 0; i < v->spec->n_node_selector; i++) {
        field_check_name(v, path, v->spec->node_selector[i]->key, name_rule_qualified);
        field_check_name(v, path, v->spec->node_selector[i]->value, name_rule_label_value);
    }
}

static void validate_host_users(struct validation *v, const struct field_path *path)
{
    static const char *const reason = "when `hostUsers` is false";
    if (v->host_users)
        return;
    if (v->host_network)
        field_forbidden(v, FIELD(path, "hostNetwork"), reason);
    /* The capitals are upstream's. */
    if (v->spec->has_host_pid && v->spec->host_pid)
        field_forbidden(v, FIELD(path, "HostPID"), reason);
    if (v->spec->has_host_ipc && v->spec->host_ipc)
        field_forbidden(v, FIELD(path, "HostIPC"), reason);
    struct container_place place;
    for (size_t i = 0; container_at(v->spec, i, &place); i++) {
        if (place.container->n_volume_devices > 0)
            field_forbidden(
                v, FIELD(FIELD_AT(FIELD(path, place.list), place.index), "volumeDevices"), reason);
    }
}

static void validate_hostname_override(struct validation *v, const struct field_path *path)
{
    const char *name = v->spec->hostname_override;
    if (!name)
        return;
    const struct field_path *at = FIELD(path, "hostnameOverride");
    if (v->spec->has_set_hostname_as_fqdn && v->spec->set_hostname_as_fqdn)
        field_forbidden(v, at, "may not be specified when setHostnameAsFQDN is true");
    if (v->host_network)
        field_forbidden(v, at, "may not be specified when hostNetwork is true");
    if (strlen(name) > HOSTNAME_OVERRIDE_MAX_BYTES)
        field_too_long(v, at, HOSTNAME_OVERRIDE_MAX_BYTES);
    field_check_name(v, at, name, name_rule_dns1123_subdomain);
}

static void check_optional_name(struct validation *v, const struct field_path *path,
                                const char *value, name_rule *rule)
{
    if (!is_empty(value))
        field_check_name(v, path, value, rule);
}

static void validate_names(struct validation *v, const struct field_path *path)
{
    const Core__PodSpec *spec = v->spec;
    check_optional_name(v, FIELD(path, "serviceAccountName"), spec->service_account_name,
                        name_rule_dns1123_subdomain);
    check_optional_name(v, FIELD(path, "nodeName"), spec->node_name, name_rule_dns1123_subdomain);
    if (spec->has_active_deadline_seconds)
        field_check_range(v, FIELD(path, "activeDeadlineSeconds"), spec->active_deadline_seconds, 1,
                          INT32_MAX);
    check_optional_name(v, FIELD(path, "hostname"), spec->hostname, name_rule_dns1123_label);
    check_optional_name(v, FIELD(path, "subdomain"), spec->subdomain, name_rule_dns1123_label);
}

static void validate_host_aliases(struct validation *v, const struct field_path *path)
{
    for (size_t i = 0; i < v->spec->n_host_aliases; i++) {
        const Core__HostAlias *alias = v->spec->host_aliases[i];
        const struct field_path *at = FIELD_AT(path, i);
        field_check_name(v, FIELD(at, "ip"), alias->ip, name_rule_ip);
        for (size_t j = 0; j < alias->n_hostnames; j++)
            field_check_name(v, FIELD_AT(FIELD(at, "hostnames"), j), alias->hostnames[j],
                             name_rule_dns1123_subdomain);
    }
}

static void validate_classes(struct validation *v, const struct field_path *path)
{
    static const char *const preemption[] = {"PreemptLowerPriority", "Never", NULL};
    const Core__PodSpec *spec = v->spec;
    check_optional_name(v, FIELD(path, "priorityClassName"), spec->priority_class_name,
                        name_rule_dns1123_subdomain);
    if (spec->runtime_class_name)
        field_check_name(v, FIELD(path, "runtimeClassName"), spec->runtime_class_name,
                         name_rule_dns1123_subdomain);
    if (spec->preemption_policy)
        field_check_enum(v, FIELD(path, "preemptionPolicy"), spec->preemption_policy, preemption);
}

static void validate_readiness_gates(struct validation *v, const struct field_path *path)
{
    for (size_t i = 0; i < v->spec->n_readiness_gates; i++)
        field_check_name(v, FIELD(FIELD_AT(path, i), "conditionType"),
                         v->spec->readiness_gates[i]->condition_type, name_rule_qualified);
}

/* The volume an env variable reads a file from must be an emptyDir. */
static void validate_file_key_volumes(struct validation *v, const struct field_path *path)
{
    struct text_map names = {.arena = v->scratch};
    for (size_t i = 0; i < v->spec->n_volumes; i++)
        text_map_add(&names, v->spec->volumes[i]->name, i);
    struct container_place place;
    for (size_t i = 0; container_at(v->spec, i, &place); i++) {
        const struct field_path *env = FIELD(FIELD_AT(FIELD(path, place.list), place.index), "env");
        for (size_t j = 0; j < place.container->n_env; j++) {
            const Core__EnvVarSource *from = place.container->env[j]->value_from;
            if (!from || !from->file_key_ref)
                continue;
            const char *name = or_empty(from->file_key_ref->volume_name);
            const struct field_path *ref =
                FIELD(FIELD(FIELD_AT(env, j), "valueFrom"), "fileKeyRef");
            size_t at;
            if (!text_map_find(&names, name, &at))
                field_not_found(v, FIELD(ref, "volumeName"), name, NULL);
            else if (!v->spec->volumes[at]->volume_source ||
                     !v->spec->volumes[at]->volume_source->empty_dir)
                field_invalid(v, FIELD(ref, "volumeName"), name,
                              "referenced volume must be of type emptyDir");
        }
    }
}

static void validate_spec(struct validation *v, const struct field_path *path)
{
    if (!v->spec->has_termination_grace_period_seconds)
        field_required(v, FIELD(path, "terminationGracePeriodSeconds"), NULL);
    validate_volumes(v, FIELD(path, "volumes"));
    validate_resource_claims(v, FIELD(path, "resourceClaims"));
    validate_containers(v, path);
    validate_pod_level_resources(v, FIELD(path, "resources"));
    validate_host_network_ports(v, path);
    validate_policies(v, path);
    validate_node_selector(v, FIELD(path, "nodeSelector"));
    validate_pod_security(v, path);
    validate_affinity(v, FIELD(path, "affinity"));
    validate_dns_config(v, FIELD(path, "dnsConfig"));
    validate_readiness_gates(v, FIELD(path, "readinessGates"));
    validate_scheduling_gates(v, FIELD(path, "schedulingGates"));
    validate_spread_constraints(v, FIELD(path, "topologySpreadConstraints"));
    validate_host_process(v, path);
    validate_host_users(v, path);
    validate_hostname_override(v, path);
    validate_names(v, path);
    validate_tolerations(v, FIELD(path, "tolerations"));
    validate_host_aliases(v, FIELD(path, "hostAliases"));
    validate_classes(v, path);
    validate_overhead(v, FIELD(path, "overhead"));
    validate_os(v, path);
    validate_file_key_volumes(v, path);
}

/* --- what only a Pod is asked, not a pod template --- */

static void validate_token_needs_account(struct validation *v, const struct field_path *path)
{
    if (!is_empty(v->spec->service_account_name))
        return;
    for (size_t i = 0; i < v->spec->n_volumes; i++) {
        const Core__VolumeSource *source = v->spec->volumes[i]->volume_source;
        const Core__ProjectedVolumeSource *projected = source ? source->projected : NULL;
        for (size_t j = 0; projected && j < projected->n_sources; j++) {
            if (!projected->sources[j]->service_account_token)
                continue;
            const struct field_path *sources =
                FIELD(FIELD(FIELD_AT(FIELD(path, "volumes"), i), "projected"), "sources");
            field_forbidden(v, FIELD(FIELD_AT(sources, j), "serviceAccountToken"),
                            "must not be specified when serviceAccountName is not set");
        }
    }
}

static void validate_image_spaces(struct validation *v, const struct field_path *path)
{
    /* Regular containers first, as upstream. */
    const struct {
        const char *list;
        Core__Container *const *containers;
        size_t count;
    } lists[] = {{"containers", v->spec->containers, v->spec->n_containers},
                 {"initContainers", v->spec->init_containers, v->spec->n_init_containers}};
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (size_t j = 0; j < lists[i].count; j++) {
            struct str image = str_from(lists[i].containers[j]->image);
            if (str_trim(image).len != image.len)
                field_invalid(v, FIELD(FIELD_AT(FIELD(path, lists[i].list), j), "image"), image.ptr,
                              "must not have leading or trailing whitespace");
        }
    }
}

void pod_validate_create(const Core__Pod *pod, struct field_errors *out)
{
    AUTO(arena) struct arena *scratch = arena_new(0);
    struct validation v = {.errors = out,
                           .scratch = scratch,
                           .pod = pod,
                           .spec = pod->spec,
                           .volumes = {.arena = scratch},
                           .claims = {.arena = scratch}};
    const struct field_path *metadata = FIELD(NULL, "metadata"), *spec = FIELD(NULL, "spec");
    if (!pod->metadata || !pod->spec) {
        field_required(&v, pod->metadata ? spec : metadata, NULL);
        return;
    }
    v.host_network = pod->spec->has_host_network && pod->spec->host_network;
    v.host_users = !pod->spec->has_host_users || pod->spec->host_users;
    v.os = pod->spec->os ? or_empty(pod->spec->os->name) : NULL;

    validate_metadata(&v, metadata);
    validate_spec(&v, spec);
    validate_token_needs_account(&v, spec);
    validate_image_spaces(&v, spec);
    if (pod->spec->n_ephemeral_containers > 0)
        field_forbidden(&v, FIELD(spec, "ephemeralContainers"), "cannot be set on create");
    if (!is_empty(pod->spec->node_name) && pod->spec->n_scheduling_gates > 0)
        field_forbidden(&v, FIELD(spec, "nodeName"),
                        "cannot be set until all schedulingGates have been cleared");
    validate_annotations_match_fields(&v, spec);
}
