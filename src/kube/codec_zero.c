/*
 * Where zero says something. In Kubernetes' Go types most scalar fields have no "unset": false, 0
 * and "" are the same as absent, are left out of JSON, and yet are always written to protobuf. The
 * others are pointers, or are always printed. Only of the latter a zero is kept, so that a message
 * is the same whichever format it came from. Rows are sorted by message; fields by their .proto
 * name.
 */
#include "kube/codec_internal.h"

struct zero_row {
    const char *message;
    const char *fields; /* between blanks */
};

static const struct zero_row zero_rows[] = {
    {"authentication.TokenRequestSpec", "expiration_seconds"},
    {"authentication.TokenRequestStatus", "token"},
    {"authorization.SubjectAccessReviewStatus", "allowed"},
    {"authorization.SubjectRulesReviewStatus", "incomplete"},
    {"certificates.CertificateSigningRequestCondition", "type status"},
    {"certificates.CertificateSigningRequestSpec", "request signer_name expiration_seconds"},
    {"coordination.LeaseSpec",
     "holder_identity lease_duration_seconds lease_transitions strategy preferred_holder"},
    {"core.AWSElasticBlockStoreVolumeSource", "volume_id"},
    {"core.AppArmorProfile", "type localhost_profile"},
    {"core.AttachedVolume", "name device_path"},
    {"core.AzureDiskVolumeSource", "disk_name disk_uri caching_mode fs_type read_only kind"},
    {"core.AzureFilePersistentVolumeSource", "secret_name share_name secret_namespace"},
    {"core.AzureFileVolumeSource", "secret_name share_name"},
    {"core.CSIPersistentVolumeSource", "driver volume_handle"},
    {"core.CSIVolumeSource", "driver read_only fs_type"},
    {"core.CinderPersistentVolumeSource", "volume_id"},
    {"core.CinderVolumeSource", "volume_id"},
    {"core.ClientIPConfig", "timeout_seconds"},
    {"core.ClusterTrustBundleProjection", "name signer_name optional path"},
    {"core.ComponentCondition", "type status"},
    {"core.ConfigMap", "immutable"},
    {"core.ConfigMapEnvSource", "optional"},
    {"core.ConfigMapKeySelector", "key optional"},
    {"core.ConfigMapNodeConfigSource", "namespace name kubelet_config_key"},
    {"core.ConfigMapProjection", "optional"},
    {"core.ConfigMapVolumeSource", "default_mode optional"},
    {"core.Container", "name restart_policy"},
    {"core.ContainerExtendedResourceRequest", "container_name resource_name request_name"},
    {"core.ContainerPort", "container_port"},
    {"core.ContainerResizePolicy", "resource_name restart_policy"},
    {"core.ContainerStateTerminated", "exit_code"},
    {"core.ContainerStatus", "name ready restart_count image image_id started stop_signal"},
    {"core.DaemonEndpoint", "port"},
    {"core.DownwardAPIVolumeFile", "path mode"},
    {"core.DownwardAPIVolumeSource", "default_mode"},
    {"core.EndpointAddress", "ip node_name"},
    {"core.EndpointPort", "port app_protocol"},
    {"core.EnvVar", "name"},
    {"core.EphemeralContainerCommon", "name restart_policy"},
    {"core.Event", "reporting_component reporting_instance"},
    {"core.FCVolumeSource", "lun"},
    {"core.FileKeySelector", "volume_name path key optional"},
    {"core.FlexPersistentVolumeSource", "driver"},
    {"core.FlexVolumeSource", "driver"},
    {"core.GCEPersistentDiskVolumeSource", "pd_name"},
    {"core.GRPCAction", "port service"},
    {"core.GitRepoVolumeSource", "repository"},
    {"core.GlusterfsPersistentVolumeSource", "endpoints path endpoints_namespace"},
    {"core.GlusterfsVolumeSource", "endpoints path"},
    {"core.HTTPHeader", "name value"},
    {"core.HostAlias", "ip"},
    {"core.HostIP", "ip"},
    {"core.HostPathVolumeSource", "path type"},
    {"core.ISCSIPersistentVolumeSource", "target_portal iqn lun initiator_name"},
    {"core.ISCSIVolumeSource", "target_portal iqn lun initiator_name"},
    {"core.KeyToPath", "key path mode"},
    {"core.Lifecycle", "stop_signal"},
    {"core.LimitRangeItem", "type"},
    {"core.LinuxContainerUser", "uid gid"},
    {"core.LoadBalancerIngress", "ip_mode"},
    {"core.LocalVolumeSource", "path fs_type"},
    {"core.ModifyVolumeStatus", "status"},
    {"core.NFSVolumeSource", "server path"},
    {"core.NamespaceCondition", "type status"},
    {"core.NodeAddress", "type address"},
    {"core.NodeAllocatableResourceClaimStatus", "resource_claim_name"},
    {"core.NodeCondition", "type status"},
    {"core.NodeFeatures", "supplemental_groups_policy"},
    {"core.NodeRuntimeHandler", "name"},
    {"core.NodeRuntimeHandlerFeatures", "recursive_read_only_mounts user_namespaces"},
    {"core.NodeSelectorRequirement", "key operator"},
    {"core.NodeSwapStatus", "capacity"},
    {"core.NodeSystemInfo",
     "machine_id system_uuid boot_id kernel_version os_image container_runtime_version "
     "kubelet_version kube_proxy_version operating_system architecture"},
    {"core.ObjectFieldSelector", "field_path"},
    {"core.PersistentVolumeClaimCondition", "type status"},
    {"core.PersistentVolumeClaimSpec",
     "storage_class_name volume_mode volume_attributes_class_name"},
    {"core.PersistentVolumeClaimStatus", "current_volume_attributes_class_name"},
    {"core.PersistentVolumeClaimVolumeSource", "claim_name"},
    {"core.PersistentVolumeSpec", "volume_mode volume_attributes_class_name"},
    {"core.PhotonPersistentDiskVolumeSource", "pd_id"},
    {"core.PodAffinityTerm", "topology_key"},
    {"core.PodCertificateProjection", "max_expiration_seconds"},
    {"core.PodCondition", "type status"},
    {"core.PodDNSConfigOption", "value"},
    {"core.PodExtendedResourceClaimStatus", "resource_claim_name"},
    {"core.PodIP", "ip"},
    {"core.PodLogOptions", "since_seconds tail_lines limit_bytes stream"},
    {"core.PodOS", "name"},
    {"core.PodReadinessGate", "condition_type"},
    {"core.PodResourceClaim", "name resource_claim_name resource_claim_template_name"},
    {"core.PodResourceClaimStatus", "name resource_claim_name"},
    {"core.PodSchedulingGate", "name"},
    {"core.PodSchedulingGroup", "pod_group_name"},
    {"core.PodSecurityContext",
     "run_as_user run_as_group run_as_non_root supplemental_groups_policy fs_group "
     "fs_group_change_policy se_linux_change_policy"},
    {"core.PodSpec",
     "termination_grace_period_seconds active_deadline_seconds automount_service_account_token "
     "share_process_namespace priority runtime_class_name enable_service_links preemption_policy "
     "set_hostname_as_fqdn host_users hostname_override"},
    {"core.PortStatus", "port protocol error"},
    {"core.PortworxVolumeSource", "volume_id"},
    {"core.Preconditions", "uid"},
    {"core.PreferredSchedulingTerm", "weight"},
    {"core.Probe", "termination_grace_period_seconds"},
    {"core.ProjectedVolumeSource", "default_mode"},
    {"core.QuobyteVolumeSource", "registry volume"},
    {"core.RBDPersistentVolumeSource", "image"},
    {"core.RBDVolumeSource", "image"},
    {"core.RangeAllocation", "range data"},
    {"core.ReplicationControllerCondition", "type status"},
    {"core.ReplicationControllerSpec", "replicas"},
    {"core.ReplicationControllerStatus", "replicas"},
    {"core.ResourceClaim", "name"},
    {"core.ResourceFieldSelector", "resource"},
    {"core.ResourceHealth", "resource_id message"},
    {"core.ResourceStatus", "name"},
    {"core.ScaleIOPersistentVolumeSource", "gateway system"},
    {"core.ScaleIOVolumeSource", "gateway system"},
    {"core.ScopedResourceSelectorRequirement", "scope_name operator"},
    {"core.SeccompProfile", "type localhost_profile"},
    {"core.Secret", "immutable"},
    {"core.SecretEnvSource", "optional"},
    {"core.SecretKeySelector", "key optional"},
    {"core.SecretProjection", "optional"},
    {"core.SecretVolumeSource", "default_mode optional"},
    {"core.SecurityContext", "privileged run_as_user run_as_group run_as_non_root "
                             "read_only_root_filesystem allow_privilege_escalation proc_mount"},
    {"core.ServiceAccount", "automount_service_account_token"},
    {"core.ServiceAccountTokenProjection", "expiration_seconds path"},
    {"core.ServicePort", "app_protocol port"},
    {"core.ServiceSpec", "ip_family_policy allocate_load_balancer_node_ports load_balancer_class "
                         "internal_traffic_policy traffic_distribution"},
    {"core.SleepAction", "seconds"},
    {"core.Sysctl", "name value"},
    {"core.Taint", "key effect"},
    {"core.Toleration", "toleration_seconds"},
    {"core.TopologySelectorLabelRequirement", "key"},
    {"core.TopologySpreadConstraint", "max_skew topology_key when_unsatisfiable min_domains "
                                      "node_affinity_policy node_taints_policy"},
    {"core.TypedLocalObjectReference", "api_group kind name"},
    {"core.TypedObjectReference", "api_group kind name namespace"},
    {"core.Volume", "name"},
    {"core.VolumeDevice", "name device_path"},
    {"core.VolumeMount", "name recursive_read_only mount_path mount_propagation"},
    {"core.VolumeMountStatus", "name mount_path recursive_read_only"},
    {"core.VsphereVirtualDiskVolumeSource", "volume_path"},
    {"core.WeightedPodAffinityTerm", "weight"},
    {"core.WindowsSecurityContextOptions",
     "gmsa_credential_spec_name gmsa_credential_spec run_as_user_name host_process"},
    {"discovery.Endpoint", "hostname node_name zone"},
    {"discovery.EndpointConditions", "ready serving terminating"},
    {"discovery.EndpointPort", "name protocol port app_protocol"},
    {"discovery.EndpointSlice", "address_type"},
    {"discovery.ForNode", "name"},
    {"discovery.ForZone", "name"},
    {"events.EventSeries", "count"},
    {"meta.APIGroup", "name"},
    {"meta.APIResource", "name singular_name namespaced kind"},
    {"meta.APIResourceList", "group_version"},
    {"meta.ApplyOptions", "force field_manager"},
    {"meta.Condition", "type status reason message"},
    {"meta.DeleteOptions", "grace_period_seconds orphan_dependents propagation_policy "
                           "ignore_store_read_error_with_cluster_breaking_potential"},
    {"meta.FieldSelectorRequirement", "key operator"},
    {"meta.GroupVersionForDiscovery", "group_version version"},
    {"meta.LabelSelectorRequirement", "key operator"},
    {"meta.ListMeta", "remaining_item_count"},
    {"meta.ListOptions", "timeout_seconds send_initial_events"},
    {"meta.ObjectMeta", "deletion_grace_period_seconds"},
    {"meta.OwnerReference", "api_version kind name uid controller block_owner_deletion"},
    {"meta.PatchOptions", "force"},
    {"meta.Preconditions", "uid resource_version"},
    {"meta.ServerAddressByClientCIDR", "client_cidr server_address"},
    {"meta.ShardInfo", "selector"},
    {"node.RuntimeClass", "handler"},
    {"resource.AllocatedDeviceStatus", "driver pool device share_id"},
    {"resource.CELDeviceSelector", "expression"},
    {"resource.CounterSet", "name"},
    {"resource.Device", "name node_name all_nodes binds_to_node allow_multiple_allocations"},
    {"resource.DeviceAllocationConfiguration", "source"},
    {"resource.DeviceAttribute", "int bool string version"},
    {"resource.DeviceClassSpec", "extended_resource_name"},
    {"resource.DeviceConstraint", "match_attribute distinct_attribute"},
    {"resource.DeviceCounterConsumption", "counter_set"},
    {"resource.DeviceRequest", "name"},
    {"resource.DeviceRequestAllocationResult", "request driver pool device admin_access share_id"},
    {"resource.DeviceSubRequest", "name device_class_name"},
    {"resource.DeviceTaint", "key effect"},
    {"resource.DeviceToleration", "toleration_seconds"},
    {"resource.ExactDeviceRequest", "device_class_name admin_access"},
    {"resource.NodeAllocatableResourceMapping", "capacity_key"},
    {"resource.OpaqueDeviceConfiguration", "driver"},
    {"resource.ResourceClaimConsumerReference", "resource name uid"},
    {"resource.ResourcePool", "name generation resource_slice_count"},
    {"resource.ResourceSliceSpec", "driver node_name all_nodes per_device_node_selection"},
    {"storage.CSIDriverSpec",
     "attach_required pod_info_on_mount storage_capacity fs_group_policy requires_republish "
     "se_linux_mount node_allocatable_update_period_seconds service_account_token_in_secrets "
     "prevent_pod_scheduling_if_missing"},
    {"storage.CSINodeDriver", "name node_id"},
    {"storage.CSIStorageCapacity", "storage_class_name"},
    {"storage.StorageClass",
     "provisioner reclaim_policy allow_volume_expansion volume_binding_mode"},
    {"storage.TokenRequest", "audience expiration_seconds"},
    {"storage.VolumeAttachmentSource", "persistent_volume_name"},
    {"storage.VolumeAttachmentSpec", "attacher node_name"},
    {"storage.VolumeAttachmentStatus", "attached"},
    {"storage.VolumeAttributesClass", "driver_name"},
    {"storage.VolumeError", "error_code"},
    {"storage.VolumeNodeResources", "count"},
};

/* The packages that the rows above describe in full; in others every field keeps its zero. */
static const char *const described_packages[] = {
    "authentication", "authorization", "certificates", "coordination", "core",     "discovery",
    "events",         "meta",          "node",         "policy",       "resource", "storage"};

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(words, word); at; at = strstr(at + len, word)) {
        bool starts = at == words || at[-1] == ' ';
        if (starts && (at[len] == ' ' || at[len] == '\0'))
            return true;
    }
    return false;
}

static int compare_row(const void *key, const void *row)
{
    return strcmp(key, ((const struct zero_row *)row)->message);
}

bool codec_keeps_zero(const ProtobufCMessageDescriptor *type, const char *field)
{
    bool is_described = false;
    for (size_t i = 0; i < ARRAY_SIZE(described_packages) && !is_described; i++)
        is_described = type->package_name[0] == described_packages[i][0] &&
                       text_eq(type->package_name, described_packages[i]);
    if (!is_described)
        return true;
    const struct zero_row *row =
        bsearch(type->name, zero_rows, ARRAY_SIZE(zero_rows), sizeof(zero_rows[0]), compare_row);
    return row && has_word(row->fields, field);
}

size_t codec_zero_row_count(void)
{
    return ARRAY_SIZE(zero_rows);
}

const char *codec_zero_row(size_t index, const char **ret_fields)
{
    *ret_fields = zero_rows[index].fields;
    return zero_rows[index].message;
}
