/*
 * kubectl get of volumes, claims, storage classes and what CSI needs.
 */
#include "plane/table_cells.h"

#include "storage.pb-c.h"

#define CLASS_ANNOTATION "volume.beta.kubernetes.io/storage-class"
#define DEFAULT_ANNOTATION "storageclass.kubernetes.io/is-default-class"
#define BETA_DEFAULT_ANNOTATION "storageclass.beta.kubernetes.io/is-default-class"

/* --- what volumes and claims have in common --- */

static bool has_mode(char *const *modes, size_t count, const char *mode)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(modes[i], mode))
            return true;
    }
    return false;
}

/* "RWO,ROX": always in this order. */
static const char *modes_text(char *const *modes, size_t count, struct arena *arena)
{
    static const struct {
        const char *mode, *text;
    } rows[] = {
        {"ReadWriteOnce", "RWO"},
        {"ReadOnlyMany", "ROX"},
        {"ReadWriteMany", "RWX"},
        {"ReadWriteOncePod", "RWOP"},
    };
    AUTO(buf) struct buf list;
    buf_init(&list, CELL_MAX_BYTES);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (has_mode(modes, count, rows[i].mode))
            cell_list_add(&list, rows[i].text);
    }
    return arena_strdup(arena, buf_text(&list));
}

static const char *class_name(const Meta__ObjectMeta *meta, const char *name)
{
    const char *annotation = cell_annotation(meta, CLASS_ANNOTATION);
    return annotation ? annotation : cell_or(name, "");
}

static const char *quantity_text(const Meta__Quantity *quantity)
{
    return quantity ? cell_or(quantity->string, "0") : "0";
}

/* --- persistent volumes --- */

static const struct table_column volume_columns[] = {
    COLUMN_NAME,
    COLUMN("Capacity", "string", "How much it holds."),
    COLUMN("Access Modes", "string", "How it may be mounted."),
    COLUMN("Reclaim Policy", "string", "What happens to it when its claim has gone."),
    COLUMN("Status", "string", "Available, Bound, Released, Failed or Terminating."),
    COLUMN("Claim", "string", "The claim that it is bound to."),
    COLUMN("StorageClass", "string", "Its storage class."),
    COLUMN("VolumeAttributesClass", "string", "Its class of attributes."),
    COLUMN("Reason", "string", "Why it is in its state."),
    COLUMN_AGE,
    COLUMN_WIDE("VolumeMode", "string", "Filesystem or Block."),
};

static const char *volume_capacity(const Core__PersistentVolumeSpec *spec)
{
    for (size_t i = 0; i < spec->n_capacity; i++) {
        if (text_eq(spec->capacity[i]->key, "storage"))
            return quantity_text(spec->capacity[i]->value);
    }
    return "0";
}

static void write_volume(const struct cell_row *row)
{
    static const Core__PersistentVolumeSpec no_spec = CORE__PERSISTENT_VOLUME_SPEC__INIT;
    static const Core__PersistentVolumeStatus no_status = CORE__PERSISTENT_VOLUME_STATUS__INIT;
    const Core__PersistentVolume *volume = (const Core__PersistentVolume *)row->object;
    const Core__PersistentVolumeSpec *spec = volume->spec ? volume->spec : &no_spec;
    const Core__PersistentVolumeStatus *status = volume->status ? volume->status : &no_status;
    const Core__ObjectReference *claim = spec->claim_ref;
    cell_write_name(row);
    cell_write(row, volume_capacity(spec));
    cell_write(row, modes_text(spec->access_modes, spec->n_access_modes, row->arena));
    cell_write(row, spec->persistent_volume_reclaim_policy);
    cell_write(row, row->meta->deletion_timestamp ? "Terminating" : status->phase);
    cell_write(row, claim ? arena_printf(row->arena, "%s/%s", cell_or(claim->namespace_, ""),
                                         cell_or(claim->name, ""))
                          : "");
    cell_write(row, class_name(row->meta, spec->storage_class_name));
    cell_write(row,
               spec->volume_attributes_class_name ? spec->volume_attributes_class_name : "<unset>");
    cell_write(row, status->reason);
    cell_write_age(row);
    cell_write(row, spec->volume_mode ? spec->volume_mode : "<unset>");
}

const struct table_cells table_persistentvolumes = TABLE_CELLS(volume_columns, write_volume);

/* --- claims --- */

static const struct table_column claim_columns[] = {
    COLUMN_NAME,
    COLUMN("Status", "string", "Pending, Bound, Lost or Terminating."),
    COLUMN("Volume", "string", "The volume that it is bound to."),
    COLUMN("Capacity", "string", "How much that volume holds."),
    COLUMN("Access Modes", "string", "How that volume may be mounted."),
    COLUMN("StorageClass", "string", "The storage class that it asks for."),
    COLUMN("VolumeAttributesClass", "string", "The class of attributes that it asks for."),
    COLUMN_AGE,
    COLUMN_WIDE("VolumeMode", "string", "Filesystem or Block."),
};

static const char *claim_capacity(const Core__PersistentVolumeClaimStatus *status)
{
    for (size_t i = 0; i < status->n_capacity; i++) {
        if (text_eq(status->capacity[i]->key, "storage"))
            return quantity_text(status->capacity[i]->value);
    }
    return "0";
}

static void write_claim(const struct cell_row *row)
{
    static const Core__PersistentVolumeClaimSpec no_spec = CORE__PERSISTENT_VOLUME_CLAIM_SPEC__INIT;
    static const Core__PersistentVolumeClaimStatus no_status =
        CORE__PERSISTENT_VOLUME_CLAIM_STATUS__INIT;
    const Core__PersistentVolumeClaim *claim = (const Core__PersistentVolumeClaim *)row->object;
    const Core__PersistentVolumeClaimSpec *spec = claim->spec ? claim->spec : &no_spec;
    const Core__PersistentVolumeClaimStatus *status = claim->status ? claim->status : &no_status;
    /* What it has got is known once it is bound. */
    bool is_bound = cell_is_set(spec->volume_name);
    cell_write_name(row);
    cell_write(row, row->meta->deletion_timestamp ? "Terminating" : status->phase);
    cell_write(row, spec->volume_name);
    cell_write(row, is_bound ? claim_capacity(status) : "");
    cell_write(row, is_bound ? modes_text(status->access_modes, status->n_access_modes, row->arena)
                             : "");
    cell_write(row, class_name(row->meta, spec->storage_class_name));
    cell_write(row,
               spec->volume_attributes_class_name ? spec->volume_attributes_class_name : "<unset>");
    cell_write_age(row);
    cell_write(row, spec->volume_mode ? spec->volume_mode : "<unset>");
}

const struct table_cells table_persistentvolumeclaims = TABLE_CELLS(claim_columns, write_claim);

/* --- storage classes --- */

static const struct table_column class_columns[] = {
    COLUMN_NAME,
    COLUMN("Provisioner", "string", "Who makes its volumes."),
    COLUMN("ReclaimPolicy", "string", "What happens to a volume when its claim has gone."),
    COLUMN("VolumeBindingMode", "string", "When claims get their volumes."),
    COLUMN("AllowVolumeExpansion", "string", "Whether claims may grow."),
    COLUMN_AGE,
};

static void write_class(const struct cell_row *row)
{
    const Storage__StorageClass *class = (const Storage__StorageClass *)row->object;
    bool is_default = text_eq(cell_annotation(row->meta, DEFAULT_ANNOTATION), "true") ||
                      text_eq(cell_annotation(row->meta, BETA_DEFAULT_ANNOTATION), "true");
    cell_write(row, arena_printf(row->arena, "%s%s", cell_or(row->meta->name, ""),
                                 is_default ? " (default)" : ""));
    cell_write(row, class->provisioner);
    cell_write(row, class->reclaim_policy ? class->reclaim_policy : "Delete");
    cell_write(row, class->volume_binding_mode ? class->volume_binding_mode : "Immediate");
    doc_write_bool(row->writer, class->allow_volume_expansion);
    cell_write_age(row);
}

const struct table_cells table_storageclasses = TABLE_CELLS(class_columns, write_class);

/* --- CSI --- */

static const struct table_column driver_columns[] = {
    COLUMN_NAME,
    COLUMN("AttachRequired", "boolean", "Whether its volumes are attached before mounting."),
    COLUMN("PodInfoOnMount", "boolean", "Whether it is told of the pod that mounts."),
    COLUMN("StorageCapacity", "boolean", "Whether it publishes what room there is."),
    COLUMN("TokenRequests", "string", "The audiences of the tokens it is given."),
    COLUMN("RequiresRepublish", "boolean", "Whether its volumes are published again and again."),
    COLUMN("Modes", "string", "The kinds of volumes it makes."),
    COLUMN_AGE,
};

static const char *driver_audiences(const Storage__CSIDriverSpec *spec, struct arena *arena)
{
    if (spec->n_token_requests == 0)
        return "<unset>";
    AUTO(buf) struct buf list;
    buf_init(&list, CELL_MAX_BYTES);
    for (size_t i = 0; i < spec->n_token_requests; i++)
        buf_printf(&list, "%s%s", i > 0 ? "," : "", cell_or(spec->token_requests[i]->audience, ""));
    return arena_strdup(arena, buf_text(&list));
}

static const char *driver_modes(const Storage__CSIDriverSpec *spec, struct arena *arena)
{
    AUTO(buf) struct buf list;
    buf_init(&list, CELL_MAX_BYTES);
    for (size_t i = 0; i < spec->n_volume_lifecycle_modes; i++)
        cell_list_add(&list, spec->volume_lifecycle_modes[i]);
    return arena_strdup(arena, cell_or(buf_text(&list), "<none>"));
}

static void write_driver(const struct cell_row *row)
{
    static const Storage__CSIDriverSpec no_spec = STORAGE__CSIDRIVER_SPEC__INIT;
    const Storage__CSIDriver *driver = (const Storage__CSIDriver *)row->object;
    const Storage__CSIDriverSpec *spec = driver->spec ? driver->spec : &no_spec;
    cell_write_name(row);
    doc_write_bool(row->writer, !spec->has_attach_required || spec->attach_required);
    doc_write_bool(row->writer, spec->pod_info_on_mount);
    doc_write_bool(row->writer, spec->storage_capacity);
    cell_write(row, driver_audiences(spec, row->arena));
    doc_write_bool(row->writer, spec->requires_republish);
    cell_write(row, driver_modes(spec, row->arena));
    cell_write_age(row);
}

const struct table_cells table_csidrivers = TABLE_CELLS(driver_columns, write_driver);

static const struct table_column csi_node_columns[] = {
    COLUMN_NAME,
    COLUMN("Drivers", "integer", "How many CSI drivers are registered on the node."),
    COLUMN_AGE,
};

static void write_csi_node(const struct cell_row *row)
{
    const Storage__CSINode *node = (const Storage__CSINode *)row->object;
    cell_write_name(row);
    doc_write_unsigned(row->writer, node->spec ? node->spec->n_drivers : 0);
    cell_write_age(row);
}

const struct table_cells table_csinodes = TABLE_CELLS(csi_node_columns, write_csi_node);

static const struct table_column attachment_columns[] = {
    COLUMN_NAME,
    {.name = "Attacher",
     .type = "string",
     .format = "name",
     .description = "The CSI driver that attaches the volume."},
    COLUMN("PV", "string", "The volume."),
    COLUMN("Node", "string", "The node it is attached to."),
    COLUMN("Attached", "boolean", "Whether that has been done."),
    COLUMN_AGE,
};

static void write_attachment(const struct cell_row *row)
{
    static const Storage__VolumeAttachmentSpec no_spec = STORAGE__VOLUME_ATTACHMENT_SPEC__INIT;
    const Storage__VolumeAttachment *attachment = (const Storage__VolumeAttachment *)row->object;
    const Storage__VolumeAttachmentSpec *spec = attachment->spec ? attachment->spec : &no_spec;
    cell_write_name(row);
    cell_write(row, spec->attacher);
    cell_write(row, spec->source ? spec->source->persistent_volume_name : NULL);
    cell_write(row, spec->node_name);
    doc_write_bool(row->writer, attachment->status && attachment->status->attached);
    cell_write_age(row);
}

const struct table_cells table_volumeattachments =
    TABLE_CELLS(attachment_columns, write_attachment);
