/*
 * The volume sources of other people's storage. A node of ours mounts few of them, but a manifest
 * is judged whole.
 */
#include "kube/validate_internal.h"

/* A path of iSCSI's session directory is built from both (upstream's own words below). */
#define ISCSI_NAME_AND_PORTAL_MAX_BYTES 64
#define LUN_MAX 255
#define QUOBYTE_TENANT_MAX_BYTES 64

static void check_secret_ref(struct validation *v, const Core__LocalObjectReference *reference,
                             const struct field_path *path)
{
    if (reference)
        field_check_present(v, FIELD(FIELD(path, "secretRef"), "name"), reference->name);
}

/* --- iSCSI --- */

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdefABCDEF") == len;
}

/* iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$ anywhere in the text. */
static bool is_iqn(const char *text)
{
    static const char digits[] = "0123456789";
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
    if (!text_has_prefix(text, "iqn.") || strspn(text + 4, digits) != 4 || text[8] != '-' ||
        strspn(text + 9, digits) != 2 || text[11] != '.')
        return false;
    size_t authority = strspn(text + 12, alnum);
    const char *colon = text + 12 + authority;
    if (authority == 0 || *colon != ':' || !colon[1])
        return false;
    return strcspn(colon + 1, ",;*&$| \t\n\v\f\r") == strlen(colon + 1);
}

/* NULL when @name is an iSCSI name, else what is wrong with it. */
static const char *iscsi_name_fault(const char *name)
{
    bool fine;
    if (text_has_prefix(name, "iqn"))
        fine = is_iqn(name);
    else if (text_has_prefix(name, "eui"))
        fine = text_has_prefix(name, "eui.") && is_hex(name + 4, 16);
    else if (text_has_prefix(name, "naa"))
        fine = text_has_prefix(name, "naa.") && is_hex(name + 4, 32);
    else
        return "must be valid format starting with iqn, eui, or naa";
    return fine ? NULL : "must be valid format";
}

static void validate_iscsi(struct validation *v, const Core__ISCSIVolumeSource *iscsi,
                           const char *volume, const struct field_path *path)
{
    field_check_present(v, FIELD(path, "targetPortal"), iscsi->target_portal);
    const char *fault = is_empty(iscsi->iqn) ? NULL : iscsi_name_fault(iscsi->iqn);
    field_check_present(v, FIELD(path, "iqn"), iscsi->iqn);
    if (fault)
        field_invalid(v, FIELD(path, "iqn"), iscsi->iqn, fault);
    field_check_range(v, FIELD(path, "lun"), iscsi->lun, 0, LUN_MAX);
    if ((iscsi->chap_auth_discovery || iscsi->chap_auth_session) && !iscsi->secret_ref)
        field_required(v, FIELD(path, "secretRef"), NULL);
    if (!iscsi->initiator_name)
        return;
    fault = iscsi_name_fault(iscsi->initiator_name);
    if (fault)
        field_invalid(v, FIELD(path, "initiatorname"), iscsi->initiator_name, fault);
    if (strlen(volume) + 1 + strlen(or_empty(iscsi->target_portal)) >
        ISCSI_NAME_AND_PORTAL_MAX_BYTES)
        field_invalid(v, FIELD(path->parent, "name"), volume,
                      "Total length of <volume name>:<iscsi.targetPortal> must be under 64 "
                      "characters if iscsi.initiatorName is specified.");
}

/* --- the others --- */

static void validate_fc(struct validation *v, const Core__FCVolumeSource *fc,
                        const struct field_path *path)
{
    const struct field_path *wwns = FIELD(path, "targetWWNs"), *lun = FIELD(path, "lun");
    if (fc->n_target_wwns == 0 && fc->n_wwids == 0)
        field_required(v, wwns, "must specify either targetWWNs or wwids, but not both");
    if (fc->n_target_wwns > 0 && fc->n_wwids > 0)
        field_invalid_list(v, wwns, fc->target_wwns, fc->n_target_wwns,
                           "targetWWNs and wwids can not be specified simultaneously");
    if (fc->n_target_wwns == 0)
        return;
    if (!fc->has_lun)
        field_required(v, lun, "lun is required if targetWWNs is specified");
    else
        field_check_range(v, lun, fc->lun, 0, LUN_MAX);
}

/* "must be between 1 and 255": zero means no partition and is fine, as upstream. */
static void validate_disk(struct validation *v, const char *id_field, const char *id,
                          int32_t partition, const struct field_path *path)
{
    field_check_present(v, FIELD(path, id_field), id);
    if (partition < 0 || partition > 255)
        field_invalid_number(v, FIELD(path, "partition"), partition,
                             "must be between 1 and 255, inclusive");
}

static void validate_flex(struct validation *v, const Core__FlexVolumeSource *flex,
                          const struct field_path *path)
{
    field_check_present(v, FIELD(path, "driver"), flex->driver);
    for (size_t i = 0; i < flex->n_options; i++) {
        const char *key = or_empty(flex->options[i]->key);
        struct str text = str_from(key);
        struct str namespace = {.ptr = text.ptr, .len = str_find(text, '/')};
        char *dotted = arena_printf(v->scratch, ".%.*s", STR_ARG(namespace));
        for (char *c = dotted; *c; c++) {
            if (*c >= 'A' && *c <= 'Z')
                *c = (char)(*c - 'A' + 'a');
        }
        if (text_has_suffix(dotted, ".kubernetes.io") || text_has_suffix(dotted, ".k8s.io"))
            field_invalid(v, FIELD_KEY(FIELD(path, "options"), key), key,
                          "kubernetes.io and k8s.io namespaces are reserved");
    }
}

static void validate_flocker(struct validation *v, const Core__FlockerVolumeSource *flocker,
                             const struct field_path *path)
{
    bool name = !is_empty(flocker->dataset_name), uuid = !is_empty(flocker->dataset_uuid);
    if (!name && !uuid)
        field_required(v, path, "one of datasetName and datasetUUID is required");
    if (name && uuid)
        field_invalid(v, path, "resource",
                      "datasetName and datasetUUID can not be specified simultaneously");
    if (strchr(or_empty(flocker->dataset_name), '/'))
        field_invalid(v, FIELD(path, "datasetName"), flocker->dataset_name, "must not contain '/'");
}

static void validate_quobyte(struct validation *v, const Core__QuobyteVolumeSource *quobyte,
                             const struct field_path *path)
{
    if (is_empty(quobyte->registry))
        field_required(v, FIELD(path, "registry"),
                       "must be a host:port pair or multiple pairs separated by commas");
    else if (strlen(or_empty(quobyte->tenant)) > QUOBYTE_TENANT_MAX_BYTES)
        field_required(v, FIELD(path, "tenant"),
                       "must be a UUID and may not exceed a length of 64 characters");
    field_check_present(v, FIELD(path, "volume"), quobyte->volume);
}

static void validate_azure_disk(struct validation *v, const Core__AzureDiskVolumeSource *azure,
                                const struct field_path *path)
{
    static const char *const caching[] = {"None", "ReadOnly", "ReadWrite", NULL};
    static const char *const kinds[] = {"Dedicated", "Managed", "Shared", NULL};
    static const char *const managed[] = {
        "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/"
        "{disk-id}",
        NULL};
    static const char *const blob[] = {
        "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd", NULL};
    const char *uri = or_empty(azure->disk_uri);
    field_check_present(v, FIELD(path, "diskName"), azure->disk_name);
    field_check_present(v, FIELD(path, "diskURI"), uri);
    if (azure->caching_mode && !is_one_of(azure->caching_mode, caching))
        field_not_supported(v, FIELD(path, "cachingMode"), azure->caching_mode, caching);
    if (!azure->kind)
        return;
    if (!is_one_of(azure->kind, kinds))
        field_not_supported(v, FIELD(path, "kind"), azure->kind, kinds);
    bool is_managed = text_eq(azure->kind, "Managed");
    if (!text_has_prefix(uri, is_managed ? "/subscriptions/" : "https://"))
        field_not_supported(v, FIELD(path, "diskURI"), uri, is_managed ? managed : blob);
}

static void validate_storageos(struct validation *v, const Core__StorageOSVolumeSource *storageos,
                               const struct field_path *path)
{
    if (is_empty(storageos->volume_name))
        field_required(v, FIELD(path, "volumeName"), NULL);
    else
        field_check_name(v, FIELD(path, "volumeName"), storageos->volume_name,
                         name_rule_dns1123_label);
    if (!is_empty(storageos->volume_namespace))
        field_check_name(v, FIELD(path, "volumeNamespace"), storageos->volume_namespace,
                         name_rule_dns1123_label);
    check_secret_ref(v, storageos->secret_ref, path);
}

/* Sources whose only rule is that some texts are there. */
static void validate_simple(struct validation *v, const Core__VolumeSource *source,
                            const struct field_path *path)
{
    if (source->glusterfs) {
        field_check_present(v, FIELD(path, "endpoints"), source->glusterfs->endpoints);
        field_check_present(v, FIELD(path, "path"), source->glusterfs->path);
    } else if (source->rbd) {
        if (source->rbd->n_monitors == 0)
            field_required(v, FIELD(path, "monitors"), NULL);
        field_check_present(v, FIELD(path, "image"), source->rbd->image);
    } else if (source->cinder) {
        field_check_present(v, FIELD(path, "volumeID"), source->cinder->volume_id);
        check_secret_ref(v, source->cinder->secret_ref, path);
    } else if (source->cephfs) {
        if (source->cephfs->n_monitors == 0)
            field_required(v, FIELD(path, "monitors"), NULL);
    } else if (source->azure_file) {
        field_check_present(v, FIELD(path, "secretName"), source->azure_file->secret_name);
        field_check_present(v, FIELD(path, "shareName"), source->azure_file->share_name);
    } else if (source->vsphere_volume) {
        field_check_present(v, FIELD(path, "volumePath"), source->vsphere_volume->volume_path);
    } else if (source->photon_persistent_disk) {
        field_check_present(v, FIELD(path, "pdID"), source->photon_persistent_disk->pd_id);
    } else if (source->portworx_volume) {
        field_check_present(v, FIELD(path, "volumeID"), source->portworx_volume->volume_id);
    } else if (source->scale_io) {
        field_check_present(v, FIELD(path, "gateway"), source->scale_io->gateway);
        field_check_present(v, FIELD(path, "system"), source->scale_io->system);
        field_check_present(v, FIELD(path, "volumeName"), source->scale_io->volume_name);
    }
}

void validate_driver_source(struct validation *v, const Core__VolumeSource *source,
                            const char *name, const struct field_path *path)
{
    if (source->gce_persistent_disk)
        validate_disk(v, "pdName", source->gce_persistent_disk->pd_name,
                      source->gce_persistent_disk->partition, path);
    else if (source->aws_elastic_block_store)
        validate_disk(v, "volumeID", source->aws_elastic_block_store->volume_id,
                      source->aws_elastic_block_store->partition, path);
    else if (source->iscsi)
        validate_iscsi(v, source->iscsi, name, path);
    else if (source->flocker)
        validate_flocker(v, source->flocker, path);
    else if (source->quobyte)
        validate_quobyte(v, source->quobyte, path);
    else if (source->fc)
        validate_fc(v, source->fc, path);
    else if (source->flex_volume)
        validate_flex(v, source->flex_volume, path);
    else if (source->azure_disk)
        validate_azure_disk(v, source->azure_disk, path);
    else if (source->storageos)
        validate_storageos(v, source->storageos, path);
    else
        validate_simple(v, source, path);
}
