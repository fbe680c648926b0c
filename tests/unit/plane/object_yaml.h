/*
 * Objects for tests, written as YAML.
 */
#pragma once

#include "kube/codec.h"
#include "tests/lib/test.h"

static inline UNUSED ProtobufCMessage *object_parse(const char *yaml,
                                                    const ProtobufCMessageDescriptor *type,
                                                    struct arena *arena)
{
    const struct kube_decode_options options = {.unknown = KUBE_UNKNOWN_STRICT};
    ProtobufCMessage *message = NULL;
    AUTO(error)
    struct error *err = kube_decode_yaml(str_from(yaml), type, &options, arena, &message);
    if (err)
        fail_msg("%s\nin: %s", err->message, yaml);
    return message;
}

/** The object's JSON, in @arena. */
static inline UNUSED const char *object_json(const ProtobufCMessage *object, struct arena *arena)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, KUBE_OBJECT_MAX_BYTES);
    kube_encode_json(object, NULL, &out);
    return arena_strdup(arena, buf_text(&out));
}
