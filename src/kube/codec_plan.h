/*
 * What the encoder must know of message types, found once in a call: a list of a thousand pods has
 * a hundred thousand fields, but only a few hundred different ones. For codec*.c only. Pure; a plan
 * belongs to one thread.
 */
#pragma once

#include "kube/codec_internal.h"

struct codec_field_plan {
    bool is_ready;
    bool is_inline;
    bool is_map;
    enum codec_storage storage;
    struct str json_name;
};

struct codec_type_plan {
    const ProtobufCMessageDescriptor *type;
    enum codec_special special;
    struct codec_field_plan *fields; /* made when asked for */
    struct codec_type_plan *next;
};

#define CODEC_PLAN_BUCKETS 64

/** Zeroed but for the arena, which the caller owns and which outlives it. */
struct codec_plan {
    struct arena *arena;
    struct codec_type_plan *buckets[CODEC_PLAN_BUCKETS];
};

/** The plan of @type; borrowed from @plan. */
struct codec_type_plan *codec_plan_type(struct codec_plan *plan,
                                        const ProtobufCMessageDescriptor *type);
/** The plan of field @index of its descriptor. */
const struct codec_field_plan *codec_plan_field(struct codec_plan *plan,
                                                struct codec_type_plan *type, unsigned index);
