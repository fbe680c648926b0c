/*
 * Shared by the files that validate pods only: the entry of each concept. Pure. Any thread.
 */
#pragma once

#include "kube/validation.h"

/* --- the concepts, one file each; @path is where the given part lies --- */

void validate_metadata(struct validation *v, const struct field_path *path);
void validate_volumes(struct validation *v, const struct field_path *path);
void validate_projected(struct validation *v, const Core__ProjectedVolumeSource *source,
                        const struct field_path *path);
/** The drivers of other people's storage; @source holds one of them and nothing else. */
void validate_driver_source(struct validation *v, const Core__VolumeSource *source,
                            const char *name, const struct field_path *path);
void validate_key_to_path(struct validation *v, const Core__KeyToPath *item,
                          const struct field_path *path);
void validate_downward_file(struct validation *v, const Core__DownwardAPIVolumeFile *file,
                            const struct field_path *path);
void validate_containers(struct validation *v, const struct field_path *spec_path);
void validate_pull_policy(struct validation *v, const char *policy, const struct field_path *path);
void validate_env(struct validation *v, const Core__Container *container,
                  const struct field_path *path);
void validate_field_ref(struct validation *v, const Core__ObjectFieldSelector *selector,
                        bool in_volume, const struct field_path *path);
void validate_resource_field_ref(struct validation *v, const Core__ResourceFieldSelector *selector,
                                 bool in_volume, const struct field_path *path);
void validate_hooks_and_probes(struct validation *v, const Core__Container *container,
                               const struct field_path *path);
void validate_container_resources(struct validation *v, const Core__ResourceRequirements *resources,
                                  const struct field_path *path);
void validate_pod_level_resources(struct validation *v, const struct field_path *path);
void validate_overhead(struct validation *v, const struct field_path *path);
void validate_pod_security(struct validation *v, const struct field_path *spec_path);
void validate_container_security(struct validation *v, const Core__SecurityContext *security,
                                 const struct field_path *path);
void validate_windows_options(struct validation *v,
                              const Core__WindowsSecurityContextOptions *options,
                              const struct field_path *path);
void validate_host_process(struct validation *v, const struct field_path *spec_path);
void validate_os(struct validation *v, const struct field_path *spec_path);
void validate_security_annotations(struct validation *v, const struct field_path *path);
void validate_annotations_match_fields(struct validation *v, const struct field_path *spec_path);
void validate_affinity(struct validation *v, const struct field_path *path);
void validate_tolerations(struct validation *v, const struct field_path *path);
void validate_spread_constraints(struct validation *v, const struct field_path *path);
void validate_scheduling_gates(struct validation *v, const struct field_path *path);
void validate_dns_config(struct validation *v, const struct field_path *path);
