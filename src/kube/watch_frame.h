/*
 * The frames of a watch: JSON objects one after the other, or protobuf messages with a length of
 * four bytes before each. A decoder takes bytes as they come and hands out events; an encoder makes
 * one frame. No I/O. Loop thread.
 */
#pragma once

#include "kube/kinds.h"

#define WATCH_FRAME_MAX_BYTES (KUBE_OBJECT_MAX_BYTES + 64 * KiB)

enum watch_event_type {
    WATCH_ADDED,
    WATCH_MODIFIED,
    WATCH_DELETED,
    WATCH_BOOKMARK,
    WATCH_ERROR, /* the object is a Status */
};

struct watch_event {
    enum watch_event_type type;
    const struct kube_kind *kind;
    ProtobufCMessage *object;
};

struct watch_decoder; /* opaque */

/** For KUBE_JSON or KUBE_PROTOBUF: a watch has no YAML form. Unknown fields are dropped. */
struct watch_decoder *watch_decoder_new(enum kube_encoding encoding);
void watch_decoder_free(struct watch_decoder *decoder); /* NULL is fine */
DEFINE_AUTO(watch_decoder, struct watch_decoder *, watch_decoder_free)

/** From now on a field that is not known is an error in JSON, as with KUBE_UNKNOWN_STRICT. */
void watch_decoder_refuse_unknown(struct watch_decoder *decoder);

/** Takes @bytes. Cheap: nothing is decoded yet. RESOURCE_EXHAUSTED beyond WATCH_FRAME_MAX_BYTES in
 * one frame, INVALID_ARGUMENT for what cannot be one: the stream is of no more use. */
MUST_CHECK struct error *watch_decoder_feed(struct watch_decoder *decoder, struct str bytes);
/**
 * The next event, in @arena, with *ret_has true; false when bytes are missing. INVALID_ARGUMENT for
 * a frame that does not decode: it is skipped and the stream may go on.
 */
MUST_CHECK struct error *watch_decoder_next(struct watch_decoder *decoder, struct arena *arena,
                                            bool *ret_has, struct watch_event *ret);
/** True in the middle of a frame: an end of the stream now has cut it off. */
bool watch_decoder_is_partial(const struct watch_decoder *decoder);

/** Appends one frame. KUBE_YAML makes a document of it, for people to read. */
void watch_frame_encode(const struct watch_event *event, enum kube_encoding encoding,
                        struct buf *out);
const char *watch_event_type_text(enum watch_event_type type); /* "ADDED" */
