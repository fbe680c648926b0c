/*
 * Schemas from message descriptors. A property refers to the definition of its message; how lists
 * are merged is said by kube/document.h, which patching and apply go by as well. The descriptors
 * have no comments, so only kinds and the members all of them have are described.
 */
#include "kube/document.h"
#include "plane/openapi_internal.h"

/* --- types that are no object in JSON, and the patch --- */

struct special_row {
    const char *message; /* NULL: the patch */
    const char *type, *format;
    const char *one_of[2]; /* what v3 says in place of the type; {NULL}: nothing */
};

static const struct special_row special_rows[] = {
    {"meta.Time", "string", "date-time", {NULL}},
    {"meta.MicroTime", "string", "date-time", {NULL}},
    {"meta.Duration", "string", NULL, {NULL}},
    {"meta.Quantity", "string", NULL, {"string", "number"}},
    {"meta.IntOrString", "string", "int-or-string", {"integer", "string"}},
    {"meta.FieldsV1", "object", NULL, {NULL}},
    {"runtime.RawExtension", "object", NULL, {NULL}},
    {NULL, "object", NULL, {NULL}},
};

static void write_member(struct doc_writer *writer, const char *key, const char *text)
{
    doc_write_key(writer, key);
    doc_write_text(writer, text);
}

static void write_special(struct doc_writer *writer, const char *message,
                          enum openapi_dialect dialect)
{
    const struct special_row *row = special_rows;
    while (!text_eq(row->message, message) && row->message)
        row++;
    bool is_union = dialect == OPENAPI_V3 && row->one_of[0];
    if (is_union) {
        doc_write_key(writer, "oneOf");
        writer->ops->begin_array(writer);
        for (size_t i = 0; i < ARRAY_SIZE(row->one_of); i++) {
            writer->ops->begin_object(writer);
            write_member(writer, "type", row->one_of[i]);
            writer->ops->end_object(writer);
        }
        writer->ops->end_array(writer);
    } else {
        write_member(writer, "type", row->type);
    }
    if (row->format)
        write_member(writer, "format", row->format);
}

/* --- one value --- */

static void write_ref_member(struct doc_writer *writer, const char *name,
                             enum openapi_dialect dialect, struct arena *arena)
{
    const char *where = dialect == OPENAPI_V2 ? "#/definitions/" : "#/components/schemas/";
    write_member(writer, "$ref", arena_printf(arena, "%s%s", where, name));
}

void openapi_write_ref(struct doc_writer *writer, const char *name, enum openapi_dialect dialect,
                       struct arena *arena)
{
    writer->ops->begin_object(writer);
    write_ref_member(writer, name, dialect, arena);
    writer->ops->end_object(writer);
}

/* The type of a field that is no message. */
static void write_plain(struct doc_writer *writer, const ProtobufCFieldDescriptor *field)
{
    const char *type = "integer";
    const char *format = "int64";
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        format = "int32";
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        break;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        type = "number";
        format = "double";
        break;
    case PROTOBUF_C_TYPE_BOOL:
        type = "boolean";
        format = NULL;
        break;
    case PROTOBUF_C_TYPE_STRING:
        type = "string";
        format = NULL;
        break;
    case PROTOBUF_C_TYPE_BYTES:
        type = "string";
        format = "byte";
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        ASSERT(field->type != PROTOBUF_C_TYPE_MESSAGE);
    }
    write_member(writer, "type", type);
    if (format)
        write_member(writer, "format", format);
}

/* An array of texts. */
static void write_text_list(struct doc_writer *writer)
{
    write_member(writer, "type", "array");
    doc_write_key(writer, "items");
    writer->ops->begin_object(writer);
    write_member(writer, "type", "string");
    writer->ops->end_object(writer);
}

/* The value of a field by itself, whether or not it is repeated. */
static void write_element(struct doc_writer *writer, const ProtobufCFieldDescriptor *field,
                          enum openapi_dialect dialect, struct arena *arena)
{
    writer->ops->begin_object(writer);
    if (field->type != PROTOBUF_C_TYPE_MESSAGE)
        write_plain(writer, field);
    else if (openapi_is_text_list(field->descriptor))
        write_text_list(writer);
    else
        write_ref_member(writer, openapi_name(field->descriptor, arena), dialect, arena);
    writer->ops->end_object(writer);
}

static void write_list(struct doc_writer *writer, const struct openapi_field *field,
                       enum openapi_dialect dialect, struct arena *arena)
{
    if (field->field->label != PROTOBUF_C_LABEL_REPEATED) {
        write_text_list(writer);
        return;
    }
    write_member(writer, "type", "array");
    doc_write_key(writer, "items");
    write_element(writer, field->field, dialect, arena);
}

/* The second field of a map's entry is its value. */
static void write_map(struct doc_writer *writer, const struct openapi_field *field,
                      enum openapi_dialect dialect, struct arena *arena)
{
    const ProtobufCMessageDescriptor *entry = field->field->descriptor;
    write_member(writer, "type", "object");
    doc_write_key(writer, "additionalProperties");
    write_element(writer, &entry->fields[1], dialect, arena);
}

/* --- how it is merged --- */

static void write_list_rule(struct doc_writer *writer, const struct kube_list_rule *rule)
{
    if (rule->is_set)
        write_member(writer, "x-kubernetes-list-type", "set");
    if (rule->apply_keys[0] != '\0') {
        struct str rest = str_from(rule->apply_keys);
        struct str key;
        write_member(writer, "x-kubernetes-list-type", "map");
        doc_write_key(writer, "x-kubernetes-list-map-keys");
        writer->ops->begin_array(writer);
        while (str_split_next(&rest, ' ', &key))
            writer->ops->string(writer, key);
        writer->ops->end_array(writer);
    }
    if (rule->merge_key[0] != '\0')
        write_member(writer, "x-kubernetes-patch-merge-key", rule->merge_key);
    if (rule->is_merged)
        write_member(writer, "x-kubernetes-patch-strategy",
                     rule->retains_keys ? "merge,retainKeys" : "merge");
    else if (rule->retains_keys)
        write_member(writer, "x-kubernetes-patch-strategy", "retainKeys");
}

/* --- a property --- */

/* A reference with a description; in v3 nothing may stand beside a reference. */
static void write_described_ref(struct doc_writer *writer, const struct openapi_field *field,
                                enum openapi_dialect dialect, struct arena *arena)
{
    const char *name = openapi_name(field->field->descriptor, arena);
    if (dialect == OPENAPI_V2) {
        write_ref_member(writer, name, dialect, arena);
        return;
    }
    doc_write_key(writer, "allOf");
    writer->ops->begin_array(writer);
    openapi_write_ref(writer, name, dialect, arena);
    writer->ops->end_array(writer);
}

/* Here the members may have different owners, elsewhere not. */
static bool is_separable(const struct openapi_field *field)
{
    return field->type.shape == KUBE_SHAPE_STRUCT && !field->type.is_atomic &&
           kube_type_of_object(field->field->descriptor).is_atomic;
}

static void write_property(struct doc_writer *writer, const struct openapi_field *field,
                           const char *about, enum openapi_dialect dialect, struct arena *arena)
{
    doc_write_key(writer, field->name);
    writer->ops->begin_object(writer);
    if (about)
        write_member(writer, "description", about);
    switch (field->type.shape) {
    case KUBE_SHAPE_SCALAR:
    case KUBE_SHAPE_STRUCT:
    case KUBE_SHAPE_ANY:
        if (field->field->type != PROTOBUF_C_TYPE_MESSAGE)
            write_plain(writer, field->field);
        else
            write_described_ref(writer, field, dialect, arena);
        if (is_separable(field))
            write_member(writer, "x-kubernetes-map-type", "granular");
        break;
    case KUBE_SHAPE_LIST:
        write_list(writer, field, dialect, arena);
        write_list_rule(writer, &field->type.rule);
        break;
    case KUBE_SHAPE_MAP:
        write_map(writer, field, dialect, arena);
        if (field->type.is_atomic)
            write_member(writer, "x-kubernetes-map-type", "atomic");
        break;
    }
    writer->ops->end_object(writer);
}

/* --- kinds --- */

struct about_row {
    const char *name, *text;
};

static const struct about_row kind_rows[] = {
    {"Binding", "Binds a pod to a node."},
    {"CSIDriver", "What there is to know about a CSI driver that is installed."},
    {"CSINode", "The CSI drivers of a node."},
    {"CertificateSigningRequest", "Asks a signer for a certificate."},
    {"ConfigMap", "Configuration for pods: keys with texts or bytes."},
    {"DeleteOptions", "How an object is to be deleted."},
    {"DeviceClass", "A class of devices that claims may ask for."},
    {"EndpointSlice", "Some of the addresses behind a service."},
    {"Endpoints", "The addresses behind a service."},
    {"Event", "Something that happened to an object."},
    {"Eviction", "Asks for a pod to be evicted."},
    {"Lease", "Says who holds something, and until when; nodes renew theirs to be seen as alive."},
    {"LocalSubjectAccessReview", "Asks whether a user may do something in a namespace."},
    {"Namespace", "A scope for names."},
    {"Node", "A machine that runs pods."},
    {"NodeMetrics", "What is used on a node."},
    {"PersistentVolume", "A piece of storage."},
    {"PersistentVolumeClaim", "A claim to a piece of storage."},
    {"Pod", "Containers that run together on one node."},
    {"PodMetrics", "What the containers of a pod use."},
    {"ResourceClaim", "A claim to devices."},
    {"ResourceClaimTemplate", "What the claims that are made for pods look like."},
    {"ResourceSlice", "Devices that a driver offers, on a node or elsewhere."},
    {"RuntimeClass", "A way of running containers that a node's runtime is configured for."},
    {"Secret", "Confidential data for pods."},
    {"SelfSubjectAccessReview", "Asks whether oneself may do something."},
    {"SelfSubjectReview", "Asks who one is."},
    {"SelfSubjectRulesReview", "Asks for what one may do in a namespace."},
    {"Service", "One name and address for a set of pods."},
    {"ServiceAccount", "Who a pod is to the API."},
    {"Status", "The outcome of a request that returns no object."},
    {"StorageClass", "A class of storage that claims may ask for."},
    {"SubjectAccessReview", "Asks whether a user may do something."},
    {"TokenRequest", "Asks for a token of a service account."},
    {"TokenReview", "Asks whose a token is."},
    {"VolumeAttachment", "Asks for a volume to be attached to a node."},
};

static const struct about_row member_rows[] = {
    {"metadata", "What the object is called, its labels and what else is said about it."},
    {"spec", "What is wanted."},
    {"status", "What is."},
    {"items", "The objects."},
};

static const char *find_about(const struct about_row *rows, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (text_eq(rows[i].name, name))
            return rows[i].text;
    }
    return NULL;
}

static const char *kind_about(const struct kube_kind *kind, struct arena *arena)
{
    const struct kube_kind *item = kube_kind_item(kind);
    if (item)
        return arena_printf(arena, "A list of objects of kind %s.", item->kind);
    return find_about(kind_rows, ARRAY_SIZE(kind_rows), kind->kind);
}

/* The first kind whose objects are of this type; NULL for a part of objects. */
static const struct kube_kind *kind_of(const ProtobufCMessageDescriptor *message)
{
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    for (size_t i = 0; i < count; i++) {
        if (kinds[i].type == message)
            return &kinds[i];
    }
    return NULL;
}

static void write_kinds(struct doc_writer *writer, const ProtobufCMessageDescriptor *message)
{
    size_t count;
    const struct kube_kind *kinds = kube_kinds(&count);
    doc_write_key(writer, "x-kubernetes-group-version-kind");
    writer->ops->begin_array(writer);
    for (size_t i = 0; i < count; i++) {
        if (kinds[i].type == message)
            openapi_write_kind(writer, kinds[i].group, kinds[i].version, kinds[i].kind);
    }
    writer->ops->end_array(writer);
}

void openapi_write_kind(struct doc_writer *writer, const char *group, const char *version,
                        const char *kind)
{
    writer->ops->begin_object(writer);
    write_member(writer, "group", group);
    write_member(writer, "kind", kind);
    write_member(writer, "version", version);
    writer->ops->end_object(writer);
}

static void write_type_members(struct doc_writer *writer)
{
    static const struct about_row rows[] = {
        {"apiVersion", "The version of the API that the object is written in."},
        {"kind", "What the object is."},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        doc_write_key(writer, rows[i].name);
        writer->ops->begin_object(writer);
        write_member(writer, "description", rows[i].text);
        write_member(writer, "type", "string");
        writer->ops->end_object(writer);
    }
}

/* --- a definition --- */

static void write_properties(struct doc_writer *writer, const ProtobufCMessageDescriptor *message,
                             bool is_kind, enum openapi_dialect dialect, struct arena *arena)
{
    size_t count;
    const struct openapi_field *fields = openapi_fields(message, arena, &count);
    doc_write_key(writer, "properties");
    writer->ops->begin_object(writer);
    if (is_kind)
        write_type_members(writer);
    for (size_t i = 0; i < count; i++) {
        const char *about =
            is_kind ? find_about(member_rows, ARRAY_SIZE(member_rows), fields[i].name) : NULL;
        write_property(writer, &fields[i], about, dialect, arena);
    }
    writer->ops->end_object(writer);
}

/* Those of a message that JSON shows in this one are among them. */
static void write_required(struct doc_writer *writer, const ProtobufCMessageDescriptor *message,
                           struct arena *arena)
{
    size_t count;
    const struct openapi_field *fields = openapi_fields(message, arena, &count);
    bool is_open = false;
    for (size_t i = 0; i < count; i++) {
        struct str rest = str_from(openapi_required(fields[i].owner->name));
        struct str name;
        while (rest.len > 0 && str_split_next(&rest, ' ', &name)) {
            if (!str_eq_c(name, fields[i].name))
                continue;
            if (!is_open) {
                doc_write_key(writer, "required");
                writer->ops->begin_array(writer);
            }
            is_open = true;
            writer->ops->string(writer, name);
        }
    }
    if (is_open)
        writer->ops->end_array(writer);
}

void openapi_write_definition(struct doc_writer *writer, const struct openapi_type *type,
                              enum openapi_dialect dialect, struct arena *arena)
{
    const ProtobufCMessageDescriptor *message = type->message;
    writer->ops->begin_object(writer);
    if (!message || kube_type_of_object(message).shape != KUBE_SHAPE_STRUCT) {
        write_special(writer, message ? message->name : NULL, dialect);
        writer->ops->end_object(writer);
        return;
    }
    const struct kube_kind *kind = kind_of(message);
    const char *about = kind ? kind_about(kind, arena) : NULL;
    if (about)
        write_member(writer, "description", about);
    write_member(writer, "type", "object");
    write_required(writer, message, arena);
    if (message->n_fields > 0 || kind)
        write_properties(writer, message, kind != NULL, dialect, arena);
    if (kube_type_of_object(message).is_atomic)
        write_member(writer, "x-kubernetes-map-type", "atomic");
    if (kind)
        write_kinds(writer, message);
    writer->ops->end_object(writer);
}
