#include "kube/document.h"

#include "kube/codec_internal.h"

struct error *kube_message_to_document(const ProtobufCMessage *message,
                                       const struct kube_type_meta *type, struct arena *arena,
                                       const struct doc_node **ret)
{
    struct doc_builder builder;
    doc_builder_init(&builder, arena);
    codec_write_object(&builder.base, message, type);
    return error_wrap(doc_builder_finish(&builder, ret), "%s", message->descriptor->name);
}
