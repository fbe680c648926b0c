/*
 * Volumes: exactly one source each, and the sources that a node mounts itself. A volume with any
 * fault does not count as declared, so its mounts are reported as not found, as upstream does.
 */
#include "kube/validate_internal.h"

#include "kube/quantity.h"

/* --- path texts --- */

bool has_backsteps(const char *path)
{
    struct str rest = str_from(path), part;
    while (str_split_next(&rest, '/', &part)) {
        if (str_eq_c(part, ".."))
            return true;
    }
    return false;
}

void field_check_no_backsteps(struct validation *v, const struct field_path *path,
                              const char *value)
{
    if (has_backsteps(value))
        field_invalid(v, path, value, "must not contain '..'");
}

void field_check_descending_path(struct validation *v, const struct field_path *path,
                                 const char *value)
{
    if (or_empty(value)[0] == '/')
        field_invalid(v, path, value, "must be a relative path");
    field_check_no_backsteps(v, path, value);
}

void field_check_local_path(struct validation *v, const struct field_path *path, const char *value)
{
    field_check_descending_path(v, path, value);
    /* "../x" was named already. The writer of volumes keeps names in ".." for itself. */
    if (text_has_prefix(or_empty(value), "..") && !text_has_prefix(value, "../"))
        field_invalid(v, path, value, "must not start with '..'");
}

/* --- items --- */

void validate_key_to_path(struct validation *v, const Core__KeyToPath *item,
                          const struct field_path *path)
{
    field_check_present(v, FIELD(path, "key"), item->key);
    field_check_present(v, FIELD(path, "path"), item->path);
    field_check_local_path(v, FIELD(path, "path"), item->path);
    field_check_mode(v, FIELD(path, "mode"), item->has_mode, item->mode);
}

void validate_downward_file(struct validation *v, const Core__DownwardAPIVolumeFile *file,
                            const struct field_path *path)
{
    field_check_present(v, FIELD(path, "path"), file->path);
    field_check_local_path(v, FIELD(path, "path"), file->path);
    if (file->field_ref) {
        validate_field_ref(v, file->field_ref, true, FIELD(path, "fieldRef"));
        if (file->resource_field_ref)
            field_invalid(v, path, "resource",
                          "fieldRef and resourceFieldRef can not be specified simultaneously");
    } else if (file->resource_field_ref) {
        validate_resource_field_ref(v, file->resource_field_ref, true,
                                    FIELD(path, "resourceFieldRef"));
    } else {
        field_required(v, path, "one of fieldRef and resourceFieldRef is required");
    }
    field_check_mode(v, FIELD(path, "mode"), file->has_mode, file->mode);
}

static void validate_items(struct validation *v, Core__KeyToPath *const *items, size_t count,
                           const struct field_path *path)
{
    for (size_t i = 0; i < count; i++)
        validate_key_to_path(v, items[i], FIELD_AT(FIELD(path, "items"), i));
}

/* --- sources --- */

/* Where a source lies: the volume itself is needed by a few. */
struct volume_place {
    const char *name;               /* of the volume */
    const struct field_path *path;  /* spec.volumes[i] */
    const struct field_path *field; /* spec.volumes[i].<source> */
};

typedef void source_rule(struct validation *v, const Core__VolumeSource *source,
                         const struct volume_place *at);

static void validate_empty_dir(struct validation *v, const Core__VolumeSource *source,
                               const struct volume_place *at)
{
    static const char *const fault = "SizeLimit field must be a valid resource quantity";
    const Meta__Quantity *limit = source->empty_dir->size_limit, zero = META__QUANTITY__INIT;
    if (!limit || is_empty(limit->string))
        return;
    struct error *err = quantity_check(str_from(limit->string));
    if (err || quantity_compare(limit, &zero) < 0)
        field_forbidden(v, FIELD(at->field, "sizeLimit"), fault);
    error_ignore(err, "upstream's words say it all");
}

static void validate_host_path(struct validation *v, const Core__VolumeSource *source,
                               const struct volume_place *at)
{
    static const char *const types[] = {
        "",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
        "File", "FileOrCreate", "Socket",     NULL};
    const Core__HostPathVolumeSource *host_path = source->host_path;
    if (is_empty(host_path->path)) {
        field_required(v, FIELD(at->field, "path"), NULL);
        return;
    }
    field_check_no_backsteps(v, FIELD(at->field, "path"), host_path->path);
    if (host_path->type && !is_one_of(host_path->type, types))
        field_not_supported(v, FIELD(at->field, "type"), host_path->type, types);
}

static void validate_git_repo(struct validation *v, const Core__VolumeSource *source,
                              const struct volume_place *at)
{
    field_check_present(v, FIELD(at->field, "repository"), source->git_repo->repository);
    field_check_descending_path(v, FIELD(at->field, "directory"), source->git_repo->directory);
}

static void validate_secret(struct validation *v, const Core__VolumeSource *source,
                            const struct volume_place *at)
{
    const Core__SecretVolumeSource *secret = source->secret;
    field_check_present(v, FIELD(at->field, "secretName"), secret->secret_name);
    field_check_mode(v, FIELD(at->field, "defaultMode"), secret->has_default_mode,
                     secret->default_mode);
    validate_items(v, secret->items, secret->n_items, at->field);
}

static void validate_config_map(struct validation *v, const Core__VolumeSource *source,
                                const struct volume_place *at)
{
    const Core__ConfigMapVolumeSource *config_map = source->config_map;
    field_check_present(v, FIELD(at->field, "name"),
                        reference_name(config_map->local_object_reference));
    field_check_mode(v, FIELD(at->field, "defaultMode"), config_map->has_default_mode,
                     config_map->default_mode);
    validate_items(v, config_map->items, config_map->n_items, at->field);
}

static void validate_downward_api(struct validation *v, const Core__VolumeSource *source,
                                  const struct volume_place *at)
{
    const Core__DownwardAPIVolumeSource *downward = source->downward_api;
    field_check_mode(v, FIELD(at->field, "defaultMode"), downward->has_default_mode,
                     downward->default_mode);
    /* Upstream names the volume, not the item. */
    for (size_t i = 0; i < downward->n_items; i++)
        validate_downward_file(v, downward->items[i], at->field);
}

static void validate_projected_source(struct validation *v, const Core__VolumeSource *source,
                                      const struct volume_place *at)
{
    validate_projected(v, source->projected, at->field);
}

static void validate_claim(struct validation *v, const Core__VolumeSource *source,
                           const struct volume_place *at)
{
    field_check_present(v, FIELD(at->field, "claimName"),
                        source->persistent_volume_claim->claim_name);
}

static void validate_nfs(struct validation *v, const Core__VolumeSource *source,
                         const struct volume_place *at)
{
    const char *path = or_empty(source->nfs->path);
    field_check_present(v, FIELD(at->field, "server"), source->nfs->server);
    field_check_present(v, FIELD(at->field, "path"), path);
    if (path[0] != '/')
        field_invalid(v, FIELD(at->field, "path"), path, "must be an absolute path");
}

static void validate_csi(struct validation *v, const Core__VolumeSource *source,
                         const struct volume_place *at)
{
    enum { DRIVER_NAME_MAX_BYTES = 63 };
    const Core__CSIVolumeSource *csi = source->csi;
    const struct field_path *driver = FIELD(at->field, "driver");
    field_check_present(v, driver, csi->driver);
    if (strlen(or_empty(csi->driver)) > DRIVER_NAME_MAX_BYTES)
        field_too_long(v, driver, DRIVER_NAME_MAX_BYTES);
    field_check_name_lowered(v, driver, csi->driver, name_rule_dns1123_subdomain);
    if (csi->node_publish_secret_ref)
        field_check_present(v, FIELD(FIELD(at->field, "nodePublishSecretRef"), "name"),
                            csi->node_publish_secret_ref->name);
}

static void validate_ephemeral(struct validation *v, const Core__VolumeSource *source,
                               const struct volume_place *at)
{
    if (!source->ephemeral->volume_claim_template)
        field_required(v, FIELD(at->field, "volumeClaimTemplate"), NULL);
    const char *pod = v->pod->metadata->name;
    if (is_empty(pod) || is_empty(at->name))
        return;
    /* The claim is named after pod and volume. */
    const char *claim = arena_printf(v->scratch, "%s-%s", pod, at->name);
    struct name_faults faults = {.count = 0};
    name_rule_dns1123_subdomain(str_from(claim), &faults);
    for (size_t i = 0; i < faults.count; i++)
        field_invalid(v, FIELD(at->path, "name"), at->name,
                      arena_printf(v->scratch, "PVC name \"%s\": %s", claim, faults.messages[i]));
}

static void validate_image(struct validation *v, const Core__VolumeSource *source,
                           const struct volume_place *at)
{
    field_check_present(v, FIELD(at->field, "reference"), source->image->reference);
    validate_pull_policy(v, source->image->pull_policy, FIELD(at->field, "pullPolicy"));
}

static void validate_driver(struct validation *v, const Core__VolumeSource *source,
                            const struct volume_place *at)
{
    validate_driver_source(v, source, at->name, at->field);
}

/* One row a source, in the order in which upstream looks for them. */
static const struct {
    size_t offset;     /* of the pointer in Core__VolumeSource */
    const char *field; /* in paths */
    const char
        *surplus; /* the same in "may not specify more than 1 volume type"; upstream's slips */
    source_rule *rule;
} sources[] = {
#define SOURCE(member, name, surplus_name, rule_function)                                          \
    {                                                                                              \
        offsetof(Core__VolumeSource, member), name, surplus_name, rule_function                    \
    }
    SOURCE(empty_dir, "emptyDir", "emptyDir", validate_empty_dir),
    SOURCE(host_path, "hostPath", "hostPath", validate_host_path),
    SOURCE(git_repo, "gitRepo", "gitRepo", validate_git_repo),
    SOURCE(gce_persistent_disk, "persistentDisk", "gcePersistentDisk", validate_driver),
    SOURCE(aws_elastic_block_store, "awsElasticBlockStore", "awsElasticBlockStore",
           validate_driver),
    SOURCE(secret, "secret", "secret", validate_secret),
    SOURCE(nfs, "nfs", "nfs", validate_nfs),
    SOURCE(iscsi, "iscsi", "iscsi", validate_driver),
    SOURCE(glusterfs, "glusterfs", "glusterfs", validate_driver),
    SOURCE(flocker, "flocker", "flocker", validate_driver),
    SOURCE(persistent_volume_claim, "persistentVolumeClaim", "persistentVolumeClaim",
           validate_claim),
    SOURCE(rbd, "rbd", "rbd", validate_driver),
    SOURCE(cinder, "cinder", "cinder", validate_driver),
    SOURCE(cephfs, "cephfs", "cephFS", validate_driver),
    SOURCE(quobyte, "quobyte", "quobyte", validate_driver),
    SOURCE(downward_api, "downwardAPI", "downwarAPI", validate_downward_api),
    SOURCE(fc, "fc", "fc", validate_driver),
    SOURCE(flex_volume, "flexVolume", "flexVolume", validate_driver),
    SOURCE(config_map, "configMap", "configMap", validate_config_map),
    SOURCE(azure_file, "azureFile", "azureFile", validate_driver),
    SOURCE(vsphere_volume, "vsphereVolume", "vsphereVolume", validate_driver),
    SOURCE(photon_persistent_disk, "photonPersistentDisk", "photonPersistentDisk", validate_driver),
    SOURCE(portworx_volume, "portworxVolume", "portworxVolume", validate_driver),
    SOURCE(azure_disk, "azureDisk", "azureDisk", validate_driver),
    SOURCE(storageos, "storageos", "storageos", validate_driver),
    SOURCE(projected, "projected", "projected", validate_projected_source),
    SOURCE(scale_io, "scaleIO", "scaleIO", validate_driver),
    SOURCE(csi, "csi", "csi", validate_csi),
    SOURCE(ephemeral, "ephemeral", "ephemeral", validate_ephemeral),
    SOURCE(image, "image", "image", validate_image),
#undef SOURCE
};

/* Copies the pointer at @offset into the otherwise empty @only. False when it is NULL. */
static bool take_source(const Core__VolumeSource *source, size_t offset, Core__VolumeSource *only)
{
    const void *member;
    memcpy(&member, (const char *)source + offset, sizeof(member));
    memcpy((char *)only + offset, &member, sizeof(member));
    return member != NULL;
}

static void validate_source(struct validation *v, const Core__Volume *volume,
                            const struct field_path *path)
{
    bool found = false;
    for (size_t i = 0; volume->volume_source && i < ARRAY_SIZE(sources); i++) {
        /* A rule sees its own source only, so that a surplus one cannot confuse it. */
        Core__VolumeSource only = CORE__VOLUME_SOURCE__INIT;
        if (!take_source(volume->volume_source, sources[i].offset, &only))
            continue;
        if (found) {
            field_forbidden(v, FIELD(path, sources[i].surplus),
                            "may not specify more than 1 volume type");
            continue;
        }
        found = true;
        const struct volume_place at = {
            .name = or_empty(volume->name), .path = path, .field = FIELD(path, sources[i].field)};
        sources[i].rule(v, &only, &at);
    }
    if (!found)
        field_required(v, path, "must specify a volume type");
}

static size_t errors_found(const struct validation *v)
{
    return v->errors->count + v->errors->omitted;
}

/* A pod may not use by name the claim that one of its own ephemeral volumes creates. */
static void check_created_claims(struct validation *v, const Core__Volume *volume,
                                 const struct text_map *created, const struct field_path *path)
{
    const Core__PersistentVolumeClaimVolumeSource *claim =
        volume->volume_source ? volume->volume_source->persistent_volume_claim : NULL;
    if (claim && text_map_find(created, claim->claim_name, NULL))
        field_invalid(v, FIELD(FIELD(path, "persistentVolumeClaim"), "claimName"),
                      claim->claim_name,
                      "must not reference a PVC that gets created for an ephemeral volume");
}

void validate_volumes(struct validation *v, const struct field_path *path)
{
    struct text_map created = {.arena = v->scratch};
    for (size_t i = 0; i < v->spec->n_volumes; i++) {
        const Core__Volume *volume = v->spec->volumes[i];
        if (volume->volume_source && volume->volume_source->ephemeral &&
            !is_empty(v->pod->metadata->name))
            text_map_add(
                &created,
                arena_printf(v->scratch, "%s-%s", v->pod->metadata->name, or_empty(volume->name)),
                i);
    }
    for (size_t i = 0; i < v->spec->n_volumes; i++) {
        const Core__Volume *volume = v->spec->volumes[i];
        const struct field_path *at = FIELD_AT(path, i), *name = FIELD(at, "name");
        size_t before = errors_found(v);
        validate_source(v, volume, at);
        if (is_empty(volume->name))
            field_required(v, name, NULL);
        else
            field_check_name(v, name, volume->name, name_rule_dns1123_label);
        if (text_map_find(&v->volumes, volume->name, NULL))
            field_duplicate(v, name, volume->name);
        if (errors_found(v) == before)
            text_map_add(&v->volumes, volume->name, i);
        check_created_claims(v, volume, &created, at);
    }
}
