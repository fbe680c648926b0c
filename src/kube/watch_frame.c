/*
 * Bytes are kept until they are asked for. As they come in, only the borders of frames are looked
 * for: in JSON where an object ends, in protobuf by the length before each message. So a frame is
 * cut in one pass, whatever the pieces it arrives in, and what can never become a frame is refused
 * at once.
 *
 * A JSON frame is {"type":…,"object":…}. A protobuf frame is a bare meta.WatchEvent, whose object
 * is the object in its "k8s\0" envelope.
 */
#include "kube/watch_frame.h"

#include "kube/codec_internal.h"
#include "kube/json_scan.h"

#include "wire/json.h"
#include "wire/yaml.h"

/* What may wait unread: a whole frame and the pieces behind it. */
#define PENDING_MAX_BYTES (2 * WATCH_FRAME_MAX_BYTES)
#define KEPT_MAX_BYTES (64 * KiB) /* of the buffer of a quiet stream */
#define LENGTH_BYTES 4            /* before a protobuf frame, most significant first */
#define SCRATCH_BLOCK_BYTES (16 * KiB)

/* Fields of meta.WatchEvent and runtime.RawExtension */
enum { EVENT_TYPE = 1, EVENT_OBJECT = 2, EXTENSION_RAW = 1 };

struct watch_decoder {
    enum kube_encoding encoding;
    enum kube_unknown_fields unknown;
    struct buf pending;
    size_t read_bytes;    /* of @pending, handed out already */
    size_t scanned_bytes; /* of @pending, belong to frames that are read or known */
    size_t partial_bytes; /* of @pending behind them, looked at by @scan */
    struct json_scan scan;
    size_t *frames; /* lengths of the frames behind @read_bytes; owned */
    size_t frame_count, frame_first, frame_capacity;
    bool is_broken;
};

static const char *const type_texts[] = {
    [WATCH_ADDED] = "ADDED",       [WATCH_MODIFIED] = "MODIFIED", [WATCH_DELETED] = "DELETED",
    [WATCH_BOOKMARK] = "BOOKMARK", [WATCH_ERROR] = "ERROR",
};

const char *watch_event_type_text(enum watch_event_type type)
{
    return type_texts[type];
}

struct watch_decoder *watch_decoder_new(enum kube_encoding encoding)
{
    ASSERT(encoding != KUBE_YAML);
    struct watch_decoder *decoder = xcalloc(1, sizeof(*decoder));
    decoder->encoding = encoding;
    decoder->unknown = KUBE_UNKNOWN_TOLERANT;
    buf_init(&decoder->pending, PENDING_MAX_BYTES);
    return decoder;
}

void watch_decoder_free(struct watch_decoder *decoder)
{
    if (!decoder)
        return;
    buf_done(&decoder->pending);
    free(decoder->frames);
    free(decoder);
}

void watch_decoder_refuse_unknown(struct watch_decoder *decoder)
{
    decoder->unknown = KUBE_UNKNOWN_STRICT;
}

/* --- borders --- */

static void note_frame(struct watch_decoder *decoder, size_t len)
{
    if (decoder->frame_count == decoder->frame_capacity) {
        size_t capacity = decoder->frame_capacity ? 2 * decoder->frame_capacity : 8;
        decoder->frames = xrealloc(decoder->frames, capacity * sizeof(*decoder->frames));
        decoder->frame_capacity = capacity;
    }
    decoder->frames[decoder->frame_count++] = len;
    decoder->scanned_bytes += len;
    decoder->partial_bytes = 0;
}

static struct str unscanned(const struct watch_decoder *decoder)
{
    struct str all = buf_str(&decoder->pending);
    size_t known = decoder->scanned_bytes + decoder->partial_bytes;
    return (struct str){.ptr = all.ptr + known, .len = all.len - known};
}

static struct error *find_json_frames(struct watch_decoder *decoder)
{
    for (;;) {
        size_t used = 0;
        enum json_scan_end end = json_scan_next(&decoder->scan, unscanned(decoder), &used);
        decoder->partial_bytes += used;
        /* White space alone is no frame; it goes with the next one, but may not pile up. */
        if (decoder->partial_bytes > WATCH_FRAME_MAX_BYTES)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "a watch event is larger than %zu bytes",
                             WATCH_FRAME_MAX_BYTES);
        switch (end) {
        case JSON_SCAN_OBJECT:
            note_frame(decoder, decoder->partial_bytes);
            break;
        case JSON_SCAN_MORE:
            return NULL;
        case JSON_SCAN_BROKEN:
            return error_new(ERROR_INVALID_ARGUMENT,
                             "a watch stream has something other than an object between events");
        }
    }
}

static struct error *find_protobuf_frames(struct watch_decoder *decoder)
{
    for (;;) {
        struct str rest = unscanned(decoder);
        if (rest.len < LENGTH_BYTES)
            return NULL;
        size_t len = 0;
        for (size_t i = 0; i < LENGTH_BYTES; i++)
            len = len << 8 | (uint8_t)rest.ptr[i];
        if (len > WATCH_FRAME_MAX_BYTES)
            return error_new(ERROR_RESOURCE_EXHAUSTED, "a watch event is larger than %zu bytes",
                             WATCH_FRAME_MAX_BYTES);
        if (rest.len - LENGTH_BYTES < len)
            return NULL;
        note_frame(decoder, LENGTH_BYTES + len);
    }
}

/* Moves what is unread to the front, so that a piece is moved once and not once an event. */
static void drop_read(struct watch_decoder *decoder)
{
    size_t frames_left = decoder->frame_count - decoder->frame_first;
    if (decoder->read_bytes == decoder->pending.len && decoder->pending.capacity > KEPT_MAX_BYTES) {
        buf_done(&decoder->pending);
        buf_init(&decoder->pending, PENDING_MAX_BYTES);
    } else {
        buf_consume(&decoder->pending, decoder->read_bytes);
    }
    decoder->scanned_bytes -= decoder->read_bytes;
    decoder->read_bytes = 0;
    if (frames_left > 0 && decoder->frame_first > 0)
        memmove(decoder->frames, decoder->frames + decoder->frame_first,
                frames_left * sizeof(*decoder->frames));
    decoder->frame_count = frames_left;
    decoder->frame_first = 0;
}

struct error *watch_decoder_feed(struct watch_decoder *decoder, struct str bytes)
{
    if (decoder->is_broken)
        return error_new(ERROR_INVALID_ARGUMENT, "the watch stream is broken");
    drop_read(decoder);
    buf_add_str(&decoder->pending, bytes);
    struct error *err = buf_error(&decoder->pending, "what waits of a watch stream");
    if (!err)
        err = decoder->encoding == KUBE_JSON ? find_json_frames(decoder)
                                             : find_protobuf_frames(decoder);
    decoder->is_broken = err != NULL;
    return err;
}

bool watch_decoder_is_partial(const struct watch_decoder *decoder)
{
    struct str all = buf_str(&decoder->pending);
    struct str rest = {.ptr = all.ptr + decoder->scanned_bytes,
                       .len = all.len - decoder->scanned_bytes};
    return decoder->encoding == KUBE_JSON ? decoder->scan.depth > 0 : rest.len > 0;
}

/* --- events --- */

static struct error *parse_type(struct str text, enum watch_event_type *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(type_texts); i++) {
        if (str_eq_c(text, type_texts[i])) {
            *ret = (enum watch_event_type)i;
            return NULL;
        }
    }
    return error_new(ERROR_INVALID_ARGUMENT, "unknown type \"%.*s\"", STR_ARG(text));
}

static struct error *decode_json_event(struct str frame, const struct kube_decode_options *options,
                                       struct arena *arena, struct watch_event *ret)
{
    AUTO(arena) struct arena *scratch = arena_new(SCRATCH_BLOCK_BYTES);
    const struct doc_node *document = NULL;
    struct error *err = codec_parse_json(frame, options, scratch, &document);
    if (err)
        return err;
    const struct doc_node *type = doc_get(document, "type"), *object = doc_get(document, "object");
    if (!type || type->kind != DOC_STRING || !object)
        return error_new(ERROR_INVALID_ARGUMENT, "expected a \"type\" and an \"object\"");
    err = parse_type(type->string, &ret->type);
    return err ? err : kube_decode_any_document(object, options, arena, &ret->kind, &ret->object);
}

/* The content of field @number of a message; the last one counts. */
static bool find_field(struct str message, uint64_t number, struct str *ret)
{
    while (message.len > 0) {
        uint64_t found;
        struct str content;
        if (!codec_read_field(&message, &found, &content))
            return false;
        if (found == number)
            *ret = content;
    }
    return true;
}

static struct error *decode_protobuf_event(struct str frame,
                                           const struct kube_decode_options *options,
                                           struct arena *arena, struct watch_event *ret)
{
    struct str type = {.ptr = ""}, extension = {.ptr = ""}, object = {.ptr = ""};
    if (!find_field(frame, EVENT_TYPE, &type) || !find_field(frame, EVENT_OBJECT, &extension) ||
        !find_field(extension, EXTENSION_RAW, &object))
        return error_new(ERROR_INVALID_ARGUMENT, "not a valid protobuf message");
    struct error *err = parse_type(type, &ret->type);
    return err ? err
               : kube_decode_any(object, KUBE_PROTOBUF, options, arena, &ret->kind, &ret->object);
}

struct error *watch_decoder_next(struct watch_decoder *decoder, struct arena *arena, bool *ret_has,
                                 struct watch_event *ret)
{
    *ret_has = false;
    if (decoder->frame_first == decoder->frame_count)
        return NULL;
    const struct kube_decode_options options = {.unknown = decoder->unknown,
                                                .max_bytes = WATCH_FRAME_MAX_BYTES};
    size_t len = decoder->frames[decoder->frame_first++];
    struct str frame = {.ptr = buf_text(&decoder->pending) + decoder->read_bytes, .len = len};
    struct watch_event event;
    struct error *err;
    if (decoder->encoding == KUBE_JSON) {
        err = decode_json_event(frame, &options, arena, &event);
    } else {
        frame = (struct str){.ptr = frame.ptr + LENGTH_BYTES, .len = frame.len - LENGTH_BYTES};
        err = decode_protobuf_event(frame, &options, arena, &event);
    }
    decoder->read_bytes += len;
    if (decoder->frame_first == decoder->frame_count)
        drop_read(decoder);
    if (err)
        return error_wrap(err, "watch event");
    *ret = event;
    *ret_has = true;
    return NULL;
}

/* --- encoding --- */

static void write_event(struct doc_writer *writer, const struct watch_event *event)
{
    const struct kube_type_meta meta = kube_kind_meta(event->kind);
    writer->ops->begin_object(writer);
    doc_write_key(writer, "type");
    doc_write_text(writer, watch_event_type_text(event->type));
    doc_write_key(writer, "object");
    codec_write_object(writer, event->object, &meta);
    writer->ops->end_object(writer);
}

static size_t field_size(size_t len)
{
    size_t size = 2 + len; /* the tag, and a length below 128 */
    for (size_t rest = len >> 7; rest > 0; rest >>= 7)
        size++;
    return size;
}

/* The lengths of the outer messages come first, so the object is made beside them. */
static void encode_protobuf_event(const struct watch_event *event, struct buf *out)
{
    struct str type = str_from(watch_event_type_text(event->type));
    AUTO(buf) struct buf object;
    buf_init(&object, out->max_len);
    kube_encode_any(event->object, event->kind, KUBE_PROTOBUF, &object);
    size_t extension_len = field_size(object.len);
    size_t frame_len = field_size(type.len) + field_size(extension_len);
    if (object.overflowed)
        out->overflowed = true;
    for (unsigned shift = 8 * LENGTH_BYTES; shift > 0; shift -= 8)
        buf_add_char(out, (char)(uint8_t)(frame_len >> (shift - 8)));
    codec_add_tag_and_length(out, EVENT_TYPE, type.len);
    buf_add_str(out, type);
    codec_add_tag_and_length(out, EVENT_OBJECT, extension_len);
    codec_add_tag_and_length(out, EXTENSION_RAW, object.len);
    buf_add_str(out, buf_str(&object));
}

void watch_frame_encode(const struct watch_event *event, enum kube_encoding encoding,
                        struct buf *out)
{
    struct json_writer json;
    struct yaml_writer yaml;
    switch (encoding) {
    case KUBE_JSON:
        json_writer_init(&json, out, false);
        write_event(&json.base, event);
        buf_add_char(out, '\n');
        break;
    case KUBE_YAML:
        buf_add_text(out, "---\n");
        yaml_writer_init(&yaml, out);
        write_event(&yaml.base, event);
        yaml_writer_done(&yaml);
        break;
    case KUBE_PROTOBUF:
        encode_protobuf_event(event, out);
        break;
    }
}
