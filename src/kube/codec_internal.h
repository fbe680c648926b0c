/*
 * What the files of the codec share: the table of special cases and access to the members of a
 * message by their descriptor. For codec*.c and their tests only.
 */
#pragma once

#include "kube/codec.h"
#include "kube/names.h"

#include "wire/doc.h"

/* Messages that are not an object in JSON. */
enum codec_special {
    CODEC_OBJECT,        /* not special */
    CODEC_TIME,          /* "2026-11-21T03:24:00Z" */
    CODEC_MICRO_TIME,    /* "2026-11-21T03:24:00.000123Z" */
    CODEC_DURATION,      /* "1m30s" */
    CODEC_QUANTITY,      /* "64Mi", or a number */
    CODEC_INT_OR_STRING, /* 80 or "http" */
    CODEC_RAW_JSON,      /* any JSON, kept as bytes */
    CODEC_STRING_LIST,   /* a message around a list of strings: the bare list */
};
enum codec_special codec_special_of(const ProtobufCMessageDescriptor *type);

/** True when JSON shows the fields of message @field in the object of @type itself
 * (wire/inline.tsv). */
bool codec_is_inline(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field);

/** True for a list that JSON shows as [] when it is empty, and a time that it shows as null. */
bool codec_is_shown_empty(const ProtobufCMessageDescriptor *type,
                          const ProtobufCFieldDescriptor *field);

/** True for the list of key-value messages that is a map in JSON. */
bool codec_is_map(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *field);

/** The JSON name of @field in @type, written to @json_name. */
struct str codec_json_name(const ProtobufCMessageDescriptor *type,
                           const ProtobufCFieldDescriptor *field,
                           char json_name[static FIELD_NAME_SIZE]);

/** The field of @type that JSON calls @json_name and that is not inlined, or NULL. */
const ProtobufCFieldDescriptor *codec_find_field(const ProtobufCMessageDescriptor *type,
                                                 struct str json_name);

/** The `items` of the list type @type, or NULL when it is no list of objects. */
const ProtobufCFieldDescriptor *codec_list_items(const ProtobufCMessageDescriptor *type);

/** False when zero, false and "" in @field mean the same as absent. */
bool codec_keeps_zero(const ProtobufCMessageDescriptor *type, const char *field);
/* The rows behind codec_keeps_zero(), for the test that checks them against the descriptors. */
size_t codec_zero_row_count(void);
const char *codec_zero_row(size_t index, const char **ret_fields);

/** What a message is made of in memory; kinds of scalars that only differ on the wire are one. */
enum codec_storage {
    CODEC_STORE_I32,
    CODEC_STORE_U32,
    CODEC_STORE_I64,
    CODEC_STORE_U64,
    CODEC_STORE_FLOAT,
    CODEC_STORE_DOUBLE,
    CODEC_STORE_BOOL,
    CODEC_STORE_TEXT,
    CODEC_STORE_BYTES,
    CODEC_STORE_MESSAGE,
};
enum codec_storage codec_storage_of(const ProtobufCFieldDescriptor *field);
size_t codec_storage_size(enum codec_storage storage);
/** True when the value at @element is 0, false, empty or NULL. */
bool codec_is_zero(const void *element, enum codec_storage storage);

/** Where @field lives in @message. */
static inline void *codec_member(const ProtobufCMessage *message,
                                 const ProtobufCFieldDescriptor *field)
{
    return (char *)(uintptr_t)message + field->offset;
}

/** The has_x flag, the count of a list, or the case of a oneof. */
static inline void *codec_quantifier(const ProtobufCMessage *message,
                                     const ProtobufCFieldDescriptor *field)
{
    return (char *)(uintptr_t)message + field->quantifier_offset;
}

static inline bool codec_is_list(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

/** Elements of a list field; 1 or 0 for other fields, by presence. */
size_t codec_count(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field);
/** The address of element @index: of the member itself when the field is no list. */
void *codec_element(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                    size_t index);
/** Marks a scalar that is no list as present or absent; for pointers, absent means NULL. */
void codec_set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                       bool is_present);

/** Stores a pointer of any type in the member or element at @element. */
static inline void codec_set_pointer(void *element, const void *pointer)
{
    memcpy(element, &pointer, sizeof(pointer));
}

static inline ProtobufCMessage *codec_message_at(const void *element)
{
    void *message;
    memcpy(&message, element, sizeof(message));
    return message;
}

static inline char *codec_text_at(const void *element)
{
    char *text;
    memcpy(&text, element, sizeof(text));
    return text;
}

/** The key of a map entry; "" when absent. */
const char *codec_map_key(const ProtobufCMessage *entry);
/**
 * The entries of map @field sorted by key. Borrows the message's own array when it is sorted
 * already, else *ret_owned holds an array to free.
 */
ProtobufCMessage **codec_map_sorted(const ProtobufCMessage *message,
                                    const ProtobufCFieldDescriptor *field,
                                    ProtobufCMessage ***ret_owned);

/**
 * Brings @message into the one form it has whichever format it came from: zeros that mean absent
 * are dropped, so are empty inlined messages and unset times; quantities become canonical. New
 * memory comes from @arena. INVALID_ARGUMENT names the message of a quantity that is none.
 */
MUST_CHECK struct error *codec_normalise(ProtobufCMessage *message, struct arena *arena);

/** options->max_bytes, or its default. */
size_t codec_max_bytes(const struct kube_decode_options *options);
/** The tree of one JSON text; as kube_parse_text(), which takes YAML as well. */
MUST_CHECK struct error *codec_parse_json(struct str text,
                                          const struct kube_decode_options *options,
                                          struct arena *arena, const struct doc_node **ret);
/** As kube_decode_protobuf(), with the cap of @options. */
MUST_CHECK struct error *codec_decode_protobuf(struct str bytes,
                                               const ProtobufCMessageDescriptor *type,
                                               const struct kube_decode_options *options,
                                               struct arena *arena, ProtobufCMessage **ret);
/** Takes one field off the front of a protobuf message; false when it is cut short. *ret_content
 * is empty for all but length-delimited fields. */
bool codec_read_field(struct str *rest, uint64_t *ret_number, struct str *ret_content);

/** Appends what stands before the content of a length-delimited field. */
void codec_add_tag_and_length(struct buf *out, unsigned number, size_t len);

/** Writes @message as a value, with its kind when @type is not NULL. */
void codec_write_object(struct doc_writer *writer, const ProtobufCMessage *message,
                        const struct kube_type_meta *type);

/** The message of @node. @scratch takes everything, also what is only needed meanwhile. */
MUST_CHECK struct error *codec_decode_node(const struct doc_node *node,
                                           const ProtobufCMessageDescriptor *type,
                                           const struct kube_decode_options *options,
                                           struct arena *scratch, ProtobufCMessage **ret);

/** Memory that decoding may take before it is refused, as a multiple of max_bytes: small text can
 * stand for large structs. */
#define CODEC_DECODED_MAX_FACTOR ((size_t)16)
