#include "kube/codec_plan.h"

struct codec_type_plan *codec_plan_type(struct codec_plan *plan,
                                        const ProtobufCMessageDescriptor *type)
{
    /* Descriptors are static structs of more than a hundred bytes: the low bits say little. */
    struct codec_type_plan **bucket = &plan->buckets[((uintptr_t)type >> 5) % CODEC_PLAN_BUCKETS];
    for (struct codec_type_plan *known = *bucket; known; known = known->next) {
        if (known->type == type)
            return known;
    }
    struct codec_type_plan *made = arena_alloc(plan->arena, sizeof(*made));
    made->type = type;
    made->special = codec_special_of(type);
    made->fields = arena_calloc(plan->arena, type->n_fields, sizeof(*made->fields));
    made->next = *bucket;
    *bucket = made;
    return made;
}

const struct codec_field_plan *codec_plan_field(struct codec_plan *plan,
                                                struct codec_type_plan *type, unsigned index)
{
    struct codec_field_plan *known = &type->fields[index];
    if (known->is_ready)
        return known;
    const ProtobufCFieldDescriptor *field = &type->type->fields[index];
    char name[FIELD_NAME_SIZE];
    struct str json_name = codec_json_name(type->type, field, name);
    known->json_name.ptr = arena_strndup(plan->arena, json_name.ptr, json_name.len);
    known->json_name.len = json_name.len;
    known->is_inline = codec_is_inline(type->type, field);
    known->is_map = codec_is_map(type->type, field);
    known->storage = codec_storage_of(field);
    known->is_ready = true;
    return known;
}
